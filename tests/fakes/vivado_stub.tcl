# Stands in for Vivado where there is none: `tclsh vivado_stub.tcl VIVADO-OPTIONS` runs a script as
# `vivado VIVADO-OPTIONS` would, with commands that model projects, IP packaging and block designs
# and refuse what Vivado would refuse. A command or an option that it does not know is an error.
#
# Facts about AMD's IPs (pins, parameters, address segments) are written down here once more, from
# their product guides, and not taken from the scripts under test.
#
# Environment: STUB_VERSION (2022.1), STUB_REACHES (the clock that the logic would meet, MHz, 1000),
# STUB_HOLD (hold slack, ns, 0.023), STUB_BOARDS (installed board parts),
# STUB_NETLIST (what is wrong with the synthesised netlist: words of stub::primitives),
# STUB_RECORD (file for the finished design, a Tcl list a line). It writes no bitstream.

namespace eval stub {
  variable project {}         ;# name, folder, part, board_part; empty: none is open
  variable sources {}         ;# files of the open project
  variable top ""
  variable repositories {}
  variable catalogue {}       ;# packaged IPs: VLNV -> folder, ports, parameters, registers, ...
  variable visible {}         ;# those that update_ip_catalog has found
  variable core {}            ;# the IP being packaged
  variable design ""
  variable state ""           ;# of the design: "", validated, saved, wrapped, generated
  variable cells {}           ;# name -> {vlnv config preset}
  variable ports {}           ;# external interfaces: name -> {mode vlnv}
  variable nets {}            ;# input pin -> output pin
  variable links {}           ;# interface -> interface, both ways
  variable assigned {}        ;# {space segment} -> {offset range}
  variable excluded {}        ;# {space segment} -> 1
  variable runs {synth_1 0 impl_1 0}
  variable opened ""
  variable synthesised {}     ;# run of a cell -> the clock that it was constrained with, MHz
  variable wrapped 0          ;# the design has its wrapper
  variable reached 0          ;# the clock that the open run was constrained with, MHz

  proc environment {name default} {
    expr {[info exists ::env($name)] ? $::env($name) : $default}
  }

  # Options of a command: `flags` take no value, `options` one; they go to the caller's dictionary
  # `found`, and what else there is to its variables `names`.
  proc parse {words flags options names} {
    upvar 1 found found
    set found {}
    set positional {}
    set command [lindex [info level -1] 0]
    for {set i 0} {$i < [llength $words]} {incr i} {
      set word [lindex $words $i]
      if {$word in $flags} {
        dict set found $word 1
      } elseif {$word in $options} {
        dict set found $word [lindex $words [incr i]]
      } elseif {[regexp {^-[a-z]} $word]} {
        error "unknown option '$word' of $command"
      } else {
        lappend positional $word
      }
    }
    need {[llength $positional] == [llength $names]} "$command: wrong number of arguments: $words"
    foreach name $names value $positional { uplevel 1 [list set $name $value] }
  }

  proc need {condition message} {
    if {![uplevel 1 [list expr $condition]]} { error $message }
  }

  # An object is KIND:NAME; a command takes some kinds only.
  proc name {object args} {
    need {[regexp {^([a-z]+):(.*)$} $object - kind name]} "'$object' is no object"
    need {$kind in $args} "'$object' is no $args"
    return $name
  }

  proc changed {} {
    variable state ""
  }
}

# -- The catalogue --------------------------------------------------------------------------------

# Parameters that an IP has and the values that they take, as regular expressions.
set stub::bit {^[01]$}
set stub::number {^[0-9.]+$}
set stub::mio {^MIO \d+( \.\. \d+)?$}
set stub::known [dict create \
  processing_system7 [list \
    {PCW_PRESET_BANK[01]_VOLTAGE} {^LVCMOS (1\.8|2\.5|3\.3)V$} \
    {PCW_(CRYSTAL|APU|FPGA[0-3])_PERIPHERAL_FREQMHZ} $stub::number \
    {PCW_UIPARAM_DDR_PARTNO} {^MT41[JK](64M16|128M16|256M16|256M8|512M8)} \
    {PCW_UIPARAM_DDR_BUS_WIDTH} {^(16|32) Bit$} \
    {PCW_UIPARAM_DDR_FREQ_MHZ} $stub::number \
    {PCW_(UART|ENET|USB|SD|I2C|SPI|CAN|TTC)[01]_PERIPHERAL_ENABLE} $stub::bit \
    {PCW_QSPI_PERIPHERAL_ENABLE} $stub::bit \
    {PCW_UART0_UART0_IO} $stub::mio {PCW_ENET0_ENET0_IO} $stub::mio \
    {PCW_USB0_USB0_IO} $stub::mio {PCW_SD0_SD0_IO} $stub::mio \
    {PCW_(ENET0|USB0)_RESET_ENABLE} $stub::bit {PCW_(ENET0|USB0)_RESET_IO} $stub::mio \
    {PCW_(ENET0_GRP_MDIO|SD0_GRP_CD)_ENABLE} $stub::bit \
    {PCW_(ENET0_GRP_MDIO|SD0_GRP_CD)_IO} $stub::mio \
    {PCW_FPGA_FCLK[0-3]_ENABLE} $stub::bit {PCW_EN_(CLK|RST)[0-3]_PORT} $stub::bit \
    {PCW_FCLK[0-3]_PERIPHERAL_CLKSRC} {^(ARM|DDR|IO) PLL$} \
    {PCW_FCLK[0-3]_PERIPHERAL_DIVISOR[01]} {^([1-9]|[1-5]\d|6[0-3])$} \
    {PCW_USE_(M_AXI_GP[01]|S_AXI_GP[01]|S_AXI_HP[0-3]|S_AXI_ACP)} $stub::bit \
    {PCW_S_AXI_HP[0-3]_DATA_WIDTH} {^(32|64)$} \
    {PCW_USE_FABRIC_INTERRUPT} $stub::bit {PCW_IRQ_F2P_INTR} $stub::bit] \
  zynq_ultra_ps_e [list \
    {PSU__FPGA_PL[0-3]_ENABLE} $stub::bit \
    {PSU__CRL_APB__PL[0-3]_REF_CTRL__SRCSEL} {^(IOPLL|RPLL|DPLL)$} \
    {PSU__CRL_APB__PL[0-3]_REF_CTRL__FREQMHZ} $stub::number \
    {PSU__USE__(M_AXI_GP[0-2]|S_AXI_GP[0-6]|IRQ[01])} $stub::bit \
    {PSU__[MS]AXIGP[0-6]__DATA_WIDTH} {^(32|64|128)$}] \
  axi_interconnect [list \
    {NUM_(SI|MI)} {^([1-9]|1[0-6])$} {[SM](0\d|1[0-5])_HAS_REGSLICE} {^[0134]$} \
    {[SM](0\d|1[0-5])_HAS_DATA_FIFO} {^[012]$} {STRATEGY} {^[012]$}] \
  axi_intc [list {C_IRQ_CONNECTION} $stub::bit {C_IRQ_IS_LEVEL} $stub::bit] \
  proc_sys_reset [list {C_EXT_RST_WIDTH} $stub::number {C_AUX_RST_WIDTH} $stub::number]]

