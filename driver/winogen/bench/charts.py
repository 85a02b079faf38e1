"""Charts of the page as inline SVG; colours come from the page's style sheet, by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from winogen.bench.energy import TERMS, Technology
from winogen.bench.suite import AUTO, BASELINES, Results
from winogen.bench.summary import energy, energy_terms
from winogen.bench.tables import roofline

_WIDTH = 640.0
_LEFT, _RIGHT = 118.0, 560.0
#: Classes of the style sheet that tell series apart.
_KINDS = 5


@dataclass(frozen=True)
class Bar:
    """A bar, or a part of one: its length, its class, what is said of it, an error bar's ends."""

    value: float
    kind: str
    title: str
    ends: tuple[float, float] | None = None


def stacked_bars(
    label: str, rows: Sequence[tuple[str, Sequence[Sequence[Bar]]]], unit: str, limit: float = 0.0
) -> str:
    """Groups of horizontal bars, each a stack; ``limit`` is a line across all of them."""
    totals = [sum(b.value for b in stack) for _, group in rows for stack in group]
    ends = [b.ends[1] for _, group in rows for stack in group for b in stack if b.ends]
    widest = max([*totals, *ends, limit], default=0.0) or 1.0
    scale = (_RIGHT - _LEFT) / widest
    parts, y = [], 4.0
    for name, group in rows:
        height = 11.0 * len(group)
        parts.append(_text(_LEFT - 6, y + height / 2 + 4, name, "end"))
        for stack in group:
            x = _LEFT
            for bar in stack:
                parts.append(_rect(x, y, bar.value * scale, 9, bar.kind, bar.title))
                x += bar.value * scale
            low_high = stack[-1].ends
            if low_high:
                a, b = (_LEFT + v * scale for v in low_high)
                parts.append(f'<path d="M{a:.1f} {y + 4.5:.1f}H{b:.1f}" class="limit"/>')
                x = max(x, b)
            total = sum(b.value for b in stack)
            parts.append(_text(x + 5, y + 8.5, f"{total:.3g}{unit}", "start", "quiet"))
            y += 11
        y += 9
    if limit:
        x = _LEFT + limit * scale
        parts.append(f'<path d="M{x:.1f} 0V{y:.1f}" class="limit"/>')
    return _svg(_WIDTH, y, label, parts)


def mode_bars(results: Results, technology: Technology) -> str:
    """Energy of an image in each mode, by term, with error bars."""
    rows = []
    for n in results.networks:
        stacks = []
        for mode in (*BASELINES, AUTO):
            run = n.runs[mode]
            whole = energy(technology, run)
            terms = energy_terms(technology, run)
            stack = [
                Bar(
                    millijoules, f"kind{k % _KINDS}", f"{n.name}, {mode}, {t}: {millijoules:.3g} mJ"
                )
                for k, t in enumerate(TERMS)
                for millijoules in (1e3 * terms[t],)
            ]
            last = stack[-1]
            ends = (1e3 * whole.low, 1e3 * whole.high)
            stacks.append([*stack[:-1], Bar(last.value, last.kind, last.title, ends)])
        rows.append((n.name, stacks))
    return stacked_bars(
        f"Energy of an image in zero-padded, direct, Winograd and auto mode: {technology.title}",
        rows,
        " mJ",
    )


def roof_chart(results: Results) -> str:
    """Every layer under the roofs of array and DRAM, both axes logarithmic, a class a family."""
    names = families(results)
    points = [
        (n.name, layer.name, names.index(family(n.name)), *roofline(results, layer)[:2])
        for n in results.networks
        for layer in n.runs[AUTO].layers
    ]
    ridge = results.peak / results.bytes_per_cycle
    low, high = _powers([ridge / 4, ridge * 4, *(p[3] for p in points)])
    bottom_rate, top_rate = _powers([results.peak, *(p[4] for p in points)])
    left, top, right, bottom = 44.0, 8.0, _WIDTH - 8, 300.0

    def at(intensity: float, rate: float) -> tuple[float, float]:
        x = (math.log2(max(intensity, 2.0**low)) - low) / (high - low)
        y = (math.log2(max(rate, 2.0**bottom_rate)) - bottom_rate) / (top_rate - bottom_rate)
        return left + x * (right - left), bottom - y * (bottom - top)

    parts = []
    for power in range(low, high + 1):
        x, _ = at(2.0**power, 1)
        parts.append(f'<path d="M{x:.1f} {top}V{bottom}" class="grid"/>')
        parts.append(_text(x, bottom + 13, f"{2.0**power:g}", "middle"))
    for power in range(bottom_rate, top_rate + 1):
        _, y = at(1, 2.0**power)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" class="grid"/>')
        parts.append(_text(left - 4, y + 4, f"{2.0**power:g}", "end"))
    start = max(2.0**low, 2.0**bottom_rate / results.bytes_per_cycle)
    corners = [
        (start, start * results.bytes_per_cycle), (ridge, results.peak), (2.0**high, results.peak)
    ]  # fmt: skip
    line = " ".join("{:.1f},{:.1f}".format(*at(*c)) for c in corners)
    parts.append(f'<polyline points="{line}" class="roof"/>')
    for network, layer, kind, intensity, rate in points:
        x, y = at(intensity, rate)
        title = f"{network} {layer}: {intensity:.1f} multiplies a byte, {rate:.0f} a cycle"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="kind{kind}">'
            f"<title>{escape(title)}</title></circle>"
        )
    parts.append(_text((left + right) / 2, bottom + 28, "multiplies a byte of DRAM", "middle"))
    label = (
        f"Roofline: at most {results.peak} multiplies a cycle and {results.bytes_per_cycle:.1f} "
        f"bytes; {len(points)} layers in mode auto"
    )
    return _svg(_WIDTH, bottom + 34, label, parts)


def family(network: str) -> str:
    """What a network is one of: the colour of its layers."""
    first = network.partition("-")[0]
    return {"fsrcnn": "FSRCNN", "vta": "VTA's layers", "dcgan": "DCGAN"}.get(
        first, "other networks"
    )


def families(results: Results) -> list[str]:
    """The families of a suite's networks, each once."""
    return list(dict.fromkeys(family(n.name) for n in results.networks))


def key(names: Sequence[str]) -> str:
    """Which class is what."""
    items = "".join(
        f'<span><i class="kind{number % _KINDS}"></i>{escape(name)}</span>'
        for number, name in enumerate(names)
    )
    return f'<p class="key">{items}</p>'


def _powers(values: Sequence[float]) -> tuple[int, int]:
    """Powers of two at and around values."""
    real = [v for v in values if v > 0]
    return math.floor(math.log2(min(real))), math.ceil(math.log2(max(real)) + 0.1)


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'
    )


def _rect(x: float, y: float, width: float, height: float, kind: str, title: str) -> str:
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(width, 0):.2f}" height="{height:g}" '
        f'class="{kind}"><title>{escape(title)}</title></rect>'
    )
