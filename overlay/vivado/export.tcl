# Synthesis, implementation and the two files that pynq.Overlay wants.

# Implement the current project at the fastest clock of the settings that meets its timing; write
# winogen.bit and winogen.hwh into `folder`, and the reports into the current one. Nothing is written
# for a design that misses its timing.
proc winogen::export {folder} {
  set_property strategy Performance_ExplorePostRoutePhysOpt [get_runs impl_1]
  set tried {}
  implement
  while {[set slack [worst_slack setup]] < 0} {
    lappend tried "[setting clock mhz] MHz by [expr {-$slack}] ns"
    file copy -force timing.rpt timing_missed_at_[setting clock mhz]_MHz.rpt
    if {![next_clock]} {
      error "timing is missed at every clock that was tried, which are [join $tried {, }] (see\
        timing_missed_at_*.rpt)"
    }
    stage "timing is missed at [lindex $tried end]: trying [setting clock mhz] MHz"
    close_design
    change_clock
    # The cells' own runs too: the clock is in the constraints that their checkpoints hold.
    foreach run [list impl_1 synth_1 {*}[get_runs -quiet *_synth_1]] {
      reset_run $run
    }
    implement
  }
  stage "bitstream for [setting clock mhz] MHz"
  file mkdir $folder
  file copy -force [handoff] [file join $folder [setting name].hwh]
  write_bitstream -force [file join $folder [setting name].bit]
}

# Synthesise, check, implement, and open the result; the reports of it.
proc winogen::implement {} {
  foreach {run what} {synth_1 synthesis impl_1 implementation} {
    stage "$what at [setting clock mhz] MHz"
    launch_runs $run -jobs [setting jobs]
    catch {wait_on_runs $run}  ;# fails with the run, and does not say where the run's log is
    if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
      error "$what failed; its messages are in\
        [file join [get_property DIRECTORY [get_runs $run]] runme.log]"
    }
    if {$run eq "synth_1"} examine
  }
  open_run impl_1
  report_utilization -file utilisation.rpt
  report_timing_summary -file timing.rpt
  set slack [worst_slack hold]
  if {$slack < 0} {
    error "timing is missed at [setting clock mhz] MHz: worst hold slack $slack ns (see timing.rpt),\
      which a lower clock does not mend"
  }
}

# Look at what synthesis has made, and simulate it if that is asked for: once, at the first clock.
proc winogen::examine {} {
  variable settings
  stage "checks of the netlist"
  open_run synth_1
  check_synthesis
  if {[dict exists $settings simulation]} {
    simulate
    dict unset settings simulation
  }
  close_design
}

# The worst slack of all paths, ns.
proc winogen::worst_slack {kind} {
  return [get_property SLACK [get_timing_paths -$kind -max_paths 1]]
}

# Let the settings have the next lower clock; 0 if there is none.
proc winogen::next_clock {} {
  variable settings
  if {![dict exists $settings lower_clocks]} { return 0 }
  set lower [dict get $settings lower_clocks]
  if {$lower eq ""} { return 0 }
  set number [lindex [dict keys $lower] 0]
  dict set settings clock [dict get $lower $number]
  dict unset settings lower_clocks $number
  return 1
}

# The hardware handoff file that belongs to the block design.
proc winogen::handoff {} {
  set bd sources_1/bd/system/hw_handoff/system.hwh
  set project [get_property DIRECTORY [current_project]]
  set found [glob -nocomplain -directory $project *.gen/$bd *.srcs/$bd]
  if {$found eq ""} {
    error "Vivado wrote no hardware handoff file (system.hwh) in $project"
  }
  return [lindex $found 0]
}