set stub::defaults [dict create \
  processing_system7 {PCW_USE_M_AXI_GP0 1 PCW_EN_CLK0_PORT 1 PCW_EN_RST0_PORT 1
    PCW_FPGA_FCLK0_ENABLE 1 PCW_FCLK0_PERIPHERAL_CLKSRC {IO PLL} PCW_FPGA0_PERIPHERAL_FREQMHZ 50
    PCW_CRYSTAL_PERIPHERAL_FREQMHZ 33.333333 PCW_APU_PERIPHERAL_FREQMHZ 666.666666
    PCW_UIPARAM_DDR_FREQ_MHZ 533.333333 PCW_UIPARAM_DDR_BUS_WIDTH {32 Bit}
    PCW_UIPARAM_DDR_PARTNO {MT41J256M8 HX-15E}
    PCW_S_AXI_HP0_DATA_WIDTH 64 PCW_S_AXI_HP1_DATA_WIDTH 64 PCW_S_AXI_HP2_DATA_WIDTH 64} \
  zynq_ultra_ps_e {PSU__USE__M_AXI_GP0 0 PSU__USE__M_AXI_GP2 1 PSU__MAXIGP0__DATA_WIDTH 128
    PSU__SAXIGP2__DATA_WIDTH 128 PSU__SAXIGP3__DATA_WIDTH 128 PSU__SAXIGP4__DATA_WIDTH 128} \
  axi_interconnect {NUM_SI 1 NUM_MI 2} axi_intc {C_IRQ_CONNECTION 0} proc_sys_reset {}]

# The name of an IP in a VLNV.
proc stub::ip {vlnv} { lindex [split $vlnv :] 2 }

proc stub::config {cell name} {
  variable cells
  variable defaults
  if {[dict exists $cells $cell config $name]} { return [dict get $cells $cell config $name] }
  set ip [ip [dict get $cells $cell vlnv]]
  if {[dict exists $defaults $ip $name]} { return [dict get $defaults $ip $name] }
  return 0
}

# Pins and interfaces of a cell as it is configured now:
#   name -> pin I|O clk|rst|intr required|optional
#   name -> bus Master|Slave VLNV required|optional
proc stub::faces {cell} {
  variable cells
  variable catalogue
  set vlnv [dict get $cells $cell vlnv]
  set axi xilinx.com:interface:aximm_rtl:1.0
  set faces {}
  switch [ip $vlnv] {
    processing_system7 {
      dict set faces DDR [list bus Master xilinx.com:interface:ddrx_rtl:1.0 required]
      dict set faces FIXED_IO \
        [list bus Master xilinx.com:display_processing_system7:fixedio_rtl:1.0 required]
      if {[config $cell PCW_EN_CLK0_PORT] && [config $cell PCW_FPGA_FCLK0_ENABLE]} {
        dict set faces FCLK_CLK0 {pin O clk required}
      }
      if {[config $cell PCW_EN_RST0_PORT]} { dict set faces FCLK_RESET0_N {pin O rst required} }
      if {[config $cell PCW_USE_FABRIC_INTERRUPT] && [config $cell PCW_IRQ_F2P_INTR]} {
        dict set faces IRQ_F2P {pin I intr required}
      }
      if {[config $cell PCW_USB0_PERIPHERAL_ENABLE]} {
        dict set faces USBIND_0 \
          [list bus Master xilinx.com:display_processing_system7:usbctrl_rtl:1.0 optional]
      }
      foreach {port mode} {M_AXI_GP0 Master M_AXI_GP1 Master S_AXI_GP0 Slave S_AXI_GP1 Slave
          S_AXI_HP0 Slave S_AXI_HP1 Slave S_AXI_HP2 Slave S_AXI_HP3 Slave S_AXI_ACP Slave} {
        if {[config $cell PCW_USE_$port]} {
          dict set faces $port [list bus $mode $axi required]
          dict set faces ${port}_ACLK {pin I clk required}
        }
      }
    }
    zynq_ultra_ps_e {
      if {[config $cell PSU__FPGA_PL0_ENABLE]} {
        dict set faces pl_clk0 {pin O clk required}
        dict set faces pl_resetn0 {pin O rst required}
      }
      if {[config $cell PSU__USE__IRQ0]} { dict set faces pl_ps_irq0 {pin I intr required} }
      foreach {gp port mode clock} {
        M_AXI_GP0 M_AXI_HPM0_FPD Master maxihpm0_fpd_aclk
        M_AXI_GP1 M_AXI_HPM1_FPD Master maxihpm1_fpd_aclk
        M_AXI_GP2 M_AXI_HPM0_LPD Master maxihpm0_lpd_aclk
        S_AXI_GP0 S_AXI_HPC0_FPD Slave saxihpc0_fpd_aclk
        S_AXI_GP1 S_AXI_HPC1_FPD Slave saxihpc1_fpd_aclk
        S_AXI_GP2 S_AXI_HP0_FPD Slave saxihp0_fpd_aclk
        S_AXI_GP3 S_AXI_HP1_FPD Slave saxihp1_fpd_aclk
        S_AXI_GP4 S_AXI_HP2_FPD Slave saxihp2_fpd_aclk
        S_AXI_GP5 S_AXI_HP3_FPD Slave saxihp3_fpd_aclk
        S_AXI_GP6 S_AXI_LPD Slave saxi_lpd_aclk
      } {
        if {[config $cell PSU__USE__$gp]} {
          dict set faces $port [list bus $mode $axi required]
          dict set faces $clock {pin I clk required}
        }
      }
    }
    axi_interconnect {
      set ends {}
      foreach {count letter mode} {NUM_SI S Slave NUM_MI M Master} {
        for {set i 0} {$i < [config $cell $count]} {incr i} {
          set end [format %s%02d $letter $i]
          lappend ends ${end}_
          dict set faces ${end}_AXI [list bus $mode $axi required]
        }
      }
      foreach end [list "" {*}$ends] {
        dict set faces ${end}ACLK {pin I clk required}
        dict set faces ${end}ARESETN {pin I rst required}
      }
    }
    axi_intc {
      dict set faces s_axi [list bus Slave $axi required]
      dict set faces s_axi_aclk {pin I clk required}
      dict set faces s_axi_aresetn {pin I rst required}
      dict set faces intr {pin I intr required}
      if {[config $cell C_IRQ_CONNECTION]} {
        dict set faces irq {pin O intr required}
      } else {
        dict set faces interrupt [list bus Master xilinx.com:interface:mbinterrupt_rtl:1.0 required]
      }
    }
    proc_sys_reset {
      dict set faces slowest_sync_clk {pin I clk required}
      dict set faces ext_reset_in {pin I rst required}
      foreach pin {aux_reset_in mb_debug_sys_rst} { dict set faces $pin {pin I rst optional} }
      dict set faces dcm_locked {pin I data optional}
      foreach pin {mb_reset bus_struct_reset peripheral_reset interconnect_aresetn
          peripheral_aresetn} {
        dict set faces $pin {pin O rst optional}
      }
    }
    default { set faces [enabled $cell] }
  }
  return $faces
}

