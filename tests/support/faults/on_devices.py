"""Stages on devices: two images of a small network; a check of ``winogen doctor``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import pynq
from pytest import MonkeyPatch

from fakes.faulty_cores import Sound
from support.bench import small
from support.faults.verdicts import Refusal
from winogen.common.errors import WinogenError
from winogen.doctor import bench as doctor_bench
from winogen.doctor.bench import Bench
from winogen.doctor.checks import BY_NAME, run_check
from winogen.doctor.result import Outcome
from winogen.emulation.device import EmulatedDevice
from winogen.emulation.emulator import EmulatedCore
from winogen.program.file import Program
from winogen.runtime import accelerator
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device, rtl_device
from winogen.target.board import load_board

TINY = load_board("tiny")
#: Cycles after which a stream that does not go on is given up.
_WATCHDOG = 20_000


class OnDevice:
    """A generator on a device of its own, opened when it is first used.

    Attributes
    ----------
    core : what is made for the device, in place of the emulator's
    options : of the generator
    overlay : the bitstream that it loads
    work : what is done, in place of making images
    """

    def __init__(self, folder: Path, device: str, program: Program, **options: Any) -> None:
        self.folder, self.name, self.program, self.options = folder, device, program, options
        self.core: Callable[..., Any] = EmulatedCore
        self.struck, self.left = 0, list[str]()
        self.overlay: Path | None = None
        self.work: Callable[[], object] | None = None
        self.patch = MonkeyPatch()
        self._open: Generator | None = None

    @cached_property
    def device(self) -> EmulatedDevice:
        """The board; its logic is empty until the generator is there."""
        if self.name == "rtl":
            return rtl_device(TINY)
        device = emulated_device(TINY)
        device._core_factory = lambda memory: self.core(memory, TINY)
        return device

    @property
    def generator(self) -> Generator:
        if self._open is None:
            self._open = Generator(
                self.program, self.device, board=TINY, overlay=self.overlay, **self.options
            )
            self._open.core.set("WATCHDOG", _WATCHDOG)
        return self._open

    def run(self) -> bytes:
        if self.work is not None:
            return repr(self.work()).encode()
        generator = self.generator
        return generator.generate(generator.latents(2, seed=5)).tobytes()

    def others(self) -> None:
        """Make other images before: what is left of them is not taken for the right ones."""
        self.generator.generate(self.generator.latents(2, seed=6))

    def strike(self) -> None:
        """Something of the fault has happened."""
        self.struck += 1

    def close(self) -> None:
        """What is faulty may refuse to."""
        give_back(self._open)
        self._open = None


def give_back(made: Any) -> None:
    """Close a generator, if there is one, whatever it says of that."""
    with suppress(WinogenError):
        if made is not None:
            made.close()


@contextmanager
def on_device(folder: Path, device: str, program: Any = None, **options: Any) -> Iterator[OnDevice]:
    """Two images on the device."""
    stage = OnDevice(folder, device, program or small().program, **options)
    stage.patch.setattr(pynq.Device, "_active_device", None, raising=False)
    try:
        yield stage
    finally:
        stage.close()
        stage.patch.undo()


@contextmanager
def by_interrupt(folder: Path, device: str) -> Iterator[OnDevice]:
    """The same, on the device that pynq has interrupts for."""
    with on_device(folder, device, waiting="interrupt") as stage:
        stage.patch.setattr(pynq.Device, "_active_device", stage.device, raising=False)
        yield stage


class InDoctor:
    """A check of ``winogen doctor`` on a faulty core."""

    def __init__(self, check: str) -> None:
        self.check, self.core = check, Sound
        self.struck, self.left = 0, list[str]()
        self.patch = MonkeyPatch()

    def run(self) -> bytes:
        self.patch.setattr("winogen.emulation.emulator.EmulatedCore", self.core)
        self.bench = Bench("emulator", TINY)
        result = run_check(BY_NAME[self.check], self.bench)
        if "_opened" in vars(self.bench):
            with suppress(WinogenError):
                self.bench.core.close()
        if result.outcome is Outcome.FAIL:
            raise Refusal(f"doctor's {self.check}", f"{result.text}: {result.advice}")
        return result.outcome.name.encode()


@contextmanager
def _in_doctor(check: str, folder: Path, device: str) -> Iterator[InDoctor]:
    stage = InDoctor(check)
    stage.patch.setattr(pynq.Device, "_active_device", None, raising=False)
    stage.patch.delenv("BOARD", raising=False)
    stage.patch.delenv("WINOGEN_DEVICE", raising=False)
    stage.patch.setitem(doctor_bench.RUN_SECONDS, "emulator", 0.3)
    stage.patch.setattr(accelerator, "_RESET_SECONDS", 0.1)
    try:
        yield stage
    finally:
        stage.patch.undo()


@cache
def in_doctor(check: str) -> Any:
    """The scene of one check."""
    return partial(_in_doctor, check)
