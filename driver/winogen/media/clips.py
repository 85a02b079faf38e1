"""A video to another, frame by frame: what is held is a batch of frames, however long it is.

Times of frames and the sound stay as they are; the sound is copied, not coded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from winogen.common.errors import InputError, one_line
from winogen.media.names import VIDEO, Kind
from winogen.media.times import in_turn
from winogen.media.video import (
    VideoWriter,
    held_codecs,
    open_input,
    open_output,
    picture_of,
    pyav,
)
from winogen.media.writers import Writer, check_target, open_writer

#: What makes pictures of pictures, as many as it gets.
Make = Callable[[Sequence[Image.Image]], Sequence[Image.Image]]

#: Packets of sound that may wait for the first picture.
_MOST_WAITING = 10_000


@dataclass(frozen=True)
class Clip:
    """What a video file says of itself.

    Attributes
    ----------
    size : rows and columns of a frame as it is shown, turned as its camera says
    rate : frames a second, on average
    frames : how many there should be, or None
    sound : codecs of its sound
    """

    size: tuple[int, int]
    rate: Fraction
    frames: int | None
    sound: tuple[str, ...]


@dataclass
class Converted:
    """What became of a video.

    Attributes
    ----------
    frames : how many were written
    size : rows and columns of them
    sound : streams of sound that were copied
    """

    frames: int = 0
    size: tuple[int, int] = (0, 0)
    sound: int = 0


def read_clip(path: Path, most_pixels: int) -> Clip:
    """What a video is, with its first frame decoded; InputError for what is none."""
    with open_input(path, most_pixels) as (source, stream), _decoding(path):
        first = next(source.decode(stream), None)
        if first is None:
            raise InputError(f"cannot read {path}: it holds no frame")
        picture = picture_of(first)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        count = stream.frames or None
        if count is None and source.duration:
            count = round(source.duration * rate / 1_000_000)
        sound = tuple(s.codec_context.name for s in source.streams.audio if s.codec_context)
        return Clip((picture.height, picture.width), Fraction(rate), count, sound)


def check_sound(clip: Clip, source: Path, target: Path) -> None:
    """InputError if the target's container cannot hold the sound as it is."""
    if target.suffix.lower() not in VIDEO or not clip.sound:
        return
    known = held_codecs(target)
    for codec in clip.sound:
        if codec not in known:
            raise InputError(
                f"the sound of {source} is {codec}, which a {target.suffix} file cannot hold: name "
                "a .mkv file, or leave the sound out with --mute"
            )


def convert(
    source: Path,
    target: Path,
    make: Make,
    *,
    batch: int,
    most_pixels: int,
    rate: Fraction,
    mute: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Converted:
    """Make a video (or GIF, WebP, frames) of what ``make`` makes of the frames of another.

    Parameters
    ----------
    batch : frames that ``make`` gets at once, the last time maybe fewer; as many are held
    most_pixels : of a frame that is read
    rate : frames a second of a GIF or WebP, in which a frame is shown as often as its time asks
        for, and maybe not at all; a folder has every frame once, whatever its time
    mute : leave the sound out
    progress : called with the frames done

    Raises InputError for a file that is damaged, or cannot be written.
    """
    kind = check_target(target, rate)
    done = Converted()
    with open_input(source, most_pixels) as (opened, stream):
        size: tuple[int, int] | None = None

        def made_of(frames: list[Any]) -> Iterator[tuple[Image.Image, Any]]:
            nonlocal size
            pictures = []
            for frame in frames:
                with _decoding(source):
                    pictures.append(picture_of(frame))
                size = size or pictures[-1].size
                if pictures[-1].size != size:
                    raise InputError(
                        f"the frames of {source} change their size, from {size[0]} x {size[1]} to "
                        f"{pictures[-1].width} x {pictures[-1].height}: cut it there"
                    )
            for picture, frame in zip(make(pictures), frames):
                done.frames += 1
                done.size = picture.height, picture.width
                yield picture, frame
                if progress:
                    progress(done.frames)

        if kind is not Kind.VIDEO:
            with open_writer(target, rate) as writer:
                frames = _frames(source, partial(opened.decode, stream))
                turns = ((f, 1) for f in frames) if kind is Kind.FRAMES else in_turn(frames, rate)
                _only_frames(turns, batch, made_of, writer, done)
        else:
            with open_output(target) as output:
                _remux(source, target, opened, stream, output, batch, made_of, rate, mute, done)
    return done


def _only_frames(
    turns: Iterable[tuple[Any, int]], batch: int, made_of: Any, writer: Writer, done: Converted
) -> None:
    """Write what is made of frames, each for its turns."""
    held: list[tuple[Any, int]] = []

    def flush() -> None:
        counts = [count for _, count in held]
        for (picture, _), count in zip(made_of([frame for frame, _ in held]), counts):
            for _ in range(count):
                writer.add(picture)
            done.frames += count - 1
        held.clear()

    for turn in turns:
        held.append(turn)
        if len(held) == batch:
            flush()
    if held:
        flush()


def _remux(
    path: Path,
    target: Path,
    opened: Any,
    stream: Any,
    output: Any,
    batch: int,
    made_of: Any,
    rate: Fraction,
    mute: bool,
    done: Converted,
) -> None:
    """Frames through the network, packets of sound past it, in the order in which they come."""
    time_base = Fraction(stream.time_base)
    video = VideoWriter(target, output, rate, time_base)
    sounds = {}
    for sound in () if mute else opened.streams.audio:
        if sound.codec_context is not None:
            sounds[sound.index] = output.add_stream_from_template(sound)
    done.sound = len(sounds)
    held: list[Any] = []
    waiting: list[Any] = []
    last = -1

    def flush() -> None:
        nonlocal last
        for picture, frame in made_of(held) if held else ():
            step = max(round(1 / (rate * time_base)), 1)
            # Times go up: those of damaged files may not.
            last = max(frame.pts if frame.pts is not None else last + step, last + 1)
            video.add(picture, last, stream.sample_aspect_ratio)
        held.clear()
        for packet in waiting:
            with _decoding(path):  # what the container refuses of it, the file brought along
                output.mux_one(packet)
        waiting.clear()

    wanted = [stream, *(s for s in opened.streams.audio if s.index in sounds)]
    packets = opened.demux(*wanted)
    while (packet := _next(path, packets)) is not None:
        if packet.stream.index == stream.index:
            for frame in _frames(path, packet.decode):
                held.append(frame)
                if len(held) == batch:
                    flush()
        elif packet.dts is not None:
            packet.stream = sounds[packet.stream.index]
            if len(waiting) >= _MOST_WAITING:
                if not held and not done.frames:  # nothing can be written before a picture
                    raise InputError(
                        f"cannot read {path}: its sound comes long before its pictures"
                    )
                flush()  # of few pictures and much sound, as slides are
            waiting.append(packet)
    flush()
    video.end()


def _next(path: Path, packets: Iterator[Any]) -> Any:
    with _decoding(path):
        return next(packets, None)


def _frames(path: Path, decode: Callable[[], Any]) -> Iterator[Any]:
    """Decoded frames; whatever the decoder objects to is an InputError."""
    with _decoding(path):
        decoded = iter(decode())
    while True:
        with _decoding(path):
            frame = next(decoded, None)
        if frame is None:
            return
        yield frame


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    av = pyav()
    try:
        yield
    except InputError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: it is damaged ({one_line(error)[:160]})") from None
