"""Vectors of signed numbers as the bits of a port: element 0 in the low bits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from winogen.target.isa import FIELDS, Instruction, Opcode, encode


def pack(values: Iterable[int] | NDArray[np.int64], bits: int) -> int:
    """Join values of ``bits`` bits each; what does not fit is cut off."""
    mask = (1 << bits) - 1
    out = 0
    for place, value in enumerate(np.asarray(values, dtype=object).ravel()):
        out |= (int(value) & mask) << bits * place
    return out


def unpack(word: int, bits: int, shape: int | tuple[int, ...]) -> NDArray[np.int64]:
    """Inverse of :func:`pack`: signed values of ``bits`` bits, at most 63, in that shape."""
    mask, half = (1 << bits) - 1, 1 << (bits - 1)
    count = int(np.prod(shape))
    values = [((word >> bits * i & mask) ^ half) - half for i in range(count)]
    return np.array(values, np.int64).reshape(shape)


_READ = {opcode: attrgetter(*FIELDS[opcode]) for opcode in Opcode}


def instruction_bits(instruction: Instruction) -> int:
    """The 512 bits of an engine's start port; benches ask for the same ones in every cycle."""
    return _bits(type(instruction), _READ[instruction.opcode](instruction))


@lru_cache(maxsize=1024)
def _bits(kind: type[Instruction], values: tuple[int, ...]) -> int:
    fields = dict(zip(FIELDS[kind.opcode], values, strict=True))
    del fields["opcode"]
    return int.from_bytes(encode([kind(**fields)]), "little")
