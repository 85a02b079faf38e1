"""Tables for people: aligned columns of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from winogen.accuracy import LayerReport
from winogen.program import LayerInfo, Program, StreamInfo


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows under a header; the first ``left`` columns are aligned left, the others right."""
    lines = [list(header), *(list(r) for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = []
    for line in lines:
        cells = [
            cell.ljust(w) if i < left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths))
        ]
        text.append("  ".join(cells).rstrip())
    text.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(text)


def cost_table(program: Program, stream: StreamInfo) -> str:
    """Layers with their multiplies (for one image) and predicted cycles of a stream."""
    rows = []
    for layer, cycles in zip(program.layers, stream.layer_cycles):
        rows.append(
            [
                layer.name,
                layer.kind,
                layer.mode,
                "x".join(map(str, layer.output)),
                *_multiplies(layer),
                f"{cycles / stream.batch:,.0f}",
            ]
        )
    total = LayerInfo(
        "", "", "", (0, 0, 0),
        *(sum(getattr(x, n) for x in program.layers)
          for n in ("multiplies", "useful", "zero_padded")),
    )  # fmt: skip
    rows.append(
        ["all layers", "", "", "", *_multiplies(total), f"{stream.cycles / stream.batch:,.0f}"]
    )
    header = ["layer", "kind", "mode", "output", "multiplies", "useful", "zero-padded", "cycles"]
    return table(header, rows, left=3)


def cost_summary(program: Program, stream: StreamInfo) -> str:
    """Two lines: what the schedule saves, and the predicted speed."""
    done = sum(x.multiplies for x in program.layers)
    useful = sum(x.useful for x in program.layers)
    padded = sum(x.zero_padded for x in program.layers)
    return (
        f"{done / useful:.2f} multiplies for each useful one, {padded / done:.2f}x fewer than "
        f"zero-padded\npredicted: {program.frames_per_second(stream):,.0f} images/s on "
        f"{program.board.name} at {program.board.clock_mhz:g} MHz, "
        f"{stream.cycles / stream.batch:,.0f} cycles an image in batches of {stream.batch}"
    )


def quality_table(report: Sequence[LayerReport]) -> str:
    """Ranges, scales, saturation, PSNR and SSIM of every layer against the float network."""
    rows = [
        [
            r.name,
            f"{r.low:.3g}",
            f"{r.high:.3g}",
            f"{r.scale:.3g}",
            f"{r.saturated} of {r.values}",
            decibels(r.psnr),
            "-" if r.ssim is None else f"{r.ssim:.4f}",
        ]
        for r in report
    ]
    return table(["layer", "lowest", "highest", "step", "saturated", "PSNR dB", "SSIM"], rows)


def decibels(psnr: float) -> str:
    """A PSNR; ``exact`` without error, ``-`` where the float values have no range."""
    return f"{psnr:.1f}" if math.isfinite(psnr) else "exact" if psnr > 0 else "-"


def _multiplies(layer: LayerInfo) -> list[str]:
    return [f"{n / 1e6:,.2f} M" for n in (layer.multiplies, layer.useful, layer.zero_padded)]
