"""Host layers and steps in a program file, which is hostile until proved otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ProgramError
from winogen.network.graph import Shape
from winogen.network.sampling import Axis
from winogen.program.host_layers import HostLayer, HostStep, Operands, Place
from winogen.program.host_ops import KINDS, MAX_EPSILON, Extend, HostOp
from winogen.program.reading import whole
from winogen.target.board import CoreConfig
from winogen.target.registers import Segment

_Op = TypeVar("_Op", bound=HostOp)
#: Sources of one layer, as far as any network has them.
_MAX_SOURCES = 256


def layers_to_header(layers: Mapping[int, HostLayer]) -> tuple[list[dict[str, Any]], bytes]:
    """What the header says of each layer, and all their arrays in a row."""
    header, arrays = [], []
    for number, layer in layers.items():
        header.append(
            {
                "layer": number,
                "kind": layer.operands.op.kind,
                "op": _op_values(layer.operands.op),
                "pad": None if layer.operands.pad is None else _op_values(layer.operands.pad),
                "parts": layer.operands.parts,
                "sources": layer.sources,
                "channels": len(layer.weight),
                "values": sum(a.size for a in layer.arrays()),
            }
        )
        arrays += layer.arrays()
    whole = np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
    return header, whole.astype("<i8").tobytes()


def layers_of_header(
    header: Sequence[Any], data: bytes, outputs: Sequence[Shape], data_width: int
) -> dict[int, HostLayer]:
    """The layers by their numbers; ProgramError if one is not possible.

    Parameters
    ----------
    data : all arrays
    outputs : shape of each layer's output
    """
    if len(data) % 8:
        raise ProgramError("the constants of host layers end within a number")
    values: NDArray[np.int64] = np.frombuffer(data, "<i8").astype(np.int64)
    layers: dict[int, HostLayer] = {}
    for entry in header:
        number, channels, size = (whole(entry[n]) for n in ("layer", "channels", "values"))
        if number >= len(outputs) or number <= max(layers, default=-1):
            raise ProgramError(f"there is no layer {number} for the host, or it is not in order")
        if channels != outputs[number][0]:
            raise ProgramError(f"layer {number} has another number of channels than its constants")
        kind = KINDS.get(entry["kind"])
        if kind is None:
            raise ProgramError(f"the host computes no {str(entry['kind'])[:40]!r}")
        op = _op_of(kind, entry["op"])
        op.check()
        parts = tuple(whole(n) for n in entry["parts"])
        sources = tuple(whole(n) for n in entry["sources"])
        if sum(parts) != len(sources) or not 0 < len(sources) <= _MAX_SOURCES or min(sources) < 1:
            raise ProgramError(f"layer {number} has sources that do not fit")
        own, values = values[:size], values[size:]
        pad = None if entry["pad"] is None else _op_of(Extend, entry["pad"])
        if pad is not None:
            pad.check()
        operands = Operands(op, parts, pad)
        layers[number] = HostLayer.of_arrays(operands, sources, own, channels, data_width)
    if values.size:
        raise ProgramError("there are more constants than host layers have")
    return layers


def steps_to_header(steps: Sequence[HostStep]) -> list[dict[str, Any]]:
    """What a stream's header says of its steps."""
    return [
        {
            "layer": step.layer,
            "before": step.before,
            "places": [
                [int(p.segment), p.offset, p.blocks, p.rows, p.columns] for p in step.places()
            ],
        }
        for step in steps
    ]


def steps_of_header(header: Sequence[Any], core: CoreConfig) -> tuple[HostStep, ...]:
    """The inverse of :func:`steps_to_header`; :func:`check_steps` looks at what they say."""
    steps = []
    for entry in header:
        places = [_place(p, core) for p in entry["places"]]
        if len(places) < 2:
            raise ProgramError("a step of the host has no source or no target")
        before, layer = whole(entry["before"]), whole(entry["layer"])
        steps.append(HostStep(layer, before, tuple(places[:-1]), places[-1]))
    return tuple(steps)


