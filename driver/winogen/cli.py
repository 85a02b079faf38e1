"""The command line: ``winogen models | compile | run | info | disasm | overlay``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from winogen import __version__, zoo
from winogen.board import Board, board_names, load_board
from winogen.compiler import DEFAULT_BATCH, Compiled, compile_graph
from winogen.errors import InputError, WinogenError, one_line
from winogen.files import ARRAY_FILE_ERRORS, check_writable, write_atomically
from winogen.lower import Mode
from winogen.overlay.commands import add_overlay_commands
from winogen.program import Program
from winogen.progress import Progress
from winogen.quantise import DEFAULT_CALIBRATION, Calibration
from winogen.tables import cost_summary, cost_table, quality_table, table

_EXAMPLES = """examples:
  winogen models                                    what there is to run
  winogen run digits --seed 7 -n 16 -o digits.png   a sheet of images, on the emulated device
  winogen compile digits -o digits.wg               a program file for a board
  winogen run digits.wg -o digits.png               run a program file
  winogen info digits.wg                            what a program does and needs
  winogen disasm digits.wg --batch 1                its instructions
  winogen overlay report --board pynq-z2            what the logic takes of the board's FPGA
  winogen overlay build --board pynq-z2 --tool vivado   a bitstream
"""


#: Images of one run, by default and at most, and the largest magnification of the sheet: what
#: fits a laptop's memory.
DEFAULT_NUMBER = 16
MAX_IMAGES = 100_000
MAX_SCALE = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (2 for an error that has a message)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a name may hold what the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = options.command(options)
        sys.stdout.flush()
        return int(code or 0)
    except WinogenError as error:
        print(f"winogen: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("winogen: not enough memory for this; ask for fewer or smaller images",
              file=sys.stderr)  # fmt: skip
        return 2
    except KeyboardInterrupt:
        print("winogen: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="winogen",
        description="Compile trained generator networks and run them on a PYNQ board's "
        "Winograd-deconvolution accelerator, or on its emulation.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"winogen {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    models = commands.add_parser("models", help="list the networks that come with winogen")
    models.set_defaults(command=_models)

    compiling = argparse.ArgumentParser(add_help=False)
    _add_compile_options(compiling)

    compile_ = commands.add_parser(
        "compile",
        parents=[compiling],
        help="compile a network to a program file",
        description="Quantise a network, lower it to the accelerator's instructions for a board, "
        "and write one program file.",
    )
    compile_.add_argument(
        "model", help="a name from 'winogen models', or a folder with layers.yaml and weights.npz"
    )
    compile_.add_argument("-o", "--output", type=Path, required=True, help="program file to write")
    compile_.set_defaults(command=_compile)

    run = commands.add_parser(
        "run",
        parents=[compiling],
        help="generate images",
        description="Run a network on a device and write a sheet of its images (PNG), or its "
        "output as an array (.npy).",
    )
    run.add_argument("model", help="a name, a folder, or a program file (.wg)")
    run.add_argument("-n", "--number", type=int, help="images (default: 16)")
    run.add_argument("--seed", type=int, help="seed of the latents (default: 0)")
    run.add_argument(
        "--input",
        type=Path,
        metavar="FILE.npy",
        help="inputs to use instead: float array (N, latent) or (N, C, H, W)",
    )
    run.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="picture (.png) or float array (.npy) to write",
    )
    run.add_argument("--scale", type=int, default=1, help="enlarge every pixel (default: 1)")
    run.add_argument(
        "--device",
        choices=("emulator", "rtl", "board"),
        default="emulator",
        help="where to run: the emulator (default), rtl (the hardware's own logic, simulated cycle "
        "by cycle: slow, and needs winogen[rtl] and g++), or a PYNQ board",
    )
    run.add_argument("--overlay", type=Path, help="bitstream (.bit) for --device board")
    run.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="give up on a run after this long (default: from the prediction)",
    )
    run.set_defaults(command=_run)

    info = commands.add_parser(
        "info",
        help="describe a program file",
        description="What a program does, what memory it needs, how fast it is predicted to be.",
    )
    info.add_argument("program", type=Path, help="program file (.wg)")
    info.set_defaults(command=_info)

    disasm = commands.add_parser(
        "disasm",
        help="print the instructions of a program file",
        description="One instruction a line: index, layer, opcode, tokens taken (<), operands, "
        "tokens given (>). docs/instructions.md says what the operands mean.",
    )
    disasm.add_argument("program", type=Path, help="program file (.wg)")
    disasm.add_argument("--batch", type=int, help="which stream (default: the smallest)")
    disasm.set_defaults(command=_disasm)

    add_overlay_commands(commands)
    return parser


def _add_compile_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("compilation")
    group.add_argument(
        "--board",
        help=f"one of {', '.join(board_names())}, or a board YAML file (default: pynq-z2)",
    )
    group.add_argument(
        "--bits", type=int, choices=(8, 16), help="activation and weight width (default: 8)"
    )
    group.add_argument(
        "--mode",
        choices=[m.value for m in Mode],
        default=None,
        help="arrangement of the multiplies; direct (TDC) and zero-padded are the "
        "baselines (default: auto, the cheapest for each layer)",
    )
    group.add_argument(
        "--batch",
        type=int,
        help=f"images that one run of the device takes at most (default: {DEFAULT_BATCH})",
    )
    group.add_argument(
        "--percentile",
        type=float,
        help="of the activations that calibration keeps in range (default: 99.99 "
        "for 8 bits, 100 for 16)",
    )
    group.add_argument(
        "--headroom",
        type=float,
        help="factor on calibrated ranges (default: 1 for 8 bits, 1.25 for 16)",
    )
    group.add_argument("--calib-seed", type=int, help="seed of the calibration inputs (default: 0)")


def _board(options: argparse.Namespace) -> Board:
    return load_board(options.board or "pynq-z2", options.bits or 8)


def _compile_model(options: argparse.Namespace) -> Compiled:
    if (options.calib_seed or 0) < 0:
        raise InputError("a seed must not be negative")
    board = _board(options)
    default = DEFAULT_CALIBRATION[board.core.data_width]
    calibration = Calibration(
        default.percentile if options.percentile is None else options.percentile,
        default.headroom if options.headroom is None else options.headroom,
    )
    graph = zoo.load_model(options.model)
    with Progress(f"compiling {graph.name}") as progress:
        return compile_graph(
            graph,
            board,
            mode=Mode(options.mode or "auto"),
            batch=DEFAULT_BATCH if options.batch is None else options.batch,
            calibration=calibration,
            seed=options.calib_seed or 0,
            progress=progress.stage,
        )


def _models(options: argparse.Namespace) -> None:
    rows = []
    for name in zoo.model_names():
        trained = "trained" if zoo.is_trained(name) else "random"
        rows.append([name, trained, zoo.describe(name)])
    print(table(["name", "weights", "description"], rows, left=3))


def _compile(options: argparse.Namespace) -> None:
    if options.output.suffix != ".wg":
        raise InputError(f"cannot write {options.output}: the name of a program must end in .wg")
    check_writable(options.output)
    compiled = _compile_model(options)
    program = compiled.program
    program.save(options.output)
    print(quality_table(compiled.network.report))
    print()
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    size = options.output.stat().st_size
    print(
        f"wrote {options.output} ({size / 1e6:.2f} MB), configuration "
        f"{program.core.config_hash32:08x}"
    )


def _load_or_compile(options: argparse.Namespace) -> Program:
    if not options.model.endswith(".wg"):
        return _compile_model(options).program
    fixed = ("mode", "batch", "percentile", "headroom", "calib_seed")
    given = [f"--{n.replace('_', '-')}" for n in fixed if getattr(options, n) is not None]
    if given:
        raise InputError(f"{', '.join(given)} cannot change a compiled program; compile it anew")
    program = Program.load(options.model)
    if options.board or options.bits:
        bits = options.bits or program.data_width
        program.check_board(load_board(options.board or program.board.name, bits))
    return program


def _run(options: argparse.Namespace) -> None:
    from winogen.generator import Generator
    from winogen.images import encode_png, save_array, sheet

    as_float = options.output.suffix == ".npy"
    if not as_float and options.output.suffix.lower() != ".png":
        raise InputError(f"cannot write {options.output}: its name must end in .png or .npy")
    if options.input and (options.number is not None or options.seed is not None):
        raise InputError("--input brings its own latents: leave -n and --seed out")
    number = DEFAULT_NUMBER if options.number is None else options.number
    seed = options.seed or 0
    if number < 1:
        raise InputError(f"the number of images must be at least 1, not {number}")
    if number > MAX_IMAGES:
        raise InputError(f"the number of images must be at most {MAX_IMAGES:,}")
    if seed < 0:
        raise InputError("a seed must not be negative")
    if not 1 <= options.scale <= MAX_SCALE:
        raise InputError(f"the scale must be 1 to {MAX_SCALE}, not {options.scale}")
    check_writable(options.output)
    inputs = _read_inputs(options.input) if options.input else None
    program = _load_or_compile(options)
    if program.output_range is None and not as_float:
        raise InputError(
            f"the output of network '{program.name}' is no image (its definition has no output "
            "range): write it to a .npy file"
        )
    with Generator(
        program,
        options.device,
        board=options.board,
        overlay=options.overlay,
        timeout=options.timeout,
    ) as generator:
        z = generator.latents(number, seed) if inputs is None else inputs
        with Progress("generating", len(z)) as progress:
            out = generator.generate(z, as_float=as_float, progress=progress.update)
    if as_float:
        save_array(options.output, out)
    else:
        if out.shape[3] not in (1, 3):
            raise InputError(
                f"the images of network '{program.name}' have {out.shape[3]} channels: write "
                "them to a .npy file"
            )
        write_atomically(options.output, encode_png(sheet(out), options.scale))
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    print(
        f"wrote {options.output}: {len(out)} x {'x'.join(map(str, out.shape[1:]))} "
        f"from the {options.device}"
    )


def _read_inputs(path: Path) -> NDArray:
    try:
        with open(path, "rb") as file:
            array = np.load(file, allow_pickle=False)
    except ARRAY_FILE_ERRORS as error:
        raise InputError(f"cannot read inputs from {path}: {one_line(error)}") from None
    if not isinstance(array, np.ndarray) or array.ndim < 2:
        raise InputError(f"inputs in {path} must be one array (N, latent) or (N, C, H, W)")
    return array


def _info(options: argparse.Namespace) -> None:
    program = Program.load(options.program)
    c, h, w = program.input_shape
    oc, oh, ow = program.output_shape
    print(f"network   {program.name}, int{program.data_width}")
    print(
        f"board     {program.board.name}, {program.board.clock_mhz:g} MHz, "
        f"{program.core.multipliers} multipliers, configuration {program.core.config_hash32:08x}"
    )
    print(f"input     {program.input.kind} {c} x {h} x {w}, step {program.input_format.scale:.6g}")
    print(
        f"output    {oc} x {oh} x {ow}, step {program.output_format.scale:.6g}"
        + ("" if program.output_range is None else ", image")
    )
    print(f"weights   {len(program.weights):,} bytes\n")
    rows = [
        [
            str(s.batch),
            f"{s.length:,}",
            f"{s.input_bytes:,}",
            f"{s.output_bytes:,}",
            f"{s.scratch_bytes:,}",
            f"{s.cycles:,}",
            f"{program.frames_per_second(s):,.1f}",
        ]
        for s in program.streams
    ]
    header = ["batch", "instructions", "input B", "output B", "scratch B", "cycles", "images/s"]
    print(table(header, rows, left=0))
    print()
    print(cost_table(program, program.streams[-1]))
    print(cost_summary(program, program.streams[-1]))


def _disasm(options: argparse.Namespace) -> None:
    from winogen.disasm import disassemble

    program = Program.load(options.program)
    streams = {s.batch: s for s in program.streams}
    batch = min(streams) if options.batch is None else options.batch
    if batch not in streams:
        raise InputError(
            f"program '{program.name}' has no stream for batch {batch}; it has "
            f"{', '.join(map(str, streams))}"
        )
    for line in disassemble(streams[batch].instructions()):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
