"""Throughput of a cluster beside its workers' own, and how far one scheduler goes.

    python benchmarks/cluster.py
    python benchmarks/cluster.py --workers 1 2 --seconds 5 --turns 3
    python benchmarks/cluster.py --boards 64 --model digits
    python benchmarks/cluster.py --workers --boards 64 --model dcgan-4x4 --plot cluster.png

First, emulated workers in processes, and as many bare generators, each in a process of its own and
all at once, in turns: the share is what the cluster makes of what they make, the median of the
turns. Both look for soft errors after each run, as workers do. Where there are fewer processor
cores than workers, and one more for client and scheduler, the share says what these take of them.
Exits with 1 where the share of a number of workers that the cores allow is below the bar.

Then, with ``--boards``, so many workers that compute nothing: each sleeps as long as its board is
predicted to take. Scheduler, client, network stack of this machine and everything in a worker but
the device are the real ones, and all of them share this machine. That is measured; what scheduler
and client took of a processor core for an image says how many boards would use one up, which is
calculated.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

import winogen
from winogen.cluster.cluster import Cluster
from winogen.common.script import run_script
from winogen.program.file import Program
from winogen.program.speed import speed

#: Share of the sum of single ones that a cluster must reach, where the cores allow it.
BAR = 0.85
_READY_SECONDS = 60.0

_BARE = """
import sys, time, winogen
with winogen.Generator(sys.argv[1], check_every=1) as generator:
    z = generator.latents(4 * generator.program.streams[-1].batch, 1)
    generator.generate(z)
    print("ready", flush=True)
    for line in sys.stdin:
        begin, made = time.monotonic(), 0
        while time.monotonic() - begin < float(line):
            made += len(generator.generate(z))
        print(made / (time.monotonic() - begin), flush=True)
"""


@contextmanager
def process(*command: str | Path, **options: Any) -> Iterator[subprocess.Popen]:
    """A process that ends with the context."""
    started = subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True, **options
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def heard(started: subprocess.Popen, pattern: str) -> str:
    """The line of a process that has this pattern; it ends where that does not come."""
    timer = threading.Timer(_READY_SECONDS, started.kill)
    timer.start()
    try:
        for line in started.stdout:
            if re.search(pattern, line):
                return line
    finally:
        timer.cancel()
    raise SystemExit(f"a process has ended before it said {pattern!r}")


@contextmanager
def scheduler() -> Iterator[tuple[str, int]]:
    """A scheduler's address, and its process."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with process(
        "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port),
        "--no-dashboard", "--dashboard-address", "127.0.0.1:0", stderr=subprocess.DEVNULL,
    ) as started:  # fmt: skip
        yield f"tcp://127.0.0.1:{port}", started.pid


# --- workers and bare generators -----------------------------------------------------------------


def bare(started: list[subprocess.Popen], seconds: float) -> float:
    """Images a second of bare generators, all at once."""
    for one in started:
        one.stdin.write(f"{seconds}\n")
        one.stdin.flush()
    return sum(float(heard(one, r"^\d")) for one in started)


def clustered(cluster: Cluster, count: int) -> float:
    """Images a second of a cluster, in one call."""
    z = cluster.latents(count, 1)
    begin = time.monotonic()
    cluster.generate(z)
    return count / (time.monotonic() - begin)


