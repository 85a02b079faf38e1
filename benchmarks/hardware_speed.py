"""How fast the accelerator is: cycles of the simulated RTL by its own counters, layer by layer.

    python benchmarks/hardware_speed.py [--board pynq-z2] [--only dcgan,batch1,vta,modes]

Beside each figure stand the cost model's prediction and the bar that the design has to reach:

* ``dcgan``: DCGAN 5x5 at batch 16: multiplies needed after zero skipping / (multipliers x cycles)
* ``batch1``: the same at batch 1: roofline max(compute, bytes / bandwidth) / cycles of each layer
* ``vta``: the three DCGAN layers of VTA's benchmark, ms an image at the board's clock
* ``modes``: zero-padded and direct-TDC cycles / Winograd cycles, K5S2 and K4S2, batch 16

Exits with 1 if a bar is missed. A whole run simulates some 80 million cycles.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from winogen.compiler.compile import compile_graph
from winogen.cost.simulate import instruction_work
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.runtime.generator import Generator
from winogen.runtime.open import rtl_device
from winogen.target.board import Board, load_board
from winogen.target.isa import Compute

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.random_graphs import GraphBuilder

PARTS = ("dcgan", "batch1", "vta", "modes")
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


def measure(model: Graph, board: Board, batch: int, mode: str = "auto") -> list[Layer]:
    """Layers of one run on the RTL device; their cycles add up to the CYCLES register."""
    program = compile_graph(model, board, mode=mode, batch=batch).program
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
        use = layer.needed / (board.core.multipliers * layer.cycles)
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


def bar(
    name: str, value: float, least: float | None = None, most: float | None = None
) -> list[str]:
    """Print a figure beside its bar; returns it if the bar is missed."""
    limit = f"at least {least:g}" if least is not None else f"at most {most:g}"
    good = value >= least if least is not None else value <= (most or 0)
    print(f"  {name}: {value:.3f} ({limit}){'' if good else '  MISSED'}")
    return [] if good else [f"{name} is {value:.3f}, {limit} is wanted"]


def dcgan(board: Board) -> list[str]:
    """Utilisation of the multipliers over the deconvolutions, batch 16."""
    layers = measure(zoo.load_model("dcgan-5x5"), board, 16)
    misses = show("DCGAN 5x5, batch 16", layers, board, 16)
    deconvs = [x for x in layers if x.name.startswith("deconv")]
    needed = sum(x.needed for x in deconvs)
    cycles = sum(x.cycles for x in deconvs)
    return misses + bar("utilisation", needed / cycles / board.core.multipliers, least=0.9)


def batch1(board: Board) -> list[str]:
    """Part of the roofline that each layer reaches, batch 1."""
    layers = measure(zoo.load_model("dcgan-5x5"), board, 1)
    misses = show("DCGAN 5x5, batch 1", layers, board, 1)
    for number, layer in enumerate(layers):
        misses += bar(f"layer {number} of its roofline", layer.roofline, least=0.85)
    return misses


def vta(board: Board) -> list[str]:
    """VTA's three layers: VTA measured 68.4 ms at batch 1."""
    misses = []
    for batch, most in ((1, 11.0), (8, 8.6)):
        total = 0.0
        for number in (1, 2, 3):
            layers = measure(zoo.load_model(f"vta-dcgan-{number}"), board, batch)
            misses += show(f"VTA DCGAN {number}, batch {batch}", layers, board, batch)
            total += sum(x.cycles for x in layers) / board.clock_mhz / 1e3 / batch
        misses += bar(f"ms an image, batch {batch}", total, most=most)
    return misses


def modes(board: Board) -> list[str]:
    """What skipping zeros and Winograd save on the same hardware, batch 16."""
    misses = []
    for kernel, pad, bars in ((5, (2, 1, 2, 1), (7.7, 1.9)), (4, (1, 1, 1, 1), (6.7, 1.65))):
        builder = GraphBuilder(kernel, (128, 8, 8))
        builder.deconv(64, kernel, 2, pad)
        graph = builder.graph(f"k{kernel}s2")
        cycles = {}
        for mode in ("winograd", "direct", "zero-padded"):
            layers = measure(graph, board, 16, mode)
            misses += show(f"K{kernel}S2 128 to 64 on 8x8, {mode}, batch 16", layers, board, 16)
            cycles[mode] = layers[0].cycles
        for mode, least in zip(("zero-padded", "direct"), bars):
            ratio = cycles[mode] / cycles["winograd"]
            misses += bar(f"K{kernel}S2 {mode} / Winograd", ratio, least=least)
    return misses


def main() -> int:
    """Run the parts that were asked for; 0 if every bar holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    options = parser.parse_args()
    board = load_board(options.board)
    run = {"dcgan": dcgan, "batch1": batch1, "vta": vta, "modes": modes}
    misses = []
    for part in options.only.split(","):
        if part not in run:
            parser.error(f"unknown part '{part}'; choose from {', '.join(PARTS)}")
        misses += run[part](board)
    for miss in misses:
        print(f"MISSED: {miss}", file=sys.stderr)
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
