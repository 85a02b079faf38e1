"""Builds in the places of the paper's, synthesised; FSRCNN's speed there, predicted.

    python benchmarks/large_builds.py [--build TEXT] [--keep]

A flat netlist of 4,096 multipliers takes more memory than there mostly is: each module is
synthesised once, and counted as often as it stands in the design (``winogen.fpga.hierarchy``), an
upper bound. The PYNQ-Z2's build is done so too, beside its flat one, which tells how far above it
is. Each takes minutes, and its memory is told (``pip install 'winogen[synth]'``).
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic

from winogen.bench.resources import LARGE, Build, builds
from winogen.common.files import write_atomically
from winogen.common.script import run_script
from winogen.common.text import table
from winogen.compiler.compile import compile_graph
from winogen.compiler.window import choose_window
from winogen.cost.simulate import simulate
from winogen.fpga.hierarchy import synthesise_parts
from winogen.fpga.parts import find_part
from winogen.fpga.synthesis import synthesis_key
from winogen.network import zoo
from winogen.program.formats import sample_inputs
from winogen.runtime.windows import image_spans
from winogen.target.board import Board, load_board

#: The build that is also synthesised flat, and what it took.
FLAT = "pynq-z2"
RECORDED = Path(__file__).parents[1] / "overlay" / FLAT / "utilisation8.json"
#: Rows and columns of the picture that FSRCNN makes twice as large.
PICTURE = (1080, 1920)
#: Seconds that Yosys may take for one.
DEADLINE = 4 * 3600.0


def board_of(build: Build) -> Board:
    """A board with this build: memory and clock are those of the board that it was taken from."""
    return replace(load_board(build.board, as_built=False), core=build.core)


def pictures_a_second(board: Board) -> float:
    """Of FSRCNN x2 on ``PICTURE``, in windows, by the cost model at the board's clock."""
    graph = zoo.load_model("fsrcnn-x2")
    window = choose_window(graph, board, [PICTURE])
    inputs = sample_inputs(graph.input, 1, 0)  # ranges do not matter here
    program = compile_graph(graph, board, window=window, batch=1, inputs=inputs).program
    windows = 1
    for spans in image_spans(PICTURE, program):
        windows *= len(spans)
    cycles = simulate(program.streams[0].instructions(), board).cycles
    return board.clock_mhz * 1e6 / (cycles * windows)


def measure(build: Build) -> dict[str, object]:
    """What one takes, and what it did to tell."""
    began = monotonic()
    family = find_part(build.device).family
    parts = synthesise_parts(build.core, family, deadline=DEADLINE)
    return {
        "key": synthesis_key(build.core, family),
        "config": build.core.config_hash,
        "area": parts.area.as_dict(),
        "modules": parts.modules,
        "instances": parts.instances,
        "seconds": round(monotonic() - began),
        # Of all children so far: the largest build is done last.
        "peak_gib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 1),
        "clock_mhz": board_of(build).clock_mhz,
        "fsrcnn_fps": round(pictures_a_second(board_of(build)), 2),
    }


def main() -> int:
    """Synthesise them, print what they take, and keep it if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--build", default="", help="those with this in their name (default: all)")
    parser.add_argument("--keep", action="store_true", help=f"write it to {LARGE.name} too")
    options = parser.parse_args()
    board = load_board(FLAT, as_built=False)
    every = [Build(FLAT, board.part, board.core, FLAT), *builds()]
    head = ["build", "DSP48", "RAMB18", "LUT", "FF", "modules", "GiB", "s", "FSRCNN/s"]
    rows = []
    if options.build in FLAT:
        flat = json.loads(RECORDED.read_text(encoding="utf-8"))["total"]
        memories = flat["ramb18"] + 2 * flat["ramb36"]
        counts = (flat["dsp"], memories, flat["lut"], flat["ff"])
        rows.append([f"{FLAT}, flat", *(f"{n:,}" for n in counts), "-", "-", "-", "-"])
    for build in every:
        if options.build not in build.title:
            continue
        found = measure(build)
        area = build.counted(found)
        counts = (area.dsp, round(2 * area.block_ram), area.lut, area.ff)
        rows.append([
            build.title, *(f"{n:,}" for n in counts),
            *(f"{found[name]:,}" for name in ("modules", "peak_gib", "seconds", "fsrcnn_fps")),
        ])  # fmt: skip
        if options.keep:
            kept = json.loads(LARGE.read_text(encoding="utf-8")) if LARGE.is_file() else {}
            kept[build.title] = found
            write_atomically(LARGE, (json.dumps(kept, indent=1, sort_keys=True) + "\n").encode())
    print(table(head, rows))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
