"""XSim's programs, as strict about their arguments and inputs as the real ones.

Called as ``python xsim_stub.py NAME arguments``. What is compiled is noted in ``xsim.dir`` in the
current folder; nothing is simulated. The environment chooses what goes wrong: ``STUB_XSIM`` is what
the simulation prints (default: a line with PASS), or the name of the program that fails.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

LIBRARY = Path("xsim.dir")
STIMULUS = ("before.hex", "after.hex", "writes.hex")


def fail(message: str) -> None:
    print(f"ERROR: {message}")
    sys.exit(1)


def known() -> set[str]:
    return set(LIBRARY.read_text().split()) if LIBRARY.is_file() else set()


def add(*modules: str) -> None:
    LIBRARY.write_text(" ".join(sorted(known() | set(modules))))


def xvlog(words: list[str]) -> None:
    parser = argparse.ArgumentParser("xvlog", allow_abbrev=False)
    parser.add_argument("--sv", action="store_true")
    parser.add_argument("-i", type=Path)
    parser.add_argument("-d", default="")
    parser.add_argument("file", type=Path)
    options = parser.parse_args(words)
    if options.file.suffix == ".sv" and not options.sv:
        fail(f"[VRFC 10-2951] {options.file} is no Verilog")
    text = options.file.read_text()
    for name in re.findall(r'^`include "(\S+)"', text, re.M):
        if not options.i or not (options.i / name).is_file():
            fail(f"[VRFC 10-2063] cannot open include file {name}")
    if options.file.suffix == ".sv":
        macro, _, module = options.d.partition("=")
        if f"`{macro} u_dut (" not in text or module not in known():
            fail(f"[VRFC 10-2063] module <{module}> not found")
    # A functional netlist brings glbl.
    add(*re.findall(r"^module (\w+)", text, re.M), *(() if options.sv else ("glbl",)))


def xelab(words: list[str]) -> None:
    parser = argparse.ArgumentParser("xelab", allow_abbrev=False)
    parser.add_argument("-L", action="append", default=[])
    parser.add_argument("-s", required=True)
    parser.add_argument("tops", nargs="+")
    options = parser.parse_args(words)
    if "unisims_ver" not in options.L:
        fail("[VRFC 10-2063] Module <DSP48E1> not found")
    for top in options.tops:
        if top.removeprefix("work.") not in known():
            fail(f"[XSIM 43-3225] Cannot find design unit {top}")
    add(f"snapshot:{options.s}")


def xsim(words: list[str]) -> None:
    parser = argparse.ArgumentParser("xsim", allow_abbrev=False)
    parser.add_argument("snapshot")
    parser.add_argument("--runall", action="store_true", required=True)
    options = parser.parse_args(words)
    if f"snapshot:{options.snapshot}" not in known():
        fail(f"[XSIM 43-3225] no snapshot {options.snapshot}")
    for name in STIMULUS:
        if not Path(name).is_file():
            fail(f"cannot open {name}")
    print("run all")
    print(os.environ.get("STUB_XSIM", "PASS: 7680 words of memory are right, after 9000 cycles"))
    print("$finish called at time : 90100 ns")


if __name__ == "__main__":
    called = sys.argv[1]
    if os.environ.get("STUB_XSIM") == called:
        fail("[Common 17-356] Failed to install all user apps.")
    {"xvlog": xvlog, "xelab": xelab, "xsim": xsim}[called](sys.argv[2:])
