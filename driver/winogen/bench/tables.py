"""The tables of a suite's results, once for all: as text, as HTML, as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from winogen.bench import published
from winogen.bench.energy import KINDS, TERMS, Estimate, Technology, sources
from winogen.bench.measure import LayerRun, Run
from winogen.bench.resources import builds, excess, pairs
from winogen.bench.suite import AUTO, BASELINES, SINGLE, UNPACKED, Network, Results
from winogen.bench.summary import (
    DIRECT,
    WINOGRAD,
    ZERO_PADDED,
    beside,
    energy,
    energy_terms,
    gops_a_watt,
    is_counted,
    ratio,
    saved,
)
from winogen.common.text import table
from winogen.fpga.area import Area
from winogen.fpga.parts import Part, find_part

#: Behind a number of cycles that the logic counted.
COUNTED = "*"
#: Columns of what is written below a table.
_NOTE_COLUMNS = 100
#: Networks whose operations a watt somebody has published.
SUPER_RESOLUTION = ("fsrcnn-x2", "fsrcnn-x3", "fsrcnn-x4")


@dataclass(frozen=True)
class Table:
    """A table with its title and what must be known to read it; ``left`` columns are text."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1

    def text(self) -> str:
        """For a terminal."""
        grid = table(self.header, self.rows, self.left)
        return f"{self.title}\n{grid}\n{textwrap.fill(self.note, _NOTE_COLUMNS)}".strip()

    def markdown(self) -> str:
        """For a document."""
        rule = ["---"] * self.left + ["---:"] * (len(self.header) - self.left)
        lines = [self.header, rule, *self.rows]
        grid = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"## {self.title}\n\n{self.note}\n\n{grid}\n".replace("*", r"\*")

    def html(self) -> str:
        """For the page."""
        head = "".join(f'<th scope="col">{escape(h)}</th>' for h in self.header)
        body = "".join(
            f'<tr><th scope="row">{escape(first)}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
            + "</tr>\n"
            for first, *rest in self.rows
        )
        label = escape(self.title)
        return (
            f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>'
            f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
        )


def cycles_table(results: Results) -> Table:
    """Cycles of an image in each mode, and what they say of each other."""
    rows = []
    for n in results.networks:
        runs = [n.runs.get(key) for key in (*BASELINES, AUTO, UNPACKED, SINGLE)]
        rows.append([
            n.name, str(n.runs[AUTO].batch), *(_cycles(run) for run in runs),
            f"{ratio(n, ZERO_PADDED, AUTO):.2f}", f"{ratio(n, ZERO_PADDED, WINOGRAD):.2f}",
            f"{ratio(n, DIRECT, WINOGRAD):.2f}",
            f"{ratio(n, UNPACKED, AUTO):.2f}" if UNPACKED in n.runs else "-",
        ])  # fmt: skip
    return Table(
        "Cycles an image, by mode, on one build",
        f"auto: what winogen compiles to. one product: the same array with one product a "
        f"multiplier. alone: a batch of 1. {_mark(results)}",
        ["network", "batch", *BASELINES, AUTO, "one product", "alone", "zero-padded / auto",
         "zero-padded / winograd", "direct / winograd", "one product / auto"],
        rows,
    )  # fmt: skip


def speed_table(results: Results) -> Table:
    """Images a second, useful operations, what limits them."""
    rows = []
    for n in results.networks:
        run = n.runs[AUTO]
        rows.append([
            n.name, _rate(run.images_per_second), _rate(run.overlapped), _rate(run.alone),
            f"{run.gops:.1f}", f"{run.gops / results.dsp:.2f}" if results.dsp else "-",
            f"{run.utilisation:.1%}", f"{run.dram_bytes / 1e6:.2f}",
        ])  # fmt: skip
    measured = any(n.runs[AUTO].host_measured for n in results.networks)
    return Table(
        "Images a second and useful operations, mode auto",
        f"GOPS: multiplies and additions of the plain layers, without inserted zeros. With the "
        f"host: its part is {'measured' if measured else 'estimated'}; many batches overlap, one "
        f"alone does not. Utilisation: multiplies that the layers need in their mode, of all that "
        f"the array could do. DSP48 of the build: {results.dsp or 'not known'}.",
        ["network", "images/s", "with host", "with host, one batch", "GOPS", "GOPS a DSP",
         "utilisation", "DRAM MB an image"],
        rows,
    )  # fmt: skip


