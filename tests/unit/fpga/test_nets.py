"""Nets: what they drive, and what their delay is taken to be before placement."""

from __future__ import annotations

import math

import pytest

from support.netlists import TOP, cell, net
from winogen.fpga.netlist import Netlist
from winogen.fpga.nets import ENTRY, TILE, Nets, placed
from winogen.fpga.parts import find_part
from winogen.fpga.paths import Delays

PART = find_part("xc7z020clg400-1")
#: A look-up table takes an eighth of a tile, and as much again lies between it and the next.
_LUT = 1 / 4


def of(cells: dict[str, dict], **names: dict) -> tuple[Netlist, Nets]:
    netlist = Netlist.from_json({"modules": {TOP: {"cells": cells, "netnames": names}}}, TOP)
    return netlist, Nets(netlist, PART)


def flip_flops(count: int) -> dict[str, dict]:
    """So many enabled by bit 2, which a flip-flop drives."""
    enabled = {
        f"$e{n}": cell("FDRE", {"C": 1, "CE": 2, "D": 2}, {"Q": 10 + n}) for n in range(count)
    }
    return {"$a": cell("FDRE", {"C": 1, "CE": "1", "D": 10}, {"Q": 2}), **enabled}


@pytest.mark.parametrize("count", [1, 16, 3072])
def test_a_net_is_as_long_as_what_it_drives_is_wide(count):
    netlist, nets = of(flip_flops(count))
    first = netlist.cells[1]
    assert nets.delay(2, first, "CE") == round(ENTRY + TILE * math.sqrt(count * _LUT))


def test_block_rams_and_dsps_lie_far_apart():
    """A column of them has a place every few tiles, whatever lies between."""
    cells = {"$a": cell("FDRE", {"C": 1, "D": 3}, {"Q": 2})}
    cells |= {f"u.{n}": cell("RAMB36E1", {"ADDRARDADDR": 2}, {"DOADO": 10 + n}) for n in range(44)}
    cells |= {"v": cell("DSP48E1", {"A": [3, 3]}, {"P": 4})}
    cells |= {"$b": cell("FDRE", {"C": 1, "D": 4}, {"Q": 3})}
    netlist, nets = of(cells)
    tiles = PART.lut / 8
    assert nets.delay(2, netlist.cells[1], "ADDRARDADDR") == round(
        ENTRY + TILE * math.sqrt(44 * tiles / 140)
    )
    assert nets.delay(3, netlist.cells[-2], "A") == round(
        ENTRY + TILE * math.sqrt(tiles / 220 + _LUT)  # and flip-flop a
    )


def test_what_lies_beside_its_driver_has_no_net():
    cells = {
        "$x": cell("LUT2", {"I0": 9, "I1": 9}, {"O": 2}),
        "$q": cell("FDRE", {"C": 1, "D": 2}, {"Q": 3}),
        "$y": cell("LUT2", {"I0": 3, "I1": 3}, {"O": 4}),
        "$p": cell("FDRE", {"C": 1, "CE": 4, "D": 3}, {"Q": 9}),
        "$c": cell("CARRY4", {"CI": 7, "S": [4, 5]}, {"CO": [6, 8]}),
        "$z": cell("LUT2", {"I0": 3, "I1": 3}, {"O": 5}),
        "$d": cell("CARRY4", {"CI": 8, "S": [3, 3]}, {"CO": [7, 10]}),
    }
    netlist, nets = of(cells)
    by_name = {c.name: c for c in netlist.cells}
    assert nets.delay(2, by_name["$q"], "D") == 0  # a LUT and its flip-flop
    assert nets.delay(3, by_name["$p"], "D") > ENTRY  # a flip-flop and another
    assert nets.delay(5, by_name["$c"], "S") == 0  # a LUT and the carry of its slice
    assert nets.delay(4, by_name["$c"], "S") > ENTRY  # which drives another cell too
    assert nets.delay(8, by_name["$d"], "CI") == 0  # a chain


def test_nets_by_what_they_drive():
    cells = flip_flops(5)
    _, nets = of(cells, **{"u_a.enable_q": net(2), "u_a.data_q": net(10, 11, 12), "clk_i": net(1)})
    widest = nets.widest(9)
    assert [(n.name, n.loads) for n in widest] == [("u_a.enable_q", 5), ("u_a.data_q", 1)]
    assert widest[0].delay == round(ENTRY + TILE * math.sqrt(5 * _LUT))
    assert nets.widest(1) == widest[:1]


def test_cells_are_as_fast_as_those_of_the_device():
    lut = Delays({(("I0", 0), ("O", 0)): 642, (("I5", 0), ("O", 0)): 100}, {}, {})
    flip_flop = Delays({}, {("Q", 0): 303}, {("D", 0): 0, ("CE", 0): 109, ("R", 0): 404})
    carry = Delays({(("CI", 0), ("CO", 3)): 114}, {}, {})
    found = placed({("LUT6",): lut, ("FDRE",): flip_flop, ("CARRY4",): carry})
    assert [*found["LUT6",].through.values()] == [124, 100]
    assert found["FDRE",].arrival == {("Q", 0): 456}
    assert found["FDRE",].setup == {("D", 0): 0, ("CE", 0): 205, ("R", 0): 404}
    assert found["CARRY4",] == carry
