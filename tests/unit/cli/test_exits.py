"""Exits on the command line: run, info, disasm, verify and fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from support.bench import named
from support.command_line import refuse, run
from support.exits import compiled, pictures_with_exits, with_exits
from winogen.cli.main import main
from winogen.compiler.compile import compile_graph
from winogen.network.stored import save_network
from winogen.program.deadline import predicted_seconds
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.windows import image_spans


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "e.wg"
    compiled().program.save(path)
    return path


def test_run_to_an_exit(capsys, tmp_path, program) -> None:
    outs = {}
    for number in (None, 1, 2, 3):
        out = tmp_path / f"{number}.npy"
        options = () if number is None else ("--exit", number)
        text = run(capsys, "run", program, "-n", "2", "--seed", "4", *options, "-o", out)
        assert f"exit {number or 3} of 3" in text
        outs[number] = np.load(out)
    with Generator(Program.load(program)) as generator:
        z = generator.latents(2, seed=4)
        for number in (1, 2, 3):
            wanted = generator.generate(z, exit=number, as_float=True)
            np.testing.assert_array_equal(outs[number], wanted)
    np.testing.assert_array_equal(outs[None], outs[3])
    text = run(capsys, "run", program, "--exit", "1", "--profile", "-o", tmp_path / "p.npy")
    assert "exit1.1" in text and "conv4" not in text


def test_deadlines(capsys, tmp_path, program) -> None:
    whole = Program.load(program)
    ms = 1e3 * predicted_seconds(whole.at_exit(2), 3)
    out = tmp_path / "d.npy"
    command = ["run", str(program), "-n", "3", "-o", str(out), "--json"]
    assert main([*command, "--deadline-ms", f"{ms * 1.0001}"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["exit"] == 2
    assert result["predicted"]["cycles"] == whole.at_exit(2).streams[-1].cycles
    text = refuse(capsys, tmp_path, "run", program, "-n", "3", "--deadline-ms", "0.0001", "-o", out)
    assert "ms are too few on tiny" in text
    text = refuse(capsys, tmp_path, "run", program, "--deadline-ms", "1", "--exit", "1", "-o", out)
    assert "give --exit or --deadline-ms" in text


def test_numbers_that_there_are_not(capsys, tmp_path, program) -> None:
    out = tmp_path / "n.npy"
    assert "give 1, the shallowest, to 3" in refuse(
        capsys, tmp_path, "run", program, "--exit", "4", "-o", out
    )
    text = refuse(capsys, tmp_path, "run", "digits", "--exit", "2", "-o", out)
    assert "its only one is 1, all of it" in text
    assert not out.exists()


def test_pictures(capsys, tmp_path) -> None:
    network, picture = tmp_path / "p.npz", tmp_path / "a.png"
    save_network(pictures_with_exits(), network)
    Image.fromarray(np.full((20, 18), 90, np.uint8)).save(picture)
    common = ("--board", "tiny", "--window", "16x16", "--input", picture, "--colour", "grey")
    outs = []
    for number, options in (("1", ("--exit", "1")), ("2", ("--deadline-ms", "100000"))):
        out = tmp_path / f"{number}.png"
        text = run(capsys, "run", network, *common, *options, "-o", out)
        assert f"exit {number} of 2" in text
        outs.append(np.asarray(Image.open(out)))
    assert outs[0].shape == outs[1].shape == (40, 36)
    assert not np.array_equal(*outs)


def test_pictures_in_time(capsys, tmp_path) -> None:
    """By the windows of the exit itself, which are fewer than the whole network's."""
    path, picture, out = (tmp_path / n for n in ("p.wg", "a.png", "o.png"))
    program = compile_graph(pictures_with_exits(), named("tiny"), batch=2).program
    program.save(path)
    Image.fromarray(np.full((48, 48), 90, np.uint8)).save(picture)
    rows, columns = image_spans((48, 48), program.at_exit(1))
    ms = 1e3 * predicted_seconds(program.at_exit(1), len(rows) * len(columns))
    command = ("run", path, "--input", picture, "--colour", "grey", "-o", out)
    text = run(capsys, *command, "--deadline-ms", 1.0001 * ms)
    assert "exit 1 of 2" in text


