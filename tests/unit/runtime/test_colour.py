"""Colour spaces: what of a picture goes through a network, and the picture that is made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.bench import DEVICES
from winogen.cli.main import main
from winogen.common.errors import InputError, ModelError, ProgramError
from winogen.compiler.compile import compile_graph
from winogen.network.colour import COLOURS, named, suiting
from winogen.network.definition import StoredParameters, load_definition
from winogen.program.file import Program
from winogen.quality.inputs import read_calibration
from winogen.runtime import colour
from winogen.runtime.generator import Generator
from winogen.runtime.pictures import read_picture, transform
from winogen.target.board import load_board

#: What the networks below do to each of their channels, from the first on.
GAINS = (0.5, 1.0, 0.25)


def definition(channels: int, out: int, space: str | None = None, windows: bool = True) -> str:
    """Doubles a picture; its channels, weighed by GAINS, are copied, or averaged, or repeated."""
    colours = f", colour: {space}" if space else ""
    whole = "" if windows else "- {name: all, op: pad, mode: edge, pad: 1}\n- {name: cut, op: crop,"
    whole += "" if windows else " crop: 1}\n"
    return (
        f"name: n\ninput: {{image: [{channels}, 12, 12]{colours}}}\noutput: {{range: [0, 1]}}\n"
        f"layers:\n{whole}- {{name: up, op: upsample}}\n"
        f"- {{name: c, op: conv, cout: {out}, k: 1, bias: false, act: clip01}}\n"
    )


def weights(channels: int, out: int) -> dict[str, Any]:
    gains = np.array(GAINS[:channels])
    mean = np.broadcast_to(gains / channels, (out, channels))
    weight = np.diag(gains) if channels == out else mean
    return {"c.weight": weight[:, :, None, None]}


@cache
def program(channels: int, out: int, space: str | None = None, windows: bool = True) -> Program:
    arrays = StoredParameters(weights(channels, out), "weights.npz")
    graph = load_definition(definition(channels, out, space, windows), arrays)
    return compile_graph(graph, load_board("pynq-z2", 16), batch=1).program


def made(
    image: Image.Image, path: Path, program: Program, space: str | None = None, resize: bool = False
) -> Image.Image:
    image.save(path / "a.png")
    with Generator(program, DEVICES["emulator"](program.board)) as generator:
        return transform(generator, read_picture(path / "a.png"), resize=resize, colour=space)


def noise(mode: str = "RGB", size: tuple[int, int] = (15, 13)) -> Image.Image:
    bands = len(mode)
    values = np.random.default_rng(0).integers(0, 256, (*size[::-1], bands), np.uint8)
    return Image.fromarray(values[..., 0] if bands == 1 else values, mode)


def scaled(plane: np.ndarray, gain: float) -> np.ndarray:
    return np.clip(plane.repeat(2, 0).repeat(2, 1) * gain, 0, 255)


def near(got: Image.Image, planes: list[np.ndarray]) -> None:
    """Within what the steps of 16 bits, and rounding to pixels, change."""
    wanted = np.stack(planes, -1)
    assert np.abs(np.atleast_3d(np.asarray(got)) - wanted).max() <= 1


def ycbcr(image: Image.Image) -> list[np.ndarray]:
    """JPEG's formula, ITU-R BT.601 in full range."""
    r, g, b = np.asarray(image).astype(float).transpose(2, 0, 1)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return [luma, 128 + (b - luma) / 1.772, 128 + (r - luma) / 1.402]


# What becomes of colours


@pytest.mark.parametrize("resize", [False, True])
@pytest.mark.parametrize("space", [None, "ycbcr"])
def test_luma_through_the_network_and_chroma_beside_it(space, resize, tmp_path):
    source = noise()
    got = made(source, tmp_path, program(1, 1), space, resize)
    if resize:
        source = source.resize((12, 12), Image.Resampling.BICUBIC)
    luma, blue, red = source.convert("YCbCr").split()
    double = (2 * source.width, 2 * source.height)
    chroma = [c.resize(double, Image.Resampling.BICUBIC) for c in (blue, red)]
    halved = np.floor(scaled(np.asarray(luma), 0.5) + 0.5).astype(np.uint8)
    wanted = Image.merge("YCbCr", [Image.fromarray(halved), *chroma]).convert("RGB")
    assert (got.mode, got.size) == ("RGB", double)
    assert np.abs(np.asarray(got).astype(int) - np.asarray(wanted)).max() <= 2


