"""A compiled network, which a program file holds whole.

The file's layout is told in :mod:`winogen.program.container`, its header is written by
:mod:`winogen.program.header` and read by :mod:`winogen.program.read_header`. There is nothing in it
that loading could execute.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

from winogen.common.errors import ProgramError, WinogenError, one_line
from winogen.common.files import write_atomically
from winogen.common.opening import open_to_read
from winogen.network.graph import InputSpec, Shape, check_exit
from winogen.network.locality import Locality
from winogen.program import container
from winogen.program.check import check_program
from winogen.program.digests import Digest, Digests
from winogen.program.exits import Exit, pieces_of
from winogen.program.formats import TensorFormat
from winogen.program.header import (
    FORMAT_VERSION,
    FORMAT_WITH_EXITS,
    FORMAT_WITH_SPACING,
    FORMAT_WITH_STREAMS,
    exits_to_header,
    streams_to_header,
    unfold_to_header,
)
from winogen.program.host_file import layers_to_header
from winogen.program.host_layers import HostLayer
from winogen.program.layout import PLAIN, DepthToSpace, Unfold
from winogen.program.memory_plan import MemoryPlan, plan
from winogen.program.parts import LayerInfo, StreamInfo, WeightPiece
from winogen.program.read_header import fields_of
from winogen.program.weights_file import CodedSegment, encode
from winogen.target import isa
from winogen.target.board import Board, CoreConfig, clocked_as


@dataclass(frozen=True)
class Program:
    """A compiled network.

    Attributes
    ----------
    board : the board and build that it is for, and whose speed is predicted
    input_shape, output_shape : (channels, rows, columns)
    input_format, output_format : what the integers at either end stand for
    output_range : real values of black and white, or None if the output is no image
    locality : what a window of a larger image loses, or None if it cannot be run in windows
    unfold : pixels of the input that are channels to the accelerator, or None
    shuffle : channels of the accelerator that are pixels of the output
    host : the layers that the processor computes, by their number
    streams : by ascending batch size
    weights : the weight segment as it lies in memory: weights, parameters and tables
    pieces : the weights in it, in order
    weight_count : weights of the network as its author knows it, without what fills blocks up
    heads : layers that only exits run
    exits : by ascending depth; the whole network, which all else is about, comes after the last
    """

    name: str
    board: Board
    input: InputSpec
    input_format: TensorFormat
    output_shape: tuple[int, int, int]
    output_format: TensorFormat
    output_range: tuple[float, float] | None
    layers: tuple[LayerInfo, ...]
    streams: tuple[StreamInfo, ...]
    weights: bytes = field(repr=False)
    locality: Locality | None = None
    unfold: Unfold | None = None
    shuffle: DepthToSpace = PLAIN
    host: Mapping[int, HostLayer] = field(default_factory=dict)
    pieces: tuple[WeightPiece, ...] = field(default=(), repr=False)
    weight_count: int = 0
    heads: tuple[LayerInfo, ...] = ()
    exits: tuple[Exit, ...] = ()

    @property
    def exit_count(self) -> int:
        """How many exits there are, with the whole network, which is the last."""
        return len(self.exits) + 1

    def at_exit(self, number: int) -> Program:
        """The program that runs as far as an exit, on the same weights.

        Exits count from 1, the shallowest; the last is the whole network. Raises InputError for
        another number.
        """
        check_exit(self.name, number, self.exit_count)
        if not self.exits:
            return self
        everything = (*self.layers, *self.heads)
        if number == self.exit_count:
            layers = range(len(self.layers))
            pieces = pieces_of(self.pieces, layers)
            return replace(self, pieces=pieces, heads=(), exits=())
        own = self.exits[number - 1]
        return replace(
            self,
            layers=tuple(everything[n] for n in own.layers),
            streams=tuple(replace(stream, exit=0) for stream in own.streams),
            output_format=own.output_format,
            shuffle=own.shuffle,
            locality=own.locality,
            host={at: self.host[n] for at, n in enumerate(own.layers) if n in self.host},
            pieces=pieces_of(self.pieces, own.layers),
            heads=(),
            exits=(),
        )

    @property
    def all_streams(self) -> tuple[StreamInfo, ...]:
        """The streams of the whole network, then those of the exits."""
        return (*self.streams, *(s for own in self.exits for s in own.streams))

    @property
    def core(self) -> CoreConfig:
        """The build configuration that the program is for."""
        return self.board.core

    @property
    def data_width(self) -> int:
        """Bits of an activation and of a weight."""
        return self.core.data_width

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns of the input."""
        return self.input.shape

    @property
    def seen_shape(self) -> Shape:
        """Channels, rows, columns of the input as it lies in memory."""
        return self.unfold.shape(self.input_shape) if self.unfold else self.input_shape

    @property
    def stored_shape(self) -> Shape:
        """Channels, rows, columns of the output as it lies in memory."""
        return self.shuffle.shape(self.output_shape)

    @cached_property
    def digests(self) -> Digests:
        """Of weights and instructions, as they were read from the file (or at first use).

        What lies on a device is held against these, so memory that has changed since cannot make
        it look right.
        """
        return Digests(
            Digest.of(self.weights), {s.name: Digest.of(s.stream) for s in self.all_streams}
        )

    @cached_property
    def stored(self) -> CodedSegment:
        """The weight segment as it lies in the program file."""
        return encode(self.weights, self.pieces, self.data_width)

    @property
    def bits_a_weight(self) -> float | None:
        """Bits of each of the network's weights in the file, codebooks included.

        None where the program does not say how many weights there are.
        """
        return 8 * self.stored.weight_bytes / self.weight_count if self.weight_count else None

    def frames_per_second(self, stream: StreamInfo) -> float:
        """Predicted images a second of a stream on the accelerator of the board, without the host.

        What a user sees is slower: ``winogen.program.speed.speed`` includes the host.
        """
        return stream.batch * self.board.clock_mhz * 1e6 / stream.cycles

    def clocked_as(self, bitstream: Path) -> Program:
        """The program with predictions for the clock that a bitstream was built for.

        Cycles stay those of the clock that it was compiled for: with a lower one memory gives more
        bytes a cycle, so they are no fewer than it takes.
        """
        board = clocked_as(self.board, bitstream)
        return self if board is self.board else replace(self, board=board)

    def memory(self, batch: int | None = None) -> MemoryPlan:
        """The contiguous memory that the streams up to ``batch`` need (default: all)."""
        streams = [s for s in self.all_streams if batch is None or s.batch <= batch]
        return plan(len(self.weights), streams)

    def tobytes(self) -> bytes:
        """The program file's contents; equal programs give equal bytes."""
        sections: list[bytes] = [self.stored.tobytes()]
        streams = streams_to_header(self.streams, sections)
        exits = exits_to_header(self.exits, sections)
        host, constants = layers_to_header(self.host)
        if host:
            sections.append(zlib.compress(constants, 6))
        header = {
            "format": FORMAT_VERSION,
            "isa": isa.ISA_VERSION,
            "name": self.name,
            "board": asdict(self.board),
            "config_hash": self.core.config_hash,
            "input": asdict(self.input),
            "input_format": asdict(self.input_format),
            "output_shape": self.output_shape,
            "output_format": asdict(self.output_format),
            "output_range": self.output_range,
            "locality": None if self.locality is None else asdict(self.locality),
            "unfold": unfold_to_header(self.unfold),
            "shuffle": asdict(self.shuffle),
            "layers": [asdict(layer) for layer in self.layers],
            "streams": streams,
            "host": host,
            "weights": self.stored.header(),
            "weight_count": self.weight_count,
        }
        if exits:
            header["format"] = FORMAT_WITH_EXITS
        if any(layer.weights for layer in self.stored.layers):
            header["format"] = FORMAT_WITH_STREAMS
        if self.unfold and self.unfold.is_spaced:
            header["format"] = FORMAT_WITH_SPACING
        if exits:
            header |= {"heads": [asdict(layer) for layer in self.heads], "exits": exits}
        return container.joined(header, sections)

    def save(self, path: str | Path) -> None:
        """Write the program file, whole or not at all; InputError if that fails."""
        write_atomically(Path(path), self.tobytes())

    @classmethod
    def frombytes(cls, data: bytes, source: str = "program") -> Program:
        """Inverse of :meth:`tobytes`; ProgramError says what is wrong with ``data``."""
        header, sections = container.split(data, source)
        try:
            program = cls(**fields_of(header, sections))
            check_program(program)
            _ = program.digests  # now, since the checksum says that all is as it was written
            return program
        except ProgramError as error:
            raise ProgramError(f"{source}: {one_line(error, 400)}") from None
        except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError,
                MemoryError, zlib.error, WinogenError) as error:  # fmt: skip
            missing = f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
            raise ProgramError(
                f"{source}: its header is inconsistent ({missing}); compile the network again"
            ) from None

    @classmethod
    def load(cls, path: str | Path) -> Program:
        """Read a program file; ProgramError if it is missing, damaged or of another version."""
        try:
            with open_to_read(path) as file:
                data = file.read()
        except OSError as error:
            raise ProgramError(
                f"cannot read program file {path}: {error.strerror or error}; make one with "
                "'winogen compile'"
            ) from None
        return cls.frombytes(data, f"program file {path}")

    def check_board(self, board: Board) -> None:
        """Raise ProgramError if the program was compiled for another build configuration."""
        if board.core.config_hash != self.core.config_hash:
            differing = [
                f"{name} {value} instead of {getattr(self.core, name)}"
                for name, value in asdict(board.core).items()
                if value != getattr(self.core, name)
            ]
            raise ProgramError(
                f"program '{self.name}' was compiled for board {self.board.name} "
                f"(configuration {self.core.config_hash32:08x}), not for {board.name} "
                f"({board.core.config_hash32:08x}): {', '.join(differing)}; compile it again "
                f"with --board {board.name} --bits {board.core.data_width}"
            )
