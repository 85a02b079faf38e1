"""``--report``: one page that needs nothing else, and says what the program really does."""

from __future__ import annotations

import base64
import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from support.random_graphs import GraphBuilder, random_graph
from support.strategies import examples, graphs
from winogen.cli.main import main
from winogen.compiler.calibrate import observe
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compiler.integers import run_integer
from winogen.compiler.quantise import quantise_observed
from winogen.cost import simulate as cost
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.quality.study import Study, study
from winogen.reports import pictures
from winogen.reports.budget import KINDS, layer_budgets, peak_bytes_per_cycle
from winogen.reports.page import report_page
from winogen.target.board import load_board

_VOID = {"meta", "img", "br", "line", "rect", "circle", "polyline"}


class Page(HTMLParser):
    """Elements of a page, in order; fails where they are not closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def build(graph: Graph, board: str = "tiny", bits: int = 8) -> tuple[Compiled, Study]:
    compiled = compile_graph(graph, load_board(board, bits), batch=2)
    observed = observe(graph, samples=8)
    networks = {w: quantise_observed(observed, w) for w in (8, 16)}
    return compiled, study(observed, networks)


def page(graph: Graph, **options) -> Page:
    compiled, studied = build(graph, **options)
    return Page(report_page(compiled.program, studied, "verdict: good: 50 dB, on some inputs"))


@pytest.fixture(scope="module")
def digits() -> Page:
    return page(zoo.load_model("digits"), board="pynq-z2")


def test_nothing_is_loaded_and_nothing_runs(digits):
    names = {name for name, _ in digits.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for _, attributes in digits.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name != "href"
            if name == "src":
                assert value.startswith("data:image/png;base64,")
            assert "://" not in (value or "")
            assert "url(" not in (value or "")
    assert "@import" not in digits.text
    assert "url(" not in digits.text


def test_it_can_be_read_without_seeing_the_pictures(digits):
    assert digits.all("html")[0]["lang"] == "en"
    assert all(len(image["alt"]) > 10 for image in digits.all("img"))
    charts = digits.all("svg")
    assert len(charts) == 4 + 3  # a histogram a layer, traffic, cycles, roofline
    assert all(c["role"] == "img" and len(c["aria-label"]) > 20 for c in charts)
    assert len(digits.all("caption")) == len(digits.all("table")) == 5
    assert all(head.get("scope") in ("col", "row") for head in digits.all("th"))
    headings = [name for name, _ in digits.elements if re.fullmatch(r"h\d", name)]
    assert headings == ["h1", *["h2"] * 5]
    assert "prefers-color-scheme: dark" in digits.text
    assert digits.all("meta")[1]["content"].startswith("width=device-width")


def test_the_pictures_are_the_networks_outputs():
    graph = zoo.load_model("digits")
    compiled, studied = build(graph, board="pynq-z2")
    found = Page(report_page(compiled.program, studied, "verdict: good: 50 dB, on some inputs"))
    images = found.all("img")
    assert len(images) == 6 * 5
    for row in range(6):
        shown = [_decode(i["src"]) for i in images[5 * row : 5 * row + 5]]
        wanted = [studied.exact, studied.outputs[8], studied.outputs[16]]
        for got, values in zip(shown, wanted):
            assert np.array_equal(got, np.floor((values[row, 0] + 1) / 2 * 255 + 0.5))
        assert shown[3].max() > shown[4].max()  # int8 is further off than int16
    observed = observe(graph, samples=8)
    network = quantise_observed(observed, 8)
    q = run_integer(network, network.quantise_input(observed.checked))
    assert np.array_equal(studied.outputs[8], network.output_format.dequantise(q))


def _decode(uri: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as picture:
        return np.array(picture)


def test_difference_maps_have_one_scale():
    a = np.zeros((2, 4, 4, 3), np.uint8)
    b = a.copy()
    b[0, 1, 2] = (3, 20, 5)
    found = pictures.differences(a, b)
    assert found[0, 1, 2] == 20
    assert found.sum() == 20
    assert pictures.full_scale(np.full((2, 2), 20)) == 32
    assert pictures.full_scale(np.zeros((2, 2), np.int64)) == 1
    colours = pictures.map_colours(np.array([0, 16, 32, 200]), 32)
    assert tuple(colours[0]) == pictures.MAP_COLOURS[0]
    assert tuple(colours[2]) == tuple(colours[3]) == pictures.MAP_COLOURS[-1]
    brightness = pictures.map_colours(np.arange(33), 32).astype(int) @ (30, 59, 11)
    assert np.all(np.diff(brightness) > 0)  # readable in grey


def test_names_are_escaped():
    b = GraphBuilder(0, (2, 6, 6))
    b.add("conv", params={"weight": b.normal(3, 2, 3, 3)}, kernel=(3, 3), stride=(1, 1),
          pad=(1, 1, 1, 1), name='<script>alert("1")</script>')  # fmt: skip
    graph = b.graph("</title><img src=x onerror=alert(1)>", (-3.0, 3.0))
    found = page(graph)
    assert "script" not in {name for name, _ in found.elements}
    assert all("onerror" not in image for image in found.all("img"))
    assert '<script>alert("1")</script>' in found.text


@pytest.mark.parametrize("bits", [8, 16])
@examples(6)
@given(graphs())
def test_any_network_makes_a_page(bits, graph):
    """Outputs that are no images, constants, single values, odd sizes."""
    found = page(graph, bits=bits)
    assert len(found.all("svg")) >= 4
    text = "".join(str(a) for _, a in found.elements)
    assert not re.search(r"\b(nan|inf)\b", text)


def test_constant_layers_and_vectors():
    b = GraphBuilder(0, (4, 1, 1), "latent")
    b.linear((3, 1, 1))
    b.nodes[0].params["weight"][:] = 0
    found = page(b.graph())
    assert not found.all("img")  # one pixel is no picture
    assert len(found.all("svg")) == 1 + 3


@pytest.mark.parametrize(("graph", "board"), [(zoo.load_model("digits"), "pynq-z2"),
                                              (random_graph(4), "tiny")])  # fmt: skip
def test_budgets_add_up_to_what_the_cost_model_moves(graph, board):
    program = compile_graph(graph, load_board(board), batch=2).program
    for stream in program.streams:
        budgets = layer_budgets(program, stream)
        line = cost.simulate(stream.instructions(), program.board)
        assert sum(b.total_bytes for b in budgets) == line.bytes_read + line.bytes_written
        assert sum(b.bytes["activations written"] for b in budgets) == line.bytes_written
        assert sum(b.cycles for b in budgets) <= stream.cycles
        for b in budgets:
            assert set(b.bytes) == set(KINDS)
            assert b.memory_cycles == b.total_bytes / peak_bytes_per_cycle(program)
            assert b.bound == ("memory" if b.memory_cycles > b.array_cycles else "array")


def test_the_ports_can_be_slower_than_the_memory():
    program = compile_graph(random_graph(1), load_board("tiny"), batch=1).program
    fast = replace(program, board=replace(program.board, dram_mb_s=1e6))
    assert peak_bytes_per_cycle(fast) == 8 * program.core.read_ports
    slow = replace(program, board=replace(program.board, dram_mb_s=100, clock_mhz=100.0))
    assert peak_bytes_per_cycle(slow) == 1


def test_clipped_values_are_counted():
    graph = zoo.load_model("digits")
    observed = observe(graph, samples=8)
    network = quantise_observed(observed, 8)
    for layer, quantised in zip(study(observed, {8: network}).layers, network.layers):
        values = observed.expected[quantised.name]
        low, high = layer.widths[8].range
        half = quantised.format.scale / 2
        beyond = np.mean((values < low - half) | (values > high + half))
        assert layer.widths[8].clipped == pytest.approx(beyond)
        assert sum(layer.histogram.counts) == values.size


def test_the_command_writes_the_page(capsys, tmp_path):
    report = tmp_path / "report.html"
    arguments = ["compile", "digits", "--batch", "1", "-o", str(tmp_path / "a.wg")]
    assert main([*arguments, "--report", str(report)]) == 0
    found = Page(report.read_text())
    assert "Verdict: good" in found.text
    assert str(report) in capsys.readouterr().out


@pytest.mark.parametrize("name", ["report.pdf", "none/report.html"])
def test_pages_that_cannot_be_written_are_refused_first(capsys, tmp_path, name):
    arguments = ["compile", "digits", "--batch", "1", "-o", str(tmp_path / "a.wg")]
    assert main([*arguments, "--report", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err.startswith("winogen: cannot write")
    assert not list(tmp_path.iterdir())


#: Pixels of a card in a window of 1200, of the font's widest digit, and of a cell's padding.
CARD, DIGIT, PADDING = 64 * 16 - 2 * 16 - 2 * 16 - 2, 9, 20


def test_tables_fit_a_window_of_1200_pixels():
    """Their headings may break between words, and what is wider than a phone scrolls."""
    compiled, studied = build(zoo.load_model("fsrcnn-x2").resized((8, 8)), "pynq-z2")
    text = report_page(compiled.program, studied, "verdict: good: 9 dB")
    assert re.search(r"thead th {[^}]*white-space: normal", text)
    assert re.search(r"\.scroll {[^}]*overflow-x: auto", text)
    tables = re.findall(r'<div class="scroll".*?<table class="">(.*?)</table></div>', text, re.S)
    assert len(tables) == 4
    for table in tables:
        lines = re.findall("<tr>(.*?)</tr>", table, re.S)
        head, *rows = (re.findall("<t[hd][^>]*>(.*?)</t[hd]>", line) for line in lines)
        least = [max(len(word) for word in name.split()) for name in head]
        for row in rows:
            cells = (len(html.unescape(re.sub("<.*?>", "", cell))) for cell in row)
            least = [max(pair) for pair in zip(least, cells, strict=True)]
        assert sum(DIGIT * n + PADDING for n in least) <= CARD
