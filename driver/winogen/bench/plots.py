"""Pictures of a suite's results, and of the results of several releases. They need matplotlib."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from winogen.bench.charts import families, family
from winogen.bench.energy import TERMS, Technology
from winogen.bench.published import figure
from winogen.bench.suite import AUTO, BASELINES, Results
from winogen.bench.summary import DIRECT, WINOGRAD, ZERO_PADDED, energy, energy_terms, ratio
from winogen.bench.tables import roofline
from winogen.reports.figures import COLOURS, pyplot

#: Colours of series (Okabe and Ito: told apart by colour-blind eyes too).
_SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#999999")
_DPI = 110


def draw_all(results: Results, technologies: Sequence[Technology]) -> dict[str, bytes]:
    """All pictures (PNG) by file name; WinogenError where matplotlib is missing."""
    made: dict[str, Callable[[], Any]] = {
        "cycles.png": lambda: speedups(results),
        "roofline.png": lambda: roof(results),
        "images.png": lambda: images(results),
    }
    for technology in technologies:
        made[f"energy-{technology.name}.png"] = lambda t=technology: energies(results, t)  # type: ignore[misc]
    return {name: png(make()) for name, make in made.items()}


def png(drawn: Any) -> bytes:
    """The bytes of a figure, the same for the same figure; closes it."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    pyplot().close(drawn)
    return buffer.getvalue()


