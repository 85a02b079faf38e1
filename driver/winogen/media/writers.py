"""Frames to a file, one after the other: GIF, WebP, PNGs, or a video.

A file is there whole or not at all, whatever ends the work.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from winogen.common.errors import InputError, WinogenWarning, one_line
from winogen.common.files import check_writable, temporary_folder, write_atomically
from winogen.common.images import encode_png
from winogen.media.names import Kind, frame_name, kind_of, later_frames

#: Pixels of all frames of a GIF or a WebP, which are held in memory until the end.
MAX_HELD = 1 << 28
#: Frames a second of a GIF at most: what browsers show of faster ones is much slower.
MAX_GIF_RATE = 50
MAX_RATE = 240
MAX_FRAMES = 100_000


#: ``Image.Dither.NONE`` needs pillow 9.1, and boards have 9.0.
_NO_NOISE: Any = 0


class Writer(Protocol):
    """Where frames go."""

    def add(self, frame: Image.Image) -> None:
        """Append a frame (L or RGB), as large as the first one."""


def check_target(path: Path, fps: Fraction) -> Kind:
    """The kind of file; InputError now for what :func:`open_writer` would refuse later."""
    kind = kind_of(path)
    if not 0 < fps <= MAX_RATE:
        raise InputError(
            f"frames a second must be more than 0, and at most {MAX_RATE}, not {float(fps):g}"
        )
    if kind is Kind.GIF and fps > MAX_GIF_RATE:
        raise InputError(
            f"a GIF cannot show {float(fps):g} frames a second: at most {MAX_GIF_RATE}; name a "
            ".webp or .mp4 file"
        )
    if kind is Kind.VIDEO:
        from winogen.media.video import check_codec

        check_codec(path)
    folder = _folder_of(path) if kind is Kind.FRAMES else None
    if folder is not None and folder.exists():
        if not folder.is_dir():
            raise InputError(f"cannot write frames to {folder}: it is no folder")
        check_writable(frame_name(path, 0))
    else:
        check_writable(folder or path)
    return kind


@contextmanager
def open_writer(path: Path, fps: Fraction, *, loop: bool = True) -> Iterator[Writer]:
    """A writer for the kind of file that ``path`` names; it is there when the context ends well.

    Parameters
    ----------
    fps : frames a second; a GIF's delays are whole hundredths of a second, which are right in sum
    loop : a GIF or WebP begins again at its end; a video's player says that

    Raises InputError for what cannot be written.
    """
    kind = check_target(path, fps)
    if kind is Kind.VIDEO:
        from winogen.media.video import open_video

        with open_video(path, fps) as video:
            yield video
    elif kind is Kind.FRAMES:
        with _frames(path) as frames:
            yield frames
    else:
        held = _Held(path, kind)
        yield held
        held.write(fps, loop)


class _Held:
    """Frames of a GIF or a WebP."""

    def __init__(self, path: Path, kind: Kind):
        self._path = path
        self._kind = kind
        self._frames: list[Image.Image] = []

    def add(self, frame: Image.Image) -> None:
        if (len(self._frames) + 1) * frame.width * frame.height > MAX_HELD:
            raise InputError(
                f"the frames of {self._path} would have over {MAX_HELD:,} pixels, which are held "
                "in memory: name a .mp4 file or a folder, or make fewer or smaller ones"
            )
        gif = self._kind is Kind.GIF
        self._frames.append(_for_gif(frame) if gif else frame)

    def write(self, fps: Fraction, loop: bool) -> None:
        data = encode_moving(self._frames, self._kind.value, fps, loop=loop)
        write_atomically(self._path, data)


def encode_moving(
    frames: Sequence[Image.Image], kind: str, fps: Fraction, *, loop: bool = True
) -> bytes:
    """A GIF or WebP, as ``kind`` says, of frames (L, RGB, or P for a GIF) of one size.

    Raises InputError where this pillow cannot write it.
    """
    unit = 10 if kind == Kind.GIF.value else 1  # milliseconds
    ends = [round(n * 1000 / fps / unit) * unit for n in range(len(frames) + 1)]
    options: dict[str, Any] = {"duration": [b - a for a, b in pairwise(ends)]}
    if kind == Kind.WEBP.value:
        options |= {"lossless": True, "method": 4, "loop": 0 if loop else 1}
    elif loop:
        options["loop"] = 0
    buffer = io.BytesIO()
    first, *rest = (_for_gif(f) if kind == Kind.GIF.value else f for f in frames)
    try:
        first.save(buffer, kind.upper(), save_all=True, append_images=rest, **options)
    except (KeyError, OSError, ValueError) as error:
        raise InputError(
            f"pillow cannot write {kind} here ({one_line(error)}): name another kind"
        ) from None
    return buffer.getvalue()


def _for_gif(frame: Image.Image) -> Image.Image:
    """A palette of its own for every frame, without noise that would move; grey stays exact."""
    return frame if frame.mode in ("L", "P") else frame.quantize(256, dither=_NO_NOISE)


class _Frames:
    """Frames that are PNGs, in a folder."""

    def __init__(self, folder: Path, pattern: Path):
        self._folder = folder
        self._pattern = pattern
        self.names: list[str] = []

    def add(self, frame: Image.Image) -> None:
        self.names.append(frame_name(self._pattern, len(self.names)).name)
        (self._folder / self.names[-1]).write_bytes(encode_png(frame))


def _folder_of(path: Path) -> Path:
    return frame_name(path, 0).parent


@contextmanager
def _frames(path: Path) -> Iterator[_Frames]:
    """PNGs in a folder of their own, which becomes the one that was asked for."""
    folder = _folder_of(path)
    parent = folder if folder.exists() else folder.parent
    try:
        with temporary_folder(parent) as made:
            frames = _Frames(made, path)
            yield frames
            folder.mkdir(exist_ok=True)
            for name in frames.names:
                os.replace(made / name, folder / name)
            if old := later_frames(path, len(frames.names)):
                warnings.warn(
                    f"{folder} holds frames of before as well, which come after the "
                    f"{len(frames.names)} new ones: {len(old)}, from {old[0].name} on; remove them "
                    "or name another folder",
                    WinogenWarning,
                    stacklevel=2,
                )
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