# Pins and interfaces of an IP that was packaged: those that a cell's parameters do not disable.
proc stub::enabled {cell} {
  variable cells
  variable catalogue
  set ip [dict get $catalogue [dict get $cells $cell vlnv]]
  set faces [dict get $ip faces]
  dict for {name condition} [dict get $ip enabled] {
    lassign $condition parameter least
    if {[config $cell $parameter] <= $least} { dict unset faces $name }
  }
  return $faces
}

# Address spaces of a cell: name -> {master interface, lowest address, highest address}.
proc stub::spaces {cell} {
  variable cells
  variable catalogue
  set vlnv [dict get $cells $cell vlnv]
  switch [ip $vlnv] {
    processing_system7 { return {Data {M_AXI_GP0 0x40000000 0x7FFFFFFF}} }
    zynq_ultra_ps_e { return {Data {M_AXI_HPM0_FPD 0xA0000000 0xAFFFFFFF}} }
    axi_interconnect - axi_intc - proc_sys_reset { return {} }
  }
  set spaces {}
  set last [expr {(1 << [config $cell ADDR_WIDTH]) - 1}]
  dict for {name face} [enabled $cell] {
    if {[lrange $face 0 1] eq {bus Master}} { dict set spaces $name [list $name 0 $last] }
  }
  return $spaces
}

# Address segments of a cell: name -> {slave interface, bytes, base or ""}.
proc stub::segments {cell} {
  variable cells
  variable catalogue
  set vlnv [dict get $cells $cell vlnv]
  set segments {}
  switch [ip $vlnv] {
    processing_system7 {
      # A 16-bit bus is one part of 16 bits, a 32-bit one two of them.
      regexp {^MT41[JK](\d+)M(\d+)} [config $cell PCW_UIPARAM_DDR_PARTNO] - words width
      set bus [lindex [config $cell PCW_UIPARAM_DDR_BUS_WIDTH] 0]
      set bytes [expr {($words << 20) * $bus / 8}]
      foreach i {0 1 2 3} {
        if {[config $cell PCW_USE_S_AXI_HP$i]} {
          dict set segments S_AXI_HP$i/HP${i}_DDR_LOWOCM [list S_AXI_HP$i $bytes 0]
        }
      }
    }
    zynq_ultra_ps_e {
      if {![dict get $cells $cell preset]} { return {} }  ;# without DRAM
      foreach {gp port} {0 HPC0 1 HPC1 2 HP0 3 HP1 4 HP2 5 HP3} {
        set group SAXIGP$gp
        if {![config $cell PSU__USE__S_AXI_GP$gp]} continue
        foreach {name bytes base} {
          DDR_LOW 0x80000000 0 DDR_HIGH 0x80000000 0x800000000 LPS_OCM 0x1000000 0xFF000000
          QSPI 0x20000000 0xC0000000
        } {
          dict set segments $group/${port}_$name [list S_AXI_${port}_FPD $bytes $base]
        }
      }
    }
    axi_intc { dict set segments S_AXI/Reg {s_axi 0x10000 {}} }
    axi_interconnect - proc_sys_reset {}
    default {
      dict set segments s_axi/reg0 [list s_axi [dict get $catalogue $vlnv range] {}]
    }
  }
  return $segments
}

# The frequency of the first clock of the logic that Vivado computes for a processing system, MHz.
proc stub::actual_frequency {cell} {
  variable cells
  if {[ip [dict get $cells $cell vlnv]] eq "processing_system7"} {
    set crystal [config $cell PCW_CRYSTAL_PERIPHERAL_FREQMHZ]
    set plls [dict create \
      "ARM PLL" [expr {2.0 * [config $cell PCW_APU_PERIPHERAL_FREQMHZ]}] \
      "DDR PLL" [expr {2.0 * [config $cell PCW_UIPARAM_DDR_FREQ_MHZ]}] \
      "IO PLL" [expr {round(1000 / $crystal) * $crystal}]]
    set source [dict get $plls [config $cell PCW_FCLK0_PERIPHERAL_CLKSRC]]
    set divisor [expr {round(double($source) / [config $cell PCW_FPGA0_PERIPHERAL_FREQMHZ])}]
    set given 1
    foreach i {0 1} {
      set given [expr {$given * max(1, [config $cell PCW_FCLK0_PERIPHERAL_DIVISOR$i])}]
    }
    need {$given in [list 1 $divisor]} "divisors that make $given contradict the $divisor needed"
  } else {
    set source [dict get {IOPLL 1499.985 RPLL 1066.656 DPLL 1066.656} \
      [config $cell PSU__CRL_APB__PL0_REF_CTRL__SRCSEL]]
    set divisor [expr {round($source / [config $cell PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ])}]
  }
  return [format %.6f [expr {double($source) / $divisor}]]
}

# -- Projects -------------------------------------------------------------------------------------

proc version {args} {
  stub::need {$args eq "-short"} "version: only -short is modelled"
  return [stub::environment STUB_VERSION 2022.1]
}

proc create_project {args} {
  stub::parse $args -force -part {name folder}
  stub::need {[dict get $found -part] in {xc7z020clg400-1 xczu7ev-ffvc1156-2-e
    xck26-sfvc784-2LV-c}} "part [dict get $found -part] is not installed"
  file mkdir $folder
  set stub::project [dict create name $name folder [file normalize $folder] \
    part [dict get $found -part] board_part ""]
  set stub::sources {}
  set stub::top ""
}

proc close_project {} {
  current_project
  set stub::project {}
}

proc current_project {} {
  stub::need {$::stub::project ne ""} "no project is open"
  return project:[dict get $stub::project name]
}

proc current_fileset {} {
  current_project
  return fileset:sources_1
}

proc get_board_parts {args} {
  stub::parse $args -quiet {} {pattern}
  set installed [stub::environment STUB_BOARDS {xilinx.com:zcu104:part0:1.0
    xilinx.com:zcu104:part0:1.1 xilinx.com:kv260_som:part0:1.4 xilinx.com:kv260_som:part0:1.3}]
  return [lsearch -all -inline $installed $pattern]
}

proc add_files {args} {
  stub::parse $args -norecurse {} {files}
  current_project
  foreach file $files {
    stub::need {[file isfile $file]} "file $file does not exist"
    lappend stub::sources $file
  }
}

proc update_compile_order {args} {
  stub::need {$args eq "-fileset sources_1"} "update_compile_order -fileset sources_1"
}

proc update_ip_catalog {} {
  current_project
  set stub::visible {}
  dict for {vlnv ip} $stub::catalogue {
    if {[dict get $ip folder] in $stub::repositories} { lappend stub::visible $vlnv }
  }
}

proc set_property {args} {
  if {[lindex $args 0] eq "-dict"} {
    lassign $args - values object
    stub::need {[llength $args] == 3} "set_property -dict VALUES OBJECT"
  } else {
    stub::need {[llength $args] == 3} "set_property NAME VALUE OBJECT"
    set values [lrange $args 0 1]
    set object [lindex $args 2]
  }
  stub::need {[regexp {^([a-z]+):} $object - kind]} "set_property: '$object' is no object"
  dict for {property value} $values {
    stub::set_$kind [string range $object [string length $kind:] end] $property $value
  }
}

