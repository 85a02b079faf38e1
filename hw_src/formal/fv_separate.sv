// wg_separate: any two sums whose lower one keeps within its range come out as they went in.
module fv_separate
  import winogen_pkg::*;
(
  input logic               clk_i,
  input logic signed [24:0] high_i,
  input logic signed [24:0] low_i,
  input logic               single_i
);
  localparam int unsigned Range = PackShift + ResidueBits;
  typedef logic signed [37:0] sum_t;
  sum_t packed_sum;
  logic [24:0] low, high;
  assign packed_sum = (sum_t'(high_i) <<< PackShift) + sum_t'(low_i);

  wg_separate #(
    .PackedWidth(38),
    .SumWidth(25),
    .Shift(PackShift),
    .Residue(ResidueBits)
  ) u_dut (
    .clk_i,
    .packed_i (packed_sum),
    .residue_i(high_i[ResidueBits-1:0]),
    .single_i,
    .low_o    (low),
    .high_o   (high)
  );

  logic [1:0][24:0] high_q, low_q;
  logic [1:0] single_q, valid_q;
  initial valid_q = '0;
  always_ff @(posedge clk_i) begin
    // What an upper sum can be, with room for floor(low / 2^Shift); a lower one by itself is any.
    assume (high_i[24:22] == '0 || high_i[24:22] == '1);
    assume (single_i ? high_i == '0 : low_i[24:Range-1] == '0 || low_i[24:Range-1] == '1);
    high_q   <= {high_q[0], high_i};
    low_q    <= {low_q[0], low_i};
    single_q <= {single_q[0], single_i};
    valid_q  <= {valid_q[0], 1'b1};
    if (valid_q[1]) begin
      assert (low == low_q[1]);
      if (!single_q[1]) assert (high == high_q[1]);
    end
  end
endmodule
