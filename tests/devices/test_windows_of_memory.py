"""Windows: whatever is damaged, the accelerator leaves all memory but its program's buffers alone.

Here nothing but the logic, or the emulator of it, stands between a stream and memory: the driver's
check of instructions is taken out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from support.bench import DEVICES, small
from support.broken_streams import bent, flipped
from support.strategies import drawn, examples
from winogen.common.errors import CorruptionError, DeviceError, WinogenError
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.open import open_device
from winogen.target.board import load_board
from winogen.target.registers import Access, Segment, offset, window_names

PAGE = 4096
POOL = 3 << 20
TINY = load_board("tiny")
BASES = [f"{name}_BASE" for name in (*(s.name for s in Segment), "STREAM")]
WINDOWS = [f"{n}_{end}" for a in Access for n in window_names(a) for end in ("FIRST", "LAST")]


@pytest.fixture
def unchecked(monkeypatch):
    """No instruction is looked at before it runs."""
    monkeypatch.setattr("winogen.runtime.runner.check_stream", lambda *_: None)


@pytest.fixture(params=["emulator", "machine", "rtl"])
def device(request) -> Any:
    return DEVICES[request.param](replace(TINY, contiguous_mib=2))


class Guard:
    """Memory around a generator's buffers, which nothing may change."""

    def __init__(self, memory: Any, buffers: dict[str, Any]):
        self.memory = memory
        self.pool = memory.device_view()[-POOL:]  # where buffers are, and a MiB before
        self.start = memory.base + memory.size - POOL
        self.outside = np.ones(POOL, bool)
        for name in buffers:  # inputs are the driver's own doing
            if not name.startswith(("input", "output", "scratch")):
                continue
            first = buffers[name].device_address - self.start
            self.outside[first : first + -(-buffers[name].nbytes // PAGE) * PAGE] = False
        self.before = self.pool.copy()
        self.version = self.below()

    def below(self) -> int:
        """Grows as memory in front of the pool changes."""
        return self.memory.device_version(self.memory.base, self.memory.size - POOL)

    def check(self) -> None:
        different = np.flatnonzero((self.pool != self.before) & self.outside)
        assert not different.size, hex(self.start + int(different[0]))
        assert self.below() == self.version


@contextmanager
def damaged(core: Any, register: str, bit: int) -> Iterator[None]:
    """A bit of a register flips as the stream starts, after all was read back."""
    real = core.write
    control = offset("CONTROL")

    def write(at: int, value: int) -> None:
        if at == control and value & 1:
            real(register_offset, core.read(register_offset) ^ 1 << bit % 32)
        real(at, value)

    name = register if register in WINDOWS else f"{register}_{'LO' if bit < 32 else 'HI'}"
    register_offset = offset(name)
    core.write = write
    try:
        yield
    finally:
        del core.write


def of(generator: Generator, access: Access) -> set[tuple[int, int]]:
    """The windows that hold something."""
    core = generator.core
    pages = [(core.get(f"{n}_FIRST"), core.get(f"{n}_LAST")) for n in window_names(access)]
    return {(first, last) for first, last in pages if first <= last}


def pages(buffer: Any) -> tuple[int, int]:
    return buffer.device_address // PAGE, (buffer.device_address + buffer.nbytes - 1) // PAGE


def test_windows_are_the_buffers_of_the_run(device):
    with Generator(small().program, device, board=TINY) as generator:
        for count in (1, 2, 1, 6):  # the last one with both pairs of input and output
            generator.generate(generator.latents(count))
            held = {name: pages(b) for name, b in generator._runner.buffers.items()}
            stream = f"stream-{min(count, 2)}"
            inputs = {held[n] for n in held if n.startswith("input")}
            outputs = {held[n] for n in held if n.startswith("output")}
            assert of(generator, Access.FETCH) == {held[stream]}
            # Buffers of the other pair may have come after the last start.
            most = {held["weights"], held["scratch"], *inputs, *outputs}
            assert {held["weights"], held["scratch"]} <= of(generator, Access.READ) <= most
            assert {held["scratch"]} <= of(generator, Access.WRITE) <= {held["scratch"], *outputs}
            assert of(generator, Access.WRITE) & outputs and of(generator, Access.READ) & inputs
        assert len(inputs) == len(outputs) == 2


def test_registers_of_windows_are_left_alone_once_they_are_right(device, monkeypatch):
    """Neither read nor written: SETTINGS_SUM tells that they hold what was written."""
    with Generator(small().program, device, board=TINY) as generator:
        z = generator.latents(2)
        generator.generate(z)
        places = {offset(n) for n in WINDOWS}
        seen: list[int] = []
        core = device.core
        read, write = core.read, core.write
        monkeypatch.setattr(core, "read", lambda at: (seen.append(at), read(at))[1])
        monkeypatch.setattr(core, "write", lambda at, x: (seen.append(at), write(at, x))[1])
        generator.generate(z)
        generator.core.reset()  # leaves them
        generator.generate(z)
        assert seen and not places & set(seen)
        generator.generate(z[:1])  # another stream: one window is written
        own = [offset(f"FETCH_WINDOW0_{end}") for end in ("FIRST", "LAST")]
        assert 1 <= len([at for at in seen if at in places]) <= 2
        assert {at for at in seen if at in places} <= set(own)


@pytest.mark.parametrize("name", ["READ_WINDOW0_FIRST", "WRITE_WINDOW2_LAST", "FETCH_WINDOW0_LAST"])
def test_a_window_that_does_not_hold_is_told_before_anything_runs(device, name, monkeypatch):
    with Generator(small().program, device, board=TINY) as generator:
        z = generator.latents(2)
        core, write = device.core, device.core.write
        starts = []

        def damaging(at: int, value: int) -> None:
            starts.append(at == offset("CONTROL") and value & 1)
            write(at, value ^ 4 if at == offset(name) else value)

        with monkeypatch.context() as m:
            m.setattr(core, "write", damaging)
            with pytest.raises(CorruptionError, match=f"register {name} reads 0x"):
                for _ in range(2):  # the first closes, or opens, what none was told to
                    core.write(offset(name), core.read(offset(name)))
                    generator.generate(z)
        assert starts and not any(starts)
        generator.generate(z)
        assert of(generator, Access.WRITE) == {
            pages(generator._runner.buffers[n]) for n in ("output", "scratch")
        }


def test_generators_of_one_device_take_turns(device):
    opened = open_device(device, TINY)
    try:
        with Generator(small().program, opened) as a, Generator(small().program, opened) as b:
            z = a.latents(2, seed=3)
            wanted = a.generate(z)
            for generator in (b, a, b, b, a):
                np.testing.assert_array_equal(generator.generate(z), wanted)
    finally:
        opened.core.close()
    with Generator(small().program, device, board=TINY) as again:  # maybe with the overlay anew
        np.testing.assert_array_equal(again.generate(z), wanted)


def test_an_overlay_that_was_loaded_anew_has_closed_windows(device):
    """By code that goes around the driver: it notices."""
    with Generator(small().program, device, board=TINY) as generator:
        z = generator.latents(2, seed=3)
        wanted = generator.generate(z)
        generator._runner._opened.overlay.download()
        assert not of(generator, Access.READ)
        np.testing.assert_array_equal(generator.generate(z), wanted)


@pytest.mark.parametrize("count", [25, pytest.param(1000, marks=pytest.mark.long)])
@pytest.mark.usefixtures("unchecked")
def test_no_stream_leaves_the_buffers(device, count):
    """Most of them would be refused before they run; here the accelerator alone refuses."""
    ends: Counter[str] = Counter()
    program = small(batch=1).program
    stream = program.streams[0]
    opened = open_device(device, TINY)

    @examples(count)
    @given(drawn())
    def attack(rng: Any) -> None:
        code = (flipped if rng.integers(4) == 0 else bent)(rng, stream.stream)
        hostile = replace(program, streams=(replace(stream, stream=code),))
        with Generator(hostile, opened, timeout=20) as generator:
            generator.core.set("WATCHDOG", 20_000)
            z = generator.latents(1)
            with_buffers(generator)
            guard = Guard(device.memory, generator._runner.buffers)
            try:
                generator.generate(z)
                ends["ran"] += 1
            except WinogenError as error:
                ends["outside" if "OUTSIDE_WINDOW" in str(error) else "refused"] += 1
            guard.check()

    try:
        attack()
    finally:
        opened.core.close()
    assert min(ends["ran"], ends["outside"]) > 0


def with_buffers(generator: Generator) -> None:
    """All buffers of the first stream, which never ran."""
    info = generator.program.streams[0]
    buffers = generator._runner.buffers
    for name in ("input", "output", "scratch"):
        buffers.room(name, max(64, getattr(info, f"{name}_bytes")))
    buffers.upload(f"stream-{info.batch}", info.stream)


def test_no_damaged_register_leads_out_of_the_buffers(device):
    """Bases and windows: every bit of a base that still is a possible one, some of each window."""
    rng = np.random.default_rng(5)
    ends: Counter[str] = Counter()
    with Generator(small().program, device, board=TINY) as generator:
        generator.core.set("WATCHDOG", 20_000)
        z = generator.latents(2, seed=1)
        wanted = generator.generate(z)
        cases = [(name, bit) for name in BASES for bit in (12, *rng.choice(64, 3, replace=False))]
        cases += [(name, int(rng.integers(20))) for name in rng.permutation(WINDOWS)[:12]]
        for name, bit in cases:
            guard = Guard(device.memory, generator._runner.buffers)
            try:
                with damaged(device.core, name, int(bit)):
                    right = np.array_equal(generator.generate(z), wanted)
                assert right, (name, bit)
                ends["as it was"] += 1
            except CorruptionError as error:
                place = name if name in WINDOWS else f"{name}_{'LO' if bit < 32 else 'HI'}"
                assert place in str(error), (name, bit)
                ends["found"] += 1
            except DeviceError as error:  # which cannot be a window's fault
                pytest.fail(f"{name} {bit}: {error}")
            guard.check()
            generator.core.set("WATCHDOG", 20_000)
            np.testing.assert_array_equal(generator.generate(z), wanted)
    assert ends["found"] == len(cases)


def test_a_program_that_was_loaded_runs_inside_its_windows(device):
    """The windows that are open are enough for every stream, from memory as it was allocated."""
    program = Program.frombytes(small(batch=3).program.tobytes())
    with Generator(program, device, board=TINY) as generator:
        z = generator.latents(6, seed=2)
        whole = generator.generate(z)
        single = np.concatenate([generator.generate(z[i : i + 1]) for i in range(6)])
        np.testing.assert_array_equal(whole, single)
