"""What goes to a worker and comes back: arrays as bytes, under a seal that is looked at there.

The seal of an answer is taken beside the device, before anything else has it. So whatever changes
between there and the caller is found: in the worker's memory, in Dask, on the wire.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from winogen.program.digests import Digest
from winogen.program.file import Program

#: Version of what is said between clients and workers; both must have the same.
PROTOCOL = 1
#: Kinds of :class:`Failure`.
DEVICE, DAMAGED, LEAVING, STRANGE = "device", "damaged", "leaving", "strange"
#: Those that a client finds itself.
LOST, TRANSFER = "lost", "transfer"


class LostError(Exception):
    """A worker, or its scheduler, has gone with what it was asked for; the text says how."""


def name_of(program: Program) -> str:
    """What names a program among machines: the SHA-256 of its file's bytes, in hexadecimal."""
    return hashlib.sha256(program.tobytes()).hexdigest()


@dataclass(frozen=True)
class Seal:
    """Checksums of bytes, and of what is said of them."""

    head: int
    data: Digest

    @classmethod
    def of(cls, head: object, data: bytes) -> Seal:
        """The seal of ``data`` and of ``head``, which has one text."""
        return cls(zlib.crc32(repr(head).encode()), Digest.of(data))


@dataclass(frozen=True)
class Piece:
    """Inputs for a worker.

    Attributes
    ----------
    number : of the piece in its client, which the answer repeats
    program : its name, by :func:`name_of`
    exit : how far to run it
    as_float, count : as :meth:`winogen.Generator.generate` has them
    shape, dtype, data : the inputs (N, C, H, W)
    seal : of all of it
    """

    number: int
    program: str
    exit: int
    as_float: bool
    count: bool
    shape: tuple[int, ...]
    dtype: str
    data: bytes = field(repr=False)
    seal: Seal | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, number: int, program: str, rows: NDArray, *, exit: int, as_float: bool, count: bool
    ) -> Piece:
        """A sealed one."""
        bare = cls(number, program, exit, as_float, count, rows.shape, rows.dtype.str,
                   np.ascontiguousarray(rows).tobytes())  # fmt: skip
        return cls(*bare._head(), bare.data, Seal.of(bare._head(), bare.data))

    def _head(self) -> tuple[int, str, int, bool, bool, tuple[int, ...], str]:
        return (self.number, self.program, self.exit, self.as_float, self.count, self.shape,
                self.dtype)  # fmt: skip

    @property
    def intact(self) -> bool:
        """Whether it is as it was when it was sealed."""
        return self.seal == Seal.of(self._head(), self.data)

    def rows(self) -> NDArray:
        """The inputs."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Answer:
    """What a worker's device made of a piece.

    Attributes
    ----------
    number, program, exit : those of the piece
    shape, dtype, data : the outputs
    seconds : that the device was at it
    counters : of the hardware, where they were asked for
    seal : of the first six
    """

    number: int
    program: str
    exit: int
    shape: tuple[int, ...]
    dtype: str
    data: bytes = field(repr=False)
    seconds: float = 0.0
    counters: Mapping[str, int] | None = None
    seal: Seal | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, piece: Piece, out: NDArray, seconds: float, counters: Mapping[str, int] | None
    ) -> Answer:
        """A sealed one."""
        data = out.tobytes()
        head = (piece.number, piece.program, piece.exit, out.shape, out.dtype.str)
        return cls(*head, data, seconds, counters, Seal.of(head, data))

    def _head(self) -> tuple[int, str, int, tuple[int, ...], str]:
        return (self.number, self.program, self.exit, self.shape, self.dtype)

    def suits(self, piece: Piece, shape: tuple[int, ...], dtype: np.dtype) -> bool:
        """Whether it is intact, and the answer to this piece with outputs of this shape."""
        head = (piece.number, piece.program, piece.exit, shape, dtype.str)
        return self._head() == head and self.seal == Seal.of(head, self.data)

    def array(self) -> NDArray:
        """The outputs, after :meth:`suits` was true."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Failure:
    """Why there is no answer; ``kind`` is one of the above, ``text`` a sentence."""

    kind: str
    text: str


@dataclass(frozen=True)
class About:
    """What a worker says of itself.

    Attributes
    ----------
    protocol, version : of what it speaks, and of winogen
    name : for messages
    device : ``board``, ``emulator`` or ``rtl``
    board : the board that it is, or None for one that is whatever a program is for
    config : the board's build configuration, in hexadecimal
    programs : what it holds, names of networks by names of programs
    takes : whether it takes other programs than those
    """

    protocol: int
    version: str
    name: str
    device: str
    board: str | None
    config: str | None
    programs: Mapping[str, str]
    takes: bool

    def refusal(self, program: Program, wanted: str) -> str | None:
        """Why it cannot run a program, in a sentence after its name; None if it can."""
        if self.protocol != PROTOCOL:
            return (
                f"has winogen {self.version}, which speaks of pieces in another way: install one "
                "version everywhere"
            )
        core = program.core
        if self.config is not None and self.config != f"{core.config_hash32:08x}":
            return (
                f"is board {self.board} (configuration {self.config}), and program "
                f"'{program.name}' was compiled for {program.board.name} "
                f"({core.config_hash32:08x}): compile it with --board {self.board}"
            )
        if wanted in self.programs or self.takes:
            return None
        held = ", ".join(f"'{name}' ({own[:12]})" for own, name in self.programs.items())
        return (
            f"holds {held}, and takes no other program: '{program.name}' is {wanted[:12]}; start "
            "it with that file, or with none"
        )
