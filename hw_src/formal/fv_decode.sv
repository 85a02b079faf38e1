// wg_decode: for any beats it hands out as many groups as an instruction has and no more, takes no
// more beats than it says, and never has more under way than its queue holds. Memories give any data.
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

  initial assume (!rst_ni);
  always_ff @(posedge clk_i) begin
    assume (beat_count_i <= 2'd2);
    if (start_i) begin
      assume (!busy_q && rst_ni && !clear_i);
      assume (beats_i != '0 && blocks_i != '0);
      // A product by any number of taps is beyond what is proved in seconds.
      assume (taps_i != '0 && taps_i <= 12'd4);
    end
    if (!rst_ni || clear_i) busy_q <= 1'b0;
    else if (start_i) busy_q <= 1'b1;
    else if (pop && groups_q == 18'd1) busy_q <= 1'b0;
    if (start_i) begin
      groups_q <= 18'(blocks_i) * 18'(taps_i[2:0]) * 18'(TapGroups);
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
        nothing_of_a_bad_one : assert (!bad || (!valid && beats_q == '0));
      end
    end
    cover (rst_ni && bad);
  end
endmodule