def test_luma_is_that_of_jpeg(tmp_path):
    got = colour.parts(noise(), "ycbcr", 3)[0].astype(float)
    assert np.abs(got - np.stack(ycbcr(noise()))).max() <= 1
    near(made(noise(), tmp_path, program(1, 1), "grey"), [scaled(ycbcr(noise())[0], 0.5)])


def test_each_colour_by_itself(tmp_path):
    red, green, blue = np.asarray(noise()).transpose(2, 0, 1)
    planes = [scaled(plane, 0.5) for plane in (red, green, blue)]
    near(made(noise(), tmp_path, program(1, 1), "rgb"), planes)
    near(made(noise(), tmp_path, program(1, 1, "rgb")), planes)


@pytest.mark.parametrize("space", ["ycbcr", "grey", "rgb"])
def test_grey_pictures_stay_grey(space, tmp_path):
    got = made(noise("L"), tmp_path, program(1, 1), space)
    assert got.mode == "L"
    near(got, [scaled(np.asarray(noise("L")), 0.5)])


def test_three_channels_in_another_order(tmp_path):
    planes = np.asarray(noise()).transpose(2, 0, 1)
    red, green, blue = (scaled(plane, gain) for plane, gain in zip(planes, GAINS))
    near(made(noise(), tmp_path, program(3, 3)), [red, green, blue])
    red, green, blue = (scaled(plane, gain) for plane, gain in zip(planes, GAINS[::-1]))
    near(made(noise(), tmp_path, program(3, 3), "bgr"), [red, green, blue])
    near(made(noise(), tmp_path, program(3, 3, "bgr")), [red, green, blue])
    mean = sum(scaled(plane, gain / 3) for plane, gain in zip(planes, GAINS[::-1]))
    near(made(noise(), tmp_path, program(3, 1), "bgr"), [mean])


def test_three_channels_of_luma_and_chroma(tmp_path):
    got = made(noise(), tmp_path, program(3, 3), "ycbcr")
    luma, blue, red = (
        scaled(plane, gain) for plane, gain in zip(ycbcr(noise()), GAINS)
    )  # fmt: skip
    wanted = [luma + 1.402 * (red - 128), np.zeros(0), luma + 1.772 * (blue - 128)]
    wanted[1] = (luma - 0.299 * wanted[0] - 0.114 * wanted[2]) / 0.587
    error = np.asarray(got) - np.clip(np.stack(wanted, -1), 0, 255)
    assert np.abs(error).max() <= 4


def test_grey_becomes_colour(tmp_path):
    got = made(noise(), tmp_path, program(1, 3))
    near(got, [scaled(ycbcr(noise())[0], 0.5)] * 3)


@pytest.mark.parametrize("space", ["ycbcr", "grey", "rgb"])
def test_transparency_is_interpolated_beside(space, tmp_path):
    got = made(noise("RGBA"), tmp_path, program(1, 1), space)
    assert got.mode == ("LA" if space == "grey" else "RGBA")
    alpha = noise("RGBA").getchannel("A").resize((30, 26), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(np.asarray(got.getchannel("A")), np.asarray(alpha))


def test_networks_that_see_all_of_a_picture(tmp_path):
    whole = program(1, 1, None, False)
    assert whole.locality is None
    got = made(noise(), tmp_path, whole, "ycbcr", resize=True)
    assert (got.mode, got.size) == ("RGB", (24, 24))


def test_progress_counts_the_windows_of_all_colours(tmp_path):
    noise().save(tmp_path / "a.png")
    seen: list[tuple[int, int]] = []
    with Generator(program(1, 1)) as generator:
        transform(generator, read_picture(tmp_path / "a.png"), resize=False, colour="rgb",
                  progress=lambda *at: seen.append(at))  # fmt: skip
    assert seen[-1] == (12, 12)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_calibration_pictures_have_the_networks_colours(tmp_path):
    noise("RGB", (12, 12)).save(tmp_path / "a.png")
    planes = np.asarray(noise("RGB", (12, 12))).transpose(2, 0, 1)
    for space, wanted in (
        (None, planes), ("bgr", planes[::-1]), ("ycbcr", ycbcr(noise("RGB", (12, 12))))
    ):  # fmt: skip
        arrays = StoredParameters(weights(3, 3), "weights.npz")
        [x] = read_calibration(tmp_path, load_definition(definition(3, 3, space), arrays))
        assert np.abs(x * 255 - np.stack(list(wanted))).max() <= 1


# What suits what


@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("outputs", [1, 3])
def test_each_network_of_pictures_has_colours(inputs, outputs):
    for space in suiting(inputs, outputs):
        assert space in COLOURS
        assert colour.chosen("n", (inputs, outputs), space) == space
        assert colour.told(space, inputs)
    assert colour.chosen("n", (inputs, outputs), None) == suiting(inputs, outputs)[0]
    for space in set(COLOURS) - set(suiting(inputs, outputs)):
        with pytest.raises(InputError, match=f"network 'n' makes {outputs} .*not {space}"):
            colour.chosen("n", (inputs, outputs), space)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            definition(3, 3, "grey"),
            "colour grey does not suit a network that makes 3",
        ),
        (
            definition(1, 1, "lab"),
            "colour: expected one of rgb, bgr, ycbcr, grey, not",
        ),
        (definition(1, 1).replace("12]", "12], color: rgb"), "'color'; did you mean 'colour'"),
        (
            "input: {latent: 3, colour: rgb}\nlayers: [{name: a, op: relu}]",
            "have no colour",
        ),
        ("input: {image: [2, 3, 3], colour: rgb}\nlayers: [{name: a, op: relu}]", "be left out"),
    ],
)
def test_definitions_that_are_wrong(text, message):
    with pytest.raises(ModelError, match=message):
        load_definition(text, StoredParameters(weights(3, 3), "weights.npz"))


