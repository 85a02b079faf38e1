"""Building overlays: the Vivado scripts, run under tclsh with commands that check every call.

``vivado_stub.tcl`` models block designs and writes the finished one down; what is checked here is
that design, that faults in the scripts do not get through the model, and the program around them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.places import FAKES
from support.strategies import examples
from winogen.cli import main as cli
from winogen.common.errors import BoardError, DeviceError, InputError
from winogen.fpga import build as building
from winogen.fpga.build import build_overlay, script, write_settings
from winogen.fpga.parts import find_part
from winogen.fpga.settings import overlay_settings, tcl_word
from winogen.fpga.stimulus import Stimulus
from winogen.runtime.open import emulated_device
from winogen.target.board import Board, board_folder, board_names, load_board
from winogen.target.handoff import read_handoff
from winogen.target.registers import REGISTERS

STUB = FAKES / "vivado_stub.tcl"
TCLSH = shutil.which("tclsh")
needs_tclsh = pytest.mark.skipif(TCLSH is None, reason="needs tclsh")
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
pytestmark = needs_posix


def zynq_builds() -> Iterator[tuple[str, int]]:
    for name in board_names():
        for bits in (8, 16):
            with suppress(BoardError):
                if load_board(name, bits).platform is not None:
                    yield name, bits


BUILDS = list(zynq_builds())
ZYNQ7 = [b for b in BUILDS if load_board(*b).platform.processor == "zynq7"]  # type: ignore[union-attr]


def test_the_boards_that_have_overlays():
    assert {"pynq-z1", "pynq-z2", "zcu104", "kv260"} <= {name for name, _ in BUILDS}
    assert {bits for name, bits in BUILDS if name.startswith("pynq")} == {8, 16}


@dataclass
class Design:
    """The finished block design, as the stub wrote it down."""

    project: tuple[str, ...] = ()
    cells: dict[str, str] = field(default_factory=dict)
    config: dict[str, dict[str, str]] = field(default_factory=dict)
    driver: dict[str, str] = field(default_factory=dict)
    bus: dict[str, str] = field(default_factory=dict)
    segments: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    excluded: set[tuple[str, str]] = field(default_factory=set)
    registers: dict[str, int] = field(default_factory=dict)
    fields: dict[tuple[str, str], tuple[int, int, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Design:
        design = cls()
        for line in text.splitlines():
            kind, *words = [a or b for a, b in re.findall(r"\{([^{}]*)\}|(\S+)", line)]
            if kind == "project":
                design.project = tuple(words)
            elif kind == "cell":
                design.cells[words[0]] = words[1]
                design.config[words[0]] = {}
            elif kind == "config":
                design.config[words[0]][words[1]] = words[2]
            elif kind == "net":
                design.driver[words[1]] = words[0]
            elif kind == "bus":
                design.bus[words[0]] = words[1]
            elif kind == "segment":
                design.segments[words[0], words[1]] = (int(words[2]), int(words[3]))
            elif kind == "excluded":
                design.excluded.add((words[0], words[1]))
            elif kind == "register":
                design.registers[words[0]] = int(words[1])
            elif kind == "field":
                design.fields[words[0], words[1]] = (int(words[2]), int(words[3]), words[4])
            else:
                raise AssertionError(line)
        return design

    def through(self, master: str) -> tuple[str, str]:
        """The interconnect behind a master, and what is at its other end (one slave)."""
        name = self.bus[master].removesuffix("/S00_AXI")
        return name, self.bus[f"{name}/M00_AXI"]


@pytest.fixture
def vivado(tmp_path, monkeypatch) -> Path:
    """A program ``vivado`` on PATH, which is the stub; returns the file of the finished design."""
    if TCLSH is None:
        pytest.skip("needs tclsh")
    install(tmp_path, monkeypatch, f'exec "{TCLSH}" "{STUB}" "$@"')
    record = tmp_path / "design.txt"
    monkeypatch.setenv("STUB_RECORD", str(record))
    return record


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "vivado"
    program.write_text(f"#!/bin/sh\n{command}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


def no_vivado(monkeypatch: pytest.MonkeyPatch) -> None:
    places = os.environ["PATH"].split(os.pathsep)
    kept = [p for p in places if not (Path(p) / "vivado").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(kept))
    monkeypatch.delenv("XILINX_VIVADO", raising=False)


# The design


@pytest.fixture(scope="module")
def designs() -> dict[tuple[str, int], str]:
    """What the stub wrote of the designs that were built, for the next tests of the same one."""
    return {}


@pytest.fixture
def design(request, designs, vivado, tmp_path) -> tuple[Board, Design]:
    board = load_board(*request.param)
    if request.param not in designs:
        bit = build_overlay(board, tmp_path / "out")
        assert bit == tmp_path / "out" / "winogen.bit"
        assert bit.is_file()
        assert bit.with_suffix(".hwh").is_file()
        designs[request.param] = vivado.read_text()
    return board, Design.read(designs[request.param])


@pytest.mark.parametrize("design", BUILDS, indirect=True, ids=lambda b: f"{b[0]}-int{b[1]}")
def test_the_design_of_every_build(design):
    board, made = design
    zynq7 = board.platform.processor == "zynq7"
    ps = "processing_system7_0" if zynq7 else "zynq_ultra_ps_e_0"
    ways = 5 if board.core.read_ports == 4 else 3
    assert set(made.cells) == {
        *(ps, "winogen_0", "axi_intc_0", "reset_0", "registers"),
        *(f"memory_{i}" for i in range(ways)),
    }
    assert made.project[0] == board.part
    assert made.project[1].startswith(board.platform.board_part)

    # Each master of the core has a memory port, through register slices at both ends.
    for i in range(ways):
        name, port = made.through(f"winogen_0/m_axi_{i}")
        hp = ("HP0", "HP1", "HP2")[i] if zynq7 else ("HP1", "HP3", "HP0", "HPC0", "HP2")[i]
        assert port == f"{ps}/S_AXI_{hp}{'' if zynq7 else '_FPD'}"
        assert made.config[name]["S00_HAS_REGSLICE"] == made.config[name]["M00_HAS_REGSLICE"] == "4"
        gp = {"HPC0": 0, "HP0": 2, "HP1": 3, "HP2": 4, "HP3": 5}[hp]
        width = f"PCW_S_AXI_{hp}_DATA_WIDTH" if zynq7 else f"PSU__SAXIGP{gp}__DATA_WIDTH"
        assert made.config[ps][width] == "64"
        segments = {s: where for (space, s), where in made.segments.items()
                    if space == f"winogen_0/m_axi_{i}"}  # fmt: skip
        assert list(segments.values()) == [(0, board.platform.ddr_mib << 20)]
        assert "DDR_LOW" in next(iter(segments))

    if not zynq7:
        used = {gp for gp in range(6) if made.config[ps][f"PSU__USE__S_AXI_GP{gp}"] == "1"}
        assert used == ({2, 3, 5} if ways == 3 else {0, 2, 3, 4, 5})
        # Ports of the DDR controller behind HPC0 and HP0 to HP3, and who else is on them (UG1085).
        controller = {0: "1, with the processors", 2: "3, with DisplayPort", 3: "4", 4: "4",
                      5: "5, with a DMA controller"}  # fmt: skip
        assert len({controller[gp] for gp in used}) == min(ways, 4)
        assert made.through("winogen_0/m_axi_2")[1] == f"{ps}/S_AXI_HP0_FPD"  # least traffic

    # One clock, one reset, and the interrupt by way of the controller.
    clock = f"{ps}/{'FCLK_CLK0' if zynq7 else 'pl_clk0'}"
    clocks = {p: d for p, d in made.driver.items() if re.search("(?i)(aclk|slowest_sync_clk)$", p)}
    assert set(clocks.values()) == {clock}
    assert len(clocks) == 1 + 2 + (1 + ways) + (1 + 3) + ways * (1 + 2)
    assert made.driver["winogen_0/aresetn"] == "reset_0/peripheral_aresetn"
    assert made.driver["axi_intc_0/intr"] == "winogen_0/interrupt"
    assert made.driver[f"{ps}/{'IRQ_F2P' if zynq7 else 'pl_ps_irq0'}"] == "axi_intc_0/irq"


@pytest.mark.parametrize("design", BUILDS, indirect=True, ids=lambda b: f"{b[0]}-int{b[1]}")
def test_the_clock_is_the_board_files(design):
    board, made = design
    if board.platform.processor == "zynq7":
        config = made.config["processing_system7_0"]
        assert config["PCW_FCLK0_PERIPHERAL_CLKSRC"] == board.platform.clock_source
        wanted = float(config["PCW_FPGA0_PERIPHERAL_FREQMHZ"])
        divisors = [int(config[f"PCW_FCLK0_PERIPHERAL_DIVISOR{i}"]) for i in (0, 1)]
        assert board.platform.source_mhz / (divisors[0] * divisors[1]) == board.clock_mhz
        assert float(config["PCW_CRYSTAL_PERIPHERAL_FREQMHZ"]) == board.platform.crystal_mhz
        assert config["PCW_UIPARAM_DDR_PARTNO"] == board.platform.ddr_part
    else:
        config = made.config["zynq_ultra_ps_e_0"]
        assert config["PSU__CRL_APB__PL0_REF_CTRL__SRCSEL"] == board.platform.clock_source
        wanted = float(config["PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"])
    assert wanted == board.clock_mhz


@pytest.mark.parametrize("design", BUILDS[:1], indirect=True)
def test_the_registers_are_in_the_packaged_core(design):
    _, made = design
    assert made.registers == {r.name: r.offset for r in REGISTERS}
    assert {k: v[:2] for k, v in made.fields.items()} == {
        (r.name, f.name): (f.lsb, f.width) for r in REGISTERS for f in r.fields
    }
    assert made.fields["CONTROL", "start"][2] == "write-only"


# One source of truth: the emulated device's .hwh says the same

#: Parameters of the top level whose name in a board file is another.
ALIASES = {"LANES": "ci_lanes"}


@pytest.mark.parametrize("design", ZYNQ7, indirect=True, ids=lambda b: f"{b[0]}-int{b[1]}")
def test_the_design_is_the_one_that_the_emulated_device_describes(design, tmp_path):
    board, made = design
    overlay = emulated_device(board).ensure_overlay(tmp_path / "emulated")
    root = ElementTree.parse(overlay.with_suffix(".hwh")).getroot()
    modules: dict[str, Any] = {m.get("INSTANCE"): m for m in root.iter("MODULE")}
    parameters = {
        name: {p.get("NAME"): p.get("VALUE") for p in module.iter("PARAMETER")}
        for name, module in modules.items()
    }
    assert made.cells["winogen_0"] == modules["winogen_0"].get("VLNV")
    assert modules["axi_intc_0"].get("VLNV").startswith(made.cells["axi_intc_0"])

    ours = made.config["winogen_0"]
    theirs = parameters["winogen_0"]
    assert int(ours.pop("CONFIG_HASH"), 16) == int(theirs["config_hash"][:8], 16)
    assert ours.pop("ADDR_WIDTH") == "32"
    assert {ALIASES.get(n, n.lower()): v for n, v in ours.items()} == {
        n: theirs[n] for n in asdict(board.core) if n != "co_lanes"
    }

    ranges = {
        (r.get("INSTANCE"), int(r.get("BASEVALUE"), 16), int(r.get("HIGHVALUE"), 16))
        for r in modules["processing_system7_0"].iter("MEMRANGE")
    }
    assert ranges == {
        (segment.split("/")[0], offset, offset + size - 1)
        for (space, segment), (offset, size) in made.segments.items()
        if space == "processing_system7_0/Data"
    }

    ps, described = made.config["processing_system7_0"], parameters["processing_system7_0"]
    for name in (
        *("PCW_FCLK0_PERIPHERAL_CLKSRC", "PCW_FCLK0_PERIPHERAL_DIVISOR0"),
        *("PCW_FCLK0_PERIPHERAL_DIVISOR1", "PCW_FPGA_FCLK0_ENABLE"),
    ):
        assert ps[name] == described[name]
    assert float(described["PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ"]) == board.clock_mhz
    pins = {
        f"{name}/{p.get('NAME')}": "/".join((c.get("INSTANCE"), c.get("PORT")))
        for name, module in modules.items()
        for p in module.iter("PORT")
        if p.get("DIR") == "I"
        for c in p.iter("CONNECTION")
    }
    assert pins == {sink: made.driver[sink] for sink in pins}
    assert len(pins) == 2


# Faults do not get through

FAULTS = [
    # connections
    ("design.tcl", "  connect $core/interrupt $intc/intr\n", "", "winogen_0/interrupt is not conn"),
    ("design.tcl", " reset_0/slowest_sync_clk", "", "reset_0/slowest_sync_clk is not connected"),
    ("design.tcl", " $core/aresetn ", " ", "winogen_0/aresetn is not connected"),
    ("design.tcl", "  connect $clock $name/ACLK\n", "", "registers/ACLK is not connected"),
    ("design.tcl", "foreach port [dict get $ps memory]",
     "foreach port [lrange [dict get $ps memory] 0 1]", "S_AXI_HP2 is not connected"),
    ("design.tcl", "$core/interrupt $intc", "$core/irq $intc", "no pin 'winogen_0/irq'"),
    ("design.tcl", "reset_0/ext_reset_in", "reset_0/ext_reset_n", "no pin 'reset_0/ext_reset_n'"),
    ("design.tcl", "connect [dict get $ps reset] ", "connect [dict get $ps clock] ", "kinds"),
    ("design.tcl", "[get_bd_pins $source] [get_bd_pins $sink]", "[get_bd_pins $sink]", "two pins"),
    ("design.tcl", "[list $core/s_axi $intc/s_axi]", "[list $core/m_axi_0 $intc/s_axi]",
     "are both Master"),
    ("design.tcl", "NUM_MI $count", "NUM_MI 1", "no pin 'registers/M01_ACLK'"),
    ("design.tcl", "set_property CONFIG.C_IRQ_CONNECTION 1", "set x", "no pin 'axi_intc_0/irq'"),
    ("zynq7.tcl", "connect_bd_intf_net [get_bd_intf_pins $ps/$port]",
     "list [get_bd_intf_pins $ps/$port]", "DDR is not connected"),
    # addresses
    ("design.tcl", "[setting core base] [setting core range]", "0x43C00800 0x1000", "0x1000 bytes"),
    ("design.tcl", "[setting core base] [setting core range]", "0x80000000 0x1000", "outside"),
    ("design.tcl", "[setting core base] [setting core range]", "0x41800000 0x1000", "overlaps"),
    ("design.tcl", "[setting core base] [setting core range]", "0x43C00000 0x2000", "no 0x2000"),
    ("design.tcl", "0x00000000 [setting ddr range]", "0x20000000 [setting ddr range]", "is at 0"),
    ("design.tcl", "/s_axi/reg0", "/s_axi/Reg", "no address segment 'winogen_0/s_axi/Reg'"),
    ("design.tcl", "  assign [dict get $ps space] $core/", "  list [dict get $ps space] $core/",
     "has to be assigned or excluded"),
    ("zynq7.tcl", "{16 Bit}", "{24 Bit}", "cannot be '24 Bit'"),
    # configuration
    ("zynq7.tcl", "PCW_USE_FABRIC_INTERRUPT", "PCW_USE_FABRIC_INTERRUPTS", "has no parameter"),
    ("zynq7.tcl", "[setting clock source]", "{IO PLL}", "142.857"),
    ("zynq7.tcl", "[setting clock divisor0]", "6", "contradict"),
    ("zynq7.tcl", "CONFIG.PCW_USE_S_AXI_HP2 1", "CONFIG.PCW_USE_S_AXI_HP2 0", "S_AXI_HP2_ACLK"),
    ("zynq7.tcl", "ip:processing_system7", "ip:processing_system7:5.5", "without a version"),
    ("design.tcl", "CONFIG.$name $value", "CONFIG.X_$name $value", "no parameter X_DATA_WIDTH"),
    # flow
    ("design.tcl", "  validate_bd_design\n", "", "before it is validated"),
    ("design.tcl", "make_wrapper", "make_wraper", 'invalid command name "make_wraper"'),
    ("export.tcl", "-max_paths 1", "-maximum 1", "unknown option '-maximum'"),
    ("export.tcl", "    catch {wait_on_runs $run}", "    ", "synthesis failed"),
    ("design.tcl", "top system_wrapper", "top system", "no module system"),
    ("build.tcl", "    update_ip_catalog\n", "", "not in the catalogue"),
    ("package_ip.tcl", "associate_bus_interfaces -busif $interface -clock aclk",
     "associate_bus_interfaces -busif $interface -clock aresetn", "aresetn is no clock"),
    ("package_ip.tcl", "  set_property range [setting core range] $block\n", "", "address range"),
    ("package_ip.tcl", "  ipx::update_checksums $core\n", "", "saved before update_checksums"),
    ("package_ip.tcl", "{$READ_PORTS > 2}", "{$READ_PORTS > 1}", "m_axi_3 is not connected"),
]  # fmt: skip


@pytest.fixture
def scripts(tmp_path, monkeypatch) -> Path:
    """A copy of the scripts that a test may spoil, in place of the real ones."""
    copy = tmp_path / "scripts"
    shutil.copytree(script().parent, copy)
    monkeypatch.setattr(building, "script", lambda: copy / "build.tcl")
    return copy


@pytest.mark.parametrize("file, old, new, message", FAULTS)
def test_a_fault_in_the_scripts_is_found(file, old, new, message, vivado, scripts, tmp_path):
    text = (scripts / file).read_text()
    assert old in text, "the fault is no longer one"
    (scripts / file).write_text(text.replace(old, new, 1))
    with pytest.raises(DeviceError, match=re.escape(message)):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")
    assert not (tmp_path / "out" / "winogen.bit").exists()


MP_FAULTS = [
    ("apply_bd_automation", "list", "no address segment"),
    ("CONFIG.PSU__USE__M_AXI_GP1 0 \\\n", "\\\n", "M_AXI_HPM1_FPD is not connected"),
    ("LPS_OCM ", "", "LPS_OCM has to be assigned or excluded"),
    ("$ps/pl_ps_irq0", "$ps/pl_ps_irq", "no pin 'zynq_ultra_ps_e_0/pl_ps_irq'"),
    ("[setting clock source]", "DPLL", "would clock the logic at 266.66"),
    (
        "set used [expr {$port in [setting memory_ports]}]",
        "set used 1",
        "S_AXI_HPC1_FPD is not connected",
    ),
    ("HPC0 0 HPC1 1", "HPC0 1 HPC1 0", "no pin 'zynq_ultra_ps_e_0/saxihpc0_fpd_aclk'"),
]


@pytest.mark.parametrize("old, new, message", MP_FAULTS)
def test_a_fault_in_the_script_of_ultrascale_is_found(old, new, message, vivado, scripts, tmp_path):
    text = (scripts / "zynqmp.tcl").read_text()
    assert old in text, "the fault is no longer one"
    (scripts / "zynqmp.tcl").write_text(text.replace(old, new, 1))
    with pytest.raises(DeviceError, match=re.escape(message)):
        build_overlay(load_board("kv260"), tmp_path / "out")


WRAPPER_FAULTS = [
    ("output wire                  m_axi_1_rready", "input  wire                  m_axi_1_rready",
     "m_axi_1_rready has the wrong direction"),
    ("m_axi_2_arburst,", "m_axi_2_burst,", "interface m_axi_2 has no signal arburst"),
    ('interrupt:1.0 interrupt INTERRUPT"', 'data:1.0 interrupt DATA"', "different kinds"),
    ("parameter integer PARAM_DEPTH", "parameter integer PARAMS", "no parameter PARAM_DEPTH"),
]  # fmt: skip


@pytest.mark.parametrize("old, new, message", WRAPPER_FAULTS)
def test_a_fault_in_the_top_level_is_found(old, new, message, vivado, tmp_path, monkeypatch):
    settings = overlay_settings(load_board("pynq-z2"), tmp_path)
    top = Path(settings["sources"][-1])
    assert old in top.read_text(), "the fault is no longer one"
    bad = tmp_path / top.name
    bad.write_text(top.read_text().replace(old, new, 1))
    settings["sources"][-1] = str(bad)
    monkeypatch.setattr(building, "overlay_settings", lambda board, output: settings)
    with pytest.raises(DeviceError, match=message):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")


# Vivado as it may be


@pytest.mark.parametrize("version", ["2022.1", "2022.2.2", "2023.2", "2024.1", "2024.1.2"])
def test_versions_that_work(version, vivado, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_VERSION", version)
    assert build_overlay(load_board("pynq-z2"), tmp_path / "out").is_file()


@pytest.mark.parametrize("version", ["2019.2", "2021.2.1", "2024.2", "2025.1"])
def test_versions_that_are_refused(version, vivado, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_VERSION", version)
    message = f"are for Vivado 2022.1 to 2024.1, and this is Vivado {re.escape(version)}; its mess"
    with pytest.raises(DeviceError, match=message):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")


def test_the_newest_board_files_are_taken(vivado, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "STUB_BOARDS", " ".join(f"xilinx.com:zcu104:part0:1.{i}" for i in (9, 10, 2))
    )
    build_overlay(load_board("zcu104"), tmp_path / "out")
    assert Design.read(vivado.read_text()).project[1] == "xilinx.com:zcu104:part0:1.10"
    monkeypatch.setenv("STUB_BOARDS", "xilinx.com:zcu102:part0:1.1")
    with pytest.raises(DeviceError, match=r"no board files for xilinx\.com:zcu104:part0; in"):
        build_overlay(load_board("zcu104"), tmp_path / "out")


def test_missed_timing_keeps_the_last_overlay(vivado, tmp_path, monkeypatch):
    bit = build_overlay(load_board("pynq-z2"), tmp_path / "out")
    bit.write_text("the last one that works")
    monkeypatch.setenv("STUB_REACHES", "70")
    with pytest.raises(
        DeviceError, match=r"missed at every clock that was tried, which are 150 MHz"
    ):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")
    assert bit.read_text() == "the last one that works"


@pytest.mark.parametrize(
    "reaches, source, divisor, missed",
    [
        (149, "IO PLL", 7, [150]),
        (140, "DDR PLL", 8, [150, 142.857143]),
        (124, "DDR PLL", 9, [150, 142.857143, 131.25, 125]),
    ],
)
def test_the_next_lower_clock_that_meets_timing_is_built(
    reaches, source, divisor, missed, vivado, tmp_path, monkeypatch
):
    monkeypatch.setenv("STUB_REACHES", str(reaches))
    bit = build_overlay(load_board("pynq-z2"), tmp_path / "out")
    config = Design.read(vivado.read_text()).config["processing_system7_0"]
    assert config["PCW_FCLK0_PERIPHERAL_CLKSRC"] == source
    assert config["PCW_FCLK0_PERIPHERAL_DIVISOR0"] == str(divisor)
    mhz = {"IO PLL": 1000, "DDR PLL": 1050}[source] / divisor
    found = read_handoff(bit)
    assert (found.clock_source, found.clock_mhz) == (source, pytest.approx(mhz))
    log = (tmp_path / "out" / "vivado" / "vivado.log").read_text()
    ran = [float(m) for m in re.findall("stage: implementation at (.*) MHz", log)]
    assert ran == pytest.approx([*missed, mhz])
    assert f"missed at {missed[-1]:.9g}"[:16] in log
    reports = list((tmp_path / "out" / "vivado").glob("timing_missed_at_*_MHz.rpt"))
    assert len(reports) == len(missed)


def test_an_ultrascale_goes_down_its_own_pll(vivado, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_REACHES", "200")
    bit = build_overlay(load_board("zcu104"), tmp_path / "out")
    assert read_handoff(bit).clock_mhz == pytest.approx(1499.985 / 8)


def test_what_was_built_is_said(vivado, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STUB_REACHES", "149")
    words = ["overlay", "build", "--board", "pynq-z2", "--tool", "vivado"]
    assert cli.main([*words, "-o", str(tmp_path / "out")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("winogen.bit and winogen.hwh, for 142.857 MHz")
    assert second.startswith("timing was missed at 150 MHz: the reports are beside the log")


def test_a_lower_clock_does_not_mend_hold(vivado, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_HOLD", "-0.012")
    with pytest.raises(DeviceError, match=r"missed at 150 MHz: worst hold slack -0\.012 ns"):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")


LOWER_FAULTS = [
    ("      reset_run $run\n", "", "synth_1 has to be reset"),
    ("[get_runs -quiet *_synth_1]", "{}", "_synth_1 is out of date"),
    ("    change_clock\n", "    next_clock\n", "missed at every clock"),
    ("    close_design\n", "", "another design is open"),
]


@pytest.mark.parametrize("old, new, message", LOWER_FAULTS)
def test_a_fault_on_the_way_down_is_found(
    old, new, message, vivado, scripts, tmp_path, monkeypatch
):
    monkeypatch.setenv("STUB_REACHES", "149")
    text = (scripts / "export.tcl").read_text()
    assert old in text, "the fault is no longer one"
    (scripts / "export.tcl").write_text(text.replace(old, new, 1))
    with pytest.raises(DeviceError, match=re.escape(message)):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")


@pytest.mark.parametrize("run, what", [("synth_1", "synthesis"), ("impl_1", "implementation")])
def test_a_run_that_fails_is_named(run, what, vivado, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_FAILS", run)
    with pytest.raises(DeviceError, match=rf"{what} failed; its messages are in .*{run}/runme.log"):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")


# The netlist, before it is implemented


NETLISTS = [
    ("few", "the array has 184 DSPs instead of 192, one a multiplier"),
    ("many", "the array has 193 DSPs instead of 192"),
    (
        "AREG",
        "1 DSPs of the array do not use AREG, as system_i/winogen_0/inst/u_core/",
    ),
    ("BREG", "1 DSPs of the array do not use BREG"),
    ("MREG", "1 DSPs of the array do not use MREG"),
    ("PREG", "1 DSPs of the array do not use PREG"),
    ("PCOUT", "167 DSPs of the array hand their sum on by the cascade (PCOUT) instead of 168"),
    ("more", "the core takes 411 DSPs, which should be 220 at most"),
    ("DO_REG", "1 of 20 block RAMs do not use their output registers (DOA_REG, DOB_REG), as "),
    ("no-ram", "the core has no block RAM"),
    (
        "fanout",
        "1 nets have more than 4608 pins (see fanout.rpt), as system_i/winogen_0/inst/",
    ),
]


@pytest.mark.parametrize("wrong, message", NETLISTS)
def test_a_netlist_that_is_not_as_meant(wrong, message, vivado, tmp_path, monkeypatch):
    """It ends before the implementation, and says how to go on."""
    monkeypatch.setenv("STUB_NETLIST", wrong)
    with pytest.raises(DeviceError, match=re.escape(message)) as error:
        build_overlay(load_board("pynq-z2"), tmp_path / "out")
    assert "'winogen overlay build --ignore-checks' implements it nevertheless" in str(error.value)
    log = (tmp_path / "out" / "vivado" / "vivado.log").read_text()
    assert "stage: checks of the netlist" in log and "stage: implementation" not in log
    assert build_overlay(load_board("pynq-z2"), tmp_path / "out", ignore_checks=True).is_file()
    log = (tmp_path / "out" / "vivado" / "vivado.log").read_text()
    assert f"WARNING: [winogen] synthesis has not made what is meant: {message}" in log


def test_all_that_is_wrong_is_named_at_once(vivado, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STUB_NETLIST", "MREG PCOUT DO_REG")
    words = ["overlay", "build", "--board", "pynq-z2", "--tool", "vivado"]
    assert cli.main([*words, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in ("use MREG", "(PCOUT)", "output registers"))
    assert error.count("\n") == 1
    assert cli.main([*words, "-o", str(tmp_path / "out"), "--ignore-checks"]) == 0


@pytest.mark.parametrize("score, words", [("3", "netlist is 3 of 5"), ("none", ""), ("x", "")])
def test_vivados_own_assessment(score, words, vivado, tmp_path, monkeypatch):
    """A version may have none, or write it in another form."""
    monkeypatch.setenv("STUB_QOR", score)
    build_overlay(load_board("pynq-z2"), tmp_path / "out")
    log = (tmp_path / "out" / "vivado" / "vivado.log").read_text()
    assert words in log and ("assessment" in log) == bool(words)


def test_a_netlist_that_cannot_be_implemented(vivado, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_QOR", "1")
    with pytest.raises(DeviceError, match="its assessment is 1 of 5"):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")


CHECK_FAULTS = [
    ("checks.tcl", "REF_NAME =~ $type", "TYPE =~ $type", "nothing has a property TYPE"),
    ("checks.tcl", " -top_net_of_hierarchical_group", "", "a net counts once for each level"),
    ("checks.tcl", "{AREG BREG MREG PREG}", "{AREG BREG M_REG PREG}", "has no M_REG"),
    ("checks.tcl", "PCOUT[0]", "PCOUT[1]", "get_pins"),
    ("checks.tcl", "report_qor_assessment -return_string}", "list {QoR Assessment Score | 1}}",
     "is 1 of 5"),
    ("export.tcl", "  open_run synth_1\n", "", "no design is open"),
    ("export.tcl", "  close_design\n}", "}", "a design is open"),
]  # fmt: skip


@pytest.mark.parametrize("file, old, new, message", CHECK_FAULTS)
def test_a_fault_in_the_checks_is_found(file, old, new, message, vivado, scripts, tmp_path):
    text = (scripts / file).read_text()
    assert old in text, "the fault is no longer one"
    (scripts / file).write_text(text.replace(old, new, 1))
    with pytest.raises(DeviceError, match=re.escape(message)):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")


def test_the_checks_know_every_build():
    for name, bits in BUILDS:
        board = load_board(name, bits)
        checks = overlay_settings(board, Path())["checks"]
        assert checks["multipliers"] <= checks["dsp_most"] <= find_part(board.part).dsp
        assert checks["cascaded"] == checks["multipliers"] * 7 // 8 or board.core.ci_lanes != 8
    record = json.loads((board_folder() / "pynq-z2" / "utilisation8.json").read_text())
    checks = overlay_settings(load_board("pynq-z2"), Path())["checks"]
    assert record["array"]["dsp"] == checks["multipliers"]
    assert record["total"]["dsp"] <= checks["dsp_most"]
    mine = replace(load_board("pynq-z2"), part="xc7z035ffg676-1")  # no figures for it
    assert overlay_settings(mine, Path())["checks"]["dsp_most"] == 240


# The stream in XSim


STIMULUS = Stimulus(load_board("pynq-z2"), 0x400_0000, b"a" * 64, b"b" * 64, ((64, 1),), 10)


@pytest.fixture
def xsim(vivado, tmp_path):
    for name in ("xvlog", "xelab", "xsim"):
        program = tmp_path / "bin" / name
        command = shlex.join([sys.executable, str(FAKES / "xsim_stub.py"), name])
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)


def test_a_stream_is_simulated(xsim, tmp_path, monkeypatch):
    """At the first clock, before anything is implemented."""
    monkeypatch.setenv("STUB_REACHES", "149")
    assert build_overlay(load_board("pynq-z2"), tmp_path / "out", stimulus=STIMULUS).is_file()
    log = (tmp_path / "out" / "vivado" / "vivado.log").read_text()
    assert log.count("stage: simulation of one stream") == 1
    assert log.index("winogen: PASS: 7680 words") < log.index("stage: implementation")
    assert log.count("stage: checks of the netlist") == 2
    folder = tmp_path / "out" / "vivado" / "simulation"
    assert (folder / "before.hex").read_text() == "6161616161616161\n" * 8
    assert (folder / "writes.hex").read_text() == "0000004000000001\n"


@pytest.mark.parametrize(
    "says, message",
    [
        ("FAIL: 12 of 7680 words of memory are wrong", "logic computes: FAIL: 12 of 7680 words of"),
        ("", "logic computes: no verdict"),
        ("xvlog", "XSim's xvlog failed"),
        ("xelab", "XSim's xelab failed"),
        ("xsim", "XSim's xsim failed"),
    ],
)
def test_a_netlist_that_computes_something_else(says, message, xsim, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_XSIM", says)
    with pytest.raises(DeviceError, match=re.escape(message)) as error:
        build_overlay(load_board("pynq-z2"), tmp_path / "out", stimulus=STIMULUS)
    assert "said_by_x" in str(error.value)
    log = (tmp_path / "out" / "vivado" / "vivado.log").read_text()
    assert "stage: implementation" not in log


SIMULATION_FAULTS = [
    ("-mode funcsim", "-mode design", "write_verilog"),
    ("-L unisims_ver", "-L unisim", "XSim's xelab failed"),
    (" -i .", "", "XSim's xvlog failed"),
    ("--sv ", "", "XSim's xvlog failed"),
    ("=$module", "=winogen", "XSim's xvlog failed"),
    (" work.glbl", " work.global", "XSim's xelab failed"),
    ("  cd $folder\n", "", "XSim's xvlog failed"),
]


@pytest.mark.parametrize("old, new, message", SIMULATION_FAULTS)
def test_a_fault_in_the_simulation_is_found(old, new, message, xsim, scripts, tmp_path):
    text = (scripts / "simulate.tcl").read_text()
    assert old in text, "the fault is no longer one"
    (scripts / "simulate.tcl").write_text(text.replace(old, new, 1))
    with pytest.raises(DeviceError, match=re.escape(message)):
        build_overlay(load_board("pynq-z2"), tmp_path / "out", stimulus=STIMULUS)


def test_no_xsim(vivado, tmp_path, monkeypatch):
    """Vivado's own comes first, then what is on PATH."""
    monkeypatch.setenv("XILINX_VIVADO", str(tmp_path / "none"))
    with pytest.raises(DeviceError, match="XSim's xvlog failed"):
        build_overlay(load_board("pynq-z2"), tmp_path / "out", stimulus=STIMULUS)


