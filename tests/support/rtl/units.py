"""What the tests of single units share: a build, and the start of a test.

``tb_units.sv`` has most of the compute engine's units side by side, so that their tests need one
build for each data width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from support.places import RTL_UNITS
from support.rtl.bits import instruction_bits
from support.rtl.random_compute import core_config, parameters
from support.rtl.runner import run
from winogen.target.board import CoreConfig
from winogen.target.isa import Instruction

_SHAPE = ("DataWidth", "Lanes", "TileLanes", "Products")
#: Data width, lanes and tile lanes of the two builds.
CORES = [(8, 8, 3), (16, 4, 1)]
#: One with two products a multiplier.
PACKED = (8, 8, 2, 2)
#: The same for units that take half a minute each: the second is left to the long sweeps.
ONE_CORE = [CORES[0], pytest.param(CORES[1], marks=pytest.mark.long)]


def run_unit(
    top: str,
    test_module: str,
    parameters: Mapping[str, int],
    tests: Sequence[str],
    share: float = 1.0,
) -> None:
    """Run the cocotb tests of these names in ``test_module`` on ``top``.

    ``top`` is a module of hw_src/rtl or, with the name tb_*, of tests/rtl/units; ``share`` is that
    of the rounds of random stimulus.
    """
    sources = [RTL_UNITS / f"{top}.sv"] if top.startswith("tb_") else []
    run(top, sources, test_module, dict(parameters), testcase=list(tests), share=share)


def run_units(core: tuple[int, ...], test_module: str, tests: Sequence[str]) -> None:
    """Run cocotb tests of ``test_module`` on tb_units with the memories of random_compute.py."""
    run_unit("tb_units", test_module, parameters(core_config(*core)), tests)


def core_of(dut) -> CoreConfig:
    """The configuration that tb_units was built with."""
    return core_config(*(int(getattr(dut, n).value) for n in _SHAPE))


async def begin(dut, *inputs: str) -> None:
    """Start the clock, set ``inputs`` to zero, and reset. Tests act at falling edges."""
    Clock(dut.clk_i, 10, unit="ns").start()
    for name in ("clear_i", "rst_ni", *inputs):
        getattr(dut, name).value = 0
    for _ in range(3):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1


async def start(dut, unit: str, instruction: Instruction) -> None:
    """Hand an instruction to a unit that is ready."""
    assert getattr(dut, f"{unit}_start_ready").value
    dut.start_bits.value = instruction_bits(instruction)
    getattr(dut, f"{unit}_start_valid").value = 1
    await FallingEdge(dut.clk_i)
    getattr(dut, f"{unit}_start_valid").value = 0
