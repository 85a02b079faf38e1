"""What the accelerator costs on an FPGA: synthesis with Yosys, area and timing of the netlist."""
