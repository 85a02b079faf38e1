"""Check of the register bus."""

from __future__ import annotations

from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed
from winogen.target.registers import REGISTERS

_ALL = 0xFFFF_FFFF
_PATTERNS = (0, _ALL, 0xAAAA_AAAA, 0x5555_5555, *(1 << bit for bit in range(32)))
_ADVICE = (
    "the register bus of the overlay is broken: check that this is the overlay of this board and "
    "that its timing was met, then build it again"
)


def register_access(bench: Bench) -> str:
    """Every bit of every register that can be written holds, and no register is another one."""
    core = bench.core
    writable = [r.name for r in REGISTERS if r.access == "rw"]
    kept = {name: core.get(name) for name in writable}
    try:
        for name in writable:
            for pattern in _PATTERNS:
                core.set(name, pattern)
                _same(name, pattern, core.get(name))
        own = {name: (number + 1) * 0x0103_0507 & _ALL for number, name in enumerate(writable)}
        for name, value in own.items():
            core.set(name, value)
        for name, value in own.items():
            _same(name, value, core.get(name))
        for name in ("MAGIC", "CONFIG_HASH"):
            before = core.get(name)
            core.set(name, before ^ _ALL)
            _same(name, before, core.get(name))
    finally:
        for name, value in kept.items():
            core.set(name, value)
    return f"{len(writable)} registers hold {len(_PATTERNS)} patterns and a value of their own"


def _same(name: str, wanted: int, found: int) -> None:
    if found != wanted:
        raise Failed(f"register {name} reads 0x{found:08x} instead of 0x{wanted:08x}", _ADVICE)
