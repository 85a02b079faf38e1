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
  // What of a run decides about its bursts, worked out before it is cut: comparing addresses and
  // lengths takes a cycle of its own.
  typedef struct packed {
    logic                 last;
    logic                 follows;    // it starts where the one before ended
    logic                 page_ends;  // it starts in the last 128 bytes of a page
    logic                 whole;      // its first burst fills its room
    logic                 ends;       // its first burst is its last
    logic                 full;       // it has 16 beats or more
    logic [29:0]          beats;
    logic [AddrWidth-1:0] addr;
  } head_t;

  // Room in a burst for so many beats. Only the last 128 bytes of a page have room for fewer than 16.
  function automatic logic [4:0] room_of(input logic page_ends, input logic [3:0] beat);
    return page_ends ? 5'd16 - 5'(beat) : 5'd16;
  endfunction

  // The next run, and one more: run_ready_o does not depend on whether runs are joined, and the next
  // one comes from registers.
  logic next_valid, next_take, queue_ready;
  logic [AddrWidth-1:0] run_end_q;  // of the run that came last
  logic [29:0] run_beats;
  logic run_page_ends, run_full, run_over;
  logic [5:0] run_stop;  // the beat of 128 bytes in which the run stops, if it is shorter than 256
  logic run_part;  // it stops within that beat, else before it
  head_t run, next;

  // Bytes are compared, so that no comparison waits for the beats.
  assign run_beats     = 30'(run_bytes_i[31:3]) + 30'(|run_bytes_i[2:0]);
  assign run_page_ends = &run_addr_i[11:7];
  assign run_stop      = 6'(run_bytes_i[7:3]) + 6'(run_addr_i[6:3]);
  assign run_part      = |run_bytes_i[2:0];
  assign run_full      = run_bytes_i[31:7] != '0 || (&run_bytes_i[6:3] && run_part);
  assign run_over      = run_bytes_i[31:8] != '0 || (run_bytes_i[7] && |run_bytes_i[6:0]);
  assign run = '{
    last: run_last_i,
    follows: run_addr_i == run_end_q,
    page_ends: run_page_ends,
    whole: run_full || (run_page_ends && (run_stop >= 6'd16 || (run_stop == 6'd15 && run_part))),
    ends: !run_over && (!run_page_ends || run_stop < 6'd16 || (run_stop == 6'd16 && !run_part)),
    full: run_full,
    beats: run_beats,
    addr: run_addr_i
  };
  assign run_ready_o = queue_ready && !clear_i;

  always_ff @(posedge clk_i) begin
    if (run_valid_i && run_ready_o) run_end_q <= run_addr_i + AddrWidth'({run_beats, 3'b0});
  end

  wg_skid #(
    .Width($bits(head_t))
  ) u_queue (
    .clk_i,
    .rst_ni  (rst_ni && !clear_i),
    .wvalid_i(run_valid_i),
    .wready_o(queue_ready),
    .wdata_i (run),
    .rvalid_o(next_valid),
    .rready_i(next_take),
    .rdata_o (next)
  );

  // The run being cut, and what follows from its address and length.
  logic valid_q, last_q, waited_q, page_ends_q, whole_q, ends_q;
  logic [AddrWidth-1:0] addr_q;
  logic [29:0] beats_q;
  logic [4:0] room_q;

  logic joins, emit;
  logic [AddrWidth-1:12] next_page;

  assign next_page = addr_q[AddrWidth-1:12] + 1'b1;

  // Joining only a remainder of less than a burst keeps beats_q within its width.
  assign joins = valid_q && !whole_q && !last_q && next_valid && next.follows;
  assign emit  = valid_q && !joins && (whole_q || last_q || next_valid || waited_q)
               && (!burst_valid_o || burst_ready_i);
  assign next_take = next_valid && (!valid_q || joins || (emit && ends_q));

  // Beats of the run once the next has joined it, if both are short; and what is left of it after a
  // burst that filled its room: to the end of the page, or 16.
  logic [4:0] joined, left_room, two_rooms;
  logic left_page_ends;
  assign joined         = 5'(beats_q[3:0]) + 5'(next.beats[3:0]);
  assign left_page_ends = !page_ends_q && addr_q[11:7] == 5'b11110;
  assign left_room      = room_of(left_page_ends, addr_q[6:3]);
  // Of this burst and the one after: one of them has 16.
  assign two_rooms      = page_ends_q ? room_q : left_room;

  always_ff @(posedge clk_i) begin
    if (next_take) last_q <= next.last;
    if (valid_q && !ends_q) begin
      if (emit) begin
        if (page_ends_q) addr_q[AddrWidth-1:3] <= {next_page, 9'b0};
        else addr_q[11:7] <= addr_q[11:7] + 1'b1;
        beats_q     <= beats_q - 30'(room_q);
        room_q      <= left_room;
        page_ends_q <= left_page_ends;
        whole_q     <= beats_q[29:6] != '0 || beats_q[5:0] >= 6'd16 + 6'(two_rooms);
        ends_q      <= beats_q[29:6] == '0 && beats_q[5:0] <= 6'd16 + 6'(two_rooms);
      end
    end else if (joins) begin
      beats_q <= beats_q + next.beats;
      whole_q <= next.full || joined >= room_q;
      ends_q  <= !next.full && joined <= room_q;
    end else if (!valid_q || emit) begin  // whether there is a next run or not
      addr_q      <= next.addr;
      beats_q     <= next.beats;
      room_q      <= room_of(next.page_ends, next.addr[6:3]);
      page_ends_q <= next.page_ends;
      whole_q     <= next.whole;
      ends_q      <= next.ends;
    end
    if (emit) begin
      burst_addr_o  <= addr_q;
      burst_beats_o <= whole_q ? room_q : beats_q[4:0];
      burst_last_o  <= last_q && ends_q;
    end

    if (!rst_ni || clear_i) begin
      valid_q       <= 1'b0;
      waited_q      <= 1'b0;
      burst_valid_o <= 1'b0;
    end else begin
      valid_q  <= next_take || (valid_q && !(emit && ends_q));
      waited_q <= valid_q && !next_take && !whole_q;
      if (!burst_valid_o || burst_ready_i) burst_valid_o <= emit;
    end
  end

  // What is kept beside the address and the length is what they say.
  `ASSERT(page_ends_is_kept, clear_i || !valid_q || page_ends_q == &addr_q[11:7])
  `ASSERT(room_is_kept, clear_i || !valid_q || room_q == room_of(page_ends_q, addr_q[6:3]))
  `ASSERT(whole_is_kept, clear_i || !valid_q || whole_q == (beats_q >= 30'(room_q)))
  `ASSERT(ends_is_kept, clear_i || !valid_q || ends_q == (beats_q <= 30'(room_q)))
`ifdef WG_ASSERTIONS
  logic [AddrWidth-1:0] end_q;
  always_ff @(posedge clk_i) if (next_take) end_q <= next.addr + AddrWidth'({next.beats, 3'b0});
`endif
  `ASSERT(joins_what_follows, clear_i || !joins || next.addr == end_q)
  `ASSERT_HOLD(burst_holds, burst_valid_o, burst_ready_i, ({burst_last_o, burst_beats_o,
                                                            burst_addr_o}), clear_i)
endmodule
