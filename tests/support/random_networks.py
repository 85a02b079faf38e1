"""Small random networks for whole-device tests: wide kernels, strides, odd sizes, odd channels.

The same seed gives the same network. Every network fits the ``tiny`` board.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from support.random_graphs import GraphBuilder
from winogen.network.graph import Graph

MAX_CHANNELS = 20
MAX_SIDE = 13
#: Largest side of any activation: keeps the slow, instruction by instruction machine bearable.
_LARGEST = 26
ACTIVATIONS = ("relu", "leaky_relu", "prelu", "clamp", "tanh", "sigmoid")


def random_network(seed: int, rng: Any = None) -> Graph:
    """One to four layers of any operation, with batch-norm and activations strewn in.

    ``rng`` chooses layers and sizes: by default the seed does, as it does the parameters' values.
    """
    rng = rng or np.random.default_rng((seed, 77))
    latent = rng.random() < 0.4
    side = (1, 1) if latent else (_side(rng), _side(rng))
    b = GraphBuilder(seed, (_channels(rng), *side), "latent" if latent else "image")
    if latent and rng.random() < 0.5:
        b.linear((_channels(rng), *(int(n) for n in rng.integers(1, 8, 2))), _coin(rng))
        _decorate(b, rng)
    for _ in range(int(rng.integers(1, 5))):
        _LAYERS[int(rng.integers(len(_LAYERS)))](b, rng)
        _decorate(b, rng)
    is_image = rng.random() < 0.4
    if is_image:
        b.activation(str(rng.choice(["tanh", "sigmoid", "clamp"])))
    return b.graph(f"random-{seed}", (-1.0, 1.0) if is_image else None)


def random_deconv(
    b: GraphBuilder, rng: Any, kernel: tuple[int, int], stride: tuple[int, int]
) -> None:
    """A deconvolution with random crops (negative ones too) whose output is not empty."""
    crop: list[int] = []
    for n, k, s in zip(b.shapes[b.last][1:], kernel, stride):
        full = (n - 1) * s + k
        before = int(rng.integers(-1, max(0, min(k, full) - 1) + 1))
        after = int(rng.integers(-1, max(0, min(k, full - before) - 1) + 1))
        crop += [before, after]
    b.deconv(_channels(rng), kernel, stride, tuple(crop), _coin(rng))


def _channels(rng: Any) -> int:
    return int(rng.integers(1, MAX_CHANNELS + 1))


def _side(rng: Any) -> int:
    return int(rng.integers(1, MAX_SIDE + 1))


def _coin(rng: Any, chance: float = 0.5) -> bool:
    return bool(rng.random() < chance)


def _decorate(b: GraphBuilder, rng: Any) -> None:
    """Batch-norm and an activation, in either order, or neither."""
    steps = [b.batchnorm] if _coin(rng, 0.4) else []
    if _coin(rng, 0.7):
        steps.insert(int(rng.integers(len(steps) + 1)), lambda: b.activation(_activation(rng)))
    for step in steps:
        step()


def _activation(rng: Any) -> str:
    return str(rng.choice(ACTIVATIONS))


def _conv(b: GraphBuilder, rng: Any) -> None:
    kernel, pad = [], []
    for n in b.shapes[b.last][1:]:
        k = int(rng.integers(1, 10))
        before, after = (int(p) for p in rng.integers(0, k // 2 + 2, 2))
        kernel.append(min(k, n + before + after))
        pad += [before, after]
    stride = tuple(int(s) for s in rng.integers(1, 5, 2)) if _coin(rng) else (1, 1)
    b.conv(_channels(rng), tuple(kernel), stride, tuple(pad), _coin(rng))


def _deconv(b: GraphBuilder, rng: Any) -> None:
    kernel = tuple(int(k) for k in rng.integers(1, 10, 2))
    stride = tuple(int(rng.integers(1, max(1, min(4, _LARGEST // n)) + 1))
                   for n in b.shapes[b.last][1:])  # fmt: skip
    random_deconv(b, rng, kernel, stride)


def _upsample(b: GraphBuilder, rng: Any) -> None:
    if max(b.shapes[b.last][1:]) * 2 > _LARGEST:
        _conv(b, rng)
        return
    b.add("upsample", factor=2 if _coin(rng, 0.7) else 1)
    if _coin(rng, 0.7):
        b.conv(_channels(rng), 3, 1, 1, _coin(rng))


def _join(b: GraphBuilder, rng: Any) -> None:
    """A residual add or a concat of the last value with something computed from it."""
    first = b.last
    op = str(rng.choice(["add", "concat"]))
    second = b.conv(b.channels() if op == "add" else _channels(rng), 3)
    if _coin(rng):
        second = b.activation(_activation(rng))
    b.add(op, first, second)


_LAYERS = (_conv, _deconv, _deconv, _upsample, _join)
