"""Where instructions reach in DRAM, against every word that they touch."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given

from support.strategies import Drawn, drawn, examples
from winogen.target import isa
from winogen.target.board import load_board
from winogen.target.checks import dram_range
from winogen.target.isa import FIELDS, HEADER, Instruction, Opcode, Table
from winogen.target.registers import Segment

CORES = [load_board(name, bits).core for name in ("tiny", "pynq-z2") for bits in (8, 16)]


def some(rng: Drawn, opcode: Opcode) -> Instruction:
    """An instruction of small numbers, none of them zero."""
    values = {name: int(rng.integers(1, 4)) for name in FIELDS[opcode] if name not in HEADER}
    if "segment" in values:
        values |= {"segment": int(rng.integers(4)), "offset": 64 * int(rng.integers(9))}
    return isa.CLASSES[opcode](**values)


def touched(x: Instruction, core) -> set[int]:
    """Bytes of its segment that an instruction reads or writes, one by one."""
    f = isa.operands(x)
    if x.opcode in (Opcode.LOAD_INPUT, Opcode.STORE):
        axes = [(f["images"], f["image_stride"]), (f["rows"], f["row_stride"])]
        if x.opcode is Opcode.LOAD_INPUT:
            axes += [(f["blocks"], f["block_stride"]), (f["columns"], f["column_step"])]
        else:
            axes += [(f["columns"], 1)]
        places = product(*([n * stride for n in range(count)] for count, stride in axes))
        size, starts = core.word_bytes, [sum(place) * core.word_bytes for place in places]
    elif x.opcode is Opcode.LOAD_WEIGHTS:
        size = core.ci_lanes * core.co_lanes * core.data_width // 8
        if f["coding"]:
            return {f["offset"] + n for n in range(8 * f["beats"])}
        starts = [size * n for n in range(f["blocks"] * f["taps"])]
    elif x.opcode is Opcode.LOAD_PARAMS:
        size, starts = 16, [16 * n for n in range(f["count"] * core.co_lanes)]
    else:
        size = 2 if f["table"] == Table.ACTIVATION else 8
        starts = [size * n for n in range(f["count"])]
    return {f["offset"] + start + n for start in starts for n in range(size)}


@pytest.mark.parametrize("opcode", [o for o in Opcode if o is not Opcode.COMPUTE])
@examples(40)
@given(drawn())
def test_the_range_is_from_the_first_byte_to_the_last(opcode, rng):
    x, core = some(rng, opcode), CORES[int(rng.integers(len(CORES)))]
    found = touched(x, core)
    assert dram_range(x, core) == (Segment(x.segment), min(found), max(found) + 1)


def test_a_compute_reaches_no_dram():
    compute = isa.CLASSES[Opcode.COMPUTE]
    assert dram_range(compute(*[1] * (len(FIELDS[Opcode.COMPUTE]) - len(HEADER))), CORES[0]) is None
