"""Faults planted in the sources, and whether the tests named beside each find it.

``python tests/support/mutants.py [NAME ...]`` tries all of them, or those whose names begin so, in
a copy of the repository, and says which are killed. It fails if one survives, and if the text that
a mutant changes is gone or there twice: then the mutant has to follow the source.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What the tests of a copy need; no caches, builds or history.
LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", "build", "*.egg-info", ".*_cache")
#: Seconds for the tests of one mutant. One that makes them hang is found too.
LIMIT = 1200

FILE = "tests/unit/program/test_file.py"
LOWER = "tests/unit/compiler/test_lower.py"
QUANTISE = "tests/unit/compiler/test_quantise.py"
WAITING = "tests/unit/runtime/test_waiting.py"


@dataclass(frozen=True)
class Mutant:
    """A change to a source that some test has to notice.

    Attributes
    ----------
    name : short, the source's first
    file : the source's name, or as much of its path as tells it from others
    right, wrong : what is there once, whatever the white space, and what comes instead
    tests : files or tests, as pytest names them; one of them has to fail
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


PYTHON = (
    Mutant(
        "file: an instruction may reach 64 bytes too far", "program/file.py",
        "span[2] > sizes[span[0]]:", "span[2] > sizes[span[0]] + 64:",
        (f"{FILE}::test_streams_reach_to_the_end_of_their_buffers_and_no_further",),
    ),
    Mutant(
        "file: an instruction may reach one word too far", "program/file.py",
        "span[2] > sizes[span[0]]:", "span[2] >= sizes[span[0]] + program.core.word_bytes + 1:",
        (f"{FILE}::test_streams_reach_to_the_end_of_their_buffers_and_no_further",),
    ),
    Mutant(
        "file: the end of a buffer is out of bounds", "program/file.py",
        "span[2] > sizes[span[0]]:", "span[2] >= sizes[span[0]]:",
        (f"{FILE}::test_streams_reach_to_the_end_of_their_buffers_and_no_further",),
    ),
    Mutant(
        "file: bytes after the last section are ignored", "program/file.py",
        "start + sum(sizes) != end:", "start + sum(sizes) > end:",
        (f"{FILE}::test_bytes_that_no_section_names",),
    ),
    Mutant(
        "file: sections may be longer than the file", "program/file.py",
        "start + sum(sizes) != end:", "start + sum(sizes) < end:",
        (f"{FILE}::test_bytes_that_no_section_names",),
    ),
    Mutant(
        "file: no stream for one image is needed", "program/file.py",
        "batches[0] != 1 or batches != sorted", "batches != sorted",
        (f"{FILE}::test_batches_begin_with_one_and_ascend",),
    ),
    Mutant(
        "file: streams in any order", "program/file.py",
        "batches[0] != 1 or batches != sorted(set(batches)):", "batches[0] != 1:",
        (f"{FILE}::test_batches_begin_with_one_and_ascend",),
    ),
    Mutant(
        "file: a range of one value", "program/file.py", "if not low < high:", "if low > high:",
        (f"{FILE}::test_ranges_without_width",),
    ),
    Mutant(
        "file: a range from high to low", "program/file.py",
        "if not low < high:", "if low == high:", (f"{FILE}::test_ranges_without_width",),
    ),
    Mutant(
        "file: buffers larger than the shape", "program/file.py",
        "size != words * core.word_bytes:", "size < words * core.word_bytes:",
        (f"{FILE}::test_buffers_larger_than_the_shape_says",),
    ),
    Mutant(
        "file: buffers smaller than the shape", "program/file.py",
        "size != words * core.word_bytes:", "size > words * core.word_bytes:",
        (f"{FILE}::test_buffers_smaller_than_the_shape_says",),
    ),
    Mutant(
        "file: a dimension of 0", "program/file.py", "min(c, h, w) < 1", "min(c, h, w) < 0",
        (f"{FILE}::test_shapes_without_extent",),
    ),
    Mutant(
        "lower: one phase fewer than the table holds", "compiler/lower.py",
        "len(phases) <= max_phases", "len(phases) < max_phases",
        (f"{LOWER}::test_a_group_has_as_many_phases_as_the_table_and_no_more",),
    ),
    Mutant(
        "lower: one phase more than the table holds", "compiler/lower.py",
        "len(phases) <= max_phases", "len(phases) <= max_phases + 1",
        (f"{LOWER}::test_a_group_has_as_many_phases_as_the_table_and_no_more",),
    ),
    Mutant(
        "lower: zeros are inserted for every source", "compiler/lower.py",
        "inserts and first and source == 0:", "inserts and first:",
        (f"{LOWER}::test_zeros_are_inserted_once_however_many_sources",),
    ),
    Mutant(
        "quantise: a huge bias leaves no room for products", "compiler/quantise.py",
        "(_SUM_BITS[data_width] - 2)", "(_SUM_BITS[data_width] - 1)",
        (f"{QUANTISE}::test_a_huge_bias_has_a_quarter_of_the_room_and_no_more",),
    ),
    Mutant(
        "quantise: a huge bias takes no coarser scale", "compiler/quantise.py",
        "scale = np.maximum(scale, bias / (input_scale * 2.0 ** (_SUM_BITS[data_width] - 2)))", "",
        (f"{QUANTISE}::test_a_huge_bias_has_a_quarter_of_the_room_and_no_more",),
    ),
    Mutant(
        "quantise: a percentile of zero is taken for the range", "compiler/quantise.py",
        "if reach == 0:\n            reach = float(magnitude.max())", "",
        (f"{QUANTISE}::test_a_percentile_of_zero_falls_back_to_the_largest",),
    ),
    Mutant(
        "quantise: tables of 8 bits are rounded twice", "compiler/quantise.py",
        "rounding = 0.0 if data_width == 8 else 0.5", "rounding = 0.5",
        (f"{QUANTISE}::test_tables_are_rounded_once",),
    ),
    Mutant(
        "quantise: tables of 16 bits are rounded down", "compiler/quantise.py",
        "rounding = 0.0 if data_width == 8 else 0.5", "rounding = 0.0",
        (f"{QUANTISE}::test_tables_are_rounded_once",),
    ),
    Mutant(
        "waiting: an abandoned wait goes on", "runtime/waiting.py", "future.cancel()", "pass",
        (f"{WAITING}::test_whoever_gives_up_leaves_no_waiter",),
    ),
)  # fmt: skip

