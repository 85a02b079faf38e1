// Sum of products over the input lanes, modulo 2^Bits: what tells the two sums of wg_packed_chain apart.
//
// A product is a sum of rows, one for each Booth digit of z (-2 to 2 times 4^row). Each row has a
// cascade of its own over the lanes, so an adder's bit takes one look-up table, multiplication
// included, and no register waits for more than one adder.
//
// It keeps step with wg_packed_chain: lane k's operands arrive k cycles after lane 0's, and the sum
// of a set of operands is on sum_o Lanes + 3 cycles after lane 0's operands were on the inputs.
module wg_residue_chain #(
  parameter int unsigned Lanes = 8,
  parameter int unsigned Bits  = 8
) (
  input  logic                       clk_i,
  input  logic [Lanes-1:0][Bits-1:0] z_i,
  input  logic [Lanes-1:0][Bits-1:0] w_i,
  output logic [Bits-1:0]            sum_o
);
  localparam int unsigned Rows = (Bits + 1) / 2;
  localparam int unsigned Pairs = (Rows + 1) / 2;

  logic [Lanes-1:0][Bits-1:0] z_q, w_q;
  always_ff @(posedge clk_i) begin
    z_q <= z_i;
    w_q <= w_i;
  end

  // Rows keep only the bits that are below 2^Bits once they have their weight.
  logic [2*Pairs-1:0][Bits-1:0] row_sum;
  for (genvar r = 0; r < int'(2 * Pairs); r++) begin : g_row
    if (r >= int'(Rows)) begin : g_none
      assign row_sum[r] = '0;
    end else begin : g_some
      localparam int unsigned Width = Bits - 2 * r;
      logic [Width-1:0] row_q[Lanes];
      for (genvar k = 0; k < int'(Lanes); k++) begin : g_lane
        logic [2:0] digit;
        logic [Width-1:0] addend, lanes_before;
        logic one, two, negative;
        if (r == 0) begin : g_lowest
          assign digit = {z_q[k][1:0], 1'b0};
        end else if (2 * r + 1 < Bits) begin : g_inner
          assign digit = z_q[k][2*r+1-:3];
        end else begin : g_odd
          assign digit = {1'b0, z_q[k][2*r-:2]};
        end
        assign one = digit[1] ^ digit[0];
        assign two = digit == 3'b100 || digit == 3'b011;
        assign negative = digit[2];
        assign addend = {Width{negative}} ^
            (({Width{one}} & w_q[k][Width-1:0]) | ({Width{two}} & (w_q[k][Width-1:0] << 1)));
        if (k == 0) begin : g_first
          assign lanes_before = '0;
        end else begin : g_next
          assign lanes_before = row_q[k-1];
        end
        always_ff @(posedge clk_i)
          row_q[k] <= Width'(({lanes_before, negative} + {addend, negative}) >> 1);
      end
      assign row_sum[r] = Bits'(row_q[Lanes-1]);
    end
  end

  logic [Pairs-1:0][Bits-1:0] pair_q;
  logic [Bits-1:0] total;
  always_comb begin
    total = '0;
    for (int unsigned p = 0; p < Pairs; p++) total = total + (pair_q[p] << (4 * p));
  end
  always_ff @(posedge clk_i) begin
    for (int unsigned p = 0; p < Pairs; p++) begin
      pair_q[p] <= row_sum[2*p] + (row_sum[2*p+1] << 2);
    end
    sum_o <= total;
  end
endmodule
