// Delays element k of a vector by k cycles, as a systolic cascade wants its operands.
module wg_skew #(
  parameter int unsigned Lanes = 8,
  parameter int unsigned Width = 10
) (
  input  logic                        clk_i,
  input  logic [Lanes-1:0][Width-1:0] data_i,
  output logic [Lanes-1:0][Width-1:0] data_o
);
  assign data_o[0] = data_i[0];
  for (genvar k = 1; k < int'(Lanes); k++) begin : g_lane
    logic [Width-1:0] line_q[k];
    always_ff @(posedge clk_i) begin
      line_q[0] <= data_i[k];
      for (int i = 1; i < k; i++) line_q[i] <= line_q[i-1];
    end
    assign data_o[k] = line_q[k-1];
  end
endmodule
