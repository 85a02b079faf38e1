"""The queue of the device: batches, turns, deadlines, cancelled requests, the end."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from winogen.common.errors import InputError
from winogen.service.dispatcher import Dispatcher, Draining, QueueFull, Ticket, TooLate


class Lane:
    """Doubles rows; each round waits for the gate, if it is closed."""

    def __init__(self, room: int = 4):
        self.room = room
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.rounds: list[list[int]] = []

    def capacity(self, key):
        return self.room

    def run(self, key, rows):
        self.rounds.append(rows[:, 0].tolist())
        self.begun.release()
        assert self.gate.wait(10)
        if (rows < 0).any():
            raise InputError("a negative row")
        if (rows == 99).any():
            raise RuntimeError("the device is gone")
        return 2 * rows


@pytest.fixture
def lane():
    return Lane()


@pytest.fixture
def queue():
    made = Dispatcher(waiting=20)
    yield made
    made.close(5)


def ticket(lane, *values, key="a", seconds=10.0, **more) -> Ticket:
    rows = np.array(values)[:, None]
    return Ticket(lane, key, len(values), time.monotonic() + seconds, rows=rows, **more)


def hold(queue, lane, *values) -> Ticket:
    """A request that the device is at, until the lane's gate opens."""
    lane.gate.clear()
    first = queue.submit(ticket(lane, *(values or (0,))))
    assert lane.begun.acquire(timeout=5)
    return first


def result(made: Ticket) -> list:
    return made.future.result(5)[:, 0].tolist()


def test_what_waits_shares_a_batch(queue, lane):
    first = hold(queue, lane)
    others = [queue.submit(ticket(lane, n)) for n in (1, 2, 3, 4, 5)]
    lane.gate.set()
    assert [result(t) for t in (first, *others)] == [[0], [2], [4], [6], [8], [10]]
    assert lane.rounds == [[0], [1, 2, 3, 4], [5]]
    assert others[0].batches == [4] and others[4].batches == [1]
    assert queue.watched.joined == {1: 2, 4: 1} and queue.watched.images == 6


def test_other_keys_and_lanes_have_rounds_of_their_own(queue, lane):
    other = Lane()
    hold(queue, lane)
    made = [queue.submit(ticket(lane, 1)), queue.submit(ticket(lane, 2, key="b")),
            queue.submit(ticket(other, 3)), queue.submit(ticket(lane, 4))]  # fmt: skip
    lane.gate.set()
    assert [result(t) for t in made] == [[2], [4], [6], [8]]
    assert lane.rounds == [[0], [1, 4], [2]] and other.rounds == [[3]]


def test_a_large_request_lets_the_others_through(queue, lane):
    hold(queue, lane)
    large = queue.submit(ticket(lane, *range(10, 20)))
    small = queue.submit(ticket(lane, 1))
    lane.gate.set()
    assert result(large) == list(range(20, 40, 2)) and result(small) == [2]
    assert lane.rounds == [[0], [10, 11, 12, 13], [1, 14, 15, 16], [17, 18, 19]]


def test_an_idle_device_gathers(lane):
    queue = Dispatcher(waiting=20, gather_s=5.0)
    begin = time.monotonic()
    made = [queue.submit(ticket(lane, n)) for n in range(4)]
    assert [result(t) for t in made] == [[0], [2], [4], [6]]  # full: it waits no longer
    assert lane.rounds == [[0, 1, 2, 3]] and time.monotonic() - begin < 4
    queue.close(5)


def test_the_queue_is_bounded(queue, lane):
    hold(queue, lane)
    made = [queue.submit(ticket(lane, *range(10))) for _ in range(2)]
    with pytest.raises(QueueFull, match="try again in") as full:
        queue.submit(ticket(lane, 1))
    assert full.value.retry_s >= 1
    made[0].cancel()
    assert queue.waiting() == 10
    queue.submit(ticket(lane, 1))
    lane.gate.set()
    assert result(made[1]) == list(range(0, 20, 2))


def test_one_that_is_larger_than_the_queue_is_taken_by_an_empty_one(queue, lane):
    assert len(result(queue.submit(ticket(lane, *range(30))))) == 30


def test_cancelled_ones_leave_the_queue(queue, lane):
    hold(queue, lane)
    gone, stays = queue.submit(ticket(lane, 1)), queue.submit(ticket(lane, 2))
    gone.cancel()
    lane.gate.set()
    assert result(stays) == [4]
    assert lane.rounds == [[0], [2]] and queue.watched.cancelled == 1


def test_late_ones_leave_the_queue(queue, lane):
    hold(queue, lane)
    late, stays = queue.submit(ticket(lane, 1, seconds=0.01)), queue.submit(ticket(lane, 2))
    time.sleep(0.05)
    lane.gate.set()
    with pytest.raises(TooLate, match=r"within 0.0\d* s: ask for less"):
        late.future.result(5)
    assert result(stays) == [4]
    assert lane.rounds == [[0], [2]] and queue.watched.late == 1


def test_a_large_one_ends_between_two_parts(queue, lane):
    lane.gate.clear()
    large = queue.submit(ticket(lane, *range(12)))
    assert lane.begun.acquire(timeout=5)
    large.cancel()
    lane.gate.set()
    assert result(queue.submit(ticket(lane, 1))) == [2]
    assert lane.rounds == [[0, 1, 2, 3], [1]] and queue.waiting() == 0


def test_whose_fault_it_is_concerns_nobody_else(queue, lane):
    hold(queue, lane)
    good, bad = queue.submit(ticket(lane, 1)), queue.submit(ticket(lane, -1))
    lane.gate.set()
    assert result(good) == [2]
    with pytest.raises(InputError, match="negative"):
        bad.future.result(5)


def test_a_device_that_fails_is_told_to_all_and_goes_on(queue, lane):
    made = queue.submit(ticket(lane, *[99] * 6))
    with pytest.raises(RuntimeError):
        made.future.result(5)
    assert result(queue.submit(ticket(lane, 3))) == [6]
    assert queue.watched.failed == 1 and queue.waiting() == 0


def test_what_runs_alone_looks_at_its_deadline(queue, lane):
    def work(own):
        while True:
            own.check()
            time.sleep(0.005)

    made = queue.submit(Ticket(lane, "a", 1, time.monotonic() + 0.05, alone=work))
    with pytest.raises(TooLate):
        made.future.result(5)
    cancelled = queue.submit(Ticket(lane, "a", 1, time.monotonic() + 60, alone=work))
    time.sleep(0.05)
    cancelled.cancel()
    assert result(queue.submit(ticket(lane, 1))) == [2]


def test_the_end_works_off_what_waits(lane):
    queue = Dispatcher(waiting=20)
    hold(queue, lane)
    made = [queue.submit(ticket(lane, n)) for n in range(6)]
    threading.Timer(0.05, lane.gate.set).start()
    assert queue.close(5) == 0
    assert [result(t) for t in made] == [[2 * n] for n in range(6)]
    with pytest.raises(Draining):
        queue.submit(ticket(lane, 1))


def test_the_end_comes_in_any_case(lane):
    queue = Dispatcher(waiting=20)
    hold(queue, lane)
    waits = queue.submit(ticket(lane, 1))
    assert queue.close(0.05) == 1
    with pytest.raises(Draining):
        waits.future.result(5)
    lane.gate.set()
