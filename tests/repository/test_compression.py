"""The page of compression is what was measured, and what was measured holds what is promised."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from support.places import ROOT


@pytest.fixture(scope="module")
def script() -> ModuleType:
    name = "compression"
    spec = importlib.util.spec_from_file_location(
        f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_figures(script):
    kept = (ROOT / "docs" / "reference" / "compression.md").read_text()
    command = "python benchmarks/compression.py --page > docs/reference/compression.md"
    assert script.page(script.read()) == kept, command


def test_training_is_never_worse_than_none(script):
    for name, rows in script.read().items():
        for way, plain in (("int8 trained", "int8"), ("int4 trained", "int4")):
            if way in rows and plain in rows:
                assert rows[way]["psnr"] > rows[plain]["psnr"] - 0.1, (name, way)


def test_budgets_are_kept(script):
    for name, rows in script.read().items():
        for way, row in rows.items():
            if script.WAYS[way] is not None and script.WAYS[way].bits is not None:
                assert row["bits"] <= script.WAYS[way].bits, (name, way)


def test_narrow_networks_take_half_the_cycles(script):
    for name, rows in script.read().items():
        if "narrow" in rows:
            assert rows["narrow"]["cycles_n"] <= rows["int8"]["cycles_n"] / 2 + 1, name


def test_costs_of_blocks_are_those_of_the_compiler(script):
    """Of one network: what is written down is what is predicted now."""
    kept = script.yaml.safe_load(script.COSTS.read_text())
    assert tuple(kept) == script.PREDICTED
    assert script.costs("digits") == kept["digits"]
