"""Tokens: every order that they allow gives the same bytes, and each of them is needed.

Nothing here uses :mod:`winogen.compiler.hazards`: what an instruction touches is worked out anew,
and happens-before is proved from the stream alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given

from support.bench import Rig, random_inputs, small
from support.races import (
    CHANNELS,
    ENGINES,
    Chooser,
    Doubt,
    clocks,
    doubt,
    engines,
    greedy,
    interleave,
    matched_tokens,
    races,
)
from support.random_graphs import GraphBuilder
from support.random_networks import random_network
from support.strategies import examples, networks
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compiler.hazards import Access, TokenAssigner
from winogen.compiler.integers import run_integer
from winogen.cost import simulate as cost
from winogen.emulation.emulator.machine import Machine, run_in_order
from winogen.target import isa
from winogen.target.board import Board, load_board
from winogen.target.isa import Instruction, Opcode
from winogen.target.registers import Engine, Segment


@cache
def network(case: int | str) -> tuple[Compiled, Board]:
    """A compiled network that needs many tiles: by seed, or the small one."""
    board = load_board("tiny" if case == "small" or int(case) % 3 else "pynq-z2")
    if case == "small":
        return small(), board
    return compile_graph(random_network(int(case)), board, batch=2), board


CASES: list[int | str] = ["small", 0, 1, 4, 6, 8, 11]


def largest(case: int | str) -> list[Instruction]:
    return network(case)[0].program.streams[-1].instructions()


# Legal orders


def random_order(seed: int) -> Chooser:
    rng = np.random.default_rng(seed)
    return lambda ready: ready[int(rng.integers(len(ready)))]


def choosers(seeds: int = 3) -> list[Chooser]:
    return [*(greedy(p) for p in permutations(ENGINES)), *(random_order(s) for s in range(seeds))]


def execute(case: int | str, instructions: list[Instruction], order: list[int]) -> bytes:
    """What the output segment holds after executing the instructions in that order."""
    compiled, board = network(case)
    stream = compiled.program.streams[-1]
    rig = Rig(board)
    rig.load(compiled, random_inputs(compiled, stream.batch))
    run_in_order(Machine(board.core, rig.memory, rig.BASES), instructions, order)
    return rig.bytes(Segment.OUTPUT, stream.output_bytes)


@pytest.mark.parametrize("case", CASES)
def test_every_order_gives_the_same_bytes(case):
    compiled, board = network(case)
    stream = compiled.program.streams[-1]
    rig = Rig(board)
    q = random_inputs(compiled, stream.batch)
    rig.load(compiled, q)
    assert rig.start(stream.stream)["done"]
    np.testing.assert_array_equal(
        rig.output(compiled.program, stream.batch), run_integer(compiled.network, q)
    )
    wanted = rig.bytes(Segment.OUTPUT, stream.output_bytes)
    instructions = stream.instructions()
    orders = [interleave(instructions, choose) for choose in choosers()]
    assert len({tuple(o) for o in orders}) > 3  # else this test says nothing
    for order in orders:
        assert sorted(order) == list(range(len(instructions)))
        assert execute(case, instructions, order) == wanted


# Happens-before


@pytest.mark.parametrize("case", CASES)
def test_no_stream_has_a_race(case):
    assert_no_race(*network(case))


def test_no_race_where_every_memory_goes_round():
    """More blocks of channels than there are parameters, over more words than any memory has."""
    b = GraphBuilder(0, (8, 9, 9))
    b.conv(80, 3)
    b.conv(8, 3)
    b.activation("tanh")
    board = load_board("tiny")
    compiled = compile_graph(b.graph(), board, batch=2)
    assert_no_race(compiled, board)
    again: Counter[str] = Counter()
    for x in compiled.program.streams[-1].instructions():
        place = "output_base" if x.opcode is Opcode.COMPUTE else "base"
        if x.opcode is not Opcode.LOAD_TABLE and getattr(x, place) == 0:
            again[x.opcode.name] += 1
    assert min(again[x.name] for x in Opcode if x is not Opcode.LOAD_TABLE) > 1


def test_no_race_where_images_are_stored_and_loaded_one_after_the_other():
    b = GraphBuilder(0, (8, 10, 10))
    for _ in range(3):
        b.conv(8, 3)
    b.conv(36, 3)  # too many channels for pixels to be channels too
    board = load_board("tiny")
    compiled = compile_graph(b.graph(), board, batch=4)
    moved = [x for x in compiled.program.streams[-1].instructions() if hasattr(x, "images")]
    assert {x.images for x in moved} == {1}
    assert_no_race(compiled, board)


@pytest.mark.parametrize("name", ["tiny", "pynq-z2"])
@examples(8)
@given(networks())
def test_no_stream_of_any_network_has_a_race(name, graph):
    board = load_board(name)
    assert_no_race(compile_graph(graph, board, batch=2), board)


def assert_no_race(compiled: Compiled, board: Board) -> None:
    for stream in compiled.program.streams:
        assert races(stream.instructions(), board, compiled.program.weights) == []


@pytest.mark.parametrize("case", CASES)
def test_tokens_are_balanced_and_come_from_before(case):
    instructions = largest(case)
    for a, b in CHANNELS:
        given = sum(x.engine is a and b in engines(x.signal) for x in instructions)
        taken = sum(x.engine is b and a in engines(x.wait) for x in instructions)
        assert given == taken
    pairs = matched_tokens(instructions)
    assert pairs
    assert all(giver < taker for giver, taker in pairs)
    assert not any(x.wait >> x.engine & 1 or x.signal >> x.engine & 1 for x in instructions)


# Mutations


def without(instructions: Sequence[Instruction], giver: int, taker: int) -> list[Instruction]:
    """The stream without one token: neither given nor taken."""
    out = [deepcopy(x) for x in instructions]
    out[giver].signal &= ~(1 << out[taker].engine)
    out[taker].wait &= ~(1 << out[giver].engine)
    return out


@pytest.mark.parametrize(
    ("case", "step"),
    [("small", 1), (1, 5), (4, 1), pytest.param(1, 1, marks=pytest.mark.long)],
)
def test_a_missing_token_is_a_race_unless_others_imply_it(case, step):
    """Of the longest stream every fifth token is tried, and all of them in the long run."""
    compiled, board = network(case)
    instructions = largest(case)
    whole = clocks(instructions)
    needed = 0
    for giver, taker in matched_tokens(instructions)[::step]:
        mutant = without(instructions, giver, taker)
        if np.array_equal(clocks(mutant), whole):
            continue  # another path of tokens orders the two
        needed += 1
        assert races(mutant, board, compiled.program.weights), (giver, taker)
    assert needed > 5


def test_a_missing_token_shows_in_the_bytes():
    """The race checker is right about what happens: some order really gives other bytes."""
    instructions = largest("small")
    wanted = execute("small", instructions, interleave(instructions, greedy(ENGINES)))
    pairs = matched_tokens(instructions)
    shown: Counter[tuple[Engine, Engine]] = Counter()
    for giver, taker in pairs:
        mutant = without(instructions, giver, taker)
        channel = (mutant[giver].engine, mutant[taker].engine)
        if shown[channel] >= 2:
            continue
        orders = (interleave(mutant, choose) for choose in choosers(1))
        shown[channel] += any(execute("small", mutant, o) != wanted for o in orders)
    for channel in {(instructions[g].engine, instructions[t].engine) for g, t in pairs}:
        assert shown[channel], channel


def test_a_token_too_few_is_a_deadlock():
    board = network("small")[1]
    instructions = largest("small")
    for giver, taker in matched_tokens(instructions)[::5]:
        mutant = [deepcopy(x) for x in instructions]
        mutant[giver].signal &= ~(1 << mutant[taker].engine)
        assert len(interleave(mutant, greedy(ENGINES))) < len(mutant)
        deadlock = cost.simulate(mutant, board).deadlock
        assert deadlock is not None
        assert mutant[deadlock].wait


def test_a_token_given_too_early_is_a_race():
    """Given by the engine's instruction before, it no longer covers the work that it stood for.

    Every third token is tried.
    """
    compiled, board = network(1)
    instructions = largest(1)
    caught = 0
    for giver, taker in matched_tokens(instructions)[::3]:
        bit = 1 << instructions[taker].engine
        engine = instructions[giver].engine
        earlier = [i for i in range(giver) if instructions[i].engine is engine]
        if not earlier or instructions[earlier[-1]].signal & bit:
            continue
        mutant = [deepcopy(x) for x in instructions]
        mutant[giver].signal &= ~bit
        mutant[earlier[-1]].signal |= bit
        caught += bool(races(mutant, board, compiled.program.weights))
    assert caught > 5


def test_what_only_time_decides():
    """A race over a table or a parameter may make an instruction illegal, one over data may not."""
    compiled, board = network("small")
    instructions, weights = largest("small"), compiled.program.weights
    where = Rig.BASES, Rig.STREAM + (8 << 20)
    assert doubt(instructions, board, weights, *where) == Doubt([], set())
    seen: Counter[bool] = Counter()
    for giver, taker in matched_tokens(instructions):
        found = doubt(without(instructions, giver, taker), board, weights, *where)
        assert bool(found.races) == bool(races(without(instructions, giver, taker), board, weights))
        deciding = {"STEP", "ACCUMULATOR", "PHASE", "param"}
        readers = {
            r.other for r in found.races
            if r.memory in deciding and instructions[r.other].opcode is Opcode.COMPUTE
        }  # fmt: skip
        # Only what a store leaves for a later load reaches from data to a table.
        assert found.failing == readers
        seen[bool(readers)] += bool(found.races)
    assert min(seen[True], seen[False]) > 0


# The assigner by itself


def blank(opcode: Opcode) -> Instruction:
    """An instruction whose fields are all zero."""
    return isa.CLASSES[opcode](*[0] * (len(isa.FIELDS[opcode]) - len(isa.HEADER)))


def _load(assigner: TokenAssigner, *accesses: Access) -> Instruction:
    x = blank(Opcode.LOAD_INPUT)
    assigner.add(x, accesses)
    return x


def _compute(assigner: TokenAssigner, *accesses: Access) -> Instruction:
    x = blank(Opcode.COMPUTE)
    assigner.add(x, accesses)
    return x


def test_one_token_covers_all_earlier_work_of_an_engine():
    assigner = TokenAssigner()
    first = _load(assigner, Access("a", 0, 4, True))
    second = _load(assigner, Access("b", 0, 4, True))
    both = _compute(assigner, Access("a", 0, 4, False), Access("b", 0, 4, False))
    again = _compute(assigner, Access("a", 2, 3, False))
    assert (first.signal, second.signal, both.wait, again.wait) == (0, 2, 1, 0)


def test_ranges_that_only_touch_need_no_token():
    assigner = TokenAssigner()
    _load(assigner, Access("a", 0, 4, True))
    assert _compute(assigner, Access("a", 4, 8, False)).wait == 0
    assert _compute(assigner, Access("a", 3, 8, False)).wait == 1


def test_a_write_waits_for_readers_of_any_part():
    assigner = TokenAssigner()
    _load(assigner, Access("a", 0, 8, True))
    _compute(assigner, Access("a", 0, 4, False))
    reader = _compute(assigner, Access("a", 4, 8, False))
    writer = _load(assigner, Access("a", 0, 8, True))
    assert (reader.signal, writer.wait) == (1, 2)


def test_a_write_stands_for_no_more_than_it_covers():
    assigner = TokenAssigner()
    _load(assigner, Access("a", 0, 8, True))
    _compute(assigner, Access("a", 0, 4, True))
    store = blank(Opcode.STORE)
    assigner.add(store, [Access("a", 0, 8, False)])
    assert store.wait == 1 << Engine.LOAD | 1 << Engine.COMPUTE
    assigner.add(other := blank(Opcode.STORE), [Access("a", 0, 4, False)])
    assert other.wait == 0


def test_no_more_tokens_under_way_than_a_counter_holds():
    """An output memory of more places than tokens: whoever reuses a place waits a little early.

    So early that half a counter is left, in which the giver may run ahead.
    """
    assigner = TokenAssigner()
    stream = []
    for number in range(4 * isa.MAX_TOKENS):
        place = number % (isa.MAX_TOKENS + 50)
        for opcode in (Opcode.COMPUTE, Opcode.STORE):
            instruction = blank(opcode)
            access = Access("output", place, place + 1, opcode is Opcode.COMPUTE)
            assigner.add(instruction, [access])
            stream.append(instruction)
    under_way = most = 0
    for instruction in stream:
        if instruction.opcode is Opcode.COMPUTE:
            under_way -= instruction.wait >> Engine.STORE & 1
        else:
            under_way += instruction.signal >> Engine.COMPUTE & 1
        most = max(most, under_way)
        assert under_way >= 0
    assert 0 < most <= isa.MAX_TOKENS // 2
