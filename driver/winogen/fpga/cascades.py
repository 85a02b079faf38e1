"""Cascades of DSPs in the multiplier array, and how many of them open tools place.

Stock versions of nextpnr place a cascade within one clock row. On the xc7z020 the processing system
leaves 11 pieces of DSP columns, each of one clock row's 20 sites.
"""

from __future__ import annotations

from winogen.target.board import CoreConfig

_SITES, _PIECES = 20, 11


def cascades(core: CoreConfig) -> int:
    """Cascades of the array, of ``ci_lanes`` DSPs each: one for an output channel of a tile."""
    return core.co_lanes * core.tile_lanes


def most_cascades(core: CoreConfig) -> int:
    """How many cascades of this length stock versions of nextpnr place on an xc7z020."""
    return _PIECES * (_SITES // core.ci_lanes)
