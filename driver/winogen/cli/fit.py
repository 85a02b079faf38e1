"""``winogen fit``: a network is trained to be smaller, or better, without anybody's data."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winogen.cli.job import prepare
from winogen.cli.objects import add_json, described
from winogen.cli.options import compile_options, given, option_parser
from winogen.cli.outputs import name_of
from winogen.cli.parser import examples
from winogen.common.errors import InputError
from winogen.common.files import check_writable
from winogen.common.progress import Progress
from winogen.compiler.options import CompileOptions
from winogen.compression.options import FitOptions, check_compilation
from winogen.compression.students import told
from winogen.network.kinds import NETWORK, weights_kind
from winogen.network.stored import save_network

if TYPE_CHECKING:
    from winogen.compression.fit import Fitted


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    fit = commands.add_parser(
        "fit",
        parents=[option_parser(FitOptions), option_parser(CompileOptions)],
        help="train a network to fit its board, without training data",
        description="Train a network in the accelerator's integers to do as it does in floating "
        "point: with better 8-bit weights, or with fewer, shared or 4-bit ones. It is its own "
        "teacher, for latents (or pictures) that are drawn, or for those of --calib. Writes a "
        "program, and beside it the trained network (.npz), which winogen compile takes. Needs "
        "pip install 'winogen[compress]'.",
        epilog=examples(
            ("winogen fit digits", "better 8-bit weights, digits-fitted.wg"),
            ("winogen fit netG.onnx --bytes 250000 -o small.wg", "weights of 250 kB"),
            ("winogen fit netG.onnx --fps 60", "narrower layers, 60 images a second"),
            ("winogen fit netG.onnx --blocks separable", "depthwise and 1x1 convolutions"),
            ("winogen fit netG.onnx --psnr 36 --minutes 30 -o small.wg", "as small as 36 dB allow"),
            ("winogen fit digits --keep 0.4 --share 16", "60% pruned, 16 shared values a layer"),
            ("winogen fit net.onnx --calib photos/", "learns from your pictures"),
            ("winogen fit digits --weight-bits 4", "trained 4-bit weights"),
        ),
    )
    fit.add_argument(
        "model",
        help="a name from 'winogen models', an ONNX file, a folder with layers.yaml and "
        "weights.npz, a fitted network, or the weights of a generator",
    )
    fit.add_argument(
        "-o",
        "--output",
        type=Path,
        help="program file to write, and the trained network beside it as .npz (default: the "
        "model's name, -fitted.wg)",
    )
    add_json(fit)
    fit.set_defaults(command=_fit)


def _fit(arguments: argparse.Namespace) -> None:
    options = FitOptions(**given(arguments, kind=FitOptions))
    output = arguments.output or Path(f"{name_of(arguments.model)}-fitted.wg")
    if output.suffix != ".wg":
        raise InputError(f"cannot write {output}: the name of a program must end in .wg")
    network, checkpoint = output.with_suffix(".npz"), output.with_suffix(".training")
    earlier = checkpoint.with_suffix(".pretraining")
    for path in (output, network, checkpoint, earlier):
        check_writable(path)
    if Path(arguments.model).resolve() == network.resolve():
        raise InputError(f"{network} is what is to be fitted: name another file with -o")
    if network.exists() and weights_kind(network) != NETWORK:
        raise InputError(
            f"{network} is there, and is no network that was fitted: name another file with -o"
        )
    fitting = _library()
    compilation = compile_options(arguments).with_board()
    check_compilation(compilation)
    job = prepare(arguments.model, compilation)
    if options.blocks is not None:
        print(told(job, options.blocks))
    for path in (earlier, checkpoint):
        if path.exists():
            print(f"going on from {path}")
    with Progress(f"fitting {job.graph.name}") as progress:
        fitted = fitting(job, options, checkpoint, _Shown(progress))
    save_network(fitted.graph, network)
    fitted.compilation.program.save(output)
    for path in (earlier, checkpoint):
        path.unlink(missing_ok=True)
    print(_said(fitted))
    if options.bytes is not None and fitted.weight_bytes > options.bytes:
        print(
            f"the weights take {fitted.weight_bytes:,} bytes, more than the {options.bytes:,} that "
            "were asked for: training has changed them; ask for a little less"
        )
    if options.psnr is not None and fitted.after < options.psnr:
        print(
            f"that is less than the {options.psnr:g} dB that were asked for, which it reached on "
            "the inputs that the best step is chosen by: ask for a little more"
        )
    for remark in fitted.compilation.remarks:
        print(remark)
    size = output.stat().st_size
    print(f"wrote {output} ({size / 1e6:.2f} MB) and {network}, which winogen compile takes")
    arguments.result = {
        "output": str(output),
        "network": str(network),
        "bytes": size,
        "steps": fitted.steps,
        "psnr_before": fitted.before,
        "psnr": fitted.after,
        "weights": fitted.weights,
        "weight_bytes": fitted.weight_bytes,
        "weight_bits": fitted.bits,
        "curve": [list(point) for point in fitted.curve],
        "program": described(fitted.compilation.program),
    }


def _library() -> Any:
    """The function that fits; InputError where there is no torch."""
    try:
        from winogen.compression.fit import fit
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise InputError(
            "fitting trains with torch, which is not installed: pip install 'winogen[compress]' "
            "(what comes of it runs without)"
        ) from None
    return fit


def _said(fitted: Fitted) -> str:
    """How good and how small it has become, in two lines."""
    early = (
        f" (the time was over before all {fitted.asked:,})" if fitted.steps < fitted.asked else ""
    )
    narrower = f"{100 * fitted.width:.0f}% of the cycles, " if fitted.width < 1 else ""
    return (
        f"to the float network: {fitted.after:.1f} dB after {fitted.steps:,} steps{early}, "
        f"{fitted.before:.1f} dB as compiled without training\n{narrower}"
        f"{fitted.weights:,} weights in {fitted.weight_bytes:,} bytes of the program file, "
        f"{fitted.bits:.2f} bits each"
    )


class _Shown:
    """Progress on the terminal's line: a bar, how it goes, and the time that is left."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._what = ""
        self._start = (0.0, 0)

    def __call__(self, what: str, done: int, of: int, note: str) -> None:
        if not of:
            self._progress.stage(what)
            return
        now = time.monotonic()
        if what != self._what:
            self._what, self._start = what, (now, done)
        passed = done - self._start[1]
        left = ""
        if passed > 0:
            seconds = int((now - self._start[0]) / passed * (of - done))
            left = f", {seconds // 60}:{seconds % 60:02d} left"
        self._progress.stage(f"{what} {done:,} of {of:,}{', ' + note if note else ''}{left}")
