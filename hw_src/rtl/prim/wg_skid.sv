`include "wg_assert.svh"

// Two registers that pass one item a cycle and cut every path between the two sides, ready included.
module wg_skid #(
  parameter int unsigned Width = 8
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             wvalid_i,
  output logic             wready_o,
  input  logic [Width-1:0] wdata_i,
  output logic             rvalid_o,
  input  logic             rready_i,
  output logic [Width-1:0] rdata_o
);
  // The item that arrived in the cycle in which the far side stopped taking.
  logic spare_valid_q;
  logic [Width-1:0] spare_q;

  assign wready_o = !spare_valid_q;

  always_ff @(posedge clk_i) begin
    if (!rvalid_o || rready_i) rdata_o <= spare_valid_q ? spare_q : wdata_i;
    if (wready_o) spare_q <= wdata_i;

    if (!rst_ni) rvalid_o <= 1'b0;
    else if (!rvalid_o || rready_i) rvalid_o <= wvalid_i || spare_valid_q;
    // As one function: a synchronous reset would come after all that makes rready_i.
    spare_valid_q <= rst_ni && rvalid_o && !rready_i && (wvalid_i || spare_valid_q);
  end

  `ASSERT_HOLD(item_holds, rvalid_o, rready_i, rdata_o, 1'b0)
endmodule
