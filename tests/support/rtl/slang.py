"""The logic and its test benches as slang, a library in the wheel ``pyslang``, understands them.

The options, with the reason for each warning that is off, are in ``hw_src/slang.f``.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from support.places import FAKES, HARDWARE, RTL, TESTS
from winogen.common.errors import BoardError
from winogen.fpga.settings import top_parameters
from winogen.target.board import CoreConfig, board_names, load_board
from winogen.target.hardware import parameters

OPEN = HARDWARE / "open"
FORMAL = HARDWARE / "formal"
OPTIONS = HARDWARE / "slang.f"
BENCHES = Path(__file__).with_name("benches.f")
PACKAGES = sorted(RTL.rglob("*_pkg.sv"))
WRAPPER = next(RTL.rglob("winogen.v"))
#: The processing system: ports, and nothing behind them.
PS7 = FAKES / "ps7_model.sv"
_MODULE = re.compile(r"^module (\w+)", re.M)
#: Parameters, of the logic and of its wrapper, that tell builds apart.
_NAMING = ("DataWidth", "Lanes", "TileLanes", "ReadPorts", "DATA_WIDTH", "LANES", "TILE_LANES",
           "READ_PORTS")  # fmt: skip


def modules(folder: Path, pattern: str = "*.sv") -> list[Path]:
    """The SystemVerilog files of a folder and of those in it, without packages."""
    return sorted(p for p in folder.rglob(pattern) if p not in PACKAGES)


@dataclass(frozen=True)
class Place:
    """A piece of source text and where it begins."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}"


@dataclass(frozen=True)
class Top:
    """What is elaborated.

    Attributes
    ----------
    module : the top level
    files : files beside the modules of hw_src/rtl; a module in them replaces the one there
    parameters : names and values of parameters of the top level
    options : files with slang's options
    defines : macros
    """

    module: str
    files: tuple[Path, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    options: tuple[Path, ...] = (OPTIONS,)
    defines: tuple[str, ...] = ()

    def __str__(self) -> str:
        values = dict(self.parameters)
        chosen = (f"{n}{values[n]}" for n in _NAMING if n in values)
        return "-".join([self.module, *chosen, *self.defines])


def single_modules() -> list[Top]:
    """Each module by itself, with its own defaults."""
    adapters = tuple(modules(OPEN, "wg_*.sv"))
    logic = [Top(path.stem) for path in modules(RTL)]
    return logic + [Top(path.stem, adapters) for path in adapters]


def cores() -> list[CoreConfig]:
    """The boards' builds, the smallest with the other number of read ports, and with pairs."""
    found = []
    for name in board_names():
        for bits in (8, 16):
            with suppress(BoardError):
                found.append(load_board(name, bits).core)
    tiny = [core for core in found if core.read_ports == 1]
    assert {core.data_width for core in tiny} == {8, 16}
    pairs = [replace(core, products=2) for core in tiny if core.data_width == 8]
    return [*found, *(replace(core, read_ports=2) for core in tiny), *pairs]


def builds() -> list[Top]:
    """The whole core in every build; of 8 lanes what synthesis sees too, and both top levels.

    To those a build is no more than parameters.
    """
    tops = []
    for core in dict.fromkeys(cores()):
        values = tuple(parameters(core).items())
        verilog = {n: v.replace("0x", "32'h") for n, v in top_parameters(core).items()}
        tops.append(Top("winogen_core", parameters=values))
        if core.ci_lanes > 8:
            continue
        tops += [
            Top("winogen_core", parameters=values, defines=("SYNTHESIS",)),
            Top("winogen", (WRAPPER,), tuple(verilog.items())),
            Top("winogen_open", (*modules(OPEN), PS7), values),
        ]
    return tops


def benches() -> list[Top]:
    """The test benches and the harnesses of the proofs."""
    options = (OPTIONS, BENCHES)
    needed = {
        "tb_winogen": (FAKES / "standin_core.sv", WRAPPER),
        "tb_open": (FAKES / "standin_core.sv", *modules(OPEN), PS7),
    }
    tops = [
        Top(path.stem, (path, *needed.get(path.stem, modules(OPEN, "wg_*.sv"))), (), options)
        for path in modules(TESTS, "tb_*.sv")
    ]
    proofs = [
        Top(path.stem, (path,), (), options, ("FORMAL",)) for path in modules(FORMAL, "fv_*.sv")
    ]
    return [*tops, *proofs]


class Design:
    """An elaborated module.

    Parameters
    ----------
    top : what to elaborate
    """

    def __init__(self, top: Top) -> None:
        pyslang = pytest.importorskip("pyslang")
        replaced = {name for path in top.files for name in _MODULE.findall(path.read_text())}
        files = [*PACKAGES, *(p for p in modules(RTL) if p.stem not in replaced), *top.files]
        options = [x for path in top.options for x in ("-f", path)]
        options += ["--suppress-warnings", PS7] * (PS7 in top.files)
        values = [f"-G{name}={value}" for name, value in top.parameters]
        values += [f"-D{name}" for name in top.defines]
        self.driver = pyslang.driver.Driver()
        self.driver.addStandardArgs()
        arguments = ["slang", *options, "-I", RTL, "--top", top.module, *values, *files]
        if not (
            self.driver.parseCommandLine(" ".join(f'"{a}"' for a in arguments))
            and self.driver.processOptions()
        ):
            raise ValueError(f"slang does not understand {arguments}")
        self._report = pyslang.TextDiagnosticClient()
        self.driver.diagEngine.clearClients()  # else it prints
        self.driver.diagEngine.addClient(self._report)
        self.parsed: bool = self.driver.parseAllSources()
        self.compilation = self.driver.createCompilation()

    def problems(self) -> str:
        """Every error and warning, as slang prints them; empty if there is none."""
        self.driver.reportCompilation(self.compilation, quiet=True)
        self.driver.runAnalysis(self.compilation)
        report = str(self._report.getString())
        count = self.driver.diagEngine.numErrors + self.driver.diagEngine.numWarnings
        return report or ("slang counts problems and names none" if count else "")

    def place(self, node: Any) -> Place:
        """Where an expression or a node of a syntax tree begins, and its text."""
        start, end = node.sourceRange.start, node.sourceRange.end
        manager = self.driver.sourceManager
        text = manager.getSourceText(start.buffer)[start.offset : end.offset]
        name = Path(manager.getFileName(start)).name
        line, column = manager.getLineNumber(start), manager.getColumnNumber(start)
        return Place(name, line, column, " ".join(text.split()))
