"""Networks of many families, exported as people do, and what winogen makes of each.

``python tests/support/onnx_families.py`` prints the page docs/reference/onnx-families.md
(``PYTHONPATH=driver:tests``); with ``--measure`` it first imports, compiles and runs every file, or
those whose names begin with what follows, and writes what it finds to outcomes.yaml beside them.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray

from support.exports import CLASSES
from support.places import DATA
from winogen.common.errors import UnsupportedLayerError, WinogenWarning
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import run_integer
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.network.onnx import import_onnx
from winogen.program.inputs import join_inputs
from winogen.runtime.generator import Generator
from winogen.target.board import load_board

FOLDER = DATA / "onnx_families"
FILES = sorted(FOLDER.glob("*.onnx"))
OUTCOMES = FOLDER / "outcomes.yaml"
BOARD = "pynq-z2"
#: The most that a float result may differ, of the largest value if that is above 1.
TOLERANCE = 1e-4
#: The same for models of 16-bit floats, whose steps are a thousandth.
HALF_TOLERANCE = 2e-3
#: Images that are compared, and how many of them the emulator runs.
IMAGES, RUN = 4, 2
_FRAMEWORKS = {
    "torchscript": "PyTorch (`dynamo=False`)",
    "dynamo": "PyTorch (`dynamo=True`)",
    "tf2onnx": "Keras, tf2onnx",
}
_NUMPY = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


def outcomes() -> dict[str, int | str]:
    """By file: the decibels of the 8-bit network, or why it is refused."""
    return yaml.safe_load(OUTCOMES.read_text()) if OUTCOMES.exists() else {}


@dataclass(frozen=True)
class Example:
    """Inputs of a model by name, what onnxruntime gives for them, and how near that is."""

    inputs: Mapping[str, NDArray[Any]]
    output: NDArray[np.float32]
    tolerance: float


def example(path: Path) -> Example:
    """Images of 0 to 1, normal latents, and labels in turns, through onnxruntime."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(3)
    given: dict[str, NDArray[Any]] = {}
    step = IMAGES
    for info in session.get_inputs():
        if isinstance(info.shape[0], int):
            step = info.shape[0]
        shape = (IMAGES, *info.shape[1:])
        if "int" in info.type:
            value: NDArray[Any] = np.arange(IMAGES).reshape(shape) % CLASSES
        elif len(shape) > 2 and shape[2:] != (1, 1):
            value = rng.uniform(0, 1, shape)
        else:
            value = rng.standard_normal(shape)
        given[info.name] = value.astype(_NUMPY[info.type])
    parts = [
        session.run(None, {name: x[i : i + step] for name, x in given.items()})[0]
        for i in range(0, IMAGES, step)
    ]
    output = np.concatenate(parts)
    constants = onnx.load(path).graph.initializer
    half = any(c.data_type == onnx.TensorProto.FLOAT16 for c in constants)
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    return Example(given, output.astype(np.float32), tolerance)


