"""A network beside onnxruntime and on every board: figures, page, and what is missing."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

from support.command_line import refuse
from support.random_graphs import GraphBuilder
from winogen.bench import compare as comparing
from winogen.bench import peer
from winogen.bench.compare import Comparison, compare
from winogen.bench.compare_page import boards_table, compare_page, here_table
from winogen.bench.onnx_graph import _Builder, phase_weights, to_onnx
from winogen.cli.main import main
from winogen.common.errors import DeviceError, UnsupportedLayerError
from winogen.compilation.job import Job, read_job
from winogen.compiler.options import CompileOptions
from winogen.emulation.emulator import fast
from winogen.network import reference
from winogen.network.graph import Graph, Node
from winogen.network.stored import save_network

NAMES = ["winogen int8, emulated", "winogen int16, emulated", "onnxruntime float32",
         "onnxruntime int8"]  # fmt: skip


BOARDS = ["tiny"]


@pytest.fixture(scope="module", autouse=True)
def once():
    """Each contender is timed once, and few boards predicted: these are no measurements."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "ROUNDS", 1)
        patch.setattr(comparing, "board_names", lambda: BOARDS)
        yield


@pytest.fixture(scope="module")
def job() -> Job:
    inputs = np.random.default_rng(0).standard_normal((4, 64, 1, 1)).astype(np.float32)
    return read_job("digits", CompileOptions(board="tiny", inputs=inputs).with_board())


@pytest.fixture(scope="module")
def found(job) -> Comparison:
    pytest.importorskip("onnxruntime")
    return compare(job)


def test_all_run_and_come_close(found):
    assert [c.name for c in found.contenders] == NAMES
    int8, int16, float32, peer8 = found.contenders
    assert not any(c.missing for c in found.contenders)
    assert float32.psnr > 100  # the same network, in another order of sums
    assert int16.psnr > int8.psnr + 20 > 50
    assert peer8.psnr > 25
    assert all(c.seconds > 0 and c.outputs.shape == found.exact.shape for c in found.contenders)
    assert (
        int8.nbytes < int16.nbytes < float32.nbytes == pytest.approx(4 * found.parameters, rel=0.05)
    )


def test_what_onnxruntime_does_not_take_is_a_sentence():
    """A comparison goes on without it."""
    pytest.importorskip("onnxruntime")
    with pytest.raises(DeviceError, match="onnxruntime cannot run it: "):
        peer.Peer(b"no model", 1)
    graph = GraphBuilder(0, (2, 4, 4), "image")
    graph.conv(3, 3)
    made = peer.float_peer(graph.graph("net", None), 1)
    with pytest.raises(DeviceError, match="onnxruntime cannot run it: "):
        made.run(np.zeros((1, 5, 4, 4), np.float32))


def test_boards_are_predicted_in_both_widths(found):
    assert [(p.board, p.data_width) for p in found.boards] == [("tiny", 8), ("tiny", 16)]
    assert all(p.runs for p in found.boards)


def test_the_page_shows_pictures_and_needs_nothing_else(found):
    page = compare_page(found)
    rows = 1 + 3 + 3  # float32; three in integers; where these differ
    assert page.count("data:image/png;base64,") == rows * len(found.inputs)
    assert not re.findall(r'href\s*=|@import|url\(|<script|src="(?!data:)', page)
    for name in NAMES:
        assert name in page
    assert len(boards_table(found).rows) == len(found.boards)
    assert len(here_table(found).rows) == 4


@pytest.mark.parametrize(
    ("kernel", "stride", "crop"),
    [(4, 2, (1, 1, 1, 1)), (5, 2, (2, 1, 2, 1)), (9, 3, (4, 2, 4, 2)), (2, 3, (0, 0, 0, 0)),
     (3, 2, (-1, 0, 0, -2)), (4, 1, (0, 0, 0, 0))],
)  # fmt: skip
def test_phases_are_the_transposed_convolution(kernel, stride, crop):
    ort = pytest.importorskip("onnxruntime")
    builder = GraphBuilder(3, (3, 5, 4))
    builder.deconv(2, kernel, stride, crop)
    graph = builder.graph("up")
    x = np.random.default_rng(1).standard_normal((2, 3, 5, 4)).astype(np.float32)
    wanted = reference.run(graph, x)
    for apart in (False, True):
        model = to_onnx(graph, apart=apart)
        kinds = {n.op_type for n in model.graph.node}
        assert ("ConvTranspose" in kinds) is not apart
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        got = session.run(None, {Graph.INPUT_NAME: x})[0]
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_weights_of_phases_by_hand():
    """Kernel 4, stride 2, one row cut off: even outputs see inputs q - 1 and q, odd q and q + 1."""
    weight = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    made, pads, grid = phase_weights(weight, 2, (1, 1), (4, 4), (8, 8))
    assert (made.shape, pads, grid) == ((4, 1, 3, 3), (1, 1, 1, 1), (4, 4))
    np.testing.assert_array_equal(made[0, 0], [[15, 13, 0], [7, 5, 0], [0, 0, 0]])
    np.testing.assert_array_equal(made[3, 0], [[0, 0, 0], [0, 10, 8], [0, 2, 0]])


def test_a_layer_that_is_not_written_is_named():
    with pytest.raises(UnsupportedLayerError, match="'odd'"):
        _Builder(apart=False).node(Node("odd", "maxpool", ("input",)), ["input"], {})


def test_the_command_without_onnxruntime(capsys, tmp_path, monkeypatch):
    """The comparison goes on; one sentence says what to install."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(fast, "available", lambda: False)
    b = GraphBuilder(0, (5, 1, 1), "latent")
    b.deconv(4, 4, 1, 0)
    b.add("relu")
    b.deconv(1, 4, 2, 1)
    b.add("tanh")
    model, page = tmp_path / "small.npz", tmp_path / "page.html"
    save_network(b.graph("small", (-1.0, 1.0)), model)
    arguments = ["compare", str(model), "--board", "tiny", "-o", str(page), "--json"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert [c["name"] for c in told["here"]] == NAMES
    assert [c["missing"] is None for c in told["here"]] == [True, True, False, False]
    assert "pip install onnx onnxruntime" in captured.err
    assert {b["board"] for b in told["boards"]} == set(BOARDS)
    assert "onnxruntime int8" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("digits.wg",), "has no float network"),
        (("digits", "-o", "page.png"), "must end in .html"),
        (("digits", "--threads", "0"), "threads must be"),
        (("dgits",), "digits"),
    ],
)
def test_what_is_refused(capsys, tmp_path, arguments, said):
    assert said in refuse(capsys, tmp_path, "compare", *arguments)
