"""The class for Python users: several boards, each with a worker, as one device."""

from __future__ import annotations

import asyncio
import math
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.cluster.call import Call
from winogen.cluster.engine import Engine
from winogen.cluster.loop import LOOK_SECONDS, Loop
from winogen.cluster.members import State, WorkerInfo
from winogen.cluster.needed import check_address, check_distributed
from winogen.cluster.roster import Roster
from winogen.cluster.sharing import PIECE_BYTES
from winogen.common.errors import ClusterError, CorruptionError, InputError, WinogenWarning
from winogen.program.deadline import exit_in_time
from winogen.program.file import Program
from winogen.runtime.codec import Codec, Inputs
from winogen.runtime.generator import Generator
from winogen.runtime.latents import inputs_of
from winogen.runtime.windows import stitch, windows_of

#: Seconds that a worker may take for a piece.
TIMEOUT = 120.0
#: Seconds for a scheduler to answer, and for a worker to come where there is none.
PATIENCE = 10.0
#: Part of the pieces that another worker makes again.
VERIFY = 0.02
#: Windows of a large image that are given at once, in batches for each worker.
_BATCHES = 4


class Cluster:
    """Workers of one or several schedulers of Dask's as one device; use it as a context manager.

    It is asked as a :class:`winogen.runtime.generator.Generator` is, and gives the same bytes. Any
    number of threads may use it.

    >>> with Cluster("tcp://192.168.2.1:8786", "digits.wg") as cluster:
    ...     images = cluster.generate(cluster.latents(10_000, seed=7))

    Inputs go to the workers in pieces, more to the faster ones. What a worker holds that ends,
    takes too long or fails, is given to another one, once. Workers that come later are used; those
    with another program, board or version are left out. All of that is a WinogenWarning.

    Deserialising runs what it is sent, in Dask: use networks and machines that you trust, or
    ``tls://`` with certificates.

    Parameters
    ----------
    addresses : of one scheduler, as ``tcp://192.168.2.1:8786``, or of several
    program : a Program or the path of a program file; workers that hold none are sent it
    timeout : seconds that a worker may take for a piece; the first one is a batch of the device
    patience : seconds in which a scheduler must answer, and in which a worker must come where
        there is none
    verify : part of the pieces that another worker makes again, 0 to 1, and the first piece of each
        worker if it is not 0. Where two differ the emulated device settles it: who was wrong is
        left out, and what it made in this call is made again
    direct : outputs come straight from the workers, which must be reachable from here, and not by
        way of the scheduler
    security : a ``distributed.Security`` for ``tls://``; default: what Dask's configuration says

    Raises
    ------
    InputError : the package distributed is missing, or an argument is wrong
    ProgramError : the program file is damaged
    ClusterError : no scheduler answers
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        program: Program | str | Path,
        *,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        verify: float = VERIFY,
        direct: bool = False,
        security: Any = None,
    ):
        check_distributed()
        given = [addresses] if isinstance(addresses, str) else list(addresses)
        if not given:
            raise InputError("a cluster needs the address of a scheduler, as tcp://host:8786")
        whole = list(dict.fromkeys(map(check_address, given)))
        for name, value in (("timeout", timeout), ("patience", patience)):
            if not 0 < value < math.inf:
                raise InputError(f"{name} must be a positive number of seconds, not {value}")
        if not 0 <= verify <= 1:
            raise InputError(f"verify must be a part, from 0 to 1, not {verify}")
        self.program = program if isinstance(program, Program) else Program.load(program)
        exits = self.program.exit_count
        self._codecs = {n: Codec(self.program.at_exit(n)) for n in range(1, exits + 1)}
        self._counters: dict[str, int] | None = None
        self._referee: Generator | None = None
        self._one = threading.Lock()
        self._told: list[str] = []
        self._closed = False
        self._patience = patience
        self._roster = Roster(self.program, timeout, patience, self._told.append)
        self._engine = Engine(
            self._roster, self._judge, timeout=timeout, patience=patience, verify=verify,
            tell=self._told.append,
        )  # fmt: skip
        from winogen.cluster.link import Link

        self._links = [Link(one, patience, direct=direct, security=security) for one in whole]
        self._minds: list[asyncio.Future[None]] = []
        self._loop = Loop()
        try:
            self._loop.wait(self._open(), self._tell)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the schedulers; workers stay."""
        if self._closed:
            return
        self._closed = True
        self._loop.close(self._end())
        if self._referee is not None:
            self._referee.close()
        self._tell()

    @property
    def parallel(self) -> int:
        """How many workers share the work now, at least 1."""
        return max(1, sum(member.able for member in list(self._roster.members.values())))

    @property
    def unchecked(self) -> int:
        """Always 0: workers look for soft errors themselves, before they answer."""
        return 0

    @property
    def verified(self) -> int:
        """Pieces that two workers have made, with the same bytes or settled."""
        return self._engine.verified

    def workers(self) -> list[WorkerInfo]:
        """Who is there, and how each does."""
        return [WorkerInfo.of(member) for member in list(self._roster.members.values())]

    def wait_for(self, count: int, seconds: float = PATIENCE) -> None:
        """Until so many workers can be given work; ClusterError where they are fewer in time."""

        async def wait() -> None:
            end = time.monotonic() + seconds
            while (there := len(self._roster.able())) < count:
                if time.monotonic() > end:
                    said = [f"worker {m.name} {m.reason}" for m in self._roster.members.values()
                            if m.state is State.REFUSED]  # fmt: skip
                    raise ClusterError(
                        f"{there} of {count} workers are there after {seconds:g} s"
                        + "".join(f"; {one}" for one in said)
                    )
                await asyncio.sleep(LOOK_SECONDS)

        self._loop.wait(wait(), self._tell)

    def latents(self, count: int, seed: int = 0) -> NDArray[np.float32]:
        """``count`` reproducible inputs, those of ``Generator.latents``."""
        return inputs_of(self.program.input, count, seed)

    def generate(
        self,
        z: ArrayLike | Mapping[str, ArrayLike],
        *,
        as_float: bool = False,
        progress: Callable[[int], None] | None = None,
        count: bool = False,
        exit: int | None = None,
        deadline_ms: float | None = None,
    ) -> NDArray:
        """Run the network on any number of inputs, in the order that they have.

        Parameters
        ----------
        z : float array (N, latent) or (N, C, H, W); of a network of several inputs also arrays by
            their names
        as_float : return real values even if the output is an image
        progress : called in this thread with the number of inputs done so far
        count : read the hardware's counters, for :meth:`counters`
        exit : how far to run a network that was trained for it
        deadline_ms : in place of it, how long all of this may take: :meth:`exit_in_time` has it

        Returns
        -------
        uint8 images (N, H, W, C), or float32 (N, C, H, W), as ``Generator.generate``: the same
        bytes.

        Raises
        ------
        InputError : as Generator
        ClusterError : no worker runs the program, or one piece failed at two of them; it names them
        """
        x = self._codecs[self.program.exit_count].checked(z)
        number = self._chosen(exit, deadline_ms, len(x.values))
        return self._made(x, number, as_float, count, progress)

    async def generate_async(
        self,
        z: ArrayLike | Mapping[str, ArrayLike],
        *,
        as_float: bool = False,
        progress: Callable[[int], None] | None = None,
        count: bool = False,
        exit: int | None = None,
        deadline_ms: float | None = None,
    ) -> NDArray:
        """:meth:`generate` for coroutines; one that is cancelled takes back what waits."""
        x = self._codecs[self.program.exit_count].checked(z)
        number = self._chosen(exit, deadline_ms, len(x.values))
        call = self._call(x, number, as_float, count)
        future = asyncio.wrap_future(self._loop.begin(self._engine.run(call)))
        try:
            while not (await asyncio.wait((future,), timeout=LOOK_SECONDS))[0]:
                if progress:
                    progress(call.done)
            await future
        finally:
            future.cancel()
            self._tell()
        return self._ended(call, progress)

    def apply(
        self,
        image: ArrayLike,
        *,
        as_float: bool = False,
        progress: Callable[[int, int], None] | None = None,
        count: bool = False,
        exit: int | None = None,
        deadline_ms: float | None = None,
    ) -> NDArray:
        """Run the network on one image of any size, in windows, as ``Generator.apply`` does."""

        def windows(program: Program) -> int:
            rows, columns = windows_of(image, program)
            return len(rows) * len(columns)

        number = self._chosen(exit, deadline_ms, windows)
        program = self.program.at_exit(number)
        codec = self._codecs[number]
        batch = program.streams[-1].batch
        total: dict[str, int] = {}

        def generate(cut: Iterator[NDArray], put: Callable[[NDArray], object]) -> None:
            for batches in _several(cut, _BATCHES * self.parallel):
                x = codec.checked(np.concatenate(batches), warn=False)
                out = self._made(x, number, as_float, count, None)
                for name, value in (self._counters or {}).items():
                    total[name] = total.get(name, 0) + value
                put(out)

        out = stitch(image, program, batch, generate, progress)
        self._counters = total if count else None
        codec.warn_of_range(np.asarray(image))
        return out

    def exit_in_time(self, count: int, deadline_ms: float) -> int:
        """The deepest exit that makes ``count`` images in ``deadline_ms``, as predicted.

        The prediction is that of the program's board for a share of the images, as many as there
        are workers; the network between is not part of it.
        """
        return self._chosen(None, deadline_ms, count)

    def counters(self) -> dict[str, int]:
        """The hardware's counters, summed over the workers and the last call with ``count``."""
        if self._counters is None:
            raise InputError(
                "the last call did not read the hardware's counters, which takes time: call "
                "generate or apply with count=True"
            )
        return dict(self._counters)

    def check(self) -> None:
        """Have all workers look for soft errors now; CorruptionError names those with some."""
        found = self._loop.wait(self._roster.check(), self._tell)
        if found:
            raise CorruptionError("; ".join(found))

    # --- within ----------------------------------------------------------------------------------

    def _chosen(
        self,
        exit: int | None,
        deadline_ms: float | None,
        count: int | Callable[[Program], int],
    ) -> int:
        program = self.program
        if deadline_ms is None:
            number = program.exit_count if exit is None else exit
            program.at_exit(number)  # which says what exits there are
            return number
        if exit is not None:
            raise InputError("a deadline chooses the exit: give an exit or a deadline")
        shares = self.parallel

        def share(own: Program) -> int:
            return -(-(count(own) if callable(count) else count) // shares)

        return exit_in_time(program.at_exit, program.exit_count, share, deadline_ms)

    def _call(self, x: Inputs, number: int, as_float: bool, count: bool) -> Call:
        if self._closed:
            raise InputError("the cluster is closed: make a new one")
        program = self.program.at_exit(number)
        out = self._codecs[number].room(len(x.values), as_float)
        row = x.values[:1].nbytes + out[:1].nbytes
        most = max(1, PIECE_BYTES // row)
        return Call(
            x.values, out, exit=number, as_float=as_float, count=count,
            batch=min(program.streams[-1].batch, most), most=most,
        )  # fmt: skip

    def _made(
        self,
        x: Inputs,
        number: int,
        as_float: bool,
        count: bool,
        progress: Callable[[int], None] | None,
    ) -> NDArray:
        self._counters = None
        call = self._call(x, number, as_float, count)

        def look() -> None:
            self._tell()
            if progress:
                progress(call.done)

        try:
            self._loop.wait(self._engine.run(call), look)
        finally:
            self._tell()
        return self._ended(call, progress)

    def _ended(self, call: Call, progress: Callable[[int], None] | None) -> NDArray:
        self._counters = call.counters if call.count else None
        if progress:
            progress(call.done)
        return call.out

    def _judge(self, rows: NDArray, exit: int, as_float: bool) -> NDArray:
        """What the emulated device makes of inputs: the bits that all devices must make."""
        with self._one:
            if self._referee is None:
                self._referee = Generator(self.program, "emulator", board=self.program.board)
        return self._referee.generate(rows, as_float=as_float, exit=exit)

    async def _open(self) -> None:
        done = await asyncio.gather(
            *(link.open(self._roster) for link in self._links), return_exceptions=True
        )
        problems = [error for error in done if isinstance(error, BaseException)]
        if problems:
            raise problems[0]
        self._minds = [asyncio.ensure_future(link.mind()) for link in self._links]

    async def _end(self) -> None:
        for mind in self._minds:
            mind.cancel()
        await self._engine.close()
        await self._roster.close()
        await asyncio.gather(*(link.close() for link in self._links), return_exceptions=True)

    def _tell(self) -> None:
        """Warn in the caller's thread of what the loop's has seen."""
        while self._told:
            warnings.warn(self._told.pop(0), WinogenWarning, stacklevel=4)


def _several(batches: Iterator[NDArray], count: int) -> Iterator[list[NDArray]]:
    held: list[NDArray] = []
    for batch in batches:
        held.append(batch)
        if len(held) == count:
            yield held
            held = []
    if held:
        yield held
