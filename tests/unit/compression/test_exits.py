"""Training of exits: in the accelerator's integers, and nothing else of the network changes."""

from __future__ import annotations

import numpy as np
import pytest

from support.exits import with_exits
from winogen.common.errors import InputError
from winogen.compilation.job import Job
from winogen.compiler.calibrate import observe
from winogen.compiler.integers import integer_activations
from winogen.compiler.options import CompileOptions
from winogen.compiler.quantise import quantise
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.program.formats import sample_inputs

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression.budget import Training
from winogen.compression.exits import ExitTrainer
from winogen.compression.fit import fit
from winogen.compression.inputs import Source
from winogen.compression.options import FitOptions
from winogen.compression.self_distillation import ExitLoss, HeadTrainer
from winogen.compression.student import Student
from winogen.compression.teaching import Lesson, decibels

BOARD = CompileOptions(board="tiny", batch=2).with_board()


def trained(graph: Graph, **changes) -> Graph:
    settings = {"steps": 8, "batch": 4, **changes}
    trainer = ExitTrainer(
        Job(graph, BOARD, None), graph.without_exits(), Source(graph), 2.0
    )  # fmt: skip
    return trainer.train(Training(**settings), None, lambda *_: None)


def in_integers() -> Graph:
    """A network with exits whose layers, but for the heads, are trained in integers."""
    graph = with_exits()
    whole = Student(observe(graph.without_exits())).graph()
    nodes = {node.name: node for node in graph.nodes} | {node.name: node for node in whole.nodes}
    kept = [n for n in graph.nodes if n.op != "batchnorm"]
    left = {n.name: n.inputs[0] for n in graph.nodes if n.op == "batchnorm"}
    made = [nodes[n.name] for n in kept]
    assert not any(i in left for n in made for i in n.inputs)
    return Graph("exits", graph.input, made, graph.output_range, "", (), 8, graph.exits)


@pytest.mark.parametrize("exits_only", [False, True])
def test_every_exit_is_its_integers(exits_only) -> None:
    graph = in_integers() if exits_only else with_exits()
    student = Student(observe(graph, samples=4), exits_only=exits_only)
    if exits_only:
        assert {label for label, _ in student.holdings()} == {"exit1.1", "exit1.2", "exit2.1"}
        assert len(student.scales.steps) == 1  # of what is between the layers of the first
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for layer in student.parts():
            if layer.holding is not None:
                noise = torch.tensor(rng.standard_normal(layer.holding.weight.shape))
                layer.holding.weight += 0.05 * noise.float()
        for step in student.scales.steps:
            step += float(rng.uniform(-0.1, 0.3))
    student.exactly()
    network = quantise(student.graph(), samples=4)
    assert network.exits == graph.exits
    x = sample_inputs(graph.input, 3, 5)
    with torch.no_grad():
        mine = student.integers(torch.from_numpy(x))
    found = list(integer_activations(network, network.quantise_input(x)))
    assert {name for name, _ in found} == {p.block.name for p in student.parts()}
    for name, wanted in found:
        np.testing.assert_array_equal(mine[name].numpy(), wanted, name)
    out = student.outputs(mine)
    for number in (1, 2, 3):
        part = network.at_exit(number)
        real = part.output_format.dequantise(dict(found)[part.layers[-1].name])
        np.testing.assert_allclose(out[number - 1].numpy(), real, atol=1e-6)


def test_only_heads_are_trained() -> None:
    graph = in_integers()
    made = trained(graph)
    before = {node.name: node for node in graph.without_exits().nodes}
    assert made.exits == graph.exits
    assert made.trained_bits == 8
    whole = {n.name: n for n in made.without_exits().nodes}
    assert whole.keys() == before.keys()
    for name, node in whole.items():
        assert node.attrs == before[name].attrs
        for key, value in node.params.items():
            np.testing.assert_array_equal(value, before[name].params[key])
    heads = [n for n in made.nodes if n.name not in before and "weight" in n.params]
    assert len(heads) == 3
    for node in heads:
        units = node.params["weight"]
        axis = 0 if node.op == "conv" else 1
        steps = np.moveaxis(units, axis, -1) / node.params["weight_scale"]
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-6)


