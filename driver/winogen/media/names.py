"""What a file of moving pictures is, by its name."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

from winogen.common.errors import InputError

#: Containers that are written, and read: by PyAV.
VIDEO = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
#: Containers that are read besides.
_READ = (".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".ogv", ".flv", ".wmv", ".3gp", ".y4m")
#: A number in the name of a frame: %d, %04d.
_NUMBER = re.compile(r"%(0[1-9])?d")

#: What there is to write, for messages.
WRITTEN = ".gif, .webp, .mp4, .webm, .mkv, .mov, a name such as frame-%04d.png, or a folder"


class Kind(Enum):
    """Kinds of files that hold frames."""

    GIF = "gif"
    WEBP = "webp"
    VIDEO = "video"
    FRAMES = "frames"


def kind_of(path: Path) -> Kind:
    """The kind of file to write, by its name; InputError where it is none."""
    suffix = path.suffix.lower()
    if suffix in VIDEO:
        return Kind.VIDEO
    if suffix in (".gif", ".webp"):
        return Kind(suffix[1:])
    if suffix == ".png" and _NUMBER.search(path.name):
        return Kind.FRAMES
    if not suffix or path.is_dir():
        return Kind.FRAMES
    raise InputError(f"cannot write moving pictures to {path}: name {WRITTEN}")


def is_video(path: Path) -> bool:
    """Whether a file to read is a video by its name."""
    return path.suffix.lower() in (*VIDEO, *_READ)


def frame_name(path: Path, number: int) -> Path:
    """The file of one frame: of a pattern, or in a folder."""
    if _NUMBER.search(path.name):
        return path.with_name(_NUMBER.sub(lambda m: f"{number:{m[1] or ''}d}", path.name, count=1))
    return path / f"{number:05d}.png"


def later_frames(path: Path, count: int) -> list[Path]:
    """Frames from number ``count`` on that lie there already."""
    return [
        file
        for file in sorted(frame_name(path, 0).parent.iterdir())
        if any(
            int(digits) >= count and frame_name(path, int(digits)) == file
            for digits in re.findall(r"[0-9]+", file.name)
        )
    ]
