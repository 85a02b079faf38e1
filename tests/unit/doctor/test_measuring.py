"""What doctor measures: memory by direction, and the host's own costs."""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import asdict, fields, replace
from functools import partial

import numpy as np
import pynq
import pytest

from fakes.faulty_cores import NoInterrupt
from winogen.cli.main import main
from winogen.cost.simulate import simulate
from winogen.doctor import hostcost, speed
from winogen.doctor.bench import Bench
from winogen.doctor.checks import BY_NAME, run_check
from winogen.doctor.result import Outcome, Result
from winogen.emulation.device import EmulatedDevice
from winogen.emulation.emulator import EmulatedCore
from winogen.runtime.open import emulated_device, open_device
from winogen.target.board import load_board
from winogen.target.host import HostCosts, calibrated, host_costs

TINY = load_board("tiny")
Z2 = load_board("pynq-z2")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)


def on(board, memory) -> Bench:
    """A bench whose board file says ``board`` and whose memory is that of ``memory``."""
    device = EmulatedDevice(lambda m: EmulatedCore(m, memory), clock_mhz=board.clock_mhz)
    return Bench("emulator", board, made=device)


@pytest.mark.parametrize("board", [TINY, Z2], ids=lambda b: b.name)
def test_memory_that_is_as_the_board_file_says(board):
    bench = on(board, board)
    for make in (speed.loads, speed.stores):
        found = speed.measured(bench, board, make)
        assert found.mb_s == found.promised_mb_s
        figures = run_check(BY_NAME["memory speed"], bench).figures
        assert found.mb_s in (figures["reads_mb_s"], figures["writes_mb_s"])
        assert found.latency_cycles == board.dram_latency
        most = min(board.dram_mb_s, 16 * board.clock_mhz)
        assert 0.3 * most < found.mb_s <= most


@pytest.mark.parametrize("name, make", [("reads", speed.loads), ("writes", speed.stores)])
def test_memory_that_is_slower(name, make):
    slow = replace(Z2, dram_mb_s=300)
    found = speed.measured(on(Z2, slow), Z2, make)
    assert 290 < found.mb_s <= 300
    result = run_check(BY_NAME["memory speed"], on(Z2, slow))
    assert result.outcome is Outcome.FAIL
    assert re.match(r"reads reach 29\d MB/s, and by the board file \d,\d{3}$", result.text)
    assert "dram_mb_s" in result.advice


@pytest.mark.parametrize("make", [speed.loads, speed.stores])
def test_memory_that_answers_later(make):
    late = replace(Z2, dram_latency=170)
    assert speed.measured(on(Z2, late), Z2, make).latency_cycles == pytest.approx(170, abs=1)
    result = run_check(BY_NAME["memory speed"], on(Z2, late))
    assert result.outcome is Outcome.FAIL
    assert "reads are answered after 170 cycles, and by the board file after 40" in result.text


@pytest.mark.parametrize("make", [speed.loads, speed.stores])
@pytest.mark.parametrize("board", [TINY, Z2, load_board("zcu104")], ids=lambda b: b.name)
def test_streams_can_run(make, board):
    assert simulate(make(board, 16, speed.largest(board)), board).deadlock is None


# --- the host ------------------------------------------------------------------------------------


def allocate(device, nbytes):
    return pynq.allocate((nbytes,), np.uint8, target=device, cacheable=1)


def test_the_host_s_costs(monkeypatch):
    monkeypatch.setattr(hostcost, "_COPY_BYTES", 1 << 14)
    opened = open_device(emulated_device(TINY), TINY, active=True)
    core, pool = opened.core, opened.device.default_memory.pool
    before = core.get("IRQ_ENABLE"), pool.free_bytes
    costs = hostcost.measure(core, partial(allocate, opened.device))
    assert isinstance(costs, HostCosts)
    for field in fields(costs):
        value = getattr(costs, field.name)
        told = field.name not in ("interrupt_s", "call_s")
        assert value > 0 if told else math.isnan(value) or value > 0
    assert math.isnan(costs.call_s)
    assert (core.get("IRQ_ENABLE"), pool.free_bytes) == before
    assert core.get("ERROR_CODE") == 0  # the event that it made is gone
    core.close()


def test_an_interrupt_is_measured_where_there_is_one():
    bench = Bench("emulator", TINY)
    costs = hostcost.measure(bench.core, partial(allocate, bench.device))
    assert 0 < costs.interrupt_s < 1
    result = run_check(BY_NAME["host costs"], bench)
    assert "; interrupt " in result.text
    figures = Result.from_dict(json.loads(json.dumps(result.as_dict()))).figures
    assert figures.keys() == {f.name for f in fields(HostCosts)} | {"uncached_copy_bytes_per_s"}
    assert figures["call_s"] is None
    assert all(value > 0 for name, value in figures.items() if name != "call_s")


def test_an_interrupt_that_does_not_come(monkeypatch):
    monkeypatch.setattr(hostcost, "_INTERRUPT_SECONDS", 0.05)
    monkeypatch.setattr("winogen.emulation.emulator.EmulatedCore", NoInterrupt)
    bench = Bench("emulator", TINY)
    assert math.isnan(hostcost.measure(bench.core, partial(allocate, bench.device)).interrupt_s)
    result = run_check(BY_NAME["host costs"], bench)
    assert result.text.startswith("no interrupt came within 0.05 s")


def test_a_register_that_takes_long_is_read_seldom(monkeypatch):
    monkeypatch.setattr(hostcost, "_BUDGET", 0.05)
    count = 0

    def access() -> None:
        nonlocal count
        count += 1
        time.sleep(0.01)

    assert hostcost._access(access) >= 0.01
    assert count == 1 + hostcost._TIMES


# Costs that are stored


def test_a_call_is_measured_on_a_board():
    """Python's part of it, without the accelerator: here the emulator is in it too."""
    bench = Bench("board", TINY, made=emulated_device(TINY))
    costs = HostCosts(1e-6, 1e-6, 1e9, 1e9, float("nan"), 1e-4)
    assert 1e-6 < hostcost._call_s(bench, costs) < 60
    slow = replace(costs, register_read_s=3600.0)  # more than all of it
    assert hostcost._call_s(bench, slow) == 1e-6


FIGURES = asdict(HostCosts(2e-6, 3e-6, 2e8, 1e7, 4e-4, 9e-4))


def doctor(monkeypatch, *words: str, **figures: float | None) -> int:
    result = Result("host costs", Outcome.PASS if figures else Outcome.FAIL, "", figures=figures)
    monkeypatch.setattr("winogen.doctor.supervisor.supervise", lambda *a: [result])
    return main(["doctor", "--device", "board", "--board", "pynq-z2", "--calibrate", *words])


def test_what_was_measured_is_stored(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert doctor(monkeypatch, **FIGURES) == 0
    assert "predictions for pynq-z2 use it from now on" in capsys.readouterr().out
    assert host_costs(load_board("pynq-z2")) == HostCosts(**FIGURES)
    assert doctor(monkeypatch, "--json", **{**FIGURES, "interrupt_s": None}) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["passed"] and "stored in" in err
    assert host_costs(load_board("pynq-z2")).interrupt_s > 9e-4  # the estimate


def test_what_was_not_measured_is_not_stored(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert doctor(monkeypatch) == 2
    assert "nothing is stored: the check 'host costs' did not pass" in capsys.readouterr().err
    assert main(["doctor", "--device", "emulator", "--calibrate"]) == 2
    assert "--calibrate is for a board, and this is the emulator" in capsys.readouterr().err
    assert calibrated(load_board("pynq-z2")) is None
