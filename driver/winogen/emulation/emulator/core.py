"""The register file of the emulated accelerator, and how it runs a stream.

Starting is synchronous: when the write of CONTROL.start returns, the stream has ended, or it has
stopped for ever if nothing can go on and the watchdog is off. Time is that of the cost model.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from winogen.cost import simulate as cost
from winogen.emulation.device.memory import EmulatedMemory
from winogen.emulation.emulator.fast import FastJobs, NotExact
from winogen.emulation.emulator.faults import Fault
from winogen.emulation.emulator.fuse import recognise
from winogen.emulation.emulator.held import NotRecognised
from winogen.emulation.emulator.jobs import Job
from winogen.emulation.emulator.machine import Machine
from winogen.emulation.emulator.operands import joined
from winogen.emulation.emulator.reach import Reach, Refused
from winogen.emulation.emulator.spans import Span
from winogen.profiling import trace
from winogen.target import isa, registers
from winogen.target.board import Board
from winogen.target.checks import descriptor_problem
from winogen.target.isa import INSTRUCTION_BYTES, BadOpcodeError, Instruction
from winogen.target.registers import Access, Activity, Engine, ErrorCode, Segment

#: Streams whose analysis is kept: a program has one for each batch size.
_MAX_PLANS = 16
#: Offsets of the registers that SETTINGS_SUM sums up.
_SETTINGS = [registers.offset(name) for name in registers.SETTINGS]


@dataclass
class _Plan:
    """What is known of a stream: its instructions, its timeline, and its jobs if recognised."""

    instructions: list[Instruction]
    timeline: cost.Timeline
    jobs: list[Job] | None
    overwritten: list[Span]
    tables: list[tuple[int, int]]
    version: int


class EmulatedCore:
    """An accelerator for :class:`winogen.emulation.device.EmulatedDevice`.

    Parameters
    ----------
    memory : the DDR
    board : supplies the build configuration, clock and DRAM figures
    fuse : compute recognised streams layer by layer (same bits, far faster); False executes
        every instruction by itself
    gemm : multiply bytes with onnxruntime where it is installed and exact on this processor (same
        bits, faster); False multiplies floats with numpy
    """

    #: Its time is that of the cost model.
    is_measured = False

    def __init__(
        self, memory: EmulatedMemory, board: Board, *, fuse: bool = True, gemm: bool = True
    ):
        self._memory = memory
        self._board = board
        self._fuse = fuse
        self._plans: OrderedDict[tuple, _Plan] = OrderedDict()
        self._values = {r.offset: r.reset for r in registers.REGISTERS}
        self._latched: dict[int, int] = {}
        #: The timeline that was counted last, and its counters by their offsets.
        self._counted: cost.Timeline | None = None
        self._counts: dict[int, int] = {}
        self._fast = FastJobs(board.core, memory, gemm=gemm)
        self._stuck = False
        self._reach = self._windows()
        #: Records of the last stream.
        self._trace = np.zeros(0, np.uint32)
        core = board.core
        self._set("CONFIG_HASH", core.config_hash32)
        self._set(
            "CAPABILITY",
            registers.pack(
                "CAPABILITY",
                ci_lanes=core.ci_lanes,
                co_lanes=core.co_lanes,
                tile_lanes=core.tile_lanes,
                data_width=core.data_width,
                products=core.products,
            ),
        )
        for name in ("INPUT", "WEIGHT", "PSUM", "OUTPUT", "STEP"):
            self._set(f"{name}_DEPTH", getattr(core, f"{name.lower()}_depth"))

    def read(self, offset: int) -> int:
        """The 32-bit register at ``offset``; addresses without a register read as zero."""
        register = registers.BY_OFFSET.get(offset)
        if register is None or register.access == "wo":
            return 0
        if register.name == "SETTINGS_SUM":
            return registers.settings_sum([self._values[place] for place in _SETTINGS])
        if register.name == "TRACE_DATA":
            index = self._get("TRACE_INDEX") % registers.TRACE_DEPTH
            return int(self._trace[index]) if index < len(self._trace) else 0
        if register.name.endswith("_LO"):  # the halves of a 64-bit value must belong together
            self._latched[offset + 4] = self._values[offset + 4]
        elif register.name.endswith("_HI") and offset in self._latched:
            return self._latched.pop(offset)
        return self._values[offset]

    def write(self, offset: int, value: int) -> None:
        """Write a register; read-only ones and addresses without a register ignore it."""
        register = registers.BY_OFFSET.get(offset)
        if register is None:
            return
        self._latched.pop(offset, None)
        if register.name == "CONTROL":
            self._control(registers.unpack("CONTROL", value))
        elif register.access == "w1c":
            self._values[offset] &= ~value
        elif register.access == "rw":
            self._values[offset] = value & 0xFFFF_FFFF

    def interrupt(self) -> bool:
        """Level of the interrupt pin."""
        return bool(self._get("IRQ_STATUS") & self._get("IRQ_ENABLE"))

    def _get(self, name: str) -> int:
        return self._values[registers.offset(name)]

    def _get64(self, name: str) -> int:
        return self._get(f"{name}_LO") | self._get(f"{name}_HI") << 32

    def _set(self, name: str, value: int) -> None:
        self._values[registers.offset(name)] = value & 0xFFFF_FFFF

    def _set64(self, name: str, value: int) -> None:
        self._set(f"{name}_LO", value)
        self._set(f"{name}_HI", value >> 32)

    def _control(self, command: dict[str, int]) -> None:
        if command["reset"]:
            self._clear()
            self._set("IRQ_STATUS", 0)
            self._stuck = False
            self._status(idle=1)
        elif command["start"] and not self._stuck:
            self._clear()
            self._keep_trace([], None)
            self._run()

    def _clear(self) -> None:
        self._latched.clear()
        for name, _ in registers.COUNTERS:
            self._set64(name, 0)
        for name in ("ERROR_CODE", "ERROR_INSTRUCTION", "ERROR_ADDRESS_LO", "ERROR_ADDRESS_HI"):
            self._set(name, 0)
        for engine in Engine:
            self._set(f"{engine.name}_INSTRUCTION", 0)

    def _status(self, **fields: int) -> None:
        self._set("STATUS", registers.pack("STATUS", **fields))

    def _run(self) -> None:
        try:
            self._run_stream()
        except Fault as fault:
            self._fail(fault)
        else:
            if not self._stuck:
                self._status(idle=1, done=1)
                self._raise_interrupt("done")

    def _fail(self, fault: Fault) -> None:
        self._set(
            "ERROR_CODE",
            registers.pack("ERROR_CODE", code=int(fault.code), engine=int(fault.engine)),
        )
        self._set("ERROR_INSTRUCTION", fault.index)
        self._set64("ERROR_ADDRESS", fault.address)
        if fault.engine is not Engine.FETCH:
            self._show_oldest(fault.engine, fault.index)
        self._status(idle=1, error=1, **{fault.engine.name.lower(): Activity.ERROR})
        self._raise_interrupt("error")

    def _raise_interrupt(self, event: str) -> None:
        pending = self._get("IRQ_STATUS") | registers.pack("IRQ_STATUS", **{event: 1})
        self._set("IRQ_STATUS", pending)

    def _run_stream(self) -> None:
        length, base = self._get("STREAM_LENGTH"), self._get64("STREAM_BASE")
        bases = {s: self._get64(f"{s.name}_BASE") for s in Segment}
        aligned = not any(address % registers.BASE_ALIGNMENT for address in (base, *bases.values()))
        if not 0 < length <= registers.MAX_STREAM_LENGTH or not aligned:
            raise Fault(ErrorCode.BAD_STREAM, Engine.FETCH, 0)
        self._reach = self._windows()
        try:
            self._reach.check(Access.FETCH, base, length * INSTRUCTION_BYTES)
        except Refused as refused:
            self._run_readable(base, bases, refused)
        stream = bytes(self._memory.device_read(base, length * INSTRUCTION_BYTES))
        key = (hashlib.sha256(stream).digest(), *bases.values(), self._reach.windows)
        plan = self._plans.get(key)
        if plan is None or plan.version != self._table_version(plan.tables):
            if plan is not None:
                self._fast.forget(plan.jobs or ())
            plan = self._analyse(stream, bases)
            self._plans[key] = plan
            if len(self._plans) > _MAX_PLANS:
                self._fast.forget(self._plans.popitem(last=False)[1].jobs or ())
        self._plans.move_to_end(key)
        self._execute(plan, bases)

    def _windows(self) -> Reach:
        return Reach.of_registers(self._memory, self._get)

    def _run_readable(self, base: int, bases: dict[Segment, int], refused: Refused) -> NoReturn:
        """Execute what can be fetched of a stream of which the rest cannot, and fail."""
        count = (refused.address - base) // INSTRUCTION_BYTES
        stream = bytes(self._memory.device_read(base, count * INSTRUCTION_BYTES)) if count else b""
        self._run_prefix(self._decode(stream, bases), bases)
        raise Fault(refused.code, Engine.FETCH, count, refused.address)

    def _execute(self, plan: _Plan, bases: dict[Segment, int]) -> None:
        line = plan.timeline
        if not self._run_jobs(plan):
            self._run_single(plan.instructions, line, bases)
        self._count(plan.instructions, line)
        if line.deadlock is not None:
            self._starve(plan, line.deadlock)

    def _run_jobs(self, plan: _Plan) -> bool:
        """Run a recognised stream layer by layer; False if that is not possible exactly."""
        if plan.jobs is None:
            return False
        given = [(a, self._memory.device_read(a, z - a).copy()) for a, z in plan.overwritten]
        try:
            for job in plan.jobs:
                self._fast.run(job)
        except NotExact:  # for the data at hand: the next run may be another matter
            for address, data in given:
                self._memory.device_write(address, data)
            return False
        return True

    def _run_single(
        self,
        instructions: list[Instruction],
        line: cost.Timeline,
        bases: dict[Segment, int],
    ) -> None:
        """Execute one instruction after the other; a fault leaves the counters of what ran."""
        machine = Machine(self._board.core, self._memory, bases, self._reach)
        for done, index in enumerate(line.order):
            try:
                machine.execute(instructions[index], index)
            except Fault:
                before = cost.simulate(instructions, self._board, stop_after=done)
                self._count(instructions, before)
                raise

    def _starve(self, plan: _Plan, index: int) -> None:
        """Instruction ``index`` waits for a token that never comes."""
        for engine, head in plan.timeline.waiting.items():
            self._show_oldest(engine, head)
        watchdog = self._get("WATCHDOG")
        if watchdog:
            self._set64("CYCLES", plan.timeline.cycles + watchdog)
            raise Fault(ErrorCode.WATCHDOG, plan.instructions[index].engine, index)
        self._stuck = True
        more = plan.timeline.fetched < len(plan.instructions)
        waiting = {e.name.lower(): Activity.WAITING for e in plan.timeline.waiting}
        self._status(**waiting, fetch=Activity.BUSY if more else Activity.IDLE)

    def _show_oldest(self, engine: Engine, index: int) -> None:
        name = f"{engine.name}_INSTRUCTION"
        self._set(name, registers.pack(name, index=index, valid=1))

    def _keep_trace(self, instructions: list[Instruction], line: cost.Timeline | None) -> None:
        first, length = self._get("TRACE_FIRST"), self._get("TRACE_LENGTH")
        records = trace.encode(instructions, line, first, length) if line else np.zeros(0, "u4")
        depth = registers.TRACE_DEPTH
        self._trace = records[:depth]
        fields = {"records": len(self._trace), "overflow": len(records) > depth}
        self._set("TRACE_COUNT", registers.pack("TRACE_COUNT", **fields))

    def _count(self, instructions: list[Instruction], line: cost.Timeline) -> None:
        self._keep_trace(instructions, line)
        if self._counted is not line:
            self._counted, self._counts = line, _counts(line)
        self._values.update(self._counts)

    def _analyse(self, stream: bytes, bases: dict[Segment, int]) -> _Plan:
        core = self._board.core
        instructions = self._decode(stream, bases)
        line = cost.simulate(instructions, self._board)
        tables: list[tuple[int, int]] = []

        def read(address: int, nbytes: int) -> NDArray[np.uint8]:
            tables.append((address, nbytes))
            return self._memory.device_read(address, nbytes)

        jobs: list[Job] | None = None
        overwritten: list[Span] = []
        sound = line.deadlock is None and all(
            descriptor_problem(i, core) is None and self._within_reach(i, bases)
            for i in instructions
        )
        if self._fuse and sound:
            try:
                jobs, overwritten = recognise(
                    instructions, line.order, core, bases, read, self._fast.join
                )
            except NotRecognised:
                jobs = None
        tables = joined(tables)
        version = self._table_version(tables)
        return _Plan(instructions, line, jobs, overwritten, tables, version)

    def _within_reach(self, instruction: Instruction, bases: dict[Segment, int]) -> bool:
        try:
            self._reach.check_transfer(instruction, self._board.core, bases)
        except Refused:
            return False
        return True

    def _decode(self, stream: bytes, bases: dict[Segment, int]) -> list[Instruction]:
        """The instructions; at an unknown opcode, what comes before it is executed first."""
        try:
            instructions = isa.decode(stream)
            for index, instruction in enumerate(instructions):
                if instruction.reserved:
                    raise BadOpcodeError(index, instruction.opcode)
        except BadOpcodeError as error:
            self._run_prefix(isa.decode(stream[: error.index * INSTRUCTION_BYTES]), bases)
            raise Fault(ErrorCode.BAD_OPCODE, Engine.FETCH, error.index) from None
        return instructions

    def _run_prefix(self, instructions: list[Instruction], bases: dict[Segment, int]) -> None:
        """Execute what comes before a failure of fetch: the hardware has done it by then."""
        line = cost.simulate(instructions, self._board)
        self._run_single(instructions, line, bases)
        self._count(instructions, line)

    def _table_version(self, tables: list[tuple[int, int]]) -> int:
        return max((self._memory.device_version(a, n) for a, n in tables), default=0)


def _counts(line: cost.Timeline) -> dict[int, int]:
    """The registers, by their offsets, that count what a stream did."""
    counters = {
        "CYCLES": line.cycles,
        "MULTIPLIES": line.multiplies,
        "BYTES_READ": line.bytes_read,
        "BYTES_WRITTEN": line.bytes_written,
        "INSTRUCTIONS": line.completed,
    }
    for engine, time in line.engines.items():
        counters[f"{engine.name}_BUSY"] = time.busy
        counters[f"{engine.name}_STALL"] = time.stall
    values = {
        registers.offset("FETCH_INSTRUCTION"): registers.pack(
            "FETCH_INSTRUCTION", fetched=line.fetched
        )
    }
    for name, value in counters.items():
        values[registers.offset(f"{name}_LO")] = value & 0xFFFF_FFFF
        values[registers.offset(f"{name}_HI")] = value >> 32 & 0xFFFF_FFFF
    return values
