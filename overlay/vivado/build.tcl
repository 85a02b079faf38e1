# Builds the overlay of a board with Vivado, in the current folder:
#
#   vivado -mode batch -source build.tcl -tclargs settings.tcl
#
# What depends on the board is in the settings file, which `winogen overlay build` writes. The
# results are winogen.bit and winogen.hwh in the folder that it names.

namespace eval winogen {
  variable settings [dict create]

  # The setting under these keys.
  proc setting {args} {
    variable settings
    return [dict get $settings {*}$args]
  }

  # Say what comes next; `winogen overlay build` shows it.
  proc stage {name} {
    puts "winogen stage: $name"
  }

  # Refuse a Vivado that these scripts were not written for.
  proc check_version {} {
    set version [version -short]
    set oldest [setting vivado oldest]
    set newest [setting vivado newest]
    regexp {^\d+\.\d+} $version release
    if {[package vcompare $release $oldest] < 0 || [package vcompare $release $newest] > 0} {
      error "these scripts are for Vivado $oldest to $newest, and this is Vivado $version"
    }
  }

  # A new project in `folder` for the board's device, with its board files where there are any.
  proc new_project {name folder} {
    create_project -force -part [setting part] $name $folder
    set board_part [setting board_part]
    if {$board_part eq ""} return
    set installed [lsort -dictionary [get_board_parts -quiet $board_part:*]]
    if {$installed eq ""} {
      error "Vivado has no board files for $board_part; install them (Tools, Vivado Store, Boards)"
    }
    set_property board_part [lindex $installed end] [current_project]
  }

  proc main {settings_file} {
    variable settings
    source $settings_file
    check_version
    set scripts [file dirname [file normalize [info script]]]
    foreach script [list package_ip [setting processor] design checks simulate export] {
      uplevel #0 [list source [file join $scripts $script.tcl]]
    }
    stage "packaging the core"
    package_ip ip
    stage "block design"
    new_project winogen project
    set_property ip_repo_paths [list [file normalize ip]] [current_project]
    update_ip_catalog
    block_design
    export [setting output]
  }
}

if {[llength $argv] != 1} {
  puts "ERROR: \[winogen\] usage: vivado -mode batch -source build.tcl -tclargs settings.tcl"
  exit 1
}
if {[catch {winogen::main [lindex $argv 0]} message]} {
  puts $errorInfo
  puts "ERROR: \[winogen\] $message"
  exit 1
}
