"""Exits: the same output early, of a network's first layers and a few of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from winogen.network.locality import Locality
from winogen.program.formats import TensorFormat
from winogen.program.layout import DepthToSpace
from winogen.program.parts import StreamInfo, WeightPiece


@dataclass(frozen=True)
class Exit:
    """How a program runs as far as an exit.

    Attributes
    ----------
    layers : numbers of the layers that run, ascending: of the program's ``layers``, and from their
        count on of its ``heads``
    streams : by ascending batch size, as many as the whole network has
    output_format : what the integers of its output stand for
    shuffle : channels of the accelerator that are pixels of its output
    locality : what a window of a larger image loses, or None if it cannot be run in windows
    """

    layers: tuple[int, ...]
    streams: tuple[StreamInfo, ...]
    output_format: TensorFormat
    shuffle: DepthToSpace
    locality: Locality | None = None


def pieces_of(pieces: Sequence[WeightPiece], layers: Sequence[int]) -> tuple[WeightPiece, ...]:
    """The weights of some of a program's layers, which count from 0 among themselves."""
    number = {layer: own for own, layer in enumerate(layers)}
    return tuple(replace(p, layer=number[p.layer]) for p in pieces if p.layer in number)