def check_steps(
    steps: Sequence[HostStep],
    layers: Mapping[int, HostLayer],
    outputs: Sequence[Shape],
    batch: int,
    length: int,
    core: CoreConfig,
    sizes: Mapping[Segment, int],
) -> None:
    """Refuse steps of a stream that compute something else, or leave the buffers they are given.

    Parameters
    ----------
    outputs : shape of each layer's output
    length : instructions of the stream
    sizes : bytes of each segment's buffer

    Raises ProgramError, which names the layer.
    """
    if [step.layer for step in steps] != list(layers):
        raise ProgramError(f"the host's layers and the steps of batch {batch} are not the same")
    before = 0
    for step in steps:
        layer, where = layers[step.layer], f"the host's layer {step.layer} in batch {batch}"
        if not before <= step.before <= length:
            raise ProgramError(f"{where} is not in the order of the stream")
        before = step.before
        if len(step.sources) != len(layer.sources):
            raise ProgramError(f"{where} has another number of sources")
        shapes = [(c, p.rows, p.columns) for c, p in zip(layer.sources, step.sources)]
        if min(map(min, shapes)) < 1:
            raise ProgramError(f"{where} reads a value of no size")
        if layer.operands.output_shape(shapes) != outputs[step.layer]:
            raise ProgramError(f"{where} makes another shape than it says")
        if step.target.segment is Segment.INPUT:
            raise ProgramError(f"{where} writes to the input")
        wanted = [*shapes, outputs[step.layer]]
        for place, (channels, rows, columns) in zip(step.places(), wanted):
            blocks = -(-channels // core.ci_lanes)
            if (place.blocks, place.rows, place.columns) != (blocks, rows, columns):
                raise ProgramError(f"{where} has data of another shape than its place")
            if (
                place.segment is Segment.WEIGHTS
                or place.offset < 0
                or place.offset % core.word_bytes
            ):
                raise ProgramError(f"{where} has data where none can be")
            if place.offset + place.size(batch) > sizes[place.segment]:
                raise ProgramError(
                    f"{where} reaches outside the {place.segment.name.lower()} buffer of "
                    f"{sizes[place.segment]} bytes"
                )


def _place(value: Any, core: CoreConfig) -> Place:
    segment, offset, blocks, rows, columns = (whole(n) for n in value)
    return Place(Segment(segment), offset, blocks, rows, columns, core.word_bytes)


def _op_values(op: HostOp) -> dict[str, Any]:
    return {f.name: _plain(getattr(op, f.name)) for f in fields(op)}


def _plain(value: Any) -> Any:
    if isinstance(value, Axis):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return [value.numerator, value.denominator] if isinstance(value, Fraction) else value


def _op_of(kind: type[_Op], values: Mapping[str, Any]) -> _Op:
    """An operation of what the header says of it; ProgramError if that has other types."""
    if set(values) != {f.name for f in fields(kind)}:
        raise ProgramError(f"an operation {kind.kind} with {sorted(values)} is not possible")
    return kind(**{f.name: _typed(str(f.type), values[f.name]) for f in fields(kind)})


def _nested(value: Any, depth: int) -> Any:
    """Whole numbers in tuples in tuples."""
    if isinstance(value, (list, tuple)) and depth:
        return tuple(_nested(v, depth - 1) for v in value)
    return _typed("int", value)


def _typed(type_name: str, value: Any) -> Any:
    if type_name == "Axis":
        names = {f.name: str(f.type) for f in fields(Axis)}
        if set(value) != set(names):
            raise ProgramError("an axis that is resampled lacks something")
        return Axis(**{n: _typed(t, value[n]) for n, t in names.items()})
    if type_name.endswith("| None") and value is None:
        return None
    if type_name.startswith("Fraction"):
        above, below = (_typed("int", n) for n in value)
        if below < 1:
            raise ProgramError("a fraction of a host layer has no denominator")
        return Fraction(above, below)
    if type_name.startswith("tuple") or type_name.endswith("Factors"):
        return _nested(value, 3)
    wanted: type = {"int": int, "bool": bool}.get(type_name, str)
    if type(value) is not wanted or (isinstance(value, int) and abs(value) > MAX_EPSILON):
        raise ProgramError(f"{str(value)[:40]!r} is no {type_name}")
    return value