def test_exits_learn() -> None:
    graph = in_integers()
    lesson = Lesson.draw(graph, 64, 1)
    before = lesson.errors(Student(observe(graph)))
    after = lesson.errors(Student(observe(trained(graph, steps=60, batch=16))))
    assert after[2] == before[2]
    for was, now in zip(before[:2], after[:2]):
        assert decibels(now) > decibels(was) + 2


def test_the_same_seed_gives_the_same_exits() -> None:
    graph = in_integers()
    first, again = trained(graph), trained(graph)
    for one, two in zip(first.nodes, again.nodes, strict=True):
        for name, value in one.params.items():
            np.testing.assert_array_equal(value, two.params[name])


def test_the_loss_is_that_of_the_formula() -> None:
    graph = with_exits()
    loss = ExitLoss(graph, 2.0)
    assert loss.features == ["exit1.1.relu", "leaky_relu3"]
    assert loss.deepest == "relu6"
    with torch.no_grad():
        for regressor in loss.regressors:
            regressor.weight.zero_()
            regressor.bias.zero_()
    wanted = torch.full((2, 1, 8, 8), 0.5)
    outputs = [torch.zeros(2, 1, 8, 8), torch.full((2, 1, 8, 8), 0.25), torch.ones(2, 1, 8, 8)]
    shapes = {name: graph.shapes[name] for name in (*loss.features, loss.deepest)}
    features = {name: torch.full((2, *shape), 3.0) for name, shape in shapes.items()}
    images = (0.7 * 0.25 + 0.3 * 1.0) + (0.7 * 0.0625 + 0.3 * 0.5625)
    # A regressor that says 0 is as far off as the features are large.
    expected = images / 4 + 2 * 0.02
    assert float(loss(outputs, features.__getitem__, wanted).detach()) == pytest.approx(expected)


def test_heads_in_floating_point_leave_the_rest() -> None:
    graph = with_exits()
    source = Source(graph)
    made = HeadTrainer(graph, source, Training(30, 8), 2.0).run()
    x = sample_inputs(graph.input, 16, 9)
    wanted = reference.run(graph, x)
    np.testing.assert_array_equal(reference.run(made, x), wanted)

    def error(g: Graph, number: int) -> float:
        return float(np.mean((reference.run(g.at_exit(number), x) - wanted) ** 2))

    for number in (1, 2):
        assert error(made, number) < error(graph, number)


def test_fitted_with_exits_the_network_is_what_it_is_without() -> None:
    graph = with_exits().without_exits()
    job = Job(graph, BOARD, None)
    settings = {"steps": 4, "examples": 4, "device": "cpu"}
    plain = fit(job, FitOptions(**settings))
    fitted = fit(job, FitOptions(exits=(40, 90), **settings))
    program = fitted.compilation.program
    assert program.streams == plain.compilation.program.streams
    assert program.weights.startswith(plain.compilation.program.weights)
    assert fitted.after == plain.after
    assert len(fitted.exits) == len(fitted.exits_after) == len(program.exits) == 2
    for number, own in enumerate(fitted.exits, 1):
        alone = program.at_exit(number).streams[0].cycles / program.streams[0].cycles
        assert own.alone == pytest.approx(alone)
    with pytest.raises(InputError, match="has exits, which would not fit"):
        fit(Job(fitted.graph, BOARD, None), FitOptions(**settings))
    again = fit(Job(fitted.graph, BOARD, None), FitOptions(exits=(60,), **settings))
    assert len(again.graph.exits) == 1


def test_bytes_are_for_the_exits_too() -> None:
    graph = with_exits().without_exits()
    with pytest.raises(InputError, match="the exits' own weights take"):
        fit(Job(graph, BOARD, None), FitOptions(exits=(90,), bytes=10, steps=1, device="cpu"))


@pytest.mark.parametrize("exits", [(), (70, 45), (45, 45), (0,), (100,), tuple(range(1, 10))])
def test_shares_that_are_none(exits) -> None:
    with pytest.raises(InputError, match="--exits takes 1 to 8 different percentages"):
        FitOptions(exits=exits)
