"""Host layers in the memory of a device, where tensors lie in words of several channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.program.host_bytes import run_bytes
from winogen.program.host_layers import HostLayer, HostStep, Place
from winogen.target.numerics import storage_dtype
from winogen.target.registers import Segment


def compute(
    step: HostStep,
    layer: HostLayer,
    batch: int,
    data_width: int,
    segments: Mapping[Segment, NDArray[np.uint8]],
) -> None:
    """Compute a host layer of ``batch`` images in the memory of a stream's segments."""
    dtype = storage_dtype(data_width)
    for image in range(batch):  # one at a time: integers take eight times the room of the data
        sources: list[NDArray[Any]] = []
        for place, channels in zip(step.sources, layer.sources):
            words = _words(place, batch, segments, dtype)[image : image + 1]
            planes = np.moveaxis(words, 4, 2).reshape(1, -1, place.rows, place.columns)
            sources.append(planes[:, :channels])
        out: NDArray[Any]
        if data_width == 8:
            (out,) = run_bytes(layer, sources)
        else:
            (out,) = layer.run([s.astype(np.int64) for s in sources], data_width)
        target = _words(step.target, batch, segments, dtype)[image]
        lanes = target.shape[-1]
        for block, words in enumerate(target):
            part = out[block * lanes : (block + 1) * lanes]
            words[..., : len(part)] = np.moveaxis(part, 0, -1)
            words[..., len(part) :] = 0


def _words(
    place: Place, batch: int, segments: Mapping[Segment, NDArray[np.uint8]], dtype: np.dtype
) -> NDArray[Any]:
    """A tensor as it lies in memory, (N, blocks, H, W, lanes)."""
    held = segments[place.segment][place.offset : place.offset + place.size(batch)]
    return held.view(dtype).reshape(batch, place.blocks, place.rows, place.columns, -1)
