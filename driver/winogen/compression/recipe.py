"""Recipes: how the weights of each layer are to be held once training is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from winogen.common.errors import InputError
from winogen.compression.limits import MAX_SHARED

#: The largest integer of a weight, by its bits.
LEVELS = {8: 127, 4: 7}


@dataclass(frozen=True)
class Held:
    """How one layer's weights are held.

    Attributes
    ----------
    kept : share of the weights that are not pruned
    shared : the most different integers, 0 among them if any are pruned; None: as many as fit
    """

    kept: float = 1.0
    shared: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.kept <= 1:
            raise InputError(f"a share of weights to keep must be in (0, 1], not {self.kept}")
        if self.shared is not None and not 2 <= self.shared <= MAX_SHARED:
            raise InputError(f"a layer shares 2 to {MAX_SHARED} values, not {self.shared}")


@dataclass(frozen=True)
class Recipe:
    """How all layers' weights are held.

    Attributes
    ----------
    bits : of a weight, 8 or 4
    layers : by the layer's name; those that are not here are held plainly
    """

    bits: int = 8
    layers: Mapping[str, Held] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bits not in LEVELS:
            raise InputError(f"weights have {' or '.join(map(str, LEVELS))} bits, not {self.bits}")

    @property
    def prunes(self) -> bool:
        """Whether any weight is pruned."""
        return any(held.kept < 1 for held in self.layers.values())

    @property
    def shares(self) -> bool:
        """Whether any values are shared."""
        return any(held.shared is not None for held in self.layers.values())

    @property
    def plain(self) -> bool:
        """Whether it asks for no more than the compiler does by itself."""
        return self.bits == 8 and not self.prunes and not self.shares
