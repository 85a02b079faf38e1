"""Cache maintenance: on the emulated board every flush and invalidate of a run is needed.

The runs below go through pynq's own buffers and the driver, step by step as the Generator does,
so that each step can be left out.
"""

from __future__ import annotations

import numpy as np
import pynq
import pytest

from support.bench import DEVICES, input_words, random_inputs, small
from winogen.common.errors import DeviceError
from winogen.compiler.integers import run_integer
from winogen.emulation.device import IP_NAME
from winogen.runtime.codec import Codec
from winogen.runtime.generator import Generator
from winogen.target.board import load_board
from winogen.target.registers import Access, Segment


class Run:
    """Buffers of one run of the small network; ``skip`` is what is forgotten."""

    def __init__(self, device: str, skip: str = "", stale: bool = False, cached: int = 1):
        self.compiled = compiled = small()
        program, info = compiled.program, compiled.program.streams[-1]
        q = random_inputs(compiled, info.batch)
        board = DEVICES[device](load_board("tiny"))
        overlay = pynq.Overlay(str(board.ensure_overlay()), device=board)
        self.core = getattr(overlay, IP_NAME)
        self.wanted = run_integer(compiled.network, q)
        data = {"weights": program.weights, "stream": info.stream,
                "input": input_words(program, q).tobytes()}  # fmt: skip
        sizes = {**{k: len(v) for k, v in data.items()}, "output": info.output_bytes,
                 "scratch": max(info.scratch_bytes, 64)}  # fmt: skip
        self.buffers = {
            k: pynq.allocate((n,), "u1", target=board, cacheable=cached) for k, n in sizes.items()
        }
        if stale:  # what an earlier run with other contents has left behind
            for name, buffer in self.buffers.items():
                buffer[:] = 1
                if name != "output":
                    buffer.flush()
        for name, content in data.items():
            self.buffers[name][:] = np.frombuffer(content, "u1")
            if name != skip:
                self.buffers[name].flush()
        bases = {s: self.buffers[s.name.lower()].device_address for s in Segment}
        buffers = [self.buffers[s.name.lower()] for s in Segment]
        self.core.allow(
            {
                Access.READ: buffers,
                Access.WRITE: buffers[2:],
                Access.FETCH: [self.buffers["stream"]],
            }
        )
        self.core.start(self.buffers["stream"].device_address, info.length, bases)
        self.core.wait(5)
        if skip != "output":
            self.buffers["output"].invalidate()

    def output(self) -> np.ndarray:
        return Codec(self.compiled.program).decode(np.array(self.buffers["output"]), 2)


@pytest.mark.parametrize("device", list(DEVICES))
def test_with_every_step_the_output_is_right(device):
    for stale in (False, True):
        run = Run(device, stale=stale)
        np.testing.assert_array_equal(run.output(), run.wanted)


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("skip", ["input", "output"])
@pytest.mark.parametrize("device", list(DEVICES))
def test_without_one_the_bytes_are_wrong(device, skip, stale):
    run = Run(device, skip, stale)
    assert not np.array_equal(run.output(), run.wanted)
    run.buffers["output"].invalidate()
    assert (skip == "output") == np.array_equal(run.output(), run.wanted)


@pytest.mark.parametrize("skip", ["weights", "stream"])
@pytest.mark.parametrize("device", list(DEVICES))
def test_constants_that_were_not_flushed_stop_the_core(device, skip):
    """Poison is no instruction, and as a table it is illegal: an error, not a wrong image."""
    error = {"stream": "BAD_OPCODE in the fetch engine at instruction 0",
             "weights": "ILLEGAL_DESCRIPTOR"}[skip]  # fmt: skip
    with pytest.raises(DeviceError, match=error):
        Run(device, skip)


def test_stale_weights_give_wrong_bytes_or_an_error():
    try:
        run = Run("emulator", "weights", stale=True)
    except DeviceError:
        return
    assert not np.array_equal(run.output(), run.wanted)


@pytest.mark.parametrize("skip", ["input", "output", "weights", "stream"])
@pytest.mark.parametrize("device", list(DEVICES))
def test_in_uncached_memory_none_is_needed(device, skip):
    run = Run(device, skip, stale=True, cached=0)
    np.testing.assert_array_equal(run.output(), run.wanted)


# The Generator itself


def test_the_generator_s_buffers_are_cached():
    with Generator(small().program) as generator:
        generator.generate(generator.latents(1))
        buffers = generator._runner.buffers.values()
        assert len(buffers) == 5
        assert all(buffer.bo.cached for buffer in buffers)


@pytest.mark.parametrize("method", ["flush", "invalidate"])
def test_the_generator_needs_its_flushes_and_invalidates(method, monkeypatch):
    """Without pynq's method doing anything, nothing is right: no hidden second way exists."""
    with Generator(small().program) as good:
        z = good.latents(4, seed=3)
        wanted = good.generate(z)
    monkeypatch.setattr(pynq.buffer.PynqBuffer, method, lambda self: None)
    if method == "flush":
        with Generator(small().program) as bad, pytest.raises(DeviceError):
            bad.generate(z)
        return
    with Generator(small().program) as bad:
        assert not np.array_equal(bad.generate(z), wanted)


def test_the_generator_flushes_each_new_input_and_only_then_starts(monkeypatch):
    """Order of one run: input flushed, run, output invalidated."""
    seen: list[str] = []
    with Generator(small().program) as generator:
        z = generator.latents(2)
        generator.generate(z)
        names = {b.device_address: n for n, b in generator._runner.buffers.items()}
        for method in ("flush", "invalidate"):
            original = getattr(pynq.buffer.PynqBuffer, method)

            def note(self, method=method, original=original):
                seen.append(f"{method} {names[self.device_address]}")
                original(self)

            monkeypatch.setattr(pynq.buffer.PynqBuffer, method, note)
        for name in ("start", "wait"):
            original = getattr(generator.core, name)
            monkeypatch.setattr(
                generator.core, name,
                lambda *a, name=name, original=original, **options: (
                    seen.append(name), original(*a, **options)
                )[1],
            )  # fmt: skip
        generator.generate(z)
    assert seen == ["flush input", "start", "wait", "invalidate output"]


def test_no_line_of_what_the_device_writes_is_the_processor_s(monkeypatch):
    """Stale lines are dropped as the buffer is made, and the generator never writes to it."""
    invalidate, dropped, written = pynq.buffer.PynqBuffer.invalidate, [], []
    monkeypatch.setattr(
        pynq.buffer.PynqBuffer, "invalidate",
        lambda self: (dropped.append(self.device_address), invalidate(self))[1],
    )  # fmt: skip
    monkeypatch.setattr(
        pynq.buffer.PynqBuffer, "__setitem__",
        lambda self, key, value: (
            written.append(self.device_address), np.ndarray.__setitem__(self, key, value)
        )[1],
    )  # fmt: skip
    with Generator(small().program) as generator:
        generator.generate(generator.latents(2))
        buffers = generator._runner.buffers
        for name in ("output", "scratch"):
            assert buffers[name].device_address in dropped
            assert buffers[name].device_address not in written
        assert buffers["input"].device_address in written
