"""Costs of sub-networks: exact ones are those of programs, estimates are close to them."""

from __future__ import annotations

import numpy as np
import pytest

from winogen.compilation.job import Job
from winogen.compiler.compile import compile_network
from winogen.compiler.fold import fold
from winogen.compiler.options import CompileOptions
from winogen.compiler.outline import outline
from winogen.network.graph import Graph
from winogen.network.zoo import load_model
from winogen.program.formats import sample_inputs
from winogen.program.speed import speed

pytest.importorskip("torch", reason="training needs the package torch")

from winogen.compression.cycles import Costs
from winogen.compression.elastic import Elastic, in_order


def costs_of(graph: Graph, board: str, batch: int | None = 2) -> tuple[Elastic, Costs, Job]:
    job = Job(graph, CompileOptions(board=board, batch=batch).with_board(), None)
    elastic = Elastic(in_order(graph, sample_inputs(graph.input, 4, 0)))
    return elastic, Costs(job, elastic.space, elastic.graph), job


def drawn(elastic: Elastic, count: int) -> list[tuple[int, ...]]:
    random = np.random.default_rng(4)
    axes = elastic.space.axes
    return [tuple(int(random.integers(len(a.values))) for a in axes) for _ in range(count)]


@pytest.fixture(scope="module")
def digits() -> tuple[Elastic, Costs, Job]:
    return costs_of(load_model("digits"), "pynq-z2")


def test_the_exact_cost_is_the_programs(digits: tuple[Elastic, Costs, Job]) -> None:
    elastic, costs, job = digits
    for setting in drawn(elastic, 2):
        graph = elastic.graph(setting)
        program = compile_network(graph, outline(graph, fold(graph), 8).network, job.options)
        stream = program.program.streams[-1]
        cost = costs.exact(setting)
        assert (cost.batch, cost.cycles) == (stream.batch, stream.cycles)
        assert cost.fps == pytest.approx(speed(program.program, stream).overlapped, rel=1e-12)


def check_estimates(elastic: Elastic, costs: Costs, count: int) -> None:
    for setting in drawn(elastic, count):
        exact = costs.exact(setting).cycles
        assert costs.estimate(setting).cycles == pytest.approx(exact, rel=0.15)
    for end in (elastic.space.whole, elastic.space.smallest):
        assert costs.estimate(end).cycles == pytest.approx(costs.exact(end).cycles)


def test_estimates_are_close(digits: tuple[Elastic, Costs, Job]) -> None:
    check_estimates(*digits[:2], 4)


def test_estimates_of_pictures_with_layers_that_can_go() -> None:
    """Its ends are folded: pixels become channels."""
    elastic, costs, _ = costs_of(load_model("fsrcnn-x2").resized((6, 8)), "kc705")
    check_estimates(elastic, costs, 2)


def test_a_layer_is_simulated_once(digits: tuple[Elastic, Costs, Job]) -> None:
    elastic, costs, _ = digits
    whole = elastic.space.whole
    before = costs.counted
    costs.estimate(whole)
    assert costs.counted == before
    costs.estimate((5, *whole[1:]))  # of the first layer what it makes, of the second what it reads
    after = costs.counted
    assert before[0] < after[0] <= before[0] + 2 and after[1] == before[1]
    costs.estimate((5, 0, 0, 1, 0, 0))  # the second has another kernel then
    assert costs.counted == (after[0] + 1, after[1])
    costs.estimate((5, 0, 0, 1, 0, 0))
    costs.exact((5, 0, 0, 1, 0, 0))
    costs.exact((5, 0, 0, 1, 0, 0))
    assert costs.counted == (after[0] + 1, after[1] + 1)
