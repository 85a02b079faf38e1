"""The weight segment: every piece where its offset says, on a boundary, and equal ones once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from support.strategies import examples
from winogen.compiler.segment import SegmentWriter


@examples(50)
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=10))
def test_pieces_lie_where_they_are_said_to(pieces):
    writer = SegmentWriter()
    places = [writer.add(piece) for piece in pieces]
    segment = writer.tobytes()
    assert len(segment) % 64 == 0
    for piece, offset in zip(pieces, places):
        assert offset % 64 == 0
        assert segment[offset : offset + len(piece)] == piece
        assert offset == places[pieces.index(piece)]
    assert len(segment) == sum(-(-len(piece) // 64) * 64 for piece in set(pieces))


def test_pieces_on_other_boundaries_and_those_that_are_forgotten():
    writer = SegmentWriter()
    assert writer.add(b"a" * 8) == 0
    mark = writer.mark()
    # Known, but not on a boundary of this kind.
    assert [writer.add(b"b" * 8, 8), writer.add(b"b" * 8, 8), writer.add(b"b" * 8)] == [8, 8, 64]
    assert writer.add(b"c" * 24, 16) == 80
    writer.back(mark)
    assert writer.tobytes() == b"a" * 8 + bytes(56)
    assert writer.add(b"c" * 24, 16) == 16
    assert writer.add(b"b" * 8, 8) == 40
