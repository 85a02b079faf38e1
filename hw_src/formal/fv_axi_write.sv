// wg_axi_write before a memory that keeps the protocol: what it announces waits unchanged, no burst
// is too long or crosses 4 KB, WLAST agrees with AWLEN also through a flush, a flush ends.
module fv_axi_write (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        flush_i,
  input logic        run_valid_i,
  input logic [12:0] run_addr_i,
  input logic [31:0] run_bytes_i,
  input logic        run_last_i,
  input logic        data_valid_i,
  input logic [63:0] data_i,
  input logic        m_axi_awready_i,
  input logic        m_axi_wready_i,
  input logic        m_axi_bvalid_i,
  input logic [1:0]  m_axi_bresp_i
);
  logic idle_o, progress_o, run_ready_o, data_ready_o, done_o, error_valid_o;
  logic [7:0] error_code_o, m_axi_awlen_o, m_axi_wstrb_o;
  logic [12:0] error_addr_o, m_axi_awaddr_o;
  logic [63:0] m_axi_wdata_o;
  logic m_axi_awvalid_o, m_axi_wvalid_o, m_axi_wlast_o, m_axi_bready_o;

  wg_axi_write #(.AddrWidth(13), .MaxOutstanding(2)) u_dut (.*);

  logic started_q = 1'b0;
  logic aw_waits_q, w_waits_q, flushing_q, rests_q;
  logic [12:0] addr_q;
  logic [7:0] len_q, strb_q;
  logic [63:0] data_q;
  logic last_q;
  logic [3:0] accepted_q, written_q, answered_q, beat_q, fill_len;
  logic announced, filling, fill_room;

  // Announced bursts that lack beats. Data may come before its address is accepted, not before it
  // is announced.
  assign announced = m_axi_awvalid_o && !aw_waits_q;
  wg_fifo #(.Width(4), .Depth(4)) u_fill (
    .clk_i, .rst_ni, .clear_i(1'b0),
    .wvalid_i(announced), .wready_o(fill_room), .wdata_i(m_axi_awlen_o[3:0]),
    .rvalid_o(filling), .rready_i(m_axi_wvalid_o && m_axi_wready_i && m_axi_wlast_o),
    .rdata_o(fill_len)
  );

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    assume (rst_ni == started_q);
    if (rst_ni) begin
      assume (run_addr_i[2:0] == '0 && run_bytes_i != '0);
      if (m_axi_bvalid_i) assume (answered_q != accepted_q && answered_q != written_q);
      if (flushing_q) assume (flush_i);  // until idle
    end

    if (!rst_ni) begin
      accepted_q <= '0;
      written_q  <= '0;
      answered_q <= '0;
      beat_q     <= '0;
    end else begin
      accepted_q <= accepted_q + 4'(m_axi_awvalid_o && m_axi_awready_i);
      answered_q <= answered_q + 4'(m_axi_bvalid_i && m_axi_bready_o);
      if (m_axi_wvalid_o && m_axi_wready_i) begin
        beat_q    <= m_axi_wlast_o ? '0 : beat_q + 1'b1;
        written_q <= written_q + 4'(m_axi_wlast_o);
      end
    end
    aw_waits_q <= rst_ni && m_axi_awvalid_o && !m_axi_awready_i;
    w_waits_q  <= rst_ni && m_axi_wvalid_o && !m_axi_wready_i;
    flushing_q <= rst_ni && flush_i && !idle_o;
    rests_q    <= rst_ni && flush_i && idle_o;
    addr_q     <= m_axi_awaddr_o;
    len_q      <= m_axi_awlen_o;
    data_q     <= m_axi_wdata_o;
    strb_q     <= m_axi_wstrb_o;
    last_q     <= m_axi_wlast_o;

    if (rst_ni) begin
      assert (m_axi_bready_o);
      assert (fill_room);
      if (aw_waits_q) assert (m_axi_awvalid_o && m_axi_awaddr_o == addr_q && m_axi_awlen_o == len_q);
      if (w_waits_q) begin
        assert (m_axi_wvalid_o && m_axi_wdata_o == data_q && m_axi_wstrb_o == strb_q);
        assert (m_axi_wlast_o == last_q);
      end
      if (m_axi_awvalid_o) begin
        assert (m_axi_awlen_o < 8'd16);
        assert (10'(m_axi_awaddr_o[11:3]) + 10'(m_axi_awlen_o) < 10'd512);
      end
      if (m_axi_wvalid_o) begin
        assert (filling);
        assert (m_axi_wlast_o == (beat_q == fill_len));
      end
      if (idle_o) assert (!m_axi_awvalid_o && !m_axi_wvalid_o && answered_q == accepted_q);
      if (rests_q) assert (!m_axi_awvalid_o && !m_axi_wvalid_o);
      cover (done_o);
      cover (error_valid_o);
      cover (m_axi_wvalid_o && m_axi_wstrb_o == '0 && m_axi_wlast_o);
    end
  end
endmodule
