"""What the layers that a processor computes take, in conversions of a number (``LAYER_PASSES``).

    python benchmarks/host_layers.py [--seconds SECONDS]

A board's processor is slower than this one by about as much in either; what a conversion takes
there is measured by ``winogen doctor --calibrate``. Both are timed here in one run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from fractions import Fraction

import numpy as np
from host_cost import units

from winogen.common.script import run_script
from winogen.network.sampling import Axis
from winogen.program.host_layers import HostLayer, HostStep, Operands, Place
from winogen.program.host_memory import compute
from winogen.program.host_ops import (
    WEIGHT_BITS,
    AveragePool,
    Extend,
    HostOp,
    MaxPool,
    Multiply,
    Normalise,
    Rearrange,
    Resample,
    fraction_bits,
)
from winogen.target.numerics import Requantiser, int_range
from winogen.target.registers import Segment

CHANNELS, SIDE, LANES = 64, 128, 8


def operations(width: int) -> dict[str, HostOp]:
    """One of each kind, as its cost is known by."""
    up = Axis(SIDE, 2 * SIDE, Fraction(-1, 4), Fraction(1, 2))
    return {
        "normalise": Normalise(CHANNELS, True, 1000, fraction_bits(SIDE * SIDE, width)),
        "normalise pixels": Normalise(0, True, 1000, fraction_bits(CHANNELS, width)),
        "multiply": Multiply(),
        "pad": Extend("reflect", (1, 1, 1, 1)),
        "maxpool": MaxPool((2, 2), (2, 2), (0, 0, 0, 0)),
        "avgpool": AveragePool((3, 3), (1, 1), (1, 1, 1, 1)),
        "rearrange": Rearrange((((SIDE, 1),), ((SIDE, SIDE),), ((CHANNELS, SIDE * SIDE),))),
        "resample": Resample(up, up, WEIGHT_BITS[width]),
    }


def seconds_a_number(op: HostOp, width: int, seconds: float) -> float:
    """For one that the layer reads or makes; the least of some runs."""
    rng = np.random.default_rng(0)
    shape = (CHANNELS, SIDE, SIDE)
    made = op.output_shape([shape] * op.operands)
    low, high = int_range(width)
    constants = (1 << 14, 1 << 13, 20, low, high)
    layer = HostLayer(
        Operands(op, (1,) * op.operands),
        (CHANNELS,) * op.operands,
        np.full(made[0], 64),
        np.zeros(made[0], np.int64),
        Requantiser(*(np.full(made[0], c) for c in constants)),
        None,
    )
    word = LANES * width // 8
    source = Place(Segment.INPUT, 0, CHANNELS // LANES, SIDE, SIDE, word)
    target = Place(Segment.OUTPUT, 0, made[0] // LANES, made[1], made[2], word)
    step = HostStep(0, 0, (source,) * op.operands, target)
    memory = {
        Segment.INPUT: rng.integers(0, 256, source.size(1)).astype(np.uint8),
        Segment.OUTPUT: np.zeros(target.size(1), np.uint8),
    }
    numbers = op.operands * int(np.prod(shape)) + int(np.prod(made))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        begin = time.process_time()
        compute(step, layer, 1, width, memory)
        best = min(best, time.process_time() - begin)
    return best / numbers


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each (default: 1)")
    options = parser.parse_args()
    convert = 1 / units(options.seconds)["convert_elements_per_s"]
    found = {
        name: [
            round(seconds_a_number(operations(width)[name], width, options.seconds) / convert, 1)
            for width in (8, 16)
        ]
        for name in operations(8)
    }
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
