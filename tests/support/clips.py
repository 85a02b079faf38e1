"""Videos for tests: moving gradients with a tone, made by PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

av = pytest.importorskip("av", reason="videos need the package av")


def pictures(count: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Frames (N, H, W, 3) that differ all over, and are smooth: encoders keep them."""
    y, x = np.mgrid[: size[0], : size[1]]
    waves = [
        np.stack([np.sin(x / 9 + n / 3), np.cos(y / 7 - n / 5), np.sin((x + y) / 11 + n / 4)], -1)
        for n in range(count)
    ]
    return (127.5 + 100 * np.stack(waves)).astype(np.uint8)


def write_clip(
    path: Path,
    frames: NDArray[np.uint8],
    *,
    rate: Fraction = Fraction(30000, 1001),
    sound: str | None = "aac",
    times: list[int] | None = None,
) -> None:
    """A video of these frames, with a second of tone for each second; ``times`` are pts."""
    with av.open(str(path), "w") as file:
        codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
        options = {"crf": "10", **({"preset": "ultrafast"} if codec == "libx264" else {})}
        video = file.add_stream(codec, rate=rate, options=options)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        tone = file.add_stream(sound, rate=48000, layout="mono") if sound else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.time_base, frame.pts = 1 / rate, times[number] if times else number
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if tone is not None:
            samples = round(len(frames) / rate * 48000)
            wave = np.sin(np.arange(samples) / 48000 * 2 * np.pi * 440).astype(np.float32)
            for first in range(0, samples - 1023, 1024):
                part = np.ascontiguousarray(wave[None, first : first + 1024])
                block = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                block.sample_rate, block.pts = 48000, first
                block.time_base = Fraction(1, 48000)
                file.mux(tone.encode(block))
            file.mux(tone.encode(None))


def write_growing(path: Path, sizes: list[tuple[int, int]]) -> None:
    """A transport stream of grey frames, each of its own size (H, W)."""
    options = {"preset": "ultrafast", "tune": "zerolatency"}
    with av.open(str(path), "w", format="mpegts") as file:
        stream = file.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width = sizes[0]
        stream.pix_fmt = "yuv420p"
        coder, size = None, None
        for number, wanted in enumerate(sizes):
            if wanted != size:
                coder, size = av.CodecContext.create("libx264", "w"), wanted
                coder.height, coder.width = size
                coder.pix_fmt, coder.options = "yuv420p", options
                coder.time_base, coder.framerate = Fraction(1, 25), Fraction(25)
            pixels = np.full((*size, 3), 20 * number % 255, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.time_base, frame.pts = Fraction(1, 25), number
            for packet in coder.encode(frame):
                packet.stream = stream
                file.mux(packet)


def read_frames(path: Path) -> tuple[NDArray[np.uint8], list[float]]:
    """Frames (N, H, W, 3) of a video, and their times in seconds."""
    with av.open(str(path)) as file:
        found = list(file.decode(video=0))
    return np.stack([f.to_ndarray(format="rgb24") for f in found]), [f.time for f in found]


def sound_packets(path: Path) -> list[bytes]:
    """The coded sound of a video."""
    with av.open(str(path)) as file:
        return [bytes(p) for p in file.demux(file.streams.audio[0]) if p.size]
