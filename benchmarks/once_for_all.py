"""What training once for all is worth: sub-networks that are searched against narrowed networks.

    python benchmarks/once_for_all.py [--networks NAME ...] [--once STEPS] [--steps STEPS]
    python benchmarks/once_for_all.py --networks NAME --file NAME.once
    python benchmarks/once_for_all.py --page > docs/reference/once-for-all.md
    python benchmarks/once_for_all.py --plot docs/images/once-for-all.png

Networks are names of the zoo or, where they lie beside the checkout, trained generators that are
not part of it (default: digits). Each is trained once for all. Then, for several widths, the
network is narrowed alike in all of its layers, and the sub-network is searched that takes no
more cycles of an image on the board (pynq-z2; the accelerator alone, in the largest batches). Both
are trained for as many steps in integers; the training of all comes on top, once. ``--file`` is one
that ``winogen fit NAME --once`` has written (with the same seed it is the same).
What is found is written to once_for_all.yaml beside this file. It needs
``pip install -e '.[train]'``.

Quality is that of 1,000 latents that nothing else has seen, as the emulated device computes them,
against the float network.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from winogen.common.script import run_script
from winogen.compilation.job import Job, read_job
from winogen.compiler.options import CompileOptions
from winogen.compression.options import FitOptions
from winogen.compression.width import at_width
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.quality.measure import psnr
from winogen.quality.ssim import ssim
from winogen.runtime.generator import Generator

if TYPE_CHECKING:
    from winogen.compression.once_file import Once

HERE = Path(__file__).parent
RESULTS = HERE / "once_for_all.yaml"
BESIDE = HERE.parent.parent / "shared" / "weights"
#: Networks, and where those lie that are not of the zoo.
NETWORKS = {"digits": None, "faces32": BESIDE / "dcgan_faces32_fletcher"}
BOARD = "pynq-z2"
JUDGED, _SEED = 1000, 1 << 61
WIDTHS = (0.25, 0.375, 0.5, 0.75)
#: Boards that a search is timed for, and what is asked: so much faster than the whole network.
BOARDS, FASTER = ("pynq-z2", "zcu104", "kc705"), 1.5


def job_of(name: str, board: str = BOARD) -> Job:
    """The network, as it would be compiled for a board."""
    return read_job(NETWORKS[name] or name, CompileOptions(board=board).with_board())


def measure(
    name: str,
    once_steps: int,
    steps: int,
    seed: int,
    file: Path | None,
    widths: Sequence[float],
    keep: Callable[[dict[str, Any]], None],
) -> None:
    """One network: the training of all, all points, the searches; ``keep`` what there is so far."""
    from winogen.compression.once import Choice, train_once
    from winogen.compression.once_file import load_once

    job = job_of(name)
    if file is None:
        options = FitOptions(steps=once_steps, seed=seed, device="cpu")
        once = train_once(job, options, None, say(name))
    else:
        once = load_once(file)
    result: dict[str, Any] = {
        "networks": once.elastic.space.count,
        "once_steps": once.steps,
        "steps": steps,
        "once_seconds": round(once.steps * seconds_a_step(job)),
        "searches": {},
        "uniform": [],
        "found": [],
    }
    before = read().get(name, {})
    if (before.get("once_steps"), before.get("steps")) == (once.steps, steps):
        result = before  # other widths were measured then
    choice = Choice(once, job, seed)
    options = FitOptions(steps=steps, seed=seed, device="cpu")
    for width in widths:
        uniform = narrowed(job, width, options)
        program = uniform.pop("program")
        result["uniform"].append({"width": width, **uniform, **quality(job.graph, program)})
        found = choice.for_cycles(uniform["cycles"])
        start = time.process_time()
        fitted = choice.take(found, options, None, say(name))
        program = fitted.compilation.program
        point = {
            "setting": choice.elastic.space.described(found.setting),
            "shared_psnr": round(found.quality, 2),
            "cycles": cycles(program),
            "steps": fitted.steps,
            "seconds": round(time.process_time() - start),
        }
        result["found"].append({**point, **quality(job.graph, program)})
        print(result["uniform"][-1], result["found"][-1], sep="\n", flush=True)
        for points in ("uniform", "found"):  # by width
            result[points].sort(key=lambda p: p["cycles"])
        judged = ((choice.costs.estimate(s), dB) for s, dB in sorted(choice.judged.items()))
        result["searched"] = [[round(c.cycles / c.batch), round(dB, 2)] for c, dB in judged]
        keep(result)
    result["searches"] = searches(name, once, seed)
    keep(result)


def searches(name: str, once: Once, seed: int) -> dict[str, dict[str, Any]]:
    """What a search takes on each board, the first that it is made for."""
    from winogen.compression.once import Choice

    found = {}
    for board in BOARDS:
        start = time.process_time()
        choice = Choice(once, job_of(name, board), seed)
        whole = choice.costs.exact(choice.elastic.space.whole)
        tried = choice.for_cycles(whole.cycles / whole.batch / FASTER).tried
        found[board] = {
            "seconds": round(time.process_time() - start, 1),
            "judged": tried,
            "layers": choice.costs.counted[0],
            "streams": choice.costs.counted[1],
        }
        print(name, board, found[board], flush=True)
    return found


def seconds_a_step(job: Job, count: int = 40) -> float:
    """What a step of the training of all takes a core: of a short one, all of whose stages pass."""
    from winogen.compression.budget import Training
    from winogen.compression.inputs import Source
    from winogen.compression.once import elastic_of
    from winogen.compression.shrinking import Shrinker

    source = Source(job.graph)
    for steps in (4, count):  # the first are slower
        elastic = elastic_of(job.graph, source.draw(32, 0))
        shrinker = Shrinker(elastic, Training(steps), job.graph, source)
        start = time.process_time()
        shrinker.run()
    return (time.process_time() - start) / count


def narrowed(job: Job, width: float, options: FitOptions) -> dict[str, Any]:
    """A network of this width, trained for as many steps."""
    from winogen.compression.fit import fit

    start = time.process_time()
    fitted = fit(job, options, progress=say(f"width {width}"), student=at_width(job, width))
    program = fitted.compilation.program
    return {
        "program": program,
        "cycles": cycles(program),
        "steps": fitted.steps,
        "seconds": round(time.process_time() - start),
    }


def say(name: str) -> Any:
    """Progress, one line for a fifth of the steps."""

    def shown(what: str, done: int, of: int, note: str) -> None:
        if of and done % max(of // 5, 1) == 0:
            print(f"{name}: {what} {done:,} of {of:,}, {note}", flush=True)

    return shown


def cycles(program: Program) -> int:
    """Cycles of the accelerator for an image of the largest batch."""
    stream = program.streams[-1]
    return round(stream.cycles / stream.batch)


def quality(graph: Graph, program: Program) -> dict[str, Any]:
    """Quality of a program's pictures against the float network."""
    x = sample_inputs(graph.input, JUDGED, _SEED)
    with Generator(program) as generator:
        given = generator.generate(x, as_float=True)
    wanted = np.concatenate([reference.run(graph, part) for part in np.array_split(x, 20)])
    low, high = graph.output_range or (float(wanted.min()), float(wanted.max()))
    similar = ssim(given, wanted, high - low)
    return {
        "psnr": round(psnr(given, wanted, high - low), 2),
        "ssim": None if similar is None else round(similar, 4),
    }


