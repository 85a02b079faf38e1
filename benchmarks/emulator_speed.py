"""How fast the emulated device is, beside onnxruntime float32 on the same network.

Both run the same batch in turn, several times, in one process on the same cores; what counts is
the ratio of the processor's time in each pair, since machines differ and are noisy:

    python benchmarks/emulator_speed.py                         # the table of all, ten minutes
    python benchmarks/emulator_speed.py digits --batch 1 --threads 1
    python benchmarks/emulator_speed.py dcgan-4x4 --numpy       # without products of bytes

``generate()`` is timed as a whole: latents to words, pynq's buffers, registers, images. Threads are
set for both (OMP_NUM_THREADS), in a process of their own. Exits with 1 if a ratio is above its bar,
where there is one. Needs the ``test`` extra.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path += [str(REPOSITORY / "driver"), str(REPOSITORY / "tests")]

#: What the emulator may take of onnxruntime's time, and the size of pictures where it is another.
BARS = {"dcgan-5x5": 0.5, "dcgan-4x4": 0.9, "discogan": 0.9, "fsrcnn-x2": 1.5, "digits": 3.0}
SIZES = {"fsrcnn-x2": (256, 256)}
#: Networks of large pictures run one at a time.
BATCHES = {"fsrcnn-x2": (1,)}


def main() -> int:
    """Print the table; 1 if a bar is missed, 2 if onnxruntime is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="model", help=f"default: {', '.join(BARS)}")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9, help="pairs of runs (default: 9)")
    parser.add_argument("--bits", type=int, choices=(8, 16), default=8)
    parser.add_argument("--numpy", action="store_true", help="multiply floats with numpy alone")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.batch[0], options)))
        return 0
    try:
        import onnxruntime
    except ImportError:
        print("needs onnx and onnxruntime: pip install -e '.[test]'", file=sys.stderr)
        return 2
    from winogen.emulation.emulator import gemm

    exact = "exact products of bytes" if gemm.available() else "no exact products of bytes"
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"onnxruntime {onnxruntime.__version__}: {exact}; int{options.bits} build"
          f"{', numpy alone' if options.numpy else ''}\n")  # fmt: skip
    print(
        "| network | batch | threads | emulator, ms an image | onnxruntime | ratio | pairs | bar |"
    )
    print("|---|---|---|---|---|---|---|---|")
    missed = False
    for model in options.models or BARS:
        bar = BARS.get(model) if options.bits == 8 and not options.numpy else None
        for batch in sorted({*options.batch} & {*BATCHES.get(model, options.batch)}):
            for threads in options.threads:
                r = in_process(model, batch, threads, options)
                missed |= bar is not None and r["ratio"] > bar
                print(f"| {model} | {batch} | {threads} | {r['emulator']:.2f} | "
                      f"{r['onnxruntime']:.2f} | {r['ratio']:.2f} | {r['least']:.2f} to "
                      f"{r['most']:.2f} | {'' if bar is None else bar} |", flush=True)  # fmt: skip
    return int(missed)


def processor() -> str:
    """What /proc/cpuinfo calls it, or Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(x for x in lines if x.startswith("model name")).partition(": ")[2]
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def in_process(model: str, batch: int, threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one row, measured with so many threads for BLAS and onnxruntime."""
    command = [sys.executable, __file__, "--one", model, "--batch", str(batch),
               "--rounds", str(options.rounds), "--bits", str(options.bits),
               "--threads", str(threads), *(["--numpy"] if options.numpy else [])]  # fmt: skip
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=3600
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(model: str, batch: int, options: argparse.Namespace) -> dict[str, float]:
    """Processor time of both, ms an image, and the ratio of the pairs (median, least, most)."""
    import numpy as np
    import onnxruntime

    from support.onnx_oracle import to_onnx
    from winogen.compiler.compile import compile_graph
    from winogen.network.zoo import load_model
    from winogen.program.formats import sample_inputs
    from winogen.runtime.generator import Generator
    from winogen.runtime.open import emulated_device
    from winogen.target.board import load_board

    graph = load_model(model)
    if model in SIZES:
        graph = graph.resized(SIZES[model])
    board = load_board("pynq-z2", options.bits)
    program = compile_graph(graph, board, batch=batch).program
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads[0]
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        to_onnx(graph).SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    device = emulated_device(board, gemm=not options.numpy)
    with Generator(program, device, board=board) as generator:
        z = sample_inputs(graph.input, batch, seed=1)
        x = np.asarray(z, np.float32).reshape(-1, *graph.input.shape)

        def emulate() -> None:
            generator.generate(z)

        def onnx() -> None:
            session.run(None, {graph.INPUT_NAME: x})

        emulate()  # the first run analyses the stream and prepares the weights
        onnx()
        pairs = np.array([(seconds(emulate), seconds(onnx)) for _ in range(options.rounds)])
    medians = np.median(pairs, axis=0) / batch * 1e3
    ratios = pairs[:, 0] / pairs[:, 1]
    return {
        "emulator": float(medians[0]),
        "onnxruntime": float(medians[1]),
        "ratio": float(np.median(ratios)),
        "least": float(ratios.min()),
        "most": float(ratios.max()),
    }


def seconds(work: Callable[[], None]) -> float:
    """Processor time of all threads; short work is repeated for a hundredth of a second."""
    count, begin = 0, time.process_time()
    while True:
        work()
        count += 1
        passed = time.process_time() - begin
        if passed >= 0.01:
            return passed / count


if __name__ == "__main__":
    sys.exit(main())
