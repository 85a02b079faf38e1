"""winogen fit --once: many networks in one file, and what is taken out of it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from support.command_line import refuse, run
from support.elastic import elastic_graph
from support.random_graphs import GraphBuilder
from winogen.cli.main import main
from winogen.network.load import load_network
from winogen.network.stored import save_network, write_arrays
from winogen.program.file import Program
from winogen.program.speed import speed

SMALL = ("--steps", "3", "--examples", "2")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A small network's file, with a search that takes a moment; needs torch."""
    torch = pytest.importorskip("torch", reason="training needs the package torch")
    torch.set_num_threads(1)  # others run beside it
    from winogen.compression import once, search

    monkeypatch.setattr(once, "_RUNGS", 3)
    monkeypatch.setattr(search, "_CORRECTIONS", 2)
    monkeypatch.setattr(search, "_FIRST", 8)
    monkeypatch.setattr(search, "_DESCENDANTS", 8)
    monkeypatch.setattr(search, "_GENERATIONS", 1)
    save_network(elastic_graph(), tmp_path / "tiny.npz")
    return tmp_path / "tiny.npz"


@pytest.fixture
def once(tiny, capsys):
    path = tiny.with_suffix(".once")
    run(capsys, "fit", tiny, "--once", "-o", path, *SMALL)
    return path


def test_many_networks_in_one_file(tiny, capsys) -> None:
    out = tiny.with_suffix(".once")
    text = run(capsys, "fit", tiny, "--once", "-o", out, *SMALL)
    assert "288 networks in one, after 3 steps" in text
    assert "the smallest has channels 8, 8 (of 24, 32)" in text
    assert sorted(p.name for p in tiny.parent.iterdir()) == ["tiny.npz", "tiny.once"]
    before = out.read_bytes()
    run(capsys, "fit", tiny, "--once", "-o", out, *SMALL)
    assert out.read_bytes() == before
    run(capsys, "fit", tiny, "--once", "-o", out, "--seed", "1", *SMALL)
    assert out.read_bytes() != before


def test_taken_out_for_a_speed(once, capsys, tmp_path) -> None:
    """As fast as was asked for; the program, its network, and nothing else is left."""
    whole, board = tmp_path / "whole.wg", ("--board", "kc705", "--batch", "2")
    run(capsys, "compile", once.with_suffix(".npz"), *board, "-o", whole)
    program = Program.load(whole)
    goal = 1.3 * speed(program, program.streams[-1]).overlapped
    out = tmp_path / "fast.wg"
    command = ("fit", once, *board, "--fps", f"{goal:.0f}", "-o", out, *SMALL)
    text = run(capsys, *command)
    assert "networks that were judged, of 288: channels" in text
    fast = Program.load(out)
    assert speed(fast, fast.streams[-1]).overlapped >= goal - 1
    assert fast.output_shape == program.output_shape
    assert {"fast.wg", "fast.npz"} < {p.name for p in tmp_path.iterdir()}
    assert "fast.training" not in {p.name for p in tmp_path.iterdir()}
    again = tmp_path / "again.wg"
    run(capsys, "compile", out.with_suffix(".npz"), *board, "-o", again)
    assert again.read_bytes() == out.read_bytes()
    graphs = [load_network(p.with_suffix(".npz")) for p in (out, once)]
    small, large = (sum(n.params["weight"].size for n in g.nodes if "weight" in n.params)
                    for g in graphs)  # fmt: skip
    assert small < large
    before = out.read_bytes()
    run(capsys, *command)
    assert out.read_bytes() == before


