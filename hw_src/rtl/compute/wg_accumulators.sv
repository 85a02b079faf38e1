`include "wg_assert.svh"

// Accumulators of TileLanes tiles in two halves: one accumulates while the other is drained.
//
// An accumulator that nothing was added to since its half was freed is zero, whatever drain_o says.
//
//   0 a step   1 what was in its accumulator is read   2 its sums are added, and written
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
  // Accumulate: a step, and two cycles later its sums.
  input  logic                                          add_valid_i,
  input  logic [AccAw-1:0]                              add_index_i,
  input  logic                                          add_first_i,  // overwrite
  input  logic                                          add_last_i,   // the half is complete
  input  logic [TileLanes-1:0][Channels-1:0][SumWidth-1:0] sum_i,
  // Drain: answers a cycle later, with one block of channels.
  output logic                                          full_o,       // a half waits to be drained
  input  logic [AccAw-1:0]                              drain_index_i,  // of the next cycle
  input  logic [Lanes-1:0]                              drain_upper_i,  // lanes of the second block
  output logic [TileLanes-1:0][Lanes-1:0][AccWidth-1:0] drain_o,
  output logic                                          drain_added_o,  // else it is zero
  input  logic                                          drain_done_i  // frees the half
);
  localparam int unsigned Bits = TileLanes * Channels * AccWidth;

  // The step whose accumulator is read, and the one whose sums are added. Where there is none, the
  // half is that of the next.
  logic valid1_q, last1_q, keep1_q, forward1_q, half1_q;
  logic valid_q, last_q, half_q;
  logic [1:0] from_q;  // what it adds to: 0, 1 the sum of the step before, 2 and 3 what a half had
  logic [AccAw-1:0] index1_q, index_q, drain_index_q;
  logic drain_half_q;
  logic [1:0] full_q;
  logic [1:0][AccumulatorDepth-1:0] touched_q;
  logic [1:0][Bits-1:0] read, read_q;
  logic [TileLanes-1:0][Channels-1:0][AccWidth-1:0] old, sum, sum_q, drained;

  logic next_half;  // the half that the step on its way adds to
  assign next_half = half1_q ^ (valid1_q && last1_q);

  for (genvar h = 0; h < 2; h++) begin : g_half
    // One read port serves both: a half is never accumulated and drained at once. Its address drives
    // so much that nothing may come between.
    logic [AccAw-1:0] raddr_q;
    always_ff @(posedge clk_i) begin
      raddr_q <= add_valid_i && next_half == h[0] ? add_index_i : drain_index_i;
    end
    wg_lutram #(
      .Width(Bits),
      .Depth(AccumulatorDepth)
    ) u_mem (
      .clk_i,
      .we_i   (valid_q && half_q == h[0]),
      .waddr_i(index_q),
      .wdata_i(sum),
      .raddr_i(raddr_q),
      .rdata_o(read[h])
    );
  end

  // One look-up table a bit of the adder: what it adds to the sum is selected in it.
  always_comb begin
    old = from_q[1] ? read_q[from_q[0]] : from_q[0] ? sum_q : '0;
    for (int unsigned t = 0; t < TileLanes; t++) begin
      for (int unsigned c = 0; c < Channels; c++) begin
        sum[t][c] = {{(AccWidth - SumWidth) {sum_i[t][c][SumWidth-1]}}, sum_i[t][c]} + old[t][c];
      end
    end
  end

  assign full_o  = full_q[drain_half_q];
  assign drained = read[drain_half_q];
  for (genvar t = 0; t < int'(TileLanes); t++) begin : g_drain
    for (genvar c = 0; c < int'(Lanes); c++) begin : g_lane
      if (Config.Products == 2) begin : g_pair
        assign drain_o[t][c] = drain_upper_i[c] ? drained[t][Lanes+c] : drained[t][c];
      end else begin : g_one
        assign drain_o[t][c] = drained[t][c];
      end
    end
  end
  assign drain_added_o = touched_q[drain_half_q][drain_index_q];

  always_ff @(posedge clk_i) begin
    drain_index_q <= drain_index_i;
    valid1_q      <= add_valid_i;
    last1_q       <= add_last_i;
    index1_q      <= add_index_i;
    half1_q       <= next_half;
    // A half begins untouched, and the step before may touch the same accumulator: its sum is not in
    // memory yet.
    keep1_q       <= !add_first_i && !(valid1_q && last1_q)
                     && (touched_q[half1_q][add_index_i] || (valid1_q && index1_q == add_index_i));
    forward1_q    <= valid1_q && index1_q == add_index_i;
    if (valid1_q) touched_q[half1_q][index1_q] <= 1'b1;

    read_q        <= read;
    sum_q         <= sum;
    from_q        <= !keep1_q ? 2'd0 : forward1_q ? 2'd1 : {1'b1, half1_q};
    valid_q       <= valid1_q;
    last_q        <= last1_q;
    index_q       <= index1_q;
    half_q        <= half1_q;
    if (valid_q && last_q) full_q[half_q] <= 1'b1;
    if (drain_done_i) begin
      full_q[drain_half_q]    <= 1'b0;
      touched_q[drain_half_q] <= '0;
      drain_half_q <= !drain_half_q;
    end
    if (!rst_ni || clear_i) begin
      valid1_q     <= 1'b0;
      valid_q      <= 1'b0;
      half1_q      <= 1'b0;
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
