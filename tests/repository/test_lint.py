"""The logic is accepted, without a warning, by tools that we did not write."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.places import FAKES
from support.rtl.runner import FOLDERS, packages, verilator_root
from winogen.common.errors import BoardError
from winogen.fpga.open_flow import open_sources
from winogen.fpga.settings import top_parameters
from winogen.target.board import CoreConfig, board_names, load_board
from winogen.target.hardware import (
    hardware_folder,
    include_folder,
    parameters,
    rtl_sources,
    wrapper,
)

MODULES = {path.stem: path for path in rtl_sources() if path not in packages()}
OPEN = {path.stem: path for path in open_sources()}
ADAPTERS = sorted(name for name in OPEN if name.startswith("wg_"))
FILES = {**MODULES, **OPEN, "winogen": wrapper()}
OPEN_FOLDER = ("-y", str(hardware_folder() / "open"))
PS7 = FAKES / "ps7_model.sv"


def builds() -> Iterator[tuple[str, int]]:
    """Every board and data width that it has a core for."""
    for name in board_names():
        for bits in (8, 16):
            with suppress(BoardError):
                yield load_board(name, bits).name, bits


CORES = list(builds())
#: The top levels around the core: all parameters go through, whatever their values.
TOPS = [("pynq-z2", 8), ("tiny", 16)]
#: Each board's build, in the default run those whose sizes are no other's with more of the same,
#: and that are not within the wrapper, which is checked with all that it holds.
BUILDS = [
    pytest.param(
        *c, marks=() if c[0] in ("tiny", "pynq-z2") and c not in TOPS else pytest.mark.long
    )
    for c in CORES
]


def lint(top: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = verilator_root()
    command = [root / "bin/verilator_bin", "--lint-only", "-Wall", *FOLDERS, *arguments]
    environment = {**os.environ, "VERILATOR_ROOT": str(root)}
    return subprocess.run(
        [*map(str, command), "--top-module", top, *map(str, [*packages(), FILES[top]])],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_clean(module):
    result = lint(module)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("board, bits", BUILDS)
def test_the_core_is_clean_in_every_build(board, bits):
    core: CoreConfig = load_board(board, bits).core
    result = lint("winogen_core", *(f"-G{n}={v}" for n, v in parameters(core).items()))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "board, bits", [pytest.param(*c, marks=() if c in TOPS else pytest.mark.long) for c in CORES]
)
def test_the_wrapper_for_vivado_is_clean_in_every_build(board, bits):
    chosen = load_board(board, bits)
    values = {"ADDR_WIDTH": "32", **top_parameters(chosen.core)}
    verilog = {n: v.replace("0x", "32'h") for n, v in values.items()}
    result = lint("winogen", *(f"-G{n}={v}" for n, v in verilog.items()))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ADAPTERS)
def test_every_adapter_of_the_open_flow_is_clean(module):
    result = lint(module, *OPEN_FOLDER)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("board, bits", TOPS)
def test_the_top_level_of_the_open_flow_is_clean(board, bits):
    core: CoreConfig = load_board(board, bits).core
    values = (f"-G{n}={v}" for n, v in parameters(core).items())
    result = lint("winogen_open", *OPEN_FOLDER, str(PS7), *values)
    assert result.returncode == 0, result.stderr


def test_a_warning_is_seen(tmp_path):
    """The check can fail."""
    bad = tmp_path / "bad.sv"
    bad.write_text("module bad(input logic [1:0] a_i, output logic b_o);\n"
                   "  assign b_o = a_i;\nendmodule\n")  # fmt: skip
    root = verilator_root()
    result = subprocess.run(
        [str(root / "bin/verilator_bin"), "--lint-only", "-Wall", str(bad)],
        env={**os.environ, "VERILATOR_ROOT": str(root)}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert result.returncode != 0
    assert "WIDTH" in result.stderr


YOSYS = """
from pyosys import libyosys as ys
design = ys.Design()
for command in {commands!r}:
    ys.run_pass(command, design)
"""


def test_yosys_elaborates_the_core_and_finds_no_problem():
    pytest.importorskip("pyosys")
    core = load_board("tiny").core
    values = " ".join(f"-G {n}={v}" for n, v in parameters(core).items())
    sources = " ".join(map(str, rtl_sources()))
    commands = [
        f"read_slang --top winogen_core -I {include_folder()} -D SYNTHESIS {values} {sources}",
        "hierarchy -check -top winogen_core",
        "proc",
        "check -assert",
    ]
    result = subprocess.run(
        [sys.executable, "-c", YOSYS.format(commands=commands)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "Found and reported 0 problems." in result.stdout
    assert "Latch inferred" not in result.stdout


@pytest.mark.parametrize("path", [*rtl_sources(), *open_sources()], ids=lambda p: p.stem)
def test_one_module_a_file_and_no_blanket_waiver(path: Path):
    text = path.read_text()
    names = re.findall(r"^(?:module|package) (\w+)", text, re.M)
    assert names == [path.stem]
    assert len(re.findall(r"lint_off", text)) == len(re.findall(r"lint_on", text))
