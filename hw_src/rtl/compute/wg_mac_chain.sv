// Sum of products over the input lanes for one tile and one output channel: a cascade of DSPs.
//
// Lane k's operands must arrive k cycles after lane 0's. The sum of a set of operands is on sum_o
// Lanes + 2 cycles after lane 0's operands were on the inputs.
module wg_mac_chain #(
  parameter int unsigned Lanes       = 8,
  parameter int unsigned ZWidth      = 10,
  parameter int unsigned WeightWidth = 12,
  localparam int unsigned SumWidth   = ZWidth + WeightWidth + $clog2(Lanes)
) (
  input  logic                              clk_i,
  input  logic [Lanes-1:0][ZWidth-1:0]      z_i,
  input  logic [Lanes-1:0][WeightWidth-1:0] w_i,
  output logic signed [SumWidth-1:0]        sum_o
);
  typedef logic signed [SumWidth-1:0] sum_t;
  logic signed [ZWidth-1:0] z_q[Lanes];
  logic signed [WeightWidth-1:0] w_q[Lanes];
  logic signed [ZWidth+WeightWidth-1:0] m_q[Lanes];
  sum_t p_q[Lanes];

  always_ff @(posedge clk_i) begin
    for (int unsigned k = 0; k < Lanes; k++) begin
      z_q[k] <= $signed(z_i[k]);
      w_q[k] <= $signed(w_i[k]);
      m_q[k] <= z_q[k] * w_q[k];
      p_q[k] <= (k == 0 ? '0 : p_q[k == 0 ? 0 : k-1]) + sum_t'(m_q[k]);
    end
  end
  assign sum_o = p_q[Lanes-1];
endmodule
