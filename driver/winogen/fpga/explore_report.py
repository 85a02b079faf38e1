"""What a design-space search found: a table, a plot, and lines for a board file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from winogen.common.text import table
from winogen.fpga.explore import NEAR, Design, choose
from winogen.fpga.parts import Part
from winogen.target.board import Board

_BAR = 20
_SHAPE = (
    "ci_lanes", "tile_lanes", "products", "input_depth", "weight_depth", "psum_depth",
    "output_depth", "decoder",
)  # fmt: skip


def explore_text(board: Board, part: Part, front: Sequence[Design], now: Design | None) -> str:
    """The fastest builds as a table, and the one to make; ``now`` is that of the board file."""
    chosen = choose(front)
    rows = [_row(part, d, front[-1].speed, "chosen" if d is chosen else "") for d in front]
    if now:
        rows.append(_row(part, now, front[-1].speed, "board file"))
    header = [
        "lanes", "tiles", "products", "input", "weights", "sums", "output", "decoder", "DSP48",
        "RAMB36", "LUT", "busy", "DRAM MB/s", *front[-1].frames, "speed", "",
    ]  # fmt: skip
    return "\n".join(
        [
            f"{board.name} int{board.core.data_width}: {part.name} at {board.clock_mhz:g} MHz, "
            f"DRAM {board.dram_mb_s:,.0f} MB/s. Images a second are predicted, resources "
            "estimated.\n",
            table(header, rows, left=0),
            f"\nChosen, for a board file: the smallest within {NEAR:.0%} of the fastest\n",
            *(f"    {name}: {value}" for name, value in asdict(chosen.core).items()),
        ]
    )


def _row(part: Part, design: Design, fastest: float, note: str) -> list[str]:
    core, area = asdict(design.core), design.area
    filled = design.speed / fastest
    return [
        *(f"{core[name]:,}" for name in _SHAPE),
        f"{area.dsp:,} {area.dsp / part.dsp:4.0%}",
        f"{area.block_ram:g} {area.block_ram / part.ramb36:4.0%}",
        f"{area.lut:,} {area.lut / part.lut:4.0%}",
        f"{design.utilisation:.0%}",
        f"{design.bandwidth / 1e6:,.0f}",
        *(f"{frames:,.1f}" for frames in design.frames.values()),
        f"{'#' * max(1, round(_BAR * filled))} {filled:4.0%}",
        note,
    ]


def explore_dict(front: Sequence[Design], tried: Sequence[Design]) -> dict[str, Any]:
    """The same for machines, with all that was tried."""
    return {"front": [_plain(d) for d in front], "tried": [_plain(d) for d in tried]}


def _plain(design: Design) -> dict[str, Any]:
    return {
        "core": asdict(design.core),
        "area": {**design.area.as_dict(), "block_ram": design.area.block_ram},
        "images_per_second": design.frames,
        "utilisation": design.utilisation,
        "dram_bytes_per_second": design.bandwidth,
    }


def explore_plot(
    board: Board,
    part: Part,
    front: Sequence[Design],
    tried: Sequence[Design],
    now: Design | None,
    suffix: str,
) -> bytes:
    """Speed against DSP48, block RAM and DRAM bandwidth, as a picture.

    ``suffix`` is png, svg or pdf. Needs matplotlib.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    panels = (
        (lambda d: d.area.dsp, "DSP48", part.dsp),
        (lambda d: d.area.block_ram, "RAMB36", part.ramb36),
        (lambda d: d.bandwidth / 1e6, "DRAM traffic, MB/s", board.dram_mb_s),
    )
    for ax, (get, label, limit) in zip(axes, panels):
        ax.plot([get(d) for d in tried], [d.speed for d in tried], ".", color="0.75",
                label="tried")  # fmt: skip
        ax.plot([get(d) for d in front], [d.speed for d in front], "o", color="C0",
                label="fastest for its DSP48")  # fmt: skip
        if now:
            ax.plot([get(now)], [now.speed], "*", color="C3", markersize=14, label="board file")
        ax.axvline(limit, color="0.4", linestyle="--", linewidth=1)
        ax.set_xlabel(f"{label} (line: {limit:,.0f} of the board)")
        ax.set_xlim(left=0)
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
    networks = " and ".join(front[-1].frames)
    axes[0].set_ylabel(f"images/s, mean of {networks}")
    axes[0].legend(loc="upper left")
    figure.suptitle(f"{board.name}, {board.core.data_width} bits, {board.clock_mhz:g} MHz")
    picture = io.BytesIO()
    figure.savefig(picture, format=suffix, dpi=120)
    return picture.getvalue()
