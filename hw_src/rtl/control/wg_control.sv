// Runs a stream: starts it, watches for its end, a fault or the watchdog, drains the units, and
// keeps status, error and counters.
module wg_control
  import winogen_pkg::*;
#(
  parameter int unsigned AddrWidth = 64,
  parameter int unsigned Lanes = 8,
  parameter int unsigned TileLanes = 1
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  // wg_regs
  input  logic                      start_i,
  input  logic                      reset_i,          // soft reset
  input  logic [31:0]               watchdog_i,
  input  logic [31:0]               stream_length_i,
  input  logic [63:0]               stream_base_i,
  input  logic [3:0][63:0]          segment_base_i,
  output logic [11:0]               status_o,
  output logic                      done_event_o,
  output logic                      error_event_o,
  output logic [15:0]               error_code_o,
  output logic [31:0]               error_index_o,
  output logic [63:0]               error_addr_o,
  output logic [10:0][63:0]         counters_o,
  output logic [3:0][31:0]          instruction_o,    // oldest of each engine; how many were fetched
  // all units
  output logic                      clear_o,          // held until units_idle_i
  input  logic                      units_idle_i,     // the AXI masters have nothing on the bus
  input  logic                      progress_i,       // something has gone on in this cycle
  // wg_fetch
  output logic                      fetch_start_o,
  input  logic                      fetched_i,
  input  logic                      all_dispatched_i,
  input  logic                      fetch_fault_valid_i,
  input  logic [7:0]                fetch_fault_code_i,
  input  logic [19:0]               fetch_fault_index_i,
  input  logic [AddrWidth-1:0]      fetch_fault_addr_i,
  // wg_issue and engines, in the order of engine_e
  input  logic [2:0]                busy_i,
  input  logic [2:0]                stall_i,
  input  logic [2:0]                empty_i,
  input  logic [2:0]                done_i,           // pulse: an instruction has ended
  input  logic [2:0]                oldest_valid_i,
  input  logic [2:0][19:0]          oldest_index_i,
  input  logic [2:0]                fault_valid_i,
  input  logic [2:0][7:0]           fault_code_i,
  input  logic [2:0][19:0]          fault_index_i,
  input  logic [2:0][AddrWidth-1:0] fault_addr_i,
  // for the counters
  input  logic                      mac_step_i,       // the array has multiplied in this cycle
  input  logic                      read_valid_i,     // a run of the load engine was accepted
  input  logic [31:0]               read_bytes_i,
  input  logic                      write_valid_i,    // a run of the store engine was accepted
  input  logic [31:0]               write_bytes_i
);
  localparam int unsigned Multipliers = Lanes * Lanes * TileLanes;
  // Cycles of clear_o before units_idle_i counts: what was under way may take some to show.
  localparam logic [2:0] SettleCycles = 3'd7;

  typedef enum logic [1:0] {StIdle, StRun, StDrain} state_e;
  typedef enum logic [1:0] {EndNone, EndDone, EndError} end_e;
  state_e state_q;
  end_e   end_q;  // how the last stream ended

  // A stream that cannot begin
  logic bad_stream;
  always_comb begin
    bad_stream = stream_length_i == '0 || stream_length_i > MaxStreamLength
        || stream_base_i[5:0] != '0;
    for (int i = 0; i < 4; i++) bad_stream |= segment_base_i[i][5:0] != '0;
  end
  // Only alignment matters here.
  logic unused;
  always_comb begin
    unused = ^stream_base_i[63:6];
    for (int i = 0; i < 4; i++) unused ^= ^segment_base_i[i][63:6];
  end

  // The instruction that is longest under way, for the watchdog. The index is unique.
  logic [20:0]     fetched_q;
  logic [2:0]       oldest_valid_q;
  logic [2:0][19:0] oldest_index_q;
  logic [20:0]     oldest_d, oldest_q;
  logic [1:0]      oldest_engine_d, oldest_engine_q;
  logic [2:0] is_oldest;
  always_comb begin
    for (int i = 0; i < 3; i++) begin
      is_oldest[i] = oldest_valid_q[i];
      for (int j = 0; j < 3; j++) begin
        if (j != i && oldest_valid_q[j] && oldest_index_q[j] < oldest_index_q[i]) begin
          is_oldest[i] = 1'b0;
        end
      end
    end
    oldest_d = fetched_q;
    oldest_engine_d = EngineFetch;
    for (int i = 0; i < 3; i++) begin
      if (is_oldest[i]) begin
        oldest_d = {1'b0, oldest_index_q[i]};
        oldest_engine_d = 2'(i);
      end
    end
  end

  // As the registers show them.
  always_comb begin
    instruction_o = '0;
    for (int i = 0; i < 3; i++) begin
      if (oldest_valid_q[i]) instruction_o[i] = {12'h800, oldest_index_q[i]};
    end
    instruction_o[EngineFetch] = 32'(fetched_q);
  end

  // Watchdog. Expiry is registered, so it can be a cycle late.
  logic [31:0] quiet_q;  // cycles without progress
  logic        expired_q;
  always_ff @(posedge clk_i) begin
    // After a failure they stay, for whoever wants to know what was under way.
    if (end_q != EndError) begin
      oldest_valid_q <= oldest_valid_i;
      oldest_index_q <= oldest_index_i;
    end
    oldest_q <= oldest_d;
    oldest_engine_q <= oldest_engine_d;
    if (!rst_ni || state_q != StRun || progress_i || |done_i || watchdog_i == '0) begin
      quiet_q <= '0;
      expired_q <= 1'b0;
    end else begin
      quiet_q <= quiet_q + 1'b1;
      expired_q <= quiet_q >= watchdog_i - 1'b1;
    end
  end

  // The fault that counts in this cycle
  logic        fault;
  logic [7:0]  fault_code;
  logic [1:0]  fault_engine;
  logic [20:0] fault_index;
  logic [63:0] fault_addr;
  always_comb begin
    fault = 1'b1;
    fault_code = ErrWatchdog;
    fault_engine = oldest_engine_q;
    fault_index = oldest_q;
    fault_addr = '0;
    if (|fault_valid_i) begin
      for (int i = 2; i >= 0; i--) begin
        if (fault_valid_i[i]) begin
          fault_code = fault_code_i[i];
          fault_engine = 2'(i);
          fault_index = {1'b0, fault_index_i[i]};
          fault_addr = 64'(fault_addr_i[i]);
        end
      end
    end else if (fetch_fault_valid_i) begin
      fault_code = fetch_fault_code_i;
      fault_engine = EngineFetch;
      fault_index = {1'b0, fetch_fault_index_i};
      fault_addr = 64'(fetch_fault_addr_i);
    end else if (!expired_q) begin
      fault = 1'b0;
    end
  end

  logic [2:0]  settle_q;
  logic        fetch_start_q, done_event_q, error_event_q, clear_counters;
  logic [7:0]  code_q;
  logic [1:0]  engine_q;
  logic [20:0] index_q;
  logic [63:0] addr_q;
  assign clear_counters = reset_i || (state_q == StIdle && start_i);

  always_ff @(posedge clk_i) begin
    fetch_start_q <= 1'b0;
    done_event_q <= 1'b0;
    error_event_q <= 1'b0;
    if (!rst_ni || clear_counters) begin
      end_q <= EndNone;
      code_q <= ErrNone;
      engine_q <= '0;
      index_q <= '0;
      addr_q <= '0;
    end
    if (!rst_ni) begin
      state_q <= StIdle;
      settle_q <= '0;
    end else if (reset_i) begin
      // Units of an idle core are clear already.
      if (state_q == StRun) begin
        state_q <= StDrain;
        settle_q <= SettleCycles;
      end
    end else begin
      case (state_q)
        StIdle: begin
          if (start_i) begin
            settle_q <= SettleCycles;
            if (bad_stream) begin
              state_q <= StDrain;
              end_q <= EndError;
              code_q <= ErrBadStream;
              engine_q <= EngineFetch;
            end else begin
              state_q <= StRun;
              fetch_start_q <= 1'b1;
            end
          end
        end
        StRun: begin
          if (fault) begin
            state_q <= StDrain;
            end_q <= EndError;
            code_q <= fault_code;
            engine_q <= fault_engine;
            index_q <= fault_index;
            addr_q <= fault_addr;
          end else if (all_dispatched_i && &empty_i) begin
            state_q <= StDrain;
            end_q <= EndDone;
          end
        end
        default: begin  // StDrain
          if (settle_q != '0) begin
            settle_q <= settle_q - 1'b1;
          end else if (units_idle_i) begin
            state_q <= StIdle;
            done_event_q <= end_q == EndDone;
            error_event_q <= end_q == EndError;
          end
        end
      endcase
    end
  end

  assign clear_o = state_q == StDrain;
  assign fetch_start_o = fetch_start_q;
  assign done_event_o = done_event_q;
  assign error_event_o = error_event_q;
  assign error_code_o = {6'b0, engine_q, code_q};
  assign error_index_o = 32'(index_q);
  assign error_addr_o = addr_q;

  // STATUS
  logic [3:0][1:0] engine_state;
  always_comb begin
    engine_state = '0;
    if (state_q == StRun) begin
      for (int i = 0; i < 3; i++) begin
        if (busy_i[i]) engine_state[i] = 2'd1;
        else if (stall_i[i]) engine_state[i] = 2'd2;
      end
      if (!all_dispatched_i) engine_state[3] = 2'd1;
    end else if (end_q == EndError) begin
      engine_state[engine_q] = 2'd3;
    end
    status_o[0] = state_q == StIdle;
    status_o[1] = state_q == StIdle && end_q == EndDone;
    status_o[2] = state_q == StIdle && end_q == EndError;
    status_o[3] = 1'b0;
    status_o[11:4] = engine_state;
  end

  // Counters. What they add is registered first; draining leaves time for the last of it.
  logic              running;
  logic [10:0][63:0] counters_q;
  logic [10:0][32:0] add_d, add_q;
  assign running = state_q == StRun;
  always_comb begin
    add_d = '0;
    add_d[0] = 33'd1;
    for (int i = 0; i < 3; i++) begin
      add_d[1+2*i] = 33'(busy_i[i]);
      add_d[2+2*i] = 33'(stall_i[i]);
    end
    add_d[7] = mac_step_i ? 33'(Multipliers) : '0;
    add_d[8] = (read_valid_i ? 33'(read_bytes_i) : '0)
        + (fetched_i ? 33'(InstructionBytes) : '0);
    add_d[9] = write_valid_i ? 33'(write_bytes_i) : '0;
    add_d[10] = 33'(done_i[0]) + 33'(done_i[1]) + 33'(done_i[2]);
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_counters) begin
      add_q <= '0;
      counters_q <= '0;
      fetched_q <= '0;
    end else begin
      add_q <= running ? add_d : '0;
      for (int i = 0; i < 11; i++) counters_q[i] <= counters_q[i] + 64'(add_q[i]);
      if (running && fetched_i) fetched_q <= fetched_q + 1'b1;
    end
  end
  assign counters_o = counters_q;
endmodule
