# Packages the accelerator's logic as an IP of the catalogue.

# Package the sources into `folder`, in a project that is left behind beside it.
proc winogen::package_ip {folder} {
  new_project ${folder}_project ${folder}_project
  add_files -norecurse [setting sources]
  set_property include_dirs [list [setting include]] [current_fileset]
  set_property top [setting top] [current_fileset]
  update_compile_order -fileset sources_1
  lassign [split [setting core vlnv] :] vendor library name version
  ipx::package_project -root_dir $folder -vendor $vendor -library $library -taxonomy /UserIP \
    -import_files -set_current true
  set core [ipx::current_core]
  set_property name $name $core
  set_property version $version $core
  set_property display_name "Winogen accelerator" $core
  set_property description "Winograd-deconvolution accelerator for generator networks" $core
  describe_interfaces $core
  describe_registers $core
  ipx::create_xgui_files $core
  ipx::update_checksums $core
  ipx::check_integrity $core
  ipx::save_core $core
  close_project
}

# The AXI interfaces, inferred from the names of the ports, and what their masters do.
proc winogen::describe_interfaces {core} {
  foreach interface {s_axi m_axi_0 m_axi_1 m_axi_2 m_axi_3 m_axi_4} {
    if {[ipx::get_bus_interfaces -quiet $interface -of_objects $core] eq ""} {
      error "Vivado found no AXI interface $interface in the ports of [setting top]"
    }
    ipx::associate_bus_interfaces -busif $interface -clock aclk $core
  }
  foreach interface {m_axi_0 m_axi_1 m_axi_2 m_axi_3 m_axi_4} {
    set bus [ipx::get_bus_interfaces $interface -of_objects $core]
    # Bursts of at most 16 beats need no splitting on the way to AXI3.
    foreach {parameter value} {MAX_BURST_LENGTH 16 SUPPORTS_NARROW_BURST 0} {
      set_property value $value [ipx::add_bus_parameter $parameter $bus]
    }
  }
  # Those of read ports that a build does not have are not there, nor their signals.
  foreach interface {m_axi_3 m_axi_4} {
    foreach object [list [ipx::get_bus_interfaces $interface -of_objects $core] \
        {*}[ipx::get_ports ${interface}_* -of_objects $core]] {
      set_property enablement_dependency {$READ_PORTS > 2} $object
    }
  }
}

# The registers, so that pynq's register map knows them by name.
proc winogen::describe_registers {core} {
  set map [ipx::get_memory_maps s_axi -of_objects $core]
  set block [ipx::get_address_blocks reg0 -of_objects $map]
  set_property range [setting core range] $block
  dict for {name register} [setting registers] {
    set made [ipx::add_register $name $block]
    set_property address_offset [dict get $register offset] $made
    set_property size 32 $made
    set_property description [dict get $register doc] $made
    if {![dict exists $register fields]} continue
    dict for {field bits} [dict get $register fields] {
      set part [ipx::add_field $field $made]
      set_property bit_offset [dict get $bits lsb] $part
      set_property bit_width [dict get $bits width] $part
      set_property access [dict get $register access] $part
      set_property description [dict get $bits doc] $part
    }
  }
}
