"""How fast the emulated device is, beside onnxruntime float32 on the same network.

Both run the same batch in turn, several times, in one process on the same cores; the figure that
counts is the ratio of the medians, since machines differ and are noisy:

    python benchmarks/emulator_speed.py [model] [--batch 16] [--rounds 9]

Exits with 1 if the ratio is above ``--bar`` (2.5 by default). Needs the ``test`` extra.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> int:
    """Print both times for one image and their ratio."""
    try:
        import onnxruntime
    except ImportError:
        print("needs onnx and onnxruntime: pip install -e '.[test]'", file=sys.stderr)
        return 2

    from support.onnx_oracle import to_onnx
    from winogen.compiler.compile import compile_graph
    from winogen.network.zoo import load_model
    from winogen.runtime.generator import Generator
    from winogen.target.board import load_board

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", nargs="?", default="dcgan-5x5")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--bar", type=float, default=2.5)
    options = parser.parse_args()

    graph = load_model(options.model)
    begin = time.perf_counter()
    program = compile_graph(graph, load_board("pynq-z2"), batch=options.batch).program
    compiled = time.perf_counter() - begin
    session = onnxruntime.InferenceSession(
        to_onnx(graph).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    with Generator(program) as generator:
        z = generator.latents(options.batch, seed=1)
        x = z.reshape(-1, *graph.input.shape)

        def emulate() -> None:
            generator.generate(z)

        def onnx() -> None:
            session.run(None, {graph.INPUT_NAME: x})

        generator.generate(z)  # the first run analyses the stream and converts the weights
        onnx()
        times: dict[str, list[float]] = {"emulator": [], "onnxruntime": []}
        for _ in range(options.rounds):
            times["emulator"].append(_seconds(emulate))
            times["onnxruntime"].append(_seconds(onnx))
    medians = {name: statistics.median(t) / options.batch * 1e3 for name, t in times.items()}
    pairs = np.array(times["emulator"]) / np.array(times["onnxruntime"])
    ratio = float(np.median(pairs))
    print(f"{graph.name}, batch {options.batch}, {options.rounds} rounds, ms an image (median):")
    for name, value in medians.items():
        print(f"  {name:<12} {value:8.2f}")
    print(f"  ratio        {ratio:8.2f}   (pairs {pairs.min():.2f} to {pairs.max():.2f})")
    print(f"  compiled in  {compiled:8.2f} s")
    return int(ratio > options.bar)


def _seconds(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
