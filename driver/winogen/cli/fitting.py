"""What all ways of fitting share on the command line: their files, progress, and what is said."""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winogen.cli.objects import described
from winogen.common.errors import InputError
from winogen.common.files import check_writable
from winogen.common.progress import Progress
from winogen.compression.options import FitOptions
from winogen.network.kinds import NETWORK, weights_kind
from winogen.network.stored import save_network

if TYPE_CHECKING:
    from winogen.compression.fit import Fitted


@dataclass(frozen=True)
class Files:
    """What a fit writes: a program, its network, and meanwhile checkpoints.

    Raises InputError for a name that is not possible, or where something of the user's lies.
    """

    program: Path
    model: str

    def __post_init__(self) -> None:
        if self.program.suffix != ".wg":
            raise InputError(f"cannot write {self.program}: the name of a program must end in .wg")
        for path in (self.program, self.network, self.checkpoint, self.pretraining):
            check_writable(path)
        if Path(self.model).resolve() == self.network.resolve():
            raise InputError(f"{self.network} is what is to be fitted: name another file with -o")
        if self.network.exists() and weights_kind(self.network) != NETWORK:
            raise InputError(
                f"{self.network} is there, and is no network that was fitted: name another file "
                "with -o"
            )

    @property
    def network(self) -> Path:
        """The trained network."""
        return self.program.with_suffix(".npz")

    @property
    def checkpoint(self) -> Path:
        """A training that was interrupted."""
        return self.program.with_suffix(".training")

    @property
    def pretraining(self) -> Path:
        """A student's training in floating point."""
        return self.program.with_suffix(".pretraining")


def finish(
    arguments: argparse.Namespace, files: Files, options: FitOptions, fitted: Fitted, **more: Any
) -> None:
    """Write what was fitted and say how good it is; ``more`` is for machines."""
    save_network(fitted.graph, files.network)
    fitted.compilation.program.save(files.program)
    for path in (files.pretraining, files.checkpoint):
        path.unlink(missing_ok=True)
    print(_said(fitted))
    if fitted.again:
        print(
            "training had made the weights larger than was asked for: they were made smaller and "
            f"trained again{' ' + str(fitted.again) + ' times' if fitted.again > 1 else ''}"
        )
    if options.bytes is not None and fitted.weight_bytes > options.bytes:
        print(
            f"the weights take {fitted.weight_bytes:,} bytes, more than the {options.bytes:,} that "
            "were asked for: they could not be made smaller; ask for fewer channels, too (--faster)"
        )
    if options.psnr is not None and fitted.after < options.psnr:
        print(
            f"that is less than the {options.psnr:g} dB that were asked for, which it reached on "
            "the inputs that the best step is chosen by: ask for a little more"
        )
    for remark in fitted.compilation.remarks:
        print(remark)
    size = files.program.stat().st_size
    print(
        f"wrote {files.program} ({size / 1e6:.2f} MB) and {files.network}, which winogen compile "
        "takes"
    )
    arguments.result = {
        "output": str(files.program),
        "network": str(files.network),
        "bytes": size,
        "steps": fitted.steps,
        "psnr_before": fitted.before,
        "psnr": fitted.after,
        "exits": [
            {
                "tap": x.head.tap,
                "strides": list(x.head.strides),
                "widths": list(x.head.widths),
                "asked": x.asked,
                "share_alone": x.alone,
                "share_batched": x.batched,
                "psnr": psnr,
            }
            for x, psnr in zip(fitted.exits, fitted.exits_after)
        ],
        "weights": fitted.weights,
        "weight_bytes": fitted.weight_bytes,
        "weight_bits": fitted.bits,
        "curve": [list(point) for point in fitted.curve],
        "program": described(fitted.compilation.program),
        **more,
    }


def library(name: str) -> Any:
    """A module of winogen.compression that trains; InputError where there is no torch."""
    try:
        return importlib.import_module(f"winogen.compression.{name}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise InputError(
            "fitting trains with torch, which is not installed: pip install 'winogen[compress]' "
            "(what comes of it runs without)"
        ) from None


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
        f"{fitted.bits:.2f} bits each" + "".join(_said_of_exits(fitted))
    )


def _said_of_exits(fitted: Fitted) -> Iterator[str]:
    """A line for every exit: how good, and how much of the cycles it takes."""
    for number, (own, psnr) in enumerate(zip(fitted.exits, fitted.exits_after), 1):
        yield (
            f"\nexit {number}: {psnr:.1f} dB, after layer '{own.head.tap}': "
            f"{100 * own.alone:.0f}% of the cycles for one image, {100 * own.batched:.0f}% in "
            "batches"
        )
        if own.share > own.asked:
            yield (
                f"; no layer and head of this network come closer to the {100 * own.asked:g}% "
                "that were asked for"
            )


class Shown:
    """Progress on the terminal's line: a bar, how it goes, and the time that is left."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._what = ""
        self._start = (0.0, 0)

    def __call__(self, what: str, done: int, of: int, note: str) -> None:
        """Show it; see :data:`winogen.compression.fit.Progress`."""
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
