"""The peer of ``winogen compare``: onnxruntime on this machine, in float32 and in int8."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.bench.onnx_graph import to_onnx
from winogen.common.errors import DeviceError, one_line
from winogen.network.graph import Graph

NEEDS = "onnxruntime is not installed: pip install onnx onnxruntime"


class Peer:
    """A network in onnxruntime; DeviceError where that does not take it.

    Attributes
    ----------
    nbytes : of the model's file
    """

    def __init__(self, model: bytes, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.nbytes = len(model)
        with _failure_told():
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        self._input = self._session.get_inputs()[0].name

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs (N, C, H, W) of inputs (N, C, H, W); DeviceError where onnxruntime fails."""
        with _failure_told():
            found: NDArray[np.float32] = self._session.run(None, {self._input: x})[0]
        return found


def float_peer(graph: Graph, threads: int) -> Peer:
    """The network as it is; DeviceError where onnxruntime is missing.

    Raises UnsupportedLayerError for a layer that is not written to ONNX.
    """
    _check_installed()
    return Peer(to_onnx(graph).SerializeToString(), threads)


def int8_peer(graph: Graph, inputs: NDArray[np.float32], threads: int) -> Peer:
    """The network with deconvolutions taken apart, quantised by onnxruntime's own tools.

    Weights in int8 by channel, activations in uint8 with ranges of ``inputs`` (N, C, H, W).
    Raises as :func:`float_peer`, and DeviceError where the quantiser fails.
    """
    _check_installed()
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.float32]] = iter(np.split(inputs, len(inputs)))

        def get_next(self) -> dict[str, Any] | None:
            one = next(self._left, None)
            return None if one is None else {Graph.INPUT_NAME: one}

    model = to_onnx(graph, apart=True)
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, str(source))
        try:
            with _silent():
                quantization.quantize_static(
                    str(source), str(target), Reader(), per_channel=True,
                    quant_format=quantization.QuantFormat.QDQ,
                    activation_type=quantization.QuantType.QUInt8,
                    weight_type=quantization.QuantType.QInt8,
                )  # fmt: skip
        except Exception as error:  # whatever its tools raise: the comparison goes on without
            raise DeviceError(f"onnxruntime cannot quantise it: {one_line(error)}") from None
        return Peer(target.read_bytes(), threads)


@contextmanager
def _failure_told() -> Iterator[None]:
    """Whatever onnxruntime raises is a DeviceError: a comparison goes on without it."""
    try:
        yield
    except Exception as error:
        raise DeviceError(f"onnxruntime cannot run it: {one_line(error)}") from None


@contextmanager
def _silent() -> Iterator[None]:
    """Without the advice of the quantiser and its sessions, which is for others."""
    import onnxruntime

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(3)
    try:
        yield
    finally:
        logging.disable(before)
        onnxruntime.set_default_logger_severity(2)


def _check_installed() -> None:
    try:
        import onnx
        import onnxruntime
    except ImportError:
        raise DeviceError(NEEDS) from None
    del onnx, onnxruntime
