"""What a check of a model has found: for Python, and as text."""

from __future__ import annotations

from dataclasses import dataclass

from winogen.common.text import printable, table
from winogen.network.sizes import LayerSize


@dataclass(frozen=True)
class Prediction:
    """How a network would run on a board, by the cost model.

    Attributes
    ----------
    board : its name
    data_width : bits of activations and weights
    problems : why it cannot run there, a sentence each; all that follows is then None
    latency_ms : of one image alone, from start to end of its run
    images_per_second : in batches of ``batch``, the largest
    memory_bytes : contiguous memory that a program takes; of ``available_bytes``
    weight_bytes : of these, weights and tables
    """

    board: str
    data_width: int
    problems: tuple[str, ...]
    latency_ms: float | None = None
    images_per_second: float | None = None
    batch: int | None = None
    memory_bytes: int | None = None
    weight_bytes: int | None = None
    available_bytes: int | None = None

    @property
    def runs(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.problems


@dataclass(frozen=True)
class CheckReport:
    """What a model is, what of it cannot run, and how fast the rest would be.

    Attributes
    ----------
    model : as it was named
    kind : what it is, as "ONNX model"
    facts : what the file says of itself, by name
    name : of the network; of the file where that cannot be read
    input_kind : latent or image; None where the network cannot be read, as all up to ``layers``
    input_shape, output_shape : channels, rows, columns
    output_range : real values of black and white, or None if the output is no image
    any_size : whether larger images can be run too, in windows of this size
    layers : every layer's size; empty where the network cannot be read
    notes : what was converted, chosen or assumed to read it
    problems : all that keeps it from running on any board, a sentence with the way out for each
    predictions : for each board and data width that was asked for
    """

    model: str
    kind: str
    facts: tuple[tuple[str, str], ...]
    name: str
    input_kind: str | None = None
    input_shape: tuple[int, int, int] | None = None
    output_shape: tuple[int, int, int] | None = None
    output_range: tuple[float, float] | None = None
    any_size: bool = False
    layers: tuple[LayerSize, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    predictions: tuple[Prediction, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether it can be compiled and run, on one of the boards at least."""
        return not self.problems and any(p.runs for p in self.predictions)

    @property
    def multiply_adds(self) -> int:
        """Of all layers, for one input."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trained numbers of all layers."""
        return sum(layer.parameters for layer in self.layers)

    def text(self) -> str:
        """All of it for people, in a screenful."""
        parts = [
            [f"{self.model}: {self.kind}", *_columns([*self.facts, *self._network()])],
            _operations(self.layers),
            [f"note: {note}" for note in self.notes],
            _refused(self.problems),
            _predicted(self.predictions),
            [self._verdict()],
        ]
        # Line by line: what a file brings along must not command the terminal.
        shown = (
            "\n".join(map(printable, "\n".join(lines).split("\n"))) for lines in parts if lines
        )
        return "\n\n".join(shown)

    def _network(self) -> list[tuple[str, str]]:
        if self.input_shape is None or self.output_shape is None:
            return []
        inputs = " x ".join(map(str, self.input_shape))
        if self.input_kind == "latent" and self.input_shape[1:] == (1, 1):
            inputs = f"{self.input_shape[0]} values"
        if self.any_size:
            inputs += ", larger ones in windows of this size"
        kind = "no image"
        if self.output_range is not None:
            kind = "image, black and white are {:g} and {:g}".format(*self.output_range)
        return [
            ("network", self.name),
            ("input", f"{self.input_kind}, {inputs}"),
            ("output", f"{kind}, {' x '.join(map(str, self.output_shape))}"),
        ]

    def _verdict(self) -> str:
        if self.problems:
            return "It does not run: change what is listed, and check again."
        if not self.runs:
            return (
                "It runs on none of these, for the reasons above: --all-boards tries the others, a "
                "smaller\n--window or --bits 8 takes less of a board."
            )
        return (
            "It runs. Speed and memory follow from the layers' shapes by the cost model; how good "
            "the\nimages are in integers takes calibration: winogen compile."
        )


def _columns(pairs: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in pairs]


def _operations(layers: tuple[LayerSize, ...]) -> list[str]:
    """A row for each kind of layer."""
    if not layers:
        return []
    kinds: dict[str, list[LayerSize]] = {}
    for layer in layers:
        kinds.setdefault(layer.operation, []).append(layer)
    rows = [_row(kind, found) for kind, found in kinds.items()]
    rows.append(_row("all", layers))
    header = ["layers", "number", "multiply-adds", "parameters"]
    return table(header, rows).splitlines()


def _row(name: str, layers: list[LayerSize] | tuple[LayerSize, ...]) -> list[str]:
    work = sum(layer.multiply_adds for layer in layers)
    held = sum(layer.parameters for layer in layers)
    return [name, str(len(layers)), f"{work / 1e6:,.2f} M" if work else "-", f"{held:,}"]


def _refused(problems: tuple[str, ...]) -> list[str]:
    if not problems:
        return []
    what = "1 thing cannot run:" if len(problems) == 1 else f"{len(problems)} things cannot run:"
    return [what, *(f"{i:3}. {text}" for i, text in enumerate(problems, 1))]


def _predicted(predictions: tuple[Prediction, ...]) -> list[str]:
    if not predictions:
        return []
    rows = [
        [
            p.board,
            str(p.data_width),
            "yes" if p.runs else "no",
            "-" if p.images_per_second is None else f"{p.images_per_second:,.1f}",
            "-" if p.batch is None else str(p.batch),
            "-" if p.latency_ms is None else f"{p.latency_ms:,.2f}",
            "-" if p.memory_bytes is None else f"{p.memory_bytes / (1 << 20):,.1f}",
            "-" if p.available_bytes is None else f"{p.available_bytes >> 20:,}",
        ]
        for p in predictions
    ]
    header = ["board", "bits", "runs", "images/s", "batch", "one image ms", "memory MiB", "of MiB"]
    why = [f"{p.board}, {p.data_width} bits: {text}" for p in predictions for text in p.problems]
    return [*table(header, rows).splitlines(), *why]
