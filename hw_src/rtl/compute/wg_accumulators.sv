`include "wg_assert.svh"

// Accumulators of TileLanes tiles in two halves: one accumulates while the other is drained.
//
// An accumulator that nothing was added to since its half was freed is zero, whatever drain_o says.
module wg_accumulators
  import wg_types_pkg::*;
#(
  parameter  config_t     Config           = DefaultConfig,
  localparam int unsigned Lanes            = Config.Lanes,
  localparam int unsigned Channels         = Config.Products * Lanes,
  localparam int unsigned TileLanes        = Config.TileLanes,
  localparam int unsigned AccumulatorDepth = Config.AccumulatorDepth,
  localparam int unsigned SumWidth         = sum_width(Config),
  localparam int unsigned AccWidth         = acc_width(Config),
  localparam int unsigned AccAw            = $clog2(AccumulatorDepth)
) (
  input  logic                                          clk_i,
  input  logic                                          rst_ni,
  input  logic                                          clear_i,
  // Accumulate: a step, and in the cycle after it its sums.
  input  logic                                          add_valid_i,
  input  logic [AccAw-1:0]                              add_index_i,
  input  logic                                          add_first_i,  // overwrite
  input  logic                                          add_last_i,   // the half is complete
  input  logic [TileLanes-1:0][Channels-1:0][SumWidth-1:0] sum_i,
  // Drain: answers in the same cycle, with one block of channels.
  output logic                                          full_o,       // a half waits to be drained
  input  logic [AccAw-1:0]                              drain_index_i,
  input  logic [Lanes-1:0]                              drain_upper_i,  // lanes of the second block
  output logic [TileLanes-1:0][Lanes-1:0][AccWidth-1:0] drain_o,
  output logic                                          drain_added_o,  // else it is zero
  input  logic                                          drain_done_i  // frees the half
);
  localparam int unsigned Bits = TileLanes * Channels * AccWidth;

  logic valid_q, last_q, keep_q;
  logic [AccAw-1:0] index_q;
  logic half_q, drain_half_q;
  logic [1:0] full_q;
  logic [1:0][AccumulatorDepth-1:0] touched_q;
  logic [1:0][Bits-1:0] add_read, drain_read;
  logic [TileLanes-1:0][Channels-1:0][AccWidth-1:0] old, sum, drained;

  logic next_half;  // the half that the step on its way adds to
  assign next_half = half_q ^ (valid_q && last_q);

  for (genvar h = 0; h < 2; h++) begin : g_half
    // One read port serves both: a half is never accumulated and drained at once. Each has an index
    // of its own for what it drives.
    logic add_q;
    logic [AccAw-1:0] add_index_q, raddr;
    always_ff @(posedge clk_i) begin
      add_q <= add_valid_i && next_half == h[0];
      if (next_half == h[0]) add_index_q <= add_index_i;
    end
    assign raddr = add_q ? add_index_q : drain_index_i;
    wg_lutram #(
      .Width(Bits),
      .Depth(AccumulatorDepth)
    ) u_mem (
      .clk_i,
      .we_i   (valid_q && half_q == h[0]),
      .waddr_i(index_q),
      .wdata_i(sum),
      .raddr_i(raddr),
      .rdata_o(add_read[h])
    );
    assign drain_read[h] = add_read[h];
  end

  always_comb begin
    old = add_read[half_q];
    for (int unsigned t = 0; t < TileLanes; t++) begin
      for (int unsigned c = 0; c < Channels; c++) begin
        sum[t][c] = {{(AccWidth - SumWidth){sum_i[t][c][SumWidth-1]}}, sum_i[t][c]}
                    + (keep_q ? old[t][c] : '0);
      end
    end
  end

  assign full_o  = full_q[drain_half_q];
  assign drained = drain_read[drain_half_q];
  for (genvar t = 0; t < int'(TileLanes); t++) begin : g_drain
    for (genvar c = 0; c < int'(Lanes); c++) begin : g_lane
      if (Config.Products == 2) begin : g_pair
        assign drain_o[t][c] = drain_upper_i[c] ? drained[t][Lanes+c] : drained[t][c];
      end else begin : g_one
        assign drain_o[t][c] = drained[t][c];
      end
    end
  end
  assign drain_added_o = touched_q[drain_half_q][drain_index_i];

  always_ff @(posedge clk_i) begin
    valid_q <= add_valid_i;
    last_q  <= add_last_i;
    index_q <= add_index_i;
    // A half begins untouched, and the step before may touch the same accumulator.
    keep_q  <= !add_first_i && !(valid_q && last_q)
               && (touched_q[half_q][add_index_i] || (valid_q && index_q == add_index_i));
    if (valid_q) touched_q[half_q][index_q] <= 1'b1;
    if (valid_q && last_q) begin
      full_q[half_q] <= 1'b1;
      half_q <= !half_q;
    end
    if (drain_done_i) begin
      full_q[drain_half_q]    <= 1'b0;
      touched_q[drain_half_q] <= '0;
      drain_half_q <= !drain_half_q;
    end
    if (!rst_ni || clear_i) begin
      valid_q      <= 1'b0;
      half_q       <= 1'b0;
      drain_half_q <= 1'b0;
      full_q       <= '0;
      touched_q    <= '0;
    end
  end

  // Of no use where there is one block.
  logic unused;
  assign unused = ^drain_upper_i;

  // The multipliers must not start a group without a free half, nor the drain free an empty one.
  `ASSERT(adds_to_a_free_half, clear_i || !valid_q || !full_q[half_q])
  `ASSERT(frees_a_full_half, clear_i || !drain_done_i || full_q[drain_half_q])
endmodule
