"""Yosys's own command line, as far as sby uses it, on the native library: much sooner ready.

The program that comes as WebAssembly is compiled anew on each machine, which takes longer than the
proofs. ``native_yosys.py -ql LOG SCRIPT`` runs a script, quietly, and writes what it says to LOG.
"""

from __future__ import annotations

import sys

from pyosys import libyosys


def main(quiet: str, log: str, script: str) -> None:
    """Run the script; Yosys itself ends the process with 1 where a command fails."""
    if quiet != "-ql":
        sys.exit(f"not an option that sby uses: {quiet}")
    libyosys.run_pass(f"tee -q -o {log} script {script}", libyosys.Design())


if __name__ == "__main__":
    main(*sys.argv[1:])
