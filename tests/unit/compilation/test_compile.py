"""One way to compile: Python takes what the command takes, and gives the same bytes."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import winogen
from support.places import DRIVER, ONNX_FILES
from support.torch_files import save
from winogen.cli import main as cli
from winogen.cli.main import main
from winogen.common.errors import BoardError, InputError
from winogen.compilation.compile import compile_job
from winogen.compilation.job import read_job
from winogen.compiler.compile import compile_graph
from winogen.compiler.lower import Mode
from winogen.compiler.options import CompileOptions
from winogen.network.load import load_network
from winogen.network.options import NetworkOptions
from winogen.program.file import Program
from winogen.target.board import board_folder, load_board

LATENT = """
name: latent-net
input: {latent: 5}
output: {range: [-1, 1]}
layers:
- {name: fc, op: linear, shape: [6, 3, 3], act: relu}
- {name: out, op: deconv, cout: 3, k: 4, stride: 2, pad: 1, act: tanh}
"""
PICTURE = """
name: picture-net
input: {image: [1, 8, 8]}
output: {range: [0, 1]}
layers:
- {name: first, op: conv, cout: 6, k: 3, pad: 1, act: relu}
- {name: up, op: deconv, cout: 1, k: 4, stride: 2, pad: 1, act: clip01}
"""
SHAPES = {
    "latent": {"fc.weight": (54, 5), "fc.bias": (54,), "out.weight": (6, 3, 4, 4),
               "out.bias": (3,)},
    "picture": {"first.weight": (6, 1, 3, 3), "first.bias": (6,), "up.weight": (6, 1, 4, 4),
                "up.bias": (1,)},
}  # fmt: skip


def parameters(kind: str, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {n: rng.standard_normal(s).astype(np.float32) / 3 for n, s in SHAPES[kind].items()}


def rng_of(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Networks, weights, inputs, pictures and a board, as users have them."""
    root = tmp_path_factory.mktemp("files")
    for kind, text in (("latent", LATENT), ("picture", PICTURE)):
        (root / kind).mkdir()
        (root / kind / "layers.yaml").write_text(text)
        np.savez(root / kind / "weights.npz", **parameters(kind, 0))
    np.savez(root / "other.npz", **parameters("latent", 1))
    shapes = {"a.weight": (5, 4, 4, 4), "b.weight": (4, 3, 3, 3)}
    save({n: rng_of(n).standard_normal(s).astype(np.float32) / 3 for n, s in shapes.items()},
         root / "odd.pth")  # fmt: skip
    save({"params": parameters("latent", 2), "params_ema": parameters("latent", 3)},
         root / "two.pth")  # fmt: skip
    rng = np.random.default_rng(2)
    np.save(root / "z.npy", rng.standard_normal((300, 5)).astype(np.float32) / 2)
    (root / "pictures").mkdir()
    for number in range(3):
        pixels = rng.integers(0, 99, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / f"{number}.png")
    text = (board_folder() / "tiny" / "board.yaml").read_text()
    (root / "mine.yaml").write_text(text.replace("name: tiny", "name: mine"))
    return root


@dataclass(frozen=True)
class Case:
    """One option, for the command and for Python; both are functions of the folder of files."""

    option: str
    words: Callable[[Path], list[Any]]
    value: Callable[[Path], Any]
    model: str = "latent"
    #: The program is another one without the option.
    matters: bool = field(default=True, kw_only=True)
    #: Options that the option needs, in Python.
    also: Callable[[Path], dict[str, Any]] = field(default=lambda _: {}, kw_only=True)


