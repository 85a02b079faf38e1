"""A program that is served: what may be asked of it, and how that becomes inputs."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError
from winogen.network.directions import principal_directions
from winogen.network.graph import Graph, check_exit
from winogen.profiling.profile import Profile
from winogen.program.file import Program
from winogen.program.inputs import picture_channels, with_labels
from winogen.program.speed import speed
from winogen.runtime import latents
from winogen.runtime.generator import Generator
from winogen.runtime.latents import LatentSpace
from winogen.runtime.maker import Maker
from winogen.runtime.pictures import check_takes_pictures
from winogen.service.apart import ApartGenerator
from winogen.service.limits import Limits

#: Directions that there are sliders for, at most.
MOST_DIRECTIONS = 16
#: Furthest that a slider goes, in standard deviations.
MOST_AMOUNT = 10.0
#: Seconds over which the measured speed is taken.
_SPEED_SECONDS = 30.0
#: Rounds of the device are at most so many of its batches: what waits has its turn soon.
_BATCHES = 2


class Key(NamedTuple):
    """What calls that share a batch agree in."""

    exit: int
    as_float: bool


class Directions(NamedTuple):
    """Directions (k, n) of sliders, and where they come from, in words."""

    vectors: NDArray[np.float64]
    principal: bool
    told: str


class Last(NamedTuple):
    """The last round of the device: its inputs, and to which exit."""

    rows: NDArray
    exit: int
    number: int


@dataclass(frozen=True)
class Speeds:
    """Images a second: predicted for the board, and measured here of late (None: nothing was)."""

    predicted: float
    measured: float | None


class Hosted:
    """A program on a device, under a name.

    Parameters
    ----------
    name : of the program in addresses
    generator : runs it; only the dispatcher's thread may let it
    graph : the network that it was compiled from, for its directions, or None
    """

    def __init__(self, name: str, generator: Maker, graph: Graph | None, limits: Limits):
        self.name = name
        self.generator = generator
        self.limits = limits
        self.program = generator.program
        self.space = _space(self.program)
        self.takes_pictures = _takes_pictures(self.program)
        self.directions = _directions(self.program, self.space, graph)
        self.labels = [part for part in self.program.input.parts if part.kind == "label"]
        self.makes_pictures = self.program.output_range is not None and self.program.output_shape[
            0
        ] in (1, 3)
        self.last: Last | None = None
        self._profile: tuple[int, Profile] | None = None
        self._rounds: deque[tuple[float, int, float]] = deque(maxlen=256)

    # --- what the dispatcher calls ---------------------------------------------------------------

    def capacity(self, key: Key) -> int:
        """Images of a round."""
        batch = self.generator.program.at_exit(key.exit).streams[-1].batch
        return _BATCHES * batch * self.generator.parallel

    def run(self, key: Key, rows: NDArray) -> NDArray:
        """What the network makes of inputs (N, C) or (N, C, H, W)."""
        begin = time.monotonic()
        out = self.generator.generate(rows, as_float=key.as_float, exit=key.exit)
        end = time.monotonic()
        self._rounds.append((end, len(rows), end - begin))
        number = self.last.number + 1 if self.last else 1
        batch = self.program.at_exit(key.exit).streams[-1].batch
        self.last = Last(rows[:batch], key.exit, number)
        return out

    def profile(self) -> Profile:
        """Where the time of the last round's first batch goes.

        InputError before the first, and where there are several devices.
        """
        if not isinstance(self.generator, (Generator, ApartGenerator)):
            raise InputError("a timeline is of one device, and here several share the work")
        if self.last is None:
            raise InputError(f"program '{self.name}' has made nothing yet: there is no last run")
        if self._profile is None or self._profile[0] != self.last.number:
            last = self.last
            _, profile = self.generator.generate(last.rows, exit=last.exit, profile=True)
            self._profile = last.number, profile
        return self._profile[1]

    # --- what requests ask -----------------------------------------------------------------------

    def speeds(self) -> Speeds:
        """How fast it is."""
        since = time.monotonic() - _SPEED_SECONDS
        recent = [(n, s) for end, n, s in tuple(self._rounds) if end > since]
        seconds = sum(s for _, s in recent)
        measured = sum(n for n, _ in recent) / seconds if seconds else None
        return Speeds(speed(self.program, self.program.streams[-1]).overlapped, measured)

    def exit(self, number: int | None) -> int:
        """An exit by its number, or the whole network; InputError for one that is none."""
        if number is None:
            return self.program.exit_count
        check_exit(self.name, number, self.program.exit_count)
        return number

    def seeded(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Inputs of seeds: of each the first that ``Generator.latents(1, seed)`` draws."""
        return np.concatenate([self.generator.latents(1, seed) for seed in seeds])

    def given(self, values: Any) -> NDArray[np.float32]:
        """Latents as a request brings them, (N, C) or (N, C, H, W); InputError for others."""
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            raise InputError(f"inputs of program '{self.name}' must be numbers")
        with np.errstate(over="ignore"):  # what overflows is refused below
            rows = array.astype(np.float32)
        channels, height, width = self.program.input_shape
        shapes = [(channels, height, width), *([(channels,)] if height == width == 1 else [])]
        if rows.ndim < 2 or rows.shape[1:] not in shapes or not len(rows):
            raise InputError(
                f"inputs of program '{self.name}' have shape {rows.shape}, expected (N, "
                f"{', '.join(map(str, shapes[-1]))})"
            )
        if not np.isfinite(rows).all():
            raise InputError(f"inputs of program '{self.name}' hold NaN or infinity")
        return rows.reshape(len(rows), -1) if len(shapes) == 2 else rows

    def moved(self, z: NDArray, amounts: Sequence[float]) -> NDArray[np.float32]:
        """Inputs, each moved along the first directions by these standard deviations."""
        if self.space is None or self.directions is None:
            raise InputError(f"program '{self.name}' has no latents to move")
        if len(amounts) > len(self.directions.vectors):
            raise InputError(
                f"program '{self.name}' has {len(self.directions.vectors)} directions, not "
                f"{len(amounts)}"
            )
        vectors = self.directions.vectors[: len(amounts)]
        return latents.moved(self.space, z, vectors, np.tile(amounts, (len(z), 1)))

    def truncated(self, z: NDArray, limit: float) -> NDArray[np.float32]:
        """Inputs whose latents lie within a limit."""
        if self.space is None:
            raise InputError(f"program '{self.name}' has no latents to truncate")
        return latents.truncated(self.space, z, limit)

    def labelled(self, z: NDArray, labels: Sequence[str | int]) -> NDArray[np.float32]:
        """Inputs with these labels, which take turns."""
        return with_labels(self.program.input, z, labels)

    def walk(self, keys: NDArray, steps: int, *, loop: bool) -> NDArray[np.float32]:
        """Inputs of a walk from one key to the next."""
        if self.space is None:
            raise InputError(f"program '{self.name}' has no latents between which to go")
        each = [key[None] for key in keys]
        return np.concatenate(list(latents.walk(self.space, each, steps, loop=loop)))

    def described(self) -> dict[str, Any]:
        """The program, for machines."""
        program, speeds = self.program, self.speeds()
        return {
            "name": self.name,
            "network": program.name,
            "board": program.board.name,
            "data_width": program.data_width,
            "input": {
                "kind": program.input.kind,
                "shape": list(program.input_shape),
                "distribution": program.input.distribution,
                "parts": [
                    {
                        "name": part.name,
                        "kind": part.kind,
                        "channels": part.channels,
                        "classes": list(part.classes),
                    }
                    for part in program.input.parts
                ],
            },
            "output": {"shape": list(program.output_shape), "picture": self.makes_pictures},
            "takes_latents": self.space is not None,
            "takes_pictures": self.takes_pictures,
            "directions": len(self.directions.vectors) if self.directions else 0,
            "directions_are": self.directions.told if self.directions else None,
            "exits": program.exit_count,
            "batch": program.streams[-1].batch,
            "images_per_second": {
                "predicted": speeds.predicted,
                "measured": speeds.measured,
            },
        }


