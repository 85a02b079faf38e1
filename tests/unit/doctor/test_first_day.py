"""The first day on a board: each fault is named by the check that meets it, before harm is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pytest import MonkeyPatch

from fakes import vivado_hwh
from fakes.boot import PYNQ_Z2, BootedBoard, Card, Hang, bitstream
from support.first_day import afi, booted, examined, failures
from support.places import DRIVER, TESTS
from winogen.doctor import software
from winogen.doctor.checks import BY_NAME, run_check
from winogen.doctor.result import Outcome
from winogen.doctor.supervisor import supervise
from winogen.runtime import record
from winogen.runtime.open import open_device
from winogen.target import clock
from winogen.target.board import load_board
from winogen.target.hwh import IP_BASE
from winogen.target.ports import PORT_REGISTERS, WRITE_OFFSET
from winogen.target.registers import offset, pack

WIDE = load_board("tiny", 16).core


@pytest.fixture
def board(tmp_path) -> Iterator[BootedBoard]:
    with booted(tmp_path) as made:
        yield made


def test_a_sound_board_passes(board):
    clocks = dict(board.slcr.words)
    results = examined(board)
    assert failures(results) == {}
    skipped = {name for name, r in results.items() if r.outcome is Outcome.SKIPPED}
    assert skipped == {"program"}
    assert board.slcr.words == clocks  # another overlay's clock is put back


@pytest.mark.parametrize("version", vivado_hwh.VERSIONS)
def test_the_files_of_every_vivado_are_read(version, board):
    board.build(version)
    results = examined(board, "memory ports")
    assert failures(results) == {}
    assert results["overlay files"].text.startswith("winogen.bit is for 7z020clg400, Vivado 202")
    assert results["memory ports"].text.startswith("S_AXI_HP0, S_AXI_HP1, S_AXI_HP2: 64 bits")
    loaded = open_device(board, PYNQ_Z2, board.overlay)
    assert loaded.core.interrupt.parent() is not None  # though SIGIS says "undef"
    loaded.core.close()


# --- the faults; most are kinds of the fault table, support/faults/board.py ----------------------


@pytest.mark.parametrize(
    "at, check, words",
    [(0, "load engine", ""), (WRITE_OFFSET, "DMA writes", "wrong data: write of")],
)
def test_a_port_that_is_too_narrow_gives_garbage(at, check, words, board):
    """As the checks of what arrives find too, if they are all that somebody reads."""
    afi(board, "S_AXI_HP1", at, 1)
    bench = board.bench()
    result = run_check(BY_NAME[check], bench)
    bench.core.close()
    assert result.outcome is Outcome.FAIL
    assert words in result.text


@pytest.mark.parametrize("version", ["2.5.1", "2.7.0"])
def test_an_image_that_is_too_old(version, board, monkeypatch):
    monkeypatch.setattr(software.metadata, "version", lambda name: version)
    found = failures(examined(board, "pynq"))
    assert found["pynq"].text == f"pynq {version} is not supported"
    assert "flash PYNQ image" in found["pynq"].advice


@pytest.mark.parametrize("register", [clock.THROTTLE_OFFSET, clock.RESET_OFFSET])
def test_nothing_of_the_logic_is_touched_that_would_not_answer(register, board):
    """Doctor goes on to its end, and says why it did not look there."""
    board.slcr.write(register, 1)
    results = examined(board)
    assert results["processing system"].outcome is Outcome.FAIL
    after = [r for name, r in results.items() if "overlay" in BY_NAME[name].needs]
    assert {r.outcome for r in after} == {Outcome.SKIPPED}
    with pytest.raises(Hang):  # as it would have been
        board.download(SimpleNamespace(bitfile_name=str(board.overlay), partial=False))
        board.read_registers(IP_BASE, 4)


@pytest.mark.parametrize("fate, words", [("SIGBUS", "ended its process: SIGBUS"),
                                         ("hang", "did not end within 2 s")])  # fmt: skip
def test_a_bus_that_nobody_answers_on_ends_a_check_and_not_doctor(fate, words, tmp_path):
    """And no other process of it touches the bus again."""
    names = ("python", "processing system", "overlay", "build", "registers", "conformance")
    checks = [replace(BY_NAME[name], seconds=2.0) for name in names]
    checks[2] = replace(checks[2], needs=("processing system",))
    command = [sys.executable, "-m", "fakes.booted_worker", str(tmp_path), fate]
    with MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{TESTS}:{DRIVER}")
        found = {r.name: r for r in supervise(checks, command, 1.0, lambda result: None)}
    assert [found[name].outcome for name in names] == [
        Outcome.PASS, Outcome.PASS, Outcome.FAIL, *[Outcome.SKIPPED] * 3
    ]  # fmt: skip
    assert found["overlay"].text == words
    assert "power the board off and on" in found["overlay"].advice


def test_a_stopped_clock_ends_a_program_and_not_the_board(board):
    board.slcr.write(clock.THROTTLE_OFFSET, 1)
    from winogen.common.errors import DeviceError

    with pytest.raises(DeviceError, match=r"clock of the logic is stopped .*clk_ignore_unused"):
        open_device(board, PYNQ_Z2, board.overlay)


def test_a_core_that_still_runs_is_stopped_and_said(board, monkeypatch):
    first = open_device(board, PYNQ_Z2, board.overlay)
    first.core.close()
    monkeypatch.setattr(record, "_boot", lambda: "this one")
    assert not first.core.unfinished
    core = board.core
    read, left = core.read, [4]

    def busy(at: int) -> int:
        if at == offset("STATUS") and left[0]:
            left[0] -= 1
            return pack("STATUS", load=1)
        return read(at)

    core.read = busy
    board.slcr.write(clock.FCLK0_OFFSET, 0x0010_0730)  # and its clock with it
    result = examined(board, "overlay")["overlay"]
    assert result.outcome is Outcome.PASS
    assert result.text.endswith("it stopped one that a killed program had left running")


def test_without_a_bitstream_the_overlay_s_own_check_says_so(board):
    bench = board.bench()
    bench.overlay = None
    result = run_check(BY_NAME["overlay files"], bench)
    assert result.outcome is Outcome.SKIPPED
    assert "no int8 bitstream" in result.text


def test_ultrascale_bitstreams_name_the_whole_part(tmp_path, board):
    other = load_board("zcu104")
    bench = board.bench()
    bench.board = other
    board.overlay.write_bytes(bitstream("xczu7ev-ffvc1156-2-e", "2022.1"))
    text = run_check(BY_NAME["overlay files"], bench).text
    assert "is of a design for 7z020clg400" in text
    assert run_check(BY_NAME["processing system"], bench).outcome is Outcome.SKIPPED


def test_widths_of_ultrascale_ports():
    port = PORT_REGISTERS["zynqmp"]["S_AXI_HP0_FPD"]
    assert (port.base, port.parameter) == (0xFD38_0000, "C_SAXIGP2_DATA_WIDTH")
    assert [port.width(word) for word in (0, 1, 2, 3, 0x101)] == [128, 64, 32, 0, 64]


def test_pynq_finds_no_board():
    bench = SimpleNamespace(board=PYNQ_Z2, bare=None)
    result = run_check(BY_NAME["processing system"], bench)
    assert result.outcome is Outcome.SKIPPED


def test_this_machine_s_own_card(tmp_path):
    """What the model stands for, asked of the machine that runs this."""
    own = super(Card, Card(tmp_path))
    assert own.may_write(tmp_path) and own.free_bytes(tmp_path) > 0
    assert own.program("no-such-program") is None
    assert isinstance(own.user, int)
    assert own.text("/nothing") == "" and own.names("/nothing") == []
