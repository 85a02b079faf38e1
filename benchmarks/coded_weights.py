"""What coded weights are worth: cycles of one image and of sixteen, and contiguous memory.

    python benchmarks/coded_weights.py                    # predict what is not known yet, print all
    python benchmarks/coded_weights.py --rtl gp-gan       # count with the simulated logic too
    python benchmarks/coded_weights.py --page > docs/reference/coded-weights.md

Networks are the zoo's large ones on a PYNQ-Z2, with weights as ``winogen fit`` leaves them: 62 % of
a layer zeros, the others of 15 values. Cycles are predicted by the cost model; with ``--rtl`` one
image of random integers runs on the simulated logic as well, its bits are held to the integer
reference, and its counter of cycles stands in the table. What is found is kept in
coded_weights.yaml beside this file; ``--again`` finds it anew.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "driver"), str(HERE.parent / "tests")]

from support.bench import DEVICES, compile_network, random_inputs, run_integers  # noqa: E402
from support.coded import shared  # noqa: E402
from winogen.common.files import write_atomically  # noqa: E402
from winogen.common.script import run_script  # noqa: E402
from winogen.compiler.compile import Compiled  # noqa: E402
from winogen.compiler.integers import run_integer  # noqa: E402
from winogen.compiler.options import CODED, PLAIN  # noqa: E402
from winogen.compiler.quantise import quantise  # noqa: E402
from winogen.network import zoo  # noqa: E402
from winogen.profiling.limits import PARTS, layer_limits  # noqa: E402
from winogen.runtime.generator import Generator  # noqa: E402
from winogen.target.board import Board, load_board  # noqa: E402

RESULTS = HERE / "coded_weights.yaml"
BOARD, RATES, BATCH = "pynq-z2", (2100, 1575), 16
#: What ``winogen fit`` leaves of a large network's weights.
PRUNED, VALUES = 0.62, 15
#: Networks with the most cycles that one image should take, in thousands; None: of all three.
BARS: dict[str, float | None] = {
    "dcgan-5x5": 1050, "dcgan-4x4": 260, "gp-gan": 2200,
    "vta-dcgan-1": None, "vta-dcgan-2": None, "vta-dcgan-3": None,
}  # fmt: skip
VTA, VTA_MS = "vta-dcgan", 4.9
#: The network of which 16 bits are too much for the board's memory as they are.
LARGEST = "gp-gan"
RTL_SECONDS = 3600.0


def board(rate: int, bits: int = 8, mib: int | None = None) -> Board:
    """The board with a memory of so many MB/s, and with room for any network if asked."""
    found = replace(load_board(BOARD, bits), dram_mb_s=rate)
    return replace(found, contiguous_mib=mib) if mib else found


@cache
def network(name: str, bits: int = 8) -> tuple[Any, Any]:
    """A network's graph, and its integers with weights like fitted ones."""
    graph = zoo.load_model(name)
    return graph, shared(quantise(graph, bits, samples=4), PRUNED, VALUES)


def made(name: str, rate: int, coding: str) -> Compiled:
    """The program of all batch sizes."""
    return compile_network(*network(name), board(rate), batch=BATCH, coding=coding)


def predict(name: str, rate: int, coding: str) -> dict[str, Any]:
    """Predicted cycles, the layers of one image, and contiguous memory."""
    program = made(name, rate, coding).program
    one, many = program.streams[0], program.streams[-1]
    instructions = one.instructions()
    limits = layer_limits(instructions, len(program.layers), program.board)
    return {
        "one": one.cycles,
        "many": many.cycles,
        "batch": many.batch,
        "memory_mib": round(program.memory().total / (1 << 20), 1),
        "layers": [
            {
                "name": layer.name,
                "mode": layer.mode,
                "cycles": cycles,
                **{part: round(getattr(of, part)) for part in PARTS},
            }
            for layer, cycles, of in zip(program.layers, one.layer_cycles, limits)
        ],
    }


def count(name: str, rate: int, coding: str) -> int:
    """Cycles of one image by the counter of the simulated logic, whose bits are right."""
    target = board(rate)
    compiled = compile_network(*network(name), target, batch=1, coding=coding)
    q = random_inputs(compiled, 1)
    with Generator(
        compiled.program, DEVICES["rtl"](target), board=target, timeout=RTL_SECONDS
    ) as generator:
        got = run_integers(generator, q)
        cycles = int(generator.counters()["cycles"])
    if not np.array_equal(got, run_integer(compiled.network, q)):
        raise SystemExit(f"{name}, {coding}, {rate} MB/s: the logic's bits are wrong")
    return cycles


