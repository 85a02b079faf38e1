"""Line and toggle coverage of the logic: simulations that count, under the stimuli of the tests.

    python tests/rtl/coverage.py [--json FILE]

Says module by module what was reached, and what was not. Exits with 1 if an uncovered line has no
explanation beside it in the source, or an explained one was covered after all (hw_src/README.md).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from winogen.common.progress import Progress

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.rtl.coverage_report import Point, figures, modules, read, text
from support.rtl.coverage_stimulus import Stimuli


def main() -> int:
    """Print the report; the exit status says whether every line is covered or explained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    found = modules(measure())
    print(text(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures(found), indent=1) + "\n")
    return int(any(m.unexplained or m.wrongly_explained for m in found))


def measure() -> Counter[Point]:
    """What both simulations counted under all stimuli."""
    stimuli = Stimuli()
    parts = stimuli.parts()
    with Progress("coverage", len(parts)) as progress:
        for done, part in enumerate(parts, 1):
            part()
            progress.update(done)
    counts: Counter[Point] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.dat"
        for core in stimuli.cores:
            core.write_coverage(path)
            counts.update(read(path))
    return counts


if __name__ == "__main__":
    sys.exit(main())
