# The processing system of a Zynq UltraScale+ board that Vivado has board files for.

# Create it; returns where the design connects (see block_design).
proc winogen::processing_system {} {
  set ps zynq_ultra_ps_e_0
  set cell [create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e $ps]
  # DRAM, pins and PLLs as on the board; then the clock of the logic, the AXI ports (S_AXI_GP2 to 4
  # are the ports HP0 to 2) and the interrupt.
  apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e \
    -config {apply_board_preset "1"} $cell
  set_property -dict [list \
    CONFIG.PSU__FPGA_PL0_ENABLE 1 \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL [setting clock source] \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ [setting clock mhz] \
    CONFIG.PSU__USE__M_AXI_GP0 1 \
    CONFIG.PSU__MAXIGP0__DATA_WIDTH 32 \
    CONFIG.PSU__USE__M_AXI_GP1 0 \
    CONFIG.PSU__USE__M_AXI_GP2 0 \
    CONFIG.PSU__USE__S_AXI_GP2 1 \
    CONFIG.PSU__USE__S_AXI_GP3 1 \
    CONFIG.PSU__USE__S_AXI_GP4 1 \
    CONFIG.PSU__SAXIGP2__DATA_WIDTH 64 \
    CONFIG.PSU__SAXIGP3__DATA_WIDTH 64 \
    CONFIG.PSU__SAXIGP4__DATA_WIDTH 64 \
    CONFIG.PSU__USE__IRQ0 1 \
  ] $cell
  check_clock [get_property CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ $cell]

  # The low DRAM is the accelerator's; nothing else behind the ports is (OCM, flash, PCIe).
  set segments [list $ps/SAXIGP2/HP0_DDR_LOW $ps/SAXIGP3/HP1_DDR_LOW $ps/SAXIGP4/HP2_DDR_LOW]
  set other {}
  foreach i {0 1 2} {
    set group $ps/SAXIGP[expr {$i + 2}]
    foreach name {DDR_HIGH LPS_OCM QSPI PCIE_LOW PCIE_HIGH1 PCIE_HIGH2} {
      if {[get_bd_addr_segs -quiet $group/HP${i}_$name] ne ""} {
        lappend other [list $i $group/HP${i}_$name]
      }
    }
  }
  return [dict create \
    clock $ps/pl_clk0 \
    reset $ps/pl_resetn0 \
    interrupt $ps/pl_ps_irq0 \
    registers $ps/M_AXI_HPM0_FPD \
    space $ps/Data \
    memory [list $ps/S_AXI_HP0_FPD $ps/S_AXI_HP1_FPD $ps/S_AXI_HP2_FPD] \
    clocked [list $ps/maxihpm0_fpd_aclk $ps/saxihp0_fpd_aclk $ps/saxihp1_fpd_aclk \
      $ps/saxihp2_fpd_aclk] \
    segments $segments \
    other_segments $other]
}
