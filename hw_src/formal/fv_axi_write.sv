// wg_axi_write before a memory that keeps the protocol: what it announces waits unchanged, no burst
// is too long, crosses 4 KB or lies outside the windows, WLAST agrees with AWLEN also through a flush, a flush ends.
module fv_axi_write
  import wg_types_pkg::*;
(
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
  input logic [1:0]  m_axi_bresp_i,
  input winogen_pkg::window_t [winogen_pkg::WriteWindows-1:0] windows_i
);
  logic idle_o, progress_o, run_ready_o, data_ready_o, done_o, error_valid_o;
  logic [7:0] error_code_o, m_axi_awlen_o, m_axi_wstrb_o;
  logic [12:0] error_addr_o, m_axi_awaddr_o;
  logic [63:0] m_axi_wdata_o;
  logic m_axi_awvalid_o, m_axi_wvalid_o, m_axi_wlast_o, m_axi_bready_o;

  run_t run;
  write_beat_t beat;
  bus_error_t error;
  axi_write_req_t req;
  axi_write_rsp_t rsp;
  assign run  = '{valid: run_valid_i, addr: 64'(run_addr_i), bytes: run_bytes_i, last: run_last_i};
  assign beat = '{valid: data_valid_i, data: data_i};
  assign rsp  = '{
    awready: m_axi_awready_i, wready: m_axi_wready_i, bvalid: m_axi_bvalid_i, bresp: m_axi_bresp_i
  };
  wg_axi_write #(
    .AddrWidth(13),
    .MaxOutstanding(2)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .flush_i,
    .idle_o,
    .progress_o,
    .windows_i,
    .run_i(run),
    .run_ready_o,
    .beat_i(beat),
    .beat_ready_o(data_ready_o),
    .done_o,
    .error_o(error),
    .m_axi_o(req),
    .m_axi_i(rsp)
  );
  assign error_valid_o   = error.valid;
  assign error_code_o    = error.code;
  assign error_addr_o    = error.addr[12:0];
  assign m_axi_awvalid_o = req.awvalid;
  assign m_axi_awaddr_o  = req.awaddr[12:0];
  assign m_axi_awlen_o   = req.awlen;
  assign m_axi_wvalid_o  = req.wvalid;
  assign m_axi_wdata_o   = req.wdata;
  assign m_axi_wstrb_o   = req.wstrb;
  assign m_axi_wlast_o   = req.wlast;
  assign m_axi_bready_o  = req.bready;

  logic started_q = 1'b0;
  logic aw_waits_q, w_waits_q, flushing_q, rests_q, fills_q;
  logic [12:0] addr_q;
  logic [7:0] len_q, strb_q;
  logic [63:0] data_q;
  logic last_q;
  logic [3:0] accepted_q, written_q, answered_q, beat_q, fill_len;
  logic announced, filling, fill_room;

  // Announced bursts that lack beats. Data may come before its address is accepted, not before it
  // is announced.
  assign announced = m_axi_awvalid_o && !aw_waits_q;
  wg_fifo #(
    .Width(4),
    .Depth(4)
  ) u_fill (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .wvalid_i(announced),
    .wready_o(fill_room),
    .wdata_i(m_axi_awlen_o[3:0]),
    .rvalid_o(filling),
    .rready_i(m_axi_wvalid_o && m_axi_wready_i && m_axi_wlast_o),
    .rdata_o(fill_len)
  );

  // For induction: where bursts and beats are between the two ends that the harness sees. A burst
  // has been taken by the address register, filled at the entry of the beats' two registers,
  // written at their exit, and answered, in this order.
  logic [3:0] taken, filled;
  logic [1:0] lasts, beats;  // in the two registers
  logic spare, spare_last, responds;
  assign spare      = u_dut.u_beat.spare_valid_q;
  assign spare_last = spare && u_dut.u_beat.spare_q[72];
  assign responds   = u_dut.resp_valid_q;
  assign beats      = 2'(m_axi_wvalid_o) + 2'(spare);
  assign lasts      = 2'(m_axi_wvalid_o && m_axi_wlast_o) + 2'(spare_last);
  assign taken      = accepted_q + 4'(m_axi_awvalid_o);
  assign filled     = written_q + 4'(lasts);

  // The runs that wait in the splitter.
  logic [1:0] queued;
  logic [1:0][29:0] queued_beats;
  logic [1:0][12:0] queued_addr;
  logic [1:0][12:0] queued_end;
  logic [1:0][4:0] room;
  logic [1:0] last_flag, follows, page_ends, whole, ends, full;
  assign queued = 2'(u_dut.u_split.u_queue.rvalid_o) + 2'(u_dut.u_split.u_queue.spare_valid_q);
  for (genvar i = 0; i < 2; i++) begin : gen_queued
    assign {last_flag[i], follows[i], page_ends[i], whole[i], ends[i], full[i],
            queued_beats[i], queued_addr[i]} =
        i == 0 ? u_dut.u_split.u_queue.rdata_o : u_dut.u_split.u_queue.spare_q;
    assign queued_end[i] = queued_addr[i] + {queued_beats[i][9:0], 3'b0};
    assign room[i]       = page_ends[i] ? 5'd16 - 5'(queued_addr[i][6:3]) : 5'd16;
  end

  // Bursts on their way through the window: behind the comparisons, and in the two registers.
  logic [2:0] on_way;
  logic [2:0][19:0] way;  // allowed, last, beats, address
  assign on_way = {
    u_dut.u_window.u_judged.spare_valid_q, u_dut.u_window.judged, u_dut.u_window.valid_q
  };
  assign way[0] = {
    |(u_dut.u_window.above_q & u_dut.u_window.below_q), u_dut.u_window.last_q,
    u_dut.u_window.beats_q, u_dut.u_window.addr_q
  };
  assign way[1] = u_dut.u_window.u_judged.rdata_o;
  assign way[2] = u_dut.u_window.u_judged.spare_q;

  logic [3:0] len, next_len;  // beats - 1 of the burst that is written next, and of the one after
  assign len      = u_dut.u_fill.u_mem.mem[written_q[0]];
  assign next_len = u_dut.u_fill.u_mem.mem[!written_q[0]];

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (taken - answered_q + 4'(responds) <= 4'd2);
      assert (written_q - answered_q <= filled - answered_q);
      assert (filled - answered_q <= taken - answered_q);
      assert (taken - answered_q <= 4'd2 && accepted_q - answered_q <= 4'd2);
      assert (u_dut.u_open.wptr_q == taken[1:0] && u_dut.u_fill.wptr_q == taken[1:0]);
      assert (u_dut.u_open.rptr_q == 2'(answered_q - 4'(responds)));
      assert (u_dut.u_fill.rptr_q == filled[1:0]);
      assert (u_fill.wptr_q == 3'(taken - 4'(announced)) && u_fill.rptr_q == written_q[2:0]);
      if (m_axi_awvalid_o) assert (u_dut.u_fill.u_mem.mem[!taken[0]] == m_axi_awlen_o[3:0]);
      for (int unsigned i = 0; i < 2; i++) begin
        if (4'(i) < taken - written_q - 4'(announced))
          assert (u_fill.u_mem.mem[2'(written_q + 4'(i))] == (i == 0 ? len : next_len));
      end

      // Beats.
      assert (!spare || m_axi_wvalid_o);
      if (filled == taken)
        assert (u_dut.fill_q == '0);
        else assert (u_dut.fill_q <= u_dut.u_fill.u_mem.mem[filled[0]]);
      if (lasts == '0)
        assert (5'(u_dut.fill_q) == 5'(beat_q) + 5'(beats));
        else if (m_axi_wlast_o)
          assert (u_dut.fill_q == 4'(spare && !spare_last));
          else assert (u_dut.fill_q == '0);
      if (lasts != '0) assert (5'(len) == 5'(beat_q) + 5'(!m_axi_wlast_o));
      if (lasts == 2'd2) assert (next_len == '0);
      if (announced) assert (filled != taken && (filled + 4'd1 != taken || u_dut.fill_q == '0));

      // Runs that are cut, what is kept beside them, and that each knows the end of the one before.
      for (int unsigned i = 0; i < 2; i++) begin
        if (2'(i) < queued) begin
          assert (queued_beats[i] != '0 && queued_beats[i] <= 30'h2000_0000);
          assert (page_ends[i] == &queued_addr[i][11:7]);
          assert (whole[i] == (queued_beats[i] >= 30'(room[i])));
          assert (ends[i] == (queued_beats[i] <= 30'(room[i])));
          assert (full[i] == (queued_beats[i] >= 30'd16));
        end
      end
      assert (!u_dut.u_split.u_queue.spare_valid_q || u_dut.u_split.u_queue.rvalid_o);
      if (queued == 2'd1) assert (u_dut.u_split.run_end_q == queued_end[0]);
      if (queued == 2'd2) begin
        assert (u_dut.u_split.run_end_q == queued_end[1]);
        assert (!follows[1] || queued_addr[1] == queued_end[0]);
      end
      if (u_dut.u_split.valid_q) begin
        if (queued == '0)
          assert (u_dut.u_split.run_end_q == u_dut.u_split.end_q);
          else assert (!follows[0] || queued_addr[0] == u_dut.u_split.end_q);
      end
      if (u_dut.u_split.valid_q) assert (u_dut.u_split.beats_q != '0);
      if (u_dut.cut_valid) begin
        assert (u_dut.cut_beats >= 5'd1 && u_dut.cut_beats <= 5'd16);
        assert (10'(u_dut.cut_addr[11:3]) + 10'(u_dut.cut_beats) <= 10'd512);
      end
      for (int unsigned i = 0; i < 3; i++) begin
        if (on_way[i]) begin
          assert (way[i][17:13] >= 5'd1 && way[i][17:13] <= 5'd16);
          assert (10'(way[i][11:3]) + 10'(way[i][17:13]) <= 10'd512);
          assert (way[i][19] == is_open(way[i][12]));
        end
      end
      assert (!on_way[2] || on_way[1]);
    end
  end

  // Whether a page lies in a window. They stay as they are while a stream runs.
  winogen_pkg::window_t [winogen_pkg::WriteWindows-1:0] windows_q;
  function automatic logic is_open(input logic page);
    is_open = 1'b0;
    for (int unsigned i = 0; i < winogen_pkg::WriteWindows; i++) begin
      is_open |= windows_i[i].first <= 32'(page) && 32'(page) <= windows_i[i].last;
    end
  endfunction

  always_ff @(posedge clk_i) begin
    windows_q <= windows_i;
    if (started_q) assume (windows_i == windows_q);
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
    fills_q    <= rst_ni && flush_i && filled != taken;  // a flush waits for nothing but the bus
    addr_q     <= m_axi_awaddr_o;
    len_q      <= m_axi_awlen_o;
    data_q     <= m_axi_wdata_o;
    strb_q     <= m_axi_wstrb_o;
    last_q     <= m_axi_wlast_o;

    if (rst_ni) begin
      assert (m_axi_bready_o);
      assert (fill_room);
      if (aw_waits_q)
        assert (m_axi_awvalid_o && m_axi_awaddr_o == addr_q && m_axi_awlen_o == len_q);
      if (w_waits_q) begin
        assert (m_axi_wvalid_o && m_axi_wdata_o == data_q && m_axi_wstrb_o == strb_q);
        assert (m_axi_wlast_o == last_q);
      end
      if (m_axi_awvalid_o) begin
        assert (m_axi_awlen_o < 8'd16);
        assert (10'(m_axi_awaddr_o[11:3]) + 10'(m_axi_awlen_o) < 10'd512);
        assert (is_open(m_axi_awaddr_o[12]));
      end
      if (m_axi_wvalid_o) begin
        assert (filling);
        assert (m_axi_wlast_o == (beat_q == fill_len));
      end
      if (idle_o) assert (!m_axi_awvalid_o && !m_axi_wvalid_o && answered_q == accepted_q);
      if (rests_q) assert (!m_axi_awvalid_o && !m_axi_wvalid_o);
      if (fills_q) assert (m_axi_wvalid_o);
      cover (done_o);
      cover (error_valid_o);
      cover (error_valid_o && error_code_o == winogen_pkg::ErrOutsideWindow);
      cover (m_axi_wvalid_o && m_axi_wstrb_o == '0 && m_axi_wlast_o);
    end
  end
endmodule
