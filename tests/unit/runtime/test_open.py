"""The device that is picked for the user, and the line that says why."""

from __future__ import annotations

import shutil
import sys

import pynq
import pytest

import winogen
from winogen.cli import main as cli
from winogen.common.errors import DeviceError
from winogen.emulation.device import EmulatedDevice
from winogen.runtime.open import emulated_device, open_device
from winogen.runtime.overlay import bundled_overlay
from winogen.runtime.pick import DEVICES, pick_device
from winogen.target.board import board_folder, load_board


@pytest.fixture(autouse=True)
def laptop(monkeypatch):
    """No variable is set, and pynq finds nothing."""
    monkeypatch.delenv("WINOGEN_DEVICE", raising=False)
    monkeypatch.delenv("BOARD", raising=False)
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)
    monkeypatch.setattr(pynq.Device, "_devices", [], raising=False)


def test_a_laptop_has_the_emulator():
    assert str(pick_device()) == (
        "emulator, as board pynq-z2: this is no PYNQ board (WINOGEN_DEVICE chooses another)"
    )
    assert winogen.pick_device is pick_device


@pytest.mark.parametrize("device", DEVICES)
def test_the_variable_decides(device, monkeypatch):
    monkeypatch.setenv("BOARD", "ZCU104")
    monkeypatch.setenv("WINOGEN_DEVICE", device)
    assert pick_device() == (device, "zcu104", "WINOGEN_DEVICE says so")


def test_a_variable_that_names_no_device(monkeypatch):
    monkeypatch.setenv("WINOGEN_DEVICE", "fpga")
    with pytest.raises(DeviceError, match="WINOGEN_DEVICE is 'fpga'; set it to one of emulator"):
        pick_device()


def test_a_variable_that_names_a_remote_board(monkeypatch):
    monkeypatch.setenv("WINOGEN_DEVICE", "remote:192.168.2.99")
    assert pick_device().device == "remote:192.168.2.99"
    monkeypatch.setenv("WINOGEN_DEVICE", "remote:")
    with pytest.raises(DeviceError, match=r"is no address of a PYNQ\.remote board"):
        pick_device()


def test_pynqs_variable_names_a_remote_board(monkeypatch):
    """And pynq is not asked, which would connect to it."""
    monkeypatch.setattr(pynq.Device, "_active_device", object())
    monkeypatch.setenv("PYNQ_REMOTE_DEVICES", " 192.168.2.99, ")
    assert pick_device()[::2] == ("remote:192.168.2.99", "PYNQ_REMOTE_DEVICES names it")
    with pytest.raises(DeviceError, match="PYNQ_REMOTE_DEVICES is set, so pynq finds no board"):
        open_device("board", load_board("tiny"))
    monkeypatch.setenv("WINOGEN_DEVICE", "emulator")
    assert pick_device().device == "emulator"
    monkeypatch.delenv("WINOGEN_DEVICE")
    monkeypatch.setenv("PYNQ_REMOTE_DEVICES", "192.168.2.98,192.168.2.99")
    with pytest.raises(DeviceError, match="names several boards"):
        pick_device()


def test_a_pynq_without_remote_boards(monkeypatch):
    """pynq 3, or one whose gRPC is missing."""
    monkeypatch.setitem(sys.modules, "winogen.runtime.remote.device", None)
    with pytest.raises(DeviceError) as error:
        open_device("remote:192.168.2.99", load_board("tiny"))
    assert "needs the PYNQ.remote of pynq 4, and this is pynq " in str(error.value)
    assert "pip install 'pynq>=4'" in str(error.value)


def test_images_of_pynq_name_their_board(monkeypatch):
    monkeypatch.setenv("BOARD", "Pynq-Z1")
    picked = pick_device()
    assert picked[:2] == ("board", "pynq-z1")
    assert "WINOGEN_DEVICE=emulator" in str(picked)


