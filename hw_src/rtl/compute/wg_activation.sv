// The activation table for Lanes lanes: linear interpolation between 1025 entries, rounded half up
// to DataWidth bits and saturated.
//
// One word a cycle; outputs follow their inputs by Latency cycles, with use_i low too (then the
// low DataWidth bits of pre_i pass). A lane keeps even and odd entries in a block RAM each, so that
// it reads entries i and i + 1 at once. A word that enters after the cycle of a write sees it.
//
//   1 addresses   2, 3 block RAM   4 entries in order   5 difference   6, 7 product and sum (DSP48E1)
//   8 saturation
module wg_activation #(
  parameter int unsigned DataWidth = 8,  // 8 or 16
  parameter int unsigned Lanes = 8,
  parameter int unsigned SideWidth = 1  // passed along
) (
  input  logic                            clk_i,
  input  logic                            rst_ni,
  input  logic                            clear_i,
  // Table, loaded while no word is under way that uses it.
  input  logic                            we_i,
  input  logic [10:0]                     addr_i,
  input  logic [15:0]                     data_i,
  // Words.
  input  logic                            valid_i,
  input  logic                            use_i,
  input  logic [Lanes-1:0][15:0]          pre_i,
  input  logic [SideWidth-1:0]            side_i,
  output logic                            valid_o,
  output logic [Lanes-1:0][DataWidth-1:0] value_o,
  output logic [SideWidth-1:0]            side_o
);
  localparam int unsigned Latency = winogen_pkg::ActivationLatency;
  localparam int unsigned Shift = 6 + 16 - DataWidth;
  localparam int unsigned SumWidth = 24;
  // Entries 0, 2, ..., 1024 and 1, 3, ..., 1023.
  localparam int unsigned EvenDepth = 513;
  localparam int unsigned OddDepth = 512;
  typedef logic signed [16:0] step_t;
  typedef logic signed [SumWidth-1:0] sum_t;

  // Control and what passes along.
  logic [Latency-1:0] valid_q;
  logic use_table;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) valid_q <= '0;
    else valid_q <= {valid_q[Latency-2:0], valid_i};
  end
  assign valid_o = valid_q[Latency-1];

  wg_delay #(
    .Width(SideWidth),
    .Depth(Latency)
  ) u_side (
    .clk_i,
    .data_i(side_i),
    .data_o(side_o)
  );
  wg_delay #(
    .Width(1),
    .Depth(Latency - 1)
  ) u_use (
    .clk_i,
    .data_i(use_i),
    .data_o(use_table)
  );

  // Writes, registered for their fan-out.
  logic we_even_q, we_odd_q;
  logic [9:0] waddr_q;
  logic [15:0] wdata_q;
  always_ff @(posedge clk_i) begin
    we_even_q <= we_i && !addr_i[0];
    we_odd_q  <= we_i && addr_i[0];
    waddr_q   <= addr_i[10:1];
    wdata_q   <= data_i;
  end

  for (genvar l = 0; l < Lanes; l++) begin : g_lane
    // 1: upper 10 bits of pre + 32768 (the segment), and the other 6.
    logic [9:0] segment;
    logic [9:0] even_addr_q;
    logic [8:0] odd_addr_q;
    assign segment = {!pre_i[l][15], pre_i[l][14:6]};
    always_ff @(posedge clk_i) begin
      even_addr_q <= 10'(segment[9:1]) + 10'(segment[0]);
      odd_addr_q  <= segment[9:1];
    end

    // 2, 3
    logic [15:0] even, odd;
    wg_ram #(
      .Width(16),
      .Depth(EvenDepth)
    ) u_even (
      .clk_i,
      .we_i   (we_even_q),
      .waddr_i(waddr_q),
      .wdata_i(wdata_q),
      .raddr_i(even_addr_q),
      .rdata_o(even)
    );
    wg_ram #(
      .Width(16),
      .Depth(OddDepth)
    ) u_odd (
      .clk_i,
      .we_i   (we_odd_q),
      .waddr_i(waddr_q[8:0]),
      .wdata_i(wdata_q),
      .raddr_i(odd_addr_q),
      .rdata_o(odd)
    );

    logic swap;
    logic [5:0] fraction;
    logic [DataWidth-1:0] pass;
    wg_delay #(
      .Width(1),
      .Depth(3)
    ) u_swap (
      .clk_i,
      .data_i(segment[0]),
      .data_o(swap)
    );
    wg_delay #(
      .Width(6),
      .Depth(5)
    ) u_fraction (
      .clk_i,
      .data_i(pre_i[l][5:0]),
      .data_o(fraction)
    );
    wg_delay #(
      .Width(DataWidth),
      .Depth(Latency - 1)
    ) u_pass (
      .clk_i,
      .data_i(pre_i[l][DataWidth-1:0]),
      .data_o(pass)
    );

    logic signed [15:0] from_q, to_q;
    logic signed [16:0] step_q;
    logic signed [SumWidth-1:0] start_q, start2_q, product_q;
    logic signed [SumWidth-Shift-1:0] whole_q;

    always_ff @(posedge clk_i) begin
      // 4
      from_q    <= swap ? odd : even;
      to_q      <= swap ? even : odd;
      // 5
      step_q    <= step_t'(to_q) - step_t'(from_q);
      start_q   <= (sum_t'(from_q) <<< 6) + SumWidth'(1 << (Shift - 1));
      // 6
      product_q <= step_q * $signed({1'b0, fraction});
      start2_q  <= start_q;
      // 7
      whole_q   <= (SumWidth - Shift)'((product_q + start2_q) >>> Shift);
      // 8
      if (!use_table) value_o[l] <= pass;
      else if (whole_q[SumWidth-Shift-1:DataWidth-1] !=
               {(SumWidth - Shift - DataWidth + 1){whole_q[SumWidth-Shift-1]}})
        value_o[l] <= {whole_q[SumWidth-Shift-1], {(DataWidth - 1) {!whole_q[SumWidth-Shift-1]}}};
      else value_o[l] <= whole_q[DataWidth-1:0];
    end
  end
endmodule
