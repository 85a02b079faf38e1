"""The command line as its users see it: what works, and one clear sentence where nothing can."""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.bench import small
from support.command_line import pixels, refuse, run
from support.places import ROOT
from winogen.cli import main as cli
from winogen.cli.main import main
from winogen.common import files
from winogen.compiler.compile import compile_graph
from winogen.network import zoo
from winogen.program.file import Program
from winogen.target.board import board_folder, load_board

LAYERS = """
name: tiny-net
input: {latent: 5}
output: {range: [-1, 1]}
layers:
- {name: fc, op: linear, shape: [6, 3, 3], act: relu}
- {name: up, op: deconv, cout: 4, k: 4, stride: 2, pad: 1, norm: batch, act: lrelu, slope: 0.2}
- {name: out, op: deconv, cout: 3, k: 5, stride: 2, pad: 2, output_padding: 1, act: tanh}
"""
SHAPES = {
    "fc.weight": (54, 5), "fc.bias": (54,), "up.weight": (6, 4, 4, 4), "up.bn_gamma": (4,),
    "up.bn_beta": (4,), "up.bn_mean": (4,), "up.bn_var": (4,), "out.weight": (4, 3, 5, 5),
    "out.bias": (3,),
}  # fmt: skip


def parameters() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {n: rng.standard_normal(s).astype(np.float32) / 3 for n, s in SHAPES.items()}
    arrays["up.bn_var"] = np.ones(4, np.float32)
    return arrays


@pytest.fixture
def model(tmp_path) -> Path:
    """A model folder that compiles in no time."""
    folder = tmp_path / "tiny-net"
    folder.mkdir()
    (folder / "layers.yaml").write_text(LAYERS)
    np.savez(folder / "weights.npz", **parameters())
    return folder


@pytest.fixture
def program(model, tmp_path) -> Path:
    path = tmp_path / "net.wg"
    compile_graph(zoo.load_model(model), load_board("tiny"), batch=4).program.save(path)
    return path


@pytest.fixture
def out(tmp_path) -> Path:
    """An empty folder to write into."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def usage(capsys, out: Path, *arguments: object) -> str:
    """Likewise where argparse itself refuses: usage, then the reason."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    assert stop.value.code == 2
    assert sorted(out.iterdir()) == []
    return capsys.readouterr().err


# What works


def test_models(capsys):
    text = run(capsys, "models")
    for name in zoo.model_names():
        assert re.search(rf"^{re.escape(name)}\s+(trained|random)\s+\S", text, re.M)


def test_run_a_folder(capsys, model, out):
    text = run(capsys, "run", model, "--board", "tiny", "-n", 6, "-o", out / "a.png")
    picture = pixels(out / "a.png")
    assert picture.shape == (2 * 12 + 2, 3 * 12 + 2 * 2, 3)
    assert picture.std() > 10
    assert f"wrote {out / 'a.png'}: 6 x 12x12x3 from the emulator" in text
    assert [p.name for p in out.iterdir()] == ["a.png"]
    for layer in ("fc", "up", "out"):
        assert re.search(rf"^{layer}\b.*(winograd|direct)", text, re.M)
    assert "images/s on tiny, " in text


def test_the_seed_makes_the_images(capsys, program, out):
    files = {}
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        run(capsys, "run", program, "-n", 3, "--seed", seed, "-o", out / f"{name}.png")
        files[name] = (out / f"{name}.png").read_bytes()
    assert files["a"] == files["b"] != files["c"]


def test_a_program_file_and_its_model_give_the_same_images(capsys, model, program, out):
    run(capsys, "run", program, "-n", 5, "-o", out / "a.npy")
    run(capsys, "run", model, "--board", "tiny", "--batch", 4, "-n", 5, "-o", out / "b.npy")
    a, b = np.load(out / "a.npy"), np.load(out / "b.npy")
    assert (a.dtype, a.shape) == (np.float32, (5, 3, 12, 12))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a).max() <= 1


def test_scale_enlarges(capsys, program, out):
    for scale in (1, 3):
        run(capsys, "run", program, "-n", 1, "--scale", scale, "-o", out / f"{scale}.PNG")
    one, three = (pixels(out / f"{s}.PNG") for s in (1, 3))
    np.testing.assert_array_equal(three, one.repeat(3, 0).repeat(3, 1))


