"""The design-space search, and the estimates of resources that it goes by."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from support.coded import shared
from support.random_graphs import GraphBuilder
from winogen.cli import main as cli
from winogen.common.errors import BoardError
from winogen.compiler.compile import compile_graph
from winogen.compiler.ends import Ends, fold_ends
from winogen.compiler.lower import Mode
from winogen.compiler.quantise import quantise
from winogen.compiler.quantised import QuantNetwork
from winogen.fpga import estimate as estimates
from winogen.fpga import explore
from winogen.fpga.area import Area
from winogen.fpga.cascades import cascades
from winogen.fpga.estimate import block_rams, estimate
from winogen.fpga.explore import Explorer, choose
from winogen.fpga.explore_report import explore_dict
from winogen.fpga.parts import Part, find_part
from winogen.network.graph import Graph
from winogen.program.layout import PLAIN
from winogen.target.board import Board, CoreConfig, board_names, load_board

MEASURED = json.loads(estimates._SYNTHESES.read_text())
#: Holds 8 x 8 x 4 multipliers, with two products each 8 x 8 x 3.
SMALL = Part("small", "xc7", dsp=300, ramb36=80, lut=90_000, ff=80_000)
MEMORIES = ("input_depth", "weight_depth", "psum_depth", "output_depth")
BOARDS = [name for name in board_names() if name != "tiny"]


def network(name: str, channels: int) -> Graph:
    b = GraphBuilder(1, (40, 4, 4))
    b.deconv(channels, 4, 2, 1)
    b.activation("relu")
    b.deconv(channels, 5, 2, (2, 1, 2, 1))
    return b.graph(name, None)


#: The output of the second is so narrow that its pixels become channels.
WIDE, NARROW = network("wide", 40), network("narrow", 3)


def explorer(part: Part = SMALL, bits: int = 8, **core: int) -> Explorer:
    board = load_board("pynq-z2", bits)
    board = replace(board, core=replace(board.core, **core))
    return Explorer(board, part, [WIDE, NARROW], batch=2)


@pytest.fixture(scope="module")
def searched():
    ours = explorer()
    calls: list[tuple[int, int]] = []
    return ours, ours.search(lambda done, of: calls.append((done, of))), calls


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("number", range(len(MEASURED)))
def test_estimates_are_within_10_percent_of_syntheses(number, known, monkeypatch, tmp_path):
    """Of those that the factors were fitted to, and of each one that they were not."""
    if not known:
        others = tmp_path / "others.json"
        others.write_text(json.dumps(MEASURED[:number] + MEASURED[number + 1 :]))
        monkeypatch.setattr(estimates, "_SYNTHESES", others)
    for name in ("_factors", "_decoder", "_port"):
        monkeypatch.setattr(estimates, name, getattr(estimates, name).__wrapped__)
    measured = MEASURED[number]
    core, theirs = CoreConfig(**measured["core"]), Area(**measured["total"])
    ours = estimates._estimate(core, measured["family"], measured["windows"])
    for name in ("dsp", "block_ram", "lut", "ff"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=0.1), name


@pytest.mark.parametrize(
    ("width", "depth", "rams"),
    [
        (64, 4096, (8, 0)), (384, 2048, (22, 0)), (256, 2048, (0, 29)), (128, 2048, (0, 15)),
        (320, 1024, (9, 0)), (384, 1024, (11, 0)), (72, 64, (1, 0)), (88, 64, (0, 3)),
        (16, 513, (0, 1)), (32, 64, (0, 1)), (8, 65536, (16, 0)),
    ],
)  # fmt: skip
def test_block_rams_as_yosys_counts_them(width, depth, rams):
    assert block_rams(width, depth) == rams


def test_the_front_rises_and_fits(searched):
    ours, front, calls = searched
    assert len(front) > 1
    for less, more in pairwise(front):
        assert less.core.multipliers < more.core.multipliers
        assert less.speed < more.speed
    for design in ours.tried:
        assert SMALL.holds(design.area, 8)
        assert design.area == estimate(design.core, "xc7")
        assert 0 < design.utilisation <= 1
    # Nothing that was tried is faster with fewer multipliers.
    for design in ours.tried:
        rivals = [d for d in front if d.core.multipliers <= design.core.multipliers]
        assert not rivals or design.speed <= 1.02 * max(d.speed for d in rivals)
    assert calls[0][0] == 0 and calls[-1] == (calls[0][1] - 1, calls[0][1])


def test_the_chosen_build_is_the_smallest_that_is_nearly_as_fast(searched):
    _, front, _ = searched
    slow, near, best = (replace(front[0], frames={"a": f}) for f in (94.9, 95.1, 100.0))
    assert choose([slow, near, best]) is near
    assert choose([slow, best]) is best


def test_memories_are_no_deeper_than_they_are_good_for(searched):
    ours, front, _ = searched
    for design in front:
        for name in MEMORIES:
            half = getattr(design.core, name) // 2
            if half >= 512 and (name != "input_depth" or half >= 2048):
                less = ours.measure(replace(design.core, **{name: half}))
                assert less is None or less.speed < design.speed


def test_speed_is_that_of_the_compiled_network(searched):
    """Also where compile folds its last layer."""
    _, front, _ = searched
    for graph in (WIDE, NARROW):
        board = replace(load_board("pynq-z2"), core=front[-1].core)
        program = compile_graph(graph, board, batch=2).program
        fps = program.frames_per_second(program.streams[-1])
        assert front[-1].frames[graph.name] == pytest.approx(fps, rel=1e-9)
        assert (program.shuffle != PLAIN) == (graph is NARROW)
    assert front[-1].speed == pytest.approx(np.sqrt(np.prod(list(front[-1].frames.values()))))


def test_memories_change_no_fold(searched, monkeypatch):
    """Folds are chosen once for an array, as with the deepest memories that are tried."""
    seen: list[Board] = []

    def watched(network: QuantNetwork, board: Board, mode: Mode, batch: int) -> Ends:
        seen.append(board)
        return fold_ends(network, board, mode, batch)

    monkeypatch.setattr(explore, "fold_ends", watched)
    ours, core = explorer(), searched[1][-1].core
    for psum_depth in (512, 1024, 2048):
        assert ours.measure(replace(core, psum_depth=psum_depth))
    deepest = {"input_depth": 16384} | dict.fromkeys(MEMORIES[1:], 4096)
    assert [board.core for board in seen] == 2 * [replace(core, **deepest)]
    ours.measure(replace(core, tile_lanes=1))
    assert len(seen) == 4


def test_both_numbers_of_products_are_tried_whatever_the_board_has():
    few = replace(SMALL, ff=60_000)  # pairs need more flip-flops, so larger arrays have none
    one, two = (explorer(few, products=products).search() for products in (1, 2))
    assert one == two
    assert {d.core.products for d in one} == {1, 2}


def test_a_decoder_is_left_out_of_arrays_that_fit_only_without():
    part = replace(SMALL, lut=70_000, ff=100_000)  # LUTs alone are short

    def shapes(decoder: int) -> dict[tuple[int, ...], CoreConfig]:
        ours = explorer(part, decoder=decoder)
        return {(c.ci_lanes, c.tile_lanes, c.products): c for c in ours._shapes()}

    plain, coded = shapes(0), shapes(32)
    assert plain.keys() == coded.keys() and not any(c.decoder for c in plain.values())
    without = [c for c in coded.values() if not c.decoder]
    assert without and len(without) < len(coded)
    for core in without:
        assert not part.holds(estimate(replace(core, decoder=32), "xc7"), 8)
    assert {estimate(c, "xc7").lut - estimate(replace(c, decoder=0), "xc7").lut
            for c in coded.values() if c.decoder} <= {*range(2900, 3200)}  # fmt: skip


def test_a_decoder_counts_for_coded_weights():
    """Of the same array: hardly faster with plain weights (the transform is), but of few values."""
    ours = explorer(decoder=32)
    ours._batch = 1
    core = ours._board.core
    bare = replace(core, decoder=0)
    plain, slower = ours.measure(core).frames, ours.measure(bare).frames
    assert plain.keys() == slower.keys()
    assert all(1 <= plain[name] / slower[name] < 1.02 for name in plain)
    ours = explorer(decoder=32)
    ours._batch, ours._networks = 1, [shared(quantise(WIDE, samples=1))]
    assert ours.measure(core).speed > 1.1 * ours.measure(bare).speed


def test_16_bits_are_not_multiplied_in_pairs():
    ours = explorer(bits=16)
    assert ours.search()
    assert {d.core.products for d in ours.tried} == {1}


def test_builds_are_measured_by_themselves(searched):
    """What is kept of one array is no other's: neither its folds nor its pairs of blocks."""
    core = searched[1][0].core
    together = explorer()
    for change in ({"products": 1}, {"products": 2}, {"tile_lanes": 2}, {"products": 1}):
        other = replace(core, **change)
        assert together.measure(other) == explorer().measure(other)


