// Reads the instruction stream, checks each instruction, and hands it to the queue of its engine.
//
// One instruction at a time: the check takes about as long as reading eight beats with some
// latency, and the reader runs ahead meanwhile. Fetch stops at an instruction that is none, or
// that memory did not deliver, and reports it once the engines have done what came before.
module wg_fetch
  import winogen_pkg::*;
#(
  parameter int unsigned AddrWidth = 64,
  parameter int unsigned FifoBeats = 64,
  parameter int unsigned MaxOutstanding = 4,
  parameter int unsigned DataWidth = 8,
  parameter int unsigned Lanes = 8,
  parameter int unsigned InputDepth = 1024,
  parameter int unsigned WeightDepth = 1024,
  parameter int unsigned PsumDepth = 1024,
  parameter int unsigned OutputDepth = 1024,
  parameter int unsigned StepDepth = 256,
  parameter int unsigned AccumulatorDepth = 64,
  parameter int unsigned PhaseDepth = 64,
  parameter int unsigned ParamDepth = 64
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 clear_i,           // stays high until idle_o
  output logic                 idle_o,            // nothing of it is on the bus
  output logic                 progress_o,        // a beat has arrived
  // wg_control
  input  logic                 start_i,           // pulse
  input  logic [AddrWidth-1:0] stream_base_i,     // these two hold from start_i to the end
  input  logic [20:0]          stream_length_i,   // instructions, 1 to MaxStreamLength
  output logic                 fetched_o,         // pulse: one more instruction has been read
  output logic                 all_dispatched_o,
  input  logic                 quiescent_i,       // no engine goes on
  output logic                 fault_valid_o,
  output logic [7:0]           fault_code_o,
  output logic [19:0]          fault_index_o,
  output logic [AddrWidth-1:0] fault_addr_o,
  // wg_issue, one for each engine
  output logic [2:0]           queue_valid_o,
  input  logic [2:0]           queue_ready_i,
  output logic [511:0]         queue_bits_o,
  output logic [19:0]          queue_index_o,
  output logic                 queue_illegal_o,
  // AXI read channels
  output logic                 m_axi_arvalid_o,
  input  logic                 m_axi_arready_i,
  output logic [AddrWidth-1:0] m_axi_araddr_o,
  output logic [7:0]           m_axi_arlen_o,
  input  logic                 m_axi_rvalid_i,
  output logic                 m_axi_rready_o,
  input  logic [63:0]          m_axi_rdata_i,
  input  logic [1:0]           m_axi_rresp_i,
  input  logic                 m_axi_rlast_i
);
  typedef enum logic [2:0] {
    StIdle, StAsk, StRead, StDecode, StCheck, StDispatch, StFailed
  } state_e;
  state_e state_q;

  logic                 run_ready, beat_valid, beat_take, error_valid;
  logic [63:0]          beat_data;
  logic [7:0]           error_code;
  logic [AddrWidth-1:0] error_addr;
  wg_reader #(
    .Ports         (1),
    .AddrWidth     (AddrWidth),
    .FifoBeats     (FifoBeats),
    .MaxOutstanding(MaxOutstanding)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .flush_i      (clear_i),
    .idle_o,
    .progress_o,
    .run_valid_i  (state_q == StAsk),
    .run_ready_o  (run_ready),
    .run_addr_i   (stream_base_i),
    .run_bytes_i  (32'({stream_length_i, 6'b0})),
    .beat_count_o (beat_valid),
    .beat_data_o  (beat_data),
    .beat_take_i  (beat_take),
    .error_valid_o(error_valid),
    .error_code_o (error_code),
    .error_addr_o (error_addr),
    .m_axi_arvalid_o,
    .m_axi_arready_i,
    .m_axi_araddr_o,
    .m_axi_arlen_o,
    .m_axi_rvalid_i,
    .m_axi_rready_o,
    .m_axi_rdata_i,
    .m_axi_rresp_i,
    .m_axi_rlast_i
  );

  logic [511:0] bits_q;
  logic [3:0]   opcode;
  assign opcode = bits_q[3:0];
  assign beat_take = beat_valid && state_q == StRead;

  // The first beat ends in the low bits.
  always_ff @(posedge clk_i) if (beat_take) bits_q <= {beat_data, bits_q[511:64]};

  logic check_start, check_done, check_illegal;
  assign check_start = state_q == StDecode;
  wg_descriptor_check #(
    .DataWidth       (DataWidth),
    .Lanes           (Lanes),
    .InputDepth      (InputDepth),
    .WeightDepth     (WeightDepth),
    .PsumDepth       (PsumDepth),
    .OutputDepth     (OutputDepth),
    .StepDepth       (StepDepth),
    .AccumulatorDepth(AccumulatorDepth),
    .PhaseDepth      (PhaseDepth),
    .ParamDepth      (ParamDepth)
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
  logic none_q, illegal_q;
  always_ff @(posedge clk_i) begin
    none_q <= opcode == '0 || (bits_q & ~used_bits(opcode)) != '0;
    if (check_done) illegal_q <= check_illegal;
  end

  logic [2:0]           beat_q;
  logic [20:0]          index_q;  // of the instruction at hand
  logic [7:0]           fault_code_q;
  logic [AddrWidth-1:0] fault_addr_q;
  logic                 fetched_q, all_q, dispatched;
  assign dispatched = |(queue_valid_o & queue_ready_i);

  always_ff @(posedge clk_i) begin
    fetched_q <= 1'b0;
    if (!rst_ni || clear_i) begin
      state_q <= StIdle;
      beat_q <= '0;
      index_q <= '0;
      all_q <= 1'b0;
      fault_code_q <= '0;
      fault_addr_q <= '0;
    end else begin
      case (state_q)
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
          end else if (error_valid) begin
            state_q <= StFailed;
            fault_code_q <= error_code;
            fault_addr_q <= error_addr;
          end
        end
        StDecode: state_q <= StCheck;
        StCheck: begin
          if (none_q) begin
            state_q <= StFailed;
            fault_code_q <= ErrBadOpcode;
          end else if (check_done) begin
            state_q <= StDispatch;
          end
        end
        StDispatch: begin
          if (dispatched) begin
            index_q <= index_q + 1'b1;
            if (index_q + 1'b1 == stream_length_i) begin
              state_q <= StIdle;
              all_q <= 1'b1;
            end else begin
              state_q <= StRead;
            end
          end
        end
        default: ;  // StFailed, until clear_i
      endcase
    end
  end

  always_comb begin
    queue_valid_o = '0;
    if (state_q == StDispatch) begin
      case (opcode)
        OpCompute: queue_valid_o[EngineCompute] = 1'b1;
        OpStore: queue_valid_o[EngineStore] = 1'b1;
        default: queue_valid_o[EngineLoad] = 1'b1;
      endcase
    end
  end

  assign queue_bits_o = bits_q;
  assign queue_index_o = index_q[19:0];
  assign queue_illegal_o = illegal_q;
  assign fetched_o = fetched_q;
  assign all_dispatched_o = all_q;
  assign fault_valid_o = state_q == StFailed && quiescent_i;
  assign fault_code_o = fault_code_q;
  assign fault_index_o = index_q[19:0];
  assign fault_addr_o = fault_addr_q;
endmodule
