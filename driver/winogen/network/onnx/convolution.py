"""Conv, ConvTranspose, Gemm and MatMul."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network import filters
from winogen.network.onnx.build import Builder, Spread
from winogen.network.onnx.operators import Handler, Inputs, Operator, data, weights
from winogen.network.onnx.pointwise import per_channel
from winogen.network.onnx.read import Op
from winogen.network.onnx.view import Edges, Factor, View

Pair = tuple[int, int]
#: Of the attributes kernel_shape, strides, pads and the like.
MAX_GEOMETRY = 1 << 16
#: Axes of what has its channels as the images of a batch.
_CHANNELS_ALONE = ("B1HW", "C1HW")


def _pair(op: Op, name: str, default: Pair, low: int) -> Pair:
    values = op.attrs.get(name, default)
    if len(values) != 2 or any(not low <= v <= MAX_GEOMETRY for v in values):
        raise ModelError(f"{op.where}: its {name} {list(values)[:8]} is not two numbers from {low}")
    return int(values[0]), int(values[1])


def _lifted(handler: Handler) -> Handler:
    """A handler of images for signals too: (N, C, L) are images of one row."""

    def handle(b: Builder, op: Op, inputs: Inputs) -> View | list[View]:
        value = inputs[0] if inputs else None
        if not isinstance(value, View) or len(value.dims) != 3:
            return handler(b, op, inputs)
        wide: list[Any] = [lift(b, op, value)]
        wide += [
            i[..., None, :] if isinstance(i, np.ndarray) and i.ndim == 3 else i for i in inputs[1:]
        ]
        attrs = {name: _of_row(name, given) for name, given in op.attrs.items()}
        made = handler(b, replace(op, attrs=attrs), wide)
        assert isinstance(made, View)
        return lower(made)

    return handle


def lift(b: Builder, op: Op, value: View) -> View:
    """A signal (N, C, L) as an image (N, C, 1, L)."""
    value = b.settled(op, value)
    return View(value.source, value.size, (*value.dims[:2], (), *value.dims[2:]))


def lower(value: View) -> View:
    """An image (N, C, 1, L) as a signal (N, C, L)."""
    return View(value.source, value.size, (*value.dims[:2], *value.dims[3:]))


def _of_row(name: str, value: Any) -> Any:
    """An attribute of a signal's operator as that of images of one row."""
    if name in ("kernel_shape", "strides", "dilations"):
        return (1, *value)
    if name == "output_padding":
        return (0, *value)
    if name == "output_shape":
        return (1, *value[-1:])
    return (0, value[0], 0, value[1]) if name == "pads" and len(value) == 2 else value


def _image(b: Builder, op: Op, inputs: Inputs) -> View:
    """The input as plain (N, C, H, W), its zero padding still apart."""
    value = data(op, inputs, 0)
    if len(value.dims) == 5:
        raise UnsupportedLayerError(
            f"{op.where} has three spatial dimensions, the accelerator works on images "
            "(N, C, H, W); reshape the data to images"
        )
    if any(value.pads):
        plain = b.image_view(value.source)
        if value.dims == plain.dims:
            return value
    return b.image_view(b.image(op, value))


def _filter(op: Op, inputs: Inputs, channels: int, transposed: bool) -> tuple[NDArray, int]:
    """The weight as ONNX has it, without dilation, and the number of groups, checked."""
    weight = weights(op, inputs, 1, "weight")
    group = int(op.attrs.get("group", 1))
    if weight.ndim != 4 or 0 in weight.shape:
        raise ModelError(f"{op.where}: its weight has shape {weight.shape}, expected 4 dimensions")
    kernel = tuple(op.attrs.get("kernel_shape", weight.shape[2:]))
    if kernel != weight.shape[2:]:
        raise ModelError(
            f"{op.where}: kernel_shape is {list(kernel)[:8]} but its weight is {weight.shape}"
        )
    if max(kernel) > MAX_GEOMETRY:
        raise ModelError(f"{op.where}: a kernel of {kernel} is too large")
    inside = weight.shape[0] if transposed else weight.shape[1] * group
    if group < 1 or inside != channels or weight.shape[0] % group:
        raise ModelError(
            f"{op.where}: its weight {weight.shape} in {group} groups does not fit "
            f"{channels} input channels"
        )
    return _dilated(op, weight), group


