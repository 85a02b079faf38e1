"""What a bitstream's .hwh says of it: where the accelerator answers, and the clock that it has.

Vivado writes the file, or :mod:`winogen.target.hwh` for a device without Vivado. It is read by
itself and not by way of pynq, because it may be the file of a bitstream that somebody else loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from winogen.target.ports import PORT_REGISTERS

#: Vendor, library and name of the accelerator, of whatever version.
CORE_NAME = "winogen.org:user:winogen"
_ZYNQ7_SOURCE = "PCW_FCLK0_PERIPHERAL_CLKSRC"
_ZYNQ7_MHZ = "PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ"
_ZYNQMP_SOURCE = "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL"
_ZYNQMP_MHZ = "PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ"


#: How Vivado writes when it made the file.
_TIMESTAMP = "%a %b %d %H:%M:%S %Y"


@dataclass(frozen=True)
class MemoryPort:
    """A way of the accelerator to memory.

    Attributes
    ----------
    master : interface of the accelerator
    port : interface of the processing system
    first, last : bus addresses that it reaches
    width : bits of the port as the design has it; 0 where the .hwh does not say
    """

    master: str
    port: str
    first: int
    last: int
    width: int


@dataclass(frozen=True)
class Handoff:
    """What a .hwh tells; None and empty where it does not.

    Attributes
    ----------
    processor : ``zynq7``, ``zynqmp`` or empty, as in a board file
    accelerator : bus address of the registers of the one winogen accelerator
    clock_source : PLL of the first clock of the logic, by its name in Vivado
    clock_mhz : frequency of that clock, MHz
    ports : ways of the accelerator to memory, in the order of its interfaces
    part : FPGA and package, as ``7z020clg400``
    vivado : version of the Vivado that wrote it
    written : when that was, by that machine's clock
    """

    processor: str = ""
    accelerator: int | None = None
    clock_source: str = ""
    clock_mhz: float | None = None
    ports: tuple[MemoryPort, ...] = ()
    part: str = ""
    vivado: str = ""
    written: datetime | None = None


def read_handoff(bitstream: Path) -> Handoff | None:
    """What the .hwh beside a bitstream says; None where there is none that can be read."""
    path = bitstream.with_suffix(".hwh")
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size)
    except (OSError, ElementTree.ParseError, ValueError):
        return None


@lru_cache(maxsize=8)  # a board's processor takes a second for one of Vivado's
def _read(path: Path, mtime_ns: int, size: int) -> Handoff:
    root = ElementTree.parse(path).getroot()
    values = {p.get("NAME", ""): p.get("VALUE", "") for p in root.iter("PARAMETER")}
    if _ZYNQ7_SOURCE in values:
        processor, source, mhz = "zynq7", values[_ZYNQ7_SOURCE], values.get(_ZYNQ7_MHZ)
    elif _ZYNQMP_SOURCE in values:
        processor, source, mhz = "zynqmp", values[_ZYNQMP_SOURCE], values.get(_ZYNQMP_MHZ)
    else:
        processor, source, mhz = "", "", None
    info = root.find("SYSTEMINFO")
    return Handoff(
        processor,
        _accelerator(root),
        source,
        float(mhz) if mhz else None,
        _ports(root, processor, values),
        info.get("DEVICE", "") + info.get("PACKAGE", "") if info is not None else "",
        root.get("VIVADOVERSION", ""),
        _time(root.get("TIMESTAMP", "")),
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(" ".join(text.split()), _TIMESTAMP)
    except ValueError:
        return None


def _modules(root: ElementTree.Element) -> list[ElementTree.Element]:
    """The accelerators: one, in an overlay of ours."""
    return [
        module
        for module in root.iter("MODULE")
        if (module.get("VLNV") or "").startswith(f"{CORE_NAME}:")
    ]


def _ports(
    root: ElementTree.Element, processor: str, values: Mapping[str, str]
) -> tuple[MemoryPort, ...]:
    known = PORT_REGISTERS.get(processor, {})
    found = [
        MemoryPort(
            memory.get("MASTERBUSINTERFACE", ""),
            port,
            int(memory.get("BASEVALUE", ""), 0),
            int(memory.get("HIGHVALUE", ""), 0),
            int(values.get(known[port].parameter) or 0),
        )
        for module in _modules(root)
        for memory in module.iter("MEMRANGE")
        if (port := memory.get("SLAVEBUSINTERFACE", "")) in known
    ]
    return tuple(sorted(found, key=lambda found: (found.master.lower(), found.first)))


def _accelerator(root: ElementTree.Element) -> int | None:
    names = [module.get("INSTANCE") for module in _modules(root)]
    bases = {
        int(memory.get("BASEVALUE", ""), 0)
        for memory in root.iter("MEMRANGE")
        if memory.get("INSTANCE") in names and memory.get("MEMTYPE") == "REGISTER"
    }
    return bases.pop() if len(names) == len(bases) == 1 else None
