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
from winogen.common.yaml_text import read_yaml
from winogen.fpga.parts import find_part
from winogen.runtime.clocks import choose_clock_source
from winogen.runtime.open import emulated_device, open_device
from winogen.target.board import (
    _values,
    board_folder,
    board_names,
    build_for,
    builds_for,
    load_board,
)
from winogen.target.clock import PlClock
from winogen.target.hwh import hwh_text

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


def test_no_board_changes_what_was_read_for_the_next():
    """A file is parsed once; its ``like`` is another's, whose values are joined with its own."""
    texts = [(board_folder() / name / "board.yaml").read_text("utf-8") for name in board_names()]
    boards = [load_board(name) for name in board_names()]
    assert [load_board(name) for name in board_names()] == boards
    assert [_values(text) for text in texts] == [read_yaml(text) for text in texts]


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


def test_builds_for_one_board(tmp_path, monkeypatch):
    """A board has its own build, and others whose files say that they run on it."""
    assert builds_for("pynq-z2") == ["pynq-z2", "pynq-z2-open"]
    assert builds_for("pynq-z1") == ["pynq-z1", "pynq-z2-open"]
    assert builds_for("zcu104") == ["zcu104"]
    assert builds_for("ultra96") == builds_for("") == []
    folder = tmp_path / "overlays"
    shutil.copytree(board_folder(), folder, ignore=shutil.ignore_patterns("*.bit"))
    monkeypatch.setattr("winogen.target.board.board_folder", lambda: folder)
    for here in ("pynq-z1", "pynq-z2"):
        assert build_for(here) == here  # there is no bitstream
    (folder / "pynq-z2-open" / "winogen.bit").write_bytes(b"")
    assert build_for("pynq-z1") == build_for("pynq-z2") == "pynq-z2-open"
    (folder / "pynq-z2" / "winogen16.bit").write_bytes(b"")
    assert build_for("pynq-z2") == "pynq-z2"


@pytest.mark.parametrize("names", ["pynq-z2", ["nowhere"], [3], {"a": 1}])
def test_what_runs_on_no_board(names, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"like": "pynq-z2", "name": "mine", "runs_on": names}))
    with pytest.raises(BoardError, match="runs_on must be a list of boards that winogen knows"):
        load_board(path)


def test_the_build_for_open_tools_is_a_small_pynq_z2():
    full, small = load_board("pynq-z2"), load_board("pynq-z2-open")
    assert (small.part, small.dram_mb_s) == (full.part, full.dram_mb_s)
    assert small.core.multipliers == 64
    assert 50 <= small.clock_mhz <= 100
    for name in ("input_depth", "weight_depth", "psum_depth", "output_depth", "step_depth"):
        assert getattr(small.core, name) < getattr(full.core, name)


@pytest.mark.parametrize(
    ("board", "there", "found"),
    [
        ("Pynq-Z1", REAL, "pynq-z1"),
        ("Pynq-Z2", REAL, "pynq-z2"),
        ("ZCU104", REAL, "zcu104"),
        ("Pynq-Z2", ["pynq-z1", "pynq-z2-open"], "pynq-z2-open"),  # the other build for it
        ("Pynq-Z2", ["pynq-z2", "damaged"], "pynq-z2"),
    ],
)
def test_pynq_finds_the_bitstream_by_its_name(board, there, found, tmp_path, monkeypatch):
    """pynq asks the entry point's module for its path; BOARD says which board this is."""
    folder = tmp_path / "overlays"
    shutil.copytree(board_folder(), folder, ignore=shutil.ignore_patterns("*.bit"))
    monkeypatch.setattr("winogen.target.board.board_folder", lambda: folder)
    for name in there:
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "winogen.bit").write_bytes(b"")
    if "damaged" in there:  # pynq asks for every overlay, and must get an answer
        (folder / "damaged" / "board.yaml").write_text("{")
    monkeypatch.setenv("BOARD", board)
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location(
        "winogen.overlays", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "winogen.overlays", module)
    spec.loader.exec_module(module)
    bitstream = Bitstream("winogen.bit", device=object())
    assert bitstream.bitfile_name == str(folder / found / "winogen.bit")


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


# The clock that was built


@pytest.fixture
def built(tmp_path, monkeypatch) -> Path:
    """The boards' folders, where a PYNQ-Z2 has an int8 bitstream for 125 MHz."""
    folder = tmp_path / "overlays"
    shutil.copytree(board_folder(), folder)
    monkeypatch.setattr("winogen.target.board.board_folder", lambda: folder)
    write_build(folder / "pynq-z2" / "winogen.bit", PlClock(8, 1, "IO PLL"))
    return folder


def write_build(bit: Path, clock: PlClock) -> None:
    bit.write_bytes(b"")
    bit.with_suffix(".hwh").write_text(hwh_text({}, clock, 1 << 29))


def test_a_board_has_the_clock_that_its_bitstream_was_built_for(built):
    board = load_board("pynq-z2")
    assert board.clock_mhz == 125
    assert (board.platform.clock_source, board.platform.source_mhz) == ("IO PLL", 1000)
    assert board.dram_bytes_per_cycle == 1575 / 125
    assert emulated_device(board)._slcr.fclk_mhz(0) == 125
    assert board.core.config_hash == load_board("pynq-z2", as_built=False).core.config_hash
    # Others are what their files say: another width, another board, a file like it.
    assert load_board("pynq-z2", as_built=False).clock_mhz == 150
    assert load_board("pynq-z2", 16).clock_mhz == 150
    assert load_board("pynq-z1").clock_mhz == 150
    mine = built.parent / "mine.yaml"
    mine.write_text("like: pynq-z2\nname: mine\n")
    assert load_board(mine).clock_mhz == 150


def test_what_vivado_rounds_is_no_other_clock(built):
    path = built / "pynq-z2" / "winogen.hwh"
    write_build(path.with_suffix(".bit"), PlClock(7, 1, "DDR PLL"))
    path.write_text(path.read_text().replace('"150.0"', '"150.000015"'))
    assert load_board("pynq-z2") == load_board("pynq-z2", as_built=False)


def test_a_damaged_or_missing_hwh_changes_nothing(built):
    path = built / "pynq-z2" / "winogen.hwh"
    path.write_text("<")
    assert load_board("pynq-z2").clock_mhz == 150
    path.unlink()
    assert load_board("pynq-z2").clock_mhz == 150
