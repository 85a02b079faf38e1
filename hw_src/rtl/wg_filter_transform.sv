// Filter transform of Winograd F(2x2, 3x3): u = (2G) g (2G)^T at one position, for many filters.
//
// A new position, and other filters, every cycle; the result follows Latency = 5 cycles later. 2G
// has the rows (2 0 0), (1 1 1), (1 -1 1), (0 0 2): the columns of each row of g are combined, then
// the rows. Absent taps count as zero.
//
//   1 taps   2 outer columns   3 middle column   4 outer rows   5 middle row
module wg_filter_transform #(
  parameter int unsigned DataWidth = 8,
  parameter int unsigned Values = 32,  // filters side by side
  localparam int unsigned WeightWidth = DataWidth + 4
) (
  input  logic                             clk_i,
  input  logic [8:0]                       taps_i,      // bit 3 * row + column: the tap is there
  input  logic [3:0]                       position_i,  // 4 * row + column of u
  input  logic [8:0][Values*DataWidth-1:0] data_i,
  output logic [Values*WeightWidth-1:0]    data_o
);
  localparam int unsigned OuterWidth  = DataWidth + 1;
  localparam int unsigned ColumnWidth = DataWidth + 2;
  localparam int unsigned RowWidth    = DataWidth + 3;

  // What a row of 2G makes of a, b, c: two addends, each a, c or nothing, and then b or -b.
  typedef struct packed {
    logic first_a;
    logic first_c;
    logic second_a;
    logic second_c;
    logic middle;
    logic subtract;
  } select_t;

  function automatic select_t select(input logic [1:0] index, input logic a, b, c);
    select = '{
      first_a: a && index != 2'd3, first_c: c && index == 2'd3,
      second_a: a && index == 2'd0, second_c: c && index != 2'd0,
      middle: b && ^index, subtract: b && index == 2'd2
    };
  endfunction

  select_t [2:0] columns1_q, columns2_q;
  select_t rows3_q, rows4_q;
  logic [1:0] row1_q, row2_q;
  always_ff @(posedge clk_i) begin
    for (int unsigned r = 0; r < 3; r++) begin
      columns1_q[r] <= select(position_i[1:0], taps_i[3*r], taps_i[3*r+1], taps_i[3*r+2]);
    end
    columns2_q <= columns1_q;
    row1_q     <= position_i[3:2];
    row2_q     <= row1_q;
    rows3_q    <= select(row2_q, 1'b1, 1'b1, 1'b1);
    rows4_q    <= rows3_q;
  end

  logic [Values-1:0][8:0][DataWidth-1:0]   tap_q;
  logic [Values-1:0][2:0][OuterWidth-1:0]  outer_column_q;
  logic [Values-1:0][2:0][DataWidth-1:0]   middle_column_q;
  logic [Values-1:0][2:0][ColumnWidth-1:0] column_q;
  logic [Values-1:0][RowWidth-1:0]         outer_row_q;
  logic [Values-1:0][ColumnWidth-1:0]      middle_row_q;
  logic [Values-1:0][WeightWidth-1:0]      row_q;

  // One look-up table a bit of an adder: what selects its second addend shares it, and the bit below
  // the lowest carries in the one of a subtraction.
  always_ff @(posedge clk_i) begin
    for (int unsigned v = 0; v < Values; v++) begin
      for (int unsigned r = 0; r < 3; r++) begin
        logic [DataWidth-1:0] a, c, first, second, middle;
        for (int unsigned k = 0; k < 3; k++) begin
          tap_q[v][3*r+k] <= data_i[3*r+k][v*DataWidth+:DataWidth];
        end
        a = tap_q[v][3*r];
        c = tap_q[v][3*r+2];
        first  = (a & {DataWidth{columns1_q[r].first_a}}) | (c & {DataWidth{columns1_q[r].first_c}});
        second = (a & {DataWidth{columns1_q[r].second_a}})
                 | (c & {DataWidth{columns1_q[r].second_c}});
        outer_column_q[v][r]  <= OuterWidth'($signed(first)) + OuterWidth'($signed(second));
        middle_column_q[v][r] <= tap_q[v][3*r+1];
        middle = (middle_column_q[v][r] & {DataWidth{columns2_q[r].middle}})
                 ^ {DataWidth{columns2_q[r].subtract}};
        column_q[v][r] <= ColumnWidth'(($signed({outer_column_q[v][r], 1'b1})
                                        + (ColumnWidth + 1)'($signed({middle, columns2_q[r].subtract}))) >>> 1);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned v = 0; v < Values; v++) begin
      logic [ColumnWidth-1:0] a, c, first, second, middle;
      a = column_q[v][0];
      c = column_q[v][2];
      first  = (a & {ColumnWidth{rows3_q.first_a}}) | (c & {ColumnWidth{rows3_q.first_c}});
      second = (a & {ColumnWidth{rows3_q.second_a}}) | (c & {ColumnWidth{rows3_q.second_c}});
      outer_row_q[v]  <= RowWidth'($signed(first)) + RowWidth'($signed(second));
      middle_row_q[v] <= column_q[v][1];
      middle = (middle_row_q[v] & {ColumnWidth{rows4_q.middle}}) ^ {ColumnWidth{rows4_q.subtract}};
      row_q[v] <= WeightWidth'(($signed({outer_row_q[v], 1'b1})
                                + (WeightWidth + 1)'($signed({middle, rows4_q.subtract}))) >>> 1);
    end
  end

  assign data_o = row_q;
  logic unused;
  assign unused = ^{columns2_q, rows4_q};
endmodule