def test_inputs_from_a_file(capsys, program, out, tmp_path):
    from winogen.runtime.generator import Generator

    with Generator(str(program)) as generator:
        z = generator.latents(3, seed=4)
    np.save(tmp_path / "z.npy", z)
    run(capsys, "run", program, "--input", tmp_path / "z.npy", "-o", out / "a.npy")
    run(capsys, "run", program, "-n", 3, "--seed", 4, "-o", out / "b.npy")
    np.testing.assert_array_equal(np.load(out / "a.npy"), np.load(out / "b.npy"))


def test_inputs_that_are_clipped_are_a_line_on_standard_error(capsys, program, out, tmp_path):
    z = np.random.default_rng(0).normal(0, 10, (50, 5)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    assert main(["run", str(program), "--input", str(tmp_path / "z.npy"), "-o",
                 str(out / "a.npy")]) == 0  # fmt: skip
    err = capsys.readouterr().err
    assert re.fullmatch(r"winogen: warning: of the latents, 6\S*% are beyond the 4.5 .*\n", err)


def test_compile_and_info(capsys, model, out):
    path = out / "net.wg"
    text = run(capsys, "compile", model, "--board", "tiny", "--batch", 3, "-o", path)
    loaded = Program.load(path)
    assert [s.batch for s in loaded.streams] == [1, 2, 3]
    assert "PSNR dB" in text
    assert f"wrote {path}" in text
    assert f"{loaded.core.config_hash32:08x}" in text
    assert "x fewer than zero-padded" in text
    weights = (
        f"{len(loaded.weights):,} bytes in memory, {loaded.stored.nbytes:,} in the file, "
        f"{loaded.bits_a_weight:.2f} bits a weight"
    )
    assert text.endswith(f"weights: {weights}\n")
    text = run(capsys, "info", path)
    assert re.search(r"^network +tiny-net, int8$", text, re.M)
    board = r"^board +tiny, 100 MHz, 128 multipliers, configuration [0-9a-f]{8}$"
    assert re.search(board, text, re.M)
    assert re.search(r"^input +latent 5 x 1 x 1, step ", text, re.M)
    assert re.search(r"^output +3 x 12 x 12, step .*, image$", text, re.M)
    assert re.search(f"^weights +{weights}$", text, re.M)
    for stream in loaded.streams:
        assert re.search(rf"^ *{stream.batch} +{stream.length:,} .* {stream.cycles:,} ", text, re.M)


def test_compile_modes_and_bits(capsys, model, out):
    cycles = {}
    for mode in ("auto", "winograd", "direct", "zero-padded"):
        run(capsys, "compile", model, "--board", "tiny", "--mode", mode, "-o", out / "a.wg")
        loaded = Program.load(out / "a.wg")
        assert mode == "auto" or {x.mode for x in loaded.layers} == {mode}
        cycles[mode] = loaded.streams[-1].cycles
    assert cycles["auto"] <= min(cycles.values())
    assert cycles["zero-padded"] > cycles["direct"]
    run(capsys, "compile", model, "--board", "tiny", "--bits", 16, "-o", out / "b.wg")
    assert Program.load(out / "b.wg").data_width == 16


def test_info_of_a_name_compiles_it(capsys, model, out, monkeypatch):
    monkeypatch.chdir(out)
    text = run(capsys, "info", model, "--board", "tiny", "--batch", 3)
    assert re.search(r"^network +tiny-net, int8$", text, re.M)
    assert list(out.iterdir()) == []
    assert "unknown model 'digts'; did you mean 'digits'?" in refuse(capsys, out, "info", "digts")


def test_disasm(capsys, program):
    loaded = Program.load(program)
    for arguments, stream in (((), loaded.streams[0]), (("--batch", 4), loaded.streams[-1])):
        lines = run(capsys, "disasm", program, *arguments).splitlines()
        assert len(lines) == stream.length
        for index, (line, x) in enumerate(zip(lines, stream.instructions())):
            assert line.split()[:3] == [str(index), f"L{x.layer}", x.opcode.name]
        text = "\n".join(lines)
        for part in ("weights+0x", "output+0x", "<load", ">compute", "winograd", "steps="):
            assert part in text


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    for command in ("models", "compile", "run", "info", "disasm"):
        assert re.search(rf"^  winogen {command}\b.*  \S", text, re.M)
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "usage: winogen" in capsys.readouterr().out


def test_version(capsys):
    from winogen import __version__

    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"winogen {__version__}\n"


# Models that cannot be used


def test_unknown_models(capsys, out):
    text = refuse(capsys, out, "compile", "dcgan-5x4", "-o", out / "a.wg")
    assert "unknown model 'dcgan-5x4'; did you mean 'dcgan-5x5' or 'dcgan-4x4'? known" in text
    text = refuse(capsys, out, "run", "dcgan", "-o", out / "a.png")
    assert "did you mean 'dcgan-4x4' or 'dcgan-5x5'? known" in text
    text = refuse(capsys, out, "run", "FSRCNN", "-o", out / "a.png")
    assert "did you mean 'fsrcnn-x2', 'fsrcnn-x3' or 'fsrcnn-x4'? known" in text
    text = refuse(capsys, out, "run", "digist", "-o", out / "a.png")
    assert "did you mean 'digits'? known" in text
    assert "digits" in refuse(capsys, out, "run", "no-such-thing", "-o", out / "a.png")
    assert "has no layers.yaml" in refuse(capsys, out, "run", out, "-o", out / "a.png")


@pytest.mark.parametrize("name", SHAPES)
def test_missing_weights(name, capsys, model, out):
    arrays = parameters()
    del arrays[name]
    np.savez(model / "weights.npz", **arrays)
    text = refuse(capsys, out, "run", model, "--board", "tiny", "-o", out / "a.png")
    assert f"layer '{name.split('.')[0]}' of model tiny-net" in text
    assert f"'{name}' (shape {SHAPES[name]}) is missing in weights.npz" in text


@pytest.mark.parametrize("name", SHAPES)
def test_misshaped_and_broken_weights(name, capsys, model, out):
    layer = name.split(".")[0]
    changes: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda x: x[..., None], lambda x: np.concatenate([x, x]), lambda x: x[:-1],
        lambda x: np.where(x == x.max(), np.nan, x), lambda x: x * np.inf,
        lambda x: np.zeros(x.shape, int),
    ]  # fmt: skip
    for change in changes:
        with np.errstate(all="ignore"):
            np.savez(model / "weights.npz", **{**parameters(), name: change(parameters()[name])})
        text = refuse(capsys, out, "compile", model, "--board", "tiny", "-o", out / "a.wg")
        assert f"layer '{layer}" in text
        assert any(w in text for w in ("has shape", "NaN or infinity", "has dtype")), text


