"""What a processor computes between two runs of the accelerator, in integers.

The accelerator adds up products of activations and constants. What a layer needs beyond that (the
statistics of an image, the product of two activations, the largest of some pixels) is an operation
here: from the integers of stored tensors to integers of a known unit. The rest of such a layer is
a scale and a bias for each channel and an activation, as of any other (``host_layers.py``).

Everything is exact, so that every device gives the same bits: a board's processor, the emulator's
and the compiler's integer reference run these very functions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ProgramError
from winogen.network import sampling
from winogen.network.graph import MAX_VALUES, Shape
from winogen.network.sampling import Axis

Integers = NDArray[np.int64]

#: Bits of the largest value of :class:`Normalise`, for 8 and 16 bits: with a bias beside them the
#: sums stay well within those of the accelerator.
NORMALISED_BITS = {8: 20, 16: 30}
#: Fraction bits of the square root, and of the factor that stands for its reciprocal.
_ROOT_BITS = 16
_FACTOR_BITS = 30
#: Bits of the fraction that :class:`Normalise` has of epsilon.
EPSILON_BITS = 32
#: Largest epsilon, in those units.
MAX_EPSILON = (1 << 128) - 1
#: Most samples along an axis that is resampled.
MAX_SAMPLES = 1 << 16
#: Bits of the weights of :class:`Resample`, for 8 and 16 bits.
WEIGHT_BITS = {8: 10, 16: 14}
#: Fraction bits of what :class:`AveragePool` gives.
AVERAGED_BITS = 14
#: Fraction bits of what :class:`Resample` gives.
RESAMPLED_BITS = 14


@dataclass(frozen=True)
class HostOp(ABC):
    """An operation."""

    kind: ClassVar[str]
    #: Tensors that it takes.
    operands: ClassVar[int] = 1

    def check(self) -> None:  # noqa: B027 (most values are checked by their types)
        """Raise ProgramError for values that no compiler writes."""

    @abstractmethod
    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """Channels, rows, columns; ProgramError where the inputs do not fit."""

    @abstractmethod
    def run(self, inputs: Sequence[Integers]) -> Integers:
        """Integers (N, C, H, W) of the operands' integers (N, C, H, W)."""


@dataclass(frozen=True)
class Normalise(HostOp):
    """(x - mean) / sqrt(variance + epsilon) over groups of channels and all pixels, or over the
    channels of each pixel; the result has ``fraction`` fraction bits.

    With n values x of a group, ``S = sum x`` and ``Q = sum x^2``, it is
    ``(n x - S) / sqrt(n Q - S^2 + n^2 epsilon)``: the input's scale is gone. In integers, with
    ``V = n Q - S^2 + (n^2 epsilon + 2^31 >> 32)``,

        M = 2^(fraction + 16 + 30) // R,  R the least whole number with R^2 >= V * 2^32
        z = ((n x - S) * M + 2^29) >> 30

    and no z is beyond ``sqrt(n) 2^fraction`` by more than its rounding, by the inequality of Cauchy
    and Schwarz: the root is rounded up, and the quotient down.

    Attributes
    ----------
    groups : of channels (all of them: instance normalisation; 1: layer normalisation); 0: every
        pixel by itself
    centred : the mean is taken off; without, S is 0 (root mean square, PixelNorm)
    epsilon : in units of the squared input's 2^-32
    fraction : bits
    """

    groups: int
    centred: bool
    epsilon: int
    fraction: int

    kind: ClassVar[str] = "normalise"

    def check(self) -> None:
        """Raise ProgramError for values that no compiler writes."""
        if not (self.groups >= 0 and 0 <= self.epsilon <= MAX_EPSILON and 0 <= self.fraction <= 30):
            raise ProgramError(f"a normalisation by {self} is not possible")

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """Channels, rows, columns; ProgramError where the inputs do not fit."""
        if self.groups and inputs[0][0] % self.groups:
            raise ProgramError(f"{inputs[0][0]} channels are not {self.groups} groups")
        n = math.prod(inputs[0]) // self.groups if self.groups else inputs[0][0]
        if self.fraction > fraction_bits(n, 16):
            raise ProgramError(f"{self.fraction} fraction bits are too many for {n} values")
        return inputs[0]

    def run(self, inputs: Sequence[Integers]) -> Integers:
        """Integers (N, C, H, W) of the operands' integers (N, C, H, W)."""
        (x,) = inputs
        if self.groups == 0:
            return self._of_pixels(x)
        grouped = x.reshape(len(x), self.groups, -1)
        return self._scaled(grouped, axis=2).reshape(x.shape)

    def _of_pixels(self, x: Integers) -> Integers:
        return self._scaled(x, axis=1)

    def _scaled(self, x: Integers, axis: int) -> Integers:
        totals = x.sum(axis=axis, keepdims=True)
        squares = (x * x).sum(axis=axis, keepdims=True)
        return self.scaled(x, x.shape[axis], totals, squares)

    def scaled(self, x: Integers, n: int, totals: Integers, squares: Integers) -> Integers:
        """What becomes of values of groups of n with these sums, and sums of squares."""
        extra = (self.epsilon * n * n + (1 << (EPSILON_BITS - 1))) >> EPSILON_BITS
        factors = np.array(
            [
                self._factor(n * q - (s * s if self.centred else 0) + extra)
                for s, q in zip(totals.ravel().tolist(), squares.ravel().tolist())
            ],
            np.int64,
        ).reshape(totals.shape)
        centred = n * x - totals if self.centred else n * x
        return (centred * factors + (1 << (_FACTOR_BITS - 1))) >> _FACTOR_BITS

    def _factor(self, variance: int) -> int:
        """M of one group; 0 where all values are 0."""
        if not variance:
            return 0
        root = math.isqrt((variance << (2 * _ROOT_BITS)) - 1) + 1
        return (1 << (self.fraction + _ROOT_BITS + _FACTOR_BITS)) // root


