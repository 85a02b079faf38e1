"""Check of the trace that profiles are made from."""

from __future__ import annotations

import numpy as np

from winogen.common.errors import DeviceError
from winogen.doctor import loopback
from winogen.doctor.bench import Bench
from winogen.doctor.loopback import Copy
from winogen.doctor.result import Failed
from winogen.profiling import trace
from winogen.profiling.runs import ENGINES, busy_cycles
from winogen.target.registers import Segment

_ADVICE = (
    "networks run without it, and profiles cannot be trusted; build the overlay again from this "
    "winogen"
)


def trace_records(bench: Bench) -> str:
    """The trace of a stream adds up to the counters."""
    core = bench.board.core
    words = min(loopback.largest_row(core), 64)
    stream = loopback.stream(core, [Copy(i * words, i * words, words) for i in range(3)])
    room = bytes(3 * words * core.word_bytes)
    segments = {
        Segment.WEIGHTS: loopback.constants(core), Segment.INPUT: room, Segment.OUTPUT: room
    }  # fmt: skip
    everything = range(len(stream))
    trace.record(bench.core, everything)
    try:
        _, counters = bench.run(stream, segments)
        records = trace.read(bench.core)
        times = trace.join([(everything, records)], stream)
    except DeviceError as error:
        raise Failed(str(error), _ADVICE) from None
    finally:
        trace.record(bench.core, range(0))
    engine = np.array([i.engine for i in stream])
    busy = busy_cycles(times, engine)
    for e in ENGINES:
        for name, cycles in (("busy", busy), ("stall", times.stall)):
            found, counted = int(cycles[engine == e].sum()), counters[f"{e.name.lower()}_{name}"]
            if found != counted:
                raise Failed(
                    f"the trace has {found:,} cycles, and counter {e.name.lower()}_{name} is "
                    f"{counted:,}",
                    _ADVICE,
                )
    return f"{len(records)} records of {len(stream)} instructions add up to the counters"
