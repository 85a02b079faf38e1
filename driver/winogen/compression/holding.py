"""How a layer's weights are held: whole steps of a channel's own size, some of them zero or shared.

A weight w of output channel c becomes the integer that the accelerator multiplies by, times the
channel's step: plainly the nearest integer, or the nearest of a few values that the layer shares
(Han, Mao & Dally, *Deep Compression*, 2016, whose centroids are real numbers; here they are
integers, since the channel's step makes a real number of them). The gradient passes rounding as if
it were not there (Bengio, Léonard & Courville 2013), and reaches the step as Esser et al. (*Learned
step size quantization*, 2020) have it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from winogen.program.weights_file import coded_bytes

#: Rounds of k-means that find the first shared values.
_ROUNDS = 30


def through(exact: Tensor, smooth: Tensor) -> Tensor:
    """The values of ``exact`` with the gradient of ``smooth``."""
    return smooth + (exact - smooth).detach()


def round_half_up(x: Tensor) -> Tensor:
    """The nearest integers, as the hardware and the compiler round, with the gradient of x."""
    return through(torch.floor(x + 0.5), x)


class Holding(nn.Module):
    """The weights (cout, cin, kh, kw) of one layer, as real numbers and as integers.

    Attributes
    ----------
    weight : real numbers that training moves
    step : logarithm of the real value of one integer, (cout,)
    kept : 1 where there is a weight, 0 where it was pruned or never was
    levels : the largest integer

    ``compiled`` are the steps that the compiler takes. Training begins with them, but with coarser
    ones where ``levels`` of them do not reach the largest weight.
    """

    kept: Tensor

    def __init__(
        self,
        weight: NDArray[np.float64],
        levels: int,
        compiled: NDArray[np.float64] | None = None,
    ):
        super().__init__()
        self.levels = levels
        self.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float32))
        largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
        step = np.where(largest > 0, largest, 1.0) / levels
        if levels < 127:
            step = _best_step(weight, step, levels)
        if compiled is not None:
            reached = (largest > 0) & (largest < (levels + 0.5) * compiled)
            step = np.where(reached, compiled, np.maximum(step, compiled))
        self.step = nn.Parameter(torch.tensor(np.log(step), dtype=torch.float32))
        present = torch.tensor(weight != 0, dtype=torch.float32)
        self.register_buffer("kept", present)
        #: Weights that the layer has when none is pruned: a grouped convolution lacks some.
        self.present = int(present.sum())
        self._there = weight != 0
        self.shared: nn.Parameter | None = None

    def steps(self) -> Tensor:
        """The real value of one integer, (cout,) float64."""
        return torch.exp(self.step.double())

    def integers(self, like: torch.dtype) -> Tensor:
        """The integers that are multiplied by, with their gradient."""
        shape = (-1, 1, 1, 1)
        units = self.weight.to(like) / self.steps().to(like).reshape(shape)
        if self.shared is None:
            clipped = torch.clamp(units, -self.levels, self.levels)
            return round_half_up(clipped) * self.kept.to(like)
        values = round_half_up(torch.clamp(self.shared.to(like), -self.levels, self.levels))
        ordered, order = torch.sort(values.detach())
        between = (ordered[1:] + ordered[:-1]) / 2
        nearest = order[torch.bucketize(units.detach().contiguous(), between)]
        # Both the values and the weights that choose them follow the gradient.
        return through(values[nearest], values[nearest] + units) * self.kept.to(like)

    def prune(self, share: float, worth: Tensor) -> None:
        """Keep ``share`` of the weights: those of most magnitude times ``worth`` (cin,)."""
        with torch.no_grad():
            magnitude = self.weight.abs() * worth.to(self.weight.device).reshape(1, -1, 1, 1)
            magnitude = torch.where(self.kept > 0, magnitude, -1.0)
            count = max(round(share * self.present), 1)
            if count >= int(self.kept.sum()):
                return
            # Of equal ones, which integers often are, the first: no more than are asked for.
            order = torch.sort(magnitude.flatten(), descending=True, stable=True).indices
            kept = torch.zeros_like(order, dtype=self.kept.dtype)
            kept[order[:count]] = 1
            self.kept.copy_(kept.reshape(magnitude.shape))

    def share(self, count: int, seed: int) -> None:
        """From now on hold at most ``count`` different integers, 0 among them if any is pruned.

        The first ones are the centroids of k-means over the integers, or those integers themselves
        where they are no more.
        """
        with torch.no_grad():
            units = (self.weight / self.steps().float().reshape(-1, 1, 1, 1))[self.kept > 0]
            zero = bool((self.kept == 0).any())
            values = _few(units.cpu().numpy(), count - zero)
            if values is None:
                values = _centroids(units.cpu().numpy(), count - zero, seed)
        self.shared = nn.Parameter(torch.tensor(values, dtype=torch.float32).to(self.weight.device))

    def coded_bits(self) -> int:
        """Bits of the integers in a program file, of weights that the layer has."""
        with torch.no_grad():
            found = self.integers(torch.float32).cpu().numpy()[self._there]
        return 8 * coded_bytes(found.astype(np.int8)) if self.present else 0

    def bits(self) -> float:
        """Entropy of the integers, of all weights that the layer has when none is pruned."""
        with torch.no_grad():
            found = self.integers(torch.float32).flatten()
            values, counts = torch.unique(found, return_counts=True)
            counts = counts.double()
            counts[values == 0] -= found.numel() - self.present  # zeros that are nowhere stored
            counts = counts[counts > 0]
            share = counts / counts.sum()
            return float(-(counts * torch.log2(share)).sum())


def _best_step(
    weight: NDArray[np.float64], widest: NDArray[np.float64], levels: int
) -> NDArray[np.float64]:
    """The step of each channel with the least square error among some."""
    flat = weight.reshape(len(weight), -1)
    best, least = widest, np.full(len(weight), np.inf)
    for factor in np.linspace(0.4, 1.0, 25):
        step = (widest * factor)[:, None]
        held = np.clip(np.floor(flat / step + 0.5), -levels, levels) * step
        error = np.square(held - flat).sum(axis=1)
        best = np.where(error < least, step[:, 0], best)
        least = np.minimum(error, least)
    return best


def _few(values: NDArray[np.float32], count: int) -> NDArray[np.float64] | None:
    """The values, where they are integers and at most so many: those of trained weights are."""
    whole = np.floor(values + 0.5)
    found = np.unique(whole)
    if not 0 < len(found) <= count or np.abs(values - whole).max() > 1e-3:
        return None
    return found.astype(np.float64)


def _centroids(values: NDArray[np.float32], count: int, seed: int) -> NDArray[np.float64]:
    """Centroids of k-means in one dimension, from quantiles of the values."""
    if not len(values):  # of a layer that has no weights
        return np.zeros(count)
    rng = np.random.default_rng(seed)
    some = values if len(values) <= 50_000 else rng.choice(values, 50_000, replace=False)
    ordered = np.sort(some.astype(np.float64))
    # Half from how often values occur, half from how far they reach.
    ranks = np.quantile(ordered, (np.arange(count) + 0.5) / count)
    centres = (ranks + np.linspace(ordered[0], ordered[-1], count)) / 2
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(_ROUNDS):
        ends = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        edges = np.concatenate([[0], ends, [len(ordered)]])
        sizes = np.diff(edges)
        means = np.diff(total[edges]) / np.maximum(sizes, 1)
        centres = np.where(sizes > 0, means, centres)
    return centres
