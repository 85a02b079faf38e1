"""Training once for all: the same for a seed, from checkpoints too, and the small get better."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.elastic import elastic_graph
from winogen.common.errors import InputError, QuantisationError
from winogen.program.formats import sample_inputs

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression import trainer
from winogen.compression.budget import Training
from winogen.compression.elastic import Elastic
from winogen.compression.inputs import Source
from winogen.compression.once import elastic_of
from winogen.compression.shrinking import Part, Shrinker, drawn
from winogen.compression.teaching import Lesson, decibels

GRAPH = elastic_graph()
SOURCE = Source(GRAPH)
SHORT = Training(steps=12, batch=4)


def fresh() -> Elastic:
    return elastic_of(GRAPH, sample_inputs(GRAPH.input, 16, 0))


def shrinker(training: Training = SHORT, elastic: Elastic | None = None) -> Shrinker:
    return Shrinker(elastic or fresh(), training, GRAPH, SOURCE)


def as_bytes(elastic: Elastic) -> bytes:
    return b"".join(v.numpy().tobytes() for _, v in sorted(elastic.state_dict().items()))


def trained(training: Training = SHORT) -> bytes:
    elastic = fresh()
    shrinker(training, elastic).run()
    return as_bytes(elastic)


def test_the_same_seed_gives_the_same_bytes() -> None:
    first = trained()
    assert trained() == first
    assert trained(replace(SHORT, seed=1)) != first


@pytest.mark.parametrize("stopped", [1, 7])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    stopped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    path = tmp_path / "checkpoint"

    def stop(done: int, note: str) -> None:
        if done == stopped + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shrinker().run(path, stop)
    elastic, seen = fresh(), []
    shrinker(elastic=elastic).run(path, lambda done, note: seen.append(done))
    assert seen[0] == stopped + 1
    assert as_bytes(elastic) == trained()
    with pytest.raises(InputError, match="another training"):
        shrinker(replace(SHORT, seed=3)).run(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="damaged"):
        shrinker().run(path)


def test_what_is_smaller_joins_step_by_step() -> None:
    space = fresh().space
    first, last = drawn(space, 0.0, 5, 1), drawn(space, 1.0, 5, 1)
    assert set(first) == {space.whole}
    assert last[0] == space.smallest
    smallest = [drawn(space, share, 5, 1)[0] for share in (0.0, 0.1, 0.2, 0.3, 0.4)]
    for before, after in itertools.pairwise(smallest):
        assert all(a <= b for a, b in zip(before, after))
    assert len(set(smallest)) > 2
    assert space.whole in drawn(space, 1.0, 5, 0)
    many = {s for seed in range(200) for s in drawn(space, 1.0, seed, 1)}
    assert len(many) > 150
    for number, axis in enumerate(space.axes):
        assert {s[number] for s in many} == set(range(len(axis.values)))


def test_the_small_learn_and_the_whole_stays_good() -> None:
    elastic = fresh()
    lesson = Lesson.draw(GRAPH, 64, 123)
    space = elastic.space
    middle = tuple((len(axis.values) - 1) // 2 for axis in space.axes)

    def quality(setting: tuple[int, ...]) -> float:
        return decibels(lesson.error(Part(elastic, setting)))

    before = [quality(s) for s in (space.smallest, middle)]
    shrinker(Training(steps=80, batch=8), elastic).run()
    after = [quality(s) for s in (space.smallest, middle)]
    assert after[0] > before[0] + 1.0 and after[1] > before[1] + 1.0
    assert quality(space.whole) > after[1]


def test_training_that_explodes_is_told() -> None:
    elastic = fresh()
    with torch.no_grad():
        elastic._of(elastic.space.graph.nodes[0], "bias")[0] = np.nan
    with pytest.raises(QuantisationError, match="at step 0: its outputs"):
        shrinker(elastic=elastic).run()
