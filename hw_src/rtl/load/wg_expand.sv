// Indices to the weights of a group that have one: each set bit of the bitmap takes the next index,
// which follows two cycles later. Where no bit is set, the index is any.
//
// A half of the group begins where the indices of the half before it end, and so on down to groups of
// four: all of a part are moved alike, which takes few look-up tables.
module wg_expand
  import winogen_pkg::*;
#(
  parameter int unsigned Nibble = 4  // bits of an index
) (
  input  logic                              clk_i,
  input  logic [CodeGroup-1:0]              mask_i,
  input  logic [CodeGroup-1:0][Nibble-1:0]  index_i,
  output logic [CodeGroup-1:0]              mask_o,
  output logic [CodeGroup-1:0][Nibble-1:0]  index_o
);
  if (CodeGroup != 32) begin : gen_check
    $fatal(1, "the parts are those of 32 weights");
  end
  typedef logic [Nibble-1:0] index_t;

  // Set bits of four.
  function automatic logic [2:0] count4(input logic [3:0] bits);
    return 3'(bits[0]) + 3'(bits[1]) + 3'(bits[2]) + 3'(bits[3]);
  endfunction
  function automatic logic [3:0] count8(input logic [7:0] bits);
    return 4'(count4(bits[3:0])) + 4'(count4(bits[7:4]));
  endfunction
  // 16 of 32 from `by` on, which is 16 at most.
  function automatic index_t [15:0] from16(input index_t [31:0] x, input logic [4:0] by);
    index_t [18:0] near;
    for (int unsigned i = 0; i < 19; i++) begin
      case (by[4:2])
        3'd0: near[i] = x[i];
        3'd1: near[i] = x[i+4];
        3'd2: near[i] = x[i+8];
        3'd3: near[i] = x[i+12];
        default: near[i] = x[(i+16)%32];
      endcase
    end
    for (int unsigned i = 0; i < 16; i++) begin
      case (by[1:0])
        2'd0: from16[i] = near[i];
        2'd1: from16[i] = near[i+1];
        2'd2: from16[i] = near[i+2];
        default: from16[i] = near[i+3];
      endcase
    end
  endfunction
  function automatic index_t [7:0] from8(input index_t [15:0] x, input logic [3:0] by);
    index_t [10:0] near;
    for (int unsigned i = 0; i < 11; i++) begin
      case (by[3:2])
        2'd0: near[i] = x[i];
        2'd1: near[i] = x[i+4];
        default: near[i] = x[(i+8)%16];
      endcase
    end
    for (int unsigned i = 0; i < 8; i++) begin
      case (by[1:0])
        2'd0: from8[i] = near[i];
        2'd1: from8[i] = near[i+1];
        2'd2: from8[i] = near[i+2];
        default: from8[i] = near[i+3];
      endcase
    end
  endfunction
  function automatic index_t [3:0] from4(input index_t [7:0] x, input logic [2:0] by);
    for (int unsigned i = 0; i < 4; i++) begin
      case (by[1:0])
        2'd0: from4[i] = by[2] ? x[i+4] : x[i];
        2'd1: from4[i] = x[i+1];
        2'd2: from4[i] = x[i+2];
        default: from4[i] = x[i+3];
      endcase
    end
  endfunction

  // ---- Cycle 0: the halves ----
  index_t [1:0][15:0] half_q;
  logic [CodeGroup-1:0] mask_q;
  logic [1:0][3:0] eighth_q;  // of each half, set bits of its first eight

  always_ff @(posedge clk_i) begin
    mask_q    <= mask_i;
    half_q[0] <= index_i[15:0];
    half_q[1] <= from16(index_i, 5'(count8(mask_i[7:0])) + 5'(count8(mask_i[15:8])));
    for (int unsigned h = 0; h < 2; h++) eighth_q[h] <= count8(mask_i[16*h+:8]);
  end

  // ---- Cycle 1: eights, fours and each weight's ----
  index_t [3:0][7:0] eight;
  index_t [7:0][3:0] four;
  index_t [CodeGroup-1:0] index;

  always_comb begin
    for (int unsigned h = 0; h < 2; h++) begin
      eight[2*h]   = half_q[h][7:0];
      eight[2*h+1] = from8(half_q[h], eighth_q[h]);
    end
    for (int unsigned e = 0; e < 4; e++) begin
      four[2*e]   = eight[e][3:0];
      four[2*e+1] = from4(eight[e], count4(mask_q[8*e+:4]));
    end
    for (int unsigned f = 0; f < 8; f++) begin
      index[4*f]   = four[f][0];
      index[4*f+1] = mask_q[4*f] ? four[f][1] : four[f][0];
      case (2'(mask_q[4*f]) + 2'(mask_q[4*f+1]))
        2'd0: index[4*f+2] = four[f][0];
        2'd1: index[4*f+2] = four[f][1];
        default: index[4*f+2] = four[f][2];
      endcase
      case (2'(mask_q[4*f]) + 2'(mask_q[4*f+1]) + 2'(mask_q[4*f+2]))
        2'd0: index[4*f+3] = four[f][0];
        2'd1: index[4*f+3] = four[f][1];
        2'd2: index[4*f+3] = four[f][2];
        default: index[4*f+3] = four[f][3];
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    mask_o  <= mask_q;
    index_o <= index;
  end
endmodule
