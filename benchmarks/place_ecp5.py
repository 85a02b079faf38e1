"""The clock of each module, and of a small core, placed and routed on an ECP5.

    pip install 'winogen[place]'
    python benchmarks/place_ecp5.py [MODULE ...] [--core] [--no-route] [--seeds 1] [--json FILE]

No board has an ECP5: ``winogen/fpga/ecp5.py`` says what its clocks are good for. Without a module,
those that the clock depends on; ``--core`` adds an array of 8 x 8 x 1 with all around it, which
takes a quarter of an hour and more. Of several seeds the fastest counts. The worst paths are told
by the instances between which they lie, with ``--no-route`` as they are after placement. Exits with
1 if the core's clock is under its bar, with 2 where a tool is missing or fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from winogen.common.script import run_script
from winogen.common.text import table
from winogen.fpga.ecp5 import DEADLINE, Placed, place, versions

#: What is placed unless told otherwise: those that had the longest paths.
MODULES = (
    "wg_burst_split", "wg_axi_read", "wg_axi_write", "wg_store", "wg_fetch", "wg_control",
    "wg_load_input", "wg_load_weights", "wg_patch_fetch", "wg_mac_sequencer", "wg_drain",
)  # fmt: skip
#: MHz that the core has to reach after placement.
CORE_BAR = 100.0


def main() -> int:
    """Print a line for each module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--core", action="store_true", help="the core too")
    parser.add_argument("--no-route", action="store_true", help="end with the placement")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--deadline", type=float, default=DEADLINE, help="seconds for each")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    names = options.modules or list(MODULES)
    if options.core:
        names.append("winogen_core")
    found = [best(name, options.seeds, not options.no_route, options.deadline) for name in names]
    print(versions())
    print(
        table(
            ["module", "LUT4", "FF", "multipliers", "block RAM", "placed MHz", "routed MHz", "s"],
            [line(p) for p in found],
        )
    )
    for p in found:
        if p.paths:
            print(f"\n{p.top}: the worst path between each two instances")
            print(table(["MHz", "ps", "of it nets", "levels", "pins", "from", "to"], paths(p)))
    if options.json:
        data = {"tools": versions(), "modules": [p.as_dict() for p in found]}
        options.json.write_text(json.dumps(data, indent=2) + "\n")
    slow = [p for p in found if p.top == "winogen_core" and (p.placed or 0) < CORE_BAR]
    for p in slow:
        print(f"MISSED  {p.top}: {p.placed} MHz after placement, at least {CORE_BAR:g}")
    return 1 if slow else 0


def best(name: str, seeds: int, route: bool, deadline: float) -> Placed:
    """The fastest of so many placements."""
    with TemporaryDirectory() as folder:
        tries = [
            place(name, Path(folder, str(seed)), seed=seed, route=route, deadline=deadline)
            for seed in range(1, seeds + 1)
        ]
    return max(tries, key=lambda p: (p.routed or 0, p.placed or 0))


def line(p: Placed) -> list[str]:
    """Of the table."""
    clocks = [f"{mhz:.1f}" if mhz else "-" for mhz in (p.placed, p.routed)]
    counts = [f"{n:,}" for n in (p.lut, p.ff, p.multipliers, p.block_rams)]
    return [p.top, *counts, *clocks, f"{p.seconds:.0f}"]


def paths(p: Placed) -> list[list[str]]:
    """Of the table: the pins are those that the widest net on the way drives."""
    return [
        [
            f"{1e6 / w.delay:.1f}",
            *(f"{n:,}" for n in (w.delay, w.nets, w.levels, w.widest)),
            w.start,
            w.end,
        ]
        for w in p.paths
    ]


if __name__ == "__main__":
    sys.exit(run_script(main))
