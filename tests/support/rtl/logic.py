"""The simulated logic without pynq, and what must hold before and after each of its errors.

What the registers show is what :class:`winogen.emulation.emulator.EmulatedCore` shows.
"""

from __future__ import annotations

import os
from copy import copy
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.bench import Rig, named, random_inputs, small
from winogen.compiler.integers import run_integer
from winogen.cost import simulate as cost
from winogen.emulation.device.emulated import DDR_BASE
from winogen.emulation.rtl import RtlCore
from winogen.target import registers
from winogen.target.board import Board, load_board
from winogen.target.isa import Instruction, Opcode, Table
from winogen.target.registers import BY_NAME, COUNTERS, Engine, ErrorCode, Segment

#: The board of streams that are changed: another one by the variable, such as tiny-pairs.
TINY = named(os.environ.get("WINOGEN_FUZZ_BOARD", "tiny"))
PYNQ = load_board("pynq-z2")
BATCH = 2
WATCHDOG = 5000
MEMORY_END = DDR_BASE + (8 << 20)
#: Counters of time; the emulated core's are those of the cost model.
TIMES = {n for n, _ in COUNTERS if n == "CYCLES" or n.endswith(("_BUSY", "_STALL"))}


def rtl(board: Board = TINY, **options: Any) -> Rig:
    """The simulated logic with the small network and inputs in its memory."""
    rig = Rig(board, core=lambda memory: RtlCore(memory, board, **options))
    rig.set("WATCHDOG", WATCHDOG)
    restore(rig)
    return rig


@cache
def inputs(board: str) -> NDArray[np.int64]:
    return random_inputs(small(board), BATCH)


@cache
def wanted(board: str) -> NDArray[np.int64]:
    return run_integer(small(board).network, inputs(board))


@cache
def _stream(board: str) -> tuple[Instruction, ...]:
    return tuple(small(board).program.streams[-1].instructions())


def stream(board: Board = TINY) -> list[Instruction]:
    """The instructions of the small network, for the caller to change."""
    return [copy(instruction) for instruction in _stream(board.name)]


def status(**fields: int) -> dict[str, int]:
    return {f.name: fields.get(f.name, 0) for f in BY_NAME["STATUS"].fields}


def restore(rig: Rig) -> None:
    """Bases and memory as a good stream wants them."""
    rig.load(small(rig.board.name), inputs(rig.board.name))
    rig.set("STREAM_BASE", rig.STREAM)
    for segment, base in rig.BASES.items():
        rig.set(f"{segment.name}_BASE", base)


def soft_reset(rig: Rig) -> None:
    """Soft reset, and wait until it is over."""
    rig.set("CONTROL", registers.pack("CONTROL", reset=1))
    for _ in range(1000):
        if rig.fields("STATUS")["idle"]:
            break
        rig.core.step(20)
    assert rig.fields("STATUS") == status(idle=1)
    assert rig.get("IRQ_STATUS") == rig.get("ERROR_CODE") == rig.get("ERROR_INSTRUCTION") == 0
    assert rig.get("ERROR_ADDRESS") == 0
    assert not any(rig.counters().values())


def assert_right(rig: Rig) -> None:
    """The small network runs to right images, whatever happened before."""
    compiled = small(rig.board.name)
    info = compiled.program.streams[-1]
    rig.put(Segment.OUTPUT, bytes(info.output_bytes))
    assert rig.start(info.stream) == status(idle=1, done=1)
    assert rig.get("ERROR_CODE") == rig.get("ERROR_INSTRUCTION") == rig.get("ERROR_ADDRESS") == 0
    np.testing.assert_array_equal(rig.output(compiled.program, BATCH), wanted(rig.board.name))
    line = cost.simulate(info.instructions(), rig.board)
    seen = rig.counters()
    assert seen["INSTRUCTIONS"] == line.completed
    assert seen["MULTIPLIES"] == line.multiplies
    assert seen["BYTES_READ"] == line.bytes_read
    assert seen["BYTES_WRITTEN"] == line.bytes_written


def assert_error(
    rig: Rig, code: ErrorCode, engine: Engine, index: int, address: range | int = 0
) -> None:
    """The registers show this error."""
    seen = {n: rig.get(n) for n in ("ERROR_INSTRUCTION", "ERROR_ADDRESS", "INSTRUCTIONS")}
    assert rig.fields("ERROR_CODE") == {"code": code, "engine": engine}, seen
    assert seen["ERROR_INSTRUCTION"] == index
    assert seen["ERROR_ADDRESS"] in (address if isinstance(address, range) else (address,))
    assert rig.fields("STATUS") == status(idle=1, error=1, **{engine.name.lower(): 3})
    assert rig.fields("IRQ_STATUS")["error"] == 1


def find(opcode: Opcode, nth: int, table: Table | None = None) -> int:
    """Index in the small stream of the nth instruction with this opcode (and table)."""
    found = [
        i for i, x in enumerate(stream())
        if x.opcode is opcode and (table is None or x.table == table)
    ]  # fmt: skip
    return found[nth]


def interrupted(rig: Rig, cycles: int) -> None:
    """A good stream, abandoned after so many cycles."""
    rig.memory.device_write(rig.STREAM, small(rig.board.name).program.streams[-1].stream)
    rig.set("STREAM_LENGTH", len(stream(rig.board)))
    rig.set("CONTROL", registers.pack("CONTROL", start=1))
    rig.core.step(cycles)
    soft_reset(rig)


def everything(rig: Rig) -> dict[str, int]:
    """All registers but those of time."""
    halves = {f"{n}_{half}" for n in TIMES for half in ("LO", "HI")}
    return {n: rig.get(n) for n in BY_NAME if n not in halves}
