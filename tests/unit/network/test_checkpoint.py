"""Checkpoints as training scripts leave them: what is read, chosen, left out and refused."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.torch_files import Global, Made, Parameter, save
from winogen.common.errors import InputError, ModelError, WinogenWarning
from winogen.network import reference
from winogen.network.checkpoint import read_parameters
from winogen.network.definition import load_definition
from winogen.network.graph import Graph
from winogen.network.load import load_network
from winogen.network.statedict import StateDict, Wanted

DEFINITION = """
input: {latent: 8}
output: {range: [-1, 1]}
layers:
- {name: up1, op: deconv, cout: 6, k: 4, norm: batch, act: relu}
- {name: up2, op: deconv, cout: 4, k: 4, stride: 2, pad: 1, norm: batch, act: relu}
- {name: up3, op: deconv, cout: 3, k: 4, stride: 2, pad: 1, bias: false, act: tanh}
"""
Arrays = dict[str, Any]


def generator(seed: int = 0) -> Arrays:
    """A state dict of a DCGAN in torch.nn.Sequential."""
    rng = np.random.default_rng(seed)
    arrays: Arrays = OrderedDict()
    for at, shape in ((0, (8, 6, 4, 4)), (3, (6, 4, 4, 4)), (6, (4, 3, 4, 4))):
        arrays[f"main.{at}.weight"] = rng.normal(0, 0.2, shape).astype(np.float32)
        if at < 6:
            for name in ("weight", "bias", "running_mean", "running_var"):
                values = rng.uniform(0.5, 1.5, shape[1]).astype(np.float32)
                arrays[f"main.{at + 1}.{name}"] = values
            arrays[f"main.{at + 1}.num_batches_tracked"] = np.array(7)
    return arrays


RIGHT, WRONG = generator(0), generator(1)


def prefixed(prefix: str, arrays: Arrays) -> Arrays:
    return OrderedDict((f"{prefix}{k}", v) for k, v in arrays.items())


def module(arrays: Arrays, name: str = "G") -> Made:
    """A whole pickled network: every object with its parameters, buffers and modules."""
    own = {k: v for k, v in arrays.items() if "." not in k}
    heads = list(OrderedDict((k.partition(".")[0], 0) for k in arrays if "." in k))
    buffers = {k: v for k, v in own.items() if k.startswith(("running", "num"))}
    inner = {
        h: module({k.partition(".")[2]: v for k, v in arrays.items() if k.startswith(f"{h}.")})
        for h in heads
    }
    return Made(Global("__main__", name), {
        "training": False,
        "_parameters": OrderedDict((k, Parameter(v)) for k, v in own.items() if k not in buffers),
        "_buffers": OrderedDict(buffers),
        "_non_persistent_buffers_set": Made(Global("__builtin__", "set"), None, ([],)),
        "_modules": OrderedDict(inner),
    })  # fmt: skip


NAMESPACE = Made(Global("argparse", "Namespace"), {"lr": 1})
SCALAR = Made(
    Global("numpy.core.multiarray", "scalar"),
    None,
    (Made(Global("numpy", "dtype"), (3, "<", None), ("f8", False, True)), "x"),
)
OPTIMIZER = {"state": {0: {"step": np.array(3.0), "exp_avg": np.ones((8, 6, 4, 4), np.float32)}},
             "param_groups": [{"lr": 0.1, "params": [0]}]}  # fmt: skip
SAME = {k: v for k, v in RIGHT.items() if "tracked" not in k}

FILES: dict[str, Any] = {
    "plain": RIGHT,
    "averaged": {"n_averaged": np.array(5), **prefixed("module.", RIGHT)},
    "data parallel": prefixed("module.", RIGHT),
    "compiled": prefixed("_orig_mod.", RIGHT),
    "stray buffer": {**RIGHT, "fixed_noise": np.ones((4, 8, 1, 1), np.float32)},
    "step as a tensor": {"step": np.array(5), "state_dict": RIGHT},
    "noise beside": {"fixed_noise": np.ones((4, 8, 1, 1), np.float32), "netG": RIGHT},
    "params_ema": {"params": WRONG, "params_ema": RIGHT},
    "params_ema first": {"params_ema": RIGHT, "params": WRONG},
    "ema alone": {"params_ema": RIGHT},
    "g_ema": {"g": WRONG, "d": WRONG, "g_ema": RIGHT, "d_optim": OPTIMIZER},
    "ema beside": {"generator": WRONG, "ema": RIGHT, "discriminator": WRONG},
    "gen and disc": {"gen": RIGHT, "disc": WRONG},
    "G and D": {"G": RIGHT, "D": WRONG},
    "netG and netD": {"netG": RIGHT, "netD": WRONG, "model": "dcgan"},
    "generator_state_dict": {"generator_state_dict": RIGHT, "discriminator_state_dict": WRONG},
    "generator and model": {"generator": RIGHT, "model": WRONG},
    "tutorial": {"model_state_dict": RIGHT, "optimizer_state_dict": OPTIMIZER, "loss": 0.1},
    "nested": {"model": {"state_dict": RIGHT}},
    "listed": [RIGHT],
    "namespace": {"state_dict": RIGHT, "args": NAMESPACE},
    "numpy scalar": {"epoch": 3, "state_dict": RIGHT, "best": SCALAR},
    "best": {"epoch": 3, "arch": "g", "state_dict": RIGHT, "optimizer": OPTIMIZER},
    "lightning": {"state_dict": {**prefixed("generator.", RIGHT),
                                 **prefixed("discriminator.", WRONG)},
                  "pytorch-lightning_version": "2.0", "hyper_parameters": NAMESPACE},
    "lightning of one": {"state_dict": prefixed("model.", RIGHT)},
    "lightning with losses": {"state_dict": {**prefixed("net_g.", RIGHT),
                                             **prefixed("vgg_loss.features.", WRONG),
                                             **prefixed("net_d.", WRONG)}},
    "lightning with an average": {"state_dict": {**prefixed("model.", WRONG),
                                                 **prefixed("ema_model.", RIGHT)}},
    "parameters": {k: Parameter(v) if "running" not in k and "num" not in k else v
                   for k, v in RIGHT.items()},
    "whole": module(RIGHT),
    "whole inside": {"model": module(RIGHT), "epoch": 3},
    "channels last": {k: np.ascontiguousarray(v.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
                      if v.ndim == 4 else v for k, v in RIGHT.items()},
}  # fmt: skip


def taken(path: Path, **options: Any) -> tuple[Arrays, list[str]]:
    notes: list[str] = []
    return read_parameters(path, notes=notes, **options), notes


def built(arrays: Arrays, definition: str = DEFINITION, source: str = "x.pth") -> tuple[Graph, Any]:
    wanted = Wanted()
    load_definition(definition, wanted)
    state = StateDict(arrays, source, wanted)
    graph = load_definition(definition, state)
    state.check_all_used()
    return graph, state


def pictures(graph: Graph) -> Any:
    return reference.run(graph, np.random.default_rng(0).standard_normal((3, *graph.input.shape)))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("form", [{}, {"protocol": 4}, {"legacy": True}],
                         ids=["zip", "protocol 4", "legacy"])  # fmt: skip
def test_the_generators_weights_are_read(name, form, tmp_path):
    arrays, _ = taken(save(FILES[name], tmp_path / "x.pth", **form))
    graph, _ = built(arrays)
    assert np.array_equal(pictures(graph), pictures(built(RIGHT)[0]))


@pytest.mark.parametrize("name", ["x.pt", "x.ckpt", "x.bin", "x.pth.tar", "x.PTH", "x.pkl", "x"])
def test_the_files_name_does_not_matter(name, tmp_path):
    arrays, notes = taken(save(RIGHT, tmp_path / name))
    assert list(arrays) == list(RIGHT)
    assert not notes


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_widths(kind, tmp_path):
    other = {k: v.astype(kind) if v.ndim else v for k, v in RIGHT.items()}
    arrays, notes = taken(save(other, tmp_path / "x.pth"))
    graph, _ = built(arrays)
    assert np.allclose(pictures(graph), pictures(built(RIGHT)[0]), atol=0.02)
    said = ["weights of x.pth are float64; they are read as float32"]
    assert notes == (said if kind is np.float64 else [])  # float16 loses nothing


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("params_ema", ["the averaged weights 'params_ema'", "'params'", "--weights-key"]),
        ("g_ema", ["the averaged weights 'g_ema'", "'g'", "'d'"]),
        ("gen and disc", ["the weights 'gen'", "'disc'"]),
        ("lightning", ["'state_dict.generator'", "'state_dict.discriminator'"]),
        ("lightning with an average", ["averaged", "ema_model"]),
        ("whole", ["class __main__.G", "its code is not run"]),
    ],
)
def test_what_was_chosen_is_said(name, parts, tmp_path):
    path = save(FILES[name], tmp_path / "x.pth")
    _, notes = taken(path)
    assert len(notes) == 1
    for part in parts:
        assert part in notes[0]
    with pytest.warns(WinogenWarning, match="are read"):
        read_parameters(path)


def test_a_buffer_that_is_left_out_is_said(tmp_path):
    (tmp_path / "layers.yaml").write_text(DEFINITION)
    save(FILES["stray buffer"], tmp_path / "x.pth")
    with pytest.warns(WinogenWarning, match="left out: 'fixed_noise'"):
        graph = load_network(tmp_path, weights=tmp_path / "x.pth")
    assert any("fixed_noise" in note for note in graph.notes)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("params_ema", "params"),
        ("gen and disc", "disc"),
        ("lightning", "discriminator"),
        ("lightning", "state_dict.discriminator"),
        ("nested", "model.state_dict"),
    ],
)
def test_the_user_chooses(name, key, tmp_path):
    (tmp_path / "layers.yaml").write_text(DEFINITION)
    path = save(FILES[name], tmp_path / "x.pth")
    wanted = RIGHT if name == "nested" else WRONG
    graph = load_network(tmp_path, weights=path, weights_key=key)
    assert np.array_equal(graph.nodes[0].params["weight"], wanted["main.0.weight"])


def test_a_key_that_is_not_there(tmp_path):
    path = save(FILES["lightning"], tmp_path / "x.pth")
    with pytest.raises(InputError, match="nothing under the key 'netG'") as error:
        read_parameters(path, weights_key="netG")
    for name in ("state_dict.generator", "state_dict.discriminator"):
        assert name in str(error.value)
    with pytest.raises(InputError, match="give that too"):
        load_network("digits", weights_key="netG")


@pytest.mark.parametrize(
    "item",
    [{"first": RIGHT, "second": WRONG}, {"model": RIGHT, "net": WRONG}, [RIGHT, WRONG],
     {"g": RIGHT, "generator": WRONG}, {"a_ema": RIGHT, "b_ema": WRONG}],
)  # fmt: skip
def test_several_networks_are_a_question(item, tmp_path):
    with pytest.raises(ModelError, match="does not say which is the generator") as error:
        read_parameters(save(item, tmp_path / "x.pth"))
    assert "choose one with --weights-key" in str(error.value)
    for name in item if isinstance(item, dict) else ("0", "1"):
        assert f"'{name}' (1" in str(error.value)


@pytest.mark.parametrize(
    ("item", "part"),
    [
        (list(SAME.values()), "tensors without names"),
        (NAMESPACE, "an object of the class argparse.Namespace"),
        ({"epoch": 3}, "holds no tensors but epoch"),
        ({"optimizer": OPTIMIZER}, "holds no tensors but optimizer"),
        ("text", "holds no state dict"),
    ],
)
def test_files_without_a_network(item, part, tmp_path):
    with pytest.raises(ModelError, match="cannot read weights file") as error:
        read_parameters(save(item, tmp_path / "x.pth"))
    assert part in str(error.value)
    assert "model.state_dict()" in str(error.value)


def test_nothing_in_a_file_is_run(tmp_path):
    target = tmp_path / "made"
    for item in (
        Made(Global("builtins", "open"), None, (str(target), "w")),
        Made(Global("os", "system"), None, (f"touch {target}",)),
        Made(Global("pathlib", "Path.touch"), {"a": 1}, (str(target),)),
    ):
        for protocol in (2, 4):
            path = save({"state_dict": RIGHT, "evil": item}, tmp_path / "x.pth", protocol=protocol)
            assert list(taken(path)[0]) == list(RIGHT)
    assert not target.exists()


def test_files_that_hold_themselves(tmp_path):
    """Settings may; and a dict of a hundred times the same dict, eight deep, has 10**16 paths."""
    inner: Any = {"lr": 1}
    inner["parent"] = inner
    deep: Any = {"lr": 1}
    for _ in range(12):
        deep = {str(i): deep for i in range(100)}
    path = save({"state_dict": RIGHT, "args": inner, "deep": deep}, tmp_path / "x.pth")
    assert list(taken(path)[0]) == list(RIGHT)
    block = module({"0.weight": np.ones((2, 2), np.float32)})
    for _ in range(70):
        state = {"_parameters": {}, "_buffers": {}, "_modules": {"a": block, "b": block}}
        block = Made(Global("x", "Block"), state)
    with pytest.raises(ModelError, match="nested without end"):
        read_parameters(save(block, tmp_path / "y.pth"))


def test_torchscript_is_named(tmp_path):
    path = save(RIGHT, tmp_path / "x.pt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/constants.pkl", b"\x80\x02).")
        archive.writestr("archive/code/__torch__.py", "")
    with pytest.raises(ModelError, match=r"TorchScript archive.*export it to ONNX"):
        read_parameters(path)


KINDS: dict[str, tuple[bytes, str]] = {
    "net.h5": (b"\x89HDF\r\n\x1a\n", "a Keras model"),
    "net.keras": (b"PK\3\4", "a Keras model"),
    "net.pb": (b"\x0a\x10\x0a\x05input", "a TensorFlow model"),
    "net.tflite": (b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
    "lfs.pth": (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    "page.pth": (b"<!DOCTYPE html><html>Not Found</html>", "a web page"),
    "empty.ckpt": (b"", "empty"),
    "x.pkl": (pickle.dumps({"a": 1}), "torch.save has not written"),
    "x.pdparams": (pickle.dumps({"a": 1}), "Paddle"),
    "net.gz": (b"\x1f\x8b\x08", "unpack it first"),
    "notes.txt": (b"hello", "of no kind that holds weights; give .npz"),
}


@pytest.mark.parametrize("name", KINDS)
def test_other_kinds_are_named_with_what_to_do(name, tmp_path):
    content, part = KINDS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises((InputError, ModelError)) as error:
        read_parameters(tmp_path / name)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


# Weights in parts


def test_weight_normalisation_is_computed():
    v, g = RIGHT["main.0.weight"].astype(np.float64), np.linspace(0.5, 2, 8).reshape(8, 1, 1, 1)
    weight = g * v / np.sqrt((v * v).sum((1, 2, 3), keepdims=True))
    rest = {k: a for k, a in RIGHT.items() if k != "main.0.weight"}
    wanted = pictures(built({"main.0.weight": weight.astype(np.float32), **rest})[0])
    new = ("parametrizations.weight.original0", "parametrizations.weight.original1")
    for names in (("weight_g", "weight_v"), new):
        parts = {f"main.0.{n}": a.astype(np.float32) for n, a in zip(names, (g, v))}
        graph, state = built({**parts, **rest})
        assert np.allclose(pictures(graph), wanted, atol=1e-6)
        assert any("weight normalization of 'main.0' is computed" in n for n in state.notes)


def test_spectral_normalisation_is_computed():
    """Over the second axis of a transposed convolution; refused where the axes are as long."""
    weight = RIGHT["main.0.weight"].astype(np.float64)
    matrix = weight.transpose(1, 0, 2, 3).reshape(6, -1)
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    u, v = left[:, 0], right[0]
    rest = {k: a for k, a in RIGHT.items() if k != "main.0.weight"}
    wanted = {"main.0.weight": (weight / (u @ matrix @ v)).astype(np.float32), **rest}
    new = tuple(f"parametrizations.weight.{n}" for n in ("original", "0._u", "0._v"))
    for names in (("weight_orig", "weight_u", "weight_v"), new):
        parts = {f"main.0.{n}": a.astype(np.float32) for n, a in zip(names, (weight, u, v))}
        graph, state = built({**parts, **rest})
        assert np.allclose(pictures(graph), pictures(built(wanted)[0]), atol=1e-6)
        assert any("spectral" in n for n in state.notes)
    square = {"main.0.weight_orig": np.ones((6, 6, 4, 4)), "main.0.weight_u": np.ones(6),
              "main.0.weight_v": np.ones(96)}  # fmt: skip
    with pytest.raises(ModelError, match="remove the normalization"):
        built({**square, **rest})


# Names and order

TWO = """
input: {image: [2, 5, 5]}
layers:
- {name: conv1, op: conv, cout: 2, k: 3, pad: 1, bias: false, norm: batch, act: relu}
- {name: conv2, op: conv, cout: 2, k: 3, pad: 1, bias: false, norm: batch, act: relu}
"""


def layer(number: int, seed: int, conv: str = "conv", norm: str = "bn") -> Arrays:
    rng = np.random.default_rng(seed)
    values = {f"{norm}{number}.{k}": rng.uniform(0.5, 1.5, 2).astype(np.float32)
              for k in ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
    weight = rng.standard_normal((2, 2, 3, 3)).astype(np.float32)
    return {f"{conv}{number}.weight": weight, **values}


@pytest.mark.parametrize("norm", ["bn", "norm", "batchnorm_"])
@pytest.mark.parametrize("prefix", ["", "module.", "net.body."])
def test_names_decide_over_the_order_of_registration(norm, prefix):
    """Two layers of equal shapes, registered in another order than the network uses them."""
    first, second = layer(1, 1, norm=norm), layer(2, 2, norm=norm)
    right, state = built(prefixed(prefix, {**first, **second}), TWO)
    swapped, _ = built(prefixed(prefix, {**second, **first}), TWO)
    assert np.array_equal(pictures(right), pictures(swapped))
    assert np.array_equal(right.nodes[0].params["weight"], first["conv1.weight"])
    assert np.array_equal(right.nodes[1].params["gamma"], first[f"{norm}1.weight"])
    assert not state.notes


def test_numbers_of_norms_decide_only_where_all_agree():
    """bn2 after conv1 and bn3 after conv2, as some number them: order decides then."""
    first, second = layer(1, 1), layer(2, 2)
    shifted = {k.replace("bn2", "bn3").replace("bn1", "bn2"): v
               for k, v in {**first, **second}.items()}  # fmt: skip
    graph, state = built(shifted, TWO)
    assert np.array_equal(pictures(graph), pictures(built({**first, **second}, TWO)[0]))
    assert "conv1 = bn2, conv2 = bn3" in state.notes[-1]


def test_a_state_dict_in_npz(tmp_path):
    """numpy.savez of a state dict: the author's names are not the definition's."""
    (tmp_path / "layers.yaml").write_text(DEFINITION)
    np.savez(tmp_path / "w.npz", **RIGHT)
    graph = load_network(tmp_path, weights=tmp_path / "w.npz")
    assert np.array_equal(pictures(graph), pictures(built(RIGHT)[0]))
    assert any("matched with the layers by order" in note for note in graph.notes)


def test_where_only_order_decides_it_is_said_and_equal_shapes_warn():
    definition = TWO.replace("conv1", "a").replace("conv2", "b")
    _, state = built({**layer(1, 1), **layer(2, 2)}, definition)
    assert "matched with the layers by order: a = conv1 + bn1, b = conv2 + bn2" in state.notes[-1]
    assert not any("equal shapes" in n for n in state.notes)  # their numbers ascend
    _, state = built({**layer(2, 2), **layer(1, 1)}, definition)
    assert any("'conv2', 'conv1' have equal shapes" in n and "names decide" in n
               for n in state.notes)  # fmt: skip
    words = {"up.weight": np.ones((2, 2, 3, 3), np.float32),
             "down.weight": np.zeros((2, 2, 3, 3), np.float32)}  # fmt: skip
    plain = definition.replace(", norm: batch", "")
    _, state = built(words, plain)
    assert any("'up', 'down' have equal shapes" in n for n in state.notes)


def test_names_put_safetensors_in_order():
    """The file keeps no order, so words alone cannot be matched; names can."""
    plain = TWO.replace(", norm: batch", "").replace("conv1", "encoder").replace("conv2", "decoder")
    arrays = {f"{n}.weight": np.full((2, 2, 3, 3), i, np.float32)
              for i, n in enumerate(("decoder", "encoder"))}  # fmt: skip
    graph, _ = built(arrays, plain, "x.safetensors")
    assert np.all(graph.nodes[0].params["weight"] == 1)
    with pytest.raises(ModelError, match="does not say which"):
        built(arrays, plain.replace("encoder", "a").replace("decoder", "b"), "x.safetensors")


def test_another_network_names_the_key_that_chooses():
    with pytest.raises(ModelError, match="--weights-key"):
        built({**RIGHT, "more.weight": np.ones((2, 2, 3, 3), np.float32)})


# Damage

MANGLE: dict[str, Callable[[bytes, Any], bytes]] = {
    "cut": lambda data, rng: data[: rng.integers(len(data))],
    "changed": lambda data, rng: bytes(
        b if rng.random() > 0.002 else int(rng.integers(256)) for b in data
    ),
}


@pytest.mark.parametrize("kind", MANGLE)
@pytest.mark.parametrize("form", [{"protocol": 4}, {"legacy": True}], ids=["protocol 4", "legacy"])
def test_damaged_files(kind, form, tmp_path):
    data = save(FILES["whole inside"], tmp_path / "x.pth", **form).read_bytes()
    for seed in range(40):
        (tmp_path / "x.pth").write_bytes(MANGLE[kind](data, np.random.default_rng(seed)))
        try:
            built(taken(tmp_path / "x.pth")[0])
        except (ModelError, InputError) as error:
            assert "\n" not in str(error)
