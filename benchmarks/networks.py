"""Every network end to end: what is exact, how good the images are, how fast it runs.

    python benchmarks/networks.py           # all, then the table in docs/use/networks.md
    python benchmarks/networks.py discogan  # some of them

For each network: the float reference against onnxruntime; the program on the emulated device
against the simulated logic (int8 and int16, one image, whole range of inputs), both against the
integer reference; PSNR of the images against float; cycles, speed and DRAM traffic of the largest
batch. Simulating the logic takes minutes for a large network: results are kept in a file
(``--results``) from run to run, and only networks that are not there yet are measured. The trained
networks of ``../shared/weights`` are measured where they are.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path += [str(REPOSITORY / "driver"), str(REPOSITORY / "tests")]

from support.bench import DEVICES, random_inputs, run_integers  # noqa: E402
from support.onnx_oracle import run_onnx  # noqa: E402
from winogen.common.files import write_atomically  # noqa: E402
from winogen.common.folders import cache_folder  # noqa: E402
from winogen.common.script import run_script  # noqa: E402
from winogen.compiler.compile import Compiled, compile_graph  # noqa: E402
from winogen.compiler.integers import run_integer  # noqa: E402
from winogen.compiler.window import choose_window  # noqa: E402
from winogen.cost.simulate import simulate  # noqa: E402
from winogen.network import reference, zoo  # noqa: E402
from winogen.network.graph import Graph  # noqa: E402
from winogen.program.formats import sample_inputs  # noqa: E402
from winogen.quality.measure import psnr  # noqa: E402
from winogen.runtime.generator import Generator  # noqa: E402
from winogen.runtime.windows import image_spans  # noqa: E402
from winogen.target.board import Board, load_board  # noqa: E402

BOARD = "pynq-z2"
SHARED = REPOSITORY.parent / "shared" / "weights"
DOCUMENT = REPOSITORY / "docs" / "use" / "networks.md"
MARKERS = ("<!-- begin table -->", "<!-- end table -->")
#: Rows and columns of the picture for which networks that take any size are timed.
PICTURE = (1080, 1920)
#: Images that the PSNR is measured on, of another seed than those that calibrate.
IMAGES = 16
RTL_SECONDS = 3600.0


def networks() -> dict[str, str | Path]:
    """Networks by name: the zoo's, and the trained ones where they are."""
    found: dict[str, str | Path] = {name: name for name in zoo.model_names()
                                     if name not in zoo.fitted_names()}  # fmt: skip
    if SHARED.is_dir():
        found |= {p.name: p for p in sorted(SHARED.iterdir()) if (p / "weights.npz").is_file()}
    return found


def board(bits: int) -> Board:
    """The board, with contiguous memory for the largest network (GP-GAN's int16 weights)."""
    return replace(load_board(BOARD, bits), contiguous_mib=256)


def measure(name: str, model: str | Path) -> dict[str, Any]:
    """All figures of one network."""
    graph = zoo.load_model(model)
    x = sample_inputs(graph.input, IMAGES, 1)
    real = reference.run(graph, x)
    found: dict[str, Any] = {
        "input": list(graph.input.shape),
        "output": list(graph.output_shape),
        "float_difference": float(np.abs(real[:2] - run_onnx(graph, x[:2])).max()),
    }
    for bits in (8, 16):
        compiled = compile_graph(graph, board(bits))
        found[f"int{bits}"] = {
            "psnr": quality(compiled, x, real), **exactness(compiled), **speed(compiled),
        }  # fmt: skip
        if graph.input.shape[0] in (1, 3) and choose_window(graph, board(bits), [PICTURE]):
            found[f"int{bits}"]["picture"] = picture_speed(graph, bits)
    return found


def quality(compiled: Compiled, x: np.ndarray, real: np.ndarray) -> float:
    """PSNR in dB of the integer network's output against float."""
    network = compiled.network
    q = run_integer(network, network.quantise_input(x))
    low, high = network.output_range or (float(real.min()), float(real.max()))
    return float(psnr(network.output_format.dequantise(q), real, high - low))


def exactness(compiled: Compiled) -> dict[str, Any]:
    """Whether emulator and logic give the integer reference's bits; the logic's cycles."""
    program, found = compiled.program, {}
    shift = program.data_width - 8 if program.input.scale is not None else 0
    q = random_inputs(compiled, 1) >> shift
    wanted = run_integer(compiled.network, q)
    for device in ("emulator", "rtl"):
        start = time.monotonic()
        with Generator(
            program, DEVICES[device](program.board), board=program.board, timeout=RTL_SECONDS
        ) as generator:
            found[device] = bool(np.array_equal(run_integers(generator, q), wanted))
            found[f"{device}_cycles"] = generator.counters()["cycles"]
        found[f"{device}_seconds"] = round(time.monotonic() - start, 1)
    return found


