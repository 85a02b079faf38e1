// Where the patches of an instruction's tiles begin: walks the tiles of all images, row by row, and
// offers them in groups of TileLanes.
//
// The last group may have fewer tiles; last_o says which is the last.
module wg_patch_tiles
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  int unsigned TileLanes = 3,
  localparam int unsigned TileAw    = index_width(TileLanes)
) (
  input  logic                       clk_i,
  input  logic                       setup_i,        // the walk begins; the rest holds from here on
  input  logic                       walk_i,
  input  compute_t                   instruction_i,
  input  logic                       square_i,       // reads are 2 x 2
  input  logic [19:0]                first_row_i,    // words from the region's start to the first
                                                     // patch's first row
  input  logic [19:0]                image_words_i,  // an image
  // The group: its tiles' first pixels, in words and in rows and columns of the region.
  output logic                       group_valid_o,
  input  logic                       group_ready_i,
  output logic [TileLanes-1:0][19:0] addr_o,
  output logic [TileLanes-1:0][17:0] y_o,
  output logic [TileLanes-1:0][17:0] x_o,
  output logic [TileAw-1:0]          last_o,
  output logic                       final_o         // no group follows
);
  // The walk holds the next tile.
  logic [11:0] column_q, row_q, image_q;
  logic [19:0] addr_q, row_addr_q, image_addr_q;
  logic signed [17:0] y_q, x_q;
  logic [TileAw:0] count_q;
  logic [TileAw-1:0] place;
  logic last_x, last_y, last_n;
  logic [19:0] row_words;  // a row of tiles
  logic [19:0] first_addr;
  logic signed [17:0] first_y, first_x;

  assign group_valid_o = count_q == (TileAw + 1)'(TileLanes);
  assign place  = count_q[TileAw-1:0];
  assign last_x = column_q + 12'd1 == instruction_i.tiles_x;
  assign last_y = row_q + 12'd1 == instruction_i.tiles_y;
  assign last_n = image_q + 12'd1 == instruction_i.images;
  assign row_words = instruction_i.tile[1] ? {7'b0, instruction_i.pitch, 1'b0}
                                           : {8'b0, instruction_i.pitch};

  // The first patch; reads of rows begin at its column 0, reads of squares where it has pixels.
  logic [1:0] skipped;
  assign skipped = square_i ? instruction_i.patch_column : 2'd0;
  assign first_x = {{2{instruction_i.origin_x[15]}}, instruction_i.origin_x}
                   + $signed({16'b0, skipped});
  assign first_y = {{2{instruction_i.origin_y[15]}}, instruction_i.origin_y}
                   + $signed({16'b0, instruction_i.patch_row});
  assign first_addr = instruction_i.input_base + first_row_i
                      + {{4{instruction_i.origin_x[15]}}, instruction_i.origin_x} + 20'(skipped);

  always_ff @(posedge clk_i) begin
    if (setup_i) begin
      column_q     <= '0;
      row_q        <= '0;
      image_q      <= '0;
      final_o      <= 1'b0;
      count_q      <= '0;
      x_q          <= first_x;
      y_q          <= first_y;
      addr_q       <= first_addr;
      row_addr_q   <= first_addr;
      image_addr_q <= first_addr;
    end else if (walk_i) begin
      if (group_ready_i) count_q <= '0;
      else if (!group_valid_o) begin
        count_q       <= count_q + 1'b1;
        addr_o[place] <= addr_q;
        y_o[place]    <= y_q;
        x_o[place]    <= x_q;
        if (!final_o) begin
          last_o   <= place;
          column_q <= last_x ? '0 : column_q + 12'd1;
          x_q      <= last_x ? first_x : x_q + $signed({16'b0, instruction_i.tile});
          addr_q   <= addr_q + 20'(instruction_i.tile);
          if (last_x) begin
            row_q      <= last_y ? '0 : row_q + 12'd1;
            y_q        <= last_y ? first_y : y_q + $signed({16'b0, instruction_i.tile});
            addr_q     <= row_addr_q + row_words;
            row_addr_q <= row_addr_q + row_words;
            if (last_y) begin
              image_q      <= image_q + 12'd1;
              addr_q       <= image_addr_q + image_words_i;
              row_addr_q   <= image_addr_q + image_words_i;
              image_addr_q <= image_addr_q + image_words_i;
              final_o      <= last_n;
            end
          end
        end
      end
    end
  end

  // The rest of the instruction is for others.
  logic unused;
  assign unused = ^instruction_i;
endmodule