def sixteen_bits() -> dict[str, Any]:
    """Memory of the largest network in 16 bits, one image at a time: plain, and with a decoder."""
    found = {}
    for coding, decoder in ((PLAIN, 0), (CODED, 32)):
        roomy = board(RATES[0], 16, 1024)
        roomy = replace(roomy, core=replace(roomy.core, decoder=decoder))
        program = compile_network(*network(LARGEST, 16), roomy, batch=1, coding=coding).program
        found[coding] = round(program.memory().total / (1 << 20), 1)
    return found


def read() -> dict[str, Any]:
    """What is known."""
    return yaml.safe_load(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def keep(results: dict[str, Any]) -> None:
    """Write what is known."""
    write_atomically(RESULTS, yaml.safe_dump(results, sort_keys=False).encode())


def measure(names: list[str], rtl: bool, again: bool) -> None:
    """Find what is not known yet, and keep it."""
    results = read()
    for name in names:
        for rate in RATES:
            for coding in (PLAIN, CODED):
                found = results.setdefault(name, {}).setdefault(rate, {}).setdefault(coding, {})
                start = time.monotonic()
                if again or "one" not in found:
                    found.update(predict(name, rate, coding))
                if rtl and (again or "counted" not in found):
                    found["counted"] = count(name, rate, coding)
                if time.monotonic() - start > 2:
                    print(f"{name}, {rate} MB/s, {coding}: {time.monotonic() - start:.0f} s",
                          file=sys.stderr, flush=True)  # fmt: skip
                keep(results)
        if name == LARGEST and (again or "sixteen" not in results):
            results["sixteen"] = sixteen_bits()
            keep(results)


def markdown(header: list[str], rows: list[list[str]], left: int = 1) -> str:
    """A table."""
    lines = [header, ["---"] * left + ["---:"] * (len(header) - left), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cycles_of(found: dict[str, Any]) -> str:
    """Counted where that was done, else predicted."""
    return f"{found['counted']:,}" if "counted" in found else f"*{found['one']:,}*"


def best(found: dict[str, Any]) -> int:
    """The same as a number."""
    return int(found.get("counted", found["one"]))


def cycles_table(results: dict[str, Any]) -> str:
    """One image and sixteen, plain and coded, at both rates."""
    rows = []
    for name, bar in BARS.items():
        for rate, codings in results.get(name, {}).items():
            plain, coded = codings[PLAIN], codings[CODED]
            verdict = "" if bar is None else f"{1000 * bar:,.0f}"
            if bar is not None:
                verdict += ", held" if best(coded) <= 1000 * bar else ", missed"
            rows.append([
                name, f"{rate:,}", cycles_of(plain), cycles_of(coded),
                f"{best(plain) / best(coded):.2f}", verdict,
                f"*{plain['many'] / plain['batch']:,.0f}*",
                f"*{coded['many'] / coded['batch']:,.0f}*",
            ])  # fmt: skip
    for rate in RATES:
        three = [results[n][rate] for n in BARS if n.startswith(VTA) and n in results]
        if len(three) == 3:
            plain, coded = (sum(best(x[c]) for x in three) for c in (PLAIN, CODED))
            clock = load_board(BOARD).clock_mhz * 1e3
            held = "held" if coded / clock <= VTA_MS else "missed"
            rows.append([
                "all three of VTA", f"{rate:,}", f"{plain / clock:.2f} ms",
                f"{coded / clock:.2f} ms", f"{plain / coded:.2f}", f"{VTA_MS} ms, {held}", "", "",
            ])  # fmt: skip
    header = ["network", "MB/s", "one image, plain", "coded", "ratio", "bar",
              "of sixteen, plain", "coded"]  # fmt: skip
    return markdown(header, rows)


def layers_table(results: dict[str, Any], rate: int) -> str:
    """What each layer of one image takes, and would take of each part alone."""
    rows = []
    for name in BARS:
        for layer in results.get(name, {}).get(rate, {}).get(CODED, {}).get("layers", ()):
            parts = [layer[part] for part in PARTS]
            limit = PARTS[parts.index(max(parts))]
            rows.append([name, layer["name"], layer["mode"], f"{layer['cycles']:,}",
                         *(f"{n:,}" for n in parts), limit])  # fmt: skip
    return markdown(["network", "layer", "mode", "cycles", *PARTS, "limit"], rows, left=3)


def memory_table(results: dict[str, Any]) -> str:
    """Contiguous memory, MiB."""
    rate = RATES[0]
    rows = [
        [name, *(f"{results[name][rate][c]['memory_mib']:.1f}" for c in (PLAIN, CODED))]
        for name in BARS
        if name in results
    ]
    if "sixteen" in results:
        rows.append([f"{LARGEST}, 16 bits, one image",
                     *(f"{results['sixteen'][c]:.1f}" for c in (PLAIN, CODED))])  # fmt: skip
    return markdown(["network", "plain", "coded"], rows)


PAGE = """# What coded weights are worth

Weights of few values [lie coded in memory](../project/decisions/032-coded-weights-in-memory.md)
and are decoded as they are loaded. This page has what that gives. One command measures and writes
it:

    python benchmarks/coded_weights.py --rtl
    python benchmarks/coded_weights.py --page > docs/reference/coded-weights.md

Networks are the zoo's, whose weights are random, made like those that `winogen fit` leaves:
{pruned:.0%} of a layer zeros, the others of {values} values. The board is a PYNQ-Z2 at {clock:g}
MHz, int8, its memory at 2,100 MB/s, what the two read ports can bring, and at 1,575, what its
controller gives.

## Cycles

For one image alone, and for one of a batch of {batch}. *Slanted* figures are predicted by the cost
model; the others were counted by the simulated logic, whose bits were those of the integer
reference. *Bar* is what one image was meant to take at most.

{cycles}

## What each layer waits for

One image, coded, 2,100 MB/s: predicted cycles of each layer, and what each part of the machine
would take alone ([columns](../use/profiling.md#the-table)).

{layers}

What one image takes at least in these modes, if each layer takes as long as the slowest of its
parts and nothing waits for anything else:

{floor}

So the two bars that are missed cannot be met at what the board's controller gives, by any decoder.
At the ports' 2,100 MB/s the array and the bus leave DCGAN 5x5 less than a percent of its bar for
everything that waits; a wider decoder would do for GP-GAN, and is not within the LUTs that it may
take ([decision](../project/decisions/038-whole-words.md)).

## Memory

Contiguous memory in MiB, for batches of up to {batch}: weights, streams, and tensors.

{memory}

{sixteen}
"""


def floor_table(results: dict[str, Any]) -> str:
    """What one image could take at least: each layer as long as its slowest part."""
    rows = []
    for name, bar in BARS.items():
        for rate in RATES if bar is not None else ():
            layers = results.get(name, {}).get(rate, {}).get(CODED, {}).get("layers", ())
            if layers:
                sums = [
                    sum(max(layer[part] for part in parts) for layer in layers)
                    for parts in (PARTS, [part for part in PARTS if part != "decoder"])
                ]
                rows.append([name, f"{rate:,}", f"{sum(x['cycles'] for x in layers):,}",
                             *(f"{n:,}" for n in sums), f"{1000 * bar:,.0f}"])  # fmt: skip
    header = ["network", "MB/s", "predicted", "at least", "with a decoder of any width", "bar"]
    return markdown(header, rows)


def sixteen_of(results: dict[str, Any]) -> str:
    """Whether the largest network fits in 16 bits."""
    if "sixteen" not in results:
        return ""
    room = load_board(BOARD).contiguous_mib
    plain, coded = (results["sixteen"][c] for c in (PLAIN, CODED))
    fits = "fits" if coded <= room else "does not fit"
    return (
        f"Of {LARGEST} in 16 bits {plain:.1f} MiB do not fit the {room} MiB that a PYNQ-Z2's image "
        f"sets aside. Coded it takes {coded:.1f} MiB and {fits}, but only a build with "
        "`decoder: 32` runs that, and the board's 16-bit build has none: it would be at 87 % of "
        "the LUTs."
    )


def page(results: dict[str, Any]) -> str:
    """The page of the documentation."""
    return PAGE.format(
        pruned=PRUNED, values=VALUES, clock=load_board(BOARD).clock_mhz, batch=BATCH,
        cycles=cycles_table(results), layers=layers_table(results, RATES[0]),
        floor=floor_table(results), memory=memory_table(results), sixteen=sixteen_of(results),
    ).rstrip() + "\n"  # fmt: skip


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("network", nargs="*", help=f"of {', '.join(BARS)}; default: all")
    parser.add_argument("--rtl", action="store_true", help="count cycles with the simulated logic")
    parser.add_argument("--again", action="store_true", help="find anew what is known")
    parser.add_argument("--page", action="store_true", help="print the documentation's page")
    options = parser.parse_args()
    for name in options.network:
        if name not in BARS:
            parser.error(f"unknown network {name}; known: {', '.join(BARS)}")
    if not options.page or options.network or options.rtl or options.again:
        measure(options.network or list(BARS), options.rtl, options.again)
    results = read()
    if options.page:
        print(page(results), end="")
        return
    for part in (cycles_table(results), layers_table(results, RATES[0]), floor_table(results),
                 memory_table(results), sixteen_of(results)):  # fmt: skip
        print(f"{part}\n")


if __name__ == "__main__":
    sys.exit(run_script(main))
