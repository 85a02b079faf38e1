"""Where tensors lie in the segments of a stream: places that are reused once read."""

from __future__ import annotations

from dataclasses import dataclass

from winogen.compiler.hazards import Access
from winogen.compiler.pack import PackedNetwork
from winogen.target.board import Board
from winogen.target.registers import Segment


@dataclass(frozen=True)
class TensorPlace:
    """A tensor in DRAM: [image][block][row][column][lane] at a byte offset of a segment."""

    segment: Segment
    offset: int
    blocks: int
    rows: int
    columns: int
    word_bytes: int

    @property
    def image_words(self) -> int:
        """Words of one image."""
        return self.blocks * self.rows * self.columns

    def size(self, images: int) -> int:
        """Bytes of ``images`` images."""
        return images * self.image_words * self.word_bytes

    def address(self, image: int, block: int, row: int, column: int) -> int:
        """Byte offset in the segment of one word."""
        word = ((image * self.blocks + block) * self.rows + row) * self.columns + column
        return self.offset + word * self.word_bytes

    def access(self, image: int, images: int, write: bool) -> Access:
        """The access to some whole images, for the hazards."""
        start = self.address(image, 0, 0, 0)
        return Access(self.segment.name, start, start + self.size(images), write)


def place_tensors(
    packed: PackedNetwork, board: Board, batch: int
) -> tuple[dict[str, TensorPlace], int]:
    """Where every tensor lies; tensors that are not alive together share scratch memory."""
    layers = packed.layers
    lanes, word_bytes = board.core.ci_lanes, board.core.word_bytes
    first = next(p for p in layers if "input" in p.layer.sources)
    size = first.layer.shape.input_size
    blocks = first.input_blocks[first.layer.sources.index("input")]
    places = {"input": TensorPlace(Segment.INPUT, 0, blocks, *size, word_bytes)}
    last_use = {s: i for i, p in enumerate(layers) for s in p.layer.sources}
    alive: list[tuple[int, int, int]] = []  # (last use, start, stop)
    scratch = 0
    for i, p in enumerate(layers):
        channels, rows, columns = p.layer.output_shape
        shape = (-(-channels // lanes), rows, columns, word_bytes)
        if i == len(layers) - 1:
            places[p.layer.name] = TensorPlace(Segment.OUTPUT, 0, *shape)
            continue
        need = -(-TensorPlace(Segment.SCRATCH, 0, *shape).size(batch) // 64) * 64
        alive = [a for a in alive if a[0] >= i]
        start = 0
        for _, low, high in sorted(alive, key=lambda a: a[1]):
            if start + need <= low:
                break
            start = max(start, high)
        alive.append((last_use[p.layer.name], start, start + need))
        scratch = max(scratch, start + need)
        places[p.layer.name] = TensorPlace(Segment.SCRATCH, start, *shape)
    return places, scratch
