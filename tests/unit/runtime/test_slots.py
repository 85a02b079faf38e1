"""Pairs of buffers: who has one, who waits, and what is overlapped."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from support.bench import small
from winogen.common import pynq_library
from winogen.common.errors import ContiguousMemoryError, DeviceError, WinogenWarning
from winogen.runtime.buffers import SLOTS
from winogen.runtime.generator import Generator
from winogen.runtime.slots import Slots
from winogen.runtime.works import Works

NEVER = lambda: False  # noqa: E731


def test_each_is_one_callers():
    slots = Slots(2)
    assert (slots.take(NEVER), slots.spare(), slots.spare()) == (0, 1, None)
    slots.give(1)
    slots.give(0)
    assert slots.take(NEVER) == 0


def test_a_wait_ends_when_one_is_given_or_when_it_is_told_to():
    slots = Slots(1)
    slot = slots.take(NEVER)
    with pytest.raises(DeviceError, match="stopped before there was a buffer"):
        slots.take(lambda: True)
    with pytest.raises(DeviceError, match="in a callback of its own"):
        slots.take(NEVER)
    with ThreadPoolExecutor(1) as other:
        waits = other.submit(slots.take, NEVER)
        slots.give(slot)
        assert waits.result(60) == slot


def test_all_of_them_are_taken_at_the_end():
    slots = Slots(2)
    slot = slots.take(NEVER)
    assert not slots.take_all(0.01)
    threading.Timer(0.05, slots.give, (slot,)).start()
    assert slots.take_all(60)
    assert slots.spare() is None


def test_what_there_is_no_memory_for_is_not_waited_for():
    slots = Slots(2)
    assert (slots.take(NEVER), slots.spare()) == (0, 1)
    slots.retire(1)
    assert slots.spare() is None
    slots.give(0)
    assert slots.take_all(0)


def test_a_callback_that_uses_the_generator_is_told_so():
    with Generator(small().program) as generator:
        z = generator.latents(1)
        with pytest.raises(DeviceError, match="in a callback of its own"):
            generator.generate(generator.latents(9), progress=lambda _: generator.generate(z))
        assert len(generator.generate(z)) == 1


def test_batches_overlap(monkeypatch):
    """While one runs, the last one's output is converted and the next one's input."""
    with Generator(small().program) as generator:
        largest = generator.program.streams[-1].batch
        z = generator.latents(3 * largest)
        wanted = generator.generate(z)
        seen: list[str] = []
        core, codec = generator.core, generator._codec
        for owner, name in ((core, "start"), (core, "wait"), (codec, "encode_into"),
                            (codec, "decode_into")):  # fmt: skip
            real = getattr(owner, name)
            monkeypatch.setattr(
                owner, name,
                lambda *a, name=name, real=real, **k: (seen.append(name), real(*a, **k))[1],
            )  # fmt: skip
        np.testing.assert_array_equal(generator.generate(z), wanted)
        assert seen == [
            *("encode_into", "start", "encode_into", "wait"),
            *("start", "decode_into", "encode_into", "wait"),
            *("start", "decode_into", "wait", "decode_into"),
        ]


def test_without_memory_for_a_second_pair_they_come_one_by_one(monkeypatch):
    with Generator(small().program) as generator:
        z = generator.latents(3 * generator.program.streams[-1].batch)
        wanted = generator.generate(z)
    with Generator(small().program) as generator:
        real = generator._runner.buffers.room

        def room(name: str, nbytes: int, **options: bool):
            if name.endswith("-2"):
                raise ContiguousMemoryError("there is none")
            return real(name, nbytes, **options)

        monkeypatch.setattr(generator._runner.buffers, "room", room)
        with pytest.warns(WinogenWarning, match="batches do not overlap, for want of"):
            np.testing.assert_array_equal(generator.generate(z), wanted)
        np.testing.assert_array_equal(generator.generate(z), wanted)


@pytest.mark.parametrize("which", ["input", "output"])
def test_buffers_that_come_while_another_thread_runs(monkeypatch, which):
    """Its windows were opened before: they must be opened anew for who has the new buffers."""
    with Generator(small().program) as generator, ThreadPoolExecutor(1) as other:
        z = generator.latents(1)
        wanted = generator.generate(z)
        runner, allocate = generator._runner, pynq_library.pynq.allocate
        names = iter(["input", "output"])

        def slow(*arguments, **options):
            if next(names) == which:  # another thread has a turn now, with the first pair
                made = other.submit(generator.generate, z).result(60)
                np.testing.assert_array_equal(made, wanted)
            return allocate(*arguments, **options)

        monkeypatch.setattr(pynq_library.pynq, "allocate", slow)
        first = runner._slots.take(NEVER)  # so that this one has the second pair
        giver = threading.Timer(0.1, runner._slots.give, (first,))
        giver.start()
        np.testing.assert_array_equal(generator.generate(z), wanted)
        giver.join()
        assert next(names, None) is None


def test_nothing_is_freed_while_a_stream_may_access_it(monkeypatch):
    """Both pairs are open to a stream; the one that it does not use is too small, and free."""
    with Generator(small().program) as generator:
        first, *_, last = generator.program.streams
        z = generator.latents(2 * last.batch)
        wanted = generator.generate(z)
    with Generator(small().program) as generator:
        core, buffers = generator.core, generator._runner.buffers
        for slot in range(SLOTS):
            buffers.slot(slot, first)
        freed = []
        for name in ("input", "output", "input-2", "output-2"):
            real = buffers[name].freebuffer
            monkeypatch.setattr(
                buffers[name], "freebuffer",
                lambda n=name, real=real: (freed.append((n, core.unfinished)), real()),
            )  # fmt: skip
        np.testing.assert_array_equal(generator.generate(z), wanted)
        assert sorted(freed) == [(n, False) for n in ("input", "input-2", "output", "output-2")]


def test_what_fails_meanwhile_stops_the_run_and_gives_everything_back():
    with Generator(small().program) as generator:
        z = generator.latents(3 * generator.program.streams[-1].batch)
        wanted = generator.generate(z)

        def fail(done: int) -> None:
            raise RuntimeError("no more")

        with pytest.raises(RuntimeError, match="no more"):
            generator.generate(z, progress=fail)
        assert not generator.core.unfinished
        np.testing.assert_array_equal(generator.generate(z), wanted)


def test_the_runs_of_a_call_are_asked_for_as_there_is_room():
    assert Works(iter(()), Slots(2), {}, NEVER).take() is None
