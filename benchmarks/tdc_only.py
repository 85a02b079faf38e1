"""What Winograd costs in logic: the same array synthesised as it is, and able to do TDC alone.

    python benchmarks/tdc_only.py [--board pynq-z2-open] [--keep]

In the second build no instruction can ask for Winograd, operands have the data's width, and the
filter transform is asked for what leaves a tap as it is: Yosys then drops all transforms and what
feeds them. Step lists, accumulators, the drain and all memories stay as deep as they are. It
runs what is compiled with ``--mode direct``, which is the paper's TDC. Each synthesis takes minutes
and is kept in the user's cache (``pip install 'winogen[synth]'``).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from winogen.common.files import write_atomically
from winogen.common.script import run_script
from winogen.common.text import table
from winogen.fpga.area import Area, total
from winogen.fpga.synthesis import synthesis_key, synthesise
from winogen.target.board import Board, load_board
from winogen.target.hardware import rtl_sources

REPOSITORY = Path(__file__).resolve().parents[1]
#: What is shown of it, by board.
KEPT = REPOSITORY / "driver" / "winogen" / "bench" / "tdc_only.json"
NAMES = ("dsp", "ramb36", "ramb18", "lut", "lutram", "ff")
#: What is replaced in the sources, by file: the flag of COMPUTE and LOAD_WEIGHTS, two widths, and
#: what the filter transform is asked for: the position at which a tap is as it was.
CHANGES = {
    "winogen_pkg.sv": (
        ("d.winograd = bits[124+:1];", "d.winograd = 1'b0;"),
        ("d.winograd = bits[22+:1];", "d.winograd = 1'b0;"),
    ),
    "wg_types_pkg.sv": (
        ("return c.DataWidth + 4;", "return c.DataWidth;"),
        ("return c.DataWidth + 2;", "return c.DataWidth;"),
    ),
    "wg_tap_transform.sv": (
        (".taps_i    (work_taps_q)", ".taps_i    (9'd1)"),
        (".position_i({row_index_q, column})", ".position_i(4'd5)"),
    ),
}


def direct_sources(folder: Path) -> list[Path]:
    """Copies of the sources without Winograd, in their order; ValueError where they changed."""
    found = []
    left = set(CHANGES)
    for source in rtl_sources():
        text = source.read_text(encoding="utf-8")
        for old, new in CHANGES.get(source.name, ()):
            if text.count(old) != 1:
                raise ValueError(f"{source.name} has not exactly one '{old}'")
            text = text.replace(old, new)
        left.discard(source.name)
        copy = folder / source.name
        copy.write_text(text, encoding="utf-8")
        found.append(copy)
    if left:
        raise ValueError(f"there is no {', '.join(sorted(left))}")
    return found


def winograd(board: Board) -> Area:
    """What the board's build takes as it is: recorded, if it was of these sources."""
    file = REPOSITORY / "overlay" / board.name / f"utilisation{board.core.data_width}.json"
    if file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["key"] == synthesis_key(board.core):
            return Area(**{name: kept["total"][name] for name in NAMES})
    return total(synthesise(board.core).netlist)


def main() -> int:
    """Synthesise both, print what they take, and keep it with what is kept of other boards."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--board", default="pynq-z2-open", help="name (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help=f"write it to {KEPT.name} too")
    options = parser.parse_args()
    board = load_board(options.board, as_built=False)
    with TemporaryDirectory() as folder:
        direct = total(synthesise(board.core, sources=direct_sources(Path(folder))).netlist)
    builds = {"Winograd": winograd(board), "TDC alone": direct}
    counts = [(a.dsp, round(2 * a.block_ram), a.lut, a.ff) for a in builds.values()]
    rows = [[name, *(f"{n:,}" for n in own)] for name, own in zip(builds, counts)]
    rows.append(["price of Winograd", *(f"{a / b:.2f}" for a, b in zip(*counts))])
    print(f"{board.name}, {board.core.array}")
    print(table(["build", "DSP48", "RAMB18", "LUT", "FF"], rows))
    if options.keep:
        kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
        kept[board.name] = {
            "multipliers": board.core.multipliers,
            "products": board.core.products,
            **{name: area.as_dict() for name, area in builds.items()},
        }
        write_atomically(KEPT, (json.dumps(kept, indent=1, sort_keys=True) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