def names_of(models: Sequence[str]) -> list[str]:
    """A name in addresses for each model: what its file or folder is called, made different."""
    names: list[str] = []
    for model in models:
        stem = re.split(r"[/\\]", model.rstrip("/\\"))[-1]
        stem = re.sub(r"\.(wg|onnx|npz|pth|pt|safetensors)$", "", stem)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "program"
        unique, number = name, 2
        while unique in names:
            unique, number = f"{name}-{number}", number + 1
        names.append(unique)
    return names


def _space(program: Program) -> LatentSpace | None:
    try:
        return LatentSpace.of(program.name, program.input)
    except InputError:
        return None


def _takes_pictures(program: Program) -> bool:
    try:
        check_takes_pictures(
            program.name, program.input, program.output_shape[0], program.output_range
        )
    except InputError:
        return False
    return not program.input.parts and picture_channels(program.input) in (1, 3)


def _directions(
    program: Program, space: LatentSpace | None, graph: Graph | None
) -> Directions | None:
    """The directions of the sliders: the principal ones where the weights are at hand."""
    if space is None:
        return None
    found = principal_directions(graph, MOST_DIRECTIONS) if graph is not None else None
    if found is not None:
        return Directions(
            found, True, "those that change the first layer the most, found from its weights"
        )
    drawn = latents.drawn_directions(space, MOST_DIRECTIONS, seed=0)
    why = (
        "a program file does not hold the first layer's weights as they were: serve the model for "
        "its principal ones"
        if graph is None
        else "the first layer is no linear map of the latents"
    )
    return Directions(drawn, False, f"drawn at right angles, as {why}")
