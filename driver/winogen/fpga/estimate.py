"""What a build takes of an FPGA, estimated from its configuration in no time.

DSP48 and block RAM follow from the logic's structure. LUTs and flip-flops are sums of a few sizes
of that structure, with factors fitted to syntheses (``syntheses.json``; ``winogen overlay report
--json`` measures one).
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from winogen.fpga.area import Area
from winogen.fpga.parts import PACKED
from winogen.target.board import CoreConfig
from winogen.target.numerics import accumulator_bits
from winogen.target.registers import TRACE_DEPTH

_SYNTHESES = Path(__file__).with_name("syntheses.json")
#: Words of a RAMB36 by its width, and of a RAMB18 (bits).
_RAMB36 = {72: 512, 36: 1024, 18: 2048, 9: 4096, 4: 8192, 2: 16384, 1: 32768}
_RAMB18 = {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384}
#: Two RAMB18 instead of a RAMB36 must save at least this part.
_WORTH = 0.03
#: Entries of the two halves of the activation table.
_TABLE_DEPTHS = (513, 512)
_STEP_BITS = 26
_RECORD_BITS = 32
_CLAMP_BITS = 32
#: Read ports of the syntheses that factors are fitted to.
_PORTS = 2


def estimate(core: CoreConfig, family: str) -> Area:
    """Resources of a build on a family of devices (xc7, xcu, xcup)."""
    area = _estimate(core, family, True)
    area.ff += _beside_accumulators(core)
    return area


def _estimate(core: CoreConfig, family: str, windows: bool) -> Area:
    """The same; without ``windows`` as of the logic before hardware 2.0, which had none."""
    area = Area()
    for count, width, depth in _memories(core):
        large, small = block_rams(width, depth)
        area.ramb36 += count * large
        area.ramb18 += count * small
    lanes = core.ci_lanes
    # Beside the array: two for each lane's requantiser, one for its table; three addresses.
    area.dsp = core.multipliers + 3 * lanes + 3
    packed = family in PACKED
    sizes = _sizes(core, windows)
    if not packed:
        sizes = np.concatenate([sizes, _unpacked(core)])
    extra = _decoder() * bool(core.decoder) + _port() * max(0, core.read_ports - _PORTS)
    area.lut, area.ff = (
        max(0, round(float(sizes @ f + more))) for f, more in zip(_factors(packed), extra)
    )
    return area


def _beside_accumulators(core: CoreConfig) -> int:
    """Flip-flops: what both halves held, and the last sums. None of the syntheses has them."""
    sums = accumulator_bits(core.data_width)
    return 3 * core.products * core.tile_lanes * core.co_lanes * sums


def block_rams(width: int, depth: int) -> tuple[int, int]:
    """RAMB36 and RAMB18 of a memory with one write and one read port, as Yosys chooses them."""
    large, small = (
        min(-(-width // bits) * -(-depth // words) for bits, words in shapes.items())
        for shapes in (_RAMB36, _RAMB18)
    )
    return (0, small) if small / 2 < (1 - _WORTH) * large else (large, 0)


def _memories(core: CoreConfig) -> list[tuple[int, int, int]]:
    """How many there are of each block RAM, its width (bits) and depth."""
    lanes, sums = core.ci_lanes, accumulator_bits(core.data_width)
    word = lanes * core.data_width
    entry = sums + 6 + 2 * 16 + 2  # bias, shift, two multipliers, two checks
    return [
        (4, word, -(-core.input_depth // 4)),
        (core.products * lanes // 2, 2 * lanes * (core.data_width + 4), core.weight_depth),
        (1, lanes * sums, core.psum_depth),
        (1, word, core.output_depth),
        (1, _STEP_BITS, core.step_depth),
        (1, _RECORD_BITS, TRACE_DEPTH),
        (lanes, entry, core.param_depth),
        (lanes, _CLAMP_BITS, core.param_depth),
        *((lanes, 16, depth) for depth in _TABLE_DEPTHS),
    ]


def _sizes(core: CoreConfig, windows: bool) -> NDArray[np.float64]:
    """What LUTs and flip-flops grow with.

    The large arrays were synthesised before hardware 2.0. What came then, windows of memory and
    registers in the longest paths, is no part of the array: it is one figure for every core.
    """
    lanes, tiles = core.ci_lanes, core.tile_lanes
    sums = accumulator_bits(core.data_width)
    return np.array(
        [
            1.0,  # control, ports
            float(windows),
            lanes * sums,  # requantisers, words of sums
            tiles * lanes * sums,  # accumulators, inverse transform
            lanes * lanes * core.data_width,  # filter transform, weights on their way
            # Of pairs: residues, a second block's sums, twice the weights on their way.
            (core.products - 1) * (tiles + 1) * lanes * lanes,
        ]
    )


def _unpacked(core: CoreConfig) -> NDArray[np.float64]:
    """What stays outside of DSP48 that Yosys does not fill: adders and registers."""
    return np.array([core.multipliers * accumulator_bits(core.data_width)], float)


def _measured() -> list[tuple[CoreConfig, bool, str, dict[str, int]]]:
    """The syntheses: configuration, whether memory had windows, family, what was taken."""
    return [
        (CoreConfig(**s["core"]), s["windows"], s["family"], s["total"])
        for s in json.loads(_SYNTHESES.read_text(encoding="utf-8"))
    ]


def _differences(part: str, plain: int) -> list[tuple[CoreConfig, NDArray[np.float64]]]:
    """Syntheses with more than ``plain`` of a part, and the LUTs and flip-flops that it took.

    Those are what they take more than another synthesis, else alike, with ``plain`` of it.
    """
    known = {(core, family): total for core, _, family, total in _measured()}
    return [
        (core, np.array([total[n] - known[bare, family][n] for n in ("lut", "ff")], float))
        for (core, family), total in known.items()
        if getattr(core, part) > plain and (bare := replace(core, **{part: plain}), family) in known
    ]


@cache
def _decoder() -> NDArray[np.float64]:
    """LUTs and flip-flops of a decoder, which gives as many weights a cycle whatever takes them."""
    return _mean([more for _, more in _differences("decoder", 0)])


@cache
def _port() -> NDArray[np.float64]:
    """LUTs and flip-flops of a read port beyond the second."""
    ports = _differences("read_ports", _PORTS)
    return _mean([more / (core.read_ports - _PORTS) for core, more in ports])


def _mean(known: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Zeros where nothing is known."""
    return np.sum(known, axis=0) / len(known) if known else np.zeros(2)


@cache
def _factors(packed: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """LUTs and flip-flops of each size, by least squares of relative errors."""
    rows = []
    for core, windows, family, total in _measured():
        if core.decoder or core.read_ports > _PORTS:
            continue
        fits = family in PACKED
        sizes, outside = _sizes(core, windows), _unpacked(core) * (not fits)
        if packed and fits:
            rows.append((sizes, total))
        elif not packed:
            rows.append((np.concatenate([sizes, outside]), total))
    lut, ff = (
        np.linalg.lstsq(
            np.array([sizes / total[name] for sizes, total in rows]), np.ones(len(rows)), rcond=None
        )[0]
        for name in ("lut", "ff")
    )
    return lut, ff
