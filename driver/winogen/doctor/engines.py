"""Checks of the three engines, of how errors are reported, and of the watchdog."""

from __future__ import annotations

from dataclasses import replace

from winogen.common.errors import DeviceError
from winogen.cost.simulate import instruction_work
from winogen.doctor import loopback
from winogen.doctor.bench import Bench
from winogen.doctor.loopback import Copy
from winogen.doctor.result import Failed
from winogen.target import isa, registers
from winogen.target.isa import INSTRUCTION_BYTES, Instruction, LoadTable, Opcode
from winogen.target.registers import Access, Engine, ErrorCode, Segment

#: Cycles without progress after which the watchdog is to end a stream.
_WATCHDOG_CYCLES = 20_000
_ADVICE = "load the overlay again; if it stays, build the overlay again from this winogen"


def load_engine(bench: Bench) -> str:
    """Loads alone: every instruction ends, every byte is counted, no other engine works."""
    stream = [i for i in _copies(bench) if i.engine is Engine.LOAD]
    counters = _count(bench, stream, Engine.LOAD)
    return f"{len(stream)} instructions, {counters['bytes_read']:,} bytes"


def store_engine(bench: Bench) -> str:
    """Stores alone: every instruction ends, every byte is counted, no other engine works."""
    stream = [i for i in _copies(bench) if i.engine is Engine.STORE]
    counters = _count(bench, stream, Engine.STORE)
    return f"{len(stream)} instructions, {counters['bytes_written']:,} bytes"


def compute_engine(bench: Bench) -> str:
    """Computations alone, on whatever the buffers hold: they end and their multiplies are counted.

    What they compute is for the conformance sample to judge; here the tables are loaded first.
    """
    stream = _copies(bench)
    stream = [i for i in stream if i.opcode not in (Opcode.LOAD_INPUT, Opcode.STORE)]
    loads = sum(i.engine is Engine.LOAD for i in stream)
    stream[loads - 1].signal = 1 << Engine.COMPUTE
    stream[loads].wait = 1 << Engine.LOAD
    counters = _count(bench, stream, Engine.COMPUTE, Engine.LOAD)
    return f"{len(stream) - loads} instructions, {counters['multiplies']:,} multiplies"


def errors(bench: Bench) -> str:
    """Streams that are wrong are refused with the right code, at the right instruction."""
    loads = [i for i in _copies(bench) if isinstance(i, LoadTable)][:2]
    for load in loads:
        load.wait = load.signal = 0
    good = isa.encode(loads)
    illegal = replace(loads[0], count=0)
    cases = {
        ErrorCode.BAD_OPCODE: (good + bytes(INSTRUCTION_BYTES), Engine.FETCH, len(loads)),
        ErrorCode.ILLEGAL_DESCRIPTOR: (good + isa.encode([illegal]), Engine.LOAD, len(loads)),
    }
    for code, (stream, engine, index) in cases.items():
        _expect(bench, stream, code, engine, index)
    return " and ".join(code.name for code in cases) + " are reported, and the core recovers"


def windows(bench: Bench) -> str:
    """An access whose windows are closed is refused; to memory that is ours, should it not be."""
    for access, engine in (
        (Access.READ, Engine.LOAD),
        (Access.WRITE, Engine.STORE),
        (Access.FETCH, Engine.FETCH),
    ):
        wanted = Engine.LOAD if access is Access.FETCH else engine
        first = next(i for i in _copies(bench) if i.engine is wanted)
        _expect(bench, isa.encode([first]), ErrorCode.OUTSIDE_WINDOW, engine, 0, access)
    return "loads, stores and fetch are refused outside of theirs, and the core recovers"


def watchdog(bench: Bench) -> str:
    """A stream that waits for ever is ended, and the next one runs."""
    kept = bench.core.get("WATCHDOG")
    bench.core.set("WATCHDOG", _WATCHDOG_CYCLES)
    try:
        _expect(bench, isa.encode(stuck_stream(bench)), ErrorCode.WATCHDOG, Engine.LOAD, 0)
    finally:
        bench.core.set("WATCHDOG", kept)
    return f"ends a stream after {_WATCHDOG_CYCLES:,} cycles without progress"


def stuck_stream(bench: Bench) -> list[Instruction]:
    """A load that waits for a store that never comes."""
    load = next(i for i in _copies(bench) if i.engine is Engine.LOAD)
    load.wait = 1 << Engine.STORE
    return [load]


def _copies(bench: Bench) -> list[Instruction]:
    """Two copies with all that belongs to them, and no tokens."""
    core = bench.board.core
    words = min(loopback.largest_row(core), 64)
    stream = loopback.stream(core, [Copy(0, 0, words), Copy(words, words, words)])
    for instruction in stream:
        instruction.wait = instruction.signal = 0
    return stream


def _segments(bench: Bench) -> dict[Segment, bytes]:
    core = bench.board.core
    room = bytes(2 * 64 * core.word_bytes)
    constants = loopback.constants(core)
    return {Segment.WEIGHTS: constants, Segment.INPUT: room, Segment.OUTPUT: room}


def _count(bench: Bench, stream: list[Instruction], *working: Engine) -> dict[str, int]:
    """Run a stream and hold the counters against what it must move and multiply."""
    _, counters = bench.run(stream, _segments(bench))
    work = [instruction_work(i, bench.board) for i in stream]
    wanted = {
        "instructions": len(stream),
        "bytes_read": sum(w.read_bytes for w in work) + len(stream) * INSTRUCTION_BYTES,
        "bytes_written": sum(w.written_bytes for w in work),
        "multiplies": sum(w.multiplies for w in work),
    }
    for name, value in wanted.items():
        if counters[name] != value:
            raise Failed(f"counter {name} is {counters[name]:,} instead of {value:,}", _ADVICE)
    for engine in (Engine.LOAD, Engine.COMPUTE, Engine.STORE):
        busy = counters[f"{engine.name.lower()}_busy"]
        if (busy > 0) != (engine in working):
            verb = "worked" if busy else "did not work"
            raise Failed(f"the {engine.name.lower()} engine {verb}", _ADVICE)
    return counters


def _expect(
    bench: Bench,
    stream: bytes,
    code: ErrorCode,
    engine: Engine,
    index: int,
    closed: Access | None = None,
) -> None:
    """A stream must end with this error; then a good one must run."""
    core = bench.core
    with bench.started(stream, _segments(bench), closed):
        try:
            core.wait(bench.seconds)
        except DeviceError as error:
            message = str(error)
        else:
            raise Failed(f"a stream with {code.name} ended without an error", _ADVICE)
    wanted = f"{code.name} in the {engine.name.lower()} engine at instruction {index}"
    if wanted not in message:
        raise Failed(f"expected {wanted}, and {message}", _ADVICE)
    if core.get("ERROR_CODE") or not registers.unpack("STATUS", core.get("STATUS"))["idle"]:
        raise Failed(f"a soft reset does not clear the error after {code.name}", _ADVICE)
    bench.run([i for i in _copies(bench) if i.engine is Engine.LOAD], _segments(bench))
