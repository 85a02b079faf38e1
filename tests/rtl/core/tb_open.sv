// winogen_open behind the ports of winogen_core, for the simulation around that. Here is what the
// processing system does: accesses to registers as AXI3 with identifiers, and a clock and a reset.
// The interrupt controller is switched on first, as pynq does it. Constant signals are checked.
module tb_open #(
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
  localparam logic [31:0] CoreBase = 32'h43c0_0000, IntcBase = 32'h4180_0000;

  winogen_open #(
    .DataWidth(DataWidth),
    .Lanes(Lanes),
    .TileLanes(TileLanes),
    .InputDepth(InputDepth),
    .WeightDepth(WeightDepth),
    .PsumDepth(PsumDepth),
    .OutputDepth(OutputDepth),
    .StepDepth(StepDepth),
    .AccumulatorDepth(AccumulatorDepth),
    .PhaseDepth(PhaseDepth),
    .ParamDepth(ParamDepth),
    .ReadPorts(ReadPorts),
    .Products(Products),
    .Decoder(Decoder),
    .ConfigHash(ConfigHash),
    .CoreBase(CoreBase),
    .IntcBase(IntcBase)
  ) u_open ();

  // Clock, reset and interrupt. The other clocks of the processing system stand still.
  assign u_open.u_ps7.FCLKCLK = {3'b000, clk_i};
  assign u_open.u_ps7.FCLKRESETN = {3'b000, rst_ni};
  assign irq_o = u_open.u_ps7.IRQF2P[0];

  // Registers. First the two writes that switch the interrupt controller on. The processor waits
  // until the logic is out of reset.
  typedef enum logic [1:0] {
    Master,
    Enable,
    Ready
  } boot_e;
  boot_e boot_q;
  logic running, ready, aw_sent_q, w_sent_q;
  logic [11:0] wid_q, rid_q;  // a new one for each access

  assign running = u_open.rst_n;
  assign ready = boot_q == Ready;
  assign u_open.u_ps7.MAXIGP0AWVALID = running && (ready ? s_axil_awvalid_i : !aw_sent_q);
  assign u_open.u_ps7.MAXIGP0AWID = wid_q;
  assign u_open.u_ps7.MAXIGP0AWADDR = boot_q == Master ? IntcBase + 32'h1c
                                    : boot_q == Enable ? IntcBase + 32'h10
                                    : CoreBase + 32'(s_axil_awaddr_i);
  assign u_open.u_ps7.MAXIGP0AWLEN = 4'd0;
  assign u_open.u_ps7.MAXIGP0AWSIZE = 2'd2;
  assign u_open.u_ps7.MAXIGP0AWBURST = 2'b01;
  assign u_open.u_ps7.MAXIGP0WVALID = running && (ready ? s_axil_wvalid_i : !w_sent_q);
  assign u_open.u_ps7.MAXIGP0WID = wid_q;
  assign u_open.u_ps7.MAXIGP0WDATA = ready ? s_axil_wdata_i : 32'd3;
  assign u_open.u_ps7.MAXIGP0WSTRB = ready ? s_axil_wstrb_i : 4'hf;
  assign u_open.u_ps7.MAXIGP0WLAST = 1'b1;
  assign u_open.u_ps7.MAXIGP0BREADY = ready ? s_axil_bready_i : 1'b1;
  assign u_open.u_ps7.MAXIGP0ARVALID = running && ready && s_axil_arvalid_i;
  assign u_open.u_ps7.MAXIGP0ARID = rid_q;
  assign u_open.u_ps7.MAXIGP0ARADDR = CoreBase + 32'(s_axil_araddr_i);
  assign u_open.u_ps7.MAXIGP0ARLEN = 4'd0;
  assign u_open.u_ps7.MAXIGP0ARSIZE = 2'd2;
  assign u_open.u_ps7.MAXIGP0ARBURST = 2'b01;
  assign u_open.u_ps7.MAXIGP0RREADY = s_axil_rready_i;

  assign s_axil_awready_o = ready && u_open.u_ps7.MAXIGP0AWREADY;
  assign s_axil_wready_o = ready && u_open.u_ps7.MAXIGP0WREADY;
  assign s_axil_bvalid_o = ready && u_open.u_ps7.MAXIGP0BVALID;
  assign s_axil_bresp_o = u_open.u_ps7.MAXIGP0BRESP;
  assign s_axil_arready_o = ready && u_open.u_ps7.MAXIGP0ARREADY;
  assign s_axil_rvalid_o = u_open.u_ps7.MAXIGP0RVALID;
  assign s_axil_rdata_o = u_open.u_ps7.MAXIGP0RDATA;
  assign s_axil_rresp_o = u_open.u_ps7.MAXIGP0RRESP;

  always_ff @(posedge clk_i) begin
    if (!running) begin
      boot_q <= Master;
      {aw_sent_q, w_sent_q} <= '0;
      {wid_q, rid_q} <= {12'h5a5, 12'hfff};
    end else begin
      aw_sent_q <= !ready && (aw_sent_q || u_open.u_ps7.MAXIGP0AWREADY);
      w_sent_q <= !ready && (w_sent_q || u_open.u_ps7.MAXIGP0WREADY);
      if (u_open.u_ps7.MAXIGP0BVALID && u_open.u_ps7.MAXIGP0BREADY) begin
        assert (u_open.u_ps7.MAXIGP0BID == wid_q && u_open.u_ps7.MAXIGP0BRESP == '0);
        wid_q <= wid_q + 12'd1;
        {aw_sent_q, w_sent_q} <= '0;
        if (boot_q == Master) boot_q <= Enable;
        if (boot_q == Enable) boot_q <= Ready;
      end
      if (u_open.u_ps7.MAXIGP0RVALID && u_open.u_ps7.MAXIGP0RREADY) begin
        assert (u_open.u_ps7.MAXIGP0RID == rid_q && u_open.u_ps7.MAXIGP0RLAST);
        rid_q <= rid_q + 12'd1;
      end
    end
  end

  // Memory: port 0 and 1 are the loads', 2 the fetch's.
  assign m_axi_rd_arvalid_o[0] = u_open.u_ps7.SAXIHP0ARVALID;
  assign m_axi_rd_araddr_o[0] = AddrWidth'(u_open.u_ps7.SAXIHP0ARADDR);
  assign m_axi_rd_arlen_o[0] = 8'(u_open.u_ps7.SAXIHP0ARLEN);
  assign m_axi_rd_rready_o[0] = u_open.u_ps7.SAXIHP0RREADY;
  assign u_open.u_ps7.SAXIHP0ARREADY = m_axi_rd_arready_i[0];
  assign u_open.u_ps7.SAXIHP0RVALID = m_axi_rd_rvalid_i[0];
  assign u_open.u_ps7.SAXIHP0RID = '0;
  assign u_open.u_ps7.SAXIHP0RDATA = m_axi_rd_rdata_i[0];
  assign u_open.u_ps7.SAXIHP0RRESP = m_axi_rd_rresp_i[0];
  assign u_open.u_ps7.SAXIHP0RLAST = m_axi_rd_rlast_i[0];
  if (ReadPorts == 2) begin : g_second
    assign m_axi_rd_arvalid_o[1] = u_open.u_ps7.SAXIHP1ARVALID;
    assign m_axi_rd_araddr_o[1] = AddrWidth'(u_open.u_ps7.SAXIHP1ARADDR);
    assign m_axi_rd_arlen_o[1] = 8'(u_open.u_ps7.SAXIHP1ARLEN);
    assign m_axi_rd_rready_o[1] = u_open.u_ps7.SAXIHP1RREADY;
    assign u_open.u_ps7.SAXIHP1ARREADY = m_axi_rd_arready_i[1];
    assign u_open.u_ps7.SAXIHP1RVALID = m_axi_rd_rvalid_i[1];
    assign u_open.u_ps7.SAXIHP1RDATA = m_axi_rd_rdata_i[1];
    assign u_open.u_ps7.SAXIHP1RRESP = m_axi_rd_rresp_i[1];
    assign u_open.u_ps7.SAXIHP1RLAST = m_axi_rd_rlast_i[1];
  end else begin : g_silent
    assign {u_open.u_ps7.SAXIHP1ARREADY, u_open.u_ps7.SAXIHP1RVALID} = '0;
    assign {u_open.u_ps7.SAXIHP1RDATA, u_open.u_ps7.SAXIHP1RRESP, u_open.u_ps7.SAXIHP1RLAST} = '0;
    always_ff @(posedge clk_i) assert (!u_open.u_ps7.SAXIHP1ARVALID);
  end
  assign u_open.u_ps7.SAXIHP1RID = '0;
  assign m_axi_if_arvalid_o = u_open.u_ps7.SAXIHP2ARVALID;
  assign m_axi_if_araddr_o = AddrWidth'(u_open.u_ps7.SAXIHP2ARADDR);
  assign m_axi_if_arlen_o = 8'(u_open.u_ps7.SAXIHP2ARLEN);
  assign m_axi_if_rready_o = u_open.u_ps7.SAXIHP2RREADY;
  assign u_open.u_ps7.SAXIHP2ARREADY = m_axi_if_arready_i;
  assign u_open.u_ps7.SAXIHP2RVALID = m_axi_if_rvalid_i;
  assign u_open.u_ps7.SAXIHP2RID = '0;
  assign u_open.u_ps7.SAXIHP2RDATA = m_axi_if_rdata_i;
  assign u_open.u_ps7.SAXIHP2RRESP = m_axi_if_rresp_i;
  assign u_open.u_ps7.SAXIHP2RLAST = m_axi_if_rlast_i;
  assign m_axi_wr_awvalid_o = u_open.u_ps7.SAXIHP0AWVALID;
  assign m_axi_wr_awaddr_o = AddrWidth'(u_open.u_ps7.SAXIHP0AWADDR);
  assign m_axi_wr_awlen_o = 8'(u_open.u_ps7.SAXIHP0AWLEN);
  assign m_axi_wr_wvalid_o = u_open.u_ps7.SAXIHP0WVALID;
  assign m_axi_wr_wdata_o = u_open.u_ps7.SAXIHP0WDATA;
  assign m_axi_wr_wstrb_o = u_open.u_ps7.SAXIHP0WSTRB;
  assign m_axi_wr_wlast_o = u_open.u_ps7.SAXIHP0WLAST;
  assign m_axi_wr_bready_o = u_open.u_ps7.SAXIHP0BREADY;
  assign u_open.u_ps7.SAXIHP0AWREADY = m_axi_wr_awready_i;
  assign u_open.u_ps7.SAXIHP0WREADY = m_axi_wr_wready_i;
  assign u_open.u_ps7.SAXIHP0BVALID = m_axi_wr_bvalid_i;
  assign u_open.u_ps7.SAXIHP0BID = '0;
  assign u_open.u_ps7.SAXIHP0BRESP = m_axi_wr_bresp_i;

  assign trace_valid_o = u_open.u_core.trace_valid_o;
  assign trace_index_o = u_open.u_core.trace_index_o;
  assign trace_start_o = u_open.u_core.trace_start_o;
  assign trace_start_index_o = u_open.u_core.trace_start_index_o;

  // Every port has the clock, addresses fit, and what is constant is right: whole 64-bit beats, INCR,
  // no locks, no cache on the way that could keep a write, one identifier, so that answers come in
  // order, and no other interrupt.
  always_ff @(posedge clk_i) begin
    assert (u_open.u_ps7.MAXIGP0ACLK && u_open.u_ps7.SAXIHP0ACLK && u_open.u_ps7.SAXIHP1ACLK
            && u_open.u_ps7.SAXIHP2ACLK);
    assert (u_open.u_ps7.SAXIHP0ARSIZE == 3 && u_open.u_ps7.SAXIHP1ARSIZE == 3
            && u_open.u_ps7.SAXIHP2ARSIZE == 3 && u_open.u_ps7.SAXIHP0AWSIZE == 3);
    assert (u_open.u_ps7.SAXIHP0ARBURST == 1 && u_open.u_ps7.SAXIHP1ARBURST == 1
            && u_open.u_ps7.SAXIHP2ARBURST == 1 && u_open.u_ps7.SAXIHP0AWBURST == 1);
    assert ({u_open.u_ps7.SAXIHP0ARLOCK, u_open.u_ps7.SAXIHP1ARLOCK, u_open.u_ps7.SAXIHP2ARLOCK,
             u_open.u_ps7.SAXIHP0AWLOCK, u_open.u_ps7.SAXIHP0ARQOS, u_open.u_ps7.SAXIHP1ARQOS,
             u_open.u_ps7.SAXIHP2ARQOS, u_open.u_ps7.SAXIHP0AWQOS} == '0);
    assert ({u_open.u_ps7.SAXIHP0ARCACHE[3:2], u_open.u_ps7.SAXIHP1ARCACHE[3:2],
             u_open.u_ps7.SAXIHP2ARCACHE[3:2], u_open.u_ps7.SAXIHP0AWCACHE[3:2]} == '0);
    assert ({u_open.u_ps7.SAXIHP0ARPROT, u_open.u_ps7.SAXIHP1ARPROT,
             u_open.u_ps7.SAXIHP2ARPROT, u_open.u_ps7.SAXIHP0AWPROT} == '0);
    assert ({u_open.u_ps7.SAXIHP0ARID, u_open.u_ps7.SAXIHP1ARID, u_open.u_ps7.SAXIHP2ARID,
             u_open.u_ps7.SAXIHP0AWID, u_open.u_ps7.SAXIHP0WID} == '0);
    assert ({u_open.u_ps7.SAXIHP0RDISSUECAP1EN, u_open.u_ps7.SAXIHP1RDISSUECAP1EN,
             u_open.u_ps7.SAXIHP2RDISSUECAP1EN, u_open.u_ps7.SAXIHP0WRISSUECAP1EN} == '0);
    assert (u_open.u_ps7.IRQF2P[19:1] == '0 && u_open.u_ps7.DDRARB == '0);
  end
endmodule
