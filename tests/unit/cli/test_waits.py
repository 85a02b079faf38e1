"""``winogen run``: how it waits, and how it ends when somebody has had enough of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from contextlib import suppress
from functools import partial
from pathlib import Path

import pynq
import pytest

from fakes.slow_cores import Endless
from support.bench import small
from support.children import child
from support.places import DRIVER
from winogen.cli.main import main
from winogen.runtime import open as devices
from winogen.runtime.lock import DeviceLock


class ByName(Endless):
    """As winogen.runtime.open makes its cores."""

    def __init__(self, memory, board, *, fuse=True, gemm=True):
        super().__init__(memory, board)


@pytest.fixture
def program(tmp_path) -> str:
    path = tmp_path / "small.wg"
    small().program.save(path)
    return str(path)


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "out.png"


def test_every_way_to_wait(program, output, monkeypatch, capsys):
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)
    written = set()
    for wait in ("auto", "interrupt", "poll"):
        assert main(["run", program, "-o", str(output), "--wait", wait]) == 0
        written.add(output.read_bytes())
    assert len(written) == 1


def test_a_device_that_hangs(program, output, monkeypatch, capsys):
    monkeypatch.setattr("winogen.emulation.emulator.EmulatedCore", ByName)
    assert main(["run", program, "-o", str(output), "--timeout", "0.05"]) == 2
    text = capsys.readouterr().err
    assert text.startswith("winogen: the accelerator did not finish within 0.05 s (the timeout")
    assert "\n  load busy\n" in text and "--timeout" in text
    assert not output.exists()


def test_a_device_that_somebody_has(program, output, monkeypatch, capsys):
    pytest.importorskip("fcntl")
    name = f"test-{uuid.uuid4().hex}"
    device = partial(devices.emulated_device, lock_name=name)
    monkeypatch.setattr(devices, "emulated_device", device)
    lock = DeviceLock(name)
    lock.acquire(0)
    try:
        arguments = ["run", program, "-o", str(output), "--lock-timeout"]
        assert main([*arguments, "0.1"]) == 2
        text = capsys.readouterr().err
        assert text.startswith(f"winogen: the device is in use by process {os.getpid()} (")
        assert "within 0.1 s" in text and text.count("\n") == 1
        assert main([*arguments, "-1"]) == 2
        assert "lock_timeout must be a number of seconds" in capsys.readouterr().err
        lock.release()
        assert main([*arguments, "0"]) == 0
    finally:
        lock.release()
        lock.path.unlink()


RUN = """
    import signal, sys
    from winogen.cli import main as cli
    from winogen.runtime import generator, runner
    signal.signal(signal.SIGINT, signal.default_int_handler)
    real = runner.Runner._run_stream
    def run(self, *arguments):
        print("running", flush=True)
        return real(self, *arguments)
    runner.Runner._run_stream = run
    real_reset = generator.Generator.close
    def close(self):
        real_reset(self)
        assert not self.core.unfinished and self.core.lease is not None
        print("closed", flush=True)
    generator.Generator.close = close
    sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "winogen: interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_a_signal_ends_it_in_good_order(number, code, said, program, output):
    with child(
        [
            *(sys.executable, "-W", "ignore", "-c", textwrap.dedent(RUN)),
            *("run", program, "-n", "100000", "-o", str(output)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(DRIVER)},
    ) as process:
        for _ in range(5):
            assert process.stdout.readline() == "running\n"
        for _ in range(10):  # Python ignores what strikes in a __del__, and says so
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                out, err = process.communicate(timeout=30)
                break
    assert process.returncode == code
    assert out.endswith("closed\n")
    assert err.endswith(said) and (err == said or "Exception ignored" in err)
    assert not output.exists()
