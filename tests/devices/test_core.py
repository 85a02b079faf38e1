"""The emulated core as its registers show it: identity, runs, every error, and what follows."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import pairwise
from unittest import mock

import numpy as np
import pynq
import pytest
from hypothesis import given

from support.bench import (
    DEVICES,
    Rig,
    compile_network,
    identity_graph,
    random_inputs,
    small,
    small_graph,
)
from support.broken_streams import ILLEGAL, starving
from support.conformance import extreme_network
from support.random_graphs import GraphBuilder
from support.random_networks import random_network
from support.rtl.errors import CLAMPS, ENTRIES, with_entry, with_param
from support.rtl.logic import find
from support.strategies import drawn, examples
from winogen.common.errors import DeviceError, DeviceTimeoutError
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compiler.integers import run_integer
from winogen.compiler.lower import Mode
from winogen.compiler.shape import ConvShape
from winogen.cost import simulate as cost
from winogen.emulation.device import IP_NAME
from winogen.emulation.device.emulated import DDR_BASE
from winogen.emulation.device.memory import POISON
from winogen.emulation.emulator import EmulatedCore
from winogen.emulation.emulator.fast import FastJobs, NotExact
from winogen.runtime.accelerator import WinogenCore
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device
from winogen.target import isa, registers
from winogen.target.board import load_board
from winogen.target.isa import FIELDS, Instruction, Opcode
from winogen.target.registers import (
    BY_NAME,
    COUNTERS,
    SETTINGS,
    Access,
    Engine,
    ErrorCode,
    Segment,
    settings_sum,
)

TINY = load_board("tiny")
BATCH = 2
PAGE = 4096


@pytest.fixture(params=["fused", "machine"])
def rig(request) -> Rig:
    """A core with the small network and inputs in its memory."""
    rig = Rig(TINY, fuse=request.param == "fused")
    rig.load(small(), inputs())
    return rig


@cache
def inputs() -> np.ndarray:
    return random_inputs(small(), BATCH)


def stream() -> list[Instruction]:
    return small().program.streams[-1].instructions()


def first_of_the_output() -> int:
    """The first instruction that writes the output."""
    stores = (n for n, x in enumerate(stream()) if x.opcode is Opcode.STORE)
    return next(n for n in stores if stream()[n].segment == Segment.OUTPUT)


def assert_right(rig: Rig) -> None:
    """The small network runs, from start to right images, whatever happened before."""
    rig.put(Segment.OUTPUT, bytes(small().program.streams[-1].output_bytes))
    assert rig.start(stream()) == status(idle=1, done=1)
    assert rig.fields("ERROR_CODE") == {"code": 0, "engine": 0}
    np.testing.assert_array_equal(
        rig.output(small().program, BATCH), run_integer(small().network, inputs())
    )


def status(**fields: int) -> dict[str, int]:
    return {f.name: fields.get(f.name, 0) for f in BY_NAME["STATUS"].fields}


def is_fused(rig: Rig) -> bool:
    return all(plan.jobs is not None for plan in rig.core._plans.values())


# Registers


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", ["tiny", "pynq-z2"])
def test_identity(name, bits):
    board = load_board(name, bits)
    rig, core = Rig(board), board.core
    assert rig.get("MAGIC") == 0x574E4731
    assert rig.fields("VERSION") == {"major": 2, "minor": 1, "patch": 0}
    assert rig.get("CONFIG_HASH") == int(core.config_hash[:8], 16)
    assert rig.fields("CAPABILITY") == {
        "ci_lanes": core.ci_lanes, "co_lanes": core.co_lanes,
        "tile_lanes": core.tile_lanes, "data_width": bits, "products": core.products,
    }  # fmt: skip
    for memory in ("input", "weight", "psum", "output", "step"):
        assert rig.get(f"{memory.upper()}_DEPTH") == getattr(core, f"{memory}_depth")
    assert rig.fields("STATUS") == status(idle=1)


def test_reset_values_and_access():
    rig = Rig(TINY)
    rig.core = EmulatedCore(rig.memory, TINY)
    fresh = [n for n in BY_NAME if not n.endswith(("_BASE_LO", "_BASE_HI"))]
    fixed = ("CONFIG_HASH", "CAPABILITY", "INPUT_DEPTH", "WEIGHT_DEPTH", "PSUM_DEPTH",
             "OUTPUT_DEPTH", "STEP_DEPTH", "SETTINGS_SUM")  # fmt: skip
    for name in fresh:
        if name not in fixed:
            assert rig.get(name) == BY_NAME[name].reset, name
    for name, register in BY_NAME.items():
        if name == "CONTROL":
            continue
        before = rig.get(name)
        rig.set(name, 0xA5A5_5A5A)
        after = rig.get(name)
        if name == "SETTINGS_SUM":
            assert after == settings_sum(rig.get(setting) for setting in SETTINGS) != 0xA5A5_5A5A
            continue
        assert after == (0xA5A5_5A5A if register.access == "rw" else before), name
    for hole in (0x024, 0x068, 0x0FC, 0xFFC):
        rig.core.write(hole, 1)
        assert rig.core.read(hole) == 0


def test_control_reads_as_zero_and_zero_does_nothing(rig):
    assert_right(rig)
    before = rig.counters()
    rig.set("CONTROL", 0)
    assert (rig.get("CONTROL"), rig.counters()) == (0, before)


def test_the_low_half_latches_the_high_half():
    rig = Rig(TINY)
    low, high = (registers.offset(f"CYCLES_{half}") for half in ("LO", "HI"))
    rig.core._set64("CYCLES", 0x1_FFFF_FFFF)
    assert rig.core.read(low) == 0xFFFF_FFFF
    rig.core._set64("CYCLES", 0x2_0000_0000)  # the counter moved on between the two reads
    assert rig.core.read(high) == 1
    assert rig.core.read(high) == 2  # and by itself it is read as it is


def test_interrupt_is_a_level_and_write_one_clears(rig):
    assert_right(rig)
    assert rig.fields("IRQ_STATUS") == {"done": 1, "error": 0}
    assert not rig.core.interrupt()  # not enabled
    rig.set("IRQ_ENABLE", registers.pack("IRQ_ENABLE", error=1))
    assert not rig.core.interrupt()
    rig.set("IRQ_ENABLE", registers.pack("IRQ_ENABLE", done=1))
    assert rig.core.interrupt()
    rig.set("IRQ_STATUS", registers.pack("IRQ_STATUS", error=1))
    assert rig.core.interrupt()
    rig.set("IRQ_STATUS", registers.pack("IRQ_STATUS", done=1))
    assert (rig.get("IRQ_STATUS"), rig.core.interrupt()) == (0, False)
    rig.set("STREAM_BASE", rig.STREAM + 4)
    assert rig.start(stream())["error"]
    assert rig.fields("IRQ_STATUS") == {"done": 0, "error": 1}
    assert not rig.core.interrupt()


def test_soft_reset_clears_a_run_and_keeps_the_set_up(rig):
    assert_right(rig)
    rig.set("IRQ_ENABLE", 3)
    rig.set("WATCHDOG", 77)
    rig.set("CONTROL", registers.pack("CONTROL", reset=1))
    assert rig.fields("STATUS") == status(idle=1)
    assert not any(rig.counters().values())
    assert rig.get("IRQ_STATUS") == rig.get("ERROR_CODE") == 0
    assert (rig.get("IRQ_ENABLE"), rig.get("WATCHDOG")) == (3, 77)
    assert_right(rig)


def test_counters_are_those_of_the_cost_model(rig):
    assert_right(rig)
    line = cost.simulate(stream(), TINY)
    wanted = {
        "CYCLES": line.cycles, "MULTIPLIES": line.multiplies, "BYTES_READ": line.bytes_read,
        "BYTES_WRITTEN": line.bytes_written, "INSTRUCTIONS": len(stream()),
        **{f"{e.name}_BUSY": t.busy for e, t in line.engines.items()},
        **{f"{e.name}_STALL": t.stall for e, t in line.engines.items()},
    }  # fmt: skip
    assert rig.counters() == wanted
    assert wanted.keys() == {name for name, _ in COUNTERS}
    assert line.bytes_written == small().program.streams[-1].output_bytes + sum(
        BATCH * -(-c // 4) * h * w * 4 for c, h, w in [(6, 2, 2), (5, 4, 4)]
    )  # every value once; the other two layers' outputs lie in scratch


# Errors


def expect_error(rig: Rig, code: ErrorCode, engine: Engine, index: int, address: int = 0) -> None:
    """The registers show this error, the interrupt is pending, and the next run is right."""
    assert rig.fields("ERROR_CODE") == {"code": code, "engine": engine}
    assert rig.get("ERROR_INSTRUCTION") == index
    assert rig.get("ERROR_ADDRESS") == address
    state = rig.fields("STATUS")
    assert state == status(idle=1, error=1, **{engine.name.lower(): 3})
    assert rig.fields("IRQ_STATUS")["error"] == 1
    rig.set("CONTROL", registers.pack("CONTROL", reset=1))
    assert rig.fields("ERROR_CODE") == {"code": 0, "engine": 0}
    for segment, base in rig.BASES.items():
        rig.set(f"{segment.name}_BASE", base)
    rig.set("STREAM_BASE", rig.STREAM)
    assert_right(rig)


def test_a_stream_that_was_never_flushed_is_a_bad_opcode(rig):
    poison = bytes([POISON]) * 64
    rig.start(poison * 8)
    expect_error(rig, ErrorCode.BAD_OPCODE, Engine.FETCH, 0)
    code = isa.encode(stream())
    rig.start(code[: 64 * 7] + poison + code[64 * 8 :])
    assert rig.get("INSTRUCTIONS") <= 7
    expect_error(rig, ErrorCode.BAD_OPCODE, Engine.FETCH, 7)


def test_zeros_are_a_bad_opcode(rig):
    rig.start(isa.encode(stream()) + bytes(64))
    np.testing.assert_array_equal(  # all before it has been done
        rig.output(small().program, BATCH), run_integer(small().network, inputs())
    )
    expect_error(rig, ErrorCode.BAD_OPCODE, Engine.FETCH, len(stream()))


@pytest.mark.parametrize("what", ILLEGAL)
def test_illegal_descriptors(what, rig):
    opcode, change = ILLEGAL[what]
    instructions = [deepcopy(x) for x in stream()]
    index = max(i for i, x in enumerate(instructions) if x.opcode is opcode)
    instructions[index] = replace(instructions[index], **change(instructions[index]))
    rig.start(instructions)
    assert rig.get("INSTRUCTIONS") < len(instructions)
    expect_error(rig, ErrorCode.ILLEGAL_DESCRIPTOR, opcode.engine, index)


@pytest.mark.parametrize("what", ENTRIES)
def test_illegal_table_entries(what, rig):
    """As on the logic, which has the same test."""
    wrong = ENTRIES[what]
    rig.put(Segment.WEIGHTS, with_entry(wrong))
    rig.start(stream())
    rig_was_wrong(rig, wrong.fails)


@pytest.mark.parametrize("what", CLAMPS)
def test_illegal_clamps(what, rig):
    nth, entry, lane, values = CLAMPS[what]
    rig.put(Segment.WEIGHTS, with_param(find(Opcode.LOAD_PARAMS, nth), entry, lane, **values))
    rig.start(stream())
    rig_was_wrong(rig, find(Opcode.COMPUTE, nth))


@pytest.mark.parametrize(("shift", "illegal"), [(0, True), (1, False), (62, False), (63, True)])
def test_the_range_of_shifts(shift, illegal, rig):
    index = find(Opcode.LOAD_PARAMS, 1)
    rig.put(Segment.WEIGHTS, with_param(index, 0, 3, shift=shift))
    rig.start(stream())
    if illegal:
        rig_was_wrong(rig, index)
    assert rig.fields("STATUS")["done"]


@pytest.mark.parametrize("values", [{"low": 7, "high": 7}, {"low": -128, "high": 127}])
def test_clamps_that_are_just_legal(values, rig):
    rig.put(Segment.WEIGHTS, with_param(find(Opcode.LOAD_PARAMS, 0), 0, 0, **values))
    assert rig.start(stream())["done"]


@pytest.mark.parametrize("nth", [0, 1])
def test_weights_reach_to_the_end_of_their_buffer(nth, rig):
    """Direct (4 words), and Winograd (36), where only the phase table tells how many there are."""
    index, words = find(Opcode.LOAD_WEIGHTS, nth), (4, 36)[nth]
    for beyond in (0, 1):
        instructions = stream()
        base = TINY.core.weight_depth - words + beyond
        for x in (instructions[index], instructions[find(Opcode.COMPUTE, nth)]):
            setattr(x, "base" if x.opcode is Opcode.LOAD_WEIGHTS else "weight_base", base)
        rig.start(instructions)
        if beyond:
            rig_was_wrong(rig, index)
        else:
            assert rig.fields("STATUS")["done"]
            np.testing.assert_array_equal(
                rig.output(small().program, BATCH), run_integer(small().network, inputs())
            )


def rig_was_wrong(rig: Rig, index: int) -> None:
    """An instruction was refused; with the right constants the next run is right."""
    rig.put(Segment.WEIGHTS, small().program.weights)
    engine = stream()[index].engine
    expect_error(rig, ErrorCode.ILLEGAL_DESCRIPTOR, engine, index)


def test_reserved_bits_make_no_instruction(rig):
    code = bytearray(isa.encode(stream()))
    code[64 * 3 + 63] |= 0x80
    rig.start(bytes(code))
    expect_error(rig, ErrorCode.BAD_OPCODE, Engine.FETCH, 3)


@pytest.mark.parametrize("segment", Segment)
def test_no_memory_at_the_address(segment, rig):
    base = DDR_BASE + (8 << 20)  # the first byte beyond the memory
    rig.set(f"{segment.name}_BASE", base)
    rig.start(stream())
    index = rig.get("ERROR_INSTRUCTION")
    failing = stream()[index]
    assert failing.segment == segment
    writes = failing.opcode is Opcode.STORE
    assert writes == (segment in (Segment.OUTPUT, Segment.SCRATCH))
    expect_error(rig, ErrorCode.AXI_DECERR, failing.engine, index, base + failing.offset)


def test_a_segment_that_nobody_set(rig):
    rig.set("INPUT_BASE", 0)
    rig.start(stream())
    index = next(i for i, x in enumerate(stream()) if x.opcode is Opcode.LOAD_INPUT)
    expect_error(rig, ErrorCode.AXI_DECERR, Engine.LOAD, index, stream()[index].offset)


def test_a_stream_outside_the_memory(rig):
    address = 0x1_8000_0040
    rig.set("STREAM_BASE", address)
    rig.start(stream())
    expect_error(rig, ErrorCode.AXI_DECERR, Engine.FETCH, 0, address)


@pytest.mark.parametrize("count", [1, 5, 21])
def test_a_stream_that_reaches_beyond_the_memory(count, rig):
    """What the memory holds of it is executed first, unless that is no instruction."""
    end = DDR_BASE + (8 << 20)
    start = end - 64 * count
    code = isa.encode(stream())
    for damage, failing, error in (
        (None, count, ErrorCode.AXI_DECERR),
        (count - 1, count - 1, ErrorCode.BAD_OPCODE),
    ):
        held = bytearray(code[: 64 * count])
        if damage is not None:
            held[64 * damage] = 0
        rig.memory.device_write(start, held)
        rig.set("STREAM_BASE", start)
        rig.set("STREAM_LENGTH", len(stream()))
        rig.set("CONTROL", registers.pack("CONTROL", start=1))
        done = cost.simulate(isa.decode(bytes(held[: 64 * failing])), rig.board).completed
        assert rig.get("INSTRUCTIONS") == done
        address = end if error is ErrorCode.AXI_DECERR else 0
        expect_error(rig, error, Engine.FETCH, failing, address)


def test_bad_streams(rig):
    for length in (0, registers.MAX_STREAM_LENGTH + 1, 0xFFFF_FFFF):
        rig.set("STREAM_LENGTH", length)
        rig.set("CONTROL", registers.pack("CONTROL", start=1))
        expect_error(rig, ErrorCode.BAD_STREAM, Engine.FETCH, 0)
    for name, address in (
        ("STREAM", rig.STREAM + 32),
        *((s.name, rig.BASES[s] + 8) for s in Segment),
    ):
        rig.set(f"{name}_BASE", address)
        rig.start(stream())
        expect_error(rig, ErrorCode.BAD_STREAM, Engine.FETCH, 0)


def test_the_watchdog_ends_a_deadlock(rig):
    instructions, index = starving(stream())
    rig.set("WATCHDOG", 5000)
    rig.start(instructions)
    assert rig.get("CYCLES") == cost.simulate(instructions, TINY).cycles + 5000
    assert rig.get("INSTRUCTIONS") == len(instructions) - 1
    expect_error(rig, ErrorCode.WATCHDOG, Engine.STORE, index)


def test_without_a_watchdog_a_deadlock_stays_until_reset(rig):
    instructions, _ = starving(stream())
    rig.set("WATCHDOG", 0)
    assert rig.start(instructions) == status(store=2)
    before = rig.counters()
    assert rig.start(stream()) == status(store=2)  # start is ignored unless idle
    assert rig.counters() == before
    assert rig.get("IRQ_STATUS") == 0
    rig.set("CONTROL", registers.pack("CONTROL", reset=1))
    assert_right(rig)


# Windows


WIDE = (0, 0xFFFF_FFFF)
OWNERS = {Access.READ: Engine.LOAD, Access.WRITE: Engine.STORE, Access.FETCH: Engine.FETCH}


def refused(
    rig: Rig, access: Access, *pages: tuple[int, int], code: bytes | None = None
) -> tuple[int, int]:
    """Instruction and address at which a stream is refused with these windows alone.

    It is the small network's where there is no other ``code``.
    """
    rig.open(access, *pages)
    rig.start(code or stream())
    rig.open(access, WIDE)
    wanted = {"code": ErrorCode.OUTSIDE_WINDOW, "engine": OWNERS[access]}
    assert rig.fields("ERROR_CODE") == wanted
    assert rig.fields("STATUS") == status(idle=1, error=1, **{OWNERS[access].name.lower(): 3})
    assert rig.fields("IRQ_STATUS")["error"] == 1
    return rig.get("ERROR_INSTRUCTION"), rig.get("ERROR_ADDRESS")


def test_closed_windows(rig):
    assert refused(rig, Access.FETCH) == (0, rig.STREAM)
    assert not any(rig.counters().values())
    load = next(i for i, x in enumerate(stream()) if isinstance(x, isa.Transfer))
    x = stream()[load]
    assert refused(rig, Access.READ) == (load, rig.BASES[Segment(x.segment)] + x.offset)
    scratch = bytes([0x77]) * 2048
    rig.put(Segment.SCRATCH, scratch)
    assert refused(rig, Access.WRITE) == (find(Opcode.STORE, 0), rig.BASES[Segment.SCRATCH])
    assert rig.bytes(Segment.SCRATCH, 2048) == scratch
    assert_right(rig)


def test_windows_count_anew_for_a_stream_that_is_known(rig):
    """What was found out about a stream holds for its windows alone."""
    assert_right(rig)
    page = rig.BASES[Segment.OUTPUT] // PAGE
    at = refused(rig, Access.WRITE, (page + 1, 0xFFFF_FFFF), (0, page - 1))
    assert at == (first_of_the_output(), rig.BASES[Segment.OUTPUT])
    rig.open(Access.WRITE, (page, 0xFFFF_FFFF), (page + 9, page), (0, page - 1))
    assert_right(rig)


def test_a_store_writes_up_to_the_edge_of_its_window(rig):
    large = compile_graph(small_graph(), TINY, batch=BATCH, mode="winograd")  # no folded output
    rig.load(large, inputs())
    code = large.program.streams[-1].stream
    stores = (n for n, x in enumerate(isa.decode(code)) if x.opcode is Opcode.STORE)
    last = next(n for n in stores if isa.decode(code)[n].segment == Segment.OUTPUT)
    edge = rig.BASES[Segment.OUTPUT] + PAGE
    rig.set("OUTPUT_BASE", edge - 64 * 3)
    before = bytes([0x77]) * 2048
    rig.memory.device_write(edge - 1024, before)
    scratch = rig.BASES[Segment.SCRATCH] // PAGE
    at = refused(rig, Access.WRITE, (0, edge // PAGE - 1), (scratch, scratch), code=code)
    assert at == (last, edge)
    cut = rig.memory.device_read(edge - 1024, 2048).tobytes()
    assert cut[: 1024 - 192] == before[: 1024 - 192] and cut[1024:] == before[1024:]
    assert rig.start(code)["done"]
    whole = rig.memory.device_read(edge - 1024, 2048).tobytes()
    assert whole[1024 - 192 : 1024] == cut[1024 - 192 : 1024] != before[:192]


# The same through the driver


@pytest.fixture(params=list(DEVICES))
def driver(request, tmp_path) -> tuple[pynq.Device, WinogenCore]:
    device = DEVICES[request.param](TINY)
    overlay = pynq.Overlay(str(device.ensure_overlay(tmp_path)), device=device)
    return device, getattr(overlay, IP_NAME)


def place(device: pynq.Device, nbytes: int, data: bytes = b"") -> pynq.buffer.PynqBuffer:
    buffer = pynq.allocate((nbytes,), "u1", target=device)
    buffer[: len(data)] = np.frombuffer(data, "u1")
    buffer.flush()
    return buffer


def run(driver: tuple[pynq.Device, WinogenCore], instructions: list[Instruction]) -> None:
    device, core = driver
    code = place(device, 64 * len(instructions), isa.encode(instructions))
    weights = place(device, len(small().program.weights), small().program.weights)
    buffers = [weights, *(place(device, 1 << 16) for _ in range(3))]
    bases = {s: b.device_address for s, b in zip(Segment, buffers)}
    core.allow({Access.READ: buffers, Access.WRITE: buffers[2:], Access.FETCH: [code]})
    core.start(code.device_address, len(instructions), bases)
    core.wait(0.02)


def test_the_driver_says_what_the_hardware_was_doing_at_the_deadline(driver):
    _, core = driver
    core.set("WATCHDOG", 0)
    instructions, index = starving(stream())
    with pytest.raises(DeviceTimeoutError) as error:
        run(driver, instructions)
    text = str(error.value)
    assert "did not finish within 0.02 s" in text
    assert "store waits for a token" in text
    assert "load idle" in text
    assert f"{index} of {len(instructions)} instructions done" in text
    run(driver, stream())  # the driver has reset the core
    assert core.get("INSTRUCTIONS") == len(instructions)


def test_the_driver_names_error_engine_instruction_and_address(driver):
    _, core = driver
    instructions = [deepcopy(x) for x in stream()]
    index = max(i for i, x in enumerate(instructions) if x.opcode is Opcode.LOAD_INPUT)
    instructions[index].offset = 0xF000_0000
    with pytest.raises(DeviceError) as error:
        run(driver, instructions)
    text = str(error.value)
    assert f"OUTSIDE_WINDOW in the load engine at instruction {index}, bus address 0x" in text
    assert ErrorCode.OUTSIDE_WINDOW.text in text
    run(driver, stream())
    core.set("WATCHDOG", 50_000)  # its reset value takes minutes to simulate
    instructions, index = starving(stream())
    with pytest.raises(DeviceError, match=f"WATCHDOG in the store engine at instruction {index}"):
        run(driver, instructions)
    run(driver, stream())


def test_a_stream_that_does_not_begin_and_a_reset_that_does_not_end(driver, monkeypatch):
    _, core = driver
    real = core.get
    answers = {}
    monkeypatch.setattr(core, "get", lambda n: answers[n] if n in answers else real(n))
    monkeypatch.setattr(core, "_look", lambda: answers["STATUS"])
    answers["STATUS"] = registers.pack("STATUS", idle=1)
    with pytest.raises(DeviceError, match="did not begin the stream"):
        core.wait(1)
    answers["STATUS"] = registers.pack("STATUS", load=1)
    monkeypatch.setattr("winogen.runtime.accelerator._RESET_SECONDS", 0.01)
    with pytest.raises(DeviceTimeoutError, match=r"(?s)did not finish .* then .* not idle "):
        core.wait(0)


def test_a_counter_that_carries_while_it_is_read(monkeypatch):
    """The low half, which latches the other one, is read first."""
    device = DEVICES["emulator"](TINY)
    core = getattr(pynq.Overlay(str(device.ensure_overlay()), device=device), IP_NAME)
    device.core._set64("CYCLES", 0x1_FFFF_FFFF)
    real = device.core.read

    def read(at: int) -> int:
        value = real(at)
        device.core._set64("CYCLES", 0x2_0000_0000)
        return value

    monkeypatch.setattr(device.core, "read", read)
    assert core.get("CYCLES") == 0x1_FFFF_FFFF
    assert core.get("CYCLES") == 0x2_0000_0000


def test_identity_is_checked(driver, monkeypatch):
    _, core = driver
    core.check_identity(TINY.core)
    with pytest.raises(DeviceError, match=r"CONFIG_HASH reads .* was compiled for another build"):
        core.check_identity(replace(TINY.core, phase_depth=1))
    real = core.get
    for name, value, words in (
        ("MAGIC", 0, "holds no winogen accelerator"),
        ("VERSION", 3 << 16, r"has hardware version 3\.0, this driver needs 2\.1 or a later 2\.x"),
        ("VERSION", 1 << 16, r"has hardware version 1\.0, this driver needs 2\.1 or a later 2\.x"),
    ):
        with monkeypatch.context() as m:
            m.setattr(core, "get", lambda n, name=name, v=value: v if n == name else real(n))
            with pytest.raises(DeviceError, match=words):
                core.check_identity()


# The fused path is the machine


def both(
    compiled: Compiled, instructions: list[Instruction], weights: bytes | None = None,
    bases: dict[Segment, int] | None = None,
) -> tuple[Rig, Rig]:  # fmt: skip
    """The same stream on a fused core and on the machine, and the assertion that they agree."""
    info = compiled.program.streams[-1]
    rigs = []
    seen = []
    for fuse in (True, False):
        rig = Rig(TINY, fuse=fuse)
        rig.load(compiled, random_inputs(compiled, info.batch))
        if weights is not None:
            rig.put(Segment.WEIGHTS, weights)
        for segment, base in (bases or {}).items():
            rig.set(f"{segment.name}_BASE", base)
        rig.start(instructions)
        errors = [rig.get(n) for n in ("STATUS", "ERROR_CODE", "ERROR_INSTRUCTION")]
        # How far other engines have come by the time of an error is nobody's promise.
        done = rig.fields("STATUS")["done"]
        memory = [hashlib.sha256(rig.bytes(s, 1 << 16)).digest() for s in Segment if done]
        rigs.append(rig)
        seen.append((errors, rig.get("ERROR_ADDRESS"), rig.counters(), memory))
    assert seen[0] == seen[1]
    return rigs[0], rigs[1]


def test_the_usual_stream_is_fused():
    fused, machine = both(small(), stream())
    assert is_fused(fused)
    assert not is_fused(machine)


def test_a_legal_stream_that_fuse_refuses_runs_on_the_machine():
    """Tables are loaded twice, one half at a time, and the result is stored in two pieces."""
    instructions = [deepcopy(x) for x in stream()]
    store = instructions.pop()
    halves = []
    for part in (0, 1):
        half = deepcopy(store)
        half.rows //= 2
        half.base += part * half.rows * half.columns
        half.offset += part * half.rows * half.row_stride * TINY.core.word_bytes
        half.images = 1
        halves.append(half)
    halves[1].wait = 0
    fused, _ = both(small(), [*instructions, *halves])
    assert not is_fused(fused)
    assert fused.fields("STATUS")["done"]
    got = fused.output(small().program, BATCH)[0]
    np.testing.assert_array_equal(got, run_integer(small().network, inputs())[0])


def _computes(instructions: list[Instruction], which: str) -> list[int]:
    """Indices of COMPUTEs that start (but do not end) a sum, or that end one they did not start."""
    return [
        i for i, x in enumerate(instructions)
        if x.opcode is Opcode.COMPUTE and (x.first, x.last) == {"start": (1, 0),
                                                                     "end": (0, 1)}[which]
    ]  # fmt: skip


@cache
def long_sums() -> Compiled:
    """Two layers whose sums take several COMPUTEs, the second in several tile groups."""
    return compile_graph(random_network(6), TINY, batch=2)


@pytest.mark.parametrize("which", ["start", "end"])
@pytest.mark.parametrize("field", ["psum_base", "param_base", "tiles_y", "tiles_x", "phases"])
def test_a_sum_that_goes_on_in_another_place(field, which):
    instructions = [deepcopy(x) for x in long_sums().program.streams[-1].instructions()]
    for index in _computes(instructions, which)[:3]:
        changed = deepcopy(instructions)
        value = getattr(changed[index], field)
        setattr(changed[index], field, value - 1 if value > 1 else value + 1)
        both(long_sums(), changed)


def test_a_store_over_what_another_has_stored():
    """The later one wins, though they belong to the same layer."""
    instructions = [deepcopy(x) for x in long_sums().program.streams[-1].instructions()]
    stores = [i for i, x in enumerate(instructions) if x.opcode is Opcode.STORE]
    for first, second in list(pairwise(stores))[::3]:
        changed = deepcopy(instructions)
        changed[second].offset = changed[first].offset
        both(long_sums(), changed)
        changed[second].offset = changed[first].offset + TINY.core.word_bytes
        both(long_sums(), changed)


@cache
def several_groups() -> Compiled:
    """One layer whose tiles take several rounds, all with the same constants."""
    b = GraphBuilder(2, (3, 13, 14))
    b.conv(36, 3)
    return compile_graph(b.graph(), TINY, batch=1)


def test_a_store_over_constants_that_are_loaded_already():
    """What is on chip stays as it was loaded, whatever then lies in DRAM."""
    original = several_groups().program.streams[-1].instructions()
    store = next(i for i, x in enumerate(original) if x.opcode is Opcode.STORE)
    assert store < len(original) - 2
    for x in original[:store]:
        if getattr(x, "segment", None) == Segment.WEIGHTS:
            changed = deepcopy(original)
            changed[store] = replace(changed[store], segment=Segment.WEIGHTS, offset=x.offset)
            both(several_groups(), changed)


def test_results_that_overlap_on_chip():
    """A result moved by a word lies over its neighbour, which may not be stored yet."""
    original = long_sums().program.streams[-1].instructions()
    bases = {x.base for x in original if x.opcode is Opcode.STORE}
    for base in sorted(bases)[1:5]:
        for step in (-1, 1, -base):
            changed = deepcopy(original)
            for x in changed:
                for name in ("base", "output_base"):
                    value = getattr(x, name, None)
                    if value == base and x.opcode in (Opcode.STORE, Opcode.COMPUTE):
                        setattr(x, name, value + step)
            both(long_sums(), changed)


def chained(instructions: list[Instruction]) -> list[Instruction]:
    """The instructions so that each waits for the one before it."""
    for x in instructions:
        x.wait = x.signal = 0
    for a, b in pairwise(instructions):
        if a.engine is not b.engine:
            a.signal |= 1 << b.engine
            b.wait |= 1 << a.engine
    return instructions


def test_a_result_over_another_that_is_not_stored():
    """Two results in turn, then both stores: the second one's first word lies on the first one."""
    original = several_groups().program.streams[-1].instructions()
    stores = [i for i, x in enumerate(original) if x.opcode is Opcode.STORE]
    tried = 0
    for first, second in list(pairwise(stores))[:3]:
        changed = [deepcopy(x) for x in original]
        late, store = changed[first], changed[second]
        [compute] = [x for x in changed[first:second] if getattr(x, "last", 0)]
        compute.output_base = store.base = late.base + late.images * late.rows * late.columns - 1
        changed.insert(second - 1, changed.pop(first))
        assert changed.index(compute) < changed.index(late) < changed.index(store)
        fused, _ = both(several_groups(), chained(changed))
        tried += fused.fields("STATUS")["done"]
    assert tried