def _dilated(op: Op, weight: NDArray) -> NDArray:
    """A dilated kernel with the zeros between its taps written out; they cost no multiplies."""
    dilations = _pair(op, "dilations", (1, 1), 1)
    return filters.dilated(op.where, weight, dilations)


def _dense(op: Op, weight: NDArray, group: int) -> NDArray:
    """A grouped weight with the zeros between groups written out; most of them cost nothing."""
    return filters.dense(op.where, weight, group)


def _bias(op: Op, inputs: Inputs, channels: int) -> dict[str, NDArray]:
    if len(inputs) < 3 or inputs[2] is None:
        return {}
    bias = weights(op, inputs, 2, "bias")
    if bias.shape != (channels,):
        raise ModelError(f"{op.where}: its bias has shape {bias.shape}, expected ({channels},)")
    return {"bias": bias}


def _auto_pad(op: Op) -> str:
    mode = str(op.attrs.get("auto_pad", "NOTSET"))
    if mode not in ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"):
        raise ModelError(f"{op.where}: unknown auto_pad")
    return mode


def _pads(op: Op) -> tuple[Pair, Pair]:
    """The attribute pads: (before, after) of rows and of columns."""
    pads = op.attrs.get("pads", (0, 0, 0, 0))
    if len(pads) != 4 or any(not 0 <= p <= MAX_GEOMETRY for p in pads):
        raise ModelError(f"{op.where}: its pads {list(pads)[:8]} are not four numbers from 0")
    return (int(pads[0]), int(pads[2])), (int(pads[1]), int(pads[3]))


def _split(total: int, mode: str) -> Pair:
    """Padding before and after; the odd one goes to the end for SAME_UPPER."""
    half = total // 2
    return (half, total - half) if mode == "SAME_UPPER" else (total - half, half)


