"""The AXI4-Lite register map of the accelerator: the one home of every offset and bit.

The emulated core answers from this table, ``pynq``'s register map is described from it (through
the ``.hwh``), ``docs/reference/registers.md`` and the SystemVerilog package are generated from it.
All registers are 32 bits wide; a 64-bit quantity is a ``_LO``/``_HI`` pair whose low half is read
first (the read of the low half latches the high half).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from winogen.target.microarchitecture import LOGIC

MAGIC_VALUE = 0x574E_4731  # "WNG1"
HARDWARE_VERSION = (2, 1, 0)
ADDRESS_RANGE = 0x1000  # bytes; one 4 KB page

#: Largest stream that one start runs, in instructions: keeps a wild length from running for hours.
MAX_STREAM_LENGTH = 1 << 20
#: What stream and segments must be aligned to, bytes.
BASE_ALIGNMENT = 64
_ALIGNED = f"{BASE_ALIGNMENT}-byte aligned"

#: Records that the trace holds.
TRACE_DEPTH = 4096


@dataclass(frozen=True)
class Field:
    """A named bit range ``[lsb + width - 1 : lsb]`` of a register."""

    name: str
    lsb: int
    width: int
    doc: str

    def extract(self, value: int) -> int:
        """The field's bits out of a register value."""
        return (value >> self.lsb) & ((1 << self.width) - 1)

    def insert(self, value: int) -> int:
        """The field's bits in place, all others zero."""
        return (value & ((1 << self.width) - 1)) << self.lsb


@dataclass(frozen=True)
class Register:
    """One 32-bit register.

    ``access`` is ``ro`` (writes are ignored), ``rw``, ``wo`` (self-clearing command bits, reads
    as zero) or ``w1c`` (write one to clear).
    """

    name: str
    offset: int
    access: str
    doc: str
    reset: int = 0
    fields: tuple[Field, ...] = field(default=())

    def __getitem__(self, name: str) -> Field:
        for f in self.fields:
            if f.name == name:
                return f
        raise KeyError(f"register {self.name} has no field {name}")


class ErrorCode(IntEnum):
    """What ERROR_CODE says; zero is "no error"."""

    NONE = 0
    BAD_OPCODE = 1
    ILLEGAL_DESCRIPTOR = 2
    AXI_SLVERR = 3
    AXI_DECERR = 4
    WATCHDOG = 5
    BAD_STREAM = 6
    OUTSIDE_WINDOW = 7
    BAD_WEIGHTS = 8

    @property
    def text(self) -> str:
        """The error in words."""
        return _ERROR_TEXT[self]

    @property
    def has_address(self) -> bool:
        """Whether ERROR_ADDRESS says where."""
        return self in (
            ErrorCode.AXI_SLVERR,
            ErrorCode.AXI_DECERR,
            ErrorCode.OUTSIDE_WINDOW,
            ErrorCode.BAD_WEIGHTS,
        )


_ERROR_TEXT = {
    ErrorCode.NONE: "no error",
    ErrorCode.BAD_OPCODE: "an instruction has an unknown opcode or bits without a meaning",
    ErrorCode.ILLEGAL_DESCRIPTOR: "an instruction has a field that is not possible, or reaches "
    "outside an on-chip memory or table",
    ErrorCode.AXI_SLVERR: "a memory access was answered with SLVERR",
    ErrorCode.AXI_DECERR: "a memory access was answered with DECERR (no memory at that address)",
    ErrorCode.WATCHDOG: "the watchdog expired (engines waiting for each other or for memory)",
    ErrorCode.BAD_STREAM: "STREAM_LENGTH is zero or too large, or a base address is misaligned",
    ErrorCode.OUTSIDE_WINDOW: "an access outside of the windows, which never reached the bus",
    ErrorCode.BAD_WEIGHTS: "coded weights have not the length that their instruction says",
}


class Engine(IntEnum):
    """The units that can be the source of an error; the first three execute instructions."""

    LOAD = 0
    COMPUTE = 1
    STORE = 2
    FETCH = 3


class Segment(IntEnum):
    """Memory segments: an instruction addresses DRAM as segment + byte offset."""

    WEIGHTS = 0
    INPUT = 1
    OUTPUT = 2
    SCRATCH = 3


