"""Soft errors: bits that flip in a device's memory and registers, and who notices.

The sweep of all is ``pytest -m long tests/devices/test_soft_errors.py``: 300 flips on the emulator,
60 on the simulated logic. A picture that is wrong and returned is one too many.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.bench import small
from support.random_graphs import GraphBuilder
from support.soft_errors import at, flip, stored
from winogen.common.errors import CorruptionError, DeviceError, InputError
from winogen.compiler.compile import compile_graph
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device, rtl_device
from winogen.target import isa
from winogen.target.board import load_board
from winogen.target.registers import SETTINGS, Segment, offset

TINY = load_board("tiny")
#: Cycles after which a stream that does not go on is given up: a flipped instruction may wait for
#: what never comes. The emulator does not count them.
WATCHDOG = 20_000
CONSTANT = ("weights", "stream-2")
BASES = [f"{segment.name}_BASE" for segment in Segment] + ["STREAM_BASE"]
#: What can flip, and in which memory.
PLACES = (*CONSTANT, "input", "scratch", "output", "register")
REPEAT = {"check_every": 1, "check_repeat": True}


class Struck:
    """A generator of batches of 2, of which a bit flips within a run.

    ``wanted`` is what it must give for ``z``.
    """

    def __init__(self, generator: Generator):
        self.generator = generator
        self.z = generator.latents(2, seed=5)
        self.wanted = generator.generate(self.z)
        self.memory = generator.device.memory

    def buffer(self, name: str) -> Any:
        return self.generator._runner.buffers[name]

    def size(self, name: str) -> int:
        """Bytes of a buffer that the program uses."""
        stream = self.generator.program.streams[-1]
        used = {"weights": len(self.generator.program.weights), "stream-2": len(stream.stream)}
        return used.get(name) or int(getattr(stream, f"{name}_bytes"))

    def flip(self, name: str, bit: int) -> None:
        """In DRAM, as the device sees it."""
        flip(self.memory, self.buffer(name).device_address + bit // 8, bit % 8)

    def run(self) -> bool:
        """Whether the pictures are right."""
        return bool(np.array_equal(self.generator.generate(self.z), self.wanted))


def change_copy(program: Program) -> None:
    """A bit of the weights flips in the processor's memory."""
    wrong = bytes([program.weights[0] ^ 1]) + program.weights[1:]
    object.__setattr__(program, "weights", wrong)


@contextmanager
def struck(device: str = "emulator", program: Any = None, **options: Any) -> Iterator[Struck]:
    make = rtl_device if device == "rtl" else emulated_device
    with Generator(program or small().program, make(TINY), board=TINY, **options) as generator:
        generator.core.set("WATCHDOG", WATCHDOG)
        yield Struck(generator)


def at_store(victim: Struck, name: str, number: int, bit: int) -> Any:
    """Flip a bit of a buffer when the emulator has stored to it so many times."""
    first = victim.buffer(name).device_address
    return stored(victim.memory, first, victim.size(name), number, lambda: victim.flip(name, bit))


