"""What kind of file something is, by its first bytes: for messages, and to read weights by."""

from __future__ import annotations

import zipfile
from pathlib import Path

from winogen.common.opening import check_regular
from winogen.network.torch_file import LEGACY_START

TORCH, NUMPY, SAFETENSORS = "torch", "numpy", "safetensors"
#: A network with its layers (:mod:`winogen.network.stored`), and what it is known by.
NETWORK, NETWORK_MEMBER = "network", "network.json.npy"
#: Many networks in one, trained once for all (``winogen fit --once``), and what it is known by.
ONCE, ONCE_MEMBER = "once", "once.json.npy"

_EXPORT = "export the network to ONNX and give the .onnx file"
_KERAS = f"a Keras model; {_EXPORT} (model.export('net.onnx', format='onnx'), or tf2onnx)"
_TENSORFLOW = f"a TensorFlow model; {_EXPORT} (python -m tf2onnx.convert)"
#: First bytes of files that hold networks or weights in some other way, and what to do.
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", _KERAS),
    (4, b"TFL3", f"a TensorFlow Lite model, which is quantised already; {_EXPORT}"),
    (0, b"GGUF", f"a GGUF file, which holds language models; {_EXPORT}"),
    (0, b"version https://git-lfs", "a pointer of Git LFS in the place of the file; fetch the file "
     "itself (git lfs pull)"),
    (0, b"WINOGEN", "a compiled program; winogen run takes it as it is"),
    (0, b"\x1f\x8b", "compressed (gzip); unpack it first"),
    (0, b"7z\xbc\xaf", "compressed (7z); unpack it first"),
    (0, b"BZh", "compressed (bzip2); unpack it first"),
    (0, b"\x89PNG", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
)  # fmt: skip
_SUFFIXES = {
    ".pb": _TENSORFLOW,
    ".meta": _TENSORFLOW,
    ".index": _TENSORFLOW,
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".keras": _KERAS,
    ".tflite": f"a TensorFlow Lite model; {_EXPORT}",
    ".pdparams": f"a Paddle checkpoint; {_EXPORT} (paddle2onnx)",
    ".mlmodel": f"a Core ML model; {_EXPORT}",
    ".msgpack": f"a Flax checkpoint; save its arrays with numpy.savez, or {_EXPORT}",
    ".ckpt.data-00000-of-00001": _TENSORFLOW,
}


def weights_kind(path: Path) -> str | None:
    """How the arrays of a file are stored: TORCH, NUMPY, SAFETENSORS, with layers NETWORK or ONCE.

    None if it has none.
    """
    head = _head(path)
    if head.startswith(LEGACY_START):
        return TORCH
    if len(head) > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 1 << 32:
        return SAFETENSORS
    if head.startswith(b"PK"):
        try:
            if not zipfile.is_zipfile(path):  # it raises an error for an archive in several parts
                return None
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
            return None
        if any(name.endswith("/data.pkl") for name in names):
            return TORCH
        if NETWORK_MEMBER in names:
            return NETWORK
        if ONCE_MEMBER in names:
            return ONCE
        if names and all(name.endswith(".npy") for name in names):
            return NUMPY
    return None


def foreign_kind(path: Path) -> str:
    """What a file is that holds no weights that can be read, and what to do; empty if unknown."""
    head = _head(path)
    if not head:
        return "empty; copy or download it again"
    for at, start, text in _FOREIGN:
        if head[at:].startswith(start):
            return text
    start = head.lstrip()[:200].lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page, probably an error in its place; download the file itself"
    if head.startswith(b"PK") and path.suffix.lower() == ".keras":
        return _KERAS
    for suffix, text in _SUFFIXES.items():
        if path.name.lower().endswith(suffix):
            return text
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return "a pickle that torch.save has not written; save model.state_dict() with torch.save"
    return ""


def looks_like_onnx(path: Path) -> bool:
    """Whether a file begins as an ONNX model does: with its IR version, 3 or later."""
    head = _head(path)
    return len(head) > 16 and head[0] == 8 and 3 <= head[1] <= 32 and head[2] in b"\x12\x1a\x3a\x42"


def _head(path: Path) -> bytes:
    try:
        check_regular(path)
        with path.open("rb") as stream:
            return stream.read(256)
    except OSError:
        return b""
