"""Emulated workers in processes of their own: what is killed, slow, new, wrong, foreign."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from support.bench import small
from support.cluster import Farm, Fault, farm, free_port
from winogen.cluster.cluster import Cluster
from winogen.cluster.link import Link
from winogen.cluster.pieces import Answer, Piece, name_of
from winogen.cluster.roster import Roster
from winogen.common.errors import ClusterError, InputError, WinogenWarning
from winogen.program.file import Program
from winogen.runtime.generator import Generator

FOUR = 4
#: A worker that can be caught at work.
BUSY = Fault("slow", seconds=0.02)


@pytest.fixture(scope="module")
def program() -> Program:
    return small(batch=4).program


@pytest.fixture(scope="module")
def alone(program):
    """Inputs, and what one device makes of them."""
    with Generator(program) as generator:
        z = generator.latents(640, 3)
        yield z, generator.generate(z)


@pytest.fixture(scope="module")
def sound(program) -> Iterator[Cluster]:
    """A cluster of four workers that nothing is wrong with."""
    with farm(FOUR) as made, Cluster(made.address, program) as cluster:
        cluster.wait_for(FOUR, 30)
        yield cluster


@contextmanager
def told() -> Iterator[list[str]]:
    """What is warned of."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", WinogenWarning)
        yield found
    found += [str(w.message) for w in seen]


@contextmanager
def working(
    program: Program, faults: dict[int, Fault], count: int = FOUR, **options: float
) -> Iterator[tuple[Farm, Cluster]]:
    """A farm, and a cluster of all its workers."""
    with farm(count, faults=faults) as made, Cluster(made.address, program, **options) as cluster:
        cluster.wait_for(count, 30)
        yield made, cluster


@contextmanager
def meanwhile(seconds: float, work: Callable[..., object], *arguments: object) -> Iterator[None]:
    """Do something while what is within goes on, and have done it at its end."""
    timer = threading.Timer(seconds, work, arguments)
    timer.start()
    try:
        yield
    finally:
        timer.join()


# The same as one device


@pytest.mark.parametrize("count", [1, 2, 7, 33, 640])
def test_the_bytes_of_one_device(sound, alone, count):
    z, images = alone
    out = sound.generate(z[:count])
    assert out.dtype == images.dtype
    np.testing.assert_array_equal(out, images[:count])


def test_real_values_counters_and_progress(sound, program, alone):
    z, _ = alone
    with Generator(program) as generator:
        expected = generator.generate(z[:64], as_float=True, count=True)
        counters = generator.counters()
        np.testing.assert_array_equal(sound.latents(5, 9), generator.latents(5, 9))
    done: list[int] = []
    thread = set()

    def progress(count: int) -> None:
        done.append(count)
        thread.add(threading.get_ident())

    out = sound.generate(z[:64], as_float=True, count=True, progress=progress)
    assert out.dtype == np.float32 and np.array_equal(out, expected)
    assert done == sorted(done) and done[-1] == 64 and thread == {threading.get_ident()}
    assert sound.counters().keys() == counters.keys() and any(sound.counters().values())
    sound.generate(z[:2])
    with pytest.raises(InputError, match="did not read the hardware's counters"):
        sound.counters()


def test_what_one_device_refuses(sound):
    for bad in (np.zeros((2, 7), np.float32), np.full((1, 5), np.nan, np.float32), [[1, 2]]):
        with pytest.raises(InputError, match="input of network 'small'"):
            sound.generate(bad)
    with pytest.raises(InputError, match="exit"):
        sound.generate(np.zeros((1, 5), np.float32), exit=3)


def test_many_threads_and_coroutines(sound, alone):
    z, images = alone
    with ThreadPoolExecutor(6) as threads:
        parts = [slice(n * 50, n * 50 + 50) for n in range(12)]
        for part, out in zip(parts, threads.map(lambda p: sound.generate(z[p]), parts)):
            np.testing.assert_array_equal(out, images[part])

    async def several() -> list[np.ndarray]:
        return await asyncio.gather(*(sound.generate_async(z[p]) for p in parts[:4]))

    for part, out in zip(parts, asyncio.run(several())):
        np.testing.assert_array_equal(out, images[part])


def test_a_coroutine_that_is_cancelled(sound, alone):
    z, images = alone

    async def given_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(sound.generate_async(np.repeat(z, 20, axis=0)), 0.1)

    asyncio.run(given_up())
    np.testing.assert_array_equal(sound.generate(z[:40]), images[:40])


