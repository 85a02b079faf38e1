"""Pictures in and out: formats, colour, transparency, and what is refused."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.bench import DEVICES
from support.command_line import pixels, refuse, run
from support.places import DATA
from support.random_graphs import GraphBuilder
from winogen.cli.main import main
from winogen.common.errors import InputError
from winogen.compiler.compile import Compiled, compile_graph
from winogen.network import zoo
from winogen.network.graph import Graph, InputSpec
from winogen.program.formats import sample_inputs
from winogen.runtime.generator import Generator
from winogen.runtime.pictures import check_takes_pictures, read_picture, read_size, transform
from winogen.target.board import load_board


def doubler(channels: int, out: int | None = None) -> Graph:
    """Enlarges twice by repeating pixels, exactly enough for 8 bits."""
    b = GraphBuilder(0, (channels, 12, 12))
    b.input = InputSpec((channels, 12, 12), "image", "uniform", None, (0, 1))
    b.add("upsample", factor=2)
    out = out or channels
    weight = np.full((out, channels, 1, 1), 1 / channels) if out != channels else (
        np.eye(channels)[:, :, None, None])  # fmt: skip
    b.conv(out, 1)
    b.nodes[-1].params["weight"] = weight.astype(np.float32)
    b.nodes[-1].params["bias"][:] = 0
    b.add("clamp", low=0.0, high=1.0)
    return b.graph("doubler", (0, 1))


@cache
def compiled(channels: int, out: int | None = None, bits: int = 16) -> Compiled:
    return compile_graph(doubler(channels, out), load_board("pynq-z2", bits), batch=1)


def doubled(picture: Path, channels: int, out: int | None = None) -> Image.Image:
    program = compiled(channels, out).program
    with Generator(program, DEVICES["emulator"](program.board)) as generator:
        return transform(generator, read_picture(picture), resize=False)


def noise(mode: str, size: tuple[int, int] = (15, 13)) -> Image.Image:
    """A picture with some of every value."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(0).integers(0, 256, (*size[::-1], bands), np.uint8)
    return Image.fromarray(values[..., 0] if bands == 1 else values, mode)


def bicubic(image: Image.Image) -> np.ndarray:
    size = (2 * image.width, 2 * image.height)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC)).astype(int)


def repeated(image: Image.Image) -> np.ndarray:
    return np.asarray(image).repeat(2, 0).repeat(2, 1).astype(int)


# Colour


def test_luma_through_the_network_and_chroma_by_interpolation(tmp_path):
    source = noise("RGB")
    source.save(tmp_path / "a.png")
    out = doubled(tmp_path / "a.png", 1)
    assert (out.mode, out.size) == ("RGB", (30, 26))
    luma, *chroma = source.convert("YCbCr").split()
    planes = [repeated(luma).astype(np.uint8), *(bicubic(c).astype(np.uint8) for c in chroma)]
    wanted = Image.merge("YCbCr", [Image.fromarray(p) for p in planes]).convert("RGB")
    np.testing.assert_array_equal(np.asarray(out), np.asarray(wanted))


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_pictures(channels, tmp_path):
    source = noise("L")
    source.save(tmp_path / "a.png")
    out = doubled(tmp_path / "a.png", channels)
    assert out.mode == ("L" if channels == 1 else "RGB")
    wanted = repeated(source)
    np.testing.assert_array_equal(np.atleast_3d(out) - wanted[..., None], 0)


def test_colours_through_a_network_of_three_channels(tmp_path):
    source = noise("RGB")
    source.save(tmp_path / "a.png")
    out = doubled(tmp_path / "a.png", 3)
    np.testing.assert_array_equal(np.asarray(out), repeated(source))
    grey = doubled(tmp_path / "a.png", 3, 1)
    assert grey.mode == "L"
    mean = np.asarray(source).astype(float).mean(2).repeat(2, 0).repeat(2, 1)
    assert np.abs(np.asarray(grey) - mean).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_interpolated(mode, tmp_path):
    source = noise(mode)
    source.save(tmp_path / "a.png")
    out = doubled(tmp_path / "a.png", 1)
    assert out.mode == mode
    np.testing.assert_array_equal(np.asarray(out.getchannel("A")), bicubic(source.getchannel("A")))
    if mode == "LA":
        luma = repeated(source.getchannel(0))
        np.testing.assert_array_equal(np.asarray(out.getchannel(0)), luma)


def test_networks_that_see_all_at_once_get_the_picture_resized(tmp_path):
    noise("RGBA", (40, 30)).save(tmp_path / "a.png")
    program = compiled(3).program
    with Generator(program) as generator:
        out = transform(generator, read_picture(tmp_path / "a.png"), resize=True)
    assert (out.mode, out.size) == ("RGBA", (24, 24))


