"""The weight segment in a program file: every byte comes back, in as few as its entropy says."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.bench import small
from support.program_files import EXTREMES, parts, places, sealed
from support.random_graphs import GraphBuilder
from support.strategies import SEEDS, Drawn, drawn, examples
from winogen.common.errors import ProgramError
from winogen.compiler.compile import compile_graph
from winogen.network.zoo import load_model
from winogen.program import weights_file
from winogen.program.file import Program
from winogen.program.parts import WeightPiece
from winogen.program.weights_file import MAX_VALUES, CodedSegment, decode, encode
from winogen.target import weight_code
from winogen.target.isa import Opcode
from winogen.target.numerics import storage_dtype

MOST = 1 << 30


def again(coded: CodedSegment, width: int, layers: int = 100) -> tuple[bytes, tuple]:
    """What a reader makes of a segment as it was written."""
    header = json.loads(json.dumps(coded.header()))
    return decode(header, coded.tobytes(), width, layers, MOST)


def random_segment(rng: Drawn, width: int) -> tuple[bytes, list[WeightPiece]]:
    """Some layers, each of few values or many, and other bytes around them."""
    dtype = storage_dtype(width)
    data, pieces, size, layer = [], [], 0, 0
    for _ in range(int(rng.integers(0, 6))):
        layer += int(rng.integers(0, 3))
        between = rng.standard_normal(int(rng.integers(0, 90))).tobytes()
        count = int(rng.choice((1, 2, 7, 64, 1001)))
        values = int(rng.choice((1, 2, 15, 16, 17, 200)))
        known = (rng.normal(size=values) * 40).astype(dtype)
        weights = known[rng.integers(0, values, count) if count < 9 else
                        (abs(rng.normal(size=count)) * 7 % values).astype(int)]  # fmt: skip
        data += [between, weights.tobytes()]
        pieces.append(WeightPiece(layer, size + len(between), weights.nbytes))
        size += len(between) + weights.nbytes
    return b"".join([*data, bytes(int(rng.integers(0, 70)))]), pieces


# Round trip


@pytest.mark.parametrize("width", [8, 16])
def test_any_segment(width):
    @examples(200)
    @given(drawn())
    def check(rng):
        segment, pieces = random_segment(rng, width)
        coded = encode(segment, pieces, width)
        assert again(coded, width) == (segment, tuple(pieces))
        assert encode(segment, pieces, width).tobytes() == coded.tobytes()
        assert len(coded.tobytes()) == coded.nbytes
        for layer in coded.layers:
            held = sum(p.size for p in layer.pieces)
            assert len(layer.stream) <= held
            assert layer.nbytes <= held or len(layer.codebook)

    check()


def test_what_is_written_of_a_layer():
    """An index in four bits of each weight, the first in the lower half; raw where that is less."""
    values = np.array([-5, 7, 7, 0, -5], np.int8)
    segment = b"before" + values.tobytes() + b"behind"
    coded = encode(segment, [WeightPiece(3, 6, 5)], 8)
    (layer,) = coded.layers
    assert layer.codebook.tolist() == [-5, 0, 7]
    assert layer.stream == bytes([0 | 2 << 4, 2 | 1 << 4, 0])
    assert coded.tobytes() == bytes([256 - 5, 0, 7]) + layer.stream + b"beforebehind"
    assert coded.header() == {
        "size": 17, "layers": [{"layer": 3, "values": 3, "stream": 3, "pieces": [[6, 5]]}]
    }  # fmt: skip
    assert again(coded, 8)[0] == segment


def test_a_layer_has_one_codebook_for_all_its_pieces():
    segment = bytes([1] * 64 + [9] * 64 + [2] * 64 + [3] * 64)
    pieces = [WeightPiece(0, 0, 64), WeightPiece(0, 128, 64), WeightPiece(1, 192, 64)]
    coded = encode(segment, pieces, 8)
    assert [x.codebook.tolist() for x in coded.layers] == [[1, 2], [3]]
    assert again(coded, 8) == (segment, tuple(pieces))


@pytest.mark.parametrize("count", [MAX_VALUES, MAX_VALUES + 1])
def test_as_many_values_as_four_bits_name(count):
    data = np.arange(count, dtype=np.int8).tobytes() * 100
    (layer,) = encode(data, [WeightPiece(0, 0, len(data))], 8).layers
    assert len(layer.codebook) == (count if count == MAX_VALUES else 0)


def test_weights_without_a_pattern_lie_raw():
    data = np.random.default_rng(0).integers(-128, 128, 5000).astype(np.int8).tobytes()
    (layer,) = encode(data, [WeightPiece(0, 0, len(data))], 8).layers
    assert layer.stream == data


def test_patterns_are_found_beside_runs():
    """Lanes without a channel, and the same again: a coder of matches alone sees all of it."""
    rng = np.random.default_rng(2)
    block = np.zeros((64, 64), np.int8)
    block[:, :8] = rng.integers(-128, 128, (64, 8))
    data = block.tobytes() * 4
    (layer,) = encode(data, [WeightPiece(0, 0, len(data))], 8).layers
    assert len(layer.stream) < 1100


# Sizes


def entropy_bytes(values: np.ndarray) -> float:
    _, counts = np.unique(values, return_counts=True)
    return float(-(counts * np.log2(counts / values.size)).sum() / 8)


def shared(rng: np.random.Generator, shape: tuple[int, ...], pruned: float) -> np.ndarray:
    """Gaussian weights of 16 values, 0 among them for those that are pruned."""
    weights = rng.standard_normal(shape)
    weights[abs(weights) < np.quantile(abs(weights), pruned)] = 0
    levels = np.quantile(weights[weights != 0], np.linspace(0.01, 0.99, MAX_VALUES - 1))
    return np.where(weights == 0, 0, levels[abs(weights[..., None] - levels).argmin(-1)])


@pytest.mark.parametrize("coding", ["plain", "coded"])
@pytest.mark.parametrize("pruned", [0.6, 0.75])
def test_a_pruned_network_takes_what_its_entropy_says(pruned, coding):
    """Once, however many streams memory holds of the same weights."""
    rng = np.random.default_rng(4)
    b = GraphBuilder(1, (64, 6, 6))
    for outputs in (64, 40):
        weight = shared(rng, (outputs, 64, 5, 5), pruned)
        b.add("conv", params={"weight": weight}, kernel=(5, 5), stride=(1, 1), pad=(2,) * 4)
        b.activation("relu")
    compiled = compile_graph(b.graph("pruned"), "pynq-z2", batch=16, coding=coding)
    program = compiled.program
    wanted = sum(entropy_bytes(layer.weight) for layer in compiled.network.layers)
    count = sum(layer.weight.size for layer in compiled.network.layers)
    assert program.weight_count == count
    assert [len(x.codebook) for x in program.stored.layers] == [MAX_VALUES] * 2
    assert wanted < program.stored.weight_bytes < 1.06 * wanted
    assert program.bits_a_weight == 8 * program.stored.weight_bytes / count
    header, sections = parts(program.tobytes())
    others = len(program.tobytes()) - len(sections[0])
    assert len(sections[0]) < 1.06 * wanted + 1000
    assert others < 16_000
    assert Program.frombytes(program.tobytes()) == program
    assert header["weights"] == program.stored.header()


@pytest.mark.parametrize(("name", "bits"), [
    ("digits", 8), ("digits", 16), pytest.param("fsrcnn-x2", 8, marks=pytest.mark.long),
])  # fmt: skip
def test_other_networks_take_no_more_than_raw(name, bits):
    program = compile_graph(load_model(name), "pynq-z2", bits=bits, batch=1).program
    plain = replace(program, pieces=())
    before = len(plain.tobytes()) - plain.stored.nbytes + len(program.weights)
    assert len(program.tobytes()) <= before + 100
    assert Program.frombytes(program.tobytes()) == program


def test_pieces_are_what_is_loaded_as_weights():
    program = small("pynq-z2").program
    held = {p.offset: p for p in program.pieces}
    starts = [p.offset for p in program.pieces]
    assert starts == sorted(starts)
    layers = set()
    for x in program.streams[-1].instructions():
        if x.opcode is Opcode.LOAD_WEIGHTS:
            piece = held[max(o for o in held if o <= x.offset)]
            assert x.offset < piece.offset + piece.size
            layers.add(piece.layer)
    assert layers == {p.layer for p in program.pieces}


def test_identical_weights_share_a_place():
    b = GraphBuilder(1, (8, 6, 6))
    weight = b.normal(8, 8, 3, 3)
    for _ in range(2):
        b.add("conv", params={"weight": weight}, kernel=(3, 3), stride=(1, 1), pad=(1,) * 4)
        b.activation("relu")
    program = compile_graph(b.graph("twice"), "tiny", batch=1).program
    assert {p.layer for p in program.pieces} == {0}
    assert Program.frombytes(program.tobytes()) == program


def test_without_a_count_there_are_no_bits_a_weight():
    program = replace(small().program, weight_count=0)
    assert program.bits_a_weight is None


# Whatever else a section may be


SEGMENT = np.random.default_rng(1).integers(-8, 8, 300).astype(np.int8).tobytes()
PIECES = [WeightPiece(0, 10, 101), WeightPiece(0, 128, 64), WeightPiece(2, 200, 64)]


def refused(header: object, section: bytes, most: int = MOST) -> str:
    with pytest.raises(ProgramError) as error:
        decode(header, section, 8, 3, most)
    return str(error.value)


def test_headers_that_are_wrong():
    coded = encode(SEGMENT, PIECES, 8)
    good, section = json.loads(json.dumps(coded.header())), coded.tobytes()
    assert decode(good, section, 8, 3, len(SEGMENT)) == (SEGMENT, tuple(PIECES))
    assert "more than its board has room for" in refused(good, section, len(SEGMENT) - 1)

    def changed(way: tuple, value: object) -> str:
        header = json.loads(json.dumps(good))
        at = header
        for key in way[:-1]:
            at = at[key]
        at[way[-1]] = value
        return refused(header, section)

    order = "are not in order in their segment"
    for way, value, said in (
        (("layers", 0, "pieces", 1), [110, 64], order),  # overlaps the first
        (("layers", 0, "pieces", 1), [0, 10], order),
        (("layers", 0, "pieces", 1), [128, 0], order),
        (("layers", 1, "pieces", 0), [240, 64], "end too late"),
        (("layers", 1, "pieces", 0), [150, 64], "lie over others"),
        (("layers", 0, "pieces"), [], "0 bytes of"),
        (("layers", 1, "layer"), 3, "of no layer"),
        (("layers", 1, "layer"), True, "no whole number"),
        (("layers", 0, "values"), 17, "are not possible"),
        (("layers", 0, "values"), 15, ""),
        (("layers", 1, "stream"), 1 << 40, "ends too early"),
        (("layers", 1, "stream"), len(section), "ends too early"),
        (("size",), 301, "what is between the weights"),
        (("size",), 263, "end too late"),
        (("size",), 100, order),
    ):  # fmt: skip
        try:
            assert said in changed(way, value)
        except zlib.error:
            assert not said


def test_streams_of_coded_weights_are_made_again():
    """What two loads have in common is in the file once; other layers may lie between them."""
    weights = np.random.default_rng(2).choice(np.array([0, 0, 0, 5, -9], np.int8), 256)
    code = weight_code.code_of(weights)
    streams = [code.encode(weights[a:b]) for a, b in ((0, 128), (64, 256), (0, 256))]
    plain = SEGMENT[:64]
    data = b"head" + streams[0] + plain + streams[1] + streams[2]
    places = np.cumsum([4, len(streams[0]), 64, len(streams[1])]).tolist()
    c = int(code.coding)
    pieces = [
        WeightPiece(1, places[0], len(streams[0]), c, 128, 0),
        WeightPiece(0, places[1], 64),
        WeightPiece(1, places[2], len(streams[1]), c, 192, 64),
        WeightPiece(1, places[3], len(streams[2]), c, 256, 0),
    ]
    coded = encode(data, pieces, 8)
    assert [(x.layer, x.weights) for x in coded.layers] == [(1, 256), (0, 0)]
    assert coded.layers[0].nbytes < min(map(len, streams))
    assert again(coded, 8) == (data, tuple(pieces))
    good, section = json.loads(json.dumps(coded.header())), coded.tobytes()
    for way, value, said in (
        (("weights",), 1 << 40, "of more weights than they hold"),
        (("weights",), 224, ""),
        (("pieces", 0, 2), 127, "weights that there are not"),
        (("pieces", 0, 2), 0, "weights that there are not"),
        (("pieces", 0, 3), 160, "weights that there are not"),
        (("pieces", 0, 2), 256, "not the length of its weights"),
        (("pieces", 0, 3), -1, "no whole number"),
    ):
        header = json.loads(json.dumps(good))
        at = header["layers"][0]
        for key in way[:-1]:
            at = at[key]
        at[way[-1]] = value
        try:
            assert said in refused(header, section)
        except (zlib.error, ValueError):
            assert not said


def test_streams_that_cannot_be_made_again_lie_as_they_are():
    """Another codebook than that of all weights."""
    weights = np.random.default_rng(2).choice(np.array([0, 5, -9], np.int8), 64)
    book = np.resize(np.array([7, 5, 0, -9], np.int8), weight_code.BOOK)
    stream = weight_code.WeightCode(weight_code.Coding.INDICES, book).encode(weights)
    pieces = [WeightPiece(0, 0, len(stream), 1, 64, 0)]
    coded = encode(stream, pieces, 8)
    assert coded.layers[0].weights == 0
    assert again(coded, 8)[0] == stream


def test_streams_of_more_weights_than_memory_may_hold(monkeypatch):
    """Zeros take a bit each in memory, and nearly nothing in a file: a layer has a bound."""
    weights = np.random.default_rng(2).choice(np.array([0, 5, -9], np.int8), 256)
    code = weight_code.code_of(weights)
    stream = code.encode(weights)
    pieces = [WeightPiece(0, 0, len(stream), int(code.coding), 256, 0)]
    most = encode(stream, pieces, 8)
    assert most.layers[0].weights == 256
    monkeypatch.setattr(weights_file, "_MOST_POOL", 255)
    assert "of more weights than they hold" in refused(most.header(), most.tobytes())
    larger = encode(stream, pieces, 8)  # lies as it is, for which there is no bound but memory
    assert larger.layers[0].weights == 0
    assert again(larger, 8)[0] == stream


def test_codebooks_and_indices_that_are_wrong():
    data = bytes([1, 2, 3, 1, 2])
    coded = encode(data, [WeightPiece(0, 0, 5)], 8)
    header, section = coded.header(), coded.tobytes()
    assert section == bytes([1, 2, 3, 0x10, 0x02, 0x01])
    assert decode(header, section, 8, 1, MOST)[0] == data
    for at, value, said in (
        (3, 0x13, "beyond the codebook"), (3, 0x30, "beyond the codebook"),
        (5, 0x11, "followed by another"), (1, 1, "do not ascend"), (2, 0x82, "do not ascend"),
    ):  # fmt: skip
        wrong = bytearray(section)
        wrong[at] = value
        assert said in refused(header, bytes(wrong))


def test_bombs_inflate_to_what_is_promised_and_no_further():
    bomb = zlib.compress(bytes(50 << 20), 9)
    piece = {"layer": 0, "values": 0, "stream": len(bomb), "pieces": [[0, 64]]}
    text = refused({"size": 64, "layers": [piece]}, bomb)
    assert "the weights of a layer has another length than its header says" in text
    assert "more than its board" in refused({"size": MOST + 1, "layers": []}, bomb)
    text = refused({"size": 64, "layers": []}, bomb)
    assert "what is between the weights has another length" in text


@examples(300)
@given(st.data(), SEEDS)
def test_mutated_sections_and_headers(data, seed):
    """In a file with a right checksum: refused in a sentence, or a program that is sound."""
    header, sections = parts(small().program.tobytes())
    section = bytearray(sections[0])
    if seed % 2:
        for _ in range(data.draw(st.integers(1, 4))):
            section[data.draw(st.integers(0, len(section) - 1))] = data.draw(st.integers(0, 255))
    else:
        *way, last = data.draw(st.sampled_from(places(header["weights"])))
        at = header["weights"]
        for key in way:
            at = at[key]
        at[last] = data.draw(st.sampled_from(EXTREMES))
    try:
        program = Program.frombytes(
            sealed(json.dumps(header).encode(), [bytes(section), *sections[1:]]), "x.wg"
        )
    except ProgramError as error:
        assert str(error).startswith("x.wg")
        return
    assert Program.frombytes(program.tobytes()) == program