@contextmanager
def fault(victim: Struck, place: str, rng: np.random.Generator, simulated: bool) -> Iterator[None]:
    """One bit of a place flips while the next run is under way."""
    core = victim.generator.device.core
    if place == "register":
        name = BASES[rng.integers(len(BASES))]
        bit = int(rng.integers(64))
        strike = lambda: core.write(  # noqa: E731
            low := offset(f"{name}_LO") + 4 * (bit // 32), core.read(low) ^ 1 << bit % 32
        )
        with at(core, "CONTROL", strike, False):  # before that, it would be written again
            yield
        return
    bit = int(rng.integers(8 * victim.size(place)))
    if place == "output":  # of the channel that there is, and not of one that pads
        bit = bit // 8 // TINY.core.co_lanes * TINY.core.co_lanes * 8 + bit % 8
    if simulated:  # at any cycle of the run, or where it can do harm: after something is stored
        first, last = {"scratch": (0.45, 0.65), "output": (0.9, 1.2)}.get(place, (0, 1))
        cycles = int(rng.uniform(first, last) * victim.generator.program.streams[-1].cycles)

        def strike() -> None:
            victim.generator.device.core.step(cycles)
            victim.flip(place, bit)

        with at(core, "CONTROL", strike, True):
            yield
    elif place in ("scratch", "output"):
        with at_store(victim, place, int(rng.integers(1, 3)), bit):
            yield
    else:
        with at(core, "CONTROL", lambda: victim.flip(place, bit), False):
            yield


def sweep(device: str, flips: int, **options: Any) -> Counter[str]:
    """What became of so many flips: found (and how), harmless, or wrong and returned.

    After each of them the next pictures must be right, whoever has to load again.
    """
    rng = np.random.default_rng(17)
    seen: Counter[str] = Counter()
    with struck(device, **options) as victim:
        for index in range(flips):
            place = PLACES[index % len(PLACES)]
            with fault(victim, place, rng, device == "rtl"):
                try:
                    seen["harmless" if victim.run() else "wrong"] += 1
                except CorruptionError as error:
                    seen[error.part] += 1
                except DeviceError:
                    seen["failed"] += 1
            if not options:
                victim.generator.reload()  # nobody else would
            victim.generator.core.set("WATCHDOG", WATCHDOG)
            assert victim.run(), f"after a flip in {place}"
    print(device, flips, dict(seen))
    return seen


@pytest.mark.parametrize(
    ("device", "flips"),
    [
        ("emulator", 18),
        ("rtl", 6),
        pytest.param("emulator", 300, marks=pytest.mark.long),
        pytest.param("rtl", 60, marks=pytest.mark.long),
    ],
)
def test_no_wrong_picture_is_returned(device, flips):
    seen = sweep(device, flips, **REPEAT)
    assert seen["wrong"] == 0
    # What is constant, and written before a run, is found whether it did harm or not.
    found = seen["weights"] + seen["instructions"] + seen["input"] + seen["register"]
    assert found == flips * 4 // 6


def test_without_the_check_wrong_pictures_are_returned():
    """So the sweep above looks at flips that do harm."""
    seen = sweep("emulator", 24)
    assert seen["wrong"] >= 4


# What the error says, and what comes next


@pytest.mark.parametrize("place", CONSTANT)
def test_the_place_is_named(place):
    with struck(check_every=1) as victim:
        victim.flip(place, 8 * 100 + 3)
        address = victim.buffer(place).device_address + 100
        with pytest.raises(CorruptionError) as caught:
            victim.run()
        error = caught.value
        part, what = {
            "weights": ("weights", "weights"),
            "stream-2": ("instructions", "instructions for batches of 2"),
        }[place]
        data = victim.memory.device_read(address, 1)[0]
        assert (error.part, error.address, error.offset) == (part, address, 100)
        assert str(error) == (
            f"the {what} of network 'small' have changed in the device's memory: byte 100 reads "
            f"0x{data:02x} instead of 0x{data ^ 8:02x}, at bus address 0x{address:08x}; the next "
            "call loads the program again"
        )
        assert victim.run()
        victim.generator.check()


def test_an_input_is_held_against_what_was_written():
    with struck(check_every=10) as victim:
        core = victim.generator.device.core
        with (
            at(core, "CONTROL", lambda: victim.flip("input", 3), False),
            pytest.raises(CorruptionError, match=r"input .* in bytes 0 to 15 \(bus") as caught,
        ):
            victim.run()
        assert caught.value.part == "input"
        assert victim.run()


@pytest.mark.parametrize("options", [{}, {"check_every": 3}])
def test_bases_are_read_back_before_anything_runs(options):
    """One read tells of all of them; the message names the one."""
    with struck(**options) as victim:
        core, started = victim.generator.device.core, []
        real_write, real_run = core.write, core._run

        def write(where: int, value: int) -> None:
            real_write(where, 0x1000 if where == offset("OUTPUT_BASE_LO") else value)

        core.write, core._run = write, lambda: started.append(real_run())
        core._set("OUTPUT_BASE_LO", 0x1000)
        with pytest.raises(
            CorruptionError, match="register OUTPUT_BASE_LO reads 0x1000 instead of 0x"
        ) as caught:
            victim.run()
        assert not started
        assert (caught.value.part, caught.value.offset) == ("register", offset("OUTPUT_BASE_LO"))
        del core.write, core._run
        assert victim.run()


@pytest.mark.parametrize("register", SETTINGS)
def test_what_changes_between_runs_is_written_again(register):
    """Only what changes is written otherwise."""
    with struck(waiting="poll") as victim:
        core = victim.generator.device.core
        assert victim.run()
        core._set(register, core._get(register) ^ 1 << 13)
        assert victim.run()
        written = []
        real = core.write
        core.write = lambda where, value: (written.append(where), real(where, value))
        assert victim.run()
        assert written == [offset("IRQ_STATUS"), offset("CONTROL")]


def test_a_base_that_changes_within_a_run_is_seen_after_it():
    """Here the device writes its pictures over the weights."""
    with struck() as victim:
        weights = victim.buffer("weights").device_address
        core = victim.generator.device.core
        strike = lambda: core.write(offset("OUTPUT_BASE_LO"), weights)  # noqa: E731
        with (
            at(core, "CONTROL", strike, False),
            pytest.raises(CorruptionError, match="register OUTPUT_BASE_LO reads"),
        ):
            victim.run()
        assert victim.run()  # the weights are loaded again


def test_a_base_that_changes_at_the_end_of_a_run_is_seen_after_it():
    """Nobody knows when it did: no window was left."""
    with struck() as victim:
        core = victim.generator.device.core
        strike = lambda: core._set("INPUT_BASE_LO", core._get("INPUT_BASE_LO") ^ 64)  # noqa: E731
        with (
            at(core, "CONTROL", strike, True),
            pytest.raises(CorruptionError, match="register INPUT_BASE_LO reads"),
        ):
            victim.run()
        assert victim.run()


def test_an_instruction_that_cannot_be_executed_is_explained():
    with struck(check_every=100) as victim:
        stream = victim.buffer("stream-2")
        victim.memory.device_write(stream.device_address, bytes([0xFF]))  # an opcode
        with pytest.raises(CorruptionError, match=r"instructions .* byte 0 reads 0xff") as caught:
            victim.run()
        assert "BAD_OPCODE" in str(caught.value.__cause__)
        assert victim.run()


def test_what_lasts_in_the_output_is_found_by_a_known_answer():
    """The same wrong bit in every run: repeating it shows nothing."""
    for options, finds in (({"check_repeat": True}, False), ({"check_answer": True}, True)):
        with struck(check_every=1, **options) as victim:
            real, first = victim.memory.device_write_strided, victim.buffer("output").device_address

            def stuck(address, data, strides, victim=victim, real=real, first=first):
                real(address, data, strides)
                if address == first:  # once a run
                    victim.flip("output", 1)

            victim.memory.device_write_strided = stuck
            if finds:
                with pytest.raises(CorruptionError, match=r"a known input of .* another output"):
                    victim.run()
            else:
                assert not victim.run()


def test_an_answer_that_does_not_repeat_is_none():
    with Generator(small().program, emulated_device(TINY), check_every=1, check_answer=True) as g:
        victim = Struck.__new__(Struck)
        victim.generator, victim.memory = g, g.device.memory
        g._runner.buffers.room("output", 4096)
        with (
            at_store(victim, "output", 1, 0),
            pytest.raises(CorruptionError, match=r"two runs of a known input .* different"),
        ):
            g.generate(g.latents(2))
        g.generate(g.latents(2))


# How many runs may pass


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_flip_is_found_within_the_promised_runs(every):
    with struck(check_every=every) as victim:
        for before in range(every + 1):  # wherever between two checks it strikes
            victim.generator.check()
            for _ in range(before):
                victim.run()
            victim.flip("weights", 8 * 100)  # a value, with which the stream runs to its end
            given = 0
            with pytest.raises(CorruptionError) as caught:
                while given < every:
                    victim.run()
                    given += 1
            assert given <= every - 1
            runs = victim.generator.unchecked
            said = f"what {runs} run{'s' * (runs > 1)} before gave was not checked" if runs else ";"
            assert said in str(caught.value)
            assert victim.run()


def test_every_batch_and_window_is_a_run():
    b = GraphBuilder(0, (1, 8, 8))
    b.conv(1, 3)
    program = compile_graph(b.graph("n", None), TINY, batch=1).program
    image = np.linspace(-1, 1, 12 * 12, dtype=np.float32).reshape(1, 12, 12)
    with Generator(program, check_every=3) as generator:
        generator.apply(image)  # 4 windows or more, so one check at least
        windows: list[int] = []
        generator.apply(image, progress=lambda done, total: windows.append(total))
        runs = 2 * windows[-1]
        assert generator.unchecked == runs % 3
        flip(generator.device.memory, generator._runner.buffers["weights"].device_address, 0)
        with pytest.raises(CorruptionError):
            generator.apply(image)
        generator.reload()
        flip(generator.device.memory, generator._runner.buffers["weights"].device_address, 0)
        with pytest.raises(CorruptionError):
            asyncio.run(generator.generate_async(np.stack([image[:, :8, :8]] * 3)))
        asyncio.run(generator.apply_async(image))


def test_check_on_request():
    with struck() as victim:
        assert victim.generator.unchecked == 0
        victim.generator.check()
        victim.flip("weights", 77)
        victim.run()
        with pytest.raises(CorruptionError, match="byte 9 reads"):
            victim.generator.check()
        victim.generator.reload()
        victim.generator.check()
        assert victim.run()


def test_counters_are_those_of_the_call_alone():
    with struck() as plain, struck(check_every=1, check_repeat=True, check_answer=True) as checked:
        for victim in (plain, checked):
            victim.generator.generate(victim.z, count=True)
        assert plain.generator.counters() == checked.generator.counters()


# Loading again


def test_memory_that_keeps_nothing_is_bad():
    with struck(check_every=1) as victim:
        address, real = victim.buffer("weights").device_address, victim.memory.flush

        def stuck(at: int, nbytes: int) -> None:
            real(at, nbytes)
            if at == address:
                flip(victim.memory, address, 5)

        victim.memory.flush = stuck
        victim.flip("weights", 0)
        with pytest.raises(CorruptionError, match="the next call loads the program again"):
            victim.run()
        for _ in range(2):
            with pytest.raises(CorruptionError, match=r"loaded again just now.*this memory is bad"):
                victim.run()
        del victim.memory.flush
        assert victim.run()


def test_a_program_that_has_changed_in_the_processors_memory_too(tmp_path):
    path = tmp_path / "small.wg"
    small().program.save(path)
    with struck(program=path, check_every=1) as victim:
        program = victim.generator.program
        change_copy(program)
        victim.flip("weights", 0)  # as the copy is
        last = len(program.weights) - 1
        with pytest.raises(CorruptionError, match=rf"in bytes 0 to {last}, at bus address"):
            victim.run()
        assert victim.run()  # from the file
        victim.flip("weights", 1)
        with pytest.raises(CorruptionError):
            victim.run()
        path.unlink()
        assert victim.run()  # what was read from the file is intact


@pytest.mark.parametrize("file", ["gone", "other", None])
def test_a_program_that_has_changed_and_cannot_be_read_again(file, tmp_path):
    path = tmp_path / "small.wg"
    small().program.save(path)
    program: Any = path if file else Program.load(path)
    with struck(program=program, check_every=1) as victim:
        if file == "gone":
            path.unlink()
        elif file == "other":
            small(batch=1).program.save(path)
        change_copy(victim.generator.program)
        said = {"gone": "cannot be read again", "other": "is another program now"}
        message = said.get(file, "it was made in Python")
        for _ in range(2):
            with pytest.raises(CorruptionError, match=f"processor's memory.*{message}.*make a new"):
                victim.generator.reload()


def test_a_copy_that_flips_between_reading_and_loading_is_found(tmp_path):
    """The digests are those of the file: what was loaded was wrong before it was."""
    path = Path(tmp_path / "small.wg")
    small().program.save(path)
    program = Program.load(path)
    change_copy(program)
    with pytest.raises(CorruptionError, match="loaded just now"):
        Generator(program, emulated_device(TINY), check_every=1)


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"check_every": 0}, "check_every must be a number of runs, at least 1, not 0"),
        ({"check_every": "2"}, "check_every must be a number of runs, at least 1, not '2'"),
        ({"check_every": 1.5}, "at least 1, not 1.5"),
        ({"check_answer": True}, "check_answer says what a check does too: give check_every"),
        ({"check_repeat": True}, "check_repeat says what a check does too: give check_every"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        Generator(small().program, emulated_device(TINY), **options)


def test_the_small_program_uses_all_places():
    stream = small().program.streams[-1]
    assert stream.batch == 2 and len(stream.stream) > isa.INSTRUCTION_BYTES
    assert min(stream.input_bytes, stream.output_bytes, stream.scratch_bytes) > 0
