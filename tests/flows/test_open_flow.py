"""The open flow, with programs that stand in for place and route and the bitstream tools.

Their arguments and inputs are checked by open_stub.py. Yosys' part is replaced too, since it takes
minutes: what the real one makes of the script is tested as far as elaboration here, and whole by
``-m long``.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
from pynq.pl_server.embedded_device import bit2bin, parse_bit_header
from pynqmetadata.frontends import Metadata

from fakes import open_stub
from winogen.cli import main as cli
from winogen.common.errors import BoardError, DeviceError, WinogenError
from winogen.common.process import run_program
from winogen.fpga import open_flow
from winogen.fpga.open_flow import build_open, open_hwh, open_sources, yosys_script
from winogen.fpga.open_tools import BITSTREAM, CHIPDB, DATABASE, FRAMES, NEXTPNR
from winogen.fpga.yosys import Yosys, find_yosys
from winogen.runtime.open import emulated_device
from winogen.target.board import load_board
from winogen.target.handoff import read_handoff
from winogen.target.hardware import parameters, rtl_headers, rtl_sources
from winogen.target.hwh import INTC_BASE, IP_BASE

PART = "xc7z020clg400-1"
#: The build for these tools.
BOARD = "pynq-z2-open"
BUILDS = [(BOARD, 8), ("pynq-z1", 8), ("pynq-z1", 16), ("pynq-z2", 8), ("pynq-z2", 16)]
PROGRAMS = ("nextpnr-xilinx", "fasm2frames", "xc7frames2bit")
#: Writes a netlist that has a processing system, if all sources lie beside the script.
FAKE_YOSYS = """
import json, pathlib, re, sys
script = pathlib.Path(sys.argv[1]).read_text()
command = re.search("^read_slang (.*)", script, re.M)[1].split()
assert command[:2] == ["--top", "winogen_open"]
assert all(pathlib.Path(name).is_file() for name in command if name.endswith(".sv"))
module = {"attributes": {"top": "1"}, "cells": {"u_ps7": {"type": "PS7"}}}
pathlib.Path("open.json").write_text(json.dumps({"modules": {"winogen_open": module}}))
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch):
    """What happens to be installed here has no say."""
    names = {*NEXTPNR, *FRAMES, *BITSTREAM}
    places = os.environ["PATH"].split(os.pathsep)
    kept = [p for p in places if not any((Path(p) / name).exists() for name in names)]
    monkeypatch.setenv("PATH", os.pathsep.join(kept))
    for variable in (CHIPDB, DATABASE, "STUB_MHZ", "STUB_FAULT", "STUB_RECORD"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def yosys(monkeypatch):
    fake = Yosys("yosys", "0", FAKE_YOSYS)
    monkeypatch.setattr(open_flow, "find_yosys", lambda: fake)


def install(folder: Path, monkeypatch, *names: str) -> None:
    programs = folder / "the bin"
    programs.mkdir(parents=True)
    for name in names:
        program = programs / name
        # Without what the environment adds to Python, which is most of such a short run.
        command = shlex.join([sys.executable, "-E", "-S", open_stub.__file__, name])
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


def databases(folder: Path, monkeypatch) -> None:
    chipdb, part = folder / "the chipdb", folder / "the db" / "zynq7" / PART
    chipdb.mkdir(parents=True)
    part.mkdir(parents=True)
    (chipdb / "xc7a50tcsg324.bin").write_bytes(b"chipdb xc7a50t")
    (chipdb / "chipdb-xc7z020clg484.bin").write_bytes(b"of another package")
    (chipdb / "xc7z020clg400.bin").write_bytes(b"chipdb xc7z020")
    (part / "part.yaml").write_text("{}\n")
    monkeypatch.setenv(CHIPDB, str(chipdb))
    monkeypatch.setenv(DATABASE, str(folder / "the db"))


@pytest.fixture
def tools(yosys, tmp_path, monkeypatch) -> Path:
    """All programs and databases; returns the file of their calls."""
    install(tmp_path, monkeypatch, *PROGRAMS)
    databases(tmp_path, monkeypatch)
    record = tmp_path / "calls"
    monkeypatch.setenv("STUB_RECORD", str(record))
    return record


def build(tmp_path: Path, board: str = BOARD, bits: int = 8, seconds: float = 60) -> Path:
    large = board != BOARD
    return build_open(load_board(board, bits), tmp_path / "the out", seconds, ignore_checks=large)


# A build


@pytest.mark.parametrize("board, bits", BUILDS)
def test_a_build(board, bits, tools, tmp_path):
    bit = build(tmp_path, board, bits)
    assert bit == tmp_path / "the out" / "winogen.bit"
    assert bit.with_suffix(".hwh").read_text() == open_hwh(load_board(board, bits))
    calls = [json.loads(line) for line in tools.read_text().splitlines()]
    assert [call[0] for call in calls] == list(PROGRAMS)
    assert calls[0][calls[0].index("--freq") + 1] == ("100" if board == BOARD else "150")
    assert calls[0][calls[0].index("--fasm") + 1] == "winogen.fasm"
    assert "--placer-heap-cell-placement-timeout" not in calls[0]  # this one has no such option
    assert Path(calls[0][calls[0].index("--chipdb") + 1]).name == "xc7z020clg400.bin"


def test_pynq_reads_the_bitstream(tools, tmp_path):
    content = build(tmp_path).read_bytes()
    header = parse_bit_header(content)
    assert header["part"] == PART
    assert header["version"] == "Generator=xc7frames2bit"
    assert header["data"].startswith(open_stub.SYNC)
    words = struct.unpack(f"<{len(header['data']) // 4}I", bit2bin(content))
    assert 0xAA995566 in words  # bytes swapped, as the device wants them


@pytest.mark.parametrize("name", ["nextpnr-himbaechel-xilinx", "nextpnr-himbaechel"])
def test_himbaechel_finds_its_own_chip_database(name, yosys, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, name, "fasm2frames.py", "xc7frames2bit")
    databases(tmp_path, monkeypatch)
    monkeypatch.delenv(CHIPDB)
    record = tmp_path / "calls"
    monkeypatch.setenv("STUB_RECORD", str(record))
    assert build(tmp_path).is_file()
    call = json.loads(record.read_text().splitlines()[0])
    assert call[:3] == [name, "--device", PART]
    assert "--chipdb" not in call and "--fasm" not in call
    assert call[call.index("-o") + 1] == "fasm=winogen.fasm"
    assert call[call.index("--placer-heap-cell-placement-timeout") + 1] == "0"


def test_the_specific_program_is_preferred(yosys, tmp_path, monkeypatch):
    """A nextpnr-himbaechel may be for other devices alone."""
    install(tmp_path, monkeypatch, *NEXTPNR, *PROGRAMS[1:])
    databases(tmp_path, monkeypatch)
    record = tmp_path / "calls"
    monkeypatch.setenv("STUB_RECORD", str(record))
    build(tmp_path)
    assert json.loads(record.read_text().splitlines()[0])[0] == "nextpnr-himbaechel-xilinx"


def test_a_nextpnr_xilinx_that_is_himbaechel(tools, tmp_path, monkeypatch):
    """By its options, since some releases call it so."""
    monkeypatch.setenv("STUB_HIMBAECHEL", "1")
    build(tmp_path)
    call = json.loads(tools.read_text().splitlines()[0])
    assert call[:3] == ["nextpnr-xilinx", "--device", PART]
    assert "fasm=winogen.fasm" in call and "--chipdb" in call


def test_the_chip_database_of_the_die_or_a_file(tools, tmp_path, monkeypatch):
    chipdb = tmp_path / "the chipdb"
    (chipdb / "chipdb-xc7z020clg484.bin").unlink()
    for name in ("xc7z020.bin", "mine"):
        (chipdb / "xc7z020clg400.bin").unlink(missing_ok=True)
        (chipdb / name).write_bytes(b"chipdb xc7z020")
        monkeypatch.setenv(CHIPDB, str(chipdb if name.endswith(".bin") else chipdb / name))
        build(tmp_path)
        call = json.loads(tools.read_text().splitlines()[-3])
        assert call[call.index("--chipdb") + 1] == str(chipdb / name)


def test_command(tools, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["overlay", "build", "--board", "pynq-z1", "--bits", "16", "--tool", "open"]
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert "its array is 24 cascades of 8 DSPs" in error and "build --board pynq-z2-open" in error
    assert not tools.exists()  # nothing was run
    assert cli.main([*words, "--ignore-checks"]) == 0
    folder = Path("build", "overlay", "pynq-z1-int16")
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"wrote {folder / 'winogen.bit'} and winogen.hwh, for 150 MHz"
    assert last.startswith("nextpnr's estimate knows no delays of DSPs, block RAMs")
    assert {p.name for p in folder.iterdir()} == {"winogen.bit", "winogen.hwh", "open"}
    assert cli.main([*words, "--settings-only"]) == 2
    assert "--settings-only goes with --tool vivado" in capsys.readouterr().err


# The .hwh


@pytest.mark.parametrize("board, bits", BUILDS)
def test_the_hwh_is_the_emulated_devices(board, bits):
    """But for who made it, and how much DRAM there is."""
    chosen = load_board(board, bits)
    emulated = emulated_device(chosen).ensure_overlay().with_suffix(".hwh").read_text()
    reached = f"0x{(chosen.contiguous_mib + 64 << 20) - 1:08X}"
    expected = emulated.replace("none: emulated by winogen",
                                "none: built by winogen with Yosys and nextpnr")  # fmt: skip
    assert expected.count(reached) == 3
    assert open_hwh(chosen) == expected.replace(reached, "0x1FFFFFFF")


def test_pynq_reads_the_hwh(tmp_path):
    board = load_board("pynq-z2")
    path = tmp_path / "winogen.hwh"
    path.write_text(open_hwh(board))
    parser = RuntimeMetadataParser(Metadata(input=str(path)))
    core = parser.ip_dict["winogen_0"]
    assert core["phys_addr"] == IP_BASE
    assert core["parameters"]["config_hash"] == board.core.config_hash
    assert parser.ip_dict["axi_intc_0"]["phys_addr"] == INTC_BASE
    assert parser.interrupt_pins["winogen_0/interrupt"]["controller"] == "axi_intc_0"
    assert parser.interrupt_controllers["axi_intc_0"]["parent"] == ""
    assert parser.interrupt_controllers["axi_intc_0"]["raw_irq"] == 61  # IRQF2P[0]
    clock = parser.clock_dict[0]
    assert clock["enable"]
    assert 1050 / (clock["divisor0"] * clock["divisor1"]) == board.clock_mhz


def test_a_slower_clock_is_in_the_hwh(tmp_path):
    path = tmp_path / "slow.yaml"
    path.write_text("like: pynq-z2\nname: slow\nclock_mhz: 116.66\n")  # 1050 / 9, nearly
    tree = ElementTree.fromstring(open_hwh(load_board(path)))
    values = {p.get("NAME"): p.get("VALUE") for p in tree.iter("PARAMETER")}
    divisors = [int(values[f"PCW_FCLK0_PERIPHERAL_DIVISOR{i}"]) for i in (0, 1)]
    assert divisors[0] * divisors[1] == 9
    assert values["PCW_FCLK0_PERIPHERAL_CLKSRC"] == "DDR PLL"


def test_addresses_and_parameters_reach_the_logic():
    board = load_board("pynq-z2", 16)
    given = dict(re.findall(r"-G (\w+)=(\S+)", yosys_script(board, [])))
    tree = ElementTree.fromstring(open_hwh(board))
    ranges = {
        r.get("INSTANCE"): (r.get("BASEVALUE"), r.get("HIGHVALUE"))
        for r in tree.iter("MEMRANGE") if r.get("MASTERBUSINTERFACE") == "M_AXI_GP0"
    }  # fmt: skip
    for name, instance in (("Core", "winogen_0"), ("Intc", "axi_intc_0")):
        base, size = (int(given[name + w].split("'h")[1], 16) for w in ("Base", "Bytes"))
        assert (f"0x{base:08X}", f"0x{base + size - 1:08X}") == ranges[instance]
        assert base % size == 0 and size & (size - 1) == 0  # as the decoder wants it
        assert 0x4000_0000 <= base < 0x8000_0000  # GP0
    assert {k: v for k, v in given.items() if not k.startswith(("Core", "Intc"))} == parameters(
        board.core
    )


# What is missing


@pytest.mark.parametrize("missing", [(), *((name,) for name in PROGRAMS), PROGRAMS])
@pytest.mark.parametrize("without", [(), (CHIPDB,), (DATABASE,), (CHIPDB, DATABASE)])
def test_what_is_missing_is_named(missing, without, yosys, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch, *(name for name in PROGRAMS if name not in missing))
    databases(tmp_path, monkeypatch)
    for variable in without:
        monkeypatch.delenv(variable)
    out = tmp_path / "out"
    code = cli.main(["overlay", "build", "--board", BOARD, "--tool", "open", "-o", str(out)])
    error = capsys.readouterr().err
    if not missing and not without:
        assert (code, error) == (0, "")
        return
    assert code == 2
    assert error.count("\n") == 1
    assert "https://github.com/openXC7/toolchain-nix" in error
    for name in PROGRAMS:
        assert (f"the program {name}" in error) == (name in missing)
    assert (f"{CHIPDB} is not set" in error) == (CHIPDB in without)
    assert (f"{DATABASE} is not set" in error) == (DATABASE in without)
    assert not out.exists()


def test_databases_that_are_not_there(yosys, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, *PROGRAMS)
    databases(tmp_path, monkeypatch)
    for file in (tmp_path / "the chipdb").glob("*xc7z020*"):
        file.unlink()  # another device's is no help
    (tmp_path / "the db" / "zynq7" / PART / "part.yaml").unlink()
    with pytest.raises(DeviceError) as error:
        build(tmp_path)
    assert f"chip database of {PART} (CHIPDB is {tmp_path / 'the chipdb'})" in str(error.value)
    assert f"zynq7/{PART}/part.yaml (PRJXRAY_DB_DIR is {tmp_path / 'the db'})" in str(error.value)


def test_all_that_is_missing_is_named_at_once(tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch)
    databases(tmp_path, monkeypatch)
    monkeypatch.setattr("winogen.fpga.yosys.importlib.util.find_spec", lambda name: None)
    code = cli.main(["overlay", "build", "--board", BOARD, "--tool", "open"])
    error = capsys.readouterr().err
    assert code == 2 and "synthesis needs Yosys" in error
    assert all(f"the program {name}" in error for name in PROGRAMS)


def test_no_yosys(tmp_path, monkeypatch):
    monkeypatch.setattr("winogen.fpga.yosys.importlib.util.find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"needs Yosys: pip install 'winogen\[synth\]'"):
        build(tmp_path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("part: xc7z020clg484-1", "is for the xc7z020clg400 of the PYNQ-Z1 and Z2, and board 'x'"),
        ("clock_mhz: 140", "140, is no whole fraction of 1050 MHz"),
        ("clock_mhz: 100\nplatform: {source_mhz: 1300, clock_source: ARM PLL}",
         "ARM PLL at 1300 MHz, is none of IO PLL at 1000 MHz, DDR PLL at 1050 MHz"),
    ],
)  # fmt: skip
def test_boards_that_it_cannot_build(text, message, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(f"like: pynq-z2\nname: x\n{text}\n")
    with pytest.raises(BoardError, match=message):
        build_open(load_board(path), tmp_path / "out", 60)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("board", ["tiny", "kv260", "zcu104"])
def test_other_boards(board, tmp_path):
    with pytest.raises(BoardError, match=f"the open flow is for .* board '{board}' has the part"):
        build(tmp_path, board)


# What goes wrong


def test_missed_timing_keeps_the_last_overlay(tools, tmp_path, monkeypatch):
    bit = build(tmp_path)
    bit.write_text("the last one that works")
    monkeypatch.setenv("STUB_MHZ", "49.05")
    message = (
        r"nextpnr reaches 49\.05 MHz, pynq-z2-open is clocked at 100 MHz, and the slowest clock "
        r"that is tried is 50 MHz"
    )
    with pytest.raises(DeviceError, match=message):
        build(tmp_path)
    assert bit.read_text() == "the last one that works"


@pytest.mark.parametrize(
    "reaches, source, mhz",
    [
        (119.05, "IO PLL", 100),
        (100, "IO PLL", 100),
        (99.99, "DDR PLL", 1050 / 11),
        (63, "IO PLL", 1000 / 16),
        (50, "IO PLL", 50),
    ],
)
def test_the_fastest_clock_that_is_reached(reaches, source, mhz, tools, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_MHZ", str(reaches))
    found = read_handoff(build(tmp_path))
    assert (found.clock_source, found.clock_mhz) == (source, pytest.approx(mhz))


def test_a_lower_clock_is_said(tools, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STUB_MHZ", "63")
    words = ["overlay", "build", "--board", BOARD, "--tool", "open", "-o", str(tmp_path / "x")]
    assert cli.main(words) == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.endswith("for 62.5 MHz")
    assert second.startswith("timing was missed at 100 MHz: see nextpnr.log; driver and predict")


@pytest.mark.parametrize(
    "core, words",
    [
        ({"tile_lanes": 3}, "24 cascades of 8 DSPs, .* at most 22 on this device"),
        ({"ci_lanes": 16, "co_lanes": 16}, "16 cascades of 16 DSPs, .* at most 11 on"),
    ],
)
def test_an_array_that_cannot_be_placed(core, words, tools, tmp_path):
    board = load_board(BOARD)
    with pytest.raises(BoardError, match=words):
        build_open(replace(board, core=replace(board.core, **core)), tmp_path / "out", 60)
    assert not tools.exists()
    fits = replace(board, core=replace(board.core, tile_lanes=2))
    assert build_open(fits, tmp_path / "out", 60).is_file()


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize(
    "kind, message",
    [
        ("fails", r"{0} failed \(exit 1\): the cause; its messages are in .*open/{0}\.log"),
        ("makes nothing", r"{0} ended without (results/)?winogen\.\w+; its messages are in .*log"),
    ],
)
def test_a_program_that_fails(name, kind, message, tools, tmp_path, monkeypatch):
    build(tmp_path)  # what it leaves behind is not taken for new
    (tmp_path / "the out" / "winogen.bit").unlink()
    monkeypatch.setenv("STUB_FAULT", f"{name}:{kind}")
    expected = message.format("nextpnr" if name.startswith("nextpnr") else name)
    with pytest.raises(DeviceError, match=expected):
        build(tmp_path)
    assert not (tmp_path / "the out" / "winogen.bit").exists()


def test_a_traceback_ends_with_its_cause(tools, tmp_path, monkeypatch):
    install(tmp_path / "other", monkeypatch, "nextpnr-xilinx")
    program = tmp_path / "other" / "the bin" / "nextpnr-xilinx"
    report = "Info: Max frequency for clock 'clk': 200.00 MHz (PASS at 150.00 MHz)"
    program.write_text(f'#!/bin/sh\necho "{report}"\necho UNKNOWN.FEATURE > winogen.fasm\n')
    with pytest.raises(DeviceError, match=r"fasm2frames failed \(exit 1\): .*FasmLookupError"):
        build(tmp_path)


@pytest.mark.parametrize(
    "command, message",
    [
        ("echo 'Info: no clocks here'; touch winogen.fasm", "nextpnr has reported no clock"),
        ("kill -SEGV $$", r"nextpnr failed \(exit -11\): no message"),
        ("echo 'ERROR: Unable to find legal placement'; exit 255", "exit 255.: Unable to find"),
    ],
)
def test_a_nextpnr_that_is_not_the_right_one(command, message, tools, tmp_path, monkeypatch):
    install(tmp_path / "other", monkeypatch, "nextpnr-xilinx")
    program = tmp_path / "other" / "the bin" / "nextpnr-xilinx"
    program.write_text(f"#!/bin/sh\n{command}\n")
    with pytest.raises(DeviceError, match=message):
        build(tmp_path)


def test_a_program_that_cannot_start(tools, tmp_path, monkeypatch):
    install(tmp_path / "other", monkeypatch, "nextpnr-xilinx")
    program = tmp_path / "other" / "the bin" / "nextpnr-xilinx"
    program.write_text("#!/no/such/interpreter\n")
    with pytest.raises(DeviceError, match=r"cannot start .*nextpnr-xilinx: No such file"):
        build(tmp_path)


def test_a_bitstream_that_pynq_cannot_read(tools, tmp_path, monkeypatch):
    install(tmp_path / "other", monkeypatch, "xc7frames2bit")
    program = tmp_path / "other" / "the bin" / "xc7frames2bit"
    whole = open_stub.bit("winogen.frames", PART, bytes(404))
    for content, message in (
        (whole[:-5], r"cannot read \(Invalid length found\)"),  # a full disk, and exit status 0
        (whole[:40], "cannot read"),
        (b"", "cannot read"),
        (open_stub.bit("winogen.frames", PART, b""), "empty"),
    ):
        (tmp_path / "content").write_bytes(content)
        program.write_text(f"#!/bin/sh\ncp '{tmp_path / 'content'}' results/winogen.bit\n")
        with pytest.raises(DeviceError, match=message):
            build(tmp_path)
    assert not (tmp_path / "the out" / "winogen.bit").exists()


def test_a_deadline(tools, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_FAULT", "nextpnr-xilinx:hangs")
    with pytest.raises(DeviceError, match=r"nextpnr has not finished in .* s \(Info: thinking\)"):
        build(tmp_path, seconds=2.5)


def test_an_interrupt_leaves_nothing_behind(tools, tmp_path, monkeypatch):
    """Control-C while a program runs: it ends too, and the last overlay stays."""
    bit = build(tmp_path)
    before = bit.read_bytes()
    monkeypatch.setenv("STUB_FAULT", "fasm2frames:hangs")
    processes = []

    def interrupted(name, command, folder, log, *others):
        def look(stage):
            if "thinking" in stage:
                raise KeyboardInterrupt

        return run_program(name, command, folder, log, *others[:-1], look)

    monkeypatch.setattr(open_flow, "run_program", interrupted)

    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            processes.append(self)

    monkeypatch.setattr("winogen.common.process.subprocess.Popen", Popen)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path)
    assert len(processes) == 4  # nextpnr's options, Yosys, nextpnr, fasm2frames
    assert all(process.poll() is not None for process in processes)
    assert bit.read_bytes() == before


def test_the_folder_cannot_be_written(tools, tmp_path):
    (tmp_path / "the out").write_text("a file")
    with pytest.raises(WinogenError, match="cannot build the overlay in"):
        build(tmp_path)


# Yosys


def run_yosys(board, work: Path, *, stop: str = "\x00", seconds: float = 1800) -> str:
    """Run the script, up to a command if there is one; returns the log."""
    yosys = find_yosys()
    sources = [*rtl_sources(), *open_sources()]
    work.mkdir()
    for source in [*rtl_headers(), *sources]:
        (work / source.name).write_bytes(source.read_bytes())
    script = yosys_script(board, sources, yosys.threads).split(f"\n{stop}")[0]
    (work / "open.ys").write_text(script + "\n")
    yosys.run(work / "open.ys", work / "log", seconds)
    return (work / "log").read_text()


@pytest.mark.parametrize(
    "name, bits",
    [*(pytest.param("pynq-z2", bits, marks=pytest.mark.long) for bits in (8, 16)), (BOARD, 8)],
)
def test_yosys_elaborates_the_top_level(name, bits, tmp_path):
    """Black boxes have the ports that the top level connects; no latch, no second driver."""
    pytest.importorskip("pyosys")
    log = run_yosys(load_board(name, bits), tmp_path / "work", stop="synth_xilinx")
    assert "Found and reported 0 problems." in log


@pytest.mark.long
@pytest.mark.parametrize("name, bits", [("pynq-z2", 8), ("pynq-z2", 16), (BOARD, 8)])
def test_the_netlist_for_nextpnr(name, bits, tmp_path):
    """Primitives alone, all driven, within the device; minutes of Yosys."""
    pytest.importorskip("pyosys")
    board = load_board(name, bits)
    run_yosys(board, tmp_path / "work")
    modules = json.loads((tmp_path / "work" / "open.json").read_text())["modules"]
    (top,) = modules.values()
    assert not top["ports"]
    cells = top["cells"].values()
    types = Counter(cell["type"] for cell in cells)
    assert not [kind for kind in types if kind.startswith("$")]
    assert types["PS7"] == types["BUFG"] == 1
    assert types["DSP48E1"] <= 220
    assert types["RAMB36E1"] + types["RAMB18E1"] / 2 <= 140
    driven, used = {"0", "1"}, set()
    for cell in cells:
        for port, bits_ in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                driven.update(bits_)
            elif not (cell["type"] in ("RAM32M", "RAM64M") and port.startswith("DI")):
                used.update(bits_)  # a part of such a memory that is not used has no data
    assert used <= driven
