`include "wg_assert.svh"

// LOAD_WEIGHTS, where the data go: filters through the Winograd transform to the weight buffer, and direct
// taps likewise, as they are.
//
// A wrong instruction is refused before it changes anything (wg_weight_check). Then beats, or what
// wg_decode makes of coded ones, are collected into halves of a tap (half of the output lanes). The taps of
// a Winograd phase are a unit, which goes to wg_tap_transform; so does a direct tap, which is one of its own:
// a phase that has no other tap, at the position where this changes nothing. The next instruction may begin
// while the last units are being transformed.
module wg_load_weights
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config      = DefaultConfig,
  localparam int unsigned DataWidth   = Config.DataWidth,
  localparam int unsigned Lanes       = Config.Lanes,
  localparam int unsigned ReadPorts   = Config.ReadPorts,
  localparam int unsigned WordBits    = part_bits(Config),
  localparam int unsigned Parts       = Lanes / 2,
  localparam int unsigned WA          = $clog2(Config.WeightDepth),
  localparam int unsigned PlaceWidth  = weight_place_width(Config),
  localparam int unsigned PA          = index_width(Config.PhaseDepth),
  localparam int unsigned CW          = count_width(Config)
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           clear_i,
  input  logic                           start_valid_i,
  output logic                           start_ready_o,  // the last beat of the one before is taken
  input  logic                           winograd_i,
  input  logic                           half_i,         // the words' half that is written
  input  logic [19:0]                    base_i,
  input  logic [11:0]                    blocks_i,
  input  logic [11:0]                    taps_i,
  input  logic [PA-1:0]                  phase_base_i,
  input  logic [7:0]                     phases_i,
  input  logic [1:0]                     coding_i,
  input  logic [23:0]                    beats_i,        // of coded weights
  input  logic                           phase_we_i,     // LOAD_TABLE writes the phase table
  input  logic [PA-1:0]                  phase_addr_i,
  input  logic [8:0]                     phase_taps_i,
  input  logic [15:0]                    phase_positions_i,
  input  logic [CW-1:0]                  beat_count_i,
  input  logic [ReadPorts*64-1:0]        beat_data_i,
  output logic [CW-1:0]                  beat_room_o,
  output logic                           want_o,         // a beat is needed
  output logic [weight_parts(Config)-1:0] w_we_o,
  output logic [WA-1:0]                  w_addr_o,
  output logic [Parts-1:0][WordBits-1:0] w_data_o,
  output logic                           settled_o,      // nothing is on its way to memory
  output logic                           done_o,         // with the last write
  output logic                           fault_o,        // the instruction is wrong; until clear_i
  output logic                           bad_o           // with it: its coded weights are
);
  localparam int unsigned Half = Parts / 2;  // parts that are written together
  localparam int unsigned HalfBits = Half * 2 * Lanes * DataWidth;
  localparam int unsigned HalfBeats = HalfBits / 64;
  localparam int unsigned BW = $clog2(HalfBeats);
  localparam logic [15:0] DirectPosition = 16'h0020;  // row 1, column 1

  // ---- The instruction: checked against its phases, then its units are taken ----
  typedef enum logic [1:0] {
    StIdle,
    StCheck,
    StRun,
    StRefuse
  } state_e;
  state_e state_q;
  logic start, winograd_q, finish, unit_last_q;
  logic wrong, right, check_ready, phase_valid, phase_ready;
  phase_t phase;
  logic [11:0] taps_q;
  logic coded_q, bad;

  assign start_ready_o = state_q == StIdle;
  assign start = start_ready_o && start_valid_i;
  assign fault_o = state_q == StRefuse && settled_o;

  wg_phase_walker #(
    .PhaseDepth(Config.PhaseDepth)
  ) u_walker (
    .clk_i,
    .rst_ni,
    .we_i         (phase_we_i),
    .waddr_i      (phase_addr_i),
    .taps_i       (phase_taps_i),
    .positions_i  (phase_positions_i),
    .start_i      (start),
    .base_i       (phase_base_i),
    .phases_i,
    .phase_valid_o(phase_valid),
    .phase_ready_i(check_ready || phase_ready),
    .phase_o      (phase)
  );

  wg_weight_check #(
    .WeightDepth(Config.WeightDepth)
  ) u_check (
    .clk_i,
    .active_i     (state_q == StCheck),
    .base_i,
    .blocks_i,
    .phases_i,
    .winograd_i   (winograd_q),
    .taps_i       (taps_q),
    .phase_valid_i(phase_valid),
    .phase_ready_o(check_ready),
    .phase_i      (phase),
    .wrong_o      (wrong),
    .right_o      (right)
  );

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      StIdle: if (start_valid_i) state_q <= StCheck;
      StCheck: begin
        if (wrong) state_q <= StRefuse;
        else if (right) state_q <= StRun;
      end
      StRun: begin
        if (finish && unit_last_q) state_q <= StIdle;
        if (bad) state_q <= StRefuse;
      end
      default: ;  // StRefuse, until clear_i
    endcase
    if (!rst_ni || clear_i) state_q <= StIdle;
    if (state_q == StIdle) begin
      winograd_q <= winograd_i;
      coded_q    <= Config.Decoder != 0 && coding_i != '0;
      taps_q     <= taps_i;
    end
  end

  // ---- Units: a direct tap, or the taps of a Winograd phase ----
  logic unit_begin, begun_q, offer, unit_open_q, slot_ready, phase_empty;
  logic [$clog2(TapSlots)-1:0]
      slot, slot_q;  // of the transform: the one for the next phase, and that of this
  logic plain_open_q, coded_open_q;  // which of both: few places look at these
  logic [8:0] offer_taps, unit_taps_q;
  logic [3:0] offer_tap_count;
  logic [4:0] offer_word_count;
  logic offer_last;
  logic [11:0] taps_left_q, blocks_left_q;
  logic [PlaceWidth-1:0] addr_q, unit_addr_q;  // of a word; the uppermost bit is its half

  // A phase without taps has no positions either.
  assign phase_empty = phase.tap_count == '0;
  assign offer = slot_ready && (!winograd_q || (phase_valid && !phase_empty));
  assign offer_taps       = winograd_q ? phase.taps : 9'd1;
  assign offer_tap_count  = winograd_q ? phase.tap_count : 4'd1;
  assign offer_word_count = winograd_q ? phase.position_count : 5'd1;
  assign offer_last = blocks_left_q == 12'd1 && taps_left_q == 12'(offer_tap_count);
  assign unit_begin = state_q == StRun && offer && (!unit_open_q || (finish && !unit_last_q));
  // A cycle after its unit has begun: no other begins until both halves of a tap have come.
  assign phase_ready = state_q == StRun && winograd_q && (begun_q || phase_empty);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) {unit_open_q, plain_open_q, coded_open_q} <= 3'b000;
    else if (unit_begin) {unit_open_q, plain_open_q, coded_open_q} <= {1'b1, !coded_q, coded_q};
    else if (finish) {unit_open_q, plain_open_q, coded_open_q} <= 3'b000;
  end

  // ---- Collector: beats to halves of a tap ----
  logic [BW-1:0] beat_q;
  logic upper_q, unit_single_q;  // the upper half of the lanes comes; one tap of the unit is left
  logic [3:0] unit_left_q;  // taps
  logic take, plain_take, half_full, group_full;
  logic [BW-1:0] beat_next, plain_end;
  logic [CW-1:0] plain_room;
  logic [HalfBeats-1:0][63:0] data_q, data, plain_data;
  logic [HalfBeats-1:0] data_we, plain_we;  // the beats of it that come now
  // The half in data_q is complete, for one cycle; what it is.
  logic full_q, full_upper_q;
  logic [$clog2(TapSlots)-1:0] full_slot_q;
  logic [8:0] full_tap_q;

  wg_beat_group #(
    .GroupBeats(HalfBeats),
    .Ports     (ReadPorts)
  ) u_group (
    .active_i    (plain_open_q),  // early: room goes a long way
    .beat_i      (beat_q),
    .beat_count_i,
    .beat_data_i,
    .beat_room_o (plain_room),
    .we_o        (plain_we),
    .data_o      (plain_data),
    .take_o      (plain_take),
    .beat_end_o  (plain_end)
  );

  if (Config.Decoder != 0) begin : gen_decode
    localparam int unsigned GroupBeats = CodeGroup * DataWidth / 64;
    logic group_valid, group_take, want;
    logic [CodeGroup-1:0] group_mask;
    logic [GroupBeats-1:0][63:0] group_data;
    logic [CW-1:0] room;

    wg_decode #(
      .Config(Config)
    ) u_decode (
      .clk_i,
      .rst_ni,
      .clear_i,
      .start_i      (start && coding_i != '0),
      .bitmap_i     (coding_i[1]),
      .beats_i,
      .blocks_i,
      .taps_i,
      .beat_count_i,
      .beat_data_i,
      .beat_room_o  (room),
      .want_o       (want),
      .group_valid_o(group_valid),
      .group_ready_i(coded_open_q),
      .group_mask_o (group_mask),
      .group_data_o (group_data),
      .bad_o        (bad)
    );

    // A half of a tap is one group or several.
    for (genvar i = 0; i < HalfBeats; i++) begin : gen_beat
      localparam int unsigned Beat = i % GroupBeats;
      logic [63:0] kept;
      for (genvar v = 0; v < 64 / DataWidth; v++) begin : gen_weight
        assign kept[v*DataWidth+:DataWidth] =
            group_data[Beat][v*DataWidth+:DataWidth] & {DataWidth{group_mask[Beat*64/DataWidth+v]}};
      end
      always_comb begin
        data[i] = coded_q ? kept : plain_data[i];
        data_we[i] = plain_we[i];
        if (coded_q) data_we[i] = group_take && 32'(beat_q) / GroupBeats == i / GroupBeats;
      end
    end
    assign group_take = group_valid && coded_open_q;
    assign group_full = group_take && 32'(beat_q) / GroupBeats == HalfBeats / GroupBeats - 1;
    assign beat_next = group_take ? beat_q + BW'(GroupBeats) : plain_end + BW'(1);
    assign take = plain_take || group_take;
    assign beat_room_o = plain_room | room;
    // Nothing is missed before it is known that the instruction is right.
    assign want_o      = unit_open_q && (!coded_q || want);
  end else begin : gen_plain
    assign bad         = 1'b0;
    assign data        = plain_data;
    assign data_we     = plain_we;
    assign group_full  = 1'b0;
    assign take        = plain_take;
    assign beat_next   = plain_end + BW'(1);
    assign beat_room_o = plain_room;
    assign want_o      = unit_open_q;
    logic unused;
    assign unused = ^{coding_i, beats_i, coded_open_q};
  end

  assign half_full = (plain_take && plain_end == BW'(HalfBeats - 1)) || group_full;
  assign finish = half_full && upper_q && unit_single_q;
  // Which of both the refusal is for.
  always_ff @(posedge clk_i) bad_o <= bad;

  always_ff @(posedge clk_i) begin
    if (state_q == StIdle) begin
      addr_q        <= PlaceWidth'({half_i, WA'(base_i)});
      taps_left_q   <= taps_i;
      blocks_left_q <= blocks_i;
      beat_q        <= '0;
      upper_q       <= 1'b0;
    end
    if (unit_begin) begin
      unit_taps_q   <= offer_taps;
      unit_left_q   <= offer_tap_count;
      unit_single_q <= offer_tap_count == 4'd1;
      unit_last_q <= offer_last;
      unit_addr_q <= addr_q;
      slot_q      <= slot;
      addr_q      <= addr_q + PlaceWidth'(offer_word_count);
      taps_left_q <= taps_left_q - 12'(offer_tap_count);
      if (taps_left_q == 12'(offer_tap_count)) begin
        taps_left_q   <= taps_q;
        blocks_left_q <= blocks_left_q - 12'd1;
      end
    end else if (half_full && upper_q) begin
      unit_taps_q   <= unit_taps_q & (unit_taps_q - 9'd1);
      unit_left_q   <= unit_left_q - 4'd1;
      unit_single_q <= unit_left_q == 4'd2;
    end
    if (take) beat_q <= beat_next;
    if (half_full) upper_q <= !upper_q;
    for (int unsigned i = 0; i < HalfBeats; i++) if (data_we[i]) data_q[i] <= data[i];

    full_q        <= half_full && !clear_i && rst_ni;
    full_slot_q   <= slot_q;
    full_upper_q  <= upper_q;
    full_tap_q    <= unit_taps_q & (~unit_taps_q + 9'd1);
  end

  // ---- Units go through the transform ----
  logic word_last, transforming;
  logic [1:0] word_we;  // lower parts, upper parts
  logic [PlaceWidth-1:0] place;
  logic [Config.Products-1:0] halves;

  // It hears a cycle later that a phase begins: the first part is two away.
  logic [15:0] begun_positions_q;
  logic [4:0] begun_count_q;
  always_ff @(posedge clk_i) begin
    begun_q           <= unit_begin && rst_ni && !clear_i;
    begun_positions_q <= winograd_q ? phase.positions : DirectPosition;
    begun_count_q     <= offer_word_count;
  end

  wg_tap_transform #(
    .Config(Config)
  ) u_transform (
    .clk_i,
    .rst_ni,
    .clear_i,
    .phase_valid_i    (begun_q),
    .phase_ready_o    (slot_ready),
    .phase_taps_i     (unit_taps_q),
    .phase_positions_i(begun_positions_q),
    .phase_count_i    (begun_count_q),
    .phase_addr_i     (unit_addr_q),
    .phase_last_i     (unit_last_q),
    .phase_slot_o     (slot),
    .tap_we_i         (full_q),
    .tap_slot_i       (full_slot_q),
    .tap_upper_i      (full_upper_q),
    .tap_i            (full_tap_q),
    .tap_data_i       (data_q),
    .full_i           (finish),
    .full_slot_i      (slot_q),
    .word_we_o        (word_we),
    .word_addr_o      (place),
    .word_data_o      (w_data_o),
    .last_o           (word_last),
    .busy_o           (transforming)
  );

  // ---- Write port: the word's data follow its address ----
  logic writes_q;  // of w_we_o: those lines reach all over the weight buffer

  if (Config.Products == 2) begin : gen_halves
    assign halves = {place[PlaceWidth-1], !place[PlaceWidth-1]};
  end else begin : gen_whole
    assign halves = 1'b1;
  end

  always_ff @(posedge clk_i) begin
    w_addr_o <= place[WA-1:0];
    for (int unsigned k = 0; k < Parts; k++) begin
      for (int unsigned h = 0; h < Config.Products; h++) begin
        w_we_o[h*Parts+k] <= rst_ni && !clear_i && halves[h] && word_we[k/Half];
      end
    end
    writes_q <= rst_ni && !clear_i && word_we != '0;
    done_o   <= rst_ni && !clear_i && word_last;
  end

  // Nothing is on its way to the weight buffer.
  assign settled_o = !full_q && !transforming && !writes_q && !done_o;

  `ASSERT(writes_are_known, writes_q == (w_we_o != '0))
  `ASSERT(begun_is_taken,
          !begun_q || (!unit_begin && (!winograd_q || (phase_valid && !phase_empty))))
  `ASSERT_ONEHOT0(one_tap, full_tap_q)
  `ASSERT_HOLD(phase_holds, phase_valid, check_ready || phase_ready, phase, start)
endmodule
