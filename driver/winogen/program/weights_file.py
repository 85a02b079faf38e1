"""The weight segment in a program file: shared and pruned weights take what their entropy says.

Memory holds a weight in one byte (or two), the file what is left of it:

- The weights of a layer that have at most 16 values are a codebook of those and, for each weight,
  its index in four bits, the first of a byte in the lower half. The indices are deflated.
- Other weights are deflated as they are, where that saves at least an eighth.
- Weights that memory holds coded (target/weight_code.py) are written as these two are, once: a
  layer may have several streams of the same weights, since each load has one of its own. They
  are made again when the file is read.
- All between the weights (parameters, tables, padding) is deflated together.

Whatever deflating does not make smaller lies raw, which its length tells. Which of the coders of
zlib is used, the data decide; docs/project/decisions/027-coded-weights.md has the figures.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ProgramError
from winogen.program.parts import WeightPiece
from winogen.program.reading import inflated, whole
from winogen.target import weight_code
from winogen.target.microarchitecture import LOGIC
from winogen.target.numerics import storage_dtype

#: Most values of a codebook: indices have four bits.
MAX_VALUES = 16
#: Weights of a byte of a stream at most: each has a bit in a bitmap.
_MOST_WEIGHTS = 8
#: Weights of a layer that streams are made of again, at most: a file that says more would fill the
#: memory before it is found out. Streams of more lie in the file as they are.
_MOST_POOL = 1 << 26
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
    weights : how many weights the pieces are made of, where these are streams of coded weights; 0
        where the pieces are in the file as they are
    """

    layer: int
    pieces: tuple[WeightPiece, ...]
    codebook: NDArray[Any]
    stream: bytes = field(repr=False)
    weights: int = 0

    def header(self) -> dict[str, Any]:
        """What a file's header says of it."""
        said: dict[str, Any] = {
            "layer": self.layer, "values": len(self.codebook), "stream": len(self.stream),
        }  # fmt: skip
        if not self.weights:
            return {**said, "pieces": [[p.offset, p.size] for p in self.pieces]}
        pieces = [[p.offset, p.size, p.count, p.start] for p in self.pieces]
        return {**said, "weights": self.weights, "pieces": pieces}

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
        return {"size": self.size, "layers": [x.header() for x in self.layers]}

    def tobytes(self) -> bytes:
        """The section of a file: codebook and stream of each layer, then the rest."""
        parts = [part for x in self.layers for part in (x.codebook.tobytes(), x.stream)]
        return b"".join([*parts, self.rest])


def encode(segment: bytes, pieces: Sequence[WeightPiece], data_width: int) -> CodedSegment:
    """A segment as it lies in a file; ``pieces`` are the weights in it, in order."""
    layers = []
    for layer in dict.fromkeys(p.layer for p in pieces):
        own = tuple(p for p in pieces if p.layer == layer)
        data = b"".join([segment[p.offset : p.offset + p.size] for p in own])
        weights = np.frombuffer(data, storage_dtype(data_width))
        pool = _pool(segment, own, data_width)
        if pool is not None:
            weights, data = pool, pool.tobytes()
        codebook = np.unique(weights)
        if len(codebook) <= MAX_VALUES:
            indices = _packed(np.searchsorted(codebook, weights).astype(np.uint8))
            stream = min(indices, _deflated(indices), key=len)
        else:
            codebook = codebook[:0]
            stream = _deflated(data)
            stream = stream if 8 * len(stream) <= 7 * len(data) else data
        count = 0 if pool is None else len(pool)
        layers.append(CodedLayer(layer, own, codebook, stream, count))
    rest = b"".join([segment[start:stop] for start, stop in _between(pieces, len(segment))])
    return CodedSegment(len(segment), tuple(layers), min(rest, zlib.compress(rest, 9), key=len))


def _pool(segment: bytes, pieces: Sequence[WeightPiece], data_width: int) -> NDArray[Any] | None:
    """The weights that a layer's streams are made of; None if they could not be made again."""
    if not all(p.coding for p in pieces):
        return None
    count = max(p.start + p.count for p in pieces)
    if count > min(_MOST_WEIGHTS * sum(p.size for p in pieces), _MOST_POOL):
        return None
    weights = np.zeros(count, storage_dtype(data_width))
    for piece in pieces:
        stream = segment[piece.offset : piece.offset + piece.size]
        try:
            part = weight_code.decode(stream, piece.coding, piece.count, data_width)
        except weight_code.CodeError:
            return None
        weights[piece.start : piece.start + piece.count] = part
    code = weight_code.code_of(weights)
    if code is None:
        return None
    for piece in pieces:
        stream = segment[piece.offset : piece.offset + piece.size]
        if code.encode(weights[piece.start : piece.start + piece.count]) != stream:
            return None
    return weights


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
    found: list[tuple[WeightPiece, bytes]] = []
    room = size
    for entry in header["layers"]:
        number = whole(entry["layer"])
        if number >= layers:
            raise ProgramError(f"its weights of layer {number} are of no layer")
        own = [WeightPiece(number, whole(p[0]), whole(p[1])) for p in entry["pieces"]]
        values, stream = whole(entry["values"]), whole(entry["stream"])
        held = sum(p.size for p in own)
        room -= held
        ordered = all(p.offset + p.size <= q.offset for p, q in pairwise(own))
        if room < 0 or not ordered or not all(p.size for p in own):
            raise ProgramError(f"weights of layer {number} are not in order in their segment")
        if "weights" in entry:
            count = whole(entry["weights"])
            if count > min(_MOST_WEIGHTS * held, _MOST_POOL):
                raise ProgramError(f"streams of layer {number} are of more weights than they hold")
            data = _layer(reader, values, stream, count * dtype.itemsize, dtype)
            found += _streams(np.frombuffer(data, dtype), own, entry["pieces"])
            continue
        data = _layer(reader, values, stream, held, dtype)
        at = 0
        for piece in own:
            found.append((piece, data[at : at + piece.size]))
            at += piece.size
    found.sort(key=lambda f: f[0].offset)
    pieces = [piece for piece, _ in found]
    end = 0
    for piece in pieces:
        if piece.offset < end or piece.offset + piece.size > size:
            raise ProgramError(f"weights of layer {piece.layer} lie over others or end too late")
        end = piece.offset + piece.size
    between = _between(pieces, size)
    rest = _raw(reader.rest(), size - sum(p.size for p in pieces), "what is between the weights")
    return _joined(between, rest, [data for _, data in found]), tuple(pieces)


def _streams(
    weights: NDArray[Any], pieces: Sequence[WeightPiece], said: Sequence[Sequence[Any]]
) -> list[tuple[WeightPiece, bytes]]:
    """Streams of coded weights, each with its piece; ``said`` has the header's four numbers."""
    code = weight_code.code_of(weights)
    if code is None:
        raise ProgramError("weights of a coded layer have too many values")
    made = []
    for piece, (_, _, count, start) in zip(pieces, said):
        count, start = whole(count), whole(start)
        if not count or count % weight_code.GROUP or start + count > len(weights):
            raise ProgramError(f"a stream of layer {piece.layer} is of weights that there are not")
        part = weights[start : start + count]
        # Told before it is made: a header may name any number of long ones.
        if code.beats(part) * LOGIC.beat_bytes != piece.size:
            raise ProgramError(f"a stream of layer {piece.layer} has not the length of its weights")
        stream = code.encode(part)
        made.append((replace(piece, coding=int(code.coding), count=count, start=start), stream))
    return made


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
