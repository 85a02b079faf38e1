"""What cannot run on the accelerator, why, and the nearest thing that does."""

from __future__ import annotations

_RUNTIME_STATISTICS = (
    "its statistics are taken from each image while it runs, and cannot be folded into weights; "
    "train with batch normalization, which is free, or without normalization"
)
_FUNCTION = (
    "the accelerator's activations are ReLU, LeakyReLU, PReLU, clamps, and tanh and sigmoid; "
    "replace it by LeakyReLU or PReLU and fine-tune"
)
_QUANTISED = (
    "winogen quantises networks itself; export the float model before quantisation and give "
    "calibration inputs with --calib"
)
_CONTROL = "there is no control flow on the accelerator; export the model without it"
_PRODUCT = (
    "the accelerator multiplies by weights only, not one activation by another; use convolutions "
    "and linear layers, and Add or Concat where values meet"
)
_POOL = "replace it by a convolution with a stride"
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
    **dict.fromkeys(
        ("LRN",),
        _RUNTIME_STATISTICS,
    ),
    **dict.fromkeys(
        (
            "Softmax",
            "LogSoftmax",
        ),
        _FUNCTION,
    ),
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
    **dict.fromkeys(("Hardmax",), _FUNCTION),
    **dict.fromkeys(("Ceil", "Floor", "Mod", "Round"), _ROUNDING),
    **dict.fromkeys(
        (
            "ArgMax",
            "ArgMin",
            "Compress",
            "Equal",
            "GatherElements",
            "GatherND",
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
            "ReduceMin",
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
