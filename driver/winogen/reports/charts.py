"""Charts of the report as inline SVG; colours come from the page's style sheet, by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from winogen.quality.study import LayerStudy
from winogen.reports.budget import KINDS, LayerBudget

_WIDTH = 320


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'
    )


def _rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    hover = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(width, 0):.2f}" '
        f'height="{max(height, 0):.2f}" class="{kind}">{hover}</rect>'
    )


def histogram(layer: LayerStudy, width: int) -> str:
    """A layer's float values (logarithmic counts) over what ``width`` bits can represent."""
    h, of_width = layer.histogram, layer.widths[width]
    low, high = of_width.range
    span = h.high - h.low
    left, right = min(h.low, max(low, h.low - span / 4)), max(h.high, min(high, h.high + span / 4))
    top, bottom = 6, 78

    def x(value: float) -> float:
        return (min(max(value, left), right) - left) / (right - left) * _WIDTH

    parts = [_rect(x(low), top, x(high) - x(low), bottom - top, "representable")]
    tallest = math.log1p(max(h.counts))
    step = span / len(h.counts)
    for i, count in enumerate(h.counts):
        start = h.low + i * step
        centre = start + step / 2
        kind = "bar" if low <= centre <= high else "bar clipped"
        height = (bottom - top) * math.log1p(count) / tallest
        box = x(start), bottom - height, x(start + step) - x(start), height
        parts.append(_rect(*box, kind, f"{start:.3g} to {start + step:.3g}: {count:,} values"))
    for value in (low, high):
        if left <= value <= right:
            at = f'x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{top}" y2="{bottom}"'
            parts.append(f'<line {at} class="limit"/>')
    parts.append(_text(0, 92, f"{left:.3g}"))
    parts.append(_text(_WIDTH, 92, f"{right:.3g}", "end"))
    if left < 0 < right and 30 < x(0) < _WIDTH - 30:
        parts.append(_text(x(0), 92, "0", "middle"))
    label = (
        f"Histogram of {layer.name}: float values from {h.low:.3g} to {h.high:.3g}; int{width} "
        f"represents {low:.3g} to {high:.3g}, {of_width.clipped:.2%} of the values are beyond"
    )
    return _svg(_WIDTH, 96, label, parts)


def traffic(budgets: Sequence[LayerBudget]) -> str:
    """DRAM bytes of every layer by kind, as stacked bars."""
    widest = max(b.total_bytes for b in budgets)
    parts = []
    for i, b in enumerate(budgets):
        y, x = 34.0 * i, 0.0
        parts.append(_text(0, y + 12, b.info.name))
        parts.append(_text(_WIDTH, y + 12, size(b.total_bytes), "end", "quiet"))
        for number, kind in enumerate(KINDS):
            length = b.bytes[kind] / widest * _WIDTH
            title = f"{b.info.name}, {kind}: {b.bytes[kind]:,} bytes"
            parts.append(_rect(x, y + 17, length, 9, f"kind{number}", title))
            x += length
    heaviest = max(budgets, key=lambda b: b.total_bytes)
    label = (
        f"DRAM traffic by layer and kind; most is moved by {heaviest.info.name}, "
        f"{size(heaviest.total_bytes)}"
    )
    return _svg(_WIDTH, 34 * len(budgets), label, parts)


def cycle_bars(budgets: Sequence[LayerBudget]) -> str:
    """Predicted cycles of every layer, and what array and memory would take alone."""
    widest = max(max(b.cycles, b.memory_cycles, b.array_cycles) for b in budgets) or 1
    parts = []
    for i, b in enumerate(budgets):
        y = 40.0 * i
        parts.append(_text(0, y + 12, b.info.name))
        parts.append(_text(_WIDTH, y + 12, f"{b.cycles:,} cycles", "end", "quiet"))
        for j, (value, kind) in enumerate(
            ((b.cycles, "cycles"), (b.array_cycles, "array"), (b.memory_cycles, "memory"))
        ):
            title = f"{b.info.name}, {kind}: {value:,.0f} cycles"
            parts.append(_rect(0, y + 17 + 6 * j, value / widest * _WIDTH, 5, kind, title))
    slowest = max(budgets, key=lambda b: b.cycles)
    label = f"Predicted cycles by layer; {slowest.info.name} takes the most, {slowest.cycles:,}"
    return _svg(_WIDTH, 40 * len(budgets), label, parts)


def roofline(budgets: Sequence[LayerBudget], multipliers: int, bytes_per_cycle: float) -> str:
    """Multiplies a cycle over multiplies a byte, both logarithmic, under what the board allows."""
    points = [
        (b.multiplies / max(b.total_bytes, 1), b.multiplies / max(b.cycles, 1)) for b in budgets
    ]
    ridge = multipliers / bytes_per_cycle
    x_low = math.floor(math.log2(max(min([ridge / 4, *(p[0] for p in points)]), 2**-10)))
    x_high = math.ceil(math.log2(max([ridge * 4, *(p[0] for p in points)])))
    y_low = math.floor(math.log2(max(min([multipliers / 16, *(p[1] for p in points)]), 2**-10)))
    y_high = math.ceil(math.log2(multipliers)) + 0.3
    left, top, right, bottom = 34.0, 8.0, _WIDTH - 8.0, 190.0

    def at(intensity: float, rate: float) -> tuple[float, float]:
        x = (math.log2(max(intensity, 2**-10)) - x_low) / (x_high - x_low)
        y = (math.log2(max(rate, 2**-10)) - y_low) / (y_high - y_low)
        return left + x * (right - left), bottom - y * (bottom - top)

    parts = []
    for power in range(x_low, x_high + 1, max(1, (x_high - x_low) // 5)):
        x, _ = at(2.0**power, 1)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" class="grid"/>')
        parts.append(_text(x, bottom + 13, f"{2.0**power:g}", "middle"))
    for power in range(y_low, int(y_high) + 1, max(1, int(y_high - y_low) // 4)):
        _, y = at(1, 2.0**power)
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(_text(left - 4, y + 4, f"{2.0**power:g}", "end"))
    start = max(2.0**x_low, 2.0**y_low / bytes_per_cycle)
    corners = [(start, start * bytes_per_cycle), (ridge, multipliers), (2.0**x_high, multipliers)]
    line = " ".join("{:.1f},{:.1f}".format(*at(*c)) for c in corners)
    parts.append(f'<polyline points="{line}" class="roof"/>')
    for number, (b, point) in enumerate(zip(budgets, points), 1):
        x, y = at(*point)
        title = f"{b.info.name}: {point[0]:.1f} multiplies a byte, {point[1]:.1f} a cycle"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" class="point">'
            f"<title>{escape(title)}</title></circle>"
        )
        parts.append(_text(x, y + 3.5, str(number), "middle", "number"))
    parts.append(_text((left + right) / 2, bottom + 28, "multiplies a byte of DRAM", "middle"))
    label = (
        f"Roofline: at most {multipliers} multiplies a cycle, and {bytes_per_cycle:.2f} bytes; "
        + ", ".join(f"{b.info.name} reaches {p[1]:.0f}" for b, p in zip(budgets, points))
    )
    return _svg(_WIDTH, bottom + 34, label, parts)


def size(nbytes: int) -> str:
    """Bytes for people, by powers of 1000."""
    if nbytes < 1000:
        return f"{nbytes} B"
    return f"{nbytes / 1e3:,.1f} kB" if nbytes < 1e6 else f"{nbytes / 1e6:,.2f} MB"
