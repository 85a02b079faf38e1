"""The networks by name: their published sizes, and what happens to names that are none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from support.places import SHARED_WEIGHTS
from support.shared_models import FOLDERS, shared_model
from winogen.common.errors import InputError, ModelError
from winogen.compiler.fold import fold
from winogen.compiler.lower import useful_multiplies
from winogen.compiler.shape import ConvShape
from winogen.network import reference, zoo
from winogen.network.definition import load_definition
from winogen.network.graph import Graph
from winogen.network.load import load_network
from winogen.program.formats import sample_inputs
from winogen.quality.measure import psnr

PUBLISHED = {  # name: (output shape, millions of multiplies, millions of weights)
    "dcgan-5x5": ((3, 64, 64), 640.6, 18.8),
    "dcgan-4x4": ((3, 64, 64), 104.6, 3.6),
    "discogan": ((3, 64, 64), 207.6, 5.5),
    "discogan-bottleneck": ((3, 64, 64), 209.3, 7.2),
    "gp-gan": ((3, 64, 64), 273.15, 71.0),
    "artgan-deconv": ((3, 128, 128), 769.95, 7.8),
    "fsrcnn-x2": ((1, 128, 128), 51.05, 0.0125),
    "fsrcnn-x3": ((1, 192, 192), 51.05, 0.0125),
    "fsrcnn-x4": ((1, 256, 256), 51.05, 0.0125),
    "vta-dcgan-1": ((512, 8, 8), 134.2, 8.4),
    "vta-dcgan-2": ((256, 16, 16), 134.2, 2.1),
    "vta-dcgan-3": ((128, 32, 32), 134.2, 0.5),
}


class NoParameters:
    """Constants that take no memory: for shapes and counts."""

    def get(self, name: str, shape: tuple[int, ...], where: str) -> np.ndarray:
        ones = name.endswith(("bn_var", "bn_gamma"))
        return np.broadcast_to(np.float32(ones), shape)


def multiplies(graph: Graph) -> int:
    """Multiplies of one image over the layers that have weights."""
    total = 0
    for node in graph.nodes:
        if "weight" not in node.params:
            continue
        weight, size = node.params["weight"], graph.shapes[node.inputs[0]][1:]
        if node.op == "linear":
            total += weight.size
            continue
        edges = node.attrs["crop" if node.op == "deconv" else "pad"]
        shape = ConvShape(
            node.op == "deconv", node.attrs["kernel"], node.attrs["stride"],
            (edges[0], edges[2]), size, graph.shapes[node.name][1:],
        )  # fmt: skip
        total += useful_multiplies(shape) * weight.shape[0] * weight.shape[1]
    return total


def shape_only(name: str, layers: list[dict[str, Any]], **top: Any) -> Graph:
    return load_definition(yaml.safe_dump({"name": name, "layers": layers, **top}), NoParameters())


def definition(name: str) -> Graph:
    return load_definition(Path(zoo.__file__).parent / f"{name}.yaml", NoParameters())


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_published_sizes(name):
    graph = definition(name)
    shape, millions, weights = PUBLISHED[name]
    assert graph.output_shape == shape
    assert multiplies(graph) / 1e6 == pytest.approx(millions, abs=0.05)
    count = sum(n.params["weight"].size for n in graph.nodes if "weight" in n.params)
    assert count / 1e6 == pytest.approx(weights, abs=0.06)


def test_the_three_workloads_together():
    total = sum(multiplies(definition(f"vta-dcgan-{i}")) for i in (1, 2, 3))
    assert total / 1e6 == pytest.approx(402.7, abs=0.05)


def test_sizes_between_the_layers_of_dcgan():
    graph = definition("dcgan-5x5")
    ends = [graph.shapes[n.name] for n in graph.nodes if n.op in ("linear", "deconv")]
    assert ends == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    graph = definition("dcgan-4x4")
    ends = [graph.shapes[n.name] for n in graph.nodes if n.op == "deconv"]
    assert ends == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    assert not any("bias" in n.params for n in graph.nodes)


def test_folding_keeps_the_count():
    """The blocks that run are the layers that were published: nothing is multiplied twice."""
    graph = definition("dcgan-4x4")
    blocks = fold(graph)
    total = sum(useful_multiplies(b.shape) * b.weight.shape[0] * b.weight.shape[1] for b in blocks)
    assert total == multiplies(graph)
    assert len(blocks) == 5


def test_discogan():
    graph = definition("discogan")
    assert graph.shapes["conv4"] == (512, 4, 4)
    assert definition("discogan-bottleneck").shapes["code"] == (100, 1, 1)


def test_gp_gan():
    graph = definition("gp-gan")
    assert graph.shapes["code"] == (4000, 1, 1)
    assert graph.shapes["deconv1"] == (512, 4, 4)
    first = next(n for n in graph.nodes if n.name == "deconv1")
    assert first.params["weight"].size / 1e6 == pytest.approx(32.8, abs=0.05)


def test_artgan_becomes_deconvolutions():
    """Nearest x2 + 3x3 costs 36 multiplies an input pixel as written, 16 once folded."""
    graph = definition("artgan")
    assert graph.output_shape == (3, 128, 128)
    blocks = fold(graph)
    assert [b.shape.kernel for b in blocks] == [(4, 4)] * 5 + [(3, 3), (4, 4), (3, 3)]
    total = sum(
        useful_multiplies(b.shape) * b.weight.shape[0] * b.weight.shape[1] for b in blocks[1:]
    )
    assert total / 1e6 == pytest.approx(770, abs=2)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fsrcnn(scale):
    graph = definition(f"fsrcnn-x{scale}").resized((20, 30))
    assert graph.output_shape == (1, 20 * scale, 30 * scale)
    ends = [n.op for n in graph.nodes if "weight" in n.params]
    assert ends == ["conv"] * 7 + ["deconv"]
    assert sum(n.op == "prelu" for n in graph.nodes) == 7


def test_names_may_have_underscores():
    assert zoo.load_model("fsrcnn_x2").name == "fsrcnn-x2"
    assert zoo.load_model("vta_dcgan-3").name == "vta-dcgan-3"


# --- loading -------------------------------------------------------------------------------------


def test_names():
    assert zoo.model_names() == sorted(zoo.model_names())
    assert {*PUBLISHED, "digits"} <= set(zoo.model_names())


@pytest.mark.parametrize("name", [n for n in zoo.model_names() if n not in zoo.fitted_names()])
def test_every_named_network_is_described_and_well_formed(name):
    text = zoo.describe(name)
    assert text
    assert "\n" not in text
    graph = definition(name)
    assert graph.name == name
    assert graph.description == text
    assert zoo.is_trained(name) == (Path(zoo.__file__).parent / f"{name}.npz").exists()
    assert zoo.is_trained(name) or "random weights" in text or "trained by" in text


def test_random_weights_are_the_same_every_time():
    one, two = zoo.load_model("vta-dcgan-3"), zoo.load_model("vta-dcgan-3")
    other = zoo.load_model("vta-dcgan-3", weight_seed=1)
    weights = [g.nodes[0].params["weight"] for g in (one, two, other)]
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("name", "hint"),
    [("dcgan5x5", "dcgan-5x5"), ("vta-dcgan-4", "vta-dcgan"), ("Digits", "digits")],
)
def test_a_misspelt_name_gets_a_suggestion(name, hint):
    with pytest.raises(ModelError, match=rf"unknown model '{name}'; did you mean '{hint}.*known "
                                         r"models: .*dcgan-4x4, dcgan-5x5"):  # fmt: skip
        zoo.load_model(name)


@pytest.mark.parametrize("name", ["zzz", "resnet152"])
def test_a_name_like_no_other_gets_the_list(name):
    with pytest.raises(ModelError, match=r"unknown model .*known models: .*or give a folder") as e:
        zoo.load_model(name)
    assert "did you mean" not in str(e.value)


def test_a_path_that_is_no_folder(tmp_path: Path):
    with pytest.raises(ModelError, match="model folder /nowhere/at/all does not exist"):
        zoo.load_model("/nowhere/at/all")
    file = tmp_path / "layers.yaml"
    file.touch()
    with pytest.raises(ModelError, match="is a file; give its folder"):
        zoo.load_model(file)


@pytest.mark.parametrize("name", ["generator.pth", "none/net.safetensors", "net.h5", "a.pth.tar"])
def test_a_file_that_is_not_there(name: str):
    """It is neither a misspelt name nor a folder."""
    with pytest.raises(ModelError, match=rf"^{re.escape(name)}: there is no such file or folder$"):
        zoo.load_model(name)


def test_an_empty_folder_is_no_model(tmp_path: Path):
    with pytest.raises(ModelError, match=r"has no layers.yaml, so it is no model"):
        zoo.load_model(tmp_path)


def test_a_folder_without_weights(tmp_path: Path):
    (tmp_path / "layers.yaml").write_text("input: {latent: 3}\nlayers: [{name: t, op: tanh}]\n")
    with pytest.raises(ModelError, match=r"weights file .*weights\.npz does not exist"):
        zoo.load_model(tmp_path)


def test_a_folder_is_a_model(tmp_path: Path):
    (tmp_path / "layers.yaml").write_text(
        "input: {latent: 3}\nlayers: [{name: f, op: linear, cout: 2, bias: false}]\n"
    )
    np.savez(tmp_path / "weights.npz", **{"f.weight": np.ones((2, 3), np.float32)})
    graph = zoo.load_model(tmp_path)
    assert (graph.name, graph.output_shape) == (tmp_path.name, (2, 1, 1))
    assert zoo.load_model(str(tmp_path)).output_shape == (2, 1, 1)


@pytest.mark.parametrize("folder", FOLDERS)
def test_trained_networks_have_the_sizes_of_their_tables(folder):
    """The layer tables beside the weights state every output size and multiply count."""
    graph = shared_model(folder)
    table = yaml.safe_load((SHARED_WEIGHTS / folder / "layers.yaml").read_text())
    assert multiplies(graph) == table["macs"] == sum(row["macs"] for row in table["layers"])
    for row in table["layers"]:
        assert graph.shapes[row["name"]] == (
            row["cout"] if "reshape" not in row else row["reshape"][0],
            *row["out_hw"],
        )


# --- fitted networks -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", zoo.fitted_names())
def test_fitted_networks_do_as_those_that_they_learnt_from(name):
    """In a small file, with the integers that they were trained in."""
    graph, plain = zoo.load_model(name), zoo.load_model(name.removesuffix("-fitted"))
    assert graph.name == name
    assert graph.description == zoo.describe(name)
    assert zoo.is_trained(name)
    assert graph.trained_bits == 8
    assert (graph.input, graph.output_shape) == (plain.input, plain.output_shape)
    x = sample_inputs(graph.input, 16, 5)
    given, wanted = (reference.run(g, x) for g in (graph, plain))
    low, high = graph.output_range
    assert psnr(given, wanted, high - low) > 24
    path = Path(zoo.__file__).parent / f"{name}.npz.xz"
    assert path.stat().st_size < 250_000


def test_weights_for_a_fitted_network_are_refused(tmp_path):
    np.savez(tmp_path / "w.npz", w=np.zeros(3, np.float32))
    with pytest.raises(InputError, match="digits-fitted has weights of its own"):
        load_network("digits-fitted", weights=tmp_path / "w.npz")


def test_fitted_networks_of_other_sizes():
    with pytest.raises(InputError, match="takes latents: leave --image-size out"):
        load_network("digits-fitted", image_size=(20, 30))
    assert load_network("digits_fitted").name == "digits-fitted"
