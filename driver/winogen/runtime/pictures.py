"""Pictures from files, and what a network makes of them.

What becomes of colours, :mod:`winogen.runtime.colour` says; transparency is interpolated beside
them.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageCms, ImageOps

from winogen.common.errors import InputError, WinogenError, WinogenWarning, one_line
from winogen.common.images import BICUBIC
from winogen.common.opening import check_regular
from winogen.common.text import few
from winogen.network.graph import InputSpec
from winogen.program.file import Program
from winogen.program.inputs import picture_channels, picture_part
from winogen.runtime.colour import chosen, parts, picture_of
from winogen.runtime.windows import kept_size, padded_size

if TYPE_CHECKING:  # it needs pynq, and reading pictures does not
    from winogen.runtime.maker import Maker

#: Pixels of the largest picture that is read or made: both are held in memory.
MAX_PIXELS = 1 << 26

#: What pillow opens and is no picture of pixels, or needs other programs.
_FOREIGN = ("BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "PDF", "WMF")

#: Modes that pillow converts to grey or to red, green and blue without loss of meaning.
_GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
_COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr")
#: Files of a folder that are named, of those that are no pictures.
_NAMED = 5
#: Files that may hold several pictures of which the first is the one that is meant.
_PREVIEWS = ("MPO", "ICO")


@dataclass(frozen=True)
class Picture:
    """A picture in 8 bits a channel: grey (``L``) or ``RGB``, and its transparency or None."""

    image: Image.Image
    alpha: Image.Image | None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.height, self.image.width


class Sent(io.BytesIO):
    """A picture that came in a message, in the place of a path; only common kinds are read."""

    formats = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")

    def __str__(self) -> str:
        return "that was sent"


#: Where a picture is.
Source = Path | Sent


@cache
def suffixes() -> frozenset[str]:
    """Ends of names of the files that a folder of pictures is searched for."""
    known = Image.registered_extensions()
    return frozenset(s for s, kind in known.items() if kind in Image.OPEN and kind not in _FOREIGN)


def picture_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pictures in a folder, at least one, and what else is in it; both by name.

    What it is, its name says; names that begin with a dot are no pictures. Raises InputError if
    the folder cannot be read or holds no picture.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"cannot read folder {folder}: {error.strerror or error}") from None
    pictures = [p for p in found if p.suffix.lower() in suffixes() and p.name[0] != "."]
    if not pictures:
        common = ".png, .jpg, .webp, .tif and what else pillow reads"
        raise InputError(f"folder {folder} holds no picture ({common})")
    return pictures, [p for p in found if p not in set(pictures)]


def names_of(files: list[Path]) -> str:
    """The names of files for a sentence: the first few, and how many more."""
    return few([one_line(ValueError(path.name), 60) for path in files], _NAMED)


def read_size(path: Path) -> tuple[int, int]:
    """Rows and columns of a picture as :func:`read_picture` returns it."""
    with _pillow(path), _open(path) as image:
        width, height = image.size
        if image.format == "TIFF":  # some versions of pillow give the size as turned already
            tags = image.tag_v2
            width, height = int(tags[256]), int(tags[257])
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # on its side
        return (width, height) if turned else (height, width)


def read_picture(path: Source, *, most_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture, turned as its camera says, in sRGB; InputError if that cannot be done.

    Another colour profile, what has no place in 8 bits a channel, and what pillow warns of, is a
    WinogenWarning.
    """
    with _pillow(path), _open(path, most_pixels) as opened:
        deep = _has_16_bits(opened)
        profile = opened.info.get("icc_profile")
        _tell_losses(path, opened)
        opened.load()  # which turns a TIFF
        image = ImageOps.exif_transpose(opened)
        if deep:
            grey = (np.asarray(image).astype(np.uint32) * 255 + 32767) // 65535
            return Picture(_in_srgb(path, Image.fromarray(grey.astype(np.uint8)), profile), None)
        modes = ("LA", "La", "RGBA", "RGBa", "PA")
        transparent = image.mode in modes or "transparency" in image.info
        alpha = image.convert("RGBA").getchannel("A") if transparent else None
        if image.mode == "CMYK" and profile:
            return Picture(_in_srgb(path, image, profile), None)
        mode = "L" if image.mode in _GREY else "RGB"
        # By way of RGBA, where a palette's transparent colour becomes a transparency.
        plain = image.convert("RGBA").convert("RGB") if transparent else image
        return Picture(_in_srgb(path, plain.convert(mode), profile), alpha)


