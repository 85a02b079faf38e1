// Front of the load engine: turns a LOAD_* instruction into runs of contiguous bytes.
//
// LOAD_INPUT is one run a row, from its first to its last kept word; the others are one run. All
// addresses come from adders that step along, and the one product (words of a row, or taps) is
// made by shifting and adding, a bit of the multiplier a cycle.
module wg_load_address
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  localparam int unsigned AddrWidth = Config.AddrWidth
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             clear_i,
  input  logic             start_valid_i,
  output logic             start_ready_o,
  input  logic [511:0]     start_bits_i,
  input  logic [3:0][63:0] segment_base_i,
  input  logic             run_ready_i,
  output run_t             run_o
);
  localparam int unsigned WordShift = $clog2(word_bits(Config) / 8);
  localparam int unsigned TapShift = $clog2(Config.Lanes * word_bits(Config) / 8);
  localparam int unsigned ParamShift = $clog2(Config.Lanes * ParamBytes);

  typedef enum logic [1:0] {
    StIdle,
    StSize,
    StIssue
  } state_e;
  state_e state_q;

  // The back takes the fields that say where the data go.
  /* verilator lint_off UNUSEDSIGNAL */
  header_t header;
  load_input_t box;
  load_weights_t weights;
  load_params_t params;
  load_table_t entries;
  /* verilator lint_on UNUSEDSIGNAL */
  assign header  = decode_header(start_bits_i);
  assign box     = decode_load_input(start_bits_i);
  assign weights = decode_load_weights(start_bits_i);
  assign params  = decode_load_params(start_bits_i);
  assign entries = decode_load_table(start_bits_i);

  // StSize of a run: count_q units of 2**shift_q bytes. Every product is below 2**24.
  logic [23:0] term_q, count_q;
  logic [11:0] multiplier_q;
  logic [4:0] shift_q;
  logic [31:0] bytes_q;

  // Where the next row, the next block's first row and the next image's begin.
  logic [AddrWidth-1:0] row_addr_q, block_addr_q, image_addr_q;
  logic [AddrWidth-1:0] row_step_q, block_step_q, image_step_q;
  logic [AddrWidth-1:0] base_q, offset_q, first_addr, next_row, next_block, next_image;
  logic [11:0] rows_q, blocks_q, rows_left_q, blocks_left_q, images_left_q;
  logic last_row, last_block, last_image;

  // Segment and offset are the same bits in every load.
  assign first_addr = base_q + offset_q;
  assign next_row   = row_addr_q + row_step_q;
  assign next_block = block_addr_q + block_step_q;
  assign next_image = image_addr_q + image_step_q;
  assign last_row   = rows_left_q == 12'd1;
  assign last_block = blocks_left_q == 12'd1;
  assign last_image = images_left_q == 12'd1;

  assign start_ready_o = state_q == StIdle;
  assign run_o         = '{
    valid: state_q == StIssue, addr: 64'(row_addr_q), bytes: bytes_q, last: 1'b0
  };

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      StIdle: if (start_valid_i) state_q <= StSize;
      StSize: if (multiplier_q == '0) state_q <= StIssue;
      default: if (run_ready_i && last_row && last_block && last_image) state_q <= StIdle;
    endcase
    if (!rst_ni || clear_i) state_q <= StIdle;
  end

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      StIdle: begin
        // The first kept word of a row, then column_step more words for each further one.
        count_q      <= header.opcode == OpLoadInput ? 24'd1 : 24'd0;
        multiplier_q <= 12'd1;
        unique case (header.opcode)
          OpLoadInput: begin
            term_q       <= 24'(box.columns) - 24'd1;
            multiplier_q <= 12'(box.column_step);
            shift_q      <= 5'(WordShift);
          end
          OpLoadWeights: begin
            term_q       <= 24'(weights.taps);
            multiplier_q <= weights.blocks;
            shift_q      <= 5'(TapShift);
            if (Config.Decoder != 0 && weights.coding != '0) begin
              term_q       <= weights.beats;
              multiplier_q <= 12'd1;
              shift_q      <= 5'($clog2(BeatBytes));
            end
          end
          OpLoadParams: begin
            term_q  <= 24'(params.count);
            shift_q <= 5'(ParamShift);
          end
          default: begin
            term_q  <= 24'(entries.count);
            shift_q <= entries.table_id == TableActivation ? 5'd1 : 5'd3;
          end
        endcase
        base_q        <= AddrWidth'(segment_base_i[box.segment]);
        offset_q      <= AddrWidth'(box.offset);
        row_step_q    <= AddrWidth'(box.row_stride) << WordShift;
        block_step_q  <= AddrWidth'(box.block_stride) << WordShift;
        image_step_q  <= AddrWidth'(box.image_stride) << WordShift;
        rows_q        <= box.rows;
        blocks_q      <= box.blocks;
        rows_left_q   <= header.opcode == OpLoadInput ? box.rows : 12'd1;
        blocks_left_q <= header.opcode == OpLoadInput ? box.blocks : 12'd1;
        images_left_q <= header.opcode == OpLoadInput ? box.images : 12'd1;
      end
      StSize: begin
        row_addr_q   <= first_addr;
        block_addr_q <= first_addr;
        image_addr_q <= first_addr;
        if (multiplier_q[0]) count_q <= count_q + term_q;
        term_q       <= term_q << 1;
        multiplier_q <= multiplier_q >> 1;
        bytes_q      <= 32'(count_q) << shift_q;
      end
      default:
      if (run_ready_i) begin
        rows_left_q <= last_row ? rows_q : rows_left_q - 12'd1;
        if (last_row) blocks_left_q <= last_block ? blocks_q : blocks_left_q - 12'd1;
        if (last_row && last_block) images_left_q <= images_left_q - 12'd1;
        if (!last_row) begin
          row_addr_q <= next_row;
        end else if (!last_block) begin
          row_addr_q   <= next_block;
          block_addr_q <= next_block;
        end else begin
          row_addr_q   <= next_image;
          block_addr_q <= next_image;
          image_addr_q <= next_image;
        end
      end
    endcase
  end
endmodule
