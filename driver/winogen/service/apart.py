"""The device in a process of its own, so that neither it nor the server waits for the other.

What a device needs of the processor (converting images, or all of it where it is emulated) is many
short calls of numpy. Each lets go of Python's interpreter and has to win it back; from a server in
the same process, whose every request is Python, at the cost of both. The other process has the
generators, and does one call after the other. It ignores the signals that end a service: it ends
when this process closes the pipe between them, or is no more, and puts the board in order then.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import DeviceError, WinogenError, WinogenWarning, one_line
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.latents import inputs_of
from winogen.service.makers import makers

#: Seconds in which the process must end what it has begun, once it is told to; then it is killed.
_END_SECONDS = 10.0
#: Seconds after which a thread here gives the interpreter to another: the device waits while the
#: one that feeds it does. Python's own 5 ms, several times a round, take a third of its time.
_SWITCH_SECONDS = 5e-4
#: What ends a service.
_ENDS = (signal.SIGINT, signal.SIGTERM)
_CLOSED = "the device was closed while it worked"


class _Call(NamedTuple):
    """A method of the generator with this number; ``told``: its progress is to be reported."""

    number: int
    method: str
    values: tuple[Any, ...]
    options: Mapping[str, Any]
    told: bool


class _Progress(NamedTuple):
    """How far a call is; the answer to it is whether to go on."""

    values: tuple[Any, ...]


class _Done(NamedTuple):
    """What came out of a call."""

    value: Any


class _Failed(NamedTuple):
    """What went wrong in it."""

    error: Exception


class _Opened(NamedTuple):
    """The generators are there: their programs' boards, and what they warned of."""

    boards: list[Any]
    warned: list[str]


class _Stopped(Exception):
    """Whoever called wants no more of it."""


class ApartGenerator:
    """A generator in the other process; one thread at a time may call it.

    Its errors are the generator's, raised here; and DeviceError where the process has ended, which
    the next call starts again.
    """

    parallel = 1

    def __init__(self, process: _Process, number: int, program: Program):
        self._process = process
        self._number = number
        self.program = program

    @property
    def unchecked(self) -> int:
        """As the generator's."""
        return int(self._call("__getattribute__", "unchecked"))

    def latents(self, count: int, seed: int = 0) -> NDArray[np.float32]:
        """As the generator's, without it: any thread may ask."""
        return inputs_of(self.program.input, count, seed)

    def generate(self, z: ArrayLike | Mapping[str, ArrayLike], **options: Any) -> Any:
        """As the generator's."""
        return self._call("generate", z, **options)

    def apply(self, image: ArrayLike, **options: Any) -> NDArray:
        """As the generator's."""
        made: NDArray = self._call("apply", image, **options)
        return made

    def counters(self) -> dict[str, int]:
        """As the generator's."""
        found: dict[str, int] = self._call("counters")
        return found

    def check(self) -> None:
        """As the generator's."""
        self._call("check")

    def _call(self, method: str, *values: Any, progress: Any = None, **options: Any) -> Any:
        call = _Call(self._number, method, values, options, progress is not None)
        return self._process.call(call, progress)


@contextmanager
def makers_apart(programs: Sequence[Program], **options: Any) -> Iterator[list[ApartGenerator]]:
    """As :func:`makers`, in a process of their own. The device is named, not an object."""
    process = _Process(programs, options)
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        boards = process.start()
        yield [
            ApartGenerator(process, number, replace(program, board=board))
            for number, (program, board) in enumerate(zip(programs, boards))
        ]
    finally:
        process.close()
        sys.setswitchinterval(before)


