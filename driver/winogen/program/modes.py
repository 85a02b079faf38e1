"""In which mode each layer of a stream runs: few images may be faster in another one than many."""

from __future__ import annotations

from collections.abc import Sequence

from winogen.program.parts import LayerInfo, StreamInfo
from winogen.target.isa import Compute, Instruction

#: What ``winograd`` of a COMPUTE says. Zero-padded layers are direct ones with more steps.
_MODES = ("direct", "winograd")


def layer_modes(
    layers: Sequence[LayerInfo], stream: StreamInfo, instructions: Sequence[Instruction] = ()
) -> tuple[str, ...]:
    """The mode of each layer in a stream.

    ``LayerInfo.mode`` is that of the largest batch. ``instructions`` are the stream's, where they
    are decoded already.
    """
    modes = [layer.mode for layer in layers]
    for x in instructions or stream.instructions():
        if isinstance(x, Compute) and modes[x.layer] in _MODES:
            modes[x.layer] = _MODES[x.winograd]
    return tuple(modes)
