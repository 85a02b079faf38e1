"""A profile as a timeline for https://ui.perfetto.dev or chrome://tracing.

The format is Chrome's trace event format (JSON): a process for what was measured and one for what
was predicted, in each a track for every engine and one for the layers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from winogen.common.errors import InputError
from winogen.common.files import write_atomically
from winogen.cost.simulate import instruction_work
from winogen.profiling.limits import layer_limits
from winogen.profiling.profile import Profile
from winogen.profiling.runs import Run
from winogen.profiling.trace import Times
from winogen.target.isa import LoadWeights
from winogen.target.registers import Engine

_TRACKS = {Engine.LOAD: "load", Engine.COMPUTE: "compute", Engine.STORE: "store"}
_LAYERS = len(_TRACKS)  # the track of the layers


def save(profile: Profile, path: str | Path) -> None:
    """Write the timeline for Perfetto.

    Raises InputError if the name does not end in .json, or the file cannot be written.
    """
    path = Path(path)
    check_name(path)
    write_atomically(path, json.dumps(events(profile)).encode())


def check_name(path: Path) -> None:
    """InputError if the viewer would not take a file of this name."""
    if path.suffix != ".json":
        raise InputError(f"cannot write {path}: its name must end in .json")


def events(profile: Profile) -> dict[str, Any]:
    """The timeline as in the file; ``ts`` and ``dur`` are microseconds at the board's clock."""
    processes = [(0, f"{profile.device}, measured", "measured")] if profile.is_measured else []
    processes.append((len(processes), f"{profile.board.name}, predicted", "predicted"))
    out: list[dict[str, Any]] = []
    for process, name, which in processes:
        out.append(_meta("process_name", process, 0, name=name))
        for track, label in [*_TRACKS.items(), (_LAYERS, "layers")]:
            out.append(_meta("thread_name", process, int(track), name=label))
            out.append(_meta("thread_sort_index", process, int(track), sort_index=int(track)))
        start = 0
        for run in profile.runs:
            times: Times = getattr(run, which)
            out += _slices(profile, run, times, process, start)
            start += int(times.end.max(initial=0))
    return {
        "traceEvents": out,
        "displayTimeUnit": "ns",
        "otherData": {
            "network": profile.program.name,
            "device": profile.device,
            "clock_mhz": str(profile.board.clock_mhz),
        },
    }


def _meta(kind: str, process: int, track: int, **values: Any) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": track, "args": values}


def _slices(
    profile: Profile, run: Run, times: Times, process: int, start: int
) -> Iterator[dict[str, Any]]:
    """Slices of one run that begins at cycle ``start``."""
    program, microseconds = profile.program, 1 / profile.board.clock_mhz

    def piece(track: int, name: str, begin: int, end: int, args: dict[str, Any]) -> dict[str, Any]:
        return {
            "ph": "X", "pid": process, "tid": track, "name": name, "args": args,
            "ts": (start + begin) * microseconds, "dur": (end - begin) * microseconds,
        }  # fmt: skip

    limits = layer_limits(run.instructions, len(program.layers), profile.board)
    ended = dict.fromkeys(_TRACKS, 0)
    layers: dict[int, tuple[int, int]] = {}
    for index, instruction in enumerate(run.instructions):
        begin, end, stall = (int(column[index]) for column in times)
        engine, layer = instruction.engine, instruction.layer
        # Slices of a track must not overlap; instructions in flight do.
        first = max(begin, ended[engine])
        if stall:
            waited = max(begin - stall, ended[engine])
            yield piece(engine, "waits for a token", waited, begin, {"instruction": index})
        work = instruction_work(instruction, profile.board)
        amounts = {
            "bytes read": work.read_bytes,
            "bytes written": work.written_bytes,
            "multiplies": work.multiplies,
        }
        if isinstance(instruction, LoadWeights):
            alone = layer_limits([instruction], layer + 1, profile.board)[layer]
            amounts["bytes if plain"] = alone.plain_weight_bytes if alone.coded_loads else 0
            amounts["decoder cycles"] = round(alone.decoder)
            amounts["transform cycles"] = round(alone.transform)
        yield piece(
            engine,
            f"{program.layers[layer].name}: {instruction.opcode.name}",
            first,
            end,
            {"instruction": index, "begin cycle": begin, "end cycle": end}
            | {name: amount for name, amount in amounts.items() if amount},
        )
        ended[engine] = end
        earliest, latest = layers.get(layer, (begin, end))
        layers[layer] = min(earliest, begin), max(latest, end)
    before = 0
    for layer, (begin, end) in sorted(layers.items()):
        if end > before:
            info = program.layers[layer]
            about = {"kind": info.kind, "mode": info.mode, "images": run.stream.batch}
            of = limits[layer]
            if of.coded_loads:
                about |= {"weight bytes": of.weight_bytes, "if plain": of.plain_weight_bytes}
                about["takes longest alone"] = of.limit
            yield piece(_LAYERS, info.name, max(begin, before), end, about)
            before = end
