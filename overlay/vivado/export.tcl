# Synthesis, implementation and the two files that pynq.Overlay wants.

# Implement the current project; write winogen.bit and winogen.hwh into `folder`, and the reports
# into the current one. Nothing is written for a design that misses its timing.
proc winogen::export {folder} {
  set_property strategy Performance_ExplorePostRoutePhysOpt [get_runs impl_1]
  foreach {run what} {synth_1 synthesis impl_1 implementation} {
    stage $what
    launch_runs $run -jobs [setting jobs]
    catch {wait_on_runs $run}  ;# fails with the run, and does not say where the run's log is
    if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
      error "$what failed; its messages are in\
        [file join [get_property DIRECTORY [get_runs $run]] runme.log]"
    }
  }
  open_run impl_1
  report_utilization -file utilisation.rpt
  report_timing_summary -file timing.rpt
  check_timing_met
  stage "bitstream"
  file mkdir $folder
  file copy -force [handoff] [file join $folder [setting name].hwh]
  write_bitstream -force [file join $folder [setting name].bit]
}

# Fail with the worst slack if setup or hold is missed anywhere.
proc winogen::check_timing_met {} {
  foreach kind {setup hold} {
    set slack [get_property SLACK [get_timing_paths -$kind -max_paths 1]]
    if {$slack < 0} {
      error "timing is missed at [setting clock mhz] MHz: worst $kind slack $slack ns\
        (see timing.rpt); lower clock_mhz in the board file"
    }
  }
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