def speed(compiled: Compiled) -> dict[str, Any]:
    """Predicted cycles, images a second and DRAM bytes for one image of the largest batch."""
    program = compiled.program
    stream = program.streams[-1]
    line = simulate(stream.instructions(), program.board)
    return {
        "batch": stream.batch,
        "cycles": stream.cycles / stream.batch,
        "fps": program.frames_per_second(stream),
        "dram_bytes": (line.bytes_read + line.bytes_written) / stream.batch,
        "memory_mib": program.memory().total / (1 << 20),
    }


def picture_speed(graph: Graph, bits: int) -> dict[str, Any]:
    """The same for a picture of ``PICTURE`` in windows."""
    window = choose_window(graph, board(bits), [PICTURE])
    inputs = sample_inputs(graph.input, 1, 0)  # ranges do not matter here
    compiled = compile_graph(graph, board(bits), window=window, batch=1, inputs=inputs)
    rows, columns = image_spans(PICTURE, compiled.program)
    windows = len(rows) * len(columns)
    one = speed(compiled)
    return {
        "window": list(compiled.program.input_shape[1:]),
        "windows": windows,
        "cycles": one["cycles"] * windows,
        "fps": one["fps"] / windows,
        "dram_bytes": one["dram_bytes"] * windows,
    }


def table(results: dict[str, Any]) -> str:
    """The table in Markdown, in the order of :func:`networks`."""
    header = [
        "network", "input", "output", "max float difference", "emulator = RTL = integers",
        "PSNR int8, dB", "PSNR int16, dB", "RTL cycles, one image", "cycles", "fps", "DRAM, MB",
    ]  # fmt: skip
    lines = [header, ["---"] * 3 + ["---:"] * (len(header) - 3)]
    for name in networks():
        found = results.get(name)
        if not found:
            continue
        eight, sixteen = found["int8"], found["int16"]
        exact = all(found[i][d] for i in ("int8", "int16") for d in ("emulator", "rtl"))
        lines.append([
            name, size(found["input"]), size(found["output"]), f"{found['float_difference']:.1e}",
            "yes, both widths" if exact else "**no**", decibels(eight["psnr"]),
            decibels(sixteen["psnr"]), f"{eight['rtl_cycles']:,}", *figures(eight),
        ])  # fmt: skip
        if "picture" in eight and found["input"][0] in (1, 3):
            rows, columns = PICTURE
            window = " x ".join(map(str, eight["picture"]["window"][::-1]))
            lines.append([
                f"{name}, {columns} x {rows}", f"{eight['picture']['windows']} windows of {window}",
                *[""] * 6, *figures(eight["picture"]),
            ])  # fmt: skip
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figures(found: dict[str, Any]) -> list[str]:
    """Cycles, images a second and DRAM megabytes."""
    return [f"{found['cycles']:,.0f}", f"{found['fps']:,.3g}", f"{found['dram_bytes'] / 1e6:,.2f}"]


def decibels(value: float) -> str:
    """PSNR for people."""
    return f"{value:.1f}" if np.isfinite(value) else "exact"


def size(shape: list[int]) -> str:
    """A shape for people."""
    return " x ".join(map(str, shape)) if shape[1:] != [1, 1] else str(shape[0])


def write_document(results: dict[str, Any]) -> None:
    """Put the table between the document's markers."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKERS[0])
    old, _, after = rest.partition(MARKERS[1])
    rows = "\n".join(merged(old.strip().splitlines(), table(results).splitlines()))
    write_atomically(DOCUMENT, f"{before}{MARKERS[0]}\n\n{rows}\n\n{MARKERS[1]}{after}".encode())


def merged(old: list[str], new: list[str]) -> list[str]:
    """The table with rows of networks that are measured now in the place of those that they had."""
    rows: dict[str, list[str]] = {}
    for lines in (old, new):
        found: dict[str, list[str]] = {}
        for line in lines:  # a picture's row follows the network's: "fsrcnn-x2, 1920 x 1080"
            found.setdefault(line.split("|")[1].split(",")[0].strip(), []).append(line)
        rows |= found
    return [line for lines in rows.values() for line in lines]


def main() -> None:
    """Measure what is missing and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("network", nargs="*", help="default: all")
    parser.add_argument("--again", action="store_true", help="measure what is known already too")
    folder = cache_folder("benchmarks")
    parser.add_argument("--results", type=Path, default=folder / "networks.json")
    options = parser.parse_args()
    known = networks()
    for name in options.network:
        if name not in known:
            parser.error(f"unknown network {name}; known: {', '.join(known)}")
    options.results.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    for name in options.network or known:
        if name in results and not options.again:
            continue
        start = time.monotonic()
        results[name] = measure(name, known[name])
        write_atomically(options.results, json.dumps(results, indent=1).encode())
        write_document(results)
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    write_document(results)
    print(table(results))


if __name__ == "__main__":
    sys.exit(run_script(main))
