// The accelerator in a Zynq-7000, without Vivado: the processing system (PS7), the core, its interrupt
// controller, and what joins them. There is nothing outside the chip: no port, no constraint.
//
//   GP0  registers of the core and of the interrupt controller
//   HP0  first read port of the loads, and the stores
//   HP1  second read port of the loads
//   HP2  instructions
//
// PS7 inputs that are not named here are grounded by place and route, as the pins of the DRAM and
// the peripherals are connected by it. DDRARB is the exception that it takes for a DRAM pin.
module winogen_open #(
  parameter int unsigned DataWidth        = 8,
  parameter int unsigned Lanes            = 8,
  parameter int unsigned TileLanes        = 3,
  parameter int unsigned InputDepth       = 16384,
  parameter int unsigned WeightDepth      = 2048,
  parameter int unsigned PsumDepth        = 2048,
  parameter int unsigned OutputDepth      = 4096,
  parameter int unsigned StepDepth        = 1024,
  parameter int unsigned AccumulatorDepth = 64,
  parameter int unsigned PhaseDepth       = 128,
  parameter int unsigned ParamDepth       = 64,
  parameter int unsigned ReadPorts        = 2,
  parameter int unsigned Products         = 1,
  parameter int unsigned Decoder          = 0,
  parameter logic [31:0] ConfigHash       = '0,
  // Bus addresses of the core's registers and of the interrupt controller, and their sizes.
  parameter logic [31:0] CoreBase         = 32'h43c0_0000,
  parameter logic [31:0] CoreBytes        = 32'h0000_1000,
  parameter logic [31:0] IntcBase         = 32'h4180_0000,
  parameter logic [31:0] IntcBytes        = 32'h0001_0000
);
  // AXI of the core's masters: 8-byte beats that increment, normal memory that may be buffered.
  // Secure: the board may have closed its DRAM to others, and a secure master reaches either kind.
  localparam logic [1:0] Size = 2'd3, Burst = 2'b01;
  localparam logic [3:0] Cache = 4'b0011;
  localparam logic [2:0] Prot = 3'b000;
  // Slaves of GP0.
  localparam int unsigned Core = 0, Intc = 1, Slaves = 2;
  localparam logic [Slaves-1:0][31:0] Base = {IntcBase, CoreBase};
  localparam logic [Slaves-1:0][31:0] Bytes = {IntcBytes, CoreBytes};

  logic clk, rst_n;
  logic [3:0] fclk, fclk_rst_n;

  BUFG u_clock (
    .I(fclk[0]),
    .O(clk)
  );
  wg_reset_sync u_reset (
    .clk_i(clk),
    .rst_async_ni(fclk_rst_n[0]),
    .rst_no(rst_n)
  );

  // GP0 of the processing system.
  logic gp_awvalid, gp_awready, gp_wvalid, gp_wready, gp_wlast, gp_bvalid, gp_bready;
  logic gp_arvalid, gp_arready, gp_rvalid, gp_rready, gp_rlast;
  logic [11:0] gp_awid, gp_wid, gp_bid, gp_arid, gp_rid;
  logic [31:0] gp_awaddr, gp_wdata, gp_araddr, gp_rdata;
  logic [3:0] gp_awlen, gp_wstrb, gp_arlen;
  logic [1:0] gp_awsize, gp_awburst, gp_bresp, gp_arsize, gp_arburst, gp_rresp;

  // Its slaves.
  logic [Slaves-1:0] awvalid, awready, wvalid, wready, bvalid, bready;
  logic [Slaves-1:0] arvalid, arready, rvalid, rready;
  logic [Slaves-1:0][1:0] bresp, rresp;
  logic [Slaves-1:0][31:0] rdata;
  logic [31:0] awaddr, araddr, wdata;
  logic [3:0] wstrb;

  wg_gp_write #(
    .Slaves(Slaves),
    .Base(Base),
    .Bytes(Bytes)
  ) u_gp_write (
    .clk_i(clk),
    .rst_ni(rst_n),
    .awvalid_i(gp_awvalid),
    .awready_o(gp_awready),
    .awid_i(gp_awid),
    .awaddr_i(gp_awaddr),
    .awlen_i(gp_awlen),
    .awsize_i(gp_awsize),
    .awburst_i(gp_awburst),
    .wvalid_i(gp_wvalid),
    .wready_o(gp_wready),
    .wid_i(gp_wid),
    .wdata_i(gp_wdata),
    .wstrb_i(gp_wstrb),
    .wlast_i(gp_wlast),
    .bvalid_o(gp_bvalid),
    .bready_i(gp_bready),
    .bid_o(gp_bid),
    .bresp_o(gp_bresp),
    .m_axil_awvalid_o(awvalid),
    .m_axil_awready_i(awready),
    .m_axil_awaddr_o(awaddr),
    .m_axil_wvalid_o(wvalid),
    .m_axil_wready_i(wready),
    .m_axil_wdata_o(wdata),
    .m_axil_wstrb_o(wstrb),
    .m_axil_bvalid_i(bvalid),
    .m_axil_bready_o(bready),
    .m_axil_bresp_i(bresp)
  );

  wg_gp_read #(
    .Slaves(Slaves),
    .Base(Base),
    .Bytes(Bytes)
  ) u_gp_read (
    .clk_i(clk),
    .rst_ni(rst_n),
    .arvalid_i(gp_arvalid),
    .arready_o(gp_arready),
    .arid_i(gp_arid),
    .araddr_i(gp_araddr),
    .arlen_i(gp_arlen),
    .arsize_i(gp_arsize),
    .arburst_i(gp_arburst),
    .rvalid_o(gp_rvalid),
    .rready_i(gp_rready),
    .rid_o(gp_rid),
    .rdata_o(gp_rdata),
    .rresp_o(gp_rresp),
    .rlast_o(gp_rlast),
    .m_axil_arvalid_o(arvalid),
    .m_axil_arready_i(arready),
    .m_axil_araddr_o(araddr),
    .m_axil_rvalid_i(rvalid),
    .m_axil_rready_o(rready),
    .m_axil_rdata_i(rdata),
    .m_axil_rresp_i(rresp)
  );

  logic core_irq, irq;

  wg_intc u_intc (
    .clk_i(clk),
    .rst_ni(rst_n),
    .intr_i(core_irq),
    .irq_o(irq),
    .s_axil_awvalid_i(awvalid[Intc]),
    .s_axil_awready_o(awready[Intc]),
    .s_axil_awaddr_i(awaddr[15:0]),
    .s_axil_wvalid_i(wvalid[Intc]),
    .s_axil_wready_o(wready[Intc]),
    .s_axil_wdata_i(wdata),
    .s_axil_wstrb_i(wstrb),
    .s_axil_bvalid_o(bvalid[Intc]),
    .s_axil_bready_i(bready[Intc]),
    .s_axil_bresp_o(bresp[Intc]),
    .s_axil_arvalid_i(arvalid[Intc]),
    .s_axil_arready_o(arready[Intc]),
    .s_axil_araddr_i(araddr[15:0]),
    .s_axil_rvalid_o(rvalid[Intc]),
    .s_axil_rready_i(rready[Intc]),
    .s_axil_rdata_o(rdata[Intc]),
    .s_axil_rresp_o(rresp[Intc])
  );

  // The read ports on their HP ports: those of the loads, and that of the instructions. Index 1 is
  // silent in a build with one port for the loads.
  localparam int unsigned Fetch = 2, Ports = 3;
  logic [Ports-1:0] rd_arvalid, rd_arready, rd_rvalid, rd_rready, rd_rlast;
  logic [Ports-1:0][31:0] rd_araddr;
  logic [Ports-1:0][7:0] rd_arlen;
  logic [Ports-1:0][63:0] rd_rdata;
  logic [Ports-1:0][1:0] rd_rresp;
  logic [Ports-1:0] hp_arvalid, hp_arready, hp_rvalid, hp_rready, hp_rlast;
  logic [Ports-1:0][31:0] hp_araddr;
  logic [Ports-1:0][3:0] hp_arlen;
  logic [Ports-1:0][63:0] hp_rdata;
  logic [Ports-1:0][1:0] hp_rresp;

  for (genvar i = 0; i < Ports; i++) begin : g_read
    if (i < ReadPorts || i == Fetch) begin : g_there
      wg_hp_read u_port (
        .clk_i(clk),
        .rst_ni(rst_n),
        .arvalid_i(rd_arvalid[i]),
        .arready_o(rd_arready[i]),
        .araddr_i(rd_araddr[i]),
        .arlen_i(rd_arlen[i]),
        .rvalid_o(rd_rvalid[i]),
        .rready_i(rd_rready[i]),
        .rdata_o(rd_rdata[i]),
        .rresp_o(rd_rresp[i]),
        .rlast_o(rd_rlast[i]),
        .m_axi_arvalid_o(hp_arvalid[i]),
        .m_axi_arready_i(hp_arready[i]),
        .m_axi_araddr_o(hp_araddr[i]),
        .m_axi_arlen_o(hp_arlen[i]),
        .m_axi_rvalid_i(hp_rvalid[i]),
        .m_axi_rready_o(hp_rready[i]),
        .m_axi_rdata_i(hp_rdata[i]),
        .m_axi_rresp_i(hp_rresp[i]),
        .m_axi_rlast_i(hp_rlast[i])
      );
    end else begin : g_silent
      assign {hp_arvalid[i], hp_araddr[i], hp_arlen[i], hp_rready[i]} = '0;
      assign {rd_arvalid[i], rd_araddr[i], rd_arlen[i], rd_rready[i]} = '0;
      assign {rd_arready[i], rd_rvalid[i], rd_rdata[i], rd_rresp[i], rd_rlast[i]} = '0;
      logic unused_silent;
      assign unused_silent = ^{hp_arready[i], hp_rvalid[i], hp_rdata[i], hp_rresp[i], hp_rlast[i],
                               rd_arvalid[i], rd_araddr[i], rd_arlen[i], rd_rready[i],
                               rd_arready[i], rd_rvalid[i], rd_rdata[i], rd_rresp[i], rd_rlast[i]};
    end
  end

  logic wr_awvalid, wr_awready, wr_wvalid, wr_wready, wr_wlast, wr_bvalid, wr_bready;
  logic [31:0] wr_awaddr;
  logic [7:0] wr_awlen, wr_wstrb;
  logic [63:0] wr_wdata;
  logic [1:0] wr_bresp;
  logic hp_awvalid, hp_awready, hp_wvalid, hp_wready, hp_wlast, hp_bvalid, hp_bready;
  logic [31:0] hp_awaddr;
  logic [3:0] hp_awlen;
  logic [7:0] hp_wstrb;
  logic [63:0] hp_wdata;
  logic [1:0] hp_bresp;

  wg_hp_write u_write (
    .clk_i(clk),
    .rst_ni(rst_n),
    .awvalid_i(wr_awvalid),
    .awready_o(wr_awready),
    .awaddr_i(wr_awaddr),
    .awlen_i(wr_awlen),
    .wvalid_i(wr_wvalid),
    .wready_o(wr_wready),
    .wdata_i(wr_wdata),
    .wstrb_i(wr_wstrb),
    .wlast_i(wr_wlast),
    .bvalid_o(wr_bvalid),
    .bready_i(wr_bready),
    .bresp_o(wr_bresp),
    .m_axi_awvalid_o(hp_awvalid),
    .m_axi_awready_i(hp_awready),
    .m_axi_awaddr_o(hp_awaddr),
    .m_axi_awlen_o(hp_awlen),
    .m_axi_wvalid_o(hp_wvalid),
    .m_axi_wready_i(hp_wready),
    .m_axi_wdata_o(hp_wdata),
    .m_axi_wstrb_o(hp_wstrb),
    .m_axi_wlast_o(hp_wlast),
    .m_axi_bvalid_i(hp_bvalid),
    .m_axi_bready_o(hp_bready),
    .m_axi_bresp_i(hp_bresp)
  );

  logic [2:0] trace_start, trace_valid;
  logic [2:0][19:0] trace_start_index, trace_index;

  winogen_core #(
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
    .AddrWidth(32)
  ) u_core (
    .clk_i(clk),
    .rst_ni(rst_n),
    .irq_o(core_irq),
    .s_axil_awvalid_i(awvalid[Core]),
    .s_axil_awready_o(awready[Core]),
    .s_axil_awaddr_i(awaddr[11:0]),
    .s_axil_wvalid_i(wvalid[Core]),
    .s_axil_wready_o(wready[Core]),
    .s_axil_wdata_i(wdata),
    .s_axil_wstrb_i(wstrb),
    .s_axil_bvalid_o(bvalid[Core]),
    .s_axil_bready_i(bready[Core]),
    .s_axil_bresp_o(bresp[Core]),
    .s_axil_arvalid_i(arvalid[Core]),
    .s_axil_arready_o(arready[Core]),
    .s_axil_araddr_i(araddr[11:0]),
    .s_axil_rvalid_o(rvalid[Core]),
    .s_axil_rready_i(rready[Core]),
    .s_axil_rdata_o(rdata[Core]),
    .s_axil_rresp_o(rresp[Core]),
    .m_axi_rd_arvalid_o(rd_arvalid[ReadPorts-1:0]),
    .m_axi_rd_arready_i(rd_arready[ReadPorts-1:0]),
    .m_axi_rd_araddr_o(rd_araddr[ReadPorts-1:0]),
    .m_axi_rd_arlen_o(rd_arlen[ReadPorts-1:0]),
    .m_axi_rd_rvalid_i(rd_rvalid[ReadPorts-1:0]),
    .m_axi_rd_rready_o(rd_rready[ReadPorts-1:0]),
    .m_axi_rd_rdata_i(rd_rdata[ReadPorts-1:0]),
    .m_axi_rd_rresp_i(rd_rresp[ReadPorts-1:0]),
    .m_axi_rd_rlast_i(rd_rlast[ReadPorts-1:0]),
    .m_axi_if_arvalid_o(rd_arvalid[Fetch]),
    .m_axi_if_arready_i(rd_arready[Fetch]),
    .m_axi_if_araddr_o(rd_araddr[Fetch]),
    .m_axi_if_arlen_o(rd_arlen[Fetch]),
    .m_axi_if_rvalid_i(rd_rvalid[Fetch]),
    .m_axi_if_rready_o(rd_rready[Fetch]),
    .m_axi_if_rdata_i(rd_rdata[Fetch]),
    .m_axi_if_rresp_i(rd_rresp[Fetch]),
    .m_axi_if_rlast_i(rd_rlast[Fetch]),
    .m_axi_wr_awvalid_o(wr_awvalid),
    .m_axi_wr_awready_i(wr_awready),
    .m_axi_wr_awaddr_o(wr_awaddr),
    .m_axi_wr_awlen_o(wr_awlen),
    .m_axi_wr_wvalid_o(wr_wvalid),
    .m_axi_wr_wready_i(wr_wready),
    .m_axi_wr_wdata_o(wr_wdata),
    .m_axi_wr_wstrb_o(wr_wstrb),
    .m_axi_wr_wlast_o(wr_wlast),
    .m_axi_wr_bvalid_i(wr_bvalid),
    .m_axi_wr_bready_o(wr_bready),
    .m_axi_wr_bresp_i(wr_bresp),
    .trace_start_o(trace_start),
    .trace_start_index_o(trace_start_index),
    .trace_valid_o(trace_valid),
    .trace_index_o(trace_index)
  );

  logic [Ports-1:0][5:0] hp_rid;
  logic [5:0] hp_bid;

  PS7 u_ps7 (
    .FCLKCLK(fclk),
    .FCLKRESETN(fclk_rst_n),
    .DDRARB(4'd0),
    .IRQF2P({19'd0, irq}),  // the highest four are the processors' own FIQ and IRQ
    .MAXIGP0ACLK(clk),
    .MAXIGP0AWVALID(gp_awvalid),
    .MAXIGP0AWREADY(gp_awready),
    .MAXIGP0AWID(gp_awid),
    .MAXIGP0AWADDR(gp_awaddr),
    .MAXIGP0AWLEN(gp_awlen),
    .MAXIGP0AWSIZE(gp_awsize),
    .MAXIGP0AWBURST(gp_awburst),
    .MAXIGP0WVALID(gp_wvalid),
    .MAXIGP0WREADY(gp_wready),
    .MAXIGP0WID(gp_wid),
    .MAXIGP0WDATA(gp_wdata),
    .MAXIGP0WSTRB(gp_wstrb),
    .MAXIGP0WLAST(gp_wlast),
    .MAXIGP0BVALID(gp_bvalid),
    .MAXIGP0BREADY(gp_bready),
    .MAXIGP0BID(gp_bid),
    .MAXIGP0BRESP(gp_bresp),
    .MAXIGP0ARVALID(gp_arvalid),
    .MAXIGP0ARREADY(gp_arready),
    .MAXIGP0ARID(gp_arid),
    .MAXIGP0ARADDR(gp_araddr),
    .MAXIGP0ARLEN(gp_arlen),
    .MAXIGP0ARSIZE(gp_arsize),
    .MAXIGP0ARBURST(gp_arburst),
    .MAXIGP0RVALID(gp_rvalid),
    .MAXIGP0RREADY(gp_rready),
    .MAXIGP0RID(gp_rid),
    .MAXIGP0RDATA(gp_rdata),
    .MAXIGP0RRESP(gp_rresp),
    .MAXIGP0RLAST(gp_rlast),
    // HP0
    .SAXIHP0ACLK(clk),
    .SAXIHP0RDISSUECAP1EN(1'b0),
    .SAXIHP0WRISSUECAP1EN(1'b0),
    .SAXIHP0ARVALID(hp_arvalid[0]),
    .SAXIHP0ARREADY(hp_arready[0]),
    .SAXIHP0ARID(6'd0),
    .SAXIHP0ARADDR(hp_araddr[0]),
    .SAXIHP0ARLEN(hp_arlen[0]),
    .SAXIHP0ARSIZE(Size),
    .SAXIHP0ARBURST(Burst),
    .SAXIHP0ARLOCK(2'b00),
    .SAXIHP0ARCACHE(Cache),
    .SAXIHP0ARPROT(Prot),
    .SAXIHP0ARQOS(4'd0),
    .SAXIHP0RVALID(hp_rvalid[0]),
    .SAXIHP0RREADY(hp_rready[0]),
    .SAXIHP0RID(hp_rid[0]),
    .SAXIHP0RDATA(hp_rdata[0]),
    .SAXIHP0RRESP(hp_rresp[0]),
    .SAXIHP0RLAST(hp_rlast[0]),
    .SAXIHP0AWVALID(hp_awvalid),
    .SAXIHP0AWREADY(hp_awready),
    .SAXIHP0AWID(6'd0),
    .SAXIHP0AWADDR(hp_awaddr),
    .SAXIHP0AWLEN(hp_awlen),
    .SAXIHP0AWSIZE(Size),
    .SAXIHP0AWBURST(Burst),
    .SAXIHP0AWLOCK(2'b00),
    .SAXIHP0AWCACHE(Cache),
    .SAXIHP0AWPROT(Prot),
    .SAXIHP0AWQOS(4'd0),
    .SAXIHP0WVALID(hp_wvalid),
    .SAXIHP0WREADY(hp_wready),
    .SAXIHP0WID(6'd0),
    .SAXIHP0WDATA(hp_wdata),
    .SAXIHP0WSTRB(hp_wstrb),
    .SAXIHP0WLAST(hp_wlast),
    .SAXIHP0BVALID(hp_bvalid),
    .SAXIHP0BREADY(hp_bready),
    .SAXIHP0BID(hp_bid),
    .SAXIHP0BRESP(hp_bresp),
    // HP1
    .SAXIHP1ACLK(clk),
    .SAXIHP1RDISSUECAP1EN(1'b0),
    .SAXIHP1ARVALID(hp_arvalid[1]),
    .SAXIHP1ARREADY(hp_arready[1]),
    .SAXIHP1ARID(6'd0),
    .SAXIHP1ARADDR(hp_araddr[1]),
    .SAXIHP1ARLEN(hp_arlen[1]),
    .SAXIHP1ARSIZE(Size),
    .SAXIHP1ARBURST(Burst),
    .SAXIHP1ARLOCK(2'b00),
    .SAXIHP1ARCACHE(Cache),
    .SAXIHP1ARPROT(Prot),
    .SAXIHP1ARQOS(4'd0),
    .SAXIHP1RVALID(hp_rvalid[1]),
    .SAXIHP1RREADY(hp_rready[1]),
    .SAXIHP1RID(hp_rid[1]),
    .SAXIHP1RDATA(hp_rdata[1]),
    .SAXIHP1RRESP(hp_rresp[1]),
    .SAXIHP1RLAST(hp_rlast[1]),
    // HP2
    .SAXIHP2ACLK(clk),
    .SAXIHP2RDISSUECAP1EN(1'b0),
    .SAXIHP2ARVALID(hp_arvalid[2]),
    .SAXIHP2ARREADY(hp_arready[2]),
    .SAXIHP2ARID(6'd0),
    .SAXIHP2ARADDR(hp_araddr[2]),
    .SAXIHP2ARLEN(hp_arlen[2]),
    .SAXIHP2ARSIZE(Size),
    .SAXIHP2ARBURST(Burst),
    .SAXIHP2ARLOCK(2'b00),
    .SAXIHP2ARCACHE(Cache),
    .SAXIHP2ARPROT(Prot),
    .SAXIHP2ARQOS(4'd0),
    .SAXIHP2RVALID(hp_rvalid[2]),
    .SAXIHP2RREADY(hp_rready[2]),
    .SAXIHP2RID(hp_rid[2]),
    .SAXIHP2RDATA(hp_rdata[2]),
    .SAXIHP2RRESP(hp_rresp[2]),
    .SAXIHP2RLAST(hp_rlast[2])
  );

  // Answers come in order, so they need no identifier; nobody reads the trace; slaves know the rest of
  // an address from being chosen.
  logic unused;
  assign unused = ^{hp_rid, hp_bid, fclk[3:1], fclk_rst_n[3:1], awaddr[31:16], araddr[31:16],
                    trace_start, trace_start_index, trace_valid, trace_index};
endmodule
