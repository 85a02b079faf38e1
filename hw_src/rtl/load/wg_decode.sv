`include "wg_assert.svh"

// Coded weights: beats of a stream in, groups of CodeGroup weights out, one a cycle.
//
// The code is that of winogen/target/weight_code.py: a codebook, then pieces of nibbles. With a bitmap
// a piece is the bitmap of a group and the indices of the group CodeAhead before, so that their number
// is known when the next piece is asked for; else it is indices alone. A window over the beats that
// have come is moved to each piece; the pieces go through a pipeline that never stops:
//
//   cycle 0  the four beats from the piece's first on           (StBook: a value of the codebook)
//   cycle 1  the piece, moved to the low end
//   cycle 2  its bitmap is kept and counted; of the bitmap that belongs to its indices, how many set
//            bits are below each                                 (the value is written)
//   cycle 3  each weight takes its index; then a queue
//
// The values are looked up at the end of the queue. The last group is held back until the stream is
// known to end where the weights do; a stream that does not is read to its end, and is bad then, so
// that an error of the bus comes first.
module wg_decode
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  localparam int unsigned ReadPorts = Config.ReadPorts,
  localparam int unsigned DataWidth = Config.DataWidth,
  localparam int unsigned CW        = count_width(Config)
) (
  input  logic                                 clk_i,
  input  logic                                 rst_ni,
  input  logic                                 clear_i,
  // An instruction begins; the one before has ended.
  input  logic                                 start_i,
  input  logic                                 bitmap_i,       // else indices alone
  input  logic [23:0]                          beats_i,        // not zero
  input  logic [11:0]                          blocks_i,
  input  logic [11:0]                          taps_i,         // of a block
  input  logic [CW-1:0]                        beat_count_i,
  input  logic [ReadPorts*64-1:0]              beat_data_i,
  output logic [CW-1:0]                        beat_room_o,
  output logic                                 want_o,         // beats are missing
  output logic                                 group_valid_o,
  input  logic                                 group_ready_i,
  output logic [CodeGroup-1:0][DataWidth-1:0]  group_data_o,
  output logic                                 bad_o           // the stream is; until clear_i
);
  localparam int unsigned Nibble = 4;
  localparam int unsigned BeatNibbles = 64 / Nibble;
  localparam int unsigned MaskNibbles = CodeGroup / Nibble;
  localparam int unsigned ValueNibbles = DataWidth / Nibble;
  localparam int unsigned Piece = MaskNibbles + CodeGroup;  // nibbles, at most
  localparam int unsigned Values = 2 ** Nibble;
  localparam int unsigned Banks = 4;  // beats that a piece may touch: a window of so many
  localparam int unsigned BankDepth = 8;
  localparam int unsigned Ring = Banks * BankDepth;  // beats
  localparam int unsigned AW = $clog2(BankDepth);
  localparam int unsigned WW = $clog2(Ring) + 1;  // a number of beats, twice round
  localparam int unsigned PW = WW + $clog2(BeatNibbles);  // a number of nibbles
  localparam int unsigned NW = $clog2(CodeGroup + 1);
  localparam int unsigned SW = $clog2(CodeGroup);
  localparam int unsigned QueueGroups = 16;
  localparam int unsigned TapGroups = Config.Lanes * Config.Lanes / CodeGroup;
  localparam int unsigned GW = index_width(TapGroups);

  if (DataWidth > 16 || Piece + BeatNibbles - 1 > Banks * BeatNibbles || TapGroups < 1)
  begin : gen_check
    $fatal(1, "a piece must lie in four beats, and a tap must have a group of weights");
  end

  typedef enum logic [2:0] {
    StIdle,
    StBook,
    StRun,
    StEnd,  // all groups are on their way
    StBad
  } state_e;
  state_e state_q;

  // ---- Beats: as many as the instruction says, into a ring of four banks ----
  logic [23:0] left_q;  // beats that have not come
  logic plenty_q;  // more of them than can come in two cycles; else the low bits are all
  logic space_q;  // as many as can come in two cycles fit
  logic [CW-1:0] room, taken;
  logic [WW-1:0] written_q, used;
  logic [PW-1:0] place_q;  // nibble at which the next piece begins
  logic all_here, ending;

  assign ending = state_q == StEnd;
  assign all_here = !plenty_q && left_q[2:0] == '0;
  assign want_o = (state_q == StBook || state_q == StRun || ending) && !all_here;
  always_comb begin
    room = CW'(ReadPorts);
    if (!plenty_q && left_q[2:0] < 3'(ReadPorts)) room = CW'(left_q[2:0]);
  end
  // What comes too much is not kept.
  assign beat_room_o = want_o && (space_q || ending) ? room : '0;
  assign taken = beat_count_i < beat_room_o ? beat_count_i : beat_room_o;
  assign used = written_q - place_q[PW-1-:WW];

  logic [Banks-1:0][63:0] bank_data;
  for (genvar b = 0; b < Banks; b++) begin : gen_bank
    logic [1:0] number;  // of the beat that comes into this bank
    logic [63:0] data;
    logic [WW-1:0] to, from;  // the bank's next beats, in fours
    assign to = written_q + WW'(Banks - 1 - b);
    assign from = place_q[PW-1-:WW] + WW'(Banks - 1 - b);
    assign number = 2'(b) - written_q[1:0];
    assign data = beat_data_i[64*(32'(number)%ReadPorts)+:64];

    wg_lutram #(
      .Width(64),
      .Depth(BankDepth)
    ) u_ring (
      .clk_i,
      .we_i   (!ending && 32'(number) < 32'(taken)),
      .waddr_i(to[AW+1:2]),
      .wdata_i(data),
      .raddr_i(from[AW+1:2]),
      .rdata_o(bank_data[b])
    );
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      left_q    <= beats_i;
      plenty_q  <= beats_i[23:3] != '0;
      written_q <= '0;
      space_q   <= 1'b1;
    end else begin
      left_q    <= left_q - 24'(taken);
      plenty_q  <= left_q[23:3] != '0;
      written_q <= written_q + WW'(taken);
      space_q   <= used <= WW'(Ring - 2 * ReadPorts);
    end
  end

  // ---- Pieces ----
  logic bitmap_q, enough, issue, group, last, over_q, matched;
  logic [NW-1:0] indices;  // of the next piece
  logic [NW-1:0] needed;  // nibbles of it, less those of a bitmap
  logic [PW-1:0] have, step, stop;
  logic [1:0] number_q;  // of the piece, of four
  logic [1:0] lead_q;  // pieces that have a bitmap alone
  logic [Nibble-1:0] value_q;
  logic [GW-1:0] part_q;
  logic [11:0] taps_q, taps_left_q, blocks_left_q;
  logic [$clog2(QueueGroups+1)-1:0] credit_q;
  logic [3:0][NW-1:0] count_q;  // set bits of four bitmaps

  // Indices alone come without a bitmap in front: the place is where it would begin.
  assign indices = bitmap_q ? count_q[number_q+2'd1] : NW'(CodeGroup);
  assign needed = state_q == StBook ? NW'(ValueNibbles) : indices;
  assign have = {written_q, 4'b0} - place_q;
  assign enough = have >= PW'(needed) + (state_q == StBook ? PW'(0) : PW'(MaskNibbles));
  assign group = state_q == StRun && lead_q == '0;
  assign issue = (state_q == StBook || state_q == StRun) && enough && (!group || credit_q != '0);
  assign last = group && part_q == '0 && taps_left_q == 12'd1 && blocks_left_q == 12'd1;
  always_comb begin
    step = PW'(indices) + (bitmap_q ? PW'(MaskNibbles) : PW'(0));
    if (state_q == StBook) begin
      step = PW'(ValueNibbles);
      if (value_q == '1 && !bitmap_q) step = PW'(ValueNibbles) - PW'(MaskNibbles);
    end
  end
  // The beat behind the last piece.
  assign stop = place_q + PW'(BeatNibbles - 1) + (bitmap_q ? PW'(0) : PW'(MaskNibbles));
  assign matched = written_q == stop[PW-1-:WW];

  logic pop, last_out;  // a group leaves the queue; it is the last one
  assign pop = group_valid_o && group_ready_i;
  assign bad_o = state_q == StBad;

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      StIdle: if (start_i) state_q <= StBook;
      StBook: begin
        if (issue && value_q == '1) state_q <= StRun;
        if (!enough && all_here) state_q <= StBad;
      end
      StRun: begin
        if (issue && last) state_q <= StEnd;
        if (!enough && all_here) state_q <= StBad;
      end
      StEnd: begin
        if (all_here && (over_q || !matched)) state_q <= StBad;
        else if (pop && last_out) state_q <= StIdle;
      end
      default: ;  // StBad, until clear_i
    endcase
    if (!rst_ni || clear_i) state_q <= StIdle;

    over_q <= ending && (over_q || !matched);
    if (start_i) begin
      bitmap_q      <= bitmap_i;
      place_q       <= '0;
      value_q       <= '0;
      number_q      <= '0;
      lead_q        <= bitmap_i ? 2'(CodeAhead) : 2'd0;
      part_q        <= GW'(TapGroups - 1);
      taps_q        <= taps_i;
      taps_left_q   <= taps_i;
      blocks_left_q <= blocks_i;
    end else if (issue) begin
      place_q <= place_q + step;
      if (state_q == StBook) value_q <= value_q + Nibble'(1);
      else begin
        number_q <= number_q + 2'd1;
        if (lead_q != '0) lead_q <= lead_q - 2'd1;
      end
      if (group) begin
        part_q <= part_q == '0 ? GW'(TapGroups - 1) : part_q - GW'(1);
        if (part_q == '0) begin
          taps_left_q <= taps_left_q == 12'd1 ? taps_q : taps_left_q - 12'd1;
          if (taps_left_q == 12'd1) blocks_left_q <= blocks_left_q - 12'd1;
        end
      end
    end
    if (!rst_ni || clear_i) credit_q <= ($bits(credit_q))'(QueueGroups);
    else credit_q <= credit_q - ($bits(credit_q))'(issue && group) + ($bits(credit_q))'(pop);
  end

  // ---- Cycles 0 and 1: the piece, from its beats ----
  typedef struct packed {
    logic value;   // of the codebook
    logic bitmap;  // a piece with one
    logic group;   // a piece with indices
    logic last;
  } what_t;
  what_t what0_q, what1_q, what2_q;
  logic [Nibble-1:0] value0_q, value1_q;
  logic [1:0] number0_q, number1_q;
  logic [3:0] shift_q;
  logic [Banks-1:0][63:0] beats_q;
  logic [Banks*BeatNibbles-1:0][Nibble-1:0] beats;
  logic [BeatNibbles/4-1+Piece-1:0][Nibble-1:0] near;  // moved by fours
  logic [Piece-1:0][Nibble-1:0] piece_q;

  assign beats = beats_q;
  always_comb begin
    for (int unsigned i = 0; i < BeatNibbles / 4 - 1 + Piece; i++) begin
      near[i] = beats[32'(shift_q[3:2])*4+i];
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < Banks; i++) beats_q[i] <= bank_data[place_q[5:4]+2'(i)];
    shift_q   <= place_q[3:0];
    value0_q  <= value_q;
    number0_q <= number_q;
    for (int unsigned i = 0; i < Piece; i++) piece_q[i] <= near[32'(shift_q[1:0])+i];
    value1_q  <= value0_q;
    number1_q <= number0_q;
    if (!rst_ni || clear_i) begin
      what0_q <= '0;
      what1_q <= '0;
      what2_q <= '0;
    end else begin
      what0_q <= '{
          value: issue && state_q == StBook,
          bitmap: issue && state_q == StRun && bitmap_q,
          group: issue && group,
          last: last
      };
      what1_q <= what0_q;
      what2_q <= what1_q;
    end
  end

  // ---- Cycle 2: bitmaps, and the place of each weight's index ----
  logic [3:0][CodeGroup-1:0] mask_q;
  logic [CodeGroup-1:0] mask, mask2_q;
  logic [CodeGroup-1:0][SW-1:0] below, below_q;
  logic [CodeGroup-1:0][Nibble-1:0] index_q, index;

  assign mask = bitmap_q ? mask_q[number1_q+2'd1] : '1;

  // Of four weights each, then of all before these.
  always_comb begin
    logic [SW-1:0] sum;
    sum = '0;
    for (int unsigned g = 0; g < CodeGroup / 4; g++) begin
      for (int unsigned i = 0; i < 4; i++) begin
        below[4*g+i] = sum + SW'($countones(mask[4*g+:4] & 4'((1 << i) - 1)));
      end
      sum = sum + SW'($countones(mask[4*g+:4]));
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      count_q <= '0;
    end else if (what1_q.bitmap) begin
      mask_q[number1_q]  <= piece_q[MaskNibbles-1:0];
      count_q[number1_q] <= NW'($countones(piece_q[MaskNibbles-1:0]));
    end
    mask2_q <= mask;
    below_q <= below;
    index_q <= piece_q[Piece-1:MaskNibbles];
  end

  // ---- Cycle 3, and the queue ----
  logic [CodeGroup-1:0][Nibble-1:0] out_index;
  logic [CodeGroup-1:0] out_mask;
  logic out_valid, queue_ready;

  // No weight's index is above its own place.
  for (genvar i = 0; i < CodeGroup; i++) begin : gen_index
    if (i == 0) begin : gen_first
      assign index[i] = index_q[0];
    end else begin : gen_other
      localparam int unsigned IW = $clog2(i + 1);
      logic [2**IW-1:0][Nibble-1:0] some;
      for (genvar k = 0; k < 2 ** IW; k++) begin : gen_some
        assign some[k] = index_q[k<=i?k : i];
      end
      assign index[i] = some[below_q[i][IW-1:0]];
    end
  end

  wg_fifo #(
    .Width(1 + CodeGroup + CodeGroup * Nibble),
    .Depth(QueueGroups)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(what2_q.group),
    .wready_o(queue_ready),
    .wdata_i ({what2_q.last, mask2_q, index}),
    .rvalid_o(out_valid),
    .rready_i(pop),
    .rdata_o ({last_out, out_mask, out_index})
  );

  // ---- The codebook ----
  for (genvar i = 0; i < CodeGroup; i++) begin : gen_value
    logic [DataWidth-1:0] value;
    wg_lutram #(
      .Width(DataWidth),
      .Depth(Values)
    ) u_book (
      .clk_i,
      .we_i   (what1_q.value),
      .waddr_i(value1_q),
      .wdata_i(piece_q[ValueNibbles-1:0]),
      .raddr_i(out_index[i]),
      .rdata_o(value)
    );
    assign group_data_o[i] = out_mask[i] ? value : '0;
  end

  assign group_valid_o = out_valid && (!last_out || (ending && all_here && matched && !over_q));

  `ASSERT(queue_has_room, !what2_q.group || queue_ready)
  `ASSERT(ring_holds, state_q == StIdle || ending || state_q == StBad || used <= WW'(Ring))
  `ASSERT(no_beat_too_many, 24'(taken) <= left_q || state_q == StIdle)
  `ASSERT(starts_when_idle, !start_i || state_q == StIdle || clear_i)
endmodule
