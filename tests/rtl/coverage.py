"""Line and toggle coverage of the logic: simulations that count, under the stimuli of the tests.

    python tests/rtl/coverage.py [--json FILE]

Says module by module what was reached, and what was not. Exits with 1 if an uncovered line has no
explanation beside it in the source, or an explained one was covered after all (hw_src/README.md).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections import Counter
from pathlib import Path

from winogen.common.errors import WinogenWarning
from winogen.common.progress import Progress

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["WINOGEN_FUZZ_BOARD"] = "tiny-pairs"  # the build of 8 bits has pairs
from support.rtl.coverage_report import Point, figures, modules, text
from support.rtl.coverage_stimulus import Stimuli


def main() -> int:
    """Print the report; the exit status says whether every line is covered or explained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", WinogenWarning)  # extremes are beyond what inputs reach
    found = modules(measure())
    print(text(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures(found), indent=1) + "\n")
    return int(any(m.unexplained or m.wrongly_explained for m in found))


def measure() -> Counter[Point]:
    """What the simulations counted under all stimuli."""
    stimuli = Stimuli()
    parts = stimuli.parts()
    with Progress("coverage", len(parts)) as progress:
        for done, part in enumerate(parts, 1):
            part()
            progress.update(done)
    return stimuli.counts()


if __name__ == "__main__":
    sys.exit(main())
