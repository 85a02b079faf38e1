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


@pytest.mark.parametrize("board", ["pynq-z2", "kc705"])
def test_the_exact_cost_is_the_programs(board: str) -> None:
    elastic, costs, job = costs_of(load_model("digits"), board)
    for setting in (elastic.space.whole, *drawn(elastic, 2)):
        graph = elastic.graph(setting)
        program = compile_network(graph, outline(graph, fold(graph), 8).network, job.options)
        stream = program.program.streams[-1]
        cost = costs.exact(setting)
        assert (cost.batch, cost.cycles) == (stream.batch, stream.cycles)
        assert cost.fps == pytest.approx(speed(program.program, stream).overlapped, rel=1e-12)


@pytest.mark.parametrize("name", ["digits", "fsrcnn-x2"])
def test_estimates_are_close(name: str) -> None:
    graph = load_model(name)
    if graph.input.kind == "image":
        graph = graph.resized((12, 16))
    elastic, costs, _ = costs_of(graph, "pynq-z2")
    for setting in drawn(elastic, 4):
        assert costs.estimate(setting).cycles == pytest.approx(
            costs.exact(setting).cycles, rel=0.15
        )
    for end in (elastic.space.whole, elastic.space.smallest):
        assert costs.estimate(end).cycles == pytest.approx(costs.exact(end).cycles)


def test_a_layer_is_simulated_once() -> None:
    elastic, costs, _ = costs_of(load_model("digits"), "kc705")
    whole = elastic.space.whole
    before = costs.counted
    costs.estimate(whole)
    assert costs.counted == before
    costs.estimate((1, *whole[1:]))  # of the first layer what it makes, of the second what it reads
    assert costs.counted == (before[0] + 2, before[1])
    costs.estimate((1, 0, 0, 1, 0, 0))  # the second has another kernel then
    assert costs.counted == (before[0] + 3, before[1])
    costs.estimate((1, 0, 0, 1, 0, 0))
    costs.exact((1, 0, 0, 1, 0, 0))
    costs.exact((1, 0, 0, 1, 0, 0))
    assert costs.counted == (before[0] + 3, before[1] + 1)
