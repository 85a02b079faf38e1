"""Pictures in and out: formats, colour, transparency, and what is refused."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from support.bench import DEVICES
from support.command_line import pixels, refuse, run
from support.places import DATA
from support.random_graphs import GraphBuilder
from winogen.cli.main import main
from winogen.common.errors import InputError, WinogenWarning
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
    said = pytest.warns(WinogenWarning, match="CMYK colours") if mode == "CMYK" else nullcontext()
    with said:
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
    with pytest.warns(WinogenWarning, match=r"a\.png: its 16 bits a channel become 8$"):
        picture = read_picture(tmp_path / "a.png")
    assert np.asarray(picture.image).tolist() == [[0, 0, 1, 1, 128, 255]]


def test_a_transparent_grey_of_sixteen_bits(tmp_path):
    values = np.array([[0, 257]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png", transparency=257)
    with pytest.warns(WinogenWarning) as told:
        assert read_picture(tmp_path / "a.png").alpha is None
    assert [str(w.message).partition(": ")[2] for w in told] == [
        "its 16 bits a channel become 8",
        "its transparent grey is left out",
    ]


def _png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG of what pillow does not write: ``rows`` as they are before compression."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    text = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        text += struct.pack(">I", len(data)) + name + data
        text += struct.pack(">I", zlib.crc32(name + data))
    return text


@pytest.mark.parametrize("alpha", [False, True])
def test_colours_of_sixteen_bits_become_eight(alpha, tmp_path):
    kind, pixel = (6, (0x8000, 0, 0, 0xFFFF)) if alpha else (2, (0x8000, 0, 0))
    row = struct.pack(f">x{len(pixel)}H", *pixel)
    (tmp_path / "a.png").write_bytes(_png(1, 1, 16, kind, row))
    with pytest.warns(WinogenWarning, match=r"a\.png: its 16 bits a channel become 8$"):
        picture = read_picture(tmp_path / "a.png")
    assert picture.image.getpixel((0, 0)) == (128, 0, 0)
    assert (picture.alpha is not None) == alpha


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
    with pytest.warns(WinogenWarning, match="its 16 bits a channel become 8$"):
        picture = read_picture(tmp_path / "a.png")
    assert np.asarray(picture.image).tolist() == [[0, 0, 1, 1, 128, 255]]


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_the_camera_says(orientation, suffix, tmp_path):
    source = noise("RGB", (16, 8))
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    source.save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    picture = read_picture(path)
    assert picture.size == read_size(path)
    assert picture.size == ((8, 16) if orientation < 5 else (16, 8))
    turned = {
        1: source, 2: np.fliplr(source), 3: np.rot90(source, 2), 4: np.flipud(source),
        5: np.rot90(np.fliplr(source)), 6: np.rot90(source, -1),
        7: np.rot90(np.fliplr(source), -1), 8: np.rot90(source),
    }[orientation]  # fmt: skip
    np.testing.assert_array_equal(np.asarray(picture.image), turned)


# Colour profiles


def _profile(name: str, **change: bytes) -> bytes:
    """The profile of sRGB under another name, with tags that were replaced."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = "sRGB".encode("utf-16-be")
    assert text in data
    data = data.replace(text, name.encode("utf-16-be"))
    for tag, value in change.items():
        at = data.index(tag.encode(), 128)  # in the table: name, offset, size
        offset, _ = struct.unpack(">II", data[at + 4 : at + 12])
        data = data[:offset] + value + data[offset + len(value) :]
    return data


def test_srgb_is_as_it_is(tmp_path, recwarn):
    source = noise("RGB")
    source.save(tmp_path / "a.png", icc_profile=_profile("sRGB"))
    np.testing.assert_array_equal(np.asarray(read_picture(tmp_path / "a.png").image), source)
    assert not recwarn.list


def _steep() -> bytes:
    """A profile whose red has a gamma of 1: its 128 is sRGB's 188."""
    return _profile("Wild", rTRC=b"curv" + bytes(8))


