"""The build that does TDC alone: what it changes is there, and it gives the same bits."""

from __future__ import annotations

import importlib.util
import json
import sys
from types import ModuleType

import numpy as np
import pytest

import winogen
from support.places import ROOT
from winogen.bench.resources import pairs
from winogen.runtime.generator import Generator
from winogen.runtime.open import rtl_device
from winogen.target.hardware import rtl_sources


@pytest.fixture(scope="module")
def script() -> ModuleType:
    name = "tdc_only"
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_only_what_is_said_changes(script, tmp_path):
    copies = script.direct_sources(tmp_path)
    assert [c.name for c in copies] == [s.name for s in rtl_sources()]
    pairs = zip(rtl_sources(), copies)
    changed = {s.name for s, copy in pairs if s.read_text() != copy.read_text()}
    assert changed == set(script.CHANGES)


def test_sources_that_have_changed_are_refused(script, tmp_path, monkeypatch):
    monkeypatch.setitem(script.CHANGES, "wg_core.sv", (("no such line", ""),))
    with pytest.raises(ValueError, match="no such line"):
        script.direct_sources(tmp_path)


def test_what_is_kept_is_of_the_builds_that_are_recorded():
    found = pairs()
    assert found
    for pair in found:
        file = ROOT / "overlay" / pair.board / "utilisation8.json"
        total = json.loads(file.read_text())["total"]
        assert pair.winograd.as_dict() == {n: total[n] for n in pair.winograd.as_dict()}, pair.board
        assert pair.direct.lut < pair.winograd.lut
        assert pair.direct.ff < pair.winograd.ff
        assert pair.direct.dsp == pair.winograd.dsp


@pytest.mark.long
def test_it_gives_the_same_bits(script, tmp_path):
    program = winogen.compile_model("digits", board="pynq-z2-open", mode="direct", batch=1)
    with Generator(program) as generator:
        z = generator.latents(1, seed=3)
        wanted = generator.generate(z)
    device = rtl_device(program.board, sources=script.direct_sources(tmp_path))
    with Generator(program, device, board=program.board, timeout=600) as generator:
        np.testing.assert_array_equal(generator.generate(z), wanted)