RTL: tuple[Mutant, ...] = ()

MUTANTS = (*PYTHON, *RTL)


def source(mutant: Mutant, root: Path = ROOT) -> Path:
    """The file that a mutant changes; LookupError unless there is exactly one."""
    folder, _, name = f"/{mutant.file}".rpartition("/")
    found = [
        path
        for top in ("driver", "hw_src")
        for path in (root / top).rglob(name)
        if str(path.parent).endswith(folder)
    ]
    if len(found) != 1:
        raise LookupError(f"{mutant.name}: {len(found)} files are named {mutant.file}")
    return found[0]


def changed(mutant: Mutant, text: str) -> str:
    """The source with the fault; LookupError unless its place is there exactly once."""
    pattern = r"\s*".join(re.escape(c) for c in mutant.right if not c.isspace())
    places = list(re.finditer(pattern, text))
    if len(places) != 1:
        raise LookupError(
            f"{mutant.name}: {mutant.right!r} is {len(places)} times in {mutant.file}"
        )
    return text[: places[0].start()] + mutant.wrong + text[places[0].end() :]


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of the repository, for as long as it takes."""
    with tempfile.TemporaryDirectory(prefix="winogen-mutants-") as folder:
        root = Path(folder) / "repository"
        shutil.copytree(ROOT, root, ignore=LEFT_OUT, symlinks=True)
        yield root


def run_tests(root: Path, tests: Sequence[str]) -> int | None:
    """Pytest's exit status for tests of a copy; None if they take too long."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / "driver"),  # before winogen as it is installed
        "PYTHONDONTWRITEBYTECODE": "1",  # a mutant may be as long and as old as the next
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    with tempfile.TemporaryFile("w+") as log:
        try:
            done = subprocess.run(
                command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT,
                timeout=LIMIT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        if done.returncode > 1:
            log.seek(0)
            print(log.read()[-4000:], file=sys.stderr)
        return done.returncode


def verdict(mutant: Mutant, root: Path) -> str:
    """What the tests of a mutant say: ``killed``, ``survived``, or that they cannot be run."""
    path = source(mutant, root)
    text = path.read_text()
    path.write_text(changed(mutant, text))
    try:
        status = run_tests(root, mutant.tests)
    finally:
        path.write_text(text)
    return {0: "survived", 1: "killed", None: "killed: out of time"}.get(
        status, f"no verdict: pytest ended with {status}"
    )


def main() -> int:
    """Try mutants and print what became of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="how their names begin")
    parser.add_argument("--list", action="store_true", help="only name them")
    arguments = parser.parse_args()
    chosen = [m for m in MUTANTS if m.name.startswith(tuple(arguments.names) or "")]
    if not chosen:
        parser.error("no mutant is named so")
    if arguments.list:
        print("\n".join(m.name for m in chosen))
        return 0
    with copy() as root:
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        if run_tests(root, tests) != 0:
            print("the tests fail without any mutant", file=sys.stderr)
            return 1
        killed = 0
        for mutant in chosen:
            start = time.monotonic()
            said = verdict(mutant, root)
            killed += said.startswith("killed")
            print(f"{mutant.name}: {said} ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{killed} of {len(chosen)} killed")
    return killed != len(chosen)


if __name__ == "__main__":
    sys.exit(main())
