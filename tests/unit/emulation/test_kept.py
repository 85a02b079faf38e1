"""What is kept between runs, within a bound of memory."""

from __future__ import annotations

from winogen.emulation.emulator.kept import Kept


def test_what_was_used_longest_ago_goes_first():
    kept: Kept[str, int] = Kept(10)
    for number, name in enumerate("abc"):
        kept.put(name, number, 3)
    assert kept.get("a") == 0
    kept.put("d", 3, 3)
    assert kept.values() == [2, 0, 3]
    assert kept.get("b") is None


def test_a_new_value_takes_the_place_and_the_memory_of_the_old():
    kept: Kept[str, int] = Kept(10)
    kept.put("a", 0, 6)
    kept.put("b", 1, 3)
    kept.put("a", 2, 7)
    assert kept.values() == [1, 2]
    kept.put("b", 3, 4)
    assert kept.values() == [3]


def test_the_newest_stays_however_large():
    kept: Kept[str, int] = Kept(10)
    kept.put("a", 0, 3)
    kept.put("b", 1, 11)
    assert kept.values() == [1]
    kept.pop("b")
    kept.pop("b")
    kept.put("c", 2, 10)
    assert kept.values() == [2]
