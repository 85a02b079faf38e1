"""The files that the bench for netlists reads."""

from __future__ import annotations

import re

import pytest

from winogen.fpga.settings import top_parameters
from winogen.fpga.stimulus import BENCH, DUT, Stimulus, bench
from winogen.target import registers
from winogen.target.board import load_board

BEFORE, AFTER = bytes(range(64)), bytes(range(1, 65))
WRITES = ((0x80, 0x400_0000), (0x40, 1))


@pytest.fixture
def folder(tmp_path):
    Stimulus(load_board("kv260"), 0x1_0400_0000, BEFORE, AFTER, WRITES, 2500).write(tmp_path)
    return tmp_path


def test_memory_and_writes(folder):
    """64-bit words as $readmemh takes them, the first byte lowest."""
    for name, data in (("before", BEFORE), ("after", AFTER)):
        words = (folder / f"{name}.hex").read_text().split()
        assert [int(word, 16).to_bytes(8, "little") for word in words] == [
            data[at : at + 8] for at in range(0, 64, 8)
        ]
    assert (folder / "writes.hex").read_text() == "0000008004000000\n0000004000000001\n"


def test_macros(folder):
    text = (folder / "stimulus.svh").read_text()
    macros = dict(re.findall(r"^`define WG_(\w+) (.*)$", text, re.M))
    assert set(re.findall(r"`WG_(\w+)", bench().read_text())) == set(macros)
    assert macros["ADDR_WIDTH"] == "40"  # the board's
    assert (macros["WORDS"], macros["WRITES"], macros["CYCLES"]) == ("8", "2", "50000")
    assert macros["BASE"] == "64'h104000000"
    assert int(macros["STATUS"].split("h")[1], 16) == registers.offset("STATUS")
    fields = {f.name: str(f.lsb) for f in registers.BY_NAME["STATUS"].fields}
    assert [macros[n] for n in ("IDLE", "DONE", "ERROR")] == [
        fields[n] for n in ("idle", "done", "error")
    ]
    given = dict(re.findall(r"\.(\w+)\(([^)]*)\)", macros["DUT"]))
    wanted = top_parameters(load_board("kv260").core)
    assert given.pop("CONFIG_HASH") == wanted.pop("CONFIG_HASH").replace("0x", "'h")
    assert given.pop("ADDR_WIDTH") == "40"
    assert given == wanted
    assert f"`ifndef {DUT}" in text  # a netlist is named on the command line


def test_the_bench_is_one_module():
    assert re.findall(r"^module (\w+)", bench().read_text(), re.M) == [BENCH]
