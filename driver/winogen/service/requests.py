"""What a request for images may say, checked before anything is done for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winogen.common.errors import InputError
from winogen.common.text import printable
from winogen.service.hosted import MOST_AMOUNT, Hosted

#: Seeds are what numpy takes for them, and a JSON number holds exactly.
MOST_SEED = 2**53 - 1
MOST_SCALE = 16
MOST_STEPS = 240
MOST_RATE = 60
_MOST_LISTED = 100_000

Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Amount = Annotated[float, Field(ge=-MOST_AMOUNT, le=MOST_AMOUNT, allow_inf_nan=False)]
Label = Annotated[int, Field(ge=0, le=10**6)] | Annotated[str, Field(max_length=100)]
Format = Literal["png", "webp", "gif", "npy"]


class Walk(BaseModel):
    """From the image of one seed to those of the others."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(
        default=24, ge=1, le=MOST_STEPS, description="frames from one seed to the next"
    )
    loop: bool = Field(default=True, description="and back to the first seed")
    fps: int = Field(default=25, ge=1, le=MOST_RATE, description="frames a second of a WebP or GIF")


class Generate(BaseModel):
    """Images of seeds or of latents; one of the two is given."""

    model_config = ConfigDict(extra="forbid")

    seeds: list[Seed] | None = Field(
        default=None, min_length=1, max_length=_MOST_LISTED, description="an image of each"
    )
    latents: list[Any] | None = Field(
        default=None, min_length=1, description="inputs of the network (N, C) or (N, C, H, W)"
    )
    labels: list[Label] | None = Field(default=None, min_length=1, max_length=_MOST_LISTED,
        description="of a conditional program: numbers or names, which take turns",
    )  # fmt: skip
    moves: list[Amount] | None = Field(default=None, max_length=64,
        description="how far to go along the first directions, in standard deviations",
    )  # fmt: skip
    truncate: float | None = Field(default=None, gt=0, le=MOST_AMOUNT, allow_inf_nan=False,
        description="keep latents within so many standard deviations",
    )  # fmt: skip
    walk: Walk | None = Field(
        default=None, description="frames between the seeds, instead of their images"
    )
    format: Format = Field(
        default="png", description="png: a sheet; webp, gif: moving where it is a walk"
    )
    scale: int = Field(default=1, ge=1, le=MOST_SCALE, description="enlarge every pixel")
    columns: int | None = Field(default=None, ge=1, le=1000, description="of the sheet")
    exit: int | None = Field(default=None, ge=1, le=1000, description="how far to run the network")
    as_float: bool = Field(default=False, description="real values, as npy")
    deadline_ms: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        allow_inf_nan=False,
        description="from the arrival to the answer",
    )


def read_generate(data: bytes) -> Generate:
    """A request's body; InputError that says in a sentence what is wrong with it."""
    try:
        return Generate.model_validate_json(data)
    except ValidationError as error:
        raise InputError(_told(error)) from None


def read_query(pairs: Sequence[tuple[str, str]]) -> Generate:
    """The same from the words of an address: ``seed`` and ``label`` may come several times.

    ``n`` stands for as many seeds from the (only) seed on.
    """
    values: dict[str, Any] = {}
    lists: dict[str, list[str]] = {"seed": [], "label": []}
    for name, text in pairs:
        if name in lists:
            lists[name].append(text)
        elif name in values:
            raise InputError(f"'{_shown(name)}' is given twice")
        elif name in ("format", "scale", "columns", "exit", "truncate", "deadline_ms", "n"):
            values[name] = text
        else:
            raise InputError(f"there is no parameter '{_shown(name)}': see /openapi.json")
    number = values.pop("n", None)
    seeds: list[Any] = list(lists["seed"]) or ["0"]
    if number is not None:
        if len(seeds) > 1 or not str(number).isascii() or not str(number).isdigit():
            raise InputError("'n' is a number of images, beside one seed")
        if not (0 < len(str(number)) < 7 and 1 <= int(number) <= _MOST_LISTED):
            raise InputError(f"'n' is 1 to {_MOST_LISTED:,}")
        if not seeds[0].isascii() or not seeds[0].isdigit() or len(seeds[0]) > 16:
            raise InputError("a seed is a whole number from 0 on")
        seeds = list(range(int(seeds[0]), int(seeds[0]) + int(number)))
    values["seeds"] = seeds
    if lists["label"]:
        values["labels"] = lists["label"]
    return checked(values)


def checked(values: Mapping[str, Any]) -> Generate:
    """A request of values; InputError as :func:`read_generate`."""
    try:
        return Generate.model_validate(values)
    except ValidationError as error:
        raise InputError(_told(error)) from None


def inputs_of(asked: Generate, hosted: Hosted, given: NDArray | None = None) -> NDArray[np.float32]:
    """The network's inputs that a request stands for; ``given`` are latents beside it.

    Raises InputError for what the program does not take, and for more than it may be.
    """
    most = hosted.limits.images
    sources = [asked.seeds, asked.latents, given]
    if sum(source is not None for source in sources) != 1:
        raise InputError("give seeds or latents, one of the two")
    count = next(len(source) for source in sources if source is not None)
    if count > most:
        raise InputError(f"a request may ask for {most:,} images, not {count:,}")
    if asked.walk:
        count = len_of_walk(count, asked.walk)
        if count > most:
            raise InputError(f"a walk of one request may have {most:,} frames, not {count:,}")
    _, rows, columns = hosted.program.output_shape
    if count * rows * columns * asked.scale**2 > hosted.limits.pixels:
        raise InputError(
            f"a request may ask for {hosted.limits.pixels:,} pixels, not for {count:,} images of "
            f"{columns * asked.scale} x {rows * asked.scale}"
        )
    if asked.seeds is not None:
        z = hosted.seeded(asked.seeds)
    else:
        z = hosted.given(_array(asked.latents) if given is None else given)
    if asked.labels is not None:
        z = hosted.labelled(z, asked.labels)
    if asked.moves:
        z = hosted.moved(z, asked.moves)
    if asked.walk:
        z = hosted.walk(z, asked.walk.steps, loop=asked.walk.loop)
    if asked.truncate is not None:
        z = hosted.truncated(z, asked.truncate)
    return z


def len_of_walk(keys: int, walk: Walk) -> int:
    """How many frames a walk between so many keys has."""
    return keys * walk.steps if walk.loop else (keys - 1) * walk.steps + 1


def _array(values: Any) -> NDArray:
    try:
        return np.array(values)
    except (ValueError, OverflowError):
        raise InputError("latents must be lists of numbers of one length") from None


def _told(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{_shown(where)}: {first['msg']}" if where else str(first["msg"])[:200]


def _shown(text: str) -> str:
    return printable(text.encode("ascii", "backslashreplace").decode())[:80]
