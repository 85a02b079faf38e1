"""The worker's side, without Dask: a device that stays open, programs on it, and pieces run."""

from __future__ import annotations

import hashlib
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from winogen.cluster.pieces import (
    DAMAGED,
    DEVICE,
    LEAVING,
    PROTOCOL,
    STRANGE,
    About,
    Answer,
    Failure,
    Piece,
    name_of,
)
from winogen.common.errors import (
    CorruptionError,
    DeviceBusyError,
    InputError,
    ProgramError,
    WinogenError,
    WinogenWarning,
    one_line,
)
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.open import OpenDevice, open_device
from winogen.target.board import Board
from winogen.target.device_names import is_hardware
from winogen.version import __version__

#: Programs that clients have brought, at most; the one that was used the longest ago goes.
_MOST_BROUGHT = 4
#: Bytes of a program that a client brings, at most.
MOST_BYTES = 1 << 29
#: Seconds for which a program waits for a run to end.
_TURN_SECONDS = 600.0


class Station:
    """One device and its programs; use it as a context manager.

    Parameters
    ----------
    name : for messages
    device : ``board`` or ``remote:ADDRESS``, which is opened now and once, ``emulator`` or ``rtl``
    programs : what it runs, and nothing else; none: what clients bring
    board : the board that the device is; None for an emulated one: whatever a program is for
    overlay : path of the bitstream; an emulated device needs none
    options : further ones of :class:`winogen.runtime.generator.Generator`

    Raises
    ------
    As Generator: whatever is wrong with the device or the programs.
    """

    def __init__(
        self,
        name: str,
        device: str,
        programs: Sequence[Program] = (),
        *,
        board: Board | None = None,
        overlay: Any = None,
        **options: Any,
    ):
        self.name = name
        self.device = device
        self.leaving = False
        self._board, self._overlay, self._options = board, overlay, options
        self._takes = not programs
        self._lock = threading.Lock()
        self._generators: dict[str, Generator] = {}
        self._shared: OpenDevice | None = None
        self._stack = ExitStack()
        try:
            if is_hardware(device):
                self._board = board or (programs[0].board if programs else None)
                if self._board is None:
                    raise InputError("a board's worker without programs must know its board")
                self._shared = open_device(
                    device, self._board, overlay, lock_timeout=options.get("lock_timeout", 10.0),
                    active=options.get("waiting") == "interrupt",
                )  # fmt: skip
                self._stack.callback(self._shared.core.close)
            for program in programs:
                self._open(name_of(program), program)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Station:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the device back, with its memory and clocks as they were; ends what runs."""
        self.leaving = True
        try:
            while self._generators:
                self._generators.popitem()[1].close()
        finally:
            self._stack.close()

    def about(self) -> About:
        """What it is, and holds."""
        board = self._board
        return About(
            PROTOCOL, __version__, self.name, self.device, board.name if board else None,
            f"{board.core.config_hash32:08x}" if board else None,
            {name: own.program.name for name, own in self._generators.items()}, self._takes,
        )  # fmt: skip

    def take(self, name: str, data: bytes) -> Failure | None:
        """Put a program on the device that a client brings, or say why not.

        It is read as any file from outside is: nothing of it is run that was not checked.
        """
        if name in self._generators:
            return None
        if not self._takes:
            return Failure(STRANGE, "takes no program but its own")
        try:
            if len(data) > MOST_BYTES:
                raise ProgramError(f"the program has more than {MOST_BYTES:,} bytes")
            if hashlib.sha256(data).hexdigest() != name:
                return Failure(DAMAGED, "was sent a program that is not the one it was said to be")
            program = Program.frombytes(data, "the program that was sent")
            with self._turn():
                self._open(name, program)
                while len(self._generators) > _MOST_BROUGHT:
                    self._generators.pop(next(iter(self._generators))).close()
        except (WinogenError, MemoryError) as error:
            return Failure(DEVICE, one_line(error, 400))
        return None

    def run(self, piece: Piece) -> Answer | Failure:
        """What the device makes of a piece, sealed at once; or why it makes nothing."""
        if self.leaving:
            return Failure(LEAVING, "is ending")
        if not piece.intact:
            return Failure(DAMAGED, "was sent inputs that are not what the client had sealed")
        try:
            with self._turn():
                generator = self._generators.pop(piece.program, None)
                if generator is None:
                    return Failure(STRANGE, f"does not hold program {piece.program[:12]}")
                self._generators[piece.program] = generator  # now the last to go
                return self._made(generator, piece)
        except CorruptionError as error:
            return Failure(DAMAGED, one_line(error, 400))
        except (WinogenError, MemoryError, OSError) as error:
            return Failure(LEAVING if self.leaving else DEVICE, one_line(error, 400))

    def check(self, name: str) -> Failure | None:
        """Look for soft errors now; what is wrong, or None."""
        try:
            with self._turn():
                if name in self._generators:
                    self._generators[name].check()
        except WinogenError as error:
            return Failure(DAMAGED, one_line(error, 400))
        return None

    def _made(self, generator: Generator, piece: Piece) -> Answer:
        begin = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WinogenWarning)  # the client has seen to it
            out = generator.generate(
                piece.rows(), as_float=piece.as_float, exit=piece.exit, count=piece.count
            )
        if generator.unchecked:
            generator.check()
        seconds = time.monotonic() - begin
        return Answer.of(piece, out, seconds, generator.counters() if piece.count else None)

    def _open(self, name: str, program: Program) -> None:
        shared = self._shared
        self._generators[name] = Generator(
            program, self.device if shared is None else shared, board=self._board,
            overlay=self._overlay if shared is None else None, **self._options,
        )  # fmt: skip

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The device for one thread alone."""
        if not self._lock.acquire(timeout=_TURN_SECONDS):
            raise DeviceBusyError(f"the device was busy for {_TURN_SECONDS:g} s")
        try:
            yield
        finally:
            self._lock.release()