def page(results: dict[str, dict[str, Any]]) -> str:
    """The page of the documentation."""
    lines = [
        "# What training once for all is worth",
        "",
        "Written by `python benchmarks/once_for_all.py --page` from "
        "[its results](../../benchmarks/once_for_all.yaml); how to use it is "
        "[told elsewhere](../use/fit.md#once-for-all). *Narrow* networks have the same share of "
        "each layer's channels; the *found* ones are searched among all "
        "sub-networks for at most as many cycles. Both are trained for as many steps in integers; "
        "of those of the found ones a fifth went before, to see which weights to start from. The "
        "training of all comes on top, once for all boards and speeds. Quality is that of "
        "1,000 latents that nothing else has seen, as the emulated device computes them, "
        "against the float network; cycles an image are those of the accelerator in the largest "
        f"batches, predicted for {BOARD}.",
        "",
        "![Quality against images a second](../images/once-for-all.png)",
    ]
    for name, result in results.items():
        lines += [
            "",
            f"## {name}",
            "",
            f"{result['networks']:,} networks in one, trained for {result['once_steps']:,} steps "
            f"({result['once_seconds'] / 60:.1f} minutes of a core). A search for {FASTER:g} times "
            "the whole network's speed, the first for a board:",
            "",
            "| board | seconds of a core | networks judged | layers simulated | whole streams |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {board} | {s['seconds']:.0f} | {s['judged']:,} | {s['layers']:,} | {s['streams']} |"
            for board, s in result["searches"].items()
        ]
        lines += [
            "",
            "| width | cycles | steps | PSNR dB | SSIM | found: cycles | steps | PSNR dB | SSIM "
            "| before it was trained for itself | what it is |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for uniform, found in zip(result["uniform"], result["found"]):
            lines.append(
                f"| {100 * uniform['width']:g} % | {uniform['cycles']:,} | {uniform['steps']:,} "
                f"| {uniform['psnr']:.1f} | {uniform['ssim']:.3f} | {found['cycles']:,} "
                f"| {found['steps']:,} | {found['psnr']:.1f} | {found['ssim']:.3f} "
                f"| {found['shared_psnr']:.1f} | {found['setting']} |"
            )
    return "\n".join(lines) + "\n"


def plot(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Images a second of the accelerator against dB: all that were searched, narrow ones, found."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    clock = 1e6 * CompileOptions(board=BOARD).target.clock_mhz
    figure, panels = pyplot.subplots(
        1, len(results), figsize=(6.5 * len(results), 4.5), layout="constrained", squeeze=False
    )
    for axes, (name, result) in zip(panels[0], results.items()):
        searched = [(clock / n, dB) for n, dB in result["searched"] if dB < 60]
        axes.plot(*zip(*searched), ".", color="0.75", markersize=3, label="judged, shared weights")
        for what, mark in (("uniform", "s"), ("found", "o")):
            points = sorted((clock / p["cycles"], p["psnr"]) for p in result[what])
            axes.plot(*zip(*points), marker=mark, label={"uniform": "narrow"}.get(what, what))
        axes.set_xlabel(f"images a second ({BOARD}, the accelerator alone)")
        axes.set_ylabel("PSNR to the float network, dB")
        axes.set_title(name)
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
    parser.add_argument("--networks", nargs="+", default=["digits"], choices=NETWORKS)
    parser.add_argument("--once", type=int, default=4000, metavar="STEPS")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--widths", nargs="*", type=float, default=WIDTHS, metavar="SHARE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", type=Path, metavar="NAME.once")
    parser.add_argument("--page", action="store_true", help="print the page of the documentation")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    arguments = parser.parse_args()
    if arguments.page:
        print(page(read()), end="")
        return
    if arguments.plot:
        plot(read(), arguments.plot)
        return
    import torch

    torch.set_num_threads(1)
    for name in arguments.networks:
        folder = NETWORKS[name]
        if folder is not None and not folder.is_dir():
            print(f"{name} is not in {BESIDE}: left out")
            continue

        def keep(result: dict[str, Any], name: str = name) -> None:
            RESULTS.write_text(yaml.safe_dump({**read(), name: result}, sort_keys=False))

        measure(
            name,
            arguments.once,
            arguments.steps,
            arguments.seed,
            arguments.file,
            arguments.widths,
            keep,
        )


if __name__ == "__main__":
    raise SystemExit(run_script(main))
