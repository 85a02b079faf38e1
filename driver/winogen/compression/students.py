"""What students are made of, and what their layers cost on a board, by the cycle model."""

from __future__ import annotations

from winogen.common.text import table
from winogen.compilation.job import Job
from winogen.compression.blocks import parts, replaced, with_blocks
from winogen.compression.merging import merged
from winogen.compression.width import program_of
from winogen.network.graph import Graph
from winogen.program.file import Program


def begun(job: Job, blocks: str | None = None) -> Graph:
    """What students are made of: layers merged where that is faster, and blocks."""
    graph, one = job.graph, merged(job.graph)
    if len(one.nodes) < len(graph.nodes) and cycles(job, one) < cycles(job, graph):
        graph = one
    return graph if blocks is None else with_blocks(graph, blocks)


def cycles(job: Job, graph: Graph) -> float:
    """Cycles of an image in the largest batches, as predicted for the job's board."""
    stream = program_of(job, graph).streams[-1]
    return stream.cycles / stream.batch


def told(job: Job, kind: str) -> str:
    """What every block costs on the job's board, beside the layer that it stands for.

    A table for people, of cycles an image, and a sentence that says so where blocks cost more.
    """
    dense = begun(job)
    student = with_blocks(dense, kind)
    before, after = program_of(job, dense), program_of(job, student)
    batches = dict.fromkeys((before.streams[0].batch, before.streams[-1].batch))
    header, rows = ["layer"], []
    for batch in batches:
        header += [f"dense, batch {batch}", f"{kind}, batch {batch}"]
    worse = []
    for name in replaced(dense, kind):
        row = [name]
        for batch in batches:
            old, new = _taken(before, batch, (name,)), _taken(after, batch, parts(name, student))
            row += [f"{old:,.0f}", f"{new:,.0f}"]
        rows.append(row)
        if new > old:  # in the largest batches
            worse.append(name)
    totals = [sum(s.layer_cycles) / s.batch for b in batches for p in (before, after)
              for s in p.streams if s.batch == b]  # fmt: skip
    rows.append(["all layers", *(f"{n:,.0f}" for n in totals)])
    lines = ["cycles an image, predicted:", table(header, rows)]
    if worse:
        lines.append(
            f"{kind} blocks cost more cycles on {job.options.target.name} than the dense layers "
            f"that they stand for: {', '.join(worse)}"
            + (
                ""
                if totals[-1] < totals[-2]
                else "; the network gets slower (--faster makes it quicker)"
            )
        )
    return "\n".join(lines)


def _taken(program: Program, batch: int, names: tuple[str, ...]) -> float:
    """Cycles of an image that some layers take."""
    stream = next(s for s in program.streams if s.batch == batch)
    found = zip(program.layers, stream.layer_cycles, strict=True)
    return sum(taken for layer, taken in found if layer.name in names) / batch
