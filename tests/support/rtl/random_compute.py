"""Random legal COMPUTE instructions, and memories for them, on a machine of the emulator."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from winogen.emulation.device.memory import EmulatedMemory
from winogen.emulation.emulator.machine import Machine
from winogen.target import isa, numerics
from winogen.target.board import CoreConfig
from winogen.target.checks import descriptor_problem, table_depth
from winogen.target.isa import Instruction, Opcode, Table
from winogen.target.winograd import ZERO_POSITION

#: Small memories, most of them no power of two: ends are reached.
DEPTHS = {
    "InputDepth": 520,
    "WeightDepth": 200,
    "PsumDepth": 300,
    "OutputDepth": 260,
    "StepDepth": 100,
    "AccumulatorDepth": 24,
    "PhaseDepth": 20,
    "ParamDepth": 6,
}


def core_config(data_width: int, lanes: int, tile_lanes: int, products: int = 1) -> CoreConfig:
    """A configuration with the memories of :data:`DEPTHS`."""
    shape = data_width, lanes, lanes, tile_lanes
    return CoreConfig(*shape, *DEPTHS.values(), read_ports=1, products=products)


def parameters(core: CoreConfig) -> dict[str, int]:
    """Build parameters of the logic for such a configuration."""
    widths = {"DataWidth": core.data_width, "Lanes": core.ci_lanes, "TileLanes": core.tile_lanes}
    return {**widths, **DEPTHS, "Products": core.products}


def extremes(rng: np.random.Generator, bits: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Signed values: a third the ends of the range, the rest of every magnitude."""
    low, high = numerics.int_range(bits)
    values = rng.integers(low, high, shape, np.int64, endpoint=True)
    values >>= rng.integers(0, bits, shape)
    return np.where(rng.random(shape) < 1 / 3, rng.choice([low, high, low + 1], shape), values)


