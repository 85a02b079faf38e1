"""``--json``: one object on standard output whose members are documented, all else beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.bench import small
from support.places import ROOT
from winogen import __version__
from winogen.cli.main import main
from winogen.network import zoo
from winogen.program.file import Program

PAGE = ROOT / "docs" / "reference" / "command-line.md"


@pytest.fixture
def program(tmp_path) -> Path:
    path = tmp_path / "small.wg"
    small(batch=4).program.save(path)
    return path


@pytest.fixture
def model(tmp_path) -> Path:
    """A network of pictures that compiles in no time."""
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "layers.yaml").write_text(
        "input: {image: [1, 8, 8]}\noutput: {range: [0, 1]}\n"
        "layers: [{name: c, op: conv, cout: 1, k: 3, pad: 1, act: clip01}]\n"
    )
    weight = np.full((1, 1, 3, 3), 1 / 9, np.float32)
    np.savez(folder / "weights.npz", **{"c.weight": weight, "c.bias": np.zeros(1, np.float32)})
    return folder


def members(value: Any) -> set[str]:
    """Names of all members, however deep."""
    if isinstance(value, list):
        return {name for part in value for name in members(part)}
    if not isinstance(value, dict):
        return set()
    return set(value) | {name for part in value.values() for name in members(part)}


def said(capsys, *arguments: object, code: int = 0) -> tuple[dict[str, Any], str]:
    """The object, after checks that hold for each; and what is on standard error."""
    assert main([*(str(a) for a in arguments), "--json"]) == code
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["winogen"] == __version__
    documented = set(re.findall(r"`([\w ]+)`", PAGE.read_text()))
    undocumented = members({k: v for k, v in found.items() if k != "counters"}) - documented
    assert not undocumented
    return found, captured.err


def test_models(capsys):
    found, text = said(capsys, "models")
    assert [m["name"] for m in found["models"]] == zoo.model_names()
    trained = {m["name"] for m in found["models"] if m["trained"] is True}
    assert trained == {name for name in zoo.model_names() if zoo.is_trained(name)}
    assert "digits" in text  # the table


def test_info(capsys, program):
    loaded = Program.load(program)
    found, _ = said(capsys, "info", program)
    about = found["program"]
    assert (about["name"], about["data_width"], about["board"]) == (loaded.name, 8, "tiny")
    assert about["configuration"] == loaded.core.config_hash
    assert about["input"]["shape"] == list(loaded.input_shape)
    assert [s["cycles"] for s in about["streams"]] == [s.cycles for s in loaded.streams]
    assert [x["multiplies"] for x in about["layers"]] == [x.multiplies for x in loaded.layers]


def test_run(capsys, program, tmp_path):
    found, text = said(capsys, "run", program, "-n", 3, "-o", tmp_path / "a.npy")
    shape = list(np.load(tmp_path / "a.npy").shape)
    assert found["outputs"] == [{"output": str(tmp_path / "a.npy"), "shape": shape}]
    assert found["device"] == "emulator" and found["warnings"] == []
    assert found["counters"]["cycles"] > 0
    assert "wrote" in text
    np.save(tmp_path / "z.npy", np.full((2, 5), 9.0))
    found, text = said(
        capsys, "run", program, "--input", tmp_path / "z.npy", "-o", tmp_path / "a.npy"
    )
    assert len(found["warnings"]) == 1 and "are beyond the 4.5" in found["warnings"][0]
    assert f"winogen: warning: {found['warnings'][0]}\n" in text


def test_run_on_pictures(capsys, model, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("L", (9, 8), 77).save(folder / "a.png")
    (folder / "b.png").write_bytes(b"")
    (folder / "notes.txt").write_text("")
    found, _ = said(
        capsys, "run", model, "--board", "tiny", "--input", folder, "-o", tmp_path / "out", code=1
    )
    [made] = found["outputs"]
    assert (made["input"], made["output"]) == (
        str(folder / "a.png"), str(tmp_path / "out" / "a.png")
    )  # fmt: skip
    assert (made["width"], made["height"]) == (9, 8)
    bad, other = found["left_out"]
    assert "b.png" in bad and "notes.txt is no picture" in other


def test_compile_and_verify(capsys, model, tmp_path):
    path = tmp_path / "net.wg"
    found, _ = said(capsys, "compile", model, "--board", "tiny", "-o", path)
    assert found["output"] == str(path) and found["bytes"] == path.stat().st_size
    assert found["quality"]["grade"] == "good" and found["quality"]["psnr_db"] > 30
    assert [x["name"] for x in found["layers"]] == ["c"]
    assert found["program"]["name"] == "net" and found["report"] is None
    found, _ = said(capsys, "verify", path, "--model", model, "--board", "tiny")
    assert found["passed"] and found["same_program"]
    assert [x["differ_from_model"] for x in found["layers"]] == [0]
    assert [x["differ_from_emulator"] for x in found["layers"]] == [None]
    found, _ = said(capsys, "verify", path, "--model", model, "--mode", "direct")
    assert found["passed"] and found["same_program"] is False  # other weights, the same images


def test_a_refusal_is_an_object_too(capsys, tmp_path):
    found, text = said(capsys, "info", tmp_path / "none.wg", code=2)
    assert set(found) == {"winogen", "error", "warnings"}
    assert text == f"winogen: {found['error']}\n"


WRONG_WORDS = [
    (["run", "digits", "--nubmer", "3"], "did you mean '--number'?"),
    (["run", "digits", "-n", "many"], "'many' is no whole number"),
    (["info"], "required: model"),
    (["info", "digits", "fsrcnn-x2"], "'fsrcnn-x2' is one word too many"),
    (["compile", "digits", "--bits", "9"], "'9' is not possible"),
    (["modles"], "did you mean 'models'?"),
    (["doctor", "--bits", "eight"], "'eight' is no whole number"),
]


@pytest.mark.parametrize(("words", "message"), WRONG_WORDS)
@pytest.mark.parametrize("flag", ["--json", "--js"])
def test_wrong_words_are_an_object_on_one_line(capsys, words, message, flag):
    for arguments in ([*words, flag], [words[0], flag, *words[1:]]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        captured = capsys.readouterr()
        assert end.value.code == 2
        assert captured.out.count("\n") == 1
        found = json.loads(captured.out)
        assert set(found) == {"winogen", "error", "warnings"}
        assert (found["winogen"], found["warnings"]) == (__version__, [])
        assert message in found["error"]
        assert captured.err == f"winogen: {found['error']}\n"


@pytest.mark.parametrize(("words", "message"), WRONG_WORDS)
def test_without_json_wrong_words_print_no_object(capsys, words, message):
    with pytest.raises(SystemExit):
        main(words)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_a_file_of_json_is_no_object_on_standard_output(capsys):
    with pytest.raises(SystemExit):
        main(["overlay", "report", "--json", "f.json", "--bits", "many"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(28, "No space left on device", "x.png"), "x.png: No space left on device"),
    ],
)
def test_errors_of_the_system_are_an_object_too(capsys, monkeypatch, error, words):
    def fail() -> None:
        raise error

    monkeypatch.setattr("winogen.network.zoo.model_names", fail)
    found, text = said(capsys, "models", code=2)
    assert words in found["error"]
    assert text == f"winogen: {found['error']}\n"


def test_check(capsys, model, tmp_path):
    found, text = said(capsys, "check", model, "--board", "tiny")
    assert found["runs"] is True and found["problems"] == []
    assert (found["model"], found["kind"]) == (str(model), "model folder")
    assert found["input_shape"] == found["output_shape"] == [1, 8, 8]
    assert [x["operation"] for x in found["layers"]] == ["conv", "clamp"]
    assert (found["multiply_adds"], found["parameters"]) == (9 * 64, 10)
    assert [p["data_width"] for p in found["predictions"]] == [8, 16]
    assert all(p["runs"] and p["images_per_second"] > 0 for p in found["predictions"])
    assert "It runs." in text
    path = tmp_path / "bad.yaml"
    path.write_text("input: {latent: 3}\nlayers: [{name: a, op: lstm}, {name: b, op: gru}]\n")
    found, text = said(capsys, "check", path, code=1)
    assert found["runs"] is False and len(found["problems"]) == 2
    assert found["input_shape"] is None and found["predictions"] == []
    assert "2 things cannot run" in text


def test_check_of_what_is_no_network(capsys, program, tmp_path):
    assert said(capsys, "check", tmp_path / "none.onnx", code=2)[0]["error"]
    assert (
        "leave --board out"
        in said(capsys, "check", "digits", "--all-boards", "--board", "tiny", code=2)[0]["error"]
    )
    assert (
        "--window cannot change"
        in said(capsys, "check", program, "--window", "8x8", code=2)[0]["error"]
    )
    found, _ = said(capsys, "check", program)
    assert found["runs"] and found["facts"]["compiled for"].startswith("tiny, 8 bits")


def test_numbers_that_json_does_not_know(capsys, model, tmp_path):
    """An exact layer has an infinite PSNR."""
    weight = {"c.weight": np.zeros((1, 1, 3, 3), "f4"), "c.bias": np.zeros(1, "f4")}
    np.savez(model / "weights.npz", **weight)
    found, _ = said(capsys, "compile", model, "--board", "tiny", "-o", tmp_path / "a.wg")
    assert found["quality"]["psnr_db"] is None and found["quality"]["exact"] is True
