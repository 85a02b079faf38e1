"""Videos, by PyAV: frames of one, and one of frames, with the sound of another.

PyAV is an extra; nothing is imported before it is used. A file to read is hostile: only what is a
video container by its content is opened, never a playlist that names other files or hosts.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from winogen.common.errors import InputError, one_line
from winogen.common.files import replaced_at_the_end
from winogen.common.opening import check_regular

#: By the end of a name: what libavformat calls the container, and the encoder of its pictures.
_MP4 = ("mp4", "libx264")
_CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": ("mov", "libx264"),
    ".mkv": ("matroska", "libx264"),
    ".webm": ("webm", "libvpx-vp9"),
}
#: Quality of each encoder: close to what the eye tells apart.
_QUALITY = {
    "libx264": {"crf": "16", "preset": "medium"},
    "libvpx-vp9": {"crf": "20", "b": "0", "row-mt": "1", "cpu-used": "4"},
}
#: Demuxers that may open a file: containers, no playlists.
_DEMUXERS = "mov,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,gif,yuv4mpegpipe"
#: Rows and columns of a coded frame beyond those that are shown, at most.
_CODED = 64
#: Rows from which on a video is taken for high definition, where it does not say.
_HD_ROWS = 720
#: Matrices of libswscale and libavutil, by number.
_BT709, _BT601 = 1, 5


def pyav() -> Any:
    """The package ``av``; InputError that says how to install it where it is missing."""
    try:
        import av
    except ImportError:
        raise InputError(
            "videos need PyAV; install it with: pip install 'winogen[video]' (GIF, WebP and "
            "frames need nothing)"
        ) from None
    return av


def check_codec(path: Path) -> None:
    """InputError if a video of this name cannot be written here."""
    av = pyav()
    container, codec = _CONTAINERS[path.suffix.lower()]
    try:
        av.Codec(codec, "w")
    except Exception:
        raise InputError(
            f"cannot write {path}: this PyAV has no encoder {codec} for {container}; install the "
            "wheel from PyPI, or name a .gif, .webp or a folder"
        ) from None


def held_codecs(path: Path) -> frozenset[str]:
    """Codecs that the container of a video of this name can hold."""
    av = pyav()
    with av.open(io.BytesIO(), "w", format=_CONTAINERS[path.suffix.lower()][0]) as probe:
        return frozenset(probe.supported_codecs)


class VideoWriter:
    """A video that is being written; frames of one size."""

    def __init__(self, path: Path, output: Any, rate: Fraction, time_base: Fraction | None = None):
        self._path = path
        self._output = output
        codec = _CONTAINERS[path.suffix.lower()][1]
        self._stream = output.add_stream(codec, rate=rate, options=dict(_QUALITY[codec]))
        self._time_base = time_base or 1 / rate
        self._stream.codec_context.time_base = self._time_base
        self._size: tuple[int, int] | None = None
        self._count = 0

    def add(self, frame: Image.Image, pts: int | None = None, aspect: Any = None) -> None:
        """Append a frame, shown at ``pts`` units of the time base, or one after the last one."""
        if self._size is None:
            self._begin(frame, aspect)
        elif frame.size != self._size:
            raise InputError(
                f"a frame for {self._path} is {frame.width} x {frame.height}, others "
                f"{self._size[0]} x {self._size[1]}: a video has one size"
            )
        av = pyav()
        picture = av.VideoFrame.from_ndarray(np.asarray(frame.convert("RGB")), format="rgb24")
        context = self._stream.codec_context
        made = picture.reformat(
            format=context.pix_fmt, dst_colorspace=context.colorspace, interpolation=_exactly()
        )
        made.pts = self._count if pts is None else pts
        made.time_base = self._time_base
        self._count += 1
        self._output.mux(self._stream.encode(made))

    def _begin(self, frame: Image.Image, aspect: Any) -> None:
        self._size = frame.size
        context = self._stream.codec_context
        context.width, context.height = frame.size
        # Half the colours, which every player knows, need even sizes.
        context.pix_fmt = "yuv444p" if frame.width % 2 or frame.height % 2 else "yuv420p"
        context.colorspace = _BT709 if frame.height >= _HD_ROWS else _BT601
        context.color_range = 1  # of television, as the conversion makes it
        if aspect:
            context.sample_aspect_ratio = aspect

    def end(self) -> None:
        """Write what the encoder holds back."""
        if self._size is None:
            raise InputError(f"cannot write {self._path}: there is no frame")
        self._output.mux(self._stream.encode(None))


@contextmanager
def open_output(path: Path) -> Iterator[Any]:
    """PyAV's container for a video, which is there when the context ends well."""
    av = pyav()
    check_codec(path)
    with replaced_at_the_end(path) as made:
        try:
            with av.open(str(made), "w", format=_CONTAINERS[path.suffix.lower()][0]) as output:
                yield output
        except av.FFmpegError as error:
            raise InputError(f"cannot write {path}: {_reason(error)}") from None


@contextmanager
def open_video(path: Path, fps: Fraction) -> Iterator[VideoWriter]:
    """A writer of frames at a rate (see :func:`winogen.media.writers.open_writer`)."""
    with open_output(path) as output:
        video = VideoWriter(path, output, fps)
        yield video
        video.end()


@contextmanager
def open_input(path: Path, most_pixels: int) -> Iterator[tuple[Any, Any]]:
    """PyAV's container of a video file, and the stream of its pictures.

    ``most_pixels`` are those of a frame. Raises InputError for what is no video, damaged or too
    large.
    """
    av = pyav()
    try:
        check_regular(path)
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    with file:
        options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none"}
        try:
            source = av.open(file, "r", options=options, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"cannot read {path}: it is no video that PyAV knows, or it is damaged "
                f"({_reason(error)})"
            ) from None
        with source:
            if not source.streams.video:
                raise InputError(f"cannot read {path}: it holds no pictures, only sound")
            stream = source.streams.video[0]
            context = stream.codec_context
            if context is None:
                raise InputError(f"cannot read {path}: this PyAV has no decoder for it")
            if not context.width * context.height:
                raise InputError(f"cannot read {path}: it says nothing of the size of its pictures")
            if context.width * context.height > most_pixels:
                raise InputError(
                    f"the frames of {path} have {context.width} x {context.height} pixels, over "
                    f"{most_pixels:,}; use smaller ones"
                )
            # Frames that grow later are not decoded; coded ones are a little larger than shown.
            shown = (context.width + _CODED) * (context.height + _CODED)
            context.options = {"max_pixels": str(max(most_pixels, shown))}
            yield source, stream


def picture_of(frame: Any) -> Image.Image:
    """A decoded frame as a picture (RGB), turned as its camera says."""
    matrix = frame.colorspace
    if matrix not in (1, 4, 5, 6, 7, 9):  # not said
        matrix = _BT709 if frame.height >= _HD_ROWS else _BT601
    plain = frame.reformat(format="rgb24", src_colorspace=matrix, interpolation=_exactly())
    rgb = plain.to_ndarray()
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return Image.fromarray(np.ascontiguousarray(np.rot90(rgb, turns) if turns else rgb))


def _exactly() -> Any:
    """How to convert colours: rounded to the nearest, where this PyAV can say that."""
    from av.video.reformatter import Interpolation

    wanted = Interpolation.BICUBIC
    for name in ("ACCURATE_RND", "FULL_CHR_H_INT", "FULL_CHR_H_INP"):
        wanted = wanted | getattr(Interpolation, name) if hasattr(Interpolation, name) else wanted
    return wanted


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or one_line(error)
    return str(text)[:160]
