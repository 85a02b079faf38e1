"""Load on ``winogen serve``: many clients, every answer compared, throughput held to generate().

    python benchmarks/serve_load.py
    python benchmarks/serve_load.py --seconds 10 --clients 50 --images 4 --model dcgan-4x4

A service of a program runs in a process of its own, on the emulated device, and clients ask it for
images of seeds, each the next when it has the last. Each answer must be, byte for byte, what the
same seeds give by themselves. The bare ``generate()``, with the batches that the program has, is
measured in a process of its own too, in turns with the load, since machines are noisy: the figure
that counts is the median of the turns. Processor
time an image is told as well: that of the service has HTTP in it, that of the clients not. Exits
with 1 where an answer was lost or wrong, or the throughput is below the bar.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import re
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

import winogen
from winogen.common.script import run_script

#: Share of the bare throughput that the service must reach.
BAR = 0.8
#: Requests that differ; their answers are made before.
_KINDS = 64

_BARE = """
import sys, time, winogen
with winogen.Generator(sys.argv[1]) as generator:
    z = generator.latents(4 * generator.program.streams[-1].batch, 1)
    generator.generate(z)
    begin, work, made = time.monotonic(), time.process_time(), 0
    while time.monotonic() - begin < float(sys.argv[2]):
        made += len(generator.generate(z))
    print(made / (time.monotonic() - begin), (time.process_time() - work) / made)
"""


class Tally:
    """What clients saw."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.wrong = self.lost = self.refused = 0


def bare(program: Path, seconds: float) -> tuple[float, float]:
    """Images a second of generate() alone, and its processor time an image."""
    command = [sys.executable, "-c", _BARE, str(program), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rate, work = map(float, done.stdout.split())
    return rate, work


def expected(program: Path, images: int) -> list[bytes]:
    """The body of each kind of answer, made of each seed by itself."""
    found = []
    with winogen.Generator(program) as generator:
        seeds = np.concatenate([generator.latents(1, n) for n in range(_KINDS + images)])
        alone = np.concatenate([generator.generate(z[None]) for z in seeds])
    for kind in range(_KINDS):
        buffer = io.BytesIO()
        np.save(buffer, alone[kind : kind + images])
        found.append(buffer.getvalue())
    return found


async def client(
    number: int, port: int, path: str, images: int, answers: list[bytes], end: float, tally: Tally
) -> None:
    """Ask over one connection until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    kind = number
    while time.monotonic() < end:
        kind = (kind + 7) % _KINDS
        begin = time.monotonic()
        target = f"{path}?seed={kind}&n={images}&format=npy"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            tally.lost += 1
            return
        if head.startswith(b"HTTP/1.1 429 "):
            tally.refused += 1
            await asyncio.sleep(1)
        elif not head.startswith(b"HTTP/1.1 200 "):
            tally.lost += 1
        else:
            tally.wrong += body != answers[kind]
            tally.seconds.append(time.monotonic() - begin)
    writer.close()


async def load(
    port: int, path: str, options: argparse.Namespace, answers: list[bytes], tally: Tally
) -> None:
    """All clients at once, for one turn."""
    end = time.monotonic() + options.seconds / options.turns
    await asyncio.gather(
        *(
            client(n, port, path, options.images, answers, end, tally)
            for n in range(options.clients)
        )
    )


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="dcgan-4x4", help="what to serve (default: dcgan-4x4)")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--images", type=int, default=1, help="images of a request (default: 1)")
    parser.add_argument("--turns", type=int, default=3, help="of load and generate() (default: 3)")
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program.wg"
        compiled = winogen.compile_model(options.model)
        compiled.save(program)
        batch = compiled.streams[-1].batch
        answers = expected(program, options.images)
        room = str(options.clients * options.images)
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "winogen",
                "serve",
                str(program),
                "--port",
                "0",
                "--queue",
                room,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        alone, rates = [], []
        try:
            assert server.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)/", server.stdout.readline())
            assert found, "the service has not begun"
            pause = max(options.seconds / options.turns / 4, 2)
            for _ in range(options.turns):
                alone.append(bare(program, pause))
                begin, before_it = time.monotonic(), len(tally.seconds)
                asyncio.run(load(int(found[1]), "/generate/program", options, answers, tally))
                seconds = time.monotonic() - begin
                rates.append((len(tally.seconds) - before_it) * options.images / seconds)
            alone.append(bare(program, pause))
        finally:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            server.terminate()
            rest = server.communicate(timeout=60)[0]
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report(options, tally, rates, alone, rest, batch, server.returncode, work)
    good = not tally.lost and not tally.wrong and server.returncode == 0
    return 0 if good and share_of(rates, alone) >= BAR else 1


def share_of(rates: list[float], alone: list[tuple[float, float]]) -> float:
    """The service's throughput, as a share of generate()'s: the median of the turns.

    Each turn is held to the mean of generate() right before and after it.
    """
    around = [(a + b) / 2 for (a, _), (b, _) in pairwise(alone)]
    return float(np.median([rate / mean for rate, mean in zip(rates, around)]))


def report(
    options: argparse.Namespace,
    tally: Tally,
    rates: list[float],
    alone: list[tuple[float, float]],
    rest: str,
    batch: int,
    code: int,
    work: float,
) -> None:
    """Print what was measured; ``work`` is the processor time of the service."""
    images = len(tally.seconds) * options.images
    print(f"{options.model}, {options.clients} clients, {options.images} images a request, "
          f"{options.seconds:g} s in {options.turns} turns, exit code {code}")  # fmt: skip
    print(f"answers {len(tally.seconds):,}, lost {tally.lost}, wrong {tally.wrong}, "
          f"refused with 429 {tally.refused}")  # fmt: skip
    if rounds := re.search(r"([\d,]+) images in ([\d,]+) rounds", rest):
        made, count = (int(n.replace(",", "")) for n in rounds.groups())
        print(f"rounds of the device {count:,}, {made / count:.1f} images each (batch {batch})")
    print(f"images/s in each turn {', '.join(f'{rate:.1f}' for rate in rates)}; generate() alone "
          f"around them {', '.join(f'{rate:.1f}' for rate, _ in alone)}, in batches of {batch}: "
          f"{100 * share_of(rates, alone):.0f} % (bar {100 * BAR:.0f} %)")  # fmt: skip
    each = float(np.mean([own for _, own in alone]))
    print(f"processor time an image: {1e3 * work / images:.2f} ms, start and HTTP included; "
          f"generate() {1e3 * each:.2f} ms")  # fmt: skip
    p50, p99 = np.percentile(tally.seconds, [50, 99])
    print(f"answered in {1e3 * p50:.0f} ms (median), {1e3 * p99:.0f} ms (99th percentile)")


if __name__ == "__main__":
    sys.exit(run_script(main))
