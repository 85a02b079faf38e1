"""The programs of the open flow, as strict about their arguments and inputs as the real ones.

Called as ``python open_stub.py NAME arguments``. The environment chooses what goes wrong:

- ``STUB_MHZ``: what place and route reaches (default: 10 % more than is asked for)
- ``STUB_HIMBAECHEL``: nextpnr-xilinx is the himbaechel one, as of some releases
- ``STUB_FAULT``: NAME fails, NAME hangs, NAME makes nothing, as ``NAME:kind``
- ``STUB_RECORD``: file that gets a line of JSON for each call
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
import time
from pathlib import Path

#: Bus width detection and the word that begins a configuration (UG470).
SYNC = struct.pack(">5I", 0xFFFFFFFF, 0x000000BB, 0x11220044, 0xFFFFFFFF, 0xAA995566)


def fail(message: str) -> None:
    sys.exit(message)  # exit status 1


def nextpnr(name: str, words: list[str]) -> None:
    parser = argparse.ArgumentParser(name, allow_abbrev=False)
    himbaechel = name != "nextpnr-xilinx" or bool(os.environ.get("STUB_HIMBAECHEL"))
    parser.add_argument("--device", required=himbaechel)
    parser.add_argument("--chipdb", required=not himbaechel, type=Path)
    parser.add_argument("--json", required=True, type=Path)
    if himbaechel:
        parser.add_argument("-o", "--vopt", required=True)
        parser.add_argument("--placer-heap-cell-placement-timeout", type=int, default=8)
    else:
        parser.add_argument("--fasm", required=True, type=Path)
    parser.add_argument("--freq", required=True, type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--timing-allow-fail", action="store_true")
    options = parser.parse_args(words)
    if himbaechel:
        key, _, file = options.vopt.partition("=")
        if key != "fasm":
            fail(f"ERROR: unrecognised vopt '{key}'")
        options.fasm = Path(file)
        if options.placer_heap_cell_placement_timeout:
            fail("ERROR: Unable to find legal placement for cell 'a' after 10001 attempts")
    if options.chipdb and not options.chipdb.read_bytes().startswith(b"chipdb xc7z020"):
        fail("ERROR: chip database is for another device")
    modules = json.loads(options.json.read_text())["modules"]
    (top,) = modules.values()
    if not int(top["attributes"]["top"], 2):
        fail("ERROR: no top module")
    types = [cell["type"] for cell in top["cells"].values()]
    if "PS7" not in types or any(kind.startswith("$") for kind in types):
        fail("ERROR: unable to place cells")
    reached = float(os.environ.get("STUB_MHZ", 1.1 * options.freq))
    what = "PASS" if reached >= options.freq else "FAIL"
    # An estimate after placement comes first, and clocks of the logic alone.
    print("Info: Created 1 PS7_PS7 cells from:")
    print("Info: Max frequency for clock 'clk': 1.00 MHz (FAIL at 150.00 MHz)")
    print("Info: Routing complete.")
    print("Info: Max frequency for clock 'trigger': 900.00 MHz (PASS at 150.00 MHz)")
    line = f"Max frequency for clock             'clk': {reached:.2f} MHz ({what} at 150.00 MHz)"
    print(f"{'Warning' if what == 'FAIL' else 'Info'}: {line}")
    if what == "FAIL" and not options.timing_allow_fail:
        fail(f"ERROR: {line}")
    options.fasm.write_text("INT_L_X0Y0.NL1BEG0.LOGIC_OUTS_L1\n")


def fasm2frames(name: str, words: list[str]) -> None:
    parser = argparse.ArgumentParser(name, allow_abbrev=False)
    parser.add_argument("--part", required=True)
    parser.add_argument("--db-root", required=True, type=Path)
    parser.add_argument("fn_in", type=Path)
    parser.add_argument("fn_out", type=Path)
    options = parser.parse_args(words)
    if not (options.db_root / options.part / "part.yaml").is_file():
        fail(f"Traceback ...\nFileNotFoundError: {options.db_root / options.part}")
    if "INT_L" not in options.fn_in.read_text():
        fail("Traceback ...\nprjxray.fasm_assembler.FasmLookupError: Segment DB, Feature not found")
    options.fn_out.write_text(f"0x00000000 {','.join(['0x00000000'] * 101)}\n")


def xc7frames2bit(name: str, words: list[str]) -> None:
    parser = argparse.ArgumentParser(name, allow_abbrev=False)
    for option in ("--part_file", "--part_name", "--frm_file", "--output_file"):
        parser.add_argument(option, required=True)
    options = parser.parse_args(words)
    if not Path(options.part_file).is_file():
        fail(f"Part file {options.part_file} not found or invalid")
    frames = [int(w, 16) for w in Path(options.frm_file).read_text().split()[1].split(",")]
    data = SYNC + struct.pack(f">{len(frames)}I", *frames)
    Path(options.output_file).write_bytes(bit(options.frm_file, options.part_name, data))


def bit(frames: str, part: str, data: bytes) -> bytes:
    """A .bit as Project X-Ray's xc7frames2bit writes it: fields a to d end with a zero byte."""
    header = bytes.fromhex("00090ff00ff00ff00ff0000001")
    for key, text in (
        (b"a", f"{frames};Generator=xc7frames2bit"),
        (b"b", part),
        (b"c", time.strftime("%Y/%m/%d", time.gmtime())),
        (b"d", time.strftime("%H:%M:%S", time.gmtime())),
    ):
        field = text.encode() + b"\0"
        header += key + struct.pack(">H", len(field)) + field
    return header + b"e" + struct.pack(">I", len(data)) + data


def main(name: str, words: list[str]) -> None:
    if "--help" in words:  # nextpnr is asked what it knows
        {"fasm2frames": fasm2frames}.get(name, nextpnr)(name, words)
    if record := os.environ.get("STUB_RECORD"):
        with open(record, "a") as file:
            file.write(json.dumps([name, *words]) + "\n")
    who, _, kind = os.environ.get("STUB_FAULT", "").partition(":")
    if who == name and kind == "fails":
        fail("Info: all is well\nERROR: the cause\nsome more")
    if who == name and kind == "hangs":
        print("Info: thinking", flush=True)
        time.sleep(600)
    if who == name and kind == "makes nothing":
        return
    {"fasm2frames.py": fasm2frames, "fasm2frames": fasm2frames, "xc7frames2bit": xc7frames2bit}.get(
        name, nextpnr
    )(name, words)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
