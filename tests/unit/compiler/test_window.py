"""How large windows of larger images should be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.random_graphs import GraphBuilder
from winogen.compiler.window import SIDES, choose_window, window_length
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.network.locality import AxisLocality, locality
from winogen.runtime.windows import spans
from winogen.target.board import load_board


@pytest.fixture(scope="module")
def fsrcnn() -> Graph:
    return zoo.load_model("fsrcnn-x2")


def test_images_are_cut_into_even_parts():
    axis = AxisLocality(2, 1, 1, 15, 16)
    assert window_length(200, 256, axis) == 200
    assert window_length(256, 256, axis) == 256
    assert window_length(257, 256, axis) == 138
    for size in range(300, 2000, 37):
        length = window_length(size, 256, axis)
        found = spans(size, length, 2 * length, axis, "rows")
        assert length <= 256
        assert len(found) * length < size + 18 * len(found)
        assert length % 2 == 0


def test_windows_keep_the_strides_phase_whether_even_or_not():
    axis = AxisLocality(1, 2, 2, 15, 16)
    for size in (301, 302):
        length = window_length(size, 256, axis)
        assert (size - length) % axis.step == 0


def test_windows_are_as_large_as_memory_allows(fsrcnn):
    board = load_board("pynq-z2")
    assert choose_window(fsrcnn, board, [(64, 30)]) == (64, 30)
    rows, columns = choose_window(fsrcnn, board, [(1080, 1920)])
    assert 256 < rows <= SIDES[0]
    assert 256 < columns <= SIDES[0]
    small = replace(board, contiguous_mib=16)
    assert max(choose_window(fsrcnn, small, [(1080, 1920)])) <= 192
    assert choose_window(fsrcnn, board, [(900, 100), (80, 1000)]) == (80, 100)


def test_a_picture_too_narrow_for_windows_is_run_whole(fsrcnn):
    rows, columns = choose_window(fsrcnn, load_board("pynq-z2"), [(10, 700)])
    resized = fsrcnn.resized((rows, columns))
    assert (rows, columns) == (10, 700) or locality(resized) is not None


def test_networks_that_see_their_whole_input_have_no_windows():
    b = GraphBuilder(0, (5, 1, 1), "latent")
    b.linear((6, 2, 2))
    assert choose_window(b.graph(), load_board("tiny"), [(64, 64)]) is None
