"""The next beats of a word, from every place in it and for every number of them on offer."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import Timer

from support.rtl.bits import pack
from support.rtl.units import run_unit


@pytest.mark.parametrize(
    ("beats", "ports"),
    # A word as wide as the ports; then a wider one, and one that two of them fill.
    [(4, 4), *(pytest.param(*x, marks=pytest.mark.long) for x in ((8, 4), (4, 2), (2, 4), (4, 1)))],
)
def test_wg_beat_group(beats: int, ports: int) -> None:
    run_unit(
        "wg_beat_group", "test_wg_beat_group", {"GroupBeats": beats, "Ports": ports}, ["groups"]
    )


@cocotb.test()
async def groups(dut) -> None:
    """What is taken never crosses a multiple of its largest size, and nothing else changes."""
    beats, ports = int(dut.GroupBeats.value), int(dut.Ports.value)
    most = min(beats, ports)
    rng = random.Random(1)
    for place in range(beats):
        # The largest power of two that the place is a multiple of, as far as there are ports.
        room = max(size for size in (1, 2, 4, 8) if size <= most and place % size == 0)
        for count in range(ports + 1):
            for active in (0, 1):
                data = [rng.getrandbits(64) for _ in range(ports)]
                dut.active_i.value, dut.beat_i.value, dut.beat_count_i.value = active, place, count
                dut.beat_data_i.value = pack(data, 64)
                await Timer(1, "ns")
                taken = min(count, room) if active else 0
                assert int(dut.we_o.value) == ((1 << taken) - 1) << place
                come = int(dut.data_o.value) >> 64 * place
                assert come & (1 << 64 * taken) - 1 == pack(data[:taken], 64)
                assert int(dut.beat_room_o.value) == (room if active else 0)
                assert int(dut.take_o.value) == (taken > 0)
                if taken:
                    assert int(dut.beat_end_o.value) == place + taken - 1
