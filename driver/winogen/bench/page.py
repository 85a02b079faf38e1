"""``winogen bench --page``: all of a suite on one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from winogen.bench import charts
from winogen.bench.charts import Bar
from winogen.bench.energy import TERMS, Technology
from winogen.bench.published import figure
from winogen.bench.suite import AUTO, Results
from winogen.bench.summary import DIRECT, WINOGRAD, ZERO_PADDED, most, ratio
from winogen.bench.tables import (
    Table,
    constants_table,
    cycles_table,
    energy_table,
    explained_table,
    layer_table,
    price_table,
    published_table,
    resources_table,
    speed_table,
    watts_table,
)
from winogen.reports.style import STYLE

#: What the page's charts need beside the style sheet of the report.
_STYLE = """
figure.wide { max-width: none; }
details summary { cursor: pointer; font-weight: 600; }
td { white-space: normal; }
tbody th { white-space: nowrap; }
.side td, .side th { border: 0; padding: .15rem; }
.side tbody th { white-space: normal; }
.side img { width: 7rem; image-rendering: pixelated; display: block; }
"""


def bench_page(results: Results, technologies: Sequence[Technology]) -> str:
    """The whole page."""
    board = technologies[-1]
    sections = [
        _headline(results),
        _section(cycles_table(results), _speedups(results)),
        _section(speed_table(results)),
        _roofline(results),
        *(_energy(results, technology) for technology in technologies),
        _section(watts_table(results, technologies)),
        _section(resources_table()),
        _section(price_table()),
        _section(published_table(results, board)),
    ]
    return document(
        f"{results.board}: measured against the paper and its peers",
        "winogen bench",
        f"int{results.bits} on {results.board} at {results.clock_mhz:g} MHz, {results.array}, DRAM "
        f"of {results.dram_mb_s:,.0f} MB/s",
        sections,
        results.version,
    )


def document(title: str, kind: str, about: str, sections: Sequence[str], version: str) -> str:
    """A page of sections (HTML) in the style of the reports; the other texts are escaped."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}{_STYLE}</style>
</head>
<body>
<header>
<p class="quiet">{escape(kind)}, winogen {escape(version)}</p>
<h1>{escape(title)}</h1>
<p>{escape(about)}</p>
</header>
<main>
{"".join(sections)}
</main>
</body>
</html>
"""


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """Names and values, side by side."""
    boxes = "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in values)
    return f"<dl>{boxes}</dl>"


def _headline(results: Results) -> str:
    found = []
    for mode, ours in ((ZERO_PADDED, "zero_padded_most"), (DIRECT, "direct_most")):
        if best := most(results, mode):
            theirs = figure(ours).value
            found.append(
                (
                    f"{mode} / Winograd at most ({best[1]}; the paper's: {theirs:g})",
                    f"{best[0]:.2f}x",
                )
            )
    fastest = max(results.networks, key=lambda n: n.runs[AUTO].gops)
    run = fastest.runs[AUTO]
    found.append((f"useful GOPS, {fastest.name}", f"{run.gops:.0f}"))
    if results.dsp:
        found.append((f"GOPS a DSP, {fastest.name}", f"{run.gops / results.dsp:.2f}"))
    return f"<section><h2>In short</h2>{tiles(found)}</section>\n"


def _section(table: Table, before: str = "") -> str:
    return (
        f"<section><h2>{escape(table.title)}</h2>\n<p>{escape(table.note)}</p>\n{before}"
        f"{table.html()}</section>\n"
    )


def _speedups(results: Results) -> str:
    names = ("zero-padded / winograd", "direct / winograd", "zero-padded / auto")
    pairs = ((ZERO_PADDED, WINOGRAD), (DIRECT, WINOGRAD), (ZERO_PADDED, AUTO))
    rows = []
    for n in results.networks:
        values = [ratio(n, *pair) for pair in pairs]
        stacks = [
            [Bar(value, f"kind{number}", f"{n.name}, {names[number]}: {value:.2f}")]
            for number, value in enumerate(values)
        ]
        rows.append((n.name, stacks))
    limit = figure("zero_padded_most").value
    chart = charts.stacked_bars("Ratios of cycles between modes", rows, "x", limit)
    line = f"<p class='quiet'>The dashed line is the paper's {limit:g}x at most.</p>"
    return f'{charts.key(names)}<figure class="wide">{chart}</figure>{line}\n'


def _roofline(results: Results) -> str:
    layers = "".join(
        f"<details><summary>{escape(n.name)}</summary>{layer_table(results, n).html()}</details>\n"
        for n in results.networks
    )
    note = layer_table(results, results.networks[0]).note
    names = charts.families(results)
    return (
        "<section><h2>Roofline, and each layer</h2>\n<p>Mode auto. Under the slope DRAM is the "
        "limit, under the flat roof the array. Point at a circle for its layer.</p>"
        f'{charts.key(names)}<figure class="wide">{charts.roof_chart(results)}</figure>'
        f"<p>{escape(note)}</p>{layers}</section>\n"
    )


def _energy(results: Results, technology: Technology) -> str:
    table = energy_table(results, technology)
    chart = charts.mode_bars(results, technology)
    parts = [explained_table(results, technology), constants_table(technology)]
    more = "".join(
        f"<details><summary>{escape(t.title)}</summary><p>{escape(t.note)}</p>{t.html()}</details>"
        for t in parts
    )
    return (
        f"<section><h2>{escape(table.title)}</h2>\n<p>{escape(table.note)}</p>\n"
        "<p class='quiet'>From above: zero-padded, direct, Winograd, auto. Dashes: error bars.</p>"
        f'{charts.key(TERMS)}<figure class="wide">{chart}</figure>'
        f"{table.html()}{more}</section>\n"
    )