CASES = {
    "board by name": Case("board", lambda _: ["--board", "kv260"], lambda _: "kv260"),
    "board file": Case("board", lambda f: ["--board", f / "mine.yaml"], lambda f: f / "mine.yaml"),
    "board file as text": Case(
        "board", lambda f: ["--board", f / "mine.yaml"], lambda f: str(f / "mine.yaml")
    ),
    "board": Case("board", lambda _: ["--board", "kv260"], lambda _: load_board("kv260")),
    "bits": Case("bits", lambda _: ["--bits", 16], lambda _: 16),
    "mode": Case("mode", lambda _: ["--mode", "zero-padded"], lambda _: Mode.ZERO_PADDED),
    "mode by name": Case("mode", lambda _: ["--mode", "direct"], lambda _: "direct"),
    "batch": Case("batch", lambda _: ["--batch", 3], lambda _: 3),
    "window": Case("window", lambda _: ["--window", "12x10"], lambda _: (12, 10), "picture"),
    "percentile": Case("percentile", lambda _: ["--percentile", 95], lambda _: 95),
    "percentile auto": Case(
        "percentile", lambda _: ["--percentile", "auto"], lambda _: "auto", matters=False
    ),
    # These weights have too many values to lie coded.
    "coding": Case("coding", lambda _: ["--coding", "plain"], lambda _: "plain", matters=False),
    "headroom": Case("headroom", lambda _: ["--headroom", 1.5], lambda _: 1.5),
    "inputs from a file": Case("inputs", lambda f: ["--calib", f / "z.npy"], lambda f: f / "z.npy"),
    "inputs, more than fit": Case(
        "inputs", lambda f: ["--calib", f / "z.npy"], lambda f: np.load(f / "z.npy")
    ),
    "inputs from pictures": Case(
        "inputs", lambda f: ["--calib", f / "pictures"], lambda f: str(f / "pictures"), "picture"
    ),
    "seed": Case("seed", lambda _: ["--calib-seed", 3], lambda _: 3),
    "weights": Case("weights", lambda f: ["--weights", f / "other.npz"], lambda f: f / "other.npz"),
    "weights as text": Case(
        "weights", lambda f: ["--weights", f / "other.npz"], lambda f: str(f / "other.npz")
    ),
    "weights_key": Case(
        "weights_key", lambda f: ["--weights", f / "two.pth", "--weights-key", "params"],
        lambda _: "params", also=lambda f: {"weights": f / "two.pth"},
    ),
    "candidate": Case(
        "candidate", lambda _: ["--candidate", 2], lambda _: 2, "odd.pth", matters=False
    ),
    "image_size": Case(
        "image_size", lambda _: ["--image-size", "9x12"], lambda _: (9, 12), "picture"
    ),
    "input_range": Case(
        "input_range", lambda _: ["--input-range", -1, 2], lambda _: (-1.0, 2.0), "picture"
    ),
    "output_range": Case(
        "output_range", lambda _: ["--output-range", 0, 2], lambda _: [0, 2], "picture"
    ),
    "latents": Case("latents", lambda _: ["--latents", "uniform"], lambda _: "uniform"),
}  # fmt: skip


def by_command(model: object, words: list[Any], out: Path) -> bytes:
    """The program that ``winogen compile`` writes."""
    assert main(["compile", str(model), *map(str, words), "-o", str(out / "a.wg")]) == 0
    return (out / "a.wg").read_bytes()


def chosen(option: str) -> dict[str, Any]:
    """The board and the batch of small programs, unless the case is about them."""
    small = {"board": "tiny", "batch": 2}
    return {name: value for name, value in small.items() if name != option}


@cache
def without(model: Path, options: tuple[tuple[str, Any], ...]) -> bytes:
    """The program without the option of a case, the same for many of them."""
    return winogen.compile_model(model, **dict(options)).tobytes()


@pytest.mark.parametrize("name", CASES)
def test_python_and_the_command_write_the_same_bytes(name, files, tmp_path):
    case = CASES[name]
    small = chosen(case.option)
    words = [*(word for name, value in small.items() for word in (f"--{name}", value)),
             *case.words(files)]  # fmt: skip
    model = files / case.model
    small |= case.also(files)
    got = winogen.compile_model(model, **small, **{case.option: case.value(files)}).tobytes()
    assert got == by_command(model, words, tmp_path)
    if case.matters:
        assert got != without(model, tuple(small.items()))


