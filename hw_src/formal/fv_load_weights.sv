// wg_load_weights: every word that is written is one of those that the instruction says, in the half that
// it says, and inside the weight buffer. For any instructions, beats and stalls, and whatever wg_decode hands
// out: a stream that is wrong cannot write beyond its blocks.
//
// This is proved as far as the phases and direct taps that go to wg_tap_transform; fv_tap_transform proves
// that the words of a phase and no others come out of it. That the walker gives the phases of the table over
// and over is proved in fv_phase_walker.
module fv_load_weights
  import wg_types_pkg::*;
#(
  localparam int unsigned WA    = $clog2(DefaultConfig.WeightDepth),
  localparam int unsigned PA    = index_width(DefaultConfig.PhaseDepth),
  localparam int unsigned Parts = DefaultConfig.Lanes / 2,
  localparam int unsigned Bits  = part_bits(DefaultConfig)
) (
  input logic         clk_i,
  input logic         rst_ni,
  input logic         clear_i,
  input logic         start_valid_i,
  input logic         winograd_i,
  input logic         half_i,
  input logic [19:0]  base_i,
  input logic [11:0]  blocks_i,
  input logic [11:0]  taps_i,
  input logic [7:0]   phases_i,
  input logic [1:0]   coding_i,
  input logic [23:0]  beats_i,
  input logic [1:0]   beat_count_i,
  input logic [127:0] beat_data_i
);
  logic start_ready, want, settled, done, fault, bad;
  logic [1:0] room;
  logic [2*Parts-1:0] we;
  logic [WA-1:0] addr;
  logic [Parts-1:0][Bits-1:0] data;

  wg_load_weights u_dut (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i,
    .start_ready_o    (start_ready),
    .winograd_i,
    .half_i,
    .base_i,
    .blocks_i,
    .taps_i,
    .phase_base_i     ('0),
    .phases_i,
    .coding_i,
    .beats_i,
    .phase_we_i       (1'b0),
    .phase_addr_i     (PA'(0)),
    .phase_taps_i     ('0),
    .phase_positions_i('0),
    .beat_count_i,
    .beat_data_i,
    .beat_room_o      (room),
    .want_o           (want),
    .w_we_o           (we),
    .w_addr_o         (addr),
    .w_data_o         (data),
    .settled_o        (settled),
    .done_o           (done),
    .fault_o          (fault),
    .bad_o            (bad)
  );
  logic unused;
  assign unused = ^{room, want, settled, done, fault, bad, data};

  logic [1:0] state;  // idle, check, run, refuse
  assign state = 2'(u_dut.state_q);

  // The latest instruction, and which of its words are begun next. Like the unit, it follows what is offered
  // until that is taken.
  logic [19:0] base_q;
  logic [11:0] blocks_q, taps_q, before_q;  // blocks before the one that is begun next
  logic [7:0] phases_q;
  logic half_q, winograd_q;
  logic [WA+1:0]
      block_q, next, unit_q;  // a place: of the block, of the next word, of the latest unit
  logic [12:0]
      in_block_q, with_unit;  // words of the block that have been begun, and with those on offer
  assign with_unit = in_block_q + 13'(u_dut.offer_word_count);
  assign next = block_q + (WA + 2)'(in_block_q);

  // What the walker has given: the phases over and over, so each pass has as many taps and positions as
  // the first, in which the check counts them.
  logic first_q;
  logic [7:0] left_q;
  logic [11:0] tap_sum_q, word_sum_q, tap_total_q, word_total_q;
  logic [12:0] tap_sum, word_sum;
  logic take;
  phase_t phase;
  assign phase    = u_dut.phase;
  // One is given when its unit begins, and leaves the walker a cycle later.
  assign take     = u_dut.phase_valid && !u_dut.begun_q && (u_dut.check_ready || u_dut.phase_ready
                    || (u_dut.unit_begin && u_dut.winograd_q));
  assign tap_sum  = 13'(tap_sum_q) + 13'(phase.tap_count);
  assign word_sum = 13'(word_sum_q) + 13'(phase.position_count);

  // Words of a block.
  logic [11:0] words;
  assign words = winograd_q ? word_total_q : taps_q;
  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    assume (started_q || !rst_ni);
    // Refused by the check of descriptors before they come here.
    assume (blocks_i != '0 && phases_i != '0 && taps_i != '0);
    assume (beat_count_i <= 2'd2);
    if (u_dut.phase_valid) begin
      assume (phase.tap_count == 4'($countones(phase.taps)));
      assume (phase.position_count == 5'($countones(phase.positions)));
    end
    // Of wg_phase_walker, as fv_phase_walker proves it.
    if (take && !first_q) begin
      assume (tap_sum <= 13'(tap_total_q) && word_sum <= 13'(word_total_q));
      assume (left_q != 8'd1 || (tap_sum == 13'(tap_total_q) && word_sum == 13'(word_total_q)));
    end

    if (u_dut.start) begin
      first_q    <= 1'b1;
      left_q     <= phases_i;
      tap_sum_q  <= '0;
      word_sum_q <= '0;
    end else if (take) begin
      left_q     <= left_q - 8'd1;
      tap_sum_q  <= tap_sum[11:0];
      word_sum_q <= word_sum[11:0];
      if (left_q == 8'd1) begin
        first_q    <= 1'b0;
        left_q     <= phases_q;
        tap_sum_q  <= '0;
        word_sum_q <= '0;
        if (first_q) begin
          tap_total_q  <= tap_sum[11:0];
          word_total_q <= word_sum[11:0];
        end
      end
    end
    if (state == 2'd0) begin
      base_q     <= base_i;
      half_q     <= half_i;
      blocks_q   <= blocks_i;
      taps_q     <= taps_i;
      phases_q   <= phases_i;
      winograd_q <= winograd_i;
      block_q    <= base_i[WA+1:0];
      in_block_q <= '0;
      before_q   <= '0;
    end
    if (u_dut.unit_begin) begin
      unit_q     <= next;
      in_block_q <= with_unit;
      if (u_dut.taps_left_q == 12'(u_dut.offer_tap_count)) begin
        block_q    <= block_q + (WA + 2)'(with_unit);
        in_block_q <= '0;
        before_q   <= before_q + 12'd1;
      end
    end
  end

  // Of the block that is begun next: taps and words of the phases that have been given, or of none if they
  // all have and only phases without taps may follow.
  logic [11:0] blocks_left, taps_left, tap_rest, word_most;
  assign blocks_left = u_dut.blocks_left_q;
  assign taps_left   = u_dut.taps_left_q;
  assign tap_rest    = tap_total_q - tap_sum_q;
  assign word_most   = !winograd_q ? taps_q - taps_left : tap_rest == '0 ? '0 : word_sum_q;

  // How many words so many blocks have. Solvers take long to multiply, so there is a table of the multiples
  // of some number, which never changes, and all is proved of instructions with so many words a block. It is
  // not said what is in it but for what is true of any: a block more is so many words more.
  logic [24:0] multiples[4096];
  logic any_we;  // never driven: the proof chooses it
  logic [11:0] any_count;
  logic [24:0] one, all, so_far, with_it, stop;
  logic watched;
  assign one           = multiples[12'd1];
  assign all           = multiples[blocks_q];
  assign so_far        = multiples[before_q];
  assign with_it       = multiples[before_q+12'd1];
  assign stop          = 25'(base_q) + all;
  assign watched       = one == 25'(words);
  always_ff @(posedge clk_i) begin
    assume (!any_we);
    if (any_we) multiples[any_count] <= '0;
    if (watched && before_q < blocks_q) begin
      assume (with_it == so_far + one && so_far <= with_it && with_it <= all);
    end
    assume (!watched || all < 25'd2 ** 24);
    // Of wg_weight_check, as fv_weight_check proves it.
    if (u_dut.check_ready) assume (first_q);
    if (u_dut.right) begin
      assume (!first_q && tap_total_q == taps_q);
      assume (tap_total_q <= 12'd2295 && word_total_q <= 12'd4080);
      assume (!watched || stop <= 25'(DefaultConfig.WeightDepth));
    end
  end

  // Words from this place on, of those of the instruction.
  function automatic logic is_inside(input logic [WA:0] place, input logic [4:0] count);
    logic [24:0] word;
    word = 25'(place[WA-1:0]);
    is_inside = word >= 25'(base_q) && word + 25'(count) <= stop && place[WA] == half_q;
  endfunction

  // How far words go: of a block, of the blocks before it, and so of the unit that is open. These and the two
  // places that follow from them are proved one after the other (load_weights.sby): all at once takes minutes.
  logic runs, in_step, in_block, in_blocks, in_all, in_unit;
  logic [WA+1:0] base;
  assign base = base_q[WA+1:0];
  assign runs = state == 2'd2 || u_dut.unit_open_q;
  assign in_step = !runs || (
      (!winograd_q || taps_left == (tap_rest == '0 ? taps_q : tap_rest)) &&
      taps_left != '0 && taps_left <= taps_q && blocks_left <= blocks_q && before_q == blocks_q - blocks_left &&
      tap_sum_q <= tap_total_q && word_sum_q <= word_total_q);
  assign in_block = !runs || (
      in_block_q <= (blocks_left == '0 ? '0 : 13'(word_most)) && in_block_q <= 13'(words));
  assign in_blocks = !runs || !watched || (block_q >= base && block_q <= base + so_far[WA+1:0]);
  assign in_all    = !runs || !watched || (next >= block_q && next <= stop[WA+1:0]);
  assign in_unit   = !u_dut.unit_open_q || !watched || (unit_q >= base && unit_q <= next);

  logic past_q;  // the write in the cycle before
  logic [WA:0] past_place_q;
  // At wg_tap_transform, as fv_tap_transform assumes it: taps of a phase are missing, and its slot.
  logic ready_q, open_q;
  logic [$clog2(winogen_pkg::TapSlots)-1:0] open_slot_q;
  always_ff @(posedge clk_i) begin
    past_q       <= u_dut.word_we != '0 && rst_ni && !clear_i;
    past_place_q <= u_dut.place;
    ready_q      <= u_dut.slot_ready && rst_ni && !clear_i;
    open_q       <= rst_ni && !clear_i && (u_dut.begun_q || (open_q && !u_dut.finish));
    if (u_dut.begun_q) open_slot_q <= u_dut.slot;

    if (started_q && rst_ni) begin
      in_step_holds : assert (in_step);
      in_block_holds : assert (in_block);
      in_blocks_holds : assert (in_blocks);
      in_all_holds : assert (in_all);
      in_unit_holds : assert (in_unit);

      // What is promised of the words of a phase, and of a direct tap, which is one too.
      if (u_dut.begun_q && u_dut.begun_count_q != '0 && watched) begin
        phase_in_its_block : assert (is_inside(u_dut.unit_addr_q, u_dut.begun_count_q));
        phase_in_the_buffer : assert (stop <= 25'(DefaultConfig.WeightDepth));
      end
      writes_what_was_seen : assert (we == '0 || (past_q && addr == past_place_q[WA-1:0]));
      in_its_half : assert (!(|we[Parts-1:0]) || !past_place_q[WA]);
      in_its_half_too : assert (!(|we[2*Parts-1:Parts]) || past_place_q[WA]);
      if (u_dut.begun_q) begin
        room_was_there : assert (ready_q && !open_q);
        counted : assert (u_dut.begun_count_q == 5'($countones(u_dut.begun_positions_q)));
      end
      if (u_dut.finish) begin
        open_ends : assert (open_q && u_dut.slot_q == open_slot_q);
      end

      // How the unit stands, as induction needs it.
      mode : assert (state == 2'd0 || u_dut.winograd_q == winograd_q);
      unit_is_open : assert (!u_dut.unit_open_q || state == 2'd2 || state == 2'd3);
      opened : assert (u_dut.unit_open_q == (u_dut.plain_open_q || u_dut.coded_open_q));
      upper_is_open : assert (state == 2'd0 || !u_dut.upper_q || u_dut.unit_open_q);
      open_at_both : assert ((u_dut.begun_q || open_q) == u_dut.unit_open_q);
      if (u_dut.begun_q) begin
        lower_first : assert (!u_dut.upper_q && !open_q);
        same_slot : assert (u_dut.slot_q == u_dut.slot);
        same_count : assert (next == unit_q + (WA + 2)'(u_dut.begun_count_q));
      end
      if (open_q) kept_slot : assert (u_dut.slot_q == open_slot_q);
      if (state == 2'd1) begin
        none_yet :
        assert (before_q == '0 && block_q == base && in_block_q == '0 && !u_dut.unit_open_q);
        all_left : assert (taps_left == taps_q && blocks_left == blocks_q);
      end
      if (state == 2'd1 && first_q) begin
        few : assert (left_q != '0 && left_q <= phases_q);
      end
      if (state == 2'd1 && !first_q) begin
        begins : assert (left_q == phases_q && tap_sum_q == '0 && word_sum_q == '0);
      end
      if (state == 2'd1 || state == 2'd2) begin
        none_is_zero : assert (blocks_q != '0 && taps_q != '0 && phases_q != '0);
        taps_are : assert (u_dut.taps_q == taps_q);
        next_word : assert (u_dut.addr_q == {half_q ^ base_q[WA], WA'(0)} + next[WA:0]);
      end
      if (runs && u_dut.unit_begin) block_has_room : assert (with_unit <= 13'(words));
      if (runs) begin
        fits : assert (!watched || stop <= 25'(DefaultConfig.WeightDepth));
        passed : assert (!first_q && tap_total_q == taps_q);
        in_twelve_bits : assert (tap_total_q <= 12'd2295 && word_total_q <= 12'd4080);
        last : assert (blocks_left != '0 || (u_dut.unit_open_q && u_dut.unit_last_q));
        only_last : assert (!u_dut.unit_open_q || u_dut.unit_last_q == (blocks_left == '0));
      end
      if (u_dut.unit_open_q) begin
        unit : assert (u_dut.unit_addr_q == {half_q ^ base_q[WA], WA'(0)} + unit_q[WA:0]);
        direct_word : assert (winograd_q || next == unit_q + (WA + 2)'(1));
      end
    end
    cover (rst_ni && done && u_dut.coded_q && !winograd_q && blocks_q == 12'd2);
    // The last phase of two blocks that have three words each.
    cover (rst_ni && u_dut.begun_q && blocks_q == 12'd2 && half_q && unit_q == base + (WA + 2)'(3) &&
           u_dut.begun_count_q == 5'd3 && u_dut.unit_last_q && watched);
  end
endmodule
