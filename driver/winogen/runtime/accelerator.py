"""The driver of the accelerator: a ``pynq.DefaultIP``, bound to it by its VLNV.

``pynq.Overlay`` creates it as ``overlay.winogen_0`` on every device, emulated or real.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

from winogen.common.errors import CorruptionError, DeviceError, DeviceTimeoutError
from winogen.common.pynq_library import pynq
from winogen.runtime.reach import Buffer, window_words
from winogen.runtime.session import Lease
from winogen.runtime.state import read_state
from winogen.runtime.waiting import Deadline, InterruptLine
from winogen.target import registers
from winogen.target.board import CoreConfig
from winogen.target.hwh import VLNV
from winogen.target.registers import Access, Engine, ErrorCode, Segment

#: Longest pause between two looks at STATUS, seconds.
_POLL_SECONDS = 0.001
#: A soft reset waits for the answers that memory owes: microseconds, unless it is dead.
_RESET_SECONDS = 1.0
#: STATUS is looked at so often, in seconds, even if no interrupt comes: one may be lost.
_LOOK_SECONDS = 0.05
_AFTER_TIMEOUT = (
    "it is reset and can run again; if it is only slow, allow more (timeout, --timeout), else run "
    "'winogen doctor'"
)
_AFTER_WATCHDOG = "it is reset and can run again; 'winogen doctor' says whether the device is sound"
_CONTRADICTION = (
    "register STATUS says that the stream has failed, and ERROR_CODE that it has not: the logic or "
    "its register bus is faulty; run 'winogen doctor'"
)
_EVENTS = registers.pack("IRQ_STATUS", done=1, error=1)
_START = registers.pack("CONTROL", start=1)
_IDLE, _DONE, _ERROR = (registers.pack("STATUS", **{bit: 1}) for bit in ("idle", "done", "error"))
_SEGMENTS = tuple(Segment)
#: Registers of every run as words of the window: 32-bit accesses, and nothing around them.
_WORD = {name: register.offset // 4 for name, register in registers.BY_NAME.items()}


class WinogenCore(pynq.DefaultIP):
    """Registers of the accelerator as methods; every wait has a deadline.

    Attributes
    ----------
    unfinished : a stream was begun, and is not known to have ended
    lease : the part in the device's session that ends with this object
    poll_seconds : longest pause between two looks at STATUS
    """

    bindto = [VLNV]

    def __init__(self, description: Mapping[str, Any]):
        super().__init__(description)
        self.unfinished = False
        self.lease: Lease | None = None
        self.poll_seconds = _POLL_SECONDS
        self._attended = False  # somebody is in run, and resets what does not end
        self._idle = False  # the last run was seen to its end, and nothing has begun since
        self._held: dict[str, int] = {}  # settings, by register, as they were written last
        self._last: _Settings | None = None  # all of which were written
        self._build: CoreConfig | None = None
        self._windows = window_words({})
        self._wanted = self._settings(0, 0, {})  # of the last start

    def get(self, name: str) -> int:
        """Value of a register; of both halves for a 64-bit one named without suffix."""
        if name in registers.BY_NAME:
            return int(self.read(registers.offset(name)))
        low = int(self.read(registers.offset(f"{name}_LO")))
        return low | int(self.read(registers.offset(f"{name}_HI"))) << 32

    def set(self, name: str, value: int) -> None:
        """Write a register, or both halves of a 64-bit one named without suffix."""
        if name in registers.BY_NAME:
            if name == "CONTROL" and value & _START:
                self.unfinished, self._idle = True, False
            self.write(registers.offset(name), value)
        else:
            self.write(registers.offset(f"{name}_LO"), value & 0xFFFF_FFFF)
            self.write(registers.offset(f"{name}_HI"), value >> 32)

    def configuration(self) -> dict[str, int]:
        """What the registers tell of the build: fields of a ``CoreConfig`` by their names."""
        seen = registers.unpack("CAPABILITY", self.get("CAPABILITY"))
        for name in ("input", "weight", "psum", "output", "step"):
            seen[f"{name}_depth"] = self.get(f"{name.upper()}_DEPTH")
        return seen

    def check_identity(self, wanted: CoreConfig | None = None) -> None:
        """Raise DeviceError if this is not our accelerator, or not the build that is ``wanted``.

        CONFIG_HASH holds 32 bits of the hash, which a program can be made to match: what the
        other registers tell is compared too.
        """
        magic = self.get("MAGIC")
        if magic != registers.MAGIC_VALUE:
            raise DeviceError(
                f"register MAGIC reads 0x{magic:08x}, not 0x{registers.MAGIC_VALUE:08x}: the "
                "overlay holds no winogen accelerator at this address; load a winogen overlay"
            )
        version = registers.unpack("VERSION", self.get("VERSION"))
        major, minor, _ = registers.HARDWARE_VERSION
        if version["major"] != major or version["minor"] < minor:
            raise DeviceError(
                f"the overlay has hardware version {version['major']}.{version['minor']}, this "
                f"driver needs {major}.{minor} or a later {major}.x; build the overlay again"
            )
        if wanted is None:
            return
        found = self.get("CONFIG_HASH")
        if found != wanted.config_hash32:
            raise DeviceError(
                f"register CONFIG_HASH reads {found:08x}, the program needs "
                f"{wanted.config_hash32:08x}: it was compiled for another build of the "
                "accelerator; compile it for this board"
            )
        for name, value in self.configuration().items():
            if value != getattr(wanted, name):
                raise DeviceError(
                    f"the accelerator has {name} {value}, the program needs "
                    f"{getattr(wanted, name)}: it was compiled for another build of the "
                    "accelerator; compile it for this board"
                )
        self._build = wanted

    def allow(self, buffers: Mapping[Access, Sequence[Buffer]] | tuple[int, ...]) -> None:
        """Let streams access these buffers and no other memory, from the next start on.

        ``buffers`` may be what ``winogen.runtime.reach.window_words`` made of them.

        The windows are settings of a start as bases are: written where they change, and seen to be
        held before anything runs. ValueError if there are more buffers than windows.
        """
        self._windows = buffers if isinstance(buffers, tuple) else window_words(buffers)

    def start(self, stream_address: int, length: int, bases: Mapping[Segment, int]) -> None:
        """Run ``length`` instructions at a bus address with these segment bases.

        All that it accesses must be what :meth:`allow` has opened, or the stream fails. A stream
        that was left alone, by whomever, is abandoned first. Of the settings only those are written
        that change; that the accelerator holds all of them is seen before anything runs: with a
        wrong base it would write anywhere. Raises CorruptionError if a register holds something
        else.
        """
        if not self._idle:
            self.end_stream()
        self._idle = False
        self._wanted = self._settings(stream_address, length, bases)
        self._write_settings(self._wanted)
        window = self.mmio.array
        self.unfinished = True
        window[_WORD["IRQ_STATUS"]] = _EVENTS
        window[_WORD["CONTROL"]] = _START

    def wait(
        self,
        deadline: Deadline | float,
        *,
        line: InterruptLine | None = None,
        describe: Callable[[int], str] = "instruction {}".format,
        stop: Callable[[], bool] = lambda: False,
        expected: float = 0.0,
    ) -> None:
        """Wait until the stream has ended.

        Parameters
        ----------
        deadline : when to give up; a number is in seconds
        line : the interrupt to wait for, None for polling STATUS; see :meth:`run`
        describe : names the instruction at an index, for messages
        stop : ends the stream when it becomes true
        expected : seconds that it will take, before which there is little to be seen

        Raises
        ------
        DeviceError
            If the stream failed, or was stopped.
        DeviceTimeoutError
            If it has not ended at the deadline.

        After these, and after anything else that ends the wait, as Ctrl-C, the core is reset, so
        that memory can be given back and the next stream can run.
        """
        if not isinstance(deadline, Deadline):
            deadline = Deadline(deadline)
        try:
            ended = self._until_end(deadline, line, stop, expected)
            if not ended:
                failure = self._failure(deadline, describe)
        except BaseException:
            self._abandon()
            raise
        if not ended:
            raise failure
        self.unfinished = False

    def run(
        self,
        stream_address: int,
        length: int,
        bases: Mapping[Segment, int],
        deadline: Deadline | float,
        *,
        line: InterruptLine | None = None,
        describe: Callable[[int], str] = "instruction {}".format,
        stop: Callable[[], bool] = lambda: False,
        expected: float = 0.0,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """:meth:`start` and :meth:`wait`; with a ``line``, the interrupt is enabled until it ends.

        ``meanwhile`` is called while the stream runs. Nothing runs any more when this comes back,
        however it does. Raises CorruptionError too if a base register has changed by then: the
        stream may have written elsewhere, or failed so. DeviceError too if it has not executed all
        instructions, whatever STATUS says: memory would have the output of a run before.

        Without an error these are three reads of registers besides the looks at STATUS while it is
        waited for, of which there is one at least; and four writes, two more with a ``line``, where
        the stream stays the same. After anything else than a run that was seen to its end it is
        looked whether the accelerator is idle, too.
        """
        window = self.mmio.array
        self._attended = True
        try:
            try:
                if line is not None:
                    window[_WORD["IRQ_ENABLE"]] = _EVENTS
                self.start(stream_address, length, bases)
                meanwhile()
                self.wait(deadline, line=line, describe=describe, stop=stop, expected=expected)
            finally:
                if line is not None:
                    window[_WORD["IRQ_ENABLE"]] = 0
            self._check_settings(self._wanted)
            self._check_complete(length)
            self._idle = True
        except DeviceError as error:  # it is reset, or cannot be: the next start tries again
            if error.state is not None:  # the stream itself failed: a wrong base explains it
                self._check_settings(self._wanted, error)
            elif self.unfinished:  # what was to be done meanwhile has failed
                self._abandon()
            raise
        except BaseException:
            self._abandon()
            raise
        finally:
            self._attended = False

    def reset(self) -> None:
        """Soft reset: abandon the stream, clear errors and counters.

        Raises DeviceTimeoutError if the accelerator does not become idle, which needs the answers
        that memory still owes it.
        """
        self.set("CONTROL", registers.pack("CONTROL", reset=1))
        deadline = time.monotonic() + _RESET_SECONDS
        while not self._status()["idle"]:
            if time.monotonic() >= deadline:
                state = read_state(self.get)
                why = f"memory {state.memory}" if state.owed or state.offered else str(state)
                error = DeviceTimeoutError(
                    f"the accelerator is not idle {_RESET_SECONDS:g} s after a reset: {why}; load "
                    "the overlay again, as a new Generator does"
                )
                error.state = state
                raise error
            time.sleep(self.poll_seconds)
        self.unfinished = False

    def end_stream(self) -> None:
        """Reset if a stream runs that nobody waits for: it writes to memory."""
        if self.unfinished or not self._look() & _IDLE:
            self.reset()

    @property
    def lost(self) -> bool:
        """Whether a stream may be running that nobody waits for."""
        return self.unfinished and not self._attended

    def check_open(self) -> None:
        """Raise DeviceError if this was closed: another process may have the device."""
        if self.lease is None or self.lease.closed:
            raise DeviceError(
                "this device was closed; open it again (winogen.runtime.open.open_device)"
            )

    def close(self) -> None:
        """Let other processes have the device; a stream that runs has to be reset before."""
        if self.lease is not None:
            self.lease.close()

    def _settings(
        self, stream_address: int, length: int, bases: Mapping[Segment, int]
    ) -> _Settings:
        """The settings of a start; a segment without a base has 0."""
        addresses = [bases.get(segment, 0) for segment in _SEGMENTS]
        return _words(self._windows, length, stream_address, *addresses)

    def _write_settings(self, settings: _Settings) -> None:
        """Write what has changed, and all of it where the accelerator does not hold the rest."""
        window, held = self.mmio.array, self._held
        if settings is not self._last:
            self._last = None  # until all of it is there
            for name, value in settings.words.items():
                if held.get(name) != value:
                    held.pop(name, None)
                    window[_WORD[name]] = value
                    held[name] = value
            self._last = settings
        if self._sum() != settings.sum:
            # Another driver of this process has written its own, a bit has changed, or somebody
            # has loaded a bitstream and asked nobody.
            self._check_same()
            self.end_stream()
            for name, value in settings.words.items():
                window[_WORD[name]] = value
            self._check_settings(settings)

    def _check_same(self) -> None:
        """Raise DeviceError if the accelerator is not the one that was looked at."""
        try:
            self.check_identity(self._build)
        except DeviceError as error:
            raise DeviceError(
                "another overlay has been loaded on the device since it was opened, or nobody "
                f"answers on its bus; make a new Generator ({error})"
            ) from None

    def _check_settings(self, settings: _Settings, cause: DeviceError | None = None) -> None:
        """Raise CorruptionError if a register does not hold what was written to it.

        DeviceError where the accelerator is not the one that was looked at, or none at all.
        """
        found = self._sum()
        if found == settings.sum:
            return
        self._held.clear()
        self._last = None
        self._check_same()  # on a bus where nobody answers, every register reads wrong
        name, wanted = "SETTINGS_SUM", settings.sum
        for word, value in settings.words.items():
            held = self.get(word)
            if held != value:
                name, found, wanted = word, held, value
                break
        error = CorruptionError(
            f"register {name} reads 0x{found:x} instead of 0x{wanted:x}: the next run writes it "
            "again; if this comes back, run 'winogen doctor'"
        )
        error.part, error.offset = "register", registers.offset(name)
        raise error from cause

    def _check_complete(self, length: int) -> None:
        """Raise DeviceError if a stream that STATUS says is done was not executed to its end."""
        done = int(self.mmio.array[_WORD["INSTRUCTIONS_LO"]])
        if done != length:
            raise DeviceError(
                f"register STATUS says that the stream is done, and counter INSTRUCTIONS that "
                f"{done:,} of {length:,} instructions are: the logic or its register bus is "
                "faulty; run 'winogen doctor'"
            )

    def _look(self) -> int:
        """STATUS, all of it."""
        return int(self.mmio.array[_WORD["STATUS"]])

    def _sum(self) -> int:
        return int(self.mmio.array[_WORD["SETTINGS_SUM"]])

    def _status(self) -> dict[str, int]:
        return registers.unpack("STATUS", self.get("STATUS"))

    def _until_end(
        self,
        deadline: Deadline,
        line: InterruptLine | None,
        stop: Callable[[], bool],
        expected: float,
    ) -> bool:
        """Whether the stream has ended well; False if it failed or the deadline has passed."""
        end = time.monotonic() + deadline.seconds
        most = self.poll_seconds
        # Shorter sleeps take longer than they should.
        pause = min(expected, _LOOK_SECONDS) if line is None and expected > _POLL_SECONDS else 0.0
        while True:
            left = end - time.monotonic()
            if line is not None:
                line.wait(max(0.0, min(_LOOK_SECONDS, left)))
            if pause:
                time.sleep(pause)  # with interrupts too, which may come too early
            status = self._look()
            if status & _ERROR:
                return False
            if status & _DONE:
                return True
            if stop():
                raise DeviceError("the run was stopped, and the accelerator is reset")
            if status & _IDLE:
                raise DeviceError(
                    "the accelerator did not begin the stream; load the overlay again"
                )
            if left <= 0:
                return False
            pause = min(most, pause + most / 16)

    def _abandon(self) -> None:
        """Reset while something worse is on its way; the next start tries again."""
        with suppress(DeviceError):
            self.reset()

    def _failure(self, deadline: Deadline, describe: Callable[[int], str]) -> DeviceError:
        """What went wrong with the stream; the core is reset afterwards, if that is possible."""
        state = read_state(self.get)
        error: DeviceError
        if self._status()["error"]:
            code, text = self._describe_error(describe)
            error = DeviceError(f"the accelerator stopped with {text}")
            if code is ErrorCode.NONE:
                error = DeviceError(_CONTRADICTION)
            stopped = code is ErrorCode.WATCHDOG
            outcome = _AFTER_WATCHDOG
        else:
            text = f"the accelerator did not finish within {deadline}"
            if self.get("ERROR_CODE"):  # STATUS says so when memory has answered all
                text += f", after {self._describe_error(describe)[1]}"
            error = DeviceTimeoutError(text)
            stopped = True
            outcome = _AFTER_TIMEOUT
        try:
            self.reset()
        except DeviceTimeoutError as dead:
            outcome = f"then {dead}"
            stopped = True
        if stopped:
            lines = [f"{error}: {state.progress}", *state.lines(describe), outcome]
            error = type(error)("\n  ".join(lines))
        error.state = state
        return error

    def counters(self) -> dict[str, int]:
        """The hardware's counters of the last stream, by name (see the register reference)."""
        return {name.lower(): self.get(name) for name, _ in registers.COUNTERS}

    def describe_state(self) -> str:
        """What every engine is doing, in words."""
        return str(read_state(self.get))

    def _describe_error(self, describe: Callable[[int], str]) -> tuple[ErrorCode | None, str]:
        """The error code, and all that the registers say of the error in words."""
        fields = registers.unpack("ERROR_CODE", self.get("ERROR_CODE"))
        code: ErrorCode | None = None
        text, name = "an unknown error code", str(fields["code"])
        with suppress(ValueError):
            code = ErrorCode(fields["code"])
            text, name = code.text, code.name
        where = describe(self.get("ERROR_INSTRUCTION"))
        if code is not None and code.has_address:
            where += f", bus address 0x{self.get('ERROR_ADDRESS'):08x}"
        engine = Engine(fields["engine"]).name.lower() if fields["engine"] < 4 else "unknown"
        return code, f"{name} in the {engine} engine at {where}: {text}"


class _Settings(NamedTuple):
    """The words of ``registers.SETTINGS`` by name, and what SETTINGS_SUM reads with them."""

    words: Mapping[str, int]
    sum: int


@lru_cache(maxsize=64)
def _words(windows: tuple[int, ...], length: int, *addresses: int) -> _Settings:
    words = [length]
    for address in addresses:
        words += address & 0xFFFF_FFFF, address >> 32
    words += windows
    named = dict(zip(registers.SETTINGS, words, strict=True))
    return _Settings(named, registers.settings_sum(words))
