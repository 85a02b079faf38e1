"""How fast the accelerator is: cycles of the simulated RTL by its own counters, layer by layer.

    python benchmarks/hardware_speed.py [--board pynq-z2] [--only networks,batch1,vta,fsrcnn,modes]

Beside each figure stand the cost model's prediction and the bar that the design has to reach. The
bars are for a memory at the rate of the DRAM's pins; a second column has the rate that the board's
controller really gives (``dram_mb_s`` of the board).

* ``networks``: cycles an image at batch 16
* ``batch1``: DCGAN 5x5 at batch 1: roofline max(compute, bytes / bandwidth) / cycles of each layer;
  digits: cycles / roofline, where instructions are many for so little work
* ``vta``: the three DCGAN layers of VTA's benchmark, ms an image at the board's clock
* ``fsrcnn``: FSRCNN x2 on pictures of 1920 x 1080, in windows, pictures a second
* ``modes``: zero-padded and direct-TDC cycles / Winograd cycles, K5S2 and K4S2, batch 16

Exits with 1 if a bar is missed. A whole run simulates some 230 million cycles; one rate alone
(``--rate peak`` or ``--rate real``) half of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from winogen.common.script import run_script
from winogen.compiler.compile import compile_graph
from winogen.cost.simulate import instruction_work
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.open import rtl_device
from winogen.runtime.windows import image_spans
from winogen.target.board import Board, load_board
from winogen.target.isa import Compute

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.random_graphs import GraphBuilder

#: Networks, and the most cycles of an image at batch 16.
NETWORKS = {
    "dcgan-5x5": 920_000,
    "dcgan-4x4": 178_000,
    "discogan": 380_000,
    "gp-gan": 860_000,
    "artgan": 1_230_000,
    "digits": 8_400,
}
#: Milliseconds an image of VTA's three layers, by batch; VTA measured 68.4 at batch 1.
VTA = {8: 4.4, 1: 7.0}
#: A picture, the windows that it is run in (a quarter and what the layers reach), and the least
#: number of pictures a second.
PICTURE, WINDOW, PICTURES = (1080, 1920), (552, 972), 1.25
#: Zero-padded / Winograd and direct / Winograd by kernel: what one product a multiplier reached.
MODES = {5: (8.07, 2.03), 4: (7.02, 1.77)}
#: How far from them a layer that compute paces may be.
MODES_BAR = 0.05
#: The largest difference of a layer's cycles from the prediction.
MODEL_BAR = 0.05


@dataclass
class Layer:
    """One layer of a run: cycles, and what it needed at least.

    Attributes
    ----------
    needed : multiplies after zero skipping, of real channels and tiles
    floor : cycles of the array if every tile lane always had a tile (channels in whole blocks)
    dram : cycles that its bytes take at the DRAM's bandwidth
    """

    name: str
    cycles: int
    predicted: int
    needed: int
    floor: float
    dram: float

    @property
    def roofline(self) -> float:
        """Part of the time that the slower of array and DRAM would need alone."""
        return max(self.floor, self.dram) / self.cycles


def measure(
    model: Graph,
    board: Board,
    batch: int,
    mode: str = "auto",
    window: tuple[int, int] | None = None,
) -> list[Layer]:
    """Layers of one run on the RTL device; their cycles add up to the CYCLES register."""
    return run(compile_graph(model, board, mode=mode, batch=batch, window=window).program, batch)


def run(program: Program, batch: int) -> list[Layer]:
    """Layers of one run of a program's stream for a batch on the RTL device."""
    board = program.board
    stream = next(s for s in program.streams if s.batch == batch)
    device = rtl_device(board)
    with Generator(program, device, board=board) as generator:
        shape = (batch, *program.input_shape)
        generator.generate(
            np.random.default_rng(0).uniform(-1, 1, shape), as_float=True, count=True
        )
        total = generator.counters()["cycles"]
        trace = device.core.trace()  # type: ignore[union-attr]
    instructions = stream.instructions()
    ends = np.zeros(len(instructions), np.int64)
    ends[trace["index"]] = trace["end"]
    layers = []
    before = 0
    for number, info in enumerate(program.layers):
        indices = [i for i, x in enumerate(instructions) if x.layer == number]
        end = total if number == len(program.layers) - 1 else int(ends[indices].max())
        moved = floor = 0.0
        for index in indices:
            work = instruction_work(instructions[index], board)
            moved += work.read_bytes + work.written_bytes
            instruction = instructions[index]
            if isinstance(instruction, Compute):
                tiles = instruction.images * instruction.tiles_y * instruction.tiles_x
                floor += tiles * instruction.blocks * instruction.steps / board.core.tile_lanes
        layers.append(
            Layer(
                info.kind,
                end - before,
                stream.layer_cycles[number],
                info.multiplies * batch,
                floor,
                moved / board.dram_bytes_per_cycle,
            )
        )
        before = end
    return layers


