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

    def edges(self) -> tuple[int, int, int, int]:
        """Padding, or crop where transposed, at the top, bottom, left and right.

        A stride may leave samples over at the end; no output reads them.
        """
        after = []
        for n, k, s, pad, out in zip(
            self.input_size, self.kernel, self.stride, self.pad, self.output_size
        ):
            if self.transposed:
                after.append((n - 1) * s + k - pad - out)
            else:
                after.append(max((out - 1) * s + k - n - pad, 0))
        return self.pad[0], after[0], self.pad[1], after[1]

    @property
    def pointwise(self) -> bool:
        """Whether every output is made from the one pixel at its place."""
        alone = self.kernel == self.stride == (1, 1) and self.pad == (0, 0)
        return alone and self.input_size == self.output_size
