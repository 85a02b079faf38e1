"""Networks: definitions, weights, ONNX files and checkpoints that are damaged or mean harm."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from support.faults.kinds import SAME, fault, refused
from support.faults.on_commands import (
    LAYERS,
    OnCommand,
    compile_folder,
    compile_onnx,
    compile_stored,
    compile_torch,
    weights,
)
from support.torch_files import Global, Made, save

_ROOM = 64 << 20


# Definitions


def _layers(name: str, what: str, text: str | bytes, *words: str, **more: Any) -> None:
    """Another text in layers.yaml."""

    def inject(stage: OnCommand) -> Any:
        path = stage.file / "layers.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        yield
        path.write_text(LAYERS)

    fault(name, compile_folder, refused("exit 2", *words), what=what, **more)(inject)


#: Ten references to the one before, ten times: 10**10 layers.
_BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 11)
)
_layers("definition empty", "layers.yaml has no bytes.", "", "expected a mapping")
_layers(
    "definition is binary",
    "layers.yaml is no text.",
    b"\xff\xfe\x00\x80" * 20,
    "cannot read the model definition",
)
_layers(
    "definition cut short",
    "layers.yaml ends within a list.",
    LAYERS[:-40],
    "cannot read the model definition",
)
_layers("definition is a list", "layers.yaml holds no mapping.", "- 1\n- 2\n", "expected a mapping")
_layers(
    "definition is an alias bomb",
    "Lists of lists, ten deep, that would have 10¹⁰ items.",
    _BOMB + "layers: *a10\n",
    "unknown key",
    memory=_ROOM,
)
_layers(
    "definition runs a command",
    "A YAML tag that asks Python to call a function.",
    LAYERS + "x: !!python/object/apply:os.system ['touch owned']\n",
    "cannot read the model definition",
)
_layers(
    "definition nested too deep",
    "Lists within lists, 2,000 deep.",
    "layers: " + "[" * 2000 + "]" * 2000,
    "layers.yaml: it is nested too deep",
)
_layers(
    "definition holds itself",
    "A list that is its own item.",
    "layers: &a [*a]\n",
    "layer 0 is not a mapping",
)
_layers(
    "definition names a key twice",
    "A layer has two values for cout.",
    LAYERS.replace("cout: 3,", "cout: 3, cout: 4,"),
    "the key 'cout' is there twice",
)
_layers(
    "definition of unknown layers",
    "An operation that there is not.",
    LAYERS.replace("op: deconv", "op: attention"),
    "layer 'up'",
    "operation 'attention' is not supported",
)
_layers(
    "definition with a misspelt key",
    "A key that no layer has.",
    LAYERS.replace("stride:", "strid:"),
    "layer 'up'",
    "'strid'",
)
_layers(
    "definition of a wrong type",
    "A size that is a word.",
    LAYERS.replace("stride: 2", "stride: two"),
    "layer 'up'",
    "stride",
)
_layers(
    "definition of no size",
    "A kernel of -4.",
    LAYERS.replace("k: 4", "k: -4"),
    "layer 'up'",
    "expected a whole number 1 to 65536, not -4",
)
_layers(
    "definition as large as memory",
    "A layer of 10⁹ channels.",
    LAYERS.replace("[6, 3, 3]", "[1000000000, 3, 3]"),
    "layer 'fc'",
    memory=_ROOM,
)
_layers(
    "definition looks ahead",
    "A layer that takes the output of a later one.",
    LAYERS + "- {name: sum, op: add, from: [up, last]}\n- {name: last, op: relu}\n",
    "layer 'sum'",
    "last",
)


# Weights


def _npz(**changes: Any) -> bytes:
    buffer = io.BytesIO()
    arrays = {**weights(), **changes}
    np.savez(buffer, **{name: a for name, a in arrays.items() if a is not None})
    return buffer.getvalue()


def _weights(
    name: str, what: str, change: Callable[[bytes], bytes], *words: str, **more: Any
) -> None:
    """Other bytes in weights.npz."""

    def inject(stage: OnCommand) -> Any:
        path = stage.file / "weights.npz"
        whole = path.read_bytes()
        path.write_bytes(change(whole))
        yield
        path.write_bytes(whole)

    fault(name, compile_folder, refused("exit 2", *words), what=what, **more)(inject)


def _bomb(size: int) -> bytes:
    """An archive whose member of 32 MB says that it has another size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fc.weight.npy", bytes(32 << 20))
    data = bytearray(buffer.getvalue())
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, size)
    return bytes(data)


