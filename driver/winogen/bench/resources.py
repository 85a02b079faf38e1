"""Builds of ours on the devices of the paper, as large as its DSP48 allow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from winogen.fpga.area import Area
from winogen.fpga.estimate import estimate
from winogen.fpga.parts import find_part
from winogen.target.board import CoreConfig, load_board

_KEPT = Path(__file__).with_name("tdc_only.json")
#: What ``benchmarks/large_builds.py --keep`` has kept, by title of the build.
LARGE = Path(__file__).with_name("large_builds.json")


@dataclass(frozen=True)
class Build:
    """A build on a device; its clock and memory are those of ``board``."""

    title: str
    device: str
    core: CoreConfig
    board: str

    @property
    def area(self) -> Area:
        """Resources: synthesised in parts where they are kept, else estimated."""
        found = self.kept
        return self.counted(found) if found else estimate(self.core, find_part(self.device).family)

    @property
    def kept(self) -> dict[str, Any]:
        """What is kept of this build; nothing where it has changed since."""
        kept = json.loads(LARGE.read_text(encoding="utf-8")).get(self.title, {})
        return kept if kept.get("config") == self.core.config_hash else {}

    @staticmethod
    def counted(kept: dict[str, Any]) -> Area:
        """Resources that are kept."""
        return Area(**kept["area"])


@dataclass(frozen=True)
class Pair:
    """One array of ours, synthesised as it is and able to do TDC alone."""

    board: str
    multipliers: int
    products: int
    winograd: Area
    direct: Area


def pairs() -> list[Pair]:
    """What ``benchmarks/tdc_only.py --keep`` has kept."""
    kept = json.loads(_KEPT.read_text(encoding="utf-8"))
    return [
        Pair(
            board,
            entry["multipliers"],
            entry["products"],
            Area(**entry["Winograd"]),
            Area(**entry["TDC alone"]),
        )
        for board, entry in kept.items()
    ]


def excess(board: str) -> tuple[float, float]:
    """By which part a board's build has more LUT and FF in parts than flat, of what is kept."""
    parts = Area(**json.loads(LARGE.read_text(encoding="utf-8"))[board]["area"])
    flat = next(pair.winograd for pair in pairs() if pair.board == board)
    return parts.lut / flat.lut - 1, parts.ff / flat.ff - 1


#: DSP48 of the paper's array, which ours may take.
PAPER_DSP = 2560


def builds() -> Iterator[Build]:
    """Ours in the places of the paper's builds."""
    core = load_board("kc705").core
    tiles = largest(core, PAPER_DSP)
    for products in (1, 2):
        depth = core.weight_depth * core.products // products
        yield Build(
            f"winogen int8, {products} a multiplier",
            "xc7vx485t",
            replace(core, tile_lanes=tiles, products=products, weight_depth=depth),
            "kc705",
        )
    yield Build("winogen int8, kcu1500", "xcku115", load_board("kcu1500").core, "kcu1500")


def largest(core: CoreConfig, dsp: int) -> int:
    """The most tile lanes with which the build of these lanes takes so many DSP48 at most."""
    tiles = 1
    while estimate(replace(core, tile_lanes=tiles + 1), "xc7").dsp <= dsp:
        tiles += 1
    return tiles