def compare(model: str, numbers: list[int], seconds: float, turns: int) -> bool:
    """Print the share of each number of workers; whether those that the cores allow reach it."""
    cores = os.cpu_count() or 1
    good = True
    with tempfile.TemporaryDirectory() as folder, scheduler() as (address, _), ExitStack() as stack:
        path = Path(folder) / "program.wg"
        winogen.compile_model(model).save(path)
        single: list[subprocess.Popen] = []
        workers = 0
        cluster = stack.enter_context(Cluster(address, path, patience=_READY_SECONDS))
        print(f"{model}, batches of {cluster.program.streams[-1].batch}, {cores} processor cores")
        print("workers  images/s  sum of bare  share  of the turns")
        for number in numbers:
            while len(single) < number:
                one = stack.enter_context(process("-c", _BARE, path, stdin=subprocess.PIPE))
                heard(one, "ready")
                single.append(one)
            while workers < number:
                one = stack.enter_context(
                    process("-m", "winogen", "worker", address, path, "--device", "emulator")
                )
                heard(one, "at tcp")
                workers += 1
            cluster.wait_for(number, _READY_SECONDS)
            rate = bare(single[:number], min(seconds, 2))
            clustered(cluster, int(rate))  # its speeds are measured now
            rates, sums = [], [bare(single[:number], seconds)]
            for _ in range(turns):
                rates.append(clustered(cluster, max(int(sums[-1] * seconds), 1)))
                sums.append(bare(single[:number], seconds))
            shares = [2 * r / (a + b) for r, a, b in zip(rates, sums, sums[1:])]
            share = statistics.median(shares)
            allowed = number < cores
            good = good and (share >= BAR or not allowed)
            print(
                f"{number:7}  {statistics.median(rates):8,.1f}  {statistics.median(sums):11,.1f}  "
                f"{share:5.2f}  {', '.join(f'{s:.2f}' for s in shares)}"
                + ("" if allowed else f"  (more processes than the {cores} cores)"),
                flush=True,
            )
    return good


# --- boards that compute nothing -----------------------------------------------------------------


def stubs(address: str, count: int, first: int, rate: float) -> None:
    """So many workers in this process, each of which sleeps instead of computing."""
    import logging

    import dask
    from distributed import Worker

    from winogen.cluster.pieces import PROTOCOL, About, Answer, Piece, Seal
    from winogen.cluster.tasks import RESOURCE, StationPlugin
    from winogen.cluster.worker import _CONFIG
    from winogen.program.digests import Digest

    made: dict[int, tuple[bytes, Digest]] = {}

    class Stub:
        """A station with no device."""

        leaving = False

        def __init__(self, name: str):
            self.name = name
            self.program: Program | None = None

        def about(self) -> About:
            return About(PROTOCOL, winogen.__version__, self.name, "board", None, None, {}, True)

        def take(self, name: str, data: bytes) -> None:
            self.program = Program.frombytes(data)

        def run(self, piece: Piece) -> Answer:
            rows = piece.shape[0]
            time.sleep(rows / rate)
            channels, height, width = self.program.output_shape
            shape = (rows, height, width, channels)
            if rows not in made:
                data = bytes(rows * height * width * channels)
                made[rows] = data, Digest.of(data)
            data, digest = made[rows]
            head = (piece.number, piece.program, piece.exit, shape, "|u1")
            seal = Seal(Seal.of(head, b"").head, digest)
            return Answer(*head, data, rows / rate, None, seal)

    logging.getLogger("distributed").setLevel(logging.CRITICAL)

    async def main() -> None:
        with dask.config.set(_CONFIG), tempfile.TemporaryDirectory() as folder:
            workers = [
                Worker(
                    address, nthreads=1, name=f"stub-{first + n}", memory_limit=0,
                    plugins=(StationPlugin(Stub(f"stub-{first + n}")),), resources={RESOURCE: 1},
                    dashboard=False, dashboard_address="127.0.0.1:0", local_directory=folder,
                    host="127.0.0.1",
                )
                for n in range(count)
            ]  # fmt: skip
            for worker in workers:
                await worker
            print("ready", flush=True)
            await asyncio.gather(*(worker.finished() for worker in workers))

    asyncio.run(main())


def simulate(models: list[str], boards: int, seconds: float, processes: int) -> list[Reached]:
    """Print how near so many boards come to their sum, and what that takes."""
    found = []
    print()
    print(f"{boards} boards that compute nothing, as pynq-z2, in {processes} processes")
    print("model          by         images/s  predicted  share  MB/s  pieces/s  scheduler  client")
    for model in models:
        program = winogen.compile_model(model, "pynq-z2")
        one = speed(program, program.streams[-1]).overlapped
        for direct in (False, True):
            with scheduler() as (address, pid), ExitStack() as stack:
                started = []
                for n in range(processes):
                    count = boards // processes + (n < boards % processes)
                    first = sum(len(range(i, boards, processes)) for i in range(n))
                    started.append(stack.enter_context(process(
                        Path(__file__), "--as-stubs", address, str(count), str(first), str(one),
                    )))  # fmt: skip
                for each in started:
                    heard(each, "ready")
                cluster = stack.enter_context(
                    Cluster(address, program, direct=direct, verify=0, patience=_READY_SECONDS)
                )
                cluster.wait_for(boards, _READY_SECONDS)
                found.append(told(cluster, model, boards * one, seconds, pid, direct))
    return found


