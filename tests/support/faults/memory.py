"""Memory and the ways to it: bits that flip, caches that are not flushed, transfers cut short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from pynq.buffer import PynqBuffer
from pytest import MonkeyPatch

from fakes import faulty_cores
from support.bench import named
from support.coded import compiled
from support.faults.kinds import SAME, fault, refused
from support.faults.on_devices import OnDevice, in_doctor, on_device
from support.soft_errors import at, flip, stored
from winogen.emulation.device import EmulatedMemory
from winogen.program.file import Program
from winogen.target import isa
from winogen.target.isa import LoadWeights
from winogen.target.registers import Access, offset, window_names

BOTH = ("emulator", "rtl")
checked = partial(on_device, check_every=1)
repeated = partial(on_device, check_every=1, check_repeat=True)
answered = partial(on_device, check_every=1, check_answer=True)
_AGAIN = "the next call loads the program again"


def _flip(stage: OnDevice, name: str, bit: int) -> None:
    """A bit of a buffer, as the device sees it."""
    address = stage.generator._runner.buffers[name].device_address
    flip(stage.device.memory, address + bit // 8, bit % 8)
    stage.strike()


# Bits that flip; whoever asks for checks is told


@fault(
    "a bit of the weights flips",
    checked,
    refused(
        "CorruptionError",
        "weights of network 'small' have changed in the device's memory",
        "byte 100 reads",
        "at bus address",
        _AGAIN,
    ),
    devices=BOTH,
)
def _(stage: OnDevice) -> Any:
    """In DRAM, between two runs; every run is checked."""
    assert stage.run()
    _flip(stage, "weights", 803)
    yield


@fault(
    "a bit of an instruction flips",
    checked,
    refused("CorruptionError", "instructions for batches of 2", "byte 100 reads", _AGAIN),
    devices=BOTH,
)
def _(stage: OnDevice) -> Any:
    """In DRAM, between two runs; every run is checked."""
    assert stage.run()
    _flip(stage, "stream-2", 803)
    yield


@fault(
    "an opcode is overwritten",
    checked,
    refused("CorruptionError", "instructions for batches of 2", "byte 0 reads 0xff"),
    devices=BOTH,
)
def _(stage: OnDevice) -> Any:
    """An instruction becomes none at all; the check says why the core stopped."""
    assert stage.run()
    stage.device.memory.device_write(
        stage.generator._runner.buffers["stream-2"].device_address, bytes([0xFF])
    )
    yield


@fault(
    "an opcode is overwritten, unchecked",
    on_device,
    refused("DeviceError", "stopped with BAD_OPCODE in the fetch engine at instruction 0"),
    devices=BOTH,
)
def _(stage: OnDevice) -> None:
    """The same where no checks were asked for."""
    assert stage.run()
    stage.device.memory.device_write(
        stage.generator._runner.buffers["stream-2"].device_address, bytes([0xFF])
    )


@fault(
    "a bit of the input flips",
    checked,
    refused("CorruptionError", "input of", "bytes 0 to 15"),
    devices=BOTH,
)
def _(stage: OnDevice) -> Any:
    """In DRAM, as the stream starts."""
    assert stage.run()
    with at(stage.device.core, "CONTROL", lambda: _flip(stage, "input", 3), False):
        yield


def _as_stored(name: str) -> Any:
    """A bit of a buffer flips right after the core has stored to it."""

    def inject(stage: OnDevice) -> Any:
        assert stage.run()
        buffer = stage.generator._runner.buffers[name]
        strike = lambda: _flip(stage, name, 1)  # noqa: E731
        with stored(stage.device.memory, buffer.device_address, buffer.nbytes, 1, strike):
            yield

    return inject


for _name, _words in (("scratch", "between two layers"), ("output", "in the output")):
    fault(f"a bit flips {_words}", repeated,
          refused("CorruptionError", "two runs of one input", "gave different outputs"),
          what="In DRAM, while the stream runs; a run is made twice.",
          )(_as_stored(_name))  # fmt: skip


@fault(
    "an output bit is stuck",
    answered,
    refused("CorruptionError", "a known input of", "another output"),
)
def _(stage: OnDevice) -> Any:
    """The same bit of the output is wrong in every run from some moment on."""
    assert stage.run()
    memory, real = stage.device.memory, stage.device.memory.device_write_strided
    first = stage.generator._runner.buffers["output"].device_address

    def stuck(address: int, data: Any, strides: tuple[int, ...]) -> None:
        real(address, data, strides)
        if address == first:
            _flip(stage, "output", 1)

    memory.device_write_strided = stuck
    yield
    del memory.device_write_strided


@fault(
    "memory keeps nothing",
    checked,
    refused("CorruptionError", "loaded again just now", "this memory is bad"),
)
def _(stage: OnDevice) -> Any:
    """The same bit of the weights flips each time they are written."""
    assert stage.run()
    memory, real = stage.device.memory, stage.device.memory.flush
    address = stage.generator._runner.buffers["weights"].device_address

    def bad(where: int, nbytes: int) -> None:
        real(where, nbytes)
        if where == address:
            flip(memory, address, 5)

    memory.flush = bad
    _flip(stage, "weights", 0)
    try:
        stage.run()
    except Exception:
        yield
    del memory.flush


@fault(
    "the processor's copy has changed too",
    checked,
    refused("CorruptionError", "processor's memory", "it was made in Python", "make a new"),
)
def _(stage: OnDevice) -> None:
    """What would be loaded again is not the program either."""
    stage.program = Program.frombytes(stage.program.tobytes())
    assert stage.run()
    program = stage.generator.program
    wrong = bytes([program.weights[0] ^ 1]) + program.weights[1:]
    object.__setattr__(program, "weights", wrong)
    stage.work = stage.generator.reload


# Registers


def _register(register: str, bit: int, stage: OnDevice) -> None:
    """A bit of a register flips between two runs."""
    assert stage.run()
    core = stage.device.core
    core.write(offset(register), core.read(offset(register)) ^ 1 << bit)
    stage.strike()


for _register_name in ("OUTPUT_BASE_LO", "STREAM_LENGTH", f"{window_names(Access.WRITE)[0]}_FIRST"):
    fault(f"{_register_name} flips between runs", on_device, SAME, devices=BOTH,
          what="A bit of a setting changes while nothing runs: it is seen and written again.",
          )(partial(_register, _register_name, 4))  # fmt: skip


@fault(
    "a base flips in a run",
    on_device,
    refused("CorruptionError", "register OUTPUT_BASE_LO reads", "instead of"),
    devices=BOTH,
)
def _(stage: OnDevice) -> Any:
    """The device would write its images over the weights; what it did is not trusted."""
    assert stage.run()
    core = stage.device.core
    weights = stage.generator._runner.buffers["weights"].device_address
    strike = lambda: core.write(offset("OUTPUT_BASE_LO"), weights)  # noqa: E731
    with at(core, "CONTROL", strike, False):
        yield


@fault(
    "a store leaves its window",
    on_device,
    refused("DeviceError", "stopped with OUTSIDE_WINDOW in the store engine", "bus address"),
    devices=BOTH,
)
def _(stage: OnDevice) -> None:
    """A bit of a store's offset flips in DRAM: the access never reaches the bus."""
    generator = stage.generator
    assert stage.run()
    stream = generator.program.streams[-1]
    instructions = stream.instructions()
    index = max(n for n, x in enumerate(instructions) if x.opcode.name == "STORE")
    word = isa.FIELDS[isa.Opcode.STORE]["offset"].word
    _flip(stage, "stream-2", 8 * (64 * index + 4 * word) + 22)


