"""How long importing winogen takes, beside pynq and numpy, which a program on a board imports too.

Each import is timed in a process of its own, all of them in turn, several times, in seconds of its
processor: what else the machine does must not count. The figure that matters is the median of the
differences:

    python benchmarks/import_time.py [--rounds 9]

Exits with 1 if winogen, or all that runs a program, takes over ``--bar`` seconds more (0.15).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

DRIVER = Path(__file__).resolve().parents[1] / "driver"
BASE = "pynq, numpy"
#: What is imported, and what must be within the bar of BASE.
IMPORTS = {
    BASE: "import pynq, numpy",
    "winogen": "import winogen",
    "winogen.Generator": "from winogen import Generator",
}


def main() -> int:
    """Print the times and their differences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--bar", type=float, default=0.15)
    options = parser.parse_args()
    for script in IMPORTS.values():  # from a cold disk once, which is not counted
        seconds(script)
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(options.rounds):
        for name, script in IMPORTS.items():
            times[name].append(seconds(script))
    print(f"seconds of processor time in a fresh process, {options.rounds} rounds:")
    missed = False
    for name, values in times.items():
        more = [t - base for t, base in zip(values, times[BASE])]
        ratio = statistics.median(t / base for t, base in zip(values, times[BASE]))
        line = f"  {name:18} {statistics.median(values):6.3f}"
        if name != BASE:
            over = statistics.median(more) > options.bar
            missed |= over
            line += f"   {statistics.median(more):+.3f} ({min(more):+.3f} to {max(more):+.3f})"
            line += f"   x {ratio:.2f}{'   MISSED' if over else ''}"
        print(line)
    print(f"  at most {options.bar:+.3f} is wanted")
    return int(missed)


def seconds(script: str) -> float:
    """Processor time of a script in a fresh process, the start of Python left out."""
    clock = "time.process_time()"
    timed = f"import time\nbegin = {clock}\n{script}\nprint({clock} - begin)"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", timed],
        env={**os.environ, "PYTHONPATH": str(DRIVER)},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return float(result.stdout)


if __name__ == "__main__":
    sys.exit(main())
