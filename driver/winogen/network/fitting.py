"""Sizes of images that a network takes, near one that it may not take.

Strides and skip connections want rows and columns to be multiples of some number. A picture of
another size is padded to the next that fits, and what is made of it is cropped.
"""

from __future__ import annotations

from collections.abc import Callable

from winogen.common.errors import ModelError
from winogen.network.graph import Graph
from winogen.network.locality import gain

#: Multiples of which an image's rows and columns are tried to be.
MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def size_taken(read: Callable[[tuple[int, int]], Graph], size: tuple[int, int]) -> tuple[int, int]:
    """The least rows and columns from ``size`` on, up to a multiple of 256, that a network takes.

    Preferred is one whose output is a simple multiple of it: there no layer has dropped a row.

    Parameters
    ----------
    read : the network for images of a size; ModelError where there is none

    Raises ModelError, that of ``size`` itself, if there is no such size.
    """
    first: tuple[int, int] | None = None
    refused: ModelError | None = None
    tried = set()
    for multiple in MULTIPLES:
        rows, columns = (-(-n // multiple) * multiple for n in size)
        if (rows, columns) in tried:
            continue
        tried.add((rows, columns))
        try:
            graph = read((rows, columns))
        except ModelError as error:
            refused = refused or error
            continue
        pairs = list(zip((rows, columns), graph.output_shape[1:]))
        if all(gain(n, out) * n == out for n, out in pairs):
            return rows, columns
        first = first or (rows, columns)
    if first is None:
        assert refused is not None
        raise refused
    return first
