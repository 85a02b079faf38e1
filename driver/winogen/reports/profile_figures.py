"""Figures of a profile: the timeline of the engines, and the roofline.

Every function returns a ``matplotlib.figure.Figure``, as those of :mod:`winogen.reports.figures`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from winogen.profiling.profile import Profile
from winogen.profiling.runs import ENGINES, Run, busy_cycles
from winogen.profiling.trace import Times
from winogen.reports.figures import COLOURS, pyplot

_WAIT = "#d8d8d8"
#: Layers in a column of a timeline's legend.
_KEYS = 14


def timeline(profile: Profile, run: int = 0) -> Any:
    """What each engine does over time in one run, coloured by layer; grey: it waits for another.

    The lower half, where there is one, is what was predicted.
    """
    plot = pyplot()
    shown = profile.runs[run]
    parts = [(f"measured, {profile.device}", shown.measured)] if profile.is_measured else []
    parts.append(("predicted", shown.predicted))
    names = [layer.name for layer in profile.program.layers]
    keys_height = 0.22 * min(len(names) + 1, _KEYS)
    figure, axes = plot.subplots(
        len(parts), 1, figsize=(10.5, 0.7 + max(1.35 * len(parts), keys_height)), sharex=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    milliseconds = 1 / (profile.board.clock_mhz * 1e3)
    end = max(int(times.end.max()) for _, times in parts)
    for axis, (title, times) in zip(axes[:, 0], parts):
        for place, engine in enumerate(ENGINES):
            _draw_engine(axis, len(ENGINES) - 1 - place, shown, times, engine, milliseconds)
        axis.set_yticks(range(len(ENGINES)), [e.name.lower() for e in reversed(ENGINES)])
        axis.set_title(title, loc="left", fontsize=10)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.set_xlim(0, end * milliseconds * 1.01)
    axes[-1, 0].set_xlabel(f"ms at {profile.board.clock_mhz:g} MHz")
    keys = [plot.Rectangle((0, 0), 1, 1, color=_colour(n)) for n in range(len(names))]
    keys.append(plot.Rectangle((0, 0), 1, 1, color=_WAIT))
    axes[-1, 0].legend(
        keys, [*names, "waits"], loc="center left", bbox_to_anchor=(1, len(parts) / 2),
        frameon=False, fontsize=9, ncol=-(-len(keys) // _KEYS),
    )  # fmt: skip
    return figure


def _draw_engine(axis: Any, row: int, run: Run, times: Times, engine: int, unit: float) -> None:
    engines = np.array([i.engine for i in run.instructions])
    layers = np.array([i.layer for i in run.instructions])
    busy = busy_cycles(times, engines)
    mine = engines == engine
    waits = mine & (times.stall > 0)
    axis.broken_barh(
        spans(times.begin[waits] - times.stall[waits], times.stall[waits], unit),
        (row - 0.16, 0.32), color=_WAIT, lw=0,
    )  # fmt: skip
    for layer in np.unique(layers[mine]):
        which = mine & (layers == layer)
        axis.broken_barh(
            spans(times.end[which] - busy[which], busy[which], unit), (row - 0.36, 0.72),
            color=_colour(int(layer)), lw=0,
        )  # fmt: skip


def spans(begin: Any, length: Any, unit: float) -> list[tuple[float, float]]:
    """Begin and length of bars; neighbours that touch become one: pictures have few pixels."""
    spans: list[tuple[float, float]] = []
    for first, size in zip(begin.tolist(), length.tolist()):
        if spans and first <= spans[-1][0] + spans[-1][1]:
            spans[-1] = (spans[-1][0], first + size - spans[-1][0])
        else:
            spans.append((first, size))
    return [(first * unit, size * unit) for first, size in spans]


def _colour(layer: int) -> str:
    return COLOURS[layer % len(COLOURS)]


def roofline(profile: Profile) -> Any:
    """Multiplies a cycle of every layer, over multiplies for each byte of DRAM.

    The roof is what the array can multiply (flat) and what DRAM can deliver (slope). Rings are what
    the cost model predicts. A layer far below the roof waits for something else: too few tiles or
    channels for the array's lanes, or the latency of a few instructions.

    Of a layer with coded weights a bar is as fast as their decoder and transform would let it be,
    and a line goes back to where it would be with the bytes of plain weights.
    """
    plot = pyplot()
    from matplotlib import ticker

    peak = profile.board.core.peak
    rate = profile.board.dram_bytes_per_cycle
    points = []
    for number, (layer, of) in enumerate(zip(profile.layers, profile.limits)):
        moved = layer.bytes_read + layer.bytes_written
        if layer.multiplies and moved and layer.cycles and layer.predicted:
            uncoded = moved + of.plain_weight_bytes - of.weight_bytes
            points.append((number, layer, of, layer.multiplies / moved, layer.multiplies / uncoded))
    figure, axis = plot.subplots(figsize=(8.4, 4.4), layout="constrained")
    intensities = [x for *_, after, before in points for x in (after, before)] or [1.0]
    low, high = min(*intensities, peak / rate) / 3, max(*intensities, peak / rate) * 3
    x = np.geomspace(low, high, 200)
    axis.plot(x, np.minimum(peak, rate * x), color="#444444", lw=2)
    axis.annotate(
        f"{peak} multiplies a cycle",
        (high, peak),
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
    )
    axis.annotate(
        f"{rate * profile.board.clock_mhz / 1e3:.2g} GB/s", (low, rate * low), xytext=(6, -2),
        textcoords="offset points", va="top",
    )  # fmt: skip
    for number, layer, of, intensity, plain in points:
        colour = _colour(number)
        predicted = max(layer.predicted, layer.compute)  # as array_cycles has it
        axis.plot(intensity, layer.multiplies / predicted, "o", ms=12, mfc="none", mec=colour)
        reached = layer.multiplies / layer.array_cycles
        limited = f", {of.limit}" if of.coded_loads and of.limit in ("decoder", "transform") else ""
        axis.plot(
            intensity, reached, "o", ms=7, color=colour,
            label=f"{layer.name} ({layer.mode}{limited})",
        )  # fmt: skip
        if of.coded_loads:
            axis.plot([plain, intensity], [reached] * 2, ":", lw=1.2, color=colour)
            most = layer.multiplies / max(of.decoder, of.transform)
            if most <= 2 * peak:
                axis.plot(intensity, most, "_", ms=16, mew=2, color=colour)
    if profile.is_measured:
        axis.plot([], [], "o", ms=7, color="#444444", label="measured")
        axis.plot([], [], "o", ms=12, mfc="none", mec="#444444", label="predicted")
    if any(of.coded_loads for _, _, of, _, _ in points):
        axis.plot([], [], "_", ms=16, mew=2, color="#444444", label="decoder, transform")
        axis.plot([], [], ":", lw=1.2, color="#444444", label="from plain weights")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)
    axis.set_xscale("log")
    axis.set_yscale("log")
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        scale.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        scale.set_minor_locator(ticker.NullLocator())
    axis.set_xlabel("multiplies for each byte read or written")
    axis.set_ylabel("multiplies a cycle")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(which="major", color="#eeeeee")
    axis.set_axisbelow(True)
    return figure
