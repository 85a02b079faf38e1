// The adapters of hw_src/open, each with ports of its own, side by side for cocotb_open.py.
module tb_open_units #(
  parameter logic [1:0][31:0] Base = {32'h4180_0000, 32'h43c0_0000},
  parameter logic [1:0][31:0] Bytes = {32'h0001_0000, 32'h0000_1000}
) (
  input  logic clk_i,
  input  logic rst_ni,

  // wg_reset_sync
  input  logic reset_async_ni,
  output logic reset_no,

  // wg_burst_address
  input  logic [31:0] burst_addr_i,
  input  logic [3:0]  burst_len_i,
  input  logic [1:0]  burst_size_i,
  input  logic [1:0]  burst_burst_i,
  output logic [31:0] burst_next_o,

  // wg_gp_write and wg_gp_read: the AXI3 master
  input  logic        gp_awvalid,
  output logic        gp_awready,
  input  logic [11:0] gp_awid,
  input  logic [31:0] gp_awaddr,
  input  logic [3:0]  gp_awlen,
  input  logic [1:0]  gp_awsize,
  input  logic [1:0]  gp_awburst,
  input  logic        gp_wvalid,
  output logic        gp_wready,
  input  logic [11:0] gp_wid,
  input  logic [31:0] gp_wdata,
  input  logic [3:0]  gp_wstrb,
  input  logic        gp_wlast,
  output logic        gp_bvalid,
  input  logic        gp_bready,
  output logic [11:0] gp_bid,
  output logic [1:0]  gp_bresp,
  input  logic        gp_arvalid,
  output logic        gp_arready,
  input  logic [11:0] gp_arid,
  input  logic [31:0] gp_araddr,
  input  logic [3:0]  gp_arlen,
  input  logic [1:0]  gp_arsize,
  input  logic [1:0]  gp_arburst,
  output logic        gp_rvalid,
  input  logic        gp_rready,
  output logic [11:0] gp_rid,
  output logic [31:0] gp_rdata,
  output logic [1:0]  gp_rresp,
  output logic        gp_rlast,
  // and one of their two slaves, a memory; the other is wg_intc
  output logic        ram_awvalid,
  input  logic        ram_awready,
  output logic [11:0] ram_awaddr,
  output logic        ram_wvalid,
  input  logic        ram_wready,
  output logic [31:0] ram_wdata,
  output logic [3:0]  ram_wstrb,
  input  logic        ram_bvalid,
  output logic        ram_bready,
  input  logic [1:0]  ram_bresp,
  output logic        ram_arvalid,
  input  logic        ram_arready,
  output logic [11:0] ram_araddr,
  input  logic        ram_rvalid,
  output logic        ram_rready,
  input  logic [31:0] ram_rdata,
  input  logic [1:0]  ram_rresp,

  // wg_intc
  input  logic intr_i,
  output logic irq_o,

  // wg_hp_read and wg_hp_write: the master
  input  logic        core_arvalid,
  output logic        core_arready,
  input  logic        core_arid,
  input  logic [31:0] core_araddr,
  input  logic [7:0]  core_arlen,
  input  logic [2:0]  core_arsize,
  input  logic [1:0]  core_arburst,
  output logic        core_rvalid,
  input  logic        core_rready,
  output logic        core_rid,
  output logic [63:0] core_rdata,
  output logic [1:0]  core_rresp,
  output logic        core_rlast,
  input  logic        core_awvalid,
  output logic        core_awready,
  input  logic        core_awid,
  input  logic [31:0] core_awaddr,
  input  logic [7:0]  core_awlen,
  input  logic [2:0]  core_awsize,
  input  logic [1:0]  core_awburst,
  input  logic        core_wvalid,
  output logic        core_wready,
  input  logic [63:0] core_wdata,
  input  logic [7:0]  core_wstrb,
  input  logic        core_wlast,
  output logic        core_bvalid,
  input  logic        core_bready,
  output logic        core_bid,
  output logic [1:0]  core_bresp,
  // and the memory
  output logic        hp_arvalid,
  input  logic        hp_arready,
  output logic        hp_arid,
  output logic [31:0] hp_araddr,
  output logic [7:0]  hp_arlen,
  output logic [2:0]  hp_arsize,
  output logic [1:0]  hp_arburst,
  input  logic        hp_rvalid,
  output logic        hp_rready,
  input  logic        hp_rid,
  input  logic [63:0] hp_rdata,
  input  logic [1:0]  hp_rresp,
  input  logic        hp_rlast,
  output logic        hp_awvalid,
  input  logic        hp_awready,
  output logic        hp_awid,
  output logic [31:0] hp_awaddr,
  output logic [7:0]  hp_awlen,
  output logic [2:0]  hp_awsize,
  output logic [1:0]  hp_awburst,
  output logic        hp_wvalid,
  input  logic        hp_wready,
  output logic [63:0] hp_wdata,
  output logic [7:0]  hp_wstrb,
  output logic        hp_wlast,
  input  logic        hp_bvalid,
  output logic        hp_bready,
  input  logic        hp_bid,
  input  logic [1:0]  hp_bresp
);
  wg_reset_sync u_reset (
    .clk_i,
    .rst_async_ni(reset_async_ni),
    .rst_no(reset_no)
  );

  wg_burst_address u_address (
    .addr_i(burst_addr_i),
    .len_i(burst_len_i),
    .size_i(burst_size_i),
    .burst_i(burst_burst_i),
    .next_o(burst_next_o)
  );

  // Slave 0 is the memory, 1 the interrupt controller.
  logic [31:0] awaddr, araddr, wdata, intc_rdata;
  logic [3:0] wstrb;
  logic intc_awvalid, intc_awready, intc_wvalid, intc_wready, intc_bvalid, intc_bready;
  logic intc_arvalid, intc_arready, intc_rvalid, intc_rready;
  logic [1:0] intc_bresp, intc_rresp;

  assign {ram_awaddr, ram_araddr} = {awaddr[11:0], araddr[11:0]};
  assign {ram_wdata, ram_wstrb} = {wdata, wstrb};

  wg_gp_write #(
    .Slaves(2),
    .Base(Base),
    .Bytes(Bytes)
  ) u_write (
    .clk_i,
    .rst_ni,
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
    .m_axil_awvalid_o({intc_awvalid, ram_awvalid}),
    .m_axil_awready_i({intc_awready, ram_awready}),
    .m_axil_awaddr_o(awaddr),
    .m_axil_wvalid_o({intc_wvalid, ram_wvalid}),
    .m_axil_wready_i({intc_wready, ram_wready}),
    .m_axil_wdata_o(wdata),
    .m_axil_wstrb_o(wstrb),
    .m_axil_bvalid_i({intc_bvalid, ram_bvalid}),
    .m_axil_bready_o({intc_bready, ram_bready}),
    .m_axil_bresp_i({intc_bresp, ram_bresp})
  );

  wg_gp_read #(
    .Slaves(2),
    .Base(Base),
    .Bytes(Bytes)
  ) u_read (
    .clk_i,
    .rst_ni,
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
    .m_axil_arvalid_o({intc_arvalid, ram_arvalid}),
    .m_axil_arready_i({intc_arready, ram_arready}),
    .m_axil_araddr_o(araddr),
    .m_axil_rvalid_i({intc_rvalid, ram_rvalid}),
    .m_axil_rready_o({intc_rready, ram_rready}),
    .m_axil_rdata_i({intc_rdata, ram_rdata}),
    .m_axil_rresp_i({intc_rresp, ram_rresp})
  );

  wg_intc u_intc (
    .clk_i,
    .rst_ni,
    .intr_i,
    .irq_o,
    .s_axil_awvalid_i(intc_awvalid),
    .s_axil_awready_o(intc_awready),
    .s_axil_awaddr_i(awaddr[15:0]),
    .s_axil_wvalid_i(intc_wvalid),
    .s_axil_wready_o(intc_wready),
    .s_axil_wdata_i(wdata),
    .s_axil_wstrb_i(wstrb),
    .s_axil_bvalid_o(intc_bvalid),
    .s_axil_bready_i(intc_bready),
    .s_axil_bresp_o(intc_bresp),
    .s_axil_arvalid_i(intc_arvalid),
    .s_axil_arready_o(intc_arready),
    .s_axil_araddr_i(araddr[15:0]),
    .s_axil_rvalid_o(intc_rvalid),
    .s_axil_rready_i(intc_rready),
    .s_axil_rdata_o(intc_rdata),
    .s_axil_rresp_o(intc_rresp)
  );

  wg_hp_read u_hp_read (
    .clk_i,
    .rst_ni,
    .arvalid_i(core_arvalid),
    .arready_o(core_arready),
    .araddr_i(core_araddr),
    .arlen_i(core_arlen),
    .rvalid_o(core_rvalid),
    .rready_i(core_rready),
    .rdata_o(core_rdata),
    .rresp_o(core_rresp),
    .rlast_o(core_rlast),
    .m_axi_arvalid_o(hp_arvalid),
    .m_axi_arready_i(hp_arready),
    .m_axi_araddr_o(hp_araddr),
    .m_axi_arlen_o(hp_arlen[3:0]),
    .m_axi_rvalid_i(hp_rvalid),
    .m_axi_rready_o(hp_rready),
    .m_axi_rdata_i(hp_rdata),
    .m_axi_rresp_i(hp_rresp),
    .m_axi_rlast_i(hp_rlast)
  );

  wg_hp_write u_hp_write (
    .clk_i,
    .rst_ni,
    .awvalid_i(core_awvalid),
    .awready_o(core_awready),
    .awaddr_i(core_awaddr),
    .awlen_i(core_awlen),
    .wvalid_i(core_wvalid),
    .wready_o(core_wready),
    .wdata_i(core_wdata),
    .wstrb_i(core_wstrb),
    .wlast_i(core_wlast),
    .bvalid_o(core_bvalid),
    .bready_i(core_bready),
    .bresp_o(core_bresp),
    .m_axi_awvalid_o(hp_awvalid),
    .m_axi_awready_i(hp_awready),
    .m_axi_awaddr_o(hp_awaddr),
    .m_axi_awlen_o(hp_awlen[3:0]),
    .m_axi_wvalid_o(hp_wvalid),
    .m_axi_wready_i(hp_wready),
    .m_axi_wdata_o(hp_wdata),
    .m_axi_wstrb_o(hp_wstrb),
    .m_axi_wlast_o(hp_wlast),
    .m_axi_bvalid_i(hp_bvalid),
    .m_axi_bready_o(hp_bready),
    .m_axi_bresp_i(hp_bresp)
  );

  // What the ports of the processing system are tied to; answers come in order.
  assign {hp_arlen[7:4], hp_awlen[7:4], hp_arid, hp_awid, core_rid, core_bid} = '0;
  assign {hp_arsize, hp_awsize, hp_arburst, hp_awburst} = {3'd3, 3'd3, 2'd1, 2'd1};

  logic unused;
  assign unused = ^{core_arid, core_arsize, core_arburst, core_awid, core_awsize, core_awburst,
                    hp_rid, hp_bid};
endmodule
