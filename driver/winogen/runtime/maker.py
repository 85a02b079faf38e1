"""What makes images for whoever asks: a generator, or several that are asked as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.program.file import Program


class Maker(Protocol):
    """What :class:`winogen.runtime.generator.Generator` and a cluster have in common.

    Attributes
    ----------
    program : what it runs
    """

    program: Program

    @property
    def parallel(self) -> int:
        """How many devices share a call."""

    @property
    def unchecked(self) -> int:
        """Runs since the last look for soft errors, where any are asked for."""

    def latents(self, count: int, seed: int = 0) -> NDArray[np.float32]:
        """Reproducible inputs."""

    def generate(
        self,
        z: ArrayLike | Mapping[str, ArrayLike],
        *,
        as_float: bool = ...,
        progress: Callable[[int], None] | None = ...,
        count: bool = ...,
        exit: int | None = ...,
    ) -> NDArray:
        """Outputs of inputs."""

    def apply(
        self,
        image: ArrayLike,
        *,
        as_float: bool = ...,
        progress: Callable[[int, int], None] | None = ...,
        count: bool = ...,
        exit: int | None = ...,
    ) -> NDArray:
        """The output of one image of any size."""

    def counters(self) -> dict[str, int]:
        """The hardware's counters of the last call."""

    def check(self) -> None:
        """Look for soft errors now."""
