"""What each unit takes for an instruction among many like it: the pace of a long stream.

These are the units of :mod:`winogen.cost.units` where nothing else holds them up, for whoever has
to rank thousands of streams and cannot simulate each.
"""

from __future__ import annotations

from winogen.cost.units import (
    ComputeUnit,
    back_cycles,
    check_cycles,
    load_bytes,
    store_bytes,
)
from winogen.target.board import Board, CoreConfig
from winogen.target.isa import INSTRUCTION_BYTES, Compute, Opcode, Store, Transfer
from winogen.target.microarchitecture import LOGIC

#: Instructions until the compute engine has found its pace.
_SETTLING = 2


def compute_cycles(f: Compute, core: CoreConfig) -> float:
    """From one COMPUTE's end to the next one's: work, reads, drain or latency, what is slowest."""
    unit = ComputeUnit(core)
    end = 0
    for _ in range(_SETTLING):
        end = unit.begin(f, int(unit.ready) + 1)
    return unit.begin(f, int(unit.ready) + 1) - end


def load_cycles(f: Transfer, board: Board) -> float:
    """Of a LOAD_*: front, transfer or back, or its part of the latency."""
    size, runs = load_bytes(f, board)
    ports, rate = board.core.read_ports, board.dram_bytes_per_cycle
    transfer = max(
        runs.cycles(board.dram_latency, ports, rate / LOGIC.beat_bytes),
        size / min(rate, LOGIC.beat_bytes * ports),
    )
    back = back_cycles(f, size, board.core)
    collected = back.setup + back.beats + 1
    return max(transfer, collected, back.transform, board.dram_latency / LOGIC.load_ahead)


def store_cycles(f: Store, board: Board) -> float:
    """Of a STORE: its transfer."""
    size, runs = store_bytes(f, board)
    rate = min(board.dram_bytes_per_cycle, LOGIC.beat_bytes)
    return max(runs.cycles(board.dram_latency), size / rate)


def fetch_cycles(opcode: Opcode) -> int:
    """Of fetch for an instruction: its beats, and its check."""
    return INSTRUCTION_BYTES // LOGIC.beat_bytes + check_cycles(opcode)