# Caches


def _no_flush(stage: OnDevice) -> Any:
    """Nothing is flushed while the generator is made."""
    with MonkeyPatch.context() as patch:
        patch.setattr(PynqBuffer, "flush", lambda self: stage.strike())
        yield


@fault(
    "the weights are never flushed",
    checked,
    refused("CorruptionError", "weights", "it was loaded just now"),
)
def _(stage: OnDevice) -> Any:
    """They stay in the processor's cache, and the device reads what was there before."""
    yield from _no_flush(stage)


@fault("nothing is ever flushed", on_device, refused("DeviceError", "the accelerator stopped with"))
def _(stage: OnDevice) -> None:
    """The stream stays in the cache too, and nobody checks: memory has no instructions."""
    with MonkeyPatch.context() as patch:
        patch.setattr(PynqBuffer, "flush", lambda self: None)
        assert stage.generator


def _only_before(method: str, stage: Any) -> None:
    """Maintenance of the caches does nothing once the accelerator has run."""
    whole = getattr(EmulatedMemory, method)

    def only_before(self: EmulatedMemory, *where: int) -> None:
        if not stage.bench.core.get("INSTRUCTIONS"):
            whole(self, *where)

    stage.patch.setattr(EmulatedMemory, method, only_before)


for _method, _words in (
    ("flush", "flushed are not what the accelerator reads"),
    ("invalidate", "the accelerator wrote are not seen after an invalidate"),
):
    fault(f"{_method} does nothing", in_doctor("caches"), refused("doctor's caches", _words),
          what="The image's driver does not maintain the processor's caches.",
          )(partial(_only_before, _method))  # fmt: skip


