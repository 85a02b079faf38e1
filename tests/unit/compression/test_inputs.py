"""What students learn from: given inputs alone where there are any, and not those judged by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import InputError
from winogen.compilation.job import Job
from winogen.compiler.options import CompileOptions
from winogen.compression.inputs import Source
from winogen.network.graph import Graph
from winogen.network.zoo import load_model
from winogen.program.formats import sample_inputs

pytest.importorskip("torch", reason="training needs the package torch")

from winogen.compression import fit as fit_module
from winogen.compression import trainer
from winogen.compression.bridge import GraphModule
from winogen.compression.options import FitOptions


def of_pictures() -> Graph:
    b = GraphBuilder(3, (2, 8, 8), "image")
    b.conv(4, 3)
    b.add("relu")
    b.conv(2, 3)
    return b.graph(output_range=(-1.0, 1.0))


def given(count: int) -> np.ndarray:
    """Pictures of one grey each, which tells them apart."""
    greys = np.linspace(0.1, 0.9, count, dtype=np.float32)
    return np.broadcast_to(greys[:, None, None, None], (count, 2, 8, 8)).copy()


@pytest.mark.parametrize("count", [8, 20, 700])
def test_given_inputs_are_split(count: int) -> None:
    pictures = given(count)
    source = Source(of_pictures(), pictures)
    parts = [
        set(x[:, 0, 0, 0]) for x in (source.draw(4096, 1), source.choosing(), source.judging())
    ]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert set.union(*parts) <= set(pictures[:, 0, 0, 0])
    assert len(parts[1]) == len(parts[2]) == count // 8
    assert len(set(source.draw(4, 5)[:, 0, 0, 0])) == 4  # no picture twice where there are enough
    np.testing.assert_array_equal(source.draw(4, 5), source.draw(4, 5))
    assert not np.array_equal(source.draw(4, 5), source.draw(4, 6))


def test_none_given_are_drawn() -> None:
    graph = of_pictures()
    source = Source(graph)
    np.testing.assert_array_equal(source.draw(3, 4), sample_inputs(graph.input, 3, 4))
    assert len(source.choosing()) == 128 and len(source.judging()) == 256


def test_too_few_are_refused() -> None:
    with pytest.raises(InputError, match="cannot learn from 7 inputs"):
        Source(of_pictures(), given(7))


@pytest.mark.parametrize("goal", [{}, {"bytes": 170}, {"psnr": 20.0}])
def test_training_sees_nothing_but_given_inputs(
    goal: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to learn from, nor to try layers with, nor to judge by."""
    seen: list[np.ndarray] = []
    forward = GraphModule.forward

    def watched(self, x, keep=None):
        seen.append(x.numpy())
        return forward(self, x, keep)

    monkeypatch.setattr(GraphModule, "forward", watched)
    pictures = given(16)
    job = Job(of_pictures(), CompileOptions(board="pynq-z2").with_board(), pictures)
    fit_module.fit(job, FitOptions(steps=2, examples=3, device="cpu", **goal))
    found = np.concatenate(seen)
    assert len(found) > 8
    assert np.isin(found, pictures).all()


@pytest.mark.parametrize("way", [{"keep": 0.5}, {"share": 8}])
def test_a_way_without_a_layer_for_it_is_told(way: dict) -> None:
    job = Job(of_pictures(), CompileOptions(board="pynq-z2").with_board(), None)
    with pytest.raises(InputError, match="no layer of 4,096 weights or more"):
        fit_module.fit(job, FitOptions(steps=1, device="cpu", **way))


def test_other_pictures_are_another_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    job = Job(of_pictures(), CompileOptions(board="pynq-z2").with_board(), given(16))
    options, checkpoint = FitOptions(steps=2, examples=3, device="cpu"), tmp_path / "c"
    fit_module.fit(job, options, checkpoint)
    assert checkpoint.exists()
    with pytest.raises(InputError, match="another training"):
        fit_module.fit(replace(job, inputs=given(17)), options, checkpoint)


def test_fewer_large_pictures_are_judged_by() -> None:
    """As many pixels tell as much, in less time; small inputs are as many as ever."""
    spec = load_model("fsrcnn-x2").input
    for size, judged, chosen in ((8, 256, 128), (32, 256, 128), (64, 64, 32), (512, 1, 1)):
        graph = SimpleNamespace(input=replace(spec, shape=(1, size, size)))
        source = Source(graph)  # type: ignore[arg-type]
        assert (len(source.judging()), len(source.choosing())) == (judged, chosen)