def _with(array: str, change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    return lambda whole: _npz(**{array: change(weights()[array])})


def _not_a_number(array: Any) -> Any:
    array[0] = np.nan
    return array


_weights("weights empty", "weights.npz has no bytes.", lambda d: b"", "weights.npz", "empty")
_weights(
    "weights cut short",
    "weights.npz ends in its middle.",
    lambda d: d[: len(d) // 2],
    "weights.npz",
    "it is damaged",
)
_weights(
    "weights are text",
    "An error page in place of the file.",
    lambda d: b"<html>404</html>",
    "weights.npz",
    "it holds Python objects or is no .npy file",
)
_weights(
    "weights in Git LFS",
    "A pointer file in place of the weights.",
    lambda d: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "weights.npz",
    "is no .npy file",
)
_weights(
    "weights pickled",
    "An array of Python objects, which only pickle reads.",
    lambda d: _npz(**{"fc.weight": np.array([{}], object)}),
    "weights.npz",
    "Python objects",
)
_weights(
    "weights are a zip bomb",
    "An archive that says that it unpacks to 4 GB.",
    lambda d: _bomb(0xFFFF_FFF0),
    "weights.npz",
    "unpacks to over",
    memory=_ROOM,
)
_weights(
    "weights are a zip bomb that lies",
    "A member unpacks to 32 MB, and says 100 bytes.",
    lambda d: _bomb(100),
    "weights.npz",
    "it is damaged",
    memory=16 << 20,
)
_weights(
    "weights missing",
    "One array is not there.",
    lambda d: _npz(**{"fc.weight": None}),
    "layer 'fc'",
    "'fc.weight'",
    "is missing in weights.npz",
)
_weights(
    "weights hold NaN",
    "A weight is no number.",
    _with("fc.weight", _not_a_number),
    "layer 'fc",
    "NaN or infinity",
)
_weights(
    "weights of another shape",
    "A kernel has an axis too many.",
    _with("up.weight", lambda a: a[..., None]),
    "layer 'up",
    "has shape",
)
_weights(
    "weights are integers",
    "A kernel has whole numbers.",
    _with("up.weight", lambda a: a.astype(int)),
    "layer 'up",
    "has dtype",
)


def _in_its_place(name: str, what: str, make: Callable[[Any], object], *words: str) -> None:
    def inject(stage: OnCommand) -> None:
        path = stage.file / "weights.npz"
        path.unlink()
        make(path)

    fault(name, compile_folder, refused("exit 2", *words), what=what)(inject)


_in_its_place("weights gone", "There is no weights.npz.", lambda p: None, "does not exist")
_in_its_place(
    "weights are a pipe",
    "A FIFO, to which nobody writes.",
    os.mkfifo,
    "weights.npz",
    "it is a pipe",
)
_in_its_place(
    "weights without end",
    "A symlink to /dev/zero.",
    lambda p: p.symlink_to("/dev/zero"),
    "weights.npz",
    "it is a device and no file",
)


@fault("definition is a pipe", compile_folder, refused("exit 2", "layers.yaml"))
def _(stage: OnCommand) -> None:
    """A FIFO, to which nobody writes."""
    path = stage.file / "layers.yaml"
    path.unlink()
    os.mkfifo(path)


# Network files


def _stored(
    name: str, what: str, change: Callable[[bytes], bytes], *words: str, **more: Any
) -> None:
    def inject(stage: OnCommand) -> Any:
        whole = stage.file.read_bytes()
        stage.file.write_bytes(change(whole))
        yield
        stage.file.write_bytes(whole)

    fault(name, compile_stored, refused("exit 2", *words), what=what, **more)(inject)


def _member(data: bytes, name: str, content: bytes) -> bytes:
    """An archive with one member's bytes changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for found in old.namelist():
            new.writestr(found, content if found == name else old.read(found))
    return buffer.getvalue()


def _text(content: bytes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.frombuffer(content, np.uint8))
    return buffer.getvalue()


_stored(
    "network file cut short",
    "The archive ends in its middle.",
    lambda d: d[: len(d) // 2],
    "net.npz",
    "is no network",
)
_stored(
    "network file's layers are no JSON",
    "Its description is not what it should be.",
    lambda d: _member(d, "network.json.npy", _text(b"{" * 50)),
    "net.npz",
    "its layers are no JSON",
)
_stored(
    "network file nested too deep",
    "Its description is lists within lists, 100,000 deep.",
    lambda d: _member(d, "network.json.npy", _text(b"[" * 100_000 + b"]" * 100_000)),
    "net.npz",
    "it is damaged",
    memory=_ROOM,
)
_stored(
    "network file asks for memory",
    "A header of an array says 10¹⁵ values.",
    lambda d: _member(d, "0.weight.npy", _huge()),
    "net.npz",
    "has another size than it says",
    memory=_ROOM,
)


def _huge() -> bytes:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,), }"
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


# ONNX


def _onnx(name: str, what: str, change: Callable[[Any], object], *words: str, **more: Any) -> None:
    """The model is changed and written again, whether onnx likes it or not."""

    def inject(stage: OnCommand) -> Any:
        import onnx

        whole = stage.file.read_bytes()
        model = onnx.ModelProto.FromString(whole)
        change(model)
        stage.file.write_bytes(model.SerializeToString())
        yield
        stage.file.write_bytes(whole)

    fault(name, compile_onnx, refused("exit 2", *words), what=what, **more)(inject)


def _onnx_bytes(name: str, what: str, change: Callable[[bytes], bytes], *words: str) -> None:
    def inject(stage: OnCommand) -> Any:
        whole = stage.file.read_bytes()
        stage.file.write_bytes(change(whole))
        yield
        stage.file.write_bytes(whole)

    fault(name, compile_onnx, refused("exit 2", "net.onnx", *words), what=what)(inject)


def _tensor(model: Any, shape: tuple[int, ...]) -> Any:
    return next(t for t in model.graph.initializer if tuple(t.dims) == shape)


def _external(location: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = _tensor(model, (54, 5))
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        tensor.external_data.add(key="location", value=location)

    return change


def _nan(model: Any) -> None:
    tensor = _tensor(model, (54, 5))
    tensor.raw_data = np.full(54 * 5, np.nan, np.float32).tobytes()


def _cyclic(model: Any) -> None:
    nodes = {node.name: node for node in model.graph.node}
    nodes["fc"].input[0] = model.graph.output[0].name


_onnx_bytes("ONNX file empty", "The file has no bytes.", lambda d: b"", "empty")
_onnx_bytes(
    "ONNX file cut short",
    "The file ends within the weights.",
    lambda d: d[: len(d) // 2],
    "damaged, truncated or no ONNX model",
    "export it again",
)
_onnx_bytes(
    "ONNX file is text",
    "An error page in place of the file.",
    lambda d: b"<html>404 not found</html>" * 5,
    "a web page",
)
_onnx_bytes(
    "ONNX file in Git LFS",
    "A pointer file in place of the model.",
    lambda d: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "LFS",
)
_onnx(
    "ONNX weights gone",
    "External data that are not beside the file.",
    _external("gone.bin"),
    "gone.bin",
)
_onnx(
    "ONNX weights outside the folder",
    "External data at a path that leads out of the folder.",
    _external("../../../etc/passwd"),
    "passwd",
)
_onnx(
    "ONNX weights at an absolute path",
    "External data at an absolute path.",
    _external("/etc/passwd"),
    "/etc/passwd",
)
_onnx(
    "ONNX operator unknown",
    "An operator that the accelerator cannot run.",
    lambda m: setattr(m.graph.node[2], "op_type", "NonMaxSuppression"),
    "NonMaxSuppression",
)
_onnx("ONNX weights hold NaN", "A weight is no number.", _nan, "NaN")
_onnx(
    "ONNX graph in a circle",
    "A node takes what is made of its own output.",
    _cyclic,
    "net.onnx",
    "which no earlier node makes",
)
_onnx(
    "ONNX opset of the future",
    "The file is of an opset that nobody has defined yet.",
    lambda m: setattr(m.opset_import[0], "version", 999),
    "999",
)
_onnx(
    "ONNX weights have a wrong size",
    "The weights' dimensions are not those of their bytes.",
    lambda m: _tensor(m, (54, 5)).dims.__setitem__(0, 2**40),
    "net.onnx",
    "declares the shape",
    memory=_ROOM,
)
_onnx(
    "ONNX input of no size",
    "The input has 0 values.",
    lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 0),
    "net.onnx",
    "the input 'z' has shape",
)
_onnx(
    "ONNX weights not there",
    "A node takes a value that nothing gives.",
    lambda m: m.graph.initializer.remove(_tensor(m, (54, 5))),
    "net.onnx",
    "which no earlier node makes",
)


@fault("ONNX file is a pipe", compile_onnx, refused("exit 2", "net.onnx"))
def _(stage: OnCommand) -> None:
    """A FIFO, to which nobody writes."""
    stage.file.unlink()
    os.mkfifo(stage.file)


# PyTorch


@fault("checkpoint runs a command", compile_torch, SAME)
def _(stage: OnCommand) -> None:
    """A pickle that would call os.system as it is loaded: it is read, and nothing is called."""
    target = stage.folder / "owned"
    evil = Made(Global("os", "system"), None, (f"touch {target}",))
    save({"state_dict": weights(), "evil": evil}, stage.file)
    words = stage.words

    def checked(same: OnCommand) -> list[Any]:
        assert not target.exists()
        stage.strike()
        return words(same)

    stage.words = checked


def _checkpoint(name: str, what: str, make: Callable[[OnCommand], Any], *words: str) -> None:
    expected = refused("exit 2", "net.pth", *words)
    fault(name, compile_torch, expected, what=what, memory=_ROOM)(make)


def _deep(stage: OnCommand) -> None:
    block: Any = {"0.weight": np.ones((2, 2), np.float32)}
    for _ in range(70):
        state = {"_parameters": {}, "_buffers": {}, "_modules": {"a": block, "b": block}}
        block = Made(Global("x", "Block"), state)
    save(block, stage.file)


def _cut(stage: OnCommand) -> None:
    data = stage.file.read_bytes()
    stage.file.write_bytes(data[: len(data) // 2])


def _settings(stage: OnCommand) -> None:
    save({"lr": 0.1}, stage.file)


def _large(stage: OnCommand) -> None:
    stage.file.write_bytes(b"\x80\x02\x8e" + (2**31).to_bytes(8, "little"))


_checkpoint(
    "checkpoint cut short",
    "The archive ends in its middle.",
    _cut,
    "it was not written by torch.save",
)
_checkpoint(
    "checkpoint nested without end",
    "Modules within modules: 2⁷⁰ paths.",
    _deep,
    "nested without end",
)
_checkpoint(
    "checkpoint without weights", "A pickle of settings.", _settings, "it holds no tensors but lr"
)
_checkpoint(
    "checkpoint is a pickle bomb",
    "A pickle that asks for 2³¹ bytes.",
    _large,
    "a pickle that torch.save has not written",
)
