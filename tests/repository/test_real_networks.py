"""The page of real networks is what was measured, and what was measured holds its bars."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from support.places import ROOT


@pytest.fixture(scope="module")
def script() -> ModuleType:
    name = "real_networks"
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_figures(script):
    kept = (ROOT / "docs" / "reference" / "real-networks.md").read_text()
    command = "python benchmarks/real_networks.py > docs/reference/real-networks.md"
    assert script.page() == kept, command


def test_every_network_was_measured(script):
    found = script.results()
    assert list(found) == list(script.NETWORKS)
    for name, figures in found.items():
        assert figures["float_difference"] <= 1e-4, name  # as of every import
        assert figures["int8"]["psnr"] > 20, name
        assert figures["int16"]["psnr"] > figures["int8"]["psnr"] + 20, name
        assert set(figures["rtl"]) == {
            f"int{bits}_{device}_cycles" for bits in (8, 16) for device in ("emulator", "rtl")
        }
