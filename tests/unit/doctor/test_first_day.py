"""The first day on a board: each fault is named by the check that meets it, before harm is done."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pynq
import pytest
from pytest import MonkeyPatch

from fakes import vivado_hwh
from fakes.boot import IRQ, PYNQ_Z2, BootedBoard, Card, Hang, bitstream, kernel
from support.places import DRIVER, TESTS
from winogen.doctor import clock as doctor_clock
from winogen.doctor import software
from winogen.doctor.checks import BY_NAME, CHECKS, run_check
from winogen.doctor.result import Outcome, Result
from winogen.doctor.supervisor import supervise
from winogen.emulation.emulator import EmulatedCore
from winogen.runtime import lock, record
from winogen.runtime.open import open_device
from winogen.target import clock
from winogen.target.board import load_board
from winogen.target.clock import SRCSEL
from winogen.target.hwh import IP_BASE
from winogen.target.ports import PORT_REGISTERS, WRITE_OFFSET
from winogen.target.registers import offset, pack

WIDE = load_board("tiny", 16).core


@pytest.fixture
def board(tmp_path, monkeypatch) -> Iterator[BootedBoard]:
    monkeypatch.setattr(lock, "_FOLDER", tmp_path)
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)
    real = software.metadata.version
    monkeypatch.setattr(
        software.metadata, "version", lambda name: "3.0.1" if name == "pynq" else real(name)
    )
    made = BootedBoard(tmp_path)
    # What the logic counts in real time, where there is no logic.
    monkeypatch.setattr(doctor_clock, "_measure", lambda bench, mhz: mhz)
    before = signal.getsignal(signal.SIGTERM)
    pynq.Device.active_device = made
    with kernel(made), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in doctor's own process
        yield made
    signal.signal(signal.SIGTERM, before)


def examined(board: BootedBoard, last: str = "conformance, direct") -> dict[str, Result]:
    """The results of all checks up to ``last``, as the supervisor has them run."""
    bench, results, lacking = board.bench(), {}, set()
    for check in CHECKS:
        if any(need in lacking for need in check.needs):
            results[check.name] = Result(check.name, Outcome.SKIPPED, "needs another")
            lacking.add(check.name)
        else:
            results[check.name] = run_check(check, bench)
            if results[check.name].outcome is Outcome.FAIL:
                lacking.add(check.name)
        if check.name == last:
            break
    if "_opened" in vars(bench):
        bench.core.close()
    return results


def failures(results: dict[str, Result]) -> dict[str, Result]:
    return {name: r for name, r in results.items() if r.outcome is Outcome.FAIL}


def test_a_sound_board_passes(board):
    clocks = dict(board.slcr.words)
    results = examined(board)
    assert failures(results) == {}
    skipped = {name for name, r in results.items() if r.outcome is Outcome.SKIPPED}
    assert skipped == {"program"}
    assert board.slcr.words == clocks  # another overlay's clock is put back


@pytest.mark.parametrize("version", vivado_hwh.VERSIONS)
def test_the_files_of_every_vivado_are_read(version, board):
    board.build(version)
    results = examined(board, "memory ports")
    assert failures(results) == {}
    assert results["overlay files"].text.startswith("winogen.bit is for 7z020clg400, Vivado 202")
    assert results["memory ports"].text.startswith("S_AXI_HP0, S_AXI_HP1, S_AXI_HP2: 64 bits")
    loaded = open_device(board, PYNQ_Z2, board.overlay)
    assert loaded.core.interrupt.parent() is not None  # though SIGIS says "undef"
    loaded.core.close()


# --- the faults ----------------------------------------------------------------------------------


def clocked(board: BootedBoard, word: int) -> None:
    """Somebody else sets the clock of the logic behind winogen's back, once it is loaded."""
    load = board.download

    def download(bitstream, parser=None):
        load(bitstream, parser)
        board.slcr.write(clock.FCLK0_OFFSET, word)

    board.download = download


def pll(board: BootedBoard, name: str, word: int) -> None:
    board.slcr.words[clock.PLL_OFFSETS[name]] = word


def afi(board: BootedBoard, name: str, at: int, word: int) -> None:
    board.afi[name].words[at] = word


def hwh(change: Callable[..., bytes], *arguments, **changes) -> Callable[[BootedBoard], None]:
    def fault(board: BootedBoard) -> None:
        board.hwh = change(board.hwh, *arguments, **changes)

    return fault


def another_build(board: BootedBoard) -> None:
    board.hwh = vivado_hwh.vivado_hwh(dict(vars(WIDE)), clock.PlClock(7, 1, "DDR PLL"), 512 << 20)


