"""Where the time of a run went: cycles of every layer and engine, measured beside predicted.

``Generator.generate(z, profile=True)`` makes a :class:`Profile` from the accelerator's own trace
and counters. On the emulated device these come from the cost model, so there the two are equal.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen import cost, perfetto, trace
from winogen.board import Board
from winogen.isa import INSTRUCTION_BYTES, Instruction
from winogen.program import Program, StreamInfo
from winogen.registers import Engine
from winogen.tables import table
from winogen.trace import Times

ENGINES = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)


@dataclass(frozen=True, repr=False)
class Run:
    """One stream that was run, and when each of its instructions was at work.

    Attributes
    ----------
    stream : what ran
    instructions : its instructions
    measured, predicted : their times
    counters : the hardware's counters at the end
    """

    stream: StreamInfo
    instructions: list[Instruction]
    measured: Times
    predicted: Times
    counters: Mapping[str, int]


@dataclass(frozen=True)
class LayerProfile:
    """One layer, over all images of the profile.

    Attributes
    ----------
    name, kind, mode : as in the program
    cycles : from the end of the layer before to its own; those of all layers add up to the run's
    predicted : the same, by the cost model
    load, compute, store : cycles in which the engine worked for the layer; an engine may begin
        before the layer before has ended
    load_stall, compute_stall, store_stall : cycles in which it waited for another engine
    multiplies : issued by the array, lanes that hold padding included
    useful : multiplies that the plain layer needs, without inserted zeros
    bytes_read, bytes_written : of DRAM; instructions are included
    """

    name: str
    kind: str
    mode: str
    cycles: int = 0
    predicted: int = 0
    load: int = 0
    load_stall: int = 0
    compute: int = 0
    compute_stall: int = 0
    store: int = 0
    store_stall: int = 0
    multiplies: int = 0
    useful: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


@dataclass(frozen=True, repr=False)
class Profile:
    """Where the time of a call of generate went; as text, a table.

    Attributes
    ----------
    program : the network
    device : name of the device
    runs : the streams, in the order in which they ran
    is_measured : the times are those of logic, real or simulated; the emulator predicts its own
    """

    program: Program
    device: str
    runs: tuple[Run, ...]
    is_measured: bool

    @property
    def board(self) -> Board:
        """The board that the program is for."""
        return self.program.board

    @property
    def images(self) -> int:
        """Images that were made."""
        return sum(run.stream.batch for run in self.runs)

    @cached_property
    def layers(self) -> list[LayerProfile]:
        """Every layer, summed over the runs."""
        names = _NUMBERS
        sums = np.zeros((len(self.program.layers), len(names)), np.int64)
        for run in self.runs:
            sums += np.stack(self._columns(run), axis=1)
        return [
            LayerProfile(info.name, info.kind, info.mode, *(int(v) for v in row))
            for info, row in zip(self.program.layers, sums)
        ]

    @cached_property
    def total(self) -> LayerProfile:
        """All layers together."""
        sums = {n: sum(getattr(layer, n) for layer in self.layers) for n in _NUMBERS}
        return LayerProfile("all layers", "", "", **sums)

    def counters(self) -> dict[str, int]:
        """The hardware's counters, summed over the runs."""
        return {
            name: sum(run.counters[name] for run in self.runs) for name in self.runs[0].counters
        }

    def _columns(self, run: Run) -> list[NDArray[np.int64]]:
        """The numbers of LayerProfile for one run, in their order, each of shape (layers,)."""
        layer = np.array([i.layer for i in run.instructions])
        engine = np.array([i.engine for i in run.instructions])
        count = len(self.program.layers)

        def add(values: NDArray[np.int64], where: NDArray[np.bool_] | None = None) -> NDArray:
            chosen = np.ones(len(layer), bool) if where is None else where
            out = np.zeros(count, np.int64)
            np.add.at(out, layer[chosen], values[chosen])
            return out

        work = [cost.instruction_work(i, self.board) for i in run.instructions]
        read, written, multiplies = np.array(
            [(w.read_bytes + INSTRUCTION_BYTES, w.written_bytes, w.multiplies) for w in work],
            np.int64,
        ).T
        busy = busy_cycles(run.measured, engine)
        engines = []
        for e in ENGINES:
            engines += [add(busy, engine == e), add(run.measured.stall, engine == e)]
        useful = np.array([info.useful for info in self.program.layers], np.int64)
        return [
            layer_cycles(run.measured.end, layer, count),
            layer_cycles(run.predicted.end, layer, count),
            *engines,
            add(multiplies),
            useful * run.stream.batch,
            add(read),
            add(written),
        ]

    def __str__(self) -> str:
        header = ["layer", "cycles", "predicted", "ratio"]
        for e in ENGINES:
            header += [e.name.lower(), f"{e.name.lower()} waits"]
        header += ["array", "read MB", "written MB"]
        rows = [self._row(layer) for layer in [*self.layers, self.total]]
        lines = [
            self._title(),
            table(header, rows),
            "cycles: from the end of the layer before. engines: cycles of work for the layer,",
            "which may begin earlier, and of waiting for another engine. array: its multiplies,",
            "of all that it could do in the layer's cycles",
        ]
        return "\n".join(lines)

    def _title(self) -> str:
        seconds = self.total.cycles / (self.board.clock_mhz * 1e6)
        return (
            f"{self.program.name}, {self.images} {'image' if self.images == 1 else 'images'} in "
            f"{len(self.runs)} {'run' if len(self.runs) == 1 else 'runs'} on {self.device}: "
            f"{self.total.cycles:,} cycles, {1e3 * seconds:,.2f} ms at "
            f"{self.board.clock_mhz:g} MHz"
        )

    def _row(self, layer: LayerProfile) -> list[str]:
        engines = [
            f"{getattr(layer, name + end):,}"
            for name in (e.name.lower() for e in ENGINES)
            for end in ("", "_stall")
        ]
        peak = layer.cycles * self.board.core.multipliers
        return [
            layer.name,
            f"{layer.cycles:,}",
            f"{layer.predicted:,}",
            f"{layer.cycles / layer.predicted:.3f}" if layer.predicted else "-",
            *engines,
            f"{100 * layer.multiplies / peak:.1f} %" if peak else "-",
            f"{layer.bytes_read / 1e6:.3f}",
            f"{layer.bytes_written / 1e6:.3f}",
        ]

    def __repr__(self) -> str:
        return f"<Profile: {self._title()}>"

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def events(self) -> dict[str, Any]:
        """The timeline in Chrome's trace event format, which Perfetto opens."""
        return perfetto.events(self)

    def save_trace(self, path: str | Path) -> None:
        """Write the timeline for Perfetto.

        Raises InputError if the name does not end in .json, or the file cannot be written.
        """
        perfetto.save(self, Path(path))