class Access(IntEnum):
    """Who has windows of its own, and does what with the memory in them."""

    READ = 0
    WRITE = 1
    FETCH = 2

    @property
    def text(self) -> str:
        """What is done."""
        return {0: "loads may read", 1: "stores may write", 2: "instructions may be"}[self]


#: Windows of each access. A stream reads weights, input, scratch and output, and writes the last
#: two; input and output are there twice, so that one batch can be packed while another runs.
WINDOWS = {Access.READ: 6, Access.WRITE: 3, Access.FETCH: 1}
#: First and last page of a window that holds nothing, as all are after a reset.
CLOSED_WINDOW = (1, 0)


def window_names(access: Access) -> list[str]:
    """The windows of an access: their registers are called so, with ``_FIRST`` and ``_LAST``."""
    return [f"{access.name}_WINDOW{i}" for i in range(WINDOWS[access])]


class Activity(IntEnum):
    """What an engine does, as STATUS shows it."""

    IDLE = 0
    BUSY = 1
    WAITING = 2
    ERROR = 3

    @property
    def text(self) -> str:
        """The activity in words."""
        return "waits for a token" if self is Activity.WAITING else self.name.lower()


class Port(IntEnum):
    """The AXI masters, as BUS shows them."""

    READ0 = 0
    READ1 = 1
    FETCH = 2
    WRITE = 3
    READ2 = 4
    READ3 = 5


class Counter(IntEnum):
    """The 64-bit counters of the last stream, in their order: start and soft reset clear them."""

    CYCLES = 0
    LOAD_BUSY = 1
    LOAD_STALL = 2
    COMPUTE_BUSY = 3
    COMPUTE_STALL = 4
    STORE_BUSY = 5
    STORE_STALL = 6
    MULTIPLIES = 7
    BYTES_READ = 8
    BYTES_WRITTEN = 9
    INSTRUCTIONS = 10

    @property
    def text(self) -> str:
        """What it counts."""
        return _COUNTER_TEXT[self]


_COUNTER_TEXT = {
    Counter.CYCLES: "clock cycles from start to the end of the last instruction",
    Counter.LOAD_BUSY: "cycles in which the load engine worked",
    Counter.LOAD_STALL: "cycles in which the load engine waited for a token",
    Counter.COMPUTE_BUSY: "cycles in which the compute engine worked",
    Counter.COMPUTE_STALL: "cycles in which the compute engine waited for a token",
    Counter.STORE_BUSY: "cycles in which the store engine worked",
    Counter.STORE_STALL: "cycles in which the store engine waited for a token",
    Counter.MULTIPLIES: "multiplies issued by the array (lanes that hold padding included)",
    Counter.BYTES_READ: "bytes read from DRAM, instructions included",
    Counter.BYTES_WRITTEN: "bytes written to DRAM",
    Counter.INSTRUCTIONS: "instructions completed",
}


def numbered(members: type[IntEnum]) -> str:
    """The members of an enumeration with their values, in words: ``0 load, 1 compute``."""
    return ", ".join(
        f"{m.value} {m.text if isinstance(m, Activity) else m.name.lower()}" for m in members
    )


def _pair(name: str, offset: int, access: str, doc: str) -> list[Register]:
    return [
        Register(f"{name}_LO", offset, access, f"{doc}, bits 31:0"),
        Register(f"{name}_HI", offset + 4, access, f"{doc}, bits 63:32"),
    ]


