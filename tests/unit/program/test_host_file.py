"""Host layers in a program file: what is written is read again, and nothing else gets through."""

from __future__ import annotations

import copy
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import host_networks
from support.program_files import EXTREMES, parts, places, sealed
from support.random_graphs import GraphBuilder
from support.strategies import examples
from winogen.common.errors import ProgramError
from winogen.compiler.compile import Compiled, compile_graph
from winogen.program.file import Program
from winogen.program.host_file import check_steps, layers_of_header, layers_to_header
from winogen.program.host_layers import HostStep, Place
from winogen.program.host_memory import compute
from winogen.program.parts import HOST
from winogen.runtime.generator import Generator
from winogen.target.board import load_board
from winogen.target.numerics import storage_dtype
from winogen.target.registers import Segment


@pytest.fixture(autouse=True, scope="module")
def products_by_the_processor():
    with host_networks.products_by_the_processor():
        yield


@cache
def made(name: str = "many", bits: int = 8) -> Compiled:
    return compile_graph(getattr(host_networks, name)(), load_board("tiny", bits), batch=2)


def program() -> Program:
    return made().program


def read(header: dict[str, Any], sections: list[bytes]) -> Program:
    return Program.frombytes(sealed(json.dumps(header).encode(), sections), "x.wg")


def run_on_bytes(program: Program) -> None:
    """Compute every host layer in memory that ends where the buffers do."""
    width = program.data_width
    for stream in program.streams:
        sizes = {
            Segment.INPUT: stream.input_bytes, Segment.OUTPUT: stream.output_bytes,
            Segment.SCRATCH: stream.scratch_bytes,
        }  # fmt: skip
        rng = np.random.default_rng(0)
        memory = {s: rng.integers(0, 256, n, np.uint8) for s, n in sizes.items()}
        for step in stream.host:
            compute(step, program.host[step.layer], stream.batch, width, memory)


@pytest.mark.parametrize("name", ["many", "concatenated", "side_by_side"])
@pytest.mark.parametrize("bits", [8, 16])
def test_round_trip(name, bits):
    before = made(name, bits).program
    data = before.tobytes()
    after = Program.frombytes(data)
    assert after.tobytes() == data
    assert list(after.host) == list(before.host)
    for number, layer in before.host.items():
        assert before.layers[number].mode == HOST
        assert after.host[number].operands == layer.operands
        assert after.host[number].sources == layer.sources
        for a, b in zip(after.host[number].arrays(), layer.arrays(), strict=True):
            assert a.dtype == b.dtype == np.int64
            np.testing.assert_array_equal(a, b)
    assert [s.host for s in after.streams] == [s.host for s in before.streams]
    run_on_bytes(after)


def test_fractions_stay_exact():
    b = GraphBuilder(0, (2, 7, 5))
    b.conv(3, 3)
    axes = tuple(
        host_networks.half_pixel(n, 11, cubic, True)
        for n, cubic in ((7, Fraction(-123456, 10**6)), (5, None))
    )
    b.add("resample", axes=axes)
    before = compile_graph(b.graph(), load_board("tiny"), batch=1).program
    op = Program.frombytes(before.tobytes()).host[1].operands.op
    assert (op.rows, op.columns) == axes


# Damaged


