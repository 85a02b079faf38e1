// wg_axi_write with a full AXI write interface, as cocotbext-axi wants it.
module tb_write
  import wg_types_pkg::*;
#(
  localparam int unsigned Windows = winogen_pkg::WriteWindows
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        flush_i,
  output logic        idle_o,
  output logic        progress_o,
  input  logic [Windows*64-1:0] windows_i,
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

  bus_error_t error;
  assign error_valid_o = error.valid;
  assign error_code_o  = error.code;
  assign error_addr_o  = error.addr[31:0];

  axi_write_req_t req;
  axi_write_rsp_t rsp;
  assign axi_awvalid = req.awvalid;
  assign axi_awaddr  = req.awaddr[31:0];
  assign axi_awlen   = req.awlen;
  assign axi_wvalid  = req.wvalid;
  assign axi_wdata   = req.wdata;
  assign axi_wstrb   = req.wstrb;
  assign axi_wlast   = req.wlast;
  assign axi_bready  = req.bready;
  assign rsp = '{awready: axi_awready, wready: axi_wready, bvalid: axi_bvalid, bresp: axi_bresp};

  run_t run;
  assign run = '{
          valid: run_valid_i,
          addr: 64'(run_addr_i),
          bytes: run_bytes_i,
          last: run_last_i
      };
  write_beat_t beat;
  assign beat = '{valid: data_valid_i, data: data_i};
  wg_axi_write #(
    .AddrWidth(32)
  ) u_dut (
    .run_i(run),
    .beat_i      (beat),
    .beat_ready_o(data_ready_o),
    .error_o     (error),
    .m_axi_o     (req),
    .m_axi_i     (rsp),
    .*
  );
endmodule