class Reached(NamedTuple):
    """What so many boards reached, and how many would use up a core, or a network."""

    name: str
    boards: int
    rate: float
    each: float
    limits: dict[str, float]


def told(
    cluster: Cluster, model: str, predicted: float, seconds: float, pid: int, direct: bool
) -> Reached:
    """Print a line on boards that are there."""
    channels, height, width = cluster.program.output_shape
    pixels = channels * height * width
    least = 2e9 / (pixels + 4 * np.prod(cluster.program.input_shape))  # what memory holds
    cluster.generate(cluster.latents(min(int(predicted), int(least)), 1))  # speeds are measured
    z = cluster.latents(min(int(predicted * seconds), int(least)), 1)
    before = sum(w.pieces for w in cluster.workers())
    its, mine = psutil.Process(pid), psutil.Process()
    work = [sum(p.cpu_times()[:2]) for p in (its, mine)]
    begin = time.monotonic()
    out = cluster.generate(z)
    took = time.monotonic() - begin
    used = [sum(p.cpu_times()[:2]) - w for p, w in zip((its, mine), work)]
    pieces = sum(w.pieces for w in cluster.workers()) - before
    rate, each = len(out) / took, predicted / len(cluster.workers())
    way = "direct" if direct else "scheduler"
    print(
        f"{model:13}  {way:9}  {rate:8,.0f}  {predicted:9,.0f}  {rate / predicted:5.2f}  "
        f"{rate * pixels / 1e6:4.0f}  {pieces / took:8.0f}  {used[0] / took:9.0%}  "
        f"{used[1] / took:6.0%}",
        flush=True,
    )
    limits = {
        "scheduler": len(out) / (used[0] * each),
        "client": len(out) / (used[1] * each),
        "1 Gbit/s": 125e6 / (pixels * each),
    }
    print(
        f"  calculated: a processor core like these is used up by the scheduler at "
        f"{limits['scheduler']:,.0f} boards and by the client at {limits['client']:,.0f}; 1 Gbit/s "
        f"at {limits['1 Gbit/s']:,.0f}"
    )
    name = f"{model}, {'straight from the workers' if direct else 'through the scheduler'}"
    return Reached(name, len(cluster.workers()), rate, each, limits)


def plot(found: list[Reached], path: Path) -> None:
    """At how many boards scheduler, client and network are used up."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.subplots()
    for number, limit in enumerate(found[0].limits):
        places = [row + (number - 1) * 0.26 for row in range(len(found))]
        bars = axes.barh(places, [each.limits[limit] for each in found], 0.24, label=limit)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
    names = [
        f"{each.name}\n{each.boards} boards: {each.rate:,.0f} images/s,\n"
        f"{each.rate / (each.boards * each.each):.0%} of their sum, measured here"
        for each in found
    ]
    axes.set_yticks(range(len(found)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="PYNQ-Z2 boards that use it up (a processor core like these)")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(axis="x", which="both", alpha=0.3)
    axes.margins(x=0.15)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--model", action="append", help="default: dcgan-4x4; of --boards digits too"
    )
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4], help="default: 1 2 4")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (default: 5)")
    parser.add_argument("--turns", type=int, default=3, help="default: 3")
    parser.add_argument("--boards", type=int, default=0, help="simulate so many (default: none)")
    parser.add_argument("--processes", type=int, default=2, help="that they share (default: 2)")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="of what --boards finds")
    parser.add_argument("--as-stubs", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_stubs:
        address, count, first, rate = options.as_stubs
        stubs(address, int(count), int(first), float(rate))
        return 0
    good = True
    if options.workers:
        model = (options.model or ["dcgan-4x4"])[0]
        good = compare(model, options.workers, options.seconds, options.turns)
    if options.boards:
        models = options.model or ["artgan-deconv", "dcgan-4x4"]
        found = simulate(models, options.boards, options.seconds, options.processes)
        if options.plot:
            plot(found, options.plot)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(run_script(main))
