// wg_reader with a full AXI read interface for each port, as cocotbext-axi wants it.
module tb_reader #(
  parameter int unsigned Ports = 2,
  localparam int unsigned CountWidth = $clog2(Ports + 1)
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  flush_i,
  output logic                  idle_o,
  output logic                  progress_o,
  input  logic                  run_valid_i,
  output logic                  run_ready_o,
  input  logic [31:0]           run_addr_i,
  input  logic [31:0]           run_bytes_i,
  output logic [CountWidth-1:0] beat_count_o,
  output logic [Ports*64-1:0]   beat_data_o,
  input  logic [CountWidth-1:0] beat_take_i,
  output logic                  error_valid_o,
  output logic [7:0]            error_code_o,
  output logic [31:0]           error_addr_o
);
  logic [Ports-1:0] arvalid, arready, rvalid, rready, rlast;
  logic [Ports-1:0][31:0] araddr;
  logic [Ports-1:0][7:0] arlen;
  logic [Ports-1:0][63:0] rdata;
  logic [Ports-1:0][1:0] rresp;

  wg_reader #(.Ports(Ports), .AddrWidth(32)) u_dut (
    .m_axi_arvalid_o(arvalid),
    .m_axi_arready_i(arready),
    .m_axi_araddr_o (araddr),
    .m_axi_arlen_o  (arlen),
    .m_axi_rvalid_i (rvalid),
    .m_axi_rready_o (rready),
    .m_axi_rdata_i  (rdata),
    .m_axi_rresp_i  (rresp),
    .m_axi_rlast_i  (rlast),
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
    assign axi_arvalid = arvalid[i];
    assign axi_araddr  = araddr[i];
    assign axi_arlen   = arlen[i];
    assign axi_rready  = rready[i];
    assign arready[i]  = axi_arready;
    assign rvalid[i]   = axi_rvalid;
    assign rdata[i]    = axi_rdata;
    assign rresp[i]    = axi_rresp;
    assign rlast[i]    = axi_rlast;
  end
endmodule
