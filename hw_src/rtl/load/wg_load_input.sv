`include "wg_assert.svh"

// LOAD_INPUT, where the data go: keeps every column_step-th word of each row and writes the kept
// ones into the four banks of the input buffer.
//
// Up to two words a cycle, as far as the read ports bring them. Both are of one row, so where both are
// kept they are neighbours and lie in different banks.
module wg_load_input
  import wg_types_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  localparam int unsigned ReadPorts = Config.ReadPorts,
  localparam int unsigned WordBits  = word_bits(Config),
  localparam int unsigned WordBeats = word_beats(Config),
  localparam int unsigned IA        = $clog2(bank_depth(Config)),
  localparam int unsigned CW        = count_width(Config)
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic                     clear_i,
  input  logic                     start_valid_i,
  output logic                     start_ready_o,  // the last word of the one before is taken
  input  logic [IA+1:0]            base_i,
  input  logic [11:0]              images_i,
  input  logic [11:0]              blocks_i,
  input  logic [11:0]              rows_i,
  input  logic [11:0]              columns_i,
  input  logic [11:0]              pitch_i,
  input  logic [7:0]               column_step_i,
  input  logic [CW-1:0]            beat_count_i,
  input  logic [ReadPorts*64-1:0]  beat_data_i,
  output logic [CW-1:0]            beat_room_o,
  output logic                     want_o,         // a beat is needed
  output logic [3:0]               in_we_o,
  output logic [3:0][IA-1:0]       in_addr_o,
  output logic [3:0][WordBits-1:0] in_data_o,
  output logic                     done_o          // with the last write
);
  logic active_q;
  logic [11:0] blocks_q, rows_q, columns_q;
  logic [11:0] images_left_q, blocks_left_q, rows_left_q, columns_left_q;
  logic [IA+1:0] addr_q, next_row_q, pitch_q;
  // Words to the next kept one, 0: this word is kept. What is asked of it, and of the columns that
  // are left, is known beside them.
  logic [7:0] gap_q, step_last_q, step_twice_q;  // after a kept word, and after the one behind it
  logic keep_q, next_keep_q;  // gap_q is 0, is 1
  logic one_left_q, two_left_q;
  logic keep_d, one_left_d;
  logic ends_q;  // this word is kept and its row's last; a register, as room goes a long way
  logic step_1_q, step_2_q, step_3_q;

  // Words on offer this cycle; use_first and use_second take them.
  logic [1:0] offer;
  logic [1:0][WordBits-1:0] word;
  logic use_first, use_second;
  logic [1:0] keep, row_ends;
  logic row_end, end_all;

  if (WordBeats == 1) begin : gen_direct
    localparam int unsigned Second = ReadPorts > 1 ? 64 : 0;
    assign offer[0] = beat_count_i != '0;
    assign offer[1] = ReadPorts > 1 && beat_count_i != '0 && beat_count_i != CW'(1);
    assign word[0]  = beat_data_i[63:0];
    assign word[1]  = beat_data_i[Second+:64];
    assign beat_room_o = !active_q ? '0 : ReadPorts > 1 && !ends_q ? CW'(2) : CW'(1);
  end else if (WordBeats >= ReadPorts) begin : gen_collect
    // Beats fill the word from the low end.
    localparam int unsigned BW = $clog2(WordBeats);
    logic [BW-1:0] beat_q, beat_end;
    logic [WordBeats-1:0][63:0] held_q, held, come;
    logic [WordBeats-1:0] we;
    logic take;

    wg_beat_group #(
      .GroupBeats(WordBeats),
      .Ports     (ReadPorts)
    ) u_group (
      .active_i    (active_q),
      .beat_i      (beat_q),
      .beat_count_i,
      .beat_data_i,
      .we_o        (we),
      .data_o      (come),
      .take_o      (take),
      .beat_end_o  (beat_end),
      .beat_room_o
    );
    assign offer = {1'b0, take && beat_end == BW'(WordBeats - 1)};
    always_comb begin
      for (int unsigned i = 0; i < WordBeats; i++) held[i] = we[i] ? come[i] : held_q[i];
    end
    assign word[0] = held;
    assign word[1] = held;
    always_ff @(posedge clk_i) begin
      held_q <= held;
      if (take) beat_q <= beat_end + BW'(1);
      if (!active_q) beat_q <= '0;
    end
  end else begin : gen_two
    // Two words of two beats. A lone beat waits for the other one of its word.
    logic held_valid_q;
    logic [63:0] held_q;
    assign offer[0] = beat_count_i != '0 && (held_valid_q || beat_count_i != CW'(1));
    assign offer[1] = !held_valid_q && beat_count_i == CW'(4);
    assign word[0] = held_valid_q ? {beat_data_i[63:0], held_q} : beat_data_i[127:0];
    assign word[1] = beat_data_i[255:128];
    assign beat_room_o = !active_q ? '0 : held_valid_q ? CW'(1) : ends_q ? CW'(2) : CW'(4);
    always_ff @(posedge clk_i) begin
      if (!held_valid_q)
        held_q <= beat_count_i == CW'(1) ? beat_data_i[63:0] : beat_data_i[191:128];
      if (!active_q) held_valid_q <= 1'b0;
      else if (held_valid_q) held_valid_q <= beat_count_i == '0;
      else held_valid_q <= beat_count_i == CW'(1) || (beat_count_i == CW'(3) && !row_ends[0]);
    end
  end

  assign keep = {keep_q ? step_1_q : next_keep_q, keep_q};
  // A row's run ends with its last kept word.
  assign row_ends[0] = keep[0] && one_left_q;
  assign row_ends[1] = keep[1] && (keep[0] ? two_left_q : one_left_q);
  assign use_first = active_q && offer[0];
  assign use_second = use_first && offer[1] && !row_ends[0];
  assign row_end = use_first && (use_second ? row_ends[1] : row_ends[0]);
  assign end_all = row_end && rows_left_q == 12'd1 && blocks_left_q == 12'd1 &&
                   images_left_q == 12'd1;

  assign start_ready_o = !active_q;
  assign want_o = active_q;

  always_comb begin
    keep_d     = keep_q;
    one_left_d = one_left_q;
    if (!active_q) begin
      keep_d     = 1'b1;
      one_left_d = columns_i == 12'd1;
    end else if (row_end) begin
      keep_d     = 1'b1;
      one_left_d = columns_q == 12'd1;
    end else if (use_first) begin
      if (keep[0] && use_second && keep[1]) one_left_d = columns_left_q == 12'd3;
      else if (keep[0] || (use_second && keep[1])) one_left_d = two_left_q;
      if (!use_second) keep_d = keep_q ? step_1_q : next_keep_q;
      else keep_d = keep_q ? step_1_q || step_2_q : next_keep_q ? step_1_q : gap_q == 8'd2;
    end
  end

  always_ff @(posedge clk_i) begin
    keep_q     <= keep_d;
    one_left_q <= one_left_d;
    ends_q     <= keep_d && one_left_d;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) active_q <= 1'b0;
    else if (!active_q) active_q <= start_valid_i;
    else if (end_all) active_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (!active_q) begin
      blocks_q       <= blocks_i;
      rows_q         <= rows_i;
      columns_q      <= columns_i;
      pitch_q        <= (IA + 2)'(pitch_i);
      step_last_q    <= column_step_i - 8'd1;
      step_twice_q   <= column_step_i == 8'd1 ? 8'd0 : column_step_i - 8'd2;
      step_1_q       <= column_step_i == 8'd1;
      step_2_q       <= column_step_i == 8'd2;
      step_3_q       <= column_step_i == 8'd3;
      images_left_q  <= images_i;
      blocks_left_q  <= blocks_i;
      rows_left_q    <= rows_i;
      columns_left_q <= columns_i;
      addr_q         <= base_i;
      next_row_q     <= base_i + (IA + 2)'(pitch_i);
      gap_q          <= 8'd0;
      next_keep_q    <= 1'b0;
      two_left_q     <= columns_i == 12'd2;
    end else if (row_end) begin
      addr_q         <= next_row_q;
      next_row_q     <= next_row_q + pitch_q;
      gap_q          <= 8'd0;
      next_keep_q    <= 1'b0;
      two_left_q     <= columns_q == 12'd2;
      columns_left_q <= columns_q;
      rows_left_q    <= rows_left_q == 12'd1 ? rows_q : rows_left_q - 12'd1;
      if (rows_left_q == 12'd1) begin
        blocks_left_q <= blocks_left_q == 12'd1 ? blocks_q : blocks_left_q - 12'd1;
        if (blocks_left_q == 12'd1) images_left_q <= images_left_q - 12'd1;
      end
    end else if (use_first) begin
      addr_q <= addr_q + (IA + 2)'(keep[0]) + (IA + 2)'(use_second && keep[1]);
      columns_left_q <= columns_left_q - 12'(keep[0]) - 12'(use_second && keep[1]);
      if (keep[0] && use_second && keep[1]) begin
        two_left_q <= columns_left_q == 12'd4;
      end else if (keep[0] || (use_second && keep[1])) begin
        two_left_q <= columns_left_q == 12'd3;
      end
      if (!use_second) begin
        gap_q       <= keep_q ? step_last_q : gap_q - 8'd1;
        next_keep_q <= keep_q ? step_2_q : gap_q == 8'd2;
      end else begin
        gap_q       <= keep_q ? step_twice_q : next_keep_q ? step_last_q : gap_q - 8'd2;
        next_keep_q <= keep_q ? step_3_q : next_keep_q ? step_2_q : gap_q == 8'd3;
      end
    end
  end

  // One register stage, then each bank picks the word that is meant for it.
  logic [1:0] we_q;
  logic [1:0][IA+1:0] waddr_q;
  logic [1:0][WordBits-1:0] wdata_q;

  always_ff @(posedge clk_i) begin
    we_q       <= clear_i || !rst_ni ? 2'b00 : {use_second, use_first} & keep;
    waddr_q[0] <= addr_q;
    waddr_q[1] <= addr_q + (IA + 2)'(keep[0]);
    wdata_q    <= word;
    done_o     <= end_all && !clear_i && rst_ni;
  end

  always_comb begin
    for (int unsigned b = 0; b < 4; b++) begin
      logic second;
      second       = we_q[1] && waddr_q[1][1:0] == 2'(b);
      in_we_o[b]   = second || (we_q[0] && waddr_q[0][1:0] == 2'(b));
      in_addr_o[b] = second ? waddr_q[1][IA+1:2] : waddr_q[0][IA+1:2];
      in_data_o[b] = second ? wdata_q[1] : wdata_q[0];
    end
  end

  // Small input buffers leave the upper bits of a pitch at zero.
  logic unused;
  assign unused = ^pitch_i;

  `ASSERT(ends_is_kept, !active_q || ends_q == row_ends[0])
endmodule