def layer_table(results: Results, network: Network) -> Table:
    """Each layer in each mode, and how near it comes to its roof."""
    runs = network.runs
    rows = []
    for number, layer in enumerate(runs[AUTO].layers):
        own = [runs[mode].layers[number] for mode in BASELINES]
        batch = runs[AUTO].batch
        rows.append([
            layer.name, layer.kind, layer.mode,
            *(f"{x.cycles / runs[m].batch:,.0f}" for x, m in zip(own, BASELINES)),
            f"{layer.cycles / batch:,.0f}",
            *(f"{x.cycles / max(own[2].cycles, 1):.2f}" for x in own[:2]),
            f"{layer.needed / max(layer.cycles, 1) / results.peak:.1%}",
            *_roof(results, layer),
            f"{(layer.bytes_read + layer.bytes_written) / batch / 1e3:,.1f}",
        ])  # fmt: skip
    return Table(
        f"{network.name}, by layer",
        "Of its roof: multiplies a cycle, of what array and DRAM allow for so many bytes. It can "
        "be more than all, where bytes came while the layer before ran.",
        ["layer", "kind", "mode", *BASELINES, AUTO, "zero-padded / winograd",
         "direct / winograd", "utilisation", "of its roof", "limit", "DRAM kB"],
        rows, 3,
    )  # fmt: skip


def roofline(results: Results, layer: LayerRun) -> tuple[float, float, float]:
    """Multiplies a byte of DRAM, multiplies a cycle, and how many the roof allows."""
    intensity = layer.needed / max(layer.bytes_read + layer.bytes_written, 1)
    roof = min(results.peak, intensity * results.bytes_per_cycle)
    return intensity, layer.needed / max(layer.cycles, 1), roof


def energy_table(results: Results, technology: Technology) -> Table:
    """Energy of an image in each mode, with its error bar, and by term in mode auto."""
    rows = []
    for n in results.networks:
        parts = energy_terms(technology, n.runs[AUTO])
        rows.append([
            n.name, *(_millijoules(energy(technology, n.runs[m])) for m in (*BASELINES, AUTO)),
            *(f"{parts[t] * 1e3:.3g}" for t in TERMS),
            _bar(saved(technology, n)), _bar(gops_a_watt(technology, n.runs[AUTO])),
        ])  # fmt: skip
    return Table(
        f"Energy of an image, mJ: {technology.title}",
        f"{technology.about} Counted: bytes, accesses, operations, cycles. Taken from others: what "
        "each of them costs. In brackets the error bar that the spread of these constants gives.",
        ["network", *BASELINES, AUTO, *(f"auto: {t}" for t in TERMS), "zero-padded / auto",
         "GOPS/W"],
        rows,
    )  # fmt: skip


def explained_table(results: Results, technology: Technology) -> Table:
    """Term by term, what of the energy of zero-padded mode is saved, and by what."""
    limit = published.figure("energy_most")
    rows = []
    for n in results.networks:
        before, after = (
            energy_terms(technology, n.runs[m]) for m in (ZERO_PADDED, AUTO)
        )  # fmt: skip
        whole = sum(before.values())
        times = [f"{before[t] / after[t]:.2f}" if after[t] else "-" for t in TERMS]
        shares = [f"{(before[t] - after[t]) / whole:.1%}" for t in TERMS]
        rows.append([n.name, _bar(saved(technology, n)), *times, *shares])
    return Table(
        f"What the ratio of energies is made of: {technology.title}",
        f"Beside the paper's {limit.value:g}x at most. Ratio of each term (zero-padded / auto), "
        "and its part in what is saved of all energy. DRAM traffic is nearly that of zero-padded "
        "mode, so it holds the ratio down; multiplies and what feeds them shrink as cycles do, and "
        "so does what static power takes. The paper's array is of single precision, whose multiply "
        "takes 3.7 pJ in the 45 nm table, 18 times that of 8 bits: multiplies weigh more there.",
        ["network", "zero-padded / auto", *TERMS, *(f"saved by {t}" for t in TERMS)],
        rows,
    )


