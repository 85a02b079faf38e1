"""What the core refuses of an instruction by itself: the one home of these rules.

The check in Python (:mod:`winogen.target.checks`), the SystemVerilog
(``wg_descriptor_rules.sv``) and the reference come from this table. Rules are in the order in which
a message names them; the hardware looks at all of them. What depends on the contents of tables and
parameters is no rule here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from winogen.target.board import CoreConfig
from winogen.target.expressions import Expression
from winogen.target.isa import TABLE_ENTRIES, Instruction, Opcode, Table


@dataclass(frozen=True)
class Depth:
    """Words of an on-chip memory or entries of a table: so many times a field of CoreConfig, or
    the same in every build."""

    field: str | None
    number: int = 1

    def of(self, core: CoreConfig) -> int:
        """The depth in a build."""
        return self.number if self.field is None else self.number * getattr(core, self.field)

    def __str__(self) -> str:
        if self.field is None:
            return str(self.number)
        return f"{self.number} * {self.field}" if self.number > 1 else self.field

    def python(self) -> str:
        """It in Python, where ``c`` is the CoreConfig."""
        return str(self.number) if self.field is None else f"{self.number} * c.{self.field}"


#: What an instruction can reach the end of, and how deep that is.
MEMORIES: dict[str, Depth] = {
    "input buffer": Depth("input_depth"),
    "weight buffer": Depth("weight_depth"),
    "partial-sum memory": Depth("psum_depth"),
    "output buffer": Depth("output_depth"),
    "parameter buffer": Depth("param_depth"),
    "step table": Depth("step_depth"),
    "accumulator table": Depth("accumulator_depth", 2),
    "accumulators": Depth("accumulator_depth"),
    "phase table": Depth("phase_depth"),
    "activation table": Depth(None, TABLE_ENTRIES),
}


def table_memory(table: Table) -> str:
    """What ``MEMORIES`` calls a table."""
    return f"{table.name.lower()} table"


@dataclass(frozen=True)
class OwnEngine:
    """It must not name its own engine in ``wait`` or ``signal``."""

    def python(self) -> str:
        """When it is refused: Python in which ``i`` is the instruction and ``c`` the CoreConfig."""
        return "(i.wait | i.signal) & 1 << i.engine"

    def problem(self, instruction: Any, core: CoreConfig) -> str:
        """Why it is refused, in words."""
        return "an engine cannot wait for itself"


@dataclass(frozen=True)
class Aligned:
    """``offset`` must be a whole number of words of activations."""

    def python(self) -> str:
        """See OwnEngine."""
        return "i.offset % c.word_bytes"

    def problem(self, instruction: Any, core: CoreConfig) -> str:
        """See OwnEngine."""
        return f"its offset {instruction.offset} is not a multiple of {core.word_bytes} bytes"


@dataclass(frozen=True)
class Forbidden:
    """``condition`` must not hold; ``message`` may quote fields, ``why`` is for the reference."""

    condition: Expression
    message: str
    why: str

    def python(self) -> str:
        """See OwnEngine."""
        return self.condition.python("i")

    def problem(self, instruction: Any, core: CoreConfig) -> str:
        """See OwnEngine."""
        names = self.condition.names
        return self.message.format_map({name: getattr(instruction, name) for name in names})


@dataclass(frozen=True)
class PairsOnly:
    """Where a multiplier makes one product, these fields must be zero."""

    names: tuple[str, ...]

    def python(self) -> str:
        """See OwnEngine."""
        return f"c.products == 1 and ({' or '.join(f'i.{name}' for name in self.names)})"

    def problem(self, instruction: Any, core: CoreConfig) -> str:
        """See OwnEngine."""
        name = next(n for n in self.names if getattr(instruction, n))
        return f"{name} is set, and this build has no pairs of output blocks"


@dataclass(frozen=True)
class DecoderOnly:
    """Where a build has no decoder, these fields must be zero."""

    names: tuple[str, ...]

    def python(self) -> str:
        """See OwnEngine."""
        return f"not c.decoder and ({' or '.join(f'i.{name}' for name in self.names)})"

    def problem(self, instruction: Any, core: CoreConfig) -> str:
        """See OwnEngine."""
        name = next(n for n in self.names if getattr(instruction, n))
        return f"{name} is set, and this build has no decoder of weights"


@dataclass(frozen=True)
class NotZero:
    """None of these fields may be zero."""

    names: tuple[str, ...]

    def python(self) -> str:
        """See OwnEngine."""
        return f"not ({' and '.join(f'i.{name}' for name in self.names)})"

    def problem(self, instruction: Any, core: CoreConfig) -> str:
        """See OwnEngine."""
        return f"{next(n for n in self.names if getattr(instruction, n) == 0)} is zero"


@dataclass(frozen=True)
class Within:
    """``end``, a base plus a product, must not lie beyond the end of ``memory``.

    Without a memory it is that of the table which the field ``table`` names.
    """

    memory: str | None
    end: Expression

    @property
    def base(self) -> Expression | None:
        """Where it begins: None for zero."""
        first, *more = self.end.terms
        return first if more else None

    @property
    def factors(self) -> tuple[Expression, ...]:
        """What is multiplied to give its size."""
        return self.end.terms[-1].factors

    def python(self) -> str:
        """See OwnEngine."""
        if self.memory is None:
            tables = ", ".join(MEMORIES[table_memory(t)].python() for t in Table)
            return f"{self.end.python('i')} > ({tables})[i.table]"
        return f"{self.end.python('i')} > {MEMORIES[self.memory].python()}"

    def problem(self, instruction: Any, core: CoreConfig) -> str:
        """See OwnEngine."""
        memory = self.memory or table_memory(Table(instruction.table))
        end = _function(self.end.python("i"))(instruction, core)
        return f"it reaches word {end} of the {memory}, which has {MEMORIES[memory].of(core)}"


Rule = OwnEngine | Aligned | Forbidden | PairsOnly | DecoderOnly | NotZero | Within


def _not_zero(names: str) -> NotZero:
    return NotZero(tuple(names.split()))


def _within(memory: str | None, end: str) -> Within:
    return Within(memory, Expression(end))


#: The input buffer has four banks; this pitch puts any 2 x 2 pixels in different ones.
_NARROW = Forbidden(
    Expression("pitch < columns"),
    "its pitch {pitch} is less than its {columns} columns",
    "rows would overlap",
)
_BANKS = "its pitch {pitch} is not 2 more than a multiple of 4"
_SAME_BANK = "pixels that are read together would lie in one bank"

#: Rules of each opcode, in the order in which a message names them.
RULES: dict[Opcode, tuple[Rule, ...]] = {
    Opcode.LOAD_INPUT: (
        OwnEngine(),
        _NARROW,
        Forbidden(Expression("rows and pitch % 4 != 2"), _BANKS, _SAME_BANK),
        _not_zero("images blocks rows columns column_step"),
        _within("input buffer", "base + images * blocks * rows * pitch"),
        Aligned(),
    ),
    Opcode.LOAD_WEIGHTS: (
        OwnEngine(),
        PairsOnly(("half",)),
        DecoderOnly(("coding", "beats")),
        Forbidden(
            Expression("coding > 2"),
            "a coding of {coding} does not exist",
            "there are three codings",
        ),
        Forbidden(
            Expression("coding < 1 and beats"),
            "its weights are plain, and it has {beats} beats of coded ones",
            "plain weights have the length that blocks and taps give",
        ),
        Forbidden(
            Expression("coding and beats < 1"),
            "its weights are coded, and it has no beats of them",
            "coded weights have the length that the instruction says",
        ),
        _not_zero("blocks phases taps"),
        _within("phase table", "phase_base + phases"),
        _within("weight buffer", "base + blocks"),
        Aligned(),
    ),
    Opcode.LOAD_PARAMS: (
        OwnEngine(),
        _not_zero("count"),
        _within("parameter buffer", "base + count"),
        Aligned(),
    ),
    Opcode.LOAD_TABLE: (
        OwnEngine(),
        _not_zero("count"),
        _within(None, "base + count"),
        Aligned(),
    ),
    Opcode.COMPUTE: (
        OwnEngine(),
        _NARROW,
        Forbidden(Expression("rows and pitch % 4 != 2"), _BANKS, _SAME_BANK),
        Forbidden(
            Expression("tile > 2 or winograd and tile != 2"),
            "a tile of {tile} is not possible in this mode",
            "tiles have 1 or 2 points a side, those of Winograd 2",
        ),
        Forbidden(
            Expression("patch_row + patch_rows > 4 or patch_column + patch_columns > 4"),
            "the patch reaches outside its 4 x 4 positions",
            "a patch has 4 x 4 positions",
        ),
        PairsOnly(("pair",)),
        Forbidden(
            Expression("pair < 1 and swap"),
            "it swaps lanes of one block",
            "lanes are swapped between two blocks",
        ),
        _not_zero(
            "images blocks tiles_y tiles_x tile steps accumulators phases patch_rows "
            "patch_columns stride_y stride_x"
        ),
        _within("input buffer", "input_base + images * blocks * rows * pitch"),
        _within("weight buffer", "weight_base + blocks * weight_stride"),
        _within(
            "partial-sum memory",
            "psum_base + images * tiles_y * tiles_x * phases * (tile * tile * (pair + 1))",
        ),
        _within(
            "output buffer",
            "output_base + images * output_rows * (output_columns + output_columns * pair)",
        ),
        _within("step table", "step_base + steps"),
        _within("accumulator table", "accumulator_base + accumulators"),
        _within("accumulators", "accumulators"),
        _within("phase table", "phase_base + phases"),
        _within("parameter buffer", "param_base + 1"),
    ),
    Opcode.STORE: (
        OwnEngine(),
        _not_zero("images rows columns"),
        _within("output buffer", "base + images * rows * columns"),
        Aligned(),
    ),
}


@cache
def _function(python: str) -> Callable[[Instruction, CoreConfig], int]:
    function: Callable[[Instruction, CoreConfig], int] = eval(f"lambda i, c: {python}")
    return function


#: Whether any rule refuses an instruction: one function for each opcode, as every instruction of
#: every stream goes through it.
_REFUSED = {
    opcode: _function(" or ".join(f"({rule.python()})" for rule in rules))
    for opcode, rules in RULES.items()
}


def refusal(instruction: Instruction, core: CoreConfig) -> str | None:
    """Why the core refuses an instruction, in words, or None."""
    if not _REFUSED[instruction.opcode](instruction, core):
        return None
    refused = (r for r in RULES[instruction.opcode] if _function(r.python())(instruction, core))
    return next(refused).problem(instruction, core)


@dataclass(frozen=True)
class Slot:
    """What the check multiplies in one cycle.

    ``first`` begins a product, ``ends`` is the rule whose product is complete with this factor.
    """

    factor: Expression
    first: bool
    ends: Within | None


def slots(opcode: Opcode) -> dict[int, Slot]:
    """The schedule of the one multiplier, by cycle.

    Its result is back two cycles later, so a product takes every second cycle and two products
    alternate; what needs no product follows.
    """
    ranges = [rule for rule in RULES[opcode] if isinstance(rule, Within)]
    schedule: dict[int, Slot] = {}
    free = [0, 1]  # the next even and odd cycle
    for rule in ranges:
        if len(rule.factors) > 1:
            lane = free.index(min(free))
            for number, factor in enumerate(rule.factors):
                last = number == len(rule.factors) - 1
                schedule[free[lane]] = Slot(factor, number == 0, rule if last else None)
                free[lane] += 2
    at = max(schedule, default=-1) + 1
    for rule in ranges:
        if len(rule.factors) == 1:
            schedule[at] = Slot(rule.factors[0], True, rule)
            at += 1
    return schedule


#: Cycles of the multiplier for each opcode.
CHECK_SLOTS: dict[Opcode, int] = {opcode: max(slots(opcode)) + 1 for opcode in Opcode}
