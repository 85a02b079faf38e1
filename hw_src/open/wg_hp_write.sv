// The write port of the core (AXI4, bursts of at most 16 beats of 64 bits, in order) on an AXI3 port
// of the processing system, with a register slice on each channel.
module wg_hp_write (
  input  logic        clk_i,
  input  logic        rst_ni,
  // From the core.
  input  logic        awvalid_i,
  output logic        awready_o,
  input  logic [31:0] awaddr_i,
  input  logic [7:0]  awlen_i,
  input  logic        wvalid_i,
  output logic        wready_o,
  input  logic [63:0] wdata_i,
  input  logic [7:0]  wstrb_i,
  input  logic        wlast_i,
  output logic        bvalid_o,
  input  logic        bready_i,
  output logic [1:0]  bresp_o,
  // To the processing system.
  output logic        m_axi_awvalid_o,
  input  logic        m_axi_awready_i,
  output logic [31:0] m_axi_awaddr_o,
  output logic [3:0]  m_axi_awlen_o,
  output logic        m_axi_wvalid_o,
  input  logic        m_axi_wready_i,
  output logic [63:0] m_axi_wdata_o,
  output logic [7:0]  m_axi_wstrb_o,
  output logic        m_axi_wlast_o,
  input  logic        m_axi_bvalid_i,
  output logic        m_axi_bready_o,
  input  logic [1:0]  m_axi_bresp_i
);
  wg_skid #(
    .Width(36)
  ) u_aw (
    .clk_i,
    .rst_ni,
    .wvalid_i(awvalid_i),
    .wready_o(awready_o),
    .wdata_i ({awaddr_i, awlen_i[3:0]}),
    .rvalid_o(m_axi_awvalid_o),
    .rready_i(m_axi_awready_i),
    .rdata_o ({m_axi_awaddr_o, m_axi_awlen_o})
  );

  wg_skid #(
    .Width(73)
  ) u_w (
    .clk_i,
    .rst_ni,
    .wvalid_i(wvalid_i),
    .wready_o(wready_o),
    .wdata_i ({wdata_i, wstrb_i, wlast_i}),
    .rvalid_o(m_axi_wvalid_o),
    .rready_i(m_axi_wready_i),
    .rdata_o ({m_axi_wdata_o, m_axi_wstrb_o, m_axi_wlast_o})
  );

  wg_skid #(
    .Width(2)
  ) u_b (
    .clk_i,
    .rst_ni,
    .wvalid_i(m_axi_bvalid_i),
    .wready_o(m_axi_bready_o),
    .wdata_i (m_axi_bresp_i),
    .rvalid_o(bvalid_o),
    .rready_i(bready_i),
    .rdata_o (bresp_o)
  );

  // AXI3 knows no longer bursts.
  always_ff @(posedge clk_i) if (rst_ni && awvalid_i) assert (awlen_i[7:4] == '0);
endmodule
