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
  logic [TileAw-1:0] place_q;  // of the next tile in the group
  logic group_valid_q;
  logic last_x_q, last_y_q, last_n_q;  // the walk is at the last column, row, image
  logic [19:0] row_words;  // a row of tiles
  logic [19:0] first_addr;
  logic signed [17:0] first_y, first_x;

  assign group_valid_o = group_valid_q;
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
      last_x_q     <= instruction_i.tiles_x == 12'd1;
      last_y_q     <= instruction_i.tiles_y == 12'd1;
      last_n_q     <= instruction_i.images == 12'd1;
      final_o      <= 1'b0;
      place_q      <= '0;
      group_valid_q <= 1'b0;
      x_q          <= first_x;
      y_q          <= first_y;
      addr_q       <= first_addr;
      row_addr_q   <= first_addr;
      image_addr_q <= first_addr;
    end else if (walk_i) begin
      if (group_ready_i) begin
        place_q       <= '0;
        group_valid_q <= 1'b0;
      end else if (!group_valid_q) begin
        place_q         <= place_q + 1'b1;
        group_valid_q   <= place_q == TileAw'(TileLanes - 1);
        addr_o[place_q] <= addr_q;
        y_o[place_q]    <= y_q;
        x_o[place_q]    <= x_q;
        if (!final_o) begin
          last_o   <= place_q;
          column_q <= last_x_q ? '0 : column_q + 12'd1;
          last_x_q <= instruction_i.tiles_x == (last_x_q ? 12'd1 : column_q + 12'd2);
          x_q      <= last_x_q ? first_x : x_q + $signed({16'b0, instruction_i.tile});
          addr_q   <= addr_q + 20'(instruction_i.tile);
          if (last_x_q) begin
            row_q      <= last_y_q ? '0 : row_q + 12'd1;
            last_y_q   <= instruction_i.tiles_y == (last_y_q ? 12'd1 : row_q + 12'd2);
            y_q        <= last_y_q ? first_y : y_q + $signed({16'b0, instruction_i.tile});
            addr_q     <= row_addr_q + row_words;
            row_addr_q <= row_addr_q + row_words;
            if (last_y_q) begin
              image_q      <= image_q + 12'd1;
              last_n_q     <= instruction_i.images == image_q + 12'd2;
              addr_q       <= image_addr_q + image_words_i;
              row_addr_q   <= image_addr_q + image_words_i;
              image_addr_q <= image_addr_q + image_words_i;
              final_o      <= last_n_q;
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
