"""What the machine's definitions say is written nowhere a second time by hand.

Their homes are ``winogen.target``: registers (offsets, bits, states, counters, error codes), isa
(encodings), refusals, microarchitecture and numerics. From there the SystemVerilog packages and the
references are generated. The texts below are searched for what looks like a copy; each kind of copy
is planted once, to see that it is found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

import pytest

from support.places import DRIVER, HARDWARE, ROOT, RTL
from winogen.target import isa, isadoc, microarchitecture, registers, rtlgen
from winogen.target.isa import Opcode, Table

HOMES = {
    DRIVER / "winogen" / "target" / f"{name}.py"
    for name in ("registers", "isa", "refusals", "microarchitecture", "numerics")
}
PYTHON = sorted(set((DRIVER / "winogen").rglob("*.py")) - HOMES)
VERILOG = sorted(
    path for path in [*RTL.rglob("*.sv"), *(HARDWARE / "open").glob("*.sv")]
    if path.name not in rtlgen.FILES
)  # fmt: skip
PAGES = sorted(
    path
    for path in (ROOT / "docs").rglob("*.md")
    if path.name not in isadoc.PAGES and "decisions" not in path.parts
)
ENUMS: tuple[type[IntEnum], ...] = (
    Opcode, Table, registers.Activity, registers.Counter, registers.Engine, registers.ErrorCode,
    registers.Port, registers.Segment, microarchitecture.AxiResponse,
)  # fmt: skip
OFFSETS = {r.offset for r in registers.REGISTERS} - {0}
PACKAGE = "".join(text() for text in rtlgen.FILES.values())
#: Names that the packages declare: constants, members of enumerations, types and functions.
DECLARED = {
    *re.findall(r"localparam [\w\s\[\]:]*?(\w+) =", PACKAGE),
    *re.findall(r"^    ([A-Z]\w+) = \d+'d\d+,?$", PACKAGE, re.M),
    *re.findall(r"\} (\w+_[te]);", PACKAGE),
    *re.findall(r"function automatic \w+ (?:\[[^\]]*\] )?(\w+)\(", PACKAGE),
}
#: Fields of instructions that are the name of nothing else.
FIELDS = {name for fields in isa.FIELDS.values() for name in fields} - {
    "opcode", "wait", "signal", "layer",
    *(f.name for fields in isa.TABLE_FIELDS.values() for f in fields),
    *(f.name for f in isa.PARAM_FIELDS),
}  # fmt: skip
CONSTANTS = {
    *(name.upper() for name, _, _ in microarchitecture.constants()),
    "MAX_TOKENS", "MAX_STREAM_LENGTH", "BASE_ALIGNMENT", "TRACE_DEPTH", "MAX_SHIFT", "PARAM_BYTES",
    "INSTRUCTION_BYTES", "MAGIC_VALUE", "TABLE_ENTRIES", "TABLE_ENTRY_BYTES", "CHECK_SLOTS",
}  # fmt: skip

_NUMBER = r"(?:\d+'[bdh][0-9a-fA-F_]+|\d+)"
#: What a copy looks like in SystemVerilog.
PATTERNS = {
    "a register's offset": r"\b12'h[0-9a-fA-F]{1,3}\b",
    "an opcode": rf"\bopcode\w*\s*(?:==|!=)\s*{_NUMBER}",
    "an engine's state": rf"\b\w*(?:engine_state|activity)\w*(?:\[[^\]]*\])*\s*<?=\s*{_NUMBER}",
    "a counter's number": r"\b(?:add_[dq]|counters\w*)\[\d+(?:\s*\+[^\]:]*)?\]",
    "a bit of a register": r"\b(?:status|irq_status|irq_enable|control|error_code)\w*\[\d+\]",
    "an AXI response": r"\b\w*[rb]resp\w*\s*(?:==|!=)\s*\d+'[bdh]",
    "an error code": r"\b\w*code\w*\s*(?:<=|=|==|!=|:)\s*8'[bdh]",
    "an engine's number": r"\b\w*engine\w*\s*(?:==|!=)\s*\d+'[bdh]",
    "a segment's or table's number": r"\b(?:\w+\.)?(?:segment|table_id)\s*(?:==|!=)\s*\d+'[bdh]",
}


def in_verilog(text: str) -> Iterator[str]:
    """What looks like a copy in SystemVerilog."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
    for kind, pattern in PATTERNS.items():
        yield from (f"{kind}: {found[0]}" for found in re.finditer(pattern, code))
    for found in re.finditer(r"\b(?:localparam|parameter)\b([^;=]*?)(\w+)\s*=\s*([^;,\n]*)", code):
        if found[2] in DECLARED and found[3].strip() != f"winogen_pkg::{found[2]}":
            yield f"a constant of the package: {found[2]} = {found[3].strip()}"
    for found in re.finditer(r"\}\s*(\w+_[te])\s*;|function\s[^;(]*?(\w+)\s*\(", code):
        if (found[1] or found[2]) in DECLARED:
            yield f"a type or function of the package: {found[1] or found[2]}"
    for body in re.findall(r"\benum\b[^{;]*\{([^}]*)\}", code):
        members = [m.split("=")[0].strip() for m in body.split(",")]
        yield from (f"a member of an enumeration: {m}" for m in members if m in DECLARED)
    for body in re.findall(r"\bcase\s*\([^)]*(?:opcode|table_id)\)(.*?)\bendcase", code, re.S):
        yield from (
            f"a number of a case: {n}" for n in re.findall(rf"^\s*({_NUMBER})\s*:", body, re.M)
        )