def fraction_bits(n: int, data_width: int) -> int:
    """Fraction bits of :class:`Normalise` over ``n`` values: as many as its largest one leaves."""
    return NORMALISED_BITS[data_width] - math.isqrt(n).bit_length()


@dataclass(frozen=True)
class Multiply(HostOp):
    """The product of two tensors; a size of 1 is repeated along its axis."""

    kind: ClassVar[str] = "multiply"
    operands: ClassVar[int] = 2

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """Channels, rows, columns; ProgramError where the inputs do not fit."""
        a, b = inputs
        if any(m != n and 1 not in (m, n) for m, n in zip(a, b)):
            raise ProgramError(f"shapes {a} and {b} cannot be multiplied")
        return (max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]))

    def run(self, inputs: Sequence[Integers]) -> Integers:
        """Integers (N, C, H, W) of the operands' integers (N, C, H, W)."""
        return inputs[0] * inputs[1]


@dataclass(frozen=True)
class Extend(HostOp):
    """More rows and columns: mirrored without the edge (``reflect``), the edge again (``edge``), or
    those of the other side (``wrap``).

    ``edges`` are how many at the top, bottom, left and right.
    """

    mode: str
    edges: tuple[int, int, int, int]

    kind: ClassVar[str] = "pad"

    def check(self) -> None:
        """Raise ProgramError for values that no compiler writes."""
        if self.mode not in sampling.PAD_MODES or len(self.edges) != 4 or min(self.edges) < 0:
            raise ProgramError(f"a padding by {self} is not possible")

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """Channels, rows, columns; ProgramError where the inputs do not fit."""
        channels, rows, columns = inputs[0]
        top, bottom, left, right = self.edges
        for size, edges in ((rows, (top, bottom)), (columns, (left, right))):
            if self.mode == "reflect" and max(edges) >= size:
                raise ProgramError(f"{size} samples cannot be mirrored {max(edges)} times")
        return channels, rows + top + bottom, columns + left + right

    def run(self, inputs: Sequence[Integers]) -> Integers:
        """Integers (N, C, H, W) of the operands' integers (N, C, H, W)."""
        return sampling.extend(inputs[0], self.mode, self.edges)


@dataclass(frozen=True)
class _Pool(HostOp):
    """Of each window of the image; ``pad`` is what lies beyond it and counts nothing.

    Pairs are (rows, columns), ``pad`` is top, bottom, left, right.
    """

    window: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int, int, int]

    def check(self) -> None:
        """Raise ProgramError for values that no compiler writes."""
        pairs = zip(self.window, self.stride, (self.pad[:2], self.pad[2:]))
        lengths = len(self.window), len(self.stride), len(self.pad)
        if lengths != (2, 2, 4) or any(
            not 0 < w < 1 << 31 or s < 1 or min(p) < 0 or max(p) >= w for w, s, p in pairs
        ):
            raise ProgramError(f"a {self.kind} over {self} is not possible")

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """Channels, rows, columns; ProgramError where the inputs do not fit."""
        channels, rows, columns = inputs[0]
        rows, columns = sampling.pooled_size((rows, columns), self.window, self.stride, self.pad)
        if min(rows, columns) < 1:
            raise ProgramError(f"windows of {self.window} are not in {inputs[0]}")
        return channels, rows, columns


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The largest value of each window."""

    kind: ClassVar[str] = "maxpool"

    def run(self, inputs: Sequence[Integers]) -> Integers:
        """Integers (N, C, H, W) of the operands' integers (N, C, H, W)."""
        return sampling.max_pool(inputs[0], self.window, self.stride, self.pad)


