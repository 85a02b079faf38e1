"""Tables for people: aligned columns of text."""

from __future__ import annotations

from winogen.common.text import decibels, table
from winogen.program.file import Program
from winogen.program.parts import LayerInfo, StreamInfo
from winogen.quality.measure import Quality


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


def quality_table(quality: Quality) -> str:
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
        for r in quality.layers
    ]
    return table(["layer", "lowest", "highest", "step", "saturated", "PSNR dB", "SSIM"], rows)


def _multiplies(layer: LayerInfo) -> list[str]:
    return [f"{n / 1e6:,.2f} M" for n in (layer.multiplies, layer.useful, layer.zero_padded)]
