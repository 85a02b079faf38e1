"""Ranges of addresses and their unions."""

from __future__ import annotations

from winogen.emulation.emulator.spans import Intervals


def test_parts_of_a_range_in_and_not_in_a_union():
    union = Intervals()
    for span in ((10, 20), (40, 50), (30, 35), (20, 22)):
        union.add(*span)
    assert sorted(union) == [(10, 22), (30, 35), (40, 50)]
    assert union.within(15, 45) == [(15, 22), (30, 35), (40, 45)]
    assert union.beyond(15, 45) == [(22, 30), (35, 40)]
    assert union.beyond(0, 60) == [(0, 10), (22, 30), (35, 40), (50, 60)]
    assert union.within(22, 30) == union.beyond(12, 20) == []
    assert union.beyond(22, 30) == [(22, 30)]
