"""Where the sources of the logic are, and their parameters for a build configuration."""

from __future__ import annotations

from pathlib import Path

from winogen.common.folders import shipped_folder
from winogen.target.board import CoreConfig

#: The top level, with flat ports, and the instance in it that all of the logic lies in.
TOP = "winogen_core"
CORE = "u_core"


def hardware_folder() -> Path:
    """Where the hardware's sources are: their copy in a wheel, or ``hw_src`` of a checkout."""
    return shipped_folder("hw", "hw_src")


def rtl_sources() -> list[Path]:
    """All SystemVerilog files of the accelerator, packages first."""
    files = (hardware_folder() / "rtl").rglob("*.sv")
    return sorted(files, key=lambda p: (not p.stem.endswith("_pkg"), p.name))


def rtl_headers() -> list[Path]:
    """The files that the accelerator's include, which lie in ``include_folder()``."""
    return sorted(include_folder().glob("*.svh"))


def include_folder() -> Path:
    """Where tools look for included files."""
    return hardware_folder() / "rtl"


def rtl_folders() -> list[Path]:
    """The folders of the accelerator's modules: one for each engine, and what they share."""
    return sorted({path.parent for path in rtl_sources()})


def wrapper() -> Path:
    """The top level for Vivado, plain Verilog."""
    return hardware_folder() / "rtl" / "top" / "winogen.v"


def parameters(core: CoreConfig) -> dict[str, str]:
    """Parameters of the top level for a build configuration, as Verilog literals."""
    numbers = {
        "DataWidth": core.data_width,
        "Lanes": core.ci_lanes,
        "TileLanes": core.tile_lanes,
        "InputDepth": core.input_depth,
        "WeightDepth": core.weight_depth,
        "PsumDepth": core.psum_depth,
        "OutputDepth": core.output_depth,
        "StepDepth": core.step_depth,
        "AccumulatorDepth": core.accumulator_depth,
        "PhaseDepth": core.phase_depth,
        "ParamDepth": core.param_depth,
        "ReadPorts": core.read_ports,
        "Products": core.products,
        "Decoder": core.decoder,
    }
    literals = {name: str(value) for name, value in numbers.items()}
    literals["ConfigHash"] = f"32'h{core.config_hash32:08x}"
    return literals
