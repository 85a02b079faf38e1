"""The ports to memory of a Zynq's processing system, and the registers that set their widths.

A port that is set to 32 bits gives a design with 64 garbage and no error. A Zynq-7000's are set by
what boots it, and by nobody else: 64 bits after a reset (UG585, appendix B, *AXI_HP Interface*:
``AFI_RDCHAN_CTRL`` and ``AFI_WRCHAN_CTRL``, bit ``n32BitEn``; Linux has a driver for the same,
``drivers/fpga/zynq-afi.c``). A Zynq UltraScale+'s are set by pynq when it loads an overlay
(``AFIFM_RDCTRL`` and ``AFIFM_WRCTRL``, field ``FABRIC_WIDTH``; UG1087).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: The ports, by processor, in the order of the accelerator's masters: of the first loads and the
#: stores, of the second loads, of the instructions, of the third and the fourth loads, which only a
#: build with four has. On a Zynq UltraScale+ HP1 and HP2 share a port of the DDR controller, HP0
#: shares one with DisplayPort, HP3 one with the DMA controller of the full-power domain, and HPC0
#: reaches it through the cache-coherent interconnect (UG1085, PL-PS Interface Specifics). So of
#: three masters no two meet, of five the fourth loads share with the first; and next to a screen's
#: traffic are the instructions alone. A Zynq-7000 has four such ports, of which loads take two.
MEMORY_PORTS = {
    "zynq7": ("HP0", "HP1", "HP2"),
    "zynqmp": ("HP1", "HP3", "HP0", "HPC0", "HP2"),
}
#: Bytes of registers of a port.
PORT_SIZE = 0x1000
#: Of the registers of the widths, the same in both families.
READ_OFFSET = 0x00
WRITE_OFFSET = 0x14


def masters(read_ports: int) -> int:
    """How many masters an accelerator with so many read ports has on memory."""
    return 5 if read_ports > 2 else 3


@dataclass(frozen=True)
class PortRegisters:
    """Where a port's width is set.

    Attributes
    ----------
    base : bus address of the port's registers
    parameter : of the processing system in a .hwh, the width that the design wants
    mask : bits of the width, in a register for reads and in one for writes
    widths : what those bits say, in bits of data
    """

    base: int
    parameter: str
    mask: int
    widths: Mapping[int, int]

    def width(self, word: int) -> int:
        """The width, in bits, that a register says; 0 for none."""
        return self.widths.get(word & self.mask, 0)


_ZYNQ7_WIDTHS = {0: 64, 1: 32}
_ZYNQMP_WIDTHS = {0: 128, 1: 64, 2: 32}

#: By processor, as board files name it, then by the name of the port in a .hwh.
PORT_REGISTERS: dict[str, dict[str, PortRegisters]] = {
    "zynq7": {
        f"S_AXI_HP{i}": PortRegisters(
            0xF800_8000 + 0x1000 * i, f"C_S_AXI_HP{i}_DATA_WIDTH", 0x1, _ZYNQ7_WIDTHS
        )
        for i in range(4)
    },
    "zynqmp": {
        name: PortRegisters(
            0xFD36_0000 + 0x1_0000 * i, f"C_SAXIGP{i}_DATA_WIDTH", 0x3, _ZYNQMP_WIDTHS
        )
        for i, name in enumerate(
            ["S_AXI_HPC0_FPD", "S_AXI_HPC1_FPD", *(f"S_AXI_HP{n}_FPD" for n in range(4))]
        )
    },
}
