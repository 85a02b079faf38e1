"""The stimulus for netlists that is recorded on the emulated device."""

from __future__ import annotations

from winogen.doctor.stream import conformance_stimulus
from winogen.target import registers
from winogen.target.board import load_board

NETWORK = """
name: stream
input: {latent: 12}
layers:
- {name: project, op: linear, cout: 8, shape: [8, 2, 2], act: lrelu}
"""


def test_the_stimulus_is_the_same_every_time():
    board = load_board("tiny")
    first, second = (conformance_stimulus(board, NETWORK) for _ in range(2))
    assert (first.before, first.after, first.cycles) == (second.before, second.after, second.cycles)
    assert first.before != first.after
    assert len(first.before) == len(first.after) and len(first.before) % 8 == 0


def test_all_that_the_driver_writes_is_in_it():
    """The last write starts the stream, which lies in the memory that is recorded."""
    made = conformance_stimulus(load_board("pynq-z2-open"), NETWORK)
    assert made.writes[-1] == (registers.offset("CONTROL"), registers.pack("CONTROL", start=1))
    written = dict(made.writes)
    for name in ("STREAM", "WEIGHTS", "INPUT", "OUTPUT"):
        base = written[registers.offset(f"{name}_BASE_LO")]
        assert made.base <= base < made.base + len(made.before)
    assert written[registers.offset("STREAM_LENGTH")] > 0
