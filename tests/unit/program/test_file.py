"""Program files: what was written comes back; whatever is wrong is one sentence, and no more."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from support.bench import small
from support.program_files import parts
from support.strategies import Drawn, drawn, examples
from winogen.common.errors import InputError, ProgramError
from winogen.program.container import MAGIC
from winogen.program.file import Program
from winogen.program.layout import Unfold
from winogen.reports.tables import cost_summary, cost_table
from winogen.target import isa
from winogen.target.board import load_board
from winogen.target.checks import dram_range
from winogen.target.isa import Opcode
from winogen.target.registers import MAX_STREAM_LENGTH, Segment

FIXED = len(MAGIC) + 4


@pytest.fixture(scope="module")
def data() -> bytes:
    return small().program.tobytes()


def sealed(header: Any, sections: list[bytes]) -> bytes:
    """A file with these parts and a right checksum, however wrong they are."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = MAGIC + struct.pack("<I", len(text)) + text + b"".join(sections)
    return body + hashlib.sha256(body).digest()


def refusal(data: bytes) -> str:
    """The message of the ProgramError: one line, not long, and little memory used on the way."""
    tracemalloc.start()
    try:
        with pytest.raises(ProgramError) as error:
            Program.frombytes(data, "x.wg")
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 16 << 20
    text = str(error.value)
    assert text.startswith("x.wg")
    assert "\n" not in text
    assert len(text) < 400
    return text


# Round trip


@pytest.mark.parametrize(("board", "bits"), [("tiny", 8), ("tiny", 16), ("pynq-z2", 8)])
def test_round_trip(board, bits, tmp_path):
    original = small(board, bits, 5).program
    again = Program.frombytes(original.tobytes())
    assert again == original
    assert again.weights == original.weights
    assert [s.stream for s in again.streams] == [s.stream for s in original.streams]
    original.save(tmp_path / "a.wg")
    assert Program.load(tmp_path / "a.wg") == original
    assert again.tobytes() == original.tobytes()


def test_the_same_network_gives_the_same_bytes(data):
    small.cache_clear()
    assert small().program.tobytes() == data


def test_streams_are_by_ascending_batch():
    assert [s.batch for s in small(batch=5).program.streams] == [1, 2, 4, 5]


# Damage


def test_truncation_anywhere(data):
    _, sections = parts(data)
    ends = [0, 1, len(MAGIC), FIXED, FIXED + 1, len(data) - 33, len(data) - 32, len(data) - 1]
    at = len(data) - 32 - sum(map(len, sections))
    for section in sections:
        ends += [at - 1, at, at + 1]
        at += len(section)
    rng = np.random.default_rng(0)
    for end in {*ends, *rng.integers(0, len(data), 200).tolist()}:
        text = refusal(data[:end])
        assert any(word in text for word in ("truncated", "empty", "not a winogen program")), end


def test_flipped_bits(data):
    rng = np.random.default_rng(1)
    for bit in {*range(8 * FIXED), *rng.integers(0, 8 * len(data), 300).tolist()}:
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        refusal(bytes(damaged))


def test_appended_bytes(data):
    for tail in (b"\0", b"\n", data):
        refusal(data + tail)


@pytest.mark.parametrize("start", [b"", b"WINOGEN2", b"\x89PNG\r\n\x1a\n", b"PK\3\4", b"\x80\4]"])
def test_other_files(start, data):
    text = refusal(start and start + data[8:])
    assert "not a winogen program" in text or "empty" in text
    assert "winogen compile" in text