def test_a_build_for_open_tools_has_an_array_that_they_place():
    def cores(name: str) -> list[CoreConfig]:
        tried = Explorer(load_board(name), SMALL, [WIDE], batch=1)
        tried.search()
        return [d.core for d in tried.tried]

    few, many = cores("pynq-z2-open"), cores("pynq-z2")
    assert max(map(cascades, few)) == 16  # 22 at most, 8 a tile
    assert max(map(cascades, many)) > 22
    assert {core.products for core in few} == {1}
    assert 2 in {core.products for core in many}


def test_a_device_that_holds_nothing():
    with pytest.raises(BoardError, match="no build of 8 bits that runs the networks fits 'small'"):
        explorer(replace(SMALL, dsp=20)).search()


def test_the_command(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("winogen.network.zoo.load_model", lambda name: network(name, 9))
    monkeypatch.setattr("winogen.fpga.parts.find_part", lambda name: SMALL)
    out, plot = tmp_path / "e.json", tmp_path / "e.png"
    words = ["overlay", "explore", "--batch", "1", "--json", str(out), "--plot", str(plot)]
    assert cli.main([*words, "--network", "a", "--network", "b"]) == 0
    text = capsys.readouterr().out
    assert "pynq-z2 int8: small at 150 MHz" in text and "board file" in text
    data = json.loads(out.read_text())
    best = data["front"][-1]
    assert "chosen" in text and f"    ci_lanes: {best['core']['ci_lanes']}" in text
    assert set(best["images_per_second"]) == {"a", "b"}
    assert len(data["tried"]) >= len(data["front"])
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch", "0"], "batch must be 1 to 1024, not 0"),
        (["--plot", "a.gif"], r"cannot draw a.gif: its name must end in .png, .svg or .pdf"),
        (["--network", "nothing"], "unknown model 'nothing'"),
        (["--board", "tiny"], "there are no figures for part 'none'"),
    ],
)
def test_bad_input(words, message, capsys):
    assert cli.main(["overlay", "explore", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", BOARDS)
def test_the_boards_builds_fit_their_devices(name):
    for bits in (8, 16):
        try:
            board = load_board(name, bits)
        except BoardError:
            continue
        part = find_part(board.part)
        assert part.holds(estimate(board.core, part.family), bits)


def test_json_has_all_that_was_tried(searched):
    ours, front, _ = searched
    data = json.loads(json.dumps(explore_dict(front, ours.tried)))
    assert CoreConfig(**data["front"][0]["core"]) == front[0].core
    assert len(data["tried"]) == len(ours.tried)