@pytest.mark.parametrize("kind", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_other_profiles_are_converted(kind, mode, tmp_path):
    if (kind, mode) == ("jpg", "RGBA"):
        pytest.skip("JPEG has no transparency")
    path = tmp_path / f"a.{kind}"
    colour = (128, 0, 0, 77)[: len(mode)]
    options = {"quality": 100, **({"lossless": True} if kind == "webp" else {})}
    Image.new(mode, (16, 16), colour).save(path, icc_profile=_steep(), **options)
    with pytest.warns(WinogenWarning, match=r"colours are converted from 'Wild.*' to sRGB") as told:
        picture = read_picture(path)
    assert [w.filename for w in told] == [__file__]
    assert np.abs(np.asarray(picture.image)[3, 3].astype(int) - (188, 0, 0)).max() <= 3
    if mode == "RGBA":
        assert picture.alpha is not None and picture.alpha.getpixel((3, 3)) == 77
    read_size(path)


@pytest.mark.parametrize("profile", [b"nonsense", _steep()[:200], b"\0" * 128])
def test_profiles_that_cannot_be_used_are_said(profile, tmp_path):
    source = noise("RGB")
    source.save(tmp_path / "a.png", icc_profile=profile)
    with pytest.warns(WinogenWarning, match=r"a\.png: its colour profile cannot be used here"):
        picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(picture.image), source)


def test_a_profile_of_other_colours_than_the_picture(tmp_path):
    source = noise("L")
    source.save(tmp_path / "a.png", icc_profile=_steep())
    with pytest.warns(WinogenWarning, match="cannot be used here"):
        picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(picture.image), source)


def test_a_pillow_without_colour_management(tmp_path, monkeypatch):
    noise("RGB").save(tmp_path / "a.png", icc_profile=_steep())

    def missing(*_: object) -> None:
        raise ImportError("No module named '_imagingcms'")

    monkeypatch.setattr(ImageCms, "ImageCmsProfile", missing)
    with pytest.warns(WinogenWarning, match="cannot be used here"):
        read_picture(tmp_path / "a.png")


# Damaged files

