// The operand registers of the weights, and the multiplier array that the build has: one product a
// multiplier, or two. Channels of a second block of outputs follow those of the first.
//
// sum_o holds the sums for the z_i, and the weights of the cycle before, of sum_latency cycles ago.
module wg_array
  import wg_types_pkg::*;
#(
  parameter  config_t     Config      = DefaultConfig,
  localparam int unsigned Lanes       = Config.Lanes,
  localparam int unsigned Channels    = Config.Products * Lanes,
  localparam int unsigned TileLanes   = Config.TileLanes,
  localparam int unsigned ZWidth      = z_width(Config),
  localparam int unsigned WeightWidth = weight_width(Config),
  localparam int unsigned SumWidth    = sum_width(Config)
) (
  input  logic                                             clk_i,
  input  logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0]      z_i,
  input  logic [Channels-1:0][Lanes-1:0][WeightWidth-1:0]  weight_i,
  input  logic                                             pair_i,  // there is a second block
  output logic [TileLanes-1:0][Channels-1:0][SumWidth-1:0] sum_o
);
  logic [Channels-1:0][Lanes-1:0][WeightWidth-1:0] weight_q;

  if (Config.Products == 2) begin : g_packed
    logic single_q;
    always_ff @(posedge clk_i) begin
      weight_q <= weight_i;
      if (!pair_i) weight_q[Channels-1:Lanes] <= '0;
      single_q <= !pair_i;
    end
    wg_packed_array #(
      .Lanes(Lanes),
      .TileLanes(TileLanes),
      .ZWidth(ZWidth),
      .WeightWidth(WeightWidth)
    ) u_multipliers (
      .clk_i,
      .z_i,
      .w_i(weight_q),
      .single_i(single_q),
      .sum_o
    );
  end else begin : g_single
    always_ff @(posedge clk_i) weight_q <= weight_i;
    wg_mac_array #(
      .Lanes(Lanes),
      .TileLanes(TileLanes),
      .ZWidth(ZWidth),
      .WeightWidth(WeightWidth)
    ) u_multipliers (
      .clk_i,
      .z_i,
      .w_i(weight_q),
      .sum_o
    );
    logic unused;
    assign unused = pair_i;
  end
endmodule
