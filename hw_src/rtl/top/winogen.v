// The accelerator as the IP of a block design: plain Verilog with flat AXI ports, whose names and
// attributes Vivado recognises. All constant AXI signals are tied here.
`default_nettype none
module winogen #(
  parameter integer DATA_WIDTH        = 8,
  parameter integer LANES             = 8,
  parameter integer TILE_LANES        = 3,
  parameter integer INPUT_DEPTH       = 16384,
  parameter integer WEIGHT_DEPTH      = 2048,
  parameter integer PSUM_DEPTH        = 2048,
  parameter integer OUTPUT_DEPTH      = 4096,
  parameter integer STEP_DEPTH        = 1024,
  parameter integer ACCUMULATOR_DEPTH = 64,
  parameter integer PHASE_DEPTH       = 128,
  parameter integer PARAM_DEPTH       = 64,
  parameter integer READ_PORTS        = 2,
  parameter integer PRODUCTS          = 1,
  parameter integer DECODER           = 0,
  parameter [31:0]  CONFIG_HASH       = 32'd0,
  parameter integer ADDR_WIDTH        = 32
) (
  (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)
  (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axi:m_axi_0:m_axi_1:m_axi_2:m_axi_3:m_axi_4, ASSOCIATED_RESET aresetn" *)
  input  wire                  aclk,
  (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)
  (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)
  input  wire                  aresetn,
  // The name is pynq's to find; Verilator would rather not have it in its C++.
  /* verilator lint_off SYMRSVDWORD */
  (* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 interrupt INTERRUPT" *)
  (* X_INTERFACE_PARAMETER = "SENSITIVITY LEVEL_HIGH" *)
  output wire                  interrupt,
  /* verilator lint_on SYMRSVDWORD */
  // Registers: AXI4-Lite.
  input  wire                  s_axi_awvalid,
  output wire                  s_axi_awready,
  input  wire [11:0]           s_axi_awaddr,
  input  wire [2:0]            s_axi_awprot,
  input  wire                  s_axi_wvalid,
  output wire                  s_axi_wready,
  input  wire [31:0]           s_axi_wdata,
  input  wire [3:0]            s_axi_wstrb,
  output wire                  s_axi_bvalid,
  input  wire                  s_axi_bready,
  output wire [1:0]            s_axi_bresp,
  input  wire                  s_axi_arvalid,
  output wire                  s_axi_arready,
  input  wire [11:0]           s_axi_araddr,
  input  wire [2:0]            s_axi_arprot,
  output wire                  s_axi_rvalid,
  input  wire                  s_axi_rready,
  output wire [31:0]           s_axi_rdata,
  output wire [1:0]            s_axi_rresp,
  // First read port of the loads, and the stores.
  output wire                  m_axi_0_arvalid,
  input  wire                  m_axi_0_arready,
  output wire [ADDR_WIDTH-1:0] m_axi_0_araddr,
  output wire [7:0]            m_axi_0_arlen,
  output wire [2:0]            m_axi_0_arsize,
  output wire [1:0]            m_axi_0_arburst,
  output wire                  m_axi_0_arlock,
  output wire [3:0]            m_axi_0_arcache,
  output wire [2:0]            m_axi_0_arprot,
  output wire [3:0]            m_axi_0_arqos,
  input  wire                  m_axi_0_rvalid,
  output wire                  m_axi_0_rready,
  input  wire [63:0]           m_axi_0_rdata,
  input  wire [1:0]            m_axi_0_rresp,
  input  wire                  m_axi_0_rlast,
  output wire                  m_axi_0_awvalid,
  input  wire                  m_axi_0_awready,
  output wire [ADDR_WIDTH-1:0] m_axi_0_awaddr,
  output wire [7:0]            m_axi_0_awlen,
  output wire [2:0]            m_axi_0_awsize,
  output wire [1:0]            m_axi_0_awburst,
  output wire                  m_axi_0_awlock,
  output wire [3:0]            m_axi_0_awcache,
  output wire [2:0]            m_axi_0_awprot,
  output wire [3:0]            m_axi_0_awqos,
  output wire                  m_axi_0_wvalid,
  input  wire                  m_axi_0_wready,
  output wire [63:0]           m_axi_0_wdata,
  output wire [7:0]            m_axi_0_wstrb,
  output wire                  m_axi_0_wlast,
  input  wire                  m_axi_0_bvalid,
  output wire                  m_axi_0_bready,
  input  wire [1:0]            m_axi_0_bresp,
  // Second read port of the loads.
  output wire                  m_axi_1_arvalid,
  input  wire                  m_axi_1_arready,
  output wire [ADDR_WIDTH-1:0] m_axi_1_araddr,
  output wire [7:0]            m_axi_1_arlen,
  output wire [2:0]            m_axi_1_arsize,
  output wire [1:0]            m_axi_1_arburst,
  output wire                  m_axi_1_arlock,
  output wire [3:0]            m_axi_1_arcache,
  output wire [2:0]            m_axi_1_arprot,
  output wire [3:0]            m_axi_1_arqos,
  input  wire                  m_axi_1_rvalid,
  output wire                  m_axi_1_rready,
  input  wire [63:0]           m_axi_1_rdata,
  input  wire [1:0]            m_axi_1_rresp,
  input  wire                  m_axi_1_rlast,
  // Instructions.
  output wire                  m_axi_2_arvalid,
  input  wire                  m_axi_2_arready,
  output wire [ADDR_WIDTH-1:0] m_axi_2_araddr,
  output wire [7:0]            m_axi_2_arlen,
  output wire [2:0]            m_axi_2_arsize,
  output wire [1:0]            m_axi_2_arburst,
  output wire                  m_axi_2_arlock,
  output wire [3:0]            m_axi_2_arcache,
  output wire [2:0]            m_axi_2_arprot,
  output wire [3:0]            m_axi_2_arqos,
  input  wire                  m_axi_2_rvalid,
  output wire                  m_axi_2_rready,
  input  wire [63:0]           m_axi_2_rdata,
  input  wire [1:0]            m_axi_2_rresp,
  input  wire                  m_axi_2_rlast,
  // Third read port of the loads.
  output wire                  m_axi_3_arvalid,
  input  wire                  m_axi_3_arready,
  output wire [ADDR_WIDTH-1:0] m_axi_3_araddr,
  output wire [7:0]            m_axi_3_arlen,
  output wire [2:0]            m_axi_3_arsize,
  output wire [1:0]            m_axi_3_arburst,
  output wire                  m_axi_3_arlock,
  output wire [3:0]            m_axi_3_arcache,
  output wire [2:0]            m_axi_3_arprot,
  output wire [3:0]            m_axi_3_arqos,
  input  wire                  m_axi_3_rvalid,
  output wire                  m_axi_3_rready,
  input  wire [63:0]           m_axi_3_rdata,
  input  wire [1:0]            m_axi_3_rresp,
  input  wire                  m_axi_3_rlast,
  // Fourth read port of the loads.
  output wire                  m_axi_4_arvalid,
  input  wire                  m_axi_4_arready,
  output wire [ADDR_WIDTH-1:0] m_axi_4_araddr,
  output wire [7:0]            m_axi_4_arlen,
  output wire [2:0]            m_axi_4_arsize,
  output wire [1:0]            m_axi_4_arburst,
  output wire                  m_axi_4_arlock,
  output wire [3:0]            m_axi_4_arcache,
  output wire [2:0]            m_axi_4_arprot,
  output wire [3:0]            m_axi_4_arqos,
  input  wire                  m_axi_4_rvalid,
  output wire                  m_axi_4_rready,
  input  wire [63:0]           m_axi_4_rdata,
  input  wire [1:0]            m_axi_4_rresp,
  input  wire                  m_axi_4_rlast
);
  // A build with fewer ports for the loads leaves the others' buses silent.
  wire [READ_PORTS-1:0] rd_arvalid, rd_arready, rd_rvalid, rd_rready, rd_rlast;
  wire [READ_PORTS*ADDR_WIDTH-1:0] rd_araddr;
  wire [READ_PORTS*8-1:0] rd_arlen;
  wire [READ_PORTS*64-1:0] rd_rdata;
  wire [READ_PORTS*2-1:0] rd_rresp;

  assign m_axi_0_arvalid = rd_arvalid[0];
  assign m_axi_0_araddr = rd_araddr[0*ADDR_WIDTH+:ADDR_WIDTH];
  assign m_axi_0_arlen = rd_arlen[0+:8];
  assign m_axi_0_rready = rd_rready[0];
  assign rd_arready[0] = m_axi_0_arready;
  assign rd_rvalid[0] = m_axi_0_rvalid;
  assign rd_rdata[0+:64] = m_axi_0_rdata;
  assign rd_rresp[0+:2] = m_axi_0_rresp;
  assign rd_rlast[0] = m_axi_0_rlast;

  generate
    if (READ_PORTS > 1) begin : gen_second
      assign m_axi_1_arvalid = rd_arvalid[1];
      assign m_axi_1_araddr = rd_araddr[1*ADDR_WIDTH+:ADDR_WIDTH];
      assign m_axi_1_arlen = rd_arlen[8+:8];
      assign m_axi_1_rready = rd_rready[1];
      assign rd_arready[1] = m_axi_1_arready;
      assign rd_rvalid[1] = m_axi_1_rvalid;
      assign rd_rdata[64+:64] = m_axi_1_rdata;
      assign rd_rresp[2+:2] = m_axi_1_rresp;
      assign rd_rlast[1] = m_axi_1_rlast;
    end else begin : gen_no_second
      assign m_axi_1_arvalid = 1'b0;
      assign m_axi_1_araddr = {ADDR_WIDTH{1'b0}};
      assign m_axi_1_arlen = 8'd0;
      assign m_axi_1_rready = 1'b0;
      wire unused_second =
        ^{m_axi_1_arready, m_axi_1_rvalid, m_axi_1_rdata, m_axi_1_rresp, m_axi_1_rlast};
    end
    if (READ_PORTS > 2) begin : gen_third_and_fourth
      assign m_axi_3_arvalid = rd_arvalid[2];
      assign m_axi_3_araddr = rd_araddr[2*ADDR_WIDTH+:ADDR_WIDTH];
      assign m_axi_3_arlen = rd_arlen[16+:8];
      assign m_axi_3_rready = rd_rready[2];
      assign rd_arready[2] = m_axi_3_arready;
      assign rd_rvalid[2] = m_axi_3_rvalid;
      assign rd_rdata[128+:64] = m_axi_3_rdata;
      assign rd_rresp[4+:2] = m_axi_3_rresp;
      assign rd_rlast[2] = m_axi_3_rlast;
      assign m_axi_4_arvalid = rd_arvalid[3];
      assign m_axi_4_araddr = rd_araddr[3*ADDR_WIDTH+:ADDR_WIDTH];
      assign m_axi_4_arlen = rd_arlen[24+:8];
      assign m_axi_4_rready = rd_rready[3];
      assign rd_arready[3] = m_axi_4_arready;
      assign rd_rvalid[3] = m_axi_4_rvalid;
      assign rd_rdata[192+:64] = m_axi_4_rdata;
      assign rd_rresp[6+:2] = m_axi_4_rresp;
      assign rd_rlast[3] = m_axi_4_rlast;
    end else begin : gen_no_third
      assign m_axi_3_arvalid = 1'b0;
      assign m_axi_3_araddr = {ADDR_WIDTH{1'b0}};
      assign m_axi_3_arlen = 8'd0;
      assign m_axi_3_rready = 1'b0;
      wire unused_third =
        ^{m_axi_3_arready, m_axi_3_rvalid, m_axi_3_rdata, m_axi_3_rresp, m_axi_3_rlast};
      assign m_axi_4_arvalid = 1'b0;
      assign m_axi_4_araddr = {ADDR_WIDTH{1'b0}};
      assign m_axi_4_arlen = 8'd0;
      assign m_axi_4_rready = 1'b0;
      wire unused_fourth =
        ^{m_axi_4_arready, m_axi_4_rvalid, m_axi_4_rdata, m_axi_4_rresp, m_axi_4_rlast};
    end
  endgenerate

  // Beats of eight bytes, incrementing, normal memory that may be buffered, secure: a
  // Zynq-7000 may have all of its DRAM closed to others, and a secure master reaches either.
  assign m_axi_0_arsize = 3'd3;
  assign m_axi_0_arburst = 2'b01;
  assign m_axi_0_arlock = 1'b0;
  assign m_axi_0_arcache = 4'b0011;
  assign m_axi_0_arprot = 3'b000;
  assign m_axi_0_arqos = 4'd0;
  assign m_axi_0_awsize = 3'd3;
  assign m_axi_0_awburst = 2'b01;
  assign m_axi_0_awlock = 1'b0;
  assign m_axi_0_awcache = 4'b0011;
  assign m_axi_0_awprot = 3'b000;
  assign m_axi_0_awqos = 4'd0;
  assign m_axi_1_arsize = 3'd3;
  assign m_axi_1_arburst = 2'b01;
  assign m_axi_1_arlock = 1'b0;
  assign m_axi_1_arcache = 4'b0011;
  assign m_axi_1_arprot = 3'b000;
  assign m_axi_1_arqos = 4'd0;
  assign m_axi_2_arsize = 3'd3;
  assign m_axi_2_arburst = 2'b01;
  assign m_axi_2_arlock = 1'b0;
  assign m_axi_2_arcache = 4'b0011;
  assign m_axi_2_arprot = 3'b000;
  assign m_axi_2_arqos = 4'd0;
  assign m_axi_3_arsize = 3'd3;
  assign m_axi_3_arburst = 2'b01;
  assign m_axi_3_arlock = 1'b0;
  assign m_axi_3_arcache = 4'b0011;
  assign m_axi_3_arprot = 3'b000;
  assign m_axi_3_arqos = 4'd0;
  assign m_axi_4_arsize = 3'd3;
  assign m_axi_4_arburst = 2'b01;
  assign m_axi_4_arlock = 1'b0;
  assign m_axi_4_arcache = 4'b0011;
  assign m_axi_4_arprot = 3'b000;
  assign m_axi_4_arqos = 4'd0;

  wire [2:0] trace_start, trace_valid;
  wire [59:0] trace_start_index, trace_index;

  winogen_core #(
    .DataWidth(DATA_WIDTH),
    .Lanes(LANES),
    .TileLanes(TILE_LANES),
    .InputDepth(INPUT_DEPTH),
    .WeightDepth(WEIGHT_DEPTH),
    .PsumDepth(PSUM_DEPTH),
    .OutputDepth(OUTPUT_DEPTH),
    .StepDepth(STEP_DEPTH),
    .AccumulatorDepth(ACCUMULATOR_DEPTH),
    .PhaseDepth(PHASE_DEPTH),
    .ParamDepth(PARAM_DEPTH),
    .ReadPorts(READ_PORTS),
    .Products(PRODUCTS),
    .Decoder(DECODER),
    .ConfigHash(CONFIG_HASH),
    .AddrWidth(ADDR_WIDTH)
  ) u_core (
    .clk_i(aclk),
    .rst_ni(aresetn),
    .irq_o(interrupt),
    .s_axil_awvalid_i(s_axi_awvalid),
    .s_axil_awready_o(s_axi_awready),
    .s_axil_awaddr_i(s_axi_awaddr),
    .s_axil_wvalid_i(s_axi_wvalid),
    .s_axil_wready_o(s_axi_wready),
    .s_axil_wdata_i(s_axi_wdata),
    .s_axil_wstrb_i(s_axi_wstrb),
    .s_axil_bvalid_o(s_axi_bvalid),
    .s_axil_bready_i(s_axi_bready),
    .s_axil_bresp_o(s_axi_bresp),
    .s_axil_arvalid_i(s_axi_arvalid),
    .s_axil_arready_o(s_axi_arready),
    .s_axil_araddr_i(s_axi_araddr),
    .s_axil_rvalid_o(s_axi_rvalid),
    .s_axil_rready_i(s_axi_rready),
    .s_axil_rdata_o(s_axi_rdata),
    .s_axil_rresp_o(s_axi_rresp),
    .m_axi_rd_arvalid_o(rd_arvalid),
    .m_axi_rd_arready_i(rd_arready),
    .m_axi_rd_araddr_o(rd_araddr),
    .m_axi_rd_arlen_o(rd_arlen),
    .m_axi_rd_rvalid_i(rd_rvalid),
    .m_axi_rd_rready_o(rd_rready),
    .m_axi_rd_rdata_i(rd_rdata),
    .m_axi_rd_rresp_i(rd_rresp),
    .m_axi_rd_rlast_i(rd_rlast),
    .m_axi_if_arvalid_o(m_axi_2_arvalid),
    .m_axi_if_arready_i(m_axi_2_arready),
    .m_axi_if_araddr_o(m_axi_2_araddr),
    .m_axi_if_arlen_o(m_axi_2_arlen),
    .m_axi_if_rvalid_i(m_axi_2_rvalid),
    .m_axi_if_rready_o(m_axi_2_rready),
    .m_axi_if_rdata_i(m_axi_2_rdata),
    .m_axi_if_rresp_i(m_axi_2_rresp),
    .m_axi_if_rlast_i(m_axi_2_rlast),
    .m_axi_wr_awvalid_o(m_axi_0_awvalid),
    .m_axi_wr_awready_i(m_axi_0_awready),
    .m_axi_wr_awaddr_o(m_axi_0_awaddr),
    .m_axi_wr_awlen_o(m_axi_0_awlen),
    .m_axi_wr_wvalid_o(m_axi_0_wvalid),
    .m_axi_wr_wready_i(m_axi_0_wready),
    .m_axi_wr_wdata_o(m_axi_0_wdata),
    .m_axi_wr_wstrb_o(m_axi_0_wstrb),
    .m_axi_wr_wlast_o(m_axi_0_wlast),
    .m_axi_wr_bvalid_i(m_axi_0_bvalid),
    .m_axi_wr_bready_o(m_axi_0_bready),
    .m_axi_wr_bresp_i(m_axi_0_bresp),
    .trace_start_o(trace_start),
    .trace_start_index_o(trace_start_index),
    .trace_valid_o(trace_valid),
    .trace_index_o(trace_index)
  );

  // Every access to the registers is allowed, whoever it is; nobody reads the trace.
  wire unused = ^{s_axi_awprot, s_axi_arprot, trace_start, trace_start_index, trace_valid,
                  trace_index};
endmodule
`default_nettype wire
