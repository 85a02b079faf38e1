"""wg_reader and wg_axi_write against the memory of cocotbext-axi; run by test_wg_axi.py.

cocotbext-axi checks the protocol as it serves: burst lengths, 4 KB boundaries, WLAST. Inputs change
between rising edges, where every output has settled, so that a transfer is known before it happens.
"""

import logging
import random

import cocotb
from cocotb.clock import Clock
from cocotb.queue import Queue
from cocotb.triggers import FallingEdge, RisingEdge
from cocotbext.axi import AxiRamRead, AxiRamWrite, AxiReadBus, AxiResp, AxiWriteBus

from support.rtl.ports import ports
from support.rtl.rounds import some

SIZE = 1 << 16
SLVERR, DECERR, OUTSIDE = 3, 4, 7  # winogen_pkg
PAGE = 4096
EVERYWHERE = (0, 0xFFFF_FFFF)
CODES = {AxiResp.SLVERR: SLVERR, AxiResp.DECERR: DECERR}


async def settled(dut):
    """Half-way to the next rising edge."""
    await FallingEdge(dut.clk_i)


class Stall:
    """Pauses a channel in a share of its cycles that can be changed as it runs; see `stall`."""

    def __init__(self, channel, seed):
        self.channel, self.random = channel, random.Random(seed)
        self.share = 0.0

    def cycle(self):
        pause = self.share > 0 and self.random.random() < self.share
        if pause != self.channel.pause:
            self.channel.pause = pause


async def stall(clock, stalls):
    """Let all of them have their cycles: cocotbext-axi's own pauses are a task for each channel."""
    edge = RisingEdge(clock)
    while True:
        for each in stalls:
            each.cycle()
        await edge


class Latency:
    """Hands a request to the memory `cycles` after it was accepted."""

    def __init__(self, channel, clock, cycles):
        self.inner, self.clock, self.cycles = channel.recv, clock, cycles
        self.queue, self.now = Queue(), 0
        channel.queue_occupancy_limit = 64
        channel.recv = self.recv
        cocotb.start_soon(self.count())
        cocotb.start_soon(self.take())

    async def count(self):
        while True:
            await RisingEdge(self.clock)
            self.now += 1

    async def take(self):
        while True:
            request = await self.inner()
            self.queue.put_nowait((self.now + self.cycles, request))

    async def recv(self):
        due, request = await self.queue.get()
        while self.now < due:
            await RisingEdge(self.clock)
        return request


def fail_at(memory, faults, channel, field, operation):
    """Answer an access to a word of `faults` with the response that is written there."""
    inner, send = getattr(memory, operation), channel.send
    response = AxiResp.OKAY

    async def access(address, *arguments):
        nonlocal response
        word = address - address % 8
        if word in faults:
            response = faults[word]
        return await inner(address, *arguments)

    async def answer(item):
        nonlocal response
        setattr(item, field, response)
        response = AxiResp.OKAY
        await send(item)

    setattr(memory, operation, access)
    channel.send = answer


