"""Merging the jobs of a layer, where their order is free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from winogen.emulation.emulator.jobs import Job
from winogen.emulation.emulator.spans import Intervals

#: Images that one job covers at most: bounds the memory for its patches.
_MAX_IMAGES = 64


def merge_layers(
    jobs: list[Job], word_bytes: int, join: Callable[[list[Job]], list[Job]] | None
) -> list[Job]:
    """Merge the jobs of each layer over output blocks and images, where their order is free."""
    merged: list[Job] = []
    start = 0
    while start < len(jobs):
        stop = start
        while stop < len(jobs) and jobs[stop].layer == jobs[start].layer:
            stop += 1
        run = jobs[start:stop]
        free = _independent(run, word_bytes)
        if free:
            run = _merge_images(_merge_run(run), word_bytes)
            run = join(run) if join else run
        merged += run
        start = stop
    return merged


def _independent(run: list[Job], word: int) -> bool:
    """Whether no job of the run stores what another reads or stores."""
    views = {p.view for j in run for c in j.chains for p in c.passes if p.view}
    stored = Intervals()
    for job in run:
        stored.add(*job.span(word))
    if any(stored.touches(*view.span(word)) for view in views):
        return False
    starts = []
    for job in run:
        images = np.arange(job.images)[:, None] * job.image_stride
        rows = np.arange(job.rows)[None, :] * job.row_stride
        starts.append((job.stores[0] + (images + rows) * word).ravel())
    lengths = np.repeat([j.columns * word for j in run], [j.images * j.rows for j in run])
    order = np.argsort(np.concatenate(starts), kind="stable")
    begin = np.concatenate(starts)[order]
    return bool(np.all(begin[1:] >= begin[:-1] + lengths[order][:-1]))


def _merge_run(run: list[Job]) -> list[Job]:
    groups: dict[tuple, list[Job]] = {}
    for job in run:
        key = (
            job.images, job.rows, job.columns, job.stride, job.image_stride,
            job.row_stride,
            tuple(
                (
                    tuple((p.view, p.kernel, tuple(run.blocks for run in p.weights[0]))
                          for p in chain.passes),
                    chain.phases,
                    chain.activation,
                )
                for chain in job.chains
            ),
        )  # fmt: skip
        groups.setdefault(key, []).append(job)
    return [_join(group) for group in groups.values()]


def _merge_images(jobs: list[Job], word: int) -> list[Job]:
    """Merge jobs that do the same to successive images: images never meet in a sum."""
    groups: dict[tuple, list[tuple[tuple[int, ...], Job]]] = {}
    for job in jobs:
        key, place = _image_place(job, word)
        groups.setdefault(key, []).append((place, job))
    merged = []
    for group in groups.values():
        group.sort(key=lambda item: item[0])
        place, current = group[0]
        for following, job in group[1:]:
            shifted = tuple(p + current.images for p in place)
            if following == shifted and current.images + job.images <= _MAX_IMAGES:
                current = _with_images(current, current.images + job.images)
            else:
                merged.append(current)
                place, current = following, job
        merged.append(current)
    return merged


def _image_place(job: Job, word: int) -> tuple[tuple, tuple[int, ...]]:
    """What must agree for two jobs to differ only in their images, and which images those are."""
    place: list[int] = []
    rest: list[object] = [replace(job, chains=(), stores=(), images=0)]

    def add(offset: int, stride: int) -> None:
        image, within = divmod(offset, max(stride, 1) * word)
        place.append(image)
        rest.append(within)

    for store in job.stores:
        add(store, job.image_stride)
    for chain in job.chains:
        rest += [chain.phases, chain.params, chain.activation]
        for fused in chain.passes:
            rest += [fused.kernel, fused.weights]
            if fused.view:
                add(fused.view.address, fused.view.image_stride)
                rest.append(replace(fused.view, address=0, images=0))
    return tuple(rest), tuple(place)


def _with_images(job: Job, images: int) -> Job:
    chains = tuple(
        replace(
            chain,
            passes=tuple(
                replace(p, view=p.view and replace(p.view, images=images)) for p in chain.passes
            ),
        )
        for chain in job.chains
    )
    return replace(job, chains=chains, images=images)


def _join(group: list[Job]) -> Job:
    first = group[0]
    chains = []
    for i, chain in enumerate(first.chains):
        passes = tuple(
            replace(p, weights=tuple(job.chains[i].passes[n].weights[0] for job in group))
            for n, p in enumerate(chain.passes)
        )
        params = tuple(job.chains[i].params[0] for job in group)
        chains.append(replace(chain, passes=passes, params=params))
    return replace(first, chains=tuple(chains), stores=tuple(job.stores[0] for job in group))
