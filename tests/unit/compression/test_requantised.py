"""The fused requantisation of students: values and gradients of the operations that it replaces."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression.holding import round_half_up
from winogen.compression.student import _Requantised


def plain(acc, positive, negative, low, high):
    out = round_half_up(acc * torch.where(acc.detach() < 0, negative, positive))
    inside = (out.detach() >= low) & (out.detach() <= high)
    return torch.where(inside, out, torch.minimum(torch.maximum(out.detach(), low), high))


@pytest.mark.parametrize("seed", range(5))
def test_values_and_gradients(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    acc = (300 * drawn(3, 5, 4, 6)).round()
    positive = drawn(1, 5, 1, 1).abs()
    negative = positive * drawn(1, 5, 1, 1)
    low, high = torch.full((1, 5, 1, 1), -128.0), torch.full((1, 5, 1, 1), 127.0)
    low[0, 2:] = 0.0
    grads = []
    weight = drawn(3, 5, 4, 6)
    for function in (plain, _Requantised.apply):
        given = [t.clone().requires_grad_() for t in (acc, positive, negative)]
        out = function(*given, low.double(), high.double())
        (out * weight).sum().backward()
        grads.append((out.detach(), *(t.grad for t in given)))
    for expected, found in zip(*grads):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
