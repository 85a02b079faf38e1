// Takes the place of wg_weight_check in proofs that hold whenever it answers. When it may find that an
// instruction is right is proved of that in fv_weight_check, and assumed where this stands.
module wg_weight_check
  import wg_types_pkg::*;
#(
  parameter int unsigned WeightDepth = 2048
) (
  input  logic        clk_i,
  input  logic        active_i,
  input  logic [19:0] base_i,
  input  logic [11:0] blocks_i,
  input  logic [7:0]  phases_i,
  input  logic        winograd_i,
  input  logic [11:0] taps_i,
  input  logic        phase_valid_i,
  output logic        phase_ready_o,
  input  phase_t      phase_i,
  output logic        wrong_o,
  output logic        right_o
);
  // Never driven: the proof chooses them.
  logic any_ready, any_wrong, any_right;
  assign phase_ready_o = active_i && any_ready;
  assign wrong_o       = active_i && any_wrong;
  assign right_o       = active_i && any_right && !any_wrong;
  logic unused;
  assign unused = ^{clk_i, base_i, blocks_i, phases_i, winograd_i, taps_i, phase_valid_i, phase_i};
endmodule
