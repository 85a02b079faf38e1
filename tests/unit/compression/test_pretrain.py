"""Pretraining: the same bytes from checkpoints too; features fade, and zeros stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import InputError, QuantisationError
from winogen.network.graph import Graph
from winogen.network.stored import save_network
from winogen.program.formats import sample_inputs

pytest.importorskip("torch", reason="training needs the package torch")

from winogen.compression import pretrain as pretrain_module
from winogen.compression import trainer
from winogen.compression.blocks import with_blocks
from winogen.compression.budget import Training
from winogen.compression.checkpoint import asked_of, tried_of
from winogen.compression.inputs import Source
from winogen.compression.narrow import narrowed
from winogen.compression.pretrain import Pretrainer, features

SHORT = Training(steps=12, batch=4)


def teacher() -> Graph:
    b = GraphBuilder(7, (12, 1, 1), "latent")
    b.deconv(32, 4, 1, 0)
    b.add("relu", name="first")
    b.deconv(16, 4, 2, 1)
    b.add("relu", name="second")
    b.conv(2, 3)
    b.add("tanh")
    return b.graph(output_range=(-1.0, 1.0))


TEACHER = teacher()


def narrow() -> Graph:
    return narrowed(TEACHER, 0.5, sample_inputs(TEACHER.input, 8, 0))


def pretrainer(graph: Graph, training: Training = SHORT) -> Pretrainer:
    return Pretrainer(graph, TEACHER, training, Source(TEACHER))


def as_bytes(graph: Graph, folder: Path) -> bytes:
    save_network(graph, folder / "n.npz")
    return (folder / "n.npz").read_bytes()


def test_values_that_layers_read_are_features() -> None:
    assert features(narrow(), TEACHER) == ("first", "second")
    assert features(with_blocks(TEACHER, "separable"), TEACHER) == ("first", "second")


@pytest.mark.parametrize("stopped", [2, 8])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    stopped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    whole, steps, curve = pretrainer(narrow()).run()
    path = tmp_path / "checkpoint"

    def stop(done: int, note: str) -> None:
        if done == stopped + 1:  # the last step that was saved is the one before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrainer(narrow()).run(path, 34, stop)
    assert asked_of(path) == (12, 34)
    seen: list[int] = []
    rest = pretrainer(narrow()).run(path, 34, lambda done, note: seen.append(done))
    assert seen[0] == stopped + 1
    assert as_bytes(rest[0], tmp_path) == as_bytes(whole, tmp_path)
    assert rest[1:] == (steps, curve)
    again = pretrainer(narrow()).run(path)  # what is done is not done again
    assert as_bytes(again[0], tmp_path) == as_bytes(whole, tmp_path)


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    pretrainer(narrow()).run(path, 5, tried=7)
    assert tried_of(path) == 7
    with pytest.raises(InputError, match="another training"):
        pretrainer(narrow(), replace(SHORT, seed=3)).run(path)
    with pytest.raises(InputError, match="another training"):
        pretrainer(with_blocks(TEACHER, "separable")).run(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="damaged"):
        pretrainer(narrow()).run(path)
    with pytest.raises(InputError, match="damaged"):
        asked_of(path)
    with pytest.raises(InputError, match="damaged"):
        tried_of(path)


@pytest.mark.parametrize("kind", ["separable", "shuffle"])
def test_weights_between_groups_stay_nothing(kind: str) -> None:
    student = with_blocks(TEACHER, kind)
    trained, _, _ = pretrainer(student).run()
    changed = 0
    for before, after in zip(student.nodes, trained.nodes):
        if "weight" not in before.params:
            continue
        zeros = before.params["weight"] == 0
        assert not np.any(after.params["weight"][zeros])
        changed += not np.array_equal(before.params["weight"], after.params["weight"])
    assert changed == len([n for n in student.nodes if "weight" in n.params])


@pytest.mark.parametrize("graph", [narrow(), with_blocks(TEACHER, "mobilenet")])
def test_a_student_learns(graph: Graph) -> None:
    _, steps, curve = pretrainer(graph, Training(steps=120, batch=16)).run()
    assert steps == 120
    assert curve[-1][1] > curve[0][1] + 3


def test_features_count_and_fade(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They change what is learned, and nothing in the second half."""
    with_them = pretrainer(narrow()).run()[0]
    monkeypatch.setattr(pretrain_module, "_FEATURES", 0.0)
    without = pretrainer(narrow()).run()[0]
    assert as_bytes(with_them, tmp_path) != as_bytes(without, tmp_path)
    monkeypatch.setattr(pretrain_module, "_FEATURES", 0.01)
    run = pretrainer(narrow())
    for _ in range(6):
        run.step()
    before = [p.detach().clone() for p in run._regressors.parameters()]
    state = run._optimiser.state_dict()
    assert state["state"]  # that moved them until now
    run.step()
    grads = [p.grad for p in run._regressors.parameters()]
    assert len(before) == 4 and all(g is None for g in grads)


def test_regressors_begin_as_the_best() -> None:
    """A student that is the teacher has nothing to add."""
    run = pretrainer(TEACHER)
    x, _, seen = run._answer(0)
    own: dict = {}
    run._student(x, own.__setitem__)
    for name, regressor in zip(("first", "second"), run._regressors):
        apart = pretrain_module._apart(regressor(own[name]), seen[name])
        assert float(apart.detach()) < 1e-3


def test_training_that_explodes_is_told() -> None:
    run = pretrainer(narrow())
    run.step()
    next(run._student.parameters()).data.fill_(float("nan"))
    with pytest.raises(QuantisationError, match="at step 1: its outputs got infinite or NaN"):
        run.step()


def test_time_ends_a_run(tmp_path: Path) -> None:
    """For good: what follows in integers has begun from there, and goes on from there."""
    path = tmp_path / "checkpoint"
    graph, steps, curve = pretrainer(narrow(), replace(SHORT, until=0.0)).run(path)
    assert steps == 0 and len(curve) == 1
    assert graph.shapes == narrow().shapes
    assert pretrainer(narrow()).run(path)[1:] == (0, curve)
