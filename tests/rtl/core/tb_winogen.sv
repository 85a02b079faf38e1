// The wrapper for Vivado behind the ports of winogen_core, for the simulation around that: bus
// signals that the wrapper ties are checked here.
module tb_winogen #(
  parameter int unsigned DataWidth = 8,
  parameter int unsigned Lanes = 8,
  parameter int unsigned TileLanes = 3,
  parameter int unsigned InputDepth = 16384,
  parameter int unsigned WeightDepth = 2048,
  parameter int unsigned PsumDepth = 2048,
  parameter int unsigned OutputDepth = 4096,
  parameter int unsigned StepDepth = 1024,
  parameter int unsigned AccumulatorDepth = 64,
  parameter int unsigned PhaseDepth = 128,
  parameter int unsigned ParamDepth = 64,
  parameter int unsigned ReadPorts = 2,
  parameter int unsigned Products = 1,
  parameter int unsigned Decoder = 0,
  parameter logic [31:0] ConfigHash = 0,
  parameter int unsigned AddrWidth = 64
) (
  input  logic clk_i,
  input  logic rst_ni,
  output logic irq_o,

  input  logic        s_axil_awvalid_i,
  output logic        s_axil_awready_o,
  input  logic [11:0] s_axil_awaddr_i,
  input  logic        s_axil_wvalid_i,
  output logic        s_axil_wready_o,
  input  logic [31:0] s_axil_wdata_i,
  input  logic [3:0]  s_axil_wstrb_i,
  output logic        s_axil_bvalid_o,
  input  logic        s_axil_bready_i,
  output logic [1:0]  s_axil_bresp_o,
  input  logic        s_axil_arvalid_i,
  output logic        s_axil_arready_o,
  input  logic [11:0] s_axil_araddr_i,
  output logic        s_axil_rvalid_o,
  input  logic        s_axil_rready_i,
  output logic [31:0] s_axil_rdata_o,
  output logic [1:0]  s_axil_rresp_o,

  output logic [ReadPorts-1:0]                m_axi_rd_arvalid_o,
  input  logic [ReadPorts-1:0]                m_axi_rd_arready_i,
  output logic [ReadPorts-1:0][AddrWidth-1:0] m_axi_rd_araddr_o,
  output logic [ReadPorts-1:0][7:0]           m_axi_rd_arlen_o,
  input  logic [ReadPorts-1:0]                m_axi_rd_rvalid_i,
  output logic [ReadPorts-1:0]                m_axi_rd_rready_o,
  input  logic [ReadPorts-1:0][63:0]          m_axi_rd_rdata_i,
  input  logic [ReadPorts-1:0][1:0]           m_axi_rd_rresp_i,
  input  logic [ReadPorts-1:0]                m_axi_rd_rlast_i,

  output logic                 m_axi_if_arvalid_o,
  input  logic                 m_axi_if_arready_i,
  output logic [AddrWidth-1:0] m_axi_if_araddr_o,
  output logic [7:0]           m_axi_if_arlen_o,
  input  logic                 m_axi_if_rvalid_i,
  output logic                 m_axi_if_rready_o,
  input  logic [63:0]          m_axi_if_rdata_i,
  input  logic [1:0]           m_axi_if_rresp_i,
  input  logic                 m_axi_if_rlast_i,

  output logic                 m_axi_wr_awvalid_o,
  input  logic                 m_axi_wr_awready_i,
  output logic [AddrWidth-1:0] m_axi_wr_awaddr_o,
  output logic [7:0]           m_axi_wr_awlen_o,
  output logic                 m_axi_wr_wvalid_o,
  input  logic                 m_axi_wr_wready_i,
  output logic [63:0]          m_axi_wr_wdata_o,
  output logic [7:0]           m_axi_wr_wstrb_o,
  output logic                 m_axi_wr_wlast_o,
  input  logic                 m_axi_wr_bvalid_i,
  output logic                 m_axi_wr_bready_o,
  input  logic [1:0]           m_axi_wr_bresp_i,

  output logic [2:0]       trace_valid_o,
  output logic [2:0][19:0] trace_index_o,
  output logic [2:0]       trace_start_o,
  output logic [2:0][19:0] trace_start_index_o
);
  // Buses 0, 1, 3 and 4 of the wrapper are those of the loads, 2 is the fetch's.
  logic [4:0] arvalid, arready, arlock, rvalid, rready, rlast;
  logic [4:0][AddrWidth-1:0] araddr;
  logic [4:0][7:0] arlen;
  logic [4:0][2:0] arsize, arprot;
  logic [4:0][1:0] arburst, rresp;
  logic [4:0][3:0] arcache, arqos;
  logic [4:0][63:0] rdata;
  logic awlock;
  logic [2:0] awsize, awprot;
  logic [1:0] awburst;
  logic [3:0] awcache, awqos;

  for (genvar i = 0; i < 4; i++) begin : g_read
    localparam int unsigned Bus = i < 2 ? i : i + 1;
    if (i < ReadPorts) begin : g_there
      assign m_axi_rd_arvalid_o[i] = arvalid[Bus];
      assign m_axi_rd_araddr_o[i] = araddr[Bus];
      assign m_axi_rd_arlen_o[i] = arlen[Bus];
      assign m_axi_rd_rready_o[i] = rready[Bus];
      assign arready[Bus] = m_axi_rd_arready_i[i];
      assign rvalid[Bus] = m_axi_rd_rvalid_i[i];
      assign rdata[Bus] = m_axi_rd_rdata_i[i];
      assign rresp[Bus] = m_axi_rd_rresp_i[i];
      assign rlast[Bus] = m_axi_rd_rlast_i[i];
    end else begin : g_silent
      assign {arready[Bus], rvalid[Bus], rdata[Bus], rresp[Bus], rlast[Bus]} = '0;
      always_ff @(posedge clk_i) assert (!arvalid[Bus]);
    end
  end
  assign m_axi_if_arvalid_o = arvalid[2];
  assign m_axi_if_araddr_o = araddr[2];
  assign m_axi_if_arlen_o = arlen[2];
  assign m_axi_if_rready_o = rready[2];
  assign arready[2] = m_axi_if_arready_i;
  assign rvalid[2] = m_axi_if_rvalid_i;
  assign rdata[2] = m_axi_if_rdata_i;
  assign rresp[2] = m_axi_if_rresp_i;
  assign rlast[2] = m_axi_if_rlast_i;

  winogen #(
    .DATA_WIDTH(DataWidth),
    .LANES(Lanes),
    .TILE_LANES(TileLanes),
    .INPUT_DEPTH(InputDepth),
    .WEIGHT_DEPTH(WeightDepth),
    .PSUM_DEPTH(PsumDepth),
    .OUTPUT_DEPTH(OutputDepth),
    .STEP_DEPTH(StepDepth),
    .ACCUMULATOR_DEPTH(AccumulatorDepth),
    .PHASE_DEPTH(PhaseDepth),
    .PARAM_DEPTH(ParamDepth),
    .READ_PORTS(ReadPorts),
    .PRODUCTS(Products),
    .DECODER(Decoder),
    .CONFIG_HASH(ConfigHash),
    .ADDR_WIDTH(AddrWidth)
  ) u_winogen (
    .aclk(clk_i),
    .aresetn(rst_ni),
    .interrupt(irq_o),
    .s_axi_awvalid(s_axil_awvalid_i),
    .s_axi_awready(s_axil_awready_o),
    .s_axi_awaddr(s_axil_awaddr_i),
    .s_axi_awprot(3'b000),
    .s_axi_wvalid(s_axil_wvalid_i),
    .s_axi_wready(s_axil_wready_o),
    .s_axi_wdata(s_axil_wdata_i),
    .s_axi_wstrb(s_axil_wstrb_i),
    .s_axi_bvalid(s_axil_bvalid_o),
    .s_axi_bready(s_axil_bready_i),
    .s_axi_bresp(s_axil_bresp_o),
    .s_axi_arvalid(s_axil_arvalid_i),
    .s_axi_arready(s_axil_arready_o),
    .s_axi_araddr(s_axil_araddr_i),
    .s_axi_arprot(3'b000),
    .s_axi_rvalid(s_axil_rvalid_o),
    .s_axi_rready(s_axil_rready_i),
    .s_axi_rdata(s_axil_rdata_o),
    .s_axi_rresp(s_axil_rresp_o),
    .m_axi_0_arvalid(arvalid[0]),
    .m_axi_0_arready(arready[0]),
    .m_axi_0_araddr(araddr[0]),
    .m_axi_0_arlen(arlen[0]),
    .m_axi_0_arsize(arsize[0]),
    .m_axi_0_arburst(arburst[0]),
    .m_axi_0_arlock(arlock[0]),
    .m_axi_0_arcache(arcache[0]),
    .m_axi_0_arprot(arprot[0]),
    .m_axi_0_arqos(arqos[0]),
    .m_axi_0_rvalid(rvalid[0]),
    .m_axi_0_rready(rready[0]),
    .m_axi_0_rdata(rdata[0]),
    .m_axi_0_rresp(rresp[0]),
    .m_axi_0_rlast(rlast[0]),
    .m_axi_0_awvalid(m_axi_wr_awvalid_o),
    .m_axi_0_awready(m_axi_wr_awready_i),
    .m_axi_0_awaddr(m_axi_wr_awaddr_o),
    .m_axi_0_awlen(m_axi_wr_awlen_o),
    .m_axi_0_awsize(awsize),
    .m_axi_0_awburst(awburst),
    .m_axi_0_awlock(awlock),
    .m_axi_0_awcache(awcache),
    .m_axi_0_awprot(awprot),
    .m_axi_0_awqos(awqos),
    .m_axi_0_wvalid(m_axi_wr_wvalid_o),
    .m_axi_0_wready(m_axi_wr_wready_i),
    .m_axi_0_wdata(m_axi_wr_wdata_o),
    .m_axi_0_wstrb(m_axi_wr_wstrb_o),
    .m_axi_0_wlast(m_axi_wr_wlast_o),
    .m_axi_0_bvalid(m_axi_wr_bvalid_i),
    .m_axi_0_bready(m_axi_wr_bready_o),
    .m_axi_0_bresp(m_axi_wr_bresp_i),
    .m_axi_1_arvalid(arvalid[1]),
    .m_axi_1_arready(arready[1]),
    .m_axi_1_araddr(araddr[1]),
    .m_axi_1_arlen(arlen[1]),
    .m_axi_1_arsize(arsize[1]),
    .m_axi_1_arburst(arburst[1]),
    .m_axi_1_arlock(arlock[1]),
    .m_axi_1_arcache(arcache[1]),
    .m_axi_1_arprot(arprot[1]),
    .m_axi_1_arqos(arqos[1]),
    .m_axi_1_rvalid(rvalid[1]),
    .m_axi_1_rready(rready[1]),
    .m_axi_1_rdata(rdata[1]),
    .m_axi_1_rresp(rresp[1]),
    .m_axi_1_rlast(rlast[1]),
    .m_axi_2_arvalid(arvalid[2]),
    .m_axi_2_arready(arready[2]),
    .m_axi_2_araddr(araddr[2]),
    .m_axi_2_arlen(arlen[2]),
    .m_axi_2_arsize(arsize[2]),
    .m_axi_2_arburst(arburst[2]),
    .m_axi_2_arlock(arlock[2]),
    .m_axi_2_arcache(arcache[2]),
    .m_axi_2_arprot(arprot[2]),
    .m_axi_2_arqos(arqos[2]),
    .m_axi_2_rvalid(rvalid[2]),
    .m_axi_2_rready(rready[2]),
    .m_axi_2_rdata(rdata[2]),
    .m_axi_2_rresp(rresp[2]),
    .m_axi_2_rlast(rlast[2]),
    .m_axi_3_arvalid(arvalid[3]),
    .m_axi_3_arready(arready[3]),
    .m_axi_3_araddr(araddr[3]),
    .m_axi_3_arlen(arlen[3]),
    .m_axi_3_arsize(arsize[3]),
    .m_axi_3_arburst(arburst[3]),
    .m_axi_3_arlock(arlock[3]),
    .m_axi_3_arcache(arcache[3]),
    .m_axi_3_arprot(arprot[3]),
    .m_axi_3_arqos(arqos[3]),
    .m_axi_3_rvalid(rvalid[3]),
    .m_axi_3_rready(rready[3]),
    .m_axi_3_rdata(rdata[3]),
    .m_axi_3_rresp(rresp[3]),
    .m_axi_3_rlast(rlast[3]),
    .m_axi_4_arvalid(arvalid[4]),
    .m_axi_4_arready(arready[4]),
    .m_axi_4_araddr(araddr[4]),
    .m_axi_4_arlen(arlen[4]),
    .m_axi_4_arsize(arsize[4]),
    .m_axi_4_arburst(arburst[4]),
    .m_axi_4_arlock(arlock[4]),
    .m_axi_4_arcache(arcache[4]),
    .m_axi_4_arprot(arprot[4]),
    .m_axi_4_arqos(arqos[4]),
    .m_axi_4_rvalid(rvalid[4]),
    .m_axi_4_rready(rready[4]),
    .m_axi_4_rdata(rdata[4]),
    .m_axi_4_rresp(rresp[4]),
    .m_axi_4_rlast(rlast[4])
  );

  // The wrapper leaves the trace inside.
  assign trace_valid_o = u_winogen.u_core.trace_valid_o;
  assign trace_index_o = u_winogen.u_core.trace_index_o;
  assign trace_start_o = u_winogen.u_core.trace_start_o;
  assign trace_start_index_o = u_winogen.u_core.trace_start_index_o;

  // Whole 64-bit beats, INCR, no locks, and no cache on the way that could keep a write.
  always_ff @(posedge clk_i) begin
    for (int i = 0; i < 5; i++) begin
      assert (arsize[i] == 3 && arburst[i] == 1 && !arlock[i] && arcache[i][3:2] == 0);
      assert (arprot[i] == '0 && arqos[i] == 0);
    end
    assert (awsize == 3 && awburst == 1 && !awlock && awcache[3:2] == 0);
    assert (awprot == '0 && awqos == 0);
  end
endmodule