@dataclass(frozen=True)
class AveragePool(_Pool):
    """The mean of what each window has of the image, with :data:`AVERAGED_BITS` fraction bits.

    Of n values whose sum is S it is ``(2^15 S + n) // (2 n)``: rounded to the nearest.
    """

    kind: ClassVar[str] = "avgpool"

    def run(self, inputs: Sequence[Integers]) -> Integers:
        """Integers (N, C, H, W) of the operands' integers (N, C, H, W)."""
        sums, counts = sampling.pooled_sums(inputs[0], self.window, self.stride, self.pad)
        return (sums * (2 << AVERAGED_BITS) + counts) // (2 * counts)


@dataclass(frozen=True)
class Resample(HostOp):
    """Linear or cubic interpolation along both axes (``sampling.Axis``); ``bits`` of each weight.

    The weights of each output are rounded to whole ``2^-bits``, and what is missing to 1 is given
    to the largest of them, so that an even surface stays what it is. The result has
    :data:`RESAMPLED_BITS` fraction bits.
    """

    rows: Axis
    columns: Axis
    bits: int

    kind: ClassVar[str] = "resample"

    def check(self) -> None:
        """Raise ProgramError for values that no compiler writes."""
        for axis in (self.rows, self.columns):
            if axis.nearest not in (None, *sampling.ROUNDINGS):
                raise ProgramError("a resampling is rounded in no known way")
            if min(axis.inputs, axis.outputs) < 1 or max(axis.inputs, axis.outputs) > MAX_SAMPLES:
                raise ProgramError(f"{axis.inputs} samples cannot be resampled to {axis.outputs}")
            if abs(axis.step) > MAX_SAMPLES or abs(axis.start) > MAX_SAMPLES:
                raise ProgramError(f"a resampling by {axis.step} is not possible")
            if axis.cubic is not None and not -1 <= axis.cubic <= 0:  # weights stay small
                raise ProgramError("a cubic kernel is of a coefficient from -1 to 0")
        if not RESAMPLED_BITS < 2 * self.bits <= 30:
            raise ProgramError(f"weights of {self.bits} bits are not possible")

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """Channels, rows, columns; ProgramError where the inputs do not fit."""
        if inputs[0][1:] != (self.rows.inputs, self.columns.inputs):
            raise ProgramError(f"a resampling of {inputs[0]} is one of another size")
        return inputs[0][0], self.rows.outputs, self.columns.outputs

    def run(self, inputs: Sequence[Integers]) -> Integers:
        """Integers (N, C, H, W) of the operands' integers (N, C, H, W)."""
        (x,) = inputs
        for number, axis in enumerate((self.rows, self.columns), 2):
            x = sampling.resample(x, number, *_whole_weights(axis, self.bits))
        shift = 2 * self.bits - RESAMPLED_BITS
        return (x + (1 << (shift - 1))) >> shift


def _whole_weights(axis: Axis, bits: int) -> tuple[Integers, Integers]:
    index, real = sampling.weights(axis)
    whole = np.floor(real * (1 << bits) + 0.5).astype(np.int64)
    largest = np.argmax(np.abs(whole), axis=1)
    whole[np.arange(len(whole)), largest] += (1 << bits) - whole.sum(axis=1)
    return index, whole


@dataclass(frozen=True)
class Rearrange(HostOp):
    """The same values in another order, or some of them again.

    Each of the three dimensions of the result is a product of *factors*, slowest first: how many,
    and how far apart in the flattened (C, H, W) input; 0 repeats.
    """

    factors: sampling.Factors

    kind: ClassVar[str] = "rearrange"

    def check(self) -> None:
        """Raise ProgramError for values that no compiler writes."""
        if len(self.factors) != 3 or math.prod(self._size()) > MAX_VALUES:
            raise ProgramError("a tensor cannot be rearranged so")
        factors = [f for d in self.factors for f in d]
        if any(len(f) != 2 or f[0] < 1 or not 0 <= f[1] <= MAX_VALUES for f in factors):
            raise ProgramError("a tensor cannot be rearranged by such factors")

    def _size(self) -> Shape:
        channels, rows, columns = (math.prod(f[0] for f in d) for d in self.factors)
        return channels, rows, columns

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """Channels, rows, columns; ProgramError where the inputs do not fit."""
        last = sum((f[0] - 1) * f[1] for d in self.factors for f in d)
        if last >= math.prod(inputs[0]):
            raise ProgramError(f"a rearrangement reaches outside of {inputs[0]}")
        return self._size()

    def run(self, inputs: Sequence[Integers]) -> Integers:
        """Integers (N, C, H, W) of the operands' integers (N, C, H, W)."""
        return sampling.rearranged(inputs[0], self.factors)


#: Every operation by its name in a program file.
KINDS: dict[str, type[HostOp]] = {
    op.kind: op for op in (Normalise, Multiply, Extend, MaxPool, AveragePool, Resample, Rearrange)
}
