"""The suite on a small network: its figures, and what people see of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from support.command_line import refuse, run
from winogen.bench import record as recording
from winogen.bench import suite
from winogen.bench.energy import technologies
from winogen.bench.measure import compile_for, measure
from winogen.bench.page import bench_page
from winogen.bench.published import figures, resources, sources
from winogen.bench.suite import AUTO, SINGLE, UNPACKED, Results
from winogen.bench.summary import DIRECT, WINOGRAD, ZERO_PADDED, beside, energy, energy_terms, saved
from winogen.bench.tables import all_tables
from winogen.cli.main import main
from winogen.compiler.compile import compile_graph
from winogen.compiler.quantise import quantise
from winogen.network import zoo
from winogen.target.board import load_board

TECHNOLOGIES = list(technologies().values())


@pytest.fixture(scope="module")
def results() -> Results:
    return suite.run_suite(load_board("pynq-z2"), ["digits"], batch=8)


@pytest.fixture(scope="module")
def file(results, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "results.json"
    path.write_text(recording.dump(results))
    return path


def test_each_mode_saves_cycles(results):
    runs = results.networks[0].runs
    order = [runs[mode].cycles for mode in (AUTO, WINOGRAD, DIRECT, ZERO_PADDED)]
    assert order == sorted(order) and len(set(order)) == 4
    assert runs[UNPACKED].cycles > runs[AUTO].cycles
    assert runs[SINGLE].seconds > runs[AUTO].seconds  # weights are loaded for one image
    for name, key in (("deconv2", ZERO_PADDED), ("deconv3", ZERO_PADDED)):
        number = [x.name for x in runs[WINOGRAD].layers].index(name)
        ratio = runs[key].layers[number].cycles / runs[WINOGRAD].layers[number].cycles
        assert 6.5 < ratio < 256 / 36 * 1.05  # K4S2: 256 multiplies a tile for 36


def test_cycles_are_those_of_the_program(results):
    program = compile_graph(zoo.load_model("digits"), load_board("pynq-z2"), batch=8).program
    found = results.networks[0].runs[AUTO]
    assert (found.cycles, found.predicted) == (program.streams[-1].cycles,) * 2
    assert found.useful == sum(layer.useful for layer in program.layers)
    assert 0.5 < found.utilisation < 1


def test_the_sum_of_layers_is_the_run(results):
    for found in results.networks[0].runs.values():
        assert sum(x.cycles for x in found.layers) == found.cycles
        assert sum(x.bytes_read for x in found.layers) == found.counted.dram_read
        assert sum(x.bytes_written for x in found.layers) == found.counted.dram_written


@pytest.mark.parametrize("technology", TECHNOLOGIES, ids=lambda t: t.name)
def test_energy_falls_with_the_mode(results, technology):
    network = results.networks[0]
    values = [energy(technology, network.runs[m]) for m in (AUTO, DIRECT, ZERO_PADDED)]
    assert values[0].value < values[1].value < values[2].value
    parts = energy_terms(technology, network.runs[AUTO])
    assert sum(parts.values()) == pytest.approx(values[0].value)
    ratio = saved(technology, network)
    assert ratio.low < ratio.value < ratio.high
    assert ratio.value == pytest.approx(values[2].value / values[0].value)


def test_results_survive_their_file(results, file):
    assert recording.read(file) == results


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "networks": 3}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(recording.InputError, match=re.escape(str(path))):
        recording.read(path)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("networks",), {}),
        (("networks", "digits", "runs", "winograd", "layers"), []),
        (("networks", "digits", "runs", "auto", "cycles"), 0),
        (("networks", "digits", "runs", "auto", "cycles"), "many"),
        (("networks", "digits", "runs", "auto", "clock_mhz"), float("nan")),
        (("networks", "digits", "runs", "auto", "layers", 0, "needed"), -1),
        (("networks", "digits", "runs", "auto", "layers", 0, "name"), 7),
        (("networks", "digits", "runs", "auto", "counted", "adds"), {"x": 1}),
        (("networks", "digits", "runs", "auto", "counted", "multiplies"), {"8x8": True}),
        (("networks", "digits", "runs", "auto", "more"), 1),
        (("networks", "digits", "runs", "auto", "alone"), "fast"),
        (("networks", "digits", "weight_bytes"), None),
        (("resources",), {"lut": 1}),
        (("bytes_per_cycle",), 0),
        (("version",), None),
    ],
)  # fmt: skip
def test_results_that_are_wrong_are_told(file, tmp_path, capsys, path, wrong):
    """A file may say anything: nothing of it comes to a table."""
    data = json.loads(file.read_text())
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = wrong
    (tmp_path / "wrong.json").write_text(json.dumps(data))
    told = refuse(capsys, tmp_path, "bench", "--from", tmp_path / "wrong.json")
    assert "no results of winogen bench" in told


def test_names_of_results_are_such_as_a_terminal_shows(file, tmp_path):
    text = file.read_text().replace('"pynq-z2"', '"pynq\\u001b[31m"')
    (tmp_path / "named.json").write_text(text)
    assert "\x1b" not in recording.read(tmp_path / "named.json").board


def test_the_page_needs_nothing_else(results):
    text = bench_page(results, TECHNOLOGIES)
    assert not re.findall(r"(?:src|href)\s*=|@import|url\(|<script", text)
    assert text.count("<svg") == 2 + len(TECHNOLOGIES)
    for word in ("zero-padded", "deconv4", "8.38", "3.65", "Horowitz", "Chang 2018"):
        assert word in text


def test_names_are_escaped(results):
    evil = replace(results.networks[0], name="<b>x</b>")
    assert "<b>" not in bench_page(replace(results, networks=(evil,)), TECHNOLOGIES)


def test_published_figures_have_sources():
    used = {f.source for f in [*figures(), *resources()]}
    assert used == set(sources())
    assert all(f.value > 0 and f.unit and f.device for f in figures())


def test_what_stands_beside_published_figures(results):
    """A network of its own says nothing of the paper's; the paper's own name says all of it."""
    nothing = {b.published.ours: b.ours for b in beside(results, TECHNOLOGIES[-1])}
    assert nothing["zero_padded_most"] is nothing["vta_ms"] is nothing["fsrcnn-x2"] is None
    named = replace(results.networks[0], name="dcgan-5x5")
    found = beside(replace(results, networks=(named,)), TECHNOLOGIES[-1])
    ours = {b.published.ours: b.ours for b in found}
    assert ours["zero_padded_most"] == pytest.approx(7.1, abs=0.3)
    assert ours["dcgan_gops"] > ours["dcgan_host_gops"] > 10
    said = {b.published.ours: b.verdict for b in found}
    assert (said["zero_padded_most"], said["dcgan_gops"], said["vta_ms"]) == (
        "behind",
        "ahead",
        "-",
    )


def test_tables_have_as_many_cells_as_columns(results):
    for table in all_tables(results, TECHNOLOGIES):
        assert all(len(row) == len(table.header) for row in table.rows), table.title
        assert table.note and table.text() and table.markdown() and table.html()


def test_a_record_and_its_document(results, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "results").mkdir()
    older = replace(results, version="0.9.0")
    (tmp_path / "results" / "0.9.0.json").write_text(recording.dump(older))
    written = recording.record(replace(results, version="0.10.0"), tmp_path)
    assert [r.version for r in recording.recorded(tmp_path)] == ["0.9.0", "0.10.0"]
    text = (tmp_path / recording.DOCUMENT).read_text()
    assert text == recording.document(recording.recorded(tmp_path), TECHNOLOGIES)
    assert all(path.is_file() for path in written)
    pictures = re.findall(r"\]\(([^)]+\.png)\)", text)
    assert len(pictures) == 4 + len(TECHNOLOGIES)
    for name in pictures:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("older", "newer"),
    [("0.9.0", "0.10.0"), ("0.2.0.dev1", "0.2.0"), ("0.2.0rc1", "0.2.0"), ("0.1.0", "0.1.0.1")],
)
def test_versions_have_an_order(older, newer):
    assert recording._order(older) < recording._order(newer)


def test_the_command(capsys, file, tmp_path):
    page = tmp_path / "page.html"
    text = run(capsys, "bench", "--from", file, "--page", page, "--layers", "--logic-watts", "9")
    assert "digits, by layer" in text and f"wrote {page}" in text
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_the_command_measures(capsys):
    """As an object for machines, of the networks and the batch that are named."""
    asked = ("--networks", "digits", "--batch", "2", "--quick", "--board", "tiny", "--json")
    assert main(["bench", *asked]) == 0
    found = json.loads(capsys.readouterr().out)  # the tables are on standard error
    assert found["batch"] == 2 and list(found["networks"]) == ["digits"]
    assert set(found["networks"]["digits"]["runs"]) == {ZERO_PADDED, DIRECT, WINOGRAD, AUTO}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--networks", "dcgan-5x6"), "did you mean 'dcgan-5x5'"),
        (("--batch", "0"), "batch must be 1 to"),
        (("--rtl-cycles", "0"), "--rtl-cycles"),
        (("--logic-watts", "-1"), "--logic-watts"),
        (("--from", "nothing.json"), "nothing.json"),
        (("--from", "x.json", "--quick"), "leave --quick out"),
        (("--record", "nowhere"), "nowhere"),
        (("--record", ".", "--quick"), "whole suite"),
    ],
)
def test_what_is_refused(capsys, tmp_path, arguments, said):
    assert said in refuse(capsys, tmp_path, "bench", *arguments)


@pytest.mark.long
def test_the_logic_counts_what_was_predicted():
    """Bytes and multiplies are compared where runs are measured; here the cycles too."""
    board, graph = load_board("pynq-z2"), zoo.load_model("digits")
    program = compile_for(graph, quantise(graph, 8, samples=1), board, AUTO, [2])
    found = measure(program, program.streams[-1], AUTO, rtl=True)
    assert found.source == "rtl"
    assert found.cycles == pytest.approx(found.predicted, rel=0.05)
    assert sum(x.cycles for x in found.layers) == found.cycles
