"""What processes do with a board that outlives them (``fakes/shared_board.py``)."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np

from fakes.shared_board import TINY, SharedBoard
from winogen.runtime.generator import Generator
from winogen.runtime.open import open_device
from winogen.target.hwh import IP_BASE
from winogen.target.registers import offset

START = ("write", IP_BASE + offset("CONTROL"))


class Images:
    """What a process does with the board; its images are in a file afterwards."""

    def __init__(self, program, folder: Path):
        self.program, self.file = program, folder / "images.npy"

    def __call__(self, device) -> None:
        generator = Generator(self.program, device, overlay=device.overlay, waiting="poll")
        images = generator.generate(generator.latents(3))
        np.save(self.file, images)
        # It is not closed: it ends with the process, or with the exception that ends that.

    def made(self) -> np.ndarray:
        images = np.load(self.file)
        self.file.unlink()
        return images


def open_and_close(device) -> None:
    open_device(device, TINY, device.overlay).core.close()


def start_and_die(board: SharedBoard, use: Images) -> None:
    """A process is killed right after it has started a stream."""
    assert board.serve(use) == 0
    use.file.unlink()
    starts = [n for n, access in enumerate(board.log, 1) if access == START]
    board.other_overlay(use.file.parent)
    board.serve(use, signal.SIGKILL, starts[0])
    assert board.running
    board.log.clear()