@pytest.mark.parametrize("field", ["rows", "columns"])
def test_a_region_of_another_shape_than_was_loaded(field):
    """What lies beyond a smaller one is zero to the COMPUTE."""
    for index in _computes(long_sums().program.streams[-1].instructions(), "start")[:3]:
        changed = long_sums().program.streams[-1].instructions()
        setattr(changed[index], field, getattr(changed[index], field) - 1)
        fused, _ = both(long_sums(), changed)
        assert fused.fields("STATUS")["done"]


def test_sums_that_fit_in_parts_and_not_at_once():
    """Four times the whole sum wraps; each COMPUTE's part of it is halved twice before."""
    shape = ConvShape(False, (3, 3), (1, 1), (1, 1), (3, 4), (3, 4))
    network = extreme_network(shape, (4400, 3), 8, "highest", 0, False)
    made = compile_network(
        identity_graph(network.input.shape), network, TINY, mode=Mode.WINOGRAD, batch=1
    )
    q = np.full((1, *network.input.shape), 127)
    assert 4 * 9 * 4400 * 127**2 >= 1 << 31
    outputs = []
    for fuse in (True, False):
        rig = Rig(TINY, fuse=fuse)
        rig.load(made, q)
        assert rig.start(made.program.streams[0].stream)["done"]
        outputs.append(rig.output(made.program, 1))
    np.testing.assert_array_equal(*outputs)
    np.testing.assert_array_equal(outputs[0], run_integer(network, q))


