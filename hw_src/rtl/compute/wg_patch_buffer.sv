// The patches of the next blocks, and the second half of the input transform.
//
// Each tile lane has four banks (column + 2 * (row mod 2)) that are read twice a cycle: a position
// (i, j) of B^T Z B is the sum or difference of two rows of the row-transformed patch; a direct
// position is one of them. Rows and columns outside the patch read as zero, whatever an earlier
// patch has left there. Latency: position_i to z_o three cycles.
module wg_patch_buffer
  import wg_types_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  parameter  int unsigned Slots     = winogen_pkg::PatchSlots,
  localparam int unsigned DataWidth = Config.DataWidth,
  localparam int unsigned Lanes     = Config.Lanes,
  localparam int unsigned TileLanes = Config.TileLanes,
  localparam int unsigned SlotAw    = $clog2(Slots),
  localparam int unsigned TileAw    = index_width(TileLanes),
  localparam int unsigned RowBits   = row_bits(Config),
  localparam int unsigned ZWidth    = z_width(Config)
) (
  input  logic                                   clk_i,
  input  logic [3:0]                             we_i,
  input  logic [TileAw-1:0]                      tile_i,
  input  logic [3:0][SlotAw+1:0]                 waddr_i,
  input  logic [3:0][RowBits-1:0]                wdata_i,
  // The read: a slot, a position (16 is zero), and what the patch covers.
  input  logic [SlotAw-1:0]                      slot_i,
  input  logic [4:0]                             position_i,
  input  logic                                   winograd_i,
  input  logic [3:0]                             rows_i,     // patch rows that exist
  input  logic [3:0]                             columns_i,  // patch columns that exist
  output logic [TileLanes-1:0][Lanes-1:0][ZWidth-1:0] z_o
);
  // Which rows make row i of B^T Z: a plus or minus b.
  logic [1:0] i, j, row_a, row_b;
  logic use_a, use_b, minus;
  assign i = position_i[3:2];
  assign j = position_i[1:0];

  always_comb begin
    row_a = i;
    row_b = i;
    use_b = winograd_i && !position_i[4];
    minus = 1'b1;
    if (winograd_i) begin
      unique case (i)
        2'd0: begin
          row_a = 2'd0;
          row_b = 2'd2;
        end
        2'd1: begin
          row_a = 2'd1;
          row_b = 2'd2;
          minus = 1'b0;
        end
        2'd2: begin
          row_a = 2'd2;
          row_b = 2'd1;
        end
        default: begin
          row_a = 2'd1;
          row_b = 2'd3;
        end
      endcase
    end
    use_a = !position_i[4] && rows_i[row_a] && (winograd_i || columns_i[j]);
    use_b = use_b && rows_i[row_b];
  end

  // Cycle 1: addresses.
  logic [SlotAw+1:0] addr_a_q, addr_b_q;
  logic [1:0] bank_a_q, bank_b_q;
  logic use_a_q, use_b_q, minus_q, minus2_q;
  always_ff @(posedge clk_i) begin
    addr_a_q <= {slot_i, row_a};
    addr_b_q <= {slot_i, row_b};
    bank_a_q <= j ^ {row_a[0], 1'b0};
    bank_b_q <= j ^ {row_b[0], 1'b0};
    use_a_q  <= use_a;
    use_b_q  <= use_b;
    minus_q  <= minus;
    minus2_q <= minus_q;
  end

  for (genvar t = 0; t < int'(TileLanes); t++) begin : g_tile
    logic [3:0][RowBits-1:0] data_a, data_b;
    for (genvar b = 0; b < 4; b++) begin : g_bank
      logic we;
      assign we = we_i[b] && tile_i == TileAw'(t);
      wg_lutram #(
        .Width(RowBits),
        .Depth(4 * Slots)
      ) u_a (
        .clk_i,
        .we_i(we),
        .waddr_i(waddr_i[b]),
        .wdata_i(wdata_i[b]),
        .raddr_i(addr_a_q),
        .rdata_o(data_a[b])
      );
      wg_lutram #(
        .Width(RowBits),
        .Depth(4 * Slots)
      ) u_b (
        .clk_i,
        .we_i(we),
        .waddr_i(waddr_i[b]),
        .wdata_i(wdata_i[b]),
        .raddr_i(addr_b_q),
        .rdata_o(data_b[b])
      );
    end

    // Cycle 2: the two rows. Cycle 3: their sum; the bit below the lowest carries in the one of a
    // subtraction.
    logic [RowBits-1:0] a_q, b_q;
    always_ff @(posedge clk_i) begin
      a_q <= use_a_q ? data_a[bank_a_q] : '0;
      b_q <= use_b_q ? data_b[bank_b_q] : '0;
    end
    always_ff @(posedge clk_i) begin
      for (int unsigned l = 0; l < Lanes; l++) begin
        logic [DataWidth:0] a, b;
        a = a_q[l*(DataWidth+1)+:DataWidth+1];
        b = b_q[l*(DataWidth+1)+:DataWidth+1] ^ {(DataWidth + 1){minus2_q}};
        z_o[t][l] <= ZWidth'(({a[DataWidth], a, 1'b1} + {b[DataWidth], b, minus2_q}) >> 1);
      end
    end
  end
endmodule
