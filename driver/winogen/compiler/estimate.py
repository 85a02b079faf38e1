"""How long a layer takes under a tiling, before a single instruction of it is made.

The engines work side by side, so the slowest of them paces the layer, as far as its work can be
done ahead: where the next input, weights or output have no room on chip beside those in use, the
engines wait for each other in every cell.
"""

from __future__ import annotations

from winogen.compiler.cells import Cell, Cells, Loads
from winogen.compiler.geometry import Tiling
from winogen.compiler.pack import PackedLayer
from winogen.cost import steady
from winogen.cost.units import START_CYCLES
from winogen.target.board import Board
from winogen.target.isa import INSTRUCTION_BYTES, Opcode

#: Cycles by which engines miss each other, for an instruction: ranks what is alike else.
_TURN = 4


class Estimate:
    """Predicts a layer's cycles for a board and batch under one tiling or another."""

    def __init__(self, layer: PackedLayer, board: Board, batch: int):
        self._board = board
        self._apart = not layer.alike
        self._outputs = len(layer.runs)
        self._together = layer.together
        self._cells = Cells(layer, board, batch)

    def least(self, tiling: Tiling) -> float:
        """A bound that is quick to tell: cycles of the multipliers alone."""
        return self._outputs * self._cells.steps(tiling)

    def at_least(self, tiling: Tiling) -> float:
        """A bound that is nearer and still quick: it knows of inputs that they cross the bus.

        Of what comes before the first COMPUTE it has the tables and the first weights.
        """
        cells, weights = self._cells, self._cells.weights(tiling.input_blocks)
        compute, groups = cells.compute(tiling), cells.groups(tiling)
        runs = self._outputs * groups
        instructions = runs * (cells.computes(tiling) + self._together)
        times = self._outputs * (1 if self._are_kept(tiling, weights, groups) else groups)
        read, written = cells.crossing(tiling)
        read *= self._outputs if self._apart else 1  # others may stay from block to block
        size = times * weights.size + read + self._outputs * written
        size += instructions * INSTRUCTION_BYTES
        latency = self._board.dram_latency
        paced = self._outputs * compute + _TURN * instructions + 2 * latency
        head = min(cells.tables.cycles + weights.first, self._outputs * compute)
        # Other sums of the same numbers are not the same to the last bit.
        return (START_CYCLES + latency + max(paced, head + size / self._rate)) * (1 - 1e-9)

    def _are_kept(self, tiling: Tiling, weights: Loads, groups: int) -> bool:
        """Whether weights that were loaded stay as long as they are used."""
        depth = self._board.core.weight_depth
        if tiling.weights_outer:
            return groups == 1 or weights.words <= depth
        return self._outputs * weights.words <= depth

    def cycles(self, tiling: Tiling) -> float:
        """Cycles of the layer, from its first load to the end of its last store."""
        cells, weights = self._cells.of(tiling), self._cells.weights(tiling.input_blocks)
        in_cell = self._cells.computes(tiling)
        tables, activation = self._cells.tables, self._cells.activation
        order = self._by_blocks if tiling.weights_outer else self._by_groups
        kept = self._are_kept(tiling, weights, sum(c.count for c in cells))
        paced, loads = order(cells, weights, kept)
        for once in (tables, activation):
            loads.add(once, 1)
        runs = self._outputs * sum(c.count for c in cells)
        stores, computes = self._together * runs, runs * in_cell
        instructions = loads.count + computes + stores
        store = self._outputs * sum(c.count * c.store for c in cells)
        stored = self._outputs * sum(c.count * c.stored for c in cells)
        bus = (loads.size + stored + instructions * INSTRUCTION_BYTES) / self._rate
        fetch = (
            loads.count * steady.fetch_cycles(Opcode.LOAD_INPUT)
            + computes * steady.fetch_cycles(Opcode.COMPUTE)
            + stores * steady.fetch_cycles(Opcode.STORE)
        )

        latency = self._board.dram_latency
        begin = START_CYCLES + latency
        head = tables.cycles + weights.first + cells[0].inputs.first
        # Other COMPUTEs of the first cell go before what the last one needs has come.
        needed = tables.cycles + activation.cycles + weights.cycles + cells[0].inputs.cycles
        head = max(head, needed - cells[0].compute * (1 - 1 / max(in_cell, 1)))
        last = cells[-1].compute / max(in_cell, 1)  # after the last load
        end = cells[-1].store + 2 * latency
        if stores > 1:  # the store before may still run
            end += max(cells[0].store - cells[-1].compute, 0)
        if self._cells.late:
            # All loads of such a COMPUTE come after the one before, with nothing beside them.
            alone = self._cells.late / max(in_cell, 1)
            again = 0.0 if kept else weights.cycles
            paced += alone * self._outputs * sum(c.count * (c.inputs.cycles + again) for c in cells)
        # At worst one engine after the other.
        compute = self._outputs * sum(c.count * c.compute for c in cells)
        paced = min(head + paced, loads.cycles + compute) + _TURN * instructions
        engines = max(paced, loads.cycles + last, store) + end
        return begin + max(engines, min(head, compute) + max(bus, fetch))

    @property
    def _rate(self) -> float:
        return self._board.dram_bytes_per_cycle

    def _by_groups(self, cells: list[Cell], weights: Loads, kept: bool) -> tuple[float, Loads]:
        """Cycles of all cells with their loads, and the loads; tile groups are the outer loop.

        A group's input stays for all blocks of output channels if it fits, and the next group's
        comes meanwhile if that fits beside it.
        """
        outputs, core = self._outputs, self._board.core
        again = Loads() if kept else weights
        beside = 2 * max(c.inputs.words for c in cells) <= core.input_depth
        paced, loads = 0.0, Loads()
        for cell in cells:
            first, others = self._alone(cell, cell.inputs, again), self._alone(cell, again)
            times = 1
            if self._apart or cell.inputs.words > core.input_depth:
                group, times = outputs * first, outputs
            elif beside and not self._is_tight(cell):
                group = max(outputs * cell.compute, cell.inputs.cycles + outputs * again.cycles)
            else:
                group = first + (outputs - 1) * others
            paced += cell.count * group
            loads.add(cell.inputs, cell.count * times)
            if kept and cell is cells[0]:
                paced += max(cell.inputs.cycles + outputs * weights.cycles - group, 0)
        loads.add(weights, outputs * (1 if kept else sum(c.count for c in cells)))
        return paced, loads

    def _by_blocks(self, cells: list[Cell], weights: Loads, kept: bool) -> tuple[float, Loads]:
        """The same if blocks of output channels are the outer loop.

        A block's weights stay for all groups if they fit, and the next block's come meanwhile if
        those fit beside them.
        """
        core = self._board.core
        groups = sum(c.count for c in cells)
        beside = 2 * weights.words < core.weight_depth
        words = sum(c.count * c.inputs.words for c in cells)
        stay = not self._apart and words <= core.input_depth

        def block(with_inputs: bool) -> float:
            parts = [(c, c.inputs if with_inputs else Loads()) for c in cells]
            if not kept:
                return sum(c.count * self._alone(c, inputs, weights) for c, inputs in parts)
            last = cells[-1]  # whose weights make room for the next
            if beside and not self._is_tight(last):
                load = sum(c.count * inputs.cycles for c, inputs in parts)
                return max(sum(c.count * c.compute for c in cells), load + weights.cycles)
            total = sum(c.count * self._alone(c, inputs) for c, inputs in parts)
            return total + max(self._alone(last, weights) - last.compute, 0)

        loads = Loads()
        for cell in cells:
            loads.add(cell.inputs, cell.count * (1 if stay else self._outputs))
        loads.add(weights, self._outputs * (1 if kept else groups))
        return block(True) + (self._outputs - 1) * block(not stay), loads

    def _alone(self, cell: Cell, *loads: Loads) -> float:
        """Cycles of a cell if nothing is done ahead: its compute, its loads, or memory."""
        slowest = max(cell.compute, sum(x.cycles for x in loads))
        if self._is_tight(cell):
            slowest = max(slowest, (sum(x.size for x in loads) + cell.stored) / self._rate)
        return slowest

    def _is_tight(self, cell: Cell) -> bool:
        """Whether the output buffer has room for two cells, so that a slow store stops all."""
        return 3 * cell.words > self._board.core.output_depth
