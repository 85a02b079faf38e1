"""Heads: what makes an image of a network's features before they are complete.

A head brings the features of an inner layer to the size and the channels of the output: by a
transposed convolution, or by up to two more with a ReLU before it. Which features, and how much of
a head, follow from the cycles that an exit may take on the board.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError, QuantisationError, ScheduleError
from winogen.compilation.job import Job
from winogen.compiler.block import Block
from winogen.compiler.compile import compile_network, predicted_cycles
from winogen.compiler.fold import fold
from winogen.compiler.outline import outline
from winogen.compiler.quantised import QuantNetwork
from winogen.compression.clock import over, part_of
from winogen.network.graph import POINTWISE, Graph, Node
from winogen.program.file import Program

#: Channels of a head's inner layers that are tried.
_WIDTHS = (8, 16, 32, 64, 128, 256)
#: Layers that are tried for an exit: the deepest ones that are in time.
_TAPS = 3
#: Of an exit's cycles, what may be gone before its head begins.
_BEFORE = 0.95


@dataclass(frozen=True)
class Head:
    """A head.

    Attributes
    ----------
    tap : the layer whose features it reads
    strides : by how much each of its layers enlarges, along both axes
    widths : channels of all of its layers but the last, which has those of the output
    """

    tap: str
    strides: tuple[int, ...]
    widths: tuple[int, ...]


@dataclass(frozen=True)
class ChosenHead:
    """A head that was chosen for an exit.

    Attributes
    ----------
    head : it
    asked : share of the whole network's cycles that the exit may take
    alone, batched : the shares that it is predicted to take, for one image and in the largest
        batches
    """

    head: Head
    asked: float
    alone: float
    batched: float

    @property
    def share(self) -> float:
        """The larger of both."""
        return max(self.alone, self.batched)

    def of(self, program: Program, number: int) -> ChosenHead:
        """The same with the shares of a program, of which it is exit ``number``."""
        own = program.at_exit(number).streams
        alone, batched = (own[n].cycles / program.streams[n].cycles for n in (0, -1))
        return replace(self, alone=alone, batched=batched)


def with_heads(graph: Graph, heads: Sequence[Head], seed: int = 0) -> Graph:
    """The network with exits: a head for each, whose weights are drawn by ``seed``."""
    rng = np.random.default_rng(seed)
    taken = {node.name for node in graph.nodes}
    ending = _ending(graph)
    own: dict[str, list[Node]] = {}
    exits = []
    for number, head in enumerate(heads, 1):
        made = _nodes(graph, head, _prefix(f"exit{number}", taken), ending, rng)
        taken |= {node.name for node in made}
        exits.append(made[-1].name)
        own.setdefault(head.tap, []).extend(made)
    nodes = [n for node in graph.nodes for n in (node, *own.get(node.name, ()))]
    return replace(graph, nodes=nodes, exits=tuple(exits))


def candidates(graph: Graph, tap: str) -> Iterator[Head]:
    """All heads for the features of a layer; none where the output is no multiple of their size."""
    channels, *size = graph.shapes[tap]
    (rows, rest), (columns, other) = (
        divmod(n, own) for n, own in zip(graph.output_shape[1:], size)
    )
    if rest or other or rows != columns:
        return
    ways = [(rows,), (1, rows)]
    ways += [(2, rows // 2)] if rows % 2 == 0 and rows > 2 else []
    ways += [(2, 2, rows // 4)] if rows % 4 == 0 and rows > 4 else []
    for strides in ways:
        if len(strides) == 1:
            yield Head(tap, strides, ())
            continue
        for width in _WIDTHS:
            if width <= max(channels, _WIDTHS[0]):
                inner = [max(width >> n, _WIDTHS[0]) for n in range(len(strides) - 1)]
                yield Head(tap, strides, tuple(inner))


def taps(graph: Graph) -> list[str]:
    """Layers whose features a head can read, in order: those that end in an activation."""
    blocks = fold(graph)
    found = []
    for block in blocks[:-1]:
        if _bends(block) and any(True for _ in candidates(graph, block.name)):
            # A head must leave the layers behind it what they are.
            trial = with_heads(graph, [next(candidates(graph, block.name))])
            if [b.name for b in fold(trial.without_exits())] == [b.name for b in blocks] and {
                b.name for b in blocks
            } < {b.name for b in fold(trial)}:
                found.append(block.name)
    return found


def choose_heads(
    job: Job,
    shares: Sequence[float],
    say: Callable[[str], None] = lambda _: None,
    until: float | None = None,
) -> list[ChosenHead]:
    """A head for each exit of a network without exits, by the cycle model of the job's board.

    Of those with which one image alone and one in the largest batches take no more than the
    exit's share (0 to 1, ascending) of the whole network's cycles, the one that multiplies most:
    it is the one with the most of the network, and then of a head. Where there is none, it is the
    fastest. By ``until`` (:func:`winogen.compression.clock.now`) it is the best of those that
    there was time to predict, of which there is one at least for each exit.

    Raises InputError where the network has no layer that a head could read, and where two exits
    would be the same.
    """
    graph = job.graph
    found = taps(graph)
    if not found:
        raise InputError(
            f"network {graph.name} has no layer that an exit could begin at: one with an "
            "activation whose output is a whole number of times smaller than the network's, the "
            "same along both axes"
        )
    say("predicting exits")
    measure = _Cycles(job)
    before = {tap: measure.before(tap) for tap in found}
    chosen: list[ChosenHead] = []
    for share in shares:
        room = [tap for tap in found if before[tap] < _BEFORE * share] or found[:1]
        heads = [head for tap in room[-_TAPS:] for head in candidates(graph, tap)]
        heads.sort(key=lambda head: -measure.multiplies(head))
        found_head = _best(heads, measure, share, part_of(until, 1 / (len(shares) - len(chosen))))
        best = ChosenHead(found_head, share, *measure.of(found_head))
        if best.share == float("inf"):
            raise InputError(
                f"network {graph.name}: no head of an exit fits {job.options.target.name}"
            )
        alike = next((own for own in chosen if own.head == best.head), None)
        if alike is not None:
            raise InputError(
                f"the exits for {100 * alike.asked:g}% and {100 * share:g}% of the cycles would be "
                f"the same, after layer '{best.head.tap}' with {100 * best.share:.0f}%: ask for "
                "one of them, or for shares that are further apart"
            )
        chosen.append(best)
        say(f"exit {len(chosen)}: {100 * best.share:.0f}% of the cycles")
    return chosen


def _best(heads: Sequence[Head], measure: _Cycles, share: float, until: float | None) -> Head:
    """The first of the heads that takes no more than this share; or the fastest that was seen.

    They come by how much they multiply, the most first. Where time runs out the last one, which
    multiplies least, is looked at too.
    """
    seen = []
    for head in heads:
        if over(until):
            seen.append(heads[-1])
            if max(measure.of(heads[-1])) <= share:
                return heads[-1]
            break
        seen.append(head)
        if max(measure.of(head)) <= share:
            return head
    return min(seen, key=lambda head: max(measure.of(head)))


class _Cycles:
    """Predicted cycles of exits, as shares of the whole network's."""

    def __init__(self, job: Job):
        self._job = job
        program = compile_network(job.graph, self._outline(job.graph), job.options).program
        streams = (program.streams[0], program.streams[-1])
        self._batches = sorted({s.batch for s in streams})
        self._whole = [s.cycles for s in streams]
        self._layers = [b.name for b in fold(job.graph)]
        self._known: dict[Head, tuple[float, float]] = {}
        self._ends = [np.cumsum(s.layer_cycles) / s.cycles for s in streams]

    def _outline(self, graph: Graph) -> QuantNetwork:
        return outline(graph, fold(graph), self._job.options.data_width).network

    def before(self, tap: str) -> float:
        """The share of the cycles that is gone when a layer's output is there."""
        number = self._layers.index(tap)
        return max(float(ends[number]) for ends in self._ends)

    def of(self, head: Head) -> tuple[float, float]:
        """The shares of an exit, alone and in batches; infinite where the head does not run."""
        if head not in self._known:
            self._known[head] = self._measured(head)
        return self._known[head]

    def _measured(self, head: Head) -> tuple[float, float]:
        graph = with_heads(self._job.graph, [head]).at_exit(1)
        try:
            cycles = predicted_cycles(self._outline(graph), self._job.options, self._batches)
        except (ScheduleError, QuantisationError):
            return float("inf"), float("inf")
        return cycles[0] / self._whole[0], cycles[-1] / self._whole[-1]

    def multiplies(self, head: Head) -> int:
        """Multiplies of an exit, from the network's input on."""
        graph = with_heads(self._job.graph, [head]).at_exit(1)
        total = 0
        for block in fold(graph):
            inner = block.shape.input_size if block.shape.transposed else block.shape.output_size
            total += block.weight.size * inner[0] * inner[1]
        return total


