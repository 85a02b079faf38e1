"""Widths: layers that mind least get narrower, until the board is as fast as it is asked to be."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import InputError
from winogen.compilation.job import Job
from winogen.compiler.options import CompileOptions
from winogen.network.graph import Graph

pytest.importorskip("torch", reason="training needs the package torch")

from winogen.compression import fit as fit_module
from winogen.compression import widths as widths_module
from winogen.compression.budget import Training
from winogen.compression.fit import fit
from winogen.compression.inputs import Source
from winogen.compression.options import FitOptions
from winogen.compression.students import begun, cycles, told
from winogen.compression.width import at_width
from winogen.compression.widths import Chosen, chosen


def network() -> Graph:
    """Half of the channels that are widest say nothing."""
    b = GraphBuilder(7, (12, 1, 1), "latent")
    b.deconv(64, 4, 1, 0)
    b.nodes[-1].params["weight"][:, 32:] = 0
    b.nodes[-1].params["bias"][32:] = -1
    b.add("relu")
    b.deconv(32, 4, 2, 1)
    b.add("relu")
    b.deconv(2, 4, 2, 1)
    b.add("tanh")
    return b.graph(output_range=(-1.0, 1.0))


JOB = Job(network(), CompileOptions(board="pynq-z2", batch=2).with_board(), None)


@cache
def whole() -> int:
    """Cycles of the network as it is."""
    return cycles(JOB, JOB.graph)


def choose(job: Job = JOB, **options: object) -> Chosen:
    training = Training(steps=50, batch=2)
    return chosen(job, FitOptions(**options), training, Source(job.graph), lambda *note: None)


def test_without_a_goal_the_network_stays() -> None:
    assert choose().graph is JOB.graph
    assert choose(width=1.0).graph is JOB.graph
    assert choose(fps=1.0).graph is JOB.graph


def test_as_few_cycles_as_asked_for() -> None:
    """And no fewer channels than that takes; those that say nothing go first."""
    found = choose(faster=2.0)
    assert cycles(JOB, found.graph) <= whole() / 2
    assert found.width == cycles(JOB, found.graph) / whole()
    wide = [found.graph.shapes[n.name][0] for n in network().nodes]
    assert wide[0] <= 32 and wide[2] >= 16 and wide[-1] == 2


def test_as_fast_as_a_share_of_all_channels() -> None:
    found = choose(width=0.5)
    assert cycles(JOB, found.graph) <= cycles(JOB, at_width(JOB, 0.5))


def test_images_a_second(monkeypatch) -> None:
    """Of a processor that takes no time: else a network as small as this is not what limits."""

    def rate(job: Job, graph: Graph) -> float:
        return 1e6 / cycles(job, graph)

    monkeypatch.setattr("winogen.compression.widths.images_per_second", rate)
    goal = 1.5 * rate(JOB, JOB.graph)
    found = choose(fps=goal)
    assert found.width < 1
    assert rate(JOB, found.graph) >= goal


def test_what_cannot_be_reached_is_told_before_any_trial(monkeypatch) -> None:
    monkeypatch.setattr("winogen.compression.widths.Pretrainer", None)
    with pytest.raises(InputError, match=r"1e\+08 images a second cannot be reached on pynq-z2"):
        choose(fps=1e8)
    with pytest.raises(InputError, match="as few cycles as --faster asks for cannot be reached"):
        choose(faster=900.0)


def test_blocks_may_be_narrower_too() -> None:
    found = choose(blocks="separable", faster=2.0)
    assert any(n.name == "deconv2.pointwise" for n in found.graph.nodes)
    assert cycles(JOB, found.graph) <= whole() / 2


def test_layers_are_merged_where_that_is_faster() -> None:
    b = GraphBuilder(7, (12, 1, 1), "latent")
    b.deconv(64, 4, 1, 0)
    b.conv(32)
    b.add("relu")
    b.deconv(2)
    job = Job(b.graph(), JOB.options, None)
    assert [n.op for n in begun(job).nodes] == ["linear", "relu", "deconv"]
    assert choose(job, faster=1.1).graph.nodes[0].op == "linear"


def test_costs_are_told() -> None:
    """For each layer; and that there is nothing to gain, where there is not."""
    text = told(JOB, "separable")
    assert "deconv2" in text and "all layers" in text
    old, new = cycles(JOB, JOB.graph), cycles(JOB, begun(JOB, "separable"))
    assert f"{old:,.0f}  " in text and f"{new:,.0f}" in text
    assert ("the network gets slower" in text) == (new > old)
    worse = told(JOB, "mobilenet")
    assert "mobilenet blocks cost more cycles on pynq-z2 than the dense layers" in worse
    assert np.isfinite(old)


def test_trials_end_in_time(monkeypatch) -> None:
    """And those of an earlier call are as long as they were, whatever time there is."""

    class Reached(Exception):
        pass

    def prices(*arguments: object) -> None:
        [trial] = [value for value in arguments if isinstance(value, Training)]
        raise Reached(trial.steps)

    monkeypatch.setattr(widths_module, "_prices", prices)
    training, source = Training(steps=1500, batch=2), Source(JOB.graph)

    def steps(*bounds: object) -> int:
        with pytest.raises(Reached) as reached:
            chosen(JOB, FitOptions(faster=2.0), training, source, lambda *note: None, *bounds)
        return reached.value.args[0]

    assert steps() == 60
    assert steps(time.monotonic()) == 1
    assert 1 <= steps(time.monotonic() + 1) < 60
    assert steps(time.monotonic(), 7) == 7


def test_a_fit_that_goes_on_finds_the_same_widths(tmp_path, monkeypatch) -> None:
    """Though trials are as long as there is time, which is never the same twice."""
    asked = []

    def in_time(*arguments: object) -> int:
        asked.append(arguments[-1])
        return 3

    monkeypatch.setattr(widths_module, "_in_time", in_time)
    monkeypatch.setattr(fit_module, "_FOR_WIDTHS", 0.25)
    monkeypatch.setattr(fit_module, "end_of_training", lambda seconds, opening: seconds)
    options = FitOptions(faster=2.0, minutes=0.03, examples=2)
    start = time.monotonic()
    first = fit(JOB, options, tmp_path / "a.training")
    assert asked[0] - start == pytest.approx(0.45, abs=0.2)
    again = fit(JOB, options, tmp_path / "a.training")
    assert len(asked) == 1
    assert [n.name for n in again.graph.nodes] == [n.name for n in first.graph.nodes]
    assert again.width == first.width
