`include "wg_assert.svh"

// First-in first-out queue on distributed RAM; the head is on rdata_o while rvalid_o is high.
// Whether there is room, and a head, are registers: what asks is often far away.
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
  logic [AW:0] wptr_q, rptr_q, wptr_next, rptr_next;
  logic push, pop, fills, empties;

  assign push = wvalid_i && wready_o;
  assign pop = rvalid_o && rready_i;
  assign wptr_next = wptr_q + 1'b1;
  assign rptr_next = rptr_q + 1'b1;
  assign fills = (wptr_next ^ rptr_q) == (AW + 1)'(Depth);  // once round, to the same place
  assign empties = rptr_next == wptr_q;

  wg_lutram #(
    .Width(Width),
    .Depth(Depth)
  ) u_mem (
    .clk_i,
    .we_i   (push),
    .waddr_i(wptr_q[AW-1:0]),
    .wdata_i,
    .raddr_i(rptr_q[AW-1:0]),
    .rdata_o
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      wptr_q   <= '0;
      rptr_q   <= '0;
      wready_o <= 1'b1;
      rvalid_o <= 1'b0;
    end else begin
      if (push) wptr_q <= wptr_next;
      if (pop) rptr_q <= rptr_next;
      wready_o <= pop || (wready_o && !(push && fills));
      rvalid_o <= push || (rvalid_o && !(pop && empties));
    end
  end

  `ASSERT(no_more_than_fit, (wptr_q - rptr_q) <= (AW + 1)'(Depth))
  `ASSERT(ready_is_room, wready_o == ((wptr_q ^ rptr_q) != (AW + 1)'(Depth)))
  `ASSERT(valid_is_head, rvalid_o == (wptr_q != rptr_q))
`ifndef FORMAL  // fv_fifo proves it; in proofs of others it would only cost
  `ASSERT_HOLD(head_holds, rvalid_o, rready_i, rdata_o, clear_i)
`endif
endmodule
