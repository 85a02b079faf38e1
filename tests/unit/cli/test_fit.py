"""Pictures of another size than the network's: padded and cropped, in windows, or resized."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.command_line import pixels, refuse, run
from support.onnx_models import Net
from winogen.cli.main import main

SIZE = (22, 18)  # columns, rows: no multiple of 4


@pytest.fixture
def out(tmp_path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def picture(tmp_path) -> Path:
    return drawn(tmp_path / "a.png", SIZE)


def drawn(path: Path, size: tuple[int, int]) -> Path:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(values).save(path)
    return path


def unet(path: Path, rows: int | None, columns: int | None, norm: bool = True) -> Path:
    """A U-Net of two levels that halve, with the size of its image or without."""
    onnx = pytest.importorskip("onnx")
    net = Net(3)
    skips, x, channels = [], "z", 3
    for cout in (6, 8):
        skips.append((x, channels))
        x = net.node("Conv", x, net.weight(cout, channels, 4, 4), strides=[2, 2], pads=[1] * 4)
        if norm:
            x = net.node("InstanceNormalization", x, net.const(np.ones(cout)),
                         net.const(np.zeros(cout)))  # fmt: skip
        x = net.node("Relu", x)
        channels = cout
    for skip, more in reversed(skips):
        x = net.node("ConvTranspose", x, net.weight(channels, 6, 4, 4), strides=[2, 2],
                     pads=[1] * 4)  # fmt: skip
        x = net.node("Concat", x, skip, axis=1)
        channels = 6 + more
    x = net.node("Sigmoid", net.node("Conv", x, net.weight(3, channels, 1, 1)))
    onnx.save(net.model(x, ["n", 3, rows, columns]), path)
    return path


def by_onnxruntime(model: Path, picture: Path, padded: tuple[int, int]) -> np.ndarray:
    """The cropped output (H, W, 3) for the mirrored picture, 0 to 255."""
    ort = pytest.importorskip("onnxruntime")
    values = np.asarray(Image.open(picture), np.float32).transpose(2, 0, 1) / 255
    rows, columns = values.shape[1:]
    x = np.pad(values, [(0, 0), (0, padded[0] - rows), (0, padded[1] - columns)], "reflect")
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"z": x[None]})
    return 255 * made[0, :, :rows, :columns].transpose(1, 2, 0)


def test_a_network_of_any_size_takes_the_pictures_own(capsys, tmp_path, picture, out):
    model = unet(tmp_path / "unet.onnx", None, None)
    text = run(capsys, "run", model, "--input", picture, "--bits", 16, "-o", out / "b.png")
    assert (
        "22 x 18 pixels of 22 x 18, mirrored at the right and bottom to 24 x 20 and the result "
        "cropped (1)" in text
    )
    assert np.abs(pixels(out / "b.png") - by_onnxruntime(model, picture, (20, 24))).max() <= 1


def test_one_that_runs_in_windows_is_padded_for_its_strides(capsys, tmp_path, out):
    model = unet(tmp_path / "unet.onnx", 64, 64, norm=False)
    picture = drawn(tmp_path / "large.png", (103, 97))
    text = run(capsys, "run", model, "--input", picture, "--bits", 16, "-o", out / "b.png")
    assert "to 104 x 100 and the result cropped, in windows of 104 x 100 (1)" in text
    assert pixels(out / "b.png").shape == (97, 103, 3)
    assert np.abs(pixels(out / "b.png") - by_onnxruntime_any(model, picture, out)).max() <= 1
    run(capsys, "compile", model, "--window", "64x64", "--bits", 16, "-o", out / "net.wg")
    text = run(capsys, "run", out / "net.wg", "--input", picture, "-o", out / "c.png")
    assert "to 104 x 100 and the result cropped, in windows of 64 x 64" in text
    np.testing.assert_array_equal(pixels(out / "c.png"), pixels(out / "b.png"))


def by_onnxruntime_any(model: Path, picture: Path, folder: Path) -> np.ndarray:
    """As a network of any size has it."""
    return by_onnxruntime(
        unet(folder.parent / "open.onnx", None, None, norm=False), picture, (100, 104)
    )


def test_a_program_of_one_size(capsys, tmp_path, picture, out):
    model = unet(tmp_path / "unet.onnx", 32, 32)
    run(capsys, "compile", model, "--bits", 16, "-o", out / "net.wg")
    program = out / "net.wg"
    text = run(capsys, "run", program, "--input", picture, "-o", out / "b.png")
    assert "mirrored at the right and bottom to 32 x 32" in text
    assert np.abs(pixels(out / "b.png") - by_onnxruntime(model, picture, (32, 32))).max() <= 1
    text = run(capsys, "run", program, "--input", picture, "--fit", "resize", "-o", out / "b.png")
    assert "32 x 32 pixels of 22 x 18 resized to 32 x 32 (1)" in text
    small = drawn(tmp_path / "small.png", (15, 30))
    text = run(capsys, "run", program, "--input", small, "-o", out / "b.png")
    assert "resized to 32 x 32" in text
    text = run(capsys, "run", program, "--input", small, "--fit", "pad", "-o", out / "b.png")
    assert "15 x 30 pixels of 15 x 30, mirrored" in text
    large = drawn(tmp_path / "large.png", (33, 30))
    text = run(capsys, "run", program, "--input", large, "-o", out / "b.png")
    assert "resized to 32 x 32" in text
    text = refuse(capsys, out, "run", program, "--input", large, "--fit", "pad",
                  "-o", out / "c.png")  # fmt: skip
    assert "large.png: a picture of 30 rows x 33 columns cannot be padded" in text
    assert "--image-size" in text


def test_pad_compiles_for_the_pictures_size(capsys, tmp_path, picture, out):
    model = unet(tmp_path / "unet.onnx", 16, 16)
    text = run(capsys, "run", model, "--input", picture, "-o", out / "b.png")
    assert "resized to 16 x 16" in text
    text = run(capsys, "run", model, "--input", picture, "--fit", "pad", "--bits", 16,
               "-o", out / "b.png")  # fmt: skip
    assert "mirrored at the right and bottom to 24 x 20" in text
    made = unet(tmp_path / "open.onnx", None, None)
    assert np.abs(pixels(out / "b.png") - by_onnxruntime(made, picture, (20, 24))).max() <= 1


def test_a_folder_is_padded_to_its_largest(capsys, tmp_path, out):
    model = unet(tmp_path / "unet.onnx", None, None)
    (tmp_path / "in").mkdir()
    for name, size in (("a.png", (22, 18)), ("b.png", (17, 25)), ("c.png", (9, 9))):
        drawn(tmp_path / "in" / name, size)
    command = ["run", model, "--input", tmp_path / "in", "-o", out / "made", "--json"]
    assert main([str(word) for word in command]) == 0
    made = {Path(o["output"]).name: o for o in json.loads(capsys.readouterr().out)["outputs"]}
    assert (made["a.png"]["padded"], made["a.png"]["windows"]) == ([24, 28], 1)
    assert (made["b.png"]["width"], made["b.png"]["height"]) == (17, 25)
    assert made["c.png"]["padded"] is made["c.png"]["windows"] is None  # resized: too small


def test_fit_is_for_pictures(capsys, out):
    text = refuse(capsys, out, "run", "digits", "--fit", "pad", "-o", out / "a.png")
    assert "--fit is for pictures" in text
