`include "wg_assert.svh"

// First-in first-out queue on distributed RAM; the head is on rdata_o while rvalid_o is high.
module wg_fifo #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 16,  // a power of two, at least 2
  localparam int unsigned AW = $clog2(Depth)
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             clear_i,
  input  logic             wvalid_i,
  output logic             wready_o,
  input  logic [Width-1:0] wdata_i,
  output logic             rvalid_o,
  input  logic             rready_i,
  output logic [Width-1:0] rdata_o
);
  logic [AW:0] wptr_q, rptr_q;

  assign wready_o = (wptr_q ^ rptr_q) != (AW + 1)'(Depth);  // once round, to the same place
  assign rvalid_o = wptr_q != rptr_q;

  wg_lutram #(
    .Width(Width),
    .Depth(Depth)
  ) u_mem (
    .clk_i,
    .we_i   (wvalid_i && wready_o),
    .waddr_i(wptr_q[AW-1:0]),
    .wdata_i,
    .raddr_i(rptr_q[AW-1:0]),
    .rdata_o
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      wptr_q <= '0;
      rptr_q <= '0;
    end else begin
      if (wvalid_i && wready_o) wptr_q <= wptr_q + 1'b1;
      if (rvalid_o && rready_i) rptr_q <= rptr_q + 1'b1;
    end
  end

  `ASSERT(no_more_than_fit, (wptr_q - rptr_q) <= (AW + 1)'(Depth))
`ifndef FORMAL  // fv_fifo proves it; in proofs of others it would only cost
  `ASSERT_HOLD(head_holds, rvalid_o, rready_i, rdata_o, clear_i)
`endif
endmodule