def _in_srgb(path: Source, image: Image.Image, profile: object) -> Image.Image:
    """A picture of mode L, RGB or CMYK with the colours of its profile: L of L, else RGB."""
    mode = "L" if image.mode == "L" else "RGB"
    if not profile or not isinstance(profile, bytes):
        return image.convert(mode)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = one_line(ValueError(ImageCms.getProfileDescription(source)), 60)
        if "srgb" in name.lower():
            return image.convert(mode)
        made = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        assert made is not None  # it is not done in place
    except Exception:  # as pillow likes: it may have been built without, too
        _warn(path, "its colour profile cannot be used here; its colours are taken for sRGB")
        return image.convert(mode)
    _warn(path, f"its colours are converted from '{name}' to sRGB")
    return made.convert(mode)


def _tell_losses(path: Source, image: Image.Image) -> None:
    """Warn of what is lost of a picture that is opened, and not decoded yet."""
    deep = _has_16_bits(image)
    # Pillow has no mode for colours of 16 bits: it drops 8 of them as it decodes.
    if deep or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        _warn(path, "its 16 bits a channel become 8")
    if deep and "transparency" in image.info:
        _warn(path, "its transparent grey is left out")
    if image.mode == "CMYK" and not image.info.get("icc_profile"):
        _warn(path, "its CMYK colours become RGB without a colour profile, so only roughly")


def _warn(path: Source, text: str) -> None:
    """Warn of a picture; :func:`_pillow` passes it on."""
    warnings.warn(f"picture {path}: {text}", WinogenWarning, stacklevel=2)


def _open(path: Source, most_pixels: int = MAX_PIXELS) -> Image.Image:
    """The opened file, not decoded yet, after every check that its header allows."""
    only = getattr(path, "formats", None)
    if only is None:  # a file
        check_regular(str(path))
    image = Image.open(path, formats=only) if only else Image.open(path)
    try:
        if image.width * image.height > most_pixels:
            raise InputError(
                _too_large(f"picture {path}", (image.height, image.width), most_pixels)
            )
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format not in _PREVIEWS:
            raise InputError(
                f"picture {path} has {frames} frames; save the one that you want as PNG"
            )
        if image.mode not in (*_GREY, *_COLOUR) and not _has_16_bits(image):
            raise InputError(
                f"picture {path} has pixels of mode {image.mode}; save it with 8 or 16 bits a "
                "channel, grey or colour"
            )
    except BaseException:
        image.close()
        raise
    return image


def _has_16_bits(image: Image.Image) -> bool:
    """Whether it is grey with 16 bits, which the pillow of boards reads from a PNG as mode I."""
    return image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PNG")