def test_the_build_that_there_is_a_bitstream_of(tmp_path, monkeypatch):
    """A PYNQ-Z2 may have that of open tools alone; programs for either build find theirs."""
    folder = tmp_path / "overlays"
    shutil.copytree(board_folder(), folder, ignore=shutil.ignore_patterns("*.bit"))
    for module in ("target.board", "runtime.overlay"):
        monkeypatch.setattr(f"winogen.{module}.board_folder", lambda: folder)
    full, small = load_board("pynq-z2"), load_board("pynq-z2-open")
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    assert pick_device().board == "pynq-z2"
    with pytest.raises(DeviceError, match=r"for pynq-z2-open yet; .*-open --bits 8 --tool open'"):
        bundled_overlay(small)
    (folder / "pynq-z2-open" / "winogen.bit").write_bytes(b"")
    assert pick_device()[:2] == ("board", "pynq-z2-open")
    monkeypatch.delenv("BOARD")
    assert pick_device()[:2] == ("emulator", "pynq-z2")  # a laptop that has made it
    monkeypatch.setattr(pynq.Device, "_active_device", object())
    assert pick_device()[:2] == ("board", "pynq-z2-open")
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    assert bundled_overlay(small) == folder / "pynq-z2-open" / "winogen.bit"
    with pytest.raises(DeviceError, match=r"no int8 bitstream for pynq-z2 yet; .* --tool vivado'"):
        bundled_overlay(full)
    (folder / "pynq-z2" / "winogen.bit").write_bytes(b"")
    assert pick_device().board == "pynq-z2"
    assert bundled_overlay(full) == folder / "pynq-z2" / "winogen.bit"
    assert bundled_overlay(small) == folder / "pynq-z2-open" / "winogen.bit"
    monkeypatch.setenv("BOARD", "ZCU104")
    with pytest.raises(DeviceError, match=r"this board is zcu104, .* with --board zcu104"):
        bundled_overlay(small)


def test_a_device_that_pynq_finds_is_a_board(monkeypatch):
    monkeypatch.setattr(pynq.Device, "_active_device", object())
    assert pick_device() == (
        "board", "pynq-z2", "pynq finds a device (WINOGEN_DEVICE=emulator runs without the board)"
    )  # fmt: skip


def test_an_emulated_device_is_no_board(monkeypatch):
    monkeypatch.setattr(pynq.Device, "_active_device", emulated_device(load_board("tiny")))
    assert pick_device().device == "emulator"


def test_what_is_picked_runs():
    picked = pick_device()
    program = winogen.compile_model("digits", board=picked.board, batch=1)
    with winogen.Generator(program, picked.device) as generator:
        assert generator.generate(generator.latents(1)).shape == (1, 32, 32, 1)


def test_auto_is_what_is_picked(monkeypatch):
    program = winogen.compile_model("digits", board="tiny", batch=1)
    with winogen.Generator(program, "auto") as generator:
        assert isinstance(generator.device, EmulatedDevice)
    monkeypatch.setenv("WINOGEN_DEVICE", "board")
    with pytest.raises(DeviceError, match="no PYNQ board found here"):
        winogen.Generator(program, "auto")


def test_an_open_device_is_shared_and_stays_open():
    board = load_board("tiny")
    program = winogen.compile_model("digits", board="tiny", batch=1)
    opened = open_device("emulator", board)
    cores = []
    for _ in range(2):
        with winogen.Generator(program, opened) as generator:
            assert generator.device is opened.device
            generator.generate(generator.latents(1))
            cores.append(opened.device.core)
    assert cores[0] is cores[1]  # the overlay was not loaded again
    with pytest.raises(DeviceError, match=r"overlay x\.bit cannot be loaded: the device is open"):
        open_device(opened, board, "x.bit")
    opened.core.close()


def run(*arguments: str) -> int:
    return cli.main(["run", "digits", "-n", "1", "-o", "a.png", "--batch", "1", *arguments])


def test_run_says_what_it_picked_and_compiles_for_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOARD", "ZCU104")
    monkeypatch.setenv("WINOGEN_DEVICE", "emulator")
    assert run("--device", "auto") == 0
    out = capsys.readouterr().out
    assert out.startswith("emulator, as board zcu104: WINOGEN_DEVICE says so\n")
    assert "on zcu104 while" in out and "from the emulator" in out
    assert run("--device", "auto", "--board", "tiny") == 0
    assert "emulator, as board tiny: WINOGEN_DEVICE says so\n" in capsys.readouterr().out


def test_a_program_file_keeps_its_board(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOARD", "ZCU104")
    monkeypatch.setenv("WINOGEN_DEVICE", "emulator")
    winogen.compile_model("digits", board="tiny", batch=1).save("a.wg")
    assert cli.main(["run", "a.wg", "-n", "1", "-o", "a.png", "--device", "auto"]) == 0
    assert capsys.readouterr().out.startswith("emulator: WINOGEN_DEVICE says so\n")
    assert cli.main(["verify", "a.wg", "--model", "digits", "--device", "auto", "-n", "1"]) == 0
    assert capsys.readouterr().out.startswith("emulator: WINOGEN_DEVICE says so\n")


def test_run_auto_on_a_board(tmp_path, monkeypatch, capsys):
    """Here pynq finds none, which is the error that it must be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOARD", "Pynq-Z1")
    assert run("--device", "auto") == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("board, as board pynq-z1: BOARD is set")
    assert "no PYNQ board found here; on a board, be root" in captured.err
