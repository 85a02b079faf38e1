"""Limits that options and training share; without torch."""

from __future__ import annotations

#: Data width of the networks that are trained in integers.
BITS = 8
#: The most values that a layer can share: what four bits tell apart.
MAX_SHARED = 16
#: Layers with fewer weights are left as they are: they are a small part of all.
SMALL = 4096
#: The most steps of a training: inputs are drawn by their number.
MAX_STEPS = 1 << 30
#: Exits that are trained at most, and the cycles of the whole network that each may take, in
#: percent.
MAX_EXITS, MIN_SHARE, MAX_SHARE = 8, 1, 99
#: Blocks that can stand for dense layers.
BLOCKS = ("separable", "mobilenet", "shuffle")
