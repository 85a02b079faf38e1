// wg_phase_walker: it gives the entries of an instruction's phases in order, over and over, each with the
// numbers of its taps and positions. For any base, number of phases and stalls, as long as the table stays:
// wg_load begins no LOAD_TABLE before the last phase of a LOAD_WEIGHTS is taken.
//
// One entry of the walk, any of them, is watched.
module fv_phase_walker
  import wg_types_pkg::*;
#(
  localparam int unsigned PA = index_width(DefaultConfig.PhaseDepth)
) (
  input logic          clk_i,
  input logic          rst_ni,
  input logic          start_i,
  input logic [PA-1:0] base_i,
  input logic [7:0]    phases_i,
  input logic          ready_i,
  input logic [7:0]    watched_i,
  input logic [15:0]   positions_i,
  input logic [8:0]    taps_i
);
  logic valid;
  phase_t phase;

  wg_phase_walker #(
    .PhaseDepth(DefaultConfig.PhaseDepth)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .we_i         (1'b0),
    .waddr_i      ('0),
    .taps_i       ('0),
    .positions_i  ('0),
    .start_i,
    .base_i,
    .phases_i,
    .phase_valid_o(valid),
    .phase_ready_i(ready_i),
    .phase_o      (phase)
  );

  // Places in the walk: of the entry that is given next, and of those on the way to it.
  logic [7:0] phases_q, given_q, watched_q, walk_q, entry_q, out_q, spare_q;
  logic [PA-1:0] base_q;
  phase_t expected_q;
  logic walks_q, spare, entry_ready;
  assign spare       = u_dut.u_phase.spare_valid_q;
  assign entry_ready = u_dut.entry_ready;
  function automatic logic [7:0] after(input logic [7:0] place);
    after = place + 8'd1 == phases_q ? 8'd0 : place + 8'd1;
  endfunction

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    assume (started_q || !rst_ni);
    // Refused by the check of descriptors before it comes here.
    assume (phases_i != '0);
    // The table.
    if (u_dut.walk_q == base_q + PA'(watched_q)) begin
      assume (u_dut.entry == {expected_q.positions, expected_q.taps});
    end
    if (start_i) begin
      phases_q   <= phases_i;
      base_q     <= base_i;
      watched_q  <= watched_i;
      expected_q <= '{
          taps: taps_i,
          positions: positions_i,
          tap_count: 4'($countones(taps_i)),
          position_count: 5'($countones(positions_i))
      };
      walk_q     <= '0;
      given_q    <= '0;
    end else begin
      if (entry_ready) walk_q <= after(walk_q);
      if (valid && ready_i) given_q <= after(given_q);
    end
    if (entry_ready) entry_q <= walk_q;
    if (!valid || ready_i) out_q <= spare ? spare_q : entry_q;
    if (entry_ready) spare_q <= entry_q;
    walks_q <= rst_ni && (start_i || walks_q);

    if (started_q && rst_ni && walks_q) begin
      // What is promised.
      if (valid && given_q == watched_q) as_in_the_table : assert (phase == expected_q);

      // How the unit stands, as induction needs it.
      walk : assert (u_dut.walk_q == base_q + PA'(walk_q) && walk_q < phases_q);
      left : assert (u_dut.left_q == phases_q - walk_q && u_dut.phases_q == phases_q);
      base : assert (u_dut.base_q == base_q);
      in_the_walk : assert (given_q < phases_q);
      two : assert (!spare || valid);
      if (valid) begin
        in_order : assert (out_q == given_q);
        spare_next : assert (!spare || spare_q == after(out_q));
        entry_next : assert (u_dut.entry_valid_q && entry_q == after(spare ? spare_q : out_q));
      end else if (u_dut.entry_valid_q) begin
        entry_first : assert (entry_q == given_q);
      end else begin
        walk_first : assert (walk_q == given_q);
      end
      if (u_dut.entry_valid_q) begin
        walk_next : assert (walk_q == after(entry_q));
        entry_is : assert (entry_q != watched_q || u_dut.counted == expected_q);
      end
      spare_is :
      assert (!spare || spare_q != watched_q || phase_t'(u_dut.u_phase.spare_q) == expected_q);
      out_is : assert (!valid || out_q != watched_q || phase == expected_q);
      counts :
      assert (expected_q.tap_count == 4'($countones(
          expected_q.taps
      )) && expected_q.position_count == 5'($countones(
          expected_q.positions
      )));
    end
    // The second of three phases, when it comes again.
    cover (rst_ni && walks_q && valid && ready_i && phases_q == 8'd3 && given_q == 8'd1 && watched_q == 8'd1 &&
           expected_q.tap_count == 4'd4 && expected_q.position_count == 5'd9 && base_q == PA'(126) && spare);
  end
endmodule
