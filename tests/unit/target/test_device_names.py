"""What a device can be called."""

from __future__ import annotations

import pytest

from winogen.cli.device import DEVICE_CHOICES
from winogen.common.errors import DeviceError
from winogen.target.device_names import is_hardware, is_remote, kind_of, remote_address


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [
        ("remote:192.168.2.99", "192.168.2.99", 7967),
        ("remote:board.local:80", "board.local", 80),
        ("remote:[fe80::1%eth0]", "[fe80::1%eth0]", 7967),
        ("remote:[::1]:65535", "[::1]", 65535),
    ],
)
def test_addresses(name, host, port):
    assert remote_address(name) == (host, port)
    assert str(remote_address(name)) == f"{host}:{port}"
    assert is_remote(name) and is_hardware(name) and kind_of(name) == "remote"
    assert name in DEVICE_CHOICES


@pytest.mark.parametrize(
    "name",
    ["remote:", "remote::7967", "remote:a:0", "remote:a:65536", "remote:fe80::1", "remote:a b",
     "remote:unix:/tmp/x", "remote:a/b", "remote:a:1:2", "remote:[::1", "remote:a\n"],
)  # fmt: skip
def test_no_addresses(name):
    with pytest.raises(DeviceError, match=r"is no address of a PYNQ\.remote board; write remote:"):
        remote_address(name)


def test_devices_of_this_machine():
    for name in ("emulator", "rtl", "board", "auto"):
        assert name in DEVICE_CHOICES and not is_remote(name)
        assert is_hardware(name) == (name == "board") and kind_of(name) == name
    assert "fpga" not in DEVICE_CHOICES and "remote:ADDRESS" in list(DEVICE_CHOICES)
