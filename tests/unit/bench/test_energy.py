"""Energy: sums of terms, error bars, constants that say what they rest on."""

from __future__ import annotations

import math

import pytest

from winogen.bench.energy import (
    KINDS,
    SMALL,
    TERMS,
    Constant,
    Technology,
    energy_ratio,
    estimate,
    image_energy,
    multiply_pj,
    sources,
    technologies,
    terms,
)
from winogen.cost.accesses import Accesses, memory_sizes
from winogen.target.board import load_board


def some(factor: int = 1) -> Accesses:
    counted = Accesses(1000 * factor, 500 * factor)
    counted.memory_bits.update({"input buffer": 64 * factor, "patches": 10 * factor})
    counted.multiplies[8, 8] = 7 * factor
    counted.adds[32] = 9 * factor
    return counted


def test_terms_by_hand():
    constants = {"dram_bit": 2.0, "block_ram_bit": 0.5, "small_ram_bit": 0.1, "multiply_8": 0.2,
                 "add_bit": 0.01, "logic_static_w": 0.25, "processor_w": 0.75}  # fmt: skip
    found = terms(some(), 3.0, constants)
    assert tuple(found) == TERMS
    assert found == pytest.approx({
        "DRAM": 8 * 1500 * 2e-12, "memories": (64 * 0.5 + 10 * 0.1) * 1e-12,
        "multiplies": 7 * 0.2e-12, "adds": 9 * 32 * 0.01e-12, "static": 3.0,
    })  # fmt: skip


def test_multiplies_cost_what_the_table_says():
    assert multiply_pj((8, 8), 0.2) == pytest.approx(0.2)
    assert multiply_pj((32, 32), 0.2) == pytest.approx(3.1)


@pytest.mark.parametrize("name", technologies())
def test_an_estimate_is_the_sum_of_its_terms_within_its_bar(name):
    technology = technologies()[name]
    whole = image_energy(technology, some(), 1e-9)
    assert whole.value == pytest.approx(sum(terms(some(), 1e-9, technology.values()).values()))
    assert whole.low < whole.value < whole.high


def test_bars_add_in_quadrature():
    wide = {n: Constant(10.0, 7.0, 14.0, "assumed", "none", "") for n in ("a", "b")}
    bar = estimate(Technology("t", "", "", wide), lambda c: c["a"] + 2 * c["b"])
    assert bar.value == 30
    assert bar.low == pytest.approx(30 - math.hypot(3, 6))
    assert bar.high == pytest.approx(30 + math.hypot(4, 8))


def test_constants_move_together_in_a_ratio():
    technology = technologies()["asic45"]
    bar = energy_ratio(technology, (some(3), 0.0), (some(), 0.0))
    assert (bar.low, bar.value, bar.high) == pytest.approx((3, 3, 3))


def test_measured_power_takes_the_place_of_what_was_assumed():
    known = technologies()["zynq28"].with_power(0.2, None)
    assert known.constants["logic_static_w"].kind == "given"
    assert known.values()["logic_static_w"] == 0.2
    assert known.constants["processor_w"].kind == "assumed"


def test_each_constant_has_a_source_or_says_that_it_is_assumed():
    names = {frozenset(t.constants) for t in technologies().values()}
    assert len(names) == 1
    for technology in technologies().values():
        for name, constant in technology.constants.items():
            assert constant.kind in KINDS, name
            assert constant.low <= constant.value <= constant.high, name
            assert constant.how, name
            assert (constant.source in sources()) == (constant.kind != "assumed"), name


def test_derived_constants_are_what_their_derivation_gives():
    """28 nm of 45 nm: capacitance with the feature, voltage squared, and the gap of FPGAs."""
    chip, board = (technologies()[n].constants for n in ("asic45", "zynq28"))
    scale, hard, soft = 28 / 45 * (1.0 / 0.9) ** 2, 7.1, 14
    for name, gap in (("block_ram_bit", hard), ("multiply_8", hard), ("add_bit", hard),
                      ("small_ram_bit", soft)):  # fmt: skip
        assert board[name].value == pytest.approx(chip[name].value * scale * gap, rel=0.02), name
    assert chip["dram_bit"].value == pytest.approx((1300 + 2600) / 2 / 64, rel=0.02)
    assert board["dram_bit"].high == pytest.approx(2.3 * board["dram_bit"].value)
    assert chip["block_ram_bit"].value == pytest.approx(math.sqrt(10 * 20) / 64, rel=0.02)
    assert chip["small_ram_bit"].value == pytest.approx(20 / 64 / 6, rel=0.02)


def test_small_memories_are_memories():
    assert set(SMALL) < set(memory_sizes(load_board("tiny").core))