@pytest.mark.parametrize("length", [0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_absurd_header_lengths(length, data):
    body = data[: len(MAGIC)] + struct.pack("<I", length) + data[FIXED:-32]
    refusal(body + hashlib.sha256(body).digest())


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.wg", tmp_path):
        with pytest.raises(ProgramError, match="cannot read program file"):
            Program.load(path)


def test_nothing_is_ever_unpickled(monkeypatch, data):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    Program.frombytes(data)
    header, sections = parts(data)
    refusal(sealed(pickle.dumps(header), sections))


# Wrong contents with a right checksum


def test_wrong_versions(data):
    header, sections = parts(data)
    for name in ("format", "isa"):
        for version in (0, 1, header[name] + 4, 99, str(header[name]), None, [header[name]]):
            assert f"{name} version" in refusal(sealed({**header, name: version}, sections))


def test_another_configuration_hash(data):
    header, sections = parts(data)
    header["board"]["core"]["tile_lanes"] += 1
    assert "configuration hash does not match" in refusal(sealed(header, sections))


def stream_of(data: bytes, change: Callable[[dict, list[bytes]], None]) -> bytes:
    """The file with its last stream's header or section changed."""
    header, sections = parts(data)
    info = header["streams"][-1]
    change(info, sections)
    header["sections"] = [len(s) for s in sections]
    return sealed(header, sections)


def test_streams_that_inflate_to_another_size(data):
    """Zip bombs: never more memory than the header promises, and no promise beyond the limit."""
    code = small().program.streams[-1].stream

    def bomb(info: dict, sections: list[bytes]) -> None:
        sections[-1] = zlib.compress(bytes(200 << 20), 9)

    refusal(stream_of(data, bomb))
    for wrong in (code + code[:64], code + b"\0", code[:-64], code * 50, b""):
        refusal(stream_of(data, lambda i, s, w=wrong: s.__setitem__(-1, zlib.compress(w))))
    refusal(stream_of(data, lambda i, s: s.__setitem__(-1, s[-1] + b"more")))
    refusal(stream_of(data, lambda i, s: s.__setitem__(-1, s[-1][:-4])))
    refusal(stream_of(data, lambda i, s: s.__setitem__(-1, code)))
    for length in (0, -1, MAX_STREAM_LENGTH + 1, 1 << 62):
        refusal(stream_of(data, lambda i, s, n=length: i.update(length=n)))
    shorter = len(code) // 64 - 1
    refusal(stream_of(data, lambda i, s: i.update(length=shorter)))


@pytest.mark.parametrize("name", ["input_bytes", "output_bytes", "scratch_bytes", "cycles"])
@pytest.mark.parametrize("value", [-1, -(1 << 40), 1 << 70, 1.5, "64", None, True, [64]])
def test_wrong_sizes(name, value, data):
    refusal(stream_of(data, lambda info, _: info.update({name: value})))


@pytest.mark.parametrize("section", [-1, 99, 0, 1.0, "1", None])
def test_wrong_sections(section, data):
    refusal(stream_of(data, lambda info, _: info.update(section=section)))


@pytest.mark.parametrize("sizes", [[-1], [], 3, None, "12", [1e400], [1 << 80], [[1]], {"a": 1}])
def test_wrong_section_sizes(sizes, data):
    header, sections = parts(data)
    refusal(sealed({**header, "sections": sizes}, sections))


def test_streams_that_leave_their_buffers(data):
    """Whoever can seal a file could otherwise read or write any of a board's memory."""
    for opcode in (Opcode.LOAD_INPUT, Opcode.LOAD_WEIGHTS, Opcode.STORE):

        def outside(info: dict, sections: list[bytes], opcode: Opcode = opcode) -> None:
            instructions = small().program.streams[-1].instructions()
            x = next(x for x in instructions if x.opcode is opcode)
            x.offset = 1 << 24
            sections[-1] = zlib.compress(isa.encode(instructions))

        assert "outside" in refusal(stream_of(data, outside))


def test_streams_reach_to_the_end_of_their_buffers_and_no_further(data):
    program = small().program
    stream = program.streams[-1]
    sizes = {
        Segment.WEIGHTS: len(program.weights),
        Segment.INPUT: stream.input_bytes,
        Segment.OUTPUT: stream.output_bytes,
        Segment.SCRATCH: stream.scratch_bytes,
    }
    word = program.core.word_bytes
    seen = set()
    for index, x in enumerate(stream.instructions()):
        span = dram_range(x, program.core)
        if span is None:
            continue
        segment, start, stop = span
        at = 64 * index + 4 * isa.FIELDS[x.opcode]["offset"].word
        last = (start + sizes[segment] - stop) // word * word
        seen.add((segment, x.opcode))
        for offset in (last, last + word):

            def move(info: dict, sections: list[bytes], at: int = at, offset: int = offset) -> None:
                code = bytearray(stream.stream)
                struct.pack_into("<I", code, at, offset)
                sections[-1] = zlib.compress(bytes(code))

            changed = stream_of(data, move)
            if offset == last:
                Program.frombytes(changed)
            else:
                text = refusal(changed)
                assert f"instruction {index} of batch 2 reaches outside" in text
                assert f"the {segment.name.lower()} buffer of {sizes[segment]} bytes" in text
    assert {segment for segment, _ in seen} >= {Segment.WEIGHTS, Segment.INPUT, Segment.OUTPUT}
    assert {opcode for _, opcode in seen} == set(Opcode) - {Opcode.COMPUTE}


def test_bytes_that_no_section_names(data):
    header, sections = parts(data)
    for surplus in (b"\0", b"surplus", bytes(1 << 12)):
        text = refusal(sealed(header, [*sections, surplus]))
        assert "its sections do not add up to its size" in text
    text = refusal(sealed(header, [*sections[:-1], sections[-1][:-1]]))
    assert "its sections do not add up to its size" in text


def test_batches_begin_with_one_and_ascend(data):
    header, sections = parts(data)
    one, two = header["streams"]
    for streams, batches in (([two], [2]), ([two, one], [2, 1]), ([one, one, two], [1, 1, 2])):
        text = refusal(sealed({**header, "streams": streams}, sections))
        assert f"its streams are for batches {batches}, not ascending from 1" in text


@pytest.mark.parametrize("ends", [(1.0, 1.0), (0, 0), (1.0, -1.0), (1e-9, 0)])
def test_ranges_without_width(ends, data):
    header, sections = parts(data)
    for changed in (
        {**header, "output_range": ends},
        {**header, "input": {**header["input"], "range": ends}},
    ):
        text = refusal(sealed(changed, sections))
        assert f"a range from {ends[0]} to {ends[1]} is not possible" in text


@pytest.mark.parametrize("name", ["input_bytes", "output_bytes"])
@pytest.mark.parametrize("words", [1, 1000])
def test_buffers_larger_than_the_shape_says(name, words, data):
    """They would be allocated, and only partly written or read."""
    word = small().program.core.word_bytes
    text = refusal(stream_of(data, lambda i, _: i.update({name: i[name] + words * word})))
    assert "the buffer sizes of batch 2 are wrong" in text


@pytest.mark.parametrize("way", [("input", "shape"), ("output_shape",)])
@pytest.mark.parametrize("axis", range(3))
def test_buffers_smaller_than_the_shape_says(way, axis, data):
    """Whoever copies an image would go beyond them."""
    header, sections = parts(data)
    at: Any = header
    for key in way:
        at = at[key]
    at[axis] += small().program.core.ci_lanes
    text = refusal(sealed(header, sections))
    assert "the buffer sizes of batch 1 are wrong" in text


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("value", [0, -1])
def test_shapes_without_extent(axis, value, data):
    header, sections = parts(data)

    def change(shape: list[int]) -> str:
        shape[axis] = value
        return f"a shape of {' x '.join(map(str, shape))} is not possible"

    for way in (("output_shape",), ("input", "shape"), ("layers", 0, "output")):
        changed = deepcopy(header)
        at: Any = changed
        for key in way:
            at = at[key]
        assert change(at) in refusal(sealed(changed, sections))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window", (0, 1)),
        ("window", (1, 65)),
        ("window", (1, 1, 1)),
        ("window", (1.0, 1)),
        ("step", (0, 1)),
        ("step", (1 << 40, 1)),
        ("pad", (-1, 0)),
        ("pad", (0, 65)),
        ("size", (0, 1)),
        ("size", (1 << 20, 1)),  # beyond the image
        ("size", True),
        ("spacing", (0, 1)),
        ("spacing", (1, 65)),
        ("spacing", (1,)),
        ("spacing", None),
    ],
)
def test_folds_of_an_input_that_are_none(name, value, data):
    header, sections = parts(data)
    shape = header["input"]["shape"]
    plain = {"window": (1, 1), "step": (1, 1), "pad": (0, 0), "size": shape[1:]}
    assert Program.frombytes(sealed({**header, "unfold": plain}, sections)).unfold is not None
    text = refusal(sealed({**header, "unfold": {**plain, name: value}}, sections))
    assert ("are not in an image" in text) == (value == (1 << 20, 1))


