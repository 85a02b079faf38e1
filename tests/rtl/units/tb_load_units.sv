// Units of the load engine, and the burst splitter, side by side: one build serves their tests.
//
// A unit's ports carry its prefix; beats are shared, and the unit that is started takes them.
module tb_load_units
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter int unsigned DataWidth   = 16,
  parameter int unsigned Lanes       = 8,
  parameter int unsigned InputDepth  = 520,
  parameter int unsigned WeightDepth = 200,
  parameter int unsigned PhaseDepth  = 20,
  localparam int unsigned Ports = 2,
  localparam int unsigned Parts = Lanes / 2,
  localparam int unsigned IA    = $clog2((InputDepth + 3) / 4),
  localparam int unsigned WA    = $clog2(WeightDepth),
  localparam int unsigned PA    = $clog2(PhaseDepth)
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                clear_i,
  input  logic [511:0]        start_bits,
  input  logic [1:0]          beat_count,
  input  logic [Ports*64-1:0] beat_data,

  input  logic                address_start_valid,
  output logic                address_start_ready,
  input  logic [3:0][63:0]    address_segment_base,
  output logic                address_run_valid,
  input  logic                address_run_ready,
  output logic [63:0]         address_run_addr,
  output logic [31:0]         address_run_bytes,

  input  logic                                 input_start_valid,
  output logic                                 input_start_ready,
  input_want,
  input_done,
  output logic [1:0]                           input_room,
  output logic [3:0]                           input_we,
  output logic [3:0][IA-1:0]                   input_addr,
  output logic [3:0][Lanes-1:0][DataWidth-1:0] input_data,

  input  logic                weights_start_valid,
  phase_we,
  input  logic [PA-1:0]       phase_addr,
  input  logic [8:0]          phase_taps,
  input  logic [15:0]         phase_positions,
  output logic                weights_start_ready,
  weights_want,
  weights_done,
  weights_settled,
  output logic                weights_fault,
  weights_bad,
  output logic [1:0]          weights_room,
  output logic [Parts-1:0]    weights_we,
  output logic [WA-1:0]       weights_addr,
  output logic [Parts-1:0][1:0][Lanes-1:0][DataWidth+3:0] weights_data,

  input  logic                     table_start_valid,
  output logic                     table_start_ready,
  table_want,
  table_done,
  table_fault,
  output logic [1:0]               table_room,
  output logic                     table_tab_we,
  table_par_we,
  output logic [1:0]               table_tab_id,
  output logic [11:0]              table_tab_addr,
  output logic [63:0]              table_tab_data,
  output logic [7:0]               table_par_addr,
  output logic [$clog2(Lanes)-1:0] table_par_lane,
  output logic [127:0]             table_par_data,

  input  logic        split_run_valid,
  split_run_last,
  split_burst_ready,
  output logic        split_run_ready,
  split_burst_valid,
  split_burst_last,
  input  logic [63:0] split_run_addr,
  input  logic [31:0] split_run_bytes,
  output logic [63:0] split_burst_addr,
  output logic [4:0]  split_burst_beats,

  // Parts of wg_load_weights: the phases, the check, the transform.
  input  logic          walk_we,
  walk_start,
  walk_ready,
  input  logic [PA-1:0] walk_waddr,
  walk_base,
  input  logic [8:0]    walk_taps,
  input  logic [15:0]   walk_positions,
  input  logic [7:0]    walk_phases,
  output logic          walk_valid,
  output logic [33:0]   walk_phase,

  input  logic        check_active,
  check_winograd,
  check_phase_valid,
  input  logic [19:0] check_base,
  input  logic [11:0] check_blocks,
  check_taps,
  input  logic [7:0]  check_phases,
  input  logic [3:0]  check_tap_count,
  input  logic [4:0]  check_position_count,
  output logic        check_phase_ready,
  check_wrong,
  check_right,

  input  logic                                     turn_whole,  // which of the two transforms
  turn_valid,
  turn_last,
  turn_we,
  turn_full,
  input  logic [$clog2(TapSlots)-1:0]                               turn_we_slot,
  turn_full_slot,
  input  logic [8:0]                               turn_taps,
  turn_tap,
  input  logic [15:0]                              turn_positions,
  input  logic [WA-1:0]                            turn_addr,
  input  logic                                     turn_upper,
  input  logic [Parts/2-1:0][1:0][Lanes-1:0][DataWidth-1:0] turn_data,
  output logic                                     turn_ready,
  turn_word_last,
  turn_busy,
  output logic [$clog2(TapSlots)-1:0] turn_slot,
  output logic [1:0] turn_word_we,
  output logic [WA-1:0]                            turn_word_addr,
  output logic [Parts-1:0][1:0][Lanes-1:0][DataWidth+3:0] turn_word_data
);
  localparam config_t Config = '{
      DataWidth: DataWidth,
      Lanes: Lanes,
      TileLanes: DefaultConfig.TileLanes,
      InputDepth: InputDepth,
      WeightDepth: WeightDepth,
      PsumDepth: DefaultConfig.PsumDepth,
      OutputDepth: DefaultConfig.OutputDepth,
      StepDepth: DefaultConfig.StepDepth,
      AccumulatorDepth: DefaultConfig.AccumulatorDepth,
      PhaseDepth: PhaseDepth,
      ParamDepth: DefaultConfig.ParamDepth,
      ReadPorts: Ports,
      Products: 1,
      Decoder: 0,
      ConfigHash: '0,
      AddrWidth: DefaultConfig.AddrWidth
  };
  // With so many weights a cycle words are transformed whole.
  function automatic config_t with_decoder();
    with_decoder = Config;
    with_decoder.Decoder = CodeGroup;
  endfunction
  localparam config_t WholeConfig = with_decoder();
  header_t header;
  load_input_t box;
  load_weights_t weights;
  load_params_t params;
  load_table_t entries;
  logic is_params;
  assign header    = decode_header(start_bits);
  assign box       = decode_load_input(start_bits);
  assign weights   = decode_load_weights(start_bits);
  assign params    = decode_load_params(start_bits);
  assign entries   = decode_load_table(start_bits);
  assign is_params = header.opcode == OpLoadParams;

  run_t address_run;
  assign address_run_valid = address_run.valid;
  assign address_run_addr  = address_run.addr;
  assign address_run_bytes = address_run.bytes;
  wg_load_address #(
    .Config(Config)
  ) u_address (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(address_start_valid),
    .start_ready_o(address_start_ready),
    .start_bits_i(start_bits),
    .segment_base_i(address_segment_base),
    .run_ready_i(address_run_ready),
    .run_o(address_run)
  );

  wg_load_input #(
    .Config(Config)
  ) u_input (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(input_start_valid),
    .start_ready_o(input_start_ready),
    .base_i((IA + 2)'(box.base)),
    .images_i(box.images),
    .blocks_i(box.blocks),
    .rows_i(box.rows),
    .columns_i(box.columns),
    .pitch_i(box.pitch),
    .column_step_i(box.column_step),
    .beat_count_i(beat_count),
    .beat_data_i(beat_data),
    .beat_room_o(input_room),
    .want_o(input_want),
    .in_we_o(input_we),
    .in_addr_o(input_addr),
    .in_data_o(input_data),
    .done_o(input_done)
  );

  wg_load_weights #(
    .Config(Config)
  ) u_weights (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(weights_start_valid),
    .start_ready_o(weights_start_ready),
    .winograd_i(weights.winograd),
    .half_i(weights.half),
    .base_i(weights.base),
    .blocks_i(weights.blocks),
    .taps_i(weights.taps),
    .phase_base_i(PA'(weights.phase_base)),
    .phases_i(weights.phases),
    .coding_i(weights.coding),
    .beats_i(weights.beats),
    .phase_we_i(phase_we),
    .phase_addr_i(phase_addr),
    .phase_taps_i(phase_taps),
    .phase_positions_i(phase_positions),
    .beat_count_i(beat_count),
    .beat_data_i(beat_data),
    .beat_room_o(weights_room),
    .want_o(weights_want),
    .w_we_o(weights_we),
    .w_addr_o(weights_addr),
    .w_data_o(weights_data),
    .settled_o(weights_settled),
    .done_o(weights_done),
    .fault_o(weights_fault),
    .bad_o(weights_bad)
  );

  logic table_has_room;
  table_write_t tab;
  param_write_t par;
  assign table_room     = {1'b0, table_has_room};
  assign table_tab_we   = tab.we;
  assign table_tab_id   = tab.id;
  assign table_tab_addr = tab.addr;
  assign table_tab_data = tab.data;
  assign table_par_we   = par.we;
  assign table_par_addr = par.addr;
  assign table_par_lane = par.lane[$clog2(Lanes)-1:0];
  assign table_par_data = par.data;
  wg_load_table #(
    .Lanes(Lanes)
  ) u_table (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(table_start_valid),
    .start_ready_o(table_start_ready),
    .params_i(is_params),
    .table_i(entries.table_id),
    .base_i(is_params ? 12'(params.base) : entries.base),
    .count_i(is_params ? 12'(params.count) : entries.count),
    .beat_valid_i(beat_count != '0),
    .beat_data_i(beat_data[63:0]),
    .beat_room_o(table_has_room),
    .want_o(table_want),
    .tab_o(tab),
    .par_o(par),
    .done_o(table_done),
    .fault_o(table_fault)
  );

  wg_burst_split u_split (
    .clk_i,
    .rst_ni,
    .clear_i,
    .run_valid_i(split_run_valid),
    .run_ready_o(split_run_ready),
    .run_addr_i(split_run_addr),
    .run_bytes_i(split_run_bytes),
    .run_last_i(split_run_last),
    .burst_valid_o(split_burst_valid),
    .burst_ready_i(split_burst_ready),
    .burst_addr_o(split_burst_addr),
    .burst_beats_o(split_burst_beats),
    .burst_last_o(split_burst_last)
  );

  phase_t walked, checked;
  assign walk_phase = walked;
  assign checked    = '{
    taps: '0, positions: '0, tap_count: check_tap_count, position_count: check_position_count
  };
  wg_phase_walker #(
    .PhaseDepth(PhaseDepth)
  ) u_walker (
    .clk_i,
    .rst_ni,
    .we_i(walk_we),
    .waddr_i(walk_waddr),
    .taps_i(walk_taps),
    .positions_i(walk_positions),
    .start_i(walk_start),
    .base_i(walk_base),
    .phases_i(walk_phases),
    .phase_valid_o(walk_valid),
    .phase_ready_i(walk_ready),
    .phase_o(walked)
  );

  wg_weight_check #(
    .WeightDepth(WeightDepth)
  ) u_check (
    .clk_i,
    .active_i(check_active),
    .base_i(check_base),
    .blocks_i(check_blocks),
    .phases_i(check_phases),
    .winograd_i(check_winograd),
    .taps_i(check_taps),
    .phase_valid_i(check_phase_valid),
    .phase_ready_o(check_phase_ready),
    .phase_i(checked),
    .wrong_o(check_wrong),
    .right_o(check_right)
  );

  // One that writes half words, and one that writes whole ones.
  logic [1:0] ready, word_last, busy;
  logic [1:0][$clog2(TapSlots)-1:0] slot;
  logic [1:0][1:0] word_we;
  logic [1:0][WA-1:0] word_addr;
  logic [1:0][Parts-1:0][1:0][Lanes-1:0][DataWidth+3:0] word_data;

  for (genvar w = 0; w < 2; w++) begin : gen_turn
    logic chosen;
    assign chosen = turn_whole == w;
    wg_tap_transform #(
      .Config(w == 1 ? WholeConfig : Config)
    ) u_turn (
      .clk_i,
      .rst_ni,
      .clear_i,
      .phase_valid_i(turn_valid && chosen),
      .phase_ready_o(ready[w]),
      .phase_taps_i(turn_taps),
      .phase_positions_i(turn_positions),
      .phase_count_i(5'($countones(turn_positions))),
      .phase_addr_i(turn_addr),
      .phase_last_i(turn_last),
      .phase_slot_o(slot[w]),
      .tap_we_i(turn_we && chosen),
      .tap_slot_i(turn_we_slot),
      .tap_upper_i(turn_upper),
      .tap_i(turn_tap),
      .tap_data_i(turn_data),
      .full_i(turn_full && chosen),
      .full_slot_i(turn_full_slot),
      .word_we_o(word_we[w]),
      .word_addr_o(word_addr[w]),
      .word_data_o(word_data[w]),
      .last_o(word_last[w]),
      .busy_o(busy[w])
    );
  end
  assign turn_ready     = ready[turn_whole];
  assign turn_slot      = slot[turn_whole];
  assign turn_word_we   = word_we[turn_whole];
  assign turn_word_addr = word_addr[turn_whole];
  assign turn_word_data = word_data[turn_whole];
  assign turn_word_last = word_last[turn_whole];
  assign turn_busy      = busy[turn_whole];

  logic unused;
  assign unused = ^{header, box, weights, params, entries};
endmodule
