// Filter transform of Winograd F(2x2, 3x3): u = (2G) g (2G)^T at one position, for many filters.
//
// Absent taps become zero, then the rows of each column are combined, then the columns. 2G has the rows
// (2 0 0), (1 1 1), (1 -1 1), (0 0 2), so each combination is two additions.
//
// With one side a new position, and other filters, come every cycle; the result follows FilterLatency
// cycles later. With two sides positions come row by row, each row's in rising order and for two cycles at
// least: filters of side 0 in a row's first cycle, those of side 1 in the next. The combined rows are kept
// for all positions of the row, so that both sides get a result every cycle, FilterLatency + 1 after the
// position.
//
// At row 1 and column 1, u is the sum of all taps: a tap that is alone passes as it is.
module wg_filter_transform #(
  parameter int unsigned DataWidth = 8,
  parameter int unsigned Values = 32,  // filters side by side, of a side
  parameter int unsigned Sides = 1,
  parameter int unsigned WeightWidth = DataWidth + 4,
  localparam int unsigned LineWidth = DataWidth + 2
) (
  input  logic                                     clk_i,
  input  logic [8:0]                               taps_i,      // bit 3 * row + column: the tap is there
  input  logic [3:0]                               position_i,  // 4 * row + column of u
  input  logic                                     first_i,     // of a row, in its first cycle
  input  logic [8:0][Values*DataWidth-1:0]         data_i,
  output logic [Sides-1:0][Values*WeightWidth-1:0] data_o
);
  typedef logic signed [WeightWidth-1:0] weight_t;
  typedef logic [2:0][Values*LineWidth-1:0] lines_t;  // a column each, at the position's row

  logic [8:0][Values*DataWidth-1:0] tap_q;
  lines_t lines;
  lines_t [Sides-1:0] lines_q;
  // Of the taps in tap_q, and then on to those of the lines.
  logic [Sides-1:0][3:0] position_q;
  logic [Sides-1:0] first_q;
  logic [1:0] column_q;  // of the lines

  // One row of 2G times a vector of three, of which `a` is zero for row 3. Each of the two adders is
  // one look-up table a bit, because one operand of each is taken as it is.
  function automatic weight_t combine(input logic [1:0] index, input weight_t a, b, c);
    weight_t outer, inner;
    outer = a + (index == 2'd0 ? a : c);
    unique case (index)
      2'd0:    inner = '0;
      2'd1:    inner = b;
      2'd2:    inner = ~b;
      default: inner = c;
    endcase
    combine = outer + inner + WeightWidth'(index == 2'd2);
  endfunction

  // Taps 0, 1, 2 are the `a` of a column's combination.
  logic [8:0] present;
  assign present = taps_i & ~(position_i[3:2] == 2'd3 ? 9'b000000111 : 9'b0);

  always_ff @(posedge clk_i) begin
    position_q <= (4 * Sides)'({position_q, position_i});
    first_q    <= Sides'({first_q, first_i});
    for (int unsigned t = 0; t < 9; t++) begin
      if (!present[t]) tap_q[t] <= '0;
      else tap_q[t] <= data_i[t];
    end
  end

  always_comb begin
    for (int unsigned v = 0; v < Values; v++) begin
      for (int unsigned c = 0; c < 3; c++) begin
        lines[c][v*LineWidth+:LineWidth] = LineWidth'(combine(
          position_q[0][3:2],
          weight_t'($signed(
              tap_q[c][v*DataWidth+:DataWidth]
          )),
          weight_t'($signed(
              tap_q[3+c][v*DataWidth+:DataWidth]
          )),
          weight_t'($signed(
              tap_q[6+c][v*DataWidth+:DataWidth]))
        ));
      end
    end
  end

  // Side 0 waits for side 1.
  if (Sides == 2) begin : gen_two
    lines_t before_q;
    always_ff @(posedge clk_i) before_q <= lines;
    always_ff @(posedge clk_i) begin
      if (first_q[1]) lines_q <= {lines, before_q};
      for (int unsigned s = 0; s < 2; s++) begin
        if (position_q[1][1:0] == 2'd3) lines_q[s][0] <= '0;
      end
    end
  end else begin : gen_one
    always_ff @(posedge clk_i) begin
      lines_q <= lines;
      if (position_q[0][1:0] == 2'd3) lines_q[0][0] <= '0;
    end
    logic unused;
    assign unused = ^first_q;
  end

  // Column 3 is a row's last: no other position needs the line that is cleared for it.
  always_ff @(posedge clk_i) begin
    column_q <= position_q[Sides-1][1:0];
    for (int unsigned s = 0; s < Sides; s++) begin
      for (int unsigned v = 0; v < Values; v++) begin
        data_o[s][v*WeightWidth+:WeightWidth] <= combine(
            column_q,
            weight_t'($signed(
                lines_q[s][0][v*LineWidth+:LineWidth]
            )),
            weight_t'($signed(
                lines_q[s][1][v*LineWidth+:LineWidth]
            )),
            weight_t'($signed(
                lines_q[s][2][v*LineWidth+:LineWidth]))
        );
      end
    end
  end
endmodule
