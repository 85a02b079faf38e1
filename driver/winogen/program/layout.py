"""How the pixels at a network's ends lie in the channels that the accelerator sees.

A first layer with few channels wastes most input lanes, a last layer with few channels most output
lanes. So neighbouring pixels may be channels there: the host puts them in place while it converts
them, and the layers between see plain tensors. Both are well known: *unfold* (im2col) at the
input, *depth to space* (pixel shuffle) at the output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.network.graph import Shape

#: Pixels along an axis that a window may reach over or step, and that a block may have.
MAX_FOLD = 64


@dataclass(frozen=True)
class Unfold:
    """Windows of an input's pixels as channels; all pairs are (rows, columns).

    Channel ``(ty * window[1] + tx) * C + c`` of pixel (y, x) is channel c of the image's pixel
    ``(y * step[0] + ty * spacing[0] - pad[0], x * step[1] + tx * spacing[1] - pad[1])``, and 0
    outside of the image.

    Attributes
    ----------
    window : pixels that become channels
    step : pixels from one window to the next
    pad : pixels of the first window that lie before the image
    size : windows
    spacing : pixels from one of a window to the next
    """

    window: tuple[int, int]
    step: tuple[int, int]
    pad: tuple[int, int]
    size: tuple[int, int]
    spacing: tuple[int, int] = (1, 1)

    @property
    def is_spaced(self) -> bool:
        """Whether windows leave out pixels between theirs."""
        return self.spacing != (1, 1)

    @property
    def reach(self) -> tuple[int, int]:
        """Pixels from the first of a window to its last, and that one."""
        (rows, columns), (down, across) = self.window, self.spacing
        return (rows - 1) * down + 1, (columns - 1) * across + 1

    def shape(self, image: Shape) -> Shape:
        """Channels, rows and columns that the accelerator sees of an image of a shape."""
        return image[0] * self.window[0] * self.window[1], *self.size

    def channels(self, image: NDArray) -> Iterator[NDArray]:
        """Every channel (N, H', W') that the accelerator sees of images (N, C, H, W), in order."""
        pads, spans = [], []
        for size, reach, step, pad, windows in zip(
            image.shape[2:], self.reach, self.step, self.pad, self.size
        ):
            span = (windows - 1) * step + 1
            pads.append((pad, max(span - 1 + reach - pad - size, 0)))
            spans.append(span)
        padded = np.pad(image, ((0, 0), (0, 0), *pads))
        for ty in range(0, self.reach[0], self.spacing[0]):
            for tx in range(0, self.reach[1], self.spacing[1]):
                rows = slice(ty, ty + spans[0], self.step[0])
                columns = slice(tx, tx + spans[1], self.step[1])
                for c in range(image.shape[1]):
                    yield padded[:, c, rows, columns]


@dataclass(frozen=True)
class DepthToSpace:
    """Channels that are neighbouring pixels of the output; ``block`` is (rows, columns) of them.

    Channel c of the output's pixel (y, x) is channel ``((y % by) * bx + x % bx) * C + c`` of pixel
    (y // by, x // bx) that the accelerator stores, where (by, bx) is the block.
    """

    block: tuple[int, int]

    def shape(self, image: Shape) -> Shape:
        """Channels, rows and columns that the accelerator stores of an image of a shape."""
        by, bx = self.block
        return image[0] * by * bx, -(-image[1] // by), -(-image[2] // bx)

    def channels(self, image: Shape) -> list[tuple[int, int, slice, slice]]:
        """For each stored channel: the image's channel, and its rows and columns there."""
        by, bx = self.block
        return [
            ((y * bx + x) * image[0] + c, c, slice(y, None, by), slice(x, None, bx))
            for y in range(min(by, image[1]))
            for x in range(min(bx, image[2]))
            for c in range(image[0])
        ]

    def apply(self, stored: NDArray, image: Shape) -> NDArray:
        """Images (N, C, H, W) of what the accelerator stores (N, C', H', W')."""
        out = np.empty((len(stored), *image), stored.dtype)
        for channel, c, rows, columns in self.channels(image):
            part = out[:, c, rows, columns]
            part[...] = stored[:, channel, : part.shape[1], : part.shape[2]]
        return out


#: An output as it is.
PLAIN = DepthToSpace((1, 1))
