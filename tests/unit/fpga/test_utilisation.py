"""The overlay report: counting, naming and timing on netlists made by hand, bars, command line."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

from support.netlists import TOP, cell, net, one
from winogen.cli import main as cli
from winogen.common.errors import BoardError, DeviceError
from winogen.fpga import area, synthesis, yosys
from winogen.fpga import paths as timing
from winogen.fpga.area import Area
from winogen.fpga.netlist import Netlist, Pin
from winogen.fpga.parts import find_part
from winogen.fpga.paths import Delays, Timing
from winogen.fpga.synthesis import Synthesis
from winogen.fpga.utilisation import Report
from winogen.fpga.yosys import Yosys
from winogen.target.board import board_names, load_board

#: a_q -> LUT2 -> LUT2 -> b_q, and a DSP whose output is a_q's data; bit 1 is the clock.
DESIGN = {
    "modules": {
        TOP: {
            "cells": {
                "$a": cell("FDRE", {"C": 1, "CE": "1", "R": "0", "D": 6}, {"Q": 2}),
                "$x": cell("LUT2", {"I0": 2, "I1": 3}, {"O": 4}, INIT="1000"),
                "$y": cell("LUT2", {"I0": 4, "I1": 2}, {"O": 5}, INIT="1000"),
                "$b": cell("FDRE", {"C": 1, "CE": 2, "R": "0", "D": 5}, {"Q": 3}),
                "$low": cell("DSP48E1", {"A": [3], "CLK": 1}, {"PCOUT": [7, 8]}, PREG="1"),
                "$high": cell(
                    "DSP48E1", {"PCIN": [7, 8], "CLK": 1}, {"P": [6]},
                    PREG="1", MREG="0", USE_MULT="MULTIPLY",
                ),
                "g_m[1].u_ram.mem.0.3": cell("RAMB18E1", {"CLKARDCLK": 1}, {"DOADO": [9]}),
                "$s": cell("SRL16E", {"CLK": 1, "D": 9}, {"Q": 10}),
            },
            "netnames": {
                "u_first.a_q": net(2),
                "u_second.operand_i": net(2),
                "u_second.u_third.b_q": net(12, 3),
                "u_first.product": net(6),
                "$hidden": net(4, hidden=True),
            },
        }
    }
}  # fmt: skip
LUT = Delays({(("I0", 0), ("O", 0)): 600, (("I1", 0), ("O", 0)): 100}, {}, {})
FLIP_FLOP = Delays({}, {("Q", 0): 300}, {("D", 0): 10, ("CE", 0): 100, ("R", 0): 400})
DSP = Delays({}, {("P", 0): 300, ("PCOUT", 0): 500, ("PCOUT", 1): 500}, {("PCIN", 0): 900})
NOTHING = Delays({}, {}, {})


@pytest.fixture
def netlist() -> Netlist:
    return Netlist.from_json(DESIGN, TOP)


def delays(netlist: Netlist) -> dict[tuple[str, ...], Delays]:
    types = {"LUT2": LUT, "FDRE": FLIP_FLOP, "DSP48E1": DSP}
    return {timing.kind(c): types.get(c.type, NOTHING) for c in netlist.cells}


# Netlists


def test_cells_belong_to_instances(netlist):
    assert netlist.owners == {
        "$a": "u_first",
        "$b": "u_second/u_third",
        "$x": "u_second/u_third",  # by its reader's reader
        "$y": "u_second/u_third",
        "$high": "u_first",
        "$low": "u_first",  # by the cascade
        "g_m[1].u_ram.mem.0.3": "g_m[*].u_ram",
        "$s": "",
    }


def test_a_net_is_named_where_it_is_driven(netlist):
    assert netlist.name_of(2) == "u_first.a_q"
    assert netlist.name_of(3) == "u_second.u_third.b_q[1]"
    assert netlist.name_of(4) is None


def test_primitives_are_counted(netlist):
    assert area.total(netlist).block_ram == 0.5
    assert area.total(netlist) == Area(dsp=2, ramb18=1, lut=3, lutram=1, ff=2)
    parts = area.by_instance(netlist)
    assert parts["u_first"] == Area(dsp=2, ff=1)
    assert parts["u_second/u_third"] == Area(lut=2, ff=1)
    assert list(parts) == sorted(parts)
    found = area.multipliers(netlist, "u_first")
    assert len(found) == 2
    assert area.multipliers(netlist, "u_fir") == []
    assert area.registers_used(found) == {"AREG": 0, "BREG": 0, "MREG": 0, "PREG": 2}


def test_block_rams_are_read_through_registers(netlist):
    ram = area.block_rams(netlist)[0]
    assert area.is_registered(netlist, ram)  # by a shift register
    netlist.readers[9].append(Pin(netlist.cells[0], "D", 0))
    assert area.is_registered(netlist, ram)
    netlist.readers[9].append(Pin(netlist.cells[0], "CE", 0))
    assert not area.is_registered(netlist, ram)


def test_an_unknown_primitive_is_no_silent_zero():
    with pytest.raises(ValueError, match="unknown type OTHER"):
        Area().add(Netlist.from_json(one(cell("OTHER", {}, {})), TOP).cells[0].type)


def test_latches_are_found():
    latch = one(cell("LDCE", {"D": 1}, {"Q": 2}))
    latch["modules"][TOP]["netnames"]["u_a.kept"] = net(2)
    assert area.latches(Netlist.from_json(latch, TOP)) == ["u_a.kept"]


# Timing


def test_longest_paths_are_found_by_hand(netlist):
    first, second, third = Timing(netlist, delays(netlist)).longest(10)
    assert (first.delay, first.luts, first.carries) == (300 + 600 + 600 + 10, 2, 0)
    assert (first.start, first.end) == ("u_first.a_q", "u_second.u_third.b_q[1]")
    assert (second.delay, second.luts) == (500 + 900, 0)
    assert second.start == "u_first (DSP48E1 PCOUT)"
    assert second.end == "u_first.product (DSP48E1 PCIN)"
    assert (third.delay, third.start, third.end) == (310, "u_first.product", "u_first.a_q")
    assert Timing(netlist, delays(netlist)).longest(1) == [first]


def test_levels_count_luts(netlist):
    path = Timing(netlist, timing.levels(delays(netlist))).longest(1)[0]
    assert (path.delay, path.luts, path.end) == (2, 2, "u_second.u_third.b_q[1]")


def test_nets_take_time(netlist):
    found = Timing(netlist, delays(netlist), lambda bit, cell, port: 100 * bit).longest(9)
    assert {p.end: p.delay for p in found} == {
        "u_second.u_third.b_q[1]": 1510 + 200 + 400 + 500,
        "u_first.product (DSP48E1 PCIN)": 1400 + 700,
        "u_first.a_q": 310 + 600,
    }


def test_paths_of_a_length_are_left_out(netlist):
    assert [p.delay for p in Timing(netlist, delays(netlist)).longest(9, above=310)] == [1510, 1400]


def test_a_loop_is_an_error():
    loop = one(cell("LUT2", {"I0": 2, "I1": "0"}, {"O": 2}))
    netlist = Netlist.from_json(loop, TOP)
    with pytest.raises(ValueError, match="combinational loop"):
        Timing(netlist, delays(netlist))


def test_the_probe_has_each_kind_once(netlist):
    text = timing.probe(netlist)
    assert text.count("LUT2") == text.count("FDRE") == 1
    assert text.count("DSP48E1") == 2
    assert '.USE_MULT("MULTIPLY")' in text
    assert "INIT" not in text


def model(ports: dict[str, list[int]], *cells: dict) -> dict:
    return {
        "ports": {p: {"bits": b} for p, b in ports.items()},
        "cells": {str(i): c for i, c in enumerate(cells)},
    }


def specify(type_: str, nets: dict[str, Any], **parameters: str) -> dict:
    return {"type": type_, "parameters": parameters, "connections": nets}


def test_delays_are_read_from_models():
    ns = {"T_RISE_MAX": f"{300:b}", "T_FALL_MAX": f"{200:b}"}
    design = {
        "modules": {
            "probe": {"cells": {"c0": {"type": "derived"}}},
            "derived": model(
                {"DOADO": [2, 3], "A": [4, 5], "CLK": [6]},
                specify("$specify3", {"EN": ["0"], "SRC": [6], "DST": [2, 3]}, **ns),
                specify("$specify2", {"EN": ["1"], "SRC": [4, 5], "DST": [2, 3]}, FULL="0", **ns),
                specify("$specrule", {"SRC": [4], "DST": [6]}, TYPE="$setup", T_LIMIT_MAX="101"),
                specify("$specrule", {"SRC": [5], "DST": [6]}, TYPE="$setup", T_LIMIT_MAX="xxx"),
                specify("$specrule", {"SRC": [5], "DST": [6]}, TYPE="$hold", T_LIMIT_MAX="111"),
            ),
        }
    }
    netlist = Netlist.from_json(one(cell("RAMB18E1", {"A": [4, 5]}, {"DOADO": [2, 3]})), TOP)
    found = timing.cell_delays(netlist, design)[("RAMB18E1",)]
    assert found.through == {(("A", i), ("DOADO", i)): 300 for i in (0, 1)}
    assert found.setup == {("A", 0): 5, ("A", 1): 0}
    # A block RAM without its output register is slow, and not at once.
    assert found.arrival == {("DOADO", i): 2454 for i in (0, 1)}


# Parts, bars, text


def test_every_board_with_a_device_has_its_figures():
    for name in board_names():
        part = load_board(name).part
        if part != "none":
            assert part.startswith(find_part(part).name)
    for limits in find_part("xc7z020clg400-1").limits.values():
        assert limits["dsp_least"] >= 0.9 * find_part("xc7z020").dsp
    with pytest.raises(BoardError, match="no figures for part 'xc9'; known parts: xc7z020"):
        find_part("xc9")


def report(netlist: Netlist, **changes: Any) -> Report:
    board, part = load_board("pynq-z2"), find_part("xc7z020")
    made = Synthesis(netlist, None, delays(netlist), "a tool", "a key")  # type: ignore[arg-type]
    values = {**Report.of(board, part, made).__dict__, **changes}
    if "estimated" not in changes:
        values["estimated"] = values["total"]
    return Report(**values)


def missed(made: Report) -> list[str]:
    return [bar.what for bar in made.bars() if not bar.met]


GOOD = {
    "total": Area(dsp=219, ramb36=85, ramb18=90, lut=44_000, ff=53_000),
    "array": 192,
    "rams": 130,
    "registered": 130,
    "registers": dict.fromkeys(("AREG", "BREG", "MREG", "PREG"), 192),
}


def test_bars(netlist):
    assert missed(report(netlist, **GOOD)) == []
    total = Area(dsp=221, ramb36=85, ramb18=91, lut=44_001, ff=53_001)
    assert missed(report(netlist, **{**GOOD, "total": total})) == ["DSP48", "RAMB36", "LUT", "FF"]
    assert missed(report(netlist, **{**GOOD, "total": Area(dsp=197)})) == ["DSP48"]
    for array in (191, 193):
        assert missed(report(netlist, **{**GOOD, "array": array}))[0].startswith("DSP48 of the a")
    registers = {**GOOD["registers"], "MREG": 191}
    assert missed(report(netlist, **{**GOOD, "registers": registers})) == [
        "DSP48 of the array with MREG"
    ]
    assert missed(report(netlist, **{**GOOD, "registered": 129})) == [
        "block RAMs read through a register"
    ]
    assert missed(report(netlist, **GOOD, latches=["a"])) == ["latches"]
    off = Area(dsp=219, ramb36=85, ramb18=90, lut=48_401, ff=47_700)
    assert missed(report(netlist, **GOOD, estimated=off)) == ["estimate of LUT, percent off"]
    small = {"multipliers": 64, "array": 64, "registers": dict.fromkeys(GOOD["registers"], 64)}
    few = Area(dsp=91, ramb36=85, ramb18=90)
    assert missed(report(netlist, **{**GOOD, **small, "total": few})) == []  # meant to be small
    slow = [timing.Path(4001, 6, 0, "a", "b")]
    assert missed(report(netlist, **GOOD, paths=slow)) == [
        "ps of logic on the longest path",
        "LUTs on the longest path",
    ]
    late = find_part("xc7z020").limits[8]["late"]
    routed = [timing.Path(6668, 2, 0, "a", f"b{n}") for n in range(late)]
    routed.append(timing.Path(6667, 2, 0, "a", "in time"))
    assert missed(report(netlist, **GOOD, routed=routed)) == []
    routed.append(timing.Path(6668, 2, 0, "a", "c"))
    assert missed(report(netlist, **GOOD, routed=routed)) == [
        "registers that miss the clock, nets estimated"
    ]


def test_the_text_and_the_json_say_the_same(netlist):
    made = report(netlist, **GOOD)
    text, data = made.text(), json.loads(json.dumps(made.as_dict()))
    assert "DSP48  |########################################|      219 of     220  99.5 %" in text
    assert "u_second/u_third" in text
    assert re.search(r"u_first\.a_q +u_second\.u_third\.b_q\[1\] +1510 +2 +0", text)
    assert "MISSED" not in text
    assert data["total"]["dsp"] == 219
    assert data["paths"][0]["delay"] == 1510
    assert all(bar["met"] for bar in data["bars"])
    assert data["instances"]["u_first"]["dsp"] == 2
    # Clock to output, two LUTs with a net before each, none from the last to the flip-flop beside.
    slowest = made.routed[0]
    assert slowest.end == "u_second.u_third.b_q[1]"
    assert re.search(rf"u_second\.u_third\.b_q\[1\] +{slowest.delay} +2 +0", text)
    assert "Registers over 6,667 ps, the clock: 0" in text
    assert re.search(r"u_first\.a_q +3 +5\d\d", text)
    assert data["routed"]["paths"][0]["delay"] == slowest.delay
    assert (data["routed"]["period"], data["routed"]["goal"]) == (6667, 5000)
    assert data["routed"]["over_period"] == data["routed"]["over_goal"] == 0
    assert data["nets"][0] == {"name": "u_first.a_q", "loads": 3, "delay": made.nets[0].delay}


# Command line


@pytest.fixture
def fake(monkeypatch, netlist):
    """The netlist made by hand in place of a synthesis."""
    calls = []

    def synthesise(core: Any, family: str) -> Synthesis:
        calls.append((core, family))
        return Synthesis(netlist, None, delays(netlist), "a tool", "a key")  # type: ignore[arg-type]

    monkeypatch.setattr(synthesis, "synthesise", synthesise)
    return calls


def test_command(fake, tmp_path, capsys):
    file = tmp_path / "report.json"
    code = cli.main(
        ["overlay", "report", "--board", "pynq-z1", "--bits", "16", "--json", str(file)]
    )
    assert code == 1  # far from 192 multipliers
    assert fake == [(load_board("pynq-z1", 16).core, "xc7")]
    data = json.loads(file.read_text())
    assert (data["board"], data["data_width"], data["part"]["name"]) == ("pynq-z1", 16, "xc7z020")
    assert "MISSED  DSP48: 2, at least 198" in capsys.readouterr().out


def test_command_where_all_bars_are_met(fake, monkeypatch, capsys):
    monkeypatch.setattr(Report, "bars", lambda self: [])
    assert cli.main(["overlay", "report"]) == 0
    assert "pynq-z2 int8 on xc7z020" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        (["--board", "tiny"], "no figures for part 'none'"),
        (["--board", "none-such"], "unknown board 'none-such'"),
        (["--bits", "9"], "has no int9 core"),
        (["--json", "/none/such.json"], "folder /none does not exist"),
    ],
)
def test_what_cannot_be_reported(fake, words, message, capsys):
    assert cli.main(["overlay", "report", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("winogen: ")
    assert message in error
    assert not fake


# Yosys


def test_no_yosys(monkeypatch):
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"needs Yosys: pip install 'winogen\[synth\]'"):
        yosys.find_yosys()


@pytest.mark.parametrize(
    "program, message",
    [
        ("print('ERROR: no such pass'); raise SystemExit(1)", r"exit 1\): ERROR: no such pass; "),
        ("import os; os.abort()", r"exit -6\): no message; its messages are in .*log"),
        ("import time; time.sleep(60)", r"not finished in 0\.5 s \(script\.ys\)"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="exit codes of POSIX")
def test_a_yosys_that_fails(program, message, tmp_path):
    script = tmp_path / "script.ys"
    script.touch()
    with pytest.raises(DeviceError, match=message):
        Yosys("yosys", "0", program).run(script, tmp_path / "log", 0.5)
