"""``--report``: a network's accuracy, memory and cycles on one page that needs nothing else.

No script, no font, no picture from elsewhere; names are the user's and are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from winogen.common.text import decibels
from winogen.program.file import Program
from winogen.program.speed import speed
from winogen.quality.measure import LayerReport
from winogen.quality.study import LayerStudy, Study
from winogen.quality.verdict import grade
from winogen.reports import charts, pictures
from winogen.reports.budget import KINDS, LayerBudget, layer_budgets, peak_bytes_per_cycle
from winogen.reports.style import STYLE
from winogen.version import __version__

#: Sample images on the page.
SAMPLES = 6


def report_page(program: Program, studied: Study, verdict: str) -> str:
    """The whole page.

    Parameters
    ----------
    studied : the network at one or both data widths; one of them is the program's
    verdict : what :func:`winogen.quality.verdict.verdict_text` says
    """
    stream = program.streams[-1]
    budgets = layer_budgets(program, stream)
    name = escape(program.name)
    sections = [
        _summary(program, studied, verdict),
        _pictures(program, studied),
        _layers(program, studied),
        _memory(program, budgets),
        _cycles(program, budgets),
    ]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{name}: accuracy, memory, cycles</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<p class="quiet">winogen {escape(__version__)} report</p>
<h1>{name}</h1>
<p>int{program.data_width} on {escape(program.board.name)} at {program.board.clock_mhz:g} MHz,
{program.core.array}</p>
</header>
<main>
{"".join(sections)}
</main>
</body>
</html>
"""


def _section(title: str, intro: str, body: str) -> str:
    return f"<section><h2>{title}</h2>\n<p>{intro}</p>\n{body}</section>\n"


def _table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], kind: str = ""
) -> str:
    """A table of HTML cells; the first of every row is its heading."""
    head = "".join(f'<th scope="col">{h}</th>' for h in header)
    lines = []
    for first, *others in rows:
        cells = "".join(f"<td>{c}</td>" for c in others)
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>\n')
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}">'
        f'<table class="{kind}"><caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{''.join(lines)}</tbody></table></div>\n"
    )


def _summary(program: Program, studied: Study, verdict: str) -> str:
    stream = program.streams[-1]
    result = studied.layers[-1].widths[program.data_width].report
    word = grade(result)
    moved = sum(b.total_bytes for b in layer_budgets(program, stream)) / stream.batch
    tiles = [
        ("PSNR", f"{decibels(result.psnr)} dB"),
        ("SSIM", _similarity(result)),
        ("predicted, host included", f"{speed(program, stream).overlapped:,.1f} images/s"),
        ("cycles an image", f"{stream.cycles / stream.batch:,.0f}"),
        ("DRAM an image", charts.size(round(moved))),
        ("contiguous memory", charts.size(program.memory().total)),
    ]
    boxes = "".join(f"<div><dt>{n}</dt><dd>{escape(v)}</dd></div>" for n, v in tiles)
    kind = word.split()[0]
    first, *more = verdict.splitlines()
    rest = f"<pre>{escape(chr(10).join(more))}</pre>" if more else ""
    return (
        f'<section class="verdict {kind}"><h2>Verdict: {word}</h2>\n'
        f"<p>{escape(first.split(': ', 2)[2])}.</p>{rest}\n<dl>{boxes}</dl></section>\n"
    )


def _similarity(result: LayerReport) -> str:
    return "-" if result.ssim is None else f"{result.ssim:.4f}"


def _pictures(program: Program, studied: Study) -> str:
    exact = studied.exact[:SAMPLES]
    if not exact.size or min(exact.shape[2:]) < 2:
        return ""
    is_image = program.output_range is not None and exact.shape[1] in (1, 3)
    black, white = program.output_range or (float(exact.min()), float(exact.max()))
    if not black < white:
        white = black + 1
    shown = {"float": pictures.pixels(exact, black, white)}
    for width, values in sorted(studied.outputs.items()):
        shown[f"int{width}"] = pictures.pixels(values[:SAMPLES], black, white)
    maps = {k: pictures.differences(shown["float"], v) for k, v in shown.items() if k != "float"}
    full = pictures.full_scale(np.stack(list(maps.values())))
    rows = []
    for i in range(len(exact)):
        cells = [f"{i + 1}"]
        for key, images in shown.items():
            cells.append(_image(images[i], f"Output {i + 1} of the {key} network"))
        for key, found in maps.items():
            alt = (
                f"Difference of output {i + 1} between float and {key}: at most "
                f"{found[i].max()} of 255, {found[i].mean():.2f} on average"
            )
            cells.append(_image(pictures.map_colours(found[i], full), alt))
        rows.append(cells)
    header = ["#", *shown, *(f"float &minus; {k}" for k in maps)]
    rows_of, columns_of = exact.shape[2:]
    notes = []
    if max(rows_of, columns_of) > pictures.MAX_SIDE:
        notes.append(f"Pictures are the middle of {columns_of} &times; {rows_of} pixels. ")
    if not is_image:
        notes.append(
            "The output is no image of one or three channels: this is its first channel, "
            f"{black:.3g} black and {white:.3g} white. "
        )
    intro = (
        f"The same inputs through all networks. {''.join(notes)}The maps show the largest "
        f"difference of any channel, amplified {256 / full:g} times: the lightest colour is "
        f"{full} of 255 or more."
    )
    colours = ", ".join(f"rgb{c}" for c in pictures.MAP_COLOURS)
    ramp = (
        '<div class="ramp" role="img" aria-label="Scale of the difference maps, from 0, dark, to '
        f'{full} of 255, light"><span>0</span>'
        f'<i style="background:linear-gradient(90deg,{colours})"></i>'
        f"<span>{full} of 255</span></div>\n"
    )
    return _section("Images", intro, ramp + _table("Sample images", header, rows, "pictures"))


