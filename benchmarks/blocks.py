"""Blocks of MobileNetV2 and ShuffleNet on the simulated logic: cycles by its own counters.

    python benchmarks/blocks.py [--board BOARD] [--bits BITS] [--size SIZE] [--before REVISION]

Each block runs twice: as it is compiled, and with every weight between groups stored and multiplied
as the zero that it is, which is what grouped convolutions cost without being known as such. Both
give the same bits. Beside it stand the cycles that the array alone would take, and memory alone,
and with ``--before`` those of the logic and compiler of another revision of this repository, at the
same rate of memory. It needs g++ and ``pip install -e '.[rtl]'``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import block_models
import numpy as np

from winogen.common.script import run_script
from winogen.common.text import table
from winogen.compiler import pack
from winogen.compiler.compile import Compiled, compile_graph
from winogen.network.graph import Graph
from winogen.profiling.limits import LayerLimits, layer_limits
from winogen.program.formats import sample_inputs
from winogen.runtime.generator import Generator
from winogen.target.board import load_board

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def dense() -> Iterator[None]:
    """Compile as if every weight between groups were one."""

    def whole(weights: np.ndarray) -> pack.Window:
        return pack.Window((0,) * len(weights), weights.shape[2])

    with mock.patch.object(pack, "_window", whole):
        yield


def measure(made: Compiled, device: str) -> tuple[list[int], int, bytes]:
    """Cycles of each layer and of all, by the device's counters, and the output."""
    with Generator(made.program, device) as generator:
        x = sample_inputs(made.program.input, 1, 0)
        out, profile = generator.generate(x, as_float=True, profile=True)
    return [row.cycles for row in profile.layers], profile.total.cycles, out.tobytes()


def cycles_of(revision: str, options: argparse.Namespace) -> dict[str, list[int]]:
    """Cycles of each layer and of all, by block, with the sources of a revision."""
    rate = load_board(options.board, options.bits).dram_mb_s
    command = [sys.executable, str(Path(block_models.__file__)), "--rate", str(rate)]
    for name in ("board", "bits", "size", "device"):
        command += [f"--{name}", str(getattr(options, name))]
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", revision], capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        environment = {**os.environ, "PYTHONPATH": str(Path(folder) / "driver")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


def rows_of(graph: Graph, options: argparse.Namespace, older: list[int]) -> list[list[str]]:
    """Rows of the table: each layer of a block, and all of it."""
    known = {"bits": options.bits, "batch": 1}
    grouped = compile_graph(graph, options.board, **known)
    with dense():
        plain = compile_graph(graph, options.board, **known)
    (each, total, out), (dense_each, dense_total, same) = (
        measure(made, options.device) for made in (grouped, plain)
    )
    assert out == same, "grouped and dense differ"
    program = grouped.program
    [stream] = program.streams
    limits = layer_limits(stream.instructions(), len(each), program.board)
    whole = LayerLimits()
    for limit in limits:
        whole.add(limit)
    names = [(layer.name, layer.kind) for layer in program.layers]
    rows = []
    for n, ((name, kind), limit, was, now) in enumerate(
        zip(
            [*names, ("all", "")],
            [*limits, whole],
            [*dense_each, dense_total],
            [*each, total],
        )
    ):
        row = [graph.name, name, kind, f"{was:,}", f"{now:,}", f"{was / now:.2f}"]
        row += [f"{limit.array:,.0f}", f"{limit.memory:,.0f}"]
        rows.append(row + ([f"{older[n]:,}", f"{older[n] / now:.2f}"] if older else []))
    return rows


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--size", type=int, default=14, help="rows and columns (default: 14)")
    parser.add_argument("--device", default="rtl", choices=("rtl", "emulator"))
    parser.add_argument("--before", metavar="REVISION", help="compare with this one too")
    options = parser.parse_args()
    older = cycles_of(options.before, options) if options.before else {}
    rows = []
    for make in (block_models.mobilenet_v2, block_models.shufflenet):
        graph = make(options.size)
        rows += rows_of(graph, options, older.get(graph.name, []))
    header = ["block", "layer", "kind", "dense", "in groups", "ratio", "array", "memory"]
    print(table([*header, *(["before", "ratio"] if older else [])], rows, left=3))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
