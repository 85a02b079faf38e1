"""The adapters of hw_src/open between AXI3 and the core; run by test_open_units.py.

The processor's side of GP0 is driven here, beat by beat, because cocotbext-axi knows no AXI3;
addresses of bursts are computed as the AXI specification words it. Its slaves, and both sides of an
HP port, are cocotbext-axi's, which check the protocol. Inputs change between rising edges.
"""

import logging
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, Timer
from cocotb_wg_axi import Stall
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteRam, AxiMaster, AxiRam

from winogen.emulation.device.intc import Intc

CORE, INTC = 0x43C0_0000, 0x4180_0000
OKAY, SLVERR, DECERR = 0, 2, 3
FIXED, INCR, WRAP = range(3)
STAGES = 4
GP = {
    "aw": ("id", "addr", "len", "size", "burst"),
    "w": ("id", "data", "strb", "last"),
    "b": ("id", "resp"),
    "ar": ("id", "addr", "len", "size", "burst"),
    "r": ("id", "data", "resp", "last"),
}


async def settled(dut):
    """Half-way to the next rising edge."""
    await FallingEdge(dut.clk_i)


class Burst:
    """A random burst within one 4 KB page, and where its beats go."""

    def __init__(self, page):
        self.id = random.randrange(1 << 12)
        self.size = random.choice((0, 1, 2, 2, 2))
        self.burst = random.choice((FIXED, INCR, INCR, WRAP))
        self.beats = random.choice((1, 1, 1, random.randint(1, 16)))
        if self.burst == WRAP:
            self.beats = random.choice((2, 4, 8, 16))
        step = 1 << self.size
        self.addr = page + random.randrange(4096)
        if self.burst == WRAP:
            self.addr -= self.addr % step
        elif self.burst == INCR:
            self.addr = min(self.addr, page + 4096 - self.beats * step)
        # AMBA AXI, "Burst address".
        aligned = self.addr // step * step
        self.addresses = [self.addr] + [aligned + i * step for i in range(1, self.beats)]
        if self.burst == FIXED:
            self.addresses = [self.addr] * self.beats
        elif self.burst == WRAP:
            container = step * self.beats
            lower = self.addr // container * container
            self.addresses = [lower + (a - lower) % container for a in self.addresses]
        self.request = {
            "id": self.id,
            "addr": self.addr,
            "len": self.beats - 1,
            "size": self.size,
            "burst": self.burst,
        }

    def lanes(self, address):
        """The bytes of a word that a beat at this address may move."""
        step = 1 << self.size
        return range(address % 4, address // step * step % 4 + step)


class Processor:
    """The AXI3 master at GP0; `share` of the cycles is idle on each channel."""

    def __init__(self, dut, share):
        self.dut, self.share = dut, share

    def pin(self, channel, name):
        return getattr(self.dut, f"gp_{channel}{name}")

    async def send(self, channel, items):
        valid, ready = self.pin(channel, "valid"), self.pin(channel, "ready")
        for item in items:
            while random.random() < self.share:
                await settled(self.dut)
            for name in GP[channel]:
                self.pin(channel, name).value = item[name]
            valid.value = 1
            while not ready.value:
                await settled(self.dut)
            await settled(self.dut)
            valid.value = 0

    async def receive(self, channel, count):
        valid, ready = self.pin(channel, "valid"), self.pin(channel, "ready")
        items, quiet = [], 0
        while len(items) < count:
            take = random.random() >= self.share
            ready.value = int(take)
            quiet += 1
            if take and valid.value:
                items.append({name: int(self.pin(channel, name).value) for name in GP[channel]})
                quiet = 0
            assert quiet < 3000, f"no answer on {channel}"
            await settled(self.dut)
        ready.value = 0
        return items

    async def write(self, bursts, beats):
        """Write bursts; `beats` are (data, strobes) of each. Returns the answers."""
        data = [
            {"id": burst.id, "data": d, "strb": s, "last": int(i == burst.beats - 1)}
            for burst, chosen in zip(bursts, beats)
            for i, (d, s) in enumerate(chosen)
        ]
        cocotb.start_soon(self.send("aw", [b.request for b in bursts]))
        cocotb.start_soon(self.send("w", data))
        return await self.receive("b", len(bursts))

    async def read(self, bursts):
        cocotb.start_soon(self.send("ar", [b.request for b in bursts]))
        return await self.receive("r", sum(b.beats for b in bursts))

    async def write_word(self, address, data):
        burst = Burst(0)
        burst.beats = 1
        burst.request |= {"addr": address, "len": 0, "size": 2, "burst": INCR}
        (answer,) = await self.write([burst], [[(data, 15)]])
        assert answer == {"id": burst.id, "resp": OKAY}

    async def read_word(self, address):
        burst = Burst(0)
        burst.beats = 1
        burst.request |= {"addr": address, "len": 0, "size": 2, "burst": INCR}
        (answer,) = await self.read([burst])
        assert (answer["id"], answer["resp"], answer["last"]) == (burst.id, OKAY, 1)
        return answer["data"]


async def start(dut):
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    dut.rst_ni.value = 0
    for name in ("intr_i", *(f"gp_{c}valid" for c in ("aw", "w", "ar")), "gp_bready", "gp_rready"):
        getattr(dut, name).value = 0
    cocotb.start_soon(Clock(dut.clk_i, 2, unit="ns").start())
    for _ in range(3):
        await settled(dut)


async def start_gp(dut):
    """Out of reset, with a memory behind the one slave; returns it, its stalls and its faults."""
    await start(dut)
    ram = AxiLiteRam(AxiLiteBus.from_prefix(dut, "ram"), dut.clk_i, dut.rst_ni, False, size=4096)
    faults = set()

    def faulty(inner):
        async def access(address, argument):
            if address // 4 in faults:
                raise ValueError("answered with an error")
            return await inner(address, argument)

        return access

    ram.write_if._write = faulty(ram.write_if._write)
    ram.read_if._read = faulty(ram.read_if._read)
    for half in (ram.write_if, ram.read_if):
        half.log.setLevel(logging.ERROR)
    channels = (
        *(ram.write_if.aw_channel, ram.write_if.w_channel, ram.write_if.b_channel),
        *(ram.read_if.ar_channel, ram.read_if.r_channel),
    )
    stalls = [Stall(channel, i) for i, channel in enumerate(channels)]
    await settled(dut)
    dut.rst_ni.value = 1
    await settled(dut)
    return ram, stalls, faults


def random_page():
    return random.choice((CORE, CORE, CORE, CORE, CORE + 4096, CORE - 4096, 0x4000_0000))


@cocotb.test()
async def gp_writes(dut):
    ram, stalls, faults = await start_gp(dut)
    for share in (0, 0.5, 0.2) * 3:
        for stall in stalls:
            stall.share = share * random.random() * 1.5
        faults.clear()
        faults.update(random.sample(range(1024), random.choice((0, 40))))
        image = bytearray(ram.mem[:4096])
        bursts = [Burst(random_page()) for _ in range(40)]
        beats, answers = [], []
        for burst in bursts:
            beats.append([])
            mapped = burst.addr // 4096 * 4096 == CORE
            resp = OKAY if mapped else DECERR
            for address in burst.addresses:
                lanes = [i for i in burst.lanes(address) if random.random() < 0.8]
                data = random.randrange(1 << 32)
                beats[-1].append((data, sum(1 << i for i in lanes)))
                word = address % 4096 // 4
                if mapped and lanes and word in faults:
                    resp = SLVERR
                elif mapped:
                    for i in lanes:
                        image[4 * word + i] = data >> 8 * i & 255
            answers.append({"id": burst.id, "resp": resp})
        assert await Processor(dut, share).write(bursts, beats) == answers
        assert bytes(ram.mem[:4096]) == image


@cocotb.test()
async def gp_reads(dut):
    ram, stalls, faults = await start_gp(dut)
    image = random.randbytes(4096)
    ram.mem[:4096] = image
    for share in (0, 0.5, 0.2) * 3:
        for stall in stalls:
            stall.share = share * random.random() * 1.5
        faults.clear()
        faults.update(random.sample(range(1024), random.choice((0, 40))))
        bursts = [Burst(random_page()) for _ in range(40)]
        beats = iter(await Processor(dut, share).read(bursts))
        for burst in bursts:
            mapped = burst.addr // 4096 * 4096 == CORE
            for i, address in enumerate(burst.addresses):
                beat, word = next(beats), address % 4096 // 4
                resp = SLVERR if word in faults else OKAY
                assert beat["resp"] == (resp if mapped else DECERR)
                assert (beat["id"], beat["last"]) == (burst.id, int(i == burst.beats - 1))
                if beat["resp"] == OKAY:
                    for lane in burst.lanes(address):
                        assert beat["data"] >> 8 * lane & 255 == image[4 * word + lane]


@cocotb.test()
async def gp_in_reset(dut):
    """What the processor asks for while the logic is in reset waits, and is answered then."""
    await start(dut)
    ram = AxiLiteRam(AxiLiteBus.from_prefix(dut, "ram"), dut.clk_i, dut.rst_ni, False, size=4096)
    ram.mem[:4] = (0x1234_5678).to_bytes(4, "little")
    processor = Processor(dut, 0)
    read = cocotb.start_soon(processor.read_word(CORE))
    write = cocotb.start_soon(processor.write_word(CORE + 4, 0x9ABC_DEF0))
    for _ in range(5):
        await settled(dut)
        assert not (dut.gp_arready.value or dut.gp_awready.value or dut.gp_wready.value)
    dut.rst_ni.value = 1
    assert await read == 0x1234_5678
    await write
    assert int.from_bytes(ram.mem[4:8], "little") == 0x9ABC_DEF0


@cocotb.test()
async def interrupt_controller(dut):
    """Registers and line of the emulated device's controller, after every random step."""
    await start_gp(dut)
    processor, level = Processor(dut, 0.1), False
    model = Intc(lambda: level)
    offsets = [*range(0, 0x20, 4), 0x20, 0x1000]
    raised = 0
    for _ in range(400):
        if random.random() < 0.3:
            level = not level
            dut.intr_i.value = int(level)
        else:
            offset = random.choice(offsets)
            value = random.choice((0, 1, 3, 0xFFFF_FFFF, random.randrange(1 << 32)))
            await processor.write_word(INTC + offset, value)
            model.write(offset, value)
        for _ in range(3):
            await settled(dut)
        offset = random.choice(offsets)
        assert await processor.read_word(INTC + offset) == model.read(offset), hex(offset)
        assert bool(dut.irq_o.value) == model.output()
        raised += model.output()
    assert 20 < raised < 380


@cocotb.test()
async def interrupt_as_pynq_waits(dut):
    """The writes of pynq.Interrupt: nothing before they are done, one line up for one event."""
    await start_gp(dut)
    processor = Processor(dut, 0)
    dut.intr_i.value = 1
    await processor.write_word(INTC + 0x08, 0)
    assert not dut.irq_o.value
    await processor.write_word(INTC + 0x10, 1)  # add_event
    await processor.write_word(INTC + 0x1C, 3)
    for _ in range(3):
        await settled(dut)
    assert dut.irq_o.value
    assert await processor.read_word(INTC + 0x04) == 1  # set
    await processor.write_word(INTC + 0x14, 1)
    for _ in range(3):
        await settled(dut)
    assert not dut.irq_o.value  # pending, and not enabled
    dut.intr_i.value = 0
    await settled(dut)
    await processor.write_word(INTC + 0x0C, 1)
    assert await processor.read_word(INTC) == 0
    await processor.write_word(INTC + 0x10, 1)
    for _ in range(5):
        await settled(dut)
        assert not dut.irq_o.value


@cocotb.test()
async def hp_port(dut):
    """Bursts of the core reach memory, as many beats a cycle as without the adapters."""
    await start(dut)
    master = AxiMaster(
        AxiBus.from_prefix(dut, "core"), dut.clk_i, dut.rst_ni, False, max_burst_len=16
    )
    ram = AxiRam(AxiBus.from_prefix(dut, "hp"), dut.clk_i, dut.rst_ni, False, size=1 << 16)
    stalls = [
        Stall(channel, i)
        for i, channel in enumerate(
            channel
            for side in (master, ram)
            for channel in (
                *(side.write_if.aw_channel, side.write_if.w_channel, side.write_if.b_channel),
                *(side.read_if.ar_channel, side.read_if.r_channel),
            )
        )
    ]
    await settled(dut)
    dut.rst_ni.value = 1
    image = bytearray(ram.mem[: 1 << 16])
    for share in (0, 0.3, 0.6) * 3:
        for stall in stalls:
            stall.share = share * random.random()
        for _ in range(6):
            address, size = random.randrange(0, 60_000, 8), 8 * random.randint(1, 60)
            data = random.randbytes(size - random.choice((0, 0, 3)))  # strobes, too
            image[address : address + len(data)] = data
            assert (await master.write(address, data, awid=0)).resp == OKAY
        assert bytes(ram.mem[: 1 << 16]) == image
        for _ in range(6):
            address, size = random.randrange(0, 60_000, 8), 8 * random.randint(1, 60)
            answer = await master.read(address, size, arid=0)
            assert (answer.resp, bytes(answer.data)) == (OKAY, image[address : address + size])
    for stall in stalls:
        stall.share = 0.0
    for bad in (ram.write_if, ram.read_if):
        bad.log.setLevel(logging.CRITICAL)

        async def fails(*_):
            raise ValueError("answered with an error")

        bad._write = bad._read = fails
    assert (await master.write(0, bytes(64), awid=0)).resp == SLVERR
    assert (await master.read(0, 64, arid=0)).resp == SLVERR


@cocotb.test()
async def hp_throughput(dut):
    """A beat in every cycle through the slices, both ways."""
    await start(dut)
    for name in ("core_awvalid", "core_arvalid", "core_bready", "hp_arready", "hp_awready",
                 "hp_bvalid"):  # fmt: skip
        getattr(dut, name).value = 0
    dut.rst_ni.value = 1
    for source, sink in (("core_w", "hp_w"), ("hp_r", "core_r")):
        getattr(dut, f"{sink}ready").value = 1
        getattr(dut, f"{source}valid").value = 1
        seen = []
        for i in range(50):
            assert getattr(dut, f"{source}ready").value
            getattr(dut, f"{source}data").value = i
            await settled(dut)
            if getattr(dut, f"{sink}valid").value:
                seen.append(int(getattr(dut, f"{sink}data").value))
        assert seen == list(range(50))
        getattr(dut, f"{source}valid").value = 0


@cocotb.test()
async def reset(dut):
    """Low from the start; up after so many edges of the clock; down at once."""
    await start(dut)
    dut.reset_async_ni.value = 1
    await RisingEdge(dut.clk_i)
    for _ in range(3):
        dut.reset_async_ni.value = 0
        await Timer(100, unit="ps")
        assert not dut.reset_no.value
        for _ in range(5):
            await settled(dut)
            assert not dut.reset_no.value
        dut.reset_async_ni.value = 1
        for _ in range(STAGES - 1):
            await RisingEdge(dut.clk_i)
            await settled(dut)
            assert not dut.reset_no.value
        await settled(dut)
        assert dut.reset_no.value


@cocotb.test()
async def burst_addresses(dut):
    for _ in range(3000):
        burst = Burst(random.randrange(1 << 20) << 12)
        for here, after in zip(burst.addresses, burst.addresses[1:]):
            dut.burst_addr_i.value = here
            dut.burst_len_i.value = burst.beats - 1
            dut.burst_size_i.value = burst.size
            dut.burst_burst_i.value = burst.burst
            await Timer(1, unit="ns")
            assert int(dut.burst_next_o.value) == after
