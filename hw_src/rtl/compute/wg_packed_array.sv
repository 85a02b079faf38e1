// The multiplier array with two products a multiplier: sums over the input lanes for two blocks of
// output channels, those of the second above the first's.
//
// sum_o holds, for each tile and output channel, the sum for the operands of Lanes + 5 cycles ago.
// single_i comes with operands whose second block is all zero; its sums are then undefined.
module wg_packed_array
  import winogen_pkg::*;
#(
  parameter  int unsigned Lanes       = 8,
  parameter  int unsigned TileLanes   = 3,
  parameter  int unsigned ZWidth      = 10,
  parameter  int unsigned WeightWidth = 12,
  localparam int unsigned SumWidth    = ZWidth + WeightWidth + $clog2(Lanes)
) (
  input  logic                                              clk_i,
  input  logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0]       z_i,  // [tile][input channel]
  input  logic [2*Lanes-1:0][Lanes-1:0][WeightWidth-1:0]    w_i,  // [output channel][input channel]
  input  logic                                              single_i,
  output logic [TileLanes-1:0][2*Lanes-1:0][SumWidth-1:0]   sum_o
);
  logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0] z;
  logic [2*Lanes-1:0][Lanes-1:0][WeightWidth-1:0] w;
  logic single;

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
  for (genvar c = 0; c < int'(2 * Lanes); c++) begin : g_w
    wg_skew #(
      .Lanes(Lanes),
      .Width(WeightWidth)
    ) u_skew (
      .clk_i,
      .data_i(w_i[c]),
      .data_o(w[c])
    );
  end
  // It is wanted where the sums are told apart, two cycles before they are there.
  wg_delay #(
    .Width(1),
    .Depth(Lanes + 3)
  ) u_single (
    .clk_i,
    .data_i(single_i),
    .data_o(single)
  );
  for (genvar t = 0; t < int'(TileLanes); t++) begin : g_tile
    for (genvar c = 0; c < int'(Lanes); c++) begin : g_channel
      wg_packed_chain #(
        .Lanes(Lanes),
        .ZWidth(ZWidth),
        .WeightWidth(WeightWidth),
        .Shift(PackShift),
        .Residue(ResidueBits)
      ) u_chain (
        .clk_i,
        .z_i(z[t]),
        .w_i({w[Lanes+c], w[c]}),
        .single_i(single),
        .sum_o({sum_o[t][Lanes+c], sum_o[t][c]})
      );
    end
  end
endmodule
