"""What a board's processor takes: estimates, and what was measured instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from winogen.common.errors import InputError
from winogen.target.board import load_board
from winogen.target.host import HostCosts, calibrate, calibrated, host_costs

COSTS = HostCosts(2e-6, 3e-6, 2e8, 1e7, 4e-4, 9e-4)
Z2 = load_board("pynq-z2")


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_slower_processors_take_longer():
    nine, fifty_three = host_costs(Z2), host_costs(load_board("zcu104"))
    assert nine.call_s > fifty_three.call_s and nine.copy_bytes_per_s < fifty_three.copy_bytes_per_s


@pytest.mark.parametrize("name", ["tiny", "kc705"])
def test_what_has_no_processor_has_no_costs(name):
    assert host_costs(load_board(name)) is None


def test_what_was_measured_is_used_for_that_board_alone():
    other = host_costs(load_board("zcu104"))
    assert calibrated(Z2) is None
    assert calibrate(Z2, COSTS).is_file()
    assert host_costs(Z2) == calibrated(Z2) == COSTS
    assert host_costs(load_board("zcu104")) == other


def test_an_interrupt_that_nobody_measured_is_estimated():
    guess = host_costs(Z2).interrupt_s
    calibrate(Z2, replace(COSTS, interrupt_s=float("nan")))
    assert host_costs(Z2) == replace(COSTS, interrupt_s=guess)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_costs_that_cannot_be(value):
    with pytest.raises(InputError, match="no costs of a processor"):
        calibrate(Z2, replace(COSTS, call_s=value))
    assert calibrated(Z2) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"call_s": 1}', "[" * 100_000, "\x00", "1e999"])
def test_a_damaged_file_is_as_none(text):
    path = calibrate(Z2, COSTS)
    path.write_text(text, encoding="utf-8")
    assert calibrated(Z2) is None and host_costs(Z2) is not None
    path.write_bytes(b"\xff\xfe")
    assert calibrated(Z2) is None


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "winogen").write_text("a file")
    with pytest.raises(InputError, match=r"cannot store what was measured in .*host"):
        calibrate(Z2, COSTS)