class RandomCompute:
    """Makes COMPUTE instructions whose table entries it writes into ``machine``.

    The entries of the instructions made since :meth:`forget_tables` do not overlap.
    """

    def __init__(self, core: CoreConfig, seed: int) -> None:
        self.core = core
        self.rng = random.Random(seed)
        self.machine = Machine(core, EmulatedMemory(0, 4096), {})
        self.fill(np.random.default_rng(seed))
        self.forget_tables()

    def fill(self, rng: np.random.Generator) -> None:
        """Random input, weights, parameters and activation table."""
        machine, width = self.machine, self.core.data_width
        machine.input[:] = extremes(rng, width, machine.input.shape)
        machine.weight[:] = extremes(rng, width + 4, machine.weight.shape)
        shape = machine.params["bias"].shape
        high = numerics.int_range(width)[1]
        limits = np.sort(rng.integers(-high - 1, high, (2, *shape), endpoint=True), axis=0)
        full = rng.random(shape) < 0.7
        values = {
            "bias": extremes(rng, numerics.accumulator_bits(width), shape),
            # Some shifts keep what the range of the output can show of a large sum.
            "shift": rng.integers(1, numerics.MAX_SHIFT, shape, endpoint=True),
            "positive": extremes(rng, 16, shape),
            "negative": extremes(rng, 16, shape),
            "low": np.where(full, -high - 1, limits[0]),
            "high": np.where(full, high, limits[1]),
        }
        useful = rng.random(shape) < 0.8
        size = rng.integers(2 * width, 3 * width, shape)
        values["shift"] = np.where(useful, size, values["shift"])
        for name, value in values.items():
            machine.params[name][:] = value
        machine.activation[:] = extremes(rng, 16, machine.activation.shape)

    def forget_tables(self) -> None:
        """The table entries of earlier instructions may be overwritten."""
        self.used = {Table.STEP: 0, Table.ACCUMULATOR: 0, Table.PHASE: 0}

    def room(self, table: Table) -> int:
        """Entries of a table that are free."""
        return table_depth(table, self.core) - self.used[table]

    def entries(self, table: Table, columns: Mapping[str, Sequence[int]]) -> int:
        """Write entries of a table; returns the place of the first."""
        base = self.used[table]
        count = len(next(iter(columns.values())))
        assert count <= self.room(table)
        for name in (f.name for f in isa.TABLE_FIELDS[table]):
            values = columns.get(name) or [self.rng.getrandbits(8) for _ in range(count)]
            self.machine.tables[table][name][base : base + count] = values
        self.used[table] += count
        return base

    def compute(self, **wanted: int) -> Instruction:
        """One legal instruction, with the fields ``wanted``; asks for at least 8 free entries."""
        while True:
            f = self._sizes() | wanted
            f["winograd"] &= int(f["tile"] == 2)
            f["pitch"] = f["columns"] + (2 - f["columns"]) % 4 + self.rng.choice((0, 0, 4))
            f |= {name: 0 for name in isa.FIELDS[Opcode.COMPUTE] if "_base" in name}
            instruction = isa.Compute(**f)
            free = f["phases"] <= f["stride_y"] * f["stride_x"]
            if free and descriptor_problem(instruction, self.core) is None:
                break
        self._bases(f)
        self._tables(f)
        instruction = isa.Compute(**f)
        assert descriptor_problem(instruction, self.core) is None
        return instruction

    def _sizes(self) -> dict[str, int]:
        rng, core = self.rng, self.core
        patch = {}
        for side in ("row", "column"):
            first = rng.choice((0, 0, 0, 1, 2, 3))
            patch |= {f"patch_{side}": first, f"patch_{side}s": rng.randint(1, 4 - first)}
        if rng.random() < 0.4:
            patch = {"patch_row": 0, "patch_rows": 4, "patch_column": 0, "patch_columns": 4}
        most = min(core.accumulator_depth, self.room(Table.ACCUMULATOR))
        return patch | {
            "winograd": rng.randrange(2),
            "tile": rng.choice((1, 2, 2)),
            "first": rng.randrange(2),
            "last": rng.randrange(2),
            "activation": rng.randrange(2),
            "rows": rng.choice((0, *range(1, 9), *range(3, 9))),
            "columns": rng.choice((0, *range(1, 9), *range(3, 9))),
            "images": rng.choice((1, 1, 2, 3)),
            "blocks": rng.choice((1, 1, 2, 3, 3, 10)),
            "origin_y": self._origin(),
            "origin_x": self._origin(),
            "tiles_y": rng.randint(1, 4),
            "tiles_x": rng.randint(1, 5),
            "weight_stride": rng.choice((0, *range(1, 21))),
            "steps": rng.randint(1, min(20, self.room(Table.STEP))),
            "accumulators": rng.choice((1, rng.randint(1, most), rng.randint(1, min(8, most)))),
            "phases": rng.randint(1, min(6, self.room(Table.PHASE))),
            "output_rows": rng.randint(0, 10),
            "output_columns": rng.randint(0, 12),
            "stride_y": rng.randint(1, 4),
            "stride_x": rng.randint(1, 4),
            **self._pair(),
        }

    def _pair(self) -> dict[str, int]:
        rng = self.rng
        if self.core.products == 1 or rng.random() < 0.3:
            return {"pair": 0, "param_stride": 0, "swap": 0}
        stride = rng.randrange(self.core.param_depth)
        return {"pair": 1, "param_stride": stride, "swap": rng.choice((0, rng.getrandbits(32)))}

    def _origin(self) -> int:
        wild = -(1 << 15), (1 << 15) - 1, self.rng.randint(-9, 9)
        return self.rng.choice((*(0, -1, -1) * 5, *(-3, -2, 1, 2) * 2, *wild))

    def _bases(self, f: dict[str, int]) -> None:
        core, tiles = self.core, f["images"] * f["tiles_y"] * f["tiles_x"]
        outputs = 1 + f["pair"]
        sizes = {
            "input": f["images"] * f["blocks"] * f["rows"] * f["pitch"],
            "weight": f["blocks"] * f["weight_stride"],
            "psum": tiles * outputs * f["phases"] * f["tile"] ** 2,
            "output": outputs * f["images"] * f["output_rows"] * f["output_columns"],
            "param": 1 + f["param_stride"],
        }
        for name, size in sizes.items():
            last = getattr(core, f"{name}_depth") - size
            f[f"{name}_base"] = self.rng.choice((0, last, self.rng.randint(0, last)))

    def _tables(self, f: dict[str, int]) -> None:
        rng = self.rng
        outputs = range(16) if f["winograd"] else range(4 if f["tile"] == 2 else 1)
        phases = [rng.randrange(f["phases"]) for _ in range(f["accumulators"])]
        places = [rng.choice(outputs) for _ in phases]
        f["accumulator_base"] = self.entries(
            Table.ACCUMULATOR, {"phase": sorted(phases), "position": places}
        )
        steps = range(f["steps"])
        positions = [rng.choice((rng.randrange(16), rng.randrange(17))) for _ in steps]
        if not f["weight_stride"]:  # no words: every step reads zero
            positions = [ZERO_POSITION] * len(positions)
        words = [
            rng.randrange(1 << 12 if p == ZERO_POSITION else f["weight_stride"]) for p in positions
        ]
        targets = [rng.randrange(f["accumulators"]) for _ in steps]
        if rng.random() < 0.3:  # one accumulator, step after step
            targets = [targets[0]] * len(targets)
        first = [int(rng.random() < 0.3) for _ in steps]
        columns = {"position": positions, "word": words, "accumulator": targets, "first": first}
        f["step_base"] = self.entries(Table.STEP, columns)
        # No two outputs at one word: which one stays is not defined.
        places = rng.sample(range(f["stride_y"] * f["stride_x"]), f["phases"])
        beyond = [(rng.choice((0, 0, 0, 1, 50)), rng.choice((0, 0, 0, 1, 50))) for _ in places]
        params = self.core.param_depth - f["param_base"] - f["param_stride"]
        columns = {
            "row": [p // f["stride_x"] + f["stride_y"] * y for p, (y, _) in zip(places, beyond)],
            "column": [p % f["stride_x"] + f["stride_x"] * x for p, (_, x) in zip(places, beyond)],
            "param": [rng.randrange(params) for _ in places],
        }
        f["phase_base"] = self.entries(Table.PHASE, columns)