def speedups(results: Results) -> Any:
    """Ratios of cycles between modes of one build, beside the paper's."""
    plot = pyplot()
    drawn, axis = plot.subplots(figsize=(9, 4.2), layout="constrained")
    pairs = ((ZERO_PADDED, WINOGRAD), (DIRECT, WINOGRAD), (ZERO_PADDED, AUTO))
    _grouped(
        axis,
        [n.name for n in results.networks],
        [(f"{a} / {b}", [ratio(n, a, b) for n in results.networks]) for a, b in pairs],
    )
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_formatter("{x:g}")
    for ours, colour in (("zero_padded_most", _SERIES[0]), ("direct_most", _SERIES[1])):
        value = figure(ours).value
        axis.axhline(value, color=colour, ls="--", lw=1)
        axis.text(len(results.networks) - 0.4, value, f"paper {value:g}", color=colour, va="bottom",
                  ha="right", fontsize=8)  # fmt: skip
    axis.set_ylabel("ratio of cycles")
    axis.set_title(f"Cycles of modes on one build: {results.board}, int{results.bits}", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    return drawn


def roof(results: Results) -> Any:
    """Every layer under the roofs of array and DRAM."""
    plot = pyplot()
    drawn, axis = plot.subplots(figsize=(8, 4.8), layout="constrained")
    names = families(results)
    spots: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for n in results.networks:
        spots[family(n.name)] += [roofline(results, x)[:2] for x in n.runs[AUTO].layers]
    reach = [x for own in spots.values() for x, _ in own]
    ridge = results.peak / results.bytes_per_cycle
    line = [min(*reach, ridge / 4) / 1.5, ridge, max(*reach, ridge * 4) * 1.5]
    axis.plot(line, [min(results.peak, x * results.bytes_per_cycle) for x in line], color="#333333")
    for name, colour in zip(names, _SERIES):
        axis.scatter(*zip(*spots[name]), s=34, color=colour, label=name, zorder=3, alpha=0.85)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter("{x:g}")
    axis.set_xlabel("multiplies a byte of DRAM")
    axis.set_ylabel("multiplies a cycle")
    axis.set_title(
        f"Layers in mode auto under their roofs: {results.peak} multiplies and "
        f"{results.bytes_per_cycle:.1f} bytes a cycle",
        fontsize=11,
    )
    axis.grid(color="#dddddd")
    axis.legend(frameon=False)
    return drawn


def images(results: Results) -> Any:
    """Images a second of the accelerator alone, and with the board's processor."""
    plot = pyplot()
    drawn, axis = plot.subplots(figsize=(9, 3.8), layout="constrained")
    runs = [n.runs[AUTO] for n in results.networks]
    series = [("accelerator alone", [r.images_per_second for r in runs])]
    if all(r.overlapped for r in runs):
        series += [
            ("with the processor, batches overlapped", [r.overlapped or 0.0 for r in runs]),
            ("with the processor, one batch alone", [r.alone or 0.0 for r in runs]),
        ]
    _grouped(axis, [n.name for n in results.networks], series)
    axis.set_yscale("log")  # a small network makes a hundred times as many as a large one
    axis.yaxis.set_major_formatter("{x:,g}")
    axis.set_ylabel("images a second")
    axis.set_title(f"Images a second, batch of {results.batch}: {results.board}", fontsize=11)
    axis.legend(frameon=False, fontsize=9)
    return drawn


def energies(results: Results, technology: Technology) -> Any:
    """Energy of an image of each network by mode and term, relative to zero-padded, with bars."""
    plot = pyplot()
    drawn, axis = plot.subplots(figsize=(10, 4.2), layout="constrained")
    modes = (*BASELINES, AUTO)
    width = 0.2
    for place, n in enumerate(results.networks):
        whole = energy(technology, n.runs[ZERO_PADDED]).value
        for number, mode in enumerate(modes):
            run, bottom = n.runs[mode], 0.0
            parts = energy_terms(technology, run)
            x = place + (number - 1.5) * width
            for term, colour in zip(TERMS, COLOURS):
                label = term if (place, number) == (0, 0) else None
                axis.bar(x, parts[term] / whole, width * 0.92, bottom, color=colour, label=label)
                bottom += parts[term] / whole
            bar = energy(technology, run)
            ends = [[(bar.value - bar.low) / whole], [(bar.high - bar.value) / whole]]
            axis.errorbar(x, bottom, ends, color="#333333", lw=1, capsize=2)
    axis.set_xticks(
        range(len(results.networks)), [n.name for n in results.networks], rotation=20, ha="right",
        fontsize=9,
    )  # fmt: skip
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_ylabel("energy of an image, of zero-padded")
    axis.set_title(
        f"Energy by term; zero-padded, direct, Winograd, auto: {technology.title}", fontsize=11
    )
    drawn.legend(frameon=False, fontsize=9, ncols=len(TERMS), loc="outside lower center")
    return drawn


def history(recorded: Sequence[Results]) -> Any:
    """Cycles of an image, and sizes in memory, of every recorded release, relative to the first."""
    plot = pyplot()
    drawn, axes = plot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    versions = [r.version for r in recorded]
    names = list(dict.fromkeys(n.name for r in recorded for n in r.networks))
    for axis, title, of in (
        (axes[0], "cycles an image, mode auto", lambda n: n.runs[AUTO].cycles / n.runs[AUTO].batch),
        (axes[1], "bytes of weights and instructions", lambda n: n.weight_bytes + n.stream_bytes),
    ):
        for number, name in enumerate(names):
            there = [(v, r.network(name)) for v, r in zip(versions, recorded)]
            known = [(v, of(n)) for v, n in there if n]
            axis.plot(
                *zip(*known), marker="o", label=name, color=COLOURS[number % len(COLOURS)],
                ls=("-", "--")[number // len(COLOURS) % 2],
            )  # fmt: skip
        axis.set_yscale("log")
        axis.set_title(title, fontsize=11)
        axis.set_xlabel("release")
        axis.grid(axis="y", color="#dddddd")
        axis.spines[["top", "right"]].set_visible(False)
    axes[1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def _grouped(axis: Any, names: Sequence[str], series: Sequence[tuple[str, list[float]]]) -> None:
    width = 0.8 / len(series)
    for number, ((label, values), colour) in enumerate(zip(series, _SERIES)):
        places = [i + (number - (len(series) - 1) / 2) * width for i in range(len(names))]
        axis.bar(places, values, width * 0.92, color=colour, label=label)
    axis.set_xticks(range(len(names)), names, rotation=20, ha="right", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
