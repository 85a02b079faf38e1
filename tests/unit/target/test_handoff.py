"""What is read of a .hwh."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from winogen.target.board import load_board
from winogen.target.clock import PlClock
from winogen.target.handoff import Handoff, MemoryPort, read_handoff
from winogen.target.hwh import IP_BASE, core_parameters, hwh_text

#: As Vivado writes it: attributes that nobody asks for, and the base under other names too.
VIVADO = """<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<EDKSYSTEM EDWVERSION="1.2" TIMESTAMP="Tue Nov  3 10:11:12 2026" VIVADOVERSION="2022.1">
  <SYSTEMINFO ARCH="zynquplus" DEVICE="xczu7ev" NAME="winogen" PACKAGE="ffvc1156"/>
  <MODULES>
    <MODULE FULLNAME="/winogen_0" INSTANCE="winogen_0" VLNV="winogen.org:user:winogen:1.7">
      <MEMORYMAP>
        <MEMRANGE ADDRESSBLOCK="HP0_DDR_LOW" BASEVALUE="0x00000000" HIGHVALUE="0x7FFFFFFF"
          INSTANCE="ps" MASTERBUSINTERFACE="m_axi_0" MEMTYPE="MEMORY"
          SLAVEBUSINTERFACE="S_AXI_HP0_FPD"/>
      </MEMORYMAP>
    </MODULE>
    <MODULE FULLNAME="/ps" INSTANCE="ps" VLNV="xilinx.com:ip:zynq_ultra_ps_e:3.4">
      <PARAMETERS>
        <PARAMETER NAME="PSU__CRL_APB__PL0_REF_CTRL__SRCSEL" VALUE="IOPLL"/>
        <PARAMETER NAME="C_SAXIGP2_DATA_WIDTH" VALUE="64"/>
        <PARAMETER NAME="PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ" VALUE="214.283569"/>
      </PARAMETERS>
      <MEMORYMAP>
        <MEMRANGE ADDRESSBLOCK="reg0" BASENAME="C_BASEADDR" BASEVALUE="0xA0000000"
          HIGHNAME="C_HIGHADDR" HIGHVALUE="0xA0000FFF" INSTANCE="winogen_0" IS_DATA="TRUE"
          MASTERBUSINTERFACE="M_AXI_HPM0_FPD" MEMTYPE="REGISTER" SLAVEBUSINTERFACE="s_axi"/>
      </MEMORYMAP>
    </MODULE>
  </MODULES>
</EDKSYSTEM>
"""


def written(folder: Path, text: str) -> Path:
    (folder / "x.hwh").write_text(text)
    return folder / "x.bit"


def test_of_a_zynq_7000(tmp_path):
    text = hwh_text(core_parameters(load_board("pynq-z2").core), PlClock(7, 1, "DDR PLL"), 1 << 29)
    ports = tuple(MemoryPort(f"m_axi_{i}", f"S_AXI_HP{i}", 0, (1 << 29) - 1, 64) for i in range(3))
    expected = Handoff(
        "zynq7", IP_BASE, "DDR PLL", 150.0, ports, "7z020clg400", "none: emulated by winogen"
    )
    assert read_handoff(written(tmp_path, text)) == expected


def test_of_a_zynq_ultrascale(tmp_path):
    ports = (MemoryPort("m_axi_0", "S_AXI_HP0_FPD", 0, 0x7FFF_FFFF, 64),)
    written_at = datetime(2026, 11, 3, 10, 11, 12)
    expected = Handoff(
        "zynqmp", 0xA000_0000, "IOPLL", 214.283569, ports, "xczu7evffvc1156", "2022.1", written_at
    )
    assert read_handoff(written(tmp_path, VIVADO)) == expected


@pytest.mark.parametrize(
    "old, new",
    [
        ("winogen.org:user:winogen", "xilinx.com:ip:axi_dma"),
        ('MEMTYPE="REGISTER"', 'MEMTYPE="MEMORY"'),
        ('INSTANCE="winogen_0" IS', 'INSTANCE="axi_dma_0" IS'),
        ("</MODULES>", '<MODULE INSTANCE="x" VLNV="winogen.org:user:winogen:1.0"/></MODULES>'),
    ],
)
def test_without_one_accelerator_there_is_no_address(old, new, tmp_path):
    assert old in VIVADO
    found = read_handoff(written(tmp_path, VIVADO.replace(old, new)))
    assert found is not None
    assert found.accelerator is None


@pytest.mark.parametrize("text", ["", "<EDKSYSTEM>", re.sub("0xA0000000", "there", VIVADO),
                                  VIVADO.replace("214.28", "fast"),
                                  VIVADO.replace("0x7FFFFFFF", "all")])  # fmt: skip
def test_what_is_damaged_says_nothing(text, tmp_path):
    assert read_handoff(written(tmp_path, text)) is None
    assert read_handoff(tmp_path / "missing.bit") is None


def test_a_file_that_changes_is_read_again(tmp_path):
    path = written(tmp_path, VIVADO)
    assert read_handoff(path).clock_mhz == 214.283569
    written(tmp_path, VIVADO.replace("214.283569", "187.5"))
    assert read_handoff(path).clock_mhz == 187.5
