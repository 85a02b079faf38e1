"""Digests of blocks: what has changed is found, and where."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.bench import small
from winogen.program.digests import BLOCK_BYTES, Digest
from winogen.program.file import Program

SIZE = 2 * BLOCK_BYTES + 100
DATA = np.random.default_rng(0).integers(0, 256, SIZE, np.uint8)


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 8 * SIZE - 1), min_size=1, max_size=3))
def test_up_to_three_bits_are_found_in_the_first_block_that_has_one(bits):
    digest = Digest.of(DATA.tobytes())
    changed = DATA.copy()
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    block = digest.wrong_block(changed)
    assert block is not None
    assert block.start == min(bits) // 8 // BLOCK_BYTES * BLOCK_BYTES
    assert block.stop == min(block.start + BLOCK_BYTES, SIZE)
    assert not digest.holds(changed, block) and digest.holds(DATA, block)


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, SIZE])
def test_what_has_not_changed_is_right(size):
    """Whatever lies behind it, in a buffer of whole pages."""
    digest = Digest.of(DATA[:size])
    assert digest.nbytes == size and len(digest.sums) == -(-size // BLOCK_BYTES)
    assert digest.wrong_block(DATA[:size].tobytes()) is None
    assert digest.wrong_block(DATA) is None
    if size:
        assert digest.wrong_block(np.zeros(SIZE, np.uint8)) == range(min(size, BLOCK_BYTES))


def test_those_of_a_file_are_taken_when_it_is_read():
    program = small().program
    read = Program.frombytes(program.tobytes())
    assert "digests" in vars(read)  # and not when somebody asks
    assert read.digests == program.digests
    assert read.digests.weights == Digest.of(program.weights)
    assert read.digests.streams == {s.name: Digest.of(s.stream) for s in program.streams}
    assert read == program
