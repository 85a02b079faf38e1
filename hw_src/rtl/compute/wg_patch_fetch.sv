// First stage of the compute engine: reads patches from the input buffer into the patch buffer.
//
// A slot of the patch buffer holds one block of input channels of TileLanes tiles. For every group
// of tiles and every block it fetches, tile after tile, the pixels of the patch: four a cycle,
// a row of the patch (1 x 4), or a square (2 x 2) where the patch is at most two columns wide and
// direct. Either way the four lie in different banks of the input buffer, because the pitch of a
// region is 2 modulo 4. Winograd patches leave here with their rows transformed (z B); the columns
// follow when the patch is read (wg_patch_buffer).
module wg_patch_fetch
  import winogen_pkg::*;
#(
  parameter int unsigned DataWidth  = 8,
  parameter int unsigned Lanes      = 8,
  parameter int unsigned TileLanes  = 3,
  parameter int unsigned InputDepth = 16384,
  parameter int unsigned Slots      = 8,
  localparam int unsigned WordBits  = Lanes * DataWidth,
  localparam int unsigned BankAw    = $clog2(InputDepth / 4),
  localparam int unsigned SlotAw    = $clog2(Slots),
  localparam int unsigned TileAw    = TileLanes > 1 ? $clog2(TileLanes) : 1,
  localparam int unsigned RowBits   = Lanes * (DataWidth + 1)
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      clear_i,
  // The instruction.
  input  logic                      start_valid_i,
  output logic                      start_ready_o,
  input  compute_t                  start_i,
  // Input buffer: data two cycles after the address.
  output logic [3:0][BankAw-1:0]    in_raddr_o,
  input  logic [3:0][WordBits-1:0]  in_rdata_i,
  // Patch buffer: banks by column + 2 * (row mod 2).
  output logic [3:0]                patch_we_o,
  output logic [TileAw-1:0]         patch_tile_o,
  output logic [3:0][SlotAw+1:0]    patch_waddr_o,
  output logic [3:0][RowBits-1:0]   patch_wdata_o,
  // Slots, in order: filled here, freed by the multipliers.
  output logic                      slot_filled_o,
  output logic                      slot_last_o,    // of the instruction's last group
  input  logic                      slot_freed_i
);
  // -- Set-up: products that the address counters need, by one multiplier ---------------------

  typedef enum logic [2:0] {Idle, MulRegion, MulImage, MulOrigin, Settle, Walk} state_e;
  state_e state_q;
  compute_t d_q;
  logic signed [20:0] mul_a;
  logic signed [12:0] mul_b;
  logic [19:0] product_q;
  logic [19:0] region_q, image_q;  // words of a channel block, and of an image
  logic finished;

  assign start_ready_o = state_q == Idle;

  always_comb begin
    case (state_q)
      MulRegion: begin mul_a = $signed({9'b0, d_q.rows});     mul_b = $signed({1'b0, d_q.pitch}); end
      MulImage:  begin mul_a = $signed({1'b0, product_q});    mul_b = $signed({1'b0, d_q.blocks}); end
      default: begin
        mul_a = 21'(d_q.origin_y) + $signed({19'b0, d_q.patch_row});
        mul_b = $signed({1'b0, d_q.pitch});
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    product_q <= 20'(mul_a * mul_b);
    if (start_valid_i && start_ready_o) d_q <= start_i;
    if (state_q == MulImage) region_q <= product_q;
    if (state_q == MulOrigin) image_q <= product_q;
    case (state_q)
      Idle:      if (start_valid_i) state_q <= MulRegion;
      MulRegion: state_q <= MulImage;
      MulImage:  state_q <= MulOrigin;
      MulOrigin: state_q <= Settle;
      Settle:    state_q <= Walk;
      default:   if (finished) state_q <= Idle;
    endcase
    if (!rst_ni || clear_i) state_q <= Idle;
  end

  logic square;
  assign square = !d_q.winograd && d_q.patch_columns <= 3'd2;

  // -- Tiles: where the patches of the next group begin --------------------------------------

  // The walk holds the next tile; nxt_* collects a group, cur_* is the group that is fetched.
  logic [11:0] walk_x_q, walk_y_q, walk_n_q;
  logic [19:0] walk_addr_q, walk_row_q, walk_image_q;
  logic signed [17:0] walk_py_q, walk_px_q;
  logic walk_end_q;
  logic [TileAw:0] nxt_count_q;
  logic [TileLanes-1:0][19:0] nxt_addr_q, cur_addr_q;
  logic [TileLanes-1:0][17:0] nxt_y_q, nxt_x_q, cur_y_q, cur_x_q;
  logic [TileAw-1:0] nxt_last_q, cur_last_q;  // last valid tile of the group
  logic cur_final_q;                          // no group follows
  logic nxt_full, load_group, cur_valid_q;

  assign nxt_full = nxt_count_q == (TileAw + 1)'(TileLanes);

  logic last_x, last_y, last_n;
  assign last_x = walk_x_q + 12'd1 == d_q.tiles_x;
  assign last_y = walk_y_q + 12'd1 == d_q.tiles_y;
  assign last_n = walk_n_q + 12'd1 == d_q.images;
  logic [19:0] tile_rows;
  assign tile_rows = d_q.tile[1] ? {7'b0, d_q.pitch, 1'b0} : {8'b0, d_q.pitch};

  always_ff @(posedge clk_i) begin
    if (state_q == Settle) begin
      walk_x_q     <= '0;
      walk_y_q     <= '0;
      walk_n_q     <= '0;
      walk_end_q   <= 1'b0;
      nxt_count_q  <= '0;
      walk_px_q    <= 18'(d_q.origin_x) + (square ? $signed({16'b0, d_q.patch_column}) : 18'sd0);
      walk_py_q    <= 18'(d_q.origin_y) + $signed({16'b0, d_q.patch_row});
      walk_addr_q  <= d_q.input_base + product_q + 20'(d_q.origin_x)
                      + (square ? 20'(d_q.patch_column) : 20'd0);
      walk_row_q   <= d_q.input_base + product_q + 20'(d_q.origin_x)
                      + (square ? 20'(d_q.patch_column) : 20'd0);
      walk_image_q <= d_q.input_base + product_q + 20'(d_q.origin_x)
                      + (square ? 20'(d_q.patch_column) : 20'd0);
    end else if (state_q == Walk) begin
      if (load_group) nxt_count_q <= '0;
      else if (!nxt_full) begin
        nxt_count_q <= nxt_count_q + 1'b1;
        nxt_addr_q[nxt_count_q[TileAw-1:0]] <= walk_addr_q;
        nxt_y_q[nxt_count_q[TileAw-1:0]]    <= walk_py_q;
        nxt_x_q[nxt_count_q[TileAw-1:0]]    <= walk_px_q;
        if (!walk_end_q) begin
          nxt_last_q <= nxt_count_q[TileAw-1:0];
          walk_x_q    <= last_x ? '0 : walk_x_q + 12'd1;
          walk_px_q   <= last_x ? 18'(d_q.origin_x)
                                  + (square ? $signed({16'b0, d_q.patch_column}) : 18'sd0)
                                : walk_px_q + $signed({16'b0, d_q.tile});
          walk_addr_q <= walk_addr_q + 20'(d_q.tile);
          if (last_x) begin
            walk_y_q    <= last_y ? '0 : walk_y_q + 12'd1;
            walk_py_q   <= last_y ? 18'(d_q.origin_y) + $signed({16'b0, d_q.patch_row})
                                  : walk_py_q + $signed({16'b0, d_q.tile});
            walk_addr_q <= walk_row_q + tile_rows;
            walk_row_q  <= walk_row_q + tile_rows;
            if (last_y) begin
              walk_n_q     <= walk_n_q + 12'd1;
              walk_addr_q  <= walk_image_q + image_q;
              walk_row_q   <= walk_image_q + image_q;
              walk_image_q <= walk_image_q + image_q;
              walk_end_q   <= last_n;
            end
          end
        end
      end
    end
  end

  // -- The fetch: block, tile, read ------------------------------------------------------------

  logic [11:0] block_q;
  logic [TileAw-1:0] tile_q;
  logic [1:0] read_q;
  logic [19:0] block_off_q, row_off_q;  // row_off_q includes block_off_q
  logic [SlotAw-1:0] slot_q;
  logic [SlotAw:0] slots_used_q;
  logic nxt_none_q;  // every tile has been loaded into cur
  logic issue, last_read, last_tile, last_block;
  logic [19:0] read_step;

  assign read_step  = square ? {7'b0, d_q.pitch, 1'b0} : {8'b0, d_q.pitch};
  // Squares take two patch rows a read.
  assign last_read  = square ? {1'b0, read_q, 1'b0} + 4'd2 >= {1'b0, d_q.patch_rows}
                             : {2'b0, read_q} + 4'd1 >= {1'b0, d_q.patch_rows};
  assign last_tile  = tile_q == cur_last_q;
  assign last_block = block_q + 12'd1 == d_q.blocks;
  assign issue      = cur_valid_q && (slots_used_q != (SlotAw + 1)'(Slots));
  assign load_group = state_q == Walk && nxt_full && !nxt_none_q
                      && (!cur_valid_q || (issue && last_read && last_tile && last_block));
  assign finished   = nxt_none_q && (!cur_valid_q || (issue && last_read && last_tile && last_block));

  always_ff @(posedge clk_i) begin
    if (state_q == Settle) nxt_none_q <= 1'b0;
    if (issue) begin
      read_q    <= last_read ? '0 : read_q + 2'd1;
      row_off_q <= last_read ? block_off_q : row_off_q + read_step;
      if (last_read) begin
        tile_q <= last_tile ? '0 : tile_q + 1'b1;
        if (last_tile) begin
          slot_q      <= slot_q + 1'b1;
          block_q     <= block_q + 12'd1;
          block_off_q <= block_off_q + region_q;
          row_off_q   <= block_off_q + region_q;
          if (last_block) cur_valid_q <= 1'b0;
        end
      end
    end
    if (load_group) begin
      cur_valid_q <= 1'b1;
      cur_addr_q  <= nxt_addr_q;
      cur_y_q     <= nxt_y_q;
      cur_x_q     <= nxt_x_q;
      cur_last_q  <= nxt_last_q;
      cur_final_q <= walk_end_q;
      nxt_none_q  <= walk_end_q;
      block_q     <= '0;
      tile_q      <= '0;
      read_q      <= '0;
      block_off_q <= '0;
      row_off_q   <= '0;
    end
    if (!rst_ni || clear_i) begin
      cur_valid_q <= 1'b0;
      slot_q      <= '0;
    end
  end

  // Counts slots whose reads have all been issued; the one being filled is never among them.
  always_ff @(posedge clk_i) begin
    slots_used_q <= slots_used_q + (SlotAw + 1)'(issue && last_read && last_tile)
                    - (SlotAw + 1)'(slot_freed_i);
    if (!rst_ni || clear_i) slots_used_q <= '0;
  end

  // -- The read pipeline -------------------------------------------------------------------------

  typedef struct packed {
    logic              valid;
    logic              winograd;
    logic              square;
    logic [TileAw-1:0] tile;
    logic [SlotAw-1:0] slot;
    logic [1:0]        row;       // first patch row of the read
    logic [1:0]        column;    // first patch column (squares)
    logic [3:0]        used;      // element lies in the patch
    logic [3:0]        present;    // element lies in the region
    logic              filled;    // last read of the slot
    logic              final_group;
  } read_t;

  // Stage 1: the address of the read.
  read_t s1_q, s2_q, s3_q, s4_q, s5_q;
  logic [19:0] addr1_q;
  logic signed [17:0] y1_q, x1_q;
  logic [11:0] rows1_q, columns1_q, pitch1_q;
  logic [3:0] used;
  logic [2:0] prow;  // patch row of the read

  assign prow = {1'b0, d_q.patch_row} + (square ? {read_q, 1'b0} : {1'b0, read_q});
  always_comb begin
    for (int unsigned e = 0; e < 4; e++) begin
      logic [3:0] r, c;
      r = {1'b0, prow} + (square ? 4'(e / 2) : 4'd0);
      c = square ? {2'b0, d_q.patch_column} + 4'(e % 2) : 4'(e);
      used[e] = r < {2'b0, d_q.patch_row} + {1'b0, d_q.patch_rows}
                && c >= {2'b0, d_q.patch_column}
                && c < {2'b0, d_q.patch_column} + {1'b0, d_q.patch_columns};
    end
  end

  always_ff @(posedge clk_i) begin
    s1_q.valid       <= issue && rst_ni && !clear_i;
    s1_q.winograd    <= d_q.winograd;
    s1_q.square      <= square;
    s1_q.tile        <= tile_q;
    s1_q.slot        <= slot_q;
    s1_q.row         <= prow[1:0];
    s1_q.column      <= d_q.patch_column;
    s1_q.used        <= used;
    s1_q.present      <= '0;
    s1_q.filled      <= last_read && last_tile;
    s1_q.final_group <= cur_final_q;
    addr1_q    <= cur_addr_q[tile_q] + row_off_q;
    y1_q       <= $signed(cur_y_q[tile_q]) + (square ? $signed({15'b0, read_q, 1'b0})
                                                     : $signed({16'b0, read_q}));
    x1_q       <= $signed(cur_x_q[tile_q]);
    rows1_q    <= d_q.rows;
    columns1_q <= d_q.columns;
    pitch1_q   <= d_q.pitch;
  end

  // Stage 2: each bank's address; which elements lie in the region.
  logic [1:0] turn2_q, turn3_q, turn4_q;
  logic [3:0][BankAw-1:0] bank2_q;
  always_ff @(posedge clk_i) begin
    s2_q    <= s1_q;
    turn2_q <= addr1_q[1:0];
    for (int unsigned b = 0; b < 4; b++) begin
      logic [1:0] e;
      logic [19:0] a;
      e = 2'(b) - addr1_q[1:0];
      a = addr1_q + 20'(e) + (s1_q.square && e[1] ? {8'b0, pitch1_q} - 20'd2 : 20'd0);
      bank2_q[b] <= BankAw'(a >> 2);
    end
    for (int unsigned e = 0; e < 4; e++) begin
      logic signed [17:0] y, x;
      y = y1_q + (s1_q.square ? 18'(e / 2) : 18'sd0);
      x = x1_q + (s1_q.square ? 18'(e % 2) : 18'(e));
      s2_q.present[e] <= y >= 0 && y < $signed({6'b0, rows1_q})
                        && x >= 0 && x < $signed({6'b0, columns1_q});
    end
    if (!rst_ni || clear_i) s2_q.valid <= 1'b0;
  end
  assign in_raddr_o = bank2_q;

  // Stages 3 and 4: the memory answers.
  always_ff @(posedge clk_i) begin
    s3_q    <= s2_q;
    turn3_q <= turn2_q;
    s4_q    <= s3_q;
    turn4_q <= turn3_q;
    if (!rst_ni || clear_i) begin
      s3_q.valid <= 1'b0;
      s4_q.valid <= 1'b0;
    end
  end

  // Stage 5: elements in order, zero where there is none.
  logic [3:0][WordBits-1:0] pixel5_q;
  always_ff @(posedge clk_i) begin
    s5_q <= s4_q;
    for (int unsigned e = 0; e < 4; e++) begin
      pixel5_q[e] <= s4_q.used[e] && s4_q.present[e] ? in_rdata_i[turn4_q + 2'(e)] : '0;
    end
    if (!rst_ni || clear_i) s5_q.valid <= 1'b0;
  end

  // Stage 6: rows transformed, and into the patch buffer.
  logic [3:0][RowBits-1:0] row5;
  always_comb begin
    for (int unsigned l = 0; l < Lanes; l++) begin
      logic signed [DataWidth:0] p0, p1, p2, p3, mask;
      mask = {(DataWidth + 1){s5_q.winograd}};
      p0 = (DataWidth + 1)'($signed(pixel5_q[0][l*DataWidth+:DataWidth]));
      p1 = (DataWidth + 1)'($signed(pixel5_q[1][l*DataWidth+:DataWidth]));
      p2 = (DataWidth + 1)'($signed(pixel5_q[2][l*DataWidth+:DataWidth]));
      p3 = (DataWidth + 1)'($signed(pixel5_q[3][l*DataWidth+:DataWidth]));
      row5[0][l*(DataWidth+1)+:DataWidth+1] = p0 - (p2 & mask);
      row5[1][l*(DataWidth+1)+:DataWidth+1] = p1 + (p2 & mask);
      row5[2][l*(DataWidth+1)+:DataWidth+1] = p2 - (p1 & mask);
      row5[3][l*(DataWidth+1)+:DataWidth+1] = (p1 & mask) + (p3 ^ mask)
                                              + (DataWidth + 1)'(s5_q.winograd);
    end
  end

  logic [3:0] we;
  logic [3:0][SlotAw+1:0] waddr;
  logic [3:0][RowBits-1:0] wdata;
  always_comb begin
    we    = '0;
    waddr = '0;
    wdata = '0;
    for (int unsigned e = 0; e < 4; e++) begin
      logic [1:0] r, c, bank;
      r    = s5_q.row + (s5_q.square ? 2'(e / 2) : 2'd0);
      c    = s5_q.square ? s5_q.column + 2'(e % 2) : 2'(e);
      bank = c ^ {r[0], 1'b0};
      if (!s5_q.square || s5_q.used[e]) begin
        we[bank]    = s5_q.valid;
        waddr[bank] = {s5_q.slot, r};
        wdata[bank] = row5[e];
      end
    end
  end

  always_ff @(posedge clk_i) begin
    patch_we_o    <= rst_ni && !clear_i ? we : '0;
    patch_waddr_o <= waddr;
    patch_wdata_o <= wdata;
    patch_tile_o  <= s5_q.tile;
    slot_filled_o <= s5_q.valid && s5_q.filled && rst_ni && !clear_i;
    slot_last_o   <= s5_q.final_group;
  end

  // The rest of the instruction is for the other stages.
  logic unused;
  assign unused = ^{d_q, s5_q};
endmodule
