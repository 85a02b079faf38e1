"""Check of memory's speed, by direction, against what the board file promises.

Streams of loads alone and of stores alone are counted by the accelerator and predicted by the cost
model, which knows the board file. Loads use all read ports at once, stores the one write port, so
that these are the figures that can be told apart. What a single small transfer takes beyond its
prediction is latency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from winogen.cost.simulate import simulate
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed, Measured
from winogen.target.board import Board, clocked_as
from winogen.target.isa import Instruction, LoadInput, Store
from winogen.target.registers import Segment

#: Instructions of a stream that measures a rate; and how often each stream runs, the best counts.
_TRANSFERS = 16
_RUNS = 3
#: Slower than that by the board file, in all, and something is wrong rather than other.
_SLOW = 2.0
#: Latency beyond the board file's by so many times, likewise.
_LATE = 4.0
#: Cycles by which the model's latency is moved, to see how often a stream waits for it.
_PROBE = 64

_Make = Callable[[Board, int, int], list[Instruction]]


class Direction(NamedTuple):
    """What was measured of reads or of writes.

    Attributes
    ----------
    mb_s : 10**6 bytes a second
    promised_mb_s : of the same stream, by the board file
    latency_cycles : cycles from a request to its answer
    """

    mb_s: float
    promised_mb_s: float
    latency_cycles: float


def memory_speed(bench: Bench) -> str:
    """Reads and writes reach what the board file promises, and are answered as soon."""
    board = bench.board
    if bench.is_hardware:
        board = clocked_as(board, Path(bench.loaded.bitfile_name))
    found = {"reads": measured(bench, board, loads), "writes": measured(bench, board, stores)}
    for name, direction in found.items():
        if direction.mb_s * _SLOW < direction.promised_mb_s:
            raise Failed(
                f"{name} reach {direction.mb_s:,.0f} MB/s, and by the board file "
                f"{direction.promised_mb_s:,.0f}",
                "look at 'clock' and 'memory ports' above; if both pass, another master uses the "
                "memory, or the board file's dram_mb_s is not this board's",
            )
        if direction.latency_cycles > _LATE * board.dram_latency:
            raise Failed(
                f"{name} are answered after {direction.latency_cycles:.0f} cycles, and by the "
                f"board file after {board.dram_latency}",
                "another master uses the memory, or the board file's dram_latency is not this "
                "board's",
            )
    text = "; ".join(
        f"{name} {d.mb_s:,.0f} of {d.promised_mb_s:,.0f} MB/s, after {d.latency_cycles:.0f} of "
        f"{board.dram_latency} cycles"
        for name, d in found.items()
    )
    figures = {f"{name}_{k}": v for name, d in found.items() for k, v in d._asdict().items()}
    return Measured(text, **figures)


def measured(bench: Bench, board: Board, make: _Make) -> Direction:
    """Run the streams of one direction; ``make(board, count, words)`` makes them."""
    words = largest(board)
    many, one = make(board, _TRANSFERS, words), make(board, 1, 1)
    nbytes = _TRANSFERS * words * board.core.word_bytes
    promised = simulate(many, board).cycles
    small = simulate(one, board).cycles
    later = simulate(one, replace(board, dram_latency=board.dram_latency + _PROBE)).cycles
    # Instructions are read from the same memory: a request counts more than once.
    requests = (later - small) / _PROBE
    return Direction(
        nbytes * board.clock_mhz / _cycles(bench, many),
        nbytes * board.clock_mhz / promised,
        max(0.0, board.dram_latency + (_cycles(bench, one) - small) / requests),
    )


def largest(board: Board) -> int:
    """Words that one transfer can have, with two of them in each memory."""
    core = board.core
    return min(core.input_depth // 2 - 4, core.output_depth // 2, 4000)


def loads(board: Board, count: int, words: int) -> list[Instruction]:
    """Loads of so many words, one after the other, without an order among engines."""
    half = board.core.input_depth // 2
    return [
        LoadInput(
            segment=Segment.INPUT,
            offset=0,
            base=number % 2 * half,
            images=1,
            rows=1,
            columns=words,
            blocks=1,
            pitch=words + (2 - words) % 4,
            column_step=1,
            image_stride=0,
            block_stride=0,
            row_stride=words,
        )
        for number in range(count)
    ]


def stores(board: Board, count: int, words: int) -> list[Instruction]:
    """Stores of so many words, one after the other, of whatever the output buffer holds."""
    half = board.core.output_depth // 2
    return [
        Store(
            segment=Segment.OUTPUT,
            offset=0,
            base=number % 2 * half,
            images=1,
            rows=1,
            columns=words,
            image_stride=0,
            row_stride=words,
        )
        for number in range(count)
    ]


def _cycles(bench: Bench, stream: Sequence[Instruction]) -> int:
    """Cycles of a stream as the accelerator counts them; the fewest of some runs."""
    room = bytes(largest(bench.board) * bench.board.core.word_bytes)
    segments = {Segment.INPUT: room, Segment.OUTPUT: room}
    runs = 1 if bench.kind == "rtl" else _RUNS
    return min(bench.run(stream, segments)[1]["cycles"] for _ in range(runs))
