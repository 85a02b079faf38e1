// Units of the compute engine and the memories side by side: one build serves many tests.
//
// A unit's ports carry its prefix. Structures of winogen_pkg come as the bits of an instruction or
// of a table entry, as they lie in DRAM.
module tb_units
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter int unsigned DataWidth        = 8,
  parameter int unsigned Lanes            = 8,
  parameter int unsigned TileLanes        = 3,
  parameter int unsigned InputDepth       = 520,
  parameter int unsigned WeightDepth      = 200,
  parameter int unsigned PsumDepth        = 300,
  parameter int unsigned OutputDepth      = 260,
  parameter int unsigned StepDepth        = 100,
  parameter int unsigned AccumulatorDepth = 24,
  parameter int unsigned PhaseDepth       = 20,
  parameter int unsigned ParamDepth       = 6,
  parameter int unsigned Products         = 1,
  localparam int unsigned WordBits    = Lanes * DataWidth,
  localparam int unsigned Channels    = Products * Lanes,
  localparam int unsigned WeightWidth = DataWidth + 4,
  localparam int unsigned ZWidth      = DataWidth + 2,
  localparam int unsigned AccWidth    = DataWidth == 8 ? 32 : 48,
  localparam int unsigned SumWidth    = ZWidth + WeightWidth + $clog2(Lanes),
  localparam int unsigned RowBits     = Lanes * (DataWidth + 1),
  localparam int unsigned BankAw      = $clog2(InputDepth / 4),
  localparam int unsigned WeightAw    = $clog2(WeightDepth),
  localparam int unsigned OutputAw    = $clog2(OutputDepth),
  localparam int unsigned StepAw      = $clog2(StepDepth),
  localparam int unsigned AccAw       = $clog2(AccumulatorDepth),
  localparam int unsigned PhaseAw     = $clog2(PhaseDepth),
  localparam int unsigned LaneAw      = $clog2(Lanes),
  localparam int unsigned TileAw      = TileLanes > 1 ? $clog2(TileLanes) : 1
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic clear_i,

  // Memories: 13 words of 21 bits.
  input  logic        mem_we,
  input  logic [3:0]  mem_waddr,
  mem_raddr,
  input  logic [20:0] mem_wdata,
  output logic [20:0] ram_rdata,
  lutram_rdata,
  input  logic        queue_wvalid,
  queue_rready,
  input  logic [20:0] queue_wdata,
  output logic        fifo_wready,
  fifo_rvalid,
  fifo2_wready,
  fifo2_rvalid,
  output logic        skid_wready,
  skid_rvalid,
  output logic [20:0] fifo_rdata,
  fifo2_rdata,
  skid_rdata,
  output logic [20:0] delay0_data,
  delay1_data,
  delay5_data,
  output logic [Lanes-1:0][20:0] skew_data,
  input  logic [Lanes-1:0][20:0] lanes_data,

  // Multipliers.
  input  logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0]   mac_z,
  input  logic [Lanes-1:0][Lanes-1:0][WeightWidth-1:0]  mac_w,
  output logic [TileLanes-1:0][Lanes-1:0][SumWidth-1:0] array_sum,
  input  logic [Lanes-1:0][ZWidth-1:0]                  chain_z,
  input  logic [Lanes-1:0][WeightWidth-1:0]             chain_w,
  output logic [SumWidth-1:0]                           chain_sum,
  // Of 8-bit data; the operands of all lanes come at once.
  input  logic [Lanes-1:0][ZWidth-1:0]                  pair_z,
  input  logic [1:0][Lanes-1:0][WeightWidth-1:0]        pair_w,
  input  logic                                          pair_single,
  output logic [1:0][SumWidth-1:0]                      pair_sum,
  // Arrays whose channels all have the weights of their block; the second takes its z a cycle later.
  output logic [2*Lanes-1:0][SumWidth-1:0]                packed_sums,
  output logic [TileLanes-1:0][2*Lanes-1:0][SumWidth-1:0] array_sums,

  // The instruction of whatever unit is started.
  input  logic [511:0] start_bits,

  // Sequencer.
  input  logic                seq_start_valid,
  output logic                seq_start_ready,
  output logic [StepAw-1:0]   seq_step_raddr,
  input  logic [63:0]         seq_step,
  input  logic                seq_slot_filled,
  seq_slot_last,
  output logic                seq_slot_freed,
  output logic [2:0]          seq_patch_slot,
  output logic [4:0]          seq_patch_position,
  output logic                seq_patch_winograd,
  output logic [3:0]          seq_patch_rows,
  seq_patch_columns,
  output logic [WeightAw-1:0] seq_weight_raddr,
  output logic                seq_add_valid,
  seq_add_first,
  seq_add_last,
  output logic [AccAw-1:0]    seq_add_index,
  input  logic                seq_drain_done,
  output logic                seq_step_o,
  seq_pair_o,
  seq_patch_pair,
  seq_fault,

  // Patches: fetch, and the buffer with ports of its own.
  input  logic                     fetch_start_valid,
  output logic                     fetch_start_ready,
  output logic [3:0][BankAw-1:0]   fetch_in_raddr,
  input  logic [3:0][WordBits-1:0] fetch_in_rdata,
  output logic [3:0]               fetch_we,
  output logic [TileAw-1:0]        fetch_tile,
  output logic [3:0][4:0]          fetch_waddr,
  output logic [3:0][RowBits-1:0]  fetch_wdata,
  output logic                     fetch_slot_filled,
  fetch_slot_last,
  input  logic                     fetch_slot_freed,
  input  logic [3:0]               buffer_we,
  input  logic [TileAw-1:0]        buffer_tile,
  input  logic [3:0][4:0]          buffer_waddr,
  input  logic [3:0][RowBits-1:0]  buffer_wdata,
  input  logic [2:0]               buffer_slot,
  input  logic [4:0]               buffer_position,
  input  logic                     buffer_winograd,
  input  logic [3:0]               buffer_rows,
  buffer_columns,
  output logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0] buffer_z,

  // Accumulators.
  input  logic                                          acc_add_valid,
  acc_add_first,
  acc_add_last,
  input  logic [AccAw-1:0]                              acc_add_index,
  acc_drain_index,
  input  logic [TileLanes-1:0][Channels-1:0][SumWidth-1:0] acc_sum,
  input  logic [Lanes-1:0]                              acc_drain_upper,
  output logic                                          acc_full,
  output logic [TileLanes-1:0][Lanes-1:0][AccWidth-1:0] acc_drain,
  output logic                                          acc_drain_added,
  input  logic                                          acc_drain_done,

  // Drain.
  input  logic                                          drain_start_valid,
  output logic                                          drain_start_ready,
  drain_done,
  output logic [AccAw:0]                                drain_accumulator_raddr,
  input  logic [63:0]                                   drain_accumulator,
  output logic [PhaseAw-1:0]                            drain_phase_raddr,
  input  logic [63:0]                                   drain_phase,
  input  logic                                          drain_full,
  output logic [AccAw-1:0]                              drain_index,
  output logic [Lanes-1:0]                              drain_upper,
  input  logic [TileLanes-1:0][Lanes-1:0][AccWidth-1:0] drain_data,
  input  logic                                          drain_added,
  output logic                                          drain_group_done,
  output logic                                          drain_word_valid,
  drain_word_kept,
  output logic [Lanes-1:0][AccWidth-1:0]                drain_word,
  output logic [19:0]                                   drain_word_psum,
  drain_word_row,
  output logic [19:0]                                   drain_word_column,
  output logic [9:0]                                    drain_word_param,
  output logic [$bits(compute_t)-1:0]                   drain_instruction,
  input  logic                                          drain_idle,
  output logic                                          drain_fault,

  // Output: its instruction is start_bits.
  input  logic                            out_word_valid,
  out_word_kept,
  input  logic [Lanes-1:0][AccWidth-1:0]  out_word,
  input  logic [19:0]                     out_word_psum,
  out_word_row,
  out_word_column,
  input  logic [9:0]                      out_word_param,
  output logic                            out_idle,
  out_fault,
  input  logic                            out_par_we,
  out_act_we,
  input  logic [7:0]                      out_par_addr,
  input  logic [LaneAw-1:0]               out_par_lane,
  input  logic [127:0]                    out_par_data,
  input  logic [10:0]                     out_act_addr,
  input  logic [15:0]                     out_act_data,
  output logic                            out_we,
  output logic [OutputAw-1:0]             out_waddr,
  output logic [Lanes-1:0][DataWidth-1:0] out_wdata,

  // Filter transform, two filters; and that of two sides.
  input  logic [8:0]                    filter_taps,
  input  logic [3:0]                    filter_position,
  input  logic                          filter_first,
  input  logic [8:0][2*DataWidth-1:0]   filter_data,
  output logic [2*WeightWidth-1:0]      filter_u,
  output logic [1:0][2*WeightWidth-1:0] filter_both,

  // Parts of the fetch, with the instruction in start_bits: the tiles, and a read.
  input  logic                       tiles_setup,
  tiles_walk,
  tiles_square,
  tiles_ready,
  input  logic [19:0]                tiles_first_row,
  tiles_image_words,
  output logic                       tiles_valid,
  tiles_final,
  output logic [TileLanes-1:0][19:0] tiles_addr,
  output logic [TileLanes-1:0][17:0] tiles_y,
  tiles_x,
  output logic [TileAw-1:0]          tiles_last,
  input  logic                       read_valid,
  read_square,
  read_filled,
  read_last,
  input  logic [1:0]                 read_number,
  input  logic [TileAw-1:0]          read_tile,
  input  logic [2:0]                 read_slot,
  input  logic [19:0]                read_addr,
  read_offset,
  input  logic [17:0]                read_y,
  read_x,
  output logic [3:0][BankAw-1:0]     read_in_raddr,
  input  logic [3:0][WordBits-1:0]   read_in_rdata,
  output logic [3:0]                 read_we,
  output logic [TileAw-1:0]          read_to_tile,
  output logic [3:0][4:0]            read_waddr,
  output logic [3:0][RowBits-1:0]    read_wdata,
  output logic                       read_slot_filled,
  read_slot_last,

  // Memories between the engines.
  input  logic [3:0]                    mems_in_we,
  input  logic [3:0][BankAw-1:0]        mems_in_waddr,
  mems_in_raddr,
  input  logic [3:0][WordBits-1:0]      mems_in_wdata,
  output logic [3:0][WordBits-1:0]      mems_in_rdata,
  input  logic [Channels/2-1:0]         mems_weight_we,
  input  logic [WeightAw-1:0]           mems_weight_waddr,
  mems_weight_raddr,
  input  logic [Lanes/2-1:0][2*Lanes*WeightWidth-1:0] mems_weight_wdata,
  output logic [Channels/2-1:0][2*Lanes*WeightWidth-1:0] mems_weight_rdata,
  input  logic                          mems_out_we,
  input  logic [OutputAw-1:0]           mems_out_waddr,
  mems_out_raddr,
  input  logic [WordBits-1:0]           mems_out_wdata,
  output logic [WordBits-1:0]           mems_out_rdata
);
  localparam config_t Config = '{
      DataWidth: DataWidth,
      Lanes: Lanes,
      TileLanes: TileLanes,
      InputDepth: InputDepth,
      WeightDepth: WeightDepth,
      PsumDepth: PsumDepth,
      OutputDepth: OutputDepth,
      StepDepth: StepDepth,
      AccumulatorDepth: AccumulatorDepth,
      PhaseDepth: PhaseDepth,
      ParamDepth: ParamDepth,
      ReadPorts: DefaultConfig.ReadPorts,
      Products: Products,
      Decoder: 0,
      ConfigHash: '0,
      AddrWidth: DefaultConfig.AddrWidth
  };
  function automatic config_t paired(input config_t c);
    paired = c;
    paired.Products = 2;
  endfunction
  compute_t instruction;
  assign instruction = decode_compute(start_bits);

  wg_ram #(
    .Width(21),
    .Depth(13)
  ) u_ram (
    .clk_i,
    .we_i(mem_we),
    .waddr_i(mem_waddr),
    .wdata_i(mem_wdata),
    .raddr_i(mem_raddr),
    .rdata_o(ram_rdata)
  );
  wg_lutram #(
    .Width(21),
    .Depth(13)
  ) u_lutram (
    .clk_i,
    .we_i(mem_we),
    .waddr_i(mem_waddr),
    .wdata_i(mem_wdata),
    .raddr_i(mem_raddr),
    .rdata_o(lutram_rdata)
  );
  wg_fifo #(
    .Width(21),
    .Depth(8)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(queue_wvalid),
    .wready_o(fifo_wready),
    .wdata_i(queue_wdata),
    .rvalid_o(fifo_rvalid),
    .rready_i(queue_rready),
    .rdata_o(fifo_rdata)
  );
  wg_fifo #(
    .Width(21),
    .Depth(2)
  ) u_fifo2 (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(queue_wvalid),
    .wready_o(fifo2_wready),
    .wdata_i(queue_wdata),
    .rvalid_o(fifo2_rvalid),
    .rready_i(queue_rready),
    .rdata_o(fifo2_rdata)
  );
  wg_skid #(
    .Width(21)
  ) u_skid (
    .clk_i,
    .rst_ni,
    .wvalid_i(queue_wvalid),
    .wready_o(skid_wready),
    .wdata_i(queue_wdata),
    .rvalid_o(skid_rvalid),
    .rready_i(queue_rready),
    .rdata_o(skid_rdata)
  );
  wg_delay #(
    .Width(21),
    .Depth(0)
  ) u_delay0 (
    .clk_i,
    .data_i(queue_wdata),
    .data_o(delay0_data)
  );
  wg_delay #(
    .Width(21),
    .Depth(1)
  ) u_delay1 (
    .clk_i,
    .data_i(queue_wdata),
    .data_o(delay1_data)
  );
  wg_delay #(
    .Width(21),
    .Depth(5)
  ) u_delay5 (
    .clk_i,
    .data_i(queue_wdata),
    .data_o(delay5_data)
  );
  wg_skew #(
    .Lanes(Lanes),
    .Width(21)
  ) u_skew (
    .clk_i,
    .data_i(lanes_data),
    .data_o(skew_data)
  );

  wg_mac_array #(
    .Lanes(Lanes),
    .TileLanes(TileLanes),
    .ZWidth(ZWidth),
    .WeightWidth(WeightWidth)
  ) u_array (
    .clk_i,
    .z_i(mac_z),
    .w_i(mac_w),
    .sum_o(array_sum)
  );
  wg_mac_chain #(
    .Lanes(Lanes),
    .ZWidth(ZWidth),
    .WeightWidth(WeightWidth)
  ) u_chain (
    .clk_i,
    .z_i(chain_z),
    .w_i(chain_w),
    .sum_o(chain_sum)
  );

  if (DataWidth == 8) begin : g_pair
    logic [Lanes-1:0][ZWidth-1:0] z;
    logic [1:0][Lanes-1:0][WeightWidth-1:0] w;
    logic single;
    wg_skew #(
      .Lanes(Lanes),
      .Width(ZWidth)
    ) u_z (
      .clk_i,
      .data_i(pair_z),
      .data_o(z)
    );
    for (genvar h = 0; h < 2; h++) begin : g_half
      wg_skew #(
        .Lanes(Lanes),
        .Width(WeightWidth)
      ) u_w (
        .clk_i,
        .data_i(pair_w[h]),
        .data_o(w[h])
      );
    end
    wg_delay #(
      .Width(1),
      .Depth(Lanes + 3)
    ) u_single (
      .clk_i,
      .data_i(pair_single),
      .data_o(single)
    );
    wg_packed_chain #(
      .Lanes(Lanes),
      .ZWidth(ZWidth),
      .WeightWidth(WeightWidth)
    ) u_pair_chain (
      .clk_i,
      .z_i(z),
      .w_i(w),
      .single_i(single),
      .sum_o(pair_sum)
    );
    logic [2*Lanes-1:0][Lanes-1:0][WeightWidth-1:0] weights;
    logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0] z_q;
    assign weights = {{Lanes{pair_w[1]}}, {Lanes{pair_w[0]}}};
    always_ff @(posedge clk_i) z_q <= {TileLanes{pair_z}};
    wg_packed_array #(
      .Lanes(Lanes),
      .TileLanes(1),
      .ZWidth(ZWidth),
      .WeightWidth(WeightWidth)
    ) u_packed_array (
      .clk_i,
      .z_i(pair_z),
      .w_i(weights),
      .single_i(pair_single),
      .sum_o(packed_sums)
    );
    wg_array #(
      .Config(paired(Config))
    ) u_paired_array (
      .clk_i,
      .z_i(z_q),
      .weight_i(weights),
      .pair_i(!pair_single),
      .sum_o(array_sums)
    );
  end else begin : g_no_pair
    assign pair_sum = '0;
    assign packed_sums = '0;
    assign array_sums = '0;
  end

  wg_mac_sequencer #(
    .Config(Config),
    .Slots(8)
  ) u_sequencer (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(seq_start_valid),
    .start_ready_o(seq_start_ready),
    .start_i(instruction),
    .step_raddr_o(seq_step_raddr),
    .step_i(decode_step_entry(seq_step)),
    .slot_filled_i(seq_slot_filled),
    .slot_last_i(seq_slot_last),
    .slot_freed_o(seq_slot_freed),
    .patch_slot_o(seq_patch_slot),
    .patch_position_o(seq_patch_position),
    .patch_winograd_o(seq_patch_winograd),
    .patch_rows_o(seq_patch_rows),
    .patch_columns_o(seq_patch_columns),
    .weight_raddr_o(seq_weight_raddr),
    .add_valid_o(seq_add_valid),
    .add_index_o(seq_add_index),
    .add_first_o(seq_add_first),
    .add_last_o(seq_add_last),
    .drain_done_i(seq_drain_done),
    .step_o(seq_step_o),
    .pair_o(seq_pair_o),
    .patch_pair_o(seq_patch_pair),
    .fault_o(seq_fault)
  );

  wg_patch_fetch #(
    .Config(Config),
    .Slots(8)
  ) u_fetch (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(fetch_start_valid),
    .start_ready_o(fetch_start_ready),
    .start_i(instruction),
    .in_raddr_o(fetch_in_raddr),
    .in_rdata_i(fetch_in_rdata),
    .patch_we_o(fetch_we),
    .patch_tile_o(fetch_tile),
    .patch_waddr_o(fetch_waddr),
    .patch_wdata_o(fetch_wdata),
    .slot_filled_o(fetch_slot_filled),
    .slot_last_o(fetch_slot_last),
    .slot_freed_i(fetch_slot_freed)
  );
  wg_patch_buffer #(
    .Config(Config),
    .Slots(8)
  ) u_buffer (
    .clk_i,
    .we_i(buffer_we),
    .tile_i(buffer_tile),
    .waddr_i(buffer_waddr),
    .wdata_i(buffer_wdata),
    .slot_i(buffer_slot),
    .position_i(buffer_position),
    .winograd_i(buffer_winograd),
    .rows_i(buffer_rows),
    .columns_i(buffer_columns),
    .z_o(buffer_z)
  );

  wg_accumulators #(
    .Config(Config)
  ) u_accumulators (
    .clk_i,
    .rst_ni,
    .clear_i,
    .add_valid_i(acc_add_valid),
    .add_index_i(acc_add_index),
    .add_first_i(acc_add_first),
    .add_last_i(acc_add_last),
    .sum_i(acc_sum),
    .full_o(acc_full),
    .drain_index_i(acc_drain_index),
    .drain_upper_i(acc_drain_upper),
    .drain_o(acc_drain),
    .drain_added_o(acc_drain_added),
    .drain_done_i(acc_drain_done)
  );

  word_t drain_place, out_place;
  assign drain_word_valid  = drain_place.valid;
  assign drain_word_kept   = drain_place.kept;
  assign drain_word_psum   = drain_place.psum;
  assign drain_word_row    = drain_place.row;
  assign drain_word_column = drain_place.column;
  assign drain_word_param  = drain_place.param;
  assign out_place = '{
    valid: out_word_valid, kept: out_word_kept, psum: out_word_psum, row: out_word_row,
    column: out_word_column, param: out_word_param
  };
  wg_drain #(
    .Config(Config)
  ) u_drain (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(drain_start_valid),
    .start_ready_o(drain_start_ready),
    .start_i(instruction),
    .done_o(drain_done),
    .accumulator_raddr_o(drain_accumulator_raddr),
    .accumulator_i(decode_accumulator_entry(drain_accumulator)),
    .phase_raddr_o(drain_phase_raddr),
    .phase_i(decode_phase_entry(drain_phase)),
    .full_i(drain_full),
    .drain_index_o(drain_index),
    .drain_upper_o(drain_upper),
    .drain_i(drain_data),
    .drain_added_i(drain_added),
    .drain_done_o(drain_group_done),
    .word_o(drain_place),
    .data_o(drain_word),
    .instruction_o(drain_instruction),
    .idle_i(drain_idle),
    .fault_o(drain_fault)
  );

  param_write_t out_par;
  assign out_par = '{
          we: out_par_we,
          addr: out_par_addr,
          lane: 8'(out_par_lane),
          data: out_par_data
      };
  wg_output #(
    .Config(Config)
  ) u_output (
    .clk_i,
    .rst_ni,
    .clear_i,
    .instruction_i(instruction),
    .word_i(out_place),
    .data_i(out_word),
    .idle_o(out_idle),
    .fault_o(out_fault),
    .par_i(out_par),
    .act_we_i(out_act_we),
    .act_addr_i(out_act_addr),
    .act_data_i(out_act_data),
    .out_we_o(out_we),
    .out_waddr_o(out_waddr),
    .out_wdata_o(out_wdata)
  );

  wg_filter_transform #(
    .DataWidth(DataWidth),
    .Values(2)
  ) u_filter (
    .clk_i,
    .taps_i(filter_taps),
    .position_i(filter_position),
    .first_i(1'b0),
    .data_i(filter_data),
    .data_o(filter_u)
  );

  wg_filter_transform #(
    .DataWidth(DataWidth),
    .Values(2),
    .Sides(2)
  ) u_filters (
    .clk_i,
    .taps_i(filter_taps),
    .position_i(filter_position),
    .first_i(filter_first),
    .data_i(filter_data),
    .data_o(filter_both)
  );

  wg_patch_tiles #(
    .TileLanes(TileLanes)
  ) u_tiles (
    .clk_i,
    .setup_i(tiles_setup),
    .walk_i(tiles_walk),
    .instruction_i(instruction),
    .square_i(tiles_square),
    .first_row_i(tiles_first_row),
    .image_words_i(tiles_image_words),
    .group_valid_o(tiles_valid),
    .group_ready_i(tiles_ready),
    .addr_o(tiles_addr),
    .y_o(tiles_y),
    .x_o(tiles_x),
    .last_o(tiles_last),
    .final_o(tiles_final)
  );
  wg_patch_read #(
    .Config(Config),
    .Slots(8)
  ) u_read (
    .clk_i,
    .rst_ni,
    .clear_i,
    .valid_i(read_valid),
    .instruction_i(instruction),
    .square_i(read_square),
    .read_i(read_number),
    .tile_i(read_tile),
    .slot_i(read_slot),
    .addr_i(read_addr),
    .y_i(read_y),
    .x_i(read_x),
    .offset_i(read_offset),
    .slot_filled_i(read_filled),
    .slot_last_i(read_last),
    .in_raddr_o(read_in_raddr),
    .in_rdata_i(read_in_rdata),
    .patch_we_o(read_we),
    .patch_tile_o(read_to_tile),
    .patch_waddr_o(read_waddr),
    .patch_wdata_o(read_wdata),
    .slot_filled_o(read_slot_filled),
    .slot_last_o(read_slot_last)
  );
  wg_buffers #(
    .Config(Config)
  ) u_buffers (
    .clk_i,
    .in_we_i(mems_in_we),
    .in_waddr_i(mems_in_waddr),
    .in_wdata_i(mems_in_wdata),
    .in_raddr_i(mems_in_raddr),
    .in_rdata_o(mems_in_rdata),
    .weight_we_i(mems_weight_we),
    .weight_waddr_i(mems_weight_waddr),
    .weight_wdata_i(mems_weight_wdata),
    .weight_raddr_i(mems_weight_raddr),
    .weight_rdata_o(mems_weight_rdata),
    .out_we_i(mems_out_we),
    .out_waddr_i(mems_out_waddr),
    .out_wdata_i(mems_out_wdata),
    .out_raddr_i(mems_out_raddr),
    .out_rdata_o(mems_out_rdata)
  );
endmodule