def host_places(header: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Paths of all that is said of host layers, and of the layers that there are."""
    return [
        path for path in places(header)
        if path[0] in ("host", "shuffle") or path[:1] == ("layers",) or "host" in path
    ]  # fmt: skip


def change(header: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    *way, end = path
    holder = header
    for key in way:
        holder = holder[key]
    holder[end] = copy.deepcopy(value)


def refused_or_sound(header: dict[str, Any], sections: list[bytes]) -> bool:
    """Whether a file is refused, in one sentence; if it is not, it computes in its memory."""
    try:
        found = read(header, sections)
    except ProgramError as error:
        assert str(error).startswith("x.wg")
        assert "\n" not in str(error)
        assert len(str(error)) < 600
        return True
    run_on_bytes(found)
    return False


def few(header: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The same; of several streams and layers alike, those of the first."""
    paths = [p for p in host_places(header) if p[0] != "streams" or p[1:2] == (0,)]
    return [p for p in paths if p[0] != "layers" or p[1:2] < (2,)]


def test_every_field_with_an_extreme():
    whole, sections = parts(program().tobytes())
    refused = 0
    for number, path in enumerate(few(whole)):
        header = copy.deepcopy(whole)
        change(header, path, EXTREMES[number % len(EXTREMES)])
        refused += refused_or_sound(header, sections)
    assert refused > number / 2


@pytest.mark.long
@pytest.mark.parametrize("value", EXTREMES, ids=lambda v: repr(v)[:12])
def test_every_field_with_every_extreme(value):
    whole, sections = parts(program().tobytes())
    for path in few(whole):
        header = copy.deepcopy(whole)
        change(header, path, value)
        refused_or_sound(header, sections)


def test_every_field_is_needed():
    whole, sections = parts(program().tobytes())
    for path in few(whole):
        header = copy.deepcopy(whole)
        *way, end = path
        holder = header
        for key in way:
            holder = holder[key]
        del holder[end]
        optional = path[0] == "layers" or path[-2:-1] == ("edges",)
        assert refused_or_sound(header, sections) or optional, path


def neighbouring_numbers(rng: random.Random) -> None:
    """One to three numbers a little larger or smaller: what a careful attacker would try."""
    header, sections = parts(program().tobytes())
    for _ in range(rng.choice((1, 1, 2, 3))):
        numbers = []
        for path in host_places(header):
            value: Any = header
            for key in path:
                value = value[key]
            if type(value) is int:
                numbers.append((path, value))
        path, value = rng.choice(numbers)
        change(header, path, value + rng.choice((-64, -8, -2, -1, 1, 2, 8, 64, 4096)))
    refused_or_sound(header, sections)


def constants_of_any_value(rng: random.Random) -> None:
    header, sections = parts(program().tobytes())
    constants = np.frombuffer(zlib.decompress(sections[-1]), "<i8").copy()
    for _ in range(rng.choice((1, 3, 30))):
        extreme = rng.choice((-(2**63), -(2**46), -(2**15), -1, 0, 1, 2**15, 2**45, 2**63 - 1))
        constants[rng.randrange(len(constants))] = extreme
    sections[-1] = zlib.compress(constants.tobytes())
    header["sections"][-1] = len(sections[-1])
    refused_or_sound(header, sections)


DAMAGES = pytest.mark.parametrize("damage", [neighbouring_numbers, constants_of_any_value])
ANY = given(rng=st.randoms(use_true_random=False))


@DAMAGES
@examples(40)
@ANY
def test_damaged_host_layers(damage, rng):
    damage(rng)


@pytest.mark.long
@DAMAGES
@examples(3000)
@ANY
def test_thousands_of_damaged_host_layers(damage, rng):
    damage(rng)


def edited(edit: Callable[[dict[str, Any]], object]) -> str:
    """The message for a header that is edited so."""
    header, sections = parts(program().tobytes())
    edit(header)
    with pytest.raises(ProgramError) as error:
        read(header, sections)
    return str(error.value)


def step(header: dict[str, Any], number: int) -> dict[str, Any]:
    return header["streams"][0]["host"][number]


SAID: dict[str, Callable[[dict[str, Any]], object]] = {
    "not the same": lambda h: h["streams"][0]["host"].reverse(),
    "are not the same ": lambda h: h["streams"][0]["host"].pop(),
    " are not the same": lambda h: h["streams"][0]["host"].append(step(h, 0)),
    "in batch 1 is not in the order of the stream": lambda h: step(h, 1).update(before=1 << 40),
    "in batch 1 is not in the order of the stream ": lambda h: step(h, 3).update(before=0),
    "writes to the input": lambda h: step(h, 0)["places"][-1].__setitem__(0, Segment.INPUT),
    "has data where none can be": lambda h: step(h, 0)["places"][-1].__setitem__(0, 0),
    "has data where none can be ": lambda h: step(h, 0)["places"][-1].__setitem__(1, 1),
    "reaches outside the scratch buffer": lambda h: step(h, 0)["places"][-1].__setitem__(
        1, h["streams"][0]["scratch_bytes"]
    ),
    "reaches outside the input buffer": lambda h: step(h, 0)["places"][0].__setitem__(1, 64),
    "has another number of sources": lambda h: step(h, 0)["places"].append([2, 0, 1, 1, 1]),
    "no source or no target": lambda h: step(h, 0).update(places=[]),
    "data of another shape than its place": lambda h: step(h, 0)["places"][0].__setitem__(2, 2),
    "makes another shape than it says": lambda h: step(h, 0)["places"][0].__setitem__(3, 6),
    "reads a value of no size": lambda h: step(h, 0)["places"][0].__setitem__(3, 0),
    "the host computes no 'x": lambda h: h["host"][0].update(kind="x" * 99),
    "or it is not in order": lambda h: h["host"][1].update(layer=0),
    "there is no layer 99": lambda h: h["host"][-1].update(layer=99),
    "another number of channels": lambda h: h["host"][0].update(channels=4),
    "sources that do not fit": lambda h: h["host"][0].update(sources=[3, 3]),
    "has another length than its header says": lambda h: h["host"].pop(),
    "is not possible": lambda h: h["host"][0]["op"].update(more=1),
    "of constants": lambda h: h["host"][0].update(values=1 << 60),
    "has no denominator": lambda h: h["host"][-1]["op"]["rows"].update(step=[1, 0]),
    "has no denominator ": lambda h: h["host"][-1]["op"]["rows"].update(step=[1, -2]),
    "is no int": lambda h: h["host"][-1]["op"]["rows"].update(step=[10**40, 1]),
    "samples cannot be resampled": lambda h: h["host"][-1]["op"]["rows"].update(outputs=1 << 30),
    "lacks something": lambda h: h["host"][-1]["op"]["rows"].pop("cubic"),
}


@pytest.mark.parametrize("said", SAID)
def test_what_is_said(said):
    message = edited(SAID[said])
    assert message.startswith("x.wg: ")
    assert said.strip() in message


def test_channels_of_pixels_that_are_none():
    """A shuffle gives the output another shape in memory; the processor's layers have none."""
    b = GraphBuilder(0, (4, 6, 6))
    b.conv(4, 3)
    host_networks.normalise(b)
    header, sections = parts(
        compile_graph(b.graph(), load_board("tiny"), batch=1).program.tobytes()
    )
    place = header["streams"][0]["host"][0]["places"][-1]
    assert place[2:] == [1, 6, 6]
    header["shuffle"]["block"] = [2, 2]  # 16 channels, 3 x 3
    place[2:] = header["streams"][0]["host"][0]["places"][0][2:] = [2, 3, 3]
    header["host"][0]["sources"] = [16]
    header["host"][0]["op"]["groups"] = 16
    header["streams"][0]["output_bytes"] = 2 * 9 * 8
    assert refused_or_sound(header, sections)


def test_sources_that_are_nothing_but_edges():
    """Every axis has a sample of its own to repeat."""
    b = GraphBuilder(0, (3, 2, 5))
    b.conv(3, 3)
    host_networks.pad(b, "edge", (1, 1, 0, 0))
    whole, sections = parts(compile_graph(b.graph(), load_board("tiny"), batch=1).program.tobytes())
    header = copy.deepcopy(whole)
    header["streams"][0]["host"][0]["places"][0][3] = 0
    header["host"][0]["op"]["edges"] = [2, 2, 0, 0]
    with pytest.raises(ProgramError, match="reads a value of no size"):
        read(header, sections)


# Steps that were not read from a file


def checked(steps: tuple[HostStep, ...], sizes: dict[Segment, int] | None = None) -> None:
    found = program()
    stream = found.streams[0]
    own = {
        Segment.WEIGHTS: len(found.weights), Segment.INPUT: stream.input_bytes,
        Segment.OUTPUT: stream.output_bytes, Segment.SCRATCH: stream.scratch_bytes,
    }  # fmt: skip
    check_steps(
        steps, found.host, [layer.output for layer in found.layers], 1, stream.length, found.core,
        sizes or own,
    )  # fmt: skip


def test_offsets_before_a_buffer():
    steps = program().streams[0].host
    checked(steps)
    bad = replace(steps[0], target=replace(steps[0].target, offset=-8))
    with pytest.raises(ProgramError, match="has data where none can be"):
        checked((bad, *steps[1:]))


def test_the_runtime_looks_at_the_memory_that_there_is():
    """A program made in Python, with a step beyond its buffers, is refused before it runs."""
    found = program()
    first = found.streams[0]
    inside = first.host[0]
    far = replace(inside, target=replace(inside.target, offset=1 << 20))
    stream = replace(first, host=(far, *first.host[1:]))
    bad = replace(found, streams=(stream,))
    with Generator(bad) as generator, pytest.raises(ProgramError, match="outside the scratch"):
        generator.generate(np.zeros((1, *found.input_shape), np.float32))


def test_layers_by_their_numbers():
    header, data = layers_to_header(program().host)
    outputs = [layer.output for layer in program().layers]
    assert list(layers_of_header(header, data, outputs, 8)) == list(program().host)
    with pytest.raises(ProgramError, match="more constants than host layers have"):
        layers_of_header(header, data + bytes(8), outputs, 8)
    with pytest.raises(ProgramError, match="end within a number"):
        layers_of_header(header, data[:-1], outputs, 8)
    with pytest.raises(ProgramError, match="another size than its channels"):
        layers_of_header(header, data[:-8], outputs, 8)


# Computing in memory


@pytest.mark.parametrize("bits", [8, 16])
def test_lanes_without_a_channel_are_zero(bits):
    """Whatever lay there; and nothing beside the target is touched."""
    found = made("many", bits).program
    stream = found.streams[-1]
    width, lanes = storage_dtype(bits), found.core.ci_lanes
    memory = {
        Segment.INPUT: np.full(stream.input_bytes, 0x55, np.uint8),
        Segment.OUTPUT: np.full(stream.output_bytes, 0x55, np.uint8),
        Segment.SCRATCH: np.full(stream.scratch_bytes, 0x55, np.uint8),
    }
    seen = 0
    for at in stream.host:
        place, layer = at.target, found.host[at.layer]
        held = memory[place.segment]
        held[:] = 0x55
        compute(at, layer, stream.batch, bits, memory)
        start, stop = place.offset, place.offset + place.size(stream.batch)
        assert (held[:start] == 0x55).all()
        assert (held[stop:] == 0x55).all()
        words = held[start:stop].view(width).reshape(stream.batch, place.blocks, -1, lanes)
        channels = len(layer.weight)
        unused = words[:, -1, :, channels - (place.blocks - 1) * lanes :]
        assert not unused.any()
        seen += unused.size
    assert seen


def test_images_of_a_batch_do_not_meet():
    """Each is what it is alone."""
    found = made("concatenated").program
    one, two = found.streams
    rng = np.random.default_rng(1)
    scratch = rng.integers(0, 256, two.scratch_bytes, np.uint8)
    image = rng.integers(0, 256, two.input_bytes, np.uint8)
    for a, b in zip(one.host, two.host, strict=True):
        memory = {Segment.SCRATCH: scratch.copy(), Segment.INPUT: image.copy(),
                  Segment.OUTPUT: np.zeros(two.output_bytes, np.uint8)}  # fmt: skip
        compute(b, found.host[b.layer], 2, 8, memory)
        for n in range(2):
            alone = {s: m.copy() for s, m in memory.items()}
            alone[Segment.SCRATCH][:], alone[Segment.INPUT][:] = scratch, image
            moved = replace(
                b, sources=tuple(_image(p, n) for p in b.sources), target=_image(b.target, n)
            )
            compute(moved, found.host[a.layer], 1, 8, alone)
            target = moved.target
            own = slice(target.offset, target.offset + target.size(1))
            np.testing.assert_array_equal(alone[target.segment][own], memory[target.segment][own])


def _image(place: Place, number: int) -> Place:
    return replace(place, offset=place.address(number, 0, 0, 0))
