"""FPGA devices: what they have, and how much of it the accelerator may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from winogen.common.errors import BoardError
from winogen.fpga.area import Area

#: Families whose DSP48 Yosys fills with registers and adders; in the others they stay outside
#: (Vivado puts them in).
PACKED = ("xc7",)
#: The part of a device that a build may fill where the part has no limit of its own; what is
#: left over is for placement and routing.
_FILL = {"dsp": 1.0, "ramb36": 0.93, "ff": 0.5}
#: The same for LUTs: more of them for the wider sums of 16-bit data, and where a third of what
#: Yosys counts belongs into DSP48.
_FILL_LUT, _FILL_LUT_WIDE = 0.6, 0.8

_PARTS = Path(__file__).with_name("parts.yaml")


@dataclass(frozen=True)
class Part:
    """A device, whatever its package and speed grade.

    Attributes
    ----------
    name, family : as in ``xc7z020`` and, for Yosys, ``xc7``
    dsp, ramb36, lut, ff : how many there are
    goal : ps that a path should take at most, nets estimated; 0 where nothing is aimed at
    limits : by data width and name, what a design may have at most (``dsp_least``: at least);
        delays in ps; ``late``: registers that may miss the board's clock, nets estimated
    """

    name: str
    family: str
    dsp: int
    ramb36: int
    lut: int
    ff: int
    goal: int = 0
    limits: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    def limit(self, resource: str, data_width: int) -> int:
        """The most of ``dsp``, ``ramb36``, ``lut`` or ``ff`` that a build may take."""
        limit = self.limits.get(data_width, {}).get(resource)
        if limit is not None:
            return limit
        wide = data_width == 16 or self.family not in PACKED
        fill = {"lut": _FILL_LUT_WIDE if wide else _FILL_LUT, **_FILL}[resource]
        return int(fill * getattr(self, resource))

    def holds(self, area: Area, data_width: int) -> bool:
        """Whether a build is within the limits."""
        return all(
            used <= self.limit(resource, data_width)
            for resource, used in (
                ("dsp", area.dsp),
                ("ramb36", area.block_ram),
                ("lut", area.lut),
                ("ff", area.ff),
            )
        )


def find_part(name: str) -> Part:
    """The device of a full part name (``xc7z020clg400-1``); BoardError if it is not known."""
    parts = yaml.safe_load(_PARTS.read_text(encoding="utf-8"))
    for known, data in parts.items():
        if name.startswith(known):
            return Part(known, **data)
    raise BoardError(f"there are no figures for part '{name}'; known parts: {', '.join(parts)}")
