"""Where tensors lie in the segments of a stream: places that are reused once read."""

from __future__ import annotations

from winogen.compiler.hazards import Access
from winogen.compiler.pack import PackedNetwork
from winogen.program.host_layers import Place
from winogen.target.board import Board
from winogen.target.registers import Segment


def access(place: Place, image: int, images: int, write: bool) -> Access:
    """The access to some whole images of a tensor, for the hazards."""
    start = place.address(image, 0, 0, 0)
    return Access(place.segment.name, start, start + place.size(images), write)


def place_tensors(packed: PackedNetwork, board: Board, batch: int) -> tuple[dict[str, Place], int]:
    """Where every tensor lies; tensors that are not alive together share scratch memory."""
    layers = packed.layers
    lanes, word_bytes = board.core.ci_lanes, board.core.word_bytes
    first = next(p for p in layers if "input" in p.layer.sources)
    index = first.layer.sources.index("input")
    size, blocks = first.source_size(index), first.input_blocks[index]
    places = {"input": Place(Segment.INPUT, 0, blocks, *size, word_bytes)}
    last_use = {s: i for i, p in enumerate(layers) for s in p.layer.sources}
    alive: list[tuple[int, int, int]] = []  # (last use, start, stop)
    scratch = 0
    for i, p in enumerate(layers):
        channels, rows, columns = p.layer.output_shape
        shape = (-(-channels // lanes), rows, columns, word_bytes)
        if i == len(layers) - 1:
            places[p.layer.name] = Place(Segment.OUTPUT, 0, *shape)
            continue
        need = -(-Place(Segment.SCRATCH, 0, *shape).size(batch) // 64) * 64
        alive = [a for a in alive if a[0] >= i]
        start = 0
        for _, low, high in sorted(alive, key=lambda a: a[1]):
            if start + need <= low:
                break
            start = max(start, high)
        alive.append((last_use[p.layer.name], start, start + need))
        scratch = max(scratch, start + need)
        places[p.layer.name] = Place(Segment.SCRATCH, start, *shape)
    return places, scratch
