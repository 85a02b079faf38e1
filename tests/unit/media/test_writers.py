"""Frames to files: every frame comes back, its time too, and no half file stays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from winogen.common.errors import InputError, WinogenWarning
from winogen.media import writers
from winogen.media.names import Kind, is_video, kind_of
from winogen.media.writers import open_writer


def frames(count: int, mode: str = "L") -> list[Image.Image]:
    rng = np.random.default_rng(0)
    shape = (12, 10) if mode == "L" else (12, 10, 3)
    return [Image.fromarray(rng.integers(0, 256, shape, np.uint8)) for _ in range(count)]


def write(path: Path, made: list[Image.Image], fps: float = 25, *, loop: bool = True) -> None:
    with open_writer(path, Fraction(fps), loop=loop) as writer:
        for frame in made:
            writer.add(frame)


@pytest.mark.parametrize(("name", "mode"), [("a.gif", "L"), ("a.webp", "L"), ("a.webp", "RGB")])
def test_every_frame_comes_back(tmp_path, name, mode):
    made = frames(5, mode)
    write(tmp_path / name, made)
    with Image.open(tmp_path / name) as picture:
        assert picture.info["loop"] == 0
        back = [np.asarray(f.convert(mode)) for f in ImageSequence.Iterator(picture)]
    assert len(back) == 5
    for one, other in zip(made, back):
        assert np.array_equal(np.asarray(one), other)


def test_colours_of_a_gif_are_near(tmp_path):
    """A palette of 256 holds all 120 colours of such a frame."""
    made = frames(3, "RGB")
    write(tmp_path / "a.gif", made)
    with Image.open(tmp_path / "a.gif") as picture:
        for one, other in zip(made, ImageSequence.Iterator(picture)):
            difference = np.asarray(one).astype(int) - np.asarray(other.convert("RGB"))
            assert np.abs(difference).max() <= 8


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
@pytest.mark.parametrize("fps", [12.5, 30, 24])
def test_delays_are_right_in_sum(tmp_path, name, fps):
    write(tmp_path / name, frames(30), fps)
    delays = []
    with Image.open(tmp_path / name) as picture:
        for number in range(picture.n_frames):
            picture.seek(number)
            picture.load()
            delays.append(picture.info["duration"])
    assert abs(sum(delays) - 30_000 / fps) <= 5
    assert max(delays) - min(delays) <= 10


def test_a_gif_that_does_not_loop_says_nothing_of_loops(tmp_path):
    write(tmp_path / "a.gif", frames(2), loop=False)
    with Image.open(tmp_path / "a.gif") as picture:
        assert "loop" not in picture.info


@pytest.mark.parametrize("name", ["walk", "f-%03d.png", "%d.png"])
def test_frames_by_themselves(tmp_path, name):
    made = frames(3)
    write(tmp_path / name, made)
    folder = tmp_path / "walk" if name == "walk" else tmp_path
    names = {"walk": "{:05d}.png", "f-%03d.png": "f-{:03d}.png", "%d.png": "{}.png"}[name]
    found = sorted(p.name for p in folder.iterdir())
    assert found == [names.format(n) for n in range(3)]
    for number, frame in enumerate(made):
        with Image.open(folder / names.format(number)) as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(frame))


@pytest.mark.parametrize("name", ["walk", "f-%03d.png"])
def test_frames_of_before_are_told(tmp_path, name):
    """Whoever plays the folder would see them after the new ones."""
    write(tmp_path / name, frames(5))
    folder = tmp_path / "walk" if name == "walk" else tmp_path
    (folder / "7.png").write_bytes(b"")  # not one of them
    first = {"walk": "00003.png", "f-%03d.png": "f-003.png"}[name]
    with pytest.warns(WinogenWarning, match=rf"the 3 new ones: 2, from {first} on"):
        write(tmp_path / name, frames(3))
    write(tmp_path / name, frames(5))


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "walk", "f-%03d.png", "a.mp4"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_what_is_interrupted_leaves_nothing(tmp_path, name, error):
    if name == "a.mp4":
        pytest.importorskip("av")
    with pytest.raises(error), open_writer(tmp_path / name, Fraction(25)) as writer:
        for frame in frames(3):
            writer.add(frame)
        raise error("no more")
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_if_it_is_interrupted(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), open_writer(tmp_path / "a.gif", Fraction(25)):
        raise KeyboardInterrupt
    assert (tmp_path / "a.gif").read_bytes() == b"old"


def test_too_much_for_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "MAX_HELD", 12 * 10 * 3)
    write(tmp_path / "a.gif", frames(3))
    with pytest.raises(InputError, match=r"held in memory: name a \.mp4"):
        write(tmp_path / "b.gif", frames(4))
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.parametrize(
    ("name", "fps", "reason"),
    [
        ("a.gif", 60, "at most 50"),
        ("a.webp", 0, "more than 0"),
        ("a.webp", 1000, "at most 240"),
        ("a.png", 25, "name .gif"),
        ("a.npy", 25, "name .gif"),
        ("none/a.gif", 25, "does not exist"),
        ("file/b", 25, "cannot write"),
    ],
)
def test_refusals(tmp_path, name, fps, reason):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=reason):
        write(tmp_path / name, frames(1), fps)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_kinds():
    assert kind_of(Path("a.MP4")) is Kind.VIDEO
    assert kind_of(Path("x/frame-%04d.png")) is Kind.FRAMES
    assert is_video(Path("a.AVI")) and is_video(Path("a.webm")) and not is_video(Path("a.gif"))