def constants_table(technology: Technology) -> Table:
    """What each constant is, and what it rests on."""
    order = {kind: number for number, kind in enumerate((*KINDS, "given"))}
    known = sorted(technology.constants.items(), key=lambda item: order[item[1].kind])
    rows = [
        [name, c.kind, c.source, c.how, f"{c.value:g}", f"{c.low:g}", f"{c.high:g}"]
        for name, c in known
    ]
    cited = "; ".join(
        f"{key}: {' '.join(text.split())}"
        for key, text in sources().items()
        if any(c.source == key for c in technology.constants.values())
    )
    return Table(
        f"Constants: {technology.title}",
        f"Picojoules of a bit, or of an 8-bit multiply; watts. {cited}.",
        ["constant", "rests on", "source", "how", "value", "low", "high"],
        rows,
        4,
    )


def published_table(results: Results, technology: Technology) -> Table:
    """Others' figures with ours beside them."""
    rows = []
    for entry in beside(results, technology):
        p = entry.published
        mine = "-" if entry.ours is None else f"{entry.ours:.3g}"
        rows.append(
            [
                p.what,
                p.device,
                str(p.year or "-"),
                p.source,
                f"{p.value:g}",
                mine,
                p.unit,
                entry.verdict,
                entry.where,
            ]
        )
    cited = "; ".join(f"{k}: {' '.join(v.split())}" for k, v in published.sources().items())
    return Table(
        "Beside published figures",
        f"Ours: {results.board}, int{results.bits}, {results.array} at {results.clock_mhz:g} MHz, "
        f"DRAM of {results.dram_mb_s:,.0f} MB/s; predicted or simulated, on no board yet. "
        f"Sources: {cited}.",
        ["what", "on", "year", "source", "published", "ours", "unit", "we are", "ours of"],
        rows,
        4,
    )


def watts_table(results: Results, technologies: Sequence[Technology]) -> Table:
    """Useful operations a nanojoule of super-resolution, beside what was published."""
    rows = []
    for name in SUPER_RESOLUTION:
        network = results.network(name)
        if network is None:
            continue
        run, theirs = network.runs[AUTO], published.figure(name)
        cells = []
        for technology in technologies:
            cells += [_bar(gops_a_watt(technology, run, static=s)) for s in (True, False)]
        rows.append([name, f"{theirs.value:g}", *cells])
    heads = [f"{t.title}{end}" for t in technologies for end in ("", ", without static power")]
    return Table(
        "FSRCNN: useful GOPS a watt beside Chang 2018",
        "Useful operations are those of the plain layers, which hardly grow with the scale. Theirs "
        "do: we have their figures, and not how they counted operations and power. Ours include "
        "DRAM, through which every layer's activations pass, and on the Zynq its processors.",
        ["network", "Chang 2018", *heads],
        rows,
    )


def resources_table() -> Table:
    """What the paper's builds take of their devices, and what ours would there."""
    rows = []
    for r in published.resources():
        part = find_part(r.device)
        used = (r.dsp, r.bram18, r.lut, r.ff)
        rows.append([r.build, r.device, "published", *_used(used, part), "-", "-"])
    for build in builds():
        part = find_part(build.device)
        array = f"{build.core.multipliers:,} x {build.core.products}"
        kept = build.kept
        origin = "in parts" if kept else "estimated"
        speed = f"{kept['fsrcnn_fps']:.2f} at {kept['clock_mhz']} MHz" if kept else "-"
        rows.append(
            [build.title, build.device, origin, *_used(_counts(build.area), part), array, speed]
        )
    lut, ff = (f"{part:.0%}" for part in excess("pynq-z2"))
    return Table(
        "Resources in the paper's places",
        "Ours are synthesised in parts, the array's chains once, which is a bound from above "
        f"(python benchmarks/large_builds.py --keep; the PYNQ-Z2's has {lut} more LUT and {ff} "
        "more FF so than flat), or estimated. FSRCNN x2 makes pictures of "
        "1920 x 1080 twice as large, predicted at the clock of the board's file: nothing has been "
        "placed there. Single precision: others count 5 DSP48E1 for a multiply and an addition "
        "(Zhang et al., FPGA 2015: 448 of them in 2,240), so 2,560 DSP48E1 are 512 such "
        "pairs, where they hold 2,304 of our multipliers.",
        [
            *("build", "device", "is", "DSP48", "RAMB18", "LUT", "FF"),
            *("multipliers x products", "FSRCNN pictures/s"),
        ],
        rows,
        3,
    )


