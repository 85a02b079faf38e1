"""The netlist that Yosys makes of a build, for simulations."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

import pyosys

from winogen.fpga.yosys import find_yosys
from winogen.target.board import CoreConfig
from winogen.target.hardware import hardware_folder, include_folder, parameters, rtl_sources


def gates(folder: Path, core: CoreConfig, address_bits: int = 64) -> list[Path]:
    """The netlist of a build, and models of its primitives, as Verilog.

    Yosys has no model of a block RAM: these alone stay as they are before synthesis.
    """
    values = {**parameters(core), "AddrWidth": str(address_bits)}
    script = Template((hardware_folder() / "synth" / "netlist.ys").read_text()).substitute(
        top="winogen_core", threads="", family="xc7", options="",
        parameters=" ".join(f"-G {n}={v}" for n, v in values.items()),
        sources=" ".join(map(str, rtl_sources())),
    )  # fmt: skip
    rams = "select =wg_ram*\nwrite_verilog -noattr -selected rams.v\nselect -clear\n"
    for old, new in (
        ("read_slang ", f"read_slang --keep-hierarchy -I {include_folder()} "),
        ("synth_xilinx ", f"{rams}blackbox =wg_ram*\nsynth_xilinx "),
        ("check -assert -mapped", "delete t:$scopeinfo\ncheck -assert -mapped"),
        ("write_json -selected netlist.json", "write_verilog -noattr gates.v"),
    ):  # fmt: skip
        assert script.count(old) == 1
        script = script.replace(old, new)
    (folder / "gates.ys").write_text(script)
    find_yosys().run(folder / "gates.ys", folder / "log", 900)
    # The simulation sets parameters; the netlist has had them.
    names = ", ".join(f"parameter {name} = 0" for name in values)
    path = folder / "gates.v"
    text, count = re.subn(
        r"^module winogen_core\(", f"module winogen_core #({names}) (", path.read_text(), flags=re.M
    )
    assert count == 1
    assert text.count("LUT6 #(") > 1000
    assert not re.search(r"^  (always|assign \S+ = .* [-+*] )", text, flags=re.M)
    path.write_text(text)
    return [path, folder / "rams.v", Path(pyosys.__file__).parent / "share/xilinx/cells_sim.v"]
