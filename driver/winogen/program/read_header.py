"""Reading the header of a program file, which may come from anywhere."""

from __future__ import annotations

import itertools
from typing import Any

from winogen.common.errors import ProgramError
from winogen.network.colour import COLOURS
from winogen.network.graph import InputSpec
from winogen.program import header_values as values
from winogen.program.exits import Exit
from winogen.program.header import (
    FORMAT_VERSION,
    FORMAT_WITH_EXITS,
    FORMAT_WITH_SPACING,
    FORMAT_WITH_STREAMS,
)
from winogen.program.host_file import layers_of_header, steps_of_header
from winogen.program.host_layers import HostLayer
from winogen.program.layout import MAX_FOLD, DepthToSpace
from winogen.program.parts import LayerInfo, StreamInfo
from winogen.program.reading import inflated, whole
from winogen.program.weights_file import decode
from winogen.target import isa
from winogen.target.board import Board, CoreConfig, Platform
from winogen.target.isa import INSTRUCTION_BYTES
from winogen.target.registers import MAX_STREAM_LENGTH

#: Exits of a program, far more than any network has.
_MAX_EXITS = 64
#: Bytes of the constants of all host layers, far more than any network has.
_MAX_CONSTANTS = 1 << 28
#: Bytes of the instructions of all streams: the memory of a whole board, and more than any needs.
_MAX_INSTRUCTIONS = 1 << 29


def fields_of(header: dict[str, Any], sections: list[bytes]) -> dict[str, Any]:
    """The fields of a program by name; what it raises is told where the file is read."""
    formats = (FORMAT_VERSION, FORMAT_WITH_EXITS, FORMAT_WITH_STREAMS, FORMAT_WITH_SPACING)
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
    # What came later, a program with exits may have too.
    with_exits = header["format"] == FORMAT_WITH_EXITS or (
        header["format"] > FORMAT_WITH_EXITS and "exits" in header
    )
    _check_instructions(header["streams"], header["exits"] if with_exits else ())
    streams = [_stream(info, sections, core, 0) for info in header["streams"]]
    spec = dict(header["input"])
    spec["shape"] = values.shape(spec["shape"])
    spec["scale"] = None if spec["scale"] is None else values.positive(spec["scale"])
    spec["range"] = values.ends(spec["range"])
    spec["parts"] = values.input_parts(spec["parts"], spec["shape"][0])
    if spec["kind"] not in ("latent", "image") or spec["distribution"] not in ("normal", "uniform"):
        raise ProgramError("its input is of an unknown kind")
    if spec.get("colour") not in (None, *COLOURS):
        raise ProgramError("its input is of an unknown colour space")
    layers = [values.layer(layer) for layer in header["layers"]]
    heads = [values.layer(layer) for layer in header["heads"]] if with_exits else []
    weights, pieces = decode(
        header["weights"],
        sections[0],
        core.data_width,
        len(layers) + len(heads),
        board.contiguous_mib << 20,
    )
    return {
        "name": values.name(header["name"]),
        "board": board,
        "input": InputSpec(**spec),
        "input_format": values.tensor_format(header["input_format"]),
        "output_shape": values.shape(header["output_shape"]),
        "output_format": values.tensor_format(header["output_format"]),
        "output_range": values.ends(header["output_range"]),
        "layers": tuple(layers),
        "streams": tuple(streams),
        "weights": weights,
        "locality": values.locality(header["locality"]),
        "unfold": values.unfold(header["unfold"], spec["shape"]),
        "shuffle": DepthToSpace(values.pair(header["shuffle"]["block"], MAX_FOLD)),
        "host": _host(header, sections, layers, core.data_width),
        "pieces": pieces,
        "weight_count": whole(header["weight_count"]),
        "heads": tuple(heads),
        "exits": (
            _exits(header["exits"], sections, core, len(layers), heads) if with_exits else ()
        ),
    }


def _check_instructions(streams: Any, exits: Any) -> None:
    """Refuse streams that unpacked would fill the memory, before any of them is."""
    every = (*streams, *(stream for own in exits for stream in own["streams"]))
    size = INSTRUCTION_BYTES * sum(whole(stream["length"]) for stream in every)
    if size > _MAX_INSTRUCTIONS:
        raise ProgramError(f"its {len(every)} streams have {size:,} bytes of instructions")


def _exits(
    exits: Any, sections: list[bytes], core: CoreConfig, layers: int, heads: list[LayerInfo]
) -> tuple[Exit, ...]:
    """The exits of a header; their layers are there, and every head is used."""
    if not 0 < len(exits) <= _MAX_EXITS:
        raise ProgramError(f"{len(exits)} exits are not possible")
    count = layers + len(heads)
    found = []
    for number, said in enumerate(exits, 1):
        own = tuple(whole(n) for n in said["layers"])
        if not own or own[-1] >= count or any(a >= b for a, b in itertools.pairwise(own)):
            raise ProgramError(f"the layers of exit {number} are not there, or out of order")
        if own[-1] < layers:
            raise ProgramError(f"exit {number} ends within the whole network")
        found.append(
            Exit(
                own,
                tuple(_stream(info, sections, core, number) for info in said["streams"]),
                values.tensor_format(said["output_format"]),
                DepthToSpace(values.pair(said["shuffle"]["block"], MAX_FOLD)),
                values.locality(said["locality"]),
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
