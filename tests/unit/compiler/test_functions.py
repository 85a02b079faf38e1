"""Activation tables of functions: what range they cover, and how far off they are."""

from __future__ import annotations

import re

import numpy as np
import pytest

from support.places import ROOT
from support.random_graphs import GraphBuilder
from winogen.compiler import functions
from winogen.compiler.block import Block
from winogen.compiler.compile import compile_graph
from winogen.compiler.functions import codes_of, half_range, table_error, table_of
from winogen.compiler.integers import integer_activations
from winogen.compiler.quantise import quantise
from winogen.compiler.shape import ConvShape
from winogen.network.functions import ACTIVATIONS, Function
from winogen.network.graph import Graph
from winogen.program.formats import TensorFormat
from winogen.target.board import load_board
from winogen.target.numerics import apply_table, int_range

#: The functions that generators have.
NAMED = ("silu", "gelu", "gelu_tanh", "hardswish", "mish", "elu", "selu", "celu", "softplus")
#: Smallest and largest argument of each column of the table in docs/design/numerics.md.
COLUMNS = [(-3, 3), (-10, 10), (-30, 30), (-100, 100), (-300, 300), (-60, 1)]


def block_of(curve: Function) -> Block:
    """A block with nothing but a function."""
    shape = ConvShape(False, (1, 1), (1, 1), (0, 0), (1, 1), (1, 1))
    ones = np.ones((1, 1, 1, 1))
    block = Block("y", ["y"], ("x",), shape, False, ones, np.zeros(1))
    block.function, block.curve, block.entering = "function", curve, "x"
    return block


def measured(curve: Function, low: float, high: float, bits: int) -> tuple[float, float]:
    """The half range of a table, and the most codes that it is off by."""
    top = int_range(bits)[1]
    out = TensorFormat(float(np.abs(curve(np.linspace(low, high, 9999))).max()) / top)
    codes = codes_of(block_of(curve), out, bits, None)
    ends = np.array([low, high])
    half = half_range(codes, ends, 0.0)
    return half, table_error(codes, table_of(codes, half, bits), half, bits, ends)


@pytest.mark.parametrize("name", NAMED)
def test_8_bits_are_as_good_as_rounding(name):
    for low, high in COLUMNS:
        assert measured(ACTIVATIONS[name], low, high, 8)[1] <= 0.52, (low, high)


@pytest.mark.parametrize("name", [*NAMED, "softsign"])
def test_16_bits_are_as_documented(name):
    text = (ROOT / "docs" / "design" / "numerics.md").read_text(encoding="utf-8")
    [row] = re.findall(rf"^\| {name} \|(.*)\|$", text, re.MULTILINE)
    shown = [float(cell.replace(",", "")) for cell in row.split("|")]
    errors = [measured(ACTIVATIONS[name], low, high, 16)[1] for low, high in COLUMNS]
    np.testing.assert_allclose(shown, errors, atol=0.05 + 1e-9)


def test_a_table_ends_where_its_function_does_not_change_any_more():
    """With a range that holds all arguments SiLU was off by 170 codes of 16 bits here."""
    half, error = measured(ACTIVATIONS["silu"], -60, 1, 16)
    assert (half, error < 4) == (16, True)
    assert measured(ACTIVATIONS["hardswish"], -60, 1, 16)[0] == 4
    # It goes on above 0, but codes end at 60.
    assert measured(ACTIVATIONS["silu"], -60, 60, 16)[0] == 64


@pytest.mark.parametrize("bits", [8, 16])
def test_arguments_beyond_the_table_give_what_its_ends_give(bits):
    curve = ACTIVATIONS["mish"]
    out = TensorFormat(1 / int_range(bits)[1])
    codes = codes_of(block_of(curve), out, bits, None)
    x = np.linspace(-500, 1, 5001)
    half = half_range(codes, x, 0.0)
    assert half < 64
    pre = np.clip(np.floor(x / half * 32768 + 0.5), -32768, 32767).astype(np.int64)
    got = apply_table(table_of(codes, half, bits), pre, bits)
    off = np.abs(got - codes(x))
    assert off[x < -half].max() <= functions._FLAT + {8: 0.51, 16: 1.0}[bits]


def test_ranges_have_bounds():
    """What is the same everywhere has an end, and requantisers multiply by so much and no more."""
    flat = Function.of("Clip", {}, 2.0, 2.0)
    codes = codes_of(block_of(flat), TensorFormat(1.0), 8, None)
    assert half_range(codes, np.array([-50.0, 50.0]), 0.0) == functions._SMALLEST
    assert half_range(codes, np.array([-50.0, 50.0]), 3.0) == 4
    assert half_range(codes, np.array([0.0, 0.0]), 0.0) < functions._SMALLEST
    assert half_range(codes, np.array([-1.0, 1.0]), 3.0) == 4
    silu = codes_of(block_of(ACTIVATIONS["silu"]), TensorFormat(0.01), 8, None)
    assert half_range(silu, np.array([-1.0, 1.0]), 0.0) == 2  # a quarter to spare


def network(curve: Function) -> Graph:
    """A convolution and a function."""
    b = GraphBuilder(2, (4, 6, 6))
    b.conv(8)
    b.add("function", function=curve)
    return b.graph()


def test_coarse_sums_do_not_make_a_range_too_short():
    """With a range of what the function needs, no requantiser could multiply a unit of the sums."""
    b = GraphBuilder(2, (4, 6, 6))
    small = b.conv(8)
    b.last = Graph.INPUT_NAME
    large = b.conv(8)
    b.nodes[-1].params["weight"] *= np.float32(12_000)
    b.add("add", small, large)  # which makes their steps the same
    large = b.last
    b.last = small
    b.conv(8)
    b.nodes[-1].params["weight"] *= np.float32(20)
    b.nodes[-1].params["bias"] -= np.float32(50)
    label = b.last
    b.add("function", function=ACTIVATIONS["silu"])
    b.add("add", large, b.last)
    made = quantise(b.graph(), 8, samples=8)
    [layer] = [layer for layer in made.layers if layer.label == label]
    assert layer.reach == 128


@pytest.mark.parametrize("bits", [8, 16])
def test_arguments_that_are_always_zero(bits):
    """They have no range of their own, and a unit of their sums is not little."""
    b = GraphBuilder(2, (4, 6, 6))
    same = b.conv(8)
    b.add("subtract", same, same)
    b.add("function", function=ACTIVATIONS["gelu"])
    b.add("add", same, b.last)
    made = quantise(b.graph(), bits, samples=4)
    x = made.quantise_input(np.ones((1, 4, 6, 6)))
    values = dict(integer_activations(made, x))
    assert not values[made.layers[1].name].any()


def test_what_bends_too_much_is_said():
    root = Function.of("Sqrt", {})
    board = load_board("tiny", 16)
    compiled = compile_graph(network(root), board, batch=1)
    [said] = compiled.remarks
    assert re.search(r"table of its function, .* is off by up to [\d,.]+ of 65,536 codes", said)
    assert not compile_graph(network(ACTIVATIONS["silu"]), board, batch=1).remarks
