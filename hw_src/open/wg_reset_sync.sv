// The processing system's reset, brought into the clock of the logic: begins with it, at once, and
// ends with an edge of the clock. Low from configuration on, until Stages cycles have passed.
module wg_reset_sync #(
  parameter int unsigned Stages = 4  // at least 2
) (
  input  logic clk_i,
  input  logic rst_async_ni,
  output logic rst_no
);
  logic [Stages-1:0] chain_q;

  initial chain_q = '0;

  always_ff @(posedge clk_i or negedge rst_async_ni) begin
    if (!rst_async_ni) chain_q <= '0;
    else chain_q <= {chain_q[Stages-2:0], 1'b1};
  end
  assign rst_no = chain_q[Stages-1];
endmodule
