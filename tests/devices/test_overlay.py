"""pynq's own Overlay, MMIO, register maps, clocks and discovery on the emulated device."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

import pynq
import pytest
from pynq.pl_server.device import DeviceMeta

from fakes.core import InvertingDma
from support.children import child
from winogen.emulation.device import (
    INTERRUPT_PIN,
    IP_NAME,
    VLNV,
    BusError,
    EmulatedDevice,
    OverlayError,
)
from winogen.target.bitfile import MARKER
from winogen.target.hwh import INTC_NAME, IP_BASE
from winogen.target.registers import ADDRESS_RANGE, REGISTERS, ErrorCode, offset, pack

PARAMETERS = {"CI_LANES": 8, "BOARD": "pynq-z2"}


@pytest.fixture(autouse=True)
def no_active_device(monkeypatch):
    """Every test begins as a new process does; pynq's memory of devices comes back after it."""
    names = ("_active_device", "_devices")
    before = {n: vars(pynq.Device)[n] for n in names if n in vars(pynq.Device)}
    _forget(names)
    monkeypatch.setattr(EmulatedDevice, "_offers", [])
    monkeypatch.setattr(EmulatedDevice, "_alive", type(EmulatedDevice._alive)())
    yield
    _forget(names)
    for name, value in before.items():
        setattr(pynq.Device, name, value)


def _forget(names: tuple[str, ...]) -> None:
    for name in names:
        if name in vars(pynq.Device):
            delattr(pynq.Device, name)


@pytest.fixture
def device() -> EmulatedDevice:
    return EmulatedDevice(InvertingDma, parameters=PARAMETERS)


@pytest.fixture
def overlay(device, tmp_path):
    return pynq.Overlay(str(device.ensure_overlay(tmp_path)), device=device)


# What an overlay says


def test_the_overlay_describes_the_accelerator(overlay):
    ip = overlay.ip_dict[IP_NAME]
    assert ip["type"] == VLNV
    assert ip["phys_addr"] == IP_BASE
    assert ip["addr_range"] == ADDRESS_RANGE
    assert {k: ip["parameters"][k] for k in PARAMETERS} == {"CI_LANES": "8", "BOARD": "pynq-z2"}
    assert set(overlay.ip_dict) == {IP_NAME, INTC_NAME, "processing_system7_0"}
    assert IP_NAME in dir(overlay)
    assert overlay.is_loaded()


def test_every_register_and_field_is_described(overlay):
    described = overlay.ip_dict[IP_NAME]["registers"]
    access = {"ro": "read-only", "rw": "read-write", "wo": "write-only", "w1c": "read-write"}
    assert list(described) == [r.name for r in REGISTERS]
    for r in REGISTERS:
        entry = described[r.name]
        assert (entry["address_offset"], entry["size"]) == (r.offset, 32)
        assert (entry["access"], entry["description"]) == (access[r.access], r.doc)
        assert {n: (f["bit_offset"], f["bit_width"]) for n, f in entry["fields"].items()} == {
            f.name: (f.lsb, f.width) for f in r.fields
        }


def test_a_driver_binds_to_the_vlnv(device, tmp_path, monkeypatch):
    # pynq keeps one driver a type for the whole process: put back what was bound before.
    monkeypatch.setattr(pynq.overlay, "_ip_drivers", dict(pynq.overlay._ip_drivers))

    class Driver(pynq.DefaultIP):
        bindto = [VLNV]

    path = str(device.ensure_overlay(tmp_path))
    assert type(pynq.Overlay(path, device=device).winogen_0) is Driver


@pytest.mark.benchmark
def test_loading_is_fast(device, tmp_path):
    path = str(device.ensure_overlay(tmp_path))
    pynq.Overlay(path, device=device)
    start = time.perf_counter()
    pynq.Overlay(path, device=device)
    assert time.perf_counter() - start < 1.0


# Registers


def test_the_driver_reads_and_writes_registers(overlay):
    ip = overlay.winogen_0
    assert ip.read(offset("MAGIC")) == 0x574E_4731
    ip.write(offset("STREAM_BASE_HI"), 0xFFFF_FFFF)
    assert ip.read(offset("STREAM_BASE_HI")) == 0xFFFF_FFFF


