"""Who is given how much: by measured speed, in whole batches, less at the end."""

from __future__ import annotations

import heapq

import pytest

from winogen.cluster.sharing import AHEAD, Load, measured, piece_rows


def test_a_worker_of_unknown_speed_gets_a_batch():
    assert piece_rows(1000, 16, 4096, Load(None, 0), [Load(None, 0)] * 3) == 16
    assert piece_rows(5, 16, 4096, Load(None, 0), [Load(None, 0)]) == 5


def test_sizes_are_whole_batches_within_bounds():
    mine = Load(100_000.0, 0)
    assert piece_rows(10**6, 16, 1000, mine, [mine]) == 992
    assert piece_rows(10**6, 16, 10**6, Load(1000.0, 0), [Load(1000.0, 0)]) == 496  # of 500
    assert piece_rows(10**6, 16, 10**6, Load(10.0, 0, 1000.0), [Load(10.0, 0)]) == 496
    assert piece_rows(40, 16, 1000, mine, [mine]) == 16
    assert piece_rows(0, 16, 1000, mine, [mine]) == 0


def test_at_the_end_a_slow_one_is_left_out():
    fast, slow = Load(1000.0, 16), Load(10.0, 0)
    assert piece_rows(16, 16, 1000, slow, [fast, slow]) == 0
    assert piece_rows(16, 16, 1000, fast, [fast, slow]) == 16
    assert piece_rows(100_000, 16, 1000, slow, [fast, slow]) == 16  # there is enough for both


def test_speed_follows_what_is_measured():
    speed = None
    for _ in range(20):
        speed = measured(speed, 100, 0.5)
    assert speed == pytest.approx(200)
    for _ in range(20):
        speed = measured(speed, 100, 0.1)
    assert speed == pytest.approx(1000, rel=0.01)


def end(rows: int, batch: int, speeds: list[float]) -> tuple[float, list[int]]:
    """When a call ends, and how many rows each made, of workers with these speeds."""
    left, known = rows, [None] * len(speeds)
    held: list[list[int]] = [[] for _ in speeds]
    made = [0] * len(speeds)
    events: list[tuple[float, int]] = []
    free = [0.0] * len(speeds)
    now = 0.0

    def give() -> None:
        nonlocal left
        while True:
            order = sorted((n for n in range(len(speeds)) if len(held[n]) < AHEAD),
                           key=lambda n: (len(held[n]), -(known[n] or 1e9)))  # fmt: skip
            loads = [Load(k, sum(h)) for k, h in zip(known, held)]
            for n in order:
                count = piece_rows(left, batch, 10**6, loads[n], loads)
                if count:
                    left -= count
                    held[n].append(count)
                    free[n] = max(free[n], now) + count / speeds[n]
                    heapq.heappush(events, (free[n], n))
                    break
            else:
                return

    give()
    while events:
        now, n = heapq.heappop(events)
        count = held[n].pop(0)
        made[n] += count
        known[n] = measured(known[n], count, count / speeds[n])
        give()
    assert left == 0 and sum(made) == rows
    return now, made


@pytest.mark.parametrize(
    "speeds", [[100.0], [100.0] * 4, [100.0, 100.0, 100.0, 10.0], [1.0, 300.0], [50.0] * 16]
)
def test_a_call_ends_soon_after_the_least_that_it_can_take(speeds):
    rows, batch = 5000, 4
    seconds, made = end(rows, batch, speeds)
    least = rows / sum(speeds)
    assert seconds < 1.05 * least + 2 * AHEAD * batch / max(speeds) + batch / min(speeds)
    shares = [m / rows for m in made]
    for share, speed in zip(shares, speeds):
        assert share == pytest.approx(speed / sum(speeds), abs=0.03)
