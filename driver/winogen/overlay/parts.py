"""FPGA devices: what they have, and how much of it the accelerator may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from winogen.errors import BoardError

_PARTS = Path(__file__).with_name("parts.yaml")


@dataclass(frozen=True)
class Part:
    """A device, whatever its package and speed grade.

    Attributes
    ----------
    name, family : as in ``xc7z020`` and, for Yosys, ``xc7``
    dsp, ramb36, lut, ff : how many there are
    limits : by data width and name, what a design may have at most (``dsp_least``: at least);
        delays in ps
    """

    name: str
    family: str
    dsp: int
    ramb36: int
    lut: int
    ff: int
    limits: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


def find_part(name: str) -> Part:
    """The device of a full part name (``xc7z020clg400-1``); BoardError if it is not known."""
    parts = yaml.safe_load(_PARTS.read_text(encoding="utf-8"))
    for known, data in parts.items():
        if name.startswith(known):
            return Part(known, **data)
    raise BoardError(f"there are no figures for part '{name}'; known parts: {', '.join(parts)}")
