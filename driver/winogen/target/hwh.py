"""The hardware handoff file (.hwh) of a Zynq-7000 design, as Vivado writes one beside a .bit.

pynq learns everything about an overlay from this file: which IP is where, its registers, its
parameters, its interrupt and the clocks. The emulated device's design and that of the open flow are
the same: processing system, accelerator, interrupt controller. Of five masters on four HP ports the
last shares the first one's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from winogen.target.board import CoreConfig
from winogen.target.clock import CRYSTAL_MHZ, IO_PLL_MHZ, PL_CLOCKS, PlClock
from winogen.target.handoff import CORE_NAME
from winogen.target.microarchitecture import LOGIC
from winogen.target.ports import masters
from winogen.target.registers import ADDRESS_RANGE, HARDWARE_VERSION, REGISTERS

#: Vendor:library:name:version of the accelerator: what a ``pynq.DefaultIP`` binds to.
VLNV = f"{CORE_NAME}:{HARDWARE_VERSION[0]}.{HARDWARE_VERSION[1]}"
IP_NAME = "winogen_0"
IP_BASE = 0x43C0_0000
#: Attribute of the driver object that holds its ``pynq.Interrupt``.
INTERRUPT_PIN = "interrupt"

INTC_NAME = "axi_intc_0"
INTC_BASE = 0x4180_0000
INTC_RANGE = 0x1_0000  # bytes

_PS_NAME = "processing_system7_0"
#: HP ports of a Zynq-7000.
_HP_PORTS = 4
_AXI = "xilinx.com:interface:aximm:1.0"
#: Kinds of registers, as IP-XACT and the .hwh name them.
ACCESS = {"ro": "read-only", "rw": "read-write", "wo": "write-only", "w1c": "read-write"}


def core_parameters(core: CoreConfig) -> dict[str, str | int]:
    """Build parameters of an accelerator as its .hwh has them."""
    return {**asdict(core), "config_hash": core.config_hash}


def hwh_text(
    parameters: Mapping[str, str | int],
    clock: PlClock,
    ddr_bytes: int,
    maker: str = "emulated by winogen",
) -> str:
    """The .hwh of an accelerator built with ``parameters``, clocked by ``clock``.

    Parameters
    ----------
    parameters : mapping
        Build parameters; pynq shows them, as strings, in ``ip_dict["winogen_0"]["parameters"]``.
    clock : PlClock
        FCLK0; the other PL clocks are off.
    ddr_bytes : int
        What the HP ports reach, from bus address 0.
    maker : str
        What the file says in place of a version of Vivado.

    Returns
    -------
    str
        The same text for the same arguments.
    """
    named = tuple((name, str(value)) for name, value in parameters.items())
    return _text(named, clock, ddr_bytes, maker)


@lru_cache(maxsize=16)  # every emulated device has one, and most are of the same board
def _text(named: tuple[tuple[str, str], ...], clock: PlClock, ddr_bytes: int, maker: str) -> str:
    parameters = dict(named)
    root = Element("EDKSYSTEM", EDWVERSION="1.2", VIVADOVERSION=f"none: {maker}")
    SubElement(root, "SYSTEMINFO", ARCH="zynq", DEVICE="7z020", NAME="winogen", PACKAGE="clg400")
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    ways = masters(int(parameters.get("read_ports", 1)))
    _accelerator(modules, parameters, ddr_bytes, ways)
    _interrupt_controller(modules)
    _processing_system(modules, clock, ways)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text.decode() + "\n"


def _accelerator(
    modules: Element, parameters: Mapping[str, str | int], ddr_bytes: int, ways: int
) -> None:
    module = _module(modules, IP_NAME, VLNV)
    block = SubElement(
        SubElement(module, "ADDRESSBLOCKS"),
        "ADDRESSBLOCK",
        ACCESS="read-write",
        INTERFACE="S_AXI",
        NAME="reg0",
        RANGE=str(ADDRESS_RANGE),
        USAGE="register",
    )
    registers = SubElement(block, "REGISTERS")
    for r in REGISTERS:
        register = SubElement(registers, "REGISTER", NAME=r.name)
        _properties(
            register,
            DESCRIPTION=r.doc,
            ADDRESS_OFFSET=hex(r.offset),
            SIZE=32,
            ACCESS=ACCESS[r.access],
            IS_ENABLED="true",
            RESET_VALUE=hex(r.reset),
        )
        fields = SubElement(register, "FIELDS")
        for f in r.fields:
            _properties(
                SubElement(fields, "FIELD", NAME=f.name),
                DESCRIPTION=f.doc,
                ACCESS=ACCESS[r.access],
                BIT_OFFSET=f.lsb,
                BIT_WIDTH=f.width,
            )
    _parameters(module, parameters)
    _interrupts(module, (INTERRUPT_PIN, "O", INTC_NAME, "intr"))
    _bus(module, S_AXI="SLAVE", **{f"m_axi_{i}": "MASTER" for i in range(ways)})
    _ranges(
        module,
        *(
            (f"m_axi_{i}", _PS_NAME, f"S_AXI_HP{i % _HP_PORTS}", "MEMORY", 0, ddr_bytes)
            for i in range(ways)
        ),
    )


def _interrupt_controller(modules: Element) -> None:
    module = _module(modules, INTC_NAME, "xilinx.com:ip:axi_intc:4.1")
    _parameters(module, {"C_NUM_INTR_INPUTS": 1})
    _interrupts(
        module,
        ("intr", "I", IP_NAME, INTERRUPT_PIN),
        ("irq", "O", _PS_NAME, "IRQ_F2P"),
    )
    _bus(module, s_axi="SLAVE")


def _processing_system(modules: Element, clock: PlClock, ways: int) -> None:
    module = _module(modules, _PS_NAME, "xilinx.com:ip:processing_system7:5.5")
    module.set("IS_PL", "FALSE")
    parameters: dict[str, str | int] = {
        "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": str(CRYSTAL_MHZ),
        "PCW_IO_IO_PLL_FREQMHZ": str(IO_PLL_MHZ),
        **{f"C_S_AXI_HP{i}_DATA_WIDTH": 8 * LOGIC.beat_bytes for i in range(min(ways, _HP_PORTS))},
    }
    for i in range(PL_CLOCKS):
        c = clock if i == 0 else PlClock.at_most(100.0)
        parameters |= {
            f"PCW_FPGA_FCLK{i}_ENABLE": int(i == 0),
            f"PCW_FCLK{i}_PERIPHERAL_CLKSRC": c.source,
            f"PCW_FCLK{i}_PERIPHERAL_DIVISOR0": c.divisor0,
            f"PCW_FCLK{i}_PERIPHERAL_DIVISOR1": c.divisor1,
            f"PCW_ACT_FPGA{i}_PERIPHERAL_FREQMHZ": str(c.mhz),
            # pynqmetadata 0.2 asks a Zynq-7000 for the frequency by its UltraScale+ name, and
            # pynq 4 fails without it.
            f"PSU__CRL_APB__PL{i}_REF_CTRL__ACT_FREQMHZ": str(c.mhz),
        }
    _parameters(module, parameters)
    _interrupts(module, ("IRQ_F2P", "I", INTC_NAME, "irq"))
    slaves = {f"S_AXI_HP{i}": "SLAVE" for i in range(min(ways, _HP_PORTS))}
    _bus(module, M_AXI_GP0="MASTER", **slaves)
    _ranges(
        module,
        ("M_AXI_GP0", IP_NAME, "S_AXI", "REGISTER", IP_BASE, ADDRESS_RANGE),
        ("M_AXI_GP0", INTC_NAME, "s_axi", "REGISTER", INTC_BASE, INTC_RANGE),
    )


def _module(modules: Element, name: str, vlnv: str) -> Element:
    modtype, version = vlnv.split(":")[2:]
    return SubElement(
        modules,
        "MODULE",
        FULLNAME=f"/{name}",
        HWVERSION=version,
        INSTANCE=name,
        IPTYPE="PERIPHERAL",
        IS_ENABLE="1",
        MODCLASS="PERIPHERAL",
        MODTYPE=modtype,
        VLNV=vlnv,
    )


def _properties(parent: Element, **properties: str | int) -> None:
    for name, value in properties.items():
        SubElement(parent, "PROPERTY", NAME=name, VALUE=str(value))


def _parameters(module: Element, parameters: Mapping[str, str | int]) -> None:
    parent = SubElement(module, "PARAMETERS")
    for name, value in parameters.items():
        SubElement(parent, "PARAMETER", NAME=name, VALUE=str(value))


def _interrupts(module: Element, *pins: tuple[str, str, str, str]) -> None:
    """Interrupt pins: name, direction, and the instance and pin at the other end."""
    parent = SubElement(module, "PORTS")
    for name, direction, instance, pin in pins:
        source = (module.attrib["INSTANCE"], name) if direction == "O" else (instance, pin)
        port = SubElement(
            parent, "PORT", DIR=direction, NAME=name, SIGIS="INTERRUPT", SIGNAME="_".join(source)
        )
        SubElement(SubElement(port, "CONNECTIONS"), "CONNECTION", INSTANCE=instance, PORT=pin)


def _bus(module: Element, **interfaces: str) -> None:
    parent = SubElement(module, "BUSINTERFACES")
    for name, kind in interfaces.items():
        SubElement(parent, "BUSINTERFACE", NAME=name, TYPE=kind, VLNV=_AXI)


def _ranges(module: Element, *ranges: tuple[str, str, str, str, int, int]) -> None:
    parent = SubElement(module, "MEMORYMAP")
    for master, instance, slave, kind, base, size in ranges:
        SubElement(
            parent,
            "MEMRANGE",
            ADDRESSBLOCK="reg0",
            BASEVALUE=f"0x{base:08X}",
            HIGHVALUE=f"0x{base + size - 1:08X}",
            INSTANCE=instance,
            MASTERBUSINTERFACE=master,
            MEMTYPE=kind,
            SLAVEBUSINTERFACE=slave,
        )
