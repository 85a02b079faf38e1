"""Predicted times with the host's part, against sums by hand and what a run really does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.bench import small
from winogen.program.speed import INTERRUPT_WRITES, READS, WRITES, speed
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device
from winogen.target.board import load_board
from winogen.target.host import HostCosts, calibrate

COSTS = HostCosts(2e-6, 3e-6, 2e8, 1e7, 4e-4, 9e-4)


@pytest.fixture(autouse=True)
def measured(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("cycles", [100, 10_000_000])
def test_the_parts_add_up(cycles):
    """Short runs are polled; long ones are waited for by interrupt."""
    program = small("pynq-z2").program
    calibrate(program.board, COSTS)
    stream = replace(program.streams[-1], cycles=cycles)
    got = speed(program, stream)
    seconds = cycles / 150e6
    c, h, w = program.output_shape
    elements = stream.batch * (5 + c * h * w)
    convert = 4e-4 + (stream.input_bytes + stream.output_bytes) / 2e8 + elements / 1e7
    control = 4 * 2e-6 + 4 * 3e-6 + (2 * 3e-6 + 9e-4 if seconds > 9e-4 else 0)
    assert got.measured and got.batch == stream.batch
    assert got.accelerator_s == pytest.approx(seconds)
    assert (got.control_s, got.convert_s) == pytest.approx((control, convert))
    assert got.accelerator == pytest.approx(stream.batch / seconds)
    assert got.alone == pytest.approx(stream.batch / (seconds + control + convert))
    assert got.overlapped == pytest.approx(stream.batch / (max(seconds, convert) + control))
    assert got.alone < got.overlapped < got.accelerator


def test_without_a_processor_the_accelerator_is_all_there_is():
    program = small("tiny").program
    got = speed(program, program.streams[0])
    assert got.host_s == 0 and got.alone == got.overlapped == got.accelerator


@pytest.mark.parametrize(
    ("waiting", "writes"), [("poll", WRITES), ("interrupt", WRITES + INTERRUPT_WRITES)]
)
def test_a_run_takes_no_more_accesses_than_are_predicted(waiting, writes, monkeypatch):
    """In either slot, where batches overlap."""
    board = load_board("tiny")
    device = emulated_device(board)
    import pynq

    monkeypatch.setattr(pynq.Device, "_active_device", device, raising=False)
    with Generator(small().program, device, waiting=waiting) as generator:
        largest = generator.program.streams[-1].batch
        generator.generate(generator.latents(4 * largest))  # settings are as they stay
        counts = {"read": 0, "write": 0}
        for name in counts:
            real = getattr(device.core, name)

            def counted(*access, name=name, real=real):
                counts[name] += 1
                return real(*access)

            monkeypatch.setattr(device.core, name, counted)
        generator.generate(generator.latents(4 * largest))
    assert counts["read"] <= 4 * READS and counts["write"] <= 4 * writes
    assert READS <= 4 and WRITES + INTERRUPT_WRITES <= 8