def test_who_gives_up_ends_nothing_for_the_others(sound, program, alone):
    """Dask fetches what several wait for at once: whoever is cancelled then takes none along."""
    z, images = alone

    def piece(number: int) -> Piece:
        rows = z[:4].reshape(4, 5, 1, 1)
        return Piece.of(number, name_of(program), rows, exit=1, as_float=False, count=False)

    async def main() -> None:
        roster = Roster(program, 10, 10, lambda text: None)
        link = Link(sound._links[0].address, 10)
        await link.open(roster)
        while not roster.able():
            await asyncio.sleep(0.01)
        address, client = roster.able()[0].address, link._client
        fetching = client._gather_semaphore
        for _ in range(5):  # all that Dask does at once
            await fetching.acquire()
        first, second = (asyncio.ensure_future(link.ask(address, piece(n))) for n in (1, 2))
        while [f.status for f in client.futures.values()] != ["finished"] * 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # both wait for one fetch
        first.cancel()
        await asyncio.sleep(0.05)
        for _ in range(5):
            fetching.release()
        for answer in (second, link.ask(address, piece(3))):
            said = await asyncio.wait_for(answer, 10)
            assert isinstance(said, Answer)
            np.testing.assert_array_equal(said.array(), images[:4])
        await link.close()
        await roster.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_looking_for_soft_errors_everywhere(sound):
    sound.check()
    assert sound.unchecked == 0 and sound.parallel == FOUR
    assert {w.name for w in sound.workers()} == {f"w-{n}" for n in range(FOUR)}
    assert all(w.state == "ready" and not w.failures for w in sound.workers())


# What goes wrong


def test_kill_9_of_one_at_work(program, alone):
    z, images = alone
    with (
        told() as said,
        working(program, dict.fromkeys(range(FOUR), BUSY)) as (made, cluster),
        meanwhile(0.1, made.kill, 0),
    ):
        np.testing.assert_array_equal(cluster.generate(z), images)
    assert len(said) == 1 and said[0].startswith("worker w-0 ") and " ended" in said[0]


def test_a_slow_one_is_given_less(program, alone):
    z, images = alone
    with told() as said, working(program, {2: Fault("slow", seconds=0.2)}) as (_, cluster):
        begin = time.monotonic()
        np.testing.assert_array_equal(cluster.generate(z), images)
        assert time.monotonic() - begin < 5  # alone it would take half a minute
        pieces = {w.name: w.pieces for w in cluster.workers()}
    assert pieces["w-2"] < min(pieces[f"w-{n}"] for n in (0, 1, 3))
    assert not said


def test_one_that_joins_in_the_middle(program, alone):
    z, images = alone
    slow = Fault("slow", seconds=0.1)
    with working(program, {0: slow, 1: slow}, 2) as (made, cluster):
        with meanwhile(0.1, made.start, 2):
            np.testing.assert_array_equal(cluster.generate(z), images)
        assert {w.name: w.pieces for w in cluster.workers()}["w-2"] > 2


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("device", "the weights of network 'small' have changed in the device's memory"),
        ("transfer", "sent outputs that are not what its device had made"),
        ("inputs", "was sent inputs that are not what the client had sealed"),
        ("error", "something that nobody expects"),
        ("rubbish", "gave something that is no answer"),
    ],
)
def test_results_that_are_corrupted_are_found_and_named(program, alone, kind, words):
    z, images = alone
    with told() as said, working(program, {1: Fault(kind, after=1, times=2)}, 3) as (_, cluster):
        np.testing.assert_array_equal(cluster.generate(z[:200]), images[:200])
        assert {w.name: w.failures for w in cluster.workers()}["w-1"] >= 1
    assert said and all(text.startswith("worker w-1 ") and words in text for text in said)


def test_wrong_images_that_no_checksum_finds(program, alone):
    """A sample of pieces is made by another worker too; the emulated device settles it."""
    z, images = alone
    with (
        told() as said,
        working(program, {1: Fault("image", after=3)}, verify=0.25) as (_, cluster),
    ):
        for _ in range(8):
            out = cluster.generate(z)
            [state] = [w.state for w in cluster.workers() if w.name == "w-1"]
            if state == "wrong":
                break
        np.testing.assert_array_equal(out, images)
        assert state == "wrong" and cluster.parallel == FOUR - 1
    assert [text for text in said if text.startswith("worker w-1 ") and "wrong images" in text]


def test_one_that_hangs(program, alone):
    z, images = alone
    hangs = Fault("hang", after=1)
    with told() as said, working(program, {0: hangs}, 2, timeout=1.5) as (_, cluster):
        np.testing.assert_array_equal(cluster.generate(z[:100]), images[:100])
    assert len(said) == 1 and "gave no answer within 1.5 s" in said[0]


def test_both_that_had_it_die(program, alone):
    z, _ = alone
    with told(), working(program, dict.fromkeys(range(2), Fault("die")), 2, patience=1.0) as (
        _, cluster,
    ):  # fmt: skip
        begin = time.monotonic()
        with pytest.raises(ClusterError, match=r"w-0 .*ended") as error:
            cluster.generate(z[:100])
        assert "w-1" in str(error.value) and time.monotonic() - begin < 5


