"""The device under test: opened by the first check that needs it, and small runs on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from winogen.common.errors import DeviceError
from winogen.doctor.system import System
from winogen.target import isa
from winogen.target.board import Board
from winogen.target.device_names import REMOTE
from winogen.target.isa import Instruction
from winogen.target.registers import Access, Segment

#: Seconds that a small run may take: microseconds on a board, seconds in a simulation.
RUN_SECONDS = {"emulator": 5.0, "rtl": 120.0, "board": 2.0, "remote": 10.0}


@dataclass
class Bench:
    """What the checks are told.

    Attributes
    ----------
    kind : ``emulator``, ``rtl``, ``board`` or ``remote``
    overlay : path of the bitstream; by default the board's own
    program : a program file to check too
    made : a ``pynq.Device`` to use in place of a new one
    system : the operating system around it
    name : the device's name, where that is more than its kind
    """

    kind: str
    board: Board
    overlay: Path | None = None
    program: Path | None = None
    made: Any = field(default=None, repr=False)
    system: System = field(default_factory=System, repr=False)
    name: str = ""
    _refused: DeviceError | None = field(default=None, init=False, repr=False)
    _lost: list[ExitStack] = field(default_factory=list, init=False, repr=False)

    @property
    def seconds(self) -> float:
        """Deadline of one small run."""
        return RUN_SECONDS[self.kind]

    @cached_property
    def bare(self) -> Any:
        """The pynq device, whatever is loaded; None where pynq finds no board."""
        import pynq  # here, so that a broken pynq fails its own check and no other

        from winogen.runtime import open as opening
        from winogen.runtime.pick import real_device

        if self.made is None and self.kind == "board":
            return real_device()
        if self.made is None and self.kind == REMOTE:
            if self._refused is not None:  # waited for once
                raise self._refused
            try:
                return opening.remote_device(self.name)
            except DeviceError as error:
                self._refused = error
                raise
        make = {"emulator": opening.emulated_device, "rtl": opening.rtl_device}
        device = self.made if self.made is not None else make[self.kind](self.board)
        # pynq looks for clocks and interrupts at its active device only.
        pynq.Device.active_device = device
        return device

    @property
    def is_hardware(self) -> bool:
        """Whether it is a board, this machine's or another."""
        return self.kind in ("board", REMOTE)

    def text(self, name: str) -> str:
        """What a small file of the board's system holds; empty where it cannot be read."""
        if self.kind != REMOTE:
            return self.system.text(name)
        return (self.bare.text_of(name) or "").replace("\0", "")

    @property
    def device(self) -> Any:
        """The pynq device, with the overlay loaded."""
        return self._opened[0]

    @property
    def loaded(self) -> Any:
        """The ``pynq.Overlay``."""
        return self._opened[1]

    @property
    def core(self) -> Any:
        """The accelerator's driver, a :class:`winogen.runtime.accelerator.WinogenCore`."""
        return self._opened[2]

    @cached_property
    def _opened(self) -> tuple[Any, Any, Any]:
        from winogen.runtime.open import open_device

        device = self.kind if self.bare is None else self.bare
        return open_device(device, self.board, self.overlay, active=True)

    @contextmanager
    def buffer(self, data: bytes) -> Iterator[Any]:
        """Contiguous memory that holds these bytes where the accelerator sees them."""
        import pynq

        buffer = pynq.allocate((len(data),), np.uint8, target=self.device, cacheable=1)
        try:
            buffer[:] = np.frombuffer(data, np.uint8)
            buffer.flush()
            yield buffer
        finally:
            buffer.freebuffer()

    @contextmanager
    def placed(
        self,
        stream: Sequence[Instruction] | bytes,
        segments: Mapping[Segment, bytes] | None = None,
        closed: Access | None = None,
    ) -> Iterator[tuple[dict[Segment, Any], Callable[[], None]]]:
        """The buffers of a stream's segments, and what starts the stream.

        Windows are open to them, but for the access that is ``closed``.
        At the end the core is reset before memory is given back; if it cannot be, memory that it
        may write to stays taken.
        """
        code = stream if isinstance(stream, bytes) else isa.encode(stream)
        with ExitStack() as stack:
            buffers = {
                segment: stack.enter_context(self.buffer((segments or {}).get(segment, bytes(64))))
                for segment in Segment
            }
            place = stack.enter_context(self.buffer(code))
            bases = {s: b.device_address for s, b in buffers.items()}
            allowed: dict[Access, list[Any]] = {
                Access.READ: list(buffers.values()),
                Access.WRITE: [buffers[Segment.OUTPUT], buffers[Segment.SCRATCH]],
                Access.FETCH: [place],
            }
            self.core.allow({a: b for a, b in allowed.items() if a is not closed})
            length = len(code) // isa.INSTRUCTION_BYTES
            start = partial(self.core.start, place.device_address, length, bases)
            try:
                yield buffers, start
            finally:
                try:
                    self.core.reset()
                except BaseException:
                    self._lost.append(stack.pop_all())
                    raise

    @contextmanager
    def started(
        self,
        stream: Sequence[Instruction] | bytes,
        segments: Mapping[Segment, bytes] | None = None,
        closed: Access | None = None,
    ) -> Iterator[dict[Segment, Any]]:
        """A stream that has just been started, and its buffers; see :meth:`placed`."""
        with self.placed(stream, segments, closed) as (buffers, start):
            start()
            yield buffers

    def run(
        self,
        stream: Sequence[Instruction] | bytes,
        segments: Mapping[Segment, bytes] | None = None,
    ) -> tuple[bytes, dict[str, int]]:
        """Run a stream to its end; the bytes of the output segment afterwards, and the counters.

        Raises DeviceError or DeviceTimeoutError as
        :meth:`winogen.runtime.accelerator.WinogenCore.wait` does.
        """
        with self.started(stream, segments) as buffers:
            self.core.wait(self.seconds)
            counters = self.core.counters()
            output = buffers[Segment.OUTPUT]
            output.invalidate()
            return bytes(output), counters
