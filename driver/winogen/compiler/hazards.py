"""Dependency tokens: which instruction must wait for which, and the tokens that make it so.

Instructions of one engine run in order; between engines only tokens order them. From the memory
that each instruction reads and writes, this module finds the instructions of other engines that
it must follow, and sets ``signal`` and ``wait`` bits so that the n-th token from one engine to
another is taken by the n-th instruction that waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from winogen.target.isa import MAX_TOKENS, Instruction
from winogen.target.registers import Engine

#: Instructions from a token's giver to its taker at most, in program order. As many tokens as a
#: counter holds less these are the room in which the giver may run ahead.
_APART = MAX_TOKENS // 2


@dataclass(frozen=True)
class Access:
    """A range [start, stop) of a memory (an on-chip memory, table or DRAM segment)."""

    memory: str
    start: int
    stop: int
    write: bool


class TokenAssigner:
    """Feed it the instructions in program order; it sets their token bits."""

    def __init__(self) -> None:
        self._instructions: list[Instruction] = []
        #: For each memory, the latest access of each kind to each range.
        self._latest: dict[str, dict[tuple[int, int, Engine, bool], int]] = {}
        self._of_engine: dict[Engine, list[int]] = {engine: [] for engine in Engine}
        #: (waiting engine, awaited engine) -> last instruction waited for.
        self._waited: dict[tuple[Engine, Engine], int] = {}

    def add(self, instruction: Instruction, accesses: Sequence[Access]) -> None:
        """Append an instruction that makes these accesses."""
        index = len(self._instructions)
        self._instructions.append(instruction)
        engine = instruction.engine
        needs: dict[Engine, int] = {}
        for access in accesses:
            latest = self._latest.setdefault(access.memory, {})
            for (start, stop, other, write), last in latest.items():
                overlaps = start < access.stop and access.start < stop
                if overlaps and other is not engine and (write or access.write):
                    needs[other] = max(needs.get(other, -1), last)
        for access in accesses:
            latest = self._latest[access.memory]
            if access.write:  # whoever follows this write follows all that it waited for
                covered = [k for k in latest if access.start <= k[0] and k[1] <= access.stop]
                for key in covered:
                    del latest[key]
            latest[access.start, access.stop, engine, access.write] = index
        for other, last in needs.items():
            # No more tokens can be under way than instructions lie between a giver and its taker.
            # If they filled the counter, the giver would wait for the taker, not run ahead of it.
            last = max(last, *self._of_engine[other][-_APART:][:1])
            if last > self._waited.get((engine, other), -1):
                self._waited[engine, other] = last
                self._instructions[last].signal |= 1 << engine
                instruction.wait |= 1 << other
        self._of_engine[engine].append(index)
