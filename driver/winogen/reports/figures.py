"""Figures of the algorithm for the notebooks, drawn from the tables that the compiler uses.

They need matplotlib, which a PYNQ image has and ``pip install 'winogen[plot]'`` brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import WinogenError
from winogen.compiler.lower import LoweredConv, Mode, lower
from winogen.compiler.shape import ConvShape
from winogen.target import winograd

#: A colour for each output phase (Okabe and Ito: told apart by colour-blind eyes too).
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#999999")
_EMPTY = "#f4f4f4"
_MODES = {Mode.ZERO_PADDED: "#bbbbbb", Mode.DIRECT: "#e69f00", Mode.WINOGRAD: "#0072b2"}


def deconvolution(kernel: int, stride: int, pad: int, size: int) -> ConvShape:
    """The square transposed convolution whose output is ``stride`` times as large."""
    return ConvShape(
        True, (kernel,) * 2, (stride,) * 2, (pad,) * 2, (size,) * 2, (size * stride,) * 2
    )


def overlapping_sums(kernel: int, stride: int, pad: int, size: int = 4) -> Any:
    """One axis of a transposed convolution: which weight carries each input to each output.

    Above as it is defined: what an input scatters overlaps what its neighbours do. Below the same
    products by output phase: each phase is a convolution, and nothing overlaps.
    """
    plot = pyplot()
    outputs = size * stride
    figure, axes = plot.subplots(
        2, 1, figsize=(0.55 * outputs + 2.5, 0.42 * 2 * size + 2.6), layout="constrained"
    )
    for axis, by_phase in zip(axes, (False, True)):
        columns = sorted(range(outputs), key=lambda o: (o % stride, o) if by_phase else (0, o))
        gap = {o: (o % stride) * 0.6 if by_phase else 0.0 for o in columns}
        for place, o in enumerate(columns):
            for i in range(size):
                k = o + pad - stride * i
                used = 0 <= k < kernel
                _cell(
                    axis, place + gap[o], i, COLOURS[o % stride] if used else _EMPTY,
                    f"w{k}" if used else "",
                )  # fmt: skip
        _frame(axis, outputs + max(gap.values()), size)
        axis.set_xticks([p + gap[o] + 0.5 for p, o in enumerate(columns)], columns)
        axis.set_yticks(np.arange(size) + 0.5, range(size))
        axis.set_ylabel("input")
    axes[0].set_title(f"kernel {kernel}, stride {stride}: what every input adds to every output")
    axes[1].set_title(f"the same products, outputs sorted into {stride} phases")
    axes[1].set_xlabel("output")
    return figure


def phase_kernels(kernel: int, stride: int, pad: int) -> Any:
    """A square kernel, and the taps of each output phase inside the common window of 3 x 3."""
    plot = pyplot()
    lowered = lower(deconvolution(kernel, stride, pad, 8), mode=Mode.WINOGRAD)
    phases, taps = _single_pass(lowered)
    figure, axes = plot.subplots(
        1,
        len(phases) + 1,
        figsize=(2.2 + 1.75 * len(phases), 2.4),
        gridspec_kw={"width_ratios": [kernel / 3, *[1] * len(phases)]},
        layout="constrained",
    )
    for number, (axis, phase) in enumerate(zip(axes[1:], phases)):
        colour = COLOURS[number % len(COLOURS)]
        used = {(t.wy, t.wx): (t.ky, t.kx) for t in taps[number]}
        for y, x in product(range(winograd.TAPS), repeat=2):
            k = used.get((y, x))
            _cell(axis, x, y, colour if k else _EMPTY, f"{k[0]},{k[1]}" if k else "")
        for y, x in used.values():
            _cell(axes[0], x, y, colour, f"{y},{x}")
        _frame(axis, winograd.TAPS, winograd.TAPS, ticks=False)
        axis.set_title(f"phase {phase}: {len(used)} taps", fontsize=10)
    _frame(axes[0], kernel, kernel, ticks=False)
    axes[0].set_title(f"kernel {kernel} x {kernel}", fontsize=10)
    return figure


def zero_patterns(kernel: int, stride: int, pad: int) -> Any:
    """The Winograd positions of each output phase that can be anything but zero."""
    plot = pyplot()
    lowered = lower(deconvolution(kernel, stride, pad, 8), mode=Mode.WINOGRAD)
    phases, taps = _single_pass(lowered)
    figure, axes = plot.subplots(
        1, len(phases), figsize=(1.9 * len(phases), 2.5), layout="constrained", squeeze=False
    )
    for number, (axis, phase) in enumerate(zip(axes[0], phases)):
        used = winograd.positions((t.wy, t.wx) for t in taps[number])
        for position in range(winograd.POSITIONS):
            y, x = divmod(position, winograd.PATCH)
            on = position in used
            _cell(axis, x, y, COLOURS[number % len(COLOURS)] if on else _EMPTY, "" if on else "0")
        _frame(axis, winograd.PATCH, winograd.PATCH, ticks=False)
        axis.set_title(f"phase {phase}: {len(used)} of 16", fontsize=10)
    steps = lowered.steps_per_block
    figure.suptitle(f"kernel {kernel}, stride {stride}: {steps} multiplies a tile", fontsize=11)
    return figure


def tiles(size: int = 6, stride: int = 2) -> Any:
    """Two neighbouring tiles: the patches that they read, and the outputs that they make."""
    plot = pyplot()
    from matplotlib.patches import Rectangle

    figure, axes = plot.subplots(1, 2, figsize=(8.4, 4.2), layout="constrained")
    rim = 1
    for y, x in product(range(-rim, size + rim), repeat=2):
        inside = 0 <= y < size and 0 <= x < size
        _cell(axes[0], x, y, "#dddddd" if inside else "white", "" if inside else "0")
    for number, left in enumerate((-rim, -rim + winograd.TILE)):
        colour = COLOURS[(1, 5)[number]]
        inset = 0.12 * number + 0.06
        side = winograd.PATCH - 2 * inset
        axes[0].add_patch(
            Rectangle((left + inset, -rim + inset), side, side, fill=False, ec=colour, lw=3)
        )
    _frame(axes[0], size + rim, size + rim, -rim, ticks=False)
    axes[0].set_title("input, with its zero border: patches 4 x 4 overlap")
    step = winograd.TILE * stride
    for y, x in product(range(size * stride), repeat=2):
        tile = x // step if y < step and x < 2 * step else None
        phase = stride * (y % stride) + x % stride
        colour = "#eeeeee" if tile is None else COLOURS[phase % len(COLOURS)]
        _cell(axes[1], x, y, colour, "")
    for number in range(2):
        place, side, colour = (number * step + 0.1, 0.1), step - 0.2, COLOURS[(1, 5)[number]]
        axes[1].add_patch(Rectangle(place, side, side, fill=False, ec=colour, lw=3))
    _frame(axes[1], size * stride, size * stride, ticks=False)
    axes[1].set_title(f"output: {stride * stride} phases (colours) of 2 x 2 each a tile")
    return figure


def mode_costs(layers: Sequence[tuple[str, ConvShape]]) -> Any:
    """Multiplies a tile of each layer in every mode, for one channel to one channel."""
    plot = pyplot()
    figure, axis = plot.subplots(figsize=(7.6, 3.6), layout="constrained")
    width = 0.27
    for number, (mode, colour) in enumerate(_MODES.items()):
        # A tile is 2 x 2 points of the base grid in every mode, so that the bars compare.
        steps = [_steps(shape, mode) for _, shape in layers]
        places = np.arange(len(layers)) + (number - 1) * width
        bars = axis.bar(places, steps, width * 0.94, color=colour, label=mode.value)
        axis.bar_label(bars, [f"{s:,}" for s in steps], fontsize=9, padding=2)
    axis.set_xticks(np.arange(len(layers)), [name for name, _ in layers])
    axis.set_ylabel("multiplies a tile")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    return figure


def images(rows: Sequence[tuple[str, NDArray]], scale: float = 1.1) -> Any:
    """Rows of pictures, each row with its name: images (N, H, W, 1 or 3), or (N, H, W)."""
    plot = pyplot()
    count = max(len(row) for _, row in rows)
    figure, axes = plot.subplots(
        len(rows), count, figsize=(scale * count + 1, scale * len(rows) + 0.2),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for line, (name, row) in zip(axes, rows):
        for axis in line:
            axis.set_axis_off()
        for axis, image in zip(line, row):
            axis.imshow(np.squeeze(image), cmap="gray", interpolation="nearest")
        line[0].set_title(name, loc="left", fontsize=10)
    return figure


def pyplot() -> Any:
    """matplotlib's pyplot; WinogenError that says how to install it where it is missing."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise WinogenError(
            "figures need matplotlib; install it with: pip install 'winogen[plot]'"
        ) from error
    return pyplot


def _single_pass(lowered: LoweredConv) -> tuple[tuple[tuple[int, int], ...], Any]:
    """Phases and their taps where one pass makes all outputs."""
    groups = lowered.groups
    if len(groups) != 1 or len(groups[0].passes) != 1:
        raise ValueError("this layer needs several passes; draw one with at most 3 taps a phase")
    return groups[0].phases, groups[0].passes[0].taps


def _steps(shape: ConvShape, mode: Mode) -> int:
    lowered = lower(shape, mode=mode)
    return lowered.steps_per_block * (winograd.TILE // lowered.tile) ** 2


def _cell(axis: Any, x: float, y: float, colour: str, text: str) -> None:
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="#888888", lw=0.6))
    if text:
        axis.text(x + 0.5, y + 0.52, text, ha="center", va="center", fontsize=8)


def _frame(axis: Any, width: float, height: float, start: float = 0, ticks: bool = True) -> None:
    """Square cells, rows downwards, no box."""
    axis.set_xlim(start - 0.05, width + 0.05)
    axis.set_ylim(height + 0.05, start - 0.05)
    axis.set_aspect("equal")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    if not ticks:
        axis.set_xticks([])
        axis.set_yticks([])
