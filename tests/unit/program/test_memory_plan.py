"""The memory that a program needs: whole pages, and the largest of what streams take in turn."""

from __future__ import annotations

from dataclasses import replace

from support.bench import small
from winogen.program.memory_plan import MemoryPlan, plan

PAGE = 4096


def stream(length: int, inputs: int, outputs: int, scratch: int):
    return replace(
        small().program.streams[0], stream=bytes(64 * length), input_bytes=inputs,
        output_bytes=outputs, scratch_bytes=scratch,
    )  # fmt: skip


def test_every_buffer_in_whole_pages():
    """All streams lie in memory at once; they share the other buffers."""
    streams = [stream(1, 1, 4097, 3 * PAGE), stream(64, PAGE, 1, 0), stream(65, 8192, 4096, 1)]
    assert plan(PAGE + 1, streams) == MemoryPlan(
        weights=2 * PAGE, streams=(1 + 1 + 2) * PAGE, input=2 * PAGE, output=2 * PAGE,
        scratch=3 * PAGE,
    )  # fmt: skip


def test_an_empty_buffer_takes_a_page():
    assert plan(0, [stream(0, 0, 0, 0)]) == MemoryPlan(*[PAGE] * 5)


def test_what_just_fits_fits():
    pages = MemoryPlan(252 * PAGE, *[PAGE] * 4)
    assert pages.total == 1 << 20
    assert pages.fits(1)
    assert not replace(pages, scratch=2 * PAGE).fits(1)
    assert not pages.fits(0)
