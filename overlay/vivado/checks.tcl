# What synthesis has made of the core, before an hour goes into its implementation. The logic is
# written for multipliers that use every register of their DSPs and hand their sums on by the cascade,
# and for block RAMs that answer through their output registers; the wanted clock needs all of that.

# Check the synthesised design, which is open; an error names all that is not as meant, or, with the
# setting ignore_checks, a warning does.
proc winogen::check_synthesis {} {
  set faults {}
  foreach check {multipliers registers cascades dsps rams fanout quality} {
    set fault [check_$check]
    if {$fault ne ""} { lappend faults $fault }
  }
  if {$faults eq ""} return
  set text "synthesis has not made what is meant: [join $faults {; }]"
  if {[setting ignore_checks]} {
    puts "WARNING: \[winogen\] $text"
    return
  }
  error "$text; 'winogen overlay build --ignore-checks' implements it nevertheless"
}

# Primitives of the core by their type; of a part of it where one is named.
proc winogen::primitives {type {part ""}} {
  set filter "REF_NAME =~ $type && NAME =~ */[setting core name]/*"
  if {$part ne ""} { append filter " && NAME =~ *${part}*" }
  return [get_cells -quiet -hierarchical -filter $filter]
}

# The name of the first of these cells or nets.
proc winogen::first {objects} {
  return [get_property NAME [lindex $objects 0]]
}

# Of these cells, those without `property` in each of the properties named.
proc winogen::without {cells args} {
  set found {}
  foreach cell $cells {
    set has 0
    foreach property $args {
      if {[get_property $property $cell] >= 1} { set has 1 }
    }
    if {!$has} { lappend found $cell }
  }
  return $found
}

proc winogen::check_multipliers {} {
  set found [llength [primitives DSP48E* u_array]]
  set wanted [setting checks multipliers]
  if {$found == $wanted} return
  return "the array has $found DSPs instead of $wanted, one a multiplier"
}

proc winogen::check_registers {} {
  set array [primitives DSP48E* u_array]
  set faults {}
  foreach register {AREG BREG MREG PREG} {
    set bare [without $array $register]
    if {$bare ne ""} {
      lappend faults "[llength $bare] DSPs of the array do not use $register, as [first $bare]"
    }
  }
  return [join $faults {; }]
}

proc winogen::check_cascades {} {
  set pins [get_pins -quiet -of_objects [primitives DSP48E* u_array] \
    -filter {REF_PIN_NAME == PCOUT[0]}]
  set found [llength [get_nets -quiet -of_objects $pins]]
  set wanted [setting checks cascaded]
  if {$found >= $wanted} return
  return "$found DSPs of the array hand their sum on by the cascade (PCOUT) instead of $wanted"
}

proc winogen::check_dsps {} {
  set found [llength [primitives DSP48E*]]
  set most [setting checks dsp_most]
  if {$found <= $most} return
  return "the core takes $found DSPs, which should be $most at most"
}

proc winogen::check_rams {} {
  set rams [primitives RAMB*]
  if {$rams eq ""} { return "the core has no block RAM" }
  set bare [without $rams DOA_REG DOB_REG]
  if {$bare eq ""} return
  return "[llength $bare] of [llength $rams] block RAMs do not use their output registers\
    (DOA_REG, DOB_REG), as [first $bare]"
}

# Every net with its loads is in fanout.rpt.
proc winogen::check_fanout {} {
  report_high_fanout_nets -file fanout.rpt -max_nets 100
  set most [setting checks fanout_most]
  set nets [get_nets -quiet -hierarchical -top_net_of_hierarchical_group \
    -filter "TYPE == SIGNAL && NAME =~ */[setting core name]/* && FLAT_PIN_COUNT > $most"]
  if {$nets eq ""} return
  return "[llength $nets] nets have more than $most pins (see fanout.rpt), as [first $nets]"
}

# Vivado's own assessment, from 1 to 5; where it has none, or in another form, nothing is said of it.
proc winogen::check_quality {} {
  if {[info commands report_qor_assessment] eq ""} return
  if {[catch {report_qor_assessment -return_string} text]} return
  set file [open qor.rpt w]
  puts $file $text
  close $file
  if {![regexp {QoR Assessment Score[^|\n]*\|\s*([1-5])} $text - score]} return
  puts "winogen: Vivado's assessment of the netlist is $score of 5"
  if {$score >= 2} return
  return "Vivado expects that it cannot be implemented: its assessment is 1 of 5 (see qor.rpt)"
}
