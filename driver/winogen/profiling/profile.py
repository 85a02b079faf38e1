"""Where the time of a run went: cycles of every layer and engine, measured beside predicted.

``Generator.generate(z, profile=True)`` makes a :class:`Profile` from the accelerator's own trace
and counters. On the emulated device these come from the cost model, so there the two are equal.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from winogen.common.text import table
from winogen.cost.simulate import instruction_work
from winogen.profiling.limits import LIMITS_LEGEND, LayerLimits, layer_limits, limits_table
from winogen.profiling.runs import ENGINES, Run, busy_cycles, layer_cycles
from winogen.program.file import Program
from winogen.target.board import Board
from winogen.target.isa import INSTRUCTION_BYTES


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

    @property
    def array_cycles(self) -> int:
        """Cycles in which the array may have worked for the layer.

        What begins before the layer before has ended can take more than the layer's own.
        """
        return max(self.cycles, self.compute)


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
    def limits(self) -> list[LayerLimits]:
        """What every layer would take of the array, memory, decoder and transform alone."""
        found = [LayerLimits() for _ in self.program.layers]
        for run in self.runs:
            for one, of in zip(found, layer_limits(run.instructions, len(found), self.board)):
                one.add(of)
        return found

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

        work = [instruction_work(i, self.board) for i in run.instructions]
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
        parts = [self._title(), table(header, rows), *_LEGEND]
        names, modes, cycles = zip(*((x.name, x.mode, x.cycles) for x in self.layers))
        limits = limits_table(names, modes, cycles, self.limits)
        return "\n".join([*parts, "", limits, *LIMITS_LEGEND] if limits else parts)

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
        peak = layer.array_cycles * self.board.core.peak
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
        """The table, for notebooks: its columns would not fit as text."""
        engines = [e.name.lower() for e in ENGINES]
        alone = "".join(
            f'<th rowspan="2">{n}</th>' for n in ("layer", "cycles", "predicted", "ratio")
        )
        rest = "".join(f'<th rowspan="2">{n}</th>' for n in ("array", "read MB", "written MB"))
        groups = "".join(f'<th colspan="2">{name}</th>' for name in engines)
        parts = "<th>works</th><th>waits</th>" * len(engines)
        lines = []
        for layer in [*self.layers, self.total]:
            name, *values = self._row(layer)
            cells = "".join(f"<td>{html.escape(value)}</td>" for value in values)
            lines.append(f"<tr><th>{html.escape(name)}</th>{cells}</tr>")
        return (
            f"<p>{html.escape(self._title())}</p>\n"
            '<div style="overflow-x: auto"><table style="font-size: 85%; text-align: right">\n'
            f"<thead><tr>{alone}{groups}{rest}</tr><tr>{parts}</tr></thead>\n"
            f"<tbody>{''.join(lines)}</tbody></table></div>\n"
            f"<p>{html.escape(' '.join(_LEGEND))}</p>"
        )


#: What the columns are.
_LEGEND = (
    "cycles: from the end of the layer before. engines: cycles of work for the layer,",
    "which may begin earlier, and of waiting for another engine. array: its multiplies,",
    "of all that it could do in the layer's cycles, or in its own if these are more",
)
_NUMBERS = [f.name for f in fields(LayerProfile)][3:]
