"""slang, at its strictest, has nothing to say about the logic and the test benches."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from support.rtl.slang import BENCHES, OPTIONS, Design, Top, benches, builds, single_modules

#: What slang has to find in a module that is otherwise without fault.
FAULTS = {
    "width-trunc": "assign b_o = a_i + 9'(a_i);",
    "width-expand": "logic [8:0] c; assign c = a_i; assign b_o = c[7:0] ^ {8{c[8]}};",
    "undriven-net": "wire [7:0] c; assign b_o = a_i ^ c;",
    "unassigned-variable": "logic [7:0] c; assign b_o = a_i ^ c;",
    "inferred-latch": "always_comb if (a_i[0]) b_o = a_i;",
    "unused-variable": "logic c; assign b_o = a_i;",
    "case-default": "always_comb begin b_o = a_i; case (a_i[1:0]) 0, 1: b_o = '0; endcase end",
    "index-oob": "assign b_o = {a_i[8], a_i[6:0]};",
    "unconnected-input-port": "wg_delay #(.Width(8)) u_d (.clk_i(a_i[0]), .data_o(b_o));",
}


@pytest.mark.parametrize("top", single_modules(), ids=str)
def test_every_module_is_clean(top: Top) -> None:
    assert Design(top).problems() == ""


@pytest.mark.parametrize("top", builds(), ids=str)
def test_every_build_is_clean(top: Top) -> None:
    assert Design(top).problems() == ""


@pytest.mark.parametrize("top", benches(), ids=str)
def test_every_test_bench_is_clean(top: Top) -> None:
    assert Design(top).problems() == ""


def module(folder: Path, body: str) -> Top:
    path = folder / "planted.sv"
    path.write_text(
        "module planted (input logic [7:0] a_i, output logic [7:0] b_o);\n" + body + "\nendmodule\n"
    )
    return Top("planted", (path,))


def test_a_module_without_fault_is_clean(tmp_path: Path) -> None:
    assert Design(module(tmp_path, "assign b_o = ~a_i;")).problems() == ""


@pytest.mark.parametrize("warning", FAULTS)
def test_a_fault_is_found(warning: str, tmp_path: Path) -> None:
    problems = Design(module(tmp_path, FAULTS[warning])).problems()
    assert f"[-W{warning}]" in problems, problems


def test_an_error_is_found(tmp_path: Path) -> None:
    assert "error:" in Design(module(tmp_path, "assign b_o = missing;")).problems()
    assert "error:" in Design(module(tmp_path, "assign b_o = a_i")).problems()


def test_no_warning_is_off_for_nothing(tmp_path: Path) -> None:
    """Every option that turns a warning off is needed: without it there would be some."""
    for options, tops in ((OPTIONS, [*single_modules(), *builds()]), (BENCHES, benches())):
        off = set(re.findall(r"^-Wno-(\S+)$", options.read_text(), re.M))
        assert off
        strict = tmp_path / options.name
        strict.write_text(re.sub(r"(?m)^-Wno-.*$", "", options.read_text()))
        for top in tops:
            changed = tuple(strict if path == options else path for path in top.options)
            off -= set(re.findall(r"\[-W(\S+)\]", Design(replace(top, options=changed)).problems()))
            if not off:
                break
        assert not off, f"{options.name} turns off what nothing causes: {sorted(off)}"
