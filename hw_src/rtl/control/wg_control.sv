// Runs a stream: starts it, watches for its end, a fault or the watchdog, drains the units, and
// keeps status, error and counters.
module wg_control
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter config_t Config = DefaultConfig
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  // wg_regs
  input  logic         start_i,
  input  logic         reset_i,          // soft reset
  input  settings_t    settings_i,
  output status_t      status_o,
  // all units
  output logic         clear_o,          // held until units_idle_i
  input  logic         units_idle_i,     // the AXI masters have nothing on the bus
  input  logic         progress_i,       // something has gone on in this cycle
  // wg_fetch
  output logic         fetch_start_o,
  input  logic         fetched_i,        // pulse: one more instruction has been read
  input  logic         all_dispatched_i,
  input  fault_t       fetch_fault_i,
  // wg_issue and engines, in the order of engine_e
  input  issue_t [2:0] issue_i,
  input  logic [2:0]   done_i,           // pulse: an instruction has ended
  input  fault_t [2:0] fault_i,
  // for the counters
  input  work_t        work_i
);
  // clear_o is up for SettleCycles before units_idle_i counts: what was under way may take some to
  // show.
  localparam int unsigned SettleWidth = $clog2(SettleCycles + 1);

  typedef enum logic [1:0] {
    StIdle,
    StRun,
    StDrain
  } state_e;
  typedef enum logic [1:0] {
    EndNone,
    EndDone,
    EndError
  } end_e;
  state_e state_q;
  end_e end_q;  // how the last stream ended

  // A stream that cannot begin
  logic bad_stream;
  always_comb begin
    bad_stream = settings_i.stream_length == '0 || settings_i.stream_length > MaxStreamLength
        || settings_i.stream_base[5:0] != '0;
    for (int i = 0; i < 4; i++) bad_stream |= settings_i.segment_base[i][5:0] != '0;
  end
  fault_t fault, fault_q;  // that counts in this cycle, and in the one before
  // Only alignment matters here; the index of a fault has its own place.
  logic unused;
  assign unused = ^{settings_i, issue_i, fault_q};

  logic running, clear_counters, expired;
  logic [10:0][63:0] counters;
  logic [20:0] fetched;
  logic [2:0] oldest_valid;
  logic [2:0][19:0] oldest_index;
  logic [20:0] longest;  // under way
  logic [1:0] longest_engine;
  logic progress_q;
  assign running = state_q == StRun;

  wg_watchdog u_watchdog (
    .clk_i,
    .rst_ni,
    .running_i     (running),
    .progress_i    (progress_q),
    .hold_i        (end_q == EndError),
    .cycles_i      (settings_i.watchdog),
    .issue_i,
    .fetched_i     (fetched),
    .expired_o     (expired),
    .oldest_valid_o(oldest_valid),
    .oldest_index_o(oldest_index),
    .engine_o      (longest_engine),
    .index_o       (longest)
  );

  // Draining leaves time for the last of it.
  wg_counters #(
    .Multipliers(Config.Lanes * Config.Lanes * Config.TileLanes)
  ) u_counters (
    .clk_i,
    .rst_ni,
    .clear_i   (clear_counters),
    .running_i (running),
    .issue_i,
    .done_i,
    .fetched_i,
    .work_i,
    .counters_o(counters),
    .fetched_o (fetched)
  );

  // The first engine's fault, else that of fetch, else the watchdog
  logic [1:0] fault_engine;
  logic [20:0] fault_index;  // the watchdog may meet the end of the longest stream
  logic engine_fails;
  always_comb begin
    engine_fails = 1'b0;
    for (int i = 0; i < 3; i++) engine_fails |= fault_i[i].valid;
    fault = '{valid: expired, code: ErrWatchdog, index: '0, addr: '0};
    fault_engine = longest_engine;
    fault_index = longest;
    if (engine_fails) begin
      for (int i = 2; i >= 0; i--) begin
        if (fault_i[i].valid) begin
          fault = fault_i[i];
          fault_engine = 2'(i);
          fault_index = {1'b0, fault_i[i].index};
        end
      end
    end else if (fetch_fault_i.valid) begin
      fault = fetch_fault_i;
      fault_engine = EngineFetch;
      fault_index = {1'b0, fetch_fault_i.index};
    end
  end

  logic [SettleWidth-1:0] settle_q;
  logic fetch_start_q, done_event_q, error_event_q, empty_q, units_idle_q;
  logic [1:0] fault_engine_q;
  logic [20:0] fault_index_q;
  logic [7:0] code_q;
  logic [1:0] engine_q;
  logic [20:0] index_q;
  logic [63:0] addr_q;
  // What ends a stream, or keeps the watchdog from it, comes from all units, so it is looked at a
  // cycle later.
  always_ff @(posedge clk_i) begin
    fault_q        <= fault;
    fault_engine_q <= fault_engine;
    fault_index_q  <= fault_index;
    units_idle_q   <= units_idle_i;
    progress_q     <= progress_i || |done_i;
    empty_q        <= all_dispatched_i && issue_i[0].empty && issue_i[1].empty && issue_i[2].empty;
    if (!rst_ni || !running) begin
      fault_q.valid <= 1'b0;
      empty_q       <= 1'b0;
    end
  end
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
        settle_q <= SettleWidth'(SettleCycles);
      end
    end else begin
      unique case (state_q)
        StIdle: begin
          if (start_i) begin
            settle_q <= SettleWidth'(SettleCycles);
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
          if (fault_q.valid) begin
            state_q <= StDrain;
            end_q <= EndError;
            code_q <= fault_q.code;
            engine_q <= fault_engine_q;
            index_q <= fault_index_q;
            addr_q <= fault_q.addr;
          end else if (empty_q) begin
            state_q <= StDrain;
            end_q <= EndDone;
          end
        end
        default: begin  // StDrain
          if (settle_q != '0) begin
            settle_q <= settle_q - 1'b1;
          end else if (units_idle_q) begin
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

  // As the registers show them.
  logic [3:0][1:0] engine_state;
  status_reg_t shown;
  error_code_reg_t failure;
  load_instruction_reg_t [2:0] oldest;  // the registers of the three engines are alike
  assign shown = '{
          fetch: engine_state[EngineFetch],
          store: engine_state[EngineStore],
          compute: engine_state[EngineCompute],
          load: engine_state[EngineLoad],
          reserved_3: 1'b0,
          error: state_q == StIdle && end_q == EndError,
          done: state_q == StIdle && end_q == EndDone,
          idle: state_q == StIdle
      };
  assign failure = '{engine: 8'(engine_q), code: code_q};
  always_comb begin
    oldest = '0;
    for (int i = 0; i < 3; i++) begin
      oldest[i].valid = oldest_valid[i];
      if (oldest_valid[i]) oldest[i].index = oldest_index[i];
    end
    status_o = '{
        status: shown,
        done_event: done_event_q,
        error_event: error_event_q,
        error_code: failure,
        error_index: 32'(index_q),
        error_addr: addr_q,
        counters: counters,
        instruction: {32'(fetched), oldest}
    };
  end

  always_comb begin
    engine_state = '0;
    if (state_q == StRun) begin
      for (int i = 0; i < 3; i++) begin
        if (issue_i[i].busy) engine_state[i] = ActivityBusy;
        else if (issue_i[i].stall) engine_state[i] = ActivityWaiting;
      end
      if (!all_dispatched_i) engine_state[EngineFetch] = ActivityBusy;
    end else if (end_q == EndError) begin
      engine_state[engine_q] = ActivityError;
    end
  end
endmodule
