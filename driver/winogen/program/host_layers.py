"""Layers that a processor computes between two runs of the accelerator, and where their data lie.

A host layer is an operation (``host_ops.py``), and then what every layer ends with: a factor and a
bias for each channel, requantisation, and possibly an activation table.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ProgramError
from winogen.network.graph import Shape
from winogen.program.host_ops import Extend, HostOp, Integers, Normalise
from winogen.target.numerics import (
    MULTIPLIER_BITS,
    PREACTIVATION_BITS,
    TABLE_ENTRIES,
    Requantiser,
    apply_table,
    int_range,
)
from winogen.target.registers import Segment

#: Bits of what is requantised: with a multiplier's 15 the product stays within 64 bits.
SUM_BITS = 47


@dataclass(frozen=True)
class Place:
    """A tensor in DRAM: [image][block][row][column][lane] at a byte offset of a segment."""

    segment: Segment
    offset: int
    blocks: int
    rows: int
    columns: int
    word_bytes: int

    @property
    def image_words(self) -> int:
        """Words of one image."""
        return self.blocks * self.rows * self.columns

    def size(self, images: int) -> int:
        """Bytes of ``images`` images."""
        return images * self.image_words * self.word_bytes

    def address(self, image: int, block: int, row: int, column: int) -> int:
        """Byte offset in the segment of one word."""
        word = ((image * self.blocks + block) * self.rows + row) * self.columns + column
        return self.offset + word * self.word_bytes


@dataclass(frozen=True)
class Operands:
    """An operation, and how many of a layer's sources are concatenated to each of its operands.

    ``pad`` is what surrounds the layer's output, all done, with some of itself.
    """

    op: HostOp
    parts: tuple[int, ...] = (1,)
    pad: Extend | None = None

    def joined(self, sources: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The operands (N, C, H, W) of the sources, of any dtype."""
        starts = np.concatenate([[0], np.cumsum(self.parts)]).tolist()
        return [
            sources[start] if stop - start == 1 else np.concatenate(sources[start:stop], axis=1)
            for start, stop in itertools.pairwise(starts)
        ]

    def output_shape(self, sources: Sequence[Shape]) -> Shape:
        """Shape of the result of sources of these shapes; ProgramError where they do not fit."""
        starts = np.concatenate([[0], np.cumsum(self.parts)]).tolist()
        operands = []
        for start, stop in itertools.pairwise(starts):
            joined = sources[start:stop]
            if not joined or len({s[1:] for s in joined}) != 1:
                raise ProgramError(f"an operand of {self.op.kind} is of values that do not fit")
            operands.append((sum(s[0] for s in joined), *joined[0][1:]))
        if len(operands) != self.op.operands:
            raise ProgramError(f"{self.op.kind} takes {self.op.operands} operands")
        made = self.op.output_shape(operands)
        return made if self.pad is None else self.pad.output_shape([made])

    def padded(self, out: NDArray[Any]) -> NDArray[Any]:
        """The output (N, C, H, W), of any dtype, with what surrounds it."""
        return out if self.pad is None else self.pad.run([out])


@dataclass(frozen=True)
class HostLayer:
    """A layer that a processor computes; arrays have shape (channels,) and dtype int64.

    ``sources`` are the channels of each value that it reads.
    """

    operands: Operands
    sources: tuple[int, ...]
    weight: NDArray[np.int64]
    bias: NDArray[np.int64]
    requantiser: Requantiser
    table: NDArray[np.int16] | None

    def run(self, sources: Sequence[Integers], data_width: int) -> Integers:
        """Output integers (N, C, H, W) of the sources' integers (N, C, H, W)."""
        z = self.operands.op.run(self.operands.joined(sources))
        out = np.moveaxis(self.ending(np.moveaxis(z, 1, -1), data_width), -1, 1)
        return self.operands.padded(out)

    def ending(self, z: Integers, data_width: int) -> Integers:
        """Output integers of the operation's integers, both (..., channels)."""
        out = self.requantiser(z * self.weight + self.bias)
        return out if self.table is None else apply_table(self.table, out, data_width)

    @property
    def channels(self) -> int:
        """Output channels."""
        return len(self.weight)

    @property
    def label(self) -> str:
        """The operation, as its cost is known by."""
        op = self.operands.op
        return "normalise pixels" if isinstance(op, Normalise) and not op.groups else op.kind

    def arrays(self) -> list[NDArray[np.int64]]:
        """All arrays, in the order in which :meth:`of_arrays` wants them."""
        r = self.requantiser
        found = [self.weight, self.bias, r.positive, r.negative, r.shift, r.low, r.high]
        return found if self.table is None else [*found, self.table.astype(np.int64)]

    @classmethod
    def of_arrays(
        cls,
        operands: Operands,
        sources: tuple[int, ...],
        arrays: NDArray[np.int64],
        channels: int,
        data_width: int,
    ) -> HostLayer:
        """The inverse of :meth:`arrays`, from all in a row; ProgramError if one is wrong."""
        size = 7 * channels
        if arrays.size not in (size, size + TABLE_ENTRIES):
            raise ProgramError("the constants of a host layer have another size than its channels")
        weight, bias, positive, negative, shift, low, high = arrays[:size].reshape(7, channels)
        table = None
        bits = data_width
        if arrays.size > size:
            table = arrays[size:].astype(np.int16)
            if not np.array_equal(table, arrays[size:]):
                raise ProgramError("an activation table of a host layer is out of range")
            bits = PREACTIVATION_BITS
        for what, values, (least, most) in (
            ("weight", weight, int_range(16)),
            ("bias", bias, int_range(SUM_BITS - 1)),
            ("multiplier", positive, int_range(MULTIPLIER_BITS)),
            ("multiplier", negative, int_range(MULTIPLIER_BITS)),
            ("shift", shift, (1, 62)),
            ("bound", low, int_range(bits)),
            ("bound", high, int_range(bits)),
        ):
            if values.min() < least or values.max() > most:
                raise ProgramError(f"a {what} of a host layer is out of range")
        return cls(
            operands,
            sources,
            weight,
            bias,
            Requantiser(positive, negative, shift, low, high),
            table,
        )


@dataclass(frozen=True)
class HostStep:
    """When a host layer is computed in a stream, and where its data lie.

    Attributes
    ----------
    layer : number of the layer
    before : the accelerator has executed the instructions before this one, and none from it on
    sources, target : the places of what it reads, and of its output
    """

    layer: int
    before: int
    sources: tuple[Place, ...]
    target: Place

    def places(self) -> tuple[Place, ...]:
        """All of them."""
        return (*self.sources, self.target)