def random_runs(count, sizes=(8, 8, 16, 40, 128, 512, 5000)):
    """Runs as an engine makes them: some continue the one before, some cross 4 KB."""
    runs, end = [], 0
    for _ in range(count):
        size = 8 * random.randint(1, random.choice(sizes) // 8)
        address = end if random.random() < 0.4 else 8 * random.randrange(SIZE // 8)
        if random.random() < 0.2:
            address = address // 4096 * 4096 + 4096 - 8 * random.randint(1, 20)
        address = max(0, min(address, SIZE - size))
        runs.append((address, size))
        end = address + size
    return runs


def open_windows(dut, *pages):
    """Windows from a first page to a last, at random places; the others are closed."""
    places = int(dut.Windows.value)
    windows = [*pages, *[(1, 0)] * (places - len(pages))]
    random.shuffle(windows)
    dut.windows_i = sum((last << 32 | first) << 64 * i for i, (first, last) in enumerate(windows))


def random_windows(dut):
    """Windows of which some touch or overlap, some hold nothing, and some reach beyond memory."""
    windows = []
    for _ in range(random.randint(1, int(dut.Windows.value))):
        first = random.randrange(SIZE // PAGE)
        windows.append(
            (first, random.choice([first - 1, first, first + 1, first + 4, 0xFFFF_FFFF]))
        )
    windows = [(first, max(last, 0)) for first, last in windows]
    open_windows(dut, *windows)
    return windows


def inside(address, windows):
    return any(first <= address // PAGE <= last for first, last in windows)


def first_outside(runs, windows):
    """Bytes before the first page of a run that no window holds, and the address; None, if none."""
    done = 0
    for address, size, *_ in runs:
        for at in (address, *range(address // PAGE * PAGE + PAGE, address + size, PAGE)):
            if not inside(at, windows):
                return done + at - address, at
        done += size
    return None


async def start(dut):
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    for name in ("run_valid_i", "flush_i", "rst_ni"):
        setattr(dut, name, 0)
    cocotb.start_soon(Clock(dut.clk_i, 2, unit="ns").start())
    open_windows(dut, EVERYWHERE)
    await settled(dut)


async def release(dut):
    for _ in range(3):
        await settled(dut)
    dut.rst_ni = 1
    await settled(dut)


async def flush(dut):
    """Flush, and hold for a random number of cycles past idle."""
    dut.run_valid_i = 0
    dut.flush_i = 1
    for _ in range(2000):
        await settled(dut)
        if dut.idle_o:
            break
    else:
        raise AssertionError("never idle")
    for _ in range(random.randrange(3)):
        await settled(dut)
        assert dut.idle_o
    dut.flush_i = 0
    await settled(dut)  # the ready outputs follow flush_i


class RunDriver:
    """Offers runs, one at a time, with pauses; call `cycle` once a cycle."""

    def __init__(self, dut, runs, share=1.0):
        self.dut, self.share = dut, share
        self.todo = list(runs)
        self.offer, self.accepted = None, 0

    def cycle(self):
        if self.offer is None and self.todo and random.random() < self.share:
            self.offer = self.todo.pop(0)
            self.dut.run_addr_i = self.offer[0]
            self.dut.run_bytes_i = self.offer[1]
            if len(self.offer) > 2:
                self.dut.run_last_i = self.offer[2]
        self.dut.run_valid_i = int(self.offer is not None)
        if self.offer is not None and self.dut.run_ready_o:  # as the clock rises
            self.offer = None
            self.accepted += 1


class Reader:
    def __init__(self, dut, latency=0):
        self.dut = dut
        self.ports = int(dut.Ports.value)
        self.image = random.randbytes(SIZE)
        self.faults, self.stalls = {}, []
        self.windows = [EVERYWHERE]
        memory = None
        for i in range(self.ports):
            bus = AxiReadBus.from_prefix(dut.gen_axi[i], "axi")
            reset = dut.handle.rst_ni
            ram = AxiRamRead(bus, dut.clk_i, reset, False, size=SIZE, mem=memory)
            ram.log.setLevel(logging.ERROR)
            memory = ram.mem
            if latency:
                Latency(ram.ar_channel, dut.clk_i, latency)
            fail_at(ram, self.faults, ram.r_channel, "rresp", "_read")
            self.stalls += [Stall(ram.ar_channel, 2 * i), Stall(ram.r_channel, 2 * i + 1)]
        memory[:] = self.image
        cocotb.start_soon(stall(dut.clk_i, self.stalls))
        cocotb.start_soon(self.watch())

    async def watch(self):
        """Bursts in the order of the runs; requests stay until they are taken."""
        dut, axis = self.dut, [ports(self.dut.gen_axi[i]) for i in range(self.ports)]
        order = [[] for _ in axis]
        waits = [None] * self.ports
        self.order = order
        while True:
            await settled(dut)
            running = dut.rst_ni
            for i, axi in enumerate(axis):
                valid = running and axi.axi_arvalid
                request = (axi.axi_araddr, axi.axi_arlen) if valid else None
                assert waits[i] is None or request == waits[i], "request withdrawn"
                waits[i] = request
                assert not valid or inside(request[0], self.windows), "a request outside"
                if valid and axi.axi_arready:
                    assert request[1] < 16
                    order[i].append(request)
                    waits[i] = None

    async def read(self, runs, run_share=1.0, take_share=1.0, stop=None):
        """Read `runs`; returns bytes, cycles, error. `stop` ends it after so many beats."""
        dut, out, cycles, quiet = self.dut, bytearray(), 0, 0
        total = sum(size for _, size in runs) if stop is None else 8 * stop
        driver = RunDriver(dut, runs, run_share)
        error = None
        while len(out) < total:
            driver.cycle()
            count = dut.beat_count_o
            assert count <= self.ports
            if dut.error_valid_o:
                assert count == 0
                error = (dut.error_code_o, dut.error_addr_o)
                break
            take = count if random.random() < take_share else random.randint(0, count)
            data = dut.beat_data_o & ((1 << 64 * take) - 1)
            out += data.to_bytes(8 * take, "little")
            # All that are there are taken where there is room for more.
            dut.beat_room_i = take if take < count else random.randint(take, self.ports)
            quiet = 0 if take else quiet + 1
            assert quiet < 3000, "no beat comes"
            cycles += 1
            await settled(dut)
        dut.beat_room_i = 0
        dut.run_valid_i = 0
        return bytes(out), cycles, error

    def expected(self, runs):
        return b"".join(self.image[a : a + n] for a, n in runs)


async def start_reader(dut, latency=0):
    await start(dut)
    dut.beat_room_i = 0
    reader = Reader(dut, latency)
    await release(dut)
    return reader


@cocotb.test()
async def read_random(dut):
    dut = ports(dut)
    reader = await start_reader(dut)
    for share, run_share, take_share in [(0, 1, 1), (0.5, 1, 1), (0, 1, 0.2), (0.3, 0.3, 0.5)] * 2:
        for stall in reader.stalls:
            stall.share = share * random.random() * 1.6
        runs = random_runs(some(40))
        data, _, error = await reader.read(runs, run_share, take_share)
        assert error is None
        assert data == reader.expected(runs)
        for _ in range(100):
            await settled(dut)
        assert dut.idle_o and not dut.beat_count_o


@cocotb.test()
async def read_shares_bursts(dut):
    """Short rows that continue each other take as few bursts as one long run; ports take turns."""
    dut = ports(dut)
    reader = await start_reader(dut)
    runs = [(0x1F40 + 24 * i, 20 if i == 63 else 24) for i in range(64)]  # rounded up to 24
    data, _, _ = await reader.read([*runs[:63], (runs[63][0], 24)])
    assert data == reader.image[0x1F40 : 0x1F40 + 64 * 24]
    bursts = []
    for turn in range(max(map(len, reader.order))):
        bursts += [port[turn] for port in reader.order if turn < len(port)]
    address = 0x1F40
    for start_address, length in bursts:
        assert start_address == address
        address += 8 * (length + 1)
    assert address == 0x1F40 + 64 * 24
    assert len(bursts) <= 15  # 192 beats, and a page boundary after 24


@cocotb.test()
async def read_does_not_wait_for_runs(dut):
    dut = ports(dut)
    reader = await start_reader(dut)
    for address in range(0, 400, 40):
        data, cycles, _ = await reader.read([(address, 8)])
        assert data == reader.image[address : address + 8]
        assert cycles < 30


@cocotb.test()
async def read_rounds_bytes_up(dut):
    dut = ports(dut)
    reader = await start_reader(dut)
    data, _, _ = await reader.read([(64, 9), (256, 7), (1024, 8)], stop=4)
    assert data == reader.expected([(64, 16), (256, 8), (1024, 8)])


@cocotb.test()
async def read_errors_in_order(dut):
    """Beats before the failed one arrive, then its code and the address of its burst."""
    dut = ports(dut)
    reader = await start_reader(dut)
    for trial in range(some(30)):
        runs = random_runs(12)
        words = [a + i for a, n in runs for i in range(0, n, 8)]
        at = random.randrange(len(words))
        if trial % 2:  # the last beat of a burst, which would pass the turn on
            end = random.randrange(1, len(runs) + 1)
            at = sum(n // 8 for _, n in runs[:end]) - 1
        response = random.choice([AxiResp.SLVERR, AxiResp.DECERR])
        reader.faults.clear()
        # A later fault must not hide the first in order, whichever port answers sooner.
        for word in words[at:]:
            if random.random() < 0.2:
                reader.faults[word] = random.choice([AxiResp.SLVERR, AxiResp.DECERR])
        reader.faults[words[at]] = response
        first = next(i for i, word in enumerate(words) if word in reader.faults)
        for stall in reader.stalls:
            stall.share = random.choice([0, 0.6])
        for port in reader.order:
            port.clear()
        data, _, error = await reader.read(runs, take_share=0.5)
        assert len(data) == 8 * first, trial
        assert data == reader.expected(runs)[: 8 * first]
        code, address = error
        assert code == CODES[reader.faults[words[first]]]
        bursts = [burst for port in reader.order for burst in port]
        assert any(a == address and a <= words[first] <= a + 8 * n for a, n in bursts)
        for _ in range(50):
            await settled(dut)
            assert dut.error_valid_o and not dut.beat_count_o
        await flush(dut)
    reader.faults.clear()
    runs = random_runs(10)
    assert (await reader.read(runs))[0] == reader.expected(runs)


@cocotb.test()
async def read_windows(dut):
    """What comes before the first page outside arrives; then its address, and nothing follows."""
    dut = ports(dut)
    reader = await start_reader(dut)
    refused = 0
    for trial in range(some(80)):
        reader.windows = random_windows(dut)
        runs = random_runs(6, sizes=(8, 128, 5000))
        if trial % 2:  # at the edges of a window
            first, last = reader.windows[0]
            ends = (first * PAGE, first * PAGE - 8, (last + 1) * PAGE - 8, (last + 1) * PAGE)
            runs = [(a, 8) for a in random.sample(ends, 4) if 0 <= a < SIZE] or runs
        for stall in reader.stalls:
            stall.share = random.choice([0, 0.6])
        outside = first_outside(runs, reader.windows)
        data, _, error = await reader.read(runs, take_share=random.choice([1, 0.5]))
        wanted = reader.expected(runs)
        if outside is None:
            assert (data, error) == (wanted, None), trial
        else:
            refused += 1
            assert data == wanted[: outside[0]], trial
            assert error == (OUTSIDE, outside[1]), trial
            for _ in range(30):
                await settled(dut)
                assert dut.error_valid_o and not dut.beat_count_o
                assert dut.idle_o
        await flush(dut)
    assert some(20) < refused < some(75)
    # An error response of what comes before counts.
    reader.windows = [(0, 0)]
    open_windows(dut, *reader.windows)
    reader.faults[0] = AxiResp.SLVERR
    assert (await reader.read([(0, 8), (PAGE, 8)]))[2] == (SLVERR, 0)
    await flush(dut)
    reader.faults.clear()
    # No window is closed, but all are: (1, 0).
    reader.windows = []
    open_windows(dut)
    for address in (0, PAGE - 8, PAGE, 2 * PAGE, 0xFFFF_FFF8):
        assert (await reader.read([(address, 8)]))[2] == (OUTSIDE, address)
        await flush(dut)


@cocotb.test()
async def read_flush(dut):
    dut = ports(dut)
    reader = await start_reader(dut)
    for _ in range(some(60)):
        for stall in reader.stalls:
            stall.share = random.choice([0, 0.3, 0.8])
        runs = random_runs(12)
        stop = random.randrange(sum(n for _, n in runs) // 8)
        data, _, _ = await reader.read(runs, take_share=0.7, stop=stop)
        assert data[: 8 * stop] == reader.expected(runs)[: 8 * stop]
        await flush(dut)
        assert not dut.beat_count_o
        runs = random_runs(2, sizes=(8, 64, 300))
        data, _, error = await reader.read(runs)
        assert (data, error) == (reader.expected(runs), None)


@cocotb.test()
async def read_throughput(dut):
    """Every port busy in every cycle, once the first beats are there."""
    dut = ports(dut)
    reader = await start_reader(dut)
    beats = 4096
    data, cycles, _ = await reader.read([(0, 8 * beats)])
    assert data == reader.image[: 8 * beats]
    dut.handle._log.warning("%d ports: %.3f beats a cycle", reader.ports, beats / cycles)
    assert cycles < beats / reader.ports * 1.03 + 40


@cocotb.test()
async def read_hides_latency(dut):
    """40 cycles to the first beat, and 7 of 8 cycles on each port."""
    dut = ports(dut)
    reader = await start_reader(dut, latency=40)
    for stall in reader.stalls[1::2]:
        stall.share = 1 / 8
    beats = 6144
    data, cycles, _ = await reader.read([(0, 8 * beats)])
    assert data == reader.image[: 8 * beats]
    dut.handle._log.warning("%d ports: %.3f beats a cycle", reader.ports, beats / cycles)
    assert cycles < beats / (reader.ports * 7 / 8) * 1.04 + 80


class Writer:
    def __init__(self, dut, latency=0):
        self.dut = dut
        top = dut.handle
        ram = AxiRamWrite(
            AxiWriteBus.from_prefix(top, "axi"), top.clk_i, top.rst_ni, False, size=SIZE
        )
        ram.log.setLevel(logging.ERROR)
        self.ram, self.faults, self.bursts = ram, {}, []
        self.windows = [EVERYWHERE]
        if latency:
            Latency(ram.aw_channel, dut.clk_i, latency)
            ram.w_channel.queue_occupancy_limit = 1024
        fail_at(ram, self.faults, ram.b_channel, "bresp", "_write")
        channels = (ram.aw_channel, ram.w_channel, ram.b_channel)
        self.stalls = [Stall(channel, i) for i, channel in enumerate(channels)]
        cocotb.start_soon(stall(dut.clk_i, self.stalls))
        cocotb.start_soon(self.watch())

    async def watch(self):
        """What is announced stays until it is taken."""
        dut = self.dut
        burst = beat = None  # announced, and not yet taken
        while True:
            await settled(dut)
            running = dut.rst_ni
            now = (dut.axi_awaddr, dut.axi_awlen) if running and dut.axi_awvalid else None
            assert burst in (None, now), "announcement changed"
            assert now is None or inside(now[0], self.windows), "an announcement outside"
            burst = now
            if now and dut.axi_awready:
                assert now[1] < 16
                self.bursts.append(now)
                burst = None
            now = None
            if running and dut.axi_wvalid:
                now = (dut.axi_wdata, dut.axi_wstrb, dut.axi_wlast)
            assert beat in (None, now), "announcement changed"
            beat = None if now and dut.axi_wready else now

    async def write(self, runs, data, run_share=1.0, data_share=1.0, stop=None):
        """Write `data` to `runs` (address, size, last); until all is done, an error, or `stop`."""
        dut, beat, cycles, done, quiet = self.dut, 0, 0, 0, 0
        driver = RunDriver(dut, runs, run_share)
        goal, valid = sum(last for *_, last in runs), False
        while not dut.error_valid_o and (done < goal if stop is None else beat < stop):
            driver.cycle()
            valid = 8 * beat < len(data) and (valid or random.random() < data_share)
            dut.data_valid_i = int(valid)
            if valid:
                dut.data_i = int.from_bytes(data[8 * beat : 8 * beat + 8], "little")
                if dut.data_ready_o:
                    beat, valid = beat + 1, False
            cycles += 1
            quiet += 1
            await settled(dut)
            done += dut.done_o
            if dut.progress_o:
                quiet = 0
            assert quiet < 3000, "nothing is written"
        dut.data_valid_i = 0
        dut.run_valid_i = 0
        return cycles, beat

    def contents(self):
        return bytes(self.ram.mem[:SIZE])


def written(image, runs, data):
    image, at = bytearray(image), 0
    for address, size, *_ in runs:
        image[address : address + size] = data[at : at + size]
        at += size
    return bytes(image)


def write_runs(count, **options):
    return [
        (a, n, int(i == count - 1 or random.random() < 0.2))
        for i, (a, n) in enumerate(random_runs(count, **options))
    ]


async def start_writer(dut, latency=0):
    await start(dut)
    for name in ("data_valid_i", "data_i", "run_addr_i", "run_bytes_i", "run_last_i"):
        setattr(dut, name, 0)
    writer = Writer(dut, latency)
    await release(dut)
    return writer


@cocotb.test()
async def write_random(dut):
    dut = ports(dut)
    writer = await start_writer(dut)
    for share, run_share, data_share in [(0, 1, 1), (0.5, 1, 1), (0, 1, 0.3), (0.3, 0.3, 0.6)] * 2:
        for stall in writer.stalls:
            stall.share = share * random.random() * 1.6
        runs = write_runs(40)
        data = random.randbytes(sum(n for _, n, _ in runs))
        before = writer.contents()
        _, beats = await writer.write(runs, data, run_share, data_share)
        assert not dut.error_valid_o
        # done_o came after the last response, so everything is there now.
        assert 8 * beats == len(data)
        assert writer.contents() == written(before, runs, data)
        for _ in range(20):
            await settled(dut)
            assert dut.idle_o and not dut.done_o


@cocotb.test()
async def write_shares_bursts_within_an_instruction(dut):
    dut = ports(dut)
    writer = await start_writer(dut)
    runs = [(0x2F40 + 24 * i, 24, int(i in (31, 63))) for i in range(64)]
    data = random.randbytes(64 * 24)
    await writer.write(runs, data)
    assert writer.contents()[0x2F40 : 0x2F40 + 64 * 24] == data
    address = 0x2F40
    for start_address, length in writer.bursts:
        assert start_address == address
        address += 8 * (length + 1)
    assert address == 0x2F40 + 64 * 24
    assert 0x2F40 + 32 * 24 in [a for a, _ in writer.bursts]  # the second instruction's first
    assert len(writer.bursts) <= 16


@cocotb.test()
async def write_does_not_wait_for_runs(dut):
    dut = ports(dut)
    writer = await start_writer(dut)
    for address in range(0, 400, 40):
        data = random.randbytes(8)
        await writer.write([(address, 8, 0)], data, stop=1)
        for _ in range(30):
            await settled(dut)
        assert dut.idle_o
        assert writer.contents()[address : address + 8] == data


@cocotb.test()
async def write_errors(dut):
    dut = ports(dut)
    writer = await start_writer(dut)
    for _ in range(some(30)):
        runs = write_runs(8, sizes=(8, 64, 600))
        words = [a + i for a, n, _ in runs for i in range(0, n, 8)]
        word, response = random.choice(words), random.choice([AxiResp.SLVERR, AxiResp.DECERR])
        writer.faults.clear()
        writer.faults[word] = response
        writer.bursts.clear()
        for stall in writer.stalls:
            stall.share = random.choice([0, 0.6])
        await writer.write(runs, random.randbytes(8 * len(words)), data_share=0.7)
        assert dut.error_valid_o
        assert dut.error_code_o == CODES[response]
        failing = [a for a, n in writer.bursts if a <= word <= a + 8 * n]
        assert dut.error_addr_o == failing[0]
        for _ in range(50):
            await settled(dut)
            assert dut.error_valid_o and not dut.done_o
        await flush(dut)
        assert not dut.error_valid_o


@cocotb.test()
async def write_windows(dut):
    """What comes before the first page outside is in memory as the error is told."""
    dut = ports(dut)
    writer = await start_writer(dut)
    refused = 0
    for trial in range(some(80)):
        writer.windows = random_windows(dut)
        runs = write_runs(6, sizes=(8, 128, 3000))
        if trial % 2:
            first, last = writer.windows[0]
            ends = (first * PAGE, first * PAGE - 8, (last + 1) * PAGE - 8, (last + 1) * PAGE)
            runs = [(a, 8, 1) for a in random.sample(ends, 4) if 0 <= a < SIZE] or runs
        for stall in writer.stalls:
            stall.share = random.choice([0, 0.6])
        data = random.randbytes(sum(n for _, n, _ in runs))
        before = writer.contents()
        outside = first_outside(runs, writer.windows)
        _, beats = await writer.write(runs, data, data_share=random.choice([1, 0.5]))
        if outside is None:
            assert not dut.error_valid_o, trial
            assert writer.contents() == written(before, runs, data)
        else:
            refused += 1
            kept, at = [], 0
            for address, size, _ in runs:
                kept.append((address, max(0, min(size, outside[0] - at))))
                at += size
            assert 8 * beats == outside[0]
            for _ in range(30):
                assert dut.error_valid_o and not dut.done_o and dut.idle_o
                assert dut.error_code_o == OUTSIDE
                assert dut.error_addr_o == outside[1]
                assert writer.contents() == written(before, kept, data), trial
                await settled(dut)
        await flush(dut)
        assert not dut.error_valid_o
    assert some(20) < refused < some(75)
    # An error response of what comes before counts.
    writer.windows = [(0, 0)]
    open_windows(dut, *writer.windows)
    writer.faults[0] = AxiResp.SLVERR
    await writer.write([(0, 8, 1), (PAGE, 8, 1)], bytes(16))
    assert dut.error_code_o == SLVERR and dut.error_addr_o == 0


@cocotb.test()
async def write_flush(dut):
    """A flush ends announced bursts without writing; then the port works as after reset."""
    dut = ports(dut)
    writer = await start_writer(dut)
    for _ in range(some(60)):
        for stall in writer.stalls:
            stall.share = random.choice([0, 0.3, 0.8])
        runs = write_runs(10, sizes=(8, 64, 600))
        data = random.randbytes(sum(n for _, n, _ in runs))
        before = writer.contents()
        stop = random.randrange(len(data) // 8)
        _, beats = await writer.write(runs, data, data_share=0.7, stop=stop)
        await flush(dut)
        # Exactly the beats that were taken are in memory.
        kept, at = [], 0
        for address, size, _ in runs:
            kept.append((address, max(0, min(size, 8 * beats - at))))
            at += size
        assert writer.contents() == written(before, kept, data)
        runs = write_runs(2, sizes=(8, 64, 300))
        data = random.randbytes(sum(n for _, n, _ in runs))
        before = writer.contents()
        await writer.write(runs, data)
        assert not dut.error_valid_o
        assert writer.contents() == written(before, runs, data)


@cocotb.test()
async def write_throughput(dut):
    dut = ports(dut)
    writer = await start_writer(dut, latency=40)
    data = random.randbytes(8 * 2048)
    cycles, _ = await writer.write([(0x8, len(data), 1)], data)
    assert writer.contents()[8 : 8 + len(data)] == data
    dut.handle._log.warning("%.3f beats a cycle", 2048 / cycles)
    assert cycles < 2048 * 1.03 + 100
