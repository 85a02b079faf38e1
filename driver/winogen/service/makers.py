"""Generators of the programs that are served, on one device of their kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.open import OpenDevice, open_device
from winogen.target.board import Board
from winogen.target.device_names import is_hardware


@contextmanager
def makers(
    programs: Sequence[Program],
    *,
    device: Any = "emulator",
    board: Board | None = None,
    overlay: Any = None,
    **options: Any,
) -> Iterator[list[Generator]]:
    """A generator of each program, until the context ends.

    A board is opened once, and all share it; of emulated devices each has its own. ``options`` are
    further ones of :class:`winogen.runtime.generator.Generator`, whose errors are raised.
    """
    with ExitStack() as stack:
        shared: Any = device
        if is_hardware(device):
            chosen = board or programs[0].board
            shared = open_device(
                device, chosen, overlay, lock_timeout=options.get("lock_timeout", 10.0),
                active=options.get("waiting") == "interrupt",
            )  # fmt: skip
            stack.callback(shared.core.close)
        own = None if isinstance(shared, OpenDevice) else overlay
        yield [
            stack.enter_context(Generator(program, shared, board=board, overlay=own, **options))
            for program in programs
        ]
