"""The device that is picked for the user, and the line that says why."""

from __future__ import annotations

import pynq
import pytest

import winogen
from winogen import devices
from winogen.board import load_board
from winogen.devices import emulated_device, pick_device
from winogen.errors import DeviceError


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


@pytest.mark.parametrize("device", devices.DEVICES)
def test_the_variable_decides(device, monkeypatch):
    monkeypatch.setenv("BOARD", "ZCU104")
    monkeypatch.setenv("WINOGEN_DEVICE", device)
    assert pick_device() == (device, "zcu104", "WINOGEN_DEVICE says so")


def test_a_variable_that_names_no_device(monkeypatch):
    monkeypatch.setenv("WINOGEN_DEVICE", "fpga")
    with pytest.raises(DeviceError, match="WINOGEN_DEVICE is 'fpga'; set it to one of emulator"):
        pick_device()


def test_images_of_pynq_name_their_board(monkeypatch):
    monkeypatch.setenv("BOARD", "Pynq-Z1")
    picked = pick_device()
    assert picked[:2] == ("board", "pynq-z1")
    assert "WINOGEN_DEVICE=emulator" in str(picked)


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
