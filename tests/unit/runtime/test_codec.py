"""How inputs and outputs lie in memory: against plain loops over every word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from support.bench import small
from support.strategies import drawn, examples
from winogen.common.images import to_pixels
from winogen.network.graph import InputSpec
from winogen.program.file import Program
from winogen.program.formats import TensorFormat
from winogen.program.layout import PLAIN, DepthToSpace, Unfold
from winogen.runtime.codec import Codec

DTYPES = {8: np.int8, 16: np.int16}


def program_of(bits: int, shape: tuple[int, int, int]) -> Program:
    """A program whose inputs and outputs have this shape and stand for themselves."""
    return replace(
        small("tiny", bits).program, input=InputSpec(shape, "image"), output_shape=shape,
        input_format=TensorFormat(1.0), output_format=TensorFormat(1.0), output_range=None,
        unfold=None, shuffle=PLAIN,
    )  # fmt: skip


@pytest.mark.parametrize("bits", [8, 16])
@examples(40)
@given(drawn())
def test_words_lie_where_the_hardware_looks(bits, rng):
    shape = tuple(int(n) for n in rng.integers(1, 12, 3))
    count, top = int(rng.integers(1, 4)), 1 << (bits - 1)
    program = program_of(bits, shape)
    q = np.clip(rng.normal(0, top, (count, *shape)).round(), -top, top - 1)
    codec = Codec(program)
    words = codec.encode(codec.checked(q, warn=False))
    lanes = program.core.ci_lanes
    assert words.dtype == DTYPES[bits]
    assert words.shape == (count, -(-shape[0] // lanes), shape[1], shape[2], lanes)
    for n, block, y, x, lane in np.ndindex(words.shape):
        channel = block * lanes + lane
        wanted = q[n, channel, y, x] if channel < shape[0] else 0
        assert words[n, block, y, x, lane] == wanted


@pytest.mark.parametrize(("scale", "top"), [(0.5, 1 << 7), (None, 1 << 15)])
def test_a_scale_that_was_trained_has_eight_bits(scale, top):
    """Also in a program of 16 bits, which has more."""
    program = program_of(16, (1, 1, 1))
    program = replace(program, input=replace(program.input, scale=scale))
    codec = Codec(program)
    words = codec.encode(codec.checked(np.array([[-1e6], [1e6]], np.float32), warn=False))
    assert words[:, 0, 0, 0, 0].tolist() == [-top, top - 1]


@pytest.mark.parametrize("bits", [8, 16])
@examples(40)
@given(drawn())
def test_outputs_are_found_where_the_hardware_writes(bits, rng):
    shape = tuple(int(n) for n in rng.integers(1, 12, 3))
    batch, top = int(rng.integers(1, 4)), 1 << (bits - 1)
    program = program_of(bits, shape)
    lanes = program.core.co_lanes
    blocks = -(-shape[0] // lanes)
    stored = rng.normal(0, top / 3, (batch, blocks, shape[1], shape[2], lanes)).astype(DTYPES[bits])
    codec = Codec(program)
    q = codec.decode(stored.reshape(-1).view(np.uint8), batch)
    assert q.shape == (batch, *shape) and q.dtype == DTYPES[bits]
    for n, channel, y, x in np.ndindex(q.shape):
        assert q[n, channel, y, x] == stored[n, channel // lanes, y, x, channel % lanes]
    real = codec.room(batch, as_float=False)
    codec.decode_into(stored.reshape(-1).view(np.uint8), real)  # it is no image
    np.testing.assert_array_equal(real, q.astype(np.float32))


@pytest.mark.parametrize("bits", [8, 16])
@examples(40)
@given(drawn())
def test_pixels_that_are_channels(bits, rng):
    """Inputs are unfolded, also where a buffer held something else; outputs become images again."""
    shape = tuple(int(n) for n in rng.integers(1, 9, 3))
    count, top = int(rng.integers(1, 4)), 1 << (bits - 1)
    window, block = (tuple(int(n) for n in rng.integers(1, 4, 2)) for _ in range(2))
    pad, spacing = (tuple(int(n) for n in rng.integers(low, low + 3, 2)) for low in (0, 1))
    program = replace(
        program_of(bits, shape), unfold=Unfold(window, (1, 1), pad, shape[1:], spacing),
        shuffle=DepthToSpace(block), output_range=(-1.0, 1.0),
        output_format=TensorFormat(1 / top),
    )  # fmt: skip
    codec, lanes = Codec(program), program.core.ci_lanes
    seeded = np.random.default_rng(int(rng.integers(1 << 32)))
    x = seeded.integers(-top, top, (count, *shape))
    channels, rows, columns = program.seen_shape
    words = np.full((count, -(-channels // lanes), rows, columns, lanes), 77, DTYPES[bits])
    codec.encode_into(codec.checked(x.astype(float), warn=False), words.reshape(-1).view(np.uint8))
    seen = words.transpose(0, 1, 4, 2, 3).reshape(count, -1, rows, columns)[:, :channels]
    for channel, plane in enumerate(program.unfold.channels(x)):
        np.testing.assert_array_equal(seen[:, channel], plane)
    np.testing.assert_array_equal(
        codec.encode(codec.checked(x.astype(float), warn=False)).transpose(0, 1, 4, 2, 3)
        .reshape(count, -1, rows, columns)[:, :channels], seen
    )  # fmt: skip

    channels, rows, columns = program.stored_shape
    stored = seeded.integers(-top, top, (count, -(-channels // lanes), rows, columns, lanes))
    data = stored.astype(DTYPES[bits]).reshape(-1).view(np.uint8)
    flat = stored.transpose(0, 1, 4, 2, 3).reshape(count, -1, rows, columns)
    wanted = program.shuffle.apply(flat, shape)
    np.testing.assert_array_equal(codec.decode(data, count), wanted)
    out = codec.room(count, as_float=False)
    codec.decode_into(data, out)
    pixels = to_pixels(program.output_format.dequantise(wanted), -1.0, 1.0)
    np.testing.assert_array_equal(out, pixels.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("bits", [8, 16])
@examples(40)
@given(drawn())
def test_inputs_are_quantised_as_their_format_says(bits, rng):
    """Of any dtype, up to the ends of the range and beyond, to the last bit."""
    shape = tuple(int(n) for n in rng.integers(1, 6, 3))
    top = 1 << (bits - 1)
    scale = (1.0, 2.0**-7, 1 / 127, 0.0354, 3e-5)[rng.integers(5)]
    form = TensorFormat(scale, (0.0, -3.0, 0.25)[rng.integers(3)])
    program = replace(program_of(bits, shape), input_format=form)
    reach = (0.5, 0.99, 1.0, 1.01, 3.0)[rng.integers(5)]
    seeded = np.random.default_rng(int(rng.integers(1 << 32)))
    halves = seeded.integers(-2 * top, 2 * top, (5, *shape)) / 2 * reach
    with np.errstate(over="ignore"):
        x = (halves * scale).astype(("f2", "f4", "f8")[rng.integers(3)])
    x[~np.isfinite(x)] = 0
    codec = Codec(program)
    words = codec.encode(codec.checked(x, warn=False))
    q = words.transpose(0, 1, 4, 2, 3).reshape(5, -1, *shape[1:])[:, : shape[0]]
    np.testing.assert_array_equal(q, form.quantise(x, bits))


@pytest.mark.parametrize("bits", [8, 16])
def test_inputs_saturate_at_either_end(bits):
    """Also where the others do not."""
    codec = Codec(program_of(bits, (2, 1, 1)))
    top = 1 << (bits - 1)
    for values in ([0, 1e6], [top - 0.5, -1], [0, -1e6], [-top - 1, 3]):
        words = codec.encode(codec.checked(np.array([values], np.float32), warn=False))
        wanted = np.clip(np.floor(np.array(values) + 0.5), -top, top - 1)
        np.testing.assert_array_equal(words[0, 0, 0, 0, :2], wanted)


@pytest.mark.parametrize("bits", [8, 16])
def test_pixels_that_are_codes_and_a_constant(bits):
    """As compiled networks have them: modulo 256, from end to end."""
    program = program_of(bits, (1, 16, 16))
    program = replace(
        program, output_range=(-1.0, 1.0), output_format=TensorFormat(2 / 255, -0.5)
    )  # fmt: skip
    lanes = program.core.co_lanes
    q = np.arange(-128, 128).reshape(16, 16)
    stored = np.zeros((1, 1, 16, 16, lanes), DTYPES[bits])
    stored[0, 0, ..., 0] = q
    codec = Codec(program)
    out = codec.room(1, as_float=False)
    codec.decode_into(stored.reshape(-1).view(np.uint8), out)
    np.testing.assert_array_equal(out[0, ..., 0], np.arange(256).reshape(16, 16))
    assert (codec._step is not None) == (bits == 8)


@pytest.mark.parametrize("bits", [8, 16])
def test_every_code_has_its_pixel(bits):
    lanes = small("tiny", bits).program.core.co_lanes
    program = program_of(bits, (3, 1 << (bits - 8), 256))
    black, white = -0.9, 1.1
    form = TensorFormat(2.2 / (1 << bits), 3.0)
    program = replace(program, output_range=(black, white), output_format=form)
    half = 1 << (bits - 1)
    q = np.stack([np.roll(np.arange(-half, half), n) for n in range(3)])
    q = q.reshape(program.output_shape)
    stored = np.zeros((1, 1, *program.output_shape[1:], lanes), DTYPES[bits])
    stored[0, 0, ..., :3] = q.transpose(1, 2, 0)
    codec = Codec(program)
    out = codec.room(1, as_float=False)
    codec.decode_into(stored.reshape(-1).view(np.uint8), out)
    wanted = to_pixels(form.dequantise(q), black, white)
    np.testing.assert_array_equal(out[0], wanted.transpose(1, 2, 0))
