"""One network on one build: compiled in a mode, its cycles predicted or counted by the logic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from winogen.bench.reading import counts, filled, real, value
from winogen.common.errors import DeviceError
from winogen.compiler.compile import compile_network
from winogen.compiler.options import CompileOptions
from winogen.compiler.quantised import QuantNetwork
from winogen.cost.accesses import Accesses, count_accesses
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.program.parts import HOST, StreamInfo
from winogen.program.speed import speed
from winogen.target.board import Board

#: Where cycles are from: the cost model, or counters of the logic, simulated.
MODEL, RTL = "model", "rtl"
#: Seconds that a simulated run may take.
RTL_SECONDS = 3600.0


@dataclass(frozen=True)
class LayerRun:
    """A layer of a run, over all its images.

    Attributes
    ----------
    cycles, predicted : from the end of the layer before to its own; by the run's source, and by
        the cost model
    issued : multiplies of the array, lanes that only pad included
    needed : those that the layer needs in its mode
    useful, zero_padded : those of the plain layer, without and with inserted zeros
    bytes_read, bytes_written : of DRAM, instructions included
    """

    name: str
    kind: str
    mode: str
    cycles: int
    predicted: int
    issued: int
    needed: int
    useful: int
    zero_padded: int
    bytes_read: int
    bytes_written: int


@dataclass(frozen=True)
class Run:
    """A run of a network.

    Attributes
    ----------
    mode : of the compilation
    products : that a multiplier makes in a cycle
    batch : images
    source : ``model`` or ``rtl``: where ``cycles`` are from
    cycles, predicted : of the whole run
    multipliers, peak : of the build: multipliers, and products that all of them make in a cycle
    counted : what crosses memories, and operations, over all images
    alone, overlapped : images a second with the processor's part, one batch after the other and
        while batches follow each other; None where the board has no processor
    host_measured : the processor's part was measured on a board, and not estimated
    """

    mode: str
    products: int
    batch: int
    source: str
    cycles: int
    predicted: int
    clock_mhz: float
    multipliers: int
    peak: int
    layers: tuple[LayerRun, ...]
    counted: Accesses
    alone: float | None
    overlapped: float | None
    host_measured: bool

    @property
    def seconds(self) -> float:
        """Of the accelerator, for one image."""
        return self.cycles / self.batch / (self.clock_mhz * 1e6)

    @property
    def images_per_second(self) -> float:
        """Of the accelerator alone."""
        return 1 / self.seconds

    @property
    def useful(self) -> int:
        """Multiplies of the plain network for one image."""
        return sum(layer.useful for layer in self.layers) // self.batch

    @property
    def gops(self) -> float:
        """Useful operations, a multiply and an addition each, a nanosecond."""
        return 2 * self.useful * self.images_per_second / 1e9

    @property
    def utilisation(self) -> float:
        """Part of what the array could multiply that the layers needed."""
        return sum(layer.needed for layer in self.layers) / (self.cycles * self.peak)

    @property
    def dram_bytes(self) -> float:
        """Of one image."""
        return (self.counted.dram_read + self.counted.dram_written) / self.batch

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = asdict(self)
        found["counted"] = {
            "dram_read": self.counted.dram_read,
            "dram_written": self.counted.dram_written,
            "memory_bits": dict(self.counted.memory_bits),
            "multiplies": {f"{a}x{b}": n for (a, b), n in self.counted.multiplies.items()},
            "adds": {str(width): n for width, n in self.counted.adds.items()},
        }
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Run:
        """The inverse of :meth:`as_dict`; KeyError, TypeError or ValueError for what is none."""
        said = data["counted"]
        counted = Accesses(*(value(said[n], int, n) for n in ("dram_read", "dram_written")))
        counted.memory_bits.update(counts(said["memory_bits"], "memory_bits"))
        for widths, n in counts(said["multiplies"], "multiplies").items():
            a, b = (real(int(width), "a width", 1) for width in widths.split("x"))
            counted.multiplies[a, b] = n
        adds = counts(said["adds"], "adds")
        counted.adds.update({real(int(width), "a width", 1): n for width, n in adds.items()})
        layers = tuple(filled(LayerRun, layer) for layer in data["layers"])
        plain = {k: v for k, v in data.items() if k not in ("layers", "counted")}
        made = filled(cls, plain, layers=layers, counted=counted)
        for name in ("batch", "cycles", "predicted", "clock_mhz", "multipliers", "peak"):
            real(getattr(made, name), name, least=1)
        real(counted.dram_read, "dram_read", least=1)
        return made


def compile_for(
    graph: Graph, network: QuantNetwork, board: Board, mode: str, sizes: Iterable[int]
) -> Program:
    """The program of a network in a mode, with streams for these batches alone."""
    asked = sorted(sizes)
    options = CompileOptions(board=board, mode=mode, batch=asked[-1])
    return compile_network(graph, network, options, sizes=asked).program


def one_product(board: Board) -> Board:
    """The board with the same array and memories, each multiplier making one product."""
    core = board.core
    if core.products == 1:
        return board
    return replace(board, core=replace(core, products=1, weight_depth=2 * core.weight_depth))


def measure(program: Program, stream: StreamInfo, mode: str, *, rtl: bool = False) -> Run:
    """Measure one stream of a program, by the cost model or on the simulated logic.

    Raises DeviceError where the logic cannot be simulated here.
    """
    board = program.board
    counted = count_accesses(stream.instructions(), board)
    cycles, layer_cycles = stream.cycles, list(stream.layer_cycles)
    if rtl:
        cycles, layer_cycles = _simulated(program, stream, counted)
    times = speed(program, stream)
    slower = cycles / stream.cycles
    accelerator = times.accelerator_s * slower
    host = times.host_s > 0
    return Run(
        mode=mode,
        products=board.core.products,
        batch=stream.batch,
        source=RTL if rtl else MODEL,
        cycles=cycles,
        predicted=stream.cycles,
        clock_mhz=board.clock_mhz,
        multipliers=board.core.multipliers,
        peak=board.core.peak,
        layers=_layers(program, stream, layer_cycles),
        counted=counted,
        alone=stream.batch / (accelerator + times.host_s) if host else None,
        overlapped=stream.batch
        / (max(accelerator, times.convert_s) + times.control_s + times.layers_s)
        if host
        else None,
        host_measured=times.measured,
    )


def _layers(program: Program, stream: StreamInfo, cycles: list[int]) -> tuple[LayerRun, ...]:
    instructions: list[list[Any]] = [[] for _ in program.layers]
    for instruction in stream.instructions():
        instructions[instruction.layer].append(instruction)
    found = []
    for info, own, taken, predicted in zip(
        program.layers, instructions, cycles, stream.layer_cycles
    ):
        if info.mode == HOST:
            continue
        counted = count_accesses(own, program.board)
        array = [n for widths, n in counted.multiplies.items() if widths in array_widths(program)]
        found.append(
            LayerRun(
                info.name,
                info.kind,
                info.mode,
                taken,
                predicted,
                sum(array),
                info.multiplies * stream.batch,
                info.useful * stream.batch,
                info.zero_padded * stream.batch,
                counted.dram_read,
                counted.dram_written,
            )
        )
    return tuple(found)


def array_widths(program: Program) -> tuple[tuple[int, int], ...]:
    """Widths of the multiplies that the array makes, in either arithmetic."""
    width = program.data_width
    return (width, width), (width + 2, width + 4)


def _simulated(program: Program, stream: StreamInfo, counted: Accesses) -> tuple[int, list[int]]:
    """Cycles of a stream and of its layers by the logic's counters, and a check of what else it
    counts."""
    from winogen.runtime.generator import Generator
    from winogen.runtime.open import rtl_device

    device = rtl_device(program.board)
    alone = replace(program, streams=(stream,))
    with Generator(alone, device, board=program.board, timeout=RTL_SECONDS) as generator:
        x = sample_inputs(program.input, stream.batch, 0)  # values do not matter to cycles
        generator.generate(x, as_float=True, count=True)
        counters = generator.counters()
        trace = device.core.trace()  # type: ignore[union-attr]
    seen = counters["bytes_read"], counters["bytes_written"], counters["multiplies"]
    array = sum(counted.multiplies[widths] for widths in array_widths(program))
    expected = counted.dram_read, counted.dram_written, array
    if seen != expected:
        raise DeviceError(
            f"the logic counted {seen} bytes read, bytes written and multiplies where {expected} "
            f"were expected of {program.name}: this is an error of winogen"
        )
    instructions = stream.instructions()
    ends = np.zeros(len(instructions), np.int64)
    ends[trace["index"]] = trace["end"]
    layer = np.array([x.layer for x in instructions])
    before, cycles = 0, []
    for number in range(len(program.layers)):
        own = ends[layer == number]
        last = number == len(program.layers) - 1
        end = counters["cycles"] if last else int(own.max(initial=before))
        cycles.append(end - before)
        before = end
    return counters["cycles"], cycles
