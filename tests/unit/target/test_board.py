"""Board files, and how pynq finds a board's bitstream."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pynq
import pytest
import yaml
from pynq.bitstream import Bitstream

from winogen.common.errors import BoardError, DeviceError
from winogen.fpga.parts import find_part
from winogen.runtime.open import emulated_device, open_device
from winogen.runtime.overlay import choose_clock_source
from winogen.target.board import board_folder, board_names, load_board

REAL = [name for name in board_names() if name != "tiny"]


@pytest.mark.parametrize("name", REAL)
def test_boards_are_possible(name):
    board = load_board(name)
    part = find_part(board.part)
    assert board.name == name
    assert board.core.multipliers <= part.dsp
    if board.platform:
        divisor = board.platform.source_mhz / board.clock_mhz
        assert divisor == int(divisor), "the clock of the logic divides that of its source"
        assert board.contiguous_mib < board.platform.ddr_mib


def test_the_pynq_boards_have_the_same_builds():
    for bits in (8, 16):
        a, b = (load_board(name, bits) for name in ("pynq-z1", "pynq-z2"))
        assert a.core == b.core
        assert (a.part, a.clock_mhz, a.dram_mb_s) == (b.part, b.clock_mhz, b.dram_mb_s)


def test_like(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("like: pynq-z2\nname: mine\nclock_mhz: 100\nplatform: {ddr_mib: 1024}\n")
    mine, theirs = load_board(path), load_board("pynq-z2")
    assert (mine.name, mine.clock_mhz, mine.core) == ("mine", 100, theirs.core)
    assert mine.platform is not None and theirs.platform is not None
    assert mine.platform.ddr_mib == 1024
    assert mine.platform.clock_source == theirs.platform.clock_source
    path.write_text("like: nothing\nname: mine\n")
    with pytest.raises(BoardError, match="'like' names no board: 'nothing'"):
        load_board(path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("processor", "versal", "must be zynq7 or zynqmp, not 'versal'"),
        ("ddr_mib", 0, "must be a positive whole number, not 0"),
        ("ddr_mib", True, "must be a positive whole number, not True"),
        ("source_mhz", "fast", "source_mhz must be positive, not 'fast'"),
        ("clock_source", 3, "clock_source must be text, not 3"),
        ("colour", "red", "colour"),
    ],
)
def test_wrong_platforms(field, value, words, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"like": "pynq-z2", "platform": {field: value}}))
    with pytest.raises(BoardError, match=words):
        load_board(path)


@pytest.mark.parametrize("board", ["Pynq-Z1", "Pynq-Z2", "ZCU104"])
def test_pynq_finds_the_bitstream_by_its_name(board, tmp_path, monkeypatch):
    """pynq asks the entry point's module for its path; BOARD says which board this is."""
    folder = tmp_path / "overlays"
    shutil.copytree(board_folder(), folder)
    for name in REAL:
        (folder / name / "winogen.bit").write_bytes(b"")
    monkeypatch.setenv("BOARD", board)
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location(
        "winogen.overlays", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "winogen.overlays", module)
    spec.loader.exec_module(module)
    found = Bitstream("winogen.bit", device=object())
    assert found.bitfile_name == str(folder / board.lower() / "winogen.bit")


def test_the_logic_gets_the_clock_that_the_overlay_wants(tmp_path):
    """After boot its source is the IO PLL, of which pynq's divisors make less."""
    board = load_board("pynq-z2")
    device = emulated_device(board)
    assert device.clock_mhz == pytest.approx(1000 / 7)
    _, overlay, _ = open_device(device, board)
    assert device.clock_mhz == pynq.Clocks.fclk0_mhz == 150
    hwh = Path(overlay.bitfile_name).with_suffix(".hwh")
    copy = tmp_path / "winogen.bit"
    shutil.copy(overlay.bitfile_name, copy)
    copy.with_suffix(".hwh").write_text(hwh.read_text().replace("DDR PLL", "ARM PLL"))
    with pytest.raises(DeviceError, match="'ARM PLL'; winogen can choose IO PLL or DDR PLL"):
        choose_clock_source(device, copy)
