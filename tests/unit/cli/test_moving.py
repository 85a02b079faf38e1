"""winogen run --walk, --grid and --truncate: every frame is what generate() makes of its latent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import winogen
from support.bench import small
from support.command_line import pixels, refuse, run
from winogen.network.directions import principal_directions
from winogen.network.zoo import load_model
from winogen.runtime import latents
from winogen.runtime.generator import Generator
from winogen.runtime.latents import LatentSpace


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("walks") / "small.wg"
    small().program.save(path)
    return path


@pytest.fixture
def out(tmp_path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def shown(path: Path) -> np.ndarray:
    """Frames (N, H, W) of a grey GIF or WebP."""
    with Image.open(path) as picture:
        return np.stack([np.asarray(f.convert("L")) for f in ImageSequence.Iterator(picture)])


def walk_of(generator: Generator, seeds: range, steps: int, **options) -> np.ndarray:
    """The latents of a walk, made here."""
    space = LatentSpace.of("small", generator.program.input)
    keys = [generator.latents(1, seed) for seed in seeds]
    return np.concatenate(list(latents.walk(space, keys, steps, **options)))


@pytest.mark.parametrize("name", ["walk.gif", "walk.webp", "frames"])
def test_each_frame_is_generate_of_its_latent(capsys, program, out, name):
    """By itself, in no batch: bit for bit."""
    said = run(capsys, "run", program, "--walk", 3, "--seed", 5, "--steps", 4, "-o", out / name)
    assert f"wrote {out / name}: 12 frames of 8 x 8 pixels, 0.48 s at 25 a second" in said
    if name == "frames":
        frames = np.stack([pixels(p) for p in sorted((out / name).iterdir())])
    else:
        frames = shown(out / name)
    with Generator(program) as generator:
        z = walk_of(generator, range(5, 8), 4)
        alone = np.concatenate([generator.generate(one[None]) for one in z])
    np.testing.assert_array_equal(frames, alone[..., 0])
    assert len({f.tobytes() for f in frames}) == 12


def test_walks_side_by_side_begin_with_the_seeds_images(capsys, program, out):
    """The first frame is the sheet of the first seed, as without a walk."""
    more = ("--scale", 2)
    run(capsys, "run", program, "--walk", 2, "--steps", 2, "-n", 6, "-o", out / "a.gif", *more)
    frames = shown(out / "a.gif")
    for seed in range(2):
        run(capsys, "run", program, "--seed", seed, "-n", 6, "-o", out / "b.png", *more)
        np.testing.assert_array_equal(frames[2 * seed], pixels(out / "b.png"))


def test_a_walk_that_does_not_loop_ends_with_its_last_seed(capsys, program, out):
    said = run(
        capsys, "run", program, "--walk", 2, "--steps", 3, "--no-loop", "--fps", 10,
        "-o", out / "a.webp",
    )  # fmt: skip
    assert "4 frames" in said and "0.4 s at 10 a second, from the emulator" in said
    frames = shown(out / "a.webp")
    with Generator(program) as generator:
        last = generator.generate(generator.latents(1, 1))
    np.testing.assert_array_equal(frames[-1], last[0, ..., 0])


def test_truncated_walks(capsys, program, out):
    run(capsys, "run", program, "--walk", 2, "--steps", 3, "--truncate", 0.5, "-o", out / "a.gif")
    with Generator(program) as generator:
        space = LatentSpace.of("small", generator.program.input)
        z = latents.truncated(space, walk_of(generator, range(2), 3), 0.5)
        np.testing.assert_array_equal(shown(out / "a.gif"), generator.generate(z)[..., 0])


def test_truncated_images(capsys, program, out):
    run(capsys, "run", program, "-n", 3, "--truncate", 0.5, "-o", out / "a.npy")
    with Generator(program) as generator:
        space = LatentSpace.of("small", generator.program.input)
        z = latents.truncated(space, generator.latents(3), 0.5)
        np.testing.assert_array_equal(np.load(out / "a.npy"), generator.generate(z, as_float=True))


def test_a_walk_for_machines(capsys, program, out):
    path = out / "a.gif"
    assert run_json(capsys, "run", program, "--walk", 2, "--steps", 2, "-o", path)["outputs"] == [
        {"output": str(path), "kind": "gif", "frames": 4, "fps": 25.0, "width": 8, "height": 8,
         "seeds": [0, 1]}
    ]  # fmt: skip


def run_json(capsys, *arguments) -> dict:
    from winogen.cli.main import main

    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_grid_along_the_principal_directions(capsys, out):
    said = run(
        capsys, "run", "digits", "--grid", "2x3", "--seed", 3, "--along", 2, 1, "--reach", 2,
        "--batch", 2, "-o", out / "a.npy",
    )  # fmt: skip
    assert "down along direction 2, right along 1, of those that change the first layer" in said
    directions = principal_directions(load_model("digits"))
    with Generator(winogen.compile_model("digits", batch=2)) as generator:
        centre = generator.latents(1, 3)
        z = latents.grid(LatentSpace.of("d", generator.program.input), centre, directions[[1, 0]],
                         (2, 3), 2.0)  # fmt: skip
        np.testing.assert_array_equal(np.load(out / "a.npy"), generator.generate(z, as_float=True))


def test_a_grid_of_a_program_is_along_drawn_directions(capsys, program, out):
    said = run(capsys, "run", program, "--grid", "3x5", "-o", out / "a.png")
    assert "drawn by the seed" in said
    sheet = pixels(out / "a.png")
    assert sheet.shape == (3 * 8 + 2 * 2, 5 * 8 + 4 * 2)
    with Generator(program) as generator:
        middle = generator.generate(generator.latents(1))[0, ..., 0]
    np.testing.assert_array_equal(sheet[10:18, 20:28], middle)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--walk", "2", "--grid", "2x2"], "give --walk or --grid"),
        (["--walk", "1", "--no-loop"], "2 seeds or more"),
        (["--walk", "2", "--steps", "0"], "1 to 100,000"),
        (["--walk", "2000", "--steps", "100"], "at most 100,000 frames"),
        (["--walk", "2", "-n", "0"], "side by side"),
        (["--walk", "2", "--profile"], "leave --walk out"),
        (["--walk", "2", "--input", "a.npy"], "leave --input out"),
        (["--walk", "2", "--seed", "-1"], "not be negative"),
        (["--walk", "2", "--scale", "0"], "scale must be"),
        (["--walk", "2", "--truncate", "0"], "positive number"),
        (["--walk", "2", "--colour", "rgb"], "--colour is for pictures"),
        (["--walk", "2", "-o", "a.png"], "name .gif"),
        (["--walk", "2", "--fps", "90", "-o", "a.gif"], "at most 50"),
        (["--grid", "2x2", "-n", "4"], "leave -n out"),
        (["--grid", "2x2", "--reach", "0"], "reach"),
        (["--grid", "2x2", "--along", "1", "1"], "give two of 1 to"),
        (["--grid", "2x2", "--along", "1", "9"], "give two of 1 to 5"),
        (["--grid", "2x2", "-o", "a.gif"], ".png or .npy"),
        (["--steps", "3"], "--steps is for --walk"),
        (["--reach", "3"], "--reach is for --grid"),
        (["--along", "1", "2"], "--along is for --grid"),
        (["--fps", "3"], "--fps is for what moves"),
        (["--no-loop"], "--no-loop is for --walk"),
        (["--mute"], "--mute is for a video"),
        (["--truncate", "1", "--input", "a.npy"], "leave --input or it out"),
        (["-o", "a.gif"], "what moves needs --walk"),
    ],
)
def test_refusals(capsys, program, out, monkeypatch, options, reason):
    monkeypatch.chdir(out)
    assert reason in refuse(capsys, out, "run", program, *options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--grid", "8"], "write rows and columns as 8x8"),
        (["--grid", "0x8"], "each 1 to 256"),
        (["--walk", "2", "--fps", "fast"], "write frames a second, as 25"),
        (["--walk", "2", "--fps", "0"], "is no rate"),
    ],
)
def test_words_that_are_wrong(capsys, program, options, reason):
    from winogen.cli.main import main

    with pytest.raises(SystemExit):
        main(["run", str(program), *options])
    assert reason in capsys.readouterr().err


def test_networks_of_pictures_do_not_walk(capsys, out):
    text = refuse(capsys, out, "run", "fsrcnn-x2", "--walk", 2, "-o", out / "a.gif")
    assert "takes pictures: there are no latents" in text


def test_a_walk_without_a_name_does_not_overwrite(capsys, program, out, monkeypatch):
    monkeypatch.chdir(out)
    run(capsys, "run", program, "--walk", 2, "--steps", 1)
    assert [p.name for p in out.iterdir()] == ["small-walk.gif"]
    assert "is there already" in refuse(capsys, out, "run", program, "--walk", 2, "--steps", 1)