@contextmanager
def _pillow(path: Source) -> Iterator[None]:
    """Whatever pillow objects to within is an InputError, and what it warns of names the file."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            yield
        except WinogenError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise InputError(
                f"picture {path} would have over {MAX_PIXELS:,} pixels; use a smaller one"
            ) from None
        except Image.UnidentifiedImageError:
            raise InputError(
                f"cannot read picture {path}: it is no picture that pillow knows"
            ) from None
        except (OSError, SyntaxError) as error:  # its own words, and the system's
            reason = getattr(error, "strerror", None) or one_line(error)
            raise InputError(f"cannot read picture {path}: {reason}") from None
        except MemoryError:
            raise InputError(f"cannot read picture {path}: it needs too much memory") from None
        except Exception:  # damaged files make pillow stumble over nearly everything
            raise InputError(f"cannot read picture {path}: the file is damaged") from None
    texts = dict.fromkeys(
        str(w.message)
        if issubclass(w.category, WinogenWarning)
        else f"picture {path}: {one_line(w.message)}"
        for w in told
        if isinstance(w.message, Warning) and not issubclass(w.category, DeprecationWarning)
    )
    for text in texts:
        warnings.warn(text, WinogenWarning, stacklevel=4)


def _too_large(what: str, size: tuple[int, int], most: int = MAX_PIXELS) -> str:
    return f"{what} would have {size[1]} x {size[0]} pixels, over {most:,}; use a smaller one"


def check_takes_pictures(
    name: str, spec: InputSpec, outputs: int, output_range: tuple[float, float] | None
) -> None:
    """InputError, saying why, if a network does not turn a picture into a picture.

    ``spec`` is its input, ``outputs`` the channels of its output.
    """
    if spec.kind != "image":
        raise InputError(
            f"network '{name}' takes latents, not pictures: leave --input out, or give a .npy file"
        )
    if output_range is None:
        raise InputError(
            f"the output of network '{name}' is no image (its definition has no output range)"
        )
    channels = picture_channels(spec)
    if not {channels, outputs} <= {1, 3}:
        raise InputError(
            f"network '{name}' makes {outputs} channels of {channels}; for pictures both "
            "must be 1 (luma) or 3 (red, green, blue)"
        )


def transform(
    generator: Maker,
    picture: Picture,
    *,
    resize: bool,
    colour: str | None = None,
    beside: Mapping[str, ArrayLike] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Image.Image:
    """The network's picture of a picture.

    ``beside`` are the other inputs by name, of a network of several.

    ``colour`` is one of ``winogen.network.colour.COLOURS`` that suits the network; by default the
    one that its model says, or the usual one for its channels. ``progress`` is called with the
    windows done, and of how many. With ``resize`` the picture is resized to the size that the
    network takes; else the network runs on the picture as it is, in windows where it can. What the
    picture lacks to a size that the network takes is mirrored then at its right and bottom, and
    cropped off the result (``winogen.runtime.windows.padded_size``).
    """
    [made] = transform_all(
        generator, [picture], resize=resize, colour=colour, beside=beside, progress=progress
    )
    return made


def transform_all(
    generator: Maker,
    pictures: Sequence[Picture],
    *,
    resize: bool,
    colour: str | None = None,
    beside: Mapping[str, ArrayLike] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Image.Image]:
    """:func:`transform` of pictures of one size, which share the device's batches.

    Where each is a window by itself, they are one call of the generator's: as many runs as their
    number asks for, and the same bits as each alone. ``progress`` as there, over all pictures.
    """
    program = generator.program
    if resize:
        rows, columns = program.input_shape[1:]
        pictures = [_resized(picture, (columns, rows)) for picture in pictures]
    size = pictures[0].size
    if any(picture.size != size for picture in pictures):
        raise InputError("pictures of one call must have one size")
    _check_output(program, pictures[0])
    channels = picture_channels(program.input)
    image = picture_part(program.input)
    space = colours_of(program, colour)
    low, high = program.input.range or (0.0, 1.0)
    padded = padded_size(size, program)
    kept = kept_size(size, program)
    pixels = [parts(picture.image, space, channels) for picture in pictures]
    planes = [
        _mirrored((low + part.astype(np.float32) * ((high - low) / 255)).astype(np.float32), padded)
        for own in pixels
        for part in own
    ]
    made: list[NDArray[np.uint8]] = []
    if image is None and padded == program.input_shape[1:]:
        made += list(generator.generate(np.stack(planes))[:, : kept[0], : kept[1]])
        if progress:
            progress(len(planes), len(planes))
        planes = []
    for number, values in enumerate(planes):
        show = progress and partial(_shown, progress, number, len(planes))
        if image is None:
            made.append(generator.apply(values, progress=show)[: kept[0], : kept[1]])
            continue
        inputs = {image.name: values[None], **(beside or {})}
        made.append(generator.generate(inputs)[0][: kept[0], : kept[1]])
        if show:
            show(1, 1)
    results = []
    for picture, own in zip(pictures, pixels):
        mine, made = made[: len(own)], made[len(own) :]
        out = picture_of(picture.image, mine, space, channels)
        if picture.alpha is not None:
            out.putalpha(picture.alpha.resize(out.size, BICUBIC))
        results.append(out)
    return results


def _mirrored(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """An image (C, H, W) with rows and columns to ``size``, mirrored without the edge."""
    more = [(0, wanted - n) for wanted, n in zip(size, values.shape[1:])]
    return np.pad(values, [(0, 0), *more], "reflect") if any(map(any, more)) else values


def colours_of(program: Program, wanted: str | None = None) -> str:
    """The colour space of a program of pictures; InputError if ``wanted`` does not suit it."""
    shape = (picture_channels(program.input), program.output_shape[0])
    return chosen(program.name, shape, wanted, program.input.colour)


def _shown(
    progress: Callable[[int, int], None], number: int, count: int, done: int, total: int
) -> None:
    progress(number * total + done, count * total)


def _check_output(program: Program, picture: Picture) -> None:
    """InputError if the network would make more pixels than we hold."""
    if program.locality is None:
        return
    axes = (program.locality.rows, program.locality.columns)
    rows, columns = (n * axis.enlarge // axis.reduce for n, axis in zip(picture.size, axes))
    if rows * columns > MAX_PIXELS:
        raise InputError(_too_large("the network's picture", (rows, columns)))


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    alpha = picture.alpha and picture.alpha.resize(size, BICUBIC)
    return Picture(picture.image.resize(size, BICUBIC), alpha)
