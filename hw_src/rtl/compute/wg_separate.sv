// Two sums out of the packed sum 2^Shift * high + low, with the help of high modulo 2^Residue.
//
// Its upper bits are q = high + floor(low / 2^Shift). Of the difference q - high all that counts is
// known modulo 2^Residue, so it is exact where it fits, which is where -2^(Shift + Residue - 1) <= low
// < 2^(Shift + Residue - 1). Both sums follow two cycles after the packed one. single_i says that high
// is zero: low may then be any number.
module wg_separate #(
  parameter int unsigned PackedWidth = 38,
  parameter int unsigned SumWidth    = 25,
  parameter int unsigned Shift       = 14,
  parameter int unsigned Residue     = 8
) (
  input  logic                          clk_i,
  input  logic signed [PackedWidth-1:0] packed_i,
  input  logic        [    Residue-1:0] residue_i,  // of high
  input  logic                          single_i,
  output logic signed [   SumWidth-1:0] low_o,
  output logic signed [   SumWidth-1:0] high_o
);
  localparam int unsigned Upper = SumWidth - Shift;  // bits of low above Shift
  typedef logic signed [SumWidth-1:0] sum_t;
  typedef logic signed [Upper-1:0] upper_t;

  sum_t q, q_q;
  logic signed [Residue-1:0] difference, difference_q;
  logic single_q;
  logic [Shift-1:0] lower_q;

  assign q = sum_t'($signed(packed_i[PackedWidth-1:Shift]));
  assign difference = q[Residue-1:0] - residue_i;

  always_ff @(posedge clk_i) begin
    q_q          <= q;
    difference_q <= difference;
    single_q     <= single_i;
    lower_q      <= packed_i[Shift-1:0];
    high_o       <= q_q - sum_t'(difference_q);
    low_o        <= {single_q ? q_q[Upper-1:0] : upper_t'(difference_q), lower_q};
  end
endmodule
