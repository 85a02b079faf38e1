"""Coverage of the logic from Verilator's ``coverage.dat``: counts, their sum, what was missed.

A point is one block, one way of a branch, or one direction of one bit in one place of the source;
counts of all instances, builds and runs are added up. A line counts as covered if each block on it
was entered and each branch that begins on it went both ways.

A line that cannot be covered says why beside it, or on a line of its own before it::

    default: code_d = '0;  // uncovered: all codes are listed above
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from winogen.common.text import table

_ENTRY = re.compile(r"^C '(.*)' (\d+)$", re.M)
_BIT = re.compile(r"(.*?)(?:\[(\d+)\])?:[01]->[01]")
_REASON = re.compile(r"//\s*uncovered:\s*(.*\S)")
_BEFORE = re.compile(r"\s*// uncovered:")
_DIRECTIONS = 2
#: Kinds of bits that do not toggle.
STILL = {
    "whole": "signals of which no bit toggles: constants, reset, what no stimulus asks for",
    "high": "high bits of signals: addresses, sizes and counts that are larger than any that came",
    "low": "low bits of signals: alignment",
    "between": "bits between bits that toggle",
}
_SIGNALS = 8  # of each kind that are named


class Point(NamedTuple):
    """What is counted: ``name`` says which block, way or bit; ``lines`` are those of a block."""

    file: str
    line: int
    column: int
    kind: str
    name: str
    lines: str


def read(path: Path) -> Counter[Point]:
    """The counts of one ``coverage.dat``, instances added up; ValueError if it is none."""
    text = path.read_text()
    if not text.startswith("# SystemC::Coverage-3"):
        raise ValueError(f"{path} is not coverage of Verilator")
    counts: Counter[Point] = Counter()
    for entry, count in _ENTRY.findall(text):
        at = dict(field.split("\x02", 1) for field in entry.split("\x01") if field)
        point = Point(at["f"], int(at["l"]), int(at["n"]), at["t"], at["o"], at.get("S", ""))
        counts[point] += int(count)
    return counts


class Line(NamedTuple):
    """A line that was not covered, or need not have been explained."""

    file: str
    number: int
    source: str
    missed: tuple[str, ...]
    reason: str | None


@dataclass
class Module:
    """Coverage of one source file.

    Attributes
    ----------
    lines, covered : numbers of lines that can be covered, and that were
    bits, toggled : numbers of bits, and of those that went both up and down
    missed : lines that were not covered
    wrongly_explained : lines that are explained, but were covered or cannot be
    still : bits that did not toggle: how many, by kind (a key of STILL) and signal
    """

    name: str
    lines: int
    covered: int
    bits: int
    toggled: int
    missed: list[Line]
    wrongly_explained: list[Line]
    still: Counter[tuple[str, str]]

    @property
    def unexplained(self) -> list[Line]:
        """Lines that were not covered and do not say why."""
        return [line for line in self.missed if line.reason is None]


def modules(counts: Counter[Point]) -> list[Module]:
    """The coverage of every file that has points, in alphabetical order."""
    files: defaultdict[str, list[tuple[Point, int]]] = defaultdict(list)
    for point, count in counts.items():
        files[point.file].append((point, count))
    return [_module(Path(file), files[file]) for file in sorted(files)]


def _module(file: Path, points: list[tuple[Point, int]]) -> Module:
    source = file.read_text().splitlines()
    reasons = explanations(source)
    missed: defaultdict[int, list[str]] = defaultdict(list)
    signals: defaultdict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    for point, count in points:
        if point.kind == "toggle":
            match = _BIT.fullmatch(point.name)
            assert match is not None, point
            signals[point.line, match[1]][int(match[2] or 0)] += count > 0
        else:
            for number in _lines(point):
                missed[number] += [] if count else [point.name]
    still: Counter[tuple[str, str]] = Counter()
    for (_, signal), directions in signals.items():
        for kind, number in _still(directions).items():
            still[kind, signal] += number
    bits = sum(len(directions) for directions in signals.values())

    def line(number: int) -> Line:
        names = tuple(dict.fromkeys(missed.get(number, ())))
        code = source[number - 1].partition("//")[0].strip()
        return Line(file.name, number, code, names, reasons.get(number))

    unreached = sorted(number for number, names in missed.items() if names)
    return Module(
        name=file.stem,
        lines=len(missed),
        covered=len(missed) - len(unreached),
        bits=bits,
        toggled=bits - still.total(),
        missed=[line(number) for number in unreached],
        wrongly_explained=[line(number) for number in sorted(reasons.keys() - set(unreached))],
        still=still,
    )


def _lines(point: Point) -> Iterator[int]:
    """The lines of a block; an ``else`` that is not there counts where its ``if`` is."""
    if not point.lines:
        yield point.line
    for part in filter(None, point.lines.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _still(directions: Counter[int]) -> Counter[str]:
    """Numbers of bits that do not toggle, by kind, of a signal whose bits went so many ways."""
    still = [directions[bit] < _DIRECTIONS for bit in sorted(directions)]
    if all(still):
        return Counter(whole=len(still))
    low, high = still.index(False), still[::-1].index(False)
    return Counter(low=low, high=high, between=sum(still) - low - high)


def explanations(source: Iterable[str]) -> dict[int, str]:
    """Why lines cannot be covered, by number, counted from 1."""
    reasons: dict[int, str] = {}
    for number, text in enumerate(source, 1):
        if match := _REASON.search(text):
            reasons[number + bool(_BEFORE.match(text))] = match[1]
    return reasons


def text(found: list[Module]) -> str:
    """The report for people."""
    rows = [[m.name, *_ratio(m.covered, m.lines), *_ratio(m.toggled, m.bits)] for m in found]
    sums = [sum(getattr(m, n) for m in found) for n in ("covered", "lines", "toggled", "bits")]
    rows.append(["all", *_ratio(*sums[:2]), *_ratio(*sums[2:])])
    out = [table(["module", "lines", "%", "bits", "%"], rows)]

    missed = [line for m in found for line in m.missed]
    out.append(f"\n{len(missed)} lines are not covered" + (":" if missed else "."))
    for line in missed:
        reason = line.reason or f"NOT EXPLAINED; never went to: {', '.join(line.missed)}"
        out += [f"{line.file}:{line.number}: {line.source}", f"    {reason}"]
    for line in (line for m in found for line in m.wrongly_explained):
        out += [f"{line.file}:{line.number}: {line.source}", "    EXPLAINED, BUT COVERED"]

    still: Counter[tuple[str, str]] = Counter()
    for m in found:
        still.update(m.still)
    out.append(f"\n{still.total():,} bits do not toggle:")
    for kind, words in STILL.items():
        signals = Counter({name: n for (k, name), n in still.items() if k == kind})
        names = ", ".join(f"{name} {n}" for name, n in signals.most_common(_SIGNALS))
        out.append(f"{signals.total():6,} {words}\n       {names}")
    return "\n".join(out)


def _ratio(part: int, whole: int) -> list[str]:
    return [f"{part:,} / {whole:,}", f"{100 * part / whole:.1f}" if whole else "-"]


def figures(found: list[Module]) -> dict[str, Any]:
    """The report for programs."""
    return {
        m.name: {
            "lines": m.lines,
            "covered": m.covered,
            "bits": m.bits,
            "toggled": m.toggled,
            "missed": [line._asdict() for line in m.missed],
            "wrongly_explained": [line._asdict() for line in m.wrongly_explained],
        }
        for m in found
    }
