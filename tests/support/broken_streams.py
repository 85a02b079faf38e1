"""What is done to streams so that they fail."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from winogen.target import isa
from winogen.target.isa import Instruction, Opcode, Store
from winogen.target.registers import Engine

#: An opcode, and fields of its last instruction that make it illegal.
ILLEGAL: dict[str, tuple[Opcode, Callable[[Any], dict[str, int]]]] = {
    "input-buffer": (Opcode.LOAD_INPUT, lambda x: {"base": 511}),
    "no-rows": (Opcode.LOAD_INPUT, lambda x: {"rows": 0}),
    "weight-buffer": (Opcode.LOAD_WEIGHTS, lambda x: {"base": 255}),
    "taps": (Opcode.LOAD_WEIGHTS, lambda x: {"taps": x.taps + 1}),
    "params": (Opcode.LOAD_PARAMS, lambda x: {"base": 16}),  # tiny has 8, with pairs 16
    "table": (Opcode.LOAD_TABLE, lambda x: {"base": 4000}),
    "psums": (Opcode.COMPUTE, lambda x: {"psum_base": 127}),
    "outputs": (Opcode.COMPUTE, lambda x: {"output_base": 255}),
    "tile": (Opcode.COMPUTE, lambda x: {"tile": 3}),
    "patch": (Opcode.COMPUTE, lambda x: {"patch_row": 3, "patch_rows": 2}),
    "steps": (Opcode.COMPUTE, lambda x: {"accumulators": 1}),
    "misaligned": (Opcode.STORE, lambda x: {"offset": x.offset + 1}),
    "store": (Opcode.STORE, lambda x: {"base": 250}),
    "signals-itself": (Opcode.STORE, lambda x: {"signal": 4}),
    "waits-for-itself": (Opcode.STORE, lambda x: {"wait": x.wait | 4}),
}


def starving(stream: list[Instruction]) -> tuple[list[Instruction], int]:
    """The stream so that its last store waits for a token that is never given; and its index."""
    instructions = [deepcopy(x) for x in stream]
    for x in instructions:
        if x.opcode is Opcode.COMPUTE:
            last = x
    last.signal &= ~(1 << Engine.STORE)
    return instructions, len(instructions) - 1


def flipped(rng: Any, code: bytes) -> bytes:
    """A stream with up to three bits flipped."""
    words = np.frombuffer(code, "<u4").copy()
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(words)))
        words[at] ^= np.uint32(1 << int(rng.integers(32)))
    return words.tobytes()


def bent(rng: Any, code: bytes) -> bytes:
    """A stream of which one store writes elsewhere."""
    instructions = isa.decode(code)
    stores = [x for x in instructions if isinstance(x, Store)]
    store = stores[int(rng.integers(len(stores)))]
    names = ("offset", "segment", "images", "rows", "columns", "image_stride", "row_stride")
    name = names[int(rng.integers(len(names)))]
    width = isa.FIELDS[store.opcode][name].width
    value = getattr(store, name) + (1 << int(rng.integers(min(width, 21))))
    setattr(store, name, value % (1 << width))
    return isa.encode(instructions)