def test_weights_files_that_are_none(capsys, model, out):
    whole = (model / "weights.npz").read_bytes()
    for data in (b"", b"junk", b"PK\3\4" + bytes(99), whole[: len(whole) // 2], whole[:-30]):
        (model / "weights.npz").write_bytes(data)
        text = refuse(capsys, out, "run", model, "-o", out / "a.png")
        assert "weights.npz" in text
    (model / "weights.npz").unlink()
    assert "does not exist" in refuse(capsys, out, "run", model, "-o", out / "a.png")
    np.savez(model / "weights.npz", **{"fc.weight": np.array([{}], object)})  # needs pickle
    assert "weights.npz" in refuse(capsys, out, "run", model, "-o", out / "a.png")


def test_compressed_weights_that_are_damaged(capsys, model, out):
    np.savez_compressed(model / "weights.npz", **parameters())
    whole = bytearray((model / "weights.npz").read_bytes())
    with zipfile.ZipFile(model / "weights.npz") as archive:
        at = archive.infolist()[0].header_offset + 60
    for place in range(at, at + 40):
        whole[place] ^= 0xFF
    (model / "weights.npz").write_bytes(bytes(whole))
    assert "weights.npz" in refuse(capsys, out, "run", model, "-o", out / "a.png")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{name: bad, op: attention}", "operation 'attention' is not supported"),
        ("{name: bad, op: conv, cout: 3, k: 3, bias: false, act: glu}",
         "activation 'glu' is not supported"),
        ("{name: bad, op: conv, cout: 3, k: 3, norm: spectral}",
         "normalisation 'spectral' is not supported"),
        ("{name: bad, op: conv, cout: 3, k: 9, bias: false}", "output would have size -2 x -2"),
        ("{name: bad, op: conv, cout: 3, k: 3, dilations: 2}", "unknown key 'dilations'"),
        ("{name: bad, op: add, from: [fc, up]}", "cannot add shapes"),
        ("{name: bad, op: conv, cout: 3}", "'k' is missing"),
    ],
)  # fmt: skip
def test_unsupported_layers(line, reason, capsys, model, out):
    lines = LAYERS.splitlines()
    (model / "layers.yaml").write_text("\n".join([*lines[:-1], f"- {line}"]))
    side = 9 if "k: 9" in line else 3
    weight = np.zeros((3, 4, side, side), "f4")
    np.savez(model / "weights.npz", **parameters(), **{"bad.weight": weight})
    text = refuse(capsys, out, "compile", model, "-o", out / "a.wg")
    assert "layer 'bad' of model tiny-net" in text
    assert reason in text