FORMATS = {
    "png": {}, "jpg": {}, "tif": {}, "gif": {}, "bmp": {}, "webp": {}, "ppm": {}, "tga": {},
    "ico": {}, "pcx": {}, "dds": {}, "icns": {}, "sgi": {},
    "deflate.tif": {"compression": "tiff_deflate"}, "jpeg.tif": {"compression": "jpeg"},
    "progressive.jpg": {"progressive": True}, "lossless.webp": {"lossless": True},
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_one_sentence(name, tmp_path):
    """30 each that end too early, have flipped bits, or both, some 500 in all."""
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if name.endswith(("png", "jpg", "tif", "webp")) else {}
    noise("RGB", (16, 16)).save(tmp_path / f"a.{name}", **FORMATS[name], **options)
    whole = (tmp_path / f"a.{name}").read_bytes()
    rng = np.random.default_rng(sum(name.encode()))
    path = tmp_path / f"bad.{name.rpartition('.')[2]}"
    for number in range(30):
        data = bytearray(whole)
        if number % 3:
            for at in rng.integers(0, min(len(data), (len(data), 100, 300)[number % 3]), 4):
                data[at] ^= 1 << int(rng.integers(8))
        if number % 3 != 1:
            data = data[: int(rng.integers(len(data)))]
        path.write_bytes(data)
        for read in (read_size, read_picture):
            try:
                read(path)
            except InputError as error:
                text = str(error)
                assert str(path) in text and "\n" not in text and len(text) < 400
                assert not re.search(r"Error|Traceback|NoneType|object at|<", text), text


def test_a_tiff_whose_second_picture_has_no_size(tmp_path):
    """Pillow counts pictures by opening each, and raises TypeError."""
    noise("RGB").save(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    at = struct.unpack_from("<I", data, 4)[0]
    (entries,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * entries, len(data))
    (tmp_path / "a.tif").write_bytes(bytes(data) + bytes(6))
    for read in (read_size, read_picture):
        with pytest.raises(InputError, match=r"cannot read picture .*a\.tif: the file is damaged"):
            read(tmp_path / "a.tif")


def test_what_pillow_warns_of_names_the_file(tmp_path, monkeypatch):
    noise("RGB").save(tmp_path / "a.png")
    whole = Image.open

    def grumble(path):
        warnings.warn("Corrupt EXIF data", UserWarning, stacklevel=2)
        return whole(path)

    monkeypatch.setattr(Image, "open", grumble)
    with pytest.warns(WinogenWarning, match=r"picture .*a\.png: Corrupt EXIF data"):
        read_picture(tmp_path / "a.png")


def _png_of_size(path: Path, width: int, height: int) -> None:
    """A PNG whose header promises much and holds nothing."""
    path.write_bytes(_png(width, height, 8, 0, b""))


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
    (tmp_path / "in" / "._a.png").write_bytes(b"Mac OS X")
    (tmp_path / "in" / "more").mkdir()
    text = run(capsys, "run", program, "--input", tmp_path / "in", "-o", tmp_path / "made")
    assert "left out, as no pictures by their names: ._a.png, more, notes.txt\n" in text
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == ["a.png", "b.png", "c.png"]
    assert pixels(tmp_path / "made" / "a.png").shape == (26, 30)


def test_a_folder_goes_on_after_a_bad_picture(capsys, program, tmp_path):
    folder, made = tmp_path / "in", tmp_path / "made"
    folder.mkdir()
    noise("RGB").save(folder / "good.png")
    noise("RGB").save(folder / "last.webp")
    noise("RGB", (64, 64)).save(folder / "part.jpg")
    whole = (folder / "part.jpg").read_bytes()
    (folder / "part.jpg").write_bytes(whole[:-900])
    (folder / "empty.png").write_bytes(b"")
    (folder / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "folder.png").mkdir()
    noise("L", (9, 30)).save(folder / "thin.png")
    frames = [noise("L"), Image.new("L", (15, 13))]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    code = main(["run", str(program), "--input", str(folder), "-o", str(made)])
    captured = capsys.readouterr()
    assert code == 1
    assert sorted(p.name for p in made.iterdir()) == ["good.png", "last.png", "thin.png"]
    assert pixels(made / "thin.png").shape == (60, 18)
    lines = captured.err.splitlines()
    assert all(line.startswith("winogen: left out: ") for line in lines)
    for name, reason in (
        ("dangling.png", "No such file"), ("empty.png", "no picture that pillow knows"),
        ("folder.png", "Is a directory"), ("moving.gif", "2 frames"), ("part.jpg", "truncated"),
    ):  # fmt: skip
        assert len([line for line in lines if name in line and reason in line]) == 1, lines
    assert len(lines) == 5


def test_a_folder_of_bad_pictures_only(capsys, program, tmp_path, out):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"")
    refuse(capsys, out, "run", program, "--input", tmp_path / "in", "-o", out / "made")


@pytest.mark.parametrize("suffix", [".jfif", ".tga", ".jp2", ".avif", ".pcx"])
def test_whatever_pillow_opens_is_taken(capsys, program, suffix, tmp_path):
    kinds = Image.registered_extensions()
    if kinds.get(suffix) not in Image.OPEN or kinds[suffix] not in Image.SAVE:
        pytest.skip(f"pillow was built without {suffix}")
    (tmp_path / "in").mkdir()
    try:
        noise("RGB").save(tmp_path / "in" / f"a{suffix}", kinds[suffix])
    except OSError:
        pytest.skip(f"pillow was built without {suffix}")
    run(capsys, "run", program, "--input", tmp_path / "in", "-o", tmp_path / "made")
    assert pixels(tmp_path / "made" / "a.png").shape == (26, 30, 3)


def test_a_network_of_pictures_asks_for_them(capsys, program, out, monkeypatch):
    monkeypatch.setattr("winogen.cli.programs.compile_with_progress", lambda _: pytest.fail())
    for model in (program, "fsrcnn-x2"):
        text = refuse(capsys, out, "run", model, "-o", out / "a.png")
        assert "takes pictures: give --input" in text
    text = run(capsys, "run", program, "-n", 2, "-o", out / "a.png")
    assert "2 x 24x24x1" in text


def test_names_of_pictures_suggest_themselves(capsys, program, tmp_path, out, monkeypatch):
    monkeypatch.chdir(out)
    (tmp_path / "in").mkdir()
    noise("RGB").save(tmp_path / "in" / "a.jpg")
    text = run(capsys, "run", program, "--input", tmp_path / "in" / "a.jpg")
    assert "wrote a-doubler.png: " in text
    run(capsys, "run", program, "--input", tmp_path / "in" / "a.jpg")  # its own, again
    for _ in range(2):
        assert "wrote in-doubler/a.png: " in run(capsys, "run", program, "--input", tmp_path / "in")
    for name in ("a-doubler.png", "in-doubler/a.png"):
        noise("L").save(out / name)
        source = tmp_path / "in" / ("a.jpg" if "/" not in name else "")
        text = refuse(capsys, out, "run", program, "--input", source)
        assert f"{name} is there already" in text


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