def test_windows_that_leave_pixels_out(data):
    """Older versions, which would not know, refuse the format; nothing else changes for them."""
    program = Program.frombytes(data)
    shape = program.input_shape
    plain = Unfold((1, 1), (1, 1), (0, 0), shape[1:])
    for unfold, version in ((plain, 5), (replace(plain, spacing=(1, 3)), 8)):
        changed = replace(program, unfold=unfold).tobytes()
        header, sections = parts(changed)
        assert header["format"] == version
        assert ("spacing" in header["unfold"]) == (version == 8)
        assert Program.frombytes(changed).unfold == unfold
    wide = {**header["unfold"], "window": (1, 3), "spacing": (1, 32)}
    assert "are not possible" in refusal(sealed({**header, "unfold": wide}, sections))


@pytest.mark.parametrize("block", [(0, 1), (1, -1), (65, 1), (2, 1), (1, 1, 1), "11", None])
def test_folds_of_an_output_that_are_none(block, data):
    """That its buffer does not have the size of (2, 1) is found too."""
    header, sections = parts(data)
    assert refusal(sealed({**header, "shuffle": {"block": block}}, sections))


def test_streams_of_nonsense(data):
    length = small().program.streams[-1].length
    for code in (bytes(64), b"\x05" + bytes(63), b"\xff" * 64):
        refusal(stream_of(data, lambda i, s, c=code: s.__setitem__(-1, zlib.compress(c * length))))