def test_a_program_keeps_its_colours(tmp_path):
    program(3, 3, "bgr").save(tmp_path / "n.wg")
    assert Program.load(tmp_path / "n.wg").input.colour == "bgr"
    bad = program(3, 3, "bgr")
    other = replace(bad, input=replace(bad.input, colour="x"))
    other.save(tmp_path / "x.wg")
    with pytest.raises(ProgramError, match="unknown colour space"):
        Program.load(tmp_path / "x.wg")


@pytest.mark.parametrize(
    ("text", "space"),
    [("ycbcr", "ycbcr"), ("JPEG YCbCr, /255", "ycbcr"), ("RGB", "rgb"), ("gray", "grey")],
)
def test_colours_in_words(text, space):
    assert named(text) == space
    for unclear in ("", "YUV", "RGB or BGR", 3):
        with pytest.raises(ValueError, match="expected one of rgb, bgr, ycbcr, grey"):
            named(unclear)


# The command


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "layers.yaml").write_text(definition(1, 1))
    np.savez(folder / "weights.npz", **weights(1, 1))
    (tmp_path / "in").mkdir()
    noise().save(tmp_path / "in" / "a.png")
    noise("L").save(tmp_path / "in" / "b.png")
    return folder


def run(*words: object) -> int:
    return main(["run", *map(str, words)])


def test_the_command_says_what_becomes_of_colours(model, tmp_path, capsys):
    source = tmp_path / "in" / "a.png"
    assert run(model, "--bits", 16, "--input", source, "-o", tmp_path / "o.png") == 0
    text = capsys.readouterr().out
    assert "colours: luma (Y of YCbCr, BT.601 in full range as in JPEG) goes through" in text
    words = (model, "--bits", 16, "--window", "12x12", "--input", tmp_path / "in")
    assert run(*words, "-o", tmp_path / "o", "--colour", "rgb", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["colour"] == "rgb"
    assert [entry["windows"] for entry in found["outputs"]] == [12, 4]  # the second is grey
    planes = np.asarray(noise()).transpose(2, 0, 1)
    with Image.open(tmp_path / "o" / "a.png") as one, Image.open(tmp_path / "o" / "b.png") as two:
        near(one, [scaled(plane, 0.5) for plane in planes])
        assert two.mode == "L"


def test_the_command_refuses_colours_that_do_not_suit(model, tmp_path, capsys):
    words = ("--input", tmp_path / "in" / "a.png", "-o", tmp_path / "o.png", "--colour", "bgr")
    assert run(model, *words) == 2
    assert "its colours can be ycbcr or grey or rgb, not bgr" in capsys.readouterr().err
    program(1, 3).save(tmp_path / "n.wg")
    assert run(tmp_path / "n.wg", *words) == 2
    assert "its colours can be grey, not bgr" in capsys.readouterr().err
    assert run("digits", "--colour", "rgb", "-o", tmp_path / "o.png") == 2
    assert "--colour is for pictures" in capsys.readouterr().err
    assert not (tmp_path / "o.png").exists()