def test_segments_that_share_memory():
    for one, other in ((Segment.OUTPUT, Segment.INPUT), (Segment.SCRATCH, Segment.OUTPUT),
                       (Segment.SCRATCH, Segment.WEIGHTS)):  # fmt: skip
        for compiled in (small(), long_sums()):
            both(compiled, compiled.program.streams[-1].instructions(),
                 bases={one: Rig.BASES[other]})  # fmt: skip


@pytest.mark.parametrize("fails", [None, 1, 2])
def test_a_stream_that_stores_over_its_input_is_fused(fails):
    """What it was given is there again where the machine has to begin anew after some jobs.

    The last job fails after it has stored: nothing else would have spoilt the input.
    """
    b = GraphBuilder(2, (3, 7, 8))
    b.conv(9, 3)
    b.conv(12, 3)
    compiled = compile_graph(b.graph(), TINY, batch=1)
    stream = compiled.program.streams[-1].instructions()
    run, done = FastJobs.run, []

    def not_exact(self, job):
        run(self, job)
        done.append(job)
        if len(done) == fails:
            raise NotExact

    with mock.patch.object(FastJobs, "run", not_exact):
        fused, _ = both(compiled, stream, bases={Segment.OUTPUT: Rig.BASES[Segment.INPUT]})
    assert is_fused(fused)
    (plan,) = fused.core._plans.values()
    assert plan.overwritten
    assert len(plan.jobs) == 2
    assert len(done) == (fails or 2)


