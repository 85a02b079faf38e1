"""The table of faults: for a terminal, as JSON, and as a page of the documentation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from support.faults.kinds import AREAS, Fault
from support.faults.verdicts import GOOD, Result

#: What an area is about, in the page.
ABOUT = {
    "device": "The accelerator and the way to it: what registers say, when a stream ends, who else "
    "has the board.",
    "memory": "Bits that flip, caches that are not flushed, transfers that are cut short.",
    "board": "The first day: each is named by the one check of `winogen doctor` that meets it, on "
    "a model of a PYNQ-Z2 that has booted.",
    "process": "Processes that use one board in turns, and are ended meanwhile.",
    "program": "Program files.",
    "network": "Definitions, weights, ONNX files, checkpoints.",
    "input": "Latents, options, pictures.",
    "output": "Where results go, and the end of a command.",
    "service": "`winogen serve`.",
    "cluster": "Several boards: `winogen worker`, and who uses them.",
    "remote": "A board that another machine drives over a network, by PYNQ.remote.",
}
_NAME, _VERDICT = 48, 19


def head() -> str:
    return f"{'kind':{_NAME}}  {'verdict':{_VERDICT}}  {'s':>5}  seen"


def line(result: Result, width: int) -> str:
    """A row for a terminal."""
    name = result.kind if result.device == "emulator" else f"{result.kind} ({result.device})"
    start = f"{cut(name, _NAME):{_NAME}}  {result.verdict:{_VERDICT}}  {result.seconds:5.2f}  "
    return start + cut(result.seen, max(width - len(start), 20))


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def summary(results: Sequence[Result], missing: dict[str, str]) -> str:
    """The last lines: how many of each verdict, and what was left out."""
    seen = Counter(result.verdict for result in results)
    good = sum(count for verdict, count in seen.items() if verdict in GOOD)
    parts = "; ".join(f"{count} {verdict}" for verdict, count in seen.most_common())
    lines = [f"{len(results)} faults, {good} as they should be, {len(results) - good} not: {parts}"]
    lines += [f"left out: {area} ({reason})" for area, reason in missing.items()]
    return "\n".join(lines)


def page(kinds: Iterable[Fault], results: Iterable[Result]) -> str:
    """``docs/project/faults.md``."""
    seen = {(r.kind, r.device): r for r in results}
    kinds = list(kinds)
    text = [_INTRODUCTION.format(count=len(kinds))]
    for area in AREAS:
        own = [kind for kind in kinds if kind.area == area]
        text += [f"## {area.capitalize()}\n", f"{ABOUT[area]}\n"]
        text += ["| kind | what happens | what is seen | verdict |", "| --- | --- | --- | --- |"]
        for kind in own:
            result = seen[str(kind), "emulator"]
            cells = (kind.name, kind.what, cut(_steady(result.seen), 150), result.verdict)
            text.append(f"| {' | '.join(map(_escaped, cells))} |")
        text.append("")
    return "\n".join(text)


def named(page: str) -> list[tuple[str, str]]:
    """Area and name of each kind in a page."""
    found, area = [], ""
    for row in page.splitlines():
        if row.startswith("## "):
            area = row[3:].lower()
        cells = re.split(r"(?<!\\) \| ", row.removeprefix("| "))
        if row.startswith("| ") and len(cells) == 4 and cells[0] not in ("kind", "---"):
            found.append((area, re.sub(r"\\(.)", r"\1", cells[0]).replace("&lt;", "<")))
    return found


def _steady(text: str) -> str:
    """Without what is another one each time: ports, temporary folders."""
    text = re.sub(r"(port |127\.0\.0\.1:)\d{4,5}", r"\1N", text)
    return re.sub(r"/tmp/\S*", ".../", text)


def _escaped(text: str) -> str:
    return re.sub(r"([\\|*_\[\]`])", r"\\\1", text).replace("<", "&lt;")


_INTRODUCTION = """\
# Faults

Written by `python benchmarks/faults.py --page`, which injects each of {count} kinds of faults,
looks at what comes of it, and judges:

- **refused clearly**: an error of the right kind, in a sentence that says what is wrong, where,
  and what to do;
- **refused, next right**: that, and once the fault has gone the same call gives the same bytes as
  without it;
- **same bytes**: as if nothing had happened;
- **same bytes, told**: that, and a warning says what was wrong;
- **warned**: done, and a warning says what was lost.

Nothing else is right. A fault that gives other bytes is WRONG BYTES; one that nobody notices
SILENT; a wait without end HUNG; an exception that nobody meant CRASHED; a message that does not
say what it must UNCLEAR. The same stage works without the fault, or the verdict is BASELINE; and
where nothing is to be seen of a fault, it has to say that it has struck, or it was NOT INJECTED.
The last line counts them all, and the exit code is 1 where one is not as it should be.

`--area` and `--kind` choose, `--rtl` also runs what it can on the simulated logic, `--json`
writes all that was seen. The suite runs all quick kinds (`tests/flows/test_faults.py`), `pytest
-m long` the others. [CONTRIBUTING](../../CONTRIBUTING.md#add-a-fault) says how to add one.

"""
