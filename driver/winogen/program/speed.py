"""How long a run is predicted to take: the accelerator, the host, and both together."""

from __future__ import annotations

import math
from dataclasses import dataclass

from winogen.program.file import Program
from winogen.program.parts import StreamInfo
from winogen.target.host import HostCosts, calibrated, host_costs

#: Conversions of a number in the time that a host layer takes for one that it reads or makes, for 8
#: and 16 bits: what ``python benchmarks/host_layers.py`` prints.
LAYER_PASSES = {
    "normalise": (1.0, 6.4),
    "normalise pixels": (8.1, 9.2),
    "multiply": (2.8, 3.0),
    "pad": (0.8, 5.2),
    "maxpool": (0.8, 2.0),
    "avgpool": (9.5, 9.1),
    "rearrange": (1.5, 6.6),
    "resample": (14.6, 13.9),
}

#: Accesses to registers of a run: see ``WinogenCore.run``. Waiting for the interrupt adds two.
READS, WRITES, INTERRUPT_WRITES = 4, 4, 2


@dataclass(frozen=True)
class Speed:
    """Predicted times of a run of a stream, in seconds, and images a second.

    Attributes
    ----------
    batch : images of the run
    accelerator_s : what the accelerator takes
    control_s : what the host takes while the accelerator waits: registers, and the wait's end
    convert_s : what the host takes for inputs, outputs and the call; it can do that for one batch
        while the accelerator has another
    layers_s : what the host takes for layers between two runs of the accelerator, which waits
    measured : the host's part is of costs that were measured on a board
    """

    batch: int
    accelerator_s: float
    control_s: float
    convert_s: float
    layers_s: float = 0.0
    measured: bool = False

    @property
    def host_s(self) -> float:
        """All of the host's part."""
        return self.control_s + self.convert_s + self.layers_s

    @property
    def run_s(self) -> float:
        """A run by itself: one after the other."""
        return self.accelerator_s + self.host_s

    @property
    def accelerator(self) -> float:
        """Images a second of the accelerator alone."""
        return self.batch / self.accelerator_s

    @property
    def alone(self) -> float:
        """Images a second of one batch after the other."""
        return self.batch / self.run_s

    @property
    def overlapped(self) -> float:
        """Images a second of many batches in one call, or of a stream of calls."""
        return self.batch / (
            max(self.accelerator_s, self.convert_s) + self.control_s + self.layers_s
        )


def speed(program: Program, stream: StreamInfo) -> Speed:
    """The prediction for the board that the program is for.

    The host's part is 0 where the board has no processor of its own.
    """
    board = program.board
    accelerator = stream.cycles / (board.clock_mhz * 1e6)
    costs = host_costs(board)
    if costs is None:
        return Speed(stream.batch, accelerator, 0.0, 0.0)
    control, convert = host_seconds(program, stream, costs, accelerator)
    layers = sum(layer_seconds(program, stream).values())
    return Speed(stream.batch, accelerator, control, convert, layers, calibrated(board) is not None)


def host_seconds(
    program: Program, stream: StreamInfo, costs: HostCosts, accelerator_s: float
) -> tuple[float, float]:
    """The host's part of a run, as ``control_s`` and ``convert_s`` of :class:`Speed`."""
    pieces = max(len(stream.pieces()), 1)
    control = READS * costs.register_read_s + WRITES * costs.register_write_s
    if accelerator_s / pieces >= costs.interrupt_s:  # else it is polled
        control += INTERRUPT_WRITES * costs.register_write_s + costs.interrupt_s
    control *= pieces
    elements = math.prod(program.seen_shape) + math.prod(program.output_shape)
    convert = (
        costs.call_s
        + (stream.input_bytes + stream.output_bytes) / costs.copy_bytes_per_s
        + stream.batch * elements / costs.convert_elements_per_s
    )
    return control, convert


def layer_seconds(program: Program, stream: StreamInfo) -> dict[int, float]:
    """What the host takes for each layer that it computes in a run, by the layer's number.

    Empty where the board has no processor of its own.
    """
    costs = host_costs(program.board)
    if costs is None:
        return {}
    return {
        number: costs.call_s + count / costs.convert_elements_per_s
        for number, count in layer_conversions(program, stream).items()
    }


def layer_conversions(program: Program, stream: StreamInfo) -> dict[int, float]:
    """The same in conversions of a number, which a processor does in so much time."""
    found = {}
    for step in stream.host:
        layer = program.host[step.layer]
        read = sum(c * p.rows * p.columns for c, p in zip(layer.sources, step.sources))
        made = layer.channels * step.target.rows * step.target.columns
        passes = LAYER_PASSES[layer.label][program.data_width == 16]
        found[step.layer] = stream.batch * (read + made) * passes
    return found
