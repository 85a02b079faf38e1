`include "wg_assert.svh"

// Filters through the Winograd transform: a buffer of phases' taps, and a sequencer that turns them into
// the words of the phases' positions. A word is written whole, in a cycle, where as many weights come
// (`whole_words` of the configuration), and else in two, each for half of the output lanes.
//
// The buffer has a slot for each of several phases: some are filled while another is worked off.
module wg_tap_transform
  import wg_types_pkg::*;
#(
  parameter  config_t     Config   = DefaultConfig,
  localparam int unsigned Lanes    = Config.Lanes,
  localparam int unsigned Parts    = Lanes / 2,
  localparam int unsigned Half     = Parts / 2,  // parts of half of the output lanes
  localparam int unsigned TapBits  = 2 * word_bits(Config),
  localparam int unsigned PartBits = part_bits(Config),
  localparam int unsigned WA       = weight_place_width(Config),
  localparam int unsigned Slots    = winogen_pkg::TapSlots,
  localparam int unsigned SW       = $clog2(Slots)
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           clear_i,
  // A phase begins to fill a slot: heard a cycle after ready said that one is free. Its first part comes
  // no sooner than in the cycle after.
  input  logic                           phase_valid_i,
  output logic                           phase_ready_o,
  input  logic [8:0]                     phase_taps_i,
  input  logic [15:0]                    phase_positions_i,
  input  logic [4:0]                     phase_count_i,  // how many positions these are
  input  logic [WA-1:0]                  phase_addr_i,   // word of its first position
  input  logic                           phase_last_i,   // of the instruction
  output logic [SW-1:0]                     phase_slot_o,   // the one that it fills
  // Halves of the phases' taps: those of half of the output lanes.
  input  logic                           tap_we_i,
  input  logic [SW-1:0]                     tap_slot_i,
  input  logic                           tap_upper_i,
  input  logic [8:0]                     tap_i,          // one-hot
  input  logic [Half*TapBits-1:0]        tap_data_i,
  // A slot has its last taps in the next cycle.
  input  logic                           full_i,
  input  logic [SW-1:0]                     full_slot_i,
  // Words.
  output logic [1:0]                     word_we_o,      // parts below Half, and the others: in the next cycle
  output logic [WA-1:0]                  word_addr_o,
  output logic [Parts-1:0][PartBits-1:0] word_data_o,
  output logic                           last_o,         // pulse: the last word of an instruction
  output logic                           busy_o          // a phase is being worked off
);
  localparam bit Whole = whole_words(Config);
  localparam int unsigned Sides = Whole ? 2 : 1;
  localparam int unsigned Latency = winogen_pkg::FilterLatency - (Whole ? 0 : 1);  // until the cycle before the word

  // What the sequencer must know of a slot.
  typedef struct packed {
    logic [8:0]    taps;
    logic [15:0]   positions;
    logic [4:0]    count;
    logic          single;  // one position, or none
    logic [WA-1:0] addr;
    logic          last;
  } tag_t;

  logic [Slots-1:0] used_q;  // slots that are being filled or worked off
  logic [Slots-1:0] ready_q;  // slots that are complete
  logic [SW-1:0] fill_q, next_q, read_q;
  logic work_q, work_load, work_last_q, position_last_q, advance, ends;
  logic upper_q;  // taps of the upper half of the output lanes are read
  logic row_more;  // another position of this row follows
  logic [3:0] row_rest;
  logic [3:0] row_q;  // positions of the row that are left, this one among them
  logic [1:0] row_index_q, tag_first, later_first;
  logic [3:0][3:0] later_q, tag_rows;  // rows that have not begun, and all of the next phase
  logic [4:0] left_q;  // positions that are left, this one among them
  logic [8:0] work_taps_q;
  logic [WA-1:0] work_addr_q;
  logic [1:0] column;
  tag_t fill, tag;

  assign phase_ready_o = !used_q[fill_q];
  assign phase_slot_o  = fill_q;

  // ---- Tap buffer: the slots, each in two rows of Half parts ----
  logic [8:0][Half*TapBits-1:0] taps;

  for (genvar t = 0; t < 9; t++) begin : gen_tap
    wg_lutram #(
      .Width(Half * TapBits),
      .Depth(2 * Slots)
    ) u_taps (
      .clk_i,
      .we_i   (tap_we_i && tap_i[t]),
      .waddr_i({tap_slot_i, tap_upper_i}),
      .wdata_i(tap_data_i),
      .raddr_i({read_q, upper_q}),
      .rdata_o(taps[t])
    );
  end

  assign fill = '{
          taps: phase_taps_i,
          positions: phase_positions_i,
          count: phase_count_i,
          single: phase_count_i <= 5'd1,
          addr: phase_addr_i,
          last: phase_last_i
      };
  wg_lutram #(
    .Width($bits(tag_t)),
    .Depth(Slots)
  ) u_tags (
    .clk_i,
    .we_i   (phase_valid_i),
    .waddr_i(fill_q),
    .wdata_i(fill),
    .raddr_i(next_q),
    .rdata_o(tag)
  );

  // ---- Sequencer ----
  // Whole words: a row's first cycle reads the lower half of the output lanes, the next the upper half, and
  // every cycle ends a position but the first of a row that has one. Half words: two cycles a position.
  // (A subtraction would clear the lowest position too, and take longer.)
  assign row_rest = row_q & {|row_q[2:0], |row_q[1:0], row_q[0], 1'b0};
  assign row_more = row_rest != '0;
  assign advance = upper_q || (Whole && row_more);
  assign ends = work_q && advance && position_last_q;
  assign work_load = ready_q[next_q] && (!work_q || ends);

  // The first row that has a position.
  function automatic logic [1:0] first_row(input logic [3:0][3:0] rows);
    first_row = 2'd3;
    for (int unsigned r = 3; r > 0; r--) if (rows[r-1] != '0) first_row = 2'(r - 1);
  endfunction
  assign tag_rows    = tag.positions;
  assign tag_first   = first_row(tag_rows);
  assign later_first = first_row(later_q);

  always_comb begin
    column = 2'd3;
    for (int unsigned c = 3; c > 0; c--) if (row_q[c-1]) column = 2'(c - 1);
  end

  always_ff @(posedge clk_i) begin
    if (work_load) begin
      read_q          <= next_q;
      upper_q         <= 1'b0;
      left_q          <= tag.count;
      position_last_q <= tag.single;
      work_taps_q     <= tag.taps;
      work_addr_q     <= tag.addr;
      work_last_q     <= tag.last;
    end else begin
      upper_q <= !upper_q || (Whole && row_more);
      if (advance) begin
        row_q           <= row_rest;
        left_q          <= left_q - 5'd1;
        position_last_q <= left_q == 5'd2;
        work_addr_q     <= work_addr_q + WA'(1);
      end
    end
    // Apart, as it is known late which of them is next.
    if (work_load) begin
      row_q              <= tag_rows[tag_first];
      row_index_q        <= tag_first;
      later_q            <= tag_rows;
      later_q[tag_first] <= '0;
    end else if (advance && !row_more) begin
      row_q                <= later_q[later_first];
      row_index_q          <= later_first;
      later_q[later_first] <= '0;
    end

    if (!rst_ni || clear_i) begin
      used_q  <= '0;
      ready_q <= '0;
      fill_q  <= '0;
      next_q  <= '0;
      work_q  <= 1'b0;
    end else begin
      if (ends) used_q[read_q] <= 1'b0;
      if (phase_valid_i) begin
        used_q[fill_q] <= 1'b1;
        fill_q         <= fill_q + SW'(1);
      end
      // The last part is written in the cycle that follows, the first is read in the one after.
      if (full_i) ready_q[full_slot_i] <= 1'b1;
      if (work_load) begin
        ready_q[next_q] <= 1'b0;
        next_q          <= next_q + SW'(1);
        work_q          <= 1'b1;
      end else if (ends) begin
        work_q <= 1'b0;
      end
    end
  end

  // ---- Transform, and beside it what belongs to each of its results ----
  logic [Latency-1:0] valid_q, last_q;
  logic [Latency-1:0][1:0] we_q;
  logic [Latency-1:0][WA-1:0] addr_q;
  logic [Sides-1:0][Half-1:0][PartBits-1:0] words;
  logic [1:0] we;

  assign we = Whole ? {2{advance}} : {upper_q, !upper_q};

  wg_filter_transform #(
    .DataWidth(Config.DataWidth),
    .Values(Lanes * Lanes / 2),
    .Sides(Sides),
    .WeightWidth(weight_width(Config))
  ) u_transform (
    .clk_i,
    .taps_i    (work_taps_q),
    .position_i({row_index_q, column}),
    .first_i   (!upper_q),
    .data_i    (taps),
    .data_o    (words)
  );

  always_ff @(posedge clk_i) begin
    we_q   <= {we_q[Latency-2:0], row_q != '0 ? we : 2'b00};
    last_q <= {last_q[Latency-2:0], work_last_q && advance && position_last_q};
    addr_q <= {addr_q[Latency-2:0], work_addr_q};
    if (!rst_ni || clear_i) valid_q <= '0;
    else valid_q <= {valid_q[Latency-2:0], work_q};
  end

  assign word_we_o   = valid_q[Latency-1] ? we_q[Latency-1] : 2'b00;
  assign word_addr_o = addr_q[Latency-1];
  assign last_o      = valid_q[Latency-1] && last_q[Latency-1];
  assign busy_o      = ready_q != '0 || work_q || valid_q != '0;
  for (genvar p = 0; p < Parts; p++) begin : gen_word
    assign word_data_o[p] = words[p/Half%Sides][p%Half];
  end

  `ASSERT_ONEHOT0(one_tap, tap_i)
  `ASSERT(counts_positions, clear_i || !work_q || position_last_q == (!row_more && later_q == '0))
  `ASSERT(fills_a_free_slot, clear_i || !phase_valid_i || phase_ready_o)
  `ASSERT(one_phase_a_slot, clear_i || !full_i || !ready_q[full_slot_i])
endmodule
