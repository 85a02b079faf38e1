"""Once for all, the whole way: what is taken out starts from the better of two sets of weights."""

from __future__ import annotations

import numpy as np
import pytest

from support.elastic import elastic_graph
from support.random_graphs import GraphBuilder
from winogen.common.errors import InputError
from winogen.compilation.job import Job
from winogen.compiler.options import CompileOptions
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.network.zoo import load_model
from winogen.program.formats import sample_inputs

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression import clock
from winogen.compression import once as once_module
from winogen.compression import search as search_module
from winogen.compression.heads import candidates, taps, with_heads
from winogen.compression.once import Choice, adapted, elastic_of, train_once
from winogen.compression.once_file import Once
from winogen.compression.options import FitOptions
from winogen.compression.search import Found
from winogen.compression.space import Setting


def job_of(graph: Graph) -> Job:
    return Job(graph, CompileOptions(board="kc705", batch=2).with_board(), None)


@pytest.fixture
def choice(monkeypatch: pytest.MonkeyPatch) -> Choice:
    monkeypatch.setattr(search_module, "_FIRST", 8)
    monkeypatch.setattr(search_module, "_DESCENDANTS", 8)
    monkeypatch.setattr(search_module, "_GENERATIONS", 1)
    job = job_of(elastic_graph())
    return Choice(train_once(job, FitOptions(steps=2, examples=2)), job)


def test_what_is_taken_keeps_its_bound(choice: Choice) -> None:
    whole = choice.costs.exact(choice.elastic.space.whole)
    bound = 0.8 * whole.cycles / whole.batch
    found = choice.for_cycles(bound)
    fitted = choice.take(found, FitOptions(steps=4, examples=2))
    assert found.cost.cycles / found.cost.batch <= bound
    stream = fitted.compilation.program.streams[-1]
    assert stream.cycles == pytest.approx(found.cost.cycles, rel=0.05)
    assert fitted.steps == 4


def test_the_better_start_is_taken(choice: Choice) -> None:
    """Weights that sharing has spoilt are left; both trials count as steps."""
    space = choice.elastic.space
    setting = tuple(1 if axis.kind == "width" else 0 for axis in space.axes)
    options = FitOptions(steps=40, examples=4)
    assert choice._start(setting, options, 0).nodes[0].params["weight"].shape[1] == 16
    with torch.no_grad():
        for value in choice.elastic.parameters():
            value.mul_(0.0)
    started = choice._start(setting, options, 4)
    assert np.any(started.nodes[0].params["weight"])
    found = choice.for_cycles(0.9 * choice.costs.exact(space.whole).cycles / 2)
    assert choice.take(found, options).steps == 40 - 2 * 4


def test_tries_take_of_the_minutes(choice: Choice, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained then has the rest; some of it, however long the tries took."""
    now = [0.0]

    def start(setting: Setting, options: FitOptions, steps: int) -> Graph:
        now[0] += 45
        return choice.elastic.graph(setting)

    def fit(*arguments: object) -> float | None:
        [options] = [value for value in arguments if isinstance(value, FitOptions)]
        return options.minutes

    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(choice, "_start", start)
    monkeypatch.setattr(once_module, "fit", fit)
    found = Found(
        choice.elastic.space.smallest, choice.costs.exact(choice.elastic.space.smallest), 0.0, 1
    )
    assert choice.take(found, FitOptions(minutes=1)) == 0.25
    assert choice.take(found, FitOptions(minutes=0.5)) == 0.05
    assert choice.take(found, FitOptions(steps=40)) is None


def test_exits_are_told() -> None:
    graph = elastic_graph()
    graph = with_heads(graph, [next(candidates(graph, taps(graph)[0]))])
    with pytest.raises(InputError, match="has exits, which would not fit"):
        train_once(job_of(graph), FitOptions(steps=2, examples=2))


def test_nothing_to_choose_is_told() -> None:
    b = GraphBuilder(1, (4, 1, 1), "latent")
    b.conv(8, 1, pad=0)
    b.add("relu")
    b.conv(3, 1, pad=0)
    with pytest.raises(InputError, match="has nothing to choose"):
        elastic_of(b.graph(), sample_inputs(b.graph().input, 4, 0))


def test_pictures_of_another_size() -> None:
    """A network that was trained for one size is searched for another."""
    graph = load_model("fsrcnn-x2").resized((6, 8))
    elastic = elastic_of(graph, sample_inputs(graph.input, 2, 0))
    other = graph.resized((4, 10))
    once = adapted(Once(elastic, graph, 1), job_of(graph))
    assert once.elastic is elastic
    job = Job(other, CompileOptions(board="kc705", image_size=(4, 10)).with_board(), None)
    once = adapted(Once(elastic, graph, 1), job)
    x = sample_inputs(other.input, 2, 1)
    with torch.no_grad():
        given = once.elastic(torch.from_numpy(x), once.elastic.space.whole).numpy()
    np.testing.assert_allclose(given, reference.run(other, x), atol=1e-5)
