"""How inputs and outputs lie in memory: against plain loops over every word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from support.bench import small
from support.strategies import drawn, examples
from winogen.network.graph import InputSpec
from winogen.program.file import Program
from winogen.program.formats import TensorFormat
from winogen.runtime.codec import Codec

DTYPES = {8: np.int8, 16: np.int16}


def program_of(bits: int, shape: tuple[int, int, int]) -> Program:
    """A program whose inputs and outputs have this shape and stand for themselves."""
    return replace(
        small("tiny", bits).program, input=InputSpec(shape, "image"), output_shape=shape,
        input_format=TensorFormat(1.0), output_format=TensorFormat(1.0), output_range=None,
    )  # fmt: skip


@pytest.mark.parametrize("bits", [8, 16])
@examples(40)
@given(drawn())
def test_words_lie_where_the_hardware_looks(bits, rng):
    shape = tuple(int(n) for n in rng.integers(1, 12, 3))
    count, top = int(rng.integers(1, 4)), 1 << (bits - 1)
    program = program_of(bits, shape)
    q = np.clip(rng.normal(0, top, (count, *shape)).round(), -top, top - 1)
    words = Codec(program).encode(q)
    lanes = program.core.ci_lanes
    assert words.dtype == DTYPES[bits]
    assert words.shape == (count, -(-shape[0] // lanes), shape[1], shape[2], lanes)
    for n, block, y, x, lane in np.ndindex(words.shape):
        channel = block * lanes + lane
        wanted = q[n, channel, y, x] if channel < shape[0] else 0
        assert words[n, block, y, x, lane] == wanted


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
    real = codec.present(q, as_float=False)  # it is no image
    np.testing.assert_array_equal(real, q.astype(np.float32))
