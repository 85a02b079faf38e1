`include "wg_assert.svh"

// Second stage of the compute engine: walks the step list and feeds the multiplier array.
//
// A step is issued every cycle as long as the block's patch slot is filled and an accumulator half
// is free. What happens to the step of cycle 0:
//
//   cycle  0  issue: step address          3  weight address, patch position
//          2  step entry                   5  weight and patch row data
//                                          6  operands at the array: z_o (wg_patch_buffer), weight
//   6 + sum_latency  sum at the accumulators
module wg_mac_sequencer
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config   = DefaultConfig,
  parameter  int unsigned Slots    = PatchSlots,
  localparam int unsigned StepAw   = $clog2(Config.StepDepth),
  localparam int unsigned WeightAw = $clog2(Config.WeightDepth),
  localparam int unsigned AccAw    = $clog2(Config.AccumulatorDepth),
  localparam int unsigned SlotAw   = $clog2(Slots)
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                clear_i,
  // The instruction.
  input  logic                start_valid_i,
  output logic                start_ready_o,
  input  compute_t            start_i,
  // Step table: data two cycles after the address.
  output logic [StepAw-1:0]   step_raddr_o,
  input  step_entry_t         step_i,
  // Patch slots.
  input  logic                slot_filled_i,
  input  logic                slot_last_i,
  output logic                slot_freed_o,
  // Reads of patch buffer and weight buffer.
  output logic [SlotAw-1:0]   patch_slot_o,
  output logic [4:0]          patch_position_o,
  output logic                patch_winograd_o,
  output logic                patch_pair_o,      // the weights are of two blocks
  output logic [3:0]          patch_rows_o,
  output logic [3:0]          patch_columns_o,
  output logic [WeightAw-1:0] weight_raddr_o,
  // Accumulators: arrives two cycles before the sums.
  output logic                add_valid_o,
  output logic [AccAw-1:0]    add_index_o,
  output logic                add_first_o,
  output logic                add_last_o,
  input  logic                drain_done_i,   // a half was freed
  output logic                step_o,         // a step is issued: for the counters
  output logic                pair_o,         // of two blocks
  output logic                fault_o         // level: a step is illegal
);
  localparam int unsigned SumLatency = sum_latency(Config);

  // -- Issue -----------------------------------------------------------------------------------

  logic run_q;
  compute_t d_q;
  logic [11:0] step_q, block_q;
  logic [StepAw-1:0] step_addr_q;
  logic [19:0] weight_q;  // first weight word of the block
  logic [SlotAw-1:0] fill_slot_q, slot_q;
  logic [SlotAw:0] avail_q;  // filled slots that no step has used
  logic [Slots-1:0] last_group_q;  // for each slot
  logic [1:0] halves_q;  // accumulator halves in use
  // Where the step at hand stands, kept beside the counters.
  logic first_step_q, last_step_q, first_block_q, last_block_q;
  logic issue, group_end;

  assign start_ready_o = !run_q;
  assign issue = run_q && !fault_o && (!first_step_q || (avail_q != '0
                 && (!first_block_q || halves_q != 2'd2)));
  assign group_end = issue && last_step_q && last_block_q;
  assign step_o = issue;
  assign pair_o = d_q.pair;
  assign step_raddr_o = step_addr_q;

  logic [3:0] rows, columns;  // of the patch, as masks
  assign rows    = 4'(((8'd1 << d_q.patch_rows) - 8'd1) << d_q.patch_row);
  assign columns = 4'(((8'd1 << d_q.patch_columns) - 8'd1) << d_q.patch_column);

  always_ff @(posedge clk_i) begin
    if (start_valid_i && start_ready_o) begin
      run_q       <= 1'b1;
      d_q         <= start_i;
      step_q      <= '0;
      block_q     <= '0;
      first_step_q  <= 1'b1;
      last_step_q   <= start_i.steps == 12'd1;
      first_block_q <= 1'b1;
      last_block_q  <= start_i.blocks == 12'd1;
      step_addr_q <= start_i.step_base[StepAw-1:0];
      weight_q    <= start_i.weight_base;
    end else if (issue) begin
      step_q       <= last_step_q ? '0 : step_q + 12'd1;
      first_step_q <= last_step_q;
      last_step_q  <= d_q.steps == (last_step_q ? 12'd1 : step_q + 12'd2);
      step_addr_q  <= last_step_q ? d_q.step_base[StepAw-1:0] : step_addr_q + 1'b1;
      if (last_step_q) begin
        slot_q        <= slot_q + 1'b1;
        block_q       <= last_block_q ? '0 : block_q + 12'd1;
        first_block_q <= last_block_q;
        last_block_q  <= d_q.blocks == (last_block_q ? 12'd1 : block_q + 12'd2);
        weight_q <= last_block_q ? d_q.weight_base : weight_q + 20'(d_q.weight_stride);
        if (last_block_q && last_group_q[slot_q]) run_q <= 1'b0;
      end
    end
    if (slot_filled_i) begin
      last_group_q[fill_slot_q] <= slot_last_i;
      fill_slot_q <= fill_slot_q + 1'b1;
    end
    avail_q  <= avail_q + (SlotAw + 1)'(slot_filled_i) - (SlotAw + 1)'(issue && first_step_q);
    halves_q <= halves_q + 2'(issue && first_step_q && first_block_q) - 2'(drain_done_i);
    if (!rst_ni || clear_i) begin
      run_q       <= 1'b0;
      slot_q      <= '0;
      fill_slot_q <= '0;
      avail_q     <= '0;
      halves_q    <= '0;
    end
  end

  // -- The step on its way ---------------------------------------------------------------------

  typedef struct packed {
    logic              valid;
    logic              first_block;
    logic              group_end;
    logic              block_end;
    logic              winograd;
    logic              pair;
    logic [SlotAw-1:0] slot;
    logic [3:0]        rows;
    logic [3:0]        columns;
    logic [19:0]       weight;
    logic [11:0]       stride;
    logic [7:0]        accumulators;
  } step_t;
  step_t s1_q, s2_q;

  always_ff @(posedge clk_i) begin
    s1_q <= '{
      valid: issue, first_block: first_block_q, group_end: group_end, block_end: last_step_q,
      winograd: d_q.winograd, pair: d_q.pair, slot: slot_q, rows: rows, columns: columns, weight: weight_q,
      stride: d_q.weight_stride, accumulators: d_q.accumulators
    };
    s2_q <= s1_q;
    if (!rst_ni || clear_i) begin
      s1_q.valid <= 1'b0;
      s2_q.valid <= 1'b0;
    end
  end

  // Cycle 2: the entry. A word of a step that reads zero does not matter.
  logic illegal;
  logic [19:0] weight_addr;
  assign illegal = step_i.accumulator >= s2_q.accumulators || step_i.position > 5'd16
                   || (step_i.position != 5'd16 && step_i.word >= s2_q.stride);
  assign weight_addr = s2_q.weight + 20'(step_i.word);

  logic add_valid_q, add_first_q, add_last_q;
  logic [AccAw-1:0] add_index_q;
  logic block_end_q;
  always_ff @(posedge clk_i) begin
    weight_raddr_o   <= weight_addr[WeightAw-1:0];
    patch_slot_o     <= s2_q.slot;
    patch_position_o <= step_i.position;
    patch_winograd_o <= s2_q.winograd;
    patch_pair_o     <= s2_q.pair;
    patch_rows_o     <= s2_q.rows;
    patch_columns_o  <= s2_q.columns;
    add_valid_q      <= s2_q.valid && !illegal && !fault_o;
    add_index_q      <= step_i.accumulator[AccAw-1:0];
    add_first_q      <= step_i.first && s2_q.first_block;
    add_last_q       <= s2_q.group_end;
    block_end_q      <= s2_q.valid && s2_q.block_end;
    if (s2_q.valid && illegal) fault_o <= 1'b1;
    if (!rst_ni || clear_i) begin
      fault_o     <= 1'b0;
      add_valid_q <= 1'b0;
      block_end_q <= 1'b0;
    end
  end

  // The patch rows of cycle 3's read are taken at the end of cycle 4.
  logic [1:0] freed_q;
  always_ff @(posedge clk_i) begin
    freed_q <= rst_ni && !clear_i ? {freed_q[0], block_end_q} : '0;
  end
  assign slot_freed_o = freed_q[1];

  // Cycle 3 to two cycles before the sums: three cycles of operand reads, then the array.
  localparam int unsigned Wait = 1 + SumLatency;
  logic [Wait-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    valid_q <= rst_ni && !clear_i ? {valid_q[Wait-2:0], add_valid_q} : '0;
  end
  assign add_valid_o = valid_q[Wait-1];
  wg_delay #(
    .Width(AccAw + 2),
    .Depth(Wait)
  ) u_delay (
    .clk_i,
    .data_i({add_index_q, add_first_q, add_last_q}),
    .data_o({add_index_o, add_first_o, add_last_o})
  );

  // The rest of the instruction is for the other stages.
  logic unused;
  assign unused = ^{d_q, weight_addr};

  `ASSERT(halves_that_are_there, clear_i || halves_q <= 2'd2)
  `ASSERT(slots_that_are_there, clear_i || avail_q <= (SlotAw + 1)'(Slots))
endmodule
