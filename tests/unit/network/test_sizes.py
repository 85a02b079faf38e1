"""Sizes of images that a network does not take: which ones it does, and which picture it was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from winogen.cli.main import main
from winogen.common.errors import ModelError
from winogen.network.definition import RandomParameters, load_definition

UNET = """
name: unet
input: {image: [3, 32, 32]}
output: {range: [-1, 1]}
layers:
- {name: down1, op: conv, cout: 8, k: 4, stride: 2, pad: 1, act: lrelu}
- {name: down2, op: conv, cout: 8, k: 4, stride: 2, pad: 1, act: lrelu}
- {name: up1, op: deconv, cout: 8, k: 4, stride: 2, pad: 1, act: relu}
- {name: skip, op: concat, from: [up1, down1]}
- {name: up2, op: deconv, cout: 3, k: 4, stride: 2, pad: 1, act: tanh}
"""


@pytest.mark.parametrize(
    ("size", "near"),
    [((35, 34), "36 x 36 and 32 x 32"), ((34, 32), "36 x 32 and 32 x 32"), ((2, 3), "4 x 4")],
)
def test_sizes_near_one_that_a_network_refuses(size, near):
    graph = load_definition(UNET, RandomParameters(0))
    with pytest.raises(ModelError) as error:
        graph.resized(size)
    text = str(error.value)
    assert f"network unet takes no image of {size[0]} rows x {size[1]} columns" in text
    assert f"it takes {near}: crop, pad or resize the picture" in text
    assert "layer '" in text  # which layer it was
    for good in near.split(" and "):
        rows, columns = map(int, good.split(" x "))
        assert graph.resized((rows, columns)).output_shape == (3, rows, columns)


def test_networks_that_drop_rows_on_purpose_name_sizes_too():
    """Their output is never a multiple of their input."""
    graph = load_definition(
        "input: {image: [1, 9, 9]}\nlayers:\n- {name: a, op: conv, cout: 1, k: 5}\n"
        "- {name: b, op: conv, cout: 1, k: 3}\n",
        RandomParameters(0),
    )
    with pytest.raises(ModelError, match="it takes 7 x 9: crop"):
        graph.resized((4, 9))


def test_the_picture_is_padded_to_what_the_layers_take(tmp_path, capsys):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "layers.yaml").write_text(UNET)
    graph = load_definition(UNET, RandomParameters(0))
    np.savez(tmp_path / "unet" / "weights.npz",
             **{f"{n.name}.{k}": v for n in graph.nodes for k, v in n.params.items()})  # fmt: skip
    Image.new("RGB", (35, 34), (90, 120, 60)).save(tmp_path / "a.png")
    words = ["run", str(tmp_path / "unet"), "--input", str(tmp_path / "a.png"), "-o",
             str(tmp_path / "b.png")]  # fmt: skip
    assert main(words) == 0
    assert "35 x 34, mirrored at the right and bottom to 36 x 36" in capsys.readouterr().out
    with Image.open(tmp_path / "b.png") as made:
        assert made.size == (35, 34)


def test_an_onnx_file_of_any_size(tmp_path):
    onnx = pytest.importorskip("onnx", reason="reading ONNX models needs the package onnx")
    from support.onnx_models import Net
    from winogen.network.onnx import import_onnx

    net = Net()
    down = net.node("Conv", "z", net.weight(4, 3, 4, 4), strides=[2, 2], pads=[1] * 4)
    up = net.node("ConvTranspose", down, net.weight(4, 3, 4, 4), strides=[2, 2], pads=[1] * 4)
    model: onnx.ModelProto = net.model(net.node("Concat", up, "z", axis=1), ["n", 3, "h", "w"])
    with pytest.raises(ModelError) as error:
        import_onnx(model.SerializeToString(), name="net", image_size=(35, 34))
    text = str(error.value)
    assert "network net takes no image of 35 rows x 34 columns" in text
    assert "it takes 36 x 34 and 34 x 34" in text
    assert import_onnx(model.SerializeToString(), name="net", image_size=(36, 34)).output_shape
