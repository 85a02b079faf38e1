"""The clocks of the logic, and what is written down of them for whoever comes after a kill."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pynq
import pytest

from support.bench import small
from winogen.common.errors import WinogenWarning
from winogen.doctor import clock as doctor_clock
from winogen.doctor.bench import Bench
from winogen.doctor.checks import BY_NAME, run_check
from winogen.doctor.result import Outcome
from winogen.emulation.device import EmulatedDevice
from winogen.runtime import clocks, leftover, lock, record
from winogen.runtime.clocks import KeptClocks, is_clocked_for
from winogen.runtime.generator import Generator
from winogen.runtime.leftover import loaded_bitstream
from winogen.runtime.open import emulated_device, open_device
from winogen.runtime.record import Record
from winogen.runtime.termination import end_on_sigterm
from winogen.target.board import load_board
from winogen.target.clock import CLOCK_REGISTERS, PLLS, SRCSEL, THROTTLE_OFFSET, frequency
from winogen.target.handoff import Handoff
from winogen.target.hwh import core_parameters
from winogen.target.traits import BOARD

TINY = load_board("tiny")
ZYNQ7, ZYNQMP = CLOCK_REGISTERS["zynq7"], CLOCK_REGISTERS["zynqmp"]


class Bus:
    """Registers that hold what is written; ``fail`` ends the so-manieth write before it happens."""

    def __init__(self, words: dict[int, int], fail: int = 0):
        self.words, self.left = words, fail
        self.written: list[int] = []

    def MMIO(self, base, size, device):
        self.base = base
        return self

    def read(self, offset):
        return self.words[offset]

    def write(self, offset, word):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        self.written.append(offset)
        self.words[offset] = word


@pytest.fixture
def bus(monkeypatch):
    made = Bus(dict.fromkeys(ZYNQMP.offsets, 0x0101_0A00))
    monkeypatch.setattr(clocks, "pynq", made)
    return made


# Putting back


def test_an_ultrascale_gets_its_dividers_and_pll_back_and_other_bits_stay(bus):
    kept = KeptClocks(None, ZYNQMP, None)
    assert bus.base == 0xFF5E_0000
    bus.words |= {0xC0: 0x0101_0602, 0xC8: 0x0001_0A00}  # another PLL and divisor; a gate
    kept.put_back()
    assert bus.words[0xC0] == 0x0101_0A00
    assert bus.words[0xC8] == 0x0001_0A00
    assert bus.written == [0xC0]


def test_ctrl_c_in_between_leaves_nothing_half_done(bus):
    kept = KeptClocks(None, ZYNQMP, None)
    bus.words = dict.fromkeys(ZYNQMP.offsets, 0x0101_0602)
    bus.left = 2
    with pytest.raises(KeyboardInterrupt):
        kept.put_back()
    assert set(bus.words.values()) == {0x0101_0A00}


def test_every_lease_and_only_the_last_one_ends_them():
    device = emulated_device(load_board("pynq-z2"))
    before = [device._slcr.read(at) for at in ZYNQ7.offsets]
    first, second = (open_device(device, load_board("pynq-z2")) for _ in range(2))
    assert device.clock_mhz == 150
    first.core.close()
    assert device.clock_mhz == 150
    second.core.close()
    assert [device._slcr.read(at) for at in ZYNQ7.offsets] == before
    third = open_device(device, load_board("pynq-z2"))
    assert device.clock_mhz == 150
    third.core.close()


def test_what_a_killed_session_noted_comes_before_what_is_found(bus, tmp_path):
    noted = Record(tmp_path / "x.record")
    KeptClocks(None, ZYNQMP, noted).note()
    bus.words = dict.fromkeys(ZYNQMP.offsets, 0x0101_0602)
    KeptClocks(None, ZYNQMP, noted).put_back()
    assert set(bus.words.values()) == {0x0101_0A00}
    assert not noted.path.exists()


@pytest.mark.parametrize(
    "words", [None, 5, [1], [1, 2, 3, "4"], [1, 2, 3, -1], [1, 2, 3, 1 << 24], {}, "text"]
)
def test_notes_that_are_no_clocks_are_not_written_to_clocks(words, bus, tmp_path):
    noted = Record(tmp_path / "x.record")
    noted.update(clocks=words)
    KeptClocks(None, ZYNQMP, noted).put_back()
    assert bus.written == []


@pytest.mark.parametrize("source", PLLS)
def test_the_frequency_of_a_register(source):
    word = SRCSEL.insert(PLLS[source][0]) | 5 << 8 | 2 << 20
    assert frequency(word) == PLLS[source][1] / 10
    assert frequency(word & ~SRCSEL.insert(-1) | SRCSEL.insert(2)) is None  # the ARM PLL
    assert frequency(0) is None


@pytest.mark.parametrize(
    "handoff, word, wanted",
    [
        (Handoff("zynq7", 0, "DDR PLL", 150.0), 0x0010_0730, True),
        (Handoff("zynq7", 0, "DDR PLL", 149.999), 0x0010_0730, True),  # as Vivado writes it
        (Handoff("zynq7", 0, "DDR PLL", 150.0), 0x0010_0A00, True),  # slower
        (Handoff("zynq7", 0, "DDR PLL", 150.0), 0x0010_0630, False),
        (Handoff("zynq7", 0, "DDR PLL", 150.0), 0x0010_0720, False),  # the ARM PLL
        (Handoff("zynq7", 0, "DDR PLL", 150.0), 0, False),
        (Handoff("zynq7", 0, "DDR PLL", None), 0x0010_0730, False),
        (Handoff("zynqmp", 0, "IOPLL", 250.0), 0x0101_0602, True),
        (Handoff("zynqmp", 0, "IOPLL", 250.0), 0x0001_0602, False),  # it stands still
        (Handoff(), 0x0010_0730, False),
    ],
)
def test_a_clock_that_the_logic_was_built_for(handoff, word, wanted, bus):
    bus.words = {**dict.fromkeys((*ZYNQ7.offsets, *ZYNQMP.offsets), word), THROTTLE_OFFSET: 0}
    assert is_clocked_for(None, handoff) == wanted
    bus.words[THROTTLE_OFFSET] = 1  # a Zynq-7000's clock stands still
    assert is_clocked_for(None, handoff) == (wanted and handoff.processor == "zynqmp")


# The note


def test_a_note_holds_for_the_boot(tmp_path, monkeypatch):
    noted = Record(tmp_path / "x.record")
    noted.update(clocks=[1], loading="a")
    noted.update(loading=None)
    assert noted.read()["clocks"] == [1]
    assert "loading" not in noted.read()
    monkeypatch.setattr(record, "_boot", lambda: "another")
    assert noted.read() == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_note_is_told(content, tmp_path):
    path = tmp_path / "x.record"
    path.write_bytes(content)
    with pytest.warns(WinogenWarning, match=r"x\.record is damaged"):
        assert Record(path).read() == {}
    assert Record(path).read() == {} and not path.exists()


def test_a_note_of_no_boot_says_nothing(tmp_path):
    path = tmp_path / "x.record"
    path.write_bytes(b'{"boot": 1}')
    assert Record(path).read() == {}


def test_another_user_s_note_says_nothing(tmp_path, monkeypatch):
    noted = Record(tmp_path / "x.record")
    noted.update(clocks=[1])
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert noted.read() == {}


def test_a_link_in_its_place_says_nothing(tmp_path):
    target = Record(tmp_path / "target")
    target.update(clocks=[1])
    (tmp_path / "x.record").symlink_to(target.path)
    assert Record(tmp_path / "x.record").read() == {}


def test_where_nothing_can_be_written_a_device_is_used_all_the_same(tmp_path):
    (tmp_path / "file").write_text("")
    noted = Record(tmp_path / "file" / "x.record")
    noted.update(clocks=[1])
    assert noted.read() == {}


# What pynq says is loaded


@pytest.fixture
def pynq_says(monkeypatch, tmp_path):
    """pynq's own record of what it loaded, in a place of the test's."""
    from pynq.pl_server import global_state

    monkeypatch.setattr(global_state, "STATE_DIR", str(tmp_path))
    monkeypatch.setattr(global_state, "initial_global_state_file_boot_check", lambda: None)

    def say(bitfile_name: Path, **more: str) -> None:
        state = {"bitfile_name": str(bitfile_name), "active_name": "x", "timestamp": "x", **more}
        for name in ("global_pl_state_.json", "global_pl_state.json"):
            (tmp_path / name).write_text(json.dumps(state))

    return say


def test_the_loaded_bitstream_of_a_board_is_known_by_pynq(pynq_says, tmp_path):
    from pynq.pl_server.global_state import bitstream_hash

    bit = tmp_path / "winogen.bit"
    board = SimpleNamespace()
    assert loaded_bitstream(board) is None
    bit.write_bytes(b"one")
    pynq_says(bit, bitfile_hash=bitstream_hash(str(bit)))
    assert loaded_bitstream(board) == bit
    bit.write_bytes(b"built again since")
    assert loaded_bitstream(board) is None
    bit.unlink()
    assert loaded_bitstream(board) is None


def test_without_a_hash_it_is_known_by_name(pynq_says, tmp_path):
    """As pynq 3.0.1 says it."""
    pynq_says(tmp_path / "winogen.bit")
    assert loaded_bitstream(SimpleNamespace()) == tmp_path / "winogen.bit"


def test_where_pynq_says_nothing_nothing_is_known(pynq_says, tmp_path, monkeypatch):
    for name in ("global_pl_state_.json", "global_pl_state.json"):
        (tmp_path / name).write_text("{")
    assert loaded_bitstream(SimpleNamespace()) is None
    monkeypatch.undo()
    assert loaded_bitstream(SimpleNamespace()) is None  # this machine has no FPGA manager


def test_an_empty_emulated_device_has_nothing_to_stop():
    device = emulated_device(TINY)
    assert loaded_bitstream(device) is None
    assert not leftover.stop_leftover(device)
    pynq.Overlay(str(device.ensure_overlay()), device=device)
    assert not leftover.stop_leftover(device)


# SIGTERM


def test_sigterm_ends_a_program_in_good_order_while_a_device_is_open():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        undo = end_on_sigterm()
        with pytest.raises(SystemExit) as end:
            signal.raise_signal(signal.SIGTERM)
        assert end.value.code == 143
        undo()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_a_program_does_at_sigterm_is_its_own():
    mine = lambda *_: None  # noqa: E731
    before = signal.signal(signal.SIGTERM, mine)
    try:
        end_on_sigterm()()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_thread_chooses_nothing():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        thread = threading.Thread(target=end_on_sigterm)
        thread.start()
        thread.join()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


# The clock that was built


class Real(EmulatedDevice):
    """To winogen a board."""

    traits = BOARD


@pytest.fixture
def slower(tmp_path, monkeypatch) -> Real:
    """A board whose bitstream is for 50 MHz, where its file says 100."""
    monkeypatch.setattr(lock, "_FOLDER", tmp_path)
    sound = emulated_device(TINY)
    return Real(sound._core_factory, parameters=core_parameters(TINY.core), clock_mhz=50)


def test_predictions_are_for_the_clock_of_the_overlay(slower):
    program = small().program
    stream = program.streams[-1]
    with Generator(program, slower, overlay=slower.ensure_overlay()) as generator:
        assert slower.clock_mhz == 50
        assert generator.program.board.clock_mhz == 50
        assert generator.program.frames_per_second(stream) == program.frames_per_second(stream) / 2
    assert slower.clock_mhz == 50
    assert program.board.clock_mhz == 100


def test_an_emulated_device_predicts_for_the_board_it_stands_for():
    program = small().program
    device = EmulatedDevice(emulated_device(TINY)._core_factory, clock_mhz=50)
    with Generator(program, device) as generator:
        assert generator.program is program


def test_doctor_holds_the_clock_against_the_overlay_s(slower, monkeypatch):
    monkeypatch.setattr(doctor_clock, "_measure", lambda bench, mhz: mhz)
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)
    bench = Bench("board", TINY, overlay=slower.ensure_overlay(), made=slower)
    result = run_check(BY_NAME["clock"], bench)
    assert (result.outcome, result.text) == (Outcome.PASS, "50 MHz, 50 measured")
    bench.core.close()