def show(title: str, layers: list[Layer], board: Board, batch: int) -> list[str]:
    """Print a run; returns what misses the bar of the cost model."""
    print(f"\n{title}")
    print("layer          measured  predicted  ratio  utilisation  roofline  ms/image")
    misses = []
    for layer in layers:
        ratio = layer.cycles / layer.predicted
        use = layer.needed / (board.core.peak * layer.cycles)
        ms = layer.cycles / board.clock_mhz / 1e3 / batch
        print(
            f"{layer.name:12} {layer.cycles:10,} {layer.predicted:10,}  {ratio:5.3f}"
            f"  {use:10.1%}  {layer.roofline:8.1%}  {ms:8.3f}"
        )
        if abs(ratio - 1) > MODEL_BAR:
            misses.append(f"{title}: {layer.name} takes {ratio:.3f} of the predicted cycles")
    cycles = sum(x.cycles for x in layers)
    print(f"{'total':12} {cycles:10,} {sum(x.predicted for x in layers):10,}"
          f"{'':31}{cycles / board.clock_mhz / 1e3 / batch:8.3f}")  # fmt: skip
    return misses


#: Every figure by its name, for the table at the end.
FIGURES: dict[str, list[float]] = {}


def bar(
    name: str, value: float, least: float | None = None, most: float | None = None
) -> list[str]:
    """Print a figure beside its bar; returns it if the bar is missed."""
    limit, good = "no bar", True
    if least is not None:
        limit, good = f"at least {least:,g}", value >= least
    if most is not None:
        limit, good = f"at most {most:,g}", value <= most
    FIGURES.setdefault(name, []).append(value)
    print(f"  {name}: {value:,.3f} ({limit}){'' if good else '  MISSED'}", flush=True)
    return [] if good else [f"{name} is {value:,.3f}, {limit} is wanted"]


def networks(board: Board, bars: bool) -> list[str]:
    """Cycles an image of whole networks, batch 16."""
    misses = []
    for name, most in NETWORKS.items():
        layers = measure(zoo.load_model(name), board, 16)
        misses += show(f"{name}, batch 16", layers, board, 16)
        needed, cycles = (sum(getattr(x, n) for x in layers) for n in ("needed", "cycles"))
        print(f"  utilisation of the array: {needed / cycles / board.core.peak:.3f}")
        misses += bar(f"{name}, cycles an image", cycles / 16, most=most if bars else None)
    return misses


def batch1(board: Board, bars: bool) -> list[str]:
    """Part of the roofline that each layer reaches, batch 1."""
    layers = measure(zoo.load_model("dcgan-5x5"), board, 1)
    misses = show("DCGAN 5x5, batch 1", layers, board, 1)
    for number, layer in enumerate(layers):
        least = 0.85 if bars else None
        misses += bar(f"layer {number} of its roofline", layer.roofline, least=least)
    layers = measure(zoo.load_model("digits"), board, 1)
    misses += show("digits, batch 1", layers, board, 1)
    roofline = max(sum(x.floor for x in layers), sum(x.dram for x in layers))
    times = sum(x.cycles for x in layers) / roofline
    return misses + bar("digits, batch 1, times its roofline", times, most=1.5 if bars else None)


