`include "wg_assert.svh"

// Cuts runs of contiguous bytes into AXI bursts: at most 16 beats of 64 bits, none across 4 KB.
// A run that starts where the one before ended shares its last burst. That burst waits one cycle for
// such a run, no more: the next run may come only after this one has been served.
module wg_burst_split #(
  parameter int unsigned AddrWidth = 64
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 clear_i,
  input  logic                 run_valid_i,
  output logic                 run_ready_o,
  input  logic [AddrWidth-1:0] run_addr_i,    // a multiple of 8
  input  logic [31:0]          run_bytes_i,   // not zero; rounded up to 8
  input  logic                 run_last_i,    // no burst is shared with the run after
  output logic                 burst_valid_o,
  input  logic                 burst_ready_i,
  output logic [AddrWidth-1:0] burst_addr_o,
  output logic [4:0]           burst_beats_o, // 1 to 16
  output logic                 burst_last_o   // it ends a run that had run_last_i
);
  // The next run. A queue, so that run_ready_o does not depend on the address comparison.
  logic next_valid, next_take, next_last, queue_ready;
  logic [AddrWidth-1:0] next_addr;
  logic [29:0] next_beats;

  assign run_ready_o = queue_ready && !clear_i;

  wg_fifo #(
    .Width(AddrWidth + 31),
    .Depth(2)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(run_valid_i),
    .wready_o(queue_ready),
    .wdata_i ({run_last_i, 30'(run_bytes_i[31:3]) + 30'(|run_bytes_i[2:0]), run_addr_i}),
    .rvalid_o(next_valid),
    .rready_i(next_take),
    .rdata_o ({next_last, next_beats, next_addr})
  );

  // The run being cut.
  logic valid_q, last_q, waited_q;
  logic [AddrWidth-1:0] addr_q, end_q;
  logic [29:0] beats_q;

  logic [4:0] room, beats;
  logic whole, joins, emit, ends, page_ends;
  logic [AddrWidth-1:12] next_page;

  // Only the last 128 bytes of a page have room for fewer than 16 beats.
  assign page_ends = &addr_q[11:7];
  assign room  = page_ends ? 5'd16 - 5'(addr_q[6:3]) : 5'd16;
  assign whole = beats_q[29:4] != '0 || beats_q[4:0] >= room;
  assign beats = whole ? room : beats_q[4:0];
  assign ends  = beats_q[29:5] == '0 && beats_q[4:0] <= room;
  assign next_page = addr_q[AddrWidth-1:12] + 1'b1;

  // Joining only a remainder of less than a burst keeps beats_q within its width.
  assign joins = valid_q && !whole && !last_q && next_valid && next_addr == end_q;
  assign emit  = valid_q && !joins && (whole || last_q || next_valid || waited_q)
               && (!burst_valid_o || burst_ready_i);
  assign next_take = next_valid && (!valid_q || joins || (emit && ends));

  always_ff @(posedge clk_i) begin
    if (next_take) begin
      end_q  <= next_addr + AddrWidth'({next_beats, 3'b0});
      last_q <= next_last;
    end
    if (joins) begin
      beats_q <= beats_q + next_beats;
    end else if (next_take) begin
      addr_q  <= next_addr;
      beats_q <= next_beats;
    end else if (emit) begin
      // What is left matters only after a burst that filled its room: to the end of the page, or 16.
      if (page_ends) addr_q[AddrWidth-1:3] <= {next_page, 9'b0};
      else addr_q[11:7] <= addr_q[11:7] + 1'b1;
      beats_q <= beats_q - 30'(room);
    end
    if (emit) begin
      burst_addr_o  <= addr_q;
      burst_beats_o <= beats;
      burst_last_o  <= last_q && ends;
    end

    if (!rst_ni || clear_i) begin
      valid_q       <= 1'b0;
      waited_q      <= 1'b0;
      burst_valid_o <= 1'b0;
    end else begin
      valid_q  <= next_take || (valid_q && !(emit && ends));
      waited_q <= valid_q && !next_take && !whole;
      if (!burst_valid_o || burst_ready_i) burst_valid_o <= emit;
    end
  end

  `ASSERT_HOLD(burst_holds, burst_valid_o, burst_ready_i, ({burst_last_o, burst_beats_o,
                                                            burst_addr_o}), clear_i)
endmodule
