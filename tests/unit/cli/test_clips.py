"""winogen run --input clip.mp4: every frame is the network's picture of the frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.clips import pictures, read_frames, sound_packets, write_clip
from support.command_line import refuse, run
from support.random_graphs import GraphBuilder
from winogen.cli.main import main
from winogen.compiler.compile import compile_graph
from winogen.media.clips import convert
from winogen.media.video import VideoWriter
from winogen.network.graph import InputSpec
from winogen.target.board import load_board


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """Twice as large, of the luma, in windows of 12 x 16 with an overlap."""
    b = GraphBuilder(0, (1, 12, 16))
    b.input = InputSpec((1, 12, 16), "image", "uniform", None, (0, 1))
    b.conv(4)
    b.activation("relu")
    b.deconv(1)
    b.activation("sigmoid")
    path = tmp_path_factory.mktemp("clips") / "x2.wg"
    compile_graph(b.graph("x2", (0, 1)), load_board("tiny"), batch=2).program.save(path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(path, pictures(5, (12, 16)))
    return path


@pytest.mark.parametrize("size", [(12, 16), (20, 22)], ids=["a window", "windows"])
def test_each_frame_is_the_networks_picture(capsys, program, tmp_path, monkeypatch, size):
    """What goes to the encoder, frame by frame, is what the command makes of the frame as a PNG."""
    source = tmp_path / "clip.mp4"
    write_clip(source, pictures(5, size))
    given, made = [], []
    real = convert

    def spy(source, target, make, **options):
        def both(frames):
            given.extend(frames)
            return make(frames)

        return real(source, target, both, **options)

    add = VideoWriter.add
    monkeypatch.setattr("winogen.cli.clips.convert", spy)
    monkeypatch.setattr(VideoWriter, "add", lambda s, f, *a: (made.append(f), add(s, f, *a)))
    said = run(capsys, "run", program, "--input", source, "-o", tmp_path / "big.mp4")
    size_after = f"{2 * size[1]} x {2 * size[0]}"
    windows = 1 if size == (12, 16) else 4
    assert f"in windows of 16 x 12 ({windows} each)" in said
    assert f"wrote {tmp_path / 'big.mp4'}: 5 frames of {size_after} pixels of" in said
    assert "its sound copied, from the emulator" in said
    assert sound_packets(tmp_path / "big.mp4") == sound_packets(source)
    assert len(read_frames(tmp_path / "big.mp4")[0]) == len(given) == len(made) == 5
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(given):
        frame.save(folder / f"{number}.png")
    run(capsys, "run", program, "--input", folder, "-o", tmp_path / "one by one")
    for number, frame in enumerate(made):
        with Image.open(tmp_path / "one by one" / f"{number}.png") as alone:
            np.testing.assert_array_equal(np.asarray(frame), np.asarray(alone))


def test_a_name_is_made_of_clip_and_model(capsys, program, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(capsys, "run", program, "--input", clip, "--mute")
    assert [p.name for p in tmp_path.iterdir()] == ["clip-x2.mp4"]
    assert "is there already" in refuse(capsys, tmp_path, "run", program, "--input", clip)


def test_ctrl_c_leaves_no_half_file(capsys, program, clip, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("winogen.cli.clips.transform_all", interrupted)
    assert main(["run", str(program), "--input", str(clip), "-o", str(tmp_path / "a.mp4")]) == 130
    assert "winogen: interrupted" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_refusals(capsys, program, clip, tmp_path):
    def refused(*arguments):
        return refuse(capsys, tmp_path, "run", program, "--input", *arguments)

    assert "No such file" in refused("none.mp4")
    assert "no video that PyAV knows" in refused(__file__, "-o", tmp_path / "a.mp4")
    assert "cannot hold" in refused(clip, "-o", tmp_path / "a.webm")
    assert "would be overwritten" in refused(clip, "-o", clip)
    assert "keep their times" in refused(clip, "--fps", 5, "-o", tmp_path / "a.mp4")
    assert "name .gif, .webp, .mp4" in refused(clip, "-o", tmp_path / "a.png")
    assert "leave -n and --seed out" in refused(clip, "-n", 3, "-o", tmp_path / "a.mp4")
    assert "--profile and --trace" in refused(clip, "--profile", "-o", tmp_path / "a.mp4")
    text = refuse(capsys, tmp_path, "run", "digits", "--input", clip, "-o", tmp_path / "a.mp4")
    assert "takes latents, not pictures" in text
