// wg_window with windows as bits, and an address as wide as cocotb is told.
module tb_window #(
  parameter int unsigned AddrWidth = 32,
  parameter int unsigned Windows   = 3
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  clear_i,
  input  logic [Windows*64-1:0] windows_i,
  input  logic                  burst_valid_i,
  output logic                  burst_ready_o,
  input  logic [AddrWidth-1:0]  burst_addr_i,
  input  logic [4:0]            burst_beats_i,
  input  logic                  burst_last_i,
  output logic                  burst_valid_o,
  input  logic                  burst_ready_i,
  output logic [AddrWidth-1:0]  burst_addr_o,
  output logic [4:0]            burst_beats_o,
  output logic                  burst_last_o,
  output logic                  refused_o
);
  wg_window #(
    .AddrWidth(AddrWidth),
    .Windows  (Windows)
  ) u_dut (
    .*
  );
endmodule
