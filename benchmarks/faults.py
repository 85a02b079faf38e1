"""The fault table: every kind of fault injected, what was seen of it, and whether that is right.

    python benchmarks/faults.py
    python benchmarks/faults.py --area device --area memory --rtl
    python benchmarks/faults.py --kind "kill -9" --json faults.json
    python benchmarks/faults.py --page > docs/project/faults.md

Faults of the device, of memory, of a board on its first day, of files, disks, processes and the
service, on the emulated device, and with --rtl on the simulated logic too where they can happen
there. They run one after the other in a process of their own: one that hangs or crashes is a row of
the table. What each of them is, and what is right then, is in tests/support/faults. Exits with 1
where one is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "driver"), str(HERE.parent / "tests")]

from support.faults import table  # noqa: E402
from support.faults.kinds import AREAS, Fault, load  # noqa: E402
from support.faults.workers import run_all  # noqa: E402
from winogen.common.files import write_atomically  # noqa: E402
from winogen.common.script import run_script  # noqa: E402


def chosen(options: argparse.Namespace) -> tuple[list[tuple[Fault, str]], dict[str, str]]:
    """Kinds with their devices, and the areas that lack a package."""
    kinds, missing = load(*options.area)
    wanted = [kind for kind in kinds if options.kind in str(kind)]
    devices = ("emulator", "rtl") if options.rtl else ("emulator",)
    return [(k, d) for d in devices for k in wanted if d in k.devices], missing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--area", action="append", choices=AREAS, default=[],
        help="only this one; may be given several times (default: all)",
    )  # fmt: skip
    parser.add_argument("--kind", default="", help="only those with this in their names")
    parser.add_argument("--rtl", action="store_true", help="on the simulated logic too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen")
    parser.add_argument("--page", action="store_true", help="print docs/project/faults.md instead")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    kinds, missing = chosen(options)
    if not kinds:
        parser.error(f"no kind has '{options.kind}' in its name")
    if options.page and (options.area or options.kind or missing):
        parser.error(f"the page has all kinds, and needs all packages {missing or ''}")
    rows = sys.stderr if options.page else sys.stdout
    width = shutil.get_terminal_size((160, 24)).columns
    print(table.head(), file=rows)
    results = []
    for result in run_all(kinds):
        results.append(result)
        print(table.line(result, width), file=rows, flush=True)
    print(f"\n{table.summary(results, missing)}", file=rows)
    if options.json:
        write_atomically(options.json, json.dumps([asdict(r) for r in results], indent=1).encode())
    if options.page:
        print(table.page([kind for kind, device in kinds if device == "emulator"], results), end="")
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(run_script(main))
