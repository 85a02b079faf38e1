"""The program file: all that a device needs to run a network, in one checked file.

Layout: the magic ``WINOGEN1``; the header's length (32 bits, little-endian) and the header, JSON;
the sections one after the other; the SHA-256 of everything before. The header names the sections
(the weight segment, :mod:`winogen.program.weights_file`; one zlib-compressed instruction stream for
each batch size; and what the processor's layers multiply by, if there are any), the build
configuration that the program is for, and what goes in and comes out of the network. There is
nothing in it that loading could execute.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from winogen.common.errors import ProgramError, WinogenError, one_line
from winogen.common.files import write_atomically
from winogen.common.text import printable
from winogen.network.colour import COLOURS
from winogen.network.graph import InputPart, InputSpec, Shape, check_exit
from winogen.network.locality import MAX_SCALE, AxisLocality, Locality
from winogen.program.check import check_stream
from winogen.program.digests import Digest, Digests
from winogen.program.exits import Exit, pieces_of
from winogen.program.formats import TensorFormat
from winogen.program.host_file import (
    check_steps,
    layers_of_header,
    layers_to_header,
    steps_of_header,
    steps_to_header,
)
from winogen.program.host_layers import HostLayer
from winogen.program.layout import PLAIN, DepthToSpace, Unfold
from winogen.program.memory_plan import MemoryPlan, plan
from winogen.program.parts import LayerInfo, StreamInfo, WeightPiece
from winogen.program.reading import inflated, whole
from winogen.program.weights_file import CodedSegment, decode, encode
from winogen.target import isa
from winogen.target.board import Board, CoreConfig, Platform, clocked_as
from winogen.target.isa import INSTRUCTION_BYTES
from winogen.target.registers import MAX_STREAM_LENGTH, Segment

MAGIC = b"WINOGEN1"
#: Of programs, and of those with exits, which older versions of winogen would not run to.
FORMAT_VERSION, FORMAT_WITH_EXITS = 5, 6
#: Exits of a program, far more than any network has.
_MAX_EXITS = 64
_DIGEST_BYTES = 32
#: Cycles that a stream may be predicted to take: hours, where those of real networks take seconds.
_MAX_CYCLES = 1 << 40
#: Pixels along an axis that may be channels, far more than those of any compiled network.
_MAX_FOLD = 64
#: Bytes of the constants of all host layers, far more than any network has.
_MAX_CONSTANTS = 1 << 28
#: Bytes of the instructions of all streams: the memory of a whole board, and more than any needs.
_MAX_INSTRUCTIONS = 1 << 29
#: Characters of a name; those of networks and layers have fewer (winogen.network.yaml_values).
_MAX_NAME = 1000
_LENGTH = struct.Struct("<I")


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
        streams = _streams_to_header(self.streams, sections)
        exits = [
            {
                "layers": own.layers,
                "streams": _streams_to_header(own.streams, sections),
                "output_format": asdict(own.output_format),
                "shuffle": asdict(own.shuffle),
                "locality": None if own.locality is None else asdict(own.locality),
            }
            for own in self.exits
        ]
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
            "unfold": None if self.unfold is None else asdict(self.unfold),
            "shuffle": asdict(self.shuffle),
            "layers": [asdict(layer) for layer in self.layers],
            "streams": streams,
            "host": host,
            "weights": self.stored.header(),
            "weight_count": self.weight_count,
            "sections": [len(s) for s in sections],
        }
        if exits:
            header["format"] = FORMAT_WITH_EXITS
            header |= {"heads": [asdict(layer) for layer in self.heads], "exits": exits}
        text = json.dumps(header, sort_keys=True).encode()
        body = b"".join([MAGIC, _LENGTH.pack(len(text)), text, *sections])
        return body + hashlib.sha256(body).digest()

    def save(self, path: str | Path) -> None:
        """Write the program file, whole or not at all; InputError if that fails."""
        write_atomically(Path(path), self.tobytes())

    @classmethod
    def frombytes(cls, data: bytes, source: str = "program") -> Program:
        """Inverse of :meth:`tobytes`; ProgramError says what is wrong with ``data``."""
        header, sections = _split(data, source)
        try:
            program = _build(header, sections)
            _ = program.digests  # now, since the checksum says that all is as it was written
            return program
        except ProgramError as error:
            raise ProgramError(f"{source}: {one_line(error, 400)}") from None
        except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError,
                MemoryError, zlib.error, WinogenError) as error:  # fmt: skip
            raise ProgramError(
                f"{source}: its header is inconsistent ({type(error).__name__}: "
                f"{one_line(error)}); compile the network again"
            ) from None

    @classmethod
    def load(cls, path: str | Path) -> Program:
        """Read a program file; ProgramError if it is missing, damaged or of another version."""
        try:
            data = Path(path).read_bytes()
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


def _streams_to_header(
    streams: Sequence[StreamInfo], sections: list[bytes]
) -> list[dict[str, Any]]:
    """What a header says of streams, each of which becomes another section."""
    found = []
    for stream in streams:
        found.append(
            {
                "section": len(sections),
                "length": stream.length,
                "host": steps_to_header(stream.host),
                **{
                    name: getattr(stream, name)
                    for name in (
                        "batch", "input_bytes", "output_bytes", "scratch_bytes", "cycles",
                        "layer_cycles",
                    )
                },
            }
        )  # fmt: skip
        sections.append(zlib.compress(stream.stream, 6))
    return found


def _split(data: bytes, source: str) -> tuple[dict[str, Any], list[bytes]]:
    """Header and sections of a program file, after every check that needs no understanding."""
    fixed = len(MAGIC) + _LENGTH.size
    if data[: len(MAGIC)] != MAGIC:
        kind = "empty" if not data else "not a winogen program"
        raise ProgramError(f"{source} is {kind}; make one with 'winogen compile'")
    if len(data) < fixed + _DIGEST_BYTES:
        raise ProgramError(f"{source} is truncated: it has only {len(data)} bytes; copy it again")
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    end = len(data) - _DIGEST_BYTES
    if fixed + length > end:
        raise ProgramError(
            f"{source} is truncated: its header needs {length} bytes of {end - fixed}; "
            "copy it again"
        )
    if hashlib.sha256(data[:end]).digest() != data[end:]:
        raise ProgramError(
            f"{source} is damaged or truncated: its checksum does not match; copy it again or "
            "compile the network again"
        )
    try:
        header = json.loads(data[fixed : fixed + length])
        sizes = [int(s) for s in header["sections"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ProgramError(f"{source}: its header cannot be read; compile it again") from None
    start = fixed + length
    if any(s < 0 for s in sizes) or start + sum(sizes) != end:
        raise ProgramError(f"{source}: its sections do not add up to its size; compile it again")
    sections = []
    for size in sizes:
        sections.append(data[start : start + size])
        start += size
    return header, sections


def _build(header: dict[str, Any], sections: list[bytes]) -> Program:
    formats = (FORMAT_VERSION, FORMAT_WITH_EXITS)
    for name, known in (("format", formats), ("isa", (isa.ISA_VERSION,))):
        if header[name] not in known:
            raise ProgramError(
                f"it has {name} version {header[name]}, this winogen reads "
                f"{' and '.join(map(str, known))}; compile it again with this version"
            )
    core = CoreConfig(**header["board"]["core"])
    platform = header["board"].get("platform")
    platform = None if platform is None else Platform(**platform)
    board = Board(**{**header["board"], "core": core, "platform": platform})
    if core.config_hash != header["config_hash"]:
        raise ProgramError("its configuration hash does not match its configuration")
    with_exits = header["format"] == FORMAT_WITH_EXITS
    _check_instructions(header["streams"], header["exits"] if with_exits else ())
    streams = [_stream(info, sections, core, 0) for info in header["streams"]]
    spec = dict(header["input"])
    spec["shape"] = _shape(spec["shape"])
    spec["scale"] = None if spec["scale"] is None else _positive(spec["scale"])
    spec["range"] = _range(spec["range"])
    spec["parts"] = _parts(spec["parts"], spec["shape"][0])
    if spec["kind"] not in ("latent", "image") or spec["distribution"] not in ("normal", "uniform"):
        raise ProgramError("its input is of an unknown kind")
    if spec.get("colour") not in (None, *COLOURS):
        raise ProgramError("its input is of an unknown colour space")
    layers = [_layer(layer) for layer in header["layers"]]
    heads = [_layer(layer) for layer in header["heads"]] if with_exits else []
    weights, pieces = decode(
        header["weights"],
        sections[0],
        core.data_width,
        len(layers) + len(heads),
        board.contiguous_mib << 20,
    )
    program = Program(
        _name(header["name"]),
        board,
        InputSpec(**spec),
        _format(header["input_format"]),
        _shape(header["output_shape"]),
        _format(header["output_format"]),
        _range(header["output_range"]),
        tuple(layers),
        tuple(streams),
        weights,
        _locality(header["locality"]),
        _unfold(header["unfold"], spec["shape"]),
        DepthToSpace(_pair(header["shuffle"]["block"], _MAX_FOLD)),
        _host(header, sections, layers, core.data_width),
        pieces,
        whole(header["weight_count"]),
        tuple(heads),
        _exits(header["exits"], sections, core, len(layers), heads) if with_exits else (),
    )
    if not program.streams or not program.layers:
        raise ProgramError("it holds no stream or no layer")
    _check_whole(program)
    for number, own in enumerate(program.exits, 1):
        if [s.batch for s in own.streams] != [s.batch for s in program.streams]:
            raise ProgramError(f"exit {number} is for other batches than the whole network")
        try:
            _check_whole(program.at_exit(number))
        except ProgramError as error:
            raise ProgramError(f"exit {number}: {error}") from None
    return program


def _check_instructions(streams: Any, exits: Any) -> None:
    """Refuse streams that unpacked would fill the memory, before any of them is."""
    every = (*streams, *(stream for own in exits for stream in own["streams"]))
    size = INSTRUCTION_BYTES * sum(whole(stream["length"]) for stream in every)
    if size > _MAX_INSTRUCTIONS:
        raise ProgramError(f"its {len(every)} streams have {size:,} bytes of instructions")


def _check_whole(program: Program) -> None:
    """Refuse a program, or what runs to one of its exits, whose parts do not fit each other."""
    core = program.core
    _check_locality(program)
    batches = [s.batch for s in program.streams]
    if batches[0] != 1 or batches != sorted(set(batches)):
        raise ProgramError(f"its streams are for batches {batches}, not ascending from 1")
    for entry in program.streams:
        sizes = {
            Segment.WEIGHTS: len(program.weights),
            Segment.INPUT: entry.input_bytes,
            Segment.OUTPUT: entry.output_bytes,
            Segment.SCRATCH: entry.scratch_bytes,
        }
        check_stream(entry, core, sizes)
        check_steps(
            entry.host,
            program.host,
            [layer.output for layer in program.layers],
            entry.batch,
            entry.length,
            core,
            sizes,
        )
        known = len(entry.layer_cycles) == len(program.layers)
        if (
            not known
            or not 0 < entry.cycles <= _MAX_CYCLES
            or max(entry.layer_cycles) > _MAX_CYCLES
        ):
            raise ProgramError(f"the predicted cycles of batch {entry.batch} are wrong")
        for shape, size in (
            (program.seen_shape, entry.input_bytes),
            (program.stored_shape, entry.output_bytes),
        ):
            blocks = -(-shape[0] // core.ci_lanes)
            words = entry.batch * blocks * shape[1] * shape[2]
            if entry.batch < 1 or size != words * core.word_bytes:
                raise ProgramError(f"the buffer sizes of batch {entry.batch} are wrong")


def _layer(layer: Any) -> LayerInfo:
    return LayerInfo(
        _name(layer["name"]),
        _name(layer["kind"]),
        _name(layer["mode"]),
        _shape(layer["output"]),
        *(whole(layer[n]) for n in ("multiplies", "useful", "zero_padded")),
    )


def _exits(
    values: Any, sections: list[bytes], core: CoreConfig, layers: int, heads: list[LayerInfo]
) -> tuple[Exit, ...]:
    """The exits of a header; their layers are there, and every head is used."""
    if not 0 < len(values) <= _MAX_EXITS:
        raise ProgramError(f"{len(values)} exits are not possible")
    count = layers + len(heads)
    found = []
    for number, value in enumerate(values, 1):
        own = tuple(whole(n) for n in value["layers"])
        if not own or own[-1] >= count or any(a >= b for a, b in itertools.pairwise(own)):
            raise ProgramError(f"the layers of exit {number} are not there, or out of order")
        if own[-1] < layers:
            raise ProgramError(f"exit {number} ends within the whole network")
        found.append(
            Exit(
                own,
                tuple(_stream(info, sections, core, number) for info in value["streams"]),
                _format(value["output_format"]),
                DepthToSpace(_pair(value["shuffle"]["block"], _MAX_FOLD)),
                _locality(value["locality"]),
            )
        )
    used = {n for own in found for n in own.layers if n >= layers}
    if len(used) != len(heads):
        raise ProgramError("it has a layer that no exit runs, nor the whole network")
    return tuple(found)


def _stream(
    info: dict[str, Any], sections: list[bytes], core: CoreConfig, number: int
) -> StreamInfo:
    length, section = whole(info["length"]), whole(info["section"])
    if not 0 < length <= MAX_STREAM_LENGTH:
        raise ProgramError(f"a stream of {length} instructions is not possible")
    if not 0 < section < len(sections):
        raise ProgramError(f"there is no stream section {section}")
    stream = inflated(sections[section], length * INSTRUCTION_BYTES, "a stream")
    return StreamInfo(
        whole(info["batch"]),
        stream,
        whole(info["input_bytes"]),
        whole(info["output_bytes"]),
        whole(info["scratch_bytes"]),
        whole(info["cycles"]),
        tuple(whole(c) for c in info["layer_cycles"]),
        steps_of_header(info["host"], core),
        number,
    )


def _parts(values: Any, channels: int) -> tuple[InputPart, ...]:
    parts = tuple(
        InputPart(
            _name(p["name"]), p["kind"], whole(p["channels"]), tuple(map(_name, p["classes"]))
        )
        for p in values
    )
    if parts and sum(p.channels for p in parts) != channels:
        raise ProgramError("its inputs do not make up the channels of its input")
    for part in parts:
        if part.kind not in ("latent", "label", "image") or part.channels < 1:
            raise ProgramError(f"an input '{part.name}' of this kind is not possible")
        if part.classes and len(part.classes) != part.channels:
            raise ProgramError(f"the input '{part.name}' has another number of classes than names")
    if len({p.name for p in parts}) != len(parts):
        raise ProgramError("two of its inputs have one name")
    return parts


def _host(
    header: dict[str, Any], sections: list[bytes], layers: list[LayerInfo], width: int
) -> dict[int, HostLayer]:
    if not header["host"]:
        return {}
    size = 8 * sum(whole(entry["values"]) for entry in header["host"])
    if size > _MAX_CONSTANTS:
        raise ProgramError(f"its host layers have {size} bytes of constants")
    data = inflated(sections[-1], size, "what its host layers multiply by")
    return layers_of_header(header["host"], data, [layer.output for layer in layers], width)


def _name(value: Any) -> str:
    """Text from a file as it may reach a terminal; nothing depends on what it says."""
    return printable(str(value))[:_MAX_NAME]


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e18:
        raise ProgramError(f"{value!r} is no positive number")
    return value


def _format(value: Any) -> TensorFormat:
    zero_point = value["zero_point"]
    if isinstance(zero_point, bool) or not isinstance(zero_point, (int, float)):
        raise ProgramError(f"{zero_point!r} is no number")
    if not abs(zero_point) < 1e6:
        raise ProgramError(f"a zero point of {zero_point} is not possible")
    return TensorFormat(float(_positive(value["scale"])), float(zero_point))


def _range(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    low, high = value
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, (int, float)) or not math.isfinite(end):
            raise ProgramError(f"{end!r} is no end of a range")
    if not low < high:
        raise ProgramError(f"a range from {low} to {high} is not possible")
    return float(low), float(high)


def _locality(value: Any) -> Locality | None:
    if value is None:
        return None
    rows, columns = (
        AxisLocality(**{name: whole(n) for name, n in value[axis].items()})
        for axis in ("rows", "columns")
    )
    return Locality(rows, columns)


def _unfold(value: Any, image: Shape) -> Unfold | None:
    if value is None:
        return None
    unfold = Unfold(
        _pair(value["window"], _MAX_FOLD),
        _pair(value["step"], _MAX_FOLD),
        _pair(value["pad"], _MAX_FOLD, least=0),
        _pair(value["size"], np.iinfo(np.int32).max),
    )
    for size, window, step, pad, windows in zip(
        image[1:], unfold.window, unfold.step, unfold.pad, unfold.size
    ):
        # Each window begins within the image or its padding, so no more is made than is there.
        if (windows - 1) * step - pad >= size + window:
            raise ProgramError(f"windows of {unfold.window} are not in an image of {image}")
    _shape(unfold.shape(image))
    return unfold


def _pair(value: Any, most: int, least: int = 1) -> tuple[int, int]:
    first, second = (whole(n) for n in value)
    if not (least <= first <= most and least <= second <= most):
        raise ProgramError(f"a pair of {first} and {second} is not possible")
    return first, second


def _check_locality(program: Program) -> None:
    """Refuse windows that would not cover an image."""
    if program.locality is None:
        return
    for axis, out in zip((program.locality.rows, program.locality.columns),
                         program.output_shape[1:]):  # fmt: skip
        if min(axis.enlarge, axis.reduce, axis.step) < 1 or axis.advance(out) < 1:
            raise ProgramError("its windows do not cover an image")
        if axis.step % axis.reduce or max(axis.enlarge, axis.reduce) > MAX_SCALE:
            raise ProgramError("the scale of its windows is not possible")


def _shape(value: Any) -> tuple[int, int, int]:
    c, h, w = (int(n) for n in value)
    if min(c, h, w) < 1 or c * h * w > np.iinfo(np.int32).max:
        raise ProgramError(f"a shape of {c} x {h} x {w} is not possible")
    return c, h, w
