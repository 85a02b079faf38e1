// All that comes before the engines: registers, run control, fetch, and for each engine its issue.
module wg_front
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter config_t Config = DefaultConfig
) (
  input  logic          clk_i,
  input  logic          rst_ni,
  output logic          irq_o,
  // Registers: AXI4-Lite slave.
  input  axil_req_t     s_axil_i,
  output axil_rsp_t     s_axil_o,
  // Instructions: AXI4 master.
  output axi_read_req_t m_axi_o,
  input  axi_read_rsp_t m_axi_i,
  // all units
  output settings_t     settings_o,
  output windows_t      windows_o,
  output stream_t       stream_o,
  input  logic          units_idle_i,   // the engines' AXI masters have nothing on the bus
  input  logic          progress_i,     // something has gone on in this cycle
  input  work_t         work_i,
  input  insight_t      insight_i,
  // One of each for load, compute and store (engine_e).
  output start_t [2:0]  start_o,
  input  engine_t [2:0] engine_i,
  output trace_t [2:0]  trace_o
);
  logic start, soft_reset, clear, fetch_start, fetched, all_dispatched, fetch_idle, fetch_progress;
  status_t status;
  status_reg_t shown;
  fault_t fetch_fault;
  fetched_t queue;
  logic [2:0] queue_valid, queue_ready, quiescent, done;
  issue_t [2:0] issue;
  logic [2:0][2:0] available, room, take, promise, give;
  fault_t [2:0] fault;

  assign shown = status.status;
  assign stream_o = '{
          begins: start && shown.idle,
          running: !shown.idle && !clear,
          clear: clear
      };

  wg_regs #(
    .Config(Config)
  ) u_regs (
    .clk_i,
    .rst_ni,
    .irq_o,
    .s_axil_i,
    .s_axil_o,
    .start_o(start),
    .reset_o(soft_reset),
    .settings_o,
    .windows_o,
    .status_i(status),
    .insight_i
  );

  wg_control #(
    .Config(Config)
  ) u_control (
    .clk_i,
    .rst_ni,
    .start_i(start),
    .reset_i(soft_reset),
    .settings_i(settings_o),
    .status_o(status),
    .clear_o(clear),
    .units_idle_i(units_idle_i && fetch_idle),
    .progress_i(progress_i || fetch_progress),
    .fetch_start_o(fetch_start),
    .fetched_i(fetched),
    .all_dispatched_i(all_dispatched),
    .fetch_fault_i(fetch_fault),
    .issue_i(issue),
    .done_i(done),
    .fault_i(fault),
    .work_i
  );

  wg_fetch #(
    .Config(Config)
  ) u_fetch (
    .clk_i,
    .rst_ni,
    .clear_i(clear),
    .idle_o(fetch_idle),
    .progress_o(fetch_progress),
    .start_i(fetch_start),
    .stream_base_i(settings_o.stream_base),
    .stream_length_i(settings_o.stream_length[20:0]),
    .windows_i(windows_o.fetch),
    .fetched_o(fetched),
    .all_dispatched_o(all_dispatched),
    .quiescent_i(&quiescent),
    .fault_o(fetch_fault),
    .queue_valid_o(queue_valid),
    .queue_ready_i(queue_ready),
    .queue_o(queue),
    .m_axi_o,
    .m_axi_i
  );

  for (genvar e = 0; e < 3; e++) begin : g_issue
    wg_issue #(
      .Engine(e)
    ) u_issue (
      .clk_i,
      .rst_ni,
      .clear_i(clear),
      .queue_valid_i(queue_valid[e]),
      .queue_ready_o(queue_ready[e]),
      .queue_i(queue),
      .available_i(available[e]),
      .room_i(room[e]),
      .take_o(take[e]),
      .promise_o(promise[e]),
      .give_o(give[e]),
      .start_o(start_o[e]),
      .engine_i(engine_i[e]),
      .fault_o(fault[e]),
      .state_o(issue[e])
    );
    assign quiescent[e] = issue[e].quiescent;
    assign done[e]      = engine_i[e].done;
    assign trace_o[e]   = '{
      begins: start_o[e].valid && engine_i[e].ready,
      begin_index: start_o[e].index,
      ends: engine_i[e].done,
      end_index: issue[e].oldest_index,
      stall: issue[e].stall
    };
  end
  wg_tokens u_tokens (
    .clk_i,
    .rst_ni,
    .clear_i(clear),
    .take_i(take),
    .promise_i(promise),
    .give_i(give),
    .available_o(available),
    .room_o(room)
  );

  // The rest of STATUS is for the host.
  logic unused;
  assign unused = ^shown;
endmodule
