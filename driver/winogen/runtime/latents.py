"""Ways through the space of latents: between seeds, along directions, nearer to the middle.

All of it is done where latents are normal: there, a mean of two is shorter than either, and no
image looks like it, so that ways go round the sphere. Latents that are uniform are taken there by
their quantiles, and back. Labels are mixed in shares, of which each is the weight of a class.
Everything is plain arithmetic on (N, C) arrays, the same bits on every machine that has the same
numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError
from winogen.network.graph import InputSpec
from winogen.program.formats import sample_inputs

Array = NDArray[np.float64]
Latents = NDArray[np.float32]

#: Steps along a direction, in standard deviations, to the edge of a grid.
REACH = 3.0
#: Frames from one seed to the next.
STEPS = 24
#: Quantiles nearer to 0 or 1 would be infinitely far out.
_LEAST_QUANTILE = 1e-12

_NORMAL = NormalDist()
_cdf = np.vectorize(_NORMAL.cdf, otypes=[np.float64])
_inverse = np.vectorize(_NORMAL.inv_cdf, otypes=[np.float64])


@dataclass(frozen=True)
class LatentSpace:
    """Which channels of a network's inputs are latents, and how these are distributed.

    Attributes
    ----------
    channels : of an input
    latents : the channels (a boolean each) that are drawn; the others are labels
    uniform : they are drawn from -1 to 1, and not from a normal distribution
    """

    channels: int
    latents: NDArray[np.bool_]
    uniform: bool

    @classmethod
    def of(cls, name: str, spec: InputSpec) -> LatentSpace:
        """That of network ``name``; InputError where there is nothing to walk in."""
        if spec.kind != "latent" or spec.shape[1:] != (1, 1):
            raise InputError(
                f"network '{name}' takes pictures: there are no latents between which to go"
            )
        latents = np.ones(spec.shape[0], bool)
        first = 0
        for part in spec.parts:
            latents[first : first + part.channels] = part.kind == "latent"
            first += part.channels
        if not latents.any():
            raise InputError(f"network '{name}' takes labels alone: there are no latents")
        return cls(spec.shape[0], latents, spec.distribution == "uniform")

    def normal(self, z: NDArray) -> Array:
        """The latents (N, n) of inputs (N, C), where they are normal."""
        own = np.asarray(z, np.float64)[:, self.latents]
        if not self.uniform:
            return own
        share = np.clip((own + 1) / 2, _LEAST_QUANTILE, 1 - _LEAST_QUANTILE)
        return _inverse(share)

    def inputs(self, normal: Array, others: Array) -> Latents:
        """Inputs (N, C) of normal latents (N, n) and all other channels (N, C - n)."""
        out = np.empty((len(normal), self.channels), np.float32)
        out[:, self.latents] = 2 * _cdf(normal) - 1 if self.uniform else normal
        out[:, ~self.latents] = others
        return out

    def others(self, z: NDArray) -> Array:
        """The channels (N, C - n) of inputs (N, C) that are no latents."""
        return np.asarray(z, np.float64)[:, ~self.latents]


def inputs_of(spec: InputSpec, count: int, seed: int) -> NDArray[np.float32]:
    """``count`` reproducible inputs: (N, latent), or (N, C, H, W) of images."""
    if count < 1:
        raise InputError(f"the number of images must be at least 1, not {count}")
    if seed < 0:
        raise InputError(f"a seed must not be negative, not {seed}")
    inputs = sample_inputs(spec, count, seed)
    return inputs.reshape(count, -1) if spec.kind == "latent" else inputs


def slerp(a: Array, b: Array, share: float) -> Array:
    """The point between normal latents (N, n) on the great circle from ``a`` to ``b``.

    ``share`` is 0 at ``a`` and 1 at ``b``. Lengths are interpolated too. Between opposite
    directions, and from or to nothing, it goes straight.
    """
    lengths = [np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b)]
    units = [v / np.maximum(n, np.finfo(np.float64).tiny) for v, n in zip((a, b), lengths)]
    cosine = np.clip(np.sum(units[0] * units[1], axis=1, keepdims=True), -1, 1)
    angle = np.arccos(cosine)
    sine = np.sin(angle)
    straight = (sine < 1e-6) | (np.minimum(*lengths) == 0)
    safe = np.where(straight, 1, sine)
    first = np.where(straight, 1 - share, np.sin((1 - share) * angle) / safe)
    second = np.where(straight, share, np.sin(share * angle) / safe)
    length = (1 - share) * lengths[0] + share * lengths[1]
    round_ = length * (first * units[0] + second * units[1])
    return np.where(straight, (1 - share) * a + share * b, round_)


def walk(
    space: LatentSpace, keys: Sequence[NDArray], steps: int = STEPS, *, loop: bool = True
) -> Iterator[Latents]:
    """Inputs (N, C) of every frame of a walk from one of ``keys`` (N, C each) to the next.

    Each begins a leg of ``steps`` frames, of which the first are the key itself, bit for bit. With
    ``loop`` the last leg leads back to the first key, which is not repeated: the end joins the
    beginning. Without, the last key is the last frame.
    """
    if steps < 1:
        raise InputError(f"there must be at least 1 step from a seed to the next, not {steps}")
    if not keys:
        raise InputError("a walk needs a seed to begin at")
    ends = [*keys[1:], keys[0]] if loop else keys[1:]
    for key, end in zip(keys, ends):
        pair = (space.normal(key), space.normal(end))
        mixed = (space.others(key), space.others(end))
        yield np.asarray(key, np.float32)
        for step in range(1, steps):
            share = step / steps
            labels = (1 - share) * mixed[0] + share * mixed[1]
            yield space.inputs(slerp(*pair, share), labels)
    if not loop:
        yield np.asarray(keys[-1], np.float32)


def frames_of(keys: int, steps: int, *, loop: bool = True) -> int:
    """How many frames :func:`walk` makes."""
    return keys * steps if loop else (keys - 1) * steps + 1


def moved(space: LatentSpace, z: NDArray, directions: NDArray, amounts: NDArray) -> Latents:
    """Inputs (N, C), each moved by ``amounts`` (N, k) along ``directions`` (k, n) of unit length.

    Amounts are in standard deviations of a latent. What is not moved stays the same bits.
    """
    shift = np.asarray(amounts, np.float64) @ np.asarray(directions, np.float64)
    made = space.inputs(space.normal(z) + shift, space.others(z))
    still = ~np.any(shift, axis=1)
    made[still] = np.asarray(z, np.float32)[still]
    return made


def grid(
    space: LatentSpace,
    centre: NDArray,
    directions: NDArray,
    size: tuple[int, int],
    reach: float = REACH,
) -> Latents:
    """Inputs (rows * columns, C) around ``centre`` (1, C), row by row.

    ``directions`` (2, n) lead down and to the right, from -``reach`` to ``reach`` standard
    deviations; a single row or column stays in the middle.
    """
    rows, columns = (np.linspace(-reach, reach, n) if n > 1 else np.zeros(1) for n in size)
    down, right = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    many = np.repeat(centre, len(down), axis=0)
    return moved(space, many, directions[:2], np.stack([down, right], axis=1))


def drawn_directions(space: LatentSpace, count: int, seed: int) -> Array:
    """Directions (count, n) of unit length at right angles, drawn by a seed.

    For networks whose weights are not at hand. ``count`` is at most the number of latents.
    """
    n = int(space.latents.sum())
    drawn = np.random.default_rng(seed).standard_normal((n, min(count, n)))
    q, r = np.linalg.qr(drawn)
    return (q * np.sign(np.where(np.diag(r) == 0, 1, np.diag(r)))).T


def truncated(space: LatentSpace, z: NDArray, limit: float) -> Latents:
    """Inputs (N, C) whose latents lie within -``limit`` to ``limit``, drawn again by quantile.

    That is the truncation trick: fewer rare images, and less variety. Normal latents become those
    of a normal distribution that is cut off there, uniform ones those of a narrower uniform one.
    The order of values stays, so that a walk stays one.
    """
    if not limit > 0 or not math.isfinite(limit):
        raise InputError(f"latents can be truncated to a positive number, not {limit}")
    if space.uniform:
        own = np.asarray(z, np.float64)[:, space.latents] * min(limit, 1.0)
    else:
        low, high = _NORMAL.cdf(-limit), _NORMAL.cdf(limit)
        share = low + _cdf(space.normal(z)) * (high - low)
        quantile = np.clip(share, _LEAST_QUANTILE, 1 - _LEAST_QUANTILE)
        own = np.clip(_inverse(quantile), -limit, limit)
    out = np.array(z, np.float32)
    out[:, space.latents] = own
    return out


def flat(frames: Iterable[NDArray], at_once: int) -> Iterator[NDArray]:
    """Arrays along their first axis, joined to at least ``at_once``; the last may be fewer."""
    held: list[NDArray] = []
    for frame in frames:
        held.append(frame)
        if sum(map(len, held)) >= at_once:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
