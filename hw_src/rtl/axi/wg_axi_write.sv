`include "wg_assert.svh"

// Writes one stream of 64-bit beats to runs of memory through one AXI port, INCR bursts.
// done_o tells that a run marked run_last_i, and all before it, is in memory; after an error response,
// and at a burst outside the windows, no burst begins, and done_o stays low. flush_i stays high until idle_o: bursts already announced are
// filled with beats that write nothing.
module wg_axi_write
  import wg_types_pkg::*;
#(
  parameter int unsigned AddrWidth = 64,
  parameter int unsigned MaxOutstanding = winogen_pkg::Outstanding  // bursts: a power of two, at least 2
) (
  input  logic           clk_i,
  input  logic           rst_ni,
  input  logic           flush_i,
  output logic           idle_o,       // no burst is on its way
  output logic           progress_o,   // a beat or a response was transferred

  input  winogen_pkg::window_t [winogen_pkg::WriteWindows-1:0] windows_i,

  output logic           run_ready_o,
  input  run_t           run_i,

  input  write_beat_t    beat_i,
  output logic           beat_ready_o,

  output logic           done_o,       // pulse
  output bus_error_t     error_o,      // the address is that of the burst

  output axi_write_req_t m_axi_o,
  input  axi_write_rsp_t m_axi_i
);
  // Addresses. The register takes a burst every other cycle, which keeps AWREADY out of other paths.
  logic burst_valid, burst_ready, burst_take, burst_last, open_room, awvalid_q, error_valid_q;
  logic cut_valid, cut_ready, cut_last, refused;
  logic [AddrWidth-1:0] cut_addr;
  logic [4:0] cut_beats;
  logic [AddrWidth-1:0] awaddr_q;
  logic [7:0] awlen_q;
  logic [AddrWidth-1:0] burst_addr;
  logic [4:0] burst_beats;

  wg_burst_split #(
    .AddrWidth(AddrWidth)
  ) u_split (
    .clk_i,
    .rst_ni,
    .clear_i      (flush_i),
    .run_valid_i  (run_i.valid),
    .run_ready_o,
    .run_addr_i   (run_i.addr[AddrWidth-1:0]),
    .run_bytes_i  (run_i.bytes),
    .run_last_i   (run_i.last),
    .burst_valid_o(cut_valid),
    .burst_ready_i(cut_ready),
    .burst_addr_o (cut_addr),
    .burst_beats_o(cut_beats),
    .burst_last_o (cut_last)
  );

  wg_window #(
    .AddrWidth(AddrWidth),
    .Windows  (winogen_pkg::WriteWindows)
  ) u_window (
    .clk_i,
    .rst_ni,
    .clear_i      (flush_i),
    .windows_i,
    .burst_valid_i(cut_valid),
    .burst_ready_o(cut_ready),
    .burst_addr_i (cut_addr),
    .burst_beats_i(cut_beats),
    .burst_last_i (cut_last),
    .burst_valid_o(burst_valid),
    .burst_ready_i(burst_ready),
    .burst_addr_o (burst_addr),
    .burst_beats_o(burst_beats),
    .burst_last_o (burst_last),
    .refused_o    (refused)
  );

  assign burst_ready = !flush_i && !error_valid_q && !awvalid_q && open_room;
  assign burst_take  = burst_valid && burst_ready;

  always_ff @(posedge clk_i) begin
    if (burst_take) begin
      awaddr_q <= burst_addr;
      awlen_q  <= 8'(burst_beats - 5'd1);
    end
    if (!rst_ni) awvalid_q <= 1'b0;
    else if (burst_take) awvalid_q <= 1'b1;
    else if (m_axi_i.awready) awvalid_q <= 1'b0;
  end

  // Data. The oldest burst that still lacks beats, and how many it has.
  logic fill_valid, fill_room, fill_last, beat_valid, beat_ready;
  logic [3:0] fill_len, fill_q;
  logic wvalid, wlast;
  logic [63:0] wdata;
  logic [7:0] wstrb;

  wg_fifo #(
    .Width(4),
    .Depth(MaxOutstanding)
  ) u_fill (
    .clk_i,
    .rst_ni,
    .clear_i (1'b0),
    .wvalid_i(burst_take),
    .wready_o(fill_room),
    .wdata_i (4'(burst_beats - 5'd1)),
    .rvalid_o(fill_valid),
    .rready_i(beat_valid && beat_ready && fill_last),
    .rdata_o (fill_len)
  );

  assign fill_last    = fill_q == fill_len;
  assign beat_valid   = fill_valid && (beat_i.valid || flush_i);
  assign beat_ready_o = fill_valid && beat_ready && !flush_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) fill_q <= '0;
    else if (beat_valid && beat_ready) fill_q <= fill_last ? '0 : fill_q + 1'b1;
  end

  wg_skid #(
    .Width(73)
  ) u_beat (
    .clk_i,
    .rst_ni,
    .wvalid_i(beat_valid),
    .wready_o(beat_ready),
    .wdata_i ({fill_last, {8{!flush_i}}, beat_i.data}),
    .rvalid_o(wvalid),
    .rready_i(m_axi_i.wready),
    .rdata_o ({wlast, wstrb, wdata})
  );

  // Responses, registered at the boundary, and the bursts that wait for one.
  logic resp_valid_q, open_valid, open_last, resp_error, refuse;
  logic [1:0] resp_q;
  logic [AddrWidth-1:0] open_addr, error_addr_q;
  logic [7:0] error_code_q;

  wg_fifo #(
    .Width(AddrWidth + 1),
    .Depth(MaxOutstanding)
  ) u_open (
    .clk_i,
    .rst_ni,
    .clear_i (1'b0),
    .wvalid_i(burst_take),
    .wready_o(open_room),
    .wdata_i ({burst_last, burst_addr}),
    .rvalid_o(open_valid),
    .rready_i(resp_valid_q),
    .rdata_o ({open_last, open_addr})
  );

  assign resp_error = resp_q[1];
  assign idle_o     = !awvalid_q && !open_valid;
  // All before it is in memory, or one of them has failed.
  assign refuse     = refused && idle_o;
  assign done_o     = resp_valid_q && open_last && !resp_error && !error_valid_q && !flush_i;

  always_ff @(posedge clk_i) begin
    resp_q       <= m_axi_i.bresp;
    resp_valid_q <= m_axi_i.bvalid && rst_ni;
    progress_o   <= (wvalid && m_axi_i.wready) || m_axi_i.bvalid;

    if (resp_valid_q && resp_error && !error_valid_q) begin
      error_code_q <= resp_q[0] ? winogen_pkg::ErrAxiDecerr : winogen_pkg::ErrAxiSlverr;
      error_addr_q <= open_addr;
    end
    if (refuse && !error_valid_q) begin
      error_code_q <= winogen_pkg::ErrOutsideWindow;
      error_addr_q <= burst_addr;
    end
    if (!rst_ni || flush_i) error_valid_q <= 1'b0;
    else if ((resp_valid_q && resp_error) || refuse) error_valid_q <= 1'b1;
  end

  assign error_o = '{valid: error_valid_q, code: error_code_q, addr: 64'(error_addr_q)};
  assign m_axi_o = '{
    awvalid: awvalid_q, awaddr: 64'(awaddr_q), awlen: awlen_q,
    wvalid: wvalid, wdata: wdata, wstrb: wstrb, wlast: wlast, bready: 1'b1
  };

  // An address is narrower than its place in a struct.
  logic unused;
  assign unused = ^run_i.addr;

  // A burst without its last beats is a burst without its response.
  `ASSERT(burst_has_room, !burst_take || fill_room)
  `ASSERT_HOLD(aw_holds, awvalid_q, m_axi_i.awready, ({awaddr_q, awlen_q}), 1'b0)
  `ASSERT_HOLD(w_holds, wvalid, m_axi_i.wready, ({wlast, wstrb, wdata}), 1'b0)
endmodule