def _registers() -> list[Register]:
    f = Field
    regs = [
        Register("MAGIC", 0x000, "ro", 'constant "WNG1"', MAGIC_VALUE),
        Register(
            "VERSION",
            0x004,
            "ro",
            "hardware version",
            (HARDWARE_VERSION[0] << 16) | (HARDWARE_VERSION[1] << 8) | HARDWARE_VERSION[2],
            (
                f("major", 16, 8, "incompatible register or instruction change"),
                f("minor", 8, 8, "addition"),
                f("patch", 0, 8, "fix"),
            ),
        ),
        Register("CONFIG_HASH", 0x008, "ro", "first 32 bits of the build configuration's SHA-256"),
        Register(
            "CAPABILITY",
            0x00C,
            "ro",
            "shape of the multiplier array",
            fields=(
                f("ci_lanes", 0, 8, "input channels a cycle"),
                f("co_lanes", 8, 8, "output channels a cycle"),
                f("tile_lanes", 16, 8, "tiles a cycle"),
                f("data_width", 24, 6, "bits of an activation and of a weight (8 or 16)"),
                f("products", 30, 2, "products of a multiplier in a cycle (1 or 2)"),
            ),
        ),
        Register("INPUT_DEPTH", 0x010, "ro", "words (ci_lanes activations) of the input buffer"),
        Register("WEIGHT_DEPTH", 0x014, "ro", "words (ci_lanes x co_lanes) of the weight buffer"),
        Register("PSUM_DEPTH", 0x018, "ro", "words (co_lanes partial sums) of the psum memory"),
        Register("OUTPUT_DEPTH", 0x01C, "ro", "words (co_lanes activations) of the output buffer"),
        Register("STEP_DEPTH", 0x020, "ro", "entries of the step table"),
        Register(
            "CONTROL",
            0x040,
            "wo",
            "commands",
            fields=(
                f("start", 0, 1, "run the stream; ignored unless STATUS.idle"),
                f("reset", 1, 1, "soft reset: abandon everything, clear errors and counters"),
            ),
        ),
        Register(
            "STATUS",
            0x044,
            "ro",
            "what the core is doing",
            0x1,
            (
                f("idle", 0, 1, "no stream is running"),
                f("done", 1, 1, "the last stream ended without error"),
                f("error", 2, 1, "the last stream ended with ERROR_CODE"),
                f("load", 4, 2, f"load engine: {numbered(Activity)}"),
                f("compute", 6, 2, "compute engine, likewise"),
                f("store", 8, 2, "store engine, likewise"),
                f("fetch", 10, 2, "instruction fetch, likewise"),
            ),
        ),
        Register(
            "IRQ_ENABLE",
            0x048,
            "rw",
            "which events raise the interrupt",
            fields=(f("done", 0, 1, "stream ended"), f("error", 1, 1, "stream failed")),
        ),
        Register(
            "IRQ_STATUS",
            0x04C,
            "w1c",
            "pending events",
            fields=(f("done", 0, 1, "stream ended"), f("error", 1, 1, "stream failed")),
        ),
        Register(
            "ERROR_CODE",
            0x050,
            "ro",
            "why the last stream failed",
            fields=(
                f("code", 0, 8, "see the table of error codes"),
                f("engine", 8, 8, numbered(Engine)),
            ),
        ),
        Register(
            "ERROR_INSTRUCTION", 0x054, "ro", "index in the stream of the failing instruction"
        ),
        *_pair("ERROR_ADDRESS", 0x058, "ro", "bus address of the failing access"),
        Register(
            "WATCHDOG",
            0x060,
            "rw",
            "cycles without progress before WATCHDOG is raised; 0: never",
            1 << 24,
        ),
        Register("STREAM_LENGTH", 0x070, "rw", "instructions to run"),
        Register(
            "SETTINGS_SUM",
            0x074,
            "ro",
            "sum of STREAM_LENGTH, STREAM_BASE, the segments' bases and the windows as they are: "
            "one read tells whether all hold what was written. The words in the order of their "
            "addresses, each rotated left by three bits more than the one before, exclusive or",
        ),
        *_pair("STREAM_BASE", 0x078, "rw", f"bus address of the first instruction, {_ALIGNED}"),
    ]
    for segment in Segment:
        regs += _pair(
            f"{segment.name}_BASE",
            0x080 + 8 * segment,
            "rw",
            f"bus address of the {segment.name.lower()} segment, {_ALIGNED}",
        )
    for counter in Counter:
        regs += _pair(counter.name, 0x100 + 8 * counter, "ro", counter.text)
    return [*regs, *_state_registers(), *_trace_registers(), *_window_registers()]


