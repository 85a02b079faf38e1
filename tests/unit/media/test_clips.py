"""Videos frame by frame: times and sound stay, memory does not grow, nothing half is left."""

from __future__ import annotations

import builtins
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.bench import run_script
from support.clips import (
    av,
    pictures,
    read_frames,
    sound_packets,
    write_clip,
    write_growing,
)
from winogen.common.errors import InputError
from winogen.media import clips, video
from winogen.media.clips import check_sound, convert, read_clip
from winogen.media.video import open_video
from winogen.media.writers import check_target

MOST = 1 << 20


def twice(frames):
    return [f.resize((2 * f.width, 2 * f.height), Image.Resampling.NEAREST) for f in frames]


def make(source: Path, target: Path, batch: int = 4, what=twice, **options):
    clip = read_clip(source, MOST)
    return convert(
        source, target, what, batch=batch, most_pixels=MOST, rate=clip.rate, **options
    )  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(path, pictures(11, (32, 48)))
    return path


def test_what_a_clip_says_of_itself(clip):
    found = read_clip(clip, MOST)
    assert (found.size, found.rate, found.frames) == ((32, 48), Fraction(30000, 1001), 11)
    assert found.sound == ("aac",)


@pytest.mark.parametrize("batch", [1, 4, 11, 100])
def test_every_frame_in_its_time_with_its_sound(clip, tmp_path, batch):
    seen = []

    def both(frames):
        assert 0 < len(frames) <= batch
        seen.extend(np.asarray(f) for f in frames)
        return twice(frames)

    shown = []
    done = make(clip, tmp_path / "a.mp4", batch, both, progress=shown.append)
    assert (done.frames, done.size, done.sound) == (11, (64, 96), 1)
    assert shown == list(range(1, 12))
    before, times = read_frames(clip)
    after, new_times = read_frames(tmp_path / "a.mp4")
    assert new_times == pytest.approx(times, abs=1e-4)
    assert after.shape == (11, 64, 96, 3)
    assert len(seen) == 11  # in order: each is the frame that a player shows, but for its rounding
    for number, (frame, given, made) in enumerate(zip(before, seen, after)):
        assert np.abs(frame.astype(int) - given).mean() < 6
        assert np.abs(made[::2, ::2].astype(int) - given).mean() < 6
        assert np.abs(before[number - 1].astype(int) - given).mean() > 15
    assert sound_packets(tmp_path / "a.mp4") == sound_packets(clip)
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert file.streams.video[0].average_rate == Fraction(30000, 1001)


def test_frames_whose_times_vary_keep_them(tmp_path):
    times = [0, 1, 2, 10, 11, 40]
    write_clip(tmp_path / "a.mkv", pictures(6, (32, 32)), rate=Fraction(25), times=times)
    make(tmp_path / "a.mkv", tmp_path / "b.mp4", 2)
    assert read_frames(tmp_path / "b.mp4")[1] == pytest.approx([t / 25 for t in times], abs=2e-3)


def test_sound_may_be_left_out(clip, tmp_path):
    assert make(clip, tmp_path / "a.mp4", mute=True).sound == 0
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert not file.streams.audio


def test_sound_that_a_container_cannot_hold_is_told_before(clip):
    found = read_clip(clip, MOST)
    check_sound(found, clip, Path("a.mkv"))
    check_sound(found, clip, Path("a.gif"))
    with pytest.raises(InputError, match=r"is aac, which a .webm file cannot hold.*--mute"):
        check_sound(found, clip, Path("a.webm"))


def test_a_webm_of_a_webm(tmp_path):
    write_clip(tmp_path / "a.webm", pictures(3, (32, 32)), sound="libopus")
    assert make(tmp_path / "a.webm", tmp_path / "b.webm").sound == 1
    assert len(read_frames(tmp_path / "b.webm")[0]) == 3


