// Whether a LOAD_WEIGHTS is right: the phases have as many taps as it says, and all its words fit
// into the weight buffer. Nothing is changed before that is known.
//
// One pass over the phases counts taps and positions; then the words of a block are multiplied by
// the blocks, a bit of their number a cycle.
module wg_weight_check
  import wg_types_pkg::*;
#(
  parameter int unsigned WeightDepth = 2048
) (
  input  logic        clk_i,
  input  logic        active_i,       // low: the instruction is taken; high: it is checked
  input  logic [19:0] base_i,
  input  logic [11:0] blocks_i,
  input  logic [7:0]  phases_i,
  input  logic        winograd_i,     // these two while it is checked
  input  logic [11:0] taps_i,
  input  logic        phase_valid_i,
  output logic        phase_ready_o,
  input  phase_t      phase_i,
  output logic        wrong_o,        // one of these, until active_i is low
  output logic        right_o
);
  logic multiply_q, scanned, multiplied, too_far;
  logic [7:0] left_q;
  logic [11:0] tap_sum_q, word_sum_q, multiplier_q;
  logic [24:0] term_q, stop_q;  // stop_q becomes the word after the last one

  assign scanned       = left_q == '0;
  assign multiplied    = multiplier_q == '0;
  assign too_far       = stop_q > 25'(WeightDepth);
  assign phase_ready_o = active_i && !multiply_q && !scanned;
  assign right_o       = multiply_q && multiplied && !too_far;
  assign wrong_o       = multiply_q ? multiplied && too_far
                                    : active_i && scanned && tap_sum_q != taps_i;

  always_ff @(posedge clk_i) begin
    multiply_q <= active_i && (multiply_q || (scanned && !wrong_o));
    if (!active_i) begin
      left_q       <= phases_i;
      tap_sum_q    <= '0;
      word_sum_q   <= '0;
      multiplier_q <= blocks_i;
      stop_q       <= 25'(base_i);
    end else if (!multiply_q) begin
      if (phase_valid_i && phase_ready_o) begin
        tap_sum_q  <= tap_sum_q + 12'(phase_i.tap_count);
        word_sum_q <= word_sum_q + 12'(phase_i.position_count);
        left_q     <= left_q - 8'd1;
      end
      term_q <= winograd_i ? 25'(word_sum_q) : 25'(taps_i);
    end else begin
      if (multiplier_q[0]) stop_q <= stop_q + term_q;
      term_q       <= term_q << 1;
      multiplier_q <= multiplier_q >> 1;
    end
  end

  // Counted is enough.
  logic unused;
  assign unused = ^{phase_i.taps, phase_i.positions};
endmodule
