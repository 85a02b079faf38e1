"""What sub-networks cost on a board, by its cycle model, fast enough for a search.

A program's cycles come from simulating its stream, which takes a good part of a second to make. A
layer's share of them depends on its own channels and kernel, and little on its neighbours: each
layer that the search meets is compiled and simulated by itself, once, and a sub-network is
estimated as the sum of its layers. What running them in one stream saves is known for the largest
and the smallest, and taken in proportion in between. Whatever is chosen in the end is compiled, so
that a bound holds for its program, not for the estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from winogen.common.errors import UnsupportedLayerError
from winogen.compilation.job import Job
from winogen.compiler.compile import compile_network
from winogen.compiler.ends import fold_ends
from winogen.compiler.fold import fold
from winogen.compiler.lower import Mode
from winogen.compiler.outline import outline
from winogen.compiler.pack import pack_network
from winogen.compiler.quantised import QuantNetwork
from winogen.compiler.schedule import schedule
from winogen.compression.space import Setting, Space
from winogen.cost.simulate import simulate
from winogen.network.graph import Graph, InputSpec
from winogen.program.speed import speed


@dataclass(frozen=True)
class Cost:
    """What one batch of the program's largest takes.

    Attributes
    ----------
    batch : images
    cycles : of the accelerator, for all of them
    fps : images a second with the board's processor
    """

    batch: int
    cycles: float
    fps: float


class Costs:
    """The cost of every sub-network of a space, for a job's board, batch and mode.

    ``graph_of`` makes a sub-network; what its weights are does not matter but which of them are
    zero. Layers that were costed are kept, so that a second search asks for few.
    """

    def __init__(self, job: Job, space: Space, graph_of: Callable[[Setting], Graph]):
        self._job = job
        self._space = space
        self._graph_of = graph_of
        self._layers: dict[Hashable, float] = {}
        self._exact: dict[Setting, Cost] = {}
        self._sums: dict[Setting, float] = {}
        by_name = {node.name: node for node in space.graph.nodes}
        self._nodes = [by_name[block.label] for block in fold(space.graph)]
        graph = graph_of(space.whole)
        self._program = compile_network(graph, self._outline(graph), job.options).program
        self._batch = self._program.streams[-1].batch
        self._ends = [
            (self._sum(setting), self.exact(setting).cycles)
            for setting in (space.smallest, space.whole)
        ]

    @property
    def counted(self) -> tuple[int, int]:
        """How many layers were simulated by themselves, and how many whole streams."""
        return len(self._layers), len(self._exact)

    def estimate(self, setting: Setting) -> Cost:
        """As the sum of its layers; within some percent of :meth:`exact`."""
        (low, least), (high, most) = self._ends
        total = self._sum(setting)
        part = (total - low) / (high - low) if high > low else 1.0
        saved = (low - least) + part * ((high - most) - (low - least))
        return self._cost(max(total - saved, 1.0))

    def exact(self, setting: Setting) -> Cost:
        """As its program has it, with these weights."""
        if setting not in self._exact:
            options = self._job.options
            board, mode = options.target, Mode(options.mode)
            network = self._outline(self._graph_of(setting))
            ends = fold_ends(network, board, mode, self._batch).network
            made = schedule(pack_network(ends, board.core, mode), board, self._batch)
            cycles = simulate(made.instructions, board).cycles
            self._exact[setting] = self._cost(cycles, (made.input_bytes, made.output_bytes))
        return self._exact[setting]

    def _cost(self, cycles: float, moved: tuple[int, int] | None = None) -> Cost:
        """The cost of a batch that takes so many cycles and moves so many bytes in and out.

        The processor's part is that of the whole network, with its bytes unless others are given.
        """
        whole = self._program.streams[-1]
        into, out = moved or (whole.input_bytes, whole.output_bytes)
        stream = replace(whole, cycles=math.ceil(cycles), input_bytes=into, output_bytes=out)
        return Cost(stream.batch, cycles, speed(self._program, stream).overlapped)

    def _outline(self, graph: Graph) -> QuantNetwork:
        return outline(graph, fold(graph), self._job.options.data_width).network

    def _sum(self, setting: Setting) -> float:
        if setting not in self._sums:
            self._sums[setting] = sum(self._alone(setting))
        return self._sums[setting]

    def _alone(self, setting: Setting) -> list[float]:
        """Cycles of each layer of a sub-network by itself."""
        keys = self._keys(setting)
        if any(key not in self._layers for key in keys):
            network = self._outline(self._graph_of(setting))
            if len(network.layers) != len(keys):
                raise UnsupportedLayerError(
                    f"network {network.name} is compiled to other layers where some are left out: "
                    "it cannot be searched"
                )
            for number, key in enumerate(keys):
                if key not in self._layers:
                    self._layers[key] = self._simulated(network, number)
        return [self._layers[key] for key in keys]

    def _keys(self, setting: Setting) -> list[Hashable]:
        """What decides each layer's cycles: which it is, what it reads and makes, its kernel."""
        space = self._space
        return [
            (
                node.name,
                space.width(node.inputs[0], setting),
                space.width(node.name, setting),
                space.kernel(node.name, setting),
            )
            for node in self._nodes
            if not space.skips(node.name, setting)
        ]

    def _simulated(self, network: QuantNetwork, number: int) -> float:
        """Cycles of a layer that is a network by itself, with the folds that it has at an end."""
        options = self._job.options
        board, mode = options.target, Mode(options.mode)
        last = len(network.layers) - 1
        if number == 0 < last:  # what its input becomes is decided where another layer follows
            folded = fold_ends(_cut_out(network, 0, 2), board, mode, self._batch).network
            single = replace(folded, layers=folded.layers[:1])
        else:
            single = _cut_out(network, number, number + 1)
            if number == last:
                single = fold_ends(single, board, mode, self._batch).network
        stream = schedule(pack_network(single, board.core, mode), board, self._batch)
        return float(simulate(stream.instructions, board).cycles)


def _cut_out(network: QuantNetwork, start: int, stop: int) -> QuantNetwork:
    """Some layers of a chain as a network of their own."""
    if start == 0:
        return replace(network, layers=network.layers[:stop])
    layers = list(network.layers[start:stop])
    first = layers[0]
    shape = (first.weight.shape[1], *first.shape.input_size)
    if first.diagonal:
        shape = (network.layers[start - 1].channels, *first.shape.input_size)
    layers[0] = replace(first, sources=(Graph.INPUT_NAME,))
    return replace(network, input=InputSpec(shape, "image"), layers=layers)