_NUMBERS = [f.name for f in fields(LayerProfile)][3:]


def busy_cycles(times: Times, engine: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cycles in which each instruction was the one that kept its engine from being idle.

    An engine has several instructions in flight. Each cycle is counted once, for the oldest, so
    that the sum is the hardware's busy counter.
    """
    busy = np.zeros(len(engine), np.int64)
    for e in ENGINES:
        which = np.flatnonzero(engine == e)
        before = np.concatenate([[0], times.end[which][:-1]])
        busy[which] = times.end[which] - np.maximum(times.begin[which], before)
    return busy


def layer_cycles(end: NDArray[np.int64], layer: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Cycles from the end of the layers before to the end of each layer, shape (count,)."""
    ends = np.zeros(count, np.int64)
    np.maximum.at(ends, layer, end)
    return np.diff(np.maximum.accumulate(ends), prepend=0)


def profile_run(program: Program, stream: StreamInfo, core: Any, run: Callable[[], object]) -> Run:
    """Run a stream as often as its trace needs: a trace holds some thousand instructions.

    Parameters
    ----------
    core : the driver
    run : runs the stream once, with the same input each time

    Raises
    ------
    DeviceError : the device failed, or its trace is not that of the stream
    """
    instructions, predicted = _prediction(stream, program.board)
    parts = []
    counters: dict[str, int] | None = None
    try:
        for window in trace.windows(len(instructions)):
            trace.record(core, window)
            run()
            counters = core.counters() if counters is None else counters
            parts.append((window, trace.read(core)))
    finally:
        trace.record(core, range(0))
    assert counters is not None  # a stream has instructions
    return Run(stream, instructions, trace.join(parts, instructions), predicted, counters)


@lru_cache(maxsize=16)
def _prediction(stream: StreamInfo, board: Board) -> tuple[list[Instruction], Times]:
    """A stream's instructions and their predicted times: most calls run one stream many times."""
    instructions = stream.instructions()
    return instructions, trace.predicted(cost.simulate(instructions, board))
