"""StyleGAN2's modulated convolution, whose weights are another product for every sample.

``conv(x, w * s) * d`` with a style s for each input channel and a factor d for each output channel
is ``conv(x * s, w) * d``: the weights stay constant, and what is multiplied are activations. The
factor that normalises the weights, ``1 / sqrt(sum (w s)^2 + eps)``, is a linear layer of s^2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import UnsupportedLayerError
from winogen.network.onnx.arithmetic import product
from winogen.network.onnx.arithmetic import with_constant as of_constant
from winogen.network.onnx.build import Builder
from winogen.network.onnx.convolution import OPERATORS, linear
from winogen.network.onnx.layout import axes_of
from winogen.network.onnx.operators import constant
from winogen.network.onnx.read import Op
from winogen.network.onnx.view import View

#: How the dimensions of a kernel of one sample are named: batch, output, input channels, kernel.
_NAMES = "1oiyx"


@dataclass(frozen=True)
class Modulated:
    """A kernel (O, I, kh, kw) whose channels are scaled by vectors.

    ``names`` are its dimensions as ONNX sees them, ``inward`` and ``outward`` the vectors (N, I)
    and (N, O).
    """

    weight: NDArray[np.float64]
    names: str
    inward: View | None = None
    outward: View | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that ONNX sees."""
        sizes = dict(zip("oiyx", self.weight.shape)) | {"1": 1}
        return tuple(sizes[n] for n in self.names)


def begins(op: Op, inputs: Sequence[Any]) -> bool:
    """Whether a node scales a constant kernel by a style."""
    kinds = sorted(type(i).__name__ for i in inputs)
    return op.type == "Mul" and kinds == ["View", "ndarray"] and all(
        (len(i.dims) if isinstance(i, View) else i.ndim) == 5 for i in inputs
    )  # fmt: skip


def modulate(b: Builder, op: Op, inputs: Sequence[Any]) -> Any:
    """What a node makes of a kernel that is, or becomes, modulated."""
    if not any(isinstance(i, Modulated) for i in inputs):
        array = next(i for i in inputs if isinstance(i, np.ndarray))
        style = next(i for i in inputs if isinstance(i, View))
        kernel = Modulated(array[0].astype(np.float64), _NAMES)
        if array.shape[0] != 1:
            raise _refused(op)
        return _scaled(b, op, kernel, style)
    first = next(i for i in inputs if isinstance(i, Modulated))
    others = [i for i in inputs if i is not first]
    if op.type == "Mul" and not others:  # by itself
        return _square(b, op, first)
    if op.type == "Mul" and isinstance(others[0], View):
        return _scaled(b, op, first, others[0])
    if op.type == "Mul" and isinstance(others[0], np.ndarray) and others[0].size == 1:
        return replace(first, weight=first.weight * float(others[0].ravel()[0]))
    if op.type == "Pow" and np.all(constant(op, inputs, 1, "exponent") == 2):
        return _square(b, op, first)
    if op.type in ("ReduceSum", "ReduceSumSquare"):
        squared = first if op.type == "ReduceSum" else _square(b, op, first)
        return _summed(b, op, squared, inputs)
    if op.type in ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Cast"):
        return replace(first, names=_renamed(op, inputs, first))
    if op.type in ("Conv", "ConvTranspose") and len(inputs) > 1 and inputs[1] is first:
        return _convolved(b, op, inputs, first)
    raise _refused(op)


def _refused(op: Op) -> UnsupportedLayerError:
    return UnsupportedLayerError(
        f"{op.where} computes with weights that depend on the input in a way that is no modulated "
        "convolution; export it with the style multiplied to the activations (fused_modconv=False)"
    )


def _scaled(b: Builder, op: Op, kernel: Modulated, style: View) -> Modulated:
    """The kernel with one of its channels' dimensions scaled by a vector."""
    long = [i for i, n in enumerate(style.shape) if n > 1 and kernel.names[i] != "1"]
    if len(style.dims) != len(kernel.names) or len(long) > 1:
        raise _refused(op)
    name = kernel.names[long[0]] if long else "i" if kernel.weight.shape[1] == 1 else "o"
    if name not in "oi" or (long and style.shape[long[0]] != kernel.shape[long[0]]):
        raise _refused(op)
    vector = _vector(b, op, style)
    if not long and kernel.weight.shape["oi".index(name)] != 1:
        raise _refused(op)
    held = kernel.inward if name == "i" else kernel.outward
    joint = vector if held is None else product(b, op, held, vector)
    if name == "i":
        return replace(kernel, inward=joint)
    return replace(kernel, outward=joint)


