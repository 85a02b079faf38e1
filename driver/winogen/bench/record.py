"""Recorded results: one file a release, and the document that is made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from winogen.bench import plots
from winogen.bench.energy import Technology, technologies
from winogen.bench.suite import AUTO, Results
from winogen.bench.tables import all_tables
from winogen.common.errors import InputError
from winogen.common.files import write_atomically

#: Below the folder of documents: where results, the document and its pictures lie.
RESULTS, DOCUMENT, PICTURES = "results", "results.md", "images"
#: Pictures of the document, by the name that they have there.
_PREFIX = "results-"
_COMMAND = "winogen bench --rtl-cycles 420000 --record docs"
#: A file of results is no larger.
_MAX_BYTES = 1 << 25


def dump(results: Results) -> str:
    """Results as JSON, a network on each line."""
    data = results.as_dict()
    networks = data.pop("networks")
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in data.items()]
    own = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in networks.items())
    return "{\n" + ",\n".join([*lines, f'"networks": {{\n{own}\n}}']) + "\n}\n"


def read(path: Path) -> Results:
    """Results from a file; InputError where it is none."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is too large for results of winogen bench")
        return Results.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is no file of results of winogen bench") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def recorded(folder: Path) -> list[Results]:
    """All results that a folder of documents has, by version, the oldest first."""
    found = [read(path) for path in (folder / RESULTS).glob("*.json")]
    return sorted(found, key=lambda r: _order(r.version))


def _order(version: str) -> tuple[tuple[int, int, str], ...]:
    """A version as something that can be compared: numbers as such, 0.2.0.dev1 before 0.2.0."""
    parts = re.findall(r"\d+|[a-z]+", version.lower())
    keys = [(1, int(p), "") if p.isdigit() else (-1, 0, p) for p in parts]
    return (*keys, (0, 0, ""))


def record(results: Results, folder: Path) -> list[Path]:
    """Keep results as those of their version, and write the document; returns what was written.

    Raises InputError where there is no such folder, WinogenError without matplotlib.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} to record in")
    for name in (RESULTS, PICTURES):
        (folder / name).mkdir(exist_ok=True)
    file = folder / RESULTS / f"{results.version}.json"
    write_atomically(file, dump(results).encode())
    return [file, *write_document(folder)]


def write_document(folder: Path) -> list[Path]:
    """The document and its pictures, from what is recorded."""
    releases = recorded(folder)
    if not releases:
        raise InputError(f"nothing is recorded in {folder / RESULTS}")
    techs = list(technologies().values())
    pictures = plots.draw_all(releases[-1], techs)
    pictures["history.png"] = plots.png(plots.history(releases))
    written = []
    for name, content in pictures.items():
        path = folder / PICTURES / f"{_PREFIX}{name}"
        write_atomically(path, content)
        written.append(path)
    path = folder / DOCUMENT
    write_atomically(path, document(releases, techs).encode())
    return [*written, path]


def document(releases: Sequence[Results], techs: Sequence[Technology]) -> str:
    """The document of the newest of these results, in Markdown."""
    newest = releases[-1]
    tables = "\n".join(t.markdown() for t in all_tables(newest, techs))
    pictures = [
        ("cycles", "ratios of cycles of modes, by network"),
        ("roofline", "layers under the roofs of array and DRAM"),
        ("images", "images a second by network, with and without the processor"),
        *((f"energy-{t.name}", f"energy of an image by mode and term, {t.title}") for t in techs),
    ]
    shown = "\n\n".join(f"![{text}]({PICTURES}/{_PREFIX}{name}.png)" for name, text in pictures)
    return f"""# Results

All figures here are of winogen {newest.version}, int{newest.bits} on {newest.board} at
{newest.clock_mhz:g} MHz, {newest.array}, DRAM of {newest.dram_mb_s:,.0f} MB/s. Nothing was
measured on a board. This page is generated from `{RESULTS}/{newest.version}.json`, which one
command measures and records:

    {_COMMAND}

{shown}

{tables}
{_releases(releases)}"""


def _releases(releases: Sequence[Results]) -> str:
    """Cycles and sizes by release."""
    names = list(dict.fromkeys(n.name for r in releases for n in r.networks))
    head = ["network", *(f"{r.version}: {what}" for r in releases for what in ("cycles", "bytes"))]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name in names:
        cells = [name]
        for r in releases:
            n = r.network(name)
            if n is None:
                cells += ["-", "-"]
                continue
            run = n.runs[AUTO]
            cells += [f"{run.cycles / run.batch:,.0f}", f"{n.weight_bytes + n.stream_bytes:,}"]
        lines.append(cells)
    grid = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"""## Over releases

Cycles of an image in mode auto, and bytes of weights and instructions in the board's memory, of
every release whose results are recorded in `{RESULTS}/`.

![cycles and bytes over releases]({PICTURES}/{_PREFIX}history.png)

{grid}
"""