def test_every_option_has_a_case():
    assert {case.option for case in CASES.values()} == set(CompileOptions.described)


@pytest.mark.parametrize("kind", ["path", "text", "graph"])
def test_a_model_is_a_folder_or_what_was_read_from_it(kind, files, tmp_path):
    folder = files / "latent"
    model = {"path": folder, "text": str(folder), "graph": load_network(folder)}[kind]
    got = winogen.compile_model(model, board="tiny", batch=2).tobytes()
    assert got == by_command(folder, ["--board", "tiny", "--batch", 2], tmp_path)


def test_a_model_is_a_name_of_the_zoo(tmp_path):
    got = winogen.compile_model("digits", batch=1).tobytes()
    assert got == by_command("digits", ["--batch", 1], tmp_path)


def test_a_model_is_an_onnx_file(tmp_path):
    pytest.importorskip("onnx", reason="reading ONNX models needs the package onnx")
    model = ONNX_FILES / "dcgan-dynamo-25.onnx"
    options = {"board": "tiny", "batch": 1, "output_range": (-1, 1), "latents": "uniform"}
    words = ["--board", "tiny", "--batch", 1, "--output-range", -1, 1, "--latents", "uniform"]
    assert winogen.compile_model(model, **options).tobytes() == by_command(model, words, tmp_path)


def test_weights_of_another_file_are_for_a_definition(files):
    graph = load_network(files / "latent")
    for model in (graph, "x.onnx"):
        with pytest.raises(InputError, match="leave --weights out"):
            winogen.compile_model(model, board="tiny", weights=files / "other.npz")


def test_a_board_brings_its_data_width(files):
    wide = load_board("tiny", 16)
    program = winogen.compile_model(files / "latent", wide)
    assert program.data_width == 16
    assert program.board == wide
    with pytest.raises(InputError, match="core of 16 bits here, not 8"):
        winogen.compile_model(files / "latent", wide, bits=8)


def test_the_stages_are_told(files):
    said: list[str] = []
    winogen.compile_model(files / "latent", "tiny", batch=2, progress=said.append)
    assert said == [
        "calibrating", "quantising", "measuring", "packing weights", "scheduling batch 1",
        "scheduling batch 2",
    ]  # fmt: skip


def test_a_job_is_measured_as_it_is_compiled(files):
    options = CompileOptions(board="tiny", percentile="auto", window=(12, 10))
    job = read_job(files / "picture", options)
    compiled = compile_job(job)
    labels = [layer.label for layer in compiled.network.layers]
    assert [layer.name for layer in compiled.quality.layers] == labels
    assert compiled.quality.held_out
    assert compiled.program.input_shape == (1, 12, 10)
    assert compiled.network.input.shape == (1, 8, 8)
    tried = [
        compile_job(replace(job, options=replace(options, percentile=p))).quality.output.psnr
        for p in (99.9, 99.99, 99.999, 100.0)
    ]
    assert compiled.quality.output.psnr == max(tried)


def test_a_graph_is_compiled_without_files(files):
    graph = load_network(files / "latent")
    z = np.load(files / "z.npy")[:9] / 4
    options = {"batch": 2, "headroom": 1.1, "percentile": 99, "inputs": z, "latents": "uniform"}
    program = compile_graph(graph, "tiny", **options).program
    assert program.tobytes() == winogen.compile_model(graph, "tiny", **options).tobytes()
    for options in ({"percentile": "auto"}, {"inputs": files / "z.npy"}):
        with pytest.raises(InputError, match=r"use winogen\.compile_model"):
            compile_graph(graph, "tiny", **options)
    with pytest.raises(InputError, match="compile_graph has no option 'widow'; did you mean"):
        compile_graph(graph, "tiny", widow=(3, 3))


