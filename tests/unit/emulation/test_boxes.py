"""Boxes of one layer are joined where they make up an image, and only there."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from support.bench import Rig, named
from support.random_graphs import GraphBuilder
from winogen.compiler.compile import compile_graph
from winogen.emulation.emulator import boxes, fast, gemm
from winogen.emulation.emulator.jobs import Job

pytestmark = pytest.mark.skipif(not gemm.available(), reason="no exact products of bytes here")
WORD = named("tiny").core.word_bytes


@cache
def cut() -> tuple[Job, ...]:
    """The jobs of a layer that the tiny board cuts along both axes, before they are joined."""
    b = GraphBuilder(3, (3, 30, 40), "image")
    b.conv(9, 3, 1, 1)
    compiled = compile_graph(b.graph("cut", None), named("tiny"), batch=1)
    rig, seen = Rig(named("tiny")), []

    def keep(jobs: list[Job], word: int) -> list[Job]:
        seen.append(tuple(jobs))
        return jobs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "join_boxes", keep)
        rig.load(compiled, np.zeros((1, *compiled.program.input_shape), np.int64))
        assert rig.start(compiled.program.streams[0].stream)["done"]
    return seen[0]


def changed(job: Job, **fields: object) -> Job:
    """The job with other fields of its first pass's view or kernel."""
    chain = job.chains[0]
    first, *others = chain.passes
    view = {name: value for name, value in fields.items() if name != "origin"}
    first = replace(first, view=replace(first.view, **view))
    if "origin" in fields:
        first = replace(first, kernel=replace(first.kernel, origin=fields["origin"]))
    passes = (first, *others)
    return replace(job, chains=(replace(chain, passes=passes), *job.chains[1:]))


def test_boxes_of_an_image_are_one_job():
    jobs = cut()
    assert len({job.stores[0] for job in jobs}) == len(jobs) > 3
    [whole] = boxes.join_boxes(jobs, WORD)
    assert (whole.rows, whole.columns) == (30, 40)
    [p] = whole.chains[0].passes
    assert (p.view.rows, p.view.columns) == (30, 40)
    assert p.kernel.origin == (-1, -1)
    assert boxes.join_boxes(jobs[::-1], WORD) == [whole]


def test_one_that_is_missing_leaves_them_apart():
    jobs = cut()
    assert len(boxes.join_boxes(jobs[1:], WORD)) == len(jobs) - 1


@pytest.mark.parametrize("number", [0, 1, -1])
def test_what_is_zero_for_one_box_alone_leaves_them_apart(number):
    """A row less was loaded, while another box has it."""
    jobs = list(cut())
    rows = jobs[number].chains[0].passes[0].view.rows
    jobs[number] = changed(jobs[number], rows=rows - 1)
    assert len(boxes.join_boxes(jobs, WORD)) == len(jobs)


def test_another_place_leaves_them_apart():
    jobs = list(cut())
    y, x = jobs[1].chains[0].passes[0].kernel.origin
    address = jobs[1].chains[0].passes[0].view.address
    for wrong in (
        changed(jobs[1], origin=(y + 1, x)),
        changed(jobs[1], address=address + WORD),
        changed(jobs[1], address=address + 1),
        replace(jobs[1], stores=tuple(s + WORD for s in jobs[1].stores)),
        replace(jobs[1], columns=jobs[1].columns - 1),
    ):
        assert len(boxes.join_boxes([jobs[0], wrong, *jobs[2:]], WORD)) == len(jobs)


def test_weights_of_another_place_leave_one_apart():
    jobs = list(cut())
    chain = jobs[0].chains[0]
    params = tuple(address + 64 for address in chain.params)
    jobs[0] = replace(jobs[0], chains=(replace(chain, params=params),))
    assert len(boxes.join_boxes(jobs, WORD)) == len(jobs)


def test_large_images_are_not_done_at_once(monkeypatch):
    monkeypatch.setattr(boxes, "_MAX_ACTIVATIONS", 1000)
    assert boxes.join_boxes(cut(), WORD) == list(cut())
