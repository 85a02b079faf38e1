// Reads four pixels of a patch from the input buffer and writes them to the patch buffer, a read a
// cycle: a row of the patch (1 x 4), or a square (2 x 2).
//
// The four lie in different banks of the input buffer, because the pitch of a region is 2 modulo 4.
// Pixels outside the region or the patch are zero. Rows of Winograd patches are transformed (z B).
//
//   1 address   2 banks   3, 4 block RAM   5 pixels in order   6 transformed, into the patch buffer
module wg_patch_read
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  parameter  int unsigned Slots     = winogen_pkg::PatchSlots,
  localparam int unsigned DataWidth = Config.DataWidth,
  localparam int unsigned Lanes     = Config.Lanes,
  localparam int unsigned WordBits  = word_bits(Config),
  localparam int unsigned BankAw    = $clog2(bank_depth(Config)),
  localparam int unsigned SlotAw    = $clog2(Slots),
  localparam int unsigned TileAw    = index_width(Config.TileLanes),
  localparam int unsigned RowBits   = row_bits(Config)
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic                     clear_i,
  // The read.
  input  logic                     valid_i,
  input  compute_t                 instruction_i,
  input  logic                     square_i,
  input  logic [1:0]               read_i,          // which of its tile
  input  logic [TileAw-1:0]        tile_i,
  input  logic [SlotAw-1:0]        slot_i,
  input  logic [19:0]              addr_i,          // of the tile's first pixel, of this block
  input  logic [17:0]              y_i,             // row and column of that pixel
  input  logic [17:0]              x_i,
  input  logic [19:0]              offset_i,        // from there to the read, in words
  input  logic                     slot_filled_i,   // the last read of its slot
  input  logic                     slot_last_i,     // the slot is of the instruction's last group
  // Input buffer: data two cycles after the address.
  output logic [3:0][BankAw-1:0]   in_raddr_o,
  input  logic [3:0][WordBits-1:0] in_rdata_i,
  // Patch buffer: banks by column + 2 * (row mod 2).
  output logic [3:0]               patch_we_o,
  output logic [TileAw-1:0]        patch_tile_o,
  output logic [3:0][SlotAw+1:0]   patch_waddr_o,
  output logic [3:0][RowBits-1:0]  patch_wdata_o,
  output logic                     slot_filled_o,
  output logic                     slot_last_o
);
  typedef struct packed {
    logic              valid;
    logic              winograd;
    logic              square;
    logic [TileAw-1:0] tile;
    logic [SlotAw-1:0] slot;
    logic [1:0]        row;       // first patch row of the read
    logic [1:0]        column;    // first patch column (squares)
    logic [3:0]        used;      // element lies in the patch
    logic [3:0]        present;   // element lies in the region
    logic              filled;    // last read of the slot
    logic              final_group;
  } read_t;

  // Stage 1: the address of the read.
  read_t s1_q, s2_q, s3_q, s4_q, s5_q;
  logic [19:0] addr1_q;
  logic signed [17:0] y1_q, x1_q;
  logic [11:0] rows1_q, columns1_q, pitch1_q;
  logic [2:0] prow, prow1_q;  // patch row of the read
  logic [1:0] patch_row1_q;  // where the patch has pixels
  logic [2:0] patch_rows1_q, patch_columns1_q;

  assign prow = {1'b0, instruction_i.patch_row} + (square_i ? {read_i, 1'b0} : {1'b0, read_i});
  always_ff @(posedge clk_i) begin
    s1_q.valid       <= valid_i && rst_ni && !clear_i;
    s1_q.winograd    <= instruction_i.winograd;
    s1_q.square      <= square_i;
    s1_q.tile        <= tile_i;
    s1_q.slot        <= slot_i;
    s1_q.row         <= prow[1:0];
    s1_q.column      <= instruction_i.patch_column;
    s1_q.used        <= '0;
    s1_q.present     <= '0;
    s1_q.filled      <= slot_filled_i;
    s1_q.final_group <= slot_last_i;
    addr1_q    <= addr_i + offset_i;
    y1_q       <= $signed(y_i) + (square_i ? $signed({15'b0, read_i, 1'b0})
                                                     : $signed({16'b0, read_i}));
    x1_q       <= $signed(x_i);
    rows1_q    <= instruction_i.rows;
    columns1_q <= instruction_i.columns;
    pitch1_q   <= instruction_i.pitch;
    prow1_q          <= prow;
    patch_row1_q     <= instruction_i.patch_row;
    patch_rows1_q    <= instruction_i.patch_rows;
    patch_columns1_q <= instruction_i.patch_columns;
  end

  // Stage 2: each bank's address; which elements lie in the region, and which in the patch.
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
      logic [3:0] r, c;
      y = y1_q + (s1_q.square ? 18'(e / 2) : 18'sd0);
      x = x1_q + (s1_q.square ? 18'(e % 2) : 18'(e));
      r = {1'b0, prow1_q} + (s1_q.square ? 4'(e / 2) : 4'd0);
      c = s1_q.square ? {2'b0, s1_q.column} + 4'(e % 2) : 4'(e);
      s2_q.used[e] <= r < {2'b0, patch_row1_q} + {1'b0, patch_rows1_q}
                      && c >= {2'b0, s1_q.column}
                      && c < {2'b0, s1_q.column} + {1'b0, patch_columns1_q};
      s2_q.present[e] <= y >= 0 && y < $signed(
          {6'b0, rows1_q}
      ) && x >= 0 && x < $signed(
          {6'b0, columns1_q}
      );
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
      p0 = {pixel5_q[0][l*DataWidth+DataWidth-1], pixel5_q[0][l*DataWidth+:DataWidth]};
      p1 = {pixel5_q[1][l*DataWidth+DataWidth-1], pixel5_q[1][l*DataWidth+:DataWidth]};
      p2 = {pixel5_q[2][l*DataWidth+DataWidth-1], pixel5_q[2][l*DataWidth+:DataWidth]};
      p3 = {pixel5_q[3][l*DataWidth+DataWidth-1], pixel5_q[3][l*DataWidth+:DataWidth]};
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
  assign unused = ^{instruction_i, s5_q};
endmodule