# Files


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGB", "YCbCr"])
def test_modes_are_converted(mode, tmp_path):
    source = noise("RGB").convert(mode)
    path = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    source.save(path)
    picture = read_picture(path)
    with Image.open(path) as again:
        wanted = again.convert("L" if mode in ("1", "L") else "RGB")
    assert picture.alpha is None
    assert picture.image.mode == wanted.mode
    np.testing.assert_array_equal(np.asarray(picture.image), np.asarray(wanted))


def test_transparent_palettes(tmp_path):
    source = noise("L").convert("P")
    source.save(tmp_path / "a.png", transparency=7)
    alpha = read_picture(tmp_path / "a.png").alpha
    assert alpha is not None
    assert set(np.unique(np.asarray(alpha))) <= {0, 255}


def test_sixteen_bits_become_eight(tmp_path):
    values = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.asarray(read_picture(tmp_path / "a.png").image).tolist() == [[0, 0, 1, 1, 128, 255]]


def test_sixteen_bits_as_the_pillow_of_boards_reads_them(tmp_path, monkeypatch):
    """Mode I of a PNG is what later versions call I;16."""
    values = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")

    def open_as_before(path):
        image = Image.fromarray(values.astype(np.int32))
        image.format = "PNG"
        assert image.mode == "I"
        return image

    monkeypatch.setattr(Image, "open", open_as_before)
    assert np.asarray(read_picture(tmp_path / "a.png").image).tolist() == [[0, 0, 1, 1, 128, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_the_camera_says(orientation, tmp_path):
    source = noise("RGB", (16, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    source.save(tmp_path / "a.png", exif=exif)
    picture = read_picture(tmp_path / "a.png")
    assert picture.size == read_size(tmp_path / "a.png")
    assert picture.size == ((8, 16) if orientation < 5 else (16, 8))
    if orientation == 6:  # turned by a quarter against the clock: turn it back
        np.testing.assert_array_equal(np.asarray(picture.image), np.rot90(source, -1))


def _png_of_size(path: Path, width: int, height: int) -> None:
    """A PNG whose header promises much and holds nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    text = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        text += struct.pack(">I", len(data)) + kind + data
        text += struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(text)


def test_pictures_that_cannot_be_read(tmp_path):
    def refusal(name: str) -> str:
        with pytest.raises(InputError) as error:
            read_picture(tmp_path / name)
        assert "\n" not in str(error.value)
        assert name in str(error.value)
        return str(error.value)

    assert "No such file" in refusal("missing.png")
    (tmp_path / "text.png").write_text("hello")
    assert "no picture that pillow knows" in refusal("text.png")
    _png_of_size(tmp_path / "bomb.png", 50_000, 50_000)
    assert "over 67,108,864" in refusal("bomb.png")
    _png_of_size(tmp_path / "large.png", 9_000, 9_000)
    assert "9000 x 9000 pixels, over 67,108,864" in refusal("large.png")
    noise("RGB", (64, 64)).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    for end in (20, 40, len(whole) // 2):
        (tmp_path / "part.png").write_bytes(whole[:end])
        refusal("part.png")
    noise("RGB", (64, 64)).save(tmp_path / "whole.jpg")
    (tmp_path / "part.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    refusal("part.jpg")
    frames = [noise("L"), Image.new("L", (15, 13))]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert "2 frames" in refusal("moving.gif")
    Image.fromarray(np.zeros((3, 4), np.float32)).save(tmp_path / "float.tif")
    assert "mode F" in refusal("float.tif")


def test_networks_that_take_no_pictures():
    image, latent = InputSpec((3, 8, 8), "image", "uniform"), InputSpec((5, 1, 1))
    check_takes_pictures("n", image, 1, (0, 1))
    for spec, outputs, black, reason in (
        (latent, 3, (0, 1), "takes latents, not pictures"),
        (image, 3, None, "the output of network 'n' is no image"),
        (image, 2, (0, 1), "makes 2 channels of 3"),
        (InputSpec((4, 8, 8), "image"), 3, (0, 1), "makes 3 channels of 4"),
    ):
        with pytest.raises(InputError, match=reason):
            check_takes_pictures("n", spec, outputs, black)


# The command


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("program") / "doubler.wg"
    compiled(1, None, 8).program.save(path)
    return path


@pytest.fixture
def out(tmp_path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_run_on_a_picture(capsys, program, tmp_path, out):
    noise("RGB", (31, 17)).save(tmp_path / "a.jpg")
    text = run(capsys, "run", program, "--input", tmp_path / "a.jpg", "-o", out / "b.png")
    assert pixels(out / "b.png").shape == (34, 62, 3)
    assert f"wrote {out / 'b.png'}: 62 x 34 pixels of 31 x 17 in windows of 12 x 12 (6)" in text
    assert [p.name for p in out.iterdir()] == ["b.png"]


def test_run_on_a_folder(capsys, program, tmp_path):
    (tmp_path / "in").mkdir()
    for name, mode in (("a.png", "L"), ("b.jpeg", "RGB"), ("c.BMP", "RGB")):
        noise(mode).save(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    run(capsys, "run", program, "--input", tmp_path / "in", "-o", tmp_path / "made")
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == ["a.png", "b.png", "c.png"]
    assert pixels(tmp_path / "made" / "a.png").shape == (26, 30)


def test_run_by_name_chooses_the_window(capsys, tmp_path, out):
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "layers.yaml").write_text(
        "input: {image: [1, 8, 8]}\noutput: {range: [0, 1]}\n"
        "layers: [{name: up, op: upsample}, {name: c, op: conv, cout: 1, k: 3, pad: 1, "
        "act: clip01}]\n"
    )
    weight = np.full((1, 1, 3, 3), 1 / 9, np.float32)
    np.savez(folder / "weights.npz", **{"c.weight": weight, "c.bias": np.zeros(1, np.float32)})
    noise("L", (25, 18)).save(tmp_path / "a.png")
    text = run(capsys, "run", folder, "--input", tmp_path / "a.png", "-o", out / "b.png")
    assert "in windows of 25 x 18 (1)" in text
    one = pixels(out / "b.png")
    text = run(capsys, "run", folder, "--window", "10x11", "--input", tmp_path / "a.png",
               "-o", out / "b.png")  # fmt: skip
    assert "in windows of 11 x 10" in text
    np.testing.assert_array_equal(pixels(out / "b.png"), one)


def test_what_the_command_refuses(capsys, program, tmp_path, out):
    noise("L").save(tmp_path / "a.png")
    a = tmp_path / "a.png"

    def refusal(source: object, target: object, *more: object) -> str:
        return refuse(capsys, out, "run", program, "--input", source, "-o", target, *more)

    assert "must end in .png" in refusal(a, out / "b.npy")
    assert "No such file" in refusal(tmp_path / "missing.png", out / "b.png")
    assert "leave -n and --seed out" in refusal(a, out / "b.png", "-n", 3)
    assert "cannot change a compiled program" in refusal(a, out / "b.png", "--window", "8x8")
    noise("L", (9, 30)).save(tmp_path / "thin.png")
    assert "thin.png: the picture has 9 columns" in refusal(tmp_path / "thin.png", out / "b.png")
    folder = tmp_path / "in"
    folder.mkdir()
    assert "holds no picture" in refusal(folder, out)
    noise("L").save(folder / "a.png")
    assert "it must be one too" in refusal(folder, a)
    assert "would be overwritten" in refusal(folder, folder)
    assert "does not exist" in refusal(folder, tmp_path / "no" / "where")
    noise("L").save(folder / "a.bmp")
    assert "would both become" in refusal(folder, out)
    latent = refuse(capsys, out, "run", "digits", "--input", a, "-o", out / "b.png")
    assert "takes latents, not pictures" in latent


def test_super_resolution_beats_interpolation():
    """The shipped weights, int8, on a picture that they were not trained on: Chelsea the cat."""
    source = DATA / "chelsea.png"
    with Image.open(source) as picture:
        large = picture.convert("L")
    small = large.resize((large.width // 2, large.height // 2), Image.Resampling.BICUBIC)
    graph = zoo.load_model("fsrcnn_x2")
    window = (small.height, small.width)
    made = compile_graph(
        graph, load_board("pynq-z2"), window=window, batch=1,
        inputs=sample_inputs(graph.input, 8, 0),
    )  # fmt: skip
    values = np.asarray(small, np.float32)[None] / 255
    with Generator(made.program) as generator:
        ours = generator.apply(values)[..., 0]
    inner = (slice(2, -2),) * 2

    def error(image: np.ndarray) -> float:
        return float(np.mean((image[inner].astype(float) - np.asarray(large)[inner]) ** 2))

    assert error(ours) < 0.9 * error(bicubic(small))


def test_help_says_what_input_takes(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    assert "a picture or a folder of them" in " ".join(capsys.readouterr().out.split())


def test_a_truncated_picture_is_refused_by_its_size_too(tmp_path):
    whole = tmp_path / "whole.png"
    noise("RGB").save(whole)
    path = tmp_path / "short.png"
    path.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"short\.png"):
        read_size(path)