def _strings(node: ast.AST) -> list[str]:
    """The words of a tuple, list, set, or of a dictionary's keys, of texts only."""
    items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
    words = [i.value for i in items if isinstance(i, ast.Constant) and isinstance(i.value, str)]
    return [word.lower() for word in words] if len(words) == len(items) else []


def in_python(text: str) -> Iterator[str]:
    """What looks like a copy in Python."""
    tables = {tuple(m.name.lower() for m in e): e.__name__ for e in ENUMS}
    tables[tuple(a.text for a in registers.Activity)] = "Activity"
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Subscript(_, ast.Constant(str(name))) if name in FIELDS:
                yield f"a field of an instruction by name: {ast.unparse(node)}"
            case ast.Tuple() | ast.List() | ast.Set() | ast.Dict():
                if (words := tuple(_strings(node))) in tables:
                    yield f"a second {tables[words]}: {ast.unparse(node)}"
            case ast.ClassDef(name, _, _, body):
                members = [t.id for a in body if isinstance(a, ast.Assign)
                           for t in a.targets if isinstance(t, ast.Name)]  # fmt: skip
                if tuple(m.lower() for m in members) in tables:
                    yield f"a second enumeration: {name}"
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, value):
                if name.strip("_") in CONSTANTS and isinstance(value, (ast.Constant, ast.Dict)):
                    yield f"a constant: {ast.unparse(node)}"
            case ast.Call(ast.Attribute(owner, "read" | "write"), [ast.Constant(int(at)), *_]):
                if re.search(r"(core|mmio|registers?)$", ast.unparse(owner)) and at in OFFSETS:
                    yield f"a register's offset: {ast.unparse(node)}"
            case ast.BinOp(value, ast.RShift() | ast.BitAnd(), ast.Constant(int())):
                if re.search(r"\b(status|control|error_code|trace_data|bus)\b", ast.unparse(value)):
                    yield f"bits of a register: {ast.unparse(node)}"


def in_page(text: str) -> Iterator[str]:
    """What looks like a copy in a page that is written by hand."""
    for found in re.findall(r"\b0x([0-9A-Fa-f]{3})\b", text):
        if int(found, 16) in OFFSETS:
            yield f"a register's offset: 0x{found}"
    for opcode in Opcode:
        for found in re.findall(rf"\|\s*{int(opcode)}\s*\|\s*\W*{opcode.name}\b", text):
            yield f"a table of opcodes: {found}"


