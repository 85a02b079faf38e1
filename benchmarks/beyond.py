"""What is beyond the bars: a faster clock, and layers that hand their values on without DRAM.

    python benchmarks/beyond.py [--board pynq-z2] [--only clock,chain]

* ``clock``: images a second at the board's clock and at 200 MHz, with the same DRAM, by the cost
  model at batch 16; and the registers that a path of more than 5 ns ends at, nets estimated, by the
  part of the logic that they are in (synthesises the board's build, some ten minutes, once)
* ``chain``: FSRCNN x2 in the windows of ``hardware_speed.py``: cycles of each layer by the cost
  model, and what the compute engine and the bus need of them alone; and for every run of layers
  that could be computed a part at a time, values staying in the input memory, what both would need
  then. A part's rim is computed again by its neighbours, so that small parts cost multiplies.

All are predictions: nothing here has been built.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from winogen.common.script import run_script
from winogen.common.text import table
from winogen.compiler.compile import compile_graph
from winogen.cost.simulate import instruction_work
from winogen.cost.steady import compute_cycles
from winogen.fpga.parts import find_part
from winogen.fpga.synthesis import synthesise
from winogen.fpga.utilisation import Report
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.target.board import Board, load_board
from winogen.target.isa import Compute

NETWORKS = ("dcgan-5x5", "dcgan-4x4", "discogan", "gp-gan", "artgan", "digits", "fsrcnn-x2")
BATCH = 16
#: The goal, in MHz.
FAST = 200
#: The windows of hardware_speed.py, and how many make a picture of 1920 x 1080.
WINDOW, WINDOWS = (552, 972), 4


def clock(board: Board) -> None:
    """What 200 MHz would bring, and what is in its way."""
    rows = []
    for name in NETWORKS:
        graph = zoo.load_model(name)
        rates = [_rate(graph, replace(board, clock_mhz=mhz)) for mhz in (board.clock_mhz, FAST)]
        rows.append((name, *(f"{r:,.1f}" for r in rates), f"{rates[1] / rates[0]:.2f}"))
    heads = ("network", f"images/s at {board.clock_mhz:g} MHz", f"at {FAST} MHz", "times")
    print(table(heads, rows))
    part = find_part(board.part)
    report = Report.of(board, part, synthesise(board.core, part.family))
    late = [path for path in report.routed or () if path.delay > part.goal]
    count = Counter(_where(path.end) for path in late)
    worst = {w: max(p.delay for p in late if _where(p.end) == w) for w in count}
    rows = [(w, str(n), f"{worst[w]:,}") for w, n in count.most_common()]
    print(table(("part of the logic", f"registers over {part.goal:,} ps", "latest, ps"), rows))


def _rate(graph: Graph, board: Board) -> float:
    stream = compile_graph(graph, board, batch=BATCH).program.streams[-1]
    return board.clock_mhz * 1e6 * stream.batch / stream.cycles


def _where(end: str) -> str:
    """The engine and its unit, without what is within that."""
    return ".".join(end.split(".")[:2])


@dataclass(frozen=True)
class Layer:
    """A layer of FSRCNN in a window.

    Attributes
    ----------
    cycles : predicted
    engine : cycles of the compute engine alone: its multipliers, reads and drain
    inputs, stored, others : bytes of values that are read and written, and of weights and tables
    blocks : of channels that it reads
    reach : samples that an output needs on either side
    scale : outputs for each input, along an axis
    """

    name: str
    cycles: int
    engine: float
    inputs: int
    stored: int
    others: int
    blocks: int
    reach: int
    scale: int


def layers(board: Board) -> list[Layer]:
    """The layers of FSRCNN x2, compiled for the window."""
    compiled = compile_graph(zoo.load_model("fsrcnn-x2"), board, batch=1, window=WINDOW)
    program, stream = compiled.program, compiled.program.streams[-1]
    instructions = stream.instructions()
    made = []
    for number, layer in enumerate(compiled.network.layers):
        own = [x for x in instructions if x.layer == number]
        work = [(type(x).__name__, instruction_work(x, board)) for x in own]
        read = {k: sum(w.read_bytes for name, w in work if name == k) for k, _ in work}
        engine = sum(compute_cycles(x, board.core) for x in own if isinstance(x, Compute))
        shape = layer.shape
        kernel, stride = max(shape.kernel), max(shape.stride)
        made.append(
            Layer(
                program.layers[number].name,
                stream.layer_cycles[number],
                engine,
                read.get("LoadInput", 0),
                sum(w.written_bytes for _, w in work),
                sum(n for k, n in read.items() if k != "LoadInput"),
                -(-layer.weight.shape[1] // board.core.ci_lanes),
                (-(-kernel // stride) if shape.transposed else kernel) // 2,
                stride if shape.transposed else 1,
            )
        )
    return made


def chain(board: Board) -> None:
    """What layers that keep their values on chip would take."""
    found = layers(board)
    heads = ("layer", "cycles", "engine", "bus", "MB read", "MB written")
    rows = [
        (x.name, f"{x.cycles:,}", f"{x.engine:,.0f}", f"{_bus(x, board):,.0f}",
         f"{x.inputs / 1e6:.1f}", f"{x.stored / 1e6:.1f}")
        for x in found
    ]  # fmt: skip
    total = sum(x.cycles for x in found)
    print(table(heads, rows))
    rate = board.clock_mhz * 1e6 / (WINDOWS * total)
    print(f"\n{total:,} cycles a window, {rate:.2f} pictures a second\n")
    rows = []
    for run in _runs(found):
        size, again = _part(run, board)
        if not size:
            continue
        now = sum(x.cycles for x in run)
        ends = [replace(x, inputs=0, stored=0) for x in run]
        ends[0] = replace(ends[0], inputs=round(run[0].inputs * again[0]))
        ends[-1] = replace(ends[-1], stored=run[-1].stored)
        engine = sum(x.engine * n for x, n in zip(run, again))
        bus = sum(_bus(x, board) for x in ends)
        then = max(engine, bus)
        rate = board.clock_mhz * 1e6 / (WINDOWS * (total - now + then))
        names = run[0].name if len(run) == 1 else f"{run[0].name} to {run[-1].name}"
        rows.append((names, f"{size} x {size}", f"{now:,}", f"{engine:,.0f}", f"{bus:,.0f}",
                     f"{rate:.2f}"))  # fmt: skip
    rows.sort(key=lambda row: -float(row[-1]))
    heads = ("chained", "outputs of a part", "cycles now", "engine", "bus", "pictures/s at most")
    print(table(heads, rows[:6]))


def _bus(layer: Layer, board: Board) -> float:
    return (layer.inputs + layer.stored + layer.others) / board.dram_bytes_per_cycle


def _runs(found: Sequence[Layer]) -> Iterator[Sequence[Layer]]:
    """Neighbours, two at least."""
    for first in range(len(found)):
        for end in range(first + 2, len(found) + 1):
            yield found[first:end]


def _part(run: Sequence[Layer], board: Board) -> tuple[int, list[float]]:
    """The largest square part whose values fit, and how often each layer's outputs are computed.

    The input memory holds what one layer reads and what it makes, which the next one reads. The
    part is a square of what the last layer reads, without its rim.
    """
    best: tuple[int, list[float]] = 0, []
    for size in range(1, max(WINDOW)):
        needs = []  # side of the square that each layer reads
        side = size
        for layer in reversed(run):
            side += 2 * layer.reach
            needs.insert(0, side)
        words = [layer.blocks * n * n for layer, n in zip(run, needs)]
        if max(a + b for a, b in zip(words, [*words[1:], 0])) > board.core.input_depth:
            break
        made = [*needs[1:], size]  # what each makes, in samples of what the last one reads
        best = size * run[-1].scale, [(n / size) ** 2 for n in made]
    return best


PARTS = {"clock": clock, "chain": chain}


def main() -> int:
    """Print the parts that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--board", default="pynq-z2", type=load_board)
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run, with commas")
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        if name not in PARTS:
            parser.error(f"there is no part '{name}': {', '.join(PARTS)}")
        PARTS[name](arguments.board)
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