def as_given(graph: Graph, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Inputs of a model as (N, C, H, W)."""
    if graph.input.parts:
        images = {p.name for p in graph.input.parts if p.kind == "image"}
        shape = graph.input.shape
        return join_inputs(
            graph.input,
            {n: channels_first(x, (0, *shape[1:])) if n in images else x
             for n, x in inputs.items()},
        )  # fmt: skip
    (x,) = inputs.values()
    return channels_first(x.astype(np.float32), graph.input.shape)


def channels_first(x: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Values (N, ...) as (N, C, H, W) of this shape, 0 where C is not known."""
    sizes = [n for n in shape[1:] if n > 1]
    if x.ndim > 2 and [n for n in x.shape[2:] if n > 1] != sizes:
        x = np.moveaxis(x, -1, 1)
    return x.reshape(len(x), shape[0] or x.shape[1], *shape[1:])


def decibels(path: Path, bits: int = 8) -> float:
    """Import, compile and run a file; how far the output of its integers is from the floats'.

    AssertionError if the graph is another function than the model, or the emulator gives other
    integers than the compiler's reference; WinogenError if the file is refused.
    """
    wanted = example(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WinogenWarning)
        graph = import_onnx(path)
        x = as_given(graph, wanted.inputs)
        floats = reference.run(graph, x)
        output = channels_first(wanted.output, graph.output_shape)
        difference = np.abs(floats - output).max()
        assert difference <= wanted.tolerance * max(1, np.abs(output).max()), difference
        built = compile_graph(graph, load_board(BOARD, bits), batch=1)
        network = built.network
        integers = run_integer(network, network.quantise_input(x))
        found = network.output_format.dequantise(integers)
        with Generator(built.program) as generator:
            assert np.array_equal(generator.generate(x[:RUN], as_float=True), found[:RUN])
    error = np.mean((found.astype(np.float64) - floats) ** 2)
    return float(10 * np.log10(np.ptp(floats) ** 2 / max(error, 1e-20)))


def refusal(error: UnsupportedLayerError) -> str:
    """What is refused: the operator and the reason, without names and without the way out."""
    text = error.problems[0] if error.problems else str(error).partition(".onnx: ")[2]
    text = re.sub(r"^nodes? '.*?' (?:and \d+ more )?\((\w+)\):? ?", r"\1 ", text)
    return re.sub(r"'[^']*'", "'...'", text.partition("; ")[0])


def outcome(path: Path) -> int | str:
    try:
        return round(decibels(path))
    except UnsupportedLayerError as error:
        return refusal(error)


@cache
def family(path: Path) -> str:
    """The family that the script wrote into the file."""
    metadata = {m.key: m.value for m in onnx.load(path).metadata_props}
    return metadata["family"]


def page() -> str:
    """The text of docs/reference/onnx-families.md."""
    found = outcomes()
    rows: dict[str, list[str]] = {}
    for path in FILES:
        name, exporter, opset = path.stem.rsplit("-", 2)
        result = found[path.stem]
        text = f"runs | {result}" if isinstance(result, int) else f"refused: {result} |"
        row = f"| {name} | {_FRAMEWORKS[exporter]} | {opset} | {text} |"
        rows.setdefault(family(path), []).append(row)
    running = sum(isinstance(result, int) for result in found.values())
    lines = [
        "| family | files | run | refused |",
        "| --- | --- | --- | --- |",
    ]
    for name, own in sorted(rows.items()):
        ran = sum("| runs |" in row for row in own)
        lines.append(f"| {name} | {len(own)} | {ran} | {len(own) - ran} |")
    lines.append(f"| all | {len(found)} | {running} | {len(found) - running} |")
    for name, own in sorted(rows.items()):
        lines += ["", f"## {name[0].upper()}{name[1:]}", ""]
        lines += [
            "| network | exporter | opset | outcome | dB |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += own
    return f"""# Exports of many families

Generated by `python tests/support/onnx_families.py` (with `PYTHONPATH=driver:tests`). Small
networks with random weights, written as the repositories of each family write them and exported by
their frameworks; the scripts are beside the files, in `tests/data/onnx_families`. What runs gives
onnxruntime's values in float, compiles for {BOARD}, and gives on the emulator every bit of the
integer reference. dB is the ratio of the output's range to the error of its 8-bit integers.

""" + "\n".join(lines) + "\n"  # fmt: skip


def measure(names: tuple[str, ...]) -> None:
    """Write outcomes.yaml: of all files, or anew of those whose names begin so."""
    known = outcomes()
    found: dict[str, int | str] = {}
    for path in FILES:
        if names and path.stem in known and not path.name.startswith(names):
            found[path.stem] = known[path.stem]
            continue
        try:
            found[path.stem] = outcome(path)
        except Exception as error:  # wrong values, or a fault: the others are to be measured too
            found[path.stem] = f"FAULT {type(error).__name__}: {error}"
        if found[path.stem] != known.get(path.stem):
            sys.stderr.write(f"{path.stem}: {found[path.stem]}\n")
    OUTCOMES.write_text(
        "# Decibels of the 8-bit network, or why the file is refused: written by\n"
        "# PYTHONPATH=driver:tests python tests/support/onnx_families.py --measure\n"
        + yaml.safe_dump(found, width=1000)
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(tuple(sys.argv[2:]))
    sys.stdout.write(page())
