"""The disassembler: instructions as text, one a line, fields by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from winogen.target.isa import Instruction
from winogen.target.registers import Engine, Segment


def disassemble(instructions: Iterable[Instruction], first: int = 0) -> Iterator[str]:
    """Lines such as ``12  L3 LOAD_WEIGHTS  <compute  weights+0x4000 base=0 ...  >compute``.

    ``<compute`` takes a token from the compute engine before the instruction, ``>compute`` gives
    it one after. Flags are shown only where set.
    """
    for index, instruction in enumerate(instructions, first):
        takes = _engines("<", instruction.wait)
        gives = _engines(">", instruction.signal)
        operands = " ".join(_operands(instruction))
        yield (
            f"{index:6}  L{instruction.layer:<3} {instruction.opcode.name:<12} "
            f"{takes:<16} {operands} {gives}"
        ).rstrip()


_FLAGS = ("winograd", "first", "last", "activation")


def _operands(instruction: Instruction) -> Iterator[str]:
    fields = dict(instruction.fields)
    if "segment" in fields:
        segment = Segment(fields.pop("segment")).name.lower()
        yield f"{segment}+0x{fields.pop('offset'):x}"
    for name, value in fields.items():
        if name in _FLAGS:
            if value:
                yield name
        else:
            yield f"{name}={value}"


def _engines(mark: str, mask: int) -> str:
    return " ".join(f"{mark}{e.name.lower()}" for e in Engine if mask >> e & 1)