def _bends(block: Block) -> bool:
    """Whether a block ends in a function that is no straight line."""
    bounded = bool(np.isfinite(block.low).any() or np.isfinite(block.high).any())
    return bounded or bool(np.any(block.slope != 1)) or block.function is not None


def _ending(graph: Graph) -> list[Node]:
    """What makes an image of the last layer's sums: the activations that the network ends in."""
    found: list[Node] = []
    node = graph.nodes[-1]
    by_name = {n.name: n for n in graph.nodes}
    while node.op in POINTWISE and node.op not in ("batchnorm", "prelu", "quant_relu"):
        found.insert(0, node)
        if node.inputs[0] not in by_name:
            break
        node = by_name[node.inputs[0]]
    return found


def _prefix(name: str, taken: set[str]) -> str:
    """A prefix that no layer's name begins with."""
    for number in itertools.count(2):
        if not any(other.startswith(name) for other in taken):
            return name
        name = f"{name.partition('_')[0]}_{number}"
    raise AssertionError


def _nodes(
    graph: Graph, head: Head, prefix: str, ending: Sequence[Node], rng: np.random.Generator
) -> list[Node]:
    """The layers of a head (weights as He et al. 2015 draw them)."""
    source, channels = head.tap, graph.shapes[head.tap][0]
    nodes: list[Node] = []
    widths = (*head.widths, graph.output_shape[0])
    for number, (stride, width) in enumerate(zip(head.strides, widths), 1):
        last = number == len(widths)
        nodes.append(_layer(f"{prefix}.{number}", source, stride, channels, width, rng))
        source, channels = nodes[-1].name, width
        if not last:
            nodes.append(Node(f"{prefix}.{number}.relu", "relu", (source,)))
            source = nodes[-1].name
    for node in ending:
        attrs = {name: value for name, value in node.attrs.items() if name not in _TRAINED}
        nodes.append(Node(f"{prefix}.{node.op}{len(nodes)}", node.op, (source,), attrs))
        source = nodes[-1].name
    return nodes


#: Attributes that training gives to a node, which are not those of a head's.
_TRAINED = ("scale", "reach")


def _layer(
    name: str, source: str, stride: int, channels: int, width: int, rng: np.random.Generator
) -> Node:
    """A (transposed) convolution whose output is ``stride`` times as large as its input."""
    edge = (stride + 1) // 2
    kernel = stride + 2 * edge
    met = channels * (kernel / stride) ** 2
    kind = {"kernel": (kernel, kernel), "stride": (stride, stride)}

    def drawn(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, np.sqrt(2 / met), shape).astype(np.float32)

    bias = np.zeros(width, np.float32)
    if stride == 1:
        weight = drawn(width, channels, kernel, kernel)
        attrs = {**kind, "pad": (edge,) * 4}
        return Node(name, "conv", (source,), attrs, {"weight": weight, "bias": bias})
    weight = drawn(channels, width, kernel, kernel)
    attrs = {**kind, "crop": (edge,) * 4}
    return Node(name, "deconv", (source,), attrs, {"weight": weight, "bias": bias})
