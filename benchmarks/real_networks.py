"""Real networks at full size, from export to images: docs/reference/real-networks.md.

    python benchmarks/real_networks.py --measure [NAME..] > docs/reference/real-networks.md

Networks are made and exported by ``real_network_models.py`` with seeded weights, at full size and
small. For each: the imported graph against onnxruntime; at both widths the compiled program on the
emulated device against the integer reference, PSNR against float, predicted speed, memory, and how
long compiling takes; the small network on the simulated logic, bit for bit. Figures go to
``benchmarks/real_networks.yaml``; without ``--measure`` the page is printed from those that are
there. It needs ``pip install -e '.[train,onnx,oracle,rtl]'`` and g++. Exported files stay in the
cache folder's ``real_networks`` (``--models``), and are not made again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from winogen.common.errors import WinogenWarning
from winogen.common.files import write_atomically
from winogen.common.folders import cache_folder
from winogen.common.progress import Progress
from winogen.common.script import run_script
from winogen.compilation.compile import Compilation, compile_job
from winogen.compilation.job import Job
from winogen.compiler.integers import run_integer
from winogen.compiler.options import CompileOptions
from winogen.compiler.products import by_squares
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.network.load import read_network
from winogen.program.inputs import join_inputs
from winogen.program.speed import speed
from winogen.runtime.generator import Generator
from winogen.target.board import Board, load_board

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_suffix(".yaml")
BOARD = "pynq-z2"
#: MiB of contiguous memory where the board's own do not suffice, which the table says.
LARGER_MIB = 512
_RTL_SECONDS = 3600.0
_SCRIPT = "`benchmarks/real_network_models.py`"


@dataclass(frozen=True)
class Network:
    """What the page says of a network, and what goes in.

    ``inputs`` makes so many by name, (N, ...): the first is measured, and ranges come from
    ``calibrated`` others.
    """

    title: str
    source: str
    small: str
    inputs: Callable[[Graph, int], dict[str, NDArray[Any]]]
    options: Mapping[str, Any] = field(default_factory=dict)
    calibrated: int = 1


def photo(graph: Graph, count: int, low: float = 0.0, high: float = 1.0) -> dict[str, NDArray]:
    """The middle of the photo of a cat, then crops of two other photos."""
    from skimage import data

    channels, rows, columns = graph.input.shape
    rng = np.random.default_rng(0)
    images = []
    for i in range(count):
        picture = Image.fromarray((data.astronaut, data.coffee)[i % 2]() if i else data.chelsea())
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"), np.float32) / 255
        free = pixels.shape[0] - rows, pixels.shape[1] - columns
        y, x = (int(rng.integers(n + 1)) if i else n // 2 for n in free)
        crop = pixels.reshape(*pixels.shape[:2], channels)[y : y + rows, x : x + columns]
        images.append(low + (high - low) * crop.transpose(2, 0, 1))
    return {"input": np.stack(images).astype(np.float32)}


def latents(graph: Graph, count: int) -> dict[str, NDArray]:
    """Normal latents, and labels in turns."""
    rng = np.random.default_rng(0)
    parts = {p.name: p for p in graph.input.parts}
    size = parts["z"].channels if parts else graph.input.shape[0]
    given: dict[str, NDArray] = {"z": rng.standard_normal((count, size), np.float32)}
    if "label" in parts:
        given["label"] = np.arange(count, dtype=np.int64) % parts["label"].channels
    return given


def spectra(graph: Graph, count: int) -> dict[str, NDArray]:
    """Log-mel spectra of voices: harmonics whose pitch and loudness change, and noise.

    As HiFi-GAN's: 22,050 Hz, 1024 samples of which 256 are new, 80 bands up to 8 kHz.
    """
    bands, _, frames = graph.input.shape
    rate, window, hop = 22_050, 1024, 256
    rng = np.random.default_rng(0)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), bands + 2) / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.arange(window // 2 + 1) * rate / window
    filters = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    filters = np.maximum(filters, 0) * 2 / (high - low)
    t = np.arange(window + hop * (frames - 1)) / rate
    out = []
    for _ in range(count):
        pitch = rng.uniform(90, 250) * (1 + 0.2 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        loud = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(1, 4) * t)
        voice = loud * sum(np.sin(k * phase) / k for k in range(1, 20)) * 0.2
        voice = voice + 0.01 * rng.standard_normal(t.size)
        rows = np.lib.stride_tricks.sliding_window_view(voice, window)[::hop] * np.hanning(window)
        spectrum = np.abs(np.fft.rfft(rows, axis=1)).T
        out.append(np.log(np.maximum(filters @ spectrum, 1e-5)))
    return {"mel": np.stack(out).astype(np.float32)}


def signed(graph: Graph, count: int) -> dict[str, NDArray]:
    """:func:`photo` from -1 to 1."""
    return photo(graph, count, -1.0, 1.0)


def pixels(graph: Graph, count: int) -> dict[str, NDArray]:
    """:func:`photo` from 0 to 255."""
    return photo(graph, count, 0.0, 255.0)


_ZHU = "junyanz/pytorch-CycleGAN-and-pix2pix"
_PIXELS = {"input_range": (0.0, 255.0)}
_SIGNED = {"input_range": (-1.0, 1.0)}
_LOG_MEL = {"input_range": (float(np.log(1e-5)), 2.0)}
NETWORKS = {
    "cyclegan": Network(
        "CycleGAN, ResNet-9 generator", f"1703.10593, {_ZHU}", "ngf 16, 2 blocks, 32 x 32",
        signed, _SIGNED,
    ),
    "pix2pix": Network(
        "pix2pix, U-Net of 8 levels", f"1611.07004, {_ZHU}", "ngf 8, 6 levels, 64 x 64",
        signed, _SIGNED,
    ),
    "fast-style": Network(
        "fast style transfer", "1603.08155, pytorch/examples",
        "16 channels, 2 blocks, 32 x 32", pixels, _PIXELS,
    ),
    "stylegan2": Network(
        "StyleGAN2, 64 x 64, 512 channels", "1912.04958, NVlabs/stylegan2-ada-pytorch",
        "16 x 16, 32 channels, 2 mapping layers", latents, calibrated=2,
    ),
    "cdcgan": Network(
        "conditional DCGAN", "1411.1784, znxlwm/pytorch-MNIST-CelebA-cGAN-cDCGAN", "full size",
        latents, calibrated=32,
    ),
    "espcn": Network("ESPCN x3, luminance", "1609.05158", "48 x 48", photo),
    "edsr": Network(
        "EDSR-baseline x2", "1707.02921, sanghyun-son/EDSR-PyTorch",
        "4 blocks of 32 channels, 32 x 32", pixels, _PIXELS,
    ),
    "hifigan": Network(
        "HiFi-GAN V3, a second", "2010.05646, jik876/hifi-gan", "64 channels, 8 frames", spectra,
        _LOG_MEL, calibrated=4,
    ),
}  # fmt: skip


def exported(name: str, small: bool, folder: Path) -> Path:
    """The network's file, made if it is not there."""
    path = folder / f"{name}{'-small' * small}.onnx"
    if not path.exists():
        from real_network_models import write

        folder.mkdir(parents=True, exist_ok=True)
        write(name, path, small)
    return path


