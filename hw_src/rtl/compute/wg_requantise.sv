// One lane of the requantiser: clamp((acc * m + 2^(shift-1)) >> shift, low, high) with m = negative
// where acc < 0 and m = positive elsewhere.
//
// One value a cycle; valid_o and value_o follow their inputs by Latency cycles, low_i and high_i
// by one. Exact for every accumulator and multiplier and for shifts 1 to 62; low <= high is the
// caller's promise.
//
// The sum before the shift is not formed: it equals ((acc * m) >>> (shift - 1) + 1) >>> 1. The
// product is two DSP48E1: acc splits into LowWidth unsigned and the remaining signed bits, and the
// second adds the first one's product, shifted, to its own.
//
//   1 operands   2, 3 low product   3 high product   4 product   5, 6 shift   7 saturation to 18 bits
//   8 rounding   9 clamp
module wg_requantise #(
  parameter int unsigned AccWidth = 32  // 32 or 48
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,
  input  logic                       clear_i,
  input  logic                       valid_i,
  input  logic signed [AccWidth-1:0] acc_i,
  input  logic signed [15:0]         positive_i,
  input  logic signed [15:0]         negative_i,
  input  logic        [5:0]          shift_i,
  input  logic signed [15:0]         low_i,   // eight cycles after acc_i
  input  logic signed [15:0]         high_i,
  output logic                       valid_o,
  output logic signed [15:0]         value_o
);
  localparam int unsigned Latency = winogen_pkg::RequantiseLatency;
  // 17 bits for the cascade between neighbouring DSPs; 24 where two parts would not do otherwise.
  localparam int unsigned LowWidth = AccWidth > 42 ? 24 : 17;
  localparam int unsigned HighWidth = AccWidth - LowWidth;
  localparam int unsigned ProductWidth = AccWidth + 16;

  // Control.
  logic [Latency-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) valid_q <= '0;
    else valid_q <= {valid_q[Latency-2:0], valid_i};
  end
  assign valid_o = valid_q[Latency-1];

  // 1 to 4: the product.
  logic [LowWidth-1:0] low_acc_q;
  logic signed [HighWidth-1:0] high_acc_q, high_acc2_q;
  logic signed [15:0] mult_q, mult2_q;
  logic signed [LowWidth+15:0] low_m_q, low_p_q;
  logic signed [HighWidth+15:0] high_m_q, high_p_q;
  logic [LowWidth-1:0] low_p2_q;
  logic signed [ProductWidth-1:0] product;

  always_ff @(posedge clk_i) begin
    low_acc_q   <= acc_i[LowWidth-1:0];
    high_acc_q  <= acc_i[AccWidth-1:LowWidth];
    mult_q      <= acc_i[AccWidth-1] ? negative_i : positive_i;

    // A product of LowWidth unsigned and 16 signed bits has LowWidth + 16 signed bits.
    low_m_q     <= $signed({1'b0, low_acc_q}) * mult_q;
    high_acc2_q <= high_acc_q;
    mult2_q     <= mult_q;

    low_p_q     <= low_m_q;
    high_m_q    <= high_acc2_q * mult2_q;

    high_p_q    <= high_m_q
                   + {{HighWidth{low_p_q[LowWidth+15]}}, low_p_q[LowWidth+15:LowWidth]};
    low_p2_q    <= low_p_q[LowWidth-1:0];
  end
  assign product = {high_p_q, low_p2_q};

  // 5, 6: the shift, by multiples of 16 and by 0 to 15. What is too wide for 18 bits in the end is
  // found on the way: shifted by 16 n, by 4 n and by up to 3 places more, 33, 21 and 18 bits count.
  logic [5:0] places_q, places;
  logic [3:0] fine_q;
  logic signed [32:0] coarse_q;
  logic signed [20:0] middle;
  logic signed [20:0] shifted_q;
  logic coarse_wide_q, middle_wide, wide_q, sign5_q, sign_q;

  always_ff @(posedge clk_i) places_q <= shift_i - 6'd1;
  wg_delay #(
    .Width(6),
    .Depth(3)
  ) u_places (
    .clk_i,
    .data_i(places_q),
    .data_o(places)
  );

  always_comb begin
    middle      = 21'(coarse_q >>> {fine_q[3:2], 2'd0});
    middle_wide = 1'b0;
    for (int unsigned i = 0; i < 3; i++) begin
      if (fine_q[3:2] == 2'(i)) begin
        for (int unsigned bit_ = 20 + 4 * i; bit_ < 32; bit_++) begin
          if (coarse_q[bit_] != coarse_q[32]) middle_wide = 1'b1;
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin
    coarse_q      <= 33'(product >>> {places[5:4], 4'd0});
    coarse_wide_q <= 1'b0;
    for (int unsigned i = 0; i < 2; i++) begin
      if (places[5:4] == 2'(i)) begin
        for (int unsigned bit_ = 32 + 16 * i; bit_ < ProductWidth - 1; bit_++) begin
          // uncovered: no stimulus has such a sum with so small a shift; test_wg_requantise.py has
          if (product[bit_] != product[ProductWidth-1]) coarse_wide_q <= 1'b1;
        end
      end
    end
    fine_q    <= places[3:0];
    shifted_q <= middle >>> fine_q[1:0];
    wide_q    <= coarse_wide_q || middle_wide;
    sign5_q   <= product[ProductWidth-1];
    sign_q    <= sign5_q;
  end

  // 7 to 9: saturation, rounding, clamp.
  typedef logic signed [17:0] narrow_t;
  typedef logic signed [18:0] rounding_t;
  narrow_t narrow_q, rounded_q;

  always_ff @(posedge clk_i) begin
    if (wide_q || shifted_q[20:17] != {4{sign_q}}) narrow_q <= {sign_q, {17{!sign_q}}};
    else narrow_q <= shifted_q[17:0];

    rounded_q <= 18'((rounding_t'(narrow_q) + 19'sd1) >>> 1);

    if (rounded_q < narrow_t'(low_i)) value_o <= low_i;
    else if (rounded_q > narrow_t'(high_i)) value_o <= high_i;
    else value_o <= rounded_q[15:0];
  end
endmodule
