`include "wg_assert.svh"

// STORE: sends a box of the output buffer to DRAM, one run a row.
//
// Two machines take the same descriptor: one announces the runs (their addresses), the other reads
// the words, which lie one after the other in the output buffer. The words go through a small queue
// (one credit a place, because the memory answers after two cycles) and leave as 64-bit beats.
// The next STORE begins when both machines are through, responses of earlier ones may be missing.
module wg_store
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  localparam int unsigned AddrWidth = Config.AddrWidth,
  localparam int unsigned WordBits  = word_bits(Config),
  localparam int unsigned OutputAW  = $clog2(Config.OutputDepth)
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                clear_i,
  // Engine port.
  input  start_t              start_i,
  output engine_t             engine_o,
  input  logic [3:0][63:0]    segment_base_i,
  // Output buffer: data two cycles after the address.
  output logic [OutputAW-1:0] out_raddr_o,
  input  logic [WordBits-1:0] out_rdata_i,
  // wg_axi_write.
  input  logic                run_ready_i,
  output run_t                run_o,
  output write_beat_t         beat_o,
  input  logic                beat_ready_i,
  input  logic                write_done_i,
  input  bus_error_t          write_error_i
);

  localparam int unsigned WordBytes = WordBits / 8;
  localparam int unsigned WordBeats = WordBits / 64;
  localparam int unsigned BeatWidth = WordBeats > 1 ? $clog2(WordBeats) : 1;
  localparam int unsigned CreditWidth = $clog2(StoreQueueWords + 1);

  logic stop, start, runs_idle, reads_idle, index_ready, index_valid;
  store_t d;
  logic fault_valid_q, start_ready, done;
  logic [7:0] fault_code_q;
  logic [AddrWidth-1:0] fault_addr_q;
  logic [19:0] fault_index;

  assign d             = decode_store(start_i.bits);
  assign stop          = fault_valid_q || clear_i;
  assign start_ready = runs_idle && reads_idle && index_ready && !fault_valid_q;
  assign start         = start_i.valid && start_ready;

  // ---- Instructions whose responses are missing, and faults.

  wg_fifo #(
    .Width(20),
    .Depth(StoreInFlight)
  ) u_index (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(start),
    .wready_o(index_ready),
    .wdata_i (start_i.index),
    .rvalid_o(index_valid),
    .rready_i(done),
    .rdata_o (fault_index)
  );

  // An error that comes with the last response of an instruction is that instruction's.
  assign done = write_done_i && index_valid && !fault_valid_q && !write_error_i.valid;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      fault_valid_q <= 1'b0;
    end else if (write_error_i.valid) begin
      fault_valid_q <= 1'b1;
    end
    if (write_error_i.valid && !fault_valid_q) begin
      fault_code_q <= write_error_i.code;
      fault_addr_q <= write_error_i.addr[AddrWidth-1:0];
    end
  end

  assign engine_o = '{
          ready: start_ready,
          done: done,
          fault: '{
              valid: fault_valid_q,
              code: fault_code_q,
              index: fault_index,
              addr: 64'(fault_addr_q)
          }
      };
  // An address is narrower than its place in a struct.
  logic unused;
  assign unused = ^write_error_i.addr;

  // ---- Runs.

  typedef enum logic [1:0] {
    StIdle,
    StSetup,
    StSend
  } run_state_e;
  run_state_e run_state_q;
  logic [11:0] run_rows_q, run_rows_left_q, run_images_left_q, run_columns_q;
  logic run_last_row_q, run_last_image_q, run_last, run_valid;
  logic [AddrWidth-1:0] run_row_q, run_image_q;  // addresses of the row and of the image's first
  logic [AddrWidth-1:0] run_row_stride_q, run_image_stride_q;
  logic [AddrWidth-1:0] run_base_q, run_offset_q, run_next;

  assign runs_idle   = run_state_q == StIdle;
  assign run_valid   = run_state_q == StSend && !fault_valid_q;
  assign run_last    = run_last_row_q && run_last_image_q;
  assign run_o = '{
    valid: run_valid, addr: 64'(run_row_q), bytes: 32'(run_columns_q) * WordBytes, last: run_last
  };

  assign run_next = run_last_row_q ? run_image_q + run_image_stride_q
                                   : run_row_q + run_row_stride_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stop) begin
      run_state_q <= StIdle;
    end else begin
      unique case (run_state_q)
        StSetup: run_state_q <= StSend;
        StSend: if (run_ready_i && run_last) run_state_q <= StIdle;
        default: if (start) run_state_q <= StSetup;
      endcase
    end

    if (run_state_q == StIdle) begin
      run_base_q         <= AddrWidth'(segment_base_i[d.segment]);
      run_offset_q       <= AddrWidth'(d.offset);
      run_row_stride_q   <= AddrWidth'(d.row_stride) * WordBytes;
      run_image_stride_q <= AddrWidth'(d.image_stride) * WordBytes;
      run_columns_q      <= d.columns;
      run_rows_q         <= d.rows;
      run_rows_left_q    <= d.rows;
      run_images_left_q  <= d.images;
      run_last_row_q     <= d.rows == 12'd1;
      run_last_image_q   <= d.images == 12'd1;
    end
    if (run_state_q == StSetup) begin
      run_row_q   <= run_base_q + run_offset_q;
      run_image_q <= run_base_q + run_offset_q;
    end
    if (run_valid && run_ready_i) begin
      run_row_q <= run_next;
      if (run_last_row_q) begin
        run_image_q       <= run_next;
        run_images_left_q <= run_images_left_q - 12'd1;
        run_last_image_q  <= run_images_left_q == 12'd2;
        run_rows_left_q   <= run_rows_q;
        run_last_row_q    <= run_rows_q == 12'd1;
      end else begin
        run_rows_left_q   <= run_rows_left_q - 12'd1;
        run_last_row_q    <= run_rows_left_q == 12'd2;
      end
    end
  end

  // ---- Reads: as many words as there are columns, in rows, in images.

  logic read, read_busy_q;
  logic [OutputAW-1:0] read_addr_q;
  logic [11:0] read_rows_q, read_columns_q;
  logic [11:0] rows_left_q, columns_left_q, images_left_q;
  logic last_column, last_row, last_image;
  logic [1:0] arrive_q;  // reads under way in the memory
  logic [CreditWidth-1:0] credit_q;
  logic word_valid, word_ready, word_taken_q;
  logic [WordBits-1:0] word;

  assign reads_idle  = !read_busy_q;
  assign read        = read_busy_q && credit_q != '0 && !fault_valid_q;
  assign out_raddr_o = read_addr_q;
  assign last_column = columns_left_q == 12'd1;
  assign last_row    = rows_left_q == 12'd1;
  assign last_image  = images_left_q == 12'd1;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stop) read_busy_q <= 1'b0;
    else if (start) read_busy_q <= 1'b1;
    else if (read && last_column && last_row && last_image) read_busy_q <= 1'b0;

    if (!read_busy_q) begin
      read_addr_q    <= OutputAW'(d.base);
      read_rows_q    <= d.rows;
      read_columns_q <= d.columns;
      rows_left_q    <= d.rows;
      columns_left_q <= d.columns;
      images_left_q  <= d.images;
    end else if (read) begin
      read_addr_q    <= read_addr_q + 1'b1;
      columns_left_q <= last_column ? read_columns_q : columns_left_q - 12'd1;
      if (last_column) rows_left_q <= last_row ? read_rows_q : rows_left_q - 12'd1;
      if (last_column && last_row) images_left_q <= images_left_q - 12'd1;
    end

    if (!rst_ni || stop) begin
      arrive_q <= '0;
      word_taken_q <= 1'b0;
      credit_q <= CreditWidth'(StoreQueueWords);
    end else begin
      arrive_q <= {arrive_q[0], read};
      word_taken_q <= word_valid && word_ready;
      credit_q <= credit_q - CreditWidth'(read) + CreditWidth'(word_taken_q);
    end
  end

  logic queue_ready;
  wg_fifo #(
    .Width(WordBits),
    .Depth(StoreQueueWords)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .clear_i (stop),
    .wvalid_i(arrive_q[1]),
    .wready_o(queue_ready),
    .wdata_i (out_rdata_i),
    .rvalid_o(word_valid),
    .rready_i(word_ready),
    .rdata_o (word)
  );

  // ---- Beats.

  logic data_valid_q, last_beat;
  logic [BeatWidth-1:0] beat_q;
  logic [WordBits-1:0] data_q;

  assign last_beat    = beat_q == BeatWidth'(WordBeats - 1);
  assign word_ready   = !data_valid_q || (beat_ready_i && last_beat);
  assign beat_o       = '{valid: data_valid_q && !fault_valid_q, data: data_q[63:0]};

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stop) data_valid_q <= 1'b0;
    else if (word_ready) data_valid_q <= word_valid;

    if (word_ready) begin
      data_q <= word;
      beat_q <= '0;
    end else if (beat_ready_i) begin
      data_q <= WordBits'({64'd0, data_q} >> 64);
      beat_q <= beat_q + 1'b1;
    end
  end

  // A word that arrives has a place.
  `ASSERT(word_has_room, !arrive_q[1] || queue_ready)
  `ASSERT_HOLD(run_holds, run_o.valid, run_ready_i, run_o, stop)
  `ASSERT_HOLD(beat_holds, beat_o.valid, beat_ready_i, beat_o, stop)

  logic unused_queue_ready;
  assign unused_queue_ready = queue_ready;
endmodule
