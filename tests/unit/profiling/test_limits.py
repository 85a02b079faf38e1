"""What layers take of the array, memory, the decoder and the transform, and who shows it."""

from __future__ import annotations

import json

import pytest

from support.bench import small
from support.coded import compiled
from winogen.cli.main import main
from winogen.compiler.compile import Compiled
from winogen.profiling import perfetto
from winogen.profiling.limits import LayerLimits, layer_limits, limits_table
from winogen.profiling.profile import Profile
from winogen.reports.tables import weights_table
from winogen.runtime.generator import Generator
from winogen.target.board import load_board
from winogen.target.isa import Compute, LoadTable, LoadWeights, Store, Table

BOARD = load_board("pynq-z2")


@pytest.fixture(scope="module")
def coded() -> Compiled:
    return compiled(BOARD, batch=4)


@pytest.fixture(scope="module")
def profile(coded) -> Profile:
    """Five images: four in one run, the last alone."""
    with Generator(coded.program) as generator:
        return generator.generate(generator.latents(5), profile=True)[1]


@pytest.mark.parametrize("mode", ["winograd", "direct"])
def test_every_part_is_counted(mode):
    program = compiled(BOARD, batch=1, mode=mode).program
    stream = program.streams[0].instructions()
    found = layer_limits(stream, len(program.layers), BOARD)
    for number, of in enumerate(found):
        own = [x for x in stream if x.layer == number]
        loads = [x for x in own if isinstance(x, LoadWeights)]
        weights = sum(64 * x.blocks * x.taps for x in loads)
        assert of.plain_weight_bytes == weights == 32 * of.decoder
        assert of.weight_bytes == sum(8 * x.beats for x in loads) < weights
        assert of.coded_loads == len(loads)
        # Every word of the weight buffer is a position, and is transformed whole.
        words = [
            x.blocks * next(c.weight_stride for c in own if isinstance(c, Compute)) for x in loads
        ]
        assert of.transform == (sum(words) if mode == "winograd" else 0)
        computes = [x for x in own if isinstance(x, Compute)]
        tiles = [x.images * x.tiles_y * x.tiles_x for x in computes]
        assert of.array == sum(-(-n // 3) * x.blocks * x.steps for n, x in zip(tiles, computes))
        stored = sum(8 * x.images * x.rows * x.columns for x in own if isinstance(x, Store))
        least = of.weight_bytes + stored + 64 * len(own)
        rest = [x for x in own if isinstance(x, LoadTable) and x.table == Table.STEP]
        assert of.memory * BOARD.dram_bytes_per_cycle > least + sum(4 * x.count for x in rest)


def test_the_longest_is_the_limit():
    for part in ("array", "memory", "decoder", "transform"):
        assert LayerLimits(**{part: 1.0}).limit == part
    assert LayerLimits(array=2.0, transform=2.0).limit == "array"


def test_profiles_say_what_decoding_saves(coded, profile):
    program = coded.program
    assert [x.mode for x in profile.layers] == [x.mode for x in program.layers]
    alone = [
        layer_limits(s.instructions(), 4, BOARD) for s in (program.streams[0], program.streams[-1])
    ]
    for both, few, many in zip(profile.limits, *alone):
        assert both.decoder == few.decoder + many.decoder > 0
    text = str(profile).splitlines()
    start = next(n for n, line in enumerate(text) if "plain MB" in line)
    row = text[start + 2].split()
    assert row[0] == profile.layers[0].name and row[-1] == profile.limits[0].limit


def test_the_timeline_has_it_too(profile):
    events = perfetto.events(profile)["traceEvents"]
    loads = [e["args"] for e in events if e["name"].endswith("LOAD_WEIGHTS")]
    assert loads and all(x["bytes if plain"] > x["bytes read"] for x in loads)
    assert {"decoder cycles", "transform cycles"} <= {key for x in loads for key in x}
    layers = [e["args"] for e in events if "takes longest alone" in e.get("args", {})]
    assert len(layers) == 2 * len(profile.layers)
    assert {x["mode"] for x in layers} == {"direct", "winograd"}


def test_the_roofline_shows_the_decoder(profile):
    pytest.importorskip("matplotlib")
    from winogen.reports import profile_figures

    [axis] = profile_figures.roofline(profile).axes
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels[-2:] == ["decoder, transform", "from plain weights"]
    backwards = [
        line for line in axis.lines if line.get_linestyle() == ":" and len(line.get_xdata())
    ]
    assert len(backwards) == len(profile.layers)
    assert all(line.get_xdata()[0] < line.get_xdata()[1] for line in backwards)


def test_programs_of_plain_weights_look_as_before():
    made = small("pynq-z2").program
    assert weights_table(made, made.streams[0]) == ""
    assert limits_table(["a"], ["direct"], [1], [LayerLimits(weight_bytes=8)]) == ""


def test_info(coded, tmp_path, capsys):
    path = tmp_path / "coded.wg"
    coded.program.save(path)
    assert main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert weights_table(coded.program, coded.program.streams[0]) in out
    assert main(["info", str(path), "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["program"]["limits"]
    assert [x["mode"] for x in layers] == [x.mode for x in coded.program.layers]
    assert all(0 < x["weight_bytes"] < x["plain_weight_bytes"] and x["limit"] for x in layers)
