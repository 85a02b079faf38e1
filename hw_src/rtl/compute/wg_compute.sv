// The compute engine: patches, multipliers, outputs.
//
// Three stages execute instructions one behind the other: wg_patch_fetch fills patch slots,
// wg_mac_sequencer turns slots into accumulators, wg_drain turns those into outputs. Each has its
// own queue of instructions, so the multipliers go from one instruction to the next without a gap.
module wg_compute
  import winogen_pkg::*;
#(
  parameter int unsigned DataWidth        = 8,
  parameter int unsigned Lanes            = 8,
  parameter int unsigned TileLanes        = 3,
  parameter int unsigned InputDepth       = 16384,
  parameter int unsigned WeightDepth      = 2048,
  parameter int unsigned PsumDepth        = 2048,
  parameter int unsigned OutputDepth      = 4096,
  parameter int unsigned StepDepth        = 1024,
  parameter int unsigned AccumulatorDepth = 64,
  parameter int unsigned PhaseDepth       = 128,
  parameter int unsigned ParamDepth       = 64,
  parameter int unsigned AddrWidth        = 64,
  localparam int unsigned WordBits        = Lanes * DataWidth,
  localparam int unsigned WeightWidth     = DataWidth == 8 ? 12 : 20,
  localparam int unsigned AccWidth        = DataWidth == 8 ? 32 : 48,
  localparam int unsigned BankAw          = $clog2(InputDepth / 4),
  localparam int unsigned WeightAw        = $clog2(WeightDepth),
  localparam int unsigned OutputAw        = $clog2(OutputDepth),
  localparam int unsigned LaneAw          = $clog2(Lanes)
) (
  input  logic                                     clk_i,
  input  logic                                     rst_ni,
  input  logic                                     clear_i,
  // Engine port.
  input  logic                                     start_valid_i,
  output logic                                     start_ready_o,
  input  logic [511:0]                             start_bits_i,
  input  logic [19:0]                              start_index_i,
  output logic                                     done_o,
  output logic                                     fault_valid_o,
  output logic [7:0]                               fault_code_o,
  output logic [19:0]                              fault_index_o,
  output logic [AddrWidth-1:0]                     fault_addr_o,
  output logic                                     step_o,  // the array multiplies
  // Input and weight buffer: data two cycles after the address.
  output logic [3:0][BankAw-1:0]                   in_raddr_o,
  input  logic [3:0][WordBits-1:0]                 in_rdata_i,
  output logic [WeightAw-1:0]                      weight_raddr_o,
  input  logic [Lanes-1:0][Lanes-1:0][WeightWidth-1:0] weight_rdata_i,
  // Tables and parameters, written by the load engine.
  input  logic                                     tab_we_i,
  input  logic [1:0]                               tab_id_i,
  input  logic [11:0]                              tab_addr_i,
  input  logic [63:0]                              tab_data_i,
  input  logic                                     par_we_i,
  input  logic [7:0]                               par_addr_i,
  input  logic [LaneAw-1:0]                        par_lane_i,
  input  logic [127:0]                             par_data_i,
  // Output buffer.
  output logic                                     out_we_o,
  output logic [OutputAw-1:0]                      out_waddr_o,
  output logic [Lanes-1:0][DataWidth-1:0]          out_wdata_o
);
  localparam int unsigned Slots    = 8;
  localparam int unsigned SlotAw   = $clog2(Slots);
  localparam int unsigned TileAw   = TileLanes > 1 ? $clog2(TileLanes) : 1;
  localparam int unsigned RowBits  = Lanes * (DataWidth + 1);
  localparam int unsigned ZWidth   = DataWidth + 2;
  localparam int unsigned SumWidth = ZWidth + WeightWidth + LaneAw;
  localparam int unsigned AccAw    = $clog2(AccumulatorDepth);
  localparam int unsigned StepAw   = $clog2(StepDepth);
  localparam int unsigned PhaseAw  = $clog2(PhaseDepth);
  localparam int unsigned Queue    = $bits(compute_t) + 20;

  // -- Instructions --------------------------------------------------------------------------------

  // An instruction enters all three stages at once; two of them may take it later.
  compute_t instruction, mac_instruction, drain_instruction, word_instruction;
  logic fetch_ready, mac_queue_ready, drain_queue_ready, start;
  logic mac_valid, mac_ready, drain_valid, drain_start, drain_ready, drain_ended;
  logic [19:0] mac_index, drain_index, mac_index_q, drain_index_q;

  assign instruction   = decode_compute(start_bits_i);
  assign start_ready_o = fetch_ready && mac_queue_ready && drain_queue_ready && !fault_valid_o;
  assign start         = start_valid_i && start_ready_o;
  // After a fault nothing begins or ends.
  assign drain_start   = drain_valid && !fault_valid_o;
  assign done_o        = drain_ended && !fault_valid_o;

  wg_fifo #(.Width(Queue), .Depth(4)) u_mac_queue (
    .clk_i, .rst_ni, .clear_i,
    .wvalid_i(start), .wready_o(mac_queue_ready), .wdata_i({start_index_i, instruction}),
    .rvalid_o(mac_valid), .rready_i(mac_ready), .rdata_o({mac_index, mac_instruction})
  );
  wg_fifo #(.Width(Queue), .Depth(4)) u_drain_queue (
    .clk_i, .rst_ni, .clear_i,
    .wvalid_i(start), .wready_o(drain_queue_ready), .wdata_i({start_index_i, instruction}),
    .rvalid_o(drain_valid), .rready_i(drain_ready && !fault_valid_o),
    .rdata_o({drain_index, drain_instruction})
  );
  always_ff @(posedge clk_i) begin
    if (mac_valid && mac_ready) mac_index_q <= mac_index;
    if (drain_start && drain_ready) drain_index_q <= drain_index;
  end

  // -- Patches -------------------------------------------------------------------------------------

  logic [3:0] patch_we;
  logic [TileAw-1:0] patch_tile;
  logic [3:0][SlotAw+1:0] patch_waddr;
  logic [3:0][RowBits-1:0] patch_wdata;
  logic slot_filled, slot_last, slot_freed;
  wg_patch_fetch #(
    .DataWidth(DataWidth), .Lanes(Lanes), .TileLanes(TileLanes), .InputDepth(InputDepth),
    .Slots(Slots)
  ) u_fetch (
    .clk_i, .rst_ni, .clear_i,
    .start_valid_i(start), .start_ready_o(fetch_ready), .start_i(instruction),
    .in_raddr_o, .in_rdata_i,
    .patch_we_o(patch_we), .patch_tile_o(patch_tile), .patch_waddr_o(patch_waddr),
    .patch_wdata_o(patch_wdata),
    .slot_filled_o(slot_filled), .slot_last_o(slot_last), .slot_freed_i(slot_freed)
  );

  // -- Multipliers ---------------------------------------------------------------------------------

  logic [StepAw-1:0] step_raddr;
  step_entry_t step_written, step_read;
  logic [SlotAw-1:0] patch_slot;
  logic [4:0] patch_position;
  logic patch_winograd;
  logic [3:0] patch_rows, patch_columns;
  logic add_valid, add_first, add_last, drain_done, mac_fault;
  logic [AccAw-1:0] add_index;
  logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0] z;
  logic [Lanes-1:0][Lanes-1:0][WeightWidth-1:0] weight_q;
  logic [TileLanes-1:0][Lanes-1:0][SumWidth-1:0] sum;

  assign step_written = decode_step_entry(tab_data_i);
  wg_ram #(.Width($bits(step_entry_t)), .Depth(StepDepth)) u_steps (
    .clk_i,
    .we_i   (tab_we_i && tab_id_i == TableStep),
    .waddr_i(tab_addr_i[StepAw-1:0]),
    .wdata_i(step_written),
    .raddr_i(step_raddr),
    .rdata_o(step_read)
  );
  wg_mac_sequencer #(
    .Lanes(Lanes), .StepDepth(StepDepth), .WeightDepth(WeightDepth),
    .AccumulatorDepth(AccumulatorDepth), .Slots(Slots)
  ) u_sequencer (
    .clk_i, .rst_ni, .clear_i,
    .start_valid_i(mac_valid), .start_ready_o(mac_ready), .start_i(mac_instruction),
    .step_raddr_o(step_raddr), .step_i(step_read),
    .slot_filled_i(slot_filled), .slot_last_i(slot_last), .slot_freed_o(slot_freed),
    .patch_slot_o(patch_slot), .patch_position_o(patch_position),
    .patch_winograd_o(patch_winograd), .patch_rows_o(patch_rows),
    .patch_columns_o(patch_columns), .weight_raddr_o,
    .add_valid_o(add_valid), .add_index_o(add_index), .add_first_o(add_first),
    .add_last_o(add_last), .drain_done_i(drain_done), .step_o, .fault_o(mac_fault)
  );
  wg_patch_buffer #(
    .DataWidth(DataWidth), .Lanes(Lanes), .TileLanes(TileLanes), .Slots(Slots)
  ) u_patches (
    .clk_i,
    .we_i(patch_we), .tile_i(patch_tile), .waddr_i(patch_waddr), .wdata_i(patch_wdata),
    .slot_i(patch_slot), .position_i(patch_position), .winograd_i(patch_winograd),
    .rows_i(patch_rows), .columns_i(patch_columns), .z_o(z)
  );
  always_ff @(posedge clk_i) weight_q <= weight_rdata_i;
  wg_mac_array #(
    .Lanes(Lanes), .TileLanes(TileLanes), .ZWidth(ZWidth), .WeightWidth(WeightWidth)
  ) u_array (.clk_i, .z_i(z), .w_i(weight_q), .sum_o(sum));

  // -- Outputs -------------------------------------------------------------------------------------

  logic full;
  logic [AccAw-1:0] drain_acc;
  logic [TileLanes-1:0][Lanes-1:0][AccWidth-1:0] drain_data;
  wg_accumulators #(
    .Lanes(Lanes), .TileLanes(TileLanes), .SumWidth(SumWidth), .AccWidth(AccWidth),
    .AccumulatorDepth(AccumulatorDepth)
  ) u_accumulators (
    .clk_i, .rst_ni, .clear_i,
    .add_valid_i(add_valid), .add_index_i(add_index), .add_first_i(add_first),
    .add_last_i(add_last), .sum_i(sum),
    .full_o(full), .drain_index_i(drain_acc), .drain_o(drain_data), .drain_done_i(drain_done)
  );

  accumulator_entry_t accumulator_written, accumulator_read;
  phase_entry_t phase_written, phase_read;
  logic [AccAw:0] accumulator_raddr;
  logic [PhaseAw-1:0] phase_raddr;
  assign accumulator_written = decode_accumulator_entry(tab_data_i);
  assign phase_written       = decode_phase_entry(tab_data_i);
  wg_lutram #(.Width($bits(accumulator_entry_t)), .Depth(2 * AccumulatorDepth)) u_acc_table (
    .clk_i,
    .we_i   (tab_we_i && tab_id_i == TableAccumulator),
    .waddr_i(tab_addr_i[AccAw:0]),
    .wdata_i(accumulator_written),
    .raddr_i(accumulator_raddr),
    .rdata_o(accumulator_read)
  );
  wg_lutram #(.Width($bits(phase_entry_t)), .Depth(PhaseDepth)) u_phase_table (
    .clk_i,
    .we_i   (tab_we_i && tab_id_i == TablePhase),
    .waddr_i(tab_addr_i[PhaseAw-1:0]),
    .wdata_i(phase_written),
    .raddr_i(phase_raddr),
    .rdata_o(phase_read)
  );

  logic word_valid, word_kept, words_idle, drain_fault, output_fault;
  logic [Lanes-1:0][AccWidth-1:0] word;
  logic [19:0] word_psum, word_row, word_column;
  logic [8:0] word_param;
  wg_drain #(
    .Lanes(Lanes), .TileLanes(TileLanes), .AccWidth(AccWidth),
    .AccumulatorDepth(AccumulatorDepth), .PhaseDepth(PhaseDepth)
  ) u_drain (
    .clk_i, .rst_ni, .clear_i,
    .start_valid_i(drain_start), .start_ready_o(drain_ready), .start_i(drain_instruction),
    .done_o(drain_ended),
    .accumulator_raddr_o(accumulator_raddr), .accumulator_i(accumulator_read),
    .phase_raddr_o(phase_raddr), .phase_i(phase_read),
    .full_i(full), .drain_index_o(drain_acc), .drain_i(drain_data), .drain_done_o(drain_done),
    .word_valid_o(word_valid), .word_o(word), .word_psum_o(word_psum), .word_row_o(word_row),
    .word_column_o(word_column), .word_kept_o(word_kept), .word_param_o(word_param),
    .instruction_o(word_instruction), .idle_i(words_idle), .fault_o(drain_fault)
  );
  wg_output #(
    .DataWidth(DataWidth), .Lanes(Lanes), .AccWidth(AccWidth), .PsumDepth(PsumDepth),
    .OutputDepth(OutputDepth), .ParamDepth(ParamDepth)
  ) u_output (
    .clk_i, .rst_ni, .clear_i,
    .instruction_i(word_instruction),
    .word_valid_i(word_valid), .word_i(word), .word_psum_i(word_psum), .word_row_i(word_row),
    .word_column_i(word_column), .word_kept_i(word_kept), .word_param_i(word_param),
    .idle_o(words_idle), .fault_o(output_fault),
    .par_we_i, .par_addr_i, .par_lane_i, .par_i(decode_param(par_data_i)),
    .act_we_i(tab_we_i && tab_id_i == TableActivation), .act_addr_i(tab_addr_i[10:0]),
    .act_data_i(tab_data_i[15:0]),
    .out_we_o, .out_waddr_o, .out_wdata_o
  );

  logic unused;
  assign unused = tab_addr_i[11];

  // -- Faults --------------------------------------------------------------------------------------

  // A step is found illegal three cycles after its issue; the sequencer may have gone on by then.
  logic [19:0] mac_index2, mac_fault_index_q;
  wg_delay #(.Width(20), .Depth(2)) u_index (.clk_i, .data_i(mac_index_q), .data_o(mac_index2));
  always_ff @(posedge clk_i) if (!mac_fault) mac_fault_index_q <= mac_index2;

  assign fault_valid_o = mac_fault || drain_fault || output_fault;
  assign fault_code_o  = ErrIllegalDescriptor;
  assign fault_index_o = drain_fault || output_fault ? drain_index_q : mac_fault_index_q;
  assign fault_addr_o  = '0;
endmodule
