// The multiplier array: Lanes x Lanes x TileLanes products a cycle, summed over the input lanes.
//
// sum_o holds, for each tile and output channel, the sum for the operands of Lanes + 2 cycles ago.
module wg_mac_array #(
  parameter int unsigned Lanes       = 8,
  parameter int unsigned TileLanes   = 3,
  parameter int unsigned ZWidth      = 10,
  parameter int unsigned WeightWidth = 12,
  localparam int unsigned SumWidth   = ZWidth + WeightWidth + $clog2(Lanes)
) (
  input  logic                                             clk_i,
  input  logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0]      z_i,  // [tile][input channel]
  input  logic [Lanes-1:0][Lanes-1:0][WeightWidth-1:0]     w_i,  // [output channel][input channel]
  output logic [TileLanes-1:0][Lanes-1:0][SumWidth-1:0]    sum_o
);
  logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0] z;
  logic [Lanes-1:0][Lanes-1:0][WeightWidth-1:0] w;

  for (genvar t = 0; t < int'(TileLanes); t++) begin : g_z
    wg_skew #(
      .Lanes(Lanes),
      .Width(ZWidth)
    ) u_skew (
      .clk_i,
      .data_i(z_i[t]),
      .data_o(z[t])
    );
  end
  for (genvar c = 0; c < int'(Lanes); c++) begin : g_w
    wg_skew #(
      .Lanes(Lanes),
      .Width(WeightWidth)
    ) u_skew (
      .clk_i,
      .data_i(w_i[c]),
      .data_o(w[c])
    );
  end
  for (genvar t = 0; t < int'(TileLanes); t++) begin : g_tile
    for (genvar c = 0; c < int'(Lanes); c++) begin : g_channel
      wg_mac_chain #(
        .Lanes(Lanes),
        .ZWidth(ZWidth),
        .WeightWidth(WeightWidth)
      ) u_chain (
        .clk_i,
        .z_i(z[t]),
        .w_i(w[c]),
        .sum_o(sum_o[t][c])
      );
    end
  end
endmodule
