"""Design-space search: the array and memories that run networks fastest on a device.

Every shape of the array, with one and with two products a multiplier, is tried with every way to
divide the block RAM among the four large memories; the cost model says how fast each runs the
networks, the estimates what it takes. A decoder of weights that the board has is left out of arrays
that fit only without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

from winogen.common.errors import BoardError, ScheduleError
from winogen.compiler.ends import Ends, fold_ends
from winogen.compiler.lower import Mode
from winogen.compiler.pack import PackedNetwork, pack_network
from winogen.compiler.quantise import quantise
from winogen.compiler.quantised import QuantNetwork
from winogen.compiler.schedule import schedule
from winogen.cost.simulate import simulate
from winogen.fpga.area import Area
from winogen.fpga.cascades import cascades, most_cascades
from winogen.fpga.estimate import estimate
from winogen.fpga.parts import Part
from winogen.network.graph import Graph
from winogen.target.board import Board, CoreConfig, build_tool

#: Lanes of either side of the array, and the most tiles at a time, that are tried.
LANES = (4, 8, 16, 32)
MOST_TILES = 16
#: Words of each memory that are tried, from the least to the most: a block RAM of 4096 words (the
#: input buffer has four banks) needs no multiplexer between it and its output register.
_DEPTHS = {
    "input_depth": (2048, 16384),
    "weight_depth": (512, 4096),
    "psum_depth": (512, 4096),
    "output_depth": (512, 4096),
}
_DEEPEST = {name: high for name, (_, high) in _DEPTHS.items()}
#: Products of a multiplier that are tried. Open tools place small arrays only, and nobody has tried
#: with them what makes pairs and takes sums apart.
_PRODUCTS = {"vivado": (1, 2), "open": (1,)}
#: A memory is halved where that makes the networks slower by less than this part.
_WORTH = 0.001
#: A design that is this much faster than a smaller one is listed.
_FASTER = 1.01
#: What the chosen build may be slower than the fastest: the last few percent cost most.
NEAR = 0.05


@dataclass(frozen=True)
class Design:
    """A build that was tried.

    Attributes
    ----------
    core : its configuration
    area : what it takes of a device, estimated
    frames : images a second of each network
    utilisation : part of the multipliers that work, of all networks' cycles
    bandwidth : bytes a second between accelerator and DRAM, over all networks
    """

    core: CoreConfig
    area: Area
    frames: dict[str, float]
    utilisation: float
    bandwidth: float

    @property
    def speed(self) -> float:
        """Geometric mean of the images a second."""
        return math.exp(sum(map(math.log, self.frames.values())) / len(self.frames))


def choose(front: Sequence[Design]) -> Design:
    """The build to make: the smallest that is nearly as fast as the fastest."""
    fastest = max(design.speed for design in front)
    return next(design for design in front if design.speed >= (1 - NEAR) * fastest)


class Explorer:
    """Tries builds for one board, one data width and some networks.

    Parameters
    ----------
    board : clock, DRAM and what the search does not change of the build; of one for open tools no
        array is tried that they cannot place, and none with two products a multiplier
    part : the device; a build has to be within its limits
    graphs : the networks; their weights do not matter
    batch : images of a run
    """

    def __init__(self, board: Board, part: Part, graphs: Sequence[Graph], batch: int):
        self._board, self._part, self._batch = board, part, batch
        self._networks: list[QuantNetwork] = [
            quantise(g.without_exits(), board.core.data_width, samples=1) for g in graphs
        ]
        self._tool = build_tool(board.name)
        self._folded: dict[tuple[int, ...], list[Ends]] = {}
        self._packed: dict[Hashable, PackedNetwork] = {}
        self._tried: dict[CoreConfig, Design | None] = {}

    @property
    def tried(self) -> list[Design]:
        """All builds that were tried and can run the networks."""
        return [design for design in self._tried.values() if design]

    def search(self, progress: Callable[[int, int], None] | None = None) -> list[Design]:
        """The fastest builds: each is faster than all that have as few multipliers.

        ``progress`` is called with the number of shapes done and of all. Raises BoardError where
        no build fits the device.
        """
        # Pairs first: where they fit, an array without them is seldom looked at for long.
        shapes = sorted(self._shapes(), key=lambda c: (c.multipliers, -c.products, c.ci_lanes))
        front: list[Design] = []
        for number, shape in enumerate(shapes):
            if progress:
                progress(number, len(shapes))
            best = self._best(shape, _FASTER * front[-1].speed if front else 0)
            if best:
                if front and front[-1].core.multipliers == best.core.multipliers:
                    front.pop()
                front.append(self._shrink(best))
        if not front:
            raise BoardError(
                f"no build of {self._board.core.data_width} bits that runs the networks fits "
                f"'{self._part.name}'"
            )
        return front

    def measure(self, core: CoreConfig) -> Design | None:
        """What a build reaches; None where a network does not fit its memories."""
        if core not in self._tried:
            self._tried[core] = self._measure(core)
        return self._tried[core]

    def _measure(self, core: CoreConfig) -> Design | None:
        board = replace(self._board, core=core)
        hertz = board.clock_mhz * 1e6
        frames: dict[str, float] = {}
        cycles = multiplies = moved = 0
        for name, packed in self._pack(core):
            try:
                stream = schedule(packed, board, self._batch)
            except ScheduleError:
                return None
            line = simulate(stream.instructions, board)
            frames[name] = self._batch * hertz / line.cycles
            cycles += line.cycles
            multiplies += line.multiplies
            moved += line.bytes_read + line.bytes_written
        return Design(
            core,
            estimate(core, self._part.family),
            frames,
            multiplies / (cycles * core.peak),
            moved * hertz / cycles,
        )

    def _pack(self, core: CoreConfig) -> list[tuple[str, PackedNetwork]]:
        """The networks as compile folds and packs them for an array.

        Which folds pay off follows from the array. They are chosen once for each, as with the
        deepest memories: those change a fold only where they are so shallow that tilings of the
        layers at the ends suffer, and choosing takes as long as a schedule. Packing depends on
        lanes, products and folds, not on tiles or memories.
        """
        array = core.ci_lanes, core.tile_lanes, core.products, core.decoder
        if array not in self._folded:
            board = replace(self._board, core=replace(core, **_DEEPEST))
            self._folded[array] = [
                fold_ends(network, board, Mode.AUTO, self._batch) for network in self._networks
            ]
        packed = []
        for number, ends in enumerate(self._folded[array]):
            lanes = core.ci_lanes, core.products, core.decoder
            key = number, *lanes, ends.unfold, ends.shuffle
            if key not in self._packed:
                self._packed[key] = pack_network(ends.network, core, Mode.AUTO)
            packed.append((ends.network.name, self._packed[key]))
        return packed

    def _shapes(self) -> Iterator[CoreConfig]:
        """Arrays that fit with the smallest memories, without the board's decoder if need be."""
        least = {name: low for name, (low, _) in _DEPTHS.items()}
        for lanes, tiles, products in product(
            LANES, range(1, MOST_TILES + 1), _PRODUCTS[self._tool]
        ):
            lane = {"ci_lanes": lanes, "co_lanes": lanes, "tile_lanes": tiles}
            for decoder in dict.fromkeys((self._board.core.decoder, 0)):
                parts = {**lane, "products": products, "decoder": decoder}
                try:
                    core = replace(self._board.core, **parts, **least)
                except BoardError:
                    continue  # words that are no whole beats, data too wide for pairs, few lanes
                if self._fits(core):
                    yield core
                    break

    def _best(self, shape: CoreConfig, slow: float) -> Design | None:
        """The array with the memories that make it fastest; None where that is ``slow`` or slower.

        What it would reach with the deepest memories, whether they fit or not, says when to stop.
        """
        bound = self._measure(replace(shape, **_DEEPEST))
        if not bound or bound.speed <= slow:
            return None
        best = None
        for core in self._memories(shape):
            design = self.measure(core)
            if design and design.speed > slow:
                best, slow = design, design.speed
                if slow >= (1 - _WORTH) * bound.speed:
                    break
        return best

    def _memories(self, shape: CoreConfig) -> Iterator[CoreConfig]:
        """The array with memories of which none could be twice as deep."""
        ladders = [
            [(name, low << i) for i in range((high // low).bit_length())]
            for name, (low, high) in _DEPTHS.items()
        ]
        for depths in product(*ladders):
            core = replace(shape, **dict(depths))
            if self._fits(core) and not any(
                depth < _DEPTHS[name][1] and self._fits(replace(core, **{name: 2 * depth}))
                for name, depth in depths
            ):
                yield core

    def _fits(self, core: CoreConfig) -> bool:
        if self._tool == "open" and cascades(core) > most_cascades(core):
            return False
        return self._part.holds(estimate(core, self._part.family), core.data_width)

    def _shrink(self, design: Design) -> Design:
        """The same array with no memory deeper than it is good for."""
        enough = (1 - _WORTH) * design.speed
        smaller = True
        while smaller:
            smaller = False
            for name, (low, _) in _DEPTHS.items():
                depth = asdict(design.core)[name]
                if depth > low:
                    less = self.measure(replace(design.core, **{name: depth // 2}))
                    if less and less.speed >= enough:
                        design, smaller = less, True
        return design
