"""Real values to pixels, and many images on one sheet."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from winogen.common.errors import InputError
from winogen.common.files import write_atomically

#: Pillow's filters by number: ``Image.Resampling`` needs pillow 9.1, and boards have 9.0.
NEAREST, BICUBIC = 0, 3
#: What a PNG of ours says.
_WRITTEN_BY = ("Software", "winogen")


def to_pixels(values: NDArray, black: float, white: float) -> NDArray[np.uint8]:
    """Pixels 0..255 of real values, rounding half up, saturated."""
    scaled = (np.asarray(values, np.float64) - black) / (white - black) * 255
    return np.clip(np.floor(scaled + 0.5), 0, 255).astype(np.uint8)


def sheet(images: NDArray[np.uint8], columns: int | None = None, gap: int = 2) -> Image.Image:
    """All images (N, H, W, C), C being 1 or 3, in a grid on one picture.

    ``columns`` defaults to what makes the grid nearly square, or full if it can be; there are never
    more of them than images.

    Raises InputError if there are no images or C is another number.
    """
    if images.ndim != 4 or not len(images) or images.shape[3] not in (1, 3):
        raise InputError(f"cannot draw images of shape {images.shape}: need (N, H, W, 1 or 3)")
    count, height, width, channels = images.shape
    if columns is None:
        square = int(np.ceil(np.sqrt(count)))
        columns = next((c for c in range(square, 2 * square) if count % c == 0), square)
    columns = min(columns, count)
    rows = -(-count // columns)
    page = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8
    )
    for index, image in enumerate(images):
        y, x = (n * (size + gap) for n, size in zip(divmod(index, columns), (height, width)))
        page[y : y + height, x : x + width] = image
    return Image.fromarray(page[..., 0] if channels == 1 else page)


def enlarged(image: Image.Image, scale: int) -> Image.Image:
    """The picture with each pixel ``scale`` times as large."""
    if scale == 1:
        return image
    return image.resize((image.width * scale, image.height * scale), NEAREST)


def encode_png(image: Image.Image, scale: int = 1) -> bytes:
    """The picture as PNG, each pixel ``scale`` times as large."""
    image = enlarged(image, scale)
    buffer = io.BytesIO()
    text = PngInfo()
    text.add_text(*_WRITTEN_BY)
    image.save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()


def is_own_png(path: Path) -> bool:
    """Whether a file is a PNG that :func:`encode_png` made."""
    key, value = _WRITTEN_BY
    try:
        with Image.open(path) as image:
            return image.format == "PNG" and image.info.get(key) == value
    except Exception:  # as pillow likes where it is something else
        return False


def save_array(path: Path, values: NDArray) -> None:
    """Write an array as ``.npy``, whole or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    write_atomically(path, buffer.getvalue())
