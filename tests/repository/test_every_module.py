"""Every module of the logic is the direct subject of a test bench, which has its own ports.

A subject is a top level that a test of tests/rtl simulates, or a module that a test bench (there
or in hw_src/formal) has an instance of. What only lies inside another module does not count.
"""

from __future__ import annotations

import re

import pytest

from support.places import HARDWARE, TESTS
from winogen.target.hardware import rtl_sources

#: No modules: test_rtlgen.py and test_hardware.py compare them with Python.
PACKAGES = ("winogen_pkg", "winogen_rules_pkg", "wg_types_pkg")
OPEN = HARDWARE / "open"
BENCHES = TESTS / "rtl"
#: winogen.emulation.rtl simulates the whole core; its tests drive it by registers and memory.
CORE = ("winogen_core", "wg_core")
SIMULATED = re.compile(r"\b(?:run|run_unit|simulate)\(\s*(?:monkeypatch,\s*)?\"(\w+)\"")
INSTANCE = re.compile(r"^\s*(\w+)\s+(?:#\([^;]*?\)\s*)?u_\w+\s*\(", re.M)


def subjects(text: str) -> set[str]:
    """Modules that a source file, Python or SystemVerilog, simulates or has an instance of."""
    return set(SIMULATED.findall(text)) | set(INSTANCE.findall(text))


def all_subjects() -> set[str]:
    folders = [(BENCHES, "*.py"), (BENCHES, "tb_*.sv"), (HARDWARE / "formal", "fv_*.sv")]
    files = [path for folder, pattern in folders for path in folder.rglob(pattern)]
    return set().union(*(subjects(path.read_text()) for path in files))


@pytest.mark.parametrize(
    "module", sorted(p.stem for p in [*rtl_sources(), *OPEN.glob("*.sv")] if p.stem not in PACKAGES)
)
def test_every_module_has_a_test(module: str) -> None:
    if module in CORE:
        assert any("RtlCore(" in path.read_text() for path in BENCHES.rglob("test_*.py"))
    else:
        assert module in all_subjects(), f"no test drives {module} itself"


def test_a_module_without_a_test_is_seen() -> None:
    """The check can fail: comments and modules inside others are no subjects."""
    text = """
    // wg_commented u_commented (
    wg_top #(
      .Width(8), .Depth(2)
    ) u_top (.clk_i);
    wg_plain u_plain (.*);
    wire wg_wire;
    """
    assert subjects(text) == {"wg_top", "wg_plain"}
    assert subjects('run("wg_a", [RTL / "wg_b.sv"])\nsimulate(monkeypatch, "wg_c", x)') == {
        "wg_a",
        "wg_c",
    }
