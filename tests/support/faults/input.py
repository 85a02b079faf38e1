"""What a network is given: latents, numbers of them, pictures."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from support.faults.kinds import SAME, Expected, fault, refused, warned
from support.faults.on_commands import OnCommand, picture, run_latents, run_picture, run_program
from support.hostile_requests import npy, png

#: With the memory of an emulated board, which is virtual, and programs that numbers make larger.
_ROOM = 512 << 20


# Latents


def _bytes(
    name: str, what: str, change: Callable[[bytes], bytes], *words: str, scene: Any = run_latents
) -> None:
    """The file's bytes are changed; then they are put back."""

    def inject(stage: OnCommand) -> Any:
        whole = stage.file.read_bytes()
        stage.file.write_bytes(change(whole))
        yield
        stage.file.write_bytes(whole)

    expected = refused("exit 2", *words)
    fault(name, scene, expected, what=what, memory=_ROOM)(inject)


def _latents(name: str, what: str, change: Callable[[Any], Any], *words: str) -> None:
    """Another array in the file."""

    def changed(whole: bytes) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, change(np.load(io.BytesIO(whole))))
        return buffer.getvalue()

    _bytes(name, what, changed, *words)


def _put(value: Any) -> Callable[[Any], Any]:
    def change(z: Any) -> Any:
        z[1, 2] = value
        return z

    return change


_latents("latents hold NaN", "A latent is no number.", _put(np.nan), "NaN or infinity")
_latents("latents hold infinity", "A latent is infinite.", _put(-np.inf), "NaN or infinity")
_latents(
    "latents of another length",
    "Each has a value too many.",
    lambda z: np.hstack([z, z[:, :1]]),
    "has shape (2, 6)",
    "expected (N, 5",
)
_latents("latents without a batch", "An axis is missing.", lambda z: z[0], "one array (N, latent)")
_latents(
    "latents are integers",
    "Whole numbers, as of a picture.",
    lambda z: z.astype(int),
    "must be a float array, not int64",
)
_latents(
    "latents are words",
    "Text in place of numbers.",
    lambda z: z.astype("U8"),
    "must be a float array",
)
_latents("no latents", "An array of none.", lambda z: z[:0], "at least 1, not 0")
_bytes(
    "latents pickled",
    "An array of Python objects, which only pickle reads.",
    lambda d: _objects(),
    "z.npy",
    "Python objects",
)
_bytes(
    "latents cut short",
    "The file ends within the values.",
    lambda d: d[:-7],
    "z.npy",
    "ends too early",
)
_bytes("latents empty", "The file has no bytes.", lambda d: b"", "z.npy", "empty")
_bytes(
    "latents ask for memory",
    "A header that says 10¹² values.",
    lambda d: npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000, 100), }"),
    "z.npy",
    "it ends too early",
)
_bytes(
    "latents are text",
    "Numbers with commas.",
    lambda d: b"1,2,3\n" * 20,
    "z.npy",
    "is no .npy file",
)


def _objects() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([[None, {}]], object), allow_pickle=True)
    return buffer.getvalue()


@fault("latents without end", run_latents, refused("exit 2", "z.npy", "a device"))
def _(stage: OnCommand) -> None:
    """A symlink to /dev/zero."""
    stage.file.unlink()
    stage.file.symlink_to("/dev/zero")


@fault("latents far beyond their range", run_latents, warned("of the latents", "are beyond"))
def _(stage: OnCommand) -> None:
    """They are clipped, and the share is told."""
    np.save(stage.file, 100 * np.load(stage.file))


def _words(name: str, what: str, words: list[Any], *said: str, expected: Any = None) -> None:
    """Further words on the command line."""

    def inject(stage: OnCommand) -> None:
        stage.more = words

    fault(name, run_program, expected or refused("exit 2", *said), what=what, memory=_ROOM)(inject)


