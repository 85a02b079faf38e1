// wg_decode: for any beats it hands out as many groups as an instruction has and no more, takes no
// more beats than it says, and never has more under way than its queue holds. A piece is read when all
// of its beats have come, from places of the ring that none that came later has taken. Memories give any data.
module fv_decode
  import wg_types_pkg::*, winogen_pkg::*;
(
  input logic                 clk_i,
  input logic                 rst_ni,
  input logic                 clear_i,
  input logic                 start_i,
  input logic                 bitmap_i,
  input logic [23:0]          beats_i,
  input logic [11:0]          blocks_i,
  input logic [11:0]          taps_i,
  input logic [1:0]           beat_count_i,
  input logic [127:0]         beat_data_i,
  input logic                 group_ready_i
);
  localparam int unsigned TapGroups = DefaultConfig.Lanes * DefaultConfig.Lanes / CodeGroup;
  logic [1:0] room;
  logic want, valid, bad;
  logic [CodeGroup-1:0] mask;
  logic [CodeGroup-1:0][DefaultConfig.DataWidth-1:0] data;

  wg_decode u_dut (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_i,
    .bitmap_i,
    .beats_i,
    .blocks_i,
    .taps_i,
    .beat_count_i,
    .beat_data_i,
    .beat_room_o  (room),
    .want_o       (want),
    .group_valid_o(valid),
    .group_ready_i,
    .group_mask_o (mask),
    .group_data_o (data),
    .bad_o        (bad)
  );
  logic unused;
  assign unused = ^{mask, data};

  // What the instruction has not got yet: groups, and beats.
  logic [17:0] groups_q;
  logic [23:0] beats_q;
  logic busy_q, pop;
  logic [1:0] taken;
  assign pop   = valid && group_ready_i;
  assign taken = beat_count_i < room ? beat_count_i : room;

  logic begun_q;
  initial begun_q = 1'b0;
  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    assume (begun_q || !rst_ni);
    assume (beat_count_i <= 2'd2);
    if (start_i) begin
      assume (!busy_q && rst_ni && !clear_i);
      assume (beats_i != '0 && blocks_i != '0);
      // A product by any number of taps is beyond what is proved in seconds.
      assume (taps_i == 12'd1 || taps_i == 12'd2);
    end
    if (!rst_ni || clear_i) busy_q <= 1'b0;
    else if (start_i) busy_q <= 1'b1;
    else if (pop && groups_q == 18'd1) busy_q <= 1'b0;
    if (start_i) begin
      groups_q <= (18'(blocks_i) << taps_i[1]) * 18'(TapGroups);
      beats_q  <= beats_i;
    end else begin
      groups_q <= groups_q - 18'(pop);
      beats_q  <= beats_q - 24'(taken);
    end

    if (rst_ni) begin
      if (!busy_q) begin
        nothing_follows : assert (!valid && room == '0 && !want && !bad);
      end else begin
        a_group_is_missing : assert (groups_q != '0);
        no_beat_too_many : assert (24'(taken) <= beats_q);
        all_beats_before_the_last : assert (!valid || groups_q != 18'd1 || beats_q == '0);
        bad_ones_are_read : assert (!bad || beats_q == '0);
        never_the_last_of_a_bad_one : assert (!bad || groups_q > 18'(valid));
      end
    end
    cover (rst_ni && bad);
  end

  // How the unit stands, as induction needs it: what it has not begun, and what is under way.
  localparam int unsigned Queue = 16;
  logic [4:0] under_way;
  logic [17:0] left;
  logic idle, runs;
  assign idle = !u_dut.active && !bad;
  assign runs = u_dut.active && !u_dut.ending;
  assign under_way = 5'(u_dut.what0_q.group) + 5'(u_dut.what1_q.group) + 5'(u_dut.what2_q.group) +
                     5'(u_dut.what3_q.group) + 5'(u_dut.what4_q.group) +
                     5'(u_dut.u_queue.wptr_q - u_dut.u_queue.rptr_q);
  assign left = (((18'(u_dut.blocks_left_q) - 18'd1) << u_dut.taps_q[1]) +
                 18'(u_dut.taps_left_q[1])) * 18'(TapGroups) + 18'(u_dut.part_q) + 18'd1;
  // Nibbles that have come and are not behind the next piece, and where the piece begins: indices alone
  // stand behind a bitmap that is not there. All modulo twice the ring.
  logic [9:0] come, first;
  logic [5:0] reach;  // beats from the piece's first to the last one that has a place in the ring
  assign come  = {u_dut.written_q, 4'b0} - u_dut.place_q;
  assign first = u_dut.place_q + ((u_dut.bitmap_q || u_dut.book) ? 10'd0 : 10'd8);
  logic fours_fit;  // no four bits have more than four set
  always_comb begin
    fours_fit = 1'b1;
    for (int unsigned i = 0; i < CodeGroup / 4; i++) fours_fit &= u_dut.fours_q[i] <= 3'd4;
  end
  assign reach = u_dut.written_q + 6'(room) - first[9:4];
  always_ff @(posedge clk_i) begin
    if (begun_q && rst_ni && busy_q && runs) begin
      counted : assert (u_dut.have_q + {4'b0, u_dut.taken_q, 4'b0} == come);
      not_taken : assert (reach <= 6'd32);
      if (u_dut.issue) has_come : assert (10'(u_dut.needed_q) <= come && come <= 10'd528);
    end
    // All lengths that are written are those of pieces in four beats, so all that are read are.
    of_four : assert (!begun_q || fours_fit);
    lengths : assert (!begun_q || u_dut.length <= 6'd40);
    assume (u_dut.later <= 6'd40);
    in_four_beats : assert (!begun_q || !busy_q || !runs || u_dut.needed_q <= 6'd40);
  end

  always_ff @(posedge clk_i) begin
    if (begun_q && rst_ni) begin
      states : assert (3'(u_dut.state_q) <= 3'd4);
      busy : assert (busy_q == (!idle || valid));
      credits : assert (u_dut.credit_q == 5'(Queue) - under_way && under_way <= 5'(Queue));
      ends_empty : assert (!idle || (under_way == '0 && (!busy_q || groups_q == 18'd1)));
      last_waits : assert (!u_dut.ending || under_way != '0);
      all_have_come : assert (!idle || !busy_q || beats_q == '0);
      if (busy_q) begin
        beats : assert (beats_q == u_dut.left_q);
        few : assert (u_dut.plenty_q || u_dut.left_q[23:3] == '0);
        all_here : assert ((u_dut.here_q == '0 && !u_dut.right_q) || beats_q == '0);
        room_fits : assert (24'(room) <= beats_q);
        taps_are : assert (u_dut.taps_q == 12'd1 || u_dut.taps_q == 12'd2);
        if (runs) begin
          counts : assert (groups_q == left + 18'(under_way) + 18'(valid));
          taps_left : assert (u_dut.taps_left_q != '0 && u_dut.taps_left_q <= u_dut.taps_q);
          ring : assert (u_dut.used + 6'(room) <= (u_dut.book ? 6'd32 : 6'd33));
          has : assert (u_dut.have_q <= 10'd528);
          steps :
          assert (u_dut.step_q == 10'(u_dut.needed_q) || (!u_dut.bitmap_q && (
              u_dut.book ? u_dut.value_q == '1 && u_dut.step_q == -10'sd6
                         : u_dut.needed_q == 6'd40 && u_dut.step_q == 10'd32)));
          book : assert (!u_dut.book || u_dut.needed_q == 6'd2);
          blocks_left : assert (u_dut.blocks_left_q != '0);
          last_tap : assert (u_dut.taps_last_q == (u_dut.taps_left_q == 12'd1));
          last_block : assert (u_dut.blocks_last_q == (u_dut.blocks_left_q == 12'd1));
        end else if (!bad) begin
          ends : assert (groups_q == 18'(under_way) + 18'(valid));
        end
      end else begin
        nothing_comes : assert (u_dut.room_q == '0);
      end
    end
  end
endmodule
