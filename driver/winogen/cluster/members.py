"""The workers of a cluster as a client sees them: who may be given something, and why not."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from winogen.cluster.pieces import About, Answer, Failure, Piece
from winogen.cluster.sharing import AHEAD, Load

if TYPE_CHECKING:
    import asyncio

    from winogen.cluster.call import Call, Part

#: Failures one after the other after which a worker is left alone for a while.
MOST_STRIKES = 3


class Asks(Protocol):
    """How members are reached; :class:`winogen.cluster.link.Link` does it."""

    address: str

    @property
    def alive(self) -> bool:
        """Whether its scheduler is there."""

    async def about(self, address: str) -> About | Failure:
        """What a worker says of itself."""

    async def take(self, address: str, name: str, data: bytes) -> Failure | None:
        """Give a worker a program."""

    async def check(self, address: str, name: str) -> Failure | None:
        """Have a worker look for soft errors."""

    async def ask(self, address: str, piece: Piece) -> Answer | Failure:
        """What it makes of a piece; LostError where that will never be known."""


class State(Enum):
    """What may be expected of a worker."""

    NEW = "new"  # it is being asked what it is
    SILENT = "silent"  # it has not said yet, and is asked again
    READY = "ready"
    LEAVING = "leaving"  # it ends what it has
    REFUSED = "refused"  # it is not what is needed
    WRONG = "wrong"  # it gave wrong images


@dataclass(eq=False)
class Sent:
    """A part that a worker has; ``of`` is who made it, where it is made again to compare."""

    call: Call
    part: Part
    member: Member
    of: str | None = None
    since: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None


@dataclass(eq=False)
class Member:
    """A worker.

    Attributes
    ----------
    link, address : how it is reached
    about : what it says of itself, once it has
    reason : why it is given nothing
    rest_until : until when it is left alone
    speed, device : measured from here, and by itself beside its device, in rows a second
    last : when it answered last
    debt : of parts that are to be made again elsewhere; at 1 the next one is
    strikes : failures since it last made something
    pieces, failures : that it has made, or not
    """

    link: Asks
    address: str
    about: About | None = None
    state: State = State.NEW
    reason: str = ""
    rest_until: float = 0.0
    speed: float | None = None
    device: float | None = None
    last: float = 0.0
    debt: float = 1.0
    strikes: int = 0
    pieces: int = 0
    failures: int = 0
    held: list[Sent] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.about.name} ({self.address})" if self.about else self.address

    @property
    def able(self) -> bool:
        """Whether it may be given something at all."""
        return self.state is State.READY and time.monotonic() >= self.rest_until and self.link.alive

    @property
    def proven(self) -> bool:
        """Whether it has made something, and has not failed since."""
        return self.pieces > 0 and not self.strikes

    @property
    def room(self) -> int:
        """Pieces that it may be given more; after failures it has one at a time."""
        return (1 if self.strikes else AHEAD) - len(self.held) if self.able else 0

    @property
    def load(self) -> Load:
        """Its speed, and what it holds."""
        return Load(self.speed, sum(sent.part.count for sent in self.held), self.device)


@dataclass(frozen=True)
class WorkerInfo:
    """A worker, for people.

    Attributes
    ----------
    name, address : of the worker
    device, board : what it is; ``board`` is None for an emulated one that is any
    state : ``new``, ``silent`` (it has not said what it is), ``ready``, ``resting`` (it failed,
        and is left alone for a while), ``leaving``, ``refused`` or ``wrong``
    reason : why it is given nothing, or an empty text
    images_per_second : measured here, or None
    pieces, failures : that it has made, or not
    """

    name: str
    address: str
    device: str
    board: str | None
    state: str
    reason: str
    images_per_second: float | None
    pieces: int
    failures: int

    @classmethod
    def of(cls, member: Member) -> WorkerInfo:
        """What there is to say of a member."""
        about = member.about
        resting = member.state is State.READY and not member.able
        return cls(
            about.name if about else member.address, member.address, about.device if about else "?",
            about.board if about else None, "resting" if resting else member.state.value,
            member.reason, member.speed, member.pieces, member.failures,
        )  # fmt: skip


def by_readiness(members: Iterable[Member]) -> list[Member]:
    """Those with room, who holds the least first, and of these the fastest."""
    return sorted(
        (m for m in members if m.room > 0),
        key=lambda m: (len(m.held), -(m.speed if m.speed is not None else math.inf)),
    )