def other_logic(board: BootedBoard) -> None:
    """The .bit is of another build, and the .hwh is not."""
    other = replace(PYNQ_Z2, core=WIDE)
    board._core_factory = lambda memory: EmulatedCore(memory, other)


def taken(board: BootedBoard) -> None:
    """Another program holds nearly all contiguous memory."""
    board.held = board.default_memory.allocate((110 << 20,), np.uint8)


def lesser(board: BootedBoard) -> None:
    board.file("proc/meminfo", "CmaTotal: 16384 kB\nCmaFree: 16000 kB\n")


#: By name: the check that names it, what happens, what it says, and what it says to do.
FAULTS: dict[str, tuple[str, Callable[[BootedBoard], object], str, str]] = {
    "BOARD unset": ("image", lambda b: b.environ(BOARD=None), "BOARD is not set", "sudo -i"),
    "BOARD is another": (
        "image", lambda b: b.environ(BOARD="Pynq-Z1"),
        "BOARD is Pynq-Z1, and the card's image was made for Pynq-Z2", "flash the PYNQ image",
    ),
    "a board of others": (
        "image", lambda b: b.environ(BOARD="Ultra96"), "no board Ultra96", "docs/use/boards.md",
    ),
    "not root": (
        "permissions", lambda b: b.change(uid=1000), "this is user 1000 and not root", "sudo -i",
    ),
    "XILINX_XRT unset": (
        "XRT", lambda b: b.environ(XILINX_XRT=None), "XILINX_XRT is not set", "xrt_setup.sh",
    ),
    "xclbinutil off PATH": (
        "XRT", lambda b: b.change(programs=frozenset()), "xclbinutil is not on PATH", "sudo -i",
    ),
    "zocl not loaded": (
        "XRT", lambda b: b.file("dev/dri/renderD128", None), "zocl is not loaded", "modprobe zocl",
    ),
    "card full": (
        "disk", lambda b: b.change(free=1 << 20), "firmware has 1 MB left, and pynq copies",
        "delete what",
    ),
    "card read-only": (
        "disk", lambda b: b.change(read_only=("firmware",)), "firmware cannot be written",
        "read-only",
    ),
    "home read-only": (
        "disk", lambda b: b.change(read_only=("pl_server",)), "cannot be written, and pynq notes",
        "sudo -i",
    ),
    "another FPGA": (
        "overlay files", lambda b: b.build(part="7z010clg400"),
        "winogen.bit is for the FPGA 7z010clg400, and pynq-z2 has xc7z020clg400-1", "--overlay",
    ),
    "no bitstream but text": (
        "overlay files", lambda b: b.overlay.write_bytes(b"<html>404</html>"),
        "winogen.bit is no bitstream with a header", "copy winogen.bit and winogen.hwh",
    ),
    ".hwh missing": (
        "overlay files", lambda b: b.overlay.with_suffix(".hwh").unlink(),
        "winogen.hwh is missing beside winogen.bit", "copy winogen.bit and winogen.hwh",
    ),
    ".hwh cut short": (
        "overlay files", lambda b: setattr(b, "hwh", b.hwh[:9000]), "winogen.hwh is damaged",
        "copy winogen.bit and winogen.hwh",
    ),
    ".hwh of a later build": (
        "overlay files", lambda b: b.build(day="2026/10/21"),
        "winogen.hwh was written 2026-10-22 00:35:56, after winogen.bit", "of one build",
    ),
    ".hwh of another Vivado": (
        "overlay files", lambda b: b.build("2022.1", vivado="2023.1"),
        "winogen.hwh is Vivado 2022.1's, and winogen.bit was made with 2023.1", "of one build",
    ),
    "IO PLL at another rate": (
        "processing system", lambda b: pll(b, "IO PLL", 32 << 12),
        "the IO PLL runs at 1600 MHz, and the clock of the logic is computed from 1000", "BOOT.BIN",
    ),
    "DDR PLL off": (
        "processing system", lambda b: pll(b, "DDR PLL", 21 << 12 | 2),
        "the DDR PLL does not run", "BOOT.BIN",
    ),
    "DDR PLL not locked": (
        "processing system", lambda b: b.slcr.write(clock.PLL_STATUS_OFFSET, 0b101),
        "the DDR PLL does not run", "BOOT.BIN",
    ),
    "IO PLL passed by": (
        "processing system", lambda b: pll(b, "IO PLL", 20 << 12 | 0x10),
        "the IO PLL is passed by: it gives the 50 MHz of the crystal", "BOOT.BIN",
    ),
    "FCLK0 stopped": (
        "processing system", lambda b: b.slcr.write(clock.THROTTLE_OFFSET, 1),
        "the clock of the logic (FCLK0) is stopped", "clk_ignore_unused",
    ),
    "logic in reset": (
        "processing system", lambda b: b.slcr.write(clock.RESET_OFFSET, 1),
        "the logic is held in reset", "BOOT.BIN",
    ),
    "logic cut off": (
        "processing system", lambda b: b.slcr.write(clock.SHIFTERS_OFFSET, 0),
        "the logic is cut off from the processor", "BOOT.BIN",
    ),
    "not programmed": (
        "overlay", lambda b: setattr(b, "part", "7z007sclg225"),
        "the FPGA manager says 'write complete error'", "troubleshooting",
    ),
    "another data width": (
        "overlay", another_build, "is another build than that of pynq-z2 with 8-bit data: "
        "data_width 16 instead of 8", "troubleshooting",
    ),
    "another data width in the logic": (
        "build", other_logic,
        f"data_width 16 instead of 8, configuration {WIDE.config_hash32:08x} instead of ",
        "--board and --bits",
    ),
    "clock of another overlay": (
        "clock", lambda b: clocked(b, 0x0020_0500), "at 100 MHz instead of 150", "with winogen",
    ),
    "clock from another PLL": (
        "clock", lambda b: clocked(b, 0x0010_0700 | SRCSEL.insert(2)),
        "the logic runs at 185.714 MHz and was built for 150", "load the overlay again",
    ),
    "little contiguous memory": (
        "contiguous memory", lesser,
        "the kernel sets 16 MiB of contiguous memory aside, and programs are compiled for 128",
        "cma=128M",
    ),
    "contiguous memory taken": (
        "contiguous memory", taken, "32 MiB cannot be had in one piece; 117 of 128 MiB free",
        "shut down other notebooks",
    ),
    "DRAM beyond the ports": (
        "contiguous memory", hwh(vivado_hwh.reaching, 0x0FFF_FFFF),
        "a buffer lies at bus address 0x18000000, and m_axi_0 reaches 0x00000000 to 0x0fffffff",
        "ddr_mib",
    ),
    "port set to 32 bits for reads": (
        "memory ports", lambda b: afi(b, "S_AXI_HP1", 0, 1),
        "S_AXI_HP1 is set to 32 bits for reads, and the overlay was built for 64",
        "register 0xf8009000",
    ),
    "port set to 32 bits for writes": (
        "memory ports", lambda b: afi(b, "S_AXI_HP0", WRITE_OFFSET, 0xF01),
        "S_AXI_HP0 is set to 32 bits for writes", "register 0xf8008014",
    ),
    "design with 32 bits": (
        "memory ports", hwh(vivado_hwh.edited, C_S_AXI_HP2_DATA_WIDTH="32"),
        "S_AXI_HP2 has 32 bits in the design", "C_S_AXI_HP2_DATA_WIDTH 64",
    ),
    "no UIO device": (
        "interrupt", lambda b: b.uio(None),
        f"the kernel has given interrupt {IRQ} of the logic to no driver", "uio_pdrv_genirq",
    ),
    "interrupt of another driver": (
        "interrupt", lambda b: b.uio("other", "xilinx-vdma"),
        f"interrupt {IRQ} of the logic belongs to 'xilinx-vdma', which is no UIO device",
        "uio_pdrv_genirq",
    ),
    "interrupt not wired": (
        "interrupt", hwh(vivado_hwh.without_interrupt), "the overlay describes no interrupt",
        "load winogen's own overlay",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(name, board):
    check, fault, words, advice = FAULTS[name]
    fault(board)
    results = examined(board, check)
    found = failures(results)
    assert words in found[check].text
    assert advice in found[check].advice
    assert not {"\n", "Traceback"} & set(found[check].text)
    assert found.keys() == {check}, "what comes before is sound, or needs what is not"


@pytest.mark.parametrize(
    "at, check, words",
    [(0, "load engine", ""), (WRITE_OFFSET, "DMA writes", "wrong data: write of")],
)
def test_a_port_that_is_too_narrow_gives_garbage(at, check, words, board):
    """As the checks of what arrives find too, if they are all that somebody reads."""
    afi(board, "S_AXI_HP1", at, 1)
    bench = board.bench()
    result = run_check(BY_NAME[check], bench)
    bench.core.close()
    assert result.outcome is Outcome.FAIL
    assert words in result.text


@pytest.mark.parametrize("version", ["2.5.1", "2.7.0"])
def test_an_image_that_is_too_old(version, board, monkeypatch):
    monkeypatch.setattr(software.metadata, "version", lambda name: version)
    found = failures(examined(board, "pynq"))
    assert found["pynq"].text == f"pynq {version} is not supported"
    assert "flash PYNQ image" in found["pynq"].advice


@pytest.mark.parametrize("register", [clock.THROTTLE_OFFSET, clock.RESET_OFFSET])
def test_nothing_of_the_logic_is_touched_that_would_not_answer(register, board):
    """Doctor goes on to its end, and says why it did not look there."""
    board.slcr.write(register, 1)
    results = examined(board)
    assert results["processing system"].outcome is Outcome.FAIL
    after = [r for name, r in results.items() if "overlay" in BY_NAME[name].needs]
    assert {r.outcome for r in after} == {Outcome.SKIPPED}
    with pytest.raises(Hang):  # as it would have been
        board.download(SimpleNamespace(bitfile_name=str(board.overlay), partial=False))
        board.read_registers(IP_BASE, 4)


@pytest.mark.parametrize("fate, words", [("SIGBUS", "ended its process: SIGBUS"),
                                         ("hang", "did not end within 2 s")])  # fmt: skip
def test_a_bus_that_nobody_answers_on_ends_a_check_and_not_doctor(fate, words, tmp_path):
    """And no other process of it touches the bus again."""
    names = ("python", "processing system", "overlay", "build", "registers", "conformance")
    checks = [replace(BY_NAME[name], seconds=2.0) for name in names]
    checks[2] = replace(checks[2], needs=("processing system",))
    command = [sys.executable, "-m", "fakes.booted_worker", str(tmp_path), fate]
    with MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{TESTS}:{DRIVER}")
        found = {r.name: r for r in supervise(checks, command, 1.0, lambda result: None)}
    assert [found[name].outcome for name in names] == [
        Outcome.PASS, Outcome.PASS, Outcome.FAIL, *[Outcome.SKIPPED] * 3
    ]  # fmt: skip
    assert found["overlay"].text == words
    assert "power the board off and on" in found["overlay"].advice


def test_a_stopped_clock_ends_a_program_and_not_the_board(board):
    board.slcr.write(clock.THROTTLE_OFFSET, 1)
    from winogen.common.errors import DeviceError

    with pytest.raises(DeviceError, match=r"clock of the logic is stopped .*clk_ignore_unused"):
        open_device(board, PYNQ_Z2, board.overlay)


def test_a_core_that_still_runs_is_stopped_and_said(board, monkeypatch):
    first = open_device(board, PYNQ_Z2, board.overlay)
    first.core.close()
    monkeypatch.setattr(record, "_boot", lambda: "this one")
    assert not first.core.unfinished
    core = board.core
    read, left = core.read, [4]

    def busy(at: int) -> int:
        if at == offset("STATUS") and left[0]:
            left[0] -= 1
            return pack("STATUS", load=1)
        return read(at)

    core.read = busy
    board.slcr.write(clock.FCLK0_OFFSET, 0x0010_0730)  # and its clock with it
    result = examined(board, "overlay")["overlay"]
    assert result.outcome is Outcome.PASS
    assert result.text.endswith("it stopped one that a killed program had left running")


def test_without_a_bitstream_the_overlay_s_own_check_says_so(board):
    bench = board.bench()
    bench.overlay = None
    result = run_check(BY_NAME["overlay files"], bench)
    assert result.outcome is Outcome.SKIPPED
    assert "no int8 bitstream" in result.text


def test_ultrascale_bitstreams_name_the_whole_part(tmp_path, board):
    other = load_board("zcu104")
    bench = board.bench()
    bench.board = other
    board.overlay.write_bytes(bitstream("xczu7ev-ffvc1156-2-e", "2022.1"))
    text = run_check(BY_NAME["overlay files"], bench).text
    assert "is of a design for 7z020clg400" in text
    assert run_check(BY_NAME["processing system"], bench).outcome is Outcome.SKIPPED


def test_widths_of_ultrascale_ports():
    port = PORT_REGISTERS["zynqmp"]["S_AXI_HP0_FPD"]
    assert (port.base, port.parameter) == (0xFD38_0000, "C_SAXIGP2_DATA_WIDTH")
    assert [port.width(word) for word in (0, 1, 2, 3, 0x101)] == [128, 64, 32, 0, 64]


def test_pynq_finds_no_board():
    bench = SimpleNamespace(board=PYNQ_Z2, bare=None)
    result = run_check(BY_NAME["processing system"], bench)
    assert result.outcome is Outcome.SKIPPED


def test_this_machine_s_own_card(tmp_path):
    """What the model stands for, asked of the machine that runs this."""
    own = super(Card, Card(tmp_path))
    assert own.may_write(tmp_path) and own.free_bytes(tmp_path) > 0
    assert own.program("no-such-program") is None
    assert isinstance(own.user, int)
    assert own.text("/nothing") == "" and own.names("/nothing") == []
