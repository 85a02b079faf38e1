# The processing system of a Zynq UltraScale+ board that Vivado has board files for.

# Create it; returns where the design connects (see block_design).
proc winogen::processing_system {} {
  set ps zynq_ultra_ps_e_0
  set cell [create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e $ps]
  # DRAM, pins and PLLs as on the board; then the clock of the logic, the AXI ports (S_AXI_GP0 to 5
  # are the ports HPC0, HPC1 and HP0 to 3) and the interrupt.
  apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e \
    -config {apply_board_preset "1"} $cell
  set_property -dict [list \
    CONFIG.PSU__FPGA_PL0_ENABLE 1 \
    CONFIG.PSU__USE__M_AXI_GP0 1 \
    CONFIG.PSU__MAXIGP0__DATA_WIDTH 32 \
    CONFIG.PSU__USE__M_AXI_GP1 0 \
    CONFIG.PSU__USE__M_AXI_GP2 0 \
    CONFIG.PSU__USE__IRQ0 1 \
  ] $cell
  # One port for each master; which ones, and why, is in winogen.target.ports. The board's preset may
  # have switched others on.
  set numbers {HPC0 0 HPC1 1 HP0 2 HP1 3 HP2 4 HP3 5}
  dict for {port gp} $numbers {
    set used [expr {$port in [setting memory_ports]}]
    set_property CONFIG.PSU__USE__S_AXI_GP$gp $used $cell
    if {$used} { set_property CONFIG.PSU__SAXIGP${gp}__DATA_WIDTH 64 $cell }
  }
  set_clock

  # The low DRAM is the accelerator's; nothing else behind the ports is (OCM, flash, PCIe).
  set memory {}
  set clocks $ps/maxihpm0_fpd_aclk
  set segments {}
  set other {}
  set i 0
  foreach port [setting memory_ports] {
    set group $ps/SAXIGP[dict get $numbers $port]
    lappend memory $ps/S_AXI_${port}_FPD
    lappend clocks $ps/saxi[string tolower $port]_fpd_aclk
    lappend segments $group/${port}_DDR_LOW
    foreach name {DDR_HIGH LPS_OCM QSPI PCIE_LOW PCIE_HIGH1 PCIE_HIGH2} {
      if {[get_bd_addr_segs -quiet $group/${port}_$name] ne ""} {
        lappend other [list $i $group/${port}_$name]
      }
    }
    incr i
  }
  return [dict create \
    clock $ps/pl_clk0 \
    reset $ps/pl_resetn0 \
    interrupt $ps/pl_ps_irq0 \
    registers $ps/M_AXI_HPM0_FPD \
    space $ps/Data \
    memory $memory \
    clocked $clocks \
    segments $segments \
    other_segments $other]
}

# The clock of the logic as the settings have it.
proc winogen::set_clock {} {
  set cell [get_bd_cells zynq_ultra_ps_e_0]
  set_property -dict [list \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL [setting clock source] \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ [setting clock mhz] \
  ] $cell
  check_clock [get_property CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ $cell]
}
