// One read port of the core (AXI4, bursts of at most 16 beats of 64 bits, in order) on an AXI3 port
// of the processing system, with a register slice on each channel.
module wg_hp_read (
  input  logic        clk_i,
  input  logic        rst_ni,
  // From the core.
  input  logic        arvalid_i,
  output logic        arready_o,
  input  logic [31:0] araddr_i,
  input  logic [7:0]  arlen_i,
  output logic        rvalid_o,
  input  logic        rready_i,
  output logic [63:0] rdata_o,
  output logic [1:0]  rresp_o,
  output logic        rlast_o,
  // To the processing system.
  output logic        m_axi_arvalid_o,
  input  logic        m_axi_arready_i,
  output logic [31:0] m_axi_araddr_o,
  output logic [3:0]  m_axi_arlen_o,
  input  logic        m_axi_rvalid_i,
  output logic        m_axi_rready_o,
  input  logic [63:0] m_axi_rdata_i,
  input  logic [1:0]  m_axi_rresp_i,
  input  logic        m_axi_rlast_i
);
  wg_skid #(
    .Width(36)
  ) u_ar (
    .clk_i,
    .rst_ni,
    .wvalid_i(arvalid_i),
    .wready_o(arready_o),
    .wdata_i ({araddr_i, arlen_i[3:0]}),
    .rvalid_o(m_axi_arvalid_o),
    .rready_i(m_axi_arready_i),
    .rdata_o ({m_axi_araddr_o, m_axi_arlen_o})
  );

  wg_skid #(
    .Width(67)
  ) u_r (
    .clk_i,
    .rst_ni,
    .wvalid_i(m_axi_rvalid_i),
    .wready_o(m_axi_rready_o),
    .wdata_i ({m_axi_rdata_i, m_axi_rresp_i, m_axi_rlast_i}),
    .rvalid_o(rvalid_o),
    .rready_i(rready_i),
    .rdata_o ({rdata_o, rresp_o, rlast_o})
  );

  // AXI3 knows no longer bursts.
  always_ff @(posedge clk_i) if (rst_ni && arvalid_i) assert (arlen_i[7:4] == '0);
endmodule
