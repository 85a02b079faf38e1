"""What commands say to machines: the object that ``--json`` prints, and its parts.

docs/reference/command-line.md describes every member. A command leaves its own in
``options.result``; :mod:`winogen.cli.main` prints it.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

from winogen.profiling.limits import PARTS, layer_limits
from winogen.program.coded_weights import loaded_weights
from winogen.program.file import Program
from winogen.program.parts import StreamInfo
from winogen.program.speed import speed
from winogen.quality.measure import LayerReport
from winogen.quality.verdict import grade


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--json``."""
    parser.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="print one JSON object on standard output, for machines, and all else on standard "
        "error",
    )


def described(program: Program) -> dict[str, Any]:
    """A program: what it is for, what goes in and out, what it needs, how fast it should be."""
    loaded = loaded_weights(program.streams[0], program.core)
    return {
        "name": program.name,
        "data_width": program.data_width,
        "board": program.board.name,
        "clock_mhz": program.board.clock_mhz,
        "multipliers": program.core.multipliers,
        "products": program.core.products,
        "configuration": program.core.config_hash,
        "input": {
            "kind": program.input.kind,
            "shape": list(program.input_shape),
            "step": program.input_format.scale,
            "range": _pair(program.input.range),
            "colour": program.input.colour,
            "any_size": program.locality is not None,
        },
        "output": {
            "shape": list(program.output_shape),
            "step": program.output_format.scale,
            "range": _pair(program.output_range),
        },
        "weight_bytes": len(program.weights),
        "weight_file_bytes": program.stored.nbytes,
        "bits_a_weight": program.bits_a_weight,
        "loaded_weight_bytes": loaded[0],
        "plain_weight_bytes": loaded[1],
        "memory_bytes": program.memory().total,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "mode": layer.mode,
                "output": list(layer.output),
                "multiplies": layer.multiplies,
                "useful": layer.useful,
                "zero_padded": layer.zero_padded,
            }
            for layer in program.layers
        ],
        "streams": [predicted(program, stream) for stream in program.streams],
        "limits": _limits(program, program.streams[0]),
    }


def _limits(program: Program, stream: StreamInfo) -> list[dict[str, Any]]:
    """What each layer takes of each part of the machine alone, in cycles of the smallest batch."""
    instructions = stream.instructions()
    limits = layer_limits(instructions, len(program.layers), program.board)
    return [
        {
            "name": layer.name,
            "mode": layer.mode,
            "plain_weight_bytes": of.plain_weight_bytes,
            "weight_bytes": of.weight_bytes,
            **{part: round(getattr(of, part)) for part in PARTS},
            "limit": of.limit if getattr(of, of.limit) else None,
        }
        for layer, of in zip(program.layers, limits)
    ]


def predicted(program: Program, stream: StreamInfo) -> dict[str, Any]:
    """The predicted speed of a stream; ``images_per_second`` is the accelerator's alone."""
    times = speed(program, stream)
    return {
        "batch": stream.batch,
        "instructions": stream.length,
        "cycles": stream.cycles,
        "layer_cycles": list(stream.layer_cycles),
        "images_per_second": times.accelerator,
        "accelerator_seconds": times.accelerator_s,
        "host_seconds": times.host_s or None,
        "host_measured": times.measured,
        "images_per_second_with_host": times.alone if times.host_s else None,
        "images_per_second_overlapped": times.overlapped if times.host_s else None,
    }


def measured(layer: LayerReport) -> dict[str, Any]:
    """How close a layer's output comes to the float network's."""
    return {
        "name": layer.name,
        "lowest": layer.low,
        "highest": layer.high,
        "step": layer.scale,
        "saturated": layer.saturated,
        "values": layer.values,
        "psnr_db": layer.psnr if math.isfinite(layer.psnr) else None,
        "exact": layer.psnr == math.inf,
        "ssim": layer.ssim if layer.ssim is None or math.isfinite(layer.ssim) else None,
    }


def judged(layer: LayerReport) -> dict[str, Any]:
    """The same of a network's output, with its grade."""
    return {**measured(layer), "grade": grade(layer)}


def _pair(values: tuple[float, float] | None) -> list[float] | None:
    return None if values is None else list(values)