def _state_registers() -> list[Register]:
    """What is under way: for the message of a wait that ended too late."""
    f = Field
    oldest = [
        Register(
            f"{engine.name}_INSTRUCTION",
            0x180 + 4 * engine,
            "ro",
            f"oldest instruction of the {engine.name.lower()} engine that has not ended, or had "
            "not when the stream failed",
            fields=(
                f("index", 0, 20, "its index in the stream"),
                f("valid", 31, 1, "there is one"),
            ),
        )
        for engine in (Engine.LOAD, Engine.COMPUTE, Engine.STORE)
    ]
    fetch = Register(
        "FETCH_INSTRUCTION",
        0x180 + 4 * Engine.FETCH,
        "ro",
        "what instruction fetch has done",
        fields=(f("fetched", 0, 21, "instructions that have been read"),),
    )
    # The first four ports, then those that only wide builds have.
    ports = [(p.name.lower(), 4 * p + 4 * (p > 3), (16 if p < 4 else 24) + p) for p in Port]
    bus = Register(
        "BUS",
        0x190,
        "ro",
        "AXI transactions that memory has yet to answer",
        fields=(
            *(f(name, lsb, 4, f"bursts of port {name}") for name, lsb, _ in ports),
            *(
                f(f"{name}_address", lsb, 1, f"port {name} offers an address")
                for name, _, lsb in ports
            ),
        ),
    )
    return [*oldest, fetch, bus]


def _trace_registers() -> list[Register]:
    f = Field
    return [
        Register("TRACE_FIRST", 0x1A0, "rw", "first instruction of the stream to trace"),
        Register("TRACE_LENGTH", 0x1A4, "rw", "instructions to trace from there; 0: none"),
        Register(
            "TRACE_COUNT",
            0x1A8,
            "ro",
            "what the trace of the last stream holds",
            fields=(
                f("records", 0, 16, "records, TRACE_DEPTH at most"),
                f("overflow", 31, 1, "more would not fit and are lost"),
            ),
        ),
        Register("TRACE_INDEX", 0x1B0, "rw", "record to read"),
        Register(
            "TRACE_DATA",
            0x1B4,
            "ro",
            "the record at TRACE_INDEX: what happened in a cycle. In each mask bit 0 is the load "
            "engine, 1 compute, 2 store. A record without any bit says that time has wrapped",
            fields=(
                f("time", 0, 23, "the low bits of CYCLES in that cycle"),
                f("begin", 23, 3, "engines that began an instruction"),
                f("end", 26, 3, "engines that ended their oldest instruction"),
                f("stall", 29, 3, "engines that began, or ceased, to wait for a token"),
            ),
        ),
    ]


def _window_registers() -> list[Register]:
    """A pair for each window: pages, so that one register holds any bus address there is."""
    regs: list[Register] = []
    for access in Access:
        for name in window_names(access):
            for end, reset in zip(("first", "last"), CLOSED_WINDOW):
                doc = f"{end} page of {LOGIC.page_bytes} bytes in which {access.text}"
                at = 0x200 + 4 * len(regs)
                regs.append(Register(f"{name}_{end.upper()}", at, "rw", doc, reset))
    return regs


#: What SETTINGS_SUM sums up, in its order.
SETTINGS: tuple[str, ...] = (
    "STREAM_LENGTH",
    *(f"{n}_{half}" for n in ("STREAM_BASE", *(f"{s.name}_BASE" for s in Segment))
      for half in ("LO", "HI")),
    *(r.name for r in _window_registers()),
)  # fmt: skip
#: By how many bits more each is rotated; no two of them by the same.
SETTINGS_ROTATION = 3


def settings_sum(words: Iterable[int]) -> int:
    """What SETTINGS_SUM reads where the registers of :data:`SETTINGS` hold these words."""
    total = 0
    for place, word in enumerate(words):
        turn = SETTINGS_ROTATION * place % 32
        total ^= (word << turn | word >> (32 - turn)) & 0xFFFF_FFFF
    return total


#: Names and meanings of the counters, in their order.
COUNTERS: tuple[tuple[str, str], ...] = tuple((c.name, c.text) for c in Counter)

REGISTERS: tuple[Register, ...] = tuple(_registers())
BY_NAME: dict[str, Register] = {r.name: r for r in REGISTERS}
BY_OFFSET: dict[int, Register] = {r.offset: r for r in REGISTERS}


def offset(name: str) -> int:
    """Byte offset of the register called ``name``; KeyError if there is none."""
    return BY_NAME[name].offset


def pack(register: str, **fields: int) -> int:
    """The value of ``register`` with the given fields set and all others zero."""
    reg = BY_NAME[register]
    value = 0
    for name, v in fields.items():
        value |= reg[name].insert(v)
    return value


def unpack(register: str, value: int) -> dict[str, int]:
    """All fields of ``register`` out of ``value``."""
    return {f.name: f.extract(value) for f in BY_NAME[register].fields}
