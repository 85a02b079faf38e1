"""Figures: what they draw is what the compiler's tables say."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from winogen.common.errors import WinogenError
from winogen.reports import figures

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    # Not imported anew where a test took it away: its compiled parts are loaded once a process.
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


def cells(axis, colour: str) -> int:
    wanted = matplotlib.colors.to_rgba(colour)
    return sum(p.get_facecolor() == wanted for p in axis.patches)


def words(axis) -> list[str]:
    return [t.get_text() for t in axis.texts if t.get_text()]


def test_overlapping_sums_show_every_product_once():
    figure = figures.overlapping_sums(4, 2, 1, size=4)
    scattered, sorted_ = figure.axes
    # Every input meets every weight, but for one at either end that falls outside.
    assert sorted(words(scattered)) == sorted(words(sorted_))
    assert len(words(scattered)) == 4 * 4 - 2
    assert [cells(scattered, c) for c in figures.COLOURS[:2]] == [7, 7]


@pytest.mark.parametrize(
    ("kernel", "pad", "taps", "positions"),
    [(4, 1, [4, 4, 4, 4], [9, 9, 9, 9]), (5, 2, [9, 6, 6, 4], [16, 12, 12, 9])],
)
def test_phases_and_their_positions(kernel, pad, taps, positions):
    whole, *phases = figures.phase_kernels(kernel, 2, pad).axes
    assert [len(words(axis)) for axis in phases] == taps
    assert len(set(words(whole))) == kernel**2
    patterns = figures.zero_patterns(kernel, 2, pad).axes
    assert [cells(a, c) for a, c in zip(patterns, figures.COLOURS)] == positions
    assert [len(words(axis)) for axis in patterns] == [16 - n for n in positions]


def test_a_layer_of_several_passes_is_refused():
    with pytest.raises(ValueError, match="several passes"):
        figures.zero_patterns(9, 2, 4)


def test_tiles():
    source, target = figures.tiles(size=6, stride=2).axes
    assert len(words(source)) == 8**2 - 6**2, "zeros around the input"
    assert cells(target, figures.COLOURS[0]) == 2 * 4, "two tiles have four outputs of a phase"


def test_costs_are_the_published_ones():
    layers = [("a", figures.deconvolution(5, 2, 2, 8)), ("b", figures.deconvolution(4, 2, 1, 8))]
    (axis,) = figures.mode_costs(layers).axes
    heights = [bar.get_height() for container in axis.containers for bar in container]
    assert heights == [400, 256, 100, 64, 49, 36]


def test_rows_of_images():
    grey, colour = np.zeros((3, 4, 4, 1), np.uint8), np.zeros((2, 4, 4, 3), np.uint8)
    figure = figures.images([("grey", grey), ("colour", colour)])
    assert sum(len(axis.images) for axis in figure.axes) == 5
    assert {axis.get_title(loc="left") for axis in figure.axes} == {"grey", "colour", ""}


def test_without_matplotlib(monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(WinogenError, match=r"pip install 'winogen\[plot\]'"):
        figures.tiles()
