// The compute engine: patches, multipliers, outputs.
//
// Three stages execute instructions one behind the other: wg_patch_fetch fills patch slots,
// wg_mac_sequencer turns slots into accumulators, wg_drain turns those into outputs. Each has its
// own queue of instructions, so the multipliers go from one instruction to the next without a gap.
module wg_compute
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config      = DefaultConfig,
  localparam int unsigned DataWidth   = Config.DataWidth,
  localparam int unsigned Lanes       = Config.Lanes,
  localparam int unsigned WordBits    = word_bits(Config),
  localparam int unsigned WeightWidth = weight_width(Config),
  localparam int unsigned BankAw      = $clog2(bank_depth(Config)),
  localparam int unsigned WeightAw    = $clog2(Config.WeightDepth),
  localparam int unsigned OutputAw    = $clog2(Config.OutputDepth),
  localparam int unsigned Channels    = Config.Products * Lanes
) (
  input  logic                                         clk_i,
  input  logic                                         rst_ni,
  input  logic                                         clear_i,
  // Engine port.
  input  start_t                                       start_i,
  output engine_t                                      engine_o,
  output logic                                         step_o,  // the array multiplies
  output logic                                         pair_o,  // for two blocks of channels
  // Input and weight buffer: data two cycles after the address.
  output logic [3:0][BankAw-1:0]                       in_raddr_o,
  input  logic [3:0][WordBits-1:0]                     in_rdata_i,
  output logic [WeightAw-1:0]                          weight_raddr_o,
  input  logic [Channels-1:0][Lanes-1:0][WeightWidth-1:0] weight_rdata_i,
  // Tables and parameters, written by the load engine.
  input  table_write_t                                 tab_i,
  input  param_write_t                                 par_i,
  // Output buffer.
  output logic                                         out_we_o,
  output logic [OutputAw-1:0]                          out_waddr_o,
  output logic [Lanes-1:0][DataWidth-1:0]              out_wdata_o
);
  localparam int unsigned Slots = PatchSlots;
  localparam int unsigned SlotAw = $clog2(Slots);
  localparam int unsigned TileLanes = Config.TileLanes;
  localparam int unsigned TileAw = index_width(TileLanes);
  localparam int unsigned RowBits = row_bits(Config);
  localparam int unsigned ZWidth = z_width(Config);
  localparam int unsigned SumWidth = sum_width(Config);
  localparam int unsigned AccWidth = acc_width(Config);
  localparam int unsigned AccAw = $clog2(Config.AccumulatorDepth);
  localparam int unsigned StepAw = $clog2(Config.StepDepth);
  localparam int unsigned PhaseAw = $clog2(Config.PhaseDepth);
  localparam int unsigned Queue = $bits(compute_t) + 20;

  // -- Instructions --------------------------------------------------------------------------------

  // An instruction enters all three stages at once; two of them may take it later.
  compute_t instruction, mac_instruction, drain_instruction, word_instruction;
  logic fetch_ready, mac_queue_ready, drain_queue_ready, start_ready, start, fault_valid;
  logic fault_valid_q;
  logic mac_valid, mac_ready, drain_valid, drain_start, drain_ready, drain_ended;
  logic [19:0] mac_index, drain_index, mac_index_q, drain_index_q;

  assign instruction   = decode_compute(start_i.bits);
  assign start_ready = fetch_ready && mac_queue_ready && drain_queue_ready && !fault_valid_q;
  assign start         = start_i.valid && start_ready;
  // After a fault nothing begins or ends; it is told a cycle later.
  assign drain_start   = drain_valid && !fault_valid;
  always_ff @(posedge clk_i) fault_valid_q <= fault_valid && rst_ni && !clear_i;

  wg_fifo #(
    .Width(Queue),
    .Depth(ComputeAhead)
  ) u_mac_queue (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(start),
    .wready_o(mac_queue_ready),
    .wdata_i({start_i.index, instruction}),
    .rvalid_o(mac_valid),
    .rready_i(mac_ready),
    .rdata_o({mac_index, mac_instruction})
  );
  wg_fifo #(
    .Width(Queue),
    .Depth(ComputeAhead)
  ) u_drain_queue (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(start),
    .wready_o(drain_queue_ready),
    .wdata_i({start_i.index, instruction}),
    .rvalid_o(drain_valid),
    .rready_i(drain_ready && !fault_valid),
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
    .Config(Config),
    .Slots(Slots)
  ) u_fetch (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(start),
    .start_ready_o(fetch_ready),
    .start_i(instruction),
    .in_raddr_o,
    .in_rdata_i,
    .patch_we_o(patch_we),
    .patch_tile_o(patch_tile),
    .patch_waddr_o(patch_waddr),
    .patch_wdata_o(patch_wdata),
    .slot_filled_o(slot_filled),
    .slot_last_o(slot_last),
    .slot_freed_i(slot_freed)
  );

  // -- Multipliers ---------------------------------------------------------------------------------

  logic [StepAw-1:0] step_raddr;
  step_entry_t step_written, step_read;
  logic [SlotAw-1:0] patch_slot;
  logic [4:0] patch_position;
  logic patch_winograd, patch_pair;
  logic [3:0] patch_rows, patch_columns;
  logic add_valid, add_first, add_last, drain_done, mac_fault;
  logic [AccAw-1:0] add_index;
  logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0] z;
  logic [TileLanes-1:0][Channels-1:0][SumWidth-1:0] sum;

  assign step_written = decode_step_entry(tab_i.data);
  wg_ram #(
    .Width($bits(step_entry_t)),
    .Depth(Config.StepDepth)
  ) u_steps (
    .clk_i,
    .we_i   (tab_i.we && tab_i.id == TableStep),
    .waddr_i(tab_i.addr[StepAw-1:0]),
    .wdata_i(step_written),
    .raddr_i(step_raddr),
    .rdata_o(step_read)
  );
  wg_mac_sequencer #(
    .Config(Config),
    .Slots(Slots)
  ) u_sequencer (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(mac_valid),
    .start_ready_o(mac_ready),
    .start_i(mac_instruction),
    .step_raddr_o(step_raddr),
    .step_i(step_read),
    .slot_filled_i(slot_filled),
    .slot_last_i(slot_last),
    .slot_freed_o(slot_freed),
    .patch_slot_o(patch_slot),
    .patch_position_o(patch_position),
    .patch_winograd_o(patch_winograd),
    .patch_pair_o(patch_pair),
    .patch_rows_o(patch_rows),
    .patch_columns_o(patch_columns),
    .weight_raddr_o,
    .add_valid_o(add_valid),
    .add_index_o(add_index),
    .add_first_o(add_first),
    .add_last_o(add_last),
    .drain_done_i(drain_done),
    .step_o,
    .pair_o,
    .fault_o(mac_fault)
  );
  wg_patch_buffer #(
    .Config(Config),
    .Slots(Slots)
  ) u_patches (
    .clk_i,
    .we_i(patch_we),
    .tile_i(patch_tile),
    .waddr_i(patch_waddr),
    .wdata_i(patch_wdata),
    .slot_i(patch_slot),
    .position_i(patch_position),
    .winograd_i(patch_winograd),
    .rows_i(patch_rows),
    .columns_i(patch_columns),
    .z_o(z)
  );
  // Whether the weights are of a pair is known two cycles before they are there.
  logic weight_pair;
  wg_delay #(
    .Width(1),
    .Depth(2)
  ) u_pair (
    .clk_i,
    .data_i(patch_pair),
    .data_o(weight_pair)
  );
  wg_array #(
    .Config(Config)
  ) u_array (
    .clk_i,
    .z_i(z),
    .weight_i(weight_rdata_i),
    .pair_i(weight_pair),
    .sum_o(sum)
  );

  // -- Outputs -------------------------------------------------------------------------------------

  logic full, drain_added;
  logic [AccAw-1:0] drain_acc;
  logic [Lanes-1:0] drain_upper;
  logic [TileLanes-1:0][Lanes-1:0][AccWidth-1:0] drain_data;
  wg_accumulators #(
    .Config(Config)
  ) u_accumulators (
    .clk_i,
    .rst_ni,
    .clear_i,
    .add_valid_i(add_valid),
    .add_index_i(add_index),
    .add_first_i(add_first),
    .add_last_i(add_last),
    .sum_i(sum),
    .full_o(full),
    .drain_index_i(drain_acc),
    .drain_upper_i(drain_upper),
    .drain_o(drain_data),
    .drain_added_o(drain_added),
    .drain_done_i(drain_done)
  );

  accumulator_entry_t accumulator_written, accumulator_read;
  phase_entry_t phase_written, phase_read;
  logic [AccAw:0] accumulator_raddr;
  logic [PhaseAw-1:0] phase_raddr;
  assign accumulator_written = decode_accumulator_entry(tab_i.data);
  assign phase_written       = decode_phase_entry(tab_i.data);
  wg_lutram #(
    .Width($bits(accumulator_entry_t)),
    .Depth(2 * Config.AccumulatorDepth)
  ) u_acc_table (
    .clk_i,
    .we_i   (tab_i.we && tab_i.id == TableAccumulator),
    .waddr_i(tab_i.addr[AccAw:0]),
    .wdata_i(accumulator_written),
    .raddr_i(accumulator_raddr),
    .rdata_o(accumulator_read)
  );
  wg_lutram #(
    .Width($bits(phase_entry_t)),
    .Depth(Config.PhaseDepth)
  ) u_phase_table (
    .clk_i,
    .we_i   (tab_i.we && tab_i.id == TablePhase),
    .waddr_i(tab_i.addr[PhaseAw-1:0]),
    .wdata_i(phase_written),
    .raddr_i(phase_raddr),
    .rdata_o(phase_read)
  );

  logic words_idle, drain_fault, output_fault;
  word_t word;
  logic [Lanes-1:0][AccWidth-1:0] word_data;
  wg_drain #(
    .Config(Config)
  ) u_drain (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(drain_start),
    .start_ready_o(drain_ready),
    .start_i(drain_instruction),
    .done_o(drain_ended),
    .accumulator_raddr_o(accumulator_raddr),
    .accumulator_i(accumulator_read),
    .phase_raddr_o(phase_raddr),
    .phase_i(phase_read),
    .full_i(full),
    .drain_index_o(drain_acc),
    .drain_upper_o(drain_upper),
    .drain_i(drain_data),
    .drain_added_i(drain_added),
    .drain_done_o(drain_done),
    .word_o(word),
    .data_o(word_data),
    .instruction_o(word_instruction),
    .idle_i(words_idle),
    .fault_o(drain_fault)
  );
  wg_output #(
    .Config(Config)
  ) u_output (
    .clk_i,
    .rst_ni,
    .clear_i,
    .instruction_i(word_instruction),
    .word_i(word),
    .data_i(word_data),
    .idle_o(words_idle),
    .fault_o(output_fault),
    .par_i,
    .act_we_i(tab_i.we && tab_i.id == TableActivation),
    .act_addr_i(tab_i.addr[10:0]),
    .act_data_i(tab_i.data[15:0]),
    .out_we_o,
    .out_waddr_o,
    .out_wdata_o
  );

  logic unused;
  assign unused = tab_i.addr[11];

  // -- Faults --------------------------------------------------------------------------------------

  // A step is found illegal three cycles after its issue; the sequencer may have gone on by then.
  logic [19:0] mac_index2, mac_fault_index_q;
  wg_delay #(
    .Width(20),
    .Depth(2)
  ) u_index (
    .clk_i,
    .data_i(mac_index_q),
    .data_o(mac_index2)
  );
  always_ff @(posedge clk_i) if (!mac_fault) mac_fault_index_q <= mac_index2;

  assign fault_valid = mac_fault || drain_fault || output_fault;
  assign engine_o = '{
    ready: start_ready,
    done: drain_ended && !fault_valid,
    fault: '{
      valid: fault_valid_q,
      code: ErrIllegalDescriptor,
      index: drain_fault || output_fault ? drain_index_q : mac_fault_index_q,
      addr: '0
    }
  };
endmodule
