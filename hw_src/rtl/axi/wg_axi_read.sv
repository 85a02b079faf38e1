`include "wg_assert.svh"

// One AXI read port, 64 bits, INCR bursts. A burst is asked for only when the queue has room for the
// longest, so RREADY is always high. The queue holds entries of up to Pack beats of one burst, in order.
// At the first error response the port stops: the entry says so, and nothing follows it.
// flush_i stays high until idle_o: what is on its way is thrown away.
module wg_axi_read #(
  parameter int unsigned AddrWidth = 64,
  parameter int unsigned Pack = 1,            // beats in an entry: a power of two
  parameter int unsigned FifoBeats = winogen_pkg::LoadFifoBeats,  // a power of two, at least 16 and 2 * Pack
  parameter int unsigned MaxOutstanding = winogen_pkg::Outstanding,  // bursts: a power of two, at least 2
  parameter int unsigned BurstBeats = winogen_pkg::BurstBeats,  // of the longest
  localparam int unsigned CountWidth = $clog2(Pack + 1)
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  flush_i,
  output logic                  idle_o,         // no burst is on its way
  output logic                  progress_o,     // a beat has arrived

  input  logic                  burst_valid_i,
  output logic                  burst_ready_o,
  input  logic [AddrWidth-1:0]  burst_addr_i,
  input  logic [4:0]            burst_beats_i,  // 1 to 16

  output logic                  entry_valid_o,
  input  logic                  entry_ready_i,
  output logic [Pack*64-1:0]    entry_data_o,   // the first beat in the low bits
  output logic [CountWidth-1:0] entry_count_o,  // beats; may be 0 with an error
  output logic                  entry_last_o,   // the last of its burst
  output logic                  entry_error_o,  // the beat after these had an error response
  output logic [7:0]            error_code_o,   // of that beat
  output logic [AddrWidth-1:0]  error_addr_o,   // of its burst

  output logic                  m_axi_arvalid_o,
  input  logic                  m_axi_arready_i,
  output logic [AddrWidth-1:0]  m_axi_araddr_o,
  output logic [7:0]            m_axi_arlen_o,
  input  logic                  m_axi_rvalid_i,
  output logic                  m_axi_rready_o,
  input  logic [63:0]           m_axi_rdata_i,
  input  logic [1:0]            m_axi_rresp_i,
  input  logic                  m_axi_rlast_i
);
  localparam int unsigned Entries = FifoBeats / Pack;
  localparam int unsigned CreditWidth = $clog2(Entries + 1);
  localparam int unsigned BurstEntries = (BurstBeats + Pack - 1) / Pack;
  localparam int unsigned LaneWidth = Pack > 1 ? $clog2(Pack) : 1;

  // Requests. The register takes a burst every other cycle, which keeps ARREADY out of other paths.
  // Whether there is room does not depend on the burst, or its length would reach back to where it
  // was cut. That is known a cycle early: only a burst takes room, and behind one the register is full.
  logic burst_take, address_room, room, room_q, taken_q;
  logic [CreditWidth-1:0] credit_q, needed;

  assign needed        = CreditWidth'((32'(burst_beats_i) + Pack - 1) / Pack);
  assign room          = address_room && credit_q >= CreditWidth'(BurstEntries);  // for the longest
  assign burst_ready_o = !m_axi_arvalid_o && room_q;
  assign burst_take    = burst_valid_i && burst_ready_o && !flush_i;

  always_ff @(posedge clk_i) begin
    if (burst_take) begin
      m_axi_araddr_o <= burst_addr_i;
      m_axi_arlen_o  <= 8'(burst_beats_i - 5'd1);
    end
    if (!rst_ni) m_axi_arvalid_o <= 1'b0;
    else if (burst_take) m_axi_arvalid_o <= 1'b1;
    else if (m_axi_arready_i) m_axi_arvalid_o <= 1'b0;

    room_q  <= room && rst_ni && !flush_i;
    taken_q <= entry_valid_o && entry_ready_i && rst_ni && !flush_i;
    if (!rst_ni || flush_i) credit_q <= CreditWidth'(Entries);
    else credit_q <= credit_q - (burst_take ? needed : '0) + CreditWidth'(taken_q);
  end

  // Responses, registered at the boundary.
  logic beat_valid_q, beat_last_q;
  logic [63:0] beat_data_q;
  logic [1:0] beat_resp_q;

  assign m_axi_rready_o = 1'b1;
  assign progress_o     = beat_valid_q;

  always_ff @(posedge clk_i) begin
    beat_data_q  <= m_axi_rdata_i;
    beat_resp_q  <= m_axi_rresp_i;
    beat_last_q  <= m_axi_rlast_i;
    beat_valid_q <= m_axi_rvalid_i && rst_ni;
  end

  // Addresses of the bursts on their way.
  logic outstanding;
  logic [AddrWidth-1:0] oldest_addr;

  wg_fifo #(
    .Width(AddrWidth),
    .Depth(MaxOutstanding)
  ) u_addresses (
    .clk_i,
    .rst_ni,
    .clear_i (1'b0),
    .wvalid_i(burst_take),
    .wready_o(address_room),
    .wdata_i (burst_addr_i),
    .rvalid_o(outstanding),
    .rready_i(beat_valid_q && beat_last_q),
    .rdata_o (oldest_addr)
  );

  assign idle_o = !m_axi_arvalid_o && !outstanding;

  // Packing.
  logic failed_q, beat_error, entry_write, queue_room;
  logic [LaneWidth-1:0] lane_q;
  logic [Pack*64-1:0] packed_q, packed_d;

  assign beat_error  = beat_resp_q[1];
  assign entry_write = beat_valid_q && !failed_q
                     && (beat_error || beat_last_q || lane_q == LaneWidth'(Pack - 1));

  always_comb begin
    packed_d = packed_q;
    for (int unsigned i = 0; i < Pack; i++) begin
      if (lane_q == LaneWidth'(i)) packed_d[i*64+:64] = beat_data_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (beat_valid_q) packed_q <= packed_d;
    if (beat_valid_q && beat_error && !failed_q) begin
      error_code_o <= beat_resp_q[0] ? winogen_pkg::ErrAxiDecerr : winogen_pkg::ErrAxiSlverr;
      error_addr_o <= oldest_addr;
    end

    if (!rst_ni || flush_i) begin
      failed_q <= 1'b0;
      lane_q   <= '0;
    end else if (beat_valid_q) begin
      failed_q <= failed_q || beat_error;
      lane_q   <= entry_write ? '0 : lane_q + 1'b1;
    end
  end

  wg_fifo #(
    .Width(Pack * 64 + CountWidth + 2),
    .Depth(Entries)
  ) u_entries (
    .clk_i,
    .rst_ni,
    .clear_i (flush_i),
    .wvalid_i(entry_write),
    .wready_o(queue_room),
    .wdata_i ({beat_error, beat_last_q, CountWidth'(lane_q) + CountWidth'(!beat_error), packed_d}),
    .rvalid_o(entry_valid_o),
    .rready_i(entry_ready_i),
    .rdata_o ({entry_error_o, entry_last_o, entry_count_o, entry_data_o})
  );

  `ASSERT(room_stays, !burst_ready_o || room)
  // The credits promise it.
  `ASSERT(entry_has_room, !entry_write || queue_room)
  `ASSERT_HOLD(ar_holds, m_axi_arvalid_o, m_axi_arready_i, ({m_axi_araddr_o, m_axi_arlen_o}), 1'b0)
  `ASSERT_HOLD(entry_holds, entry_valid_o, entry_ready_i, ({entry_error_o, entry_last_o,
                                                            entry_count_o, entry_data_o}), flush_i)
endmodule
