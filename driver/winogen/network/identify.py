"""What a model's file is and says of itself, whether or not the network in it can run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from winogen.network.kinds import NETWORK, NUMPY, SAFETENSORS, TORCH, weights_kind
from winogen.network.zoo import is_trained, model_names

_KINDS = {
    NETWORK: "network file",
    TORCH: "PyTorch checkpoint",
    SAFETENSORS: "safetensors file",
    NUMPY: "NumPy archive of weights",
}


@dataclass(frozen=True)
class Identity:
    """What something is.

    Attributes
    ----------
    kind : in words, as "ONNX model"
    facts : what else is known, by name, in words
    open_size : whether the file leaves the rows or columns of its input image open
    """

    kind: str
    facts: tuple[tuple[str, str], ...] = ()
    open_size: bool = False


def identify(model: str | Path) -> Identity:
    """What ``model`` is; see :func:`winogen.network.load.load_network` for what it may be."""
    path = Path(model)
    name = str(model).replace("_", "-")
    if not path.is_file():
        if name in model_names():
            kind = "trained" if is_trained(name) else "untrained"
            return Identity(f"network that comes with winogen, {kind}")
        return Identity("model folder")
    size = file_size(path)
    if path.suffix.lower() == ".onnx":
        return _onnx(path, size)
    if path.suffix.lower() in (".yaml", ".yml"):
        return Identity("definition", (size,))
    return Identity(_KINDS.get(weights_kind(path) or "", "file of another kind"), (size,))


def file_size(path: Path) -> tuple[str, str]:
    """The size of a file, as a fact."""
    size = path.stat().st_size
    return ("file", f"{size / 1e6:,.2f} MB" if size >= 1 << 20 else f"{size:,} bytes")


def _onnx(path: Path, size: tuple[str, str]) -> Identity:
    kind = "ONNX model"
    try:
        from winogen.network.onnx.read import read_file

        model = read_file(path)
    except Exception:  # whatever a damaged file raises: reading the network says what is wrong
        return Identity(kind, (size,))
    counts: dict[str, int] = {}
    for op in model.ops:
        counts[op.type] = counts.get(op.type, 0) + 1
    facts = [
        size,
        ("producer", model.producer or "not said"),
        ("opset", str(model.written_opset)),
        ("takes", ", ".join(f"{_shape(i.shape)} {i.type.lower()}" for i in model.inputs)),
        ("gives", _shape(model.output_shape)),
        ("nodes", f"{len(model.ops)}: " + ", ".join(f"{n} {t}" for t, n in counts.items())),
    ]
    open_size = any(len(i.shape) == 4 and None in i.shape[1:] for i in model.inputs)
    return Identity(kind, tuple(facts), open_size)


def _shape(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return "of a shape that the file does not say"
    return f"({', '.join('?' if n is None else str(n) for n in shape[:8])})"
