"""The weight segment in a program file: shared and pruned weights take what their entropy says.

Memory holds a weight in one byte (or two), the file what is left of it:

- The weights of a layer that have at most 16 values are a codebook of those and, for each weight,
  its index in four bits, the first of a byte in the lower half. The indices are deflated.
- Other weights are deflated as they are, where that saves at least an eighth.
- All between the weights (parameters, tables, padding) is deflated together.

Whatever deflating does not make smaller lies raw, which its length tells. Which of the coders of
zlib is used, the data decide; docs/project/decisions/027-coded-weights.md has the figures.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ProgramError
from winogen.program.parts import WeightPiece
from winogen.program.reading import inflated, whole
from winogen.target.numerics import storage_dtype

#: Most values of a codebook: indices have four bits.
MAX_VALUES = 16
#: The level of memory that gives the longest blocks, each with codes of its own.
_MEMORY = 9


@dataclass(frozen=True)
class CodedLayer:
    """The weights of a layer, as they lie in a file.

    Attributes
    ----------
    layer : its number
    pieces : where in the segment its weights lie, in order
    codebook : the values that indices stand for, ascending; empty where the weights have too many
    stream : indices or weights of all pieces, deflated or raw
    """

    layer: int
    pieces: tuple[WeightPiece, ...]
    codebook: NDArray[Any]
    stream: bytes = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.codebook.nbytes + len(self.stream)


@dataclass(frozen=True)
class CodedSegment:
    """A weight segment, as it lies in a file: ``rest`` is all that is no weight."""

    size: int
    layers: tuple[CodedLayer, ...]
    rest: bytes = field(repr=False)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in the file, with their codebooks."""
        return sum(layer.nbytes for layer in self.layers)

    @property
    def nbytes(self) -> int:
        """Bytes of all of it in the file."""
        return self.weight_bytes + len(self.rest)

    def header(self) -> dict[str, Any]:
        """What a file's header says of it; ``decode`` reads that."""
        return {
            "size": self.size,
            "layers": [
                {
                    "layer": x.layer,
                    "values": len(x.codebook),
                    "stream": len(x.stream),
                    "pieces": [[p.offset, p.size] for p in x.pieces],
                }
                for x in self.layers
            ],
        }

    def tobytes(self) -> bytes:
        """The section of a file: codebook and stream of each layer, then the rest."""
        parts = [part for x in self.layers for part in (x.codebook.tobytes(), x.stream)]
        return b"".join([*parts, self.rest])


def encode(segment: bytes, pieces: Sequence[WeightPiece], data_width: int) -> CodedSegment:
    """A segment as it lies in a file; ``pieces`` are the weights in it, in order."""
    layers = []
    for layer, group in itertools.groupby(pieces, key=lambda p: p.layer):
        own = tuple(group)
        data = b"".join([segment[p.offset : p.offset + p.size] for p in own])
        weights = np.frombuffer(data, storage_dtype(data_width))
        codebook = np.unique(weights)
        if len(codebook) <= MAX_VALUES:
            indices = _packed(np.searchsorted(codebook, weights).astype(np.uint8))
            stream = min(indices, _deflated(indices), key=len)
        else:
            codebook = codebook[:0]
            stream = _deflated(data)
            stream = stream if 8 * len(stream) <= 7 * len(data) else data
        layers.append(CodedLayer(layer, own, codebook, stream))
    rest = b"".join([segment[start:stop] for start, stop in _between(pieces, len(segment))])
    return CodedSegment(len(segment), tuple(layers), min(rest, zlib.compress(rest, 9), key=len))


def coded_bytes(weights: NDArray[Any]) -> int:
    """About the bytes that the weights of a layer, in their type of storage, take in a file.

    They are in another order there, which changes little.
    """
    codebook = np.unique(weights)
    if len(codebook) > MAX_VALUES:
        data = weights.tobytes()
        coded = len(_deflated(data))
        return coded if 8 * coded <= 7 * len(data) else len(data)
    indices = _packed(np.searchsorted(codebook, weights.ravel()).astype(np.uint8))
    return codebook.nbytes + min(len(indices), len(_deflated(indices)))


