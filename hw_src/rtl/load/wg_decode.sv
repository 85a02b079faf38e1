`include "wg_assert.svh"

// Coded weights: beats of a stream in, groups of CodeGroup weights out, one a cycle.
//
// The code is that of winogen/target/weight_code.py: a codebook, then pieces of nibbles. With a bitmap
// a piece is the bitmap of a group and the indices of the group CodeAhead before, so that their number
// is known when the next piece is asked for; else it is indices alone. A window over the beats that
// have come is moved to each piece; the pieces go through a pipeline that never stops:
//
//   cycle 0  the four beats from the piece's first on
//   cycle 1  the piece, moved to the low end
//   cycle 2  its bitmap is kept and counted, and that of its indices looked up; or a value of the
//            codebook is written
//   cycle 3  bits of the bitmap are added up: the length of a later piece
//   3 and 4  each weight takes its index (wg_expand); then a queue
//
// The values are looked up on the way from the queue to the group in hand. The last one stays in the
// queue until the stream is known to end where the weights do; a stream that does not is read to its end, and is bad then, so
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
  output logic [CodeGroup-1:0]                 group_mask_o,   // where it is 0, the weight is
  output logic [CodeGroup-1:0][DataWidth-1:0]  group_data_o,   // both: registers
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
  localparam int unsigned NW = $clog2(Piece + 1);
  localparam int unsigned Held = 8;  // bitmaps that are kept, more than CodeAhead
  localparam int unsigned HW = $clog2(Held);
  localparam int unsigned QueueGroups = 16;
  localparam int unsigned TapGroups = Config.Lanes * Config.Lanes / CodeGroup;
  localparam int unsigned GW = index_width(TapGroups);
  localparam int unsigned LW = ReadPorts > 2 ? 4 : 3;  // of as many beats as come in three cycles

  if (DataWidth > 16 || Piece + BeatNibbles - 1 > Banks * BeatNibbles || TapGroups < 1 ||
      CodeAhead >= Held)
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
  logic plenty_q;  // at least 2**LW a cycle before; else the low bits are all
  logic [CW-1:0] room_q, taken, taken_q;
  logic [LW-1:0] left_next;
  logic [WW-1:0] written_q, used;
  logic [PW-1:0] place_q;  // nibble at which the next piece begins
  logic all_here, ending, active;

  assign ending = state_q == StEnd;
  assign active = state_q == StBook || state_q == StRun || ending;
  assign all_here = !plenty_q && left_q[LW-1:0] == '0;
  assign want_o = active && !all_here;
  assign beat_room_o = room_q;
  assign taken = beat_count_i < room_q ? beat_count_i : room_q;
  assign used = written_q - place_q[PW-1-:WW];
  assign left_next = left_q[LW-1:0] - LW'(taken);

  logic [Banks-1:0][63:0] bank_data;
  for (genvar b = 0; b < Banks; b++) begin : gen_bank
    logic [1:0] number;  // of the beat that comes into this bank
    logic [63:0] data;
    // Which bank it is, and which time round, is not looked at.
    /* verilator lint_off UNUSEDSIGNAL */
    logic [WW-1:0] to, from;  // the bank's next beats, in fours
    /* verilator lint_on UNUSEDSIGNAL */
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
      plenty_q  <= beats_i[23:LW] != '0;
      written_q <= '0;
    end else begin
      left_q    <= left_q - 24'(taken);
      plenty_q  <= left_q[23:LW] != '0;
      written_q <= written_q + WW'(taken);
    end
    // Of the next cycle, in which as many may come as in this one. What comes too much is not kept.
    if (!rst_ni || clear_i || !active || (!ending && used > WW'(Ring - 2 * ReadPorts))) begin
      room_q <= '0;
    end else if (!plenty_q && left_next < LW'(ReadPorts)) begin
      room_q <= CW'(left_next);
    end else begin
      room_q <= CW'(ReadPorts);
    end
  end

  // ---- Pieces ----
  logic bitmap_q, enough, issue, book, group, last;
  logic [PW-1:0] have_q;  // nibbles from the next piece on
  logic [NW-1:0] needed_q;  // of it
  logic [PW-1:0] step_q;  // from its begin to that of the next
  logic [NW-1:0] later;  // set bits of the bitmap of the piece after it
  logic [HW-1:0] number_q;  // of the piece
  logic [2:0] lead_q;  // pieces that have a bitmap alone
  logic [Nibble-1:0] value_q;
  logic [GW-1:0] part_q;
  logic [11:0] taps_q, taps_left_q, blocks_left_q;
  logic taps_last_q, blocks_last_q;
  logic [$clog2(QueueGroups+1)-1:0] credit_q;
  logic pop, last_out;  // a group leaves the queue; it is the only one left

  assign book = state_q == StBook;
  assign enough = have_q >= PW'(needed_q);
  assign group = state_q == StRun && lead_q == '0;
  assign issue = enough && (book || (state_q == StRun && (lead_q != '0 || credit_q != '0)));
  assign last_out = ending && credit_q == ($bits(credit_q))'(QueueGroups - 1);
  assign last = group && part_q == '0 && taps_last_q && blocks_last_q;

  always_ff @(posedge clk_i) begin
    taken_q <= taken;
    if (start_i) begin
      taken_q       <= '0;
      bitmap_q      <= bitmap_i;
      place_q       <= '0;
      have_q        <= '0;
      needed_q      <= NW'(ValueNibbles);
      step_q        <= PW'(ValueNibbles);
      value_q       <= '0;
      number_q      <= '0;
      lead_q        <= bitmap_i ? 3'(CodeAhead) : 3'd0;
      part_q        <= GW'(TapGroups - 1);
      taps_q        <= taps_i;
      taps_left_q   <= taps_i;
      blocks_left_q <= blocks_i;
      taps_last_q   <= taps_i == 12'd1;
      blocks_last_q <= blocks_i == 12'd1;
    end else begin
      have_q <= have_q + {(PW - CW - 4)'(0), taken_q, 4'b0} - (issue ? step_q : '0);
      if (issue) begin
        place_q <= place_q + step_q;
        if (book) begin
          value_q <= value_q + Nibble'(1);
          // Indices alone come without a bitmap in front: the place is where it would begin.
          if (value_q == Nibble'(Values - 2) && !bitmap_q) begin
            step_q <= PW'(ValueNibbles) - PW'(MaskNibbles);
          end
          if (value_q == '1) begin
            needed_q <= bitmap_q ? NW'(MaskNibbles) : NW'(Piece);
            step_q   <= bitmap_q ? PW'(MaskNibbles) : PW'(CodeGroup);
          end
        end else begin
          number_q <= number_q + HW'(1);
          if (lead_q != '0) lead_q <= lead_q - 3'd1;
          if (bitmap_q && lead_q <= 3'd1) begin
            needed_q <= later;
            step_q   <= PW'(later);
          end
        end
        if (group) begin
          part_q <= part_q == '0 ? GW'(TapGroups - 1) : part_q - GW'(1);
          if (part_q == '0) begin
            taps_left_q <= taps_last_q ? taps_q : taps_left_q - 12'd1;
            taps_last_q <= taps_last_q ? taps_q == 12'd1 : taps_left_q == 12'd2;
            if (taps_last_q) begin
              blocks_left_q <= blocks_left_q - 12'd1;
              blocks_last_q <= blocks_left_q == 12'd2;
            end
          end
        end
      end
    end
    if (!rst_ni || clear_i) credit_q <= ($bits(credit_q))'(QueueGroups);
    else credit_q <= credit_q - ($bits(credit_q))'(issue && group) + ($bits(credit_q))'(pop);
  end

  // ---- The end: all beats have come, and no more and no fewer than the pieces take ----
  // Of these the beat counts.
  /* verilator lint_off UNUSEDSIGNAL */
  logic [PW-1:0] stop;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [WW-1:0] stop_q;  // the beat behind the last piece
  logic same_q, over_q, right_q;  // as many as that have come; more have; neither, and no more will
  logic [2:0] ending_q, here_q;  // so long already

  assign stop = place_q + PW'(BeatNibbles - 1) + (bitmap_q ? PW'(0) : PW'(MaskNibbles));
  assign bad_o = state_q == StBad;

  always_ff @(posedge clk_i) begin
    ending_q <= {ending_q[1:0], 1'b1};
    here_q   <= {here_q[1:0], 1'b1};
    if (!ending) ending_q <= '0;
    if (!all_here || start_i || !active) here_q <= '0;
    stop_q  <= stop[PW-1-:WW];
    same_q  <= written_q == stop_q;
    over_q  <= ending_q[1] && (over_q || !same_q);
    right_q <= ending && (right_q || (ending_q[1] && here_q[1] && same_q && !over_q));

    unique case (state_q)
      StIdle: if (start_i) state_q <= StBook;
      StBook: begin
        if (issue && value_q == '1) state_q <= StRun;
        if (!enough && here_q[2]) state_q <= StBad;
      end
      StRun: begin
        if (issue && last) state_q <= StEnd;
        if (!enough && here_q[2]) state_q <= StBad;
      end
      StEnd: begin
        if (ending_q[2] && here_q[2] && (over_q || !same_q)) state_q <= StBad;
        if (pop && last_out) state_q <= StIdle;
      end
      default: ;  // StBad, until clear_i
    endcase
    if (!rst_ni || clear_i) state_q <= StIdle;
  end

  // ---- Cycles 0 and 1: the piece, from its beats ----
  typedef struct packed {
    logic value;   // of the codebook
    logic bitmap;  // a piece with one
    logic group;   // a piece with indices
  } what_t;
  // Values and bitmaps are done with before groups are.
  /* verilator lint_off UNUSEDSIGNAL */
  what_t what0_q, what1_q, what2_q, what3_q, what4_q;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [HW-1:0] number0_q, number1_q, number2_q;
  logic [Nibble-1:0] value0_q, value1_q;
  logic [3:0] shift_q;
  logic [Banks-1:0][63:0] beats_q;
  logic [Banks*BeatNibbles-1:0][Nibble-1:0] beats;
  logic [Piece+2:0][Nibble-1:0] near;  // moved by fours
  logic [Piece-1:0][Nibble-1:0] piece, piece_q;

  assign beats = beats_q;
  always_comb begin
    for (int unsigned i = 0; i < Piece + 3; i++) begin
      case (shift_q[3:2])
        2'd0: near[i] = beats[i];
        2'd1: near[i] = beats[i+4];
        2'd2: near[i] = beats[i+8];
        default: near[i] = beats[i+12];
      endcase
    end
    for (int unsigned i = 0; i < Piece; i++) begin
      case (shift_q[1:0])
        2'd0: piece[i] = near[i];
        2'd1: piece[i] = near[i+1];
        2'd2: piece[i] = near[i+2];
        default: piece[i] = near[i+3];
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < Banks; i++) begin
      case (place_q[5:4])
        2'd0: beats_q[i] <= bank_data[i];
        2'd1: beats_q[i] <= bank_data[(i+1)%Banks];
        2'd2: beats_q[i] <= bank_data[(i+2)%Banks];
        default: beats_q[i] <= bank_data[(i+3)%Banks];
      endcase
    end
    shift_q   <= place_q[3:0];
    piece_q   <= piece;
    value0_q  <= value_q;
    value1_q  <= value0_q;
    number0_q <= number_q;
    number1_q <= number0_q;
    number2_q <= number1_q;
    if (!rst_ni || clear_i) begin
      what0_q <= '0;
      what1_q <= '0;
      what2_q <= '0;
      what3_q <= '0;
      what4_q <= '0;
    end else begin
      what0_q <= '{
          value: issue && book,
          bitmap: issue && !book && bitmap_q,
          group: issue && group
      };
      what1_q <= what0_q;
      what2_q <= what1_q;
      what3_q <= what2_q;
      what4_q <= what3_q;
    end
  end

  // ---- Cycles 2 and 3: bitmaps, and how long pieces are ----
  logic [CodeGroup-1:0] mask, held;
  logic [CodeGroup/4-1:0][2:0] fours, fours_q;  // set bits of four
  logic [NW-1:0] length;

  wg_lutram #(
    .Width(CodeGroup),
    .Depth(Held)
  ) u_masks (
    .clk_i,
    .we_i   (what1_q.bitmap),
    .waddr_i(number1_q),
    .wdata_i(piece_q[MaskNibbles-1:0]),
    .raddr_i(number1_q - HW'(CodeAhead)),
    .rdata_o(held)
  );
  assign mask = bitmap_q ? held : '1;

  always_comb begin
    for (int unsigned i = 0; i < CodeGroup / 4; i++) fours[i] = 3'($countones(piece_q[i]));
    length = NW'(MaskNibbles);
    for (int unsigned i = 0; i < CodeGroup / 4; i++) length = length + NW'(fours_q[i]);
  end
  always_ff @(posedge clk_i) fours_q <= fours;

  wg_lutram #(
    .Width(NW),
    .Depth(Held)
  ) u_lengths (
    .clk_i,
    .we_i   (what2_q.bitmap),
    .waddr_i(number2_q),
    .wdata_i(length),
    .raddr_i(number_q - HW'(CodeAhead - 1)),
    .rdata_o(later)
  );

  // ---- Cycles 2 to 4, and the queue ----
  logic [CodeGroup-1:0][Nibble-1:0] index, out_index;
  logic [CodeGroup-1:0] mask_q, index_mask, out_mask;
  logic [CodeGroup-1:0][Nibble-1:0] indices_q;
  logic out_valid, queue_ready;

  always_ff @(posedge clk_i) begin
    mask_q    <= mask;
    indices_q <= piece_q[Piece-1:MaskNibbles];
  end

  wg_expand #(
    .Nibble(Nibble)
  ) u_expand (
    .clk_i,
    .mask_i (mask_q),
    .index_i(indices_q),
    .mask_o (index_mask),
    .index_o(index)
  );

  wg_fifo #(
    .Width(CodeGroup + CodeGroup * Nibble),
    .Depth(QueueGroups)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(what4_q.group),
    .wready_o(queue_ready),
    .wdata_i ({index_mask, index}),
    .rvalid_o(out_valid),
    .rready_i(pop),
    .rdata_o ({out_mask, out_index})
  );

  // ---- The codebook, and the group in hand ----
  logic [CodeGroup-1:0][DataWidth-1:0] value;

  for (genvar i = 0; i < CodeGroup; i++) begin : gen_value
    wg_lutram #(
      .Width(DataWidth),
      .Depth(Values)
    ) u_book (
      .clk_i,
      .we_i   (what1_q.value),
      .waddr_i(value1_q),
      .wdata_i(piece_q[ValueNibbles-1:0]),
      .raddr_i(out_index[i]),
      .rdata_o(value[i])
    );
  end

  assign pop = out_valid && !bad_o && (!last_out || right_q) && (!group_valid_o || group_ready_i);
  always_ff @(posedge clk_i) begin
    if (pop) begin
      group_mask_o <= out_mask;
      group_data_o <= value;
    end
    if (!rst_ni || clear_i) group_valid_o <= 1'b0;
    else group_valid_o <= pop || (group_valid_o && !group_ready_i);
  end

  `ASSERT(queue_has_room, !what4_q.group || queue_ready)
  // One more, behind the codebook: the place of indices alone goes back by a bitmap that is not there.
  `ASSERT(ring_holds, !active || ending || used <= WW'(Ring + 1))
  `ASSERT(
      reads_what_has_come,
      !(book || state_q == StRun) || have_q + {(PW - CW - 4)'(0), taken_q, 4'b0} == {written_q, 4'b0} - place_q)
  `ASSERT(no_beat_too_many, state_q == StIdle || 24'(taken) <= left_q)
  `ASSERT(starts_when_idle, clear_i || !start_i || state_q == StIdle)
endmodule
