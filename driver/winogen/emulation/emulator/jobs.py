"""What a stream computes, as whole layers: (transposed) convolutions over boxes of tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from winogen.emulation.emulator.spans import Span


@dataclass(frozen=True)
class InputView:
    """A box of an activation tensor in DRAM: its bus address, and words (see LOAD_INPUT)."""

    address: int
    images: int
    blocks: int
    rows: int
    columns: int
    image_stride: int
    block_stride: int
    row_stride: int
    column_step: int
    pitch: int

    def span(self, word_bytes: int) -> Span:
        """Bus addresses from its first to behind its last byte."""
        shape = (self.images, self.blocks, self.rows, self.columns)
        strides = (self.image_stride, self.block_stride, self.row_stride, self.column_step)
        words = 1 + sum((n - 1) * s for n, s in zip(shape, strides))
        return self.address, self.address + words * word_bytes


@dataclass(frozen=True)
class Kernel:
    """What a pass does with a patch: the contents of its tables and its geometry.

    ``products[a]`` holds the (position, word) pairs that accumulator a sums; ``window[p]`` and
    ``positions[p]`` the taps and Winograd positions of phase p's weights.
    """

    winograd: bool
    tile: int
    tiles: tuple[int, int]
    origin: tuple[int, int]
    patch: tuple[int, int, int, int]
    products: tuple[tuple[tuple[int, int], ...], ...]
    accumulators: tuple[tuple[int, int], ...]
    window: tuple[tuple[int, ...], ...]
    positions: tuple[tuple[int, ...], ...]


#: Coding and beats of weights that are not coded.
PLAIN = (0, 0)


class WeightRun(NamedTuple):
    """Where the weights of some input blocks lie for one output block.

    Attributes
    ----------
    address, blocks : bus address, and how many input blocks
    half : of a pair of output blocks the one in the lower (0) or upper (1) half; None: it is alone
    other, swap : the address for the pair's other block, and the lanes whose weights lie there
    code, other_code : coding and beats of both; (0, 0) where weights are plain
    """

    address: int
    blocks: int
    half: int | None = None
    other: int = 0
    swap: int = 0
    code: tuple[int, int] = PLAIN
    other_code: tuple[int, int] = PLAIN

    def follows(self, run: WeightRun, nbytes: int) -> bool:
        """Whether it goes on where ``run``, of so many bytes, ends."""
        if run.code != PLAIN or run.other_code != PLAIN:
            return False  # a stream of its own
        moved = run._replace(
            address=run.address + nbytes,
            blocks=self.blocks,
            other=run.other + nbytes if run.swap else 0,
        )
        return self == moved


@dataclass(frozen=True)
class FusedPass:
    """A pass over all its input blocks.

    ``weights[b][i]`` is the i-th run of input blocks for output block b. Without a view the input
    is zero.
    """

    view: InputView | None
    kernel: Kernel
    weights: tuple[tuple[WeightRun, ...], ...]

    @property
    def taps(self) -> int:
        """Weight words in DRAM for each block of input channels."""
        return sum(len(w) for w in self.kernel.window)

    @property
    def is_coded(self) -> bool:
        """Whether any of its weights are coded, and so can be wrong."""
        return any(run.code != PLAIN for block in self.weights for run in block)


@dataclass(frozen=True)
class Chain:
    """Passes whose sums are requantised together, for one group of phases.

    ``params[b]`` is the bus address of output block b's parameters, ``activation`` that of the
    table or None.
    """

    passes: tuple[FusedPass, ...]
    phases: tuple[tuple[int, int, int], ...]  # row, column, parameter entry
    params: tuple[int, ...]
    activation: int | None


@dataclass(frozen=True)
class Job:
    """All output channels of a box of tiles.

    ``stores[b]`` is the bus address for output block b.
    """

    layer: int
    chains: tuple[Chain, ...]
    images: int
    rows: int
    columns: int
    stride: tuple[int, int]
    stores: tuple[int, ...]
    image_stride: int
    row_stride: int

    def span(self, word_bytes: int) -> Span:
        """Bus addresses from the first to behind the last byte that it stores."""
        images, rows = (self.images - 1) * self.image_stride, (self.rows - 1) * self.row_stride
        words = images + rows + self.columns
        return min(self.stores), max(self.stores) + words * word_bytes
