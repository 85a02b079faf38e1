"""Exact matrix products of bytes: activations of 8 bits times weights of 8 bits, in 32 bits.

onnxruntime's ``MatMulInteger`` has kernels for what a processor offers (VNNI, AMX), several times
as fast as float32. For processors without these, its kernels for weights with a sign add pairs of
products in 16 bits, which saturate; those for weights without one do not, and are half as fast
again as float32 or better. So it is asked, once in a process, for products at their extremes, and
weights are what it is exact with; where it is with neither, it is not used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What activations are moved by to have no sign: onnxruntime is fast for bytes without one only.
ZERO = 128
#: The longest sum of products of bytes that cannot leave 32 bits.
LONGEST = ((1 << 31) - 1) // (255 * 128)
#: Float32 holds every integer below; a product this short is done before onnxruntime has begun.
_EXACT_32 = 1 << 24
_SHORT = 1 << 19
#: Products that are worth a second thread; and how many, at most: each product has its own.
_LONG = 1 << 26
_MOST_THREADS = 16

#: ONNX's numbers for element types, and those of a matrix that is multiplied by, fastest first.
_UINT8, _INT8, _INT32 = 2, 3, 6
_WEIGHTS = (_INT8, _UINT8)

Matrix = NDArray[np.int8]


class NoProduct(Exception):
    """onnxruntime cannot make a product here; numpy does without it."""


class Product:
    """Products with one matrix, (rows, terms) bytes times (terms, columns) to int32.

    ``rows`` is how many rows there will be, about. Raises NoProduct where onnxruntime fails, or is
    not exact.
    """

    def __init__(self, matrix: Matrix, rows: int):
        self.nbytes = matrix.nbytes
        multiplies = rows * matrix.size
        largest = int(np.abs(matrix.astype(np.int32)).sum(axis=0).max(initial=0)) * ZERO
        self.largest = largest
        self._floats: NDArray[np.float32] | None = None
        if multiplies <= _SHORT and largest < _EXACT_32:
            self._floats = matrix.astype(np.float32)
            self.nbytes *= 4
        else:
            weights = _exact_weights()
            if weights is None:
                raise NoProduct
            try:
                self._session = _session(matrix, _threads() if multiplies >= _LONG else 1, weights)
            except Exception as error:  # it has no room for the matrix or its threads
                raise NoProduct from error

    def __call__(self, codes: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The product of ``codes - ZERO`` (rows, terms) and the matrix."""
        if self._floats is not None:
            signed = (codes ^ np.uint8(ZERO)).view(np.int8)
            return (signed.astype(np.float32) @ self._floats).astype(np.int32)
        product: NDArray[np.int32] = self._session.run(None, {"a": codes})[0]
        return product


def available() -> bool:
    """Whether onnxruntime is installed and its products of bytes are exact on this processor."""
    return _exact_weights() is not None


@lru_cache(maxsize=1)
def _exact_weights() -> int | None:
    """The element type of weights with which products are exact on this processor; None: none."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return None
    for weights in _WEIGHTS:
        # A build without the operator for this type, or for another processor: numpy does it.
        with suppress(Exception):
            if _is_exact(weights):
                return weights
    return None


def _is_exact(weights: int) -> bool:
    rng = np.random.default_rng(1)
    for rows, terms, columns in ((1, 64, 16), (5, 67, 33), (64, 256, 64)):
        codes = rng.choice(np.array([0, 1, 127, 128, 254, 255], np.uint8), (rows, terms))
        matrix = rng.choice(np.array([-128, -127, -1, 0, 126, 127], np.int8), (terms, columns))
        codes[0], matrix[:, 0], matrix[:, -1] = 255, 127, -128
        wanted = (codes.astype(np.int64) - ZERO) @ matrix.astype(np.int64)
        got = _session(matrix, 1, weights).run(None, {"a": codes})[0]
        if not np.array_equal(got, wanted):
            return False
    return True


def _threads() -> int:
    """As many as there are processors for this process, or as OMP_NUM_THREADS says, as for BLAS."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, _MOST_THREADS)


def _session(matrix: Matrix, threads: int, weights: int) -> Any:
    """An onnxruntime session that multiplies by a matrix, which it keeps in its own order.

    ``weights`` is the element type that the matrix has there.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        _model(matrix, weights), settings, providers=["CPUExecutionProvider"]
    )


def _model(matrix: Matrix, weights: int) -> bytes:
    """An ONNX model of one MatMulInteger, without the package onnx: a dozen fields, see onnx.proto.

    Its input ``a`` has the matrix's rows as columns, and any number of rows. ``weights`` is the
    element type of the matrix: without a sign its values are moved by ZERO, as those of ``a`` are.
    """
    terms, columns = matrix.shape
    move = 0 if weights == _INT8 else ZERO
    held = (
        np.ascontiguousarray(matrix).view(np.uint8) ^ np.uint8(move)
    ).tobytes()  # from two's complement, by 128

    def tensor(name: bytes, kind: int, shape: tuple[int, ...], data: bytes) -> bytes:
        dims = b"".join(_number(1, size) for size in shape)
        return dims + _number(2, kind) + _bytes(8, name) + _bytes(9, data)

    def value(name: bytes, kind: int, size: int) -> bytes:
        shape = _bytes(1, _bytes(2, b"rows")) + _bytes(1, _number(1, size))
        return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))

    inputs = b"".join(_bytes(1, name) for name in (b"a", b"b", b"zero", b"move"))
    node = inputs + _bytes(2, b"c") + _bytes(4, b"MatMulInteger")
    graph = (
        _bytes(1, node)
        + _bytes(2, b"product")
        + _bytes(5, tensor(b"b", weights, matrix.shape, held))
        + _bytes(5, tensor(b"zero", _UINT8, (), bytes([ZERO])))
        + _bytes(5, tensor(b"move", weights, (), bytes([move])))
        + _bytes(11, value(b"a", _UINT8, terms))
        + _bytes(12, value(b"c", _INT32, columns))
    )
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 13))


def _number(field: int, value: int) -> bytes:
    """A field of a protobuf message that holds a number."""
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    """A field of a protobuf message that holds bytes, text or a message."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
