// Takes the place of wg_phase_walker in proofs that hold for any phases.
module wg_phase_walker
  import wg_types_pkg::*;
#(
  parameter  int unsigned PhaseDepth = 128,
  localparam int unsigned PA         = index_width(PhaseDepth)
) (
  input  logic          clk_i,
  input  logic          rst_ni,
  input  logic          we_i,
  input  logic [PA-1:0] waddr_i,
  input  logic [8:0]    taps_i,
  input  logic [15:0]   positions_i,
  input  logic          start_i,
  input  logic [PA-1:0] base_i,
  input  logic [7:0]    phases_i,
  output logic          phase_valid_o,
  input  logic          phase_ready_i,
  output phase_t        phase_o
);
  // Never driven: the proof chooses them.
  logic any_valid;
  phase_t any_phase;
  // What is offered stays until it is taken.
  always_ff @(posedge clk_i) begin
    if (!rst_ni || start_i) phase_valid_o <= 1'b0;
    else if (!phase_valid_o || phase_ready_i) {phase_valid_o, phase_o} <= {any_valid, any_phase};
  end
  logic unused;
  assign unused = ^{we_i, waddr_i, taps_i, positions_i, base_i, phases_i};
endmodule