def vta(board: Board, bars: bool) -> list[str]:
    """VTA's three layers."""
    misses = []
    for batch, most in VTA.items():
        total = 0.0
        for number in (1, 2, 3):
            layers = measure(zoo.load_model(f"vta-dcgan-{number}"), board, batch)
            misses += show(f"VTA DCGAN {number}, batch {batch}", layers, board, batch)
            total += sum(x.cycles for x in layers) / board.clock_mhz / 1e3 / batch
        misses += bar(f"VTA, batch {batch}, ms an image", total, most=most if bars else None)
    return misses


def fsrcnn(board: Board, bars: bool) -> list[str]:
    """Pictures through windows: cycles do not depend on what is in them, so one is simulated."""
    program = compile_graph(zoo.load_model("fsrcnn-x2"), board, batch=1, window=WINDOW).program
    rows, columns = image_spans(PICTURE, program)
    layers = run(program, 1)
    misses = show(f"FSRCNN x2, a window of {WINDOW[0]} x {WINDOW[1]}", layers, board, 1)
    windows = len(rows) * len(columns)
    print(f"  windows of a picture of {PICTURE[0]} x {PICTURE[1]}: {windows}")
    rate = board.clock_mhz * 1e6 / (windows * sum(x.cycles for x in layers))
    return misses + bar("FSRCNN x2, pictures a second", rate, least=PICTURES if bars else None)


def modes(board: Board, bars: bool) -> list[str]:
    """What skipping zeros and Winograd save on the same hardware, batch 16."""
    misses = []
    for kernel, pad in ((5, (2, 1, 2, 1)), (4, (1, 1, 1, 1))):
        builder = GraphBuilder(kernel, (128, 8, 8))
        builder.deconv(64, kernel, 2, pad)
        graph = builder.graph(f"k{kernel}s2")
        cycles = {}
        for mode in ("winograd", "direct", "zero-padded"):
            layers = measure(graph, board, 16, mode)
            misses += show(f"K{kernel}S2 128 to 64 on 8x8, {mode}, batch 16", layers, board, 16)
            cycles[mode] = layers[0].cycles
        for mode, was in zip(("zero-padded", "direct"), MODES[kernel]):
            ratio = cycles[mode] / cycles["winograd"]
            least = was * (1 - MODES_BAR) if bars else None
            misses += bar(f"K{kernel}S2 {mode} / Winograd", ratio, least=least)
    return misses


PARTS = {"networks": networks, "batch1": batch1, "vta": vta, "fsrcnn": fsrcnn, "modes": modes}


def rates(board: Board, which: str) -> Iterator[tuple[Board, bool]]:
    """The board with its DRAM at the rate of its pins, and as its controller has it."""
    if board.dram_peak_mb_s and which != "real":
        yield replace(board, dram_mb_s=board.dram_peak_mb_s), True
    if which != "peak" or not board.dram_peak_mb_s:
        yield board, False


def main() -> int:
    """Run the parts that were asked for; 0 if every bar holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    parser.add_argument("--rate", choices=("peak", "real", "both"), default="both")
    options = parser.parse_args()
    parts = options.only.split(",")
    for part in parts:
        if part not in PARTS:
            parser.error(f"unknown part '{part}'; choose from {', '.join(PARTS)}")
    misses = []
    columns = []
    for board, bars in rates(load_board(options.board), options.rate):
        columns.append(f"{board.dram_mb_s:,g} MB/s")
        print(f"\n== {board.name}, {board.clock_mhz:g} MHz, DRAM at {columns[-1]}", flush=True)
        for part in parts:
            misses += PARTS[part](board, bars)
    print(f"\n{'':40}" + "".join(f"{c:>16}" for c in columns))
    for name, values in FIGURES.items():
        print(f"{name:40}" + "".join(f"{v:16,.2f}" for v in values))
    for miss in misses:
        print(f"MISSED: {miss}", file=sys.stderr)
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(run_script(main))
