// Simple dual-port block RAM: one write port, one read port, read data two cycles after the address.
//
// The second stage is the block's own output register. Reading a word in the cycle in which it is
// written gives the old word.
module wg_ram #(
  parameter int unsigned Width = 64,
  parameter int unsigned Depth = 512,
  localparam int unsigned AW = $clog2(Depth)
) (
  input  logic             clk_i,
  input  logic             we_i,
  input  logic [AW-1:0]    waddr_i,
  input  logic [Width-1:0] wdata_i,
  input  logic [AW-1:0]    raddr_i,
  output logic [Width-1:0] rdata_o
);
  (* ram_style = "block" *) logic [Width-1:0] mem[Depth];
  logic [Width-1:0] read_q;

  always_ff @(posedge clk_i) begin
    if (we_i) mem[waddr_i] <= wdata_i;
    read_q  <= mem[raddr_i];
    rdata_o <= read_q;
  end
endmodule
