`include "wg_assert.svh"

// Last stage of the compute engine: partial sums, requantisation, activation, output buffer.
//
// A word of outputs enters each cycle. Its sum starts from the bias or from the partial-sum memory,
// and goes back there, or through the requantiser and the activation table to the output buffer.
//
//   0 word, partial-sum address   2 partial sum, parameters   3 total: written back, or
//   3..12 wg_requantise           12..20 wg_activation        20 output buffer
module wg_output
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  localparam int unsigned DataWidth = Config.DataWidth,
  localparam int unsigned Lanes     = Config.Lanes,
  localparam int unsigned AccWidth  = acc_width(Config),
  localparam int unsigned PsumAw    = $clog2(Config.PsumDepth),
  localparam int unsigned OutputAw  = $clog2(Config.OutputDepth),
  localparam int unsigned ParamAw   = $clog2(Config.ParamDepth)
) (
  input  logic                            clk_i,
  input  logic                            rst_ni,
  input  logic                            clear_i,
  // Words from wg_drain, and the instruction that they are of.
  input  compute_t                        instruction_i,
  input  word_t                           word_i,
  input  logic [Lanes-1:0][AccWidth-1:0]  data_i,
  output logic                            idle_o,   // no word is on its way
  output logic                            fault_o,  // level: a parameter entry is wrong
  // Parameters: one channel a write. Activation table.
  input  param_write_t                    par_i,
  input  logic                            act_we_i,
  input  logic [10:0]                     act_addr_i,
  input  logic [15:0]                     act_data_i,
  // Output buffer.
  output logic                            out_we_o,
  output logic [OutputAw-1:0]             out_waddr_o,
  output logic [Lanes-1:0][DataWidth-1:0] out_wdata_o
);
  // The data width's least and greatest number, in 16 bits.
  localparam logic signed [15:0] Highest = 16'((1 << (DataWidth - 1)) - 1);
  localparam logic signed [15:0] Lowest = ~Highest;

  // -- Partial sums ------------------------------------------------------------------------------

  logic [2:0] valid_q;
  logic [Lanes-1:0][AccWidth-1:0] word2, old2, total, total3_q;
  logic psum_we;
  logic [19:0] psum3;

  wg_ram #(
    .Width(Lanes * AccWidth),
    .Depth(Config.PsumDepth)
  ) u_psum (
    .clk_i,
    .we_i   (psum_we),
    .waddr_i(psum3[PsumAw-1:0]),
    .wdata_i(total3_q),
    .raddr_i(word_i.psum[PsumAw-1:0]),
    .rdata_o(old2)
  );
  wg_delay #(
    .Width(Lanes * AccWidth),
    .Depth(2)
  ) u_word (
    .clk_i,
    .data_i,
    .data_o(word2)
  );
  wg_delay #(
    .Width(20),
    .Depth(3)
  ) u_addr (
    .clk_i,
    .data_i(word_i.psum),
    .data_o(psum3)
  );
  assign psum_we = valid_q[2] && !instruction_i.last;

  always_ff @(posedge clk_i) begin
    valid_q  <= rst_ni && !clear_i ? {valid_q[1:0], word_i.valid} : '0;
    total3_q <= total;
  end

  // -- Parameters ----------------------------------------------------------------------------------

  typedef struct packed {
    logic signed [AccWidth-1:0] bias;
    logic [5:0]                 shift;
    logic signed [15:0]         positive;
    logic signed [15:0]         negative;
    logic                       empty;  // the clamp has no value
    logic                       wide;   // it is not within the data width
  } entry_t;
  typedef struct packed {
    logic signed [15:0] low;
    logic signed [15:0] high;
  } clamp_t;
  param_t par;
  assign par = decode_param(par_i.data);
  entry_t written;
  clamp_t written_clamp;
  entry_t [Lanes-1:0] param2, param3_q;
  clamp_t [Lanes-1:0] clamp;
  logic [9:0] param1_q, clamp_addr;
  logic [Lanes-1:0] bad, par_we_q;
  logic [ParamAw-1:0] par_addr_q;

  // The clamp is checked as it is written, for all lanes in one place.
  always_ff @(posedge clk_i) begin
    written <= '{
      bias: par.bias[AccWidth-1:0], shift: par.shift[5:0], positive: par.positive,
      negative: par.negative, empty: par.low > par.high,
      wide: par.low < Lowest || par.high > Highest
    };
    written_clamp <= '{low: par.low, high: par.high};
    par_addr_q    <= par_i.addr[ParamAw-1:0];
  end
  // The clamp follows when its value is there.
  wg_delay #(
    .Width(10),
    .Depth(RequantiseLatency)
  ) u_clamp_addr (
    .clk_i,
    .data_i(word_i.param),
    .data_o(clamp_addr)
  );
  for (genvar c = 0; c < int'(Lanes); c++) begin : g_param
    always_ff @(posedge clk_i) par_we_q[c] <= par_i.we && par_i.lane == 8'(c);
    wg_ram #(
      .Width($bits(entry_t)),
      .Depth(Config.ParamDepth)
    ) u_param (
      .clk_i,
      .we_i   (par_we_q[c]),
      .waddr_i(par_addr_q),
      .wdata_i(written),
      .raddr_i(word_i.param[ParamAw-1:0]),
      .rdata_o(param2[c])
    );
    wg_ram #(
      .Width($bits(clamp_t)),
      .Depth(Config.ParamDepth)
    ) u_clamp (
      .clk_i,
      .we_i   (par_we_q[c]),
      .waddr_i(par_addr_q),
      .wdata_i(written_clamp),
      .raddr_i(clamp_addr[ParamAw-1:0]),
      .rdata_o(clamp[c])
    );
    assign total[c] = word2[c] + (instruction_i.first ? param2[c].bias : old2[c]);
    // Without a table the clamp has to be within the data width; its own 16 bits limit it else.
    assign bad[c] = param3_q[c].empty || (!instruction_i.activation && param3_q[c].wide);
  end
  always_ff @(posedge clk_i) begin
    param1_q <= word_i.param;
    param3_q <= param2;
    if (valid_q[0] && param1_q >= 10'(Config.ParamDepth)) fault_o <= 1'b1;
    if (valid_q[2] && instruction_i.last && |bad) fault_o <= 1'b1;
    if (!rst_ni || clear_i) fault_o <= 1'b0;
  end

  // -- Where the output goes -------------------------------------------------------------------------

  logic [19:0] row1_q, column1_q, place2_q, place3_q;
  logic kept3, kept_r;
  logic [19:0] place_r;
  always_ff @(posedge clk_i) begin
    row1_q    <= 20'(word_i.row * instruction_i.output_columns);
    column1_q <= word_i.column;
    place2_q  <= instruction_i.output_base + row1_q + column1_q;
    place3_q  <= place2_q;
  end
  wg_delay #(
    .Width(1),
    .Depth(3)
  ) u_kept (
    .clk_i,
    .data_i(word_i.kept),
    .data_o(kept3)
  );
  wg_delay #(
    .Width(21),
    .Depth(RequantiseLatency)
  ) u_place (
    .clk_i,
    .data_i({kept3, place3_q}),
    .data_o({kept_r, place_r})
  );

  // -- Requantisation and activation -----------------------------------------------------------------

  logic [Lanes-1:0] requantised;
  logic [Lanes-1:0][15:0] value;
  for (genvar c = 0; c < int'(Lanes); c++) begin : g_requantise
    wg_requantise #(
      .AccWidth(AccWidth)
    ) u_requantise (
      .clk_i,
      .rst_ni,
      .clear_i,
      .valid_i   (valid_q[2] && instruction_i.last),
      .acc_i     (total3_q[c]),
      .positive_i(param3_q[c].positive),
      .negative_i(param3_q[c].negative),
      .shift_i   (param3_q[c].shift),
      .low_i     (clamp[c].low),
      .high_i    (clamp[c].high),
      .valid_o   (requantised[c]),
      .value_o   (value[c])
    );
  end

  logic [20:0] side;
  logic finished;
  wg_activation #(
    .DataWidth(DataWidth),
    .Lanes(Lanes),
    .SideWidth(21)
  ) u_activation (
    .clk_i,
    .rst_ni,
    .clear_i,
    .we_i   (act_we_i),
    .addr_i (act_addr_i),
    .data_i (act_data_i),
    .valid_i(requantised[0]),
    .use_i  (instruction_i.activation),
    .pre_i  (value),
    .side_i ({kept_r, place_r}),
    .valid_o(finished),
    .value_o(out_wdata_o),
    .side_o (side)
  );
  assign out_we_o    = finished && side[20];
  assign out_waddr_o = side[OutputAw-1:0];

  // -- Words on their way ----------------------------------------------------------------------------

  logic [5:0] count_q;
  assign idle_o = count_q == '0 && !word_i.valid;
  always_ff @(posedge clk_i) begin
    count_q <= count_q + 6'(word_i.valid) - 6'(finished || psum_we);
    if (!rst_ni || clear_i) count_q <= '0;
  end

  logic unused;
  assign unused = ^{instruction_i, psum3, side, word_i, par_i, par, clamp_addr, requantised};

  `ASSERT(words_are_counted, clear_i || !(finished || psum_we) || count_q != '0)
endmodule
