"""The code of weights: what decoding it means, in plain Python, and streams of a wrong length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import examples
from winogen.target.numerics import storage_dtype
from winogen.target.weight_code import (
    AHEAD,
    BOOK,
    GROUP,
    CodeError,
    Coding,
    code_of,
    decode,
    stream_beats,
)


def plainly(stream: bytes, coding: Coding, count: int, bits: int) -> list[int]:
    """The weights of a stream, nibble by nibble, as the module's docstring says it."""
    nibbles = [n for byte in stream for n in (byte & 15, byte >> 4)]
    size = bits // 8
    values = [
        int.from_bytes(stream[size * i : size * (i + 1)], "little", signed=True)
        for i in range(BOOK)
    ]
    at = 2 * size * BOOK
    if coding is Coding.INDICES:
        return [values[n] for n in nibbles[at : at + count]]
    masks: list[int] = []
    out: list[int] = []
    groups = count // GROUP
    for number in range(groups + AHEAD):
        mask = sum(n << 4 * i for i, n in enumerate(nibbles[at : at + GROUP // 4]))
        at += GROUP // 4
        masks.append(mask)
        if number >= AHEAD:
            for bit in range(GROUP):
                kept = masks[number - AHEAD] >> bit & 1
                out.append(values[nibbles[at]] if kept else 0)
                at += kept
    assert not any(nibbles[at:]) and len(nibbles) - at < 16
    return out


def drawn(seed: int, groups: int, kept: float, values: int, bits: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    book = np.append(rng.integers(low, high, values - 1, endpoint=True), rng.choice((low, high)))
    weights = rng.choice(book, groups * GROUP)
    return np.where(rng.random(weights.shape) < kept, weights, 0).astype(storage_dtype(bits))


@pytest.mark.parametrize("bits", [8, 16])
@examples(60)
@given(st.integers(0, 999), st.integers(1, 40), st.sampled_from((0, 0.1, 0.4, 0.8, 1)),
       st.integers(1, BOOK))  # fmt: skip
def test_a_stream_decodes_to_what_was_coded(bits, seed, groups, kept, values):
    weights = drawn(seed, groups, kept, values, bits)
    code = code_of(weights)
    assert code is not None
    stream = code.encode(weights)
    assert len(stream) == 8 * code.beats(weights)
    found = decode(stream, code.coding, weights.size, bits)
    assert found.dtype == weights.dtype
    np.testing.assert_array_equal(found, weights)
    assert plainly(stream, code.coding, weights.size, bits) == weights.tolist()
    for wrong in (stream[:-8], stream[:8], stream + bytes(8), stream + stream):
        with pytest.raises(CodeError, match=f"than its {len(wrong) // 8} beats"):
            decode(wrong, code.coding, weights.size, bits)


@pytest.mark.parametrize("coding", [Coding.INDICES, Coding.BITMAP])
def test_any_bytes_are_weights_or_of_a_wrong_length(coding):
    rng = np.random.default_rng(1)
    ends = set()
    for _ in range(300):
        stream = rng.integers(0, 256, 8 * int(rng.integers(1, 60)), np.uint8)
        try:
            assert len(decode(stream, coding, 4 * GROUP, 8)) == 4 * GROUP
            ends.add("right")
        except CodeError:
            ends.add("wrong")
    assert "wrong" in ends


def test_the_shorter_code_is_chosen():
    rng = np.random.default_rng(2)
    dense = rng.choice(np.arange(-8, 8, dtype=np.int8), 32 * 100)
    assert code_of(dense).coding is Coding.INDICES
    pruned = np.where(rng.random(dense.size) < 0.4, dense, np.int8(0))
    assert code_of(pruned).coding is Coding.BITMAP
    # 16 values beside zero need the bitmap, 17 of them have no code.
    sixteen = np.where(dense < 0, dense, dense + np.int8(1))
    assert code_of(np.append(sixteen, np.zeros(1, np.int8))).coding is Coding.BITMAP
    assert code_of(np.append(sixteen, np.int8(99))) is None
    assert code_of(np.zeros((4, 8), np.int16)).coding is Coding.BITMAP


def test_bits_a_weight():
    """One bit for where it is, four for each that is not zero, and what a stream begins with."""
    int8 = np.dtype(np.int8)
    assert stream_beats(Coding.BITMAP, 6400, 2560, int8) * 64 / 6400 == pytest.approx(2.6, abs=0.05)
    assert stream_beats(Coding.INDICES, 6400, 6400, int8) * 64 / 6400 == pytest.approx(4, abs=0.03)