def test_headers_that_are_no_mapping(data):
    _, sections = parts(data)
    for header in (b"", b"[]", b"null", b"1", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000, b"{}"):
        refusal(sealed(header, sections))


_ODD = (None, True, -1, 0, 3, 1 << 66, 0.5, 1e400, -1e400, float("nan"), "", "x", "7", [], [1], {},
        {"a": 1}, [None], [[]], ["x"] * 3)  # fmt: skip


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a JSON value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    for key, inner in items:
        yield from places(inner, (*path, key))


def mutated(header: dict[str, Any], rng: Drawn) -> dict[str, Any]:
    """The header with one value of another type, or without it, or with one too many."""
    out = deepcopy(header)
    every = list(places(header))
    *path, last = every[int(rng.integers(len(every)))]
    at: Any = out
    for key in path:
        at = at[key]
    kind = int(rng.integers(6))
    if kind == 0:
        del at[last]
    elif kind == 1 and isinstance(at, dict):
        at["surplus"] = 1
    else:
        at[last] = _ODD[int(rng.integers(len(_ODD)))]
    return out


def use(loaded: Program) -> None:
    """What any command does with a program: none of it may fail once loading has not."""
    for stream in loaded.streams:
        cost_table(loaded, stream)
        cost_summary(loaded, stream)
        assert loaded.frames_per_second(stream) > 0
    assert Program.frombytes(loaded.tobytes()) == loaded
    loaded.check_board(load_board("tiny"))
    values = loaded.output_format.dequantise(np.arange(-128, 128))
    assert np.all(np.isfinite(values))
    assert np.all(loaded.input_format.quantise(np.linspace(-1, 1, 9), 8) <= 127)
    assert str(loaded)


def test_headers_of_wrong_types(data):
    """One change each: a ProgramError, or a program that works."""
    header, sections = parts(data)
    refused = []

    @examples(300)
    @given(drawn())
    def change(rng):
        file = sealed(mutated(header, rng), sections)
        try:
            loaded = Program.frombytes(file)
        except ProgramError:
            refused.append(file)
            refusal(file)
            return
        use(loaded)

    change()
    assert len(refused) > 150


# Boards


def test_another_board_is_refused_by_name():
    made = small().program
    made.check_board(load_board("tiny"))
    with pytest.raises(ProgramError) as error:
        made.check_board(load_board("pynq-z2"))
    text = str(error.value)
    assert "for board tiny" in text
    assert "not for pynq-z2" in text
    assert "tile_lanes 3 instead of 2" in text
    assert "--board pynq-z2 --bits 8" in text
    with pytest.raises(ProgramError, match="data_width 16 instead of 8"):
        made.check_board(load_board("tiny", 16))


def test_a_board_with_the_same_build_is_fine():
    small("pynq-z2").program.check_board(load_board("pynq-z1"))


def test_saving_where_it_cannot_be(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        small().program.save(tmp_path / "none" / "a.wg")
    assert list(tmp_path.iterdir()) == []


def test_what_a_stream_says_of_itself():
    for stream in small(batch=5).program.streams:
        assert stream.length == len(stream.instructions()) == len(stream.stream) // 64
        assert sum(stream.layer_cycles) == stream.cycles
        assert "stream=" not in repr(stream)
