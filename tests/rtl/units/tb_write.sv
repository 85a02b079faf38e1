// wg_axi_write with a full AXI write interface, as cocotbext-axi wants it.
module tb_write (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        flush_i,
  output logic        idle_o,
  output logic        progress_o,
  input  logic        run_valid_i,
  output logic        run_ready_o,
  input  logic [31:0] run_addr_i,
  input  logic [31:0] run_bytes_i,
  input  logic        run_last_i,
  input  logic        data_valid_i,
  output logic        data_ready_o,
  input  logic [63:0] data_i,
  output logic        done_o,
  output logic        error_valid_o,
  output logic [7:0]  error_code_o,
  output logic [31:0] error_addr_o,
  output logic [3:0]  axi_awid,
  output logic [31:0] axi_awaddr,
  output logic [7:0]  axi_awlen,
  output logic [2:0]  axi_awsize,
  output logic [1:0]  axi_awburst,
  output logic        axi_awvalid,
  input  logic        axi_awready,
  output logic [63:0] axi_wdata,
  output logic [7:0]  axi_wstrb,
  output logic        axi_wlast,
  output logic        axi_wvalid,
  input  logic        axi_wready,
  /* verilator lint_off UNUSEDSIGNAL */
  input  logic [3:0]  axi_bid,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [1:0]  axi_bresp,
  input  logic        axi_bvalid,
  output logic        axi_bready
);
  assign axi_awid    = 4'd0;
  assign axi_awsize  = 3'd3;
  assign axi_awburst = 2'd1;

  wg_axi_write #(.AddrWidth(32)) u_dut (
    .m_axi_awvalid_o(axi_awvalid),
    .m_axi_awready_i(axi_awready),
    .m_axi_awaddr_o (axi_awaddr),
    .m_axi_awlen_o  (axi_awlen),
    .m_axi_wvalid_o (axi_wvalid),
    .m_axi_wready_i (axi_wready),
    .m_axi_wdata_o  (axi_wdata),
    .m_axi_wstrb_o  (axi_wstrb),
    .m_axi_wlast_o  (axi_wlast),
    .m_axi_bvalid_i (axi_bvalid),
    .m_axi_bready_o (axi_bready),
    .m_axi_bresp_i  (axi_bresp),
    .*
  );
endmodule
