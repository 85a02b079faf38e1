"""Host layers of 8 bits by tables of 256 bytes: the integers of the plain definition, every one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import examples
from winogen.common.errors import ProgramError
from winogen.network.sampling import Axis
from winogen.program.host_bytes import run_bytes
from winogen.program.host_layers import HostLayer, Operands
from winogen.program.host_ops import (
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
from winogen.target.numerics import TABLE_ENTRIES, Requantiser

C, H, W = 6, 4, 5
ONE = (C, H, W)
OPS: list[tuple[HostOp, tuple[tuple[int, int, int], ...]]] = [
    *((Normalise(g, c, e, fraction_bits(C * H * W // g if g else C, 8)), (ONE,))
      for g in (6, 3, 1, 0) for c in (True, False) for e in (0, 1 << 34)),
    *((Multiply(), pair) for pair in (
        (ONE, ONE), (ONE, (C, 1, 1)), ((C, 1, 1), ONE), (ONE, (1, 1, 1)), (ONE, (1, H, W)),
        ((1, H, W), (C, 1, 1)), ((C, 1, 1), (C, 1, 1)), ((1, 1, 1), (C, 1, 1)),
        ((C, H, 1), (C, 1, W)),
    )),
    (Extend("reflect", (1, 2, 3, 0)), (ONE,)), (Extend("edge", (0, 5, 0, 1)), (ONE,)),
    (AveragePool((2, 3), (2, 1), (1, 0, 1, 1)), (ONE,)),
    (MaxPool((2, 3), (2, 1), (1, 0, 1, 1)), (ONE,)),
    (Resample(Axis(H, 7, Fraction(-1, 4), Fraction(1, 2)),
              Axis(W, 3, Fraction(1, 3), Fraction(5, 3), Fraction(-3, 4)), 10), (ONE,)),
    (Rearrange((((C, H * W),), ((W, 1),), ((H, W),))), (ONE,)),
    (Rearrange((((2, 0), (C, H * W)), ((H, W),), ((W, 1), (2, 0)))), (ONE,)),
]  # fmt: skip


@examples(120)
@given(st.data())
def test_tables_give_the_same_integers(data):
    op, shapes = data.draw(st.sampled_from(OPS))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    kind = data.draw(st.sampled_from(("any", "extreme", "flat", "few")))
    sources = []
    for shape in shapes:
        x = rng.integers(-128, 128, (1, *shape))
        if kind == "extreme":
            x = rng.choice((-128, 127), x.shape)
        elif kind != "any":  # statistics of almost nothing: tables reach far beyond
            x = np.full(x.shape, rng.integers(-128, 128))
            if kind == "few":
                x.flat[rng.integers(x.size)] = rng.integers(-128, 128)
        sources.append(x)
    op.check()
    channels = op.output_shape(shapes)[0]
    table = (
        rng.integers(-32768, 32768, TABLE_ENTRIES).astype(np.int16) if rng.random() < 0.3 else None
    )
    end = 1 << (15 if table is not None else 7)
    if rng.random() < 0.2:  # nothing happens to what is picked
        weight, bias = np.ones(channels, np.int64), np.zeros(channels, np.int64)
        positive, shift = np.full(channels, 1 << 14), np.full(channels, 14)
    else:
        weight = rng.integers(-127, 128, channels)
        bias = rng.integers(-(1 << 28), 1 << 28, channels) >> rng.integers(0, 28)
        positive = rng.integers(1 << 14, 1 << 15, channels)
        shift = rng.integers(14, 40, channels)
    sign = rng.choice((-1, 1), channels)
    requantiser = Requantiser(
        positive, positive * sign, shift, np.full(channels, -end), np.full(channels, end - 1)
    )
    counts = tuple(shape[0] for shape in shapes)
    layer = HostLayer(Operands(op, (1,) * len(shapes)), counts, weight, bias, requantiser, table)
    wanted = layer.run(sources, 8)
    got = run_bytes(layer, [x.astype(np.int8) for x in sources])
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, wanted)


def test_operands_of_several_values():
    op = Normalise(3, True, 0, 10)
    ones = np.ones(C, np.int64)
    r = Requantiser(ones << 14, ones << 14, ones * 18, -128 * ones, 127 * ones)
    layer = HostLayer(Operands(op, (2,)), (4, 2), ones, 0 * ones, r, None)
    rng = np.random.default_rng(0)
    sources = [rng.integers(-128, 128, (1, c, H, W)) for c in (4, 2)]
    wanted = layer.run(sources, 8)
    np.testing.assert_array_equal(run_bytes(layer, [x.astype(np.int8) for x in sources]), wanted)


@pytest.mark.parametrize(
    "factors",
    [
        (((2, 1),), ((2, 1),)),
        (((0, 1),), ((2, 1),), ((2, 1),)),
        (((2, -1),), ((2, 1),), ((2, 1),)),
        (((1 << 30, 0),), ((2, 0),), ((2, 1),)),
        (((2, 1 << 40),), ((2, 1),), ((2, 1),)),
        (((7, H * W),), ((2, 1),), ((2, 1),)),
        (((1, 1 << 100),), ((2, 1),), ((2, 1),)),
    ],
)
def test_rearrangements_that_are_not_possible(factors):
    op = Rearrange(factors)
    with pytest.raises(ProgramError):
        op.check()
        op.output_shape([ONE])
