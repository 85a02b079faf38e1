`include "wg_assert.svh"

// Reads the instruction stream, checks each instruction, and hands it to the queue of its engine.
//
// One instruction at a time: the check takes about as long as reading eight beats with some
// latency, and the reader runs ahead meanwhile. Fetch stops at an instruction that is none, or
// that memory did not deliver, and reports it once the engines have done what came before.
module wg_fetch
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter config_t     Config = DefaultConfig,
  parameter int unsigned FifoBeats = FetchFifoBeats,
  parameter int unsigned MaxOutstanding = FetchOutstanding
) (
  input  logic          clk_i,
  input  logic          rst_ni,
  input  logic          clear_i,           // stays high until idle_o
  output logic          idle_o,            // nothing of it is on the bus
  output logic          progress_o,        // a beat has arrived
  // wg_control
  input  logic          start_i,           // pulse
  input  logic [63:0]   stream_base_i,     // these two hold from start_i to the end
  input  logic [20:0]   stream_length_i,   // instructions, 1 to MaxStreamLength
  input  window_t [FetchWindows-1:0] windows_i,
  output logic          fetched_o,         // pulse: one more instruction has been read
  output logic          all_dispatched_o,
  input  logic          quiescent_i,       // no engine goes on
  output fault_t        fault_o,
  // wg_issue, one for each engine
  output logic [2:0]    queue_valid_o,     // pulse: only into a queue that has room
  input  logic [2:0]    queue_ready_i,     // stays until something is queued
  output fetched_t      queue_o,
  // AXI read channels
  output axi_read_req_t m_axi_o,
  input  axi_read_rsp_t m_axi_i
);
  typedef enum logic [2:0] {
    StIdle,
    StAsk,
    StRead,
    StDecode,
    StCheck,
    StDispatch,
    StFailed
  } state_e;
  state_e state_q;

  logic run_ready, beat_valid, beat_take;
  logic [63:0] beat_data;
  bus_error_t error;
  run_t run;
  assign run = '{
          valid: state_q == StAsk,
          addr: stream_base_i,
          bytes: 32'({stream_length_i, 6'b0}),
          last: 1'b0
      };
  wg_reader #(
    .Ports         (1),
    .Windows       (FetchWindows),
    .AddrWidth     (Config.AddrWidth),
    .FifoBeats     (FifoBeats),
    .MaxOutstanding(MaxOutstanding)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .flush_i      (clear_i),
    .idle_o,
    .progress_o,
    .windows_i,
    .run_ready_o  (run_ready),
    .run_i        (run),
    .beat_count_o (beat_valid),
    .beat_data_o  (beat_data),
    .beat_room_i  (state_q == StRead),
    .error_o      (error),
    .m_axi_o,
    .m_axi_i
  );

  logic [511:0] bits_q;
  logic [3:0] opcode;
  assign opcode = bits_q[3:0];
  assign beat_take = beat_valid && state_q == StRead;

  // The first beat ends in the low bits.
  always_ff @(posedge clk_i) if (beat_take) bits_q <= {beat_data, bits_q[511:64]};

  logic check_start, check_done, check_illegal;
  assign check_start = state_q == StDecode;
  wg_descriptor_check #(
    .Config(Config)
  ) u_check (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_i  (check_start),
    .bits_i   (bits_q),
    .done_o   (check_done),
    .illegal_o(check_illegal)
  );

  // used_bits() is zero for an opcode that does not exist, except that its opcode may be zero too.
  // 512 bits are looked at in two steps, so the answer is there in the second cycle of the check.
  logic none_q, illegal_q, looked_q;
  logic [7:0] stray_q;  // of each beat
  logic [511:0] stray;
  assign stray = bits_q & ~used_bits(opcode);
  always_ff @(posedge clk_i) begin
    for (int unsigned b = 0; b < 8; b++) stray_q[b] <= stray[64*b+:64] != '0;
    none_q   <= opcode == '0 || stray_q != '0;
    looked_q <= state_q == StCheck;
    if (check_done) illegal_q <= check_illegal;
  end

  logic [2:0] beat_q;
  logic [20:0] index_q;  // of the instruction at hand
  logic [7:0] fault_code_q;
  logic [63:0] fault_addr_q;
  logic fetched_q, all_q;
  // Known long before the instruction at hand is dispatched: whether it is the last, whose it is, and
  // whether there is room for it, as nothing else fills the queues.
  logic last_q, room_q;
  logic [2:0] engine_q, queue_valid_q;
  always_ff @(posedge clk_i) begin
    last_q   <= index_q + 1'b1 == stream_length_i;
    engine_q <= '0;
    unique case (opcode)
      OpCompute: engine_q[EngineCompute] <= 1'b1;
      OpStore: engine_q[EngineStore] <= 1'b1;
      default: engine_q[EngineLoad] <= 1'b1;
    endcase
    room_q <= |(engine_q & queue_ready_i);
  end

  always_ff @(posedge clk_i) begin
    fetched_q <= 1'b0;
    queue_valid_q <= '0;
    if (!rst_ni || clear_i) begin
      state_q <= StIdle;
      beat_q <= '0;
      index_q <= '0;
      all_q <= 1'b0;
      fault_code_q <= '0;
      fault_addr_q <= '0;
    end else begin
      unique case (state_q)
        StIdle: if (start_i) state_q <= StAsk;
        // uncovered: the reader is empty before a stream, so it is always ready
        StAsk: if (run_ready) state_q <= StRead;
        StRead: begin
          if (beat_take) begin
            beat_q <= beat_q + 1'b1;
            if (beat_q == 3'd7) begin
              state_q <= StDecode;
              fetched_q <= 1'b1;
            end
          end else if (error.valid) begin
            state_q <= StFailed;
            fault_code_q <= error.code;
            fault_addr_q <= error.addr;
          end
        end
        StDecode: state_q <= StCheck;
        StCheck: begin
          if (none_q && looked_q) begin
            state_q <= StFailed;
            fault_code_q <= ErrBadOpcode;
          end else if (check_done) begin
            state_q <= StDispatch;
          end
        end
        StDispatch: begin
          if (room_q) begin
            queue_valid_q <= engine_q;
            state_q <= last_q ? StIdle : StRead;
          end
        end
        default: ;  // StFailed, until clear_i
      endcase
      // It is in its queue with the next edge; the next instruction is on its way by then.
      if (|queue_valid_q) begin
        index_q <= index_q + 1'b1;
        all_q   <= last_q;
      end
    end
  end

  assign queue_valid_o = queue_valid_q;
  assign queue_o = '{illegal: illegal_q, index: index_q[19:0], bits: bits_q};
  assign fetched_o = fetched_q;
  assign all_dispatched_o = all_q;
  // Whether the engines rest comes from their queues; nothing moves them any more.
  logic fault_valid_q;
  always_ff @(posedge clk_i) begin
    fault_valid_q <= state_q == StFailed && quiescent_i && rst_ni && !clear_i;
  end
  assign fault_o = '{
          valid: fault_valid_q,
          code: fault_code_q,
          index: index_q[19:0],
          addr: fault_addr_q
      };

  `ASSERT_ONEHOT0(one_engine, queue_valid_o)
  `ASSERT(queue_has_room, clear_i || (queue_valid_o & ~queue_ready_i) == '0)
endmodule