def as_batch(graph: Graph, given: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Inputs of the model as the graph's (N, C, H, W)."""
    if graph.input.parts:
        return join_inputs(graph.input, given)
    (x,) = given.values()
    return x.astype(np.float32).reshape(len(x), *graph.input.shape)


def float_difference(
    graph: Graph, path: Path, given: Mapping[str, NDArray[Any]], real: NDArray[np.float32]
) -> float:
    """The largest difference from onnxruntime for the first input, of the largest value."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {key: x[:1] for key, x in given.items()})
    wanted = np.asarray(wanted).reshape(1, *graph.output_shape)
    return float(np.abs(wanted - real[:1]).max() / np.abs(wanted).max())


def imported(name: str, path: Path) -> Graph:
    """The graph, with the range of its pictures."""
    options = CompileOptions.of("real_networks", dict(NETWORKS[name].options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WinogenWarning)
        return read_network(path, options)


def compiled(job: Job, name: str) -> tuple[Compilation, float]:
    """A job's result, and the processor seconds that it took."""
    start = time.process_time()
    with Progress(f"compiling {name}, {job.options.data_width} bits") as progress:
        found = compile_job(job, progress.stage)
    return found, time.process_time() - start


def job_of(graph: Graph, bits: int, inputs: NDArray[np.float32], board: Board) -> Job:
    """What is compiled: ranges from all inputs but the first."""
    options = CompileOptions.of("real_networks", {"board": board, "bits": bits})
    return Job(by_squares(graph, inputs[1:]), options, inputs[1:])


def decibels(found: NDArray, real: NDArray) -> float:
    """The output's range over the error of its integers."""
    error = float(np.mean((found.astype(np.float64) - real) ** 2))
    return float(20 * np.log10(np.ptp(real)) - 10 * np.log10(max(error, 1e-30)))


def width(name: str, graph: Graph, bits: int, x: NDArray, real: NDArray) -> dict[str, Any]:
    """Figures of the full network at a width."""
    board = load_board(BOARD, bits)
    made, seconds = compiled(
        job_of(graph, bits, x, replace(board, contiguous_mib=LARGER_MIB)), name
    )
    program, network = made.program, made.network
    start = time.process_time()
    with Generator(program) as generator:
        out = generator.generate(x[:1], as_float=True)
    ran = time.process_time() - start
    wanted = network.output_format.dequantise(run_integer(network, network.quantise_input(x[:1])))
    assert np.array_equal(out, wanted), "the emulated device differs from the integer reference"
    one, stream = program.memory(1).total, program.streams[-1]
    predicted = speed(program, stream)
    return {
        "psnr": round(decibels(out, real[:1]), 1),
        "batch": stream.batch,
        "cycles": round(stream.cycles / stream.batch),
        "accelerator": float(f"{predicted.accelerator:.3g}"),
        "alone": float(f"{predicted.alone:.3g}"),
        "overlapped": float(f"{predicted.overlapped:.3g}"),
        "host_layers": len(program.host),
        "memory_mib": round(one / (1 << 20), 1),
        "fits": one <= board.contiguous_mib << 20,
        "compile_s": round(seconds, 1),
        "emulate_s": round(ran, 1),
    }


def on_logic(name: str, folder: Path) -> dict[str, Any]:
    """The small network on the simulated logic; AssertionError if a bit differs."""
    graph = imported(name, exported(name, True, folder))
    x = as_batch(graph, NETWORKS[name].inputs(graph, NETWORKS[name].calibrated + 1))
    found = {}
    for bits in (8, 16):
        made, _ = compiled(job_of(graph, bits, x, load_board(BOARD, bits)), f"small {name}")
        network = made.network
        wanted = network.output_format.dequantise(
            run_integer(network, network.quantise_input(x[:1]))
        )
        for device in ("emulator", "rtl"):
            with Generator(made.program, device, timeout=_RTL_SECONDS) as generator:
                out = generator.generate(x[:1], as_float=True, count=True)
                found[f"int{bits}_{device}_cycles"] = generator.counters()["cycles"]
            assert np.array_equal(out, wanted), f"{device}, {bits} bits"
    return found


def weights(graph: Graph) -> int:
    """Parameters that are not zero: kernels in groups are written out."""
    return sum(int(np.count_nonzero(v)) for node in graph.nodes for v in node.params.values())


def measured(name: str, folder: Path) -> dict[str, Any]:
    """All figures of a network."""
    path = exported(name, False, folder)
    start = time.process_time()
    graph = imported(name, path)
    found: dict[str, Any] = {"import_s": round(time.process_time() - start, 1)}
    given = NETWORKS[name].inputs(graph, NETWORKS[name].calibrated + 1)
    x = as_batch(graph, given)
    start = time.process_time()
    real = reference.run(graph, x[:1])
    found |= {
        "input": list(graph.input.shape),
        "output": list(graph.output_shape),
        "weights": weights(graph),
        "float_s": round(time.process_time() - start, 1),
        "float_difference": float(f"{float_difference(graph, path, given, real):.1e}"),
    }
    for bits in (8, 16):
        found[f"int{bits}"] = width(name, graph, bits, x, real)
        print(name, bits, found[f"int{bits}"], file=sys.stderr, flush=True)
    found["rtl"] = on_logic(name, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**found, "compiler_gib": round(peak / (1 << 20), 1)}


def _isolated(name: str, folder: Path) -> dict[str, Any]:
    """:func:`measured` in a process of its own, whose peak memory is the network's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (name, folder))


def measure(names: list[str], folder: Path) -> None:
    """Write the figures of these networks, or of all."""
    for name in names or NETWORKS:
        start = time.monotonic()
        found = _isolated(name, folder)
        known = {**results(), name: found}
        ordered = {n: known[n] for n in NETWORKS if n in known}
        head = "# Written by python benchmarks/real_networks.py --measure\n"
        write_atomically(RESULTS, (head + yaml.safe_dump(ordered, sort_keys=False)).encode())
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def results() -> dict[str, Any]:
    """The figures by network."""
    return yaml.safe_load(RESULTS.read_text()) if RESULTS.exists() else {}


def _size(shape: list[int]) -> str:
    return " x ".join(map(str, shape if shape[1:] != [1, 1] else shape[:1]))


def page() -> str:
    """The text of docs/reference/real-networks.md."""
    networks = [
        "| network | after | takes | gives | weights | float differs by | RTL bit for bit |",
        "| --- | --- | --- | --- | ---: | ---: | --- |",
    ]
    speeds = [
        "| network | bits | dB | cycles | accelerator | with host | host layers | MiB | emulated "
        "| compiled |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    too_large = []
    for name, found in results().items():
        network = NETWORKS[name]
        networks.append(
            f"| {network.title} | {network.source} | {_size(found['input'])} | "
            f"{_size(found['output'])} | {found['weights'] / 1e6:,.2f} M | "
            f"{found['float_difference']:.0e} | {network.small} |"
        )
        for bits in (8, 16):
            f = found[f"int{bits}"]
            if not f["fits"]:
                too_large.append(f"{network.title} at {bits} bits ({f['memory_mib']:.0f} MiB)")
            speeds.append(
                f"| {network.title} | {bits} | {f['psnr']:.1f} | {f['cycles']:,} | "
                f"{f['accelerator']:g}/s | {f['overlapped']:g}/s | {f['host_layers']} | "
                f"{f['memory_mib']:.1f}{'' if f['fits'] else ' (too large)'} | "
                f"{f['emulate_s']:.1f} s | {f['compile_s']:.0f} s |"
            )
    mib = load_board(BOARD).contiguous_mib
    large = "All fit." if not too_large else f"Too large for that: {', '.join(too_large)}."
    peak = max(f["compiler_gib"] for f in results().values())
    return f"""# Real networks

Generated by `python benchmarks/real_networks.py`, from `benchmarks/real_networks.yaml`; with
`--measure` it makes and measures the networks first. Architectures and sizes as published, with
seeded weights (`benchmarks/real_network_models.py`), exported by PyTorch and compiled for {BOARD}.
Inputs are a photo, latents, or the mel spectrum of a voice; ranges come from others of their kind.

Every network gives, at full size and both widths, on the emulated device every bit of the integer
reference. The simulated logic would take hours to days for most of them: it runs the same network
at the size in the last column, at both widths, with the same bits.

{_lines(networks)}

*Float differs by*: the imported graph from onnxruntime, of the largest value.

{_lines(speeds)}

- *dB*: the output's range over the error of its integers, against float. At 8 bits and 64 x 64
  pixels all layers of CycleGAN are at least 34.6 dB in their own range, but for the last, a seeded
  kernel of 3136 taps before the tanh: 25 dB. What trained weights give was not measured here.
- *Cycles*: for an image, of the cost model. *Accelerator*, *with host*: images a second as `winogen
  compile` predicts them, of the accelerator alone, and with the board's processor while batches
  follow each other. *Host layers* are computed by that processor: normalisation by an image's own
  statistics, mirrored edges, maxima. Where there are many of large images, they
  are what takes the time.
- *MiB*: contiguous memory for one image. The board has {mib}. {large}
- *Emulated*, *compiled*: processor seconds for one image, and for calibrating, quantising,
  measuring and scheduling. No network took more than {peak:g} GiB of memory, emulation included.
"""


def _lines(lines: list[str]) -> str:
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--measure", nargs="*", metavar="NAME", help="these networks, or all")
    folder = cache_folder("benchmarks") / "real_networks"
    parser.add_argument("--models", type=Path, default=folder, help="folder of ONNX files")
    options = parser.parse_args()
    for name in options.measure or ():
        if name not in NETWORKS:
            parser.error(f"unknown network {name}; known: {', '.join(NETWORKS)}")
    if options.measure is not None:
        measure(options.measure, options.models)
    sys.stdout.write(page())


if __name__ == "__main__":
    sys.exit(run_script(main))
