"""Calls given to workers in parts, and what came back: lost parts, wrong ones, a sample made twice.

All of it is in one event loop, so nothing here needs a lock. Nothing here is of Dask's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import count
from typing import Any

from numpy.typing import NDArray

from winogen.cluster.call import MOST_TRIES, Call, Part
from winogen.cluster.members import MOST_STRIKES, Member, Sent, State, by_readiness
from winogen.cluster.pieces import (
    LEAVING,
    LOST,
    TRANSFER,
    Answer,
    Failure,
    LostError,
    Piece,
)
from winogen.cluster.roster import Roster
from winogen.cluster.sharing import measured, piece_rows
from winogen.common.errors import ClusterError

#: Seconds between two looks at clocks.
_LOOK = 0.05
#: Looks for which calls are waited for at the end.
_ENDS = 20
#: Seconds for which a worker that fails is left alone.
_REST_SECONDS = 60.0

#: Makes the outputs of inputs, to an exit, as floats or not, beyond doubt.
Judge = Callable[[NDArray, int, bool], NDArray]


class Engine:
    """Workers, and the calls that they share.

    Parameters
    ----------
    roster : the workers
    judge : decides where two of them differ; it is called in another thread
    timeout : seconds that a worker may take for a piece
    patience : seconds for which a worker is waited for where there is none
    verify : part of the pieces that another worker makes again
    tell : gets a sentence about a worker

    Attributes
    ----------
    verified : pieces that were made again
    unverified : those that were to be, where there was no other worker
    """

    def __init__(
        self,
        roster: Roster,
        judge: Judge,
        *,
        timeout: float,
        patience: float,
        verify: float,
        tell: Callable[[str], object],
    ):
        self.verified = self.unverified = 0
        self._roster = roster
        self._judge = judge
        self._timeout, self._patience, self._verify = timeout, patience, verify
        self._tell = tell
        self._calls: list[Call] = []
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched = 0.0
        roster.hears = self

    # --- a call ----------------------------------------------------------------------------------

    async def run(self, call: Call) -> None:
        """Have all of a call made. ClusterError where that cannot be."""
        self._calls.append(call)
        alone_since: float | None = None
        try:
            while not call.finished:
                call.changed.clear()
                self._give(call)
                if call.in_flight or call.judging or self._roster.hopeful():
                    alone_since = None
                else:
                    now = time.monotonic()
                    alone_since = alone_since or now
                    if self._roster.refused() or now - alone_since > self._patience:
                        raise self._roster.nobody()
                with suppress(asyncio.TimeoutError, TimeoutError):
                    await asyncio.wait_for(call.changed.wait(), _LOOK)
                self._watch()
            if call.error is not None:
                raise call.error
        finally:
            self._calls.remove(call)
            for member in self._roster.members.values():
                for sent in [s for s in member.held if s.call is call]:
                    self._drop(sent)

    def lost(self, member: Member, why: str, *, counts: bool) -> None:
        """Take all back that a worker holds; it counts as a try, or not."""
        for sent in list(member.held):
            self._drop(sent)
            self._back(sent, why, counts=counts)

    def wake(self) -> None:
        """Have every call look what can be given."""
        for call in self._calls:
            call.changed.set()

    async def close(self) -> None:
        """End what is under way: calls in other threads, too, with an error."""
        for call in self._calls:
            call.error = call.error or ClusterError("the cluster was closed during a call")
        self.wake()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(_ENDS):
            if not self._calls:
                break
            await asyncio.sleep(_LOOK)

    # --- giving ----------------------------------------------------------------------------------

    def _give(self, call: Call) -> None:
        """Give what can be given, to those who hold the least first."""
        if not self._roster.able():
            return
        self._roster.tell_refused()
        self._forget_checks(call)
        given = True
        while given and call.error is None:
            given = False
            for member in by_readiness(self._roster.members.values()):
                part, of = self._next(call, member)
                if part is not None:
                    self._send(call, part, member, of)
                    given = True
                    break

    def _next(self, call: Call, member: Member) -> tuple[Part | None, str | None]:
        """What this worker should be given; with who made it, where that is to be compared."""
        for part in call.again:
            if member in self._best(part):
                call.again.remove(part)
                return part, None
        for part in call.checks:
            if part.made != member.address:
                call.checks.remove(part)
                return part, part.made
        loads = [member.load for member in self._roster.able()]
        rows = piece_rows(call.fresh, call.batch, call.most, member.load, loads)
        return call.cut(rows), None

    def _best(self, part: Part) -> list[Member]:
        """Who should have a part that is given again: others than before, and who does not fail."""
        able = self._roster.able()
        had = {address for address, _ in part.tries}
        others = [member for member in able if member.address not in had]
        if not had:
            return able
        proven = [member for member in others if member.proven]
        return proven or [m for m in others if not m.strikes] or others or able

    def _forget_checks(self, call: Call) -> None:
        """Let go of checks that there is no other worker for."""
        able = {member.address for member in self._roster.able()}
        for part in [p for p in call.checks if not able - {p.made}]:
            call.checks.remove(part)
            self.unverified += 1

    def _send(self, call: Call, part: Part, member: Member, of: str | None) -> None:
        sent = Sent(call, part, member, of)
        member.held.append(sent)
        call.in_flight += 1
        sent.task = self._begin(self._ask(sent))

    async def _ask(self, sent: Sent) -> None:
        call, member = sent.call, sent.member
        piece = Piece.of(
            next(self._numbers), self._roster.name, call.x[sent.part.rows], exit=call.exit,
            as_float=call.as_float, count=call.count,
        )  # fmt: skip
        said: Answer | Failure
        try:
            said = await member.link.ask(member.address, piece)
        except LostError as error:
            said = Failure(LOST, str(error))
        except asyncio.CancelledError:
            if sent not in member.held:
                raise
            said = Failure(LOST, "lost what it was given")  # by what it was asked through
        if sent not in member.held:  # it was given up meanwhile
            return
        member.held.remove(sent)
        call.in_flight -= 1
        shape = (sent.part.count, *call.out.shape[1:])
        if isinstance(said, Answer) and not said.suits(piece, shape, call.out.dtype):
            said = Failure(
                TRANSFER,
                "sent outputs that are not what its device had made (their checksum differs)",
            )
        now = time.monotonic()
        if isinstance(said, Answer):
            # Two answers may come together: the second was no faster than its device.
            seconds = max(now - max(sent.since, member.last), said.seconds)
            member.speed = measured(member.speed, sent.part.count, seconds)
            member.device = measured(member.device, sent.part.count, said.seconds)
            member.last = now
            member.strikes = 0
            member.pieces += 1
            self._made(sent, said)
        else:
            member.last = now
            self._failed(sent, said)
        self.wake()

    # --- what came of it -------------------------------------------------------------------------

    def _made(self, sent: Sent, answer: Answer) -> None:
        call, part, member = sent.call, sent.part, sent.member
        made = answer.array()
        if sent.of is not None:
            if part.made != sent.of:
                return  # it has been made anew since
            if call.same(part, made):
                part.verified = True
                self.verified += 1
            else:
                call.judging += 1
                self._begin(self._settle(sent, made))
            return
        call.put(part, made, member.address)
        call.add(answer.counters)
        if self._verify and not part.verified:
            member.debt += self._verify
            if member.debt >= 1:
                member.debt -= 1
                call.checks.append(part)

    async def _settle(self, sent: Sent, made: NDArray) -> None:
        """Two workers made different outputs of one part: find out which are right."""
        call, part = sent.call, sent.part
        try:
            right = await asyncio.to_thread(
                self._judge, call.x[part.rows], call.exit, call.as_float
            )
            wrong = [] if made.tobytes() == right.tobytes() else [sent.member.address]
            if part.made is not None and part.made == sent.of:  # else it is made again anyway
                wrong += [] if call.same(part, right) else [part.made]
                call.out[part.rows] = right
                part.verified = True
            self.verified += 1
            for address in wrong:
                self._convict(address)
        except Exception as error:
            call.error = call.error or error
        finally:
            call.judging -= 1
            self.wake()

    def _convict(self, address: str) -> None:
        """A worker gives wrong images: it is out, and what it made is made again."""
        rows = sum(call.redo(address) for call in self._calls)
        member = self._roster.members.get(address)
        if member is not None and member.state is State.WRONG:
            return
        name = member.name if member else address
        again = f"; {rows} other inputs that it had are made again" if rows else ""
        self._tell(
            f"worker {name} gives wrong images, by comparison with another worker and the emulated "
            f"device: it is left out{again}; earlier calls may have wrong ones of it too"
        )
        if member is not None:
            member.state, member.reason = State.WRONG, "gave wrong images"
            self.lost(member, "gave wrong images", counts=False)

    def _failed(self, sent: Sent, failure: Failure) -> None:
        member = sent.member
        if failure.kind == LEAVING:
            self._roster.leaving(member.address)
            self._back(sent, failure.text, counts=False)
            return
        member.failures += 1
        member.strikes += 1
        if failure.kind != LOST or member.address in self._roster.members:
            self._tell(f"worker {member.name} {failure.text}: another one gets what it had")
        if member.strikes >= MOST_STRIKES:
            member.rest_until = time.monotonic() + _REST_SECONDS
            member.reason = f"failed {member.strikes} times ({failure.text})"
        self._back(sent, failure.text, counts=True)

    def _watch(self) -> None:
        """Give up on who takes too long."""
        now = time.monotonic()
        if now < self._watched + _LOOK:
            return
        self._watched = now
        for member in list(self._roster.members.values()):
            if member.held and now - max(member.held[0].since, member.last) > self._timeout:
                why = f"gave no answer within {self._timeout:g} s"
                self._tell(f"worker {member.name} {why}: others get what it held")
                member.strikes += 1
                member.failures += 1
                member.rest_until = now + max(_REST_SECONDS, self._timeout)
                member.reason = why
                self.lost(member, why, counts=True)
                self.wake()

    def _drop(self, sent: Sent) -> None:
        """Expect nothing more of it."""
        if sent in sent.member.held:
            sent.member.held.remove(sent)
            sent.call.in_flight -= 1
        if sent.task is not None:
            sent.task.cancel()

    def _back(self, sent: Sent, why: str, *, counts: bool) -> None:
        """A part is to be given to somebody else, or has been given often enough."""
        call, part, member = sent.call, sent.part, sent.member
        if sent.of is not None:
            if part.made == sent.of and not part.verified:
                call.checks.append(part)
            return
        if counts:
            part.tries.append((member.address, f"worker {member.name}, which {why}"))
        if len(part.tries) < MOST_TRIES:
            call.again.append(part)
            return
        had = [told for _, told in part.tries]
        error = ClusterError(
            f"network '{self._roster.program.name}': {part.told} were given to "
            f"{' and to '.join(had)}; that is tried no more: look at these workers"
        )
        error.workers = tuple(dict.fromkeys(address for address, _ in part.tries))
        call.error = call.error or error

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the loop itself would let go of it
        task.add_done_callback(self._tasks.discard)
        return task