proc get_property {property object} {
  regexp {^([a-z]+):(.*)$} $object - kind name
  switch -glob $kind,$property {
    project,DIRECTORY { return [dict get $stub::project folder] }
    run,DIRECTORY { return [dict get $stub::project folder]/$name }
    run,PROGRESS { return [dict get $stub::runs $name]% }
    leaf,NAME - net,NAME { return $name }
    leaf,* {
      stub::need {[dict exists [stub::primitives] $name $property]} "$name has no $property"
      return [dict get [stub::primitives] $name $property]
    }
    path,SLACK { return [stub::slack $name] }
    cell,CONFIG.PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ -
    cell,CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ {
      set ip [stub::ip [dict get $stub::cells $name vlnv]]
      stub::need {[string match *.PCW_* $property] == ($ip eq "processing_system7")} \
        "$ip has no $property"
      return [stub::actual_frequency $name]
    }
  }
  error "$kind '$name' has no property $property"
}

proc stub::set_project {name property value} {
  variable project
  variable repositories
  switch $property {
    board_part {
      need {$value in [get_board_parts *]} "board part '$value' is not installed"
      dict set project board_part $value
    }
    ip_repo_paths { set repositories $value }
    default { error "a project has no property $property" }
  }
}

proc stub::set_fileset {name property value} {
  variable state
  if {$property eq "include_dirs"} {
    foreach folder $value { need {[file isdirectory $folder]} "there is no folder $folder" }
    variable include $value
    return
  }
  need {$property eq "top"} "a fileset has no property $property"
  need {[string match *_wrapper $value] == ($state eq "wrapped")} "there is no module $value"
  variable top $value
}

proc stub::set_run {name property value} {
  need {$property eq "strategy" && $value in {Performance_Explore
    Performance_ExplorePostRoutePhysOpt Performance_ExtraTimingOpt}} "no strategy $value"
}

proc stub::set_cell {cell property value} {
  variable cells
  variable known
  variable catalogue
  variable visible
  changed
  set vlnv [dict get $cells $cell vlnv]
  need {[regexp {^CONFIG\.(\w+)$} $property - name]} "a cell has no property $property"
  if {$vlnv in $visible} {
    need {[dict exists $catalogue $vlnv parameters $name]} "$vlnv has no parameter $name"
    set pattern [expr {[dict get $catalogue $vlnv parameters $name] eq "integer" ? {^\d+$} \
      : {^0x[0-9a-fA-F]{8}$}}]
    need {[regexp $pattern $value]} "parameter $name cannot be '$value'"
    dict set cells $cell config $name $value
    return
  }
  foreach {parameter pattern} [dict get $known [ip $vlnv]] {
    if {[regexp ^(?:$parameter)\$ $name]} {
      need {[regexp $pattern $value]} "$name of $vlnv cannot be '$value'"
      dict set cells $cell config $name $value
      return
    }
  }
  error "$vlnv has no parameter $name"
}

# -- Packaging ------------------------------------------------------------------------------------

namespace eval ipx {}

proc ipx::package_project {args} {
  stub::parse $args -import_files {-root_dir -vendor -library -taxonomy -set_current} {}
  stub::need {[dict exists $found -import_files]} "package_project: without its sources"
  stub::need {$::stub::top ne ""} "the project has no top level"
  set file [lsearch -inline $stub::sources */$stub::top.v]
  stub::need {$file ne ""} "the top level $::stub::top is no Verilog file of the project"
  stub::need {[lsearch $::stub::sources */winogen_pkg.sv] >= 0} "the package is missing"
  stub::need {[file isfile [file join {*}$::stub::include wg_assert.svh]]} "nothing to include"
  stub::need {[lsearch $::stub::sources */wg_assert.svh] >= 0} "an included file is missing"
  set stub::core [dict create folder [file normalize [dict get $found -root_dir]] \
    vendor [dict get $found -vendor] library [dict get $found -library] name $stub::top \
    version 1.0 range "" steps {} registers {} associated {} enabled {} \
    {*}[stub::verilog $file]]
}