def test_sigterm_ends_one_without_loss(program, alone):
    z, images = alone
    with told() as said, working(program, dict.fromkeys(range(3), BUSY), 3) as (made, cluster):
        codes: list[int] = []
        with meanwhile(0.1, lambda: codes.append(made.stop(0))):
            np.testing.assert_array_equal(cluster.generate(z), images)
        assert codes == [0] and cluster.parallel == 2
    assert not said


def test_a_call_that_is_closed_from_another_thread(program, alone):
    z, _ = alone
    with working(program, dict.fromkeys(range(2), BUSY), 2) as (_, cluster):
        with (
            meanwhile(0.2, cluster.close),
            pytest.raises(ClusterError, match="closed during a call"),
        ):
            cluster.generate(np.repeat(z, 20, axis=0))
        for after in (lambda: cluster.generate(z), cluster.check, lambda: cluster.wait_for(1)):
            with pytest.raises(InputError, match="is closed"):
                after()


def test_a_progress_that_raises_ends_the_call(sound, alone):
    z, images = alone

    def tired(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sound.generate(np.repeat(z, 10, axis=0), progress=tired)
    np.testing.assert_array_equal(sound.generate(z[:30]), images[:30])


# Who is refused


def test_another_program_and_another_board(program, alone):
    z, images = alone
    with farm(0) as made:
        made.start(0, [small(batch=2).program])
        made.start(1, board=("pynq-z1", 8))
        with Cluster(made.address, program) as cluster:
            with pytest.raises(ClusterError, match="0 of 1 workers are there after 2 s; worker w-"):
                cluster.wait_for(1, 2)
            with pytest.raises(ClusterError, match="no worker of the cluster runs 'small'"):
                cluster.generate(z)
            made.start(2, [program])
            with told() as said:
                cluster.wait_for(1, 30)
                np.testing.assert_array_equal(cluster.generate(z[:20]), images[:20])
            states = {w.name: (w.state, w.reason) for w in cluster.workers()}
    assert states["w-2"] == ("ready", "")
    assert states["w-0"][0] == states["w-1"][0] == "refused"
    assert "takes no other program" in states["w-0"][1] and "--board pynq-z1" in states["w-1"][1]
    assert len(said) == 2 and all("is left out" in text for text in said)


# Schedulers


def test_no_scheduler(program):
    begin = time.monotonic()
    with pytest.raises(ClusterError, match=r"no scheduler at tcp://127.0.0.1:\d+ answers"):
        Cluster(f"127.0.0.1:{free_port()}", program, patience=0.5)
    assert time.monotonic() - begin < 5


def test_a_scheduler_that_ends_and_comes_again(program, alone):
    z, images = alone
    with farm(1) as made, Cluster(made.address, program, patience=10.0) as cluster:
        cluster.wait_for(1, 30)
        made.scheduler.kill()
        with told(), pytest.raises(ClusterError, match=r"the scheduler at .* has gone"):
            cluster.generate(z)
        made.restart()
        cluster.wait_for(1, 30)
        np.testing.assert_array_equal(cluster.generate(z[:50]), images[:50])


def test_two_schedulers(program, alone):
    z, images = alone
    with (
        farm(1) as one,
        farm(1) as other,
        Cluster([one.address, other.address], program) as cluster,
    ):
        cluster.wait_for(2, 30)
        np.testing.assert_array_equal(cluster.generate(z[:100]), images[:100])
        assert all(w.pieces for w in cluster.workers())


def test_what_makes_no_sense(program):
    with pytest.raises(InputError, match="'lab' is no address of a scheduler"):
        Cluster("lab", program)
    with pytest.raises(InputError, match="needs the address"):
        Cluster([], program)
    for options in ({"timeout": 0}, {"patience": -1}, {"verify": 2}):
        with pytest.raises(InputError, match=next(iter(options))):
            Cluster("tcp://127.0.0.1:1", program, **options)


# Many


@pytest.mark.long
def test_ten_thousand_images_with_all_of_it(program):
    """Nothing is lost or doubled: the bytes of one device, whatever happens meanwhile."""
    with Generator(program) as generator:
        z = generator.latents(10_000, 11)
        images = generator.generate(z)
    faults = {0: BUSY, 1: Fault("slow", seconds=0.1), 2: Fault("image", after=10), 3: BUSY}
    with (
        told() as said,
        working(program, faults, verify=0.1) as (made, cluster),
        meanwhile(0.5, made.kill, 0),
        meanwhile(0.8, made.start, 4),
        meanwhile(1.2, made.start, 5),
        meanwhile(1.5, made.stop, 3),
    ):
        out = cluster.generate(z)
    assert out.tobytes() == images.tobytes()
    assert any("w-0" in text for text in said) and any("w-2" in text for text in said)
