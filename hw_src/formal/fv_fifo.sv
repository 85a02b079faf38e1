// wg_fifo: what goes in comes out, in order and once; a valid head waits.
module fv_fifo (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       clear_i,
  input logic       wvalid_i,
  input logic [3:0] wdata_i,
  input logic       rready_i
);
  logic wready, rvalid;
  logic [3:0] rdata;

  wg_fifo #(
    .Width(4),
    .Depth(4)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i,
    .wready_o(wready),
    .wdata_i,
    .rvalid_o(rvalid),
    .rready_i,
    .rdata_o(rdata)
  );

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    assume (rst_ni == started_q);
  end

  // Any one item, followed through the queue.
  logic [4:0] chosen_q, pushed_q, popped_q;
  logic [3:0] data_q;
  logic push, pop, held_q;
  assign push = wvalid_i && wready;
  assign pop  = rvalid && rready_i;

  always_ff @(posedge clk_i) begin
    chosen_q <= chosen_q;
    if (!rst_ni || clear_i) begin
      pushed_q <= '0;
      popped_q <= '0;
    end else begin
      pushed_q <= pushed_q + 5'(push);
      popped_q <= popped_q + 5'(pop);
      if (push && pushed_q == chosen_q) data_q <= wdata_i;
    end
    held_q <= rst_ni && !clear_i && rvalid && !rready_i;

    if (rst_ni) begin
      assert (rvalid == (pushed_q != popped_q));
      assert (wready == (pushed_q - popped_q != 5'd4));
      if (held_q) assert (rvalid);
      if (rvalid && popped_q == chosen_q) assert (rdata == data_q);

      // For induction: the queue's pointers are the counts, and the item lies in its place.
      assert (u_dut.wptr_q == pushed_q[2:0] && u_dut.rptr_q == popped_q[2:0]);
      assert (pushed_q - popped_q <= 5'd4);
      if (chosen_q - popped_q < pushed_q - popped_q)
        assert (u_dut.u_mem.mem[chosen_q[1:0]] == data_q);
    end
  end
endmodule
