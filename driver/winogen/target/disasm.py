"""The disassembler: instructions as text, one a line, fields by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from winogen.target.isa import Instruction, Transfer, operands
from winogen.target.registers import Engine, Segment


def disassemble(instructions: Iterable[Instruction], first: int = 0) -> Iterator[str]:
    """Lines such as ``12  L3 LOAD_WEIGHTS  <compute  weights+0x4000 base=0 ...  >compute``.

    ``<compute`` takes a token from the compute engine before the instruction, ``>compute`` gives
    it one after. Flags are shown only where set.
    """
    for index, instruction in enumerate(instructions, first):
        takes = _engines("<", instruction.wait)
        gives = _engines(">", instruction.signal)
        operands = " ".join(_words(instruction))
        yield (
            f"{index:6}  L{instruction.layer:<3} {instruction.opcode.name:<12} "
            f"{takes:<16} {operands} {gives}"
        ).rstrip()


_PLACE = ("segment", "offset")
_FLAGS = ("winograd", "first", "last", "activation")


def _words(instruction: Instruction) -> Iterator[str]:
    if isinstance(instruction, Transfer):
        yield f"{Segment(instruction.segment).name.lower()}+0x{instruction.offset:x}"
    for name, value in operands(instruction).items():
        if name in _PLACE:
            continue
        if name in _FLAGS:
            if value:
                yield name
        else:
            yield f"{name}={value}"


def _engines(mark: str, mask: int) -> str:
    return " ".join(f"{mark}{e.name.lower()}" for e in Engine if mask >> e & 1)
