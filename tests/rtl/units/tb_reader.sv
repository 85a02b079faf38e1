// wg_reader with a full AXI read interface for each port, as cocotbext-axi wants it.
module tb_reader
  import wg_types_pkg::*;
#(
  parameter int unsigned Ports = 2,
  localparam int unsigned Windows = winogen_pkg::ReadWindows,
  localparam int unsigned CountWidth = $clog2(Ports + 1)
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  flush_i,
  output logic                  idle_o,
  output logic                  progress_o,
  input  logic [Windows*64-1:0] windows_i,
  input  logic                  run_valid_i,
  output logic                  run_ready_o,
  input  logic [31:0]           run_addr_i,
  input  logic [31:0]           run_bytes_i,
  output logic [CountWidth-1:0] beat_count_o,
  output logic [Ports*64-1:0]   beat_data_o,
  input  logic [CountWidth-1:0] beat_room_i,
  output logic                  error_valid_o,
  output logic [7:0]            error_code_o,
  output logic [31:0]           error_addr_o
);
  bus_error_t error;
  assign error_valid_o = error.valid;
  assign error_code_o  = error.code;
  assign error_addr_o  = error.addr[31:0];

  axi_read_req_t [Ports-1:0] req;
  axi_read_rsp_t [Ports-1:0] rsp;
  run_t run;
  assign run = '{valid: run_valid_i, addr: 64'(run_addr_i), bytes: run_bytes_i, last: 1'b0};
  wg_reader #(
    .Ports(Ports),
    .AddrWidth(32)
  ) u_dut (
    .run_i  (run),
    .error_o(error),
    .m_axi_o(req),
    .m_axi_i(rsp),
    .*
  );

  for (genvar i = 0; i < Ports; i++) begin : gen_axi
    logic axi_arvalid, axi_arready, axi_rvalid, axi_rready, axi_rlast;
    logic [3:0] axi_arid, axi_rid;
    logic [31:0] axi_araddr;
    logic [7:0] axi_arlen;
    logic [2:0] axi_arsize;
    logic [1:0] axi_arburst, axi_rresp;
    logic [63:0] axi_rdata;

    assign axi_arid    = 4'd0;
    assign axi_arsize  = 3'd3;
    assign axi_arburst = 2'd1;
    assign axi_arvalid = req[i].arvalid;
    assign axi_araddr  = req[i].araddr[31:0];
    assign axi_arlen   = req[i].arlen;
    assign axi_rready  = req[i].rready;
    assign rsp[i] = '{
      arready: axi_arready, rvalid: axi_rvalid, rdata: axi_rdata, rresp: axi_rresp, rlast: axi_rlast
    };
  end
endmodule