# --- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [("bit", "bits"), ("percentil", "percentile"), ("calib", "inputs"), ("calib_seed", "seed"),
     ("weight", "weights"), ("input_rang", "input_range")],
)  # fmt: skip
def test_an_unknown_option_is_refused_with_what_was_meant(name, meant):
    with pytest.raises(InputError) as error:
        winogen.compile_model("digits", **{name: 1})
    text = str(error.value)
    assert text.startswith(f"compile_model has no option '{name}'; did you mean '{meant}'? ")
    assert "\n" not in text
    assert all(option in text for option in CompileOptions.described)


def test_an_option_unlike_any_is_refused_with_all_that_there_are():
    with pytest.raises(InputError, match=r"no option 'zzz'; its options: .*\bheadroom\b"):
        winogen.compile_model("digits", zzz=1)
    with pytest.raises(InputError, match=r"load_network has no option 'bits'; its options: w"):
        load_network("digits", bits=8)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"mode": "bogus"}, "unknown mode 'bogus'; choose one of auto, winograd, direct, zero-"),
        ({"bits": 12}, "unknown bits 12; choose one of 8, 16"),
        ({"latents": "flat"}, "unknown latents 'flat'; choose one of normal, uniform"),
        ({"batch": 0}, "batch must be 1 to 1024, not 0"),
        ({"batch": 1025}, "batch must be 1 to 1024, not 1025"),
        ({"window": "64x64"}, "window must be two whole numbers, not '64x64'"),
        ({"window": (4.5, 5)}, "window must be two whole numbers"),
        ({"image_size": 64}, "image_size must be two whole numbers, not 64"),
        ({"input_range": 1}, "input_range must be 2 numbers, not 1"),
        ({"window": (0, 5)}, "a window of 0 x 5 is not possible"),
        ({"percentile": "most"}, "percentile must be a number or 'auto', not 'most'"),
        ({"percentile": 0}, r"percentile must be in \(0, 100\], not 0"),
        ({"headroom": -1}, "headroom must be positive, not -1"),
        ({"seed": -1}, "a seed must not be negative"),
        ({"seed": 1, "inputs": np.zeros((1, 64))}, "leave --calib-seed out"),
        ({"inputs": np.zeros((2, 63))}, r"inputs have shape \(2, 63, 1, 1\), the network takes"),
        ({"inputs": np.zeros((0, 64))}, "calibration inputs are empty"),
        ({"inputs": np.zeros((2, 64), int)}, "calibration inputs are int64 values, not floats"),
        ({"inputs": np.full((2, 64), np.nan)}, "calibration inputs hold NaN or infinity"),
        ({"inputs": np.full((2, 64), 9.0)}, "of the calibration inputs, 100% are beyond the 4.5"),
        ({"inputs": "none.npy"}, "calibration inputs none.npy do not exist"),
    ],
)  # fmt: skip
def test_values_that_are_not_possible(options, part):
    with pytest.raises(InputError, match=part):
        winogen.compile_model("digits", **options)


def test_a_wrong_board_is_found_before_the_work(monkeypatch):
    monkeypatch.setattr("winogen.network.zoo.load_model", lambda *_: pytest.fail("it went to work"))
    with pytest.raises(BoardError, match="unknown board 'pynq'"):
        winogen.compile_model("digits", board="pynq")


def test_options_do_not_change():
    options = CompileOptions(batch=2)
    with pytest.raises(FrozenInstanceError):
        options.batch = 3  # type: ignore[misc]
    assert (options.batch, CompileOptions().batch) == (2, None)
    with pytest.raises(InputError, match="batch must be"):
        replace(options, batch=0)


# --- said once -----------------------------------------------------------------------------------


def actions(command: str) -> dict[str, argparse.Action]:
    """The options of a command, by flag."""
    parser = cli._parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    found = commands.choices[command]._actions
    return {flag: action for action in found for flag in action.option_strings}


