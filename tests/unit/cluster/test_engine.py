"""Calls in parts, without Dask: every way in which a worker can fail, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from support.bench import small
from winogen.cluster.call import Call
from winogen.cluster.engine import Engine
from winogen.cluster.pieces import (
    DEVICE,
    LEAVING,
    PROTOCOL,
    About,
    Answer,
    Failure,
    LostError,
    Piece,
    name_of,
)
from winogen.cluster.roster import Roster
from winogen.common.errors import ClusterError

PROGRAM = small().program


def right(rows: np.ndarray) -> np.ndarray:
    """What a device would make, here: something of each row alone."""
    return (rows[:, :1, 0, 0] * 100).astype(np.uint8)[:, :, None, None]


class Link:
    """Workers by their addresses; each is a function of the piece, which may wait or raise."""

    address = "tcp://scheduler:1"
    alive = True

    def __init__(self, roster: Roster, **workers: Callable[[Piece], Any]):
        self.roster, self.workers = roster, workers
        self.given: dict[str, list[Piece]] = {}
        self.abouts: dict[str, About | Failure] = {}

    async def about(self, address: str) -> About | Failure:
        plain = About(PROTOCOL, "1", address, "emulator", None, None, {}, True)
        return self.abouts.get(address, plain)

    async def take(self, address: str, name: str, data: bytes) -> Failure | None:
        return None

    async def check(self, address: str, name: str) -> Failure | None:
        return None

    async def ask(self, address: str, piece: Piece) -> Answer | Failure:
        self.given.setdefault(address, []).append(piece)
        said = self.workers[address](piece)
        return await said if asyncio.iscoroutine(said) else said


def sound(piece: Piece) -> Answer:
    return Answer.of(piece, right(piece.rows()), 0.001, {"cycles": len(piece.rows())})


async def after(seconds: float, piece: Piece) -> Answer:
    await asyncio.sleep(seconds)
    return sound(piece)


def wrong(piece: Piece, bit: int = 1) -> Answer:
    out = right(piece.rows())
    out[0] ^= bit
    return Answer.of(piece, out, 0.001, None)


def run(
    rows: int = 40,
    *,
    during: Callable[[Link], Any] | None = None,
    timeout: float = 5.0,
    patience: float = 0.3,
    verify: float = 0.0,
    abouts: dict[str, About | Failure] | None = None,
    **workers: Callable[[Piece], Any],
) -> tuple[np.ndarray, list[str], Link, Engine]:
    """A call of so many rows: what came out, what was told, and who was given what."""
    z = np.random.default_rng(0).random((rows, 5, 1, 1)).astype(np.float32)
    told: list[str] = []

    async def main() -> tuple[Call, Link, Engine]:
        roster = Roster(PROGRAM, timeout, patience, told.append)
        engine = Engine(
            roster, lambda x, exit, as_float: right(x), timeout=timeout, patience=patience,
            verify=verify, tell=told.append,
        )  # fmt: skip
        link = Link(roster, **workers)
        link.abouts = abouts or {}
        for address in workers:
            roster.joined(link, address)
        out = np.zeros((rows, 1, 1, 1), np.uint8)
        call = Call(z, out, exit=1, as_float=False, count=True, batch=2, most=8)
        work = asyncio.ensure_future(engine.run(call))
        if during:
            await asyncio.sleep(0.05)
            await during(link)
        try:
            await asyncio.wait_for(work, 10)
            assert call.done == rows and not call.in_flight
        finally:
            await engine.close()
            await roster.close()
        return call, link, engine

    call, link, engine = asyncio.run(main())
    np.testing.assert_array_equal(call.out, right(z))
    return call.out, told, link, engine


def test_rows_are_given_once_and_put_in_order():
    _, told, link, _ = run(41, a=sound, b=sound, c=sound)
    assert not told and set(link.given) == {"a", "b", "c"}
    assert sum(len(p.rows()) for pieces in link.given.values() for p in pieces) == 41
    numbers = [p.number for pieces in link.given.values() for p in pieces]
    assert len(set(numbers)) == len(numbers)


def test_nobody_has_more_than_two():
    most = 0
    held = 0

    async def counted(piece: Piece) -> Answer:
        nonlocal held, most
        held += 1
        most = max(most, held)
        await asyncio.sleep(0.002)
        held -= 1
        return sound(piece)

    run(40, a=counted)
    assert most == 2


def test_what_fails_once_is_given_to_another():
    failed: list[int] = []

    def once(piece: Piece) -> Answer | Failure:
        if not failed:
            failed.append(piece.number)
            return Failure(DEVICE, "has a device that failed")
        return sound(piece)

    _, told, _, _ = run(a=once, b=sound)
    assert told == ["worker a (a) has a device that failed: another one gets what it had"]


def test_what_fails_twice_is_an_error_that_names_both():
    def fails(piece: Piece) -> Failure:
        return Failure(DEVICE, "has a device that failed")

    with pytest.raises(ClusterError, match=r"given to worker [ab] .* and to worker [ab] ") as said:
        run(2, a=fails, b=fails)
    assert set(said.value.workers) == {"a", "b"} and str(said.value).count(", which ") == 2


def test_what_failed_is_given_to_who_does_not_fail():
    """Where one begins to fail after the others have made something, no input meets two of it."""
    turn = [0]

    def often(piece: Piece) -> Answer | Failure:
        turn[0] += 1
        return Failure(DEVICE, "failed") if turn[0] > 6 else sound(piece)

    def quick(piece: Piece) -> Any:
        return after(0.001, piece)

    _, _, link, _ = run(200, a=often, d=often, b=quick, c=quick)
    assert link.given["a"] and link.given["d"]


def test_a_lonely_worker_is_asked_twice():
    failed: list[int] = []

    def once(piece: Piece) -> Answer | Failure:
        failed.append(piece.number)
        return Failure(DEVICE, "failed") if len(failed) == 1 else sound(piece)

    run(a=once)


def test_who_fails_all_the_time_is_left_alone():
    def fails(piece: Piece) -> Failure:
        return Failure(DEVICE, "failed")

    _, _, link, _ = run(100, a=fails, b=lambda piece: after(0.002, piece))
    assert len(link.given["a"]) <= 4


def test_another_one_gets_what_a_dead_one_held():
    async def dies(link: Link) -> None:
        link.roster.left("a")

    _, told, link, _ = run(a=lambda piece: after(60, piece), b=sound, during=dies)
    assert told == ["worker a (a) ended: others get what it held"]
    assert len(link.given["a"]) == 2


def test_a_worker_that_is_lost_with_its_connection():
    def lost(piece: Piece) -> Answer:
        raise LostError("cannot be reached")

    run(a=lost, b=sound)


def test_a_connection_that_gives_up_by_itself():
    """What is cancelled without having been given up here is lost, and not waited for."""

    async def cancelled(piece: Piece) -> Answer:
        raise asyncio.CancelledError

    run(timeout=60, a=cancelled, b=sound)


def test_another_one_gets_what_a_late_one_held():
    _, told, link, _ = run(timeout=0.2, a=lambda piece: after(60, piece), b=sound)
    assert told == ["worker a (a) gave no answer within 0.2 s: others get what it held"]
    assert len(link.given["a"]) == 2


def test_who_waits_behind_a_long_piece_is_not_late():
    device: list[asyncio.Lock] = []

    async def one_by_one(piece: Piece) -> Answer:
        device.append(device[0] if device else asyncio.Lock())
        async with device[0]:
            return await after(0.25, piece)

    _, told, _, _ = run(6, timeout=0.4, a=one_by_one)
    assert not told


def test_who_leaves_is_given_nothing_more_and_counts_for_nothing():
    async def leaves(link: Link) -> None:
        link.roster.leaving("a")

    def leaving(piece: Piece) -> Any:
        return Failure(LEAVING, "is ending")

    _, told, link, _ = run(a=leaving, b=lambda piece: after(0.002, piece), during=leaves)
    assert not told and len(link.given["a"]) <= 2


def test_one_that_comes_is_used():
    async def comes(link: Link) -> None:
        link.workers["b"] = sound
        link.roster.joined(link, "b")

    _, _, link, _ = run(60, a=lambda piece: after(0.02, piece), during=comes)
    assert link.given["b"]


def test_a_call_waits_for_the_first_worker():
    async def comes(link: Link) -> None:
        link.workers["a"] = sound
        link.roster.joined(link, "a")

    run(during=comes)


def test_nobody_comes():
    with pytest.raises(ClusterError, match=r"none has come within 0.3 s: start 'winogen worker'"):
        run()


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (Failure("strange", "is no worker of winogen's"), "a is no worker of winogen's"),
        (About(PROTOCOL + 1, "9.9", "a", "board", None, None, {}, True), "has winogen 9.9"),
        (About(PROTOCOL, "1", "a", "board", "pynq-z1", "12345678", {}, True),
         "is board pynq-z1 .configuration 12345678.*compile it with --board pynq-z1"),
        (About(PROTOCOL, "1", "a", "board", None, None, {"f" * 64: "other"}, False),
         "holds 'other' .ffffffffffff., and takes no other program"),
    ],
)  # fmt: skip
def test_who_is_refused(about, words):
    with pytest.raises(ClusterError, match=words):
        run(a=sound, abouts={"a": about})
    _, told, link, _ = run(a=sound, b=sound, abouts={"a": about})
    assert "a" not in link.given
    assert [text for text in told if "left out" in text] == told and len(told) == 1


def test_one_of_somebody_elses_keeps_nobody_from_waiting():
    """A worker of Dask's that is none of winogen's: others may come."""

    async def comes(link: Link) -> None:
        link.workers["b"] = sound
        link.roster.joined(link, "b")

    stranger = Failure("strange", "is no worker of winogen's")
    run(a=sound, abouts={"a": stranger}, during=comes)


def test_one_that_does_not_say_what_it_is_is_asked_again(monkeypatch):
    from winogen.cluster import roster

    monkeypatch.setattr(roster, "_ASK_AGAIN_SECONDS", 0.05)
    asked: list[str] = []
    about = Link.about

    async def late(self: Link, address: str) -> About | Failure:
        asked.append(address)
        if len(asked) < 3:
            raise LostError("cannot be reached")
        return await about(self, address)

    monkeypatch.setattr(Link, "about", late)
    run(a=sound)
    assert len(asked) == 3


def test_one_that_never_says_is_waited_for_no_longer_than_any(monkeypatch):
    async def silent(*_: object) -> About:
        raise LostError("cannot be reached")

    monkeypatch.setattr(Link, "about", silent)
    with pytest.raises(ClusterError, match="worker a cannot be reached"):
        run(a=sound)


def test_who_holds_the_program_is_not_sent_it():
    held = About(PROTOCOL, "1", "a", "board", None, None, {name_of(PROGRAM): "small"}, False)
    run(a=sound, abouts={"a": held})


def test_an_answer_that_was_damaged_on_its_way():
    damaged: list[int] = []

    def flipped(piece: Piece) -> Answer:
        answer = sound(piece)
        if damaged:
            return answer
        damaged.append(piece.number)
        data = bytes([answer.data[0] ^ 4]) + answer.data[1:]
        return Answer(*answer._head(), data, 0.1, None, answer.seal)

    _, told, _, _ = run(a=flipped, b=sound)
    assert len(told) == 1 and "their checksum differs" in told[0]


def test_the_answer_to_another_piece_is_none():
    first: list[Piece] = []

    def stale(piece: Piece) -> Answer:
        first.append(piece)
        return sound(first[0]) if len(first) == 2 else sound(piece)

    _, told, _, _ = run(a=stale, b=sound)
    assert len(told) == 1


@pytest.mark.parametrize("late", [False, True])
def test_who_gives_wrong_images_is_found_and_named(late):
    """Also where it had made many before the first was looked at."""
    other = (lambda piece: after(0.02, piece)) if late else sound
    _, told, link, engine = run(60, verify=0.2, a=wrong, b=other, c=other)
    assert len(told) == 1 and told[0].startswith("worker a (a) gives wrong images")
    assert engine.verified >= 1
    assert link.given["b"] and link.given["c"]


def test_two_of_three_that_are_wrong_do_not_make_it_right():
    _, told, _, _ = run(60, verify=1.0, a=wrong, b=lambda piece: wrong(piece, 2), c=sound)
    assert {text.split()[1] for text in told} == {"a", "b"}


def test_all_is_made_twice_where_that_is_asked_for():
    _, _, link, engine = run(40, verify=1.0, a=sound, b=sound)
    assert sum(len(p.rows()) for pieces in link.given.values() for p in pieces) == 80
    assert engine.verified == sum(map(len, link.given.values())) / 2


def test_a_lonely_worker_cannot_be_verified():
    _, _, _, engine = run(40, verify=1.0, a=sound)
    assert engine.verified == 0 and engine.unverified > 0
