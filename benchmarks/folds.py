"""What folding the ends of networks is worth: cycles of the accelerator, time of the host.

    python benchmarks/folds.py [NETWORK ...] [--board pynq-z2] [--batch 1,16] [--free-host]

Prints a row of Markdown for each network and batch size, int8: predicted cycles of the whole
program without folds and with those that are chosen for that batch (``winogen.compiler.ends``), and
what the board's processor takes longer, by its estimated costs (``winogen.target.host``). All
figures are for one image. Networks that run in windows, such as FSRCNN, run one image at a time.
Those without a fold are named below. With ``--free-host`` folds are chosen as if it cost the host
nothing to move numbers; the last column says what that does cost.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from winogen.common.script import run_script
from winogen.compiler.ends import Ends, fold_ends
from winogen.compiler.fold import fold
from winogen.compiler.lower import Mode
from winogen.compiler.outline import outline
from winogen.compiler.pack import pack_network
from winogen.compiler.schedule import Stream, schedule
from winogen.cost.simulate import simulate
from winogen.network import zoo
from winogen.network.graph import Graph, Shape
from winogen.network.locality import locality
from winogen.target.board import Board, load_board
from winogen.target.host import estimated_costs

HEADER = (
    "network", "batch", "input", "output", "cycles without", "cycles with", "without / with",
    "host, ms more",
)  # fmt: skip


def rows(
    graph: Graph, board: Board, batches: Sequence[int], free_host: bool
) -> Iterator[tuple[str, ...]]:
    """The cells of a network's rows; none for a batch size that has no fold."""
    chosen_for = replace(board, platform=None) if free_host else board
    plain = Ends(outline(graph, fold(graph), board.core.data_width).network)
    for batch in [1] if locality(graph) else batches:
        ends = fold_ends(plain.network, chosen_for, Mode.AUTO, batch)
        if (ends.unfold, ends.shuffle) == (plain.unfold, plain.shuffle):
            continue
        streams = [stream(e, board, batch) for e in (plain, ends)]
        without, folded = (simulate(s.instructions, board).cycles / batch for s in streams)
        more = [host_ms(e, graph.output_shape, s, board) for e, s in zip((plain, ends), streams)]
        yield (
            graph.name, str(batch), *folds(ends), f"{without:,.0f}", f"{folded:,.0f}",
            f"{without / folded:.2f}", f"{more[1] - more[0]:+.3f}",
        )  # fmt: skip


def folds(ends: Ends) -> tuple[str, str]:
    """What becomes channels at either end, rows x columns, and how many channels that makes."""
    unfold, (by, bx) = ends.unfold, ends.shuffle.block
    seen = "plain"
    if unfold:
        seen = f"{unfold.window[0]} x {unfold.window[1]}"
        if unfold.is_spaced:
            seen += f" pixels, {max(unfold.spacing)} apart"
        seen += f": {ends.network.input.shape[0]} channels"
    channels = ends.network.layers[-1].channels
    return seen, f"{by} x {bx}: {channels} channels" if by * bx > 1 else "plain"


def stream(ends: Ends, board: Board, batch: int) -> Stream:
    """The instructions of a batch."""
    return schedule(pack_network(ends.network, board.core, Mode.AUTO), board, batch)


def host_ms(ends: Ends, image: Shape, run: Stream, board: Board) -> float:
    """Milliseconds in which the board's processor moves an image's numbers and bytes."""
    costs = estimated_costs(board)
    if costs is None:
        return 0.0
    numbers = math.prod(ends.network.input.shape) + math.prod(image)
    nbytes = (run.input_bytes + run.output_bytes) / run.batch
    return 1e3 * (numbers / costs.convert_elements_per_s + nbytes / costs.copy_bytes_per_s)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", default=zoo.model_names(), metavar="NETWORK")
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--batch", default="1,16", help="batch sizes, with commas between")
    parser.add_argument(
        "--free-host", action="store_true", help="choose as if the host's moves cost nothing"
    )
    options = parser.parse_args()
    board = load_board(options.board)
    batches = [int(n) for n in options.batch.split(",")]
    none = []
    for head in (HEADER, ("---",) * 4 + ("---:",) * 4):
        print(f"| {' | '.join(head)} |")
    for name in options.networks:
        found = list(rows(zoo.load_model(name), board, batches, options.free_host))
        for line in found:
            print(f"| {' | '.join(line)} |", flush=True)
        if not found:
            none.append(name)
    print(f"\nwithout a fold: {', '.join(none) or 'none'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
