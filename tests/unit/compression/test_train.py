"""Training: the same bytes for the same seed, from checkpoints too; what is asked for is held."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import InputError, QuantisationError
from winogen.compiler.calibrate import Observed, observe
from winogen.network.graph import Graph
from winogen.network.stored import save_network

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression import clock as clock_module
from winogen.compression import trainer
from winogen.compression.budget import Training
from winogen.compression.recipe import Held, Recipe
from winogen.compression.student import Student
from winogen.compression.teaching import Lesson, decibels
from winogen.compression.train import Distiller, Trained


def tiny() -> Graph:
    """A generator of 8 x 8 images, with layers of over 4,096 weights."""
    b = GraphBuilder(7, (12, 1, 1), "latent")
    b.deconv(48, 4, 1, 0)
    b.batchnorm()
    b.add("relu")
    b.deconv(16, 4, 2, 1)
    b.add("relu")
    b.conv(2, 3)
    b.add("tanh")
    return b.graph(output_range=(-1.0, 1.0))


@pytest.fixture(scope="module")
def observed() -> Observed:
    return observe(tiny(), samples=32)


LAYERS = ("deconv0", "deconv3")
PRUNED = Recipe(8, dict.fromkeys(LAYERS, Held(0.4)))
SHARED = Recipe(8, dict.fromkeys(LAYERS, Held(0.5, 8)))
RECIPES = {"plain": Recipe(), "four bits": Recipe(4), "pruned": PRUNED, "shared": SHARED}
SHORT = Training(steps=24, batch=4)


@cache
def whole(name: str) -> Trained:
    """The recipe's short training, run once: what another run of it has to give too."""
    return Distiller(observe(tiny(), samples=32), RECIPES[name], SHORT).run()