@pytest.mark.parametrize("text", [b"", b"a: [", b"- 1", b"\xff\xfe", b"layers: 3", b"layers: [3]",
                                  b"layers: []", b"layers: [{name: a, op: relu}]"])  # fmt: skip
def test_definitions_that_are_none(text, capsys, model, out):
    (model / "layers.yaml").write_bytes(text)
    refuse(capsys, out, "compile", model, "-o", out / "a.wg")


def test_a_layer_that_does_not_fit(capsys, model, out):
    (model / "layers.yaml").write_text(LAYERS.replace("[6, 3, 3]", "[6, 19, 19]"))
    arrays = {**parameters(), "fc.weight": np.ones((2166, 5), "f4"), "fc.bias": np.ones(2166, "f4")}
    np.savez(model / "weights.npz", **arrays)
    text = refuse(capsys, out, "compile", model, "--board", "tiny", "-o", out / "a.wg")
    assert "layer 'fc'" in text
    assert "does not fit board tiny" in text


def test_an_onnx_file_that_is_not_there(capsys, out, monkeypatch):
    """It is looked for before the package that would read it."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    text = refuse(capsys, out, "run", "missing.onnx", "-o", out / "a.png")
    assert text == "winogen: missing.onnx: the file cannot be read: there is no such file\n"


@pytest.mark.parametrize("command", ["run", "compile", "info"])
def test_latents_have_no_windows(command, capsys, model, out):
    target = {"run": ["-o", out / "a.png"], "compile": ["-o", out / "a.wg"], "info": []}[command]
    text = refuse(capsys, out, command, model, "--board", "tiny", "--window", "8x8", *target)
    assert "network tiny-net takes latents, which have no windows: leave --window out" in text


# Boards


def test_unknown_boards(capsys, model, out):
    text = refuse(capsys, out, "compile", model, "--board", "pynq-z3", "-o", out / "a.wg")
    assert "unknown board 'pynq-z3'; did you mean 'pynq-z2' or 'pynq-z1'? known" in text
    text = refuse(capsys, out, "compile", model, "--board", "ultra", "-o", out / "a.wg")
    assert "unknown board 'ultra'; known boards: kc705, kcu1500, kv260, " in text
    text = refuse(capsys, out, "compile", model, "--board", "none.yaml", "-o", out / "a.wg")
    assert "cannot read board file none.yaml" in text


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"cores: 3", b"\xff\xfe", b"a: [", b"cores: {int8: {}}", b"cores: {8: {}}",
     b"cores: {int8: 3}", b"{x: &a [*a]}"],
)  # fmt: skip
def test_board_files_that_are_none(text, capsys, model, out, tmp_path):
    (tmp_path / "b.yaml").write_bytes(text)
    board = tmp_path / "b.yaml"
    refuse(capsys, out, "compile", model, "--board", board, "-o", out / "a.wg")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clock_mhz: 100", "clock_mhz: fast"), ("clock_mhz: 100", "clock_mhz: 0"),
        ("clock_mhz: 100", "clock_mhz: .nan"), ("dram_mb_s: 400", "dram_mb_s: -1"),
        ("dram_latency: 10", "dram_latency: 1.5"), ("contiguous_mib: 64", "contiguous_mib: 0"),
        ("name: tiny", "name: [tiny]"), ("part: none", "nothing: none"),
        ("ci_lanes: 8", "ci_lanes: 5"), ("tile_lanes: 2", "tile_lanes: 0"),
        ("step_depth: 256", "step_depth: 99999"), ("data_width: 8", "data_width: 9"),
        ("data_width: 8", "data_width: 16"), ("read_ports: 1", "read_ports: true"),
        ("read_ports: 1", "read_ports: 3"), ("read_ports: 1", "read_ports: 8"),
    ],
)  # fmt: skip
def test_board_files_with_wrong_values(old, new, capsys, model, out, tmp_path):
    source = (board_folder() / "tiny" / "board.yaml").read_text()
    assert old in source
    (tmp_path / "b.yaml").write_text(source.replace(old, new))
    board = tmp_path / "b.yaml"
    text = refuse(capsys, out, "compile", model, "--board", board, "-o", out / "a.wg")
    assert new.split(":")[0] in text


def test_a_board_file_of_ones_own(capsys, model, out, tmp_path):
    source = (board_folder() / "tiny" / "board.yaml").read_text()
    (tmp_path / "b.yaml").write_text(source.replace("name: tiny", "name: mine"))
    run(capsys, "compile", model, "--board", tmp_path / "b.yaml", "-o", out / "a.wg")
    assert "from the emulator" in run(capsys, "run", out / "a.wg", "-n", 1, "-o", out / "a.png")


# Program files


def test_damaged_programs(capsys, program, out, tmp_path):
    data = program.read_bytes()
    for name, content, reason in (
        ("empty.wg", b"", "is empty"),
        ("text.wg", b"hello", "not a winogen program"),
        ("short.wg", data[: len(data) // 2], "truncated"),
        ("flipped.wg", data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], "checksum"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        for command in (["info", path], ["disasm", path], ["run", path, "-o", out / "a.png"]):
            text = refuse(capsys, out, *command)
            assert name in text
            assert reason in text
    assert "cannot read" in refuse(capsys, out, "info", tmp_path / "none.wg")
    assert "has no layers.yaml" in refuse(capsys, out, "info", tmp_path)


def test_a_program_for_another_board(capsys, program, out):
    text = refuse(capsys, out, "run", program, "--board", "pynq-z2", "-o", out / "a.png")
    assert "compiled for board tiny" in text
    assert "not for pynq-z2" in text
    text = refuse(capsys, out, "run", program, "--bits", 16, "-o", out / "a.png")
    assert "--bits 16" in text


@pytest.mark.parametrize(
    "option",
    [("--mode", "direct"), ("--batch", 2), ("--percentile", 99), ("--headroom", 2),
     ("--calib-seed", 1)],
)  # fmt: skip
def test_a_program_cannot_be_compiled_again(option, capsys, program, out):
    text = refuse(capsys, out, "run", program, *option, "-o", out / "a.png")
    assert f"{option[0]} cannot change a compiled program; compile it anew" in text


def test_a_stream_that_a_program_does_not_have(capsys, program, out):
    for batch in (0, 3, -1, 99):
        text = refuse(capsys, out, "disasm", program, "--batch", batch)
        assert f"has no stream for batch {batch}; it has 1, 2, 4" in text


# Inputs


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 6), "f4"), "has shape (2, 6), expected (N, 5, 1, 1) or (N, 5)"),
        (np.zeros((2, 5), "i4"), "must be a float array, not int32"),
        (np.zeros(5, "f4"), "must be one array (N, latent) or (N, C, H, W)"),
        (np.float32(3), "must be one array"),
        (np.zeros((0, 5), "f4"), "at least 1, not 0"),
        (np.full((1, 5), np.nan, "f4"), "NaN or infinity"),
        (np.full((1, 5), None), "cannot read inputs from"),
    ],
)
def test_wrong_inputs(array, reason, capsys, program, out, tmp_path):
    np.save(tmp_path / "z.npy", array)
    path = tmp_path / "z.npy"
    assert reason in refuse(capsys, out, "run", program, "--input", path, "-o", out / "a.png")


def test_inputs_that_are_no_array(capsys, program, out, tmp_path):
    good = io.BytesIO()
    np.save(good, np.zeros((4, 5), "f4"))
    huge = good.getvalue().replace(b"(4, 5)", b"(4000000000, 5)".ljust(6))
    path = tmp_path / "z.npy"
    for data in (b"", b"text", good.getvalue()[:40], good.getvalue()[:-1], b"PK\3\4junk",
                 b"PK\5\6" + bytes(18), b"\x93NUMPY\1\0\xff\xff", huge):  # fmt: skip
        path.write_bytes(data)
        refuse(capsys, out, "run", program, "--input", path, "-o", out / "a.png")
    np.savez(tmp_path / "z.npz", z=np.zeros((4, 5), "f4"))
    refuse(capsys, out, "run", program, "--input", tmp_path / "z.npz", "-o", out / "a.png")
    missing = tmp_path / "none.npy"
    text = refuse(capsys, out, "run", program, "--input", missing, "-o", out / "a.png")
    assert f"cannot read inputs from {missing}: " in text


# Numbers


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("-n", 0, "number of images must be at least 1, not 0"),
        ("-n", -3, "number of images must be at least 1, not -3"),
        ("--scale", 0, "scale must be 1 to 64, not 0"),
        ("--scale", -1, "scale must be 1 to 64, not -1"),
        ("--scale", 10**6, "scale must be 1 to 64, not 1000000"),
        ("-n", 10**9, "number of images must be at most"),
        ("--seed", -1, "seed must not be negative"),
        ("--calib-seed", -1, "seed must not be negative"),
        ("--batch", 0, "batch must be 1 to 1024, not 0"),
        ("--batch", -1, "batch must be 1 to 1024, not -1"),
        ("--batch", 5000, "batch must be 1 to 1024, not 5000"),
        ("--timeout", 0, "timeout must be a positive number of seconds"),
        ("--timeout", -1, "timeout must be a positive number of seconds"),
        ("--timeout", "nan", "timeout must be a positive number of seconds"),
        ("--percentile", 0, "percentile must be in (0, 100]"),
        ("--percentile", 101, "percentile must be in (0, 100]"),
        ("--headroom", 0, "headroom must be positive"),
        ("--headroom", "inf", "headroom must be positive"),
    ],
)
def test_wrong_numbers(option, value, reason, capsys, model, out):
    arguments = ["run", model, "--board", "tiny", "-o", out / "a.png", f"{option}={value}"]
    if option == "-n":
        arguments[-1:] = [option, value]
    assert reason in refuse(capsys, out, *arguments)


@pytest.mark.parametrize(
    ("option", "reason"),
    [("--batch=0", "batch must be"), ("--calib-seed=-1", "seed must not be negative"),
     ("--percentile=nan", "percentile must be"), ("--headroom=-1", "headroom must be")],
)  # fmt: skip
def test_wrong_numbers_when_compiling(option, reason, capsys, model, out):
    text = refuse(capsys, out, "compile", model, "--board", "tiny", "-o", out / "a.wg", option)
    assert reason in text


@pytest.mark.parametrize(
    "arguments",
    [[], ["paint"], ["run"], ["run", "digits", "-o", "a.png", "-n", "x"],
     ["compile", "digits", "-o", "a.wg", "--mode", "fft"], ["info"],
     ["compile", "digits", "-o", "a.wg", "--bits", "4"],
     ["run", "digits", "-o", "a.png", "--device", "fpga"]],
)  # fmt: skip
def test_wrong_words(arguments, capsys, out):
    text = usage(capsys, out, *arguments)
    assert text.startswith("winogen: ") and text.count("\n") == 1
    assert re.search(r"[;?] see 'winogen( \w+)* --help'$", text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["modles"], "there is no command 'modles'; did you mean 'models'? choose one of models, "),
        (["run", "digits", "-o", "a.png", "--sed", "3"],
         "there is no option --sed; did you mean '--seed'? see 'winogen run --help'"),
        (["run", "digits", "-o", "a.png", "--gamma=3"],
         "there is no option --gamma; see 'winogen run --help'"),
        (["run", "digits", "more", "-o", "a.png"], "'more' is one word too many"),
        (["run", "digits", "-o", "a.png", "-n", "x"], "-n/--number: 'x' is no whole number"),
        (["compile", "digits", "--mode", "winograde"],
         "--mode: 'winograde' is not possible; did you mean 'winograd'? choose one of auto, "),
        (["overlay", "bild"], "there is no action 'bild'; did you mean 'build'?"),
        (["overlay", "report", "--bots"], "see 'winogen overlay report --help'"),
        ([], "command; see 'winogen --help'"),
    ],
)  # fmt: skip
def test_wrong_words_are_answered_by_what_was_meant(arguments, said, capsys, out):
    assert said in usage(capsys, out, *arguments)


# Outputs


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.npz", "a.PNGX", ".png"])
def test_wrong_suffixes(name, capsys, program, out):
    text = refuse(capsys, out, "run", program, "-o", out / name)
    assert "must end in .png or .npy" in text


def test_names_of_outputs_suggest_themselves(capsys, model, out, monkeypatch):
    monkeypatch.chdir(out)
    text = run(capsys, "compile", model, "--board", "tiny", "--batch", 2)
    assert "wrote tiny-net.wg (" in text
    assert "wrote tiny-net.png: 2 x " in run(capsys, "run", "tiny-net.wg", "-n", 2)
    first = Path("tiny-net.png").read_bytes()
    run(capsys, "run", "tiny-net.wg", "-n", 3)  # what winogen wrote it may replace
    assert Path("tiny-net.png").read_bytes() != first
    run(capsys, "compile", model, "--board", "tiny", "--batch", 1)
    assert [s.batch for s in Program.load("tiny-net.wg").streams] == [1]
    assert sorted(p.name for p in out.iterdir()) == ["tiny-net.png", "tiny-net.wg"]


def test_what_somebody_else_wrote_is_not_replaced(capsys, model, program, out, monkeypatch):
    monkeypatch.chdir(out)
    reason = "is there already, and does not say that winogen wrote it: name the file to write"
    Image.new("L", (3, 3)).save("net.png")
    assert f"net.png {reason}" in refuse(capsys, out, "run", program, "-n", 1)
    Path("net.png").unlink()
    Path("net.png").symlink_to(out / "else.png")
    assert f"net.png {reason}" in refuse(capsys, out, "run", program, "-n", 1)
    Path("tiny-net.wg").write_bytes(b"mine")
    assert f"tiny-net.wg {reason}" in refuse(capsys, out, "compile", model, "--board", "tiny")
    Path("tiny-net.wg").unlink()
    Path("tiny-net.wg").mkdir()
    refuse(capsys, out, "compile", model, "--board", "tiny")


def test_what_is_no_picture_is_named_as_an_array(capsys, model, out, monkeypatch):
    monkeypatch.chdir(out)
    (model / "layers.yaml").write_text(LAYERS.replace("output: {range: [-1, 1]}", ""))
    assert "wrote tiny-net.npy: " in run(capsys, "run", model, "--board", "tiny", "-n", 1)
    assert "tiny-net.npy is there" in refuse(capsys, out, "run", model, "--board", "tiny", "-n", 1)


@pytest.mark.parametrize("suffix", [".png", ".npy", ".wg"])
def test_unwritable_places(suffix, capsys, model, out, monkeypatch):
    start = ["compile", model] if suffix == ".wg" else ["run", model]
    start += ["--board", "tiny", "-o"]
    text = refuse(capsys, out, *start, out / "none" / f"a{suffix}")
    assert f"folder {out / 'none'} does not exist; create it first" in text
    folder = out / f"folder{suffix}"
    folder.mkdir()
    assert "it is a folder; name a file" in refuse(capsys, out, *start, folder)
    (out / "file").write_text("")
    assert "does not exist" in refuse(capsys, out, *start, out / "file" / f"a{suffix}")
    if Path("/proc/self").is_dir():  # nobody can make files there, not even root
        assert "cannot write" in refuse(capsys, out, *start, Path("/proc") / f"a{suffix}")

    def refuse_all(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "_temporary", refuse_all)
    assert "Read-only file system" in refuse(capsys, out, *start, out / f"a{suffix}")


def test_a_bad_output_is_refused_before_the_work(capsys, out, monkeypatch):
    """Nobody waits for a compilation whose result cannot be written."""
    monkeypatch.setattr(zoo, "load_model", lambda *_: pytest.fail("it went to work"))
    for command in ("compile", "run"):
        refuse(capsys, out, command, "digits", "-o", out / "none" / "a.png")


def test_the_systems_own_words_do_not_leak(capsys, model, out, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(out / "a.bin"))

    monkeypatch.setattr(zoo, "load_model", full)
    text = refuse(capsys, out, "compile", model, "-o", out / "a.wg")
    assert text == f"winogen: {out / 'a.bin'}: No space left on device\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"), (b"hello, world, this is text", "no .npy file"),
        (b"\x93NUMPY\1\0\xff\xff", "it ends too early"), (None, "it holds Python objects"),
        (-1, "it ends too early"), (100, "it ends too early"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("option", ["--input", "--calib"])
def test_numpys_own_words_do_not_leak(content, said, option, capsys, model, out, tmp_path):
    path = tmp_path / "z.npy"
    np.save(path, np.full((4, 5), None) if content is None else np.zeros((4, 50), "f4"))
    if isinstance(content, int):
        content = path.read_bytes()[:content] if content < 0 else path.read_bytes()[: 128 + content]
    if content is not None:
        path.write_bytes(content)
    text = refuse(capsys, out, "run", model, "--board", "tiny", option, path, "-o", out / "a.png")
    assert "z.npy: " in text and said in text
    assert not re.search(r"allow_pickle|Errno|mmap|magic|reshape|EOF", text)


def test_an_old_result_survives_a_failure(capsys, program, out, tmp_path):
    (out / "a.png").write_bytes(b"old")
    np.save(tmp_path / "z.npy", np.zeros((1, 6)))
    refuse(capsys, out, "run", program, "--input", tmp_path / "z.npy", "-o", out / "a.png")
    assert (out / "a.png").read_bytes() == b"old"


def test_numbers_and_inputs_exclude_each_other(capsys, model, out, tmp_path):
    np.save(tmp_path / "z.npy", np.zeros((2, 5), "f4"))
    text = refuse(capsys, out, "run", model, "--input", tmp_path / "z.npy", "-n", 2, "-o",
                  out / "a.png")  # fmt: skip
    assert "leave -n and --seed out" in text


def test_a_program_has_its_suffix(capsys, model, out):
    assert "must end in .wg" in refuse(capsys, out, "compile", model, "-o", out / "a.bin")


def test_what_is_no_picture(capsys, model, out):
    (model / "layers.yaml").write_text(LAYERS.replace("output: {range: [-1, 1]}", ""))
    text = refuse(capsys, out, "run", model, "--board", "tiny", "-o", out / "a.png")
    assert "the output of network 'tiny-net' is no image" in text
    run(capsys, "run", model, "--board", "tiny", "-n", 1, "-o", out / "a.npy")


def test_a_picture_of_four_channels(capsys, model, out):
    (model / "layers.yaml").write_text(LAYERS.replace("cout: 3", "cout: 4"))
    wider = {"out.weight": np.ones((4, 4, 5, 5), "f4"), "out.bias": np.ones(4, "f4")}
    np.savez(model / "weights.npz", **{**parameters(), **wider})
    text = refuse(capsys, out, "run", model, "--board", "tiny", "-o", out / "a.png")
    assert "have 4 channels: write them to a .npy file" in text


# Devices


def test_without_a_board(capsys, program, out):
    text = refuse(capsys, out, "run", program, "--device", "board", "-o", out / "a.png")
    assert "no PYNQ board found here" in text
    assert "--device emulator" in text
    text = refuse(capsys, out, "run", program, "--overlay", "no.bit", "-o", out / "a.png")
    assert "--overlay is for a board" in text


def test_too_little_memory(capsys, model, out, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(zoo, "load_model", fail)
    assert "not enough memory" in refuse(capsys, out, "run", model, "-o", out / "a.png")


def test_an_interruption(capsys, model, out, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(zoo, "load_model", interrupt)
    assert main(["compile", str(model), "-o", str(out / "a.wg")]) == 130
    assert capsys.readouterr().err == "winogen: interrupted\n"
    assert list(out.iterdir()) == []


# As a process


def process(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    command = [sys.executable, "-m", "winogen", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, **options)


def test_a_second_interruption_shows_no_traceback(out):
    """While the process leaves, which takes it a second where torch is."""
    code = (
        "import atexit, os, signal, sys\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "from winogen.cli import main\n"
        "def interrupt(*_): raise KeyboardInterrupt\n"
        "main._check_folder = interrupt\n"
        "sys.exit(main.main(['models']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "winogen: interrupted\n")


def test_as_a_process(program, out):
    done = process("run", program, "-n", 4, "-o", out / "a.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert pixels(out / "a.png").shape == (26, 26, 3)
    failed = process("info", out / "none.wg")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("winogen: cannot read program file")
    assert failed.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes of a POSIX shell")
def test_a_reader_that_has_seen_enough(tmp_path):
    path = tmp_path / "a.wg"
    small(batch=16).program.save(path)
    command = f"{sys.executable} -m winogen disasm {path} --batch 16 | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_progress_is_only_for_terminals(program, out):
    done = process("run", program, "-n", 2, "-o", out / "a.npy")
    assert "\r" not in done.stdout + done.stderr


def test_the_page_on_checking_shows_what_the_command_prints(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # nothing was measured
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "use" / "check.md").read_text()
    assert run(capsys, "check", "tests/data/onnx_files/dcgan-torchscript-18.onnx") in page


def test_check_says_with_its_code_whether_a_network_runs(capsys, out):
    path = out / "net.yaml"
    path.write_text("input: {image: [1, 8, 8]}\nlayers: [{name: a, op: roipool}]\n")
    assert main(["check", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "operation 'roipool' is not supported; " in captured.out
    assert "unknown model 'dgits'; did you mean 'digits'" in refuse(capsys, out, "check", "dgits")
    assert "unknown board 'z2'" in refuse(capsys, out, "check", "digits", "--board", "z2")
    assert "leave --image-size out" in refuse(capsys, out, "check", "digits", "--image-size", "8x8")
    assert sorted(out.iterdir()) == [path]  # it writes nothing


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser, and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def test_every_example_of_the_help_is_understood():
    found = 0
    for parser in parsers(cli._parser()):
        for line in (parser.epilog or "examples:").splitlines()[1:]:
            command, explained = re.split(" {2,}", line.strip())
            assert explained
            assert command.startswith(parser.prog), "an example is of the command that shows it"
            cli._parser().parse_args(command.split()[1:])
            assert line in parser.format_help().splitlines(), "each on a line of its own"
            found += 1
    assert found > 20
