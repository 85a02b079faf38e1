"""Checking a model: what it is, all that cannot run, and how fast the rest would be.

Nothing is calibrated: speed and memory follow from shapes (:mod:`winogen.compiler.outline`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from winogen.common.errors import (
    BoardError,
    InputError,
    ModelError,
    ProgramError,
    ScheduleError,
    WinogenWarning,
)
from winogen.compilation.checked import CheckReport, Prediction
from winogen.compiler.block import Block
from winogen.compiler.calibrate import DEFAULT_CALIBRATION
from winogen.compiler.compile import compile_network, unfit_layers
from winogen.compiler.fold import fold
from winogen.compiler.options import CALIBRATING, CompileOptions
from winogen.compiler.outline import Outline, outline
from winogen.compiler.products import by_squares
from winogen.network.definition import RandomParameters, load_definition
from winogen.network.graph import Graph
from winogen.network.identify import Identity, file_size, identify
from winogen.network.load import read_network
from winogen.network.locality import locality
from winogen.network.options import NetworkOptions, adapt
from winogen.network.sizes import LayerSize, layer_sizes
from winogen.network.zoo import WEIGHT_SEED, model_names
from winogen.program.file import Program
from winogen.program.speed import speed
from winogen.target.board import DEFAULT_BOARD, Board, load_board

#: Rows and columns that stand for those which a file leaves open.
OPEN_SIZE = (256, 256)
#: Bits that a build may have.
WIDTHS = tuple(DEFAULT_CALIBRATION)
_DEFINITIONS = (".yaml", ".yml")


def check(
    model: str | Path | Graph,
    board: str | Path | Board | Sequence[str | Path | Board] | None = None,
    *,
    bits: int | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> CheckReport:
    """What :func:`winogen.check` gives; see there for parameters and errors."""
    say = progress or (lambda _: None)
    asked = CompileOptions.of("check", options)
    for name in CALIBRATING:
        if getattr(asked, name) is not None:
            raise InputError(f"a check does not calibrate: leave {name} out")
    if bits is not None and bits not in WIDTHS:
        raise InputError(f"bits must be 8 or 16, not {bits}")
    if not isinstance(model, Graph) and str(model).endswith(".wg") and Path(model).exists():
        return _check_program(Path(model), board, bits)
    boards = _boards(DEFAULT_BOARD if board is None else board, bits)
    say("reading")
    identity = Identity("network made in Python") if isinstance(model, Graph) else identify(model)
    try:
        graph, notes = _read(model, asked, identity)
    except ModelError as error:
        if isinstance(model, Graph) or not _exists(model):
            raise
        return CheckReport(
            str(model), identity.kind, identity.facts, Path(model).stem, problems=_each(error)
        )
    report = CheckReport(
        graph.name if isinstance(model, Graph) else str(model),
        identity.kind,
        identity.facts,
        graph.name,
        graph.input.kind,
        graph.input.shape,
        graph.output_shape,
        graph.output_range,
        graph.input.kind == "image" and locality(graph) is not None,
        layer_sizes(graph),
        notes,
    )
    asked.check_applies(graph)
    try:
        blocks = fold(graph)
    except ModelError as error:
        return replace(report, problems=_each(error))
    return replace(report, predictions=_predictions(graph, blocks, asked, boards, say))


def _each(error: ModelError) -> tuple[str, ...]:
    return error.problems or (str(error),)


def _boards(
    board: str | Path | Board | Sequence[str | Path | Board], bits: int | None
) -> list[Board]:
    """Every build that is asked for, as far as the boards have it.

    Raises BoardError for an unknown board, or where no board has a core of the width.
    """
    several = [board] if isinstance(board, (str, Path, Board)) else list(board)
    widths = WIDTHS if bits is None else (bits,)
    found: list[Board] = []
    for each in several:
        if isinstance(each, Board):
            found.append(each)
            continue
        builds = [build for width in WIDTHS if (build := _build(each, width))]
        if not builds:
            load_board(each)  # says what is wrong with it
        found += [build for build in builds if build.core.data_width in widths]
    if not found:
        load_board(next(b for b in several if not isinstance(b, Board)), widths[0])
    return found


def _build(board: str | Path, width: int) -> Board | None:
    try:
        return load_board(board, width)
    except BoardError:
        return None


def _exists(model: str | Path | Graph) -> bool:
    if isinstance(model, Graph):
        return True
    return Path(model).exists() or str(model).replace("_", "-") in model_names()


def _read(
    model: str | Path | Graph, options: CompileOptions, identity: Identity
) -> tuple[Graph, tuple[str, ...]]:
    """The network, and what its user should know."""
    notes: tuple[str, ...] = ()
    if identity.open_size and options.image_size is None:
        options = replace(options, image_size=OPEN_SIZE)
        rows, columns = OPEN_SIZE
        notes = (
            "the file leaves the size of its image open: checked for "
            f"{rows} rows x {columns} columns; --image-size gives another",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WinogenWarning)  # they are the report's notes
        definition = _definition(model)
        if definition is None or options.weights is not None:
            graph = by_squares(read_network(_folder_of(model), options))
            return graph, (*notes, *graph.notes)
        graph = load_definition(
            definition, RandomParameters(WEIGHT_SEED), name=definition.resolve().parent.name
        )
        no_weights = "no weights.npz beside the definition: speed and memory do not depend on them"
        graph = by_squares(adapt(graph, _without_weights(options)))
        return graph, (*notes, no_weights)


def _definition(model: str | Path | Graph) -> Path | None:
    """The definition that ``model`` is, if there are no weights beside it."""
    if isinstance(model, Graph):
        return None
    path = Path(model)
    if path.is_dir():
        path = path / "layers.yaml"
    if path.suffix.lower() not in _DEFINITIONS or not path.is_file():
        return None
    beside = path.name == "layers.yaml" and path.with_name("weights.npz").exists()
    return None if beside else path


def _folder_of(model: str | Path | Graph) -> str | Path | Graph:
    """What stands for a definition where it has weights: its folder."""
    if isinstance(model, Graph) or Path(model).suffix.lower() not in _DEFINITIONS:
        return model
    path = Path(model)
    if path.is_file() and path.name != "layers.yaml":
        raise InputError(
            f"{path} is a definition: with weights, name it layers.yaml and give its folder"
        )
    return path.parent if path.is_file() else model


def _without_weights(options: CompileOptions) -> NetworkOptions:
    if options.weights_key is not None or options.candidate is not None:
        raise InputError("--weights-key and --candidate choose in a file of weights: give one")
    return options


# What is found


def _predictions(
    graph: Graph,
    blocks: Sequence[Block],
    options: CompileOptions,
    boards: Sequence[Board],
    say: Callable[[str], None],
) -> tuple[Prediction, ...]:
    outlines: dict[int, Outline] = {}
    found = []
    for board in boards:
        name, width = board.name, board.core.data_width
        say(f"{name}, {width} bits")
        if width not in outlines:
            outlines[width] = outline(graph, blocks, width)
        sketch = outlines[width]
        if sketch.problems:
            found.append(Prediction(name, width, sketch.problems))
            continue
        chosen = replace(options, board=board, bits=width)
        try:
            program = compile_network(graph, sketch.network, chosen).program
        except ScheduleError as error:
            problems = unfit_layers(sketch.network, board, chosen.mode) or (str(error),)
            found.append(Prediction(name, width, tuple(problems)))
        else:
            found.append(_prediction(program))
    return tuple(found)


def _prediction(program: Program) -> Prediction:
    first, last = program.streams[0], program.streams[-1]
    board = program.board
    return Prediction(
        board.name,
        program.data_width,
        (),
        latency_ms=1e3 * speed(program, first).run_s,
        images_per_second=speed(program, last).overlapped,
        batch=last.batch,
        memory_bytes=program.memory().total,
        weight_bytes=len(program.weights),
        available_bytes=board.contiguous_mib << 20,
    )


def _check_program(
    path: Path,
    board: str | Path | Board | Sequence[str | Path | Board] | None,
    bits: int | None,
) -> CheckReport:
    """A program is compiled already: what it says, and whether it is for the boards, if any."""
    size = file_size(path)
    try:
        program = Program.load(path)
    except ProgramError as error:
        return CheckReport(str(path), "program file", (size,), path.stem, problems=(str(error),))
    predictions = []
    own = program.board.name if board is None else board
    for build in [program.board] if board is bits is None else _boards(own, bits):
        try:
            program.check_board(build)
        except ProgramError as error:
            problems = (str(error),)
            predictions.append(Prediction(build.name, build.core.data_width, problems))
        else:
            predictions.append(_prediction(program))
    facts = (
        size,
        ("compiled for", f"{program.board.name}, {program.data_width} bits, configuration "
         f"{program.core.config_hash32:08x}"),
    )  # fmt: skip
    return CheckReport(
        str(path),
        "program file",
        facts,
        program.name,
        program.input.kind,
        program.input_shape,
        program.output_shape,
        program.output_range,
        program.input.kind == "image" and program.locality is not None,
        tuple(
            LayerSize(layer.name, layer.kind, layer.output, layer.useful, 0)
            for layer in program.layers
        ),
        predictions=tuple(predictions),
    )
