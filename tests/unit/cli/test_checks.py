"""``winogen run --check`` and ``winogen verify --check``: soft errors on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.bench import small
from support.random_graphs import GraphBuilder
from winogen.cli.main import main
from winogen.compiler.compile import compile_graph
from winogen.network.graph import InputSpec
from winogen.runtime.generator import Generator
from winogen.target.board import load_board


@pytest.fixture
def program(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    small().program.save("small.wg")
    return "small.wg"


@pytest.fixture
def asked(monkeypatch) -> list[dict]:
    """What each Generator was asked for."""
    seen: list[dict] = []
    real = Generator.__init__

    def init(self, *arguments, **options):
        seen.append({k: v for k, v in options.items() if k.startswith("check")})
        real(self, *arguments, **options)

    monkeypatch.setattr(Generator, "__init__", init)
    return seen


def flip_weights(generator: Generator) -> None:
    memory = generator.device.memory
    address = generator._runner.buffers["weights"].device_address + 50
    memory.device_write(address, memory.device_read(address, 1) ^ np.uint8(1))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], (None, False, False)),
        (["--check"], (1, False, False)),
        (["--check=3"], (3, False, False)),
        (["--check-repeat"], (1, True, False)),
        (["--check", "2", "--check-repeat", "--check-answer"], (2, True, True)),
    ],
)
def test_what_it_asks_for(words, wanted, program, asked, capsys):
    assert main(["run", program, "-n", "3", "-o", "out.npy", *words]) == 0
    names = ("check_every", "check_repeat", "check_answer")
    assert asked == [dict(zip(names, wanted))]
    with Generator(small().program) as plain:
        made = plain.generate(plain.latents(3), as_float=True)
    np.testing.assert_array_equal(np.load("out.npy"), made)


def test_nothing_unchecked_is_written(program, monkeypatch, capsys):
    """Also where the last runs are fewer than those between two checks."""
    real = Generator.generate

    def generate(self, *arguments, **options):
        out = real(self, *arguments, **options)
        flip_weights(self)
        return out

    monkeypatch.setattr(Generator, "generate", generate)
    assert main(["run", program, "-o", "out.png", "--check=1000"]) == 2
    text = capsys.readouterr().err
    assert text.startswith("winogen: the weights of network 'small' have changed in the device's ")
    assert "what 8 runs before gave was not checked" in text and text.count("\n") == 1
    assert not Path("out.png").exists()
    assert main(["run", program, "-o", "out.png", "--check=1000", "--json"]) == 2
    assert "byte 50 reads" in json.loads(capsys.readouterr().out)["error"]
    assert main(["run", program, "-o", "out.png"]) == 0  # it was not asked to look


def test_pictures_are_checked_before_they_are_written(tmp_path, monkeypatch, capsys):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (14, 10), "olive").save("a.png")
    b = GraphBuilder(0, (3, 8, 8))
    b.input = InputSpec((3, 8, 8), "image", "uniform", range=(0.0, 1.0))
    b.conv(3, 3)
    compile_graph(b.graph("n", (0.0, 1.0)), load_board("tiny"), batch=1).program.save("n.wg")
    arguments = ["run", "n.wg", "--input", "a.png", "-o", "b.png"]
    real = Generator.check
    looked = []
    monkeypatch.setattr(Generator, "check", lambda self: looked.append(real(self)))
    assert main([*arguments, "--check=1000"]) == 0
    assert len(looked) == 1
    wanted = Path("b.png").read_bytes()
    assert main([*arguments, "--check"]) == 0  # nothing is left for it
    assert len(looked) == 1
    assert Path("b.png").read_bytes() == wanted

    def check(self):
        flip_weights(self)
        real(self)

    monkeypatch.setattr(Generator, "check", check)
    Path("b.png").unlink()
    assert main([*arguments, "--check=1000"]) == 2
    assert not Path("b.png").exists()
    assert "have changed in the device's memory" in capsys.readouterr().err


def test_verify(tmp_path, asked, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compile", "digits", "-o", "d.wg"]) == 0
    assert main(["verify", "d.wg", "--model", "digits", "-n", "1", "--check=1000"]) == 0
    assert asked[-1] == {"check_every": 1000, "check_repeat": False, "check_answer": False}
    real = Generator.generate

    def generate(self, *arguments, **options):
        out = real(self, *arguments, **options)
        flip_weights(self)
        return out

    monkeypatch.setattr(Generator, "generate", generate)
    assert main(["verify", "d.wg", "--model", "digits", "-n", "1", "--check=1000"]) == 2
    assert "have changed in the device's memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--check", "small.wg"], "--check: 'small.wg' is no number of runs: write --check=N, or"),
        (["small.wg", "--check=0"], "--check: the number of runs must be at least 1, not 0"),
    ],
)
def test_words_that_make_no_sense(words, said, program, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", *words])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err
