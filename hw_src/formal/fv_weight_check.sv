// wg_weight_check: it looks at as many phases as the instruction says, and finds that it is right only where
// they have as many taps as it says, and all words of all blocks lie inside the weight buffer. For any number
// of phases with any taps and positions, and of blocks.
module fv_weight_check
  import wg_types_pkg::*;
#(
  localparam int unsigned WeightDepth = DefaultConfig.WeightDepth
) (
  input logic        clk_i,
  input logic        active_i,
  input logic [19:0] base_i,
  input logic [11:0] blocks_i,
  input logic [7:0]  phases_i,
  input logic        winograd_i,
  input logic [11:0] taps_i,
  input logic        phase_valid_i,
  input phase_t      phase_i
);
  logic ready, wrong, right;
  // The instruction: what is offered until it is taken.
  logic [19:0] base_q;
  logic [11:0] blocks_q, taps_q;
  logic [7:0] phases_q, seen_q;
  logic winograd_q;
  logic [11:0] tap_total_q, word_total_q;  // of the phases that have been seen
  logic [3:0] bits_q;  // of the number of blocks, that have been multiplied by

  wg_weight_check #(
    .WeightDepth(WeightDepth)
  ) u_dut (
    .clk_i,
    .active_i,
    .base_i,
    .blocks_i,
    .phases_i,
    .winograd_i   (winograd_q),
    .taps_i       (taps_q),
    .phase_valid_i,
    .phase_ready_o(ready),
    .phase_i,
    .wrong_o      (wrong),
    .right_o      (right)
  );

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    assume (started_q || !active_i);
    // Of descriptors that have been checked, and of phases that have been counted.
    assume (phases_i != '0);
    assume (phase_i.tap_count <= 4'd9 && phase_i.position_count <= 5'd16);
    if (!active_i) begin
      base_q       <= base_i;
      blocks_q     <= blocks_i;
      taps_q       <= taps_i;
      phases_q     <= phases_i;
      winograd_q   <= winograd_i;
      seen_q       <= '0;
      tap_total_q  <= '0;
      word_total_q <= '0;
      bits_q       <= '0;
    end else begin
      if (phase_valid_i && ready) begin
        seen_q       <= seen_q + 8'd1;
        tap_total_q  <= tap_total_q + 12'(phase_i.tap_count);
        word_total_q <= word_total_q + 12'(phase_i.position_count);
      end
      if (u_dut.multiply_q && bits_q != 4'd12) bits_q <= bits_q + 4'd1;
    end
  end

  // The words of so many blocks. Solvers take long to multiply, so there is a table of the multiples of some
  // number, which never changes, and all is proved of instructions with so many words a block. It is not
  // said what is in it but for what is true of any: of no block there are none, and a bit of the number
  // stands for so many words more.
  logic [24:0] multiples[4096];
  logic any_we;  // never driven: the proof chooses it
  logic [11:0] any_count, words, part, next_part;
  logic [24:0] one, all, of_part, of_next;
  logic watched;
  assign words     = winograd_q ? word_total_q : taps_q;
  assign part      = blocks_q & ~(12'hfff << bits_q);  // the bits that are done with
  assign next_part = blocks_q & ~(12'hffe << bits_q);  // and one more
  assign one       = multiples[12'd1];
  assign all       = multiples[blocks_q];
  assign of_part   = multiples[part];
  assign of_next   = multiples[next_part];
  assign watched   = one == 25'(words);
  always_ff @(posedge clk_i) begin
    assume (!any_we);
    if (any_we) multiples[any_count] <= '0;
    assume (part != '0 || of_part == '0);
    assume (of_next == of_part + (next_part != part ? one << bits_q : 25'd0));
  end

  always_ff @(posedge clk_i) begin
    if (started_q) begin
      // What is promised.
      if (active_i) begin
        not_both : assert (!right || !wrong);
        no_more : assert (!ready || seen_q < phases_q);
      end
      if (active_i && right) begin
        all_phases : assert (seen_q == phases_q);
        as_many_taps : assert (tap_total_q == taps_q);
        in_twelve_bits : assert (tap_total_q <= 12'd2295 && word_total_q <= 12'd4080);
        in_the_buffer : assert (!watched || 25'(base_q) + all <= 25'(WeightDepth));
      end

      // How the unit stands, as induction needs it.
      none_is_zero : assert (phases_q != '0 && seen_q <= phases_q);
      taps_fit : assert (tap_total_q <= (12'(seen_q) << 3) + 12'(seen_q));
      words_fit : assert (word_total_q <= 12'(seen_q) << 4);
      if (!u_dut.multiply_q) begin
        left : assert (u_dut.left_q == phases_q - seen_q);
        taps : assert (u_dut.tap_sum_q == tap_total_q);
        positions : assert (u_dut.word_sum_q == word_total_q);
        base : assert (u_dut.stop_q == 25'(base_q));
        blocks : assert (u_dut.multiplier_q == blocks_q);
        no_bits : assert (bits_q == '0);
      end else begin
        all_seen : assert (u_dut.left_q == '0 && seen_q == phases_q && tap_total_q == taps_q);
        few : assert (bits_q <= 4'd12);
        multiplies : assert (!watched || u_dut.stop_q == 25'(base_q) + of_part);
        by_bits : assert (u_dut.multiplier_q == blocks_q >> bits_q);
        term : assert (bits_q == 4'd12 || u_dut.term_q == 25'(words) << bits_q);
      end
    end
    cover (active_i && right && winograd_q && watched && phases_q == 8'd2 && words == 12'd24 &&
           blocks_q == 12'd5 && base_q == 20'(WeightDepth - 120));
  end
endmodule
