`include "wg_assert.svh"

// Which AXI transactions are under way, for whoever wonders why nothing goes on. It looks at the
// ports and does nothing to them; what it says is two cycles old.
module wg_bus_state #(
  parameter int unsigned Ports = 4
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic [Ports-1:0]      offered_i,   // an address is on the port
  input  logic [Ports-1:0]      accepted_i,  // memory takes it
  input  logic [Ports-1:0]      answered_i,  // the last beat, or the response, of a burst
  output logic [Ports-1:0][3:0] bursts_o,    // accepted and not answered
  output logic [Ports-1:0]      address_o    // an address waits to be accepted
);
  logic [Ports-1:0] accepted_q, answered_q, waiting_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      accepted_q <= '0;
      answered_q <= '0;
      waiting_q  <= '0;
      address_o  <= '0;
      bursts_o   <= '0;
    end else begin
      accepted_q <= offered_i & accepted_i;
      answered_q <= answered_i;
      waiting_q  <= offered_i & ~accepted_i;
      address_o  <= waiting_q;
      for (int unsigned i = 0; i < Ports; i++) begin
        bursts_o[i] <= bursts_o[i] + 4'(accepted_q[i]) - 4'(answered_q[i]);
      end
    end
  end

  for (genvar i = 0; i < int'(Ports); i++) begin : gen_port
    `ASSERT(answers_a_burst, !answered_q[i] || accepted_q[i] || bursts_o[i] != '0)
    `ASSERT(bursts_that_count, !accepted_q[i] || answered_q[i] || bursts_o[i] != 4'hf)
  end
endmodule
