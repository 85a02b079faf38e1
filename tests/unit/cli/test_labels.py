"""winogen run of conditional networks: labels, and inputs by their names."""

from __future__ import annotations

import numpy as np
import pytest

from support.command_line import pixels, run
from winogen.cli.main import main

pytest.importorskip("onnx", reason="reading ONNX models needs the package onnx")

from winogen.network.onnx import import_onnx

FAMILIES = "tests/data/onnx_families"
MODEL = f"{FAMILIES}/cgan_mlp-torchscript-11.onnx"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "cgan.wg"
    assert main(["compile", MODEL, "-o", str(path), "--batch", "2"]) == 0
    return path


def outputs(capsys, program, tmp_path, *options):
    out = tmp_path / "out.npy"
    run(capsys, "run", program, "-o", out, *options)
    return np.load(out)


def test_labels_take_turns(capsys, program, tmp_path):
    both = outputs(capsys, program, tmp_path, "-n", 4, "--seed", 1, "--label", 1, 2)
    first = outputs(capsys, program, tmp_path, "-n", 4, "--seed", 1, "--label", 1)
    second = outputs(capsys, program, tmp_path, "-n", 4, "--seed", 1, "--label", 2)
    np.testing.assert_array_equal(both[::2], first[::2])
    np.testing.assert_array_equal(both[1::2], second[1::2])
    assert not np.array_equal(first, second)


def test_inputs_by_their_names(capsys, program, tmp_path):
    """The arrays of an .npz file."""
    latent, label = import_onnx(MODEL).input.parts
    z = np.random.default_rng(0).standard_normal((3, latent.channels)).astype(np.float32)
    np.savez(tmp_path / "in.npz", **{latent.name: z, label.name: np.array([0, 1, 2])})
    out = outputs(capsys, program, tmp_path, "--input", tmp_path / "in.npz")
    again = outputs(capsys, program, tmp_path, "--input", tmp_path / "in.npz", "--label", 0, 1, 2)
    np.testing.assert_array_equal(out, again)


@pytest.mark.parametrize(
    ("model", "label", "text"),
    [(None, "99", "give 0 to"), (None, "cat", "'cat' is no label"), ("digits", "1", "0 labels")],
)
def test_labels_that_there_are_not(capsys, program, tmp_path, model, label, text):
    out = tmp_path / "out.npy"
    assert main(["run", str(model or program), "--label", label, "-o", str(out)]) == 2
    assert text in capsys.readouterr().err
    assert not out.exists()


def test_a_picture_with_what_goes_beside_it(capsys, tmp_path):
    """What is drawn beside it is said; a label that the network does not take is refused."""
    out = tmp_path / "out.png"
    model = f"{FAMILIES}/stargan-torchscript-11.onnx"
    said = run(capsys, "run", model, "--input", "tests/data/chelsea.png", "-o", out)
    assert "drawn, as there is nothing else to take: label" in said
    assert pixels(out).shape == (16, 16, 3)
    code = main(["run", model, "--input", "tests/data/chelsea.png", "-o", str(out), "--label", "1"])
    assert code == 2
    assert "takes no label" in capsys.readouterr().err
