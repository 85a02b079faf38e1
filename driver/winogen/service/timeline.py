"""The engines' timeline of a run as SVG, for a page: no library draws it."""

from __future__ import annotations

from html import escape

import numpy as np

from winogen.profiling.profile import Profile
from winogen.profiling.runs import ENGINES, busy_cycles
from winogen.reports.figures import COLOURS
from winogen.reports.profile_figures import spans

_WIDTH, _LEFT, _ROW, _BAR = 720.0, 64.0, 26.0, 18.0
_WAIT = "#9aa3ae"
#: Bars that are narrower are drawn as wide as that, and gaps that are narrower not at all.
_LEAST = 0.25


def timeline(profile: Profile) -> str:
    """What each engine does over time in the first run, by layer; grey: it waits for another.

    Times are measured where the device measures them, and else predicted.
    """
    run = profile.runs[0]
    times = run.measured if profile.is_measured else run.predicted
    engines = np.array([i.engine for i in run.instructions])
    layers = np.array([i.layer for i in run.instructions])
    busy = busy_cycles(times, engines)
    end = max(int(times.end.max()), 1)
    unit = (_WIDTH - _LEFT) / end
    parts = []
    for row, engine in enumerate(ENGINES):
        y = row * _ROW
        parts.append(
            f'<text x="0" y="{y + 13:g}" class="name">{escape(engine.name.lower())}</text>'
        )
        mine = engines == engine
        waits = mine & (times.stall > 0)
        grey = _joined(spans(times.begin[waits] - times.stall[waits], times.stall[waits], unit))
        parts += [_bar(x, y + 5, width, _BAR - 10, _WAIT, "waits") for x, width in grey]
        for layer in np.unique(layers[mine]):
            which = mine & (layers == layer)
            bars = _joined(spans(times.end[which] - busy[which], busy[which], unit))
            name = profile.program.layers[int(layer)].name
            colour = COLOURS[int(layer) % len(COLOURS)]
            parts += [_bar(x, y, width, _BAR, colour, name) for x, width in bars]
    height = len(ENGINES) * _ROW
    milliseconds = end / (profile.board.clock_mhz * 1e3)
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = _LEFT + share * (_WIDTH - _LEFT)
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        parts.append(
            f'<text x="{x:g}" y="{height + 10:g}" text-anchor="{anchor}">'
            f"{share * milliseconds:.3g} ms</text>"
        )
    parts += _keys(profile, height + 30)
    rows = -(-(len(profile.program.layers) + 1) // _PER_ROW)
    kind = "measured" if profile.is_measured else "predicted"
    label = (
        f"{kind} timeline of {profile.images} images on {profile.device}, {end:,} cycles at "
        f"{profile.board.clock_mhz:g} MHz"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} '
        f'{height + 26 + 18 * rows:g}" role="img" aria-label="{escape(label)}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#808891">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def _joined(bars: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Bars without the gaps that nobody would see: pages of large networks stay small."""
    found: list[tuple[float, float]] = []
    for x, width in bars:
        if found and x - sum(found[-1]) < _LEAST:
            found[-1] = (found[-1][0], x + width - found[-1][0])
        else:
            found.append((x, width))
    return found


#: Keys of layers beside each other.
_PER_ROW = 5


def _keys(profile: Profile, top: float) -> list[str]:
    names = [layer.name for layer in profile.program.layers]
    colours = [COLOURS[n % len(COLOURS)] for n in range(len(names))]
    parts = []
    for number, (name, colour) in enumerate(zip([*names, "waits"], [*colours, _WAIT])):
        row, column = divmod(number, _PER_ROW)
        x, y = column * _WIDTH / _PER_ROW, top + 18 * row
        parts.append(_bar(x - _LEFT, y - 10, 11, 11, colour, name))
        parts.append(f'<text x="{x + 16:g}" y="{y:g}">{escape(name[:18])}</text>')
    return parts


def _bar(x: float, y: float, width: float, height: float, colour: str, title: str) -> str:
    return (
        f'<rect x="{_LEFT + x:.2f}" y="{y:g}" width="{max(width, _LEAST):.2f}" '
        f'height="{height:g}" fill="{colour}"><title>{escape(title)}</title></rect>'
    )
