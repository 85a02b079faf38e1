// Two sums of products over the input lanes for one tile, of one output channel of each of two
// blocks, from one cascade of DSPs: each multiplies 2^Shift * high + low weight by the operand that
// both have in common. A DSP's pre-adder makes that pair, or one adder of LUTs for all tiles.
//
// The sums are exact for weights that the compiler has checked: no upper one beyond
// 2^(24 - Shift) - 1, and no lower sum that wg_separate cannot tell. Where single_i is high, the upper
// weights are zero and the lower ones may be any.
//
// Lane k's operands must arrive k cycles after lane 0's; single_i comes with the packed sum, two
// cycles before the sums. They are on sum_o Lanes + 5 cycles after lane 0's operands were on the inputs.
module wg_packed_chain #(
  parameter  int unsigned Lanes       = 8,
  parameter  int unsigned ZWidth      = 10,
  parameter  int unsigned WeightWidth = 12,
  parameter  int unsigned Shift       = 14,
  parameter  int unsigned Residue     = 8,
  localparam int unsigned SumWidth    = ZWidth + WeightWidth + $clog2(Lanes)
) (
  input  logic                                   clk_i,
  input  logic [Lanes-1:0][ZWidth-1:0]           z_i,
  input  logic [1:0][Lanes-1:0][WeightWidth-1:0] w_i,  // lower and upper half
  input  logic                                   single_i,
  output logic [1:0][SumWidth-1:0]               sum_o
);
  localparam int unsigned PairWidth = 25;  // a DSP's pre-adder
  localparam int unsigned PackedWidth = PairWidth + ZWidth + $clog2(Lanes);
  typedef logic signed [PairWidth-1:0] pair_t;
  typedef logic signed [PackedWidth-1:0] packed_t;
  logic signed [ZWidth-1:0] z_q[Lanes], z2_q[Lanes];
  pair_t low_q[Lanes], high_q[Lanes], pair_q[Lanes];
  logic signed [PairWidth+ZWidth-1:0] m_q[Lanes];
  packed_t p_q[Lanes];

  always_ff @(posedge clk_i) begin
    for (int unsigned k = 0; k < Lanes; k++) begin
      low_q[k]  <= pair_t'($signed(w_i[0][k]));
      high_q[k] <= pair_t'({w_i[1][k], Shift'(0)});
      z_q[k]    <= $signed(z_i[k]);
      z2_q[k]   <= z_q[k];
      pair_q[k] <= low_q[k] + high_q[k];
      m_q[k]    <= z2_q[k] * pair_q[k];
      p_q[k]    <= (k == 0 ? '0 : p_q[k == 0 ? 0 : k-1]) + packed_t'(m_q[k]);
    end
  end

  logic [Lanes-1:0][Residue-1:0] z_residue, w_residue;
  logic [Residue-1:0] residue;
  for (genvar k = 0; k < int'(Lanes); k++) begin : g_residue
    assign z_residue[k] = Residue'($signed(z_i[k]));
    assign w_residue[k] = Residue'($signed(w_i[1][k]));
  end
  wg_residue_chain #(
    .Lanes(Lanes),
    .Bits(Residue)
  ) u_residue (
    .clk_i,
    .z_i  (z_residue),
    .w_i  (w_residue),
    .sum_o(residue)
  );

  wg_separate #(
    .PackedWidth(PackedWidth),
    .SumWidth(SumWidth),
    .Shift(Shift),
    .Residue(Residue)
  ) u_separate (
    .clk_i,
    .packed_i (p_q[Lanes-1]),
    .residue_i(residue),
    .single_i,
    .low_o    (sum_o[0]),
    .high_o   (sum_o[1])
  );
endmodule
