"""What the Vivado scripts need to know of a build, as a Tcl file of ``dict set`` lines.

Every number comes from where the rest of winogen has it: the board file, the register map, the
parameters of the logic, and the addresses of the emulated device's design.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from winogen.common.errors import BoardError
from winogen.fpga.clocks import LogicClock, lower_clocks, wanted_clock
from winogen.fpga.estimate import estimate
from winogen.fpga.parts import find_part
from winogen.target.bitfile import STEM
from winogen.target.board import Board, CoreConfig, Platform
from winogen.target.hardware import include_folder, parameters, rtl_headers, rtl_sources, wrapper
from winogen.target.hwh import ACCESS, INTC_BASE, INTC_NAME, INTC_RANGE, IP_BASE, IP_NAME, VLNV
from winogen.target.ports import MEMORY_PORTS, masters
from winogen.target.registers import ADDRESS_RANGE, REGISTERS

#: Vivado releases that the scripts are written for, the first and the last.
VIVADO_RELEASES = ("2022.1", "2024.1")
#: Top level of the packaged core: plain Verilog, because Vivado takes no other as an IP.
TOP = "winogen"

#: Bus addresses of the core's registers and of the interrupt controller, by processor: the
#: processor's port for registers is at 0x40000000 or 0xA0000000.
_BASES = {"zynq7": (IP_BASE, INTC_BASE), "zynqmp": (0xA000_0000, 0xA001_0000)}
#: DSPs that a build may take, of the estimate, which is that of Yosys.
_MORE_DSPS = 1.1
#: Pins of one net, for each multiplier and at the least: resets of all accumulators have the most.
_PINS, _LEAST_PINS = 24, 4000
_PLAIN = re.compile(r"[\w./:+-]+", re.ASCII)


def overlay_settings(board: Board, output: Path) -> dict[str, Any]:
    """All settings of a build, nested as the scripts read them.

    Parameters
    ----------
    board : the board and the build of the accelerator
    output : folder for the two files that Vivado makes

    Raises
    ------
    BoardError
        If the board has no Zynq or cannot make its clock.
    """
    platform = _platform(board)
    core_base, intc_base = _BASES[platform.processor]
    return {
        "vivado": {"oldest": VIVADO_RELEASES[0], "newest": VIVADO_RELEASES[1]},
        "name": STEM,
        "board": board.name,
        "part": board.part,
        "board_part": platform.board_part,
        "processor": platform.processor,
        "clock": _clock(wanted_clock(board, platform), platform),
        "lower_clocks": {
            str(number): _clock(clock, platform)
            for number, clock in enumerate(lower_clocks(board, platform))
        },
        "ddr": {"part": platform.ddr_part, "range": hex(platform.ddr_mib << 20)},
        "memory_ports": _memory_ports(board, platform),
        "core": {
            "vlnv": VLNV,
            "name": IP_NAME,
            "base": hex(core_base),
            "range": hex(ADDRESS_RANGE),
        },
        "interrupt_controller": {
            "name": INTC_NAME,
            "base": hex(intc_base),
            "range": hex(INTC_RANGE),
        },
        "parameters": {
            **top_parameters(board.core),
            "ADDR_WIDTH": str(platform.address_bits),
        },
        "ignore_checks": "0",
        "checks": _checks(board),
        "registers": _registers(),
        "top": TOP,
        "sources": [str(path) for path in [*rtl_headers(), *rtl_sources(), wrapper()]],
        "include": str(include_folder()),
        "output": str(output),
        "jobs": min(8, os.cpu_count() or 1),  # gigabytes each
    }


def top_parameters(core: CoreConfig) -> dict[str, str]:
    """Parameters of the logic, named as the top level does and written as Vivado does."""
    return {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): value.replace("32'h", "0x")
        for name, value in parameters(core).items()
    }


def tcl(settings: Mapping[str, Any], variable: str = "settings") -> str:
    """Nested settings as Tcl commands that fill the dictionary ``variable``."""
    return "".join(f"{line}\n" for line in _lines(settings, f"dict set {variable}"))


def tcl_word(text: str) -> str:
    """``text`` as one word of Tcl, whatever is in it."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = re.sub(r'[\\"$\[\]{}]', r"\\\g<0>", text)
    return '"' + re.sub(r"[\0-\x1f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'


def _lines(settings: Mapping[str, Any], command: str) -> Iterator[str]:
    for key, value in settings.items():
        here = f"{command} {tcl_word(key)}"
        if isinstance(value, Mapping):
            yield from _lines(value, here)
        elif isinstance(value, list):
            yield f"{here} [list {' '.join(map(tcl_word, value))}]"
        else:
            yield f"{here} {tcl_word(str(value))}"


def _platform(board: Board) -> Platform:
    if board.platform is None:
        raise BoardError(
            f"board '{board.name}' has no Zynq (its file has no 'platform' section), so there is "
            "no overlay to build for it"
        )
    return board.platform


def _memory_ports(board: Board, platform: Platform) -> list[str]:
    wanted, ports = masters(board.core.read_ports), MEMORY_PORTS[platform.processor]
    if wanted > len(ports):
        raise BoardError(
            f"board '{board.name}' wants {board.core.read_ports} read ports, and beside those of "
            f"stores and instructions a {platform.processor} has room for 2: set read_ports to 2"
        )
    return list(ports[:wanted])


def _clock(clock: LogicClock, platform: Platform) -> dict[str, Any]:
    """A clock of the logic and the two divisors that make it from its PLL."""
    return {
        "mhz": f"{clock.mhz:.9g}",
        "source": clock.source,
        "source_mhz": f"{clock.source_mhz:g}",
        "crystal_mhz": f"{platform.crystal_mhz:g}",
        "divisor0": clock.divisor0,
        "divisor1": clock.divisor1,
    }


def _checks(board: Board) -> dict[str, Any]:
    """What the netlist of the core is held to."""
    core = board.core
    dsps = math.floor(_MORE_DSPS * estimate(core, "xc7").dsp)
    with suppress(BoardError):  # a device without figures
        dsps = min(dsps, find_part(board.part).dsp)
    return {
        "multipliers": core.multipliers,
        "cascaded": core.co_lanes * core.tile_lanes * (core.ci_lanes - 1),
        "dsp_most": dsps,
        "fanout_most": max(_LEAST_PINS, _PINS * core.multipliers),
    }


def _registers() -> dict[str, Any]:
    described: dict[str, Any] = {}
    for r in REGISTERS:
        described[r.name] = {"offset": hex(r.offset), "access": ACCESS[r.access], "doc": r.doc}
        if r.fields:
            described[r.name]["fields"] = {
                f.name: {"lsb": f.lsb, "width": f.width, "doc": f.doc} for f in r.fields
            }
    return described
