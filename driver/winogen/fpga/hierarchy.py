"""Synthesis of large builds part by part: each module once, however many instances it has.

A flat netlist of some thousand multipliers takes Yosys more memory than a laptop has. Instances of
a module with the same parameters are the same logic, so that of large ones that stand often, as the
chains of the array, one is synthesised, and its primitives are counted as often as it stands in the
design. Nothing is optimised across their ports then: what is counted is a bound from above of what
the flat design takes. All else is flat.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from winogen.common.files import temporary_folder
from winogen.common.folders import cache_folder
from winogen.common.progress import Progress
from winogen.fpga.area import Area
from winogen.fpga.synthesis import DEADLINE
from winogen.fpga.yosys import Yosys, find_yosys
from winogen.target.board import CoreConfig
from winogen.target.hardware import TOP, hardware_folder, parameters, rtl_headers, rtl_sources

#: A module of RTLIL, Yosys's own form: its attributes, name and body.
_MODULE = re.compile(r"^((?:attribute [^\n]*\n)*)module (\S+)\n(.*?)^end$", re.S | re.M)
_CELL = re.compile(r"^(  cell )(\\\S+)( )", re.M)
#: Names that Yosys makes up and counts through the whole design.
_NUMBERED = re.compile(r"\$[^\s$]+\$\d+")
#: A module that stays apart: so often it stands at least, and so long is its text. For small ones
#: there is more to be had across their ports than to be saved.
_OFTEN, _LARGE = 4, 20_000


@dataclass(frozen=True)
class Parts:
    """What a build takes, synthesised in parts.

    Attributes
    ----------
    area : resources of all instances
    modules, instances : modules that stayed apart, the rest as one, and how many of them stand
    """

    area: Area
    modules: int
    instances: int


def synthesise_parts(
    core: CoreConfig, family: str = "xc7", *, yosys: Yosys | None = None, deadline: float = DEADLINE
) -> Parts:
    """Synthesise ``core`` for a family of devices (``synth_xilinx``'s names), module by module.

    Raises DeviceError if Yosys is missing, fails, or has not ended after ``deadline`` seconds.
    """
    yosys = yosys or find_yosys()
    sources = rtl_sources()
    values = {
        "top": TOP,
        "family": family,
        "threads": yosys.threads,
        "parameters": " ".join(f"-G {n}={v}" for n, v in parameters(core).items()),
        "sources": " ".join(path.name for path in sources),
    }
    cache = cache_folder("synth")
    cache.mkdir(parents=True, exist_ok=True)
    with temporary_folder(cache) as work, Progress("synthesis in parts") as progress:
        for path in [*rtl_headers(), *sources]:
            (work / path.name).write_bytes(path.read_bytes())

        def run(stem: str) -> Path:
            script = work / f"{stem}.ys"
            text = (hardware_folder() / "synth" / script.name).read_text(encoding="utf-8")
            script.write_text(Template(text).substitute(values), encoding="utf-8")
            progress.stage(f"{stem}, by {yosys.name} (minutes)")
            log = cache / f"{stem}-{family}-{core.config_hash[:8]}.log"
            yosys.run(script, log, deadline)
            return script

        whole = run("design").with_suffix(".il").read_text(encoding="utf-8")
        merged = keep_apart(merge_modules(whole), f"\\{TOP}")
        (work / "parts.il").write_text(merged, encoding="utf-8")
        counted = json.loads(run("parts").with_suffix(".json").read_text(encoding="utf-8"))
    modules = counted["modules"]
    often = instances(modules, f"\\{TOP}")
    return Parts(count(modules, often), len(often), sum(often.values()))


def merge_modules(design: str) -> str:
    """A design in RTLIL with one module for all that are alike: the first of them.

    They are alike if their bodies are, but for the numbers in names that Yosys has made up, and for
    which of the modules that are alike stand in them.
    """
    modules = {m[2]: m for m in _MODULE.finditer(design)}
    chosen: dict[str, str] = {}
    first: dict[tuple[str, str], tuple[str, str]] = {}

    def choose(name: str) -> str:
        if name not in chosen:

            def replaced(cell: re.Match[str]) -> str:
                return cell[1] + (choose(cell[2]) if cell[2] in modules else cell[2]) + cell[3]

            body = _CELL.sub(replaced, modules[name][3])
            numbers: dict[str, str] = {}
            plain = _NUMBERED.sub(lambda m: numbers.setdefault(m[0], f"${len(numbers)}"), body)
            text = f"{modules[name][1]}module {name}\n{body}end\n"
            chosen[name] = first.setdefault((name.partition("$")[0], plain), (name, text))[0]
        return chosen[name]

    for name in modules:
        choose(name)
    return "".join(text for _, text in first.values())


def keep_apart(design: str, top: str) -> str:
    """The design with its large modules that stand often in ``top`` marked to stay apart."""
    bodies = {m[2]: m[3] for m in _MODULE.finditer(design)}
    often = _often({n: Counter(m[2] for m in _CELL.finditer(b)) for n, b in bodies.items()}, top)

    def marked(module: re.Match[str]) -> str:
        apart = often[module[2]] >= _OFTEN and len(module[3]) >= _LARGE
        return ("attribute \\keep_hierarchy 1\n" if apart else "") + module[0]

    return _MODULE.sub(marked, design)


def instances(modules: Mapping[str, Any], top: str) -> Counter[str]:
    """How often each module stands in ``top``, of what Yosys's ``stat -json`` tells of them."""
    cells = {
        name: {f"\\{kind}": number for kind, number in module["num_cells_by_type"].items()}
        for name, module in modules.items()
    }
    return _often(cells, top)


def _often(cells: Mapping[str, Mapping[str, int]], top: str) -> Counter[str]:
    """How often each module stands in ``top``, of how many cells of which type are in each."""
    often: Counter[str] = Counter()

    def visit(name: str, times: int) -> None:
        often[name] += times
        for kind, number in cells[name].items():
            if kind in cells:
                visit(kind, times * number)

    visit(top, 1)
    return often


def count(modules: Mapping[str, Any], often: Mapping[str, int]) -> Area:
    """The primitives of all modules, each so often."""
    area = Area()
    for name, times in often.items():
        for kind, number in modules[name]["num_cells_by_type"].items():
            if f"\\{kind}" not in modules:
                area.add(kind, times * number)
    return area
