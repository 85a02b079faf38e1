"""Network files: what was saved comes back exactly; whatever is wrong is one sentence."""

from __future__ import annotations

import io
import json
import pickle
import tracemalloc
import zipfile
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import winogen
from support.host_networks import many, side_by_side
from support.onnx_families import FOLDER
from support.program_files import EXTREMES, places
from support.strategies import SEEDS, examples, graphs
from winogen.cli.main import main
from winogen.common.errors import InputError, ModelError, UnsupportedLayerError, WinogenWarning
from winogen.compiler.compile import compile_graph
from winogen.network.functions import Function, Step
from winogen.network.graph import Graph, InputPart, InputSpec, Node
from winogen.network.identify import identify
from winogen.network.load import load_network, recognise_file
from winogen.network.options import NetworkOptions
from winogen.network.sampling import Axis
from winogen.network.stored import load_stored, save_network
from winogen.network.zoo import load_model, model_names

#: Families with layers for the processor, functions, labels, and resampled axes.
FAMILIES = (
    "cyclegan_resnet-torchscript-11", "stylegan1-torchscript-11", "silu_mish-torchscript-11",
    "bicubic_align_corners_to_15-dynamo-19", "cgan_mlp-torchscript-11", "unet_maxpool_bilinear-"
    "torchscript-11", "shufflenet_v2-torchscript-11", "siren-torchscript-17",
)  # fmt: skip
HEADER = "network.json.npy"


def alike(first: Graph, second: Graph) -> bool:
    """Whether two networks are the same, every bit and type of their parameters."""
    for a, b in zip(first.nodes, second.nodes, strict=True):
        assert (a.name, a.op, a.inputs, a.attrs) == (b.name, b.op, b.inputs, b.attrs)
        assert [type(v) for v in a.attrs.values()] == [type(b.attrs[k]) for k in a.attrs]
        assert set(a.params) == set(b.params)
        for name, value in a.params.items():
            assert value.dtype == b.params[name].dtype
            assert value.tobytes() == b.params[name].tobytes(), (a.name, name)
            assert b.params[name].flags.writeable
    names = ("name", "input", "output_range", "description", "notes", "trained_bits", "shapes")
    return all(getattr(first, n) == getattr(second, n) for n in names)


def everything() -> Graph:
    """A network with what the others of the tests do not have."""
    rng = np.random.default_rng(0)
    function = Function("odd", (
        Step("Elu", (("alpha", 1 / 3),), (-1,)), Step("Clip", (), (0, -0.1, float("inf"))),
        Step("Gelu", (("approximate", "tanh"),), (1,)),
    ))  # fmt: skip
    axis = Axis(6, 9, Fraction(-1, 6), Fraction(2, 3), Fraction(-3, 4), True)
    weight = rng.standard_normal((4, 3, 3, 3))
    scales = {"weight_scale": np.full(4, 0.1), "bias": rng.standard_normal(4).astype(np.float32)}
    return Graph(
        "all", InputSpec((3, 6, 6), "image", "uniform", 0.1, (-1.0, 1.0),
                         (InputPart("x", "image", 1), InputPart("c", "label", 2, ("a", "b")))),
        [
            Node("a/1", "conv", ("input",), {"kernel": (3, 3), "stride": (1, 1),
                 "pad": (1, 1, 1, 1), "scale": 0.1}, {"weight": weight, **scales}),
            Node("f", "function", ("a/1",), {"function": function}),
            Node("q", "quant_relu", ("f",), {"step": 0.1, "high": 1.5, "scale": 0.1}),
            Node("r", "resample", ("q",), {"axes": (axis, axis)}),
        ],
        (-1.0, 1.0), "of many kinds", ("a note", "another"), 8,
    )  # fmt: skip


def saved(graph: Graph, folder: Path) -> Path:
    path = folder / "net.npz"
    save_network(graph, path)
    return path


# Round trip


@pytest.mark.parametrize("name", [n for n in model_names() if n != "gp-gan"])  # 100 MB
def test_networks_of_the_zoo(name, tmp_path):
    graph = load_model(name)
    assert alike(graph, load_stored(saved(graph, tmp_path)))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.filterwarnings("ignore::winogen.common.errors.WinogenWarning")
def test_families(name, tmp_path):
    graph = load_network(FOLDER / f"{name}.onnx")
    assert alike(graph, load_stored(saved(graph, tmp_path)))


def test_what_no_model_has(tmp_path):
    graph = everything()
    again = load_stored(saved(graph, tmp_path))
    assert alike(graph, again)
    assert again.nodes[0].params["weight"].dtype == np.float64
    assert again.nodes[0].attrs["scale"] == 0.1
    assert again.trained_bits == 8


