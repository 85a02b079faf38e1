// Takes the place of wg_lutram in proofs that hold whatever lies in a memory: it gives any data.
module wg_lutram #(
  parameter int unsigned Width = 64,
  parameter int unsigned Depth = 32,
  localparam int unsigned AW = Depth > 1 ? $clog2(Depth) : 1
) (
  input  logic             clk_i,
  input  logic             we_i,
  input  logic [AW-1:0]    waddr_i,
  input  logic [Width-1:0] wdata_i,
  input  logic [AW-1:0]    raddr_i,
  output logic [Width-1:0] rdata_o
);
  logic [Width-1:0] any;  // never driven: the proof chooses it
  assign rdata_o = any;
  logic unused;
  assign unused = ^{clk_i, we_i, waddr_i, wdata_i, raddr_i};
endmodule
