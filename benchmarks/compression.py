"""What each way to make a network fit its board is worth: bytes, quality, cycles.

    python benchmarks/compression.py [--networks NAME ...] [--ways WAY ...]
        [--minutes MINUTES | --steps STEPS]
    python benchmarks/compression.py --costs
    python benchmarks/compression.py --page > docs/reference/compression.md
    python benchmarks/compression.py --plot docs/images/compression.png

Networks are names of the zoo or folders (default: digits, fsrcnn-x2 and, where they lie beside the
checkout, trained generators that are not part of it). Every way trains for so many minutes
(default 3), or for so many steps, one after the other on one thread; an hour for each is a fair
budget. What is found is
written to compression.yaml beside this file, one entry for a network and a way. It needs
``pip install -e '.[train]'``.

Quality is that of 1,000 latents (of pictures 100) that nothing else has seen, as the emulated
device computes them, against the float network.

``--costs`` predicts what cheaper blocks take, untrained, and writes block_costs.yaml.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from winogen.common.progress import Progress
from winogen.common.script import run_script
from winogen.common.text import table
from winogen.compilation.compile import compile_job
from winogen.compilation.job import Job, read_job
from winogen.compiler.options import CompileOptions
from winogen.compression.limits import BLOCKS
from winogen.compression.options import FitOptions
from winogen.compression.students import begun
from winogen.compression.width import program_of
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.quality.measure import psnr
from winogen.quality.ssim import ssim
from winogen.runtime.generator import Generator

HERE = Path(__file__).parent
RESULTS = HERE / "compression.yaml"
COSTS = HERE / "block_costs.yaml"
#: What fitted_networks.py has measured of those that come with winogen.
SHIPPED = HERE / "fitted_networks.yaml"
BESIDE = HERE.parent.parent / "shared" / "weights"
NETWORKS = ("digits", "fsrcnn-x2", "faces32", "anime64", "mnist28")
FOLDERS = {
    "faces32": "dcgan_faces32_fletcher",
    "anime64": "dcgan_anime64_keras",
    "mnist28": "dcgan_mnist28_ganjax",
}
#: Networks whose cheaper blocks are predicted.
PREDICTED = ("digits", "faces32", "dcgan-4x4")
BOARD = "pynq-z2"
JUDGED = {"latent": 1000, "image": 100}
_SEED = 1 << 61


@dataclass(frozen=True)
class Way:
    """One way, and what it is asked for; ``bits`` a weight become a goal in bytes."""

    about: str
    options: dict[str, Any]
    bits: float | None = None


#: None: what the compiler makes of the network by itself.
WAYS: dict[str, Way | None] = {
    "int8": None,
    "int8 trained": Way("8-bit weights, trained", {}),
    "int4": Way("4-bit weights, rounded", {"weight_bits": 4, "steps": 1}),
    "int4 trained": Way("4-bit weights, trained", {"weight_bits": 4}),
    "pruned": Way("60 % of each large layer pruned, the rest trained", {"keep": 0.4}),
    "shared": Way("16 trained values a layer", {"share": 16}),
    "4 bits": Way("pruned and shared by sensitivity, 4 bits a weight", {}, 4.0),
    "2.5 bits": Way("pruned and shared by sensitivity, 2.5 bits a weight", {}, 2.5),
    "2 bits": Way("pruned and shared by sensitivity, 2 bits a weight", {}, 2.0),
    "1.5 bits": Way("pruned and shared by sensitivity, 1.5 bits a weight", {}, 1.5),
    "narrow": Way("at most half the cycles in batches: fewer channels, by layer", {"faster": 2}),
    "separable": Way(
        "depthwise and 1x1 convolutions in the place of inner layers", {"blocks": "separable"}
    ),
    "mobilenet": Way("inverted residuals (MobileNetV2) in their place", {"blocks": "mobilenet"}),
    "shuffle": Way("ShuffleNet's units in their place", {"blocks": "shuffle"}),
    "exits": Way(
        "8-bit weights, trained, with exits at 45 and 70 % of the cycles", {"exits": (45, 70)}
    ),
}


def source(name: str) -> str:
    """What a network is read from."""
    return str(BESIDE / FOLDERS[name]) if name in FOLDERS else name


def job_of(name: str) -> Job:
    """The network, compiled as ``winogen compile`` does."""
    return read_job(source(name), CompileOptions(board=BOARD).with_board())


def options_of(job: Job, way: Way, minutes: float, steps: int | None = None) -> FitOptions:
    """What a way asks of this network."""
    asked = dict(way.options)
    if "steps" not in asked:
        asked.update({"minutes": minutes} if steps is None else {"steps": steps})
    if way.bits is not None:
        asked["bytes"] = int(way.bits * weights_of(job.graph) / 8)
    return FitOptions(**asked, device="cpu")


def measure(
    name: str, way: str, minutes: float, keep: Path | None = None, most: int | None = None
) -> dict[str, Any]:
    """One way with one network, trained for so many minutes, or ``most`` steps.

    Its program is kept in the folder ``keep``.
    """
    from winogen.compression.fit import fit

    job = job_of(name)
    chosen = WAYS[way]
    start = time.monotonic()
    steps = 0
    if chosen is None:
        program = compile_job(job).program
    else:
        with Progress(f"{name}: {way}") as progress:
            options = options_of(job, chosen, minutes, most)

            def say(what: str, done: int, of: int, note: str) -> None:
                progress.stage(f"{what} {done:,} of {of:,}, {note}" if of else what)

            fitted = fit(job, options, None, say)
        program, steps = fitted.compilation.program, fitted.steps
    trained = time.monotonic() - start
    exits = [
        {**judged(job.graph, own, name), **predicted(own)}
        for own in map(program.at_exit, range(1, program.exit_count))
    ]
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        program.save(keep / f"{name}-{way.replace(' ', '-')}.wg")
    return {
        **judged(job.graph, program, name),
        "weight_bytes": program.stored.weight_bytes,
        "bits": round(8 * program.stored.weight_bytes / weights_of(job.graph), 2),
        **predicted(program),
        "decoded": True,
        "steps": steps,
        "minutes": round(trained / 60, 1),
        **({"exits": exits} if exits else {}),
    }


def predicted(program: Program) -> dict[str, int]:
    """Cycles of one image alone, and of one in the largest batches."""
    first, last = program.streams[0], program.streams[-1]
    return {
        "cycles_1": first.cycles,
        "cycles_n": round(last.cycles / last.batch),
        "batch": last.batch,
    }


def weights_of(graph: Graph) -> int:
    """Weights of the whole network."""
    return sum(n.params["weight"].size for n in graph.nodes if "weight" in n.params)


def judged(graph: Graph, program: Program, name: str) -> dict[str, Any]:
    """Quality of a program's pictures against the float network."""
    count = JUDGED[graph.input.kind]
    x = sample_inputs(graph.input, count, _SEED)
    with Generator(program) as generator:
        given = generator.generate(x, as_float=True)
    wanted = np.concatenate([reference.run(graph, part) for part in np.array_split(x, count // 50)])
    low, high = graph.output_range or (float(wanted.min()), float(wanted.max()))
    found = {"psnr": round(psnr(given, wanted, high - low), 2)}
    similar = ssim(given, wanted, high - low)
    found["ssim"] = None if similar is None else round(similar, 4)
    if name == "digits":
        found["judge"] = sure(given)
    return found


def sure(images: NDArray[np.float32]) -> str:
    """How many digits their judge is sure of, and the rarest digit's share."""
    sys.path.insert(0, str(HERE.parent / "training"))
    from evaluate_digits import fit_classifier, judge

    classifier, _ = fit_classifier()
    found = judge(images, classifier)
    return f"{100 * found['confident_share']:.1f} %, {100 * found['min_class_share']:.1f} %"


def costs(name: str) -> dict[str, list[int]]:
    """Cycles of an image, alone and in batches, of a network as it is and as students begin."""
    job = job_of(name)
    graphs = {"as it is": job.graph}
    dense = begun(job)
    if dense is not job.graph:
        graphs["merged"] = dense
    graphs.update((kind, begun(job, kind)) for kind in BLOCKS)
    found = {}
    for kind, graph in graphs.items():
        streams = program_of(job, graph).streams
        found[kind] = [round(s.cycles / s.batch) for s in (streams[0], streams[-1])]
    return found


def costs_table(found: dict[str, dict[str, list[int]]]) -> Iterator[str]:
    """What cheaper blocks cost, as lines of the page."""
    yield from (
        "## Cheaper blocks",
        "",
        "Cycles an image of a network as it is, with its first layers merged where nothing bends "
        "between them, and with blocks in the place of its inner layers as well, by the cycle "
        f"model of {BOARD} (`python benchmarks/compression.py --costs`). A dense transposed layer "
        "has few products for each value that it makes, and Winograd's saves half of them. "
        "Separable layers win, the more the more channels there are. Inverted residuals lose: "
        "their depthwise layer has one lane of eight at work, and their last 1x1 convolution all "
        "pixels of the larger image. ShuffleNet's units have that too, in groups.",
        "",
        "| network | layers | one image | ratio | in batches | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    )
    for name, rows in found.items():
        for kind, (one, many) in rows.items():
            first, last = rows["as it is"]
            yield (
                f"| {name} | {kind} | {one:,} | {one / first:.2f} | {many:,} | {many / last:.2f} |"
            )


def shipped_table(found: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """Fitted networks that come with winogen beside the plain ones, as lines of the page."""
    yield from (
        "## Networks that come fitted",
        "",
        "`winogen models` has them; they were made as [told](../../training/README.md), and "
        "measured by `python benchmarks/fitted_networks.py` as all above. Photographs are in dB "
        "to what they were before they were made smaller.",
        "",
        "| network | bytes | bits a weight | PSNR dB | SSIM | cycles, one image | in batches "
        "| judge, or photographs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    )
    for rows in found.values():
        for name, row in rows.items():
            seen = row.get("judge") or ", ".join(f"{n} {v:.2f}" for n, v in
                                                 row["photographs"].items())  # fmt: skip
            yield (
                f"| {name} | {row['weight_bytes']:,} | {row['bits']:.2f} | {row['psnr']:.1f} "
                f"| {row['ssim']:.3f} | {row['cycles_1']:,} | {row['cycles_n']:,} | {seen} |"
            )


def page(results: dict[str, dict[str, Any]]) -> str:
    """The page of the documentation."""
    lines = [
        "# What compression is worth",
        "",
        "Written by `python benchmarks/compression.py --page` from "
        "[its results](../../benchmarks/compression.yaml); how to use it is "
        "[told elsewhere](../use/fit.md). Every network is its own teacher, and learns from inputs "
        "that are drawn. Quality is that of 1,000 latents (of pictures 100) that nothing else has "
        "seen, as the emulated device computes them, against the float network; bytes are those of "
        "the weights in the program file, with their codebooks; cycles an image are predicted for "
        f"{BOARD}. Cycles with ≤ were measured before the logic decoded weights: they are those of "
        "plain ones, and more than pruned, shared and 4-bit weights take now.",
        "",
    ]
    for way, chosen in WAYS.items():
        lines.append(f"- *{way}*: {chosen.about if chosen else 'as compiled, without training'}")
    lines += ["", "![Bits a weight against PSNR](../images/compression.png)"]
    for name in NETWORKS:
        if name not in results:
            continue
        lines += ["", f"## {name}", ""]
        judge = any("judge" in row for row in results[name].values())
        header = ["way", "bytes", "bits a weight", "PSNR dB", "SSIM", "cycles, one image",
                  "in batches", "steps", "minutes"]  # fmt: skip
        if judge:
            header.append("judge is sure, rarest digit")
        lines += ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
        for way in WAYS:
            row = results[name].get(way)
            if row is not None:
                lines.append("| " + " | ".join(_cells(way, row, judge)) + " |")
        lines += exits_table(results[name].get("exits"))
    lines += ["", *shipped_table(yaml.safe_load(SHIPPED.read_text()))]
    lines += ["", *costs_table(yaml.safe_load(COSTS.read_text()))]
    return "\n".join(lines) + "\n"


def exits_table(row: dict[str, Any] | None) -> list[str]:
    """Every exit of a network, with its share of the cycles."""
    if row is None:
        return []
    judge = "judge" in row
    header = ["exit", "PSNR dB", "SSIM", "cycles, one image", "share", "in batches", "share"]
    header += ["judge is sure, rarest digit"] if judge else []
    lines = ["", "Its exits, of which the last is the whole network:", ""]
    lines += ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    for number, own in enumerate([*row["exits"], row], 1):
        cells = [
            str(number),
            f"{own['psnr']:.1f}",
            "-" if own["ssim"] is None else f"{own['ssim']:.3f}",
            f"{own['cycles_1']:,}",
            f"{100 * own['cycles_1'] / row['cycles_1']:.0f} %",
            f"{own['cycles_n']:,}",
            f"{100 * own['cycles_n'] / row['cycles_n']:.0f} %",
        ]
        lines.append("| " + " | ".join(cells + ([own["judge"]] if judge else [])) + " |")
    return lines


def _cells(way: str, row: dict[str, Any], judge: bool) -> Iterator[str]:
    yield from (
        way,
        f"{row['weight_bytes']:,}",
        f"{row['bits']:.2f}",
        f"{row['psnr']:.1f}",
        "-" if row["ssim"] is None else f"{row['ssim']:.3f}",
        f"{_bound(way, row)}{row['cycles_1']:,}",
        f"{_bound(way, row)}{row['cycles_n']:,}",
        f"{row['steps']:,}" if row["steps"] > 1 else "-",
        f"{row['minutes']:.0f}" if row["steps"] > 1 else "-",
    )
    if judge:
        yield row.get("judge", "-")


def _bound(way: str, row: dict[str, Any]) -> str:
    """What stands before cycles that coded weights have made fewer since."""
    chosen = WAYS[way]
    few = chosen is not None and (
        chosen.bits is not None or {"keep", "share", "weight_bits"} & set(chosen.options)
    )
    return "≤ " if few and not row.get("decoded") else ""


def plot(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Bits a weight against dB, of every network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for name in NETWORKS:
        rows = results.get(name, {})
        curve = sorted((r["bits"], r["psnr"]) for w, r in rows.items() if w.endswith(" bits"))
        if not curve:
            continue
        (line,) = axes.plot(*zip(*curve), marker="o", label=name)
        for way, mark in (("int8", "s"), ("int4 trained", "^"), ("int8 trained", "D")):
            if way in rows:
                axes.plot(rows[way]["bits"], rows[way]["psnr"], mark, color=line.get_color())
    axes.set_xlabel("bits a weight in the program file")
    axes.set_ylabel("PSNR to the float network, dB")
    axes.set_title(
        "pruned and shared (lines); int8 (squares), int8 and int4 trained (◆, ▲)", size=9
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def read() -> dict[str, dict[str, Any]]:
    """What was measured so far."""
    return yaml.safe_load(RESULTS.read_text()) if RESULTS.exists() else {}


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--steps", type=int, help="in the place of minutes")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the programs there")
    parser.add_argument("--page", action="store_true", help="print the page of the documentation")
    parser.add_argument("--costs", action="store_true", help="predict what cheaper blocks take")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    arguments = parser.parse_args()
    if arguments.page:
        print(page(read()), end="")
        return
    if arguments.plot:
        plot(read(), arguments.plot)
        return
    if arguments.costs:
        COSTS.write_text(yaml.safe_dump({n: costs(n) for n in PREDICTED}, sort_keys=False))
        return
    import torch

    torch.set_num_threads(1)
    for name in arguments.networks:
        if name in FOLDERS and not Path(source(name)).is_dir():
            print(f"{name} is not here: left out")
            continue
        for way in arguments.ways:
            row = measure(name, way, arguments.minutes, arguments.keep, arguments.steps)
            results = read()  # others may have written meanwhile
            results.setdefault(name, {})[way] = row
            RESULTS.write_text(yaml.safe_dump(results, sort_keys=False))
            print(table(list(row), [[str(v) for v in row.values()]]), flush=True)


if __name__ == "__main__":
    sys.exit(run_script(main))