def test_what_there_is_for_a_board(once, capsys) -> None:
    """Faster is worse, down to the whole network; nothing is written."""
    before = {p.name for p in once.parent.iterdir()}
    board = ("--board", "kc705", "--batch", "2")
    assert main(["fit", str(once), *board, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["networks"] == 288
    *smaller, whole = result["front"]
    assert whole["psnr"] is None  # the network itself
    points = [(p["fps"], p["psnr"]) for p in smaller]
    assert len(points) > 1
    assert points == sorted(points, key=lambda p: (-p[0], p[1]))
    assert {p.name for p in once.parent.iterdir()} == before
    text = run(capsys, "fit", once, *board)
    assert "288 networks in one; the best for kc705" in text


def test_what_is_fast_enough_stays_whole(once, capsys, tmp_path) -> None:
    """And is trained from what it was, not from the weights that all share."""
    taken, plain = tmp_path / "w.wg", tmp_path / "p.wg"
    text = run(capsys, "fit", once, "--fps", "10", "--batch", "2", "-o", taken, *SMALL)
    assert "the whole network is fast enough" in text
    run(capsys, "fit", once.with_suffix(".npz"), "--batch", "2", "-o", plain, *SMALL)
    assert taken.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--fps", "100"), "--fps is for a network that is taken out"),
        (("--keep", "0.4"), "--keep is for a network that is taken out"),
        (("--faster", "2"), "--faster is for a network that is taken out"),
        (("--blocks", "shuffle"), "--blocks is for a network that is taken out"),
        (("--exits", "45"), "--exits is for a network that is taken out"),
        (("--board", "zcu104"), "--board is of a network that is taken out"),
        (("-o", "x.wg"), "must end in .once"),
    ],
)
def test_refused_while_all_are_trained(tiny, capsys, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert text in refuse(capsys, tmp_path, "fit", tiny, "--once", *arguments)


def test_refused_when_one_is_taken_out(once, capsys, tmp_path) -> None:
    out = ("-o", tmp_path / "e.wg")
    assert "cannot be reached" not in refuse(capsys, tmp_path, "fit", once, *out)
    assert "say how fast" in refuse(capsys, tmp_path, "fit", once, *out)
    text = refuse(capsys, tmp_path, "fit", once, "--fps", "1e8", *out)
    assert "no sub-network is fast enough" in text
    for option in (("--width", "0.5"), ("--faster", "2"), ("--blocks", "shuffle")):
        text = refuse(capsys, tmp_path, "fit", once, *option, *out)
        assert f"{option[0]} is for a network that is not yet trained" in text
    for option in (("--keep", "0.5"), ("--exits", "50"), ("--bytes", "900"), ("--steps", "9")):
        text = refuse(capsys, tmp_path, "fit", once, *option)
        assert f"{option[0]} is for the network that is taken out" in text and "--fps F" in text
    assert "trained once for all" in refuse(capsys, tmp_path, "compile", once, *out)


def test_a_file_of_somebody_is_not_written_over(tiny, capsys, tmp_path) -> None:
    other = tmp_path / "mine.once"
    other.write_bytes(b"letters")
    text = refuse(capsys, tmp_path, "fit", tiny, "--once", "-o", other)
    assert "nothing that --once wrote" in text
    assert other.read_bytes() == b"letters"


def test_a_chain_is_wanted(tiny, capsys, tmp_path) -> None:
    b = GraphBuilder(1, (8, 4, 4))
    b.add("add", b.conv(16), b.conv(16))
    save_network(b.graph(), tmp_path / "branch.npz")
    before = {p.name for p in tmp_path.iterdir()}
    assert (
        main(["fit", str(tmp_path / "branch.npz"), "--once", "-o", str(tmp_path / "b.once")]) == 2
    )
    assert "fit it without --once" in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} == before


def test_an_interrupted_training_goes_on(tiny, capsys, monkeypatch) -> None:
    from winogen.compression import shrinking, trainer

    monkeypatch.setattr(trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    step, taken = shrinking.Shrinker.step, []

    def interrupted(self) -> None:
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(1)
        step(self)

    out = tiny.with_suffix(".once")
    command = ["fit", str(tiny), "--once", "-o", str(out), *SMALL]
    monkeypatch.setattr(shrinking.Shrinker, "step", interrupted)
    assert main(command) == 130
    capsys.readouterr()
    assert sorted(p.name for p in tiny.parent.iterdir()) == ["tiny.npz", "tiny.training"]
    monkeypatch.setattr(shrinking.Shrinker, "step", step)
    assert "going on from" in run(capsys, *command)
    whole = tiny.with_name("whole.once")
    run(capsys, *command[:-6], "-o", whole, *SMALL)
    assert whole.read_bytes() == out.read_bytes()


def test_minutes_bound_it(tiny, capsys) -> None:
    out = tiny.with_suffix(".once")
    text = run(capsys, "fit", tiny, "--once", "-o", out, "--minutes", "0.01", "--examples", "2")
    assert "288 networks in one" in text


def test_without_torch_it_is_one_sentence(tmp_path) -> None:
    write_arrays({"once.json": np.zeros(1, np.uint8)}, tmp_path / "n.once")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from winogen.cli.main import main\n"
        f"sys.exit(main(['fit', {str(tmp_path / 'n.once')!r}, '--fps', '10', '-o', "
        f"{str(tmp_path / 'd.wg')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr == (
        "winogen: fitting trains with torch, which is not installed: pip install "
        "'winogen[compress]' (what comes of it runs without)\n"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["n.once"]