_words("a negative seed", "--seed -1", ["--seed", "-1"], "seed", "negative")
_words("no images", "-n 0", ["-n", "0"], "at least 1, not 0")
_words("more images than memory", "-n 10¹²", ["-n", str(10**12)], "at most 100,000")
_words("a label without labels", "--label 3, of a network that has none", ["--label", "3"], "label")
_words("a deadline that is none", "--timeout 0", ["--timeout", "0"], "timeout")
_words("a deadline that is no number", "--timeout nan", ["--timeout", "nan"], "timeout")
_words("a misspelt option", "--sed 5", ["--sed", "5"], "--sed")
_words("an unknown device", "--device fpga", ["--device", "fpga"], "fpga", "emulator")
_words("no board there", "--device board on a laptop", ["--device", "board"], "board")


# Pictures


def _picture(name: str, what: str, make: Callable[[Any], object], expected: Expected) -> None:
    """Another picture in the file."""

    def inject(stage: OnCommand) -> None:
        stage.file.unlink()
        make(stage.file)
        stage.strike()

    fault(name, run_picture, expected, what=what, memory=_ROOM)(inject)


def _raw(data: bytes) -> Callable[[Any], object]:
    return lambda path: path.write_bytes(data)


def _cut(path: Any) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue()[:100])


def _moving(path: Any) -> None:
    frames = [Image.fromarray(picture()), Image.fromarray(255 - picture())]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])


def _deep(path: Any) -> None:
    Image.fromarray(picture().astype(np.uint16) * 257).save(path, "PNG")


def _floats(path: Any) -> None:
    Image.fromarray(picture().astype(np.float32)).save(path, "TIFF")


_NO_PICTURE = refused("exit 2", "in.png", "no picture that pillow knows")
_picture(
    "picture of 60,000 x 60,000",
    "A header that says 3.6 billion pixels.",
    _raw(png(60_000, 60_000)),
    refused("exit 2", "in.png", "over 67,108,864"),
)
_picture(
    "picture of 2³¹ x 2³¹",
    "A header that says 4·10¹⁸ pixels.",
    _raw(png(2**31 - 1, 2**31 - 1)),
    refused("exit 2", "in.png", "pixels"),
)
_picture("picture of 0 x 0", "A header that says no pixels.", _raw(png(0, 0)), _NO_PICTURE)
_picture(
    "picture cut short",
    "The file ends within the pixels.",
    _cut,
    refused("exit 2", "in.png", "image file is truncated"),
)
_picture("picture empty", "The file has no bytes.", _raw(b""), _NO_PICTURE)
_picture(
    "picture is text", "A page in place of the picture.", _raw(b"<html>404</html>"), _NO_PICTURE
)
_picture(
    "picture moves", "An animation of two frames.", _moving, refused("exit 2", "in.png", "2 frames")
)
_picture(
    "picture of real numbers",
    "A TIFF of 32-bit floats.",
    _floats,
    refused("exit 2", "in.png", "mode F"),
)
_picture(
    "picture of 16 bits",
    "Each value is 257 times as large: the same picture.",
    _deep,
    warned("its 16 bits a channel become 8"),
)
_picture(
    "picture is a folder without pictures",
    "A folder has its name.",
    lambda p: p.mkdir(),
    refused("exit 2", "in.png", "holds no picture"),
)
_picture(
    "picture is a pipe",
    "A FIFO, to which nobody writes.",
    os.mkfifo,
    refused("exit 2", "in.png", "a pipe"),
)
_picture(
    "picture without end",
    "A symlink to /dev/zero.",
    lambda p: p.symlink_to("/dev/zero"),
    refused("exit 2", "in.png", "a device"),
)


@fault("one picture of a folder is damaged", run_picture, refused("exit 1", "bad.png"))
def _(stage: OnCommand) -> None:
    """The others are made all the same, and the exit code says that not all were."""
    stage.file = stage.folder / "many"
    stage.file.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(picture()).save(stage.file / name)
    (stage.file / "bad.png").write_bytes(png(0, 0))
    stage.out = stage.folder / "made"
    stage.made = ["made", "made/a.png", "made/b.png"]


@fault("picture in another form", run_picture, SAME)
def _(stage: OnCommand) -> None:
    """A TIFF with a wrong suffix: what it is decides, and not its name."""
    Image.fromarray(picture()).save(stage.file, "TIFF")
    stage.strike()