def decode(
    header: Any, section: bytes, data_width: int, layers: int, most: int
) -> tuple[bytes, tuple[WeightPiece, ...]]:
    """The segment, and the weights in it; ProgramError if the section is none.

    Parameters
    ----------
    header : what :meth:`CodedSegment.header` gave
    layers : how many layers the program has
    most : bytes that the segment may have
    """
    size = whole(header["size"])
    if size > most:
        raise ProgramError(f"{size:,} bytes of weights are more than its board has room for")
    dtype = storage_dtype(data_width)
    reader = _Reader(section)
    pieces: list[WeightPiece] = []
    weights: list[bytes] = []
    for entry in header["layers"]:
        number = whole(entry["layer"])
        if number >= layers:
            raise ProgramError(f"its weights of layer {number} are of no layer")
        first = len(pieces)
        for offset, length in entry["pieces"]:
            end = pieces[-1].offset + pieces[-1].size if pieces else 0
            piece = WeightPiece(number, whole(offset), whole(length))
            if piece.offset < end or piece.offset + piece.size > size or not piece.size:
                raise ProgramError(f"weights of layer {number} are not in order in their segment")
            pieces.append(piece)
        values, stream = whole(entry["values"]), whole(entry["stream"])
        data = _layer(reader, values, stream, sum(p.size for p in pieces[first:]), dtype)
        at = 0
        for piece in pieces[first:]:
            weights.append(data[at : at + piece.size])
            at += piece.size
    between = _between(pieces, size)
    rest = _raw(reader.rest(), size - sum(p.size for p in pieces), "what is between the weights")
    return _joined(between, rest, weights), tuple(pieces)


class _Reader:
    """A section from its start to its end."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > len(self._data) - self._at:
            raise ProgramError("the section of its weights ends too early")
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at)


def _layer(reader: _Reader, values: int, stream: int, size: int, dtype: np.dtype) -> bytes:
    """The weights of all pieces of a layer."""
    if size % dtype.itemsize or not size or values > MAX_VALUES:
        raise ProgramError(f"{size} bytes of {values} weights are not possible")
    if not values:
        return _raw(reader.take(stream), size, "the weights of a layer")
    codebook = np.frombuffer(reader.take(values * dtype.itemsize), dtype)
    if np.any(codebook[1:] <= codebook[:-1]):
        raise ProgramError("the values of a codebook do not ascend")
    count = size // dtype.itemsize
    indices = _raw(reader.take(stream), -(-count // 2), "the weights of a layer")
    pairs = np.frombuffer(indices, np.uint8)
    if int((pairs & 15).max()) >= values or int((pairs >> 4).max()) >= values:
        raise ProgramError("an index is beyond the codebook of its layer")
    if count % 2 and pairs[-1] >> 4:
        raise ProgramError("the weights of a layer are followed by another")
    full = np.zeros(MAX_VALUES, dtype)
    full[:values] = codebook
    both = np.arange(256)
    table = np.stack([full[both & 15], full[both >> 4]], axis=1)
    # The two weights of a byte as one number: five times as fast.
    return table.view(f"<u{2 * dtype.itemsize}").ravel()[pairs].tobytes()[:size]


def _packed(indices: NDArray[np.uint8]) -> bytes:
    even = np.append(indices, np.uint8(0)) if indices.size % 2 else indices
    return (even[0::2] | even[1::2] << 4).tobytes()


def _deflated(data: bytes) -> bytes:
    """The shortest that the coders make of weights or indices; any inflate reads it.

    Matches at any distance make Gaussian indices longer, and take a hundred times as long to look
    for. Where runs are of use, there is a pattern (lanes without a channel, phases alike) that they
    may find too.
    """
    shortest = _coded(data, zlib.Z_HUFFMAN_ONLY)
    runs = _coded(data, zlib.Z_RLE)
    if len(runs) < len(shortest):
        shortest = min(runs, _coded(data, zlib.Z_DEFAULT_STRATEGY), key=len)
    return shortest


def _coded(data: bytes, strategy: int) -> bytes:
    coder = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY, strategy)
    return coder.compress(data) + coder.flush()


def _raw(data: bytes, size: int, what: str) -> bytes:
    """Inverse of deflating where it pays: the length tells."""
    return data if len(data) == size else inflated(data, size, what)


def _between(pieces: Sequence[WeightPiece], size: int) -> list[tuple[int, int]]:
    """Bytes [start, stop) before, between and behind the pieces."""
    starts = [0, *(p.offset + p.size for p in pieces)]
    return list(zip(starts, [*(p.offset for p in pieces), size]))


def _joined(between: list[tuple[int, int]], rest: bytes, weights: list[bytes]) -> bytes:
    def parts() -> Iterator[bytes]:
        at = 0
        for (start, stop), piece in zip(between, [*weights, b""]):
            yield rest[at : at + stop - start]
            yield piece
            at += stop - start

    return b"".join(parts())
