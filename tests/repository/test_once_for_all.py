"""The page of once for all is what was measured, and what was measured holds what is promised."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from support.places import ROOT


@pytest.fixture(scope="module")
def script() -> ModuleType:
    name = "once_for_all"
    spec = importlib.util.spec_from_file_location(
        f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_figures(script):
    kept = (ROOT / "docs" / "reference" / "once-for-all.md").read_text()
    command = "python benchmarks/once_for_all.py --page > docs/reference/once-for-all.md"
    assert script.page(script.read()) == kept, command


def test_searches_take_less_than_a_minute(script):
    for name, result in script.read().items():
        assert result["networks"] >= 100, name
        assert set(result["searches"]) == set(script.BOARDS), name
        for board, search in result["searches"].items():
            assert search["seconds"] < 60, (name, board)


def test_what_is_found_is_better_where_half_or_more_has_to_go(script):
    """With no more cycles, but for what other weights make of shared multipliers."""
    for name, result in script.read().items():
        for uniform, found in zip(result["uniform"], result["found"]):
            assert found["cycles"] <= 1.01 * uniform["cycles"], (name, uniform["width"])
            if uniform["width"] <= 0.5:
                assert found["psnr"] > uniform["psnr"], (name, uniform["width"])
            assert found["steps"] <= uniform["steps"], (name, uniform["width"])