def test_the_command_that_simulates(xsim, tmp_path, monkeypatch, capsys):
    boards = []
    monkeypatch.setattr(
        "winogen.doctor.stream.conformance_stimulus", lambda b: (boards.append(b), STIMULUS)[1]
    )
    words = ["overlay", "build", "--board", "pynq-z2", "-o", str(tmp_path / "out"), "--simulate"]
    assert cli.main([*words, "--tool", "vivado"]) == 0
    assert [board.name for board in boards] == ["pynq-z2"]
    only = [*words[:-2], str(tmp_path / "only"), "--simulate", "--settings-only"]
    assert cli.main([*only, "--tool", "vivado"]) == 0
    folder = tmp_path / "only" / "vivado"
    assert (folder / "simulation" / "after.hex").is_file()
    assert "dict set settings simulation bench" in (folder / "settings.tcl").read_text()
    capsys.readouterr()
    assert cli.main([*words, "--tool", "open"]) == 2
    assert "--simulate goes with --tool vivado" in capsys.readouterr().err


# The program around it


def test_no_vivado(tmp_path, monkeypatch, capsys):
    no_vivado(monkeypatch)
    words = ["overlay", "build", "--board", "pynq-z2", "--tool", "vivado"]
    assert cli.main([*words, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("winogen: the program 'vivado' is missing")
    assert "2022.1 to 2024.1, from https://www.xilinx.com/support/download.html" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_vivado_by_its_variable(vivado, tmp_path, monkeypatch):
    no_vivado(monkeypatch)
    monkeypatch.setenv("XILINX_VIVADO", str(tmp_path))  # has bin/vivado
    assert build_overlay(load_board("pynq-z2"), tmp_path / "out").is_file()


def test_command(vivado, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["overlay", "build", "--board", "pynq-z1", "--bits", "16", "--tool", "vivado"]
    assert cli.main(words) == 0
    folder = Path("build", "overlay", "pynq-z1-int16")
    out = f"wrote {folder / 'winogen.bit'} and winogen.hwh, for 150 MHz\n"
    assert capsys.readouterr().out == out
    assert (folder / "winogen.bit").is_file()
    log = (folder / "vivado" / "vivado.log").read_text()
    assert re.findall("stage: (.*)", log) == [
        "packaging the core", "block design", "synthesis at 150 MHz", "checks of the netlist",
        "implementation at 150 MHz", "bitstream for 150 MHz",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words, message",
    [
        (["--board", "tiny"], "board 'tiny' has no Zynq"),
        (["--board", "zcu104", "--bits", "16"], "has no int16 core"),
        (["--board", "pynq-z2", "--deadline", "0"], "must be a positive number of seconds, not 0"),
        (["--board", "pynq-z2", "--deadline", "nan"], "positive number of seconds, not nan"),
        (["--board", "pynq-z2", "--deadline", "inf"], "positive number of seconds, not inf"),
        (["--board", "pynq-z2", "--settings-only", "-o", "/dev/null/x"], "cannot make folder"),
    ],
)
def test_what_cannot_be_built(words, message, tmp_path, monkeypatch, capsys):
    no_vivado(monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["overlay", "build", "--tool", "vivado", *words]) == 2
    assert message in capsys.readouterr().err


def test_read_ports_that_a_processor_has_no_room_for(tmp_path):
    board = load_board("pynq-z2")
    wide = replace(board, core=replace(board.core, read_ports=4))
    with pytest.raises(BoardError, match=r"wants 4 read ports, .*: set read_ports to 2"):
        overlay_settings(wide, tmp_path)


def test_clocks_that_no_overlay_has(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("like: pynq-z2\nname: mine\nclock_mhz: 140\n")
    with pytest.raises(BoardError, match="140, is no whole fraction of 1050 MHz") as refused:
        overlay_settings(load_board(path), tmp_path)
    text = str(refused.value)  # those of both PLLs
    assert "175, 150, 131.25, 116.667, 105, 95.4545 from DDR PLL (1050)" in text
    assert "166.667, 142.857, 125, 111.111, 100, 90.9091 from IO PLL (1000)" in text
    slow = "like: pynq-z2\nname: mine\nclock_mhz: 10.5\n"  # 100 = 50 x 2
    path.write_text(slow)
    clock = overlay_settings(load_board(path), tmp_path)["clock"]
    assert clock["divisor0"] * clock["divisor1"] == 100
    assert max(clock["divisor0"], clock["divisor1"]) < 64


@needs_tclsh
def test_settings_only(tmp_path, monkeypatch, capsys):
    """The commands that it prints are those that work, in a folder with an awkward name."""
    no_vivado(monkeypatch)
    folder = tmp_path / "a $folder [x] {y"
    words = ["overlay", "build", "--board", "pynq-z2", "--tool", "vivado", "--settings-only"]
    assert cli.main([*words, "-o", str(folder)]) == 0
    commands = capsys.readouterr().out
    install(tmp_path, monkeypatch, f'exec "{TCLSH}" "{STUB}" "$@"')
    subprocess.run(["sh", "-e"], input=commands, text=True, check=True, stdout=subprocess.DEVNULL)
    assert (folder / "vivado" / "results" / "winogen.bit").is_file()
    assert not (folder / "winogen.bit").exists()


def test_a_deadline(tmp_path, monkeypatch):
    late = tmp_path / "late"
    script = f"(sleep 300; touch '{late}') & wait"  # what it started has its output open too
    install(tmp_path, monkeypatch, f'echo "winogen stage: thinking"\n{script}')
    with pytest.raises(DeviceError, match=r"not finished in 0\.5 s \(thinking\); its messages are"):
        build_overlay(load_board("pynq-z2"), tmp_path / "out", 0.5)
    assert not late.exists()


@pytest.mark.parametrize(
    "command, message",
    [
        ("echo 'ERROR: [X 1-1] the cause'\necho 'ERROR: [Common 17-39] failed'\nexit 1",
         r"Vivado failed \(exit 1\): \[X 1-1\] the cause; its messages are in .*vivado\.log"),
        ("echo 'ERROR: [X 1-1] a detail'\necho 'ERROR: [winogen] the cause'\nexit 1",
         r"exit 1\): \[winogen\] the cause"),
        ("echo 'ERROR: [X 1-1] the cause'\n"
         "echo \"ERROR: [winogen] ERROR: [Y 2-2] 'x' failed due to earlier errors.\"\nexit 1",
         r"exit 1\): \[X 1-1\] the cause"),
        ("kill -SEGV $$", r"Vivado failed \(exit -11\): no message"),
        ("exit 0", r"ended without winogen\.hwh"),
    ],
)  # fmt: skip
def test_a_vivado_that_fails(command, message, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, command)
    with pytest.raises(DeviceError, match=message):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")


def test_results_of_an_earlier_build_are_not_taken_for_new(vivado, tmp_path, monkeypatch):
    build_overlay(load_board("pynq-z2"), tmp_path / "out")
    made = tmp_path / "out" / "vivado" / "results"
    (made / "winogen.bit").write_text("old")
    (made / "winogen.hwh").write_text("old")
    (tmp_path / "other").mkdir()
    install(tmp_path / "other", monkeypatch, "exit 0")
    with pytest.raises(DeviceError, match="ended without"):
        build_overlay(load_board("pynq-z2"), tmp_path / "out")


def test_settings_cannot_be_written(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot make folder"):
        write_settings(load_board("pynq-z2"), tmp_path / "out")


#: Tcl 8.6 has two characters for one beyond U+FFFF.
TEXT = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF))
#: What Tcl reads as more than itself, each behind a letter and before one.
MEANT = [f"a{c}b" for c in '\\"$[]{};# \n\t\r\0']


@needs_tclsh
@examples(25)
@example([*MEANT, "".join(MEANT), "\\", "{", "}"])
@given(st.lists(TEXT, max_size=32))
def test_any_text_is_one_word_of_tcl(words):
    lines = "".join(f"puts [string length {tcl_word(w)}]\nputs {tcl_word(w)}\n" for w in words)
    program = f"fconfigure stdout -encoding utf-8 -translation lf\n{lines}"
    result = subprocess.run([TCLSH, "-encoding", "utf-8", "/dev/stdin"],  # type: ignore[list-item]
                            input=program.encode(), capture_output=True, check=True)  # fmt: skip
    assert result.stdout.decode() == "".join(f"{len(w)}\n{w}\n" for w in words)