@pytest.mark.parametrize("command", ["compile", "run", "verify"])
def test_the_commands_options_are_those_of_the_type(command):
    found = actions(command)
    for name, about in CompileOptions.described.items():
        action = found[about.flag]
        assert action.default is None, name  # what is not given is the type's default
        assert action.choices == about.choices
        assert action.metavar == about.metavar
        assert action.nargs == about.count
        assert about.help.split("{names}")[-1] in (action.help or "")
        assert (f"(default: {about.default})" in (action.help or "")) == bool(about.default)
    others = set(found) - {about.flag for about in CompileOptions.described.values()}
    if command == "compile":  # the only ones that are not about the program
        assert others == {"-h", "--help", "-o", "--output", "--report", "--as", "--json"}


def test_defaults_in_words_are_the_defaults_in_fact(files):
    """What the help says that is taken where nothing is given."""
    said = {name: about.default for name, about in CompileOptions.described.items()}
    options = CompileOptions()
    assert said["board"] == options.board == options.target.name
    assert said["bits"] == str(options.data_width)
    assert said["mode"].split(",")[0] == options.mode
    assert int(said["batch"].split(",")[0]) == max(
        stream.batch for stream in winogen.compile_model(files / "latent", "tiny").streams
    )
    assert said["seed"] == "0"
    for bits in (8, 16):
        calibration = CompileOptions(bits=bits).calibration
        assert f"{calibration.percentile:g} for {bits}" in said["percentile"]
        assert f"{calibration.headroom:g} for {bits}" in said["headroom"]


def test_every_field_is_an_option_and_documented():
    for kind in (NetworkOptions, CompileOptions):
        assert set(kind.described) == {f.name for f in fields(kind)}
        for name, about in kind.described.items():
            assert f"    {name} : {about.text()}\n" in (kind.__doc__ or "")
    flags = [about.flag for about in CompileOptions.described.values()]
    assert len(set(flags)) == len(flags)


def test_no_option_is_spelled_twice():
    """No other source adds one of the arguments, or takes one of the values by its name."""
    flags = {about.flag for about in CompileOptions.described.values()}
    #: Commands that compile nothing have a board, a data width or a batch of their own, and so has
    #: one that measures the built-in networks.
    others = {
        "bench.py",
        "check.py",
        "doctor.py",
        "inspect.py",
        "kit.py",
        "overlay.py",
        "worker.py",
    }
    added, taken = set(), set()
    for path in sorted((DRIVER / "winogen").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
                words = {a.value for a in node.args if isinstance(a, ast.Constant)}
                if path.name not in others:
                    added |= words & flags
            if isinstance(node, ast.FunctionDef):
                names = {a.arg for a in [*node.args.args, *node.args.kwonlyargs]}
                if path.parent.name in ("compilation", "cli") or path.stem in ("compile", "load"):
                    named = names & set(CompileOptions.described) - {"inputs"}
                    taken |= {(path.name, node.name, name) for name in named}
    assert added == set()
    # The board of a kit or a program's streams; not options that are handed on. A check takes more
    # boards than one and, without a data width, both. A walk's seed is that of its latents.
    own = {("check.py", "bits"), ("compile.py", "mode"), ("moving.py", "seed")}
    left = {name for path, _, name in taken if (path, name) not in own}
    assert left <= {"board", "batch"}


def test_what_a_program_has_fixed_is_every_option_but_those_that_it_is_checked_against(
    files, tmp_path, capsys
):
    words = [w for case in CASES.values() for w in map(str, case.words(files))]
    assert main(["run", "x.wg", *words, "-o", str(tmp_path / "x.png")]) == 2
    text = capsys.readouterr().err
    for name, about in CompileOptions.described.items():
        assert (about.flag in text) == (name not in ("board", "bits")), name
    assert "cannot change a compiled program; compile it anew" in text


def test_the_same_program_from_a_file(files, tmp_path):
    """The bytes are a program, not only the same."""
    by_command(files / "latent", ["--board", "tiny"], tmp_path)
    assert Program.load(tmp_path / "a.wg").name == "latent-net"
