# The block design around any processing system: one clock, one reset, the core's registers and the
# interrupt controller on the processor's port, the core's masters on a memory port each. The IP has
# none for read ports that the build does not have.

# Build the design and its wrapper in the current project. The script of the processor gives
# processing_system, which creates that cell and returns a dict of names:
#   clock, reset, interrupt   its pins
#   registers, space          its master interface for registers, and that one's address space
#   memory                    its slave interfaces that reach memory, for the masters in their order
#   clocked                   the clock inputs of all these interfaces
#   segments                  the memory behind each slave interface
#   other_segments            what else is there: {number of the interface, segment} each
proc winogen::block_design {} {
  create_bd_design system
  set ps [processing_system]
  set core [setting core name]
  set intc [setting interrupt_controller name]

  create_bd_cell -type ip -vlnv [setting core vlnv] $core
  dict for {name value} [setting parameters] {
    set_property CONFIG.$name $value [get_bd_cells $core]
  }
  # pynq.Interrupt waits for lines of such a controller, and for no other.
  create_bd_cell -type ip -vlnv xilinx.com:ip:axi_intc $intc
  set_property CONFIG.C_IRQ_CONNECTION 1 [get_bd_cells $intc]  ;# one wire, no bus
  connect $core/interrupt $intc/intr
  connect $intc/irq [dict get $ps interrupt]

  create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset_0
  connect [dict get $ps reset] reset_0/ext_reset_in
  connect [dict get $ps clock] reset_0/slowest_sync_clk $core/aclk $intc/s_axi_aclk \
    {*}[dict get $ps clocked]
  connect reset_0/peripheral_aresetn $core/aresetn $intc/s_axi_aresetn

  set clock [dict get $ps clock]
  interconnect registers $clock [dict get $ps registers] [list $core/s_axi $intc/s_axi]
  set i 0
  foreach port [dict get $ps memory] {
    interconnect memory_$i $clock $core/m_axi_$i [list $port]
    incr i
  }
  assign_addresses $ps
  validate_bd_design
  save_bd_design
  make_wrapper -files [get_files system.bd] -top -import
  set_property top system_wrapper [current_fileset]
  generate_target all [get_files system.bd]
}

# Give the design another clock, which is a setting by now, and write its files anew.
proc winogen::change_clock {} {
  open_bd_design [get_files system.bd]
  set_clock
  validate_bd_design
  save_bd_design
  generate_target all [get_files system.bd]
}

# Connect an output to inputs.
proc winogen::connect {source args} {
  foreach sink $args {
    connect_bd_net [get_bd_pins $source] [get_bd_pins $sink]
  }
}

# Connect a master to slaves, with a register slice on every channel at both ends: a processing
# system's port alone, unregistered, takes most of a clock cycle. Widths and protocols (AXI4, AXI3
# on a Zynq-7000, AXI4-Lite) are converted inside.
proc winogen::interconnect {name clock master slaves} {
  set count [llength $slaves]
  set cell [create_bd_cell -type ip -vlnv xilinx.com:ip:axi_interconnect $name]
  set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI $count] $cell
  set ends S00
  for {set i 0} {$i < $count} {incr i} {
    lappend ends [format M%02d $i]
  }
  connect $clock $name/ACLK
  connect reset_0/interconnect_aresetn $name/ARESETN
  foreach end $ends {
    set_property CONFIG.${end}_HAS_REGSLICE 4 $cell  ;# outside, and inside where Vivado wants it
    connect $clock $name/${end}_ACLK
    connect reset_0/peripheral_aresetn $name/${end}_ARESETN
  }
  connect_bd_intf_net [get_bd_intf_pins $master] [get_bd_intf_pins $name/S00_AXI]
  foreach end [lrange $ends 1 end] slave $slaves {
    connect_bd_intf_net [get_bd_intf_pins $name/${end}_AXI] [get_bd_intf_pins $slave]
  }
}

# Registers where pynq's .hwh will say, DRAM from bus address 0 for every master of the core.
proc winogen::assign_addresses {ps} {
  set core [setting core name]
  set intc [setting interrupt_controller name]
  assign [dict get $ps space] $core/s_axi/reg0 [setting core base] [setting core range]
  assign [dict get $ps space] $intc/S_AXI/Reg \
    [setting interrupt_controller base] [setting interrupt_controller range]
  set i 0
  foreach segment [dict get $ps segments] {
    assign $core/m_axi_$i $segment 0x00000000 [setting ddr range]
    incr i
  }
  foreach other [dict get $ps other_segments] {
    lassign $other i segment
    exclude_bd_addr_seg -target_address_space [get_bd_addr_spaces $core/m_axi_$i] \
      [get_bd_addr_segs $segment]
  }
}

proc winogen::assign {space segment offset range} {
  assign_bd_address -offset $offset -range $range \
    -target_address_space [get_bd_addr_spaces $space] [get_bd_addr_segs $segment] -force
}

# Fail if the processing system does not make the wanted clock.
proc winogen::check_clock {actual} {
  set wanted [setting clock mhz]
  if {abs($actual - $wanted) > 0.001 * $wanted} {
    error "the processing system would clock the logic at $actual MHz instead of $wanted MHz:\
      correct clock_mhz, clock_source or source_mhz in the board file"
  }
}
