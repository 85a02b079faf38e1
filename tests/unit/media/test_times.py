"""Turns of frames: as long as their times say, whatever a file says."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest

from winogen.media.times import in_turn


def turns(times, rate: int, unit: int = 1000) -> list[tuple[int, int]]:
    """Number and turns of frames that are shown at these times, in parts of a second."""
    base = Fraction(1, unit)
    frames = [SimpleNamespace(pts=t, time_base=base, number=n) for n, t in enumerate(times)]
    return [(frame.number, count) for frame, count in in_turn(frames, Fraction(rate))]


@pytest.mark.parametrize("start", [0, -40, 10**9])
def test_frames_of_one_length_are_shown_once(start):
    """Also where their times are rounded to milliseconds."""
    times = [start + round(n * 1001 / 30) for n in range(50)]
    frames = [SimpleNamespace(pts=t, time_base=Fraction(1, 1000)) for t in times]
    found = list(in_turn(frames, Fraction(30000, 1001)))
    assert [count for _, count in found] == [1] * 50


def test_long_ones_are_repeated_and_short_ones_left_out():
    assert turns([0, 100, 110, 120, 500], 10) == [(0, 1), (1, 4), (4, 1)]
    assert turns([0, 100, 200, 300, 400], 5) == [(0, 1), (1, 1), (3, 1)]


def test_times_that_go_back_go_on_from_there():
    assert turns([0, 100, 200, 0, 100, 200], 10) == [(n, 1) for n in range(6)]


def test_frames_without_times_follow_each_other():
    assert turns([None, None, None], 25) == [(0, 1), (1, 1), (2, 1)]
    assert turns([0, None, 80], 25) == [(0, 1), (1, 1), (2, 1)]


def test_a_frame_is_not_shown_for_ever():
    assert turns([0, 10**15], 25) == [(0, 60 * 25), (1, 1)]


def test_none_are_none():
    assert turns([], 25) == []
