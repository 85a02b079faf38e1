"""Where a device's picture begins to differ from the float network's, layer by layer.

Two differences are kept apart. *Quantisation* is expected: a PSNR of every layer against the float
network. A *wrong bit* never is: every integer of every layer is compared with what the model
compiles to, and with the emulator's where the device is another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError
from winogen.common.text import decibels, table
from winogen.compiler.ends import folded_as
from winogen.compiler.fold import fold
from winogen.compiler.integers import integer_activations
from winogen.compiler.lower import Mode
from winogen.compiler.pack import pack_network
from winogen.compiler.quantised import QuantNetwork
from winogen.compiler.schedule import schedule
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.formats import TensorFormat
from winogen.quality.layer_outputs import run_layers, traced
from winogen.quality.measure import LayerReport, measure
from winogen.quality.verdict import GOOD, grade, in_words
from winogen.runtime.generator import Generator
from winogen.target.isa import LoadWeights
from winogen.target.numerics import int_range


@dataclass(frozen=True)
class Difference:
    """Integers that are not those wanted: how many, by how much, and the first of them.

    ``where`` is image, channel, row, column.
    """

    count: int
    values: int
    largest: int
    where: tuple[int, ...]
    got: int
    wanted: int

    def __str__(self) -> str:
        image, channel, row, column = self.where
        return (
            f"{self.count:,} of {self.values:,} values differ, by up to {self.largest:,}; the "
            f"first is {self.got} instead of {self.wanted} in image {image}, channel {channel}, "
            f"row {row}, column {column}"
        )


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found.

    Attributes
    ----------
    same_program : whether the program holds what the model compiles to, bit for bit
    layers : quality of every layer against the float network
    from_model : wrong bits of every layer against the model as compiled here, None without
    from_emulator : likewise against the emulator running the same program; empty if the device
        is the emulator
    """

    same_program: bool
    layers: list[LayerReport]
    from_model: list[Difference | None]
    from_emulator: list[Difference | None]

    @property
    def passed(self) -> bool:
        """No bit is wrong, or, for a program of other origin, its images are still usable."""
        exact = not any(self.from_emulator)
        if self.same_program:
            return exact and not any(self.from_model)
        return exact and grade(self.layers[-1]) != "broken"

    def text(self) -> str:
        """A table of the layers, and what it means."""
        rows = [
            [
                layer.name,
                decibels(layer.psnr),
                "-" if layer.ssim is None else f"{layer.ssim:.4f}",
                _bits(self.from_model[i]),
                *([_bits(self.from_emulator[i])] if self.from_emulator else []),
            ]
            for i, layer in enumerate(self.layers)
        ]
        header = ["layer", "PSNR dB", "SSIM", "bits: model"]
        header += ["bits: emulator"] if self.from_emulator else []
        return "\n".join([table(header, rows), "", *self._sentences()])

    def _sentences(self) -> list[str]:
        lines = []
        if self.same_program:
            lines.append("program: it is what this model compiles to, bit for bit")
            lines.append(self._wrong("device", self.from_model, "the integer reference"))
        else:
            lines.append(
                "program: it is not what this model compiles to with these options: other "
                "weights, other options, or another version of winogen"
            )
            lines.append(self._wrong("model", self.from_model, "the model compiled here"))
        if self.from_emulator:
            lines.append(self._wrong("device", self.from_emulator, "the emulator"))
        low = next((layer for layer in self.layers if layer.psnr < GOOD[0]), None)
        if low:
            lines.append(
                f"float: the first layer under {GOOD[0]:g} dB is '{low.name}': {in_words(low)}"
            )
        else:
            lines.append(f"float: no layer is under {GOOD[0]:g} dB")
        last = self.layers[-1]
        lines.append(f"output: {in_words(last)} against the float network: {grade(last)}")
        return lines

    def _wrong(self, what: str, found: list[Difference | None], wanted: str) -> str:
        for layer, difference in zip(self.layers, found):
            if difference:
                return f"{what}: the first layer unlike {wanted} is '{layer.name}': {difference}"
        return f"{what}: every bit of {len(self.layers)} layers is that of {wanted}"


def _bits(difference: Difference | None) -> str:
    return f"{difference.count:,} differ" if difference else "equal"


def difference(got: NDArray[np.int64], wanted: NDArray[np.int64]) -> Difference | None:
    """Where two integer arrays (N, C, H, W) differ; None if nowhere."""
    wrong = got != wanted
    if not wrong.any():
        return None
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    return Difference(
        int(np.count_nonzero(wrong)),
        wrong.size,
        int(np.abs(got - wanted).max()),
        where,
        int(got[where]),
        int(wanted[where]),
    )


