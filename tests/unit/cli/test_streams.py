"""Standard streams that are closed, full or gone: no traceback, and no output in the wrong file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.places import DRIVER
from winogen.program.container import MAGIC

COMMAND = f"{sys.executable} -W ignore -m winogen"


def shell(line: str, **options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", line],
        env={"PYTHONPATH": str(DRIVER), "PATH": "/usr/bin:/bin", **options},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed):
    done = shell(f"{COMMAND} models {closed}; echo $?")
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""
    if ">&-" not in closed.split():
        assert "digits" in done.stdout


def test_a_refusal_with_closed_streams():
    assert shell(f"{COMMAND} info none.wg >&-").stderr.startswith("winogen: cannot read program")
    done = shell(f"{COMMAND} info none.wg 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_what_is_printed_does_not_get_into_a_file(closed, tmp_path):
    """The first file that is opened has the number of standard output, if that is closed."""
    path = tmp_path / "a.wg"
    line = f"{COMMAND} compile digits --board tiny --batch 1 -o {path} {closed}"
    done = shell(line, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(MAGIC)
    assert shell(f"{COMMAND} info {path}").returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk():
    done = shell(f"{COMMAND} models > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "winogen: No space left on device\n"


def test_a_reader_that_has_seen_enough():
    done = shell(f"set -o pipefail; {COMMAND} models | true")
    assert (done.returncode, done.stderr) == (0, "")
