"""The SystemVerilog package is the one that the Python definitions give."""

from __future__ import annotations

import re

import pytest

from support.places import RTL
from winogen.target import isa, registers, rtlgen
from winogen.target.isa import Opcode

FILE = RTL / rtlgen.FILE


@pytest.mark.parametrize("name", rtlgen.FILES)
def test_the_packages_are_current(name):
    assert (RTL / name).read_text() == rtlgen.FILES[name](), f"run `{rtlgen.COMMAND}`"


def test_every_register_and_field_is_there():
    text = FILE.read_text()
    for register in registers.REGISTERS:
        assert re.search(rf"Reg\w+ = 12'h{register.offset:03X};", text), register.name
    for opcode in Opcode:
        assert f"decode_{opcode.name.lower()}(" in text


@pytest.mark.parametrize("opcode", list(Opcode))
def test_used_bits_are_those_that_an_instruction_of_ones_sets(opcode):
    fields = isa.FIELDS[opcode]
    ones = {n: -1 if f.signed else f.limits[1] for n, f in fields.items() if n != "opcode"}
    code = isa.encode([isa.CLASSES[opcode](**ones)])
    wanted = int.from_bytes(code, "little") | 0xF  # the opcode's own four bits
    name = "".join(p.capitalize() for p in opcode.name.split("_"))
    found = re.search(rf"Op{name}: return 512'h([0-9a-f]+);", FILE.read_text())
    assert found is not None
    assert int(found[1], 16) == wanted


def test_it_is_written_atomically_and_says_where_it_cannot(tmp_path, capsys):
    assert rtlgen.main([str(tmp_path)]) == 0
    for name, text in rtlgen.FILES.items():
        assert (tmp_path / name).read_text() == text()
    assert rtlgen.main([str(tmp_path / "missing" / "folder")]) == 2
    assert "winogen.target.rtlgen: " in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(rtlgen.FILES)
