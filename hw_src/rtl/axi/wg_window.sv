`include "wg_assert.svh"

// Guards a master's port: a burst goes on only if its page lies in one of the windows. The first one
// that does not, and all behind it, stay here until clear_i.
//
// A burst crosses no page, so its first byte decides. On its way are a register behind the
// comparisons and one behind the verdict: no path leads through, ready included, and a burst a cycle does.
module wg_window
  import winogen_pkg::*;
#(
  parameter int unsigned AddrWidth = 64,
  parameter int unsigned Windows   = 1
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  clear_i,
  input  window_t [Windows-1:0] windows_i,
  input  logic                  burst_valid_i,
  output logic                  burst_ready_o,
  input  logic [AddrWidth-1:0]  burst_addr_i,
  input  logic [4:0]            burst_beats_i,
  input  logic                  burst_last_i,
  output logic                  burst_valid_o,
  input  logic                  burst_ready_i,
  output logic [AddrWidth-1:0]  burst_addr_o,
  output logic [4:0]            burst_beats_o,
  output logic                  burst_last_o,
  output logic                  refused_o       // level: the burst at burst_addr_o must not go on
);
  localparam int unsigned PageShift = $clog2(PageBytes);
  // Windows reach as far as their registers do; beyond, nothing is in one.
  localparam int unsigned Width = AddrWidth - PageShift > 32 ? AddrWidth - PageShift : 32;

  logic [Width-1:0] page;
  assign page = Width'(burst_addr_i[AddrWidth-1:PageShift]);

  // Where the burst lies, of each window.
  logic valid_d, valid_q, last_q, skid_ready;
  logic [AddrWidth-1:0] addr_q;
  logic [4:0] beats_q;
  logic [Windows-1:0] above_q, below_q;  // not below its first page, not above its last

  always_ff @(posedge clk_i) begin
    if (burst_ready_o) begin
      addr_q  <= burst_addr_i;
      beats_q <= burst_beats_i;
      last_q  <= burst_last_i;
      for (int unsigned i = 0; i < Windows; i++) begin
        above_q[i] <= page >= Width'(windows_i[i].first);
        below_q[i] <= page <= Width'(windows_i[i].last);
      end
    end
    if (!rst_ni || clear_i) valid_q <= 1'b0;
    else valid_q <= valid_d;
  end

  // The verdict.
  logic judged, allowed, judged_take;

  // There is room unless this register and both of those behind it are full. That is known a cycle
  // early, so that where bursts are cut nothing waits for it.
  logic spare_d;
  assign judged_take = burst_ready_i && allowed;
  assign valid_d     = burst_ready_o ? burst_valid_i : valid_q;
  assign spare_d     = judged && !judged_take && (valid_q || !skid_ready);
  always_ff @(posedge clk_i) begin
    burst_ready_o <= !rst_ni || clear_i || !valid_d || !spare_d;
  end

  wg_skid #(
    .Width(AddrWidth + 7)
  ) u_judged (
    .clk_i,
    .rst_ni  (rst_ni && !clear_i),
    .wvalid_i(valid_q),
    .wready_o(skid_ready),
    .wdata_i ({|(above_q & below_q), last_q, beats_q, addr_q}),
    .rvalid_o(judged),
    .rready_i(judged_take),
    .rdata_o ({allowed, burst_last_o, burst_beats_o, burst_addr_o})
  );

  assign burst_valid_o = judged && allowed;
  assign refused_o     = judged && !allowed;

  `ASSERT(ready_is_kept, clear_i || burst_ready_o == (!valid_q || skid_ready))
  `ASSERT_HOLD(burst_holds, burst_valid_o, burst_ready_i, ({burst_last_o, burst_beats_o,
                                                            burst_addr_o}), clear_i)
  `ASSERT_HOLD(refusal_stays, refused_o, 1'b0, burst_addr_o, clear_i)
endmodule