@pytest.mark.parametrize("path", VERILOG, ids=lambda p: str(p.relative_to(HARDWARE)))
def test_the_logic_repeats_nothing(path: Path) -> None:
    assert not list(in_verilog(path.read_text()))


@pytest.mark.parametrize("path", PYTHON, ids=lambda p: str(p.relative_to(DRIVER)))
def test_python_repeats_nothing(path: Path) -> None:
    assert not list(in_python(path.read_text()))


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_pages_repeat_nothing(path: Path) -> None:
    assert not list(in_page(path.read_text()))


def test_there_is_something_to_repeat() -> None:
    assert {"QueueDepth", "CounterCycles", "OpStore", "status_reg_t", "decode_store", "refuses",
            "RegStatus", "ActivityWaiting", "AxiDecerr"} <= DECLARED  # fmt: skip
    assert {"rows", "tiles_y", "segment"} <= FIELDS
    assert {"QUEUE_DEPTH", "OUTSTANDING"} <= CONSTANTS
    assert len(PYTHON) > 100 and len(VERILOG) > 40 and len(PAGES) > 10


@pytest.mark.parametrize(
    "planted",
    [
        "assign hit = addr_i == 12'h044;",
        "assign store = header.opcode == 4'd6;",
        "engine_state[i] = 2'd2;",
        "add_d[7] = 33'(work);",
        "add_d[1+2*i] = 33'(busy[i]);",
        "assign idle = status_i[0];",
        "assign fail = m_axi_i.rresp == 2'b11;",
        "fault_code_q <= 8'd5;",
        "assign mine = fault_engine == 2'd3;",
        "assign scratch = d.segment == 2'd3;",
        "localparam int unsigned QueueDepth = 16;",
        "parameter int unsigned Outstanding = 8,",
        "typedef enum logic [1:0] {ActivityIdle, ActivityBusy} state_e;",
        "typedef struct packed {logic idle;} status_reg_t;",
        "function automatic logic refuses(input logic a);",
        "case (h.opcode)\n  4'd5: x = 1'b1;\nendcase",
    ],
)
def test_a_copy_in_the_logic_is_found(planted: str) -> None:
    text = (RTL / "control" / "wg_control.sv").read_text()
    before = list(in_verilog(text))
    assert len(list(in_verilog(text.replace("endmodule", f"{planted}\nendmodule")))) > len(before)
    commented = "\n".join(f"// {line}" for line in planted.splitlines())
    assert list(in_verilog(f"{text}\n{commented}\n")) == before


@pytest.mark.parametrize(
    "planted",
    [
        'rows = f["rows"]',
        'STATES = ("idle", "busy", "waits for a token", "error")',
        'PORTS = ["read0", "read1", "fetch", "write", "read2", "read3"]',
        'NUMBERS = {"OKAY": 0, "EXOKAY": 1, "SLVERR": 2, "DECERR": 3}',
        "class State(IntEnum):\n    IDLE = 0\n    BUSY = 1\n    WAITING = 2\n    ERROR = 3",
        "QUEUE_DEPTH = 16",
        "_TRACE_DEPTH: int = 4096",
        "CHECK_SLOTS = {1: 7}",
        "state = self.core.read(0x44)",
        "self._mmio.write(0x040, 1)",
        "idle = status & 1",
        "load = status >> 4 & 3",
    ],
)
def test_a_copy_in_python_is_found(planted: str) -> None:
    text = (DRIVER / "winogen" / "runtime" / "state.py").read_text()
    assert not list(in_python(text))
    assert list(in_python(f"{text}\n{planted}\n"))


@pytest.mark.parametrize("planted", ["`STATUS` at `0x044`", "| 5 | `COMPUTE` |"])
def test_a_copy_in_a_page_is_found(planted: str) -> None:
    text = (ROOT / "docs" / "design" / "hardware.md").read_text()
    assert list(in_page(f"{text}\n{planted}\n"))
