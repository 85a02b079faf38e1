"""The .hwh of an accelerator in the forms in which Vivado 2020 to 2024 writes it.

Made of winogen's own, and changed as those differ from it that Vivado wrote for overlays of PYNQ
(2020.2.2 and 2022.1 were looked at): attributes that nobody asks for, others' order and names,
``SIGIS="undef"`` on the pin of an interrupt controller, segments of the processing system's memory
in place of one block, a byte-order mark, and no word of UltraScale+.
"""

from __future__ import annotations

from xml.etree import ElementTree

from winogen.target.clock import PlClock
from winogen.target.hwh import INTC_NAME, IP_NAME, hwh_text

VERSIONS = ("2020.2.2", "2021.2", "2022.1", "2023.2", "2024.1")
PS = "processing_system7_0"
WRITTEN = "Sat Oct 22 00:35:56 2026"


def vivado_hwh(
    parameters: dict[str, str | int],
    clock: PlClock,
    ddr_bytes: int,
    version: str = "2022.1",
    *,
    for_pynq4: bool = True,
) -> bytes:
    """The file, of ``version``.

    ``for_pynq4`` leaves the one parameter of UltraScale+ in which pynq 4, which has dropped the
    Zynq-7000, looks for its clock.
    """
    root = ElementTree.fromstring(hwh_text(parameters, clock, ddr_bytes))
    year = int(version[:4])
    root.attrib = {"EDWVERSION": "1.2", "TIMESTAMP": WRITTEN, "VIVADOVERSION": version}
    info = root.find("SYSTEMINFO")
    info.set("SPEEDGRADE", "-1")
    if year < 2022:
        info.set("BOARD", "tul.com.tw:pynq-z2:part0:1.0")
    modules = root.find("MODULES")
    for module in modules:
        _module(module, year)
    # Alphabetical by nothing that one could rely on; and a bus in between that is no endpoint.
    modules[:] = [_interconnect(), *reversed(modules)]
    if not for_pynq4:
        for parameter in list(root.iter("PARAMETERS")):
            parameter[:] = [p for p in parameter if not p.get("NAME").startswith("PSU_")]
    text = ElementTree.tostring(root, encoding="unicode")
    head = '<?xml version="1.0" encoding="UTF-8" standalone="no" ?>\n'
    mark = b"\xef\xbb\xbf" if year >= 2022 else b""
    return mark + head.encode() + text.encode()


def _module(module: ElementTree.Element, year: int) -> None:
    name = module.get("INSTANCE")
    module.set("COREREVISION", "17")
    module.insert(0, ElementTree.Element("DOCUMENTS"))
    if name == INTC_NAME:
        module.set("MODCLASS", "INTERRUPT_CNTLR")
    if name == PS:
        del module.attrib["MODCLASS"]
        module.set("CONFIGURABLE", "TRUE")
        parameters = module.find("PARAMETERS")
        for i in range(4):  # those of ports that are off too
            _parameter(parameters, f"C_S_AXI_HP{i}_DATA_WIDTH", "64")
            _parameter(parameters, f"PCW_S_AXI_HP{i}_DATA_WIDTH", "64")
    for parameters in module.findall("PARAMETERS"):
        parameters[:] = sorted(parameters, key=lambda p: p.get("NAME")[::-1])
    for port in module.iter("PORT"):
        if name == PS:
            port.attrib |= {"LEFT": "0", "RIGHT": "0"}
        if port.get("NAME") == "irq":
            port.set("SIGIS", "undef")
        else:
            port.set("SENSITIVITY", "LEVEL_HIGH")
    for bus in module.iter("BUSINTERFACE"):
        bus.attrib |= {"BUSNAME": f"{name}_{bus.get('NAME')}", "DATAWIDTH": "64"}
        if year >= 2023:
            bus.set("TYPE", {"MASTER": "INITIATOR", "SLAVE": "TARGET"}[bus.get("TYPE")])
    for memory in module.iter("MEMRANGE"):
        memory.attrib |= {
            "BASENAME": "C_BASEADDR",
            "HIGHNAME": "C_HIGHADDR",
            "IS_DATA": "TRUE",
            "IS_INSTRUCTION": "TRUE",
        }
        if memory.get("MEMTYPE") == "MEMORY":
            memory.set("ADDRESSBLOCK", f"{memory.get('SLAVEBUSINTERFACE')[6:]}_DDR_LOWOCM")


def _parameter(parent: ElementTree.Element, name: str, value: str) -> None:
    for found in parent:
        if found.get("NAME") == name:
            found.set("VALUE", value)
            return
    ElementTree.SubElement(parent, "PARAMETER", NAME=name, VALUE=value)


def _interconnect() -> ElementTree.Element:
    module = ElementTree.Element(
        "MODULE",
        COREREVISION="23",
        FULLNAME="/axi_interconnect_0",
        HWVERSION="2.1",
        INSTANCE="axi_interconnect_0",
        IPTYPE="BUS",
        IS_ENABLE="1",
        MODCLASS="BUS",
        MODTYPE="axi_interconnect",
        VLNV="xilinx.com:ip:axi_interconnect:2.1",
    )
    for part in ("DOCUMENTS", "PARAMETERS", "PORTS", "BUSINTERFACES"):
        ElementTree.SubElement(module, part)
    _parameter(module.find("PARAMETERS"), "NUM_SI", "1")
    return module


def edited(hwh: bytes, **changes: str) -> bytes:
    """The file with the value of parameters changed, by name."""
    root = _parsed(hwh)
    for parameter in root.iter("PARAMETER"):
        parameter.set("VALUE", changes.get(parameter.get("NAME"), parameter.get("VALUE")))
    return _written(root)


def reaching(hwh: bytes, last: int) -> bytes:
    """The file of a design whose ports end at ``last``."""
    root = _parsed(hwh)
    for memory in root.iter("MEMRANGE"):
        if memory.get("MEMTYPE") == "MEMORY":
            memory.set("HIGHVALUE", f"0x{last:08X}")
    return _written(root)


def without_interrupt(hwh: bytes) -> bytes:
    """The file of a design whose accelerator's interrupt leads nowhere."""
    root = _parsed(hwh)
    for module in root.iter("MODULE"):
        for connections in module.iter("CONNECTIONS"):
            for end in list(connections):
                if IP_NAME in (module.get("INSTANCE"), end.get("INSTANCE")):
                    connections.remove(end)
    return _written(root)


def _parsed(hwh: bytes) -> ElementTree.Element:
    text = hwh.decode("utf-8-sig")
    return ElementTree.fromstring(text[text.index("?>") + 2 :])


def _written(root: ElementTree.Element) -> bytes:
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