def test_frames_and_gifs_of_a_clip(clip, tmp_path):
    make(clip, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == 11
    make(clip, tmp_path / "frames")
    assert len(list((tmp_path / "frames").iterdir())) == 11


@pytest.mark.parametrize("size", [(64, 48), (31, 33), (720, 32)])
@pytest.mark.parametrize("colour", [(200, 100, 50), (20, 200, 60)])
def test_colours_come_back(tmp_path, size, colour):
    """Also of odd sizes, and with the matrix of high definition."""
    frame = Image.fromarray(np.full((*size, 3), colour, np.uint8))
    with open_video(tmp_path / "a.mp4", Fraction(25)) as writer:
        for _ in range(2):
            writer.add(frame)
    seen: list[np.ndarray] = []

    def look(frames):
        seen.extend(np.asarray(f) for f in frames)
        return frames

    make(tmp_path / "a.mp4", tmp_path / "b.mp4", what=look)
    assert np.abs(np.stack(seen).astype(int) - colour).max() <= 2


@pytest.mark.parametrize(("turns", "matrix"), [(1, (0, 1, -1, 0)), (3, (0, -1, 1, 0))])
def test_a_clip_that_its_camera_turned_is_turned_back(tmp_path, turns, matrix):
    """By the matrix of its track; ``turns`` are quarters, clockwise."""
    frame = np.zeros((32, 48, 3), np.uint8)
    frame[:16, :24] = 255
    write_clip(tmp_path / "a.mp4", np.stack([frame] * 3), sound=None)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (n << 16 for n in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "a.mp4").write_bytes(data)
    assert read_clip(tmp_path / "a.mp4", MOST).size == (48, 32)
    assert make(tmp_path / "a.mp4", tmp_path / "b.mp4").size == (96, 64)
    upright = np.rot90(frame, -turns)[..., 0] > 128
    shown = read_frames(tmp_path / "b.mp4")[0][0, ::2, ::2, 0] > 128
    assert np.mean(shown == upright) > 0.95


def test_few_pictures_and_much_sound(clip, tmp_path, monkeypatch):
    """As slides are: sound that waits for a batch of frames is written before there is one."""
    monkeypatch.setattr(clips, "_MOST_WAITING", 5)
    assert make(clip, tmp_path / "a.mp4", batch=100).frames == 11
    assert sound_packets(tmp_path / "a.mp4") == sound_packets(clip)
    after, times = read_frames(tmp_path / "a.mp4")
    assert len(after) == 11 and times == pytest.approx(read_frames(clip)[1], abs=1e-4)


def test_frames_that_grow_beyond_all_bounds_are_not_decoded(tmp_path, monkeypatch):
    """The file's head says the size of the first ones alone."""
    path, seen, whole = tmp_path / "a.ts", [], clips.picture_of

    def look(frame):
        seen.append(frame.width)
        return whole(frame)

    write_growing(path, [(32, 48)] * 150 + [(800, 800)])
    monkeypatch.setattr(clips, "picture_of", look)
    with pytest.raises(InputError, match="is damaged"):
        convert(path, tmp_path / "b.mp4", twice, batch=1, most_pixels=5000, rate=Fraction(25))
    assert set(seen) == {48}
    with pytest.raises(InputError, match="change their size, from 48 x 32 to 800 x 800"):
        convert(path, tmp_path / "b.mp4", twice, batch=8, most_pixels=MOST, rate=Fraction(25))
    assert not (tmp_path / "b.mp4").exists()


def test_memory_does_not_grow_with_the_length(tmp_path):
    """400 frames take no more than 100; held, they would be 18 MB more."""
    frames = np.tile(pictures(25, (128, 160)), (4, 1, 1, 1))
    write_clip(tmp_path / "a.mp4", frames)
    write_clip(tmp_path / "b.mp4", np.concatenate([frames] * 4), sound=None)
    done = run_script(
        f"""
        import resource
        from fractions import Fraction
        from pathlib import Path
        from winogen.media import clips, video
        from winogen.media.clips import convert
        video._QUALITY["libx264"]["preset"] = "ultrafast"
        for name in "ab":
            convert(Path({str(tmp_path)!r}) / f"{{name}}.mp4", Path({str(tmp_path)!r}) / "c.mp4",
                    lambda frames: frames, batch=8, most_pixels=1 << 20, rate=Fraction(30))
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """,
        seconds=120,
    )
    assert done.returncode == 0, done.stderr
    short, long = map(int, done.stdout.split())
    assert long - short < 9_000, (short, long)  # kB


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("no")])
def test_what_is_interrupted_leaves_nothing(clip, tmp_path, error):
    def stop(frames):
        raise error

    for name in ("a.mp4", "a.gif", "frames"):
        with pytest.raises((KeyboardInterrupt, InputError)):
            make(clip, tmp_path / name, what=stop)
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_foreign_files(clip, tmp_path):
    """One sentence each, and nothing written: cut at any place, bits changed, other kinds."""
    whole = clip.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [
        b"",
        b"no video",
        whole[: len(whole) // 2],
        whole[:-100],
        Path(__file__).read_bytes(),
    ]
    for _ in range(6):
        changed = np.frombuffer(whole, np.uint8).copy()
        changed[rng.integers(0, len(whole), 40)] = rng.integers(0, 256, 40)
        damaged.append(changed.tobytes())
    playlist = f"#EXTM3U\n#EXTINF:1,\n{clip}\n".encode()
    damaged += [playlist, f"ffconcat version 1.0\nfile {clip}\n".encode()]
    bad, out = tmp_path / "bad.mp4", tmp_path / "out"
    out.mkdir()
    refused = 0
    for data in damaged:
        bad.write_bytes(data)
        try:
            make(bad, out / "a.mp4")
            (out / "a.mp4").unlink()  # a decoder may mend what is damaged
        except InputError as error:
            refused += 1
            assert str(bad) in str(error) and "\n" not in str(error)
        assert list(out.iterdir()) == []
    assert refused >= 6
    for data in (playlist, damaged[-1]):
        bad.write_bytes(data)
        with pytest.raises(InputError, match="no video"):
            read_clip(bad, MOST)


def test_refusals(clip, tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_clip(tmp_path / "none.mp4", MOST)
    with pytest.raises(InputError, match="48 x 32 pixels, over 1,000"):
        read_clip(clip, 1000)
    with av.open(str(tmp_path / "sound.mkv"), "w") as file:
        file.add_stream("aac", rate=48000, layout="mono")
    with pytest.raises(InputError, match=r"cannot read"):
        read_clip(tmp_path / "sound.mkv", MOST)


def test_without_pyav(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "av":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'winogen\[video\]'"):
        check_target(Path("a.mp4"), Fraction(25))
    assert check_target(Path("a.gif"), Fraction(25))


def test_without_an_encoder(monkeypatch):
    monkeypatch.setitem(video._CONTAINERS, ".mp4", ("mp4", "no-such-codec"))
    with pytest.raises(InputError, match="has no encoder no-such-codec"):
        check_target(Path("a.mp4"), Fraction(25))


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize("fps", [25, 10, 50])
def test_a_gif_takes_as_long_as_its_clip(tmp_path, suffix, fps):
    """At any rate, and where times vary; frames that it does not show are not made."""
    times = [0, 1, 2, 10, 11, 40, 41]
    path = tmp_path / "a.mkv"
    write_clip(path, pictures(7, (32, 32)), rate=Fraction(25), times=times, sound=None)
    made = []

    def look(frames):
        made.extend(frames)
        return frames

    target = tmp_path / f"b{suffix}"
    rate = Fraction(fps)
    done = convert(path, target, look, batch=3, most_pixels=MOST, rate=rate)
    shown = {round(t * fps / 25) for t in times}
    assert len(made) == len(shown)
    assert done.frames == max(shown) + 1
    with Image.open(target) as picture:
        ends, at = [], 0
        for number in range(picture.n_frames):
            picture.seek(number)
            picture.load()
            at += picture.info["duration"]
            ends.append(at)
    assert ends[-1] == 1000 * done.frames // fps
    starts = {1000 * n / fps for n in shown}
    assert all(any(abs(e - s) <= 10 for e in [0, *ends]) for s in starts)


def test_a_folder_has_every_frame_once(tmp_path):
    write_clip(tmp_path / "a.mkv", pictures(4, (32, 32)), rate=Fraction(25), times=[0, 1, 20, 21])
    assert make(tmp_path / "a.mkv", tmp_path / "frames").frames == 4
    assert len(list((tmp_path / "frames").iterdir())) == 4
