`include "wg_assert.svh"

// First stage of the compute engine: reads patches from the input buffer into the patch buffer.
//
// A slot of the patch buffer holds one block of input channels of TileLanes tiles. For every group
// of tiles (wg_patch_tiles) and every block it fetches, tile after tile, the pixels of the patch,
// four a cycle (wg_patch_read): a row of the patch, or a square where the patch is at most two
// columns wide and direct. Winograd patches leave here with their rows transformed; the columns
// follow when the patch is read (wg_patch_buffer).
module wg_patch_fetch
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  parameter  int unsigned Slots     = winogen_pkg::PatchSlots,
  localparam int unsigned TileLanes = Config.TileLanes,
  localparam int unsigned WordBits  = word_bits(Config),
  localparam int unsigned BankAw    = $clog2(bank_depth(Config)),
  localparam int unsigned SlotAw    = $clog2(Slots),
  localparam int unsigned TileAw    = index_width(TileLanes),
  localparam int unsigned RowBits   = row_bits(Config)
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

  typedef enum logic [2:0] {
    StIdle,
    StRegion,
    StImage,
    StOrigin,
    StSettle,
    StWalk
  } state_e;
  state_e state_q;
  compute_t d_q;
  logic signed [17:0] first_row_q;  // of the first patch; there long before its turn
  logic signed [20:0] mul_a;
  logic signed [12:0] mul_b;
  logic [19:0] product_q;
  logic [19:0] region_q, image_q;  // words of a channel block, and of an image
  logic finished;

  assign start_ready_o = state_q == StIdle;

  always_comb begin
    unique case (state_q)
      StRegion: begin
        mul_a = $signed({9'b0, d_q.rows});
        mul_b = $signed({1'b0, d_q.pitch});
      end
      StImage: begin
        mul_a = $signed({1'b0, product_q});
        mul_b = $signed({1'b0, d_q.blocks});
      end
      default: begin
        mul_a = {{3{first_row_q[17]}}, first_row_q};
        mul_b = $signed({1'b0, d_q.pitch});
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    product_q <= 20'(mul_a * mul_b);
    first_row_q <= {{2{d_q.origin_y[15]}}, d_q.origin_y} + $signed({16'b0, d_q.patch_row});
    if (start_valid_i && start_ready_o) d_q <= start_i;
    if (state_q == StImage) region_q <= product_q;
    if (state_q == StOrigin) image_q <= product_q;
    unique case (state_q)
      StIdle:      if (start_valid_i) state_q <= StRegion;
      StRegion: state_q <= StImage;
      StImage:  state_q <= StOrigin;
      StOrigin: state_q <= StSettle;
      StSettle:    state_q <= StWalk;
      default:   if (finished) state_q <= StIdle;
    endcase
    if (!rst_ni || clear_i) state_q <= StIdle;
  end

  // Reads are squares of 2 x 2; the last one of a tile. Both are there long before the first read.
  logic square_q;
  logic [1:0] reads_last_q;
  logic square;
  logic [1:0] rows_less;
  assign square    = !d_q.winograd && d_q.patch_columns <= 3'd2;
  assign rows_less = d_q.patch_rows[1:0] - 2'd1;  // 1 to 4 rows
  always_ff @(posedge clk_i) begin
    square_q     <= square;
    reads_last_q <= square ? {1'b0, rows_less[1]} : rows_less;
  end

  // -- Tiles: nxt_* is the group that comes, cur_* the one that is fetched -----------------------

  logic [TileLanes-1:0][19:0] nxt_addr, cur_addr_q;
  logic [TileLanes-1:0][17:0] nxt_y, nxt_x, cur_y_q, cur_x_q;
  logic [TileAw-1:0] nxt_last, cur_last_q;  // last valid tile of the group
  logic nxt_final, cur_final_q;  // no group follows
  logic nxt_valid, load_group, cur_valid_q;

  wg_patch_tiles #(
    .TileLanes(TileLanes)
  ) u_tiles (
    .clk_i,
    .setup_i      (state_q == StSettle),
    .walk_i       (state_q == StWalk),
    .instruction_i(d_q),
    .square_i     (square_q),
    .first_row_i  (product_q),
    .image_words_i(image_q),
    .group_valid_o(nxt_valid),
    .group_ready_i(load_group),
    .addr_o       (nxt_addr),
    .y_o          (nxt_y),
    .x_o          (nxt_x),
    .last_o       (nxt_last),
    .final_o      (nxt_final)
  );

  // -- The fetch: block, tile, read ------------------------------------------------------------

  logic [11:0] block_q;
  logic [TileAw-1:0] tile_q;
  logic [1:0] read_q;
  logic [19:0] block_off_q, row_off_q;  // row_off_q includes block_off_q
  logic [SlotAw-1:0] slot_q;
  logic [SlotAw:0] slots_used_q;
  logic nxt_none_q;  // every tile has been loaded into cur
  logic issue, last_read, last_tile, last_block_q;
  logic [19:0] read_step;

  assign read_step  = square_q ? {7'b0, d_q.pitch, 1'b0} : {8'b0, d_q.pitch};
  assign last_read  = read_q == reads_last_q;
  assign last_tile  = tile_q == cur_last_q;
  assign issue      = cur_valid_q && (slots_used_q != (SlotAw + 1)'(Slots));
  assign load_group = state_q == StWalk && nxt_valid && !nxt_none_q
                      && (!cur_valid_q || (issue && last_read && last_tile && last_block_q));
  assign finished   = nxt_none_q && (!cur_valid_q || (issue && last_read && last_tile && last_block_q));

  always_ff @(posedge clk_i) begin
    if (state_q == StSettle) nxt_none_q <= 1'b0;
    if (issue) begin
      read_q    <= last_read ? '0 : read_q + 2'd1;
      row_off_q <= last_read ? block_off_q : row_off_q + read_step;
      if (last_read) begin
        tile_q <= last_tile ? '0 : tile_q + 1'b1;
        if (last_tile) begin
          slot_q      <= slot_q + 1'b1;
          block_q      <= block_q + 12'd1;
          last_block_q <= d_q.blocks == block_q + 12'd2;
          block_off_q <= block_off_q + region_q;
          row_off_q   <= block_off_q + region_q;
          if (last_block_q) cur_valid_q <= 1'b0;
        end
      end
    end
    if (load_group) begin
      cur_valid_q <= 1'b1;
      cur_addr_q  <= nxt_addr;
      cur_y_q     <= nxt_y;
      cur_x_q     <= nxt_x;
      cur_last_q  <= nxt_last;
      cur_final_q <= nxt_final;
      nxt_none_q  <= nxt_final;
      block_q     <= '0;
      last_block_q <= d_q.blocks == 12'd1;
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

  // -- The reads -----------------------------------------------------------------------------------

  wg_patch_read #(
    .Config(Config),
    .Slots(Slots)
  ) u_read (
    .clk_i,
    .rst_ni,
    .clear_i,
    .valid_i      (issue),
    .instruction_i(d_q),
    .square_i     (square_q),
    .read_i       (read_q),
    .tile_i       (tile_q),
    .slot_i       (slot_q),
    .addr_i       (cur_addr_q[tile_q]),
    .y_i          (cur_y_q[tile_q]),
    .x_i          (cur_x_q[tile_q]),
    .offset_i     (row_off_q),
    .slot_filled_i(last_read && last_tile),
    .slot_last_i  (cur_final_q),
    .in_raddr_o,
    .in_rdata_i,
    .patch_we_o,
    .patch_tile_o,
    .patch_waddr_o,
    .patch_wdata_o,
    .slot_filled_o,
    .slot_last_o
  );

  `ASSERT(slots_that_are_there, clear_i || slots_used_q <= (SlotAw + 1)'(Slots))
  `ASSERT(frees_a_used_slot, clear_i || !slot_freed_i || slots_used_q != '0)
  `ASSERT_HOLD(group_holds, nxt_valid, load_group, ({nxt_addr, nxt_y, nxt_x, nxt_last, nxt_final}),
               state_q != StWalk)
endmodule