def price_table() -> Table:
    """What Winograd takes of an array beside TDC alone: the paper's, and ours by synthesis."""
    theirs = [(r.dsp, r.bram18, r.lut, r.ff) for r in published.resources()[:2]]
    both = [("the paper's", "published", theirs[0], theirs[1])]
    for pair in pairs():
        name = f"{pair.board}, {pair.multipliers} x {pair.products}"
        both.append((name, "synthesised", _counts(pair.winograd), _counts(pair.direct)))
    rows = []
    for name, origin, one, other in both:
        rows.append([f"{name}: Winograd", origin, *(f"{n:,}" for n in one)])
        rows.append([f"{name}: TDC alone", origin, *(f"{n:,}" for n in other)])
        rows.append([f"{name}: price", "", *(f"{a / b:.2f}" for a, b in zip(one, other))])
    return Table(
        "The price of Winograd in logic",
        "The same array, as it is and able to do TDC alone, by Yosys. In the second no instruction "
        "can ask for Winograd and operands have the data's width; memories stay as deep. It gives "
        "the same bits in mode direct. python benchmarks/tdc_only.py --board NAME --keep.",
        ["build", "is", "DSP48", "RAMB18", "LUT", "FF"],
        rows,
        2,
    )


def _counts(area: Area) -> tuple[int, int, int, int]:
    return area.dsp, round(2 * area.block_ram), area.lut, area.ff


def _used(used: Sequence[int], part: Part) -> list[str]:
    """Numbers with their parts of a device."""
    there = (part.dsp, 2 * part.ramb36, part.lut, part.ff)
    return [f"{n:,} ({n / of:.1%})" for n, of in zip(used, there)]


def all_tables(results: Results, technologies: Sequence[Technology]) -> Iterator[Table]:
    """All tables of the page and the document, in the order in which they are shown."""
    yield cycles_table(results)
    yield speed_table(results)
    for network in results.networks:
        yield layer_table(results, network)
    for technology in technologies:
        yield energy_table(results, technology)
        yield explained_table(results, technology)
        yield constants_table(technology)
    yield watts_table(results, technologies)
    yield resources_table()
    yield price_table()
    yield published_table(results, technologies[-1])


def terminal_tables(results: Results, technology: Technology, layers: bool) -> Iterator[Table]:
    """What the terminal shows: with ``layers`` each network's too."""
    yield cycles_table(results)
    yield speed_table(results)
    if layers:
        for network in results.networks:
            yield layer_table(results, network)
    yield energy_table(results, technology)
    yield explained_table(results, technology)
    yield published_table(results, technology)


def _cycles(run: Run | None) -> str:
    if run is None:
        return "-"
    return f"{run.cycles / run.batch:,.0f}{COUNTED * is_counted(run)}"


def _mark(results: Results) -> str:
    """Where cycles are from."""
    every = [is_counted(run) for n in results.networks for run in n.runs.values()]
    if not any(every):
        return "All cycles are predicted by the cost model."
    return f"{COUNTED}: counted by the simulated logic; the others are predicted by the cost model."


def _roof(results: Results, layer: LayerRun) -> tuple[str, str]:
    _, rate, roof = roofline(results, layer)
    return f"{rate / roof:.1%}" if roof else "-", "array" if roof == results.peak else "memory"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.{0 if value >= 100 else 1}f}"


def _millijoules(e: Estimate) -> str:
    return _bar(Estimate(1e3 * e.value, 1e3 * e.low, 1e3 * e.high))


def _bar(e: Estimate) -> str:
    return " ".join((_three(e.value), f"({_three(e.low)} to {_three(e.high)})"))


def _three(value: float) -> str:
    """A number with three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
