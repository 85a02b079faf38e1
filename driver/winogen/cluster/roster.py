"""Who is there: workers that come, are asked what they are, are given the program, and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from winogen.cluster.members import Asks, Member, State
from winogen.cluster.pieces import Failure, LostError, name_of
from winogen.common.errors import ClusterError
from winogen.program.file import Program

#: Seconds in which a worker must say what it is.
_ABOUT_SECONDS = 20.0
#: Seconds until one that has not said is asked again.
_ASK_AGAIN_SECONDS = 5.0
#: Workers that have gone, and are remembered for messages.
_REMEMBERED = 8


class Hears(Protocol):
    """Who is told of changes."""

    def lost(self, member: Member, why: str, *, counts: bool) -> None:
        """A worker has gone with what it held."""

    def wake(self) -> None:
        """Something may be given now that could not before, or the other way."""


class Roster:
    """The workers of all schedulers, by their addresses.

    Parameters
    ----------
    program : what they are to run
    timeout : seconds in which one must have taken the program
    patience : seconds for which one is waited for, for messages
    tell : gets a sentence about a worker
    """

    def __init__(
        self, program: Program, timeout: float, patience: float, tell: Callable[[str], object]
    ):
        self.members: dict[str, Member] = {}
        self.name = name_of(program)
        self.program = program
        self.hears: Hears | None = None
        self._timeout, self._patience, self._tell = timeout, patience, tell
        self._data: bytes | None = None
        self._ended: list[tuple[str, str]] = []
        self._untold: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def joined(self, link: Asks, address: str) -> None:
        """A worker is there: ask what it is."""
        member = self.members[address] = Member(link, address)
        task = asyncio.ensure_future(self._greet(member))
        self._tasks.add(task)  # the loop itself would let go of it
        task.add_done_callback(self._tasks.discard)

    def left(self, address: str) -> None:
        """A worker is not there any more."""
        member = self.members.pop(address, None)
        if member is None or self.hears is None:
            return
        expected = member.state is State.LEAVING
        if member.held and not expected:
            self._tell(f"worker {member.name} ended: others get what it held")
        self._ended = [*self._ended[1 - _REMEMBERED :], (member.name, member.reason or "ended")]
        self.hears.lost(member, "ended", counts=not expected)
        self.hears.wake()

    def leaving(self, address: str) -> None:
        """A worker ends what it has, and wants nothing more."""
        member = self.members.get(address)
        if member is not None and member.state in (State.NEW, State.READY):
            member.state, member.reason = State.LEAVING, "is ending"
            self._wake()

    def able(self) -> list[Member]:
        """Those that may be given something."""
        return [member for member in self.members.values() if member.able]

    def hopeful(self) -> bool:
        """Whether somebody may be of use, now or soon."""
        return any(m.able or (m.state is State.NEW and m.link.alive) for m in self.members.values())

    def refused(self) -> bool:
        """Whether nobody is waited for, as those who are there are not what is needed."""
        return any(m.state is State.REFUSED and m.about for m in self.members.values())

    def tell_refused(self) -> None:
        """Say who is left out, where others go on."""
        while self._untold:
            self._tell(self._untold.pop(0))

    def nobody(self) -> ClusterError:
        """Why there is nobody to give anything to."""
        said = list(self._ended)
        said += [(m.name, m.reason) for m in self.members.values() if m.link.alive and m.reason]
        texts = [f"worker {name} {reason}" for name, reason in said[-_REMEMBERED:]]
        gone = {m.link.address for m in self.members.values() if not m.link.alive}
        texts += [f"the scheduler at {address} has gone" for address in sorted(gone)]
        because = "; ".join(texts) or (
            f"none has come within {self._patience:g} s: start 'winogen worker' on each board"
        )
        error = ClusterError(f"no worker of the cluster runs '{self.program.name}': {because}")
        error.workers = tuple(name for name, _ in said)
        return error

    async def check(self) -> list[str]:
        """Have every worker look for soft errors; what they found."""
        able = self.able()
        asked = [asyncio.wait_for(m.link.check(m.address, self.name), self._timeout) for m in able]
        found = []
        for member, one in zip(able, await asyncio.gather(*asked, return_exceptions=True)):
            if one is not None:
                text = one.text if isinstance(one, Failure) else "does not answer"
                found.append(f"worker {member.name}: {text}")
        return found

    async def close(self) -> None:
        """End what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _greet(self, member: Member) -> None:
        """Ask a worker what it is, again and again where it does not say."""
        while member.state in (State.NEW, State.SILENT):
            try:
                why = await self._unfit(member)
            except (LostError, asyncio.TimeoutError, TimeoutError) as error:
                member.state, member.reason = State.SILENT, str(error) or "does not answer"
                self._wake()
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
                if self.members.get(member.address) is not member:
                    return
                continue
            if member.state in (State.NEW, State.SILENT):  # it may be leaving by now
                member.state = State.READY if why is None else State.REFUSED
                member.reason = why or ""
                if why is not None:
                    self._untold.append(f"worker {member.name} is left out: it {why}")
            self._wake()

    async def _unfit(self, member: Member) -> str | None:
        """Why a worker cannot run the program, which it has from now on if it can."""
        about = await asyncio.wait_for(member.link.about(member.address), _ABOUT_SECONDS)
        if isinstance(about, Failure):
            return about.text
        member.about = about
        why = about.refusal(self.program, self.name)
        if why is not None or self.name in about.programs:
            return why
        if self._data is None:
            self._data = self.program.tobytes()
        failure = await asyncio.wait_for(
            member.link.take(member.address, self.name, self._data), self._timeout
        )
        return failure.text if failure else None

    def _wake(self) -> None:
        if self.hears is not None:
            self.hears.wake()
