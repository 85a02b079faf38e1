"""What the integers of a tensor stand for, and the inputs that a network expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import InputError
from winogen.network.graph import InputPart, InputSpec
from winogen.program.inputs import join_inputs
from winogen.target.numerics import int_range

#: Normal latents are quantised over +-4.5 standard deviations.
LATENT_SIGMAS = 4.5
#: Most values, as a share of all, that may be beyond the reach of a distribution.
MAX_CLIPPED = 0.01


@dataclass(frozen=True)
class TensorFormat:
    """What the integers of a tensor stand for: ``real = (q - zero_point) * scale``."""

    scale: float
    zero_point: float = 0.0

    def quantise(self, x: NDArray, data_width: int) -> NDArray[np.int64]:
        """Nearest integers of real values, rounding half up, saturated to the data width."""
        with np.errstate(over="ignore"):  # what overflows saturates
            q = np.floor(np.asarray(x, np.float64) / self.scale + self.zero_point + 0.5)
        return np.clip(q, *int_range(data_width)).astype(np.int64)

    def dequantise(self, q: NDArray) -> NDArray[np.float32]:
        """Real values of integers."""
        return ((q.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)


def as_batch(spec: InputSpec, x: NDArray | Mapping[str, ArrayLike], what: str) -> NDArray:
    """``x`` as (N, C, H, W), from (N, latent) or named inputs too; InputError for other shapes."""
    x = join_inputs(spec, x) if isinstance(x, Mapping) else np.asarray(x)
    if x.ndim == 2 and spec.shape[1:] == (1, 1):
        x = x[:, :, None, None]
    if x.ndim != 4 or x.shape[1:] != spec.shape:
        expected = ", ".join(map(str, spec.shape))
        raise InputError(f"the {what} have shape {x.shape}, expected (N, {expected})")
    return x


def input_bits(spec: InputSpec, data_width: int) -> int:
    """Bits of an input integer: a scale that the model was trained with belongs to 8 bits."""
    return data_width if spec.scale is None else 8


def expected_bounds(spec: InputSpec) -> tuple[float, float]:
    """Least and greatest value that a network expects of its inputs."""
    if spec.scale is not None:
        low, high = int_range(input_bits(spec, 8))
        return low * spec.scale, high * spec.scale
    if spec.distribution == "normal":
        return -LATENT_SIGMAS, LATENT_SIGMAS
    return (-1.0, 1.0) if spec.kind == "latent" else spec.range or (0.0, 1.0)


def tolerated_bounds(spec: InputSpec) -> tuple[float, float]:
    """The same with a hundredth of the range, which is not worth a word."""
    low, high = expected_bounds(spec)
    slack = 0.01 * max(-low, high)
    return low - slack, high + slack


def beyond_bounds(
    spec: InputSpec, x: NDArray, what: str, extremes: tuple[float, float] | None = None
) -> str | None:
    """A sentence on inputs ``what`` that are beyond what a network expects; None if they are not.

    ``extremes`` are the least and the greatest of them, where they are known. A hundredth of the
    range is not worth one, nor is a hundredth of the values where they are of a distribution
    without an end.
    """
    low, high = expected_bounds(spec)
    lowest, highest = tolerated_bounds(spec)
    least, most = extremes or (float(x.min()), float(x.max()))
    if lowest <= least and most <= highest:
        return None
    share = float(np.mean((x < lowest) | (x > highest)))
    bounded = spec.kind == "image" and spec.distribution == "uniform" and spec.scale is None
    if not bounded and share <= MAX_CLIPPED:
        return None
    part = f"of the {what}, {100 * share:.3g}% are beyond"
    reach = f"they reach from {least:.4g} to {most:.4g}"
    if spec.scale is not None:
        return f"{part} the {low:g} to {high:g} that the network was trained for: {reach}"
    if spec.kind == "latent":
        return (
            f"{part} the {high:g} that {spec.distribution} latents reach; draw them from a "
            "standard normal distribution, or from -1 to 1 and say --latents uniform"
        )
    if not bounded:
        return (
            f"{part} the {high:g} that normal inputs reach: {reach}; scale them, or compile with "
            "--input-range and the least and the greatest that there are"
        )
    return (
        f"{part} the network's input range of {low:g} to {high:g}: {reach}; scale them, or compile "
        "with --input-range and what black and white are"
    )


def sample_inputs(spec: InputSpec, count: int, seed: int) -> NDArray[np.float32]:
    """Reproducible inputs (count, C, H, W) as the network expects them; images are noise with
    the spectrum and the edges of photographs."""
    rng = np.random.default_rng(seed)
    if spec.parts:
        drawn = {part.name: _drawn(rng, spec, part, count) for part in spec.parts}
        return join_inputs(spec, drawn)
    if spec.distribution == "normal":
        return rng.standard_normal((count, *spec.shape)).astype(np.float32)
    if spec.kind == "latent":
        return rng.uniform(-1, 1, (count, *spec.shape)).astype(np.float32)
    low, high = spec.range or (0, 1)
    return (low + (high - low) * _scenes(rng, count, spec.shape)).astype(np.float32)


def _drawn(
    rng: np.random.Generator, spec: InputSpec, part: InputPart, count: int
) -> NDArray[np.generic]:
    if part.kind == "label":
        return rng.integers(0, part.channels, count)
    if part.kind == "latent":
        if spec.distribution == "uniform":
            return rng.uniform(-1, 1, (count, part.channels)).astype(np.float32)
        return rng.standard_normal((count, part.channels)).astype(np.float32)
    low, high = spec.range or (0, 1)
    shape = (part.channels, *spec.shape[1:])
    return (low + (high - low) * _scenes(rng, count, shape)).astype(np.float32)


def _scenes(
    rng: np.random.Generator, count: int, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Images in [0, 1] like photographs to a network: smooth surfaces, and edges where one ends."""
    front, back, outline = (_smooth_noise(rng, count, shape) for _ in range(3))
    return np.where(outline > np.median(outline, axis=(2, 3), keepdims=True), front, back)


def _smooth_noise(
    rng: np.random.Generator, count: int, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Images in [0, 1] whose spectrum falls like a photograph's (1/f)."""
    _, rows, columns = shape
    fy, fx = np.meshgrid(np.fft.fftfreq(rows), np.fft.rfftfreq(columns), indexing="ij")
    weight = 1 / np.maximum(np.hypot(fy, fx), 1 / max(rows, columns, 2))
    noise = np.fft.rfft2(rng.standard_normal((count, *shape)))
    images = np.fft.irfft2(noise * weight, s=(rows, columns))
    low = images.min(axis=(2, 3), keepdims=True)
    high = images.max(axis=(2, 3), keepdims=True)
    return ((images - low) / np.maximum(high - low, 1e-9)).astype(np.float32)
