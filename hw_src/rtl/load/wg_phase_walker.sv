// The phase table of the load engine, and a walker that reads an instruction's phases over and over.
//
// A phase comes with the numbers of its taps and of its positions, which take a cycle to count.
module wg_phase_walker
  import wg_types_pkg::*;
#(
  parameter  int unsigned PhaseDepth = 128,
  localparam int unsigned PA         = index_width(PhaseDepth)
) (
  input  logic          clk_i,
  input  logic          rst_ni,
  // LOAD_TABLE writes an entry.
  input  logic          we_i,
  input  logic [PA-1:0] waddr_i,
  input  logic [8:0]    taps_i,
  input  logic [15:0]   positions_i,
  // The walk begins; what is left of the one before is forgotten.
  input  logic          start_i,
  input  logic [PA-1:0] base_i,
  input  logic [7:0]    phases_i,
  output logic          phase_valid_o,
  input  logic          phase_ready_i,
  output phase_t        phase_o
);
  logic [PA-1:0] walk_q, base_q;
  logic [7:0] left_q, phases_q;
  logic [24:0] entry;
  logic entry_ready;
  logic [8:0] taps_q;
  logic [15:0] positions_q;

  wg_lutram #(
    .Width(25),
    .Depth(PhaseDepth)
  ) u_phases (
    .clk_i,
    .we_i,
    .waddr_i,
    .wdata_i({positions_i, taps_i}),
    .raddr_i(walk_q),
    .rdata_o(entry)
  );

  // Counted on the way into two registers, so that the walk does not depend on phase_ready_i, which
  // comes late.
  phase_t counted;
  logic entry_valid_q;
  assign counted = '{
          taps: taps_q,
          positions: positions_q,
          tap_count: 4'($countones(taps_q)),
          position_count: 5'($countones(positions_q))
      };
  wg_skid #(
    .Width($bits(phase_t))
  ) u_phase (
    .clk_i,
    .rst_ni  (rst_ni && !start_i),
    .wvalid_i(entry_valid_q),
    .wready_o(entry_ready),
    .wdata_i (counted),
    .rvalid_o(phase_valid_o),
    .rready_i(phase_ready_i),
    .rdata_o (phase_o)
  );

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      walk_q   <= base_i;
      base_q   <= base_i;
      left_q   <= phases_i;
      phases_q <= phases_i;
    end else if (entry_ready) begin
      walk_q <= left_q == 8'd1 ? base_q : walk_q + PA'(1);
      left_q <= left_q == 8'd1 ? phases_q : left_q - 8'd1;
    end
    if (entry_ready) {positions_q, taps_q} <= entry;
    entry_valid_q <= rst_ni && !start_i;
  end
endmodule
