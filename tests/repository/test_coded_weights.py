"""What coded weights are worth: the page says what was measured, and how to measure it again."""

import importlib.util
import re
import sys
from types import ModuleType

import pytest

from support.places import ROOT


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    name = "coded_weights"
    path = ROOT / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_measurements(benchmark):
    page = (ROOT / "docs" / "reference" / "coded-weights.md").read_text(encoding="utf-8")
    command = "python benchmarks/coded_weights.py --page > docs/reference/coded-weights.md"
    assert page == benchmark.page(benchmark.read()), f"out of date; run: {command}"
    assert command in page


def test_what_was_measured_is_whole_and_no_network_is_slower(benchmark):
    results = benchmark.read()
    for name in benchmark.BARS:
        for rate in benchmark.RATES:
            plain, coded = (results[name][rate][c] for c in (benchmark.PLAIN, benchmark.CODED))
            assert benchmark.best(coded) <= benchmark.best(plain), (name, rate)
            assert coded["many"] <= plain["many"], (name, rate)
            assert coded["memory_mib"] < plain["memory_mib"]
            for found in (plain, coded):  # the bar of the cost model
                if "counted" in found:
                    assert found["counted"] == pytest.approx(found["one"], rel=0.05)


def test_the_table_that_is_shown_of_a_network_is_measured(benchmark):
    """At what memory brings, in docs/use/profiling.md."""
    page = (ROOT / "docs" / "use" / "profiling.md").read_text(encoding="utf-8")
    for layer in benchmark.read()["dcgan-4x4"][1575][benchmark.CODED]["layers"]:
        figures = [f"{layer[part]:,}" for part in (*benchmark.PARTS, "cycles")]
        words = r"\s+[\d.]+\s+[\d.]+\s+", r"\s+"
        line = rf"{layer['name']}\s+{layer['mode']}" + words[0] + words[1].join(figures)
        assert re.search(line, page), line


@pytest.mark.long
def test_predictions_are_those_of_today(benchmark):
    """Of the quickest network, whose figures the command would find again."""
    rate = benchmark.RATES[0]
    known = benchmark.read()["dcgan-4x4"][rate][benchmark.CODED]
    known.pop("counted", None)
    assert benchmark.predict("dcgan-4x4", rate, benchmark.CODED) == known