def as_bytes(trained: Trained, folder: Path) -> bytes:
    save_network(trained.graph, folder / "n.npz")
    return (folder / "n.npz").read_bytes()


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_seed_gives_the_same_bytes(observed: Observed, name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    first, second = whole(name), Distiller(observed, recipe, SHORT).run()
    assert as_bytes(first, tmp_path) == as_bytes(second, tmp_path)
    assert first.psnr == second.psnr
    other = Distiller(observed, recipe, replace(SHORT, seed=1)).run()
    if name != "plain":  # of which what is best may be the first step
        assert as_bytes(other, tmp_path) != as_bytes(first, tmp_path)


@pytest.mark.parametrize("stopped", [3, 15, 23])
@pytest.mark.parametrize("name", ["plain", "pruned", "shared"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    observed: Observed, name: str, stopped: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    recipe, in_one_go = RECIPES[name], whole(name)
    monkeypatch.setattr(trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    path = tmp_path / "checkpoint"

    def stop(done: int, note: str) -> None:
        if done == stopped + 1:  # the last step that was saved is the one before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Distiller(observed, recipe, SHORT).run(path, stop)
    seen: list[int] = []
    again = Distiller(observed, recipe, SHORT)
    rest = again.run(path, lambda done, note: seen.append(done))
    assert seen[0] == stopped + 1
    assert as_bytes(rest, tmp_path) == as_bytes(in_one_go, tmp_path)
    assert rest.psnr == in_one_go.psnr


def test_another_trainings_checkpoint_is_refused(
    observed: Observed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    path = tmp_path / "checkpoint"
    Distiller(observed, PRUNED, SHORT).run(path)
    for recipe, training in ((SHARED, SHORT), (PRUNED, replace(SHORT, seed=3))):
        with pytest.raises(InputError, match="another training"):
            Distiller(observed, recipe, training).run(path)
    later = replace(SHORT, until=time.monotonic() + 1000)
    Distiller(observed, PRUNED, later).run(path)  # how long it may take does not matter
    data = path.read_bytes()
    for damaged in (b"", data[:1000], data[: len(data) // 2], b"PK\3\4" + bytes(500)):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            Distiller(observed, PRUNED, SHORT).run(path)


def test_all_of_a_network_tells_it_apart() -> None:
    """Attributes and ends too: the same parameters may be those of another network."""
    graph = tiny()
    known = {trainer.described(graph), trainer.described(tiny())}
    assert len(known) == 1
    last = replace(graph.nodes[-1], attrs={**graph.nodes[-1].attrs, "slope": 0.3})
    known |= {
        trainer.described(replace(graph, nodes=[*graph.nodes[:-1], last])),
        trainer.described(replace(graph, output_range=(0.0, 7.0))),
        trainer.described(replace(graph, input=replace(graph.input, distribution="uniform"))),
    }
    assert len(known) == 4


@pytest.mark.parametrize("steps", [1, 2, 24])
@pytest.mark.parametrize("recipe", [Recipe(4), PRUNED, SHARED])
def test_weights_are_held_as_asked(observed: Observed, recipe: Recipe, steps: int) -> None:
    graph = Distiller(observed, recipe, replace(SHORT, steps=steps)).run().graph
    checked = 0
    for node in graph.nodes:
        if "weight_scale" not in node.params:
            continue
        weight = node.params["weight"]
        if node.op == "deconv":
            weight = weight.swapaxes(0, 1)
        units = weight / node.params["weight_scale"].reshape(-1, 1, 1, 1)
        np.testing.assert_allclose(units, np.round(units), atol=1e-6)
        assert np.abs(units).max() <= (7 if recipe.bits == 4 else 127) + 1e-6
        held = recipe.layers.get(node.name, Held())
        assert np.count_nonzero(units) <= round(held.kept * units.size)
        if held.shared is not None:
            assert len(np.unique(np.round(units))) <= held.shared
        checked += 1
    assert checked == 3


def test_the_time_ends_a_run(observed: Observed) -> None:
    long = Training(steps=100_000, batch=4, until=time.monotonic() + 0.2)
    trained = Distiller(observed, SHARED, long).run()
    assert 0 < trained.steps < 100_000
    for node in trained.graph.nodes:
        if node.name in LAYERS:
            assert np.count_nonzero(node.params["weight"]) <= 0.5 * node.params["weight"].size + 1


def test_time_that_ends_just_after_values_are_shared(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing that is held as it is to be has been measured yet."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(clock_module, "time", clock)

    def over(done: int, note: str) -> None:
        clock.now = float(done)

    short = Training(steps=100, batch=2, until=26.5)
    trained = Distiller(observed, SHARED, short).run(progress=over)
    assert trained.steps == 27
    assert trained.psnr[-1] == (27, trained.best)
    for node in trained.graph.nodes:
        if node.name in LAYERS:
            assert np.count_nonzero(node.params["weight"]) <= 0.5 * node.params["weight"].size + 1


def test_training_that_explodes_is_told(observed: Observed) -> None:
    run = Distiller(observed, PRUNED, SHORT)
    run.step()
    _, holding = next(run._student.holdings())
    holding.weight.register_hook(lambda slope: slope * float("nan"))
    before = holding.weight.detach().clone()
    with pytest.raises(QuantisationError, match="at step 1: the gradient of"):
        run.run()
    assert torch.equal(holding.weight, before)


def test_training_betters_what_pruning_spoils(observed: Observed) -> None:
    training = Training(steps=200, batch=16, rate=1e-2)
    trained = Distiller(observed, PRUNED, training).run()
    judge = Lesson.draw(observed.graph, 64, 123)
    student = Student(observed)
    spoilt = Distiller(observed, PRUNED, replace(training, steps=1)).run()

    def quality(graph: Graph) -> float:
        return decibels(judge.error(Student(observe(graph, samples=8))))

    assert quality(trained.graph) > quality(spoilt.graph) + 5
    assert decibels(judge.error(student)) > quality(trained.graph)


def test_plain_training_never_loses(observed: Observed) -> None:
    """However badly it is trained, what is returned is no worse on the inputs it is chosen by."""
    wild = Training(steps=20, batch=2, rate=0.5)
    trained = Distiller(observed, Recipe(), wild).run()
    assert trained.psnr[-1][1] < trained.psnr[0][1] - 3
    before = Distiller(observed, Recipe(), replace(wild, steps=1, rate=1e-12)).run()
    judge = Lesson.draw(observed.graph, 64, 123)
    first, second = (judge.error(Student(observe(t.graph, samples=8))) for t in (before, trained))
    assert second == pytest.approx(first, rel=1e-3)


@pytest.mark.parametrize(
    "wrong", [lambda: Recipe(5), lambda: Held(0.0), lambda: Held(1.5), lambda: Held(1.0, 17)]
)
def test_recipes_that_are_not_possible(wrong) -> None:
    with pytest.raises(InputError):
        wrong()