@examples(60)
@given(graphs())
def test_any_network(tmp_path_factory, graph):
    path = saved(graph, tmp_path_factory.mktemp("net"))
    assert alike(graph, load_stored(path))


def test_equal_networks_give_equal_bytes(tmp_path, monkeypatch):
    graph = everything()
    first = saved(graph, tmp_path).read_bytes()
    monkeypatch.setattr("time.time", lambda: 0.0)
    node = graph.nodes[0]
    turned = replace(node, attrs=dict(reversed(node.attrs.items())), params={
        name: np.asfortranarray(value) for name, value in reversed(node.params.items())
    })  # fmt: skip
    assert saved(replace(graph, nodes=[turned, *graph.nodes[1:]]), tmp_path).read_bytes() == first
    assert np.load(tmp_path / "net.npz")["0.weight"].shape == (4, 3, 3, 3)


@pytest.mark.parametrize("make", [lambda: load_model("digits"), many, side_by_side])
def test_it_compiles_to_the_same_program(make, tmp_path):
    graph = make()
    again = load_stored(saved(graph, tmp_path))
    wanted = compile_graph(graph, "tiny", batch=1).program
    assert compile_graph(again, "tiny", batch=1).program.tobytes() == (wanted.tobytes())


# What cannot be saved


def test_layers_that_cannot_be_stored(tmp_path):
    graph = load_model("digits")
    node = graph.nodes[0]
    with pytest.raises(ModelError, match=f"layer '{node.name}'.*attribute 'odd' cannot be stored"):
        save_network(replace(graph, nodes=[replace(node, attrs={**node.attrs, "odd": 1}),
                                           *graph.nodes[1:]]), tmp_path / "x.npz")  # fmt: skip
    half = {name: value.astype(np.float16) for name, value in node.params.items()}
    with pytest.raises(ModelError, match=r"float16, which cannot be stored"):
        save_network(replace(graph, nodes=[replace(node, params=half), *graph.nodes[1:]]),
                     tmp_path / "x.npz")  # fmt: skip
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="cannot write"):
        save_network(graph, tmp_path / "none" / "x.npz")


# A model like others


@pytest.fixture
def digits(tmp_path) -> Path:
    return saved(load_model("digits"), tmp_path)


def test_it_is_a_model_like_others(digits):
    assert alike(load_network(digits), load_model("digits"))
    assert identify(digits).kind == "network file"
    assert winogen.check(digits).kind == "network file"
    uniform = load_network(digits, latents="uniform", output_range=(-2.0, 2.0))
    assert (uniform.input.distribution, uniform.output_range) == ("uniform", (-2.0, 2.0))
    with pytest.raises(InputError, match="takes latents: leave --image-size out"):
        load_network(digits, image_size=(8, 8))


def test_its_image_may_have_another_size(tmp_path):
    other = load_network(
        saved(load_model("fsrcnn-x2"), tmp_path), image_size=(64, 32), input_range=(-1, 1)
    )
    assert other.input.shape[1:] == (64, 32)
    assert other.input.range == (-1, 1)


def test_its_name_need_not_say_what_it_is(digits):
    other = digits.rename(digits.with_suffix(".model"))
    assert alike(load_network(other), load_model("digits"))


def test_its_notes_are_told(tmp_path):
    path = saved(everything(), tmp_path)
    with pytest.warns(WinogenWarning, match="another"):
        load_network(path)


@pytest.mark.parametrize("option", ["weights", "weights_key", "candidate"])
def test_it_has_weights_of_its_own(option, digits):
    value = {"weights": digits, "weights_key": "netG", "candidate": 1}[option]
    with pytest.raises(InputError, match=f"leave --{option.replace('_', '-')} out"):
        load_network(digits, **{option: value})


def test_it_is_no_file_of_weights(digits, capsys):
    with pytest.raises(InputError, match="give it in the place of the model"):
        load_network("digits", weights=digits)
    with pytest.raises(InputError, match="not weights alone"):
        recognise_file(digits, NetworkOptions())
    folder = digits.parent
    command = ["compile", str(digits), "--as", str(folder / "layers.yaml")]
    assert main([*command, "-o", str(folder / "x.wg")]) == 2
    assert "leave --as out" in capsys.readouterr().err


# Whatever else a file may be


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, found: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return path


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def described(path: Path) -> Any:
    return json.loads(np.load(path)["network.json"].tobytes())