@pytest.mark.parametrize("make", [small, long_sums])
def test_any_change_of_a_stream_is_the_same_to_both(make):
    """A field and a constant changed at random: same bytes, same error, same counters."""
    compiled = make()
    original = compiled.program.streams[-1].instructions()
    fused = []

    @examples(50)
    @given(drawn())
    def change(rng):
        instructions = [deepcopy(x) for x in original]
        x = instructions[rng.integers(len(instructions))]
        name = rng.choice(list(isa.operands(x)))
        f = FIELDS[x.opcode][name]
        step = 4 * rng.integers(-64, 65) if name == "offset" else rng.integers(-2, 3)
        low, high = (-(1 << f.width) // 2, (1 << f.width) // 2 - 1) if f.signed else (
            0, (1 << f.width) - 1)  # fmt: skip
        setattr(x, name, int(np.clip(getattr(x, name) + step, low, high)))
        weights = bytearray(compiled.program.weights)
        if rng.random() < 0.5:
            weights[rng.integers(len(weights))] ^= 1 << rng.integers(8)
        with np.errstate(all="ignore"):
            fused.append(is_fused(both(compiled, instructions, bytes(weights))[0]))

    change()
    assert any(fused)  # else both ran the machine


@pytest.mark.parametrize("shift", [0, 63])
def test_a_shift_that_nobody_needs_is_refused_by_both(shift):
    """A LOAD_PARAMS checks each entry that it loads."""
    instructions = [deepcopy(x) for x in small().program.streams[-1].instructions()]
    load = instructions[0]
    assert load.opcode is Opcode.LOAD_PARAMS
    weights = bytearray(small().program.weights)
    entries = load.count * TINY.core.co_lanes * isa.PARAM_BYTES
    more = np.frombuffer(weights, np.uint8)[load.offset + entries :][: entries // load.count]
    params = isa.unpack_params(more)
    params.shift[:] = shift
    more[:] = np.frombuffer(isa.pack_params(params), np.uint8)
    load.count += 1
    for rig in both(small(), instructions, bytes(weights)):
        assert rig.fields("ERROR_CODE")["code"] == ErrorCode.ILLEGAL_DESCRIPTOR
        assert rig.get("ERROR_INSTRUCTION") == 0


# What the core remembers of a stream


def test_another_buffers_writes_do_not_have_a_stream_analysed_again(monkeypatch):
    """Weights end where the input begins, on the next page, in which tables may lie."""
    program = small().program
    with Generator(program, emulated_device(TINY)) as generator:
        z = generator.latents(BATCH)
        generator.generate(z)
        core = generator.device.core
        monkeypatch.setattr(core, "_analyse", lambda *_: pytest.fail("it is analysed again"))
        generator.generate(z)


@pytest.mark.parametrize("gemm", [True, False])
def test_changed_weights_far_from_tables_are_noticed(gemm):
    """What was made of them is kept from run to run, and the stream is not analysed again."""
    b = GraphBuilder(5, (72, 4, 4), "image")
    b.conv(72, 3, 1, 1)
    compiled = compile_graph(b.graph("wide", None), TINY, batch=1)
    q, code = random_inputs(compiled, 1), compiled.program.streams[0].stream
    weights = np.frombuffer(compiled.program.weights, np.int8)
    loads = [x for x in isa.decode(code) if isinstance(x, (isa.LoadTable, isa.LoadWeights))]
    tables = {x.offset // PAGE for x in loads if isinstance(x, isa.LoadTable)}
    start = min(x.offset for x in loads if isinstance(x, isa.LoadWeights))
    place = start + next(
        int(n) for n in np.flatnonzero(weights[start:]) if (start + n) // PAGE not in tables
    )
    rig, fresh = Rig(TINY, gemm=gemm), Rig(TINY, fuse=False)
    rig.load(compiled, q)
    assert rig.start(code)["done"]
    before = rig.output(compiled.program, 1)
    fresh.load(compiled, q)
    for each in (rig, fresh):
        each.put(Segment.WEIGHTS, bytes([weights[place] & 0xFF ^ 0x70]), place)
        assert each.start(code)["done"]
    after = rig.output(compiled.program, 1)
    np.testing.assert_array_equal(after, fresh.output(compiled.program, 1))
    assert not np.array_equal(after, before)


@pytest.mark.parametrize("gemm", [True, False])
@pytest.mark.parametrize("part", ["weights", "tables", "params", "activation"])
def test_changed_constants_are_noticed(part, gemm):
    """Same stream, same addresses, other bytes in DDR: the next run uses the new ones."""
    rig = Rig(TINY, gemm=gemm)
    rig.load(small(), inputs())
    assert_right(rig)
    opcode, table = {
        "weights": (Opcode.LOAD_WEIGHTS, None), "params": (Opcode.LOAD_PARAMS, None),
        "tables": (Opcode.LOAD_TABLE, isa.Table.PHASE),
        "activation": (Opcode.LOAD_TABLE, isa.Table.ACTIVATION),
    }[part]  # fmt: skip
    x = next(x for x in stream() if x.opcode is opcode and (table is None or x.table == table))
    weights = bytearray(small().program.weights)
    if part == "tables":  # exchange two phases' columns
        entries = weights[x.offset : x.offset + 16]
        entries[1], entries[9] = entries[9], entries[1]
        weights[x.offset : x.offset + 16] = entries
    elif part == "params":  # other multipliers
        for i in range(x.offset + 9, x.offset + 64, 16):
            weights[i] ^= 0x15
    else:
        count = 2 * isa.TABLE_ENTRIES if part == "activation" else 24
        for i in range(x.offset, x.offset + count):
            weights[i] ^= 0x15
    rig.put(Segment.WEIGHTS, bytes(weights))
    assert rig.start(stream())["done"]
    changed = rig.output(small().program, BATCH)
    fresh = Rig(TINY, fuse=False)
    fresh.load(small(), inputs())
    fresh.put(Segment.WEIGHTS, bytes(weights))
    assert fresh.start(stream())["done"]
    np.testing.assert_array_equal(changed, fresh.output(small().program, BATCH))
    assert not np.array_equal(changed, run_integer(small().network, inputs()))
    rig.put(Segment.WEIGHTS, small().program.weights)
    assert_right(rig)


def test_many_streams_in_turn(rig):
    """More streams than the core remembers; each is analysed anew when it comes again."""
    originals = stream()
    for _ in range(2):
        for layer in range(20):
            changed = [deepcopy(x) for x in originals]
            changed[-1].layer = 100 + layer
            assert rig.start(changed)["done"]
    assert_right(rig)
