"""The constants of the micro-architecture: their one home.

Depths of queues, lengths of bursts and latencies of pipelines are no part of a build configuration:
every build has the same. The SystemVerilog package has them under the same names in camel case
(``queue_depth`` is ``QueueDepth``), and the cost model counts with them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Annotated, get_args, get_type_hints


class AxiResponse(IntEnum):
    """What memory answers on an AXI channel."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


@dataclass(frozen=True)
class Microarchitecture:
    """The constants, each with its meaning."""

    beat_bytes: Annotated[int, "bytes of one beat of an AXI port"] = 8
    burst_beats: Annotated[int, "beats of the longest AXI burst"] = 16
    page_bytes: Annotated[int, "no AXI burst crosses a multiple of this address"] = 4096

    window_cycles: Annotated[int, "cycles of a burst through the check of its window"] = 2

    load_fifo_beats: Annotated[int, "beats that each read port of the loads can hold"] = 128
    outstanding: Annotated[int, "bursts under way on each port of the loads and stores"] = 8
    load_ahead: Annotated[int, "loads whose data have not all come"] = 4
    fetch_fifo_beats: Annotated[int, "beats of instructions that fetch reads ahead"] = 64
    fetch_outstanding: Annotated[int, "bursts under way on the port of fetch"] = 4

    queue_depth: Annotated[int, "instructions that wait in the queue of an engine"] = 16
    in_flight: Annotated[int, "instructions of an engine that have begun and not ended"] = 8
    settle_cycles: Annotated[int, "cycles that the units get to give up what they do"] = 7

    store_queue_words: Annotated[int, "words of the output buffer that are read ahead"] = 8
    store_in_flight: Annotated[int, "stores whose responses are missing"] = 16

    compute_ahead: Annotated[int, "computes that wait for the multipliers, and for the drain"] = 4
    patch_slots: Annotated[int, "patches of a group of tiles and a block that are held"] = 8

    pack_shift: Annotated[int, "bits between the two weights that a multiplier takes at once"] = 14
    residue_bits: Annotated[int, "of the sum that tells the two sums of these apart"] = 8

    code_group: Annotated[int, "weights that are decoded in a cycle, and that share a bitmap"] = 32
    code_ahead: Annotated[int, "groups by which a bitmap comes before its indices"] = 5

    check_cycles: Annotated[int, "from the last slot of the descriptor check to its answer"] = 4
    filter_latency: Annotated[int, "cycles of the transform of a filter"] = 3
    tap_slots: Annotated[int, "phases whose taps are held for the transform"] = 8
    requantise_latency: Annotated[int, "cycles of the requantiser"] = 9
    activation_latency: Annotated[int, "cycles of the activation table"] = 8


#: The constants of the logic.
LOGIC = Microarchitecture()


def constants() -> list[tuple[str, int, str]]:
    """Name, value and meaning of every constant."""
    hints = get_type_hints(Microarchitecture, include_extras=True)
    return [(f.name, getattr(LOGIC, f.name), get_args(hints[f.name])[1]) for f in fields(LOGIC)]
