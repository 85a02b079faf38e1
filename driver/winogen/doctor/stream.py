"""The conformance sample as a stimulus for netlists, recorded on the emulated device."""

from __future__ import annotations

import numpy as np

from winogen.compiler.compile import compile_graph
from winogen.doctor.conformance import NETWORK
from winogen.emulation.device import EmulatedMemory
from winogen.emulation.device.memory import PAGE
from winogen.emulation.emulator import EmulatedCore
from winogen.fpga.stimulus import Stimulus
from winogen.network.definition import RandomParameters, load_definition
from winogen.target import registers
from winogen.target.board import Board


def conformance_stimulus(board: Board, definition: str = NETWORK) -> Stimulus:
    """A run of one image through a network of random weights; the same for one board every time."""
    from winogen.runtime.generator import Generator
    from winogen.runtime.open import device_of

    compiled = compile_graph(load_definition(definition, RandomParameters(7)), board, batch=1)
    recorders: list[_Recorder] = []

    def core(memory: EmulatedMemory) -> _Recorder:
        recorders.append(_Recorder(memory, board))
        return recorders[-1]

    with Generator(compiled.program, device_of("recorder", board, core), board=board) as generator:
        generator.generate(generator.latents(1, seed=3))
    return recorders[-1].stimulus(compiled.program.streams[-1].cycles)


class _Recorder:
    """An emulated accelerator that keeps what its first stream began with, and what came of it."""

    is_measured = False

    def __init__(self, memory: EmulatedMemory, board: Board) -> None:
        self._memory, self._board = memory, board
        self._core = EmulatedCore(memory, board, fuse=False)
        self._writes: list[tuple[int, int]] = []
        self._base = 0
        self._before = self._after = b""

    def read(self, offset: int) -> int:
        return self._core.read(offset)

    def interrupt(self) -> bool:
        return self._core.interrupt()

    def write(self, offset: int, value: int) -> None:
        if self._after:
            self._core.write(offset, value)
            return
        self._writes.append((offset, value))
        control = offset == registers.offset("CONTROL")
        if not control or not registers.unpack("CONTROL", value)["start"]:
            self._core.write(offset, value)
            return
        # Buffers that nobody has written to are no zeros either (EmulatedMemory.claim).
        view = self._memory.device_view()
        used = np.flatnonzero(view.reshape(-1, PAGE).any(axis=1))
        part = slice(int(used[0]) * PAGE, (int(used[-1]) + 1) * PAGE)
        self._base, self._before = self._memory.base + part.start, view[part].tobytes()
        self._core.write(offset, value)
        self._after = view[part].tobytes()

    def stimulus(self, cycles: int) -> Stimulus:
        return Stimulus(
            self._board, self._base, self._before, self._after, tuple(self._writes), cycles
        )
