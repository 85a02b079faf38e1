// The read half of an AXI3 slave port, for the processor, in front of AXI4-Lite slaves.
//
// One burst at a time, one beat after the other: the processor's accesses to registers are single
// beats anyway. An address that no slave has is answered with DECERR. Narrow beats read the whole
// word; the master takes its bytes from it.
module wg_gp_read #(
  parameter int unsigned Slaves = 2,
  parameter int unsigned IdWidth = 12,
  parameter logic [Slaves-1:0][31:0] Base = '0,   // first address of each slave
  parameter logic [Slaves-1:0][31:0] Bytes = '0   // its size: a power of two, which divides the base
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  // AXI3
  input  logic                    arvalid_i,
  output logic                    arready_o,
  input  logic [IdWidth-1:0]      arid_i,
  input  logic [31:0]             araddr_i,
  input  logic [3:0]              arlen_i,
  input  logic [1:0]              arsize_i,
  input  logic [1:0]              arburst_i,
  output logic                    rvalid_o,
  input  logic                    rready_i,
  output logic [IdWidth-1:0]      rid_o,
  output logic [31:0]             rdata_o,
  output logic [1:0]              rresp_o,
  output logic                    rlast_o,
  // AXI4-Lite; all slaves see the same address
  output logic [Slaves-1:0]       m_axil_arvalid_o,
  input  logic [Slaves-1:0]       m_axil_arready_i,
  output logic [31:0]             m_axil_araddr_o,
  input  logic [Slaves-1:0]       m_axil_rvalid_i,
  output logic [Slaves-1:0]       m_axil_rready_o,
  input  logic [Slaves-1:0][31:0] m_axil_rdata_i,
  input  logic [Slaves-1:0][1:0]  m_axil_rresp_i
);
  localparam logic [1:0] Decerr = 2'b11;

  // Register slices on both channels. In reset nothing is accepted: it would never be answered.
  logic ar_open;
  assign arready_o = ar_open && rst_ni;
  logic ar_valid, ar_ready, r_valid, r_ready, r_last;
  logic [IdWidth-1:0] ar_id;
  logic [31:0] ar_addr, r_data;
  logic [3:0] ar_len;
  logic [1:0] ar_size, ar_burst, r_resp;
  logic [IdWidth-1:0] id_q;

  wg_skid #(
    .Width(IdWidth + 40)
  ) u_ar (
    .clk_i,
    .rst_ni,
    .wvalid_i(arvalid_i && rst_ni),
    .wready_o(ar_open),
    .wdata_i ({arid_i, araddr_i, arlen_i, arsize_i, arburst_i}),
    .rvalid_o(ar_valid),
    .rready_i(ar_ready),
    .rdata_o ({ar_id, ar_addr, ar_len, ar_size, ar_burst})
  );

  wg_skid #(
    .Width(IdWidth + 35)
  ) u_r (
    .clk_i,
    .rst_ni,
    .wvalid_i(r_valid),
    .wready_o(r_ready),
    .wdata_i ({id_q, r_data, r_resp, r_last}),
    .rvalid_o(rvalid_o),
    .rready_i(rready_i),
    .rdata_o ({rid_o, rdata_o, rresp_o, rlast_o})
  );

  // A beat: its address is known, then asked for, then answered.
  typedef enum logic [1:0] {
    StIdle,
    StAsk,
    StWait
  } state_e;
  state_e state_q;
  logic [31:0] addr_q, next;
  logic [3:0] len_q, left_q;
  logic [1:0] size_q, burst_q;
  logic [Slaves-1:0] selected;

  for (genvar i = 0; i < Slaves; i++) begin : g_select
    assign selected[i] = (addr_q & ~(Bytes[i] - 32'd1)) == Base[i];
  end

  wg_burst_address u_next (
    .addr_i (addr_q),
    .len_i  (len_q),
    .size_i (size_q),
    .burst_i(burst_q),
    .next_o (next)
  );

  always_comb begin
    r_data = '0;
    r_resp = selected == '0 ? Decerr : '0;
    for (int unsigned i = 0; i < Slaves; i++) begin
      if (selected[i]) begin
        r_data |= m_axil_rdata_i[i];
        r_resp |= m_axil_rresp_i[i];
      end
    end
  end
  assign ar_ready         = state_q == StIdle;
  assign m_axil_araddr_o  = addr_q;
  assign m_axil_arvalid_o = state_q == StAsk ? selected : '0;
  assign m_axil_rready_o  = state_q == StWait && r_ready ? selected : '0;
  assign r_valid          = state_q == StWait && (selected == '0 || |(selected & m_axil_rvalid_i));
  assign r_last           = left_q == '0;

  always_ff @(posedge clk_i) begin
    if (state_q == StIdle) begin
      id_q    <= ar_id;
      addr_q  <= ar_addr;
      len_q   <= ar_len;
      left_q  <= ar_len;
      size_q  <= ar_size;
      burst_q <= ar_burst;
    end else if (r_valid && r_ready) begin
      addr_q <= next;
      left_q <= left_q - 4'd1;
    end

    if (!rst_ni) state_q <= StIdle;
    else begin
      unique case (state_q)
        StIdle: if (ar_valid) state_q <= StAsk;
        StAsk: if (selected == '0 || |(selected & m_axil_arready_i)) state_q <= StWait;
        default: if (r_valid && r_ready) state_q <= r_last ? StIdle : StAsk;
      endcase
    end
  end

  // No address has two slaves.
  always_ff @(posedge clk_i) begin
    if (rst_ni && state_q != StIdle) assert ((selected & (selected - 1'b1)) == '0);
  end
endmodule
