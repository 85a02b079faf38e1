// wg_residue_chain: Booth's rows are the product modulo 2^Bits, for any operands of a lane.
//
// What a lane adds to is proved by simulation: adders in a row are no question of arithmetic.
module fv_residue_chain
  import winogen_pkg::*;
(
  input logic                   clk_i,
  input logic [ResidueBits-1:0] z_i,
  input logic [ResidueBits-1:0] w_i
);
  typedef logic [ResidueBits-1:0] residue_t;
  residue_t sum;

  wg_residue_chain #(
    .Lanes(1),
    .Bits(ResidueBits)
  ) u_dut (
    .clk_i,
    .z_i,
    .w_i,
    .sum_o(sum)
  );

  residue_t product_q[4];
  logic [3:0] valid_q = '0;
  always_ff @(posedge clk_i) begin
    product_q[0] <= z_i * w_i;
    for (int unsigned i = 1; i < 4; i++) product_q[i] <= product_q[i-1];
    valid_q <= {valid_q[2:0], 1'b1};
    if (valid_q[3]) assert (sum == product_q[3]);
  end
endmodule
