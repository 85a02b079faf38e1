// The memories between the engines: the input buffer in four banks by address modulo 4, the weight
// buffer in parts of two output lanes, and the output buffer. Data two cycles after the address.
module wg_buffers
  import wg_types_pkg::*;
#(
  parameter  config_t     Config   = DefaultConfig,
  localparam int unsigned Written  = Config.Lanes / 2,  // parts that come at once: of one block
  localparam int unsigned Parts    = weight_parts(Config),
  localparam int unsigned WordBits = word_bits(Config),
  localparam int unsigned PartBits = part_bits(Config),
  localparam int unsigned BankAw   = $clog2(bank_depth(Config)),
  localparam int unsigned WeightAw = $clog2(Config.WeightDepth),
  localparam int unsigned OutputAw = $clog2(Config.OutputDepth)
) (
  input  logic                           clk_i,
  input  logic [3:0]                     in_we_i,
  input  logic [3:0][BankAw-1:0]         in_waddr_i,
  input  logic [3:0][WordBits-1:0]       in_wdata_i,
  input  logic [3:0][BankAw-1:0]         in_raddr_i,
  output logic [3:0][WordBits-1:0]       in_rdata_o,
  input  logic [Parts-1:0]               weight_we_i,
  input  logic [WeightAw-1:0]            weight_waddr_i,
  input  logic [Written-1:0][PartBits-1:0] weight_wdata_i,
  input  logic [WeightAw-1:0]            weight_raddr_i,
  output logic [Parts-1:0][PartBits-1:0] weight_rdata_o,
  input  logic                           out_we_i,
  input  logic [OutputAw-1:0]            out_waddr_i,
  input  logic [WordBits-1:0]            out_wdata_i,
  input  logic [OutputAw-1:0]            out_raddr_i,
  output logic [WordBits-1:0]            out_rdata_o
);
  for (genvar b = 0; b < 4; b++) begin : g_input
    wg_ram #(
      .Width(WordBits),
      .Depth(bank_depth(Config))
    ) u_bank (
      .clk_i,
      .we_i(in_we_i[b]),
      .waddr_i(in_waddr_i[b]),
      .wdata_i(in_wdata_i[b]),
      .raddr_i(in_raddr_i[b]),
      .rdata_o(in_rdata_o[b])
    );
  end
  for (genvar p = 0; p < int'(Parts); p++) begin : g_weight
    wg_ram #(
      .Width(PartBits),
      .Depth(Config.WeightDepth)
    ) u_part (
      .clk_i,
      .we_i(weight_we_i[p]),
      .waddr_i(weight_waddr_i),
      .wdata_i(weight_wdata_i[p%Written]),
      .raddr_i(weight_raddr_i),
      .rdata_o(weight_rdata_o[p])
    );
  end
  wg_ram #(
    .Width(WordBits),
    .Depth(Config.OutputDepth)
  ) u_output (
    .clk_i,
    .we_i(out_we_i),
    .waddr_i(out_waddr_i),
    .wdata_i(out_wdata_i),
    .raddr_i(out_raddr_i),
    .rdata_o(out_rdata_o)
  );
endmodule
