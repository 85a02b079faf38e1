"""What coded weights save, as it is said of a program."""

from __future__ import annotations

from support.bench import small
from support.coded import compiled
from winogen.cli.objects import described
from winogen.program.coded_weights import loaded_weights
from winogen.reports.tables import weights_summary
from winogen.target.board import load_board

BOARD = load_board("pynq-z2")


def test_bytes_before_and_after():
    coded = compiled(BOARD, batch=2).program
    plain = compiled(BOARD, batch=2, coding="plain").program
    lies, would = loaded_weights(coded.streams[0], BOARD.core)
    every = sum(p.size for p in plain.pieces)
    assert loaded_weights(plain.streams[0], BOARD.core) == (every, every)
    assert 0.3 * would < lies < 0.5 * would
    assert would <= every  # streams that are alike lie in one place
    said = weights_summary(coded)
    assert f"{lies:,} bytes on the bus, plain {would:,}" in said
    assert described(coded)["plain_weight_bytes"] == would
    assert "coded" not in weights_summary(small("pynq-z2").program)
