"""What the fitted networks that come with winogen are worth beside those that they learnt from.

    python benchmarks/fitted_networks.py
    python benchmarks/compression.py --page > docs/reference/compression.md

It takes some minutes on one core, and writes fitted_networks.yaml beside this file, of which the
page has a table. It needs ``pip install -e '.[train]'``. How they were made: training/README.md.

Quality is measured as in compression.py: of inputs that nothing has seen, as the emulated device
computes them, against the plain network in floating point. Networks that enlarge are held to
photographs too that none of them has seen, as training/train_fsrcnn.py does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from compression import job_of, judged, predicted, weights_of

from winogen.common.script import run_script
from winogen.compilation.compile import compile_job
from winogen.compilation.job import Job
from winogen.compiler.integers import run_integer
from winogen.compiler.quantised import QuantNetwork
from winogen.network import zoo
from winogen.network.graph import Graph

HERE = Path(__file__).parent
RESULTS = HERE / "fitted_networks.yaml"
_SUFFIX = "-fitted"


def measured(name: str, teacher: Graph) -> dict[str, Any]:
    """What a network takes, and how close it comes to another that is given in floating point."""
    job = job_of(name)
    compiled = compile_job(job)
    program = compiled.program
    found = {
        **judged(teacher, program, teacher.name),
        "weight_bytes": program.stored.weight_bytes,
        "bits": round(8 * program.stored.weight_bytes / weights_of(job.graph), 2),
        **predicted(program),
        "weights": weights_of(job.graph),
    }
    if job.graph.input.kind == "image":
        found["photographs"] = photographs(job, compiled.network)
    return found


def photographs(job: Job, network: QuantNetwork) -> dict[str, float]:
    """PSNR in dB of photographs that were made smaller, and enlarged in the device's integers."""
    sys.path.insert(0, str(HERE.parent / "training"))
    import train_fsrcnn as training

    found = {}
    scale = job.graph.output_shape[1] // job.graph.input.shape[1]
    for name in training.HELD_OUT:
        large = training.luma(name)
        large = large.crop((0, 0, large.width // scale * scale, large.height // scale * scale))
        small = np.asarray(training.shrink(large, scale), np.float32)[None, None] / 255
        own = network.resized(job.graph.resized(small.shape[2:]))
        real = own.output_format.dequantise(run_integer(own, own.quantise_input(small)))
        pixels = np.clip(np.floor(real[0, 0] * 255 + 0.5), 0, 255)
        found[Path(name).stem] = round(training.psnr(pixels, np.asarray(large), scale), 2)
    return found


def main() -> None:
    """Measure all, and write it down."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    found = {}
    for name in zoo.fitted_names():
        plain = name.removesuffix(_SUFFIX)
        teacher = job_of(plain).graph
        found[plain] = {each: measured(each, teacher) for each in (plain, name)}
        print(yaml.safe_dump({plain: found[plain]}, sort_keys=False), flush=True)
    RESULTS.write_text(yaml.safe_dump(found, sort_keys=False))


if __name__ == "__main__":
    sys.exit(run_script(main))
