"""Images of requests and answers, as bytes."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from winogen.common.errors import InputError
from winogen.common.images import encode_png, enlarged, sheet
from winogen.media.writers import encode_moving
from winogen.runtime.pictures import Picture, Sent, read_picture

#: Media types of what is answered.
MEDIA_TYPES = {
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "npy": "application/x-npy",
}
#: Kinds of numbers that an array of inputs may hold.
_NUMBERS = "fiu"

#: Rows and columns of a WebP, at most.
_MOST_WEBP = 16383

#: Pillow's warnings are caught for the whole process: one picture is read at a time.
_one_picture = threading.Lock()


def encode(out: NDArray, form: str, scale: int, columns: int | None, fps: int | None) -> bytes:
    """Images (N, H, W, C), or for ``npy`` any array, as a file.

    ``fps`` is given for what moves. Raises InputError where they are no pictures.
    """
    if form == "npy":
        buffer = io.BytesIO()
        np.save(buffer, out, allow_pickle=False)
        return buffer.getvalue()
    if out.dtype != np.uint8 or out.ndim != 4 or out.shape[3] not in (1, 3):
        raise InputError("the output of this program is no picture: ask for the format npy")
    if fps is not None:
        frames = [enlarged(sheet(image[None]), scale) for image in out]
        return encode_moving(frames, form, Fraction(fps))
    picture = sheet(out, columns)
    if form == "png":
        return encode_png(picture, scale)
    if max(picture.size) * scale > _MOST_WEBP:  # before it is enlarged
        raise _too_long(picture.width * scale, picture.height * scale)
    return encode_picture(enlarged(picture, scale), form)


def encode_picture(picture: Image.Image, form: str) -> bytes:
    """A picture as PNG, WebP (lossless) or an array (H, W, C)."""
    if form == "npy":
        pixels = np.asarray(picture)
        return encode(pixels if pixels.ndim == 3 else pixels[..., None], "npy", 1, None, None)
    if form == "png":
        return encode_png(picture)
    if max(picture.size) > _MOST_WEBP:
        raise _too_long(*picture.size)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=True, method=2)
    return buffer.getvalue()


def decode_picture(data: bytes, most_pixels: int) -> Picture:
    """A picture that was sent; InputError for what is none, is damaged or too large."""
    with _one_picture:
        return read_picture(Sent(data), most_pixels=most_pixels)


def decode_array(data: bytes, most_values: int) -> NDArray[Any]:
    """An array in numpy's format; InputError for what is none, or does not hold what it says.

    The header is held against the bytes that there are before anything is allocated.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(stream)
    except Exception:  # a damaged header makes numpy stumble over nearly everything
        raise InputError("the body is no array in numpy's format (.npy)") from None
    if dtype.kind not in _NUMBERS or dtype.hasobject or dtype.itemsize > 8:
        raise InputError(f"an array of numbers is needed, not of {str(dtype)[:40]}")
    if any(isinstance(n, bool) or n < 0 for n in shape):  # numpy reads these too
        raise InputError(f"an array of shape {_short(shape)} is not possible")
    count = math.prod(shape)
    if len(shape) > 4 or count > most_values:
        raise InputError(f"an array of shape {_short(shape)} is too large")
    if count * dtype.itemsize != len(data) - stream.tell():
        raise InputError("the array's header does not say as many bytes as follow")
    values = np.frombuffer(data, dtype, count, stream.tell())
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


def _too_long(width: int, height: int) -> InputError:
    return InputError(
        f"a WebP has {_MOST_WEBP:,} rows and columns at most, not {width} x {height}: ask for the "
        "format png, for other columns or for less"
    )


def _short(shape: Sequence[int]) -> str:
    return str(tuple(shape))[:60]
