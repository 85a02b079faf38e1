"""Deadlines: the deepest exit that is in time, or the least time that there is."""

from __future__ import annotations

import math

import pytest

from support.bench import small
from support.exits import compiled
from winogen.common.errors import InputError
from winogen.program.deadline import exit_in_time, predicted_seconds, split
from winogen.program.speed import speed


def test_runs_take_as_many_inputs_as_there_are() -> None:
    streams = small(batch=5).program.streams
    assert [s.batch for s in split(13, streams)] == [5, 5, 2, 1]
    assert list(split(0, streams)) == []


def test_runs_are_one_after_the_other() -> None:
    program = compiled().program
    one, two = program.streams
    wanted = 2 * speed(program, two).run_s + speed(program, one).run_s
    assert predicted_seconds(program, 5) == pytest.approx(wanted)


def test_the_deepest_in_time() -> None:
    program = compiled().program

    def chosen(ms: float, count: int = 3) -> int:
        return exit_in_time(program.at_exit, program.exit_count, count, ms)

    times = [1e3 * predicted_seconds(program.at_exit(n), 3) for n in (1, 2, 3)]
    assert times == sorted(times)
    for number, ms in enumerate(times, 1):
        assert chosen(ms) == number
    assert chosen(1e6) == 3
    with pytest.raises(InputError, match=r"exit 1 of network 'exits'.*for 3 images") as error:
        chosen(0.999 * times[0])
    assert f"{times[0]:.3g} ms" in str(error.value)
    assert chosen(times[0], count=1) >= chosen(times[0])


def test_a_network_with_one_exit() -> None:
    program = small().program
    assert exit_in_time(program.at_exit, 1, 1, 1000) == 1
    with pytest.raises(InputError, match=r"network 'small', .* for 1 image;"):
        exit_in_time(program.at_exit, 1, 1, 1e-6)


@pytest.mark.parametrize("ms", [0, -1, math.nan, math.inf, True])
def test_deadlines_that_are_none(ms) -> None:
    program = compiled().program
    with pytest.raises(InputError, match="a positive number of ms"):
        exit_in_time(program.at_exit, 3, 1, ms)
