"""Fit networks that come with winogen: ``digits-fitted`` ships, ``fsrcnn-x2-fitted`` does not yet.

Each learns from the network that it is named after, as ``winogen fit`` does it:

- ``digits-fitted``: each layer shares 15 values, by latents that are drawn.
- ``fsrcnn-x2-fitted``: half the cycles, with fewer channels in each layer, by patches of the
  photographs that the network itself was trained on (:mod:`train_fsrcnn`).

The shipped weights come from::

    python training/fit_networks.py digits --out driver/winogen/network/zoo/digits-fitted.npz.xz

What they are worth beside the plain ones is measured by ``python benchmarks/fitted_networks.py``.
"""

from __future__ import annotations

import argparse
import lzma
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import train_fsrcnn
from winogen.common.progress import Progress
from winogen.compilation.job import Job, read_job
from winogen.compiler.options import CompileOptions
from winogen.compression.fit import Fitted, fit
from winogen.compression.options import FitOptions
from winogen.network.graph import Graph
from winogen.network.stored import save_network

BOARD = "pynq-z2"
#: Patches of photographs to learn from, a quarter of which is held out.
PATCHES = 1024


@dataclass(frozen=True)
class Fit:
    """How one network is fitted: what is asked for, what it learns from, and how it is told of."""

    options: FitOptions
    inputs: Callable[[int], NDArray[np.float32]] | None
    steps: int
    description: str


def photographs(seed: int) -> NDArray[np.float32]:
    """Small patches (N, 1, H, W) of luma in [0, 1], rounded to 8 bits as a camera's are."""
    generator = np.random.default_rng(seed)
    images = train_fsrcnn.pairs(train_fsrcnn.TRAINING, 2)
    drawn: list[NDArray[np.float32]] = []
    while sum(map(len, drawn)) < PATCHES:
        low, _ = train_fsrcnn.patches(images, 2, generator)
        drawn.append(low.numpy())
    return np.concatenate(drawn)[:PATCHES]


FITS = {
    "digits": Fit(
        FitOptions(share=15),  # and 0, which fills blocks up
        None,
        300,
        "digits with 15 values in each layer; fitted by training/fit_networks.py",
    ),
    "fsrcnn-x2": Fit(
        FitOptions(faster=2),
        photographs,
        300,
        "fsrcnn-x2 in half the cycles; fitted by training/fit_networks.py",
    ),
}


def fitted(name: str, steps: int, seed: int) -> Fitted:
    """Fit one network; the same steps and seed give the same weights on one machine."""
    how = FITS[name]
    options = CompileOptions(board=BOARD).with_board()
    job = read_job(name, options)
    if how.inputs is not None:
        patches = how.inputs(seed)
        job = Job(job.graph.resized(patches.shape[2:]), options, patches)
    asked = replace(how.options, steps=steps, seed=seed, device="cpu")
    with Progress(f"fitting {name}") as progress:

        def say(what: str, done: int, of: int, note: str) -> None:
            progress.stage(f"{what} {done:,} of {of:,}, {note}" if of else what)

        return fit(job, asked, None, say)


def save(graph: Graph, path: Path) -> None:
    """Write a network as winogen ships it: its file, packed by xz."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "network.npz"
        save_network(graph, plain)
        packed = lzma.compress(plain.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
    path.write_bytes(packed)


def main() -> None:
    """Fit a network and store it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", choices=list(FITS))
    parser.add_argument("--steps", type=int, help="default: as those that ship")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    found = fitted(options.name, options.steps or FITS[options.name].steps, options.seed)
    size = read_job(options.name, CompileOptions(board=BOARD).with_board()).graph.input.shape[1:]
    graph = replace(
        found.graph, name=f"{options.name}-fitted", description=FITS[options.name].description
    )
    save(graph if graph.input.shape[1:] == size else graph.resized(size), options.out)
    print(
        f"{found.after:.1f} dB to {options.name} after {found.steps:,} steps, {found.weights:,} "
        f"weights in {found.weight_bytes:,} bytes: wrote {options.out} "
        f"({options.out.stat().st_size:,} bytes)"
    )


if __name__ == "__main__":
    main()