class _Process:
    """The other process, as it is seen from here."""

    def __init__(self, programs: Sequence[Program], options: Mapping[str, Any]):
        self._given = list(programs), dict(options)
        self._pipe: Connection | None = None
        self._process: Any = None
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> list[Any]:
        """Start it, and wait for its generators; their boards. Raises what they raise."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, *self._given), name="winogen-device", daemon=True
        )
        try:
            with theirs, _no_interrupts():
                self._process.start()
            opened = self._answer(None)
        except BaseException:
            self._end()
            raise
        assert isinstance(opened, _Opened)
        for text in opened.warned:
            warnings.warn(text, WinogenWarning, stacklevel=2)
        return opened.boards

    def call(self, call: _Call, progress: Callable[..., Any] | None) -> Any:
        """What a call of the other process's gives."""
        if self._closed:
            raise DeviceError(_CLOSED)
        if self._pipe is None:
            self.start()
        pipe = self._pipe
        if pipe is None:
            raise DeviceError(_CLOSED)
        try:
            pipe.send(call)
        except OSError:
            raise self._ended() from None
        answer = self._answer(progress)
        assert isinstance(answer, _Done)
        return answer.value

    def close(self) -> None:
        """Let it end what it has begun, kill it if that takes too long; it is not started again."""
        self._closed = True
        self._end()

    def _end(self) -> str | None:
        """How it ended; None where another thread sees to that, or it never began."""
        process = self._parted()
        if process is None or process.pid is None:
            return None
        process.join(_END_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _parted(self) -> Any:
        """The process, with its pipe closed, for the one who is to see to its end; else None."""
        with self._lock:
            process, self._process = self._process, None
            if self._pipe is not None:
                self._pipe.close()
                self._pipe = None
        return process

    def _answer(self, progress: Callable[..., Any] | None) -> _Opened | _Done:
        """The next answer that is not about progress; raises what went wrong, there or in it."""
        pipe = self._pipe
        if pipe is None:
            raise DeviceError(_CLOSED)
        stopped: BaseException | None = None
        try:
            while True:
                answer = pipe.recv()
                if not isinstance(answer, _Progress):
                    break
                try:
                    if progress is not None and stopped is None:
                        progress(*answer.values)
                except BaseException as error:
                    stopped = error
                pipe.send(stopped is None)
        except (EOFError, OSError):
            raise self._ended() from None
        if stopped is not None:
            raise stopped
        if isinstance(answer, _Failed):
            raise answer.error
        return answer

    def _ended(self) -> DeviceError:
        """The process is no more: why."""
        how = self._end()
        if how is None:  # close() had no patience with what this thread waited for
            return DeviceError(_CLOSED)
        return DeviceError(
            f"the process that has the device has ended ({how}); ask again: it is started anew"
        )


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """What is started here does not see Ctrl-C until it says so: it would end with a traceback."""
    resource_tracker.ensure_running()  # else it is started within, and unblocks them at its end
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in the other process ------------------------------------------------------------------------


def _work(pipe: Connection, programs: Sequence[Program], options: Mapping[str, Any]) -> None:
    """Open the generators, and do what is asked of them until nobody can ask any more."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    _leave_a_processor()
    try:
        _serve(pipe, programs, options)
    except WinogenError as error:  # the device cannot be given back, and nobody hears of it there
        print(f"winogen: {error}", file=sys.stderr)
        sys.exit(2)


def _serve(pipe: Connection, programs: Sequence[Program], options: Mapping[str, Any]) -> None:
    with ExitStack() as stack, suppress(EOFError, OSError):
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always", WinogenWarning)
                generators = stack.enter_context(makers(programs, **options))
        except Exception as error:
            pipe.send(_Failed(_portable(error)))
            return
        told = [str(w.message) for w in warned if issubclass(w.category, WinogenWarning)]
        warnings.simplefilter("ignore", WinogenWarning)  # requests' are told to nobody
        pipe.send(_Opened([generator.program.board for generator in generators], told))
        while True:
            pipe.send(_answered(pipe, generators, pipe.recv()))


def _answered(pipe: Connection, generators: Sequence[Generator], call: _Call) -> _Done | _Failed:
    options = dict(call.options)
    if call.told:
        options["progress"] = lambda *values: _tell(pipe, values)
    try:
        return _Done(getattr(generators[call.number], call.method)(*call.values, **options))
    except Exception as error:
        return _Failed(_portable(error))


def _tell(pipe: Connection, values: tuple[Any, ...]) -> None:
    pipe.send(_Progress(values))
    if not pipe.recv():
        raise _Stopped


def _portable(error: Exception) -> Exception:
    """An error as the other side can have it: winogen's as they are, of others what they say."""
    if isinstance(error, WinogenError):
        with suppress(Exception):
            pickle.loads(pickle.dumps(error))
            return error
        return DeviceError(one_line(error, 2000))
    return RuntimeError(f"{type(error).__name__}: {one_line(error)}")


def _leave_a_processor() -> None:
    """One processor is the server's, unless the user said how many threads there are to be."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ.setdefault("OMP_NUM_THREADS", str(max((there or 1) - 1, 1)))
