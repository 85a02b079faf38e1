"""Builds of ours on the devices of the paper, as large as its DSP48 allow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from winogen.fpga.area import Area
from winogen.fpga.estimate import estimate
from winogen.fpga.parts import find_part
from winogen.target.board import CoreConfig, load_board

_KEPT = Path(__file__).with_name("tdc_only.json")


@dataclass(frozen=True)
class Build:
    """A build on a device, with what it is estimated to take."""

    title: str
    device: str
    core: CoreConfig

    @property
    def area(self) -> Area:
        """Resources, estimated."""
        return estimate(self.core, find_part(self.device).family)


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
        )
    yield Build("winogen int8, kcu1500", "xcku115", load_board("kcu1500").core)


def largest(core: CoreConfig, dsp: int) -> int:
    """The most tile lanes with which the build of these lanes takes so many DSP48 at most."""
    tiles = 1
    while estimate(replace(core, tile_lanes=tiles + 1), "xc7").dsp <= dsp:
        tiles += 1
    return tiles
