"""Faults planted in the sources are found by the tests that are there for it."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest

from support.mutants import (
    MUTANTS,
    ROOT,
    Mutant,
    changed,
    copy,
    run_tests,
    source,
    verdict,
    verdicts,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_mutant_has_its_place_and_its_tests(mutant: Mutant) -> None:
    text = source(mutant).read_text()
    assert changed(mutant, text) != text
    assert mutant.tests
    for test in mutant.tests:
        path, _, name = test.partition("[")[0].partition("::")
        written = (ROOT / path).read_text()
        assert not name or re.search(rf"^(?:async )?def {name}\(", written, re.M), test


def test_a_place_that_is_gone_or_there_twice_is_told() -> None:
    mutant = Mutant("x", "program/file.py", "a b ( c", "d", ())
    assert changed(mutant, "x = ab(\n  c)") == "x = d)"
    for text in ("nothing", "ab(c ab(c"):
        with pytest.raises(LookupError, match="times"):
            changed(mutant, text)
    with pytest.raises(LookupError, match="0 files"):
        source(replace(mutant, file="program/gone.py"))


@pytest.mark.long
def test_every_mutant_is_killed() -> None:
    with copy() as root:
        assert run_tests(root, sorted({t for m in MUTANTS for t in m.tests})) == 0
    said = {m.name: said for m, said in verdicts(MUTANTS, os.cpu_count() or 1)}
    assert {name: s for name, s in said.items() if not s.startswith("killed")} == {}


@pytest.mark.long
def test_a_mutant_that_changes_nothing_survives() -> None:
    """The check can fail."""
    mutant = replace(MUTANTS[0], wrong=MUTANTS[0].right)
    with copy() as root:
        assert verdict(mutant, root) == "survived"
