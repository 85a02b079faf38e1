"""What a call of ``generate()`` takes of the processor, without the accelerator's part.

The device here has registers and memory and no arithmetic: a stream ends as it is started. What is
left is what the host does for every call: inputs to words, registers, buffers, words to pixels.

    python benchmarks/host_cost.py [MODEL:IMAGES ...] [--before REVISION] [--json]
    python benchmarks/host_cost.py [MODEL:IMAGES ...] --floor
    python benchmarks/host_cost.py --units

With ``--before`` the same is done with the sources of another revision of this repository, in turns
with these, and the ratio of the medians is printed; both in processor time (all threads) and
counted in accesses to registers. Outputs of both must be equal.

``--floor`` shows beside it what no driver in Python is below: the inputs' least and greatest value,
one pass over inputs and one over outputs, as if words lay as images do; a flush and an invalidate;
and the accesses to registers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import winogen
from winogen.common.script import run_script

ROOT = Path(__file__).resolve().parents[1]
#: What is run: a network, and how many images a call.
CASES = ("digits:1", "digits:16", "dcgan-4x4:16", "discogan:16")
#: Turns of each revision, and seconds of each turn and case.
TURNS, SECONDS = 5, 0.5


class Window:
    """Registers as memory, as pynq maps a board's: what is written is what is read.

    Attributes
    ----------
    reads, writes : accesses so far
    """

    def __init__(self, words: dict[int, int]):
        self._words = dict(words)
        self.reads = self.writes = 0

    def __getitem__(self, index: int) -> int:
        self.reads += 1
        if index == self._sum_at and index not in self._words:
            self._words[index] = self._sum()
        return self._words.get(index, 0)

    def __setitem__(self, index: int, value: int) -> None:
        self.writes += 1
        self._words[index] = int(value)
        if index in self._summed:
            self._words.pop(self._sum_at, None)

    #: Where the logic shows the sum of the settings, and of which, if the revision has that.
    _sum_at = -1
    _summed: tuple[int, ...] = ()

    def _sum(self) -> int:
        from winogen.target import registers

        return registers.settings_sum(self._words.get(at, 0) for at in self._summed)


def flatten(generator: Any) -> Window:
    """Put registers that are no more than that in the place of an emulated accelerator's."""
    from winogen.target import registers

    core = generator.core
    words = {at // 4: int(core.mmio.read(at)) for at in range(0, registers.ADDRESS_RANGE, 4)}
    words[registers.offset("STATUS") // 4] = registers.pack("STATUS", idle=1, done=1)
    window = Window(words)
    if "SETTINGS_SUM" in registers.BY_NAME:
        Window._sum_at = registers.offset("SETTINGS_SUM") // 4
        Window._summed = tuple(registers.offset(name) // 4 for name in registers.SETTINGS)
    core.mmio.array = window
    core.mmio.write = core.mmio.write_mm  # as on a board: no hook of an emulated device
    return window


def measure(cases: Sequence[str], seconds: float) -> dict[str, Any]:
    """Of each case: processor seconds a call (median), accesses a call, digest of the output."""
    found: dict[str, Any] = {}
    for case in cases:
        model, count = case.rsplit(":", 1)
        program = winogen.compile_model(model)
        with winogen.Generator(program, waiting="poll") as generator:
            z = generator.latents(int(count), seed=1)
            generator.generate(z)  # its output stays in memory, which nothing writes afterwards
            window = flatten(generator)
            outputs = generator.generate(z)
            before = window.reads, window.writes
            generator.generate(z)
            accesses = window.reads - before[0], window.writes - before[1]
            taken = median_seconds(partial(generator.generate, z), seconds)
        found[case] = {
            "seconds": taken,
            "reads": accesses[0],
            "writes": accesses[1],
            "output": hashlib.sha256(np.ascontiguousarray(outputs).tobytes()).hexdigest(),
        }
    return found


def floor(cases: Sequence[str], seconds: float) -> dict[str, float]:
    """Of each case: processor seconds of the least that a call can do (median)."""
    found = {}
    for case in cases:
        model, count = case.rsplit(":", 1)
        with winogen.Generator(winogen.compile_model(model), waiting="poll") as generator:
            z = generator.latents(int(count), seed=1)
            found[case] = median_seconds(least_of(generator, z), seconds)
    return found


def least_of(generator: Any, z: NDArray) -> Callable[[], None]:
    """What :func:`floor` times, of a call whose inputs are one batch."""
    out = generator.generate(z)
    window = flatten(generator)
    stream = next(s for s in generator.program.streams if s.batch == len(z))
    source, target = generator._runner.buffers.slot(0, stream)
    numbers = z.reshape(-1)
    words = np.asarray(source)[: z.size].view(np.int8)
    stored = np.asarray(target)[: out.size].reshape(out.shape)

    def least() -> None:
        numbers.min(), numbers.max()
        np.multiply(numbers, 100, out=words, casting="unsafe")
        source.flush()
        for index in range(2):
            window[index] = 0
        for index in range(4):
            window[index]
        target.invalidate()
        stored.copy()

    return least


def median_seconds(work: Callable[[], object], seconds: float) -> float:
    """Processor seconds of what is done again and again for so long, at least five times."""
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 5:
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return statistics.median(times)


def units(seconds: float) -> dict[str, float]:
    """What predictions are made of, here (``winogen.target.host.SERVER``)."""
    import pynq

    from winogen.doctor import hostcost
    from winogen.runtime.open import emulated_device, open_device
    from winogen.target.board import load_board
    from winogen.target.registers import ADDRESS_RANGE

    device = emulated_device(load_board("pynq-z2"))
    pynq.Device.active_device = device
    core = open_device(device, load_board("pynq-z2")).core
    allocate = lambda n: pynq.allocate((n,), np.uint8, target=device, cacheable=1)  # noqa: E731
    interrupt = hostcost.measure(core, allocate).interrupt_s
    core.mmio.array = np.zeros(ADDRESS_RANGE // 4, np.uint32)  # mapped, as a board's are
    core.get = lambda name: int(core.mmio.array[0])
    core.set = lambda name, value: None
    core.interrupt = None
    found = asdict(hostcost.measure(core, allocate)) | {"interrupt_s": interrupt}
    program = winogen.compile_model("digits")
    elements = 64 + 32 * 32
    one = measure(["digits:1"], seconds)["digits:1"]
    flat = one["reads"] * found["register_read_s"] + one["writes"] * found["register_write_s"]
    copied = program.streams[0].input_bytes + program.streams[0].output_bytes
    rest = copied / found["copy_bytes_per_s"] + elements / found["convert_elements_per_s"]
    return found | {"call_s": one["seconds"] - flat - rest}


def run_revision(folder: Path, cases: Sequence[str], seconds: float) -> dict[str, Any]:
    """:func:`measure` with the sources in a folder, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), *cases, "--seconds", str(seconds)]
    environment = {**os.environ, "PYTHONPATH": str(folder / "driver")}
    done = subprocess.run(
        [*command, "--json"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(before: str, cases: Sequence[str], seconds: float) -> dict[str, Any]:
    """Of each case: both revisions' figures and how many times less time these sources take."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", before], capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        turns = [
            [run_revision(where, cases, seconds) for where in (Path(folder), ROOT)]
            for _ in range(TURNS)
        ]
    found = {}
    for case in cases:
        old, new = ([turn[which][case] for turn in turns] for which in (0, 1))
        assert len({result["output"] for result in (*old, *new)}) == 1, f"{case}: other outputs"
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(old, new)]
        found[case] = {
            "before": old[0],
            "now": new[0],
            "ratio": statistics.median(ratios),
        }
    return found


def main() -> int:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="MODEL:IMAGES")
    parser.add_argument("--before", metavar="REVISION", help="compare with this one")
    parser.add_argument(
        "--units", action="store_true", help="print the costs that predictions are made of"
    )
    parser.add_argument("--floor", action="store_true", help="show the least that a call can take")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each case and turn")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.units:
        print(json.dumps(units(options.seconds), indent=1))
        return 0
    if options.before:
        found = compare(options.before, options.cases, options.seconds)
    else:
        found = measure(options.cases, options.seconds)
    if options.floor:
        for case, least in floor(options.cases, options.seconds).items():
            found[case]["floor"] = least
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    for case, result in found.items():
        now = result.get("now", result)
        line = (
            f"{case}: {now['seconds'] * 1e6:.0f} us, {now['reads']} reads, {now['writes']} writes"
        )
        if options.before:
            old = result["before"]
            line += (
                f"; at {options.before} {old['seconds'] * 1e6:.0f} us, {old['reads']} reads, "
                f"{old['writes']} writes: {result['ratio']:.2f} times"
            )
        if options.floor:
            line += f"; floor {result['floor'] * 1e6:.0f} us"
        print(line)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