def verify(
    program: Program,
    graph: Graph,
    network: QuantNetwork,
    x: NDArray[np.float32],
    device: str = "emulator",
    *,
    mode: Mode = Mode.AUTO,
    exit: int | None = None,
    overlay: str | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Verification:
    """Run a program on a device and compare every layer's output.

    Parameters
    ----------
    graph, network : the float network, and what it is quantised to with the options that the
        program is thought to have been compiled with (``mode`` too)
    x : inputs (N, C, H, W)
    exit : which exit's layers are compared; default: the whole network's
    device, overlay, options : see :class:`winogen.runtime.generator.Generator`
    progress : called with the name of each stage

    Raises
    ------
    InputError : the program's layers are not those of the graph
    DeviceError, ProgramError : see :class:`winogen.runtime.generator.Generator`
    """
    say = progress or (lambda _: None)
    check_layers(program, graph)
    say("packing")
    same = _is_same(program, graph, network, mode)
    number = program.exit_count if exit is None else exit
    program, graph = program.at_exit(number), graph.at_exit(number)
    network = network.at_exit(number)
    follower = traced(program)

    def run(name: str) -> list[NDArray[np.int64]]:
        say(f"running {len(x)} on the {name}")
        chosen = {"overlay": overlay, **options} if name == device else {}
        with Generator(follower, name, **chosen) as generator:
            found = run_layers(
                program, generator, x, lambda n: say(f"{n} of {len(x)} ran on the {name}")
            )
            if generator.unchecked:
                generator.check()
            return found

    got = run(device)
    emulated = run("emulator") if device != "emulator" else []
    say("running the references")
    wanted = [q for _, q in integer_activations(network, network.quantise_input(x))]
    floats: dict[str, NDArray] = {}
    names = {layer.name for layer in network.layers}
    reference.run(graph, x, lambda n, v: floats.__setitem__(n, v) if n in names else None)
    say("comparing")
    reports = []
    for i, (layer, q) in enumerate(zip(network.layers, got)):
        exact = floats[layer.name]
        last = i == len(got) - 1
        f = program.output_format if last else layer.format if same else _fitted(q, exact)
        reports.append(
            measure(
                program.layers[i].name,
                q,
                f.dequantise(q),
                exact,
                f.scale,
                int_range(program.data_width),
                graph.output_range if last else None,
            )
        )
    return Verification(
        same,
        reports,
        [difference(a, b) for a, b in zip(got, wanted)],
        [difference(a, b) for a, b in zip(got, emulated)],
    )


def _is_same(program: Program, graph: Graph, network: QuantNetwork, mode: Mode) -> bool:
    """Whether a program, with all of its exits, is what a network compiles to."""
    shuffles = [own.shuffle for own in program.exits]
    lanes = program.core.ci_lanes
    folded = folded_as(network, program.unfold, program.shuffle, lanes, shuffles)
    if folded is None or _segment(folded, program, mode) != program.weights:
        return False
    exits = range(1, program.exit_count + 1)
    ours = [program.at_exit(n).output_format for n in exits]
    theirs = [network.at_exit(n).output_format for n in exits]
    return (ours, program.input_format, program.output_range) == (
        theirs, network.input_format, graph.output_range
    )  # fmt: skip


def _segment(network: QuantNetwork, program: Program, mode: Mode) -> bytes:
    """The weight segment that a network has in a program like this one."""
    loads = (x for s in program.all_streams for x in s.instructions() if isinstance(x, LoadWeights))
    if not any(x.coding for x in loads):
        return pack_network(network, replace(program.core, decoder=0), mode).segment
    packed = pack_network(network, program.core, mode)
    for stream in program.streams:  # which put coded weights there, as when it was compiled
        for number in range(1, program.exit_count + 1):
            schedule(packed.at_exit(number), program.board, stream.batch)
    return packed.segment


def _fitted(q: NDArray[np.int64], exact: NDArray) -> TensorFormat:
    """The scale with which integers come nearest to real values.

    A program does not say what the integers between its layers stand for.
    """
    power = float(np.sum(q.astype(np.float64) ** 2))
    scale = float(np.sum(q * exact.astype(np.float64))) / power if power else 1.0
    return TensorFormat(scale or 1.0)


def check_layers(program: Program, graph: Graph) -> None:
    """Raise InputError for a model that has other layers than the program."""
    if graph.input.shape != program.input_shape:
        raise InputError(
            f"program '{program.name}' takes inputs {_by(program.input_shape)}, model "
            f"'{graph.name}' takes {_by(graph.input.shape)}: it is another network"
        )
    if program.exit_count != len(graph.outputs):
        raise InputError(
            f"program '{program.name}' has {program.exit_count} exits, model '{graph.name}' has "
            f"{len(graph.outputs)}: it is another network"
        )
    for number in range(1, program.exit_count + 1):
        _check_exit(program.at_exit(number), graph.at_exit(number))


def _check_exit(program: Program, graph: Graph) -> None:
    ours = [layer.output for layer in program.layers]
    theirs = [(block.channels, *block.shape.output_size) for block in fold(graph)]
    for number, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            raise InputError(
                f"layer '{program.layers[number].name}' of program '{program.name}' makes {_by(a)},"
                f" in model '{graph.name}' it makes {_by(b)}: it is another network"
            )
    if len(ours) != len(theirs):
        raise InputError(
            f"program '{program.name}' has {len(ours)} layers, model '{graph.name}' has "
            f"{len(theirs)}: it is another network"
        )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
