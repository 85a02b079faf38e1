"""Weights as whole steps: pruned, shared, of few bits; their gradients."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression.holding import Holding


def weight(seed: int = 0, shape: tuple[int, ...] = (12, 10, 3, 3)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) * rng.uniform(0.1, 2.0, (shape[0], 1, 1, 1))


@pytest.mark.parametrize("levels", [127, 7])
def test_integers_are_the_nearest_within_the_levels(levels: int) -> None:
    w = weight()
    holding = Holding(w, levels)
    held = holding.integers(torch.float64).detach().numpy()
    step = holding.steps().detach().numpy().reshape(-1, 1, 1, 1)
    assert np.array_equal(held, np.round(held)) and np.abs(held).max() <= levels
    inside = np.abs(w) < levels * step
    assert np.abs(held * step - w)[inside].max() <= step.max() * 0.5001
    assert inside.mean() > 0.9


def test_few_levels_get_a_step_that_errs_least() -> None:
    w = weight()
    holding = Holding(w, 7)
    step = holding.steps().detach().numpy().reshape(-1, 1, 1, 1)
    widest = np.abs(w).max(axis=(1, 2, 3), keepdims=True) / 7

    def error(s: np.ndarray) -> float:
        return float(np.square(np.clip(np.round(w / s), -7, 7) * s - w).sum())

    assert error(step) < 0.9 * error(widest)


def test_pruning_keeps_the_weights_that_matter() -> None:
    w = weight()
    holding = Holding(w, 127)
    worth = torch.ones(10)
    worth[3] = 1e6
    holding.prune(0.2, worth)
    kept = holding.kept.numpy() > 0
    assert kept.sum() == round(0.2 * w.size)
    assert kept[:, 3].all()  # whatever is multiplied by much
    others = np.delete(np.arange(10), 3)
    assert (
        np.abs(w[:, others])[kept[:, others]].min()
        >= np.abs(w[:, others])[~kept[:, others]].max() - 1e-6
    )
    assert not holding.integers(torch.float32).detach().numpy()[~kept].any()
    holding.prune(0.9, worth)  # what is gone does not come back
    assert (holding.kept.numpy() > 0).sum() == kept.sum()


def test_of_equal_weights_no_more_are_kept_than_are_asked_for() -> None:
    """Weights that were integers before have few magnitudes."""
    w = np.random.default_rng(1).choice(np.array([-2.0, -1.0, 1.0, 2.0]), (4, 5, 3, 3))
    holding = Holding(w, 127)
    for share in (0.8, 0.55, 0.3):
        holding.prune(share, torch.ones(5))
        assert int(holding.kept.sum()) == round(share * w.size)
    kept = holding.kept.numpy() > 0
    assert np.abs(w[kept]).min() == 2  # the larger ones first


def test_what_a_grouped_convolution_lacks_is_never_counted() -> None:
    w = weight()
    w[:6, 5:] = w[6:, :5] = 0
    holding = Holding(w, 127)
    assert holding.present == w.size // 2
    holding.prune(0.5, torch.ones(10))
    assert int(holding.kept.sum()) == w.size // 4
    assert not holding.integers(torch.float32).detach().numpy()[:6, 5:].any()


@pytest.mark.parametrize("count", [2, 5, 16])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_at_most_so_many_values_are_shared(count: int, share: float) -> None:
    holding = Holding(weight(), 127)
    holding.prune(share, torch.ones(10))
    holding.share(count, 0)
    held = holding.integers(torch.float32).detach().numpy()
    assert len(np.unique(held)) <= count
    if share < 1:
        assert 0 in held
    units = (holding.weight / holding.steps().float().reshape(-1, 1, 1, 1)).detach().numpy()
    values = np.unique(np.round(holding.shared.detach().numpy()))
    nearest = np.abs(units[..., None] - values).min(axis=-1)
    kept = holding.kept.numpy() > 0
    np.testing.assert_allclose(np.abs(held - units)[kept], nearest[kept], atol=1e-4)


def test_shared_values_are_those_of_k_means() -> None:
    centres = np.array([-90.0, -40.0, 0.0, 30.0, 100.0])
    rng = np.random.default_rng(1)
    w = rng.choice(centres, (8, 40, 3, 3)) + rng.normal(0, 1.5, (8, 40, 3, 3))
    w[:, 0, 0, 0] = 127  # so that a step is 1
    holding = Holding(w, 127)
    holding.share(6, 0)
    found = np.sort(holding.shared.detach().numpy())
    assert all(np.abs(found - centre).min() < 3 for centre in centres)


def test_bits_are_the_entropy() -> None:
    w = np.zeros((4, 4, 1, 1))
    w[...] = np.array([127.0, 127.0, -127.0, 63.0]).reshape(1, 4, 1, 1)
    assert Holding(w, 127).bits() == pytest.approx(16 * 1.5)
    holding = Holding(w, 127)
    holding.prune(0.75, torch.ones(4))  # the four smallest go: 0 in the place of 63
    assert holding.bits() == pytest.approx(16 * 1.5)
    holding.prune(0.5, torch.ones(4))
    counts = np.unique(holding.integers(torch.float32).detach().numpy(), return_counts=True)[1]
    share = counts / 16
    assert holding.bits() == pytest.approx(-16 * float(np.sum(share * np.log2(share))))
    gone = w.copy()
    gone[:, 3] = 0  # never was there: three values in four weights each, none of them 0
    assert Holding(gone, 127).bits() == pytest.approx(12 * 0.9183, rel=1e-3)


@pytest.mark.parametrize("shared", [False, True])
def test_gradients_pass_rounding(shared: bool) -> None:
    holding = Holding(weight(), 127)
    holding.prune(0.5, torch.ones(10))
    if shared:
        holding.share(8, 0)
    held = holding.integers(torch.float32)
    held.sum().backward()
    kept = holding.kept
    steps = holding.steps().float().reshape(-1, 1, 1, 1)
    expected = kept / steps
    inside = (holding.weight.abs() / steps <= 126.9).float()
    torch.testing.assert_close(holding.weight.grad * inside, (expected * inside).detach())
    assert holding.step.grad.abs().max() > 0
    if shared:
        assert float(holding.shared.grad.sum()) == pytest.approx(float(kept.sum()), rel=1e-4)


def test_few_integers_stay_what_they_are_when_they_are_shared() -> None:
    """Those of weights that were shared and trained before, of which some more are pruned."""
    rng = np.random.default_rng(0)
    values = np.array([-90, -31, -30, -2, 0, 5, 40, 41])
    units = rng.choice(values, (6, 5, 3, 3))
    steps = np.full(6, 0.013)
    holding = Holding(units * steps[0], 127, steps)
    holding.prune(0.9, torch.ones(5))
    before = holding.integers(torch.float32).detach()
    holding.share(8, 0)
    assert torch.equal(holding.integers(torch.float32), before)
    assert set(before.unique().tolist()) <= set(values.tolist())