# Ports and parameters of a Verilog module, the ports grouped to AXI interfaces by their names.
proc stub::verilog {file} {
  set channel [open $file]
  set text [read $channel]
  close $channel
  set parameters {}
  foreach {- type name} [regexp -all -inline {parameter\s+(integer|\[31:0\])\s+(\w+)\s*=} $text] {
    dict set parameters $name [expr {$type eq "integer" ? "integer" : "vector"}]
  }
  set faces {}
  set buses {}
  set kind data
  foreach line [split $text \n] {
    if {[regexp {X_INTERFACE_INFO = "xilinx.com:signal:(clock|reset|interrupt):} $line - signal]} {
      set kind [dict get {clock clk reset rst interrupt intr} $signal]
    }
    if {![regexp {^\s*(input|output)\s+wire\s+(?:\[[^]]*\]\s+)?(\w+),?\s*$} $line - way port]} {
      continue
    }
    if {[regexp {^([sm]_axi(?:_\d)?)_([a-z]+)$} $port - bus signal]} {
      dict set buses $bus $signal $way
    } else {
      dict set faces $port [list pin [expr {$way eq "input" ? "I" : "O"}] $kind required]
    }
    set kind data
  }
  dict for {bus signals} $buses {
    dict set faces $bus [list bus [axi $bus $signals] xilinx.com:interface:aximm_rtl:1.0 required]
  }
  return [list faces $faces parameters $parameters \
    signals [dict map {bus signals} $buses { dict keys $signals }]]
}

# The mode of an AXI interface; an error unless its channels are whole.
proc stub::axi {bus signals} {
  set mode [expr {[string match m_* $bus] ? "Master" : "Slave"}]
  set extra [expr {$mode eq "Master" ? {len size burst lock cache qos} : {}}]
  set wanted {}
  set ways {forth {} back {}}
  foreach channel {ar aw} {
    if {$channel eq "aw" && ![dict exists $signals awaddr]} continue
    foreach signal [list addr prot valid {*}$extra] { lappend wanted $channel$signal forth }
    lappend wanted ${channel}ready back
  }
  lappend wanted rdata back rresp back rvalid back rready forth
  if {$mode eq "Master"} { lappend wanted rlast back }
  if {[dict exists $signals awaddr]} {
    lappend wanted wdata forth wstrb forth wvalid forth wready back bresp back bvalid back \
      bready forth
    if {$mode eq "Master"} { lappend wanted wlast forth }
  }
  foreach {signal way} $wanted {
    need {[dict exists $signals $signal]} "interface $bus has no signal $signal"
    set driven [expr {($way eq "forth") == ($mode eq "Master") ? "output" : "input"}]
    need {[dict get $signals $signal] eq $driven} "${bus}_$signal has the wrong direction"
  }
  need {[dict size $signals] == [llength $wanted] / 2} "interface $bus has unknown signals"
  return $mode
}

proc ipx::current_core {} {
  stub::need {$::stub::core ne ""} "no IP is being packaged"
  return core:[dict get $stub::core name]
}

proc ipx::get_bus_interfaces {args} {
  stub::parse $args -quiet -of_objects {name}
  stub::name [dict get $found -of_objects] core
  if {[dict exists $stub::core faces $name]
      && [lindex [dict get $stub::core faces $name] 0] eq "bus"} {
    return businterface:$name
  }
  stub::need {[dict exists $found -quiet]} "the IP has no bus interface $name"
}

proc ipx::get_ports {args} {
  stub::parse $args {} -of_objects {pattern}
  stub::name [dict get $found -of_objects] core
  set signals {}
  dict for {bus names} [dict get $stub::core signals] {
    foreach name $names {
      if {[string match $pattern ${bus}_$name]} { lappend signals port:${bus}_$name }
    }
  }
  return $signals
}

proc ipx::associate_bus_interfaces {args} {
  stub::parse $args {} {-busif -clock} {core}
  stub::name $core core
  set clock [dict get $found -clock]
  ipx::get_bus_interfaces [dict get $found -busif] -of_objects $core
  stub::need {[dict exists $::stub::core faces $clock]
    && [lrange [dict get $::stub::core faces $clock] 0 2] eq {pin I clk}} "$clock is no clock"
  dict set stub::core associated [dict get $found -busif] $clock
}

proc ipx::add_bus_parameter {parameter bus} {
  stub::name $bus businterface
  stub::need {$parameter in {MAX_BURST_LENGTH SUPPORTS_NARROW_BURST NUM_READ_OUTSTANDING
    NUM_WRITE_OUTSTANDING}} "aximm has no parameter $parameter"
  return busparameter:$parameter
}

proc ipx::get_memory_maps {args} {
  stub::parse $args {} -of_objects {name}
  stub::name [dict get $found -of_objects] core
  stub::need {$name eq "s_axi"} "the IP has no memory map $name"
  return map:$name
}

proc ipx::get_address_blocks {args} {
  stub::parse $args {} -of_objects {name}
  stub::name [dict get $found -of_objects] map
  stub::need {$name eq "reg0"} "the memory map has no address block $name"
  return block:$name
}

proc ipx::add_register {name block} {
  stub::name $block block
  stub::need {![dict exists $::stub::core registers $name]} "register $name is there already"
  dict set stub::core registers $name {fields {}}
  return register:$name
}

proc ipx::add_field {name register} {
  set register [stub::name $register register]
  stub::need {![dict exists $::stub::core registers $register fields $name]} "field $name twice"
  dict set stub::core registers $register fields $name {}
  return field:$register/$name
}

foreach step {create_xgui_files update_checksums check_integrity save_core} {
  proc ipx::$step {core} [string map [list STEP $step] {
    stub::name $core core
    dict set stub::core steps STEP 1
    if {"STEP" eq "save_core"} stub::save_core
  }]
}

proc stub::save_core {} {
  variable core
  foreach step {create_xgui_files update_checksums check_integrity} {
    need {[dict exists $core steps $step]} "the IP is saved before $step"
  }
  need {[dict get $core range] ne ""} "the registers have no address range"
  dict for {name face} [dict get $core faces] {
    need {[lindex $face 0] ne "bus" || [dict exists $core associated $name]} "$name has no clock"
  }
  dict for {name register} [dict get $core registers] {
    need {[dict exists $register address_offset] && [dict get $register size] == 32
      && [dict get $register address_offset] + 4 <= [dict get $core range]} "register $name"
    dict for {field bits} [dict get $register fields] {
      need {[dict get $bits bit_offset] + [dict get $bits bit_width] <= 32
        && [dict exists $bits access]} "field $name.$field"
    }
  }
  set vlnv [join [lmap key {vendor library name version} { dict get $core $key }] :]
  dict set ::stub::catalogue $vlnv $core
  set core {}
}

proc stub::set_core {name property value} {
  variable core
  need {$property in {name version display_name description core_revision}} \
    "an IP has no property $property"
  dict set core $property $value
}
proc stub::set_businterface {name property value} {
  variable core
  need {$property eq "enablement_dependency"} "a bus interface has no property $property"
  need {[regexp {^\$(\w+) > (\d+)$} $value - parameter least]
    && [dict exists $core parameters $parameter]} "no condition: $value"
  dict set core enabled $name [list $parameter $least]
}
proc stub::set_port {name property value} {
  need {$property eq "enablement_dependency"} "a port has no property $property"
}
proc stub::set_busparameter {name property value} {
  need {$property eq "value" && [string is integer -strict $value]} "$name: $property $value"
}
proc stub::set_block {name property value} {
  need {$property eq "range"} "an address block has no property $property"
  dict set ::stub::core range [expr {$value}]
}
proc stub::set_register {name property value} {
  need {$property in {address_offset size description}} "a register has no property $property"
  dict set ::stub::core registers $name $property $value
}
proc stub::set_field {name property value} {
  need {$property in {bit_offset bit_width access description}} "a field has no $property"
  need {$property ne "access" || $value in {read-only read-write write-only}} "access $value"
  lassign [split $name /] register field
  dict set ::stub::core registers $register fields $field $property $value
}

# -- Block design ---------------------------------------------------------------------------------

proc create_bd_design {name} {
  current_project
  set stub::design $name
}

proc create_bd_cell {args} {
  stub::parse $args {} {-type -vlnv} {name}
  stub::need {$::stub::design ne "" && [dict get $found -type] eq "ip"} "create_bd_cell: $args"
  set vlnv [dict get $found -vlnv]
  stub::need {![dict exists $::stub::cells $name]} "cell $name is there already"
  if {$vlnv ni $stub::visible} {
    stub::need {[regexp {^xilinx.com:ip:(\w+)$} $vlnv - ip]} \
      "IP $vlnv is not in the catalogue (AMD's are used without a version)"
    stub::need {[dict exists $::stub::known $ip]} "IP $vlnv is not in the catalogue"
  }
  dict set stub::cells $name [dict create vlnv $vlnv config {} preset 0]
  stub::changed
  return cell:$name
}

proc apply_bd_automation {args} {
  stub::parse $args {} {-rule -config} {cell}
  set cell [stub::name $cell cell]
  stub::need {[dict get $found -rule] eq "xilinx.com:bd_rule:zynq_ultra_ps_e"
    && [stub::ip [dict get $::stub::cells $cell vlnv]] eq "zynq_ultra_ps_e"} "rule for $cell"
  stub::need {[dict get $found -config] eq {apply_board_preset "1"}} "configuration of the rule"
  stub::need {[dict get $::stub::project board_part] ne ""} "the project has no board"
  dict set stub::cells $cell preset 1
  # The presets switch both full-power master ports on.
  dict set stub::cells $cell config [dict create PSU__USE__M_AXI_GP0 1 PSU__USE__M_AXI_GP1 1 \
    PSU__USE__M_AXI_GP2 0 PSU__USE__IRQ0 1 PSU__FPGA_PL0_ENABLE 1]
}

proc get_bd_cells {name} {
  stub::need {[dict exists $::stub::cells $name]} "there is no cell '$name'"
  return cell:$name
}

# The object CELL/NAME of a kind that `list` gives for the cell.
proc stub::find {path quiet list what} {
  variable cells
  set cell [lindex [split $path /] 0]
  set name [join [lrange [split $path /] 1 end] /]
  if {[dict exists $cells $cell] && [dict exists [$list $cell] $name]} { return 1 }
  need {$quiet} "there is no $what '$path'"
  return 0
}

proc stub::face {path kind} {
  lassign [split $path /] cell name
  find $path 0 faces $kind
  set face [dict get [faces $cell] $name]
  need {[lindex $face 0] eq $kind} "'$path' is no $kind"
  return $face
}

proc get_bd_pins {path} {
  stub::face $path pin
  return pin:$path
}
proc get_bd_intf_pins {path} {
  stub::face $path bus
  return bus:$path
}
proc get_bd_intf_ports {name} {
  stub::need {[dict exists $::stub::ports $name]} "there is no interface port '$name'"
  return port:$name
}
proc get_bd_addr_spaces {path} {
  stub::find $path 0 stub::spaces "address space"
  return space:$path
}
proc get_bd_addr_segs {args} {
  stub::parse $args -quiet {} {path}
  if {[stub::find $path [dict exists $found -quiet] stub::segments "address segment"]} {
    return segment:$path
  }
}

proc create_bd_intf_port {args} {
  stub::parse $args {} {-mode -vlnv} {name}
  dict set stub::ports $name [list [dict get $found -mode] [dict get $found -vlnv]]
  stub::changed
  return port:$name
}

proc connect_bd_net {args} {
  stub::need {[llength $args] == 2} "connect_bd_net: two pins"
  set drivers {}
  set sinks {}
  foreach pin $args {
    set path [stub::name $pin pin]
    lassign [stub::face $path pin] - way kind
    lappend kinds $kind
    if {$way eq "O"} { lappend drivers $path } else { lappend sinks $path }
  }
  stub::need {[llength $drivers] == 1} "a net needs one driver: $args"
  stub::need {[lindex $kinds 0] eq [lindex $kinds 1]} "$args are of different kinds: $kinds"
  stub::need {![dict exists $::stub::nets $sinks]} "pin $sinks is connected already"
  dict set stub::nets $sinks $drivers
  stub::changed
}

proc connect_bd_intf_net {args} {
  stub::need {[llength $args] == 2} "connect_bd_intf_net: two interfaces"
  set ends {}
  foreach end $args {
    set path [stub::name $end bus port]
    stub::need {![dict exists $::stub::links $path]} "interface $path is connected already"
    if {[string match port:* $end]} {
      lassign [dict get $stub::ports $path] mode vlnv
      set mode [dict get {Master Slave Slave Master} $mode]  ;# as seen from inside
    } else {
      lassign [stub::face $path bus] - mode vlnv
    }
    lappend ends $path $mode $vlnv
  }
  lassign $ends a a_mode a_vlnv b b_mode b_vlnv
  stub::need {$a_mode ne $b_mode} "$a and $b are both $a_mode"
  stub::need {$a_vlnv eq $b_vlnv} "$a and $b are different interfaces"
  dict set stub::links $a $b
  dict set stub::links $b $a
  stub::changed
}

proc assign_bd_address {args} {
  stub::parse $args -force {-offset -range -target_address_space} {segment}
  set space [stub::name [dict get $found -target_address_space] space]
  set segment [stub::name $segment segment]
  set offset [expr {[dict get $found -offset]}]
  set range [expr {[dict get $found -range]}]
  stub::need {$range >= 128 && ($range & ($range - 1)) == 0 && $offset % $range == 0} \
    "segment $segment cannot be [format {0x%x bytes at 0x%x} $range $offset]"
  lassign [dict get [stub::segments [lindex [split $segment /] 0]] \
    [join [lrange [split $segment /] 1 end] /]] - bytes base
  stub::need {$range <= $bytes} "segment $segment has no 0x[format %x $range] bytes"
  stub::need {$base eq "" || $base == $offset} "segment $segment is at $base"
  dict set stub::assigned [list $space $segment] [list $offset $range]
  stub::changed
}

proc exclude_bd_addr_seg {args} {
  stub::parse $args {} -target_address_space {segment}
  set space [stub::name [dict get $found -target_address_space] space]
  dict set stub::excluded [list $space [stub::name $segment segment]] 1
  stub::changed
}

# Slave interfaces of cells that a master interface reaches, through interconnects.
proc stub::reached {master} {
  variable links
  variable cells
  if {![dict exists $links $master]} { return {} }
  set slave [dict get $links $master]
  set cell [lindex [split $slave /] 0]
  if {![dict exists $cells $cell]} { return {} }
  if {[ip [dict get $cells $cell vlnv]] ne "axi_interconnect"} { return [list $slave] }
  set found {}
  dict for {name face} [faces $cell] {
    if {[lrange $face 0 1] eq {bus Master}} { lappend found {*}[reached $cell/$name] }
  }
  return $found
}

proc validate_bd_design {} {
  stub::check_connections
  stub::check_addresses
  set stub::state validated
}

proc stub::check_connections {} {
  variable cells
  variable nets
  variable links
  foreach cell [dict keys $cells] {
    dict for {name face} [faces $cell] {
      lassign $face kind way - needed
      if {$needed eq "optional"} continue
      if {$kind eq "bus"} {
        need {[dict exists $links $cell/$name]} "interface $cell/$name is not connected"
      } elseif {$way eq "I"} {
        need {[dict exists $nets $cell/$name]} "input $cell/$name is not connected"
      } else {
        need {"$cell/$name" in [dict values $nets]} "output $cell/$name is not connected"
      }
    }
  }
}

proc stub::check_addresses {} {
  variable cells
  variable assigned
  variable excluded
  set expected {}
  foreach cell [dict keys $cells] {
    dict for {name space} [spaces $cell] {
      lassign $space master low high
      set taken {}
      foreach slave [reached $cell/$master] {
        lassign [split $slave /] other interface
        set found 0
        dict for {segment about} [segments $other] {
          if {[lindex $about 0] ne $interface} continue
          incr found
          set key [list $cell/$name $other/$segment]
          lappend expected $key
          need {[dict exists $assigned $key] != [dict exists $excluded $key]} \
            "segment $other/$segment has to be assigned or excluded in $cell/$name, once"
          if {![dict exists $assigned $key]} continue
          lassign [dict get $assigned $key] offset range
          need {$offset >= $low && $offset + $range - 1 <= $high} \
            "segment $other/$segment is outside [format {0x%x to 0x%x} $low $high] of $cell/$name"
          foreach {start end} $taken {
            need {$offset + $range <= $start || $offset >= $end} "$key overlaps another segment"
          }
          lappend taken $offset [expr {$offset + $range}]
        }
        need {$found} "nothing is behind $slave"
      }
      need {$taken ne ""} "address space $cell/$name is empty"
    }
  }
  foreach key [concat [dict keys $assigned] [dict keys $excluded]] {
    need {$key in $expected} "no path from [lindex $key 0] to [lindex $key 1]"
  }
}

proc save_bd_design {} {
  stub::need {$::stub::state eq "validated"} "the design is saved before it is validated"
  set stub::state saved
}

proc get_files {name} {
  stub::need {$name eq "$::stub::design.bd"} "the project has no file $name"
  return file:$name
}

proc make_wrapper {args} {
  stub::parse $args {-top -import} -files {}
  stub::name [dict get $found -files] file
  stub::need {[dict size $found] == 3 && $::stub::state eq "saved"} "make_wrapper: $args"
  set stub::state wrapped
  set stub::wrapped 1
}

proc generate_target {what file} {
  stub::name $file file
  stub::need {$what eq "all" && $::stub::wrapped && $::stub::state in {saved wrapped}} \
    "generate_target: no wrapper, or the design is not saved"
  set stub::state generated
  set name [dict get $stub::project name]
  set folder [dict get $stub::project folder]/$name.gen/sources_1/bd/$stub::design/hw_handoff
  file mkdir $folder
  set channel [open $folder/$stub::design.hwh w]
  puts $channel [stub::handoff]
  close $channel
}

# -- Runs -----------------------------------------------------------------------------------------

proc get_runs {args} {
  stub::parse $args -quiet {} {name}
  if {[string match {*[*]*} $name]} {
    set found [dict keys $::stub::runs $name]
    return [lmap run $found {string cat run: $run}]
  }
  stub::need {[dict exists $::stub::runs $name]} "there is no run $name"
  return run:$name
}

proc launch_runs {args} {
  stub::parse $args {} -jobs {run}
  stub::need {$::stub::state eq "generated"} "the block design is not generated"
  stub::need {$::stub::opened eq ""} "a design is open"
  stub::need {$run ne "impl_1" || [dict get $::stub::runs synth_1] == 100} "no synthesis yet"
  get_runs $run
  stub::need {$run ne "impl_1" || $::stub::reached == [stub::clock]} "synthesis is out of date"
  stub::need {[dict get $found -jobs] >= 1} "no jobs"
  stub::need {[dict get $::stub::runs $run] == 0} "$run has to be reset before it runs again"
  if {$run eq "synth_1"} {
    set stub::reached [stub::clock]
    foreach cell [dict keys $::stub::cells] {  ;# out of context, each by a run of its own
      set own ${::stub::design}_${cell}_0_synth_1
      if {![dict exists $::stub::runs $own] || ![dict get $::stub::runs $own]} {
        dict set stub::runs $own 100
        dict set stub::synthesised $own $stub::reached
      }
      stub::need {[dict get $::stub::synthesised $own] == $::stub::reached} "$own is out of date"
    }
  }
  dict set stub::runs $run [expr {$run eq [stub::environment STUB_FAILS ""] ? 37 : 50}]
}

proc wait_on_runs {run} {
  get_runs $run
  stub::need {[dict get $::stub::runs $run] > 0} "$run was not launched"
  if {[dict get $stub::runs $run] != 50} {
    puts "ERROR: \[Vivado 12-13638] Failed runs(s) : '$run'"
    error "ERROR: \[Common 17-39] 'wait_on_runs' failed due to earlier errors."
  }
  dict set stub::runs $run 100
}

proc open_run {run} {
  stub::need {[dict get $::stub::runs $run] == 100} "$run has not ended"
  stub::need {$::stub::opened eq ""} "a design is open already"
  set stub::opened $run
}

proc get_timing_paths {args} {
  stub::parse $args {-setup -hold} -max_paths {}
  stub::need {$::stub::opened eq "impl_1" && [dict size $found] == 2} "get_timing_paths: $args"
  return path:[expr {[dict exists $found -hold] ? "hold" : "setup"}]
}

# -- The synthesised netlist ----------------------------------------------------------------------

# Primitives of the core after synthesis: name -> properties. STUB_NETLIST holds words for what is
# wrong: a register that one DSP of the array does not use, "few", "many", "more" (DSPs), "PCOUT",
# "DO_REG", "no-ram", "fanout".
proc stub::primitives {} {
  variable primitives
  if {[info exists primitives]} { return $primitives }
  variable cells
  set wrong [environment STUB_NETLIST ""]
  set primitives {}
  dict for {cell about} $cells {
    if {[llength [split [dict get $about vlnv] :]] == 4 && [string match *:winogen:* [dict get $about vlnv]]} {
      set core $cell
    }
  }
  set top system_i/$core
  dict set primitives $top [dict create REF_NAME ${::stub::design}_${core}_0 IS_PRIMITIVE 0]
  set lanes [config $core LANES]
  set chains [expr {$lanes * [config $core TILE_LANES]}]
  set kind [expr {[string match xc7* [dict get $::stub::project part]] ? "E1" : "E2"}]
  if {"few" in $wrong} { incr chains -1 }
  for {set i 0} {$i < $chains * $lanes + 3 * $lanes + 3} {incr i} {
    set inside [expr {$i < $chains * $lanes}]
    set name $top/inst/u_core/u_core/[expr {$inside ? "u_compute/u_array/m" : "u_output/r"}]_$i
    set last [expr {$i % $lanes == $lanes - 1}]
    dict set primitives $name [dict create REF_NAME DSP48$kind AREG 1 BREG 1 MREG 1 PREG 1 \
      PCOUT [expr {$inside && !$last}]]
  }
  set first $top/inst/u_core/u_core/u_compute/u_array/m_0
  foreach register {AREG BREG MREG PREG PCOUT} {
    if {$register in $wrong} { dict set primitives $first $register 0 }
  }
  if {"many" in $wrong} {
    dict set primitives ${first}_again [dict get $primitives $first]
  }
  for {set i 0} {"more" in $wrong && $i < $chains * $lanes} {incr i} {
    dict set primitives $top/inst/more_$i [dict create REF_NAME DSP48$kind AREG 0 BREG 0 MREG 0 \
      PREG 0 PCOUT 0]
  }
  for {set i 0} {"no-ram" ni $wrong && $i < 20} {incr i} {
    set registers [expr {"DO_REG" in $wrong && $i == 7 ? {0 0} : $i % 2 ? {0 1} : {1 0}}]
    dict set primitives $top/inst/u_core/u_core/u_buffers/ram_$i [dict create \
      REF_NAME RAMB[expr {$i % 3 ? "36" : "18"}]$kind \
      DOA_REG [lindex $registers 0] DOB_REG [lindex $registers 1]]
  }
  # Those of others are no matter.
  dict set primitives system_i/registers/inst/ram [dict create REF_NAME RAMB36$kind DOA_REG 0 \
    DOB_REG 0]
  return $primitives
}

# Whether properties meet a filter: KEY OP VALUE, joined by &&.
proc stub::meets {filter properties} {
  foreach term [split [string map {&& \u0001} $filter] \u0001] {
    need {[llength $term] == 3} "filter '$filter'"
    lassign $term key operator value
    need {[dict exists $properties $key]} "nothing has a property $key, of filter '$filter'"
    set has [dict get $properties $key]
    set met [switch -- $operator {
      == { expr {$has eq $value} }
      =~ { string match $value $has }
      > { expr {$has > $value} }
      default { error "filter '$filter'" }
    }]
    if {!$met} { return 0 }
  }
  return 1
}

proc stub::need_netlist {} {
  need {$::stub::opened in {synth_1 impl_1}} "no design is open"
}

proc get_cells {args} {
  stub::parse $args {-quiet -hierarchical} -filter {}
  stub::need_netlist
  stub::need {[dict exists $found -hierarchical]} "get_cells: only with -hierarchical"
  set names {}
  dict for {name properties} [stub::primitives] {
    if {[stub::meets [dict get $found -filter] [dict merge $properties [dict create NAME $name]]]} {
      lappend names leaf:$name
    }
  }
  stub::need {$names ne "" || [dict exists $found -quiet]} "no cell meets '[dict get $found -filter]'"
  return $names
}

proc get_pins {args} {
  stub::parse $args -quiet {-of_objects -filter} {}
  stub::need_netlist
  stub::need {[dict get $found -filter] eq {REF_PIN_NAME == PCOUT[0]}} "get_pins: $args"
  return [lmap cell [dict get $found -of_objects] {
    string cat leafpin: [stub::name $cell leaf] /PCOUT
  }]
}

proc get_nets {args} {
  stub::parse $args {-quiet -hierarchical -top_net_of_hierarchical_group} {-of_objects -filter} {}
  stub::need_netlist
  set nets {}
  if {[dict exists $found -of_objects]} {
    foreach pin [dict get $found -of_objects] {  ;# a pin that leads nowhere has no net
      set cell [file dirname [stub::name $pin leafpin]]
      if {[dict get [stub::primitives] $cell PCOUT]} { lappend nets net:$cell/cascade }
    }
    return $nets
  }
  stub::need {[dict exists $found -top_net_of_hierarchical_group]} "a net counts once for each level"
  foreach {name type pins} {
    system_i/winogen_0/inst/clear SIGNAL 3100 system_i/winogen_0/inst/aclk GLOBAL_CLOCK 30000
    system_i/winogen_0/inst/<const0> GROUND 90000 system_i/ps/reset SIGNAL 50000
  } {
    if {$type eq "SIGNAL" && "fanout" in [stub::environment STUB_NETLIST ""]} { incr pins 100000 }
    set about [dict create NAME $name TYPE $type FLAT_PIN_COUNT $pins]
    if {[stub::meets [dict get $found -filter] $about]} { lappend nets net:$name }
  }
  return $nets
}

proc report_high_fanout_nets {args} {
  stub::parse $args {} {-file -max_nets} {}
  stub::need_netlist
  close [open [dict get $found -file] w]
}

if {[stub::environment STUB_QOR 3] ne "none"} {
  proc report_qor_assessment {args} {
    stub::need {$args eq "-return_string"} "report_qor_assessment: $args"
    stub::need_netlist
    return "1. Overall Assessment Summary\n+-----+\n| QoR Assessment Score  |\
[stub::environment STUB_QOR 3] - Design will likely not meet timing |\n| Flow Guidance | 1 |"
  }
}

proc write_verilog {args} {
  stub::parse $args -force {-mode -cell} {file}
  stub::need_netlist
  stub::need {[dict get $found -mode] eq "funcsim"} "write_verilog: $args"
  stub::name [dict get $found -cell] leaf
  set channel [open $file w]
  puts $channel "module system_winogen_0_0; endmodule"
  close $channel
}

# The worst slack of the open run, ns.
proc stub::slack {kind} {
  if {$kind eq "hold"} { return [environment STUB_HOLD 0.023] }
  return [format %.3f [expr {1000.0 / $::stub::reached - 1000.0 / [environment STUB_REACHES 1000]}]]
}

# The clock that the design has now, MHz.
proc stub::clock {} {
  dict for {cell about} $::stub::cells {
    if {[ip [dict get $about vlnv]] in {processing_system7 zynq_ultra_ps_e}} {
      return [actual_frequency $cell]
    }
  }
}

# What the handoff file says of the clock.
proc stub::handoff {} {
  dict for {cell about} $::stub::cells {
    switch [ip [dict get $about vlnv]] {
      processing_system7 {
        set source PCW_FCLK0_PERIPHERAL_CLKSRC
        set actual PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ
      }
      zynq_ultra_ps_e {
        set source PSU__CRL_APB__PL0_REF_CTRL__SRCSEL
        set actual PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ
      }
      default continue
    }
    set lines {}
    foreach {name value} [list $source [config $cell $source] $actual [actual_frequency $cell]] {
      append lines "<PARAMETER NAME=\"$name\" VALUE=\"$value\"/>"
    }
    return "<EDKSYSTEM>$lines</EDKSYSTEM>"
  }
}

proc reset_run {name} {
  regsub {^run:} $name {} name
  get_runs $name
  dict set stub::runs $name 0
  if {$name eq "synth_1"} { dict set stub::runs impl_1 0 }
}

proc close_design {} {
  stub::need {$::stub::opened ne ""} "no design is open"
  set stub::opened ""
}

proc open_bd_design {file} {
  stub::name $file file
  stub::need {$::stub::opened eq ""} "another design is open"
}

foreach command {report_utilization report_timing_summary} {
  proc $command {args} {
    stub::parse $args {} -file {}
    stub::need {$::stub::opened eq "impl_1"} "no run is open"
    close [open [dict get $found -file] w]
  }
}

proc write_bitstream {args} {
  stub::parse $args -force {} {file}
  stub::need {$::stub::opened eq "impl_1"} "no run is open"
  set channel [open $file w]
  puts $channel "stub: no bitstream"
  close $channel
  stub::record
}

# Write the design down for the tests, a Tcl list a line.
proc stub::record {} {
  variable cells
  variable catalogue
  set file [environment STUB_RECORD ""]
  if {$file eq ""} return
  set channel [open $file w]
  puts $channel [list project [dict get $::stub::project part] \
    [dict get $::stub::project board_part]]
  dict for {cell about} $cells {
    puts $channel [list cell $cell [dict get $about vlnv]]
    dict for {name value} [dict get $about config] {
      puts $channel [list config $cell $name $value]
    }
  }
  dict for {sink source} $::stub::nets { puts $channel [list net $source $sink] }
  dict for {a b} $::stub::links { puts $channel [list bus $a $b] }
  dict for {key range} $::stub::assigned { puts $channel [list segment {*}$key {*}$range] }
  dict for {key -} $::stub::excluded { puts $channel [list excluded {*}$key] }
  dict for {vlnv ip} $catalogue {
    dict for {name register} [dict get $ip registers] {
      puts $channel [list register $name [expr {[dict get $register address_offset]}]]
      dict for {field bits} [dict get $register fields] {
        puts $channel [list field $name $field {*}[lmap key {bit_offset bit_width access} {
          dict get $bits $key
        }]]
      }
    }
  }
  close $channel
}

# -- The program ----------------------------------------------------------------------------------

proc stub::main {} {
  global argv argc
  set split [lsearch $argv -tclargs]
  parse [lrange $argv 0 $split-1] {-nojournal -nolog} {-mode -source} {}
  need {[dict get $found -mode] eq "batch"} "vivado $argv"
  set argv [lrange $argv $split+1 end]
  set argc [llength $argv]
  fconfigure stdout -buffering line
  uplevel #0 [list source [dict get $found -source]]
}

if {[catch stub::main message]} {
  puts "ERROR: $message"
  exit 1
}
exit 0
