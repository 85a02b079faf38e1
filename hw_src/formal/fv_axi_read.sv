// wg_axi_read before a memory that keeps the protocol: its requests wait unchanged, nothing is
// asked for that the queue has no room for (an assertion of the module), a flush ends.
module fv_axi_read (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        flush_i,
  input logic        burst_valid_i,
  input logic [12:0] burst_addr_i,
  input logic [4:0]  burst_beats_i,
  input logic        entry_ready_i,
  input logic        m_axi_arready_i,
  input logic        m_axi_rvalid_i,
  input logic [63:0] m_axi_rdata_i,
  input logic [1:0]  m_axi_rresp_i,
  input logic        m_axi_rlast_i
);
  logic idle_o, progress_o, burst_ready_o, entry_valid_o, entry_last_o, entry_error_o;
  logic [127:0] entry_data_o;
  logic [1:0] entry_count_o;
  logic [7:0] error_code_o, m_axi_arlen_o;
  logic [12:0] error_addr_o, m_axi_araddr_o;
  logic m_axi_arvalid_o, m_axi_rready_o;

  // A queue of two entries, and bursts to match, so that few cycles fill it.
  wg_axi_read #(
    .AddrWidth(13),
    .Pack(2),
    .FifoBeats(4),
    .MaxOutstanding(2),
    .BurstBeats(4)
  ) u_dut (
    .*
  );

  logic started_q = 1'b0;
  logic requested, answered, owed, owed_room;
  logic [3:0] owed_len, beat_q;
  assign requested = m_axi_arvalid_o && m_axi_arready_i;
  assign answered  = m_axi_rvalid_i && m_axi_rready_o;

  // Accepted bursts that lack beats.
  wg_fifo #(
    .Width(4),
    .Depth(4)
  ) u_owed (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .wvalid_i(requested),
    .wready_o(owed_room),
    .wdata_i(m_axi_arlen_o[3:0]),
    .rvalid_o(owed),
    .rready_i(answered && m_axi_rlast_i),
    .rdata_o(owed_len)
  );

  logic waits_q, flushing_q, rests_q;
  logic [12:0] addr_q;
  logic [7:0] len_q;

  // For induction: how many entries the bursts on their way may still make, and that there are
  // credits for them.
  logic [2:0] taken, entries, reserved;  // entries: and one whose credit is on its way back
  logic [1:0][3:0] len;  // of the two oldest bursts in u_owed
  logic arrived, ended;  // a beat waits in the register, the last of its burst
  assign arrived = u_dut.beat_valid_q;
  assign ended   = arrived && u_dut.beat_last_q;
  assign taken   = u_owed.wptr_q + 3'(m_axi_arvalid_o);
  assign entries = 3'(2'(u_dut.u_entries.wptr_q - u_dut.u_entries.rptr_q)) + 3'(u_dut.taken_q);
  for (genvar i = 0; i < 2; i++) begin : gen_len
    assign len[i] = u_owed.u_mem.mem[2'(u_owed.rptr_q + 3'(i))];
  end

  logic [2:0] owing;
  logic [3:0] packed_beats;  // of the oldest burst
  assign owing        = u_owed.wptr_q - u_owed.rptr_q;
  assign packed_beats = beat_q - 4'(arrived && !ended);
  always_comb begin
    reserved = 3'(ended);
    if (owing != '0) reserved = reserved + 3'((len[0] + 4'd2) >> 1) - 3'(packed_beats >> 1);
    if (owing > 3'd1) reserved = reserved + 3'((len[1] + 4'd2) >> 1);
    if (m_axi_arvalid_o) reserved = reserved + 3'((m_axi_arlen_o[3:0] + 4'd2) >> 1);
  end

  logic [1:0][3:0] entry;  // error, last, count
  for (genvar i = 0; i < 2; i++) begin : gen_entry
    assign entry[i] = u_dut.u_entries.u_mem.mem[u_dut.u_entries.rptr_q[0] ^ 1'(i)][131:128];
  end

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (owing <= 3'd2 && taken - u_owed.rptr_q + 3'(ended) <= 3'd2);
      assert (u_dut.u_addresses.wptr_q == taken[1:0]);
      assert (u_dut.u_addresses.rptr_q == 2'(u_owed.rptr_q - 3'(ended)));
      for (int unsigned i = 0; i < 2; i++) begin
        if (3'(i) < owing) assert (len[i] < 4'd4);
        if (3'(i) < entries - 3'(u_dut.taken_q))
          assert (entry[i][1:0] <= 2'd2 && (entry[i][1:0] != '0 || entry[i][3]));
      end
      if (m_axi_arvalid_o) assert (m_axi_arlen_o < 8'd4);
      if (owing == '0 || ended) assert (beat_q == '0);
      if (owing != '0) assert (beat_q <= len[0]);
      if (arrived && !ended) assert (beat_q != '0);
      if (!flushing_q) begin
        assert (4'(u_dut.credit_q) + 4'(entries) <= 4'd2);
        if (!u_dut.failed_q) begin
          assert (4'(u_dut.credit_q) + 4'(entries) + 4'(reserved) <= 4'd2);
          if (!ended) assert (u_dut.lane_q == packed_beats[0]);
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    assume (rst_ni == started_q);
    if (rst_ni) begin
      assume (burst_beats_i >= 5'd1 && burst_beats_i <= 5'd4);
      if (m_axi_rvalid_i) begin
        assume (owed);
        assume (m_axi_rlast_i == (beat_q == owed_len));
      end
      if (flushing_q) assume (flush_i);  // until idle
    end

    if (!rst_ni) beat_q <= '0;
    else if (answered) beat_q <= m_axi_rlast_i ? '0 : beat_q + 1'b1;
    flushing_q <= rst_ni && flush_i && !idle_o;
    rests_q    <= rst_ni && flush_i && idle_o;
    waits_q    <= rst_ni && m_axi_arvalid_o && !m_axi_arready_i;
    addr_q     <= m_axi_araddr_o;
    len_q      <= m_axi_arlen_o;

    if (rst_ni) begin
      assert (m_axi_rready_o);
      assert (owed_room);
      if (waits_q) assert (m_axi_arvalid_o && m_axi_araddr_o == addr_q && m_axi_arlen_o == len_q);
      if (m_axi_arvalid_o) assert (m_axi_arlen_o < 8'd16);
      if (idle_o) assert (!m_axi_arvalid_o && !owed);
      if (entry_valid_o) assert (entry_count_o <= 2'd2 && (entry_count_o != '0 || entry_error_o));
      if (rests_q) assert (!m_axi_arvalid_o && !entry_valid_o);
      cover (entry_valid_o && entry_last_o && entry_count_o == 2'd2);
      cover (entry_valid_o && entry_error_o && error_code_o == 8'd4);
      cover (rests_q && !flush_i);
    end
  end
endmodule
