"""Memories, queues and delay lines against lists of what went in."""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import FallingEdge, Timer

from support.rtl.bits import pack
from support.rtl.units import CORES, begin, run_units

WIDTH = 21
DEPTH = 13


@pytest.mark.parametrize("core", CORES[:1])
def test_wg_memories(core: tuple[int, int, int]) -> None:
    run_units(core, "test_wg_memories", ["rams", "buffers", "queues", "a_word_a_cycle", "delays"])


@cocotb.test()
async def rams(dut) -> None:
    rng = random.Random(1)
    await begin(dut, "mem_we")
    memory = [rng.getrandbits(WIDTH) for _ in range(DEPTH)]
    for address, word in enumerate(memory):
        dut.mem_we.value, dut.mem_waddr.value, dut.mem_wdata.value = 1, address, word
        await FallingEdge(dut.clk_i)
    answers: deque[int] = deque()  # of the block RAM
    for _ in range(500):
        write, address, word = rng.randrange(2), rng.randrange(DEPTH), rng.getrandbits(WIDTH)
        read = rng.choice((address, rng.randrange(DEPTH)))  # often the word that is written
        dut.mem_we.value, dut.mem_waddr.value, dut.mem_wdata.value = write, address, word
        dut.mem_raddr.value = read
        await Timer(1, "ns")
        assert int(dut.lutram_rdata.value) == memory[read]
        answers.append(memory[read])
        if write:
            memory[address] = word
        await FallingEdge(dut.clk_i)
        if len(answers) == 2:
            assert int(dut.ram_rdata.value) == answers.popleft()


@cocotb.test()
async def buffers(dut) -> None:
    """Each bank and part of the memories between the engines is one of its own."""
    rng = random.Random(3)
    writes = [f"mems_{name}_we" for name in ("in", "weight", "out")]
    await begin(dut, *writes)
    #: Memory, its slices (banks, parts), and whether each has its own address.
    kinds = {"in": (4, True), "weight": (len(dut.mems_weight_we), False), "out": (1, False)}
    held: dict[tuple[str, int, int], int] = {}
    for write in (True, False):
        answers: deque[dict[str, list[int]]] = deque()
        for address in range(40):
            wanted = {}
            for name, (slices, own) in kinds.items():
                ports = {n: getattr(dut, f"mems_{name}_{n}") for n in ("waddr", "raddr", "wdata")}
                places = [(address + i) % 40 if own else address for i in range(slices)]
                bits = len(ports["waddr"]) // (slices if own else 1)
                width = len(ports["wdata"]) // slices
                packed = pack(places if own else places[:1], bits)
                ports["waddr"].value = ports["raddr"].value = packed
                words = [rng.getrandbits(width) for _ in range(slices)]
                enable = rng.getrandbits(slices) if write and address % 3 else (1 << slices) - 1
                getattr(dut, f"mems_{name}_we").value = enable if write else 0
                ports["wdata"].value = sum(word << width * i for i, word in enumerate(words))
                if write:
                    for i in range(slices):
                        if enable >> i & 1:
                            held[name, i, places[i]] = words[i]
                wanted[name] = [held.get((name, i, places[i])) for i in range(slices)]
            answers.append(wanted)
            await FallingEdge(dut.clk_i)
            if not write and len(answers) == 2:
                for name, expected in answers.popleft().items():
                    data = int(getattr(dut, f"mems_{name}_rdata").value)
                    width = len(getattr(dut, f"mems_{name}_rdata")) // len(expected)
                    for i, word in enumerate(expected):
                        if word is not None:
                            assert data >> width * i & (1 << width) - 1 == word, (name, i)


@cocotb.test()
async def queues(dut) -> None:
    rng = random.Random(2)
    await begin(dut, "queue_wvalid", "queue_rready")
    depth = {"fifo": 8, "fifo2": 2, "skid": 2}
    held: dict[str, deque[int]] = {name: deque() for name in depth}
    seen = {name: set() for name in depth}
    for cycle in range(2000):
        for name, queue in held.items():
            seen[name].add(len(queue))
            assert int(getattr(dut, f"{name}_wready").value) == (len(queue) < depth[name])
            assert int(getattr(dut, f"{name}_rvalid").value) == (len(queue) > 0)
            if queue:
                assert int(getattr(dut, f"{name}_rdata").value) == queue[0]
        fill = cycle // 100 % 2
        write, read = rng.random() < 0.2 + 0.7 * fill, rng.random() < 0.9 - 0.7 * fill
        clear, word = rng.random() < 0.01, rng.getrandbits(WIDTH)
        dut.queue_wvalid.value, dut.queue_rready.value = int(write), int(read)
        dut.queue_wdata.value, dut.clear_i.value = word, int(clear)
        for name, queue in held.items():
            room = len(queue) < depth[name]
            if read and queue:
                queue.popleft()
            if write and room:
                queue.append(word)
            if clear and name != "skid":
                queue.clear()
        await FallingEdge(dut.clk_i)
    assert seen == {name: set(range(depth[name] + 1)) for name in depth}
    dut.rst_ni.value = dut.clear_i.value = 0
    await FallingEdge(dut.clk_i)
    for name in depth:
        assert int(getattr(dut, f"{name}_wready").value)
        assert not int(getattr(dut, f"{name}_rvalid").value)


@cocotb.test()
async def a_word_a_cycle(dut) -> None:
    await begin(dut)
    dut.queue_wvalid.value = dut.queue_rready.value = 1
    for word in range(50):
        dut.queue_wdata.value = word
        for name in ("fifo", "fifo2", "skid"):
            assert int(getattr(dut, f"{name}_wready").value)
            if word:
                assert int(getattr(dut, f"{name}_rdata").value) == word - 1
        await FallingEdge(dut.clk_i)


@cocotb.test()
async def delays(dut) -> None:
    rng = random.Random(3)
    await begin(dut)
    lanes = int(dut.Lanes.value)
    words: list[int] = []
    vectors: list[list[int]] = []
    for cycle in range(100):
        words.append(rng.getrandbits(WIDTH))
        vectors.append([rng.getrandbits(WIDTH) for _ in range(lanes)])
        dut.queue_wdata.value = words[-1]
        dut.lanes_data.value = pack(vectors[-1], WIDTH)
        await Timer(1, "ns")
        assert int(dut.delay0_data.value) == words[-1]
        if cycle >= 1:
            assert int(dut.delay1_data.value) == words[-2]
        if cycle >= 5:
            assert int(dut.delay5_data.value) == words[-6]
        if cycle >= lanes:
            skewed = [vectors[-1 - lane][lane] for lane in range(lanes)]
            assert int(dut.skew_data.value) == pack(skewed, WIDTH)
        await FallingEdge(dut.clk_i)