def with_text(path: Path, header: Any) -> Path:
    """The file with other layers."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    found = members(path)
    return written(path.with_name("other.npz"), {
        **found, HEADER: npy(np.frombuffer(text, np.uint8))
    })  # fmt: skip


def refusal(path: Path) -> str:
    """The message: one short line that names the file, and little memory on the way."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as error:
            load_stored(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 32 << 20
    text = str(error.value)
    assert str(path) in text
    assert "\n" not in text
    assert text.isprintable()
    return text


@pytest.fixture
def small(tmp_path) -> Path:
    return saved(everything(), tmp_path)


def test_files_that_are_none(tmp_path, small):
    for data in (b"", b"PK\3\4", b"WINOGEN1", pickle.dumps({}), small.read_bytes()[:-40]):
        (tmp_path / "x").write_bytes(data)
        refusal(tmp_path / "x")
    refusal(tmp_path / "none.npz")
    refusal(tmp_path)
    assert "has no layers" in refusal(written(tmp_path / "y.npz", {"a.npy": npy(np.ones(3))}))


def test_nothing_is_unpickled(small, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    objects = np.array([None, {}], object)
    stream = io.BytesIO()
    monkeypatch.undo()
    np.save(stream, objects, allow_pickle=True)
    for name in (HEADER, "0.weight.npy"):
        found = {**members(small), name: stream.getvalue()}
        assert "no array of a network" in refusal(written(small.with_name("x.npz"), found))


def test_zip_bombs(small, tmp_path):
    found = members(small)
    bomb = {**found, "0.weight.npy": npy(np.zeros(40 << 20, np.uint8))}
    assert "compressed" in refusal(written(tmp_path / "x.npz", bomb, zipfile.ZIP_DEFLATED))
    assert "compressed" in refusal(written(tmp_path / "x.npz", found, zipfile.ZIP_DEFLATED))
    huge = npy(np.zeros(1)).replace(b"(1,), }" + b" " * 10, b"(99999999999,), }")
    assert huge != npy(np.zeros(1))
    for name in found:
        text = refusal(written(tmp_path / "x.npz", {**found, name: huge}))
        assert "another size than it says" in text


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_are_compressed(kind, small, tmp_path):
    """Even small ones: what says how much memory a decoder takes is the file."""
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members(small).items():
            archive.writestr(name, data, kind if name == "0.bias.npy" else zipfile.ZIP_STORED)
    assert "its member '0.bias.npy' is compressed" in refusal(path)


def test_members_too_many_or_too_few(small, tmp_path):
    found = members(small)
    for name in found:
        rest = {k: v for k, v in found.items() if k != name}
        text = refusal(written(tmp_path / "x.npz", rest))
        assert ("layer 'a/1': its" in text) == (name != HEADER)
    more = {**found, "7.weight.npy": found["0.weight.npy"]}
    assert "'7.weight' of no layer" in refusal(written(tmp_path / "x.npz", more))
    assert "too many" in refusal(written(tmp_path / "x.npz", {**found, "readme": b""}))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(small, "a") as archive:
        archive.writestr("0.weight.npy", found["0.weight.npy"])
    assert "too many" in refusal(small)


def test_values_that_are_wrong(small, tmp_path):
    found = members(small)
    weight = np.load(small)["0.weight"]
    for wrong, said in (
        (np.full_like(weight, np.nan), "NaN"), (weight[:3], "shape"), (weight > 0, "no array"),
        (weight.astype(complex), "no array"), (weight.astype(">f8"), "no array"),
        (np.asfortranarray(weight), "no array"), (weight[..., None], "no array"),
        (weight.astype(np.uint8), "float type"),
    ):  # fmt: skip
        text = refusal(written(tmp_path / "x.npz", {**found, "0.weight.npy": npy(wrong)}))
        assert said in text
        assert "a/1" in text or "0.weight" in text
    for wrong in (
        np.zeros(4), -np.ones(4), np.full(4, np.inf), np.full(4, 1e-320), np.full(4, 1e300),
        np.ones(3),
    ):  # fmt: skip
        text = refusal(written(tmp_path / "x.npz", {**found, "0.weight_scale.npy": npy(wrong)}))
        assert "weight_scale" in text
        assert "a/1" in text


def changed(header: Any, where: tuple[Any, ...], value: Any) -> Any:
    out = deepcopy(header)
    at = out
    for key in where[:-1]:
        at = at[key]
    at[where[-1]] = value
    return out


@pytest.mark.parametrize(("where", "value", "said"), [
    (("nodes", 1, "name"), "a/1", "layer 'a/1': the name is used twice"),
    (("nodes", 1, "name"), "input", "layer 'input': the name is used twice"),
    (("nodes", 1, "inputs"), ["q"], "layer 'f' of model all: its input 'q' is not an earlier"),
    (("nodes", 1, "inputs"), ["f"], "layer 'f' of model all: its input 'f' is not an earlier"),
    (("nodes", 1, "inputs"), [], "layer 'f': it reads nothing"),
    (("nodes",), [], "an array '0.bias' of no layer"),
    (("nodes", 0, "attrs", "kernel"), [3, 3, 3], "layer 'a/1': its kernel: expected a list of 2"),
    (("nodes", 0, "attrs", "kernel"), [1 << 40, 3], "its kernel: expected a whole number from 1"),
    (("nodes", 0, "attrs", "pad"), [1 << 30] * 4, "over 536,870,912 values"),
    (("nodes", 0, "attrs", "scale"), -0.5, "its scale: expected a positive number"),
    (("nodes", 0, "attrs", "more"), 1, "expected the attributes kernel, stride, pad"),
    (("nodes", 0, "params"), ["weight", "weight"], "its weight is not in the file"),
    (("nodes", 0, "params"), ["gamma"], "expected one of weight, bias"),
    (("nodes", 2, "attrs", "step"), float("nan"), "layer 'q': its step: expected a number"),
    (("nodes", 1, "attrs", "function", "steps", 0, "inputs"), [0], "layer 'f': its function"),
    (("nodes", 1, "attrs", "function", "steps", 1, "inputs"), [0] * 9, "cannot be computed"),
    (("nodes", 1, "attrs", "function", "steps", 0, "operator"), "eval", "expected one of Abs"),
    (("nodes", 3, "attrs", "axes", 0, "start"), [1, 0], "layer 'r': its axes: expected a fraction"),
    (("nodes", 3, "attrs", "axes", 0, "outputs"), 1 << 31, "over 536,870,912 values"),
    (("input", "shape"), [1 << 28, 1 << 28, 1], "its input: its shape"),
    (("input", "parts", 0, "channels"), 2, "do not make up its channels"),
    (("input", "parts", 0, "name"), "c", "two of its parts have one name"),
    (("input", "colour"), "mauve", "its input: expected one of rgb"),
    (("output_range",), [1, 1], "expected an ascending range"),
    (("trained_bits",), 64, "expected a whole number"),
    (("format",), 3, "it has format 3, this winogen reads 1 and 2"),
    (("name",), "\x1b[31m", "expected a name"),
])  # fmt: skip
def test_layers_that_are_wrong(where, value, said, small):
    assert said in refusal(with_text(small, changed(described(small), where, value)))


def test_an_operation_that_is_unknown(small):
    path = with_text(small, changed(described(small), ("nodes", 1, "op"), "softmax"))
    with pytest.raises(UnsupportedLayerError, match=r"layer 'f'.*'softmax' is not supported"):
        load_stored(path)


@pytest.mark.parametrize("text", [
    b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000, b"{}", b"1" * 10_000, b'"x"',
])  # fmt: skip
def test_texts_that_are_no_layers(text, small):
    refusal(with_text(small, text))


_NETWORK = everything()


def good_or_refused(path: Path) -> None:
    try:
        graph = load_stored(path)
    except (ModelError, InputError) as error:
        assert str(error).isprintable()
        assert str(path) in str(error)
        return
    save_network(graph, path)  # what is wrong would be refused again
    assert alike(load_stored(path), graph)


@examples(300)
@given(st.data(), SEEDS)
def test_mutated_layers(tmp_path_factory, data, seed):
    """One value of another kind, or none, or one more: refused, or a network."""
    path = saved(_NETWORK, tmp_path_factory.mktemp("net"))
    header = described(path)
    where = data.draw(st.sampled_from(places(header)))
    out = changed(header, where, data.draw(st.sampled_from(EXTREMES)))
    if seed % 5 == 0:
        at = out
        for key in where[:-1]:
            at = at[key]
        del at[where[-1]]
    good_or_refused(with_text(path, out))


@examples(300)
@given(st.data())
def test_mutated_bytes(tmp_path_factory, data):
    path = saved(_NETWORK, tmp_path_factory.mktemp("net"))
    found = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(found[: data.draw(st.sampled_from([len(found), len(found) // 2]))]))
    good_or_refused(path)


@examples(200)
@given(st.data())
def test_mutated_members(tmp_path_factory, data):
    """With right checksums, as whoever makes a file may write them."""
    path = saved(_NETWORK, tmp_path_factory.mktemp("net"))
    found = members(path)
    name = data.draw(st.sampled_from(sorted(found)))
    member = bytearray(found[name])
    member[data.draw(st.integers(0, min(len(member), 200) - 1))] = data.draw(st.integers(0, 255))
    good_or_refused(written(path, {**found, name: bytes(member)}))
