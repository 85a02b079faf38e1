"""What can go wrong while a stream runs."""

from __future__ import annotations

from winogen.target.registers import Engine, ErrorCode


class Fault(Exception):
    """A stream stops with this error code at this instruction."""

    def __init__(
        self, code: ErrorCode, engine: Engine, index: int, address: int = 0, reason: str = ""
    ):
        super().__init__(f"instruction {index}: {reason or code.text}")
        self.code = code
        self.engine = engine
        self.index = index
        self.address = address
