"""Workers in processes of their own, with faults that can be asked for, and a scheduler for them.

    with farm(4, faults={2: Fault("slow", seconds=0.1)}) as made:
        with Cluster(made.address, program) as cluster:
            ...
        made.kill(0)

A worker's process is forked from one that has imported everything, so it starts in no time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

pytest.importorskip("distributed", reason="clusters need the package distributed")

from winogen.cluster.pieces import Answer, Failure, Piece
from winogen.cluster.station import Station
from winogen.program.file import Program
from winogen.target.board import load_board

_START_SECONDS = 30.0
_END_SECONDS = 15.0


@dataclass(frozen=True)
class Fault:
    """What is wrong with a worker.

    ``kind`` is one of

    - ``slow``: each piece takes ``seconds`` more, beside the device
    - ``hang``: it answers nothing any more
    - ``die``: it is killed while it has a piece
    - ``device``: a bit of the weights flips in the device's memory before each run
    - ``image``: a bit of the output is wrong before anybody can look at it
    - ``transfer``: a bit of the answer flips after it was sealed
    - ``inputs``: a bit of the inputs flips on the way to the device
    - ``error``: it raises what nobody expects
    - ``rubbish``: it gives something that is no answer

    ``after`` so many pieces, and ``times`` so often (None: always).
    """

    kind: str
    after: int = 0
    times: int | None = None
    seconds: float = 0.0


class FaultyStation(Station):
    """A station with a fault."""

    fault: Fault | None = None
    _seen = 0

    def run(self, piece: Piece) -> Answer | Failure:
        fault = self.fault
        self._seen += 1
        last = sys.maxsize if fault is None or fault.times is None else fault.after + fault.times
        if fault is None or not fault.after < self._seen <= last:
            return super().run(piece)
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.kind == "hang":
            time.sleep(3600)
        elif fault.kind == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.kind == "error":
            raise RuntimeError("something that nobody expects")
        elif fault.kind == "rubbish":
            return "rubbish"  # type: ignore[return-value]
        elif fault.kind == "inputs":
            piece = replace(piece, data=_flipped(piece.data))
        elif fault.kind == "device":
            weights = self._generators[piece.program]._runner.buffers["weights"]
            weights[0] ^= 1
            weights.flush()
        answer = super().run(piece)
        if fault.kind == "transfer" and isinstance(answer, Answer):
            return replace(answer, data=_flipped(answer.data))
        return answer

    def _made(self, generator: Any, piece: Piece) -> Answer:
        answer = super()._made(generator, piece)
        fault = self.fault
        if fault is not None and fault.kind == "image" and self._seen > fault.after:
            out = answer.array().copy()
            out.reshape(-1).view("u1")[0] ^= 1
            return Answer.of(piece, out, answer.seconds, answer.counters)
        return answer


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _scheduler(port: int, ready: Any) -> None:
    """A process that is a scheduler."""
    import asyncio
    import logging

    from distributed import Scheduler

    logging.getLogger("distributed").setLevel(logging.CRITICAL)

    async def main() -> None:
        async with Scheduler(
            host="127.0.0.1", port=port, dashboard=False, dashboard_address="127.0.0.1:0"
        ) as scheduler:
            ready.set()
            await scheduler.finished()

    asyncio.run(main())


def _worker(address: str, name: str, data: Sequence[bytes], options: dict[str, Any]) -> None:
    """A process that is a worker."""
    from winogen.cluster.worker import run_worker

    fault = options.pop("fault", None)
    if board := options.pop("board", None):
        options["board"] = load_board(*board)
    programs = [Program.frombytes(one) for one in data]
    options.setdefault("check_every", 1)
    with FaultyStation(name, "emulator", programs, **options) as station:
        station.fault = fault
        run_worker(address, station, host="127.0.0.1", tell=lambda text: None)


@dataclass
class Farm:
    """A scheduler's address, and processes of workers by their numbers."""

    address: str
    scheduler: Any
    workers: dict[int, Any]

    def start(
        self, number: int, programs: Sequence[Program] = (), fault: Fault | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        """Start a worker ``w-NUMBER``; options are the station's, ``board`` a name and bits."""
        data = [program.tobytes() for program in programs]
        process = _context().Process(
            target=_worker,
            args=(self.address, f"w-{number}", data, {**options, "fault": fault}),
            daemon=True,
        )
        process.start()
        self.workers[number] = process

    def restart(self) -> None:
        """Start the scheduler again, at the same address."""
        self.scheduler.join(_END_SECONDS)
        ready = _context().Event()
        port = int(self.address.rpartition(":")[2])
        self.scheduler = _context().Process(target=_scheduler, args=(port, ready), daemon=True)
        self.scheduler.start()
        assert ready.wait(_START_SECONDS), "the scheduler did not start again"

    def kill(self, number: int) -> None:
        """``kill -9`` of a worker."""
        os.kill(self.workers[number].pid, signal.SIGKILL)
        self.workers[number].join(_END_SECONDS)

    def stop(self, number: int) -> int:
        """SIGTERM to a worker, and its exit code."""
        os.kill(self.workers[number].pid, signal.SIGTERM)
        self.workers[number].join(_END_SECONDS)
        code = self.workers[number].exitcode
        assert code is not None, "the worker did not end"
        return code

    def freeze(self, number: int) -> None:
        """Stop a worker's process without ending it: its connections stay."""
        os.kill(self.workers[number].pid, signal.SIGSTOP)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def farm(
    count: int,
    programs: Sequence[Program] = (),
    faults: Mapping[int, Fault] | None = None,
    **options: Any,
) -> Iterator[Farm]:
    """A scheduler and so many emulated workers; all of them end with the context."""
    port = free_port()
    ready = _context().Event()
    scheduler = _context().Process(target=_scheduler, args=(port, ready), daemon=True)
    scheduler.start()
    made = Farm(f"tcp://127.0.0.1:{port}", scheduler, {})
    try:
        assert ready.wait(_START_SECONDS), "the scheduler did not start"
        for number in range(count):
            made.start(number, programs, (faults or {}).get(number), **options)
        yield made
    finally:
        for process in (*made.workers.values(), made.scheduler):
            process.kill()
        for process in (*made.workers.values(), made.scheduler):
            process.join(_END_SECONDS)


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["distributed", "distributed.scheduler", "winogen.cluster.worker", "support.cluster"]
    )
    return context