def _conv(b: Builder, op: Op, inputs: Inputs) -> View:
    if data(op, inputs, 0).axes() in _CHANNELS_ALONE:
        return _conv_of_each_channel(b, op, inputs)
    value = _image(b, op, inputs)
    weight, group = _filter(op, inputs, value.size[0], transposed=False)
    kernel = (weight.shape[2], weight.shape[3])
    stride = _pair(op, "strides", (1, 1), 1)
    mode = _auto_pad(op)
    rows, columns = _pads(op) if mode == "NOTSET" else ((0, 0), (0, 0))
    if mode.startswith("SAME"):
        rows, columns = (
            _split(max((-(-n // s) - 1) * s + k - n, 0), mode)
            for n, s, k in zip(value.shape[2:], stride, kernel)
        )
    top, bottom, left, right = value.pads
    pad = (rows[0] + top, rows[1] + bottom, columns[0] + left, columns[1] + right)
    if min(pad) < 0:  # Pad takes rows away that the convolution does not put back
        value = b.settled(op, value)
        pad = (*rows, *columns)
    dense, bias = _dense(op, weight, group), _bias(op, inputs, weight.shape[0])
    source = value.source
    spread = b.spread_from(source)
    if spread is not None and stride == (1, 1):
        return _enlarging(b, op, spread, dense, pad, bias)
    if not any(pad):  # then a plane of one value adds the same everywhere
        source, dense, bias = _without_planes(b, op, source, dense, bias)
    parts: dict[str, Any] = {"weight": dense, "kernel": kernel}
    parts |= {"stride": stride, "pad": pad, **bias}
    return b.image_view(b.add(op, "conv", source, **parts))


def _conv_of_each_channel(b: Builder, op: Op, inputs: Inputs) -> View:
    """A convolution of channels that are the images of a batch: each by the same kernel.

    So filters are written that treat all channels alike (upfirdn2d, blurs).
    """
    value = data(op, inputs, 0)
    channels = value.size[0]
    weight = weights(op, inputs, 1, "weight")
    if weight.shape[:2] != (1, 1):
        raise UnsupportedLayerError(
            f"{op.where}: its input of shape {b.shape_text(value)} has the channels as images of "
            "the batch, which only kernels of one channel can filter; leave them channels"
        )
    each: list[Any] = [replace(b.image_view(value.source), pads=value.pads)]
    each += [np.repeat(w, channels, axis=0) for w in (weight, *_bias(op, inputs, 1).values())]
    grouped = replace(op, attrs={**op.attrs, "group": channels})
    made = _conv(b, grouped, each)
    batch, channel, rows, columns = made.dims
    return View(made.source, made.size, (batch + channel, (), rows, columns))


def _enlarging(
    b: Builder, op: Op, spread: Spread, weight: NDArray, pad: Edges, bias: dict[str, NDArray]
) -> View:
    """A convolution of what has zeros between its pixels: a transposed one of those pixels."""
    crop: list[int] = []
    for axis, kernel in enumerate(weight.shape[2:]):
        step, before = spread.step[axis], spread.before[axis]
        low, high = pad[2 * axis : 2 * axis + 2]
        crop += [kernel - 1 - low - before, kernel - step - high + before]
    scatter = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
    parts: dict[str, Any] = {"weight": scatter, "kernel": weight.shape[2:], "stride": spread.step}
    return b.image_view(b.add(op, "deconv", spread.source, **parts, crop=tuple(crop), **bias))


def _without_planes(
    b: Builder, op: Op, source: str, weight: NDArray, bias: dict[str, NDArray]
) -> tuple[str, NDArray, dict[str, NDArray]]:
    """Source, weight and bias of a convolution with joined planes of constants in the bias."""
    node = b.node(source)
    if node is None or not _constant_inputs(b, source):
        return source, weight, bias
    kept, weights_kept, added = [], [], np.zeros(len(weight))
    first = 0
    for name in node.inputs:
        part = weight[:, first : first + b.size(name)[0]]
        first += b.size(name)[0]
        values = b.known(name)
        if values is None:
            kept.append(name)
            weights_kept.append(part)
        elif np.all(values == values[:, :1, :1]):
            added += part.astype(np.float64).sum((2, 3)) @ values[:, 0, 0]
        else:
            return source, weight, bias
    joined = kept[0] if len(kept) == 1 else b.add(op, "concat", *kept)
    return joined, np.concatenate(weights_kept, 1), {"bias": bias.get("bias", 0) + added}


def _conv_transpose(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, _image(b, op, inputs))
    weight, group = _filter(op, inputs, value.size[0], transposed=True)
    kernel = (weight.shape[2], weight.shape[3])
    stride = _pair(op, "strides", (1, 1), 1)
    extra = _pair(op, "output_padding", (0, 0), 0)
    mode = _auto_pad(op)
    crops: tuple[Pair, ...] = _pads(op) if mode == "NOTSET" else ((0, 0), (0, 0))
    wanted: tuple[int, ...] | None = op.attrs.get("output_shape")
    if wanted is None and mode.startswith("SAME"):
        if any(k < s for k, s in zip(kernel, stride)):
            raise UnsupportedLayerError(
                f"{op.where}: its kernel is smaller than its stride, where runtimes disagree about "
                f"auto_pad={mode}; export it with explicit pads and output_padding"
            )
        wanted = tuple(n * s for n, s in zip(value.shape[2:], stride))
    if wanted is not None:
        wanted = wanted[-2:]  # some exporters write the batch and channels too
        if len(wanted) != 2:
            raise ModelError(f"{op.where}: its output_shape has {len(wanted)} numbers, not two")
        totals = [
            (n - 1) * s + e + k - w
            for n, s, e, k, w in zip(value.shape[2:], stride, extra, kernel, wanted)
        ]
        # What output_shape asks for beyond the full output is added at the end.
        crops = tuple(_split(t, mode) if t >= 0 else (0, t) for t in totals)
    _check_beyond(op, "output_padding", extra, stride)
    (top, bottom), (left, right) = crops
    crop = (top, bottom - extra[0], left, right - extra[1])
    if wanted is not None:
        _check_beyond(op, "output_shape", (-top - crop[1], -left - crop[3]), stride)
    outputs = weight.shape[1] * group
    bias = _bias(op, inputs, outputs)
    dense = _dense(op, weight, group)
    if value.is_vector and _constant_inputs(b, value.source):
        return _as_linear(b, op, value, dense, crop, bias.get("bias"))
    parts: dict[str, Any] = {"weight": dense, "kernel": kernel}
    parts |= {"stride": stride, "crop": crop, **bias}
    return b.image_view(b.add(op, "deconv", value.source, **parts))


def _check_beyond(op: Op, what: str, rows_columns: Pair, stride: Pair) -> None:
    """Refuse outputs so far beyond the last tap that ONNX calls the node invalid."""
    dilations = op.attrs.get("dilations", (1, 1))
    if any(n >= max(s, d) for n, s, d in zip(rows_columns, stride, dilations)):
        asked = list(op.attrs.get(what, ()))[:8]
        raise ModelError(
            f"{op.where}: its {what} {asked} reaches {max(rows_columns)} rows or columns beyond "
            f"what the input fills, and ONNX allows fewer than the stride ({stride[0]} x "
            f"{stride[1]}); export it again with a smaller one"
        )


def _constant_inputs(b: Builder, source: str) -> bool:
    """Whether a value is joined from parts of which some are known now."""
    node = b.node(source)
    return bool(node and node.op == "concat" and any(b.known(i) is not None for i in node.inputs))


def _as_linear(
    b: Builder, op: Op, value: View, weight: NDArray, crop: tuple[int, ...], bias: NDArray | None
) -> View:
    """A transposed convolution of one pixel as the linear layer that it is.

    So constants that are joined to the pixel become a bias, which differs from output to output.
    """
    top, bottom, left, right = crop
    grow = [(max(-a, 0), max(-c, 0)) for a, c in ((top, bottom), (left, right))]
    taps = np.pad(weight, ((0, 0), (0, 0), *grow))
    rows, columns = taps.shape[2:]
    taps = taps[:, :, max(top, 0) : rows - max(bottom, 0), max(left, 0) : columns - max(right, 0)]
    if 0 in taps.shape:
        raise ModelError(f"{op.where}: its output would have no rows or columns")
    shape = taps.shape[1:]
    full = np.zeros(shape) if bias is None else np.broadcast_to(bias[:, None, None], shape)
    flat = taps.reshape(len(taps), -1).T
    vector = View(value.source, value.size, b.vector_view(value.source).dims)
    return b.image_view(linear(b, op, vector, flat, bias=full.ravel(), shape=shape).source)


def _average(b: Builder, op: Op, inputs: Inputs) -> View:
    """Averages over windows, or over the whole image: a convolution by equal weights.

    Where windows at the edges count fewer samples, it is none, and the processor's.
    """
    value = b.settled(op, _image(b, op, inputs))
    _, *size = value.shape[1:]
    kernel, stride, pad = (size[0], size[1]), (1, 1), (0, 0, 0, 0)
    if op.type == "AveragePool":
        *_, padded = _windows(op, (size[0], size[1]), ceil=False)
        kernel, stride, pad = _windows(op, (size[0], size[1]))
        counted = bool(op.attrs.get("count_include_pad", 0)) and any(padded)
        if counted and pad != padded:
            raise UnsupportedLayerError(
                f"{op.where} counts padding, but not what ceil_mode adds beyond it; use "
                "count_include_pad=0, or pads that windows fill"
            )
        if any(pad) and not counted:
            attrs: dict[str, Any] = {"kernel": kernel, "stride": stride, "pad": pad}
            return b.image_view(b.add(op, "avgpool", value.source, **attrs))
    return _averaged(b, op, value, kernel, stride, pad)


def _averaged(
    b: Builder, op: Op, value: View, kernel: Pair, stride: Pair, pad: tuple[int, int, int, int]
) -> View:
    weight = b.diagonal(op, value.size[0], kernel, 1 / math.prod(kernel))
    return b.image_view(
        b.add(op, "conv", value.source, weight=weight, kernel=kernel, stride=stride, pad=pad)
    )


def _maximum(b: Builder, op: Op, inputs: Inputs) -> View:
    """The largest of windows, or of the whole image."""
    value = b.settled(op, _image(b, op, inputs))
    _, *size = value.shape[1:]
    if any(op.outputs[1:]):
        raise UnsupportedLayerError(
            f"{op.where}: the places of its maxima are used, and only the values are known; "
            "use an upsampling without them"
        )
    kernel, stride, pad = (size[0], size[1]), (1, 1), (0, 0, 0, 0)
    if op.type == "MaxPool":
        kernel, stride, pad = _windows(op, (size[0], size[1]))
    return b.image_view(b.add(op, "maxpool", value.source, kernel=kernel, stride=stride, pad=pad))


def _windows(op: Op, size: Pair, ceil: bool = True) -> tuple[Pair, Pair, tuple[int, int, int, int]]:
    """Kernel, stride and padding of a pool: how far windows reach beyond the image.

    Without ``ceil`` as if it had no ceil_mode.
    """
    kernel = _pair(op, "kernel_shape", (0, 0), 1)
    stride = _pair(op, "strides", (1, 1), 1)
    if any(d != 1 for d in _pair(op, "dilations", (1, 1), 1)):
        raise UnsupportedLayerError(f"{op.where}: dilations are not supported; use a stride")
    mode = _auto_pad(op)
    edges = []
    for n, k, s, (before, after) in zip(size, kernel, stride, _pads(op)):
        if mode.startswith("SAME"):
            before, after = _split(max((-(-n // s) - 1) * s + k - n, 0), mode)
        elif mode == "VALID":
            before = after = 0
        if ceil and op.attrs.get("ceil_mode", 0):  # no window begins beyond the image
            over = (n + before + after - k) % s
            more = s - over if over else 0
            begins = (n + before + after + more - k) // s * s
            after += more if begins < n + before else 0
        edges += [before, after]
    return kernel, stride, (edges[0], edges[1], edges[2], edges[3])


def linear(
    b: Builder,
    op: Op,
    value: View,
    weight: NDArray,
    bias: NDArray | None = None,
    shape: tuple[int, ...] | None = None,
) -> View:
    """A view (N, features) times ``weight`` (outputs, features)."""
    value = b.settled(op, value)
    if len(value.dims) != 2 or value.dims[0] != b.batch_dim:
        raise UnsupportedLayerError(
            f"{op.where}: its input has shape {b.shape_text(value)}, expected a batch of vectors "
            "(N, features); flatten images before it"
        )
    if weight.shape[1] != value.shape[1]:
        raise ModelError(
            f"{op.where}: its weight takes {weight.shape[1]} values, its input has {value.shape[1]}"
        )
    offsets = value.offsets().ravel()
    columns = np.zeros((math.prod(value.size), len(weight)), weight.dtype)
    if len(offsets) == len(columns):
        columns[offsets] = weight.T
    else:  # a value that the view repeats gets the sum of its weights
        np.add.at(columns, offsets, weight.T)
    source, columns, known = _without_constants(b, op, value.source, columns)
    if known is not None:
        bias = known if bias is None else known + bias
    origin, indices = b.origin(source)
    if origin != source and b.size(source)[1:] == (1, 1):
        # Of a vector of which some values are picked, the others get no weight.
        picked, columns = columns, np.zeros((b.size(origin)[0], len(weight)), columns.dtype)
        np.add.at(columns, indices, picked)
        source = origin
    parts: dict[str, Any] = {} if bias is None else {"bias": bias}
    parts["shape"] = shape or (len(weight), 1, 1)
    return b.vector_view(b.add(op, "linear", source, weight=columns.T, **parts))


def _without_constants(
    b: Builder, op: Op, source: str, columns: NDArray
) -> tuple[str, NDArray, NDArray[np.float64] | None]:
    """Source, weights (inputs, outputs) and bias, with what is joined and known in the bias."""
    node = b.node(source)
    if node is None or not _constant_inputs(b, source):
        return source, columns, None
    kept, weights_kept, bias = [], [], np.zeros(columns.shape[1])
    first = 0
    for name in node.inputs:
        last = first + math.prod(b.size(name))
        values = b.known(name)
        if values is None:
            kept.append(name)
            weights_kept.append(columns[first:last])
        else:
            bias += values.ravel() @ columns[first:last].astype(np.float64)
        first = last
    joined = kept[0] if len(kept) == 1 else b.add(op, "concat", *kept)
    return joined, np.concatenate(weights_kept), bias


def _gemm(b: Builder, op: Op, inputs: Inputs) -> View:
    value = data(op, inputs, 0)
    weight = weights(op, inputs, 1, "weight")
    if weight.ndim != 2 or 0 in weight.shape:
        raise ModelError(f"{op.where}: its weight has shape {weight.shape}, expected a matrix")
    if op.attrs.get("transA", 0):
        raise UnsupportedLayerError(
            f"{op.where} transposes the activations (transA), which would mix the batch; use "
            "transA=0"
        )
    weight = weight if op.attrs.get("transB", 0) else weight.T
    alpha, beta = float(op.attrs.get("alpha", 1.0)), float(op.attrs.get("beta", 1.0))
    bias = None
    if len(inputs) > 2 and inputs[2] is not None:
        out = View("", (len(weight), 1, 1), (value.dims[0], (Factor(len(weight), 1),)))
        added = weights(op, inputs, 2, "bias")
        bias = per_channel(b, op, out, added, "its bias") * beta
    return linear(b, op, value, weight * np.float32(alpha), bias)


def _matmul(b: Builder, op: Op, inputs: Inputs) -> View:
    if isinstance(inputs[0], View) and isinstance(inputs[1], View):
        raise UnsupportedLayerError(
            f"{op.where} of two activations is not supported: the accelerator multiplies by "
            "weights only; use convolutions and linear layers in the place of attention"
        )
    value = b.settled(op, data(op, inputs, 0))
    weight = weights(op, inputs, 1, "weight")
    if weight.ndim != 2 or 0 in weight.shape:
        raise UnsupportedLayerError(
            f"{op.where}: its weight has shape {weight.shape}; only a matrix works: reshape it, or "
            "use one MatMul for each matrix"
        )
    channels, rows, columns = value.size
    ones = value.dims[1:-1]
    if len(value.dims) >= 2 and value.dims[0] == b.batch_dim and not any(ones):
        # (N, features), or (N, 1, 1, features) as squeeze and excitation with channels last has it.
        flat = View(value.source, value.size, (value.dims[0], value.dims[-1]))
        made = linear(b, op, flat, weight.T)
        return View(made.source, made.size, (made.dims[0], *ones, made.dims[-1]))
    depth = (Factor(channels, rows * columns),) if channels > 1 else ()
    if len(value.dims) == 4 and value.dims[-1] != depth:  # channels last, not yet an image
        plain = b.image_view(b.image(op, value.transpose((0, 3, 1, 2))))
        return _matmul(b, op, [plain.transpose((0, 2, 3, 1)), weight])
    if len(value.dims) == 3 and value.dims[-1] != depth:  # tokens
        value = b.with_channels(op, value, 2)
        channels, rows, columns = value.size
        depth = (Factor(channels, rows * columns),) if channels > 1 else ()
    if len(value.dims) < 2 or value.dims[-1] != depth or value.is_vector:
        return linear(b, op, value, weight.T)
    if weight.shape[0] != channels:
        raise ModelError(f"{op.where}: its weight takes {weight.shape[0]} channels, not {channels}")
    taps = np.ascontiguousarray(weight.T)[:, :, None, None]  # (N, H, W, C): a 1 x 1 convolution
    source = b.add(op, "conv", value.source, weight=taps, kernel=(1, 1), stride=(1, 1),
                   pad=(0, 0, 0, 0))  # fmt: skip
    plain = b.image_view(source)
    return View(source, plain.size, (*value.dims[:-1], plain.dims[1]))


def _einsum(b: Builder, op: Op, inputs: Inputs) -> View:
    """Activations times a matrix along one dimension, as attention-free models write it."""
    equation = str(op.attrs["equation"]).replace(" ", "")
    left, arrow, out = equation.partition("->")
    terms = left.split(",")
    views = [i for i in inputs if isinstance(i, View)]
    if len(views) > 1:
        raise UnsupportedLayerError(
            f"{op.where} of two activations is not supported: the accelerator multiplies by "
            "weights only; use convolutions and linear layers in the place of attention"
        )
    index = next(i for i, v in enumerate(inputs) if isinstance(v, View))
    value, known = views[0], terms[1 - index] if len(terms) == 2 else ""
    own = terms[index]
    contracted = [c for c in own if c in known]
    made = [c for c in known if c not in own]
    plain = (
        bool(arrow) and len(inputs) == 2 and len(known) == 2 and "." not in equation
        and len(contracted) == len(made) == 1 and len(set(own)) == len(own) == len(value.dims)
        and sorted(out) == sorted(own.replace(contracted[0], made[0]))
    )  # fmt: skip
    if not plain:
        raise UnsupportedLayerError(
            f"{op.where} computes '{equation[:40]}', which is no product of one dimension with a "
            "constant matrix; write it as MatMul or Conv"
        )
    matrix = weights(op, inputs, 1 - index, "matrix")
    matrix = matrix if known == contracted[0] + made[0] else matrix.T
    rest = [i for i, c in enumerate(own) if c != contracted[0]]
    last = value.transpose([*rest, own.index(contracted[0])])
    result = _matmul(b, op, [last, matrix])
    order = own.replace(contracted[0], "") + made[0]
    return result.transpose([order.index(c) for c in out])


OPERATORS: dict[str, Operator] = {
    "Conv": Operator(_lifted(_conv), "1-D and 2-D, any kernel, stride, pads and "
                     "auto_pad, groups and dilations; of channels as images of a batch, all by one "
                     "kernel"),
    "ConvTranspose": Operator(_lifted(_conv_transpose), "1-D and 2-D, any kernel, stride, pads, "
                              "auto_pad, output_padding and output_shape, groups and dilations"),
    "AveragePool": Operator(
        _lifted(_average), "a convolution by equal weights; where windows at the edges count fewer "
        "pixels, by the processor"
    ),
    "MaxPool": Operator(_lifted(_maximum), "by the processor, between two runs of the accelerator"),
    "GlobalMaxPool": Operator(_lifted(_maximum), "as MaxPool"),
    "GlobalAveragePool": Operator(_lifted(_average), "a convolution by equal weights"),
    "Gemm": Operator(_gemm, "activations times a constant matrix: a linear layer"),
    "Einsum": Operator(_einsum, "a product of one dimension with a constant matrix: as MatMul"),
    "MatMul": Operator(_matmul, "activations times a constant matrix: a linear layer, or a 1 x 1 "
                       "convolution on (N, H, W, C)"),
}  # fmt: skip
