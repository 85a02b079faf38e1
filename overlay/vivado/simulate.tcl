# One conformance stream on the netlist of the core, in XSim: whatever synthesis has lost (the sign
# of a value, say), the results show it. The stream and what must come of it are in a folder.

# Simulate the core of the synthesised design, which is open; an error if memory is not as it must be.
proc winogen::simulate {} {
  set folder [setting simulation folder]
  set core [get_cells -hierarchical -filter "NAME =~ */[setting core name]"]
  if {[llength $core] != 1} { error "the design has [llength $core] cells [setting core name]" }
  stage "netlist for XSim"
  write_verilog -force -mode funcsim -cell $core [file join $folder netlist.v]
  set module [get_property REF_NAME $core]
  stage "simulation of one stream in XSim (minutes)"
  set here [pwd]
  cd $folder
  set failed [catch {
    run_simulator xvlog netlist.v
    run_simulator xvlog --sv -i . -d [setting simulation macro]=$module [setting simulation bench]
    set top [setting simulation top]
    run_simulator xelab -L unisims_ver -L secureip -s stream work.$top work.glbl
    set said [run_simulator xsim stream --runall]
  } message options]
  cd $here
  if {$failed} { return -options $options $message }
  set verdict [lindex [regexp -inline -line {^FAIL: .*$} $said] 0]
  if {$verdict eq "" && ![regexp -line {^PASS: .*$} $said verdict]} { set verdict "no verdict" }
  if {![string match PASS:* $verdict]} {
    error "the netlist does not compute what the logic computes: $verdict (see\
      [file join $folder said_by_xsim.log]), so synthesis has changed the logic: try another Vivado,\
      or build without --simulate"
  }
  puts "winogen: $verdict"
}

# Run a program of XSim; what it says, which is also in a log beside it.
proc winogen::run_simulator {name args} {
  set program $name
  if {[info exists ::env(XILINX_VIVADO)]} {
    set own [file join $::env(XILINX_VIVADO) bin $name]
    if {[file exists $own]} { set program $own }
  }
  set log [file join [pwd] said_by_$name.log]
  set failed [catch {exec $program {*}$args > $log 2>@1} message]
  set file [open $log]
  set said [read $file]
  close $file
  if {$failed} {
    error "XSim's $name failed ([lindex [split $message \n] 0]); its messages are in $log"
  }
  return $said
}
