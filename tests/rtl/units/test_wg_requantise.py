"""The requantiser's lane against numerics.Requantiser."""

from __future__ import annotations

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from support.rtl.runner import run
from winogen.target.numerics import MAX_SHIFT, Requantiser, int_range

LATENCY = 9
A_SHIFT = 400  # values for each shift


@pytest.mark.parametrize("width", [32, pytest.param(48, marks=pytest.mark.long)])
def test_requantise(width):
    run("wg_requantise", [], "test_wg_requantise", {"AccWidth": width})


def stimulus(width: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random and extreme operands; every shift with every extreme product."""
    low, high = int_range(width)
    extreme = np.array([low, low + 1, -1, 0, 1, high - 1, high], np.int64)
    factors = np.array([-32768, -32767, -1, 0, 1, 2, 16384, 32766, 32767], np.int64)
    shift = np.arange(1, MAX_SHIFT + 1)
    acc, factor, shifts = (a.ravel() for a in np.meshgrid(extreme, factors, shift))
    count = A_SHIFT * MAX_SHIFT
    shifts = np.concatenate([shifts, np.repeat(shift, A_SHIFT)])
    size = rng.integers(1, width + 1, count)
    acc = np.concatenate([acc, rng.integers(low, high, count, endpoint=True) >> (width - size)])
    some = rng.integers(-32768, 32768, count) >> rng.integers(0, 15, count)
    some = np.where(rng.random(count) < 0.2, rng.choice(factors, count), some)
    # Results near the ends of the range and near ties: acc * factor about target << (shift - 1).
    target = rng.choice([-65537, -65536, -65535, -3, -1, 1, 3, 65533, 65534, 65535, 65536], count)
    scaled = target * 2.0 ** (np.repeat(shift, A_SHIFT) - 1) / np.where(some == 0, 1, some)
    near = np.rint(np.clip(scaled, low + 8, high - 8)).astype(np.int64) + rng.integers(-2, 3, count)
    acc[-count:] = np.where(rng.random(count) < 0.4, near, acc[-count:])
    factor = np.concatenate([factor, some])
    other = rng.integers(-32768, 32768, len(factor))
    ends = np.sort(rng.integers(-32768, 32768, (2, len(factor))), axis=0)
    full = rng.random(len(factor)) < 0.6
    order = rng.permutation(len(factor))
    return {
        "acc": acc[order],
        "positive": np.where(acc < 0, other, factor)[order],
        "negative": np.where(acc < 0, factor, other)[order],
        "shift": shifts[order],
        "low": np.where(full, -32768, ends[0])[order],
        "high": np.where(full, 32767, ends[1])[order],
    }


async def begin(dut) -> None:
    Clock(dut.clk_i, 10, unit="ns").start()
    dut.rst_ni.value = 0
    dut.clear_i.value = 0
    dut.valid_i.value = 0
    for _ in range(3):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1


@cocotb.test()
async def values(dut) -> None:
    rng = np.random.default_rng(1)
    width = len(dut.acc_i)
    operands = stimulus(width, rng)
    expected = Requantiser(
        *[operands[n] for n in ("positive", "negative", "shift", "low", "high")]
    )(operands["acc"])
    count = len(expected)
    assert count >= 20000
    await begin(dut)
    ports = {name: getattr(dut, f"{name}_i") for name in operands}
    lengths = {name: (1 << len(port)) - 1 for name, port in ports.items()}
    under_way: list[int | None] = []
    sent = checked = 0
    while checked < count:
        valid = sent < count and rng.random() < 0.98
        dut.valid_i.value = int(valid)
        under_way.append(sent if valid else None)
        sent += valid
        for name, port in ports.items():
            # The clamp comes when its value is about to leave.
            back = LATENCY if name in ("low", "high") else 1
            case = under_way[-back] if len(under_way) >= back else None
            if case is not None:
                port.value = int(operands[name][case]) & lengths[name]
        await FallingEdge(dut.clk_i)
        if len(under_way) < LATENCY:
            continue
        due = under_way.pop(0)
        assert int(dut.valid_o.value) == (due is not None)
        if due is not None:
            got = dut.value_o.value.to_signed()
            values = {name: int(v[due]) for name, v in operands.items()}
            assert got == expected[due], f"{got} is not {expected[due]}: {values}"
            checked += 1


@cocotb.test()
async def clear_drops_what_is_under_way(dut) -> None:
    await begin(dut)
    dut.valid_i.value = 1
    for _ in range(5):
        await FallingEdge(dut.clk_i)
    dut.clear_i.value = 1
    await FallingEdge(dut.clk_i)
    dut.clear_i.value = 0
    dut.valid_i.value = 0
    for _ in range(2 * LATENCY):
        assert not int(dut.valid_o.value)
        await FallingEdge(dut.clk_i)
