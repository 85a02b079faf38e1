# The processing system of a Zynq-7000 board without board files (PYNQ-Z1, PYNQ-Z2).
#
# The board's boot image has set up the DRAM, the processors' clocks and the pins long before an
# overlay is loaded. To an overlay matter the clock of the logic, the AXI ports and the interrupt
# alone; the rest says what the board is, so that Vivado computes the clocks from the right PLLs
# and the DRAM has its size in the address map. The DDR PLL runs at twice the DRAM's 525 MHz: if the
# board file has it otherwise, check_clock says so.

# Create it; returns where the design connects (see block_design).
proc winogen::processing_system {} {
  set ps processing_system7_0
  set cell [create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7 $ps]
  set_property -dict [list \
    CONFIG.PCW_PRESET_BANK0_VOLTAGE {LVCMOS 3.3V} \
    CONFIG.PCW_PRESET_BANK1_VOLTAGE {LVCMOS 1.8V} \
    CONFIG.PCW_CRYSTAL_PERIPHERAL_FREQMHZ [setting clock crystal_mhz] \
    CONFIG.PCW_APU_PERIPHERAL_FREQMHZ 650 \
    CONFIG.PCW_UIPARAM_DDR_PARTNO [setting ddr part] \
    CONFIG.PCW_UIPARAM_DDR_BUS_WIDTH {16 Bit} \
    CONFIG.PCW_UIPARAM_DDR_FREQ_MHZ 525 \
    CONFIG.PCW_UART0_PERIPHERAL_ENABLE 1 \
    CONFIG.PCW_UART0_UART0_IO {MIO 14 .. 15} \
    CONFIG.PCW_ENET0_PERIPHERAL_ENABLE 1 \
    CONFIG.PCW_ENET0_ENET0_IO {MIO 16 .. 27} \
    CONFIG.PCW_ENET0_GRP_MDIO_ENABLE 1 \
    CONFIG.PCW_ENET0_GRP_MDIO_IO {MIO 52 .. 53} \
    CONFIG.PCW_ENET0_RESET_ENABLE 1 \
    CONFIG.PCW_ENET0_RESET_IO {MIO 9} \
    CONFIG.PCW_USB0_PERIPHERAL_ENABLE 1 \
    CONFIG.PCW_USB0_USB0_IO {MIO 28 .. 39} \
    CONFIG.PCW_USB0_RESET_ENABLE 1 \
    CONFIG.PCW_USB0_RESET_IO {MIO 46} \
    CONFIG.PCW_SD0_PERIPHERAL_ENABLE 1 \
    CONFIG.PCW_SD0_SD0_IO {MIO 40 .. 45} \
    CONFIG.PCW_SD0_GRP_CD_ENABLE 1 \
    CONFIG.PCW_SD0_GRP_CD_IO {MIO 47} \
  ] $cell
  set_property -dict [list \
    CONFIG.PCW_FPGA_FCLK0_ENABLE 1 \
    CONFIG.PCW_EN_CLK0_PORT 1 \
    CONFIG.PCW_EN_RST0_PORT 1 \
    CONFIG.PCW_USE_M_AXI_GP0 1 \
    CONFIG.PCW_USE_S_AXI_HP0 1 \
    CONFIG.PCW_USE_S_AXI_HP1 1 \
    CONFIG.PCW_USE_S_AXI_HP2 1 \
    CONFIG.PCW_S_AXI_HP0_DATA_WIDTH 64 \
    CONFIG.PCW_S_AXI_HP1_DATA_WIDTH 64 \
    CONFIG.PCW_S_AXI_HP2_DATA_WIDTH 64 \
    CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
    CONFIG.PCW_IRQ_F2P_INTR 1 \
  ] $cell
  set_clock

  foreach {port vlnv} {
    DDR xilinx.com:interface:ddrx_rtl:1.0
    FIXED_IO xilinx.com:display_processing_system7:fixedio_rtl:1.0
  } {
    create_bd_intf_port -mode Master -vlnv $vlnv $port
    connect_bd_intf_net [get_bd_intf_pins $ps/$port] [get_bd_intf_ports $port]
  }
  return [dict create \
    clock $ps/FCLK_CLK0 \
    reset $ps/FCLK_RESET0_N \
    interrupt $ps/IRQ_F2P \
    registers $ps/M_AXI_GP0 \
    space $ps/Data \
    memory [list $ps/S_AXI_HP0 $ps/S_AXI_HP1 $ps/S_AXI_HP2] \
    clocked [list $ps/M_AXI_GP0_ACLK $ps/S_AXI_HP0_ACLK $ps/S_AXI_HP1_ACLK $ps/S_AXI_HP2_ACLK] \
    segments [list $ps/S_AXI_HP0/HP0_DDR_LOWOCM $ps/S_AXI_HP1/HP1_DDR_LOWOCM \
      $ps/S_AXI_HP2/HP2_DDR_LOWOCM] \
    other_segments {}]
}

# The clock of the logic as the settings have it.
proc winogen::set_clock {} {
  set cell [get_bd_cells processing_system7_0]
  set_property -dict [list \
    CONFIG.PCW_FCLK0_PERIPHERAL_CLKSRC [setting clock source] \
    CONFIG.PCW_FCLK0_PERIPHERAL_DIVISOR0 [setting clock divisor0] \
    CONFIG.PCW_FCLK0_PERIPHERAL_DIVISOR1 [setting clock divisor1] \
    CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ [setting clock mhz] \
  ] $cell
  check_clock [get_property CONFIG.PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ $cell]
}
