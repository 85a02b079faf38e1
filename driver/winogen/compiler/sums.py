"""How large a layer's sums can become: the proof that the accumulators hold them.

Only what meets in one output adds up. The taps of a transposed convolution are spread over its
output phases, one sample meets each of them elsewhere, and at a border some meet nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import QuantisationError
from winogen.compiler.shape import ConvShape
from winogen.network.reference import spread

#: Bits of the worst-case sum: Winograd needs four times it within the accumulator.
SUM_BITS = {8: 29, 16: 45}


def check_sums(
    where: str,
    shape: ConvShape,
    diagonal: bool,
    weight: NDArray[np.int64],
    bias: NDArray[np.int64],
    data_width: int,
) -> None:
    """Raise QuantisationError if a sum could wrap; ``where`` names the layer and its model."""
    worst = largest_sums(shape, diagonal, weight, bias, data_width).max()
    limit = 1 << SUM_BITS[data_width]
    if worst >= limit:
        raise QuantisationError(
            f"{where}: its sums can reach {worst}, over the {limit} that {data_width}-bit hardware "
            "adds exactly; split its input channels"
        )


def largest_sums(
    shape: ConvShape,
    diagonal: bool,
    weight: NDArray[np.int64],
    bias: NDArray[np.int64],
    data_width: int,
) -> NDArray[np.int64]:
    """Bound of the magnitude of every sum and partial sum, bias included, (cout,).

    It is what inputs of ``-2**(data_width - 1)`` come to at the output where most meets, each with
    the sign that makes it larger.

    Parameters
    ----------
    weight : (cout, cin, kh, kw), or (sources, cout, kh, kw) if ``diagonal``
    bias : (cout,), or (cout, h, w) that repeats over the output
    """
    taps = np.abs(weight).sum(axis=0 if diagonal else 1).astype(np.float64)  # (cout, kh, kw)
    rows, columns = (_met(shape, axis) for axis in (0, 1))
    if bias.ndim == 1:  # outputs that meet the same taps are alike
        rows, columns = (np.unique(met, axis=0) for met in (rows, columns))
    sums = (rows @ taps @ columns.T).astype(np.int64) << (data_width - 1)
    sums = sums + np.abs(spread(bias, sums.shape[1:]))[0]
    return sums.max(axis=(1, 2))


def _met(shape: ConvShape, axis: int) -> NDArray[np.float64]:
    """(outputs, taps) along an axis: 1 where an output adds a sample times that tap, else 0."""
    size, kernel, stride, pad, outputs = (
        pair[axis]
        for pair in (shape.input_size, shape.kernel, shape.stride, shape.pad, shape.output_size)
    )
    out, tap = np.arange(outputs)[:, None], np.arange(kernel)
    if shape.transposed:
        sample, between = np.divmod(out + pad - tap, stride)
        met = (between == 0) & (sample >= 0) & (sample < size)
    else:
        sample = stride * out + tap - pad
        met = (sample >= 0) & (sample < size)
    return met.astype(np.float64)
