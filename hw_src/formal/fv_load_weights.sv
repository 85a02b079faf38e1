// wg_load_weights in direct mode: every word that is written is one of those that the instruction says,
// in the half that it says, and inside the weight buffer. For any beats and stalls, and whatever wg_decode
// hands out: a stream that is wrong cannot write beyond its block.
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
    .winograd_i       (1'b0),
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

  // The block of the latest instruction, and how many of its words have been begun. Like the unit, it
  // follows what is offered until that is taken.
  logic [19:0] base_q;
  logic [13:0] words_q, begun_q;
  logic [3:0] bits_q;  // of the number of blocks, that the check has multiplied by
  logic [11:0] blocks_q;
  logic two_q, half_q;
  logic [24:0] part;  // of the product: the bits that are done with

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    assume (started_q || !rst_ni);
    // Refused by the check of descriptors before they come here.
    assume (blocks_i != '0 && phases_i != '0);
    // A product by any number of taps is beyond what is proved in seconds.
    assume (taps_i == 12'd1 || taps_i == 12'd2);
    assume (beat_count_i <= 2'd2);
    if (state == 2'd0) begin
      base_q   <= base_i;
      half_q   <= half_i;
      blocks_q <= blocks_i;
      two_q    <= taps_i[1];
      words_q  <= 14'(blocks_i) << taps_i[1];
      begun_q  <= '0;
      bits_q   <= '0;
    end
    if (u_dut.unit_begin) begun_q <= begun_q + 14'd1;
    if (u_dut.u_check.multiply_q && state == 2'd1 && bits_q != 4'd12) begin
      bits_q <= bits_q + 4'd1;
    end
  end

  logic [13:0] left;  // words of which none has been begun
  logic [24:0] stop;
  assign left = ((14'(u_dut.blocks_left_q) - 14'd1) << two_q) + 14'(u_dut.taps_left_q[1:0]);
  assign part = 25'(blocks_q & ~(12'hfff << bits_q)) << two_q;
  assign stop = 25'(base_q) + 25'(words_q);

  function automatic logic is_inside(input logic [WA:0] place, input logic [13:0] count);
    logic [24:0] word;
    word   = 25'(place[WA-1:0]);
    is_inside = word >= 25'(base_q) && word < 25'(base_q) + 25'(count) && place[WA] == half_q;
  endfunction

  logic past_q;  // the write in the cycle before
  logic [WA:0] past_place_q;
  always_ff @(posedge clk_i) begin
    past_q       <= u_dut.write_direct && rst_ni && !clear_i;
    past_place_q <= u_dut.place;
    if (started_q && rst_ni) begin
      // What is promised.
      if (u_dut.write_direct) begin
        in_its_block : assert (is_inside(u_dut.place, words_q));
        in_the_buffer : assert (stop <= 25'(DefaultConfig.WeightDepth));
      end
      writes_what_was_seen : assert (we == '0 || (past_q && addr == past_place_q[WA-1:0]));
      in_its_half : assert (!(|we[Parts-1:0]) || !past_place_q[WA]);
      in_its_half_too : assert (!(|we[2*Parts-1:Parts]) || past_place_q[WA]);

      // How the unit stands, as induction needs it.
      direct : assert (state == 2'd0 || !u_dut.winograd_q);
      of_blocks : assert (state == 2'd0 || words_q == 14'(blocks_q) << two_q);
      unit_is_open : assert (!u_dut.unit_open_q || state == 2'd2 || state == 2'd3);
      opened : assert (u_dut.unit_open_q == (u_dut.plain_open_q || u_dut.coded_open_q));
      full_is_direct : assert (!u_dut.full_q || u_dut.full_direct_q);
      if (state == 2'd1) begin
        none_yet : assert (begun_q == '0 && !u_dut.unit_open_q);
        same_taps : assert (u_dut.taps_q == (two_q ? 12'd2 : 12'd1));
        if (u_dut.u_check.multiply_q) begin
          few : assert (bits_q <= 4'd12);
          multiplies : assert (u_dut.u_check.stop_q == 25'(base_q) + part);
          by_bits : assert (u_dut.u_check.multiplier_q == blocks_q >> bits_q);
          term : assert (bits_q == 4'd12 || u_dut.u_check.term_q == 25'(u_dut.taps_q) << bits_q);
        end else begin
          first : assert (bits_q == '0);
          base : assert (u_dut.u_check.stop_q == 25'(base_q));
          blocks : assert (u_dut.u_check.multiplier_q == blocks_q);
        end
      end
      if (state == 2'd1 || state == 2'd2) begin
        counts : assert (begun_q + left == words_q && left <= words_q);
        taps : assert (u_dut.taps_left_q != '0 && u_dut.taps_left_q <= u_dut.taps_q);
        whole : assert (u_dut.blocks_left_q != '0 || u_dut.taps_left_q == u_dut.taps_q);
        blocks_left : assert (u_dut.blocks_left_q <= blocks_q && blocks_q != '0);
        next : assert (left == '0 || u_dut.addr_q == {half_q, base_q[WA-1:0]} + (WA + 1)'(begun_q));
      end
      if (state == 2'd2) begin
        fits : assert (stop <= 25'(DefaultConfig.WeightDepth));
        taps_are : assert (u_dut.taps_q == (two_q ? 12'd2 : 12'd1));
        nothing_else : assert (u_dut.unit_open_q || begun_q == '0);
        last : assert (!u_dut.unit_open_q || u_dut.unit_last_q == (left == '0));
      end
      if (u_dut.unit_open_q) begin
        unit : assert (begun_q != '0 && is_inside(u_dut.unit_addr_q, begun_q));
        few_words : assert (begun_q <= words_q);
        room_for_it : assert (stop <= 25'(DefaultConfig.WeightDepth));
      end
    end
    cover (rst_ni && done && u_dut.coded_q);
  end
endmodule