# Transfers


class _Cut(faulty_cores._Memory):
    """Stores lose their last value."""

    def device_write_strided(self, address: int, data: Any, strides: tuple[int, ...]) -> None:
        at = address + sum((n - 1) * s for n, s in zip(data.shape, strides))
        before = self._real.device_read(at, data.itemsize).copy()
        self._real.device_write_strided(address, data, strides)
        self._real.device_write(at, before)


class CutStores(faulty_cores.Sound):
    """The last value of every store is lost."""

    memory_fault = _Cut


def _doctor(name: str, check: str, core: type, what: str, *words: str) -> None:
    def inject(stage: Any) -> None:
        stage.core = core

    fault(name, in_doctor(check), refused(f"doctor's {check}", *words), what=what)(inject)


_doctor(
    "stores are cut short",
    "DMA writes",
    CutStores,
    "The last value of every store is lost.",
    "wrong data: write of",
)
_doctor(
    "long reads end wrong",
    "DMA reads",
    faulty_cores.WrongReads,
    "Bursts of 128 bytes and a word are damaged at their end.",
    "wrong data: read of 1 x 136",
)
_doctor(
    "stores before a cache line are wrong",
    "DMA writes",
    faulty_cores.WrongWrites,
    "A bit of what is stored a word before a cache line.",
    "begins 56 bytes into",
)
_doctor(
    "stores spill",
    "DMA writes",
    faulty_cores.Spills,
    "The byte behind a store changes too.",
    "was overwritten, and no store goes there",
)
_doctor(
    "loads ignore their step",
    "DMA boxes",
    faulty_cores.IgnoresSteps,
    "Loads take every word of a row.",
    "wrong data: move of 7 x 40 bytes",
)
_doctor(
    "windows refuse nothing",
    "windows",
    faulty_cores.NoWindows,
    "Accesses outside of all windows reach the bus.",
    "OUTSIDE_WINDOW ended without an error",
)


# Coded weights


@cache
def _coded() -> Program:
    return compiled(named("tiny"), batch=2).program


@contextmanager
def on_coded(folder: Path, device: str, **options: Any) -> Iterator[OnDevice]:
    """Two images of a network whose weights lie coded in memory."""
    with on_device(folder, device, _coded(), **options) as stage:
        yield stage


def _length(change: Any, stage: OnDevice) -> None:
    """The length of a coded load, in DRAM, while all else stays."""
    assert stage.run()
    stream = stage.generator.program.streams[-1]
    instructions = stream.instructions()
    load = next(x for x in instructions if isinstance(x, LoadWeights) and x.coding)
    load.beats = change(load.beats)
    address = stage.generator._runner.buffers["stream-2"].device_address
    stage.device.memory.device_write(address, isa.encode(instructions))


_BAD_WEIGHTS = refused("DeviceError", "stopped with BAD_WEIGHTS in the load engine", "bus address")
for _name, _change in (
    ("cut short", lambda n: 1),
    ("a beat too short", lambda n: n - 1),
    ("a beat too long", lambda n: n + 1),
):
    fault(f"coded weights {_name}", on_coded, _BAD_WEIGHTS, devices=BOTH,
          what="A load of coded weights has another length than their codes.",
          )(partial(_length, _change))  # fmt: skip


@fault(
    "coded weights are damaged",
    partial(on_coded, check_every=1),
    refused("CorruptionError", "the weights of network 'coded' have changed"),
    devices=BOTH,
)
def _(stage: OnDevice) -> Any:
    """A bit flips in the codes of a layer; every run is checked."""
    assert stage.run()
    load = next(x for x in stage.generator.program.streams[-1].instructions()
                if isinstance(x, LoadWeights) and x.coding)  # fmt: skip
    _flip(stage, "weights", 8 * load.offset + 70)
    yield
