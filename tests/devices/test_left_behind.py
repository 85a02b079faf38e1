"""Nothing is left behind: clocks are put back, and what a killed process left running is stopped.

Processes use a board that outlives them (``fakes/shared_board.py``), and get a signal at any of
their accesses to it.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fakes.shared_board import TINY, SharedBoard
from support.bench import small
from support.board_uses import START, Images, open_and_close, start_and_die
from winogen.common.errors import WinogenWarning
from winogen.runtime import lock as device_lock
from winogen.runtime.generator import Generator
from winogen.runtime.lock import DeviceLock
from winogen.runtime.open import open_device
from winogen.runtime.record import Record
from winogen.target.clock import FCLK0_OFFSET, SLCR_BASE
from winogen.target.hwh import IP_BASE
from winogen.target.registers import ADDRESS_RANGE, offset

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks processes")

#: Accesses at which a process gets a signal, of the two hundred or so that it makes.
SOME = 3


@pytest.fixture
def board(tmp_path, monkeypatch) -> SharedBoard:
    monkeypatch.setattr(device_lock, "_FOLDER", tmp_path)
    return SharedBoard(tmp_path)


@pytest.fixture(scope="module")
def program():
    return small().program


@pytest.fixture(scope="module")
def wanted(program):
    with Generator(program) as generator:
        return generator.generate(generator.latents(3))


def assert_nothing_left(board: SharedBoard, clocks: list[int], folder: Path) -> None:
    assert board.clocks == clocks
    assert not board.running
    assert board.broken == []
    lock = DeviceLock("board")
    lock.acquire(0)
    lock.release()
    left = Record(lock.path.with_suffix(".record")).read()
    assert left.keys() <= {"boot", "loading"}  # the latter where a load did not come to its end
    assert len(list(folder.glob("*.record*"))) == bool(left)


def test_the_clocks_are_put_back_at_the_end(board, program, wanted, tmp_path):
    clocks = board.clocks
    use = Images(program, tmp_path)
    assert board.serve(use) == 0
    np.testing.assert_array_equal(use.made(), wanted)
    assert_nothing_left(board, clocks, tmp_path)
    assert board.inner.clock_mhz == pytest.approx(1000 / 7)  # and not 150, as it ran
    assert [what for what, _ in board.log].count("download") == 1


def points(count: int, seed: int, most: int) -> list[int]:
    return sorted(random.Random(seed).sample(range(1, count + 1), min(most, count)))


def strike(board, clocks, use, tmp_path, wanted, number, at) -> None:
    """A process gets the signal at its ``at``-th access, and another one uses the board then."""
    board.other_overlay(tmp_path)
    before = len(board.log)
    status = board.serve(use, number, at)
    use.file.unlink(missing_ok=True)
    if number is signal.SIGKILL:
        assert status == -signal.SIGKILL
    else:
        # Where the clocks have been looked at the last time, the process is at its end anyway.
        ended = {0, -number} if len(board.log) - before - at < 2 * len(clocks) + 1 else set()
        assert status in {128 + number, *ended}
        assert_nothing_left(board, clocks, tmp_path)
    assert board.serve(use) == 0, f"after a signal at access {at}"
    np.testing.assert_array_equal(use.made(), wanted)
    assert_nothing_left(board, clocks, tmp_path)


NUMBERS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: n.name)
def test_a_signal_at_any_time(number, board, program, wanted, tmp_path):
    clocks, use = board.clocks, Images(program, tmp_path)
    assert board.serve(use) == 0
    for at in points(len(board.log), int(number), SOME):
        strike(board, clocks, use, tmp_path, wanted, number, at)


def test_a_kill_while_pynq_loads(board, program, wanted, tmp_path):
    """pynq has written down that ours is loaded, and another overlay is in the logic still."""
    clocks, use = board.clocks, Images(program, tmp_path)
    assert board.serve(use) == 0
    at = board.log.index(("note", 0)) + 1
    strike(board, clocks, use, tmp_path, wanted, signal.SIGKILL, at)


def open_and_forget(device) -> None:
    open_device(device, TINY, device.overlay)


def open_forget_and_go_on(device) -> None:
    open_and_forget(device)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.001)
    raise AssertionError("the signal was lost")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_while_a_forgotten_device_ends_is_not_lost(number, board, tmp_path):
    """Python drops what is raised then, and the program would go on."""
    clocks = board.clocks
    assert board.serve(open_and_forget) == 0
    count = len(board.log)
    for at in (count - 4, count):  # the first clock is looked at, the last one is right
        board.other_overlay(tmp_path)
        assert board.serve(open_forget_and_go_on, number, at) in (128 + number, -number)
        assert_nothing_left(board, clocks, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: n.name)
def test_a_signal_at_every_access(number, board, program, wanted, tmp_path):
    clocks, use = board.clocks, Images(program, tmp_path)
    assert board.serve(use) == 0
    for at in range(1, len(board.log) + 1):
        strike(board, clocks, use, tmp_path, wanted, number, at)


@pytest.mark.long
@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: n.name)
def test_a_signal_at_random_times(number, board, program, wanted, tmp_path):
    """Between accesses too: while numpy works, files are written, or objects end."""
    clocks, use, rng = board.clocks, Images(program, tmp_path), random.Random(int(number))
    begin = time.monotonic()
    assert board.serve(use) == 0
    seconds = time.monotonic() - begin
    for _ in range(40):
        board.other_overlay(tmp_path)
        status = board.serve(use, number, after=rng.random() * seconds)
        use.file.unlink(missing_ok=True)
        # It may have ended before, or have had no device yet, or none any more.
        assert status in (0, -number, 128 + number)
        if number is not signal.SIGKILL:
            assert_nothing_left(board, clocks, tmp_path)
        assert board.serve(use) == 0
        np.testing.assert_array_equal(use.made(), wanted)
        assert_nothing_left(board, clocks, tmp_path)


def test_a_running_core_is_stopped_before_anything_else(board, program, tmp_path):
    clocks = board.clocks
    start_and_die(board, Images(program, tmp_path))
    assert board.inner.clock_mhz == 150
    assert board.serve(open_and_close) == 0
    assert_nothing_left(board, clocks, tmp_path)
    changes = [a for a in board.log if a[0] not in ("read", "loaded")]
    assert changes[0] == START  # a reset
    assert ("download", 0) in changes


def test_memory_that_is_dead_is_said_and_does_not_hang(board, program, tmp_path, monkeypatch):
    start_and_die(board, Images(program, tmp_path))
    board.inner.core.owed = 10**9
    monkeypatch.setattr("winogen.runtime.leftover._SECONDS", 0.05)

    def opened(device) -> None:
        with pytest.warns(WinogenWarning, match=r"killed while the accelerator ran, and memory"):
            open_and_close(device)

    assert board.serve(opened) == 0
    assert ("download", 0) in board.log
    assert not [rule for rule in board.broken if "hangs" in rule]


@pytest.mark.parametrize("what", ["other", "no file", "half loaded", "too fast", "other version"])
def test_registers_that_may_not_answer_are_left_alone(what, board, program, tmp_path):
    use = Images(program, tmp_path)
    start_and_die(board, use)
    if what == "other":
        board.other_overlay(tmp_path)
    elif what == "no file":
        board.inner.loaded_bitstream = tmp_path / "gone.bit"
    elif what == "half loaded":
        Record(DeviceLock("board").path.with_suffix(".record")).update(loading="winogen.bit")
    elif what == "too fast":
        board.inner.write_registers(SLCR_BASE + FCLK0_OFFSET, (0x0010_0530).to_bytes(4, "little"))
    else:
        monkeypatch_version(board)
    board.serve(open_and_close)
    before = board.log[: board.log.index(("download", 0))]
    touched = [a for a in before if IP_BASE <= a[1] < IP_BASE + ADDRESS_RANGE]
    assert [a for a in touched if a[0] == "write"] == []
    assert (touched != []) == (what == "other version")


def monkeypatch_version(board: SharedBoard) -> None:
    core = board.inner.core
    read = core.read
    core.read = lambda at: 0x0900_0000 if at == offset("VERSION") else read(at)