def _vector(b: Builder, op: Op, value: View) -> View:
    flat = value.reshape((value.shape[0], math.prod(value.shape[1:])))
    if flat is None:
        raise _refused(op)
    return b.vector_view(b.chosen(op, flat, flat.offsets().ravel()))


def _square(b: Builder, op: Op, kernel: Modulated) -> Modulated:
    inward, outward = (
        None if v is None else product(b, op, v, v) for v in (kernel.inward, kernel.outward)
    )
    return replace(kernel, weight=kernel.weight**2, inward=inward, outward=outward)


def _summed(b: Builder, op: Op, kernel: Modulated, inputs: Sequence[Any]) -> View:
    """The sum over input channels and taps, for each output channel: a linear layer."""
    axes = axes_of(op, inputs, len(kernel.names)) or []
    if {kernel.names[a] for a in axes} != {"i", "y", "x"} or kernel.inward is None:
        raise _refused(op)
    matrix = kernel.weight.sum(axis=(2, 3)).astype(np.float32)
    sums = linear(b, op, kernel.inward, matrix)
    if kernel.outward is not None:
        sums = product(b, op, sums, kernel.outward)
    keep = bool(op.attrs.get("keepdims", 1))
    batch = sums.shape[0]
    shape = [
        1 if i in axes else batch if n == "1" else kernel.weight.shape[0]
        for i, n in enumerate(kernel.names)
        if keep or i not in axes
    ]
    out = sums.reshape(shape)
    if out is None:
        raise _refused(op)
    return out


def _renamed(op: Op, inputs: Sequence[Any], kernel: Modulated) -> str:
    """The names of the dimensions after a node that moves them."""
    if op.type == "Transpose":
        order = op.attrs.get("perm", tuple(reversed(range(len(kernel.names)))))
        return "".join(kernel.names[i] for i in order)
    if op.type in ("Identity", "Cast"):
        return kernel.names
    plain = [(n, s) for n, s in zip(kernel.names, kernel.shape) if n != "1"]
    if op.type != "Reshape":
        raise _refused(op)
    wanted = [int(n) for n in constant(op, inputs, 1, "shape").ravel()]
    if -1 in wanted:
        known = math.prod(n for n in wanted if n != -1)
        wanted[wanted.index(-1)] = math.prod(kernel.shape) // max(known, 1)
    names = ""
    for n in wanted:
        if plain and plain[0][1] == n and (n > 1 or len(wanted) - len(names) <= len(plain)):
            names += plain.pop(0)[0]
        elif n == 1:
            names += "1"
        else:
            raise _refused(op)
    if plain:
        raise _refused(op)
    return names


def _convolved(b: Builder, op: Op, inputs: Sequence[Any], kernel: Modulated) -> View:
    wanted = "oiyx" if op.type == "Conv" else "ioyx"
    if kernel.names != wanted or int(op.attrs.get("group", 1)) != 1:
        raise _refused(op)
    value = inputs[0]
    if kernel.inward is not None:
        factor = kernel.inward.reshape((*kernel.inward.shape, 1, 1))
        assert factor is not None
        if isinstance(value, np.ndarray):
            value = of_constant(b, replace(op, type="Mul"), factor, value, True)
        else:
            value = product(b, op, value, factor)
    weight = kernel.weight if op.type == "Conv" else kernel.weight.swapaxes(0, 1)
    rest = inputs[2:] if kernel.outward is None else ()
    out = OPERATORS[op.type].handler(b, op, [value, weight.astype(np.float32), *rest])
    assert isinstance(out, View)
    if kernel.outward is None:
        return out
    if len(inputs) > 2 and inputs[2] is not None:
        raise _refused(op)
    factor = kernel.outward.reshape((*kernel.outward.shape, 1, 1))
    assert factor is not None
    return product(b, op, out, factor)
