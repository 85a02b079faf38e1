"""How many rounds of random stimulus a simulation makes: a share by default, all in the sweeps."""

from __future__ import annotations

import os

import pytest

#: What a simulation that takes many seconds is parametrised with.
SHARES = [pytest.param(0.4, id="some"), pytest.param(1.0, id="all", marks=pytest.mark.long)]
#: Tells the simulation, a process of its own.
VARIABLE = "WG_SHARE"


def some(count: int) -> int:
    """The share of so many rounds, at least one."""
    return max(1, round(count * float(os.environ.get(VARIABLE, "1"))))
