"""How far a network looks: what decides whether it runs on a large image window by window.

A window of an image gives the image's own outputs except near the edges where it was cut off:
there, layers pad with zeros instead of the pixels beyond. :func:`locality` counts those outputs
from the layers' geometry. A window's edge that is the image's edge loses nothing, since the image
is padded there in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from winogen.network.graph import HOST_OPERATIONS, Graph, Node

#: Largest enlargement or reduction of an image that is run in windows.
MAX_SCALE = 64
#: Largest numerator and denominator of a factor between sizes that is no whole number.
_PARTS = 4


def gain(size: int, out: int) -> Fraction:
    """By how much an output of ``out`` samples grows for one more of the input's ``size``.

    It is their ratio where that is simple; else samples are lost at the edges, and it is 1.
    """
    ratio = Fraction(out, size)
    whole = 1 in (ratio.numerator, ratio.denominator)
    simple = whole or max(ratio.numerator, ratio.denominator) <= _PARTS
    return ratio if simple else Fraction(1)


@dataclass(frozen=True)
class AxisLocality:
    """One axis (rows or columns) of a network that looks at a neighbourhood only.

    Attributes
    ----------
    enlarge, reduce : the output is ``enlarge / reduce`` times as large as the input, in lowest
        terms, up to a constant
    step : windows may begin at multiples of this many input samples, for the strides' sake
    before, after : output samples at the start and at the end of a window that are not those of
        the image where the window was cut off there
    """

    enlarge: int
    reduce: int
    step: int
    before: int
    after: int

    def advance(self, out: int) -> int:
        """Input samples by which one window of ``out`` outputs may follow another; 0 if none."""
        gain = (out - self.before - self.after) * self.reduce // self.enlarge
        return max(gain // self.step * self.step, 0)


@dataclass(frozen=True)
class Locality:
    """Both axes; see :class:`AxisLocality`."""

    rows: AxisLocality
    columns: AxisLocality


@dataclass(frozen=True)
class _Reach:
    """Of a value: its scale to the input, and the samples at either end that a cut spoils."""

    scale: Fraction
    before: int
    after: int


def locality(graph: Graph) -> Locality | None:
    """What windows of the graph's input size lose, or None where they would gain nothing.

    None is for networks with a layer that sees its whole input (linear layers) or its edges (what
    is no sum of products: normalisation, mirrored padding, interpolation), whose values of
    different scale meet, or whose edges take more than half of a window of this size.
    """
    axes = [_axis(graph, axis) for axis in (0, 1)]
    rows, columns = axes
    return Locality(rows, columns) if rows and columns else None


def _axis(graph: Graph, axis: int) -> AxisLocality | None:
    reaches = {Graph.INPUT_NAME: _Reach(Fraction(1), 0, 0)}
    for node in graph.nodes:
        inputs = [reaches[name] for name in node.inputs]
        if node.op in ("linear", *HOST_OPERATIONS) or len({reach.scale for reach in inputs}) != 1:
            return None
        size = graph.shapes[node.inputs[0]][1 + axis]
        out = graph.shapes[node.name][1 + axis]
        before, after = max(r.before for r in inputs), max(r.after for r in inputs)
        reaches[node.name] = _through(node, axis, _Reach(inputs[0].scale, before, after), size, out)
    last = reaches[graph.output_name]
    if max(last.scale.numerator, last.scale.denominator) > MAX_SCALE:
        return None
    step = math.lcm(*(reach.scale.denominator for reach in reaches.values()))
    found = AxisLocality(
        last.scale.numerator, last.scale.denominator, step, last.before, last.after
    )
    out = graph.output_shape[1 + axis]
    return found if 2 * (last.before + last.after) <= out and found.advance(out) else None


def _through(node: Node, axis: int, reach: _Reach, size: int, out: int) -> _Reach:
    """The reach of a layer's output of ``out`` samples, from that of its input of ``size``."""
    whole = size - reach.after  # input samples from here on are spoilt, or beyond the window
    if node.op == "upsample":
        factor = node.attrs["factor"]
        return _Reach(reach.scale * factor, reach.before * factor, reach.after * factor)
    if node.op not in ("conv", "deconv"):
        return reach
    kernel, stride = node.attrs["kernel"][axis], node.attrs["stride"][axis]
    pad = node.attrs["pad" if node.op == "conv" else "crop"][2 * axis]
    if node.op == "conv":  # output o reads inputs o * stride - pad, kernel of them
        first = -(-(reach.before + pad) // stride)
        stop = (whole + pad - kernel) // stride + 1
        scale = reach.scale / stride
    else:  # output o reads the inputs i with 0 <= o + pad - i * stride < kernel
        first = (reach.before - 1) * stride + kernel - pad
        stop = whole * stride - pad
        scale = reach.scale * stride
    return _Reach(scale, min(max(first, 0), out), min(max(out - stop, 0), out))
