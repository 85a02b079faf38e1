"""What runs the benches of the modules."""

import os
import time

import pytest

from support.rtl.runner import execute


def test_a_bench_that_does_not_end_is_ended_with_what_it_has_started(tmp_path):
    program = "sleep 60 & echo $! > child; wait"
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"^sh has not ended within 1 s$"):
        execute(["sh", "-c", program], tmp_path, dict(os.environ), None, seconds=1)
    assert time.monotonic() - began < 30
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 30
    while _runs(child):
        assert time.monotonic() < end, "the bench's own process is still there"
        time.sleep(0.01)


def _runs(process):
    """Whether a process is there and not a dead one that nobody has asked for yet."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_failure_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="sh failed with return code 3"):
        execute(["sh", "-c", "exit 3"], tmp_path, dict(os.environ), None)
