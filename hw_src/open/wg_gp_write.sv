// The write half of an AXI3 slave port, for the processor, in front of AXI4-Lite slaves.
//
// One burst at a time, one beat after the other, with one response at its end: the first error, if
// there was one. An address that no slave has is answered with DECERR. Data of bursts are not
// interleaved, since the next burst is accepted after this one only.
module wg_gp_write #(
  parameter int unsigned Slaves = 2,
  parameter int unsigned IdWidth = 12,
  parameter logic [Slaves-1:0][31:0] Base = '0,   // first address of each slave
  parameter logic [Slaves-1:0][31:0] Bytes = '0   // its size: a power of two, which divides the base
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  // AXI3
  input  logic                   awvalid_i,
  output logic                   awready_o,
  input  logic [IdWidth-1:0]     awid_i,
  input  logic [31:0]            awaddr_i,
  input  logic [3:0]             awlen_i,
  input  logic [1:0]             awsize_i,
  input  logic [1:0]             awburst_i,
  input  logic                   wvalid_i,
  output logic                   wready_o,
  input  logic [IdWidth-1:0]     wid_i,
  input  logic [31:0]            wdata_i,
  input  logic [3:0]             wstrb_i,
  input  logic                   wlast_i,
  output logic                   bvalid_o,
  input  logic                   bready_i,
  output logic [IdWidth-1:0]     bid_o,
  output logic [1:0]             bresp_o,
  // AXI4-Lite; all slaves see the same address and data
  output logic [Slaves-1:0]      m_axil_awvalid_o,
  input  logic [Slaves-1:0]      m_axil_awready_i,
  output logic [31:0]            m_axil_awaddr_o,
  output logic [Slaves-1:0]      m_axil_wvalid_o,
  input  logic [Slaves-1:0]      m_axil_wready_i,
  output logic [31:0]            m_axil_wdata_o,
  output logic [3:0]             m_axil_wstrb_o,
  input  logic [Slaves-1:0]      m_axil_bvalid_i,
  output logic [Slaves-1:0]      m_axil_bready_o,
  input  logic [Slaves-1:0][1:0] m_axil_bresp_i
);
  localparam logic [1:0] Decerr = 2'b11;

  // Register slices on all three channels. In reset nothing is accepted: it would never be answered.
  logic aw_open, w_open;
  assign awready_o = aw_open && rst_ni;
  assign wready_o  = w_open && rst_ni;
  logic aw_valid, aw_ready, w_valid, w_ready, w_last, b_valid, b_ready;
  logic [IdWidth-1:0] aw_id, w_id, id_q;
  logic [31:0] aw_addr, w_data;
  logic [3:0] aw_len, w_strb;
  logic [1:0] aw_size, aw_burst, resp_q;

  wg_skid #(
    .Width(IdWidth + 40)
  ) u_aw (
    .clk_i,
    .rst_ni,
    .wvalid_i(awvalid_i && rst_ni),
    .wready_o(aw_open),
    .wdata_i ({awid_i, awaddr_i, awlen_i, awsize_i, awburst_i}),
    .rvalid_o(aw_valid),
    .rready_i(aw_ready),
    .rdata_o ({aw_id, aw_addr, aw_len, aw_size, aw_burst})
  );

  wg_skid #(
    .Width(IdWidth + 37)
  ) u_w (
    .clk_i,
    .rst_ni,
    .wvalid_i(wvalid_i && rst_ni),
    .wready_o(w_open),
    .wdata_i ({wid_i, wdata_i, wstrb_i, wlast_i}),
    .rvalid_o(w_valid),
    .rready_i(w_ready),
    .rdata_o ({w_id, w_data, w_strb, w_last})
  );

  wg_skid #(
    .Width(IdWidth + 2)
  ) u_b (
    .clk_i,
    .rst_ni,
    .wvalid_i(b_valid),
    .wready_o(b_ready),
    .wdata_i ({id_q, resp_q}),
    .rvalid_o(bvalid_o),
    .rready_i(bready_i),
    .rdata_o ({bid_o, bresp_o})
  );

  // A beat: address and data are offered until both are taken, then its response is awaited.
  typedef enum logic [1:0] {
    StIdle,
    StOffer,
    StWait,
    StRespond
  } state_e;
  state_e state_q;
  logic [31:0] addr_q, next;
  logic [3:0] len_q, left_q;
  logic [1:0] size_q, burst_q, beat_resp;
  logic aw_done_q, w_done_q, aw_taken, w_taken, answered, last;
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
    beat_resp = selected == '0 ? Decerr : '0;
    for (int unsigned i = 0; i < Slaves; i++) if (selected[i]) beat_resp |= m_axil_bresp_i[i];
  end
  assign aw_ready         = state_q == StIdle;
  assign m_axil_awaddr_o  = addr_q;
  assign m_axil_wdata_o   = w_data;
  assign m_axil_wstrb_o   = w_strb;
  assign m_axil_awvalid_o = state_q == StOffer && w_valid && !aw_done_q ? selected : '0;
  assign m_axil_wvalid_o  = state_q == StOffer && w_valid && !w_done_q ? selected : '0;
  assign m_axil_bready_o  = state_q == StWait ? selected : '0;
  assign aw_taken         = aw_done_q || selected == '0 || |(selected & m_axil_awready_i);
  assign w_taken          = w_done_q || selected == '0 || |(selected & m_axil_wready_i);
  assign answered         = state_q == StWait && (selected == '0 || |(selected & m_axil_bvalid_i));
  // The beat stays in its slice until it is answered.
  assign w_ready          = answered;
  assign last             = left_q == '0;
  assign b_valid          = state_q == StRespond;

  always_ff @(posedge clk_i) begin
    if (state_q == StIdle) begin
      id_q    <= aw_id;
      addr_q  <= aw_addr;
      len_q   <= aw_len;
      left_q  <= aw_len;
      size_q  <= aw_size;
      burst_q <= aw_burst;
      resp_q  <= '0;
    end else if (answered) begin
      addr_q <= next;
      left_q <= left_q - 4'd1;
      if (!resp_q[1]) resp_q <= beat_resp;
    end
    aw_done_q <= state_q == StOffer && w_valid && aw_taken;
    w_done_q  <= state_q == StOffer && w_valid && w_taken;

    if (!rst_ni) state_q <= StIdle;
    else begin
      unique case (state_q)
        StIdle: if (aw_valid) state_q <= StOffer;
        StOffer: if (w_valid && aw_taken && w_taken) state_q <= StWait;
        StWait: if (answered) state_q <= last ? StRespond : StOffer;
        default: if (b_ready) state_q <= StIdle;
      endcase
    end
  end

  // No address has two slaves; the master's beats are those of the burst that was accepted.
  always_ff @(posedge clk_i) begin
    if (rst_ni && state_q != StIdle) assert ((selected & (selected - 1'b1)) == '0);
    if (rst_ni && answered) assert (w_last == last && w_id == id_q);
  end
endmodule