def test_the_register_map_reads_and_writes_named_fields(overlay):
    registers = overlay.winogen_0.register_map
    assert (registers.VERSION.major, registers.STATUS.idle) == (2, 1)
    registers.IRQ_ENABLE.error = 1
    assert int(registers.IRQ_ENABLE) == pack("IRQ_ENABLE", error=1)
    registers.STREAM_LENGTH = 0x1234
    assert registers.STREAM_LENGTH[15:8] == 0x12
    registers.CONTROL.start = 1  # 0x1234 bytes from bus address 0: no memory there
    assert registers.STATUS.error == 1
    assert registers.ERROR_CODE.code == ErrorCode.AXI_DECERR
    with pytest.raises(AttributeError):
        registers.MAGIC = 1


def test_mmio_reaches_the_registers(device, overlay):
    mmio = pynq.MMIO(IP_BASE, ADDRESS_RANGE, device=device)
    mmio.write(offset("INPUT_BASE_LO"), b"\1\0\0\0\2\0\0\0")
    assert mmio.read(offset("INPUT_BASE_LO"), 8) == 0x2_0000_0001
    assert mmio.array[offset("INPUT_BASE_HI") // 4] == 2
    mmio.array[offset("INPUT_BASE_HI") // 4] = 3
    assert mmio.read(offset("INPUT_BASE_HI")) == 3


def test_mmio_outside_its_range_is_refused(device, overlay):
    mmio = pynq.MMIO(IP_BASE, ADDRESS_RANGE, device=device)
    for access in (lambda: mmio.read(ADDRESS_RANGE), lambda: mmio.write(ADDRESS_RANGE, 0)):
        with pytest.raises(IndexError):
            access()
    with pytest.raises(MemoryError, match="Unaligned"):
        mmio.read(2)


def test_where_nothing_answers_the_bus_error_names_the_address(device, overlay):
    stray = pynq.MMIO(0x4000_0000, 16, device=device)
    for access in (lambda: stray.read(4), lambda: stray.write(4, 0)):
        with pytest.raises(BusError, match=r"0x40000004.*winogen_0 at 0x43c00000") as caught:
            access()
        assert caught.value.code is ErrorCode.AXI_DECERR


def test_an_unknown_slcr_register_is_not_made_up(device):
    with pytest.raises(BusError, match="0xf8000010: SLCR register 0x010 is not modelled"):
        device.read_registers(0xF800_0010, 4)


@pytest.mark.parametrize(("address", "length"), [(IP_BASE + 2, 4), (IP_BASE, 2), (IP_BASE, 3)])
def test_the_bus_takes_aligned_words_only(device, overlay, address, length):
    for access in (
        lambda: device.read_registers(address, length),
        lambda: device.write_registers(address, bytes(length)),
    ):
        with pytest.raises(BusError, match="aligned 32-bit") as caught:
            access()
        assert caught.value.code is ErrorCode.AXI_SLVERR


def test_a_burst_that_leaves_the_range_writes_nothing(device, overlay):
    device.write_registers(IP_BASE + offset("WATCHDOG"), b"\7\0\0\0")
    with pytest.raises(BusError):
        device.write_registers(IP_BASE + offset("WATCHDOG"), bytes(ADDRESS_RANGE))
    assert device.read_registers(IP_BASE + offset("WATCHDOG"), 4) == b"\7\0\0\0"


def test_without_an_overlay_the_logic_is_empty(device, tmp_path):
    path = str(device.ensure_overlay(tmp_path))
    overlay = pynq.Overlay(path, device=device, download=False)
    assert device.core is None
    with pytest.raises(BusError, match="no overlay loaded"):
        overlay.winogen_0.read(0)


def test_download_resets_the_core(device, overlay):
    overlay.winogen_0.write(offset("WATCHDOG"), 5)
    first = device.core
    overlay.download()
    assert device.core is not first
    assert overlay.winogen_0.read(offset("WATCHDOG")) == 1 << 24


def test_a_bitstream_alone_can_be_downloaded(device, tmp_path):
    pynq.Bitstream(str(device.ensure_overlay(tmp_path)), device=device).download()
    assert device.core is not None
    assert IP_NAME in device.ip_dict


def test_an_overlay_can_be_freed_and_cached_as_pynq_does(device, tmp_path):
    path = str(device.ensure_overlay(tmp_path))
    overlay = pynq.Overlay(path, device=device, download=False, gen_cache=True)
    overlay.free()


# Clocks


@pytest.mark.parametrize(
    ("wanted", "reached"), [(100.0, 100.0), (150.0, 142.857143), (33.3, 32.258065), (1.0, 1.0)]
)
def test_the_logic_gets_the_next_clock_that_is_not_faster(tmp_path, wanted, reached):
    device = EmulatedDevice(InvertingDma, clock_mhz=wanted)
    pynq.Overlay(str(device.ensure_overlay(tmp_path)), device=device)
    assert device.clock_mhz == pytest.approx(reached)
    assert pynq.Clocks.fclk0_mhz == pytest.approx(reached)
    assert pynq.Clocks.cpu_mhz == 650.0


def test_clocks_can_be_set_and_an_overlay_sets_them_back(device, overlay):
    pynq.Clocks.fclk0_mhz = 50
    assert device.clock_mhz == 50.0
    overlay.download()
    assert device.clock_mhz == 100.0


def test_a_clock_that_no_divisor_reaches_is_refused():
    with pytest.raises(ValueError, match="too slow"):
        EmulatedDevice(InvertingDma, clock_mhz=0.1)


# Discovery and several devices


def test_pynq_finds_a_device_that_exists(device, tmp_path):
    assert pynq.Device.devices == [device]
    assert pynq.Device.active_device is device
    assert pynq.Overlay(str(device.ensure_overlay(tmp_path))).device is device


def test_pynq_finds_a_device_that_is_offered():
    EmulatedDevice.offer(lambda: EmulatedDevice(InvertingDma, name="offered"))
    assert [d.name for d in pynq.Device.devices] == ["offered"]


@pytest.mark.filterwarnings("ignore:No devices found")
def test_a_device_that_came_too_late_to_be_found_can_be_named(tmp_path):
    assert pynq.Device.devices == []
    device = EmulatedDevice(InvertingDma)
    overlay = pynq.Overlay(str(device.ensure_overlay(tmp_path)), device=device)
    assert overlay.winogen_0.read(offset("MAGIC")) == 0x574E_4731


def test_a_real_board_comes_first():
    assert max(DeviceMeta._subclasses) == EmulatedDevice._probe_priority_


def test_two_devices_live_side_by_side(tmp_path):
    one = EmulatedDevice(InvertingDma, parameters={"N": 1}, clock_mhz=100)
    two = EmulatedDevice(InvertingDma, parameters={"N": 2}, clock_mhz=50)
    assert one.tag != two.tag
    first = pynq.Overlay(str(one.ensure_overlay(tmp_path / "1")), device=one)
    second = pynq.Overlay(str(two.ensure_overlay(tmp_path / "2")), device=two)
    assert (one.clock_mhz, two.clock_mhz) == (100.0, 50.0)
    first.winogen_0.write(offset("WATCHDOG"), 1)
    second.winogen_0.write(offset("WATCHDOG"), 2)
    assert first.winogen_0.read(offset("WATCHDOG")) == 1
    assert second.winogen_0.read(offset("WATCHDOG")) == 2
    assert first.ip_dict[IP_NAME]["parameters"]["N"] == "1"


def test_setting_the_active_device_makes_the_arguments_optional(tmp_path):
    EmulatedDevice(InvertingDma)
    device = EmulatedDevice(InvertingDma)
    pynq.Device.active_device = device
    overlay = pynq.Overlay(str(device.ensure_overlay(tmp_path)))
    assert overlay.device is device
    assert pynq.allocate(4).device is device
    assert pynq.MMIO(IP_BASE, 16).device is device


# Overlay files


def test_the_bit_file_is_well_formed_and_says_what_it_is(device, tmp_path):
    content = device.ensure_overlay(tmp_path).read_bytes()
    assert MARKER in content
    assert b"\xaa\x99\x55\x66" not in content  # the sync word of a bitstream
    at = 2 + 9 + 2
    fields = {}
    while content[at : at + 1] != b"e":
        length = int.from_bytes(content[at + 1 : at + 3], "big")
        fields[content[at : at + 1]] = content[at + 3 : at + 3 + length]
        at += 3 + length
    assert list(fields) == [b"a", b"b", b"c", b"d"]
    assert int.from_bytes(content[at + 1 : at + 5], "big") == len(content) - at - 5
    assert (len(content) - at - 5) % 4 == 0


def test_the_files_are_written_once_and_nothing_else_is(device, tmp_path):
    path = device.ensure_overlay(tmp_path / "new" / "folder")
    assert sorted(p.name for p in path.parent.iterdir()) == ["winogen.bit", "winogen.hwh"]
    before = path.stat().st_mtime_ns
    assert device.ensure_overlay(path.parent) == path
    assert path.stat().st_mtime_ns == before


def test_without_a_folder_the_cache_is_used_one_folder_a_build(monkeypatch, tmp_path, device):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = EmulatedDevice(InvertingDma, parameters={"CI_LANES": 4})
    paths = {device.ensure_overlay(), other.ensure_overlay()}
    assert len(paths) == 2
    assert all(path.is_relative_to(tmp_path / "winogen") for path in paths)


def test_loading_writes_no_file(device, tmp_path):
    path = device.ensure_overlay(tmp_path)
    package = Path(pynq.__file__).parent / "pl_server"
    before = set(package.iterdir())
    pynq.Overlay(str(path), device=device)
    assert set(package.iterdir()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["winogen.bit", "winogen.hwh"]


def test_a_real_bitstream_is_refused(device, tmp_path):
    path = tmp_path / "base.bit"
    path.write_bytes(b"\0\x09" + bytes(64) + b"\xaa\x99\x55\x66" + bytes(64))
    (tmp_path / "base.hwh").write_text("<EDKSYSTEM/>")
    with pytest.raises(OverlayError, match=r"base\.bit is a bitstream for a real board"):
        pynq.Overlay(str(path), device=device)


def test_the_overlay_of_another_build_is_refused(device, tmp_path):
    other = EmulatedDevice(InvertingDma, parameters={"CI_LANES": 4})
    with pytest.raises(OverlayError, match="another build"):
        pynq.Overlay(str(other.ensure_overlay(tmp_path)), device=device)


def test_a_changed_or_missing_hwh_is_refused(device, tmp_path):
    path = device.ensure_overlay(tmp_path)
    hwh = path.with_suffix(".hwh")
    hwh.write_text(hwh.read_text().replace("CI_LANES", "CO_LANES"))
    with pytest.raises(OverlayError, match=r"winogen\.hwh is missing or was changed"):
        pynq.Overlay(str(path), device=device)
    hwh.unlink()
    with pytest.raises(OverlayError, match=r"winogen\.hwh is missing or was changed"):
        pynq.Overlay(str(path), device=device)


def test_a_partial_bitstream_is_refused(device, tmp_path):
    bitstream = pynq.Bitstream(str(device.ensure_overlay(tmp_path)), partial=True, device=device)
    with pytest.raises(OverlayError, match="part of the emulated logic"):
        bitstream.download()


def test_processes_may_write_the_same_overlay_at_once(tmp_path):
    program = (
        "import sys, pynq; from fakes.core import InvertingDma; "
        "from winogen.emulation.device import EmulatedDevice; d = EmulatedDevice(InvertingDma); "
        "o = pynq.Overlay(str(d.ensure_overlay(sys.argv[1])), device=d); "
        "assert o.winogen_0.read(0) == 0x574E4731"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    start = partial(child, [sys.executable, "-c", program, str(tmp_path)], env=env)
    with start() as one, start() as two, start() as three:
        assert [run.wait(timeout=60) for run in (one, two, three)] == [0, 0, 0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["winogen.bit", "winogen.hwh"]


# Interrupts


def test_the_interrupt_is_there_for_the_active_device_only(tmp_path):
    active, other = EmulatedDevice(InvertingDma), EmulatedDevice(InvertingDma)
    pynq.Device.active_device = active
    path = str(active.ensure_overlay(tmp_path))
    assert hasattr(pynq.Overlay(path, device=active).winogen_0, INTERRUPT_PIN)
    assert not hasattr(pynq.Overlay(path, device=other).winogen_0, INTERRUPT_PIN)
