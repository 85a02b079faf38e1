"""The shape of a convolution: sizes, kernel, stride, padding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConvShape:
    """Geometry of a convolution (``transposed=False``) or transposed convolution.

    All pairs are (rows, columns). ``pad`` is the zero padding before the first sample of a
    convolution, or the crop at the start of the full output of a transposed one (negative adds).
    """

    transposed: bool
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    input_size: tuple[int, int]
    output_size: tuple[int, int]

    @property
    def pointwise(self) -> bool:
        """Whether every output is made from the one pixel at its place."""
        alone = self.kernel == self.stride == (1, 1) and self.pad == (0, 0)
        return alone and self.input_size == self.output_size
