// Filter transform of Winograd F(2x2, 3x3): u = (2G) g (2G)^T at one position, for many filters.
//
// A new position, and other filters, every cycle; the result follows FilterLatency cycles later:
// absent taps become zero, then the columns of each row are combined, then the rows. 2G has the
// rows (2 0 0), (1 1 1), (1 -1 1), (0 0 2), so each combination is two additions.
module wg_filter_transform #(
  parameter int unsigned DataWidth = 8,
  parameter int unsigned Values = 32,  // filters side by side
  localparam int unsigned ColumnWidth = DataWidth + 2,
  localparam int unsigned WeightWidth = DataWidth + 4
) (
  input  logic                             clk_i,
  input  logic [8:0]                       taps_i,      // bit 3 * row + column: the tap is there
  input  logic [3:0]                       position_i,  // 4 * row + column of u
  input  logic [8:0][Values*DataWidth-1:0] data_i,
  output logic [Values*WeightWidth-1:0]    data_o
);
  typedef logic signed [WeightWidth-1:0] weight_t;

  logic [8:0][Values*DataWidth-1:0] tap_q;
  logic [2:0][Values*ColumnWidth-1:0] column_q;
  logic [3:0] position_q;
  logic [1:0] row_q;

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

  // Taps 0, 3, 6 are the `a` of a row's combination.
  logic [8:0] present;
  assign present = taps_i & ~(position_i[1:0] == 2'd3 ? 9'b001001001 : 9'b0);

  always_ff @(posedge clk_i) begin
    position_q <= position_i;
    row_q      <= position_q[3:2];
    for (int unsigned t = 0; t < 9; t++) begin
      if (!present[t]) tap_q[t] <= '0;
      else tap_q[t] <= data_i[t];
    end
    for (int unsigned v = 0; v < Values; v++) begin
      for (int unsigned r = 0; r < 3; r++) begin
        column_q[r][v*ColumnWidth+:ColumnWidth] <= ColumnWidth'(combine(
            position_q[1:0],
            weight_t'($signed(
                tap_q[3*r][v*DataWidth+:DataWidth]
            )),
            weight_t'($signed(
                tap_q[3*r+1][v*DataWidth+:DataWidth]
            )),
            weight_t'($signed(
                tap_q[3*r+2][v*DataWidth+:DataWidth]))
        ));
      end
      if (position_q[3:2] == 2'd3) column_q[0][v*ColumnWidth+:ColumnWidth] <= '0;
      data_o[v*WeightWidth+:WeightWidth] <= combine(
          row_q,
          weight_t'($signed(
              column_q[0][v*ColumnWidth+:ColumnWidth]
          )),
          weight_t'($signed(
              column_q[1][v*ColumnWidth+:ColumnWidth]
          )),
          weight_t'($signed(
              column_q[2][v*ColumnWidth+:ColumnWidth]))
      );
    end
  end
endmodule
