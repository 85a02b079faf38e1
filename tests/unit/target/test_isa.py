"""Instruction, table, parameter and register encodings: round trips and refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import examples
from winogen.target import registers
from winogen.target.isa import (
    CLASSES,
    FIELDS,
    HEADER,
    INSTRUCTION_BYTES,
    PARAM_BYTES,
    PARAM_FIELDS,
    TABLE_ENTRY_BYTES,
    TABLE_FIELDS,
    AccumulatorEntry,
    BadOpcodeError,
    EncodingError,
    Instruction,
    InstructionField,
    Opcode,
    Params,
    PhaseEntry,
    StepEntry,
    Table,
    decode,
    encode,
    operands,
    pack_activation,
    pack_params,
    pack_table,
    unpack_params,
    unpack_table,
)
from winogen.target.registers import Engine


def body(opcode: Opcode) -> dict[str, InstructionField]:
    return {name: f for name, f in FIELDS[opcode].items() if name not in HEADER}


@st.composite
def instructions(draw: st.DrawFn) -> Instruction:
    opcode = draw(st.sampled_from(Opcode))
    values = {}
    for name, f in body(opcode).items():
        low, high = f.limits
        values[name] = draw(st.sampled_from((low, high)) | st.integers(low, high))
    for name in ("wait", "signal", "layer"):
        values[name] = draw(st.integers(*FIELDS[opcode][name].limits))
    return CLASSES[opcode](**values)


def lowest(opcode: Opcode, **changes: int) -> Instruction:
    values = {name: f.limits[0] for name, f in body(opcode).items()}
    return CLASSES[opcode](**{**values, **changes})


def check_round_trip(stream):
    data = encode(stream)
    assert len(data) == INSTRUCTION_BYTES * len(stream)
    assert decode(data) == stream
    assert decode(np.frombuffer(data, np.uint8)) == stream
    assert not any(i.reserved for i in decode(data))


@examples(60)
@given(st.lists(instructions(), max_size=12))
def test_round_trip(stream):
    check_round_trip(stream)


@pytest.mark.long
@examples(2000)
@given(st.lists(instructions(), max_size=12))
def test_many_round_trips(stream):
    check_round_trip(stream)


@pytest.mark.parametrize("opcode", Opcode)
def test_fields_do_not_overlap_or_cross_words(opcode):
    used = set()
    for f in FIELDS[opcode].values():
        assert f.lsb >= 0
        assert f.lsb + f.width <= 32
        assert 0 <= f.word < INSTRUCTION_BYTES // 4
        bits = {32 * f.word + f.lsb + i for i in range(f.width)}
        assert not bits & used, f.name
        used |= bits
        assert f.doc
    assert tuple(FIELDS[opcode])[:4] == HEADER


@pytest.mark.parametrize("opcode", Opcode)
def test_every_field_lands_on_its_own_bits(opcode):
    """The stream read as one big number, in which a field starts at bit 32 * word + lsb."""
    base = int.from_bytes(encode([lowest(opcode)]), "little")
    for name, f in body(opcode).items():
        low, high = f.limits
        for value in (low, high):
            number = int.from_bytes(encode([lowest(opcode, **{name: value})]), "little")
            mask = ((1 << f.width) - 1) << (32 * f.word + f.lsb)
            assert number & ~mask == base & ~mask
            assert (number & mask) >> (32 * f.word + f.lsb) == value % (1 << f.width)


@pytest.mark.parametrize("opcode", Opcode)
def test_a_value_that_does_not_fit_names_its_field(opcode):
    for name, f in body(opcode).items():
        low, high = f.limits
        for value in (low - 1, high + 1):
            with pytest.raises(EncodingError, match=rf"{opcode.name}: {name} = {value} "):
                encode([lowest(opcode, **{name: value})])
    for name in ("wait", "signal", "layer"):
        instruction = lowest(opcode)
        setattr(instruction, name, 1 << FIELDS[opcode][name].width)
        with pytest.raises(EncodingError, match=f"{opcode.name}: {name}"):
            encode([instruction])


@pytest.mark.parametrize("opcode", Opcode)
def test_unknown_and_missing_fields_are_named(opcode):
    with pytest.raises(TypeError, match="bogus"):
        lowest(opcode, bogus=1)
    values = operands(lowest(opcode))
    for missing in values:
        with pytest.raises(TypeError, match=f"'{missing}'"):
            CLASSES[opcode](**{name: v for name, v in values.items() if name != missing})


@pytest.mark.parametrize("opcode", Opcode)
def test_an_instruction_has_no_other_attributes(opcode):
    with pytest.raises(AttributeError):
        lowest(opcode).bogus = 1
    with pytest.raises(TypeError):
        lowest(opcode)["layer"]


def test_the_first_instruction_that_does_not_fit_is_named():
    """Whatever their opcodes; of its fields it is the first."""
    good, early = lowest(Opcode.STORE), lowest(Opcode.STORE, images=-1, base=-1)
    late = lowest(Opcode.LOAD_INPUT, rows=1 << 12)
    with pytest.raises(EncodingError, match="STORE: base = -1 does not fit"):
        encode([good, early, late])
    with pytest.raises(EncodingError, match="LOAD_INPUT: rows = 4096 does not fit"):
        encode([good, late, early])
    with pytest.raises(EncodingError, match=f"STORE: offset = {1 << 70} "):
        encode([lowest(Opcode.STORE, offset=1 << 70)])


@pytest.mark.parametrize("bad", [0, 7, 15])
def test_a_bad_opcode_says_where_it_is(bad):
    data = bytearray(encode([lowest(Opcode.STORE), lowest(Opcode.COMPUTE), lowest(Opcode.STORE)]))
    data[INSTRUCTION_BYTES] = (data[INSTRUCTION_BYTES] & 0xF0) | bad
    for start in (0, 100):
        with pytest.raises(BadOpcodeError, match=f"instruction {start + 1}.*opcode {bad}") as e:
            decode(bytes(data), start)
        assert (e.value.index, e.value.opcode) == (start + 1, bad)


def test_memory_that_was_never_written_is_no_instruction():
    with pytest.raises(BadOpcodeError):
        decode(bytes(INSTRUCTION_BYTES))


@pytest.mark.parametrize("opcode", Opcode)
def test_every_reserved_bit_is_flagged(opcode):
    data = encode([lowest(opcode)])
    used = {32 * f.word + f.lsb + i for f in FIELDS[opcode].values() for i in range(f.width)}
    for bit in range(8 * INSTRUCTION_BYTES):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        if bit < 4:
            continue  # the opcode itself
        (instruction,) = decode(bytes(changed))
        assert bool(instruction.reserved) == (bit not in used), bit


def test_engines():
    assert {o: o.engine for o in Opcode} == {
        Opcode.LOAD_INPUT: Engine.LOAD,
        Opcode.LOAD_WEIGHTS: Engine.LOAD,
        Opcode.LOAD_PARAMS: Engine.LOAD,
        Opcode.LOAD_TABLE: Engine.LOAD,
        Opcode.COMPUTE: Engine.COMPUTE,
        Opcode.STORE: Engine.STORE,
    }
    assert lowest(Opcode.STORE).engine is Engine.STORE


ENTRIES = {
    Table.STEP: StepEntry,
    Table.ACCUMULATOR: AccumulatorEntry,
    Table.PHASE: PhaseEntry,
}


@pytest.mark.parametrize("table", ENTRIES)
@examples(100)
@given(data=st.data())
def test_table_round_trip(table, data):
    entry = st.builds(
        ENTRIES[table],
        **{f.name: st.sampled_from(f.limits) | st.integers(*f.limits) for f in TABLE_FIELDS[table]},
    )
    entries = data.draw(st.lists(entry, max_size=20))
    packed = pack_table(table, entries)
    assert len(packed) == TABLE_ENTRY_BYTES[table] * len(entries)
    columns = unpack_table(table, packed)
    rows = zip(*(c.tolist() for c in columns.values()))
    assert [ENTRIES[table](**dict(zip(columns, row))) for row in rows] == entries


@pytest.mark.parametrize("table", ENTRIES)
def test_table_values_that_do_not_fit_are_named(table):
    zero = ENTRIES[table](**{f.name: 0 for f in TABLE_FIELDS[table]})
    for f in TABLE_FIELDS[table]:
        for value in (-1, 1 << f.width):
            with pytest.raises(EncodingError, match=f"{table.name} table: {f.name} = {value} "):
                pack_table(table, [replace(zero, **{f.name: value})])


@pytest.mark.parametrize(
    ("fields", "bits"),
    [*((TABLE_FIELDS[t], 64) for t in TABLE_FIELDS), (PARAM_FIELDS, 8 * PARAM_BYTES)],
)
def test_table_and_parameter_fields_do_not_overlap(fields, bits):
    ranges = [range(f.lsb, f.lsb + f.width) for f in fields]
    assert all(r.stop <= bits for r in ranges)
    assert not any(set(a) & set(b) for a, b in combinations(ranges, 2))
    assert all(r.start // 64 == (r.stop - 1) // 64 for r in ranges)


_PARAM_LIMITS = {f.name: f.limits for f in PARAM_FIELDS}


def test_only_shifts_have_no_sign():
    assert [f.name for f in PARAM_FIELDS if not f.signed] == ["shift"]
    assert _PARAM_LIMITS["shift"] == (0, 255)
    assert _PARAM_LIMITS["bias"] == (-(1 << 47), (1 << 47) - 1)


@examples(200)
@given(data=st.data(), channels=st.integers(0, 9))
def test_params_round_trip(data, channels):
    columns = {
        name: data.draw(
            st.lists(
                st.sampled_from(ends) | st.integers(*ends), min_size=channels, max_size=channels
            )
        )
        for name, ends in _PARAM_LIMITS.items()
    }
    packed = pack_params(Params(**{n: np.array(v, np.int64) for n, v in columns.items()}))
    assert len(packed) == PARAM_BYTES * channels
    back = unpack_params(packed)
    assert {n: getattr(back, n).tolist() for n in columns} == columns


def test_params_lie_where_the_layout_says():
    values = {"bias": -(1 << 47), "shift": 62, "positive": 32767, "negative": -32768,
              "low": -1, "high": 2}  # fmt: skip
    number = int.from_bytes(
        pack_params(Params(**{n: np.array([v], np.int64) for n, v in values.items()})), "little"
    )
    for f in PARAM_FIELDS:
        assert (number >> f.lsb) % (1 << f.width) == values[f.name] % (1 << f.width)


@pytest.mark.parametrize("name", list(_PARAM_LIMITS))
def test_params_that_do_not_fit_are_named(name):
    low, high = _PARAM_LIMITS[name]
    for value in (low - 1, high + 1):
        columns = {n: np.zeros(3, np.int64) for n in _PARAM_LIMITS}
        columns[name][1] = value
        with pytest.raises(EncodingError, match=f"parameter {name} "):
            pack_params(Params(**columns))


def test_the_activation_table_is_little_endian():
    table = np.arange(-512, 513).astype(np.int16)
    packed = pack_activation(table)
    assert len(packed) == 2 * 1025
    assert [int.from_bytes(packed[i : i + 2], "little", signed=True) for i in (0, 2, 2048)] == [
        -512, -511, 512,
    ]  # fmt: skip


# --- registers -----------------------------------------------------------------------------------


def test_registers_are_unique_aligned_and_in_range():
    offsets = [r.offset for r in registers.REGISTERS]
    assert len(set(offsets)) == len(offsets)
    assert len({r.name for r in registers.REGISTERS}) == len(offsets)
    assert all(o % 4 == 0 and 0 <= o < registers.ADDRESS_RANGE for o in offsets)
    assert all(r.access in ("ro", "rw", "wo", "w1c") and r.doc for r in registers.REGISTERS)
    assert all(0 <= r.reset < 1 << 32 for r in registers.REGISTERS)
    assert len(registers.BY_OFFSET) == len(registers.BY_NAME) == len(offsets)


def test_register_fields_do_not_overlap():
    for register in registers.REGISTERS:
        ranges = [range(f.lsb, f.lsb + f.width) for f in register.fields]
        assert all(r.stop <= 32 for r in ranges)
        assert not any(set(a) & set(b) for a, b in combinations(ranges, 2)), register.name
        assert len({f.name for f in register.fields}) == len(ranges)


def test_pairs_are_adjacent_and_low_half_first():
    for register in registers.REGISTERS:
        if register.name.endswith("_LO"):
            high = registers.BY_NAME[register.name[:-3] + "_HI"]
            assert (high.offset, high.access) == (register.offset + 4, register.access)
            assert register.offset % 8 == 0


@examples(200)
@given(data=st.data())
def test_register_pack_and_unpack(data):
    register = data.draw(st.sampled_from([r for r in registers.REGISTERS if r.fields]))
    values = {f.name: data.draw(st.integers(0, (1 << f.width) - 1)) for f in register.fields}
    packed = registers.pack(register.name, **values)
    assert 0 <= packed < 1 << 32
    assert registers.unpack(register.name, packed) == values


def test_unknown_names_are_refused():
    with pytest.raises(KeyError):
        registers.offset("BOGUS")
    with pytest.raises(KeyError, match="STATUS has no field bogus"):
        registers.pack("STATUS", bogus=1)


def test_the_reset_values_that_identify_the_core():
    assert registers.BY_NAME["MAGIC"].reset.to_bytes(4, "big") == b"WNG1"
    assert registers.unpack("VERSION", registers.BY_NAME["VERSION"].reset) == dict(
        zip(("major", "minor", "patch"), registers.HARDWARE_VERSION)
    )
    assert registers.unpack("STATUS", registers.BY_NAME["STATUS"].reset)["idle"] == 1


def test_every_error_code_has_a_text():
    texts = [code.text for code in registers.ErrorCode]
    assert len(set(texts)) == len(texts)
    assert all(texts)