def test_an_exit_that_is_not_there_is_told_before_compiling(capsys, tmp_path, monkeypatch) -> None:
    network, picture = tmp_path / "p.npz", tmp_path / "a.png"
    save_network(pictures_with_exits(), network)
    Image.fromarray(np.full((20, 18), 90, np.uint8)).save(picture)
    monkeypatch.setattr("winogen.cli.programs.compile_with_progress", None)
    text = refuse(capsys, tmp_path, "run", network, "--input", picture, "--exit", "7")
    assert "give 1, the shallowest, to 2" in text


def test_info_and_disasm(capsys, program) -> None:
    whole = Program.load(program)
    text = run(capsys, "info", program)
    for number in (1, 2, 3):
        stream = whole.at_exit(number).streams[0]
        line = next(x for x in text.splitlines() if x.split()[:1] == [str(number)]
                    and f" {stream.cycles:,} " in x and "%" in x)  # fmt: skip
        read = sum(p.size for p in whole.at_exit(number).pieces)
        assert f"{read:,}" in line
    assert main(["info", str(program), "--json"]) == 0
    exits = json.loads(capsys.readouterr().out)["exits"]
    assert [e["exit"] for e in exits] == [1, 2, 3]
    assert exits[0]["layers"][-1] == "exit1.2"
    first = run(capsys, "disasm", program, "--exit", "1").splitlines()
    assert len(first) == whole.at_exit(1).streams[0].length


def test_verify(capsys, tmp_path, program) -> None:
    network = tmp_path / "e.npz"
    save_network(with_exits(), network)
    common = ("verify", program, "--model", network, "-n", "2")
    for options in ((), ("--exit", "1")):
        text = run(capsys, *common, *options)
        assert "it is what this model compiles to, bit for bit" in text
        assert "every bit of" in text
    save_network(with_exits().without_exits(), network)
    assert "has 3 exits, model 'exits' has 1" in refuse(capsys, tmp_path, *common)


def test_compiled_again_it_is_the_same(capsys, tmp_path) -> None:
    torch = pytest.importorskip("torch", reason="training needs the package torch")
    torch.set_num_threads(1)
    network, out, again = (tmp_path / n for n in ("n.npz", "f.wg", "again.wg"))
    save_network(with_exits().without_exits(), network)
    build = ("--board", "tiny", "--batch", "2")
    text = run(capsys, "fit", network, "--exits", "60,90", "--steps", "3", "--examples", "2",
               "-o", out, *build)  # fmt: skip
    assert "exit 1: " in text and "exit 2: " in text and "of the cycles for one image" in text
    run(capsys, "compile", out.with_suffix(".npz"), *build, "-o", again)
    assert again.read_bytes() == out.read_bytes()
    assert Program.load(out).exit_count == 3
    text = refuse(capsys, tmp_path, "fit", network, "--exits", "70,45", "-o", out, *build)
    assert "--exits takes 1 to 8 different percentages" in text


def test_compile_shows_what_each_takes(capsys, tmp_path) -> None:
    save_network(with_exits(), tmp_path / "n.npz")
    command = ["compile", tmp_path / "n.npz", "--board", "tiny", "--batch", "2"]
    text = run(capsys, *command, "-o", tmp_path / "n.wg")
    rows = [line.split() for line in text.splitlines() if line.split()[:1] in (["1"], ["2"], ["3"])]
    program = Program.load(tmp_path / "n.wg")
    assert [row[:3] for row in rows][-1] == ["3", f"{program.streams[0].cycles:,}", "100%"]
    assert [int(row[1].replace(",", "")) for row in rows] == [
        program.at_exit(n).streams[0].cycles for n in (1, 2, 3)
    ]
    without = run(capsys, "compile", "digits", "--batch", "1", "-o", tmp_path / "d.wg")
    assert "cycles alone" in text and "cycles alone" not in without
