// Shift register without reset: data_o is data_i of Depth cycles ago (Depth 0: a wire).
module wg_delay #(
  parameter int unsigned Width = 1,
  parameter int unsigned Depth = 1
) (
  input  logic             clk_i,
  input  logic [Width-1:0] data_i,
  output logic [Width-1:0] data_o
);
  if (Depth == 0) begin : g_wire
    // The port stays for a uniform instance.
    logic unused_clk;
    assign unused_clk = clk_i;
    assign data_o = data_i;
  end else begin : g_delay
    logic [Width-1:0] stage_q[Depth];

    always_ff @(posedge clk_i) begin
      stage_q[0] <= data_i;
      for (int unsigned i = 1; i < Depth; i++) stage_q[i] <= stage_q[i-1];
    end
    assign data_o = stage_q[Depth-1];
  end
endmodule
