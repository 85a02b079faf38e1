"""Figures that follow from a suite's results: ratios of modes, energies, what stands beside the
published ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from winogen.bench.energy import (
    Estimate,
    Technology,
    energy_ratio,
    estimate,
    image_energy,
    technologies,
    terms,
)
from winogen.bench.measure import RTL, LayerRun, Run
from winogen.bench.published import Published, figures
from winogen.bench.suite import AUTO, SINGLE, Network, Results

#: Modes by the names that the suite has for them.
ZERO_PADDED, DIRECT, WINOGRAD = "zero-padded", "direct", "winograd"
#: The layers that VTA measured, together.
VTA = ("vta-dcgan-1", "vta-dcgan-2", "vta-dcgan-3")
#: What is held against others' figures for DCGAN.
DCGAN = "dcgan-5x5"
#: The networks that the paper's ratios are of; super-resolution has larger kernels.
PAPER = ("dcgan-5x5", "dcgan-4x4", "artgan", "discogan", "gp-gan")


def ratio(network: Network, of: str, to: str) -> float:
    """Cycles of one run for each of another's, for one image."""
    one, other = network.runs[of], network.runs[to]
    return one.cycles / one.batch / (other.cycles / other.batch)


def deconvolutions(results: Results) -> Iterator[tuple[Network, int, LayerRun]]:
    """Transposed convolutions of the paper's networks that zeros are inserted for.

    Each as its network, its number and its Winograd run.
    """
    for network in (n for n in results.networks if n.name in PAPER):
        for number, layer in enumerate(network.runs[WINOGRAD].layers):
            if layer.zero_padded > layer.useful:
                yield network, number, layer


def most(results: Results, mode: str) -> tuple[float, str] | None:
    """The largest ratio of a layer's cycles in a mode to those in Winograd mode, and which layer.

    Only of transposed convolutions of the paper's networks; None where none was run.
    """
    found = [
        (
            network.runs[mode].layers[number].cycles / max(layer.cycles, 1),
            f"{network.name} {layer.name}",
        )
        for network, number, layer in deconvolutions(results)
    ]
    return max(found, default=None)


def energy(technology: Technology, run: Run) -> Estimate:
    """Joules of one image."""
    whole = image_energy(technology, run.counted, run.seconds * run.batch)
    return Estimate(*(v / run.batch for v in (whole.value, whole.low, whole.high)))


def energy_terms(technology: Technology, run: Run) -> dict[str, float]:
    """The same by term, at the constants' values."""
    found = terms(run.counted, run.seconds * run.batch, technology.values())
    return {name: joules / run.batch for name, joules in found.items()}


def saved(technology: Technology, network: Network, to: str = AUTO) -> Estimate:
    """Energy of an image in zero-padded mode for each of another run's."""
    one, other = network.runs[ZERO_PADDED], network.runs[to]
    return energy_ratio(
        technology,
        (one.counted, one.seconds * one.batch),
        (other.counted, other.seconds * other.batch),
    )


def gops_a_watt(technology: Technology, run: Run, *, static: bool = True) -> Estimate:
    """Useful operations (multiply and addition) a nanojoule; without ``static`` of what moves."""
    seconds = run.seconds * run.batch * static
    operations = 2 * run.useful * run.batch / 1e9
    return estimate(technology, lambda c: operations / sum(terms(run.counted, seconds, c).values()))


@dataclass(frozen=True)
class Beside:
    """A published figure, ours (None: there is none), and what ours is of."""

    published: Published
    ours: float | None
    where: str

    @property
    def verdict(self) -> str:
        """Whether ours is ahead of theirs or behind; of times less is better, else more."""
        if self.ours is None:
            return "-"
        more = self.ours / self.published.value
        return "ahead" if (more < 1) == (self.published.unit == "ms") else "behind"


def beside(results: Results, technology: Technology) -> list[Beside]:
    """All published figures with ours."""
    makers: dict[str, Callable[[], tuple[float, str] | None]] = {
        "zero_padded_most": lambda: most(results, ZERO_PADDED),
        "direct_most": lambda: most(results, DIRECT),
        "energy_most": lambda: _energy_most(results, technology),
        "vta_ms": lambda: _vta(results),
        "dcgan_gops": lambda: _dcgan(results, lambda run: run.gops),
        "dcgan_host_gops": lambda: _dcgan(
            results, lambda run: run.overlapped and run.gops * run.overlapped * run.seconds
        ),
        "gops_dsp": lambda: _best_gops_dsp(results),
    }
    found = []
    for entry in figures():
        made = None
        if entry.ours in makers:
            made = makers[entry.ours]()
        elif network := results.network(entry.ours):
            run = network.runs[AUTO]
            made = gops_a_watt(technology, run).value, f"{network.name}, {technology.title}"
        found.append(Beside(entry, *(made or (None, ""))))
    return found


def _energy_most(results: Results, board: Technology) -> tuple[float, str] | None:
    """The largest ratio of energies on a chip; the board's, of which most is static, beside it.

    The chip is the humbler of the two, and has no static power that would shrink with the time.
    """
    chip = technologies()["asic45"]
    known = [n for n in results.networks if n.name in PAPER]
    if not known:
        return None
    best = max(known, key=lambda n: saved(chip, n, WINOGRAD).value)
    other = saved(board, best, WINOGRAD).value
    return (
        saved(chip, best, WINOGRAD).value,
        f"{best.name}, {chip.title}; with static power {other:.3g} ({board.title})",
    )


def _vta(results: Results) -> tuple[float, str] | None:
    networks = [results.network(name) for name in VTA]
    runs = [n.runs.get(SINGLE) if n else None for n in networks]
    if not all(runs):
        return None
    return sum(run.seconds for run in runs if run) * 1e3, "batch 1"


def _dcgan(results: Results, of: Callable[[Run], float | None]) -> tuple[float, str] | None:
    network = results.network(DCGAN)
    value = of(network.runs[AUTO]) if network else None
    return (value, f"batch {network.runs[AUTO].batch}") if network and value else None


def _best_gops_dsp(results: Results) -> tuple[float, str] | None:
    if not results.dsp:
        return None
    return max(((n.runs[AUTO].gops / results.dsp, n.name) for n in results.networks), default=None)


def is_counted(run: Run) -> bool:
    """Whether a run's cycles are counted by the logic, and not predicted."""
    return run.source == RTL
