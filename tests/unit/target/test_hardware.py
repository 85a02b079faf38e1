"""The build configuration of the logic is that of the Python package, field for field."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest

from support.places import RTL
from winogen.target.board import CoreConfig, load_board
from winogen.target.hardware import (
    parameters,
    rtl_folders,
    rtl_headers,
    rtl_sources,
    wrapper,
)

PACKAGE = (RTL / "wg_types_pkg.sv").read_text()
#: What a build has beside its configuration: bus addresses differ between wrappers.
OTHERS = ["AddrWidth"]


def upper_camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def test_the_struct_has_the_fields_of_the_configuration():
    struct = re.search(r"typedef struct packed \{([^}]*)\} config_t;", PACKAGE)
    assert struct is not None
    found = re.findall(r"^\s*(?:int unsigned|logic \[31:0\]) (\w+);", struct[1], re.M)
    assert found == [*parameters(load_board("tiny").core), *OTHERS]


def test_every_field_of_the_configuration_is_a_parameter():
    lanes = {"ci_lanes", "co_lanes"}  # equal, so the logic has one number
    names = {upper_camel(f.name) for f in fields(CoreConfig) if f.name not in lanes}
    assert {*names, "Lanes", "ConfigHash"} == set(parameters(load_board("tiny").core))


def test_the_default_is_a_board():
    """A module that is looked at alone is that of a build which exists."""
    default = re.search(r"DefaultConfig = '\{([^}]*)\};", PACKAGE)
    assert default is not None
    values = dict(re.findall(r"(\w+): ([^,\s]+)", default[1]))
    wanted = parameters(load_board("pynq-z2").core) | {"ConfigHash": "'0", "AddrWidth": "64"}
    assert values == wanted


def test_the_top_level_hands_every_parameter_on():
    text = (RTL / "top" / "winogen_core.sv").read_text()
    config = re.search(r"localparam config_t Config = '\{([^}]*)\};", text)
    assert config is not None
    pairs = re.findall(r"(\w+): (\w+)", config[1])
    assert all(field == parameter for field, parameter in pairs)
    assert [field for field, _ in pairs] == [*parameters(load_board("tiny").core), *OTHERS]


def test_what_follows_from_a_configuration_is_the_same():
    """The package's function, as slang computes it, and the property of the same name."""
    pyslang = pytest.importorskip("pyslang")
    small, large = load_board("tiny").core, load_board("kcu1500").core
    cores = [load_board(name, bits).core for name in ("pynq-z2", "tiny") for bits in (8, 16)]
    cores += [
        replace(core, read_ports=ports, decoder=decoder)
        for core in (small, large, *cores[:1])
        for ports in (1, 2, 4)
        for decoder in (0, 32)
    ]
    lines = []
    for number, core in enumerate(cores):
        values = parameters(core) | {"ConfigHash": "'0", "AddrWidth": "64"}
        config = ", ".join(f"{name}: {value}" for name, value in values.items())
        lines.append(f"localparam int Is{number} = 32'(whole_words('{{{config}}}));")
    text = "\n".join(["module m;", "import wg_types_pkg::*;", *lines, "endmodule"])
    compilation = pyslang.ast.Compilation()
    for source in (PACKAGE, text):
        compilation.addSyntaxTree(pyslang.syntax.SyntaxTree.fromText(source))
    body = compilation.getRoot().topInstances[0].body
    found = [bool(int(body.find(f"Is{number}").value.value)) for number in range(len(cores))]
    assert found == [core.whole_words for core in cores]
    assert set(found) == {False, True}


def test_no_module_has_a_depth_of_its_own():
    """Depths come in the configuration; a memory's own Depth, and one table's, are numbers."""
    own = {"wg_phase_walker": "PhaseDepth", "wg_weight_check": "WeightDepth"}
    for path in rtl_sources():
        if path.stem == "winogen_core":
            continue
        found = re.findall(r"^\s*parameter\s+int unsigned\s+(\w+Depth)\b", path.read_text(), re.M)
        found = [name for name in found if name not in ("QueueDepth", own.get(path.stem))]
        assert not found, path.name


def test_what_is_included_is_there():
    included = {
        name for path in rtl_sources() for name in re.findall(r'`include "(.*)"', path.read_text())
    }
    assert included == {path.name for path in rtl_headers()}


def test_modules_lie_in_folders_by_engine():
    names = {folder.name for folder in rtl_folders()}
    assert names == {"rtl", "top", "control", "load", "compute", "store", "axi", "prim"}
    assert {p.name for p in rtl_sources() if p.parent == RTL} == {
        "wg_types_pkg.sv",
        "winogen_rules_pkg.sv",
        "winogen_pkg.sv",
    }
    assert wrapper().is_file()
