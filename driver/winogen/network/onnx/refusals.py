"""What cannot run on the accelerator, why, and the nearest thing that does."""

from __future__ import annotations

_NEIGHBOURS = (
    "it divides by what is in some channels beside each; use batch normalization, which is free, "
    "or a normalization over all pixels or all channels"
)
_SEVERAL = (
    "it looks at several values at once, and activations are functions of one; use Sigmoid, or end "
    "the network before it"
)
_QUANTISED = (
    "winogen quantises networks itself; export the float model before quantisation and give "
    "calibration inputs with --calib"
)
_CONTROL = "there is no control flow on the accelerator; export the model without it"
_PRODUCT = (
    "no layer adds up products of activations; use convolutions and linear layers, and Add, Mul or "
    "Concat where values meet"
)
_POOL = "replace it by AveragePool, MaxPool or a convolution with a stride"
_ROUNDING = (
    "there is no rounding between layers; end the network before it (onnx.utils.extract_model), "
    "winogen itself writes pictures of whole pixels"
)
_CHOICE = (
    "what is chosen would depend on the image, and layers treat all images alike; export the "
    "model without it"
)
_REDUCE = (
    "over an image there are only averages and sums; use ReduceMean, GlobalAveragePool or a "
    "convolution with a stride"
)

_REFUSALS: dict[str, str] = {
    "LRN": _NEIGHBOURS,
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _SEVERAL),
    **dict.fromkeys(
        (
            "QuantizeLinear",
            "DequantizeLinear",
            "DynamicQuantizeLinear",
            "QLinearConv",
            "QLinearMatMul",
            "ConvInteger",
            "MatMulInteger",
        ),
        _QUANTISED,
    ),
    **dict.fromkeys(("If", "Loop", "Scan", "SequenceMap", "Optional"), _CONTROL),
    **dict.fromkeys(("Ceil", "Floor", "Mod", "Round"), _ROUNDING),
    **dict.fromkeys(
        (
            "ArgMax",
            "ArgMin",
            "Equal",
            "GatherElements",
            "Greater",
            "GreaterOrEqual",
            "Less",
            "LessOrEqual",
            "NonZero",
            "ScatterElements",
            "ScatterND",
            "TopK",
        ),
        _CHOICE,
    ),
    **dict.fromkeys(
        (
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceProd",
            "ReduceSumSquare",
        ),
        _REDUCE,
    ),
    **dict.fromkeys(("Attention", "RNN", "LSTM", "GRU"), _PRODUCT),
    **dict.fromkeys(("LpPool", "GlobalLpPool"), _POOL),
    "DeformConv": "its taps move with the input; use Conv",
    "GridSample": "its samples move with the input; use ConvTranspose or nearest Resize",
    "RandomNormal": "noise is an input: join it to the latent vector",
    "RandomUniform": "noise is an input: join it to the latent vector",
    "RandomNormalLike": "noise is an input: join it to the latent vector",
    "RandomUniformLike": "noise is an input: join it to the latent vector",
}


def refusal(op_type: str) -> str | None:
    """Why an operator can never run and what would, or None if it may."""
    return _REFUSALS.get(op_type)


def refused_operators() -> dict[str, list[str]]:
    """Reason to the operators that are refused for it."""
    reasons: dict[str, list[str]] = {}
    for name, reason in _REFUSALS.items():
        reasons.setdefault(reason, []).append(name)
    return reasons
