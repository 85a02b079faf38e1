"""Exits on a device: picked at each call, on weights that are loaded once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from support.bench import named
from support.exits import compiled, pictures_with_exits, with_exits
from winogen.common.errors import CorruptionError, InputError
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import run_integer
from winogen.program.deadline import predicted_seconds
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.windows import windows_of


@pytest.fixture
def generator():
    with Generator(Program.frombytes(compiled().program.tobytes())) as made:
        yield made


def wanted(number: int, z: np.ndarray) -> np.ndarray:
    part = compiled().network.at_exit(number)
    out = run_integer(part, part.quantise_input(z))
    return part.output_format.dequantise(out).astype(np.float32)


def test_each_call_picks_one(generator) -> None:
    z = generator.latents(5, seed=2)
    for number in (1, 3, 2, 1):
        out = generator.generate(z, exit=number, as_float=True)
        np.testing.assert_array_equal(out, wanted(number, z))
    np.testing.assert_array_equal(generator.generate(z, as_float=True), wanted(3, z))
    assert not np.array_equal(wanted(1, z), wanted(3, z))


def test_an_exit_is_what_the_network_cut_there_gives(generator) -> None:
    z = generator.latents(3)
    for number in (1, 2, 3):
        alone = compile_graph(with_exits().at_exit(number), named("tiny"), batch=2).program
        with Generator(alone) as other:
            pixels = other.generate(z)
        np.testing.assert_array_equal(generator.generate(z, exit=number), pixels)


def test_weights_are_loaded_once(generator) -> None:
    z = generator.latents(1)
    before = {name: b for name, b in generator._runner.buffers.items() if "weights" in name}
    for number in (1, 2, 3):
        generator.generate(z, exit=number)
    held = generator._runner.buffers
    assert {name: b for name, b in held.items() if "weights" in name} == before
    assert len(before) == 1
    streams = {name for name in held if name.startswith("stream-")}
    assert streams == {"stream-1", "stream-1-exit-1", "stream-1-exit-2"}
    total = sum(-(-b.nbytes // 4096) * 4096 for b in held.values())
    assert total <= generator.program.memory().total + generator.program.memory().second


def test_in_background(generator) -> None:
    z = generator.latents(3)
    out = asyncio.run(generator.generate_async(z, exit=2, as_float=True))
    np.testing.assert_array_equal(out, wanted(2, z))


def test_deadlines(generator) -> None:
    program, z = generator.program, generator.latents(2)
    ms = 1e3 * predicted_seconds(program.at_exit(2), 2)
    assert generator.exit_in_time(2, ms) == 2
    out = generator.generate(z, deadline_ms=ms, as_float=True)
    np.testing.assert_array_equal(out, wanted(2, z))
    with pytest.raises(InputError, match="ms are too few on tiny"):
        generator.generate(z, deadline_ms=ms / 1e3)
    with pytest.raises(InputError, match="give an exit or a deadline"):
        generator.generate(z, exit=1, deadline_ms=ms)


def test_numbers(generator) -> None:
    for number in (0, 4, 1.5, True):
        with pytest.raises(InputError, match="give 1, the shallowest, to 3"):
            generator.generate(generator.latents(1), exit=number)


def test_a_profile_is_of_the_exit(generator) -> None:
    _, profile = generator.generate(generator.latents(2), exit=1, profile=True)
    own = generator.program.at_exit(1)
    assert [layer.name for layer in profile.layers] == [layer.name for layer in own.layers]
    assert sum(layer.cycles for layer in profile.layers) == own.streams[1].cycles
    assert profile.text() if hasattr(profile, "text") else str(profile)


def test_windows() -> None:
    graph = pictures_with_exits()
    image = np.random.default_rng(0).standard_normal((1, 24, 21)).astype(np.float32)
    program = compile_graph(graph, named("tiny"), batch=2).program
    with Generator(program) as generator:
        found = {n: generator.apply(image, exit=n) for n in (1, 2)}
        np.testing.assert_array_equal(generator.apply(image, deadline_ms=1e6), found[2])
        with pytest.raises(InputError, match="ms are too few"):
            generator.apply(image, deadline_ms=1e-3)
        out = asyncio.run(generator.apply_async(image, exit=1))
    np.testing.assert_array_equal(out, found[1])
    for number in (1, 2):
        part = compile_graph(graph.at_exit(number), named("tiny"), batch=2).program
        with Generator(part) as alone:
            np.testing.assert_array_equal(alone.apply(image), found[number])


def test_a_deadline_is_for_an_exits_own_windows() -> None:
    """It looks less far than the whole network, so that fewer windows cover an image."""
    image = np.zeros((1, 48, 48), np.float32)
    program = compile_graph(pictures_with_exits(), named("tiny"), batch=2).program
    counts = []
    for number in (1, 2):
        rows, columns = windows_of(image, program.at_exit(number))
        counts.append(len(rows) * len(columns))
    assert counts[0] < counts[1]
    ms = 1e3 * predicted_seconds(program.at_exit(1), counts[0])
    with Generator(program) as generator:
        found = generator.apply(image, deadline_ms=1.0001 * ms)
        np.testing.assert_array_equal(found, generator.apply(image, exit=1))
        with pytest.raises(InputError, match=f"for {counts[0]} images"):
            generator.apply(image, deadline_ms=0.999 * ms)
        with pytest.raises(InputError, match=r"has shape \(48, 48\), expected \(1, rows, columns"):
            generator.apply(image[0], deadline_ms=ms)


def test_what_has_changed_in_an_exits_stream_is_found() -> None:
    program = Program.frombytes(compiled().program.tobytes())
    with Generator(program, check_every=1) as generator:
        z = generator.latents(1)
        right = generator.generate(z, exit=1)
        buffer = generator._runner.buffers["stream-1-exit-1"]
        buffer[40] ^= 4
        buffer.flush()
        with pytest.raises(CorruptionError, match="instructions for batches of 1 to exit 1"):
            generator.check()
        np.testing.assert_array_equal(generator.generate(z, exit=1), right)
        generator.check()


def test_a_known_answer_goes_with_exits() -> None:
    with Generator(compiled().program, check_every=1, check_answer=True, check_repeat=True) as g:
        z = g.latents(2)
        np.testing.assert_array_equal(g.generate(z, exit=1, as_float=True), wanted(1, z))