def _image(image: np.ndarray, alt: str) -> str:
    height, width = image.shape[:2]
    return (
        f'<img src="{pictures.data_uri(image)}" width="{width}" height="{height}" '
        f'alt="{escape(alt)}">'
    )


def _layers(program: Program, studied: Study) -> str:
    widths = sorted(studied.layers[0].widths)
    header = ["layer", "output"]
    for w in widths:
        header += [f"PSNR int{w}", f"SSIM int{w}", f"clipped int{w}", f"at the ends int{w}"]
    rows = []
    for layer in studied.layers:
        cells = [escape(layer.name), "&times;".join(map(str, layer.shape))]
        for w in widths:
            of = layer.widths[w]
            cells += [
                decibels(of.report.psnr),
                _similarity(of.report),
                f"{of.clipped:.3%}",
                f"{of.report.saturated / of.report.values:.3%}",
            ]
        rows.append(cells)
    intro = (
        "Every layer against the float network. <em>Clipped</em> is the share of the float values "
        "that no integer represents; <em>at the ends</em> that of the integers which are the "
        "lowest or highest (in an image: black or white)."
    )
    cards = "".join(_histogram_card(layer, program.data_width) for layer in studied.layers)
    key = (
        '<p class="key"><span><i class="bar"></i>float values, logarithmic count</span>'
        f'<span><i class="representable"></i>what int{program.data_width} represents</span>'
        '<span><i class="clipped"></i>clipped</span></p>\n'
    )
    body = _table("Quality of every layer", header, rows)
    return _section("Layers", intro, f'{body}{key}<div class="cards">{cards}</div>')


def _histogram_card(layer: LayerStudy, width: int) -> str:
    of = layer.widths[width]
    return (
        f"<figure><figcaption><b>{escape(layer.name)}</b> "
        f'<span class="quiet">{layer.histogram.low:.3g} to {layer.histogram.high:.3g}, step '
        f"{of.report.scale:.3g}</span></figcaption>{charts.histogram(layer, width)}</figure>\n"
    )


def _memory(program: Program, budgets: list[LayerBudget]) -> str:
    stream = program.streams[-1]
    key = "".join(
        f'<span><i class="kind{number}"></i>{kind}</span>' for number, kind in enumerate(KINDS)
    )
    rows = [
        [escape(b.info.name), *(f"{b.bytes[k]:,}" for k in KINDS), f"{b.total_bytes:,}"]
        for b in budgets
    ]
    rows.append(
        [
            "all layers",
            *(f"{sum(b.bytes[k] for b in budgets):,}" for k in KINDS),
            f"{sum(b.total_bytes for b in budgets):,}",
        ]
    )
    plan = program.memory()
    buffers = [
        [name, f"{value:,}"]
        for name, value in (
            ("weights", plan.weights),
            ("instructions", plan.streams),
            ("input", plan.input),
            ("output", plan.output),
            ("scratch", plan.scratch),
            ("all buffers", plan.total),
        )
    ]
    body = (
        f'<p class="key">{key}</p>\n<figure>{charts.traffic(budgets)}</figure>\n'
        + _table("Bytes moved from and to DRAM", ["layer", *KINDS, "all"], rows)
        + _table("Contiguous memory", ["buffer", "bytes"], buffers)
    )
    intro = (
        f"What a run of {stream.batch} images moves, and the buffers that it needs: "
        f"{charts.size(plan.total)} of the board's {program.board.contiguous_mib} MiB of "
        "contiguous memory."
    )
    return _section("Memory", intro, body)


def _cycles(program: Program, budgets: list[LayerBudget]) -> str:
    stream = program.streams[-1]
    bandwidth = peak_bytes_per_cycle(program)
    rows = [
        [
            f"{number} {escape(b.info.name)}",
            escape(b.info.kind),
            b.info.mode,
            f"{b.multiplies:,}",
            f"{b.cycles:,}",
            f"{b.array_cycles:,.0f}",
            f"{b.memory_cycles:,.0f}",
            b.bound,
        ]
        for number, b in enumerate(budgets, 1)
    ]
    header = ["layer", "kind", "mode", "multiplies", "cycles", "array", "memory", "bound"]
    key = (
        '<p class="key"><span><i class="cycles"></i>predicted cycles</span>'
        '<span><i class="array"></i>multipliers alone</span>'
        '<span><i class="memory"></i>DRAM alone</span></p>\n'
    )
    body = (
        key
        + f'<div class="cards wide"><figure>{charts.cycle_bars(budgets)}</figure>\n<figure>'
        + "<figcaption><b>Roofline</b> multiplies a cycle; numbers are those of the table"
        + f"</figcaption>{charts.roofline(budgets, program.core.peak, bandwidth)}"
        + "</figure></div>\n"
        + _table("Cycles of every layer", header, rows)
    )
    intro = (
        f"Predicted for a run of {stream.batch} images: {stream.cycles:,} cycles, "
        f"{program.frames_per_second(stream):,.1f} images a second without the host. The array "
        f"makes at most {program.core.peak} multiplies a cycle, DRAM gives {bandwidth:.2f} "
        "bytes; a layer is bound by what takes longer."
    )
    return _section("Cycles", intro, body)
