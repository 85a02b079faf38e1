// What watches a run, side by side: counters, watchdog, and what goes on.
module tb_watch
  import wg_types_pkg::*;
#(
  parameter int unsigned Multipliers = 12,
  parameter int unsigned ReadPorts   = 2
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              clear_i,
  input  logic              running,
  // Engines.
  input  logic [2:0]        busy,
  stall,
  done,
  oldest_valid,
  input  logic [2:0][19:0]  oldest_index,
  input  logic              fetched,
  step,
  read_valid,
  write_valid,
  input  logic [31:0]       read_bytes,
  write_bytes,
  output logic [10:0][63:0] counters,
  output logic [20:0]       fetched_count,
  // Watchdog.
  input  logic              progress,
  hold,
  input  logic [31:0]       cycles,
  output logic              expired,
  output logic [2:0]        seen_valid,
  output logic [2:0][19:0]  seen_index,
  output logic [1:0]        longest_engine,
  output logic [20:0]       longest_index,
  // Ports: reads, fetch, write, in the order of BUS.
  input  logic [5:0]        offered,
  accepted,
  answered,
  input  logic [31:0]       trace_first,
  trace_length,
  trace_index,
  input  logic [2:0]        begins,
  input  logic [2:0][19:0]  begin_index,
  output logic [31:0]       bus,
  trace_count,
  trace_data
);
  issue_t [2:0] issue;
  trace_t [2:0] trace;
  for (genvar e = 0; e < 3; e++) begin : gen_engine
    assign issue[e] = '{
      busy: busy[e], stall: stall[e], empty: 1'b0, quiescent: 1'b0,
      oldest_valid: oldest_valid[e], oldest_index: oldest_index[e]
    };
    assign trace[e] = '{
      begins: begins[e], begin_index: begin_index[e], ends: done[e],
      end_index: oldest_index[e], stall: stall[e]
    };
  end
  work_t work;
  assign work = '{
          step: step,
          pair: 1'b0,
          read_valid: read_valid,
          read_bytes: read_bytes,
          write_valid: write_valid,
          write_bytes: write_bytes
      };

  wg_counters #(
    .Multipliers(Multipliers)
  ) u_counters (
    .clk_i,
    .rst_ni,
    .clear_i,
    .running_i(running),
    .issue_i(issue),
    .done_i(done),
    .fetched_i(fetched),
    .work_i(work),
    .counters_o(counters),
    .fetched_o(fetched_count)
  );

  wg_watchdog u_watchdog (
    .clk_i,
    .rst_ni,
    .running_i(running),
    .progress_i(progress),
    .hold_i(hold),
    .cycles_i(cycles),
    .issue_i(issue),
    .fetched_i(fetched_count),
    .expired_o(expired),
    .oldest_valid_o(seen_valid),
    .oldest_index_o(seen_index),
    .engine_o(longest_engine),
    .index_o(longest_index)
  );

  stream_t stream;
  settings_t settings;
  insight_t insight;
  axi_read_req_t [ReadPorts-1:0] rd_req;
  axi_read_rsp_t [ReadPorts-1:0] rd_rsp;
  axi_read_req_t if_req;
  axi_read_rsp_t if_rsp;
  axi_write_req_t wr_req;
  axi_write_rsp_t wr_rsp;
  assign stream = '{begins: clear_i, running: running, clear: 1'b0};
  assign settings = '{
    watchdog: '0, stream_length: '0, stream_base: '0, segment_base: '0,
    trace_first: trace_first, trace_length: trace_length, trace_index: trace_index
  };
  for (genvar p = 0; p < int'(ReadPorts); p++) begin : gen_port
    localparam int unsigned Place = p < 2 ? p : p + 2;
    assign rd_req[p] = '{arvalid: offered[Place], araddr: '0, arlen: '0, rready: 1'b1};
    assign rd_rsp[p] = '{
      arready: accepted[Place], rvalid: answered[Place], rdata: '0, rresp: '0,
      rlast: answered[Place]
    };
  end
  assign if_req = '{arvalid: offered[2], araddr: '0, arlen: '0, rready: 1'b1};
  assign if_rsp = '{
    arready: accepted[2], rvalid: answered[2], rdata: '0, rresp: '0, rlast: answered[2]
  };
  assign wr_req = '{
    awvalid: offered[3], awaddr: '0, awlen: '0, wvalid: 1'b0, wdata: '0, wstrb: '0, wlast: 1'b0,
    bready: 1'b1
  };
  assign wr_rsp = '{awready: accepted[3], wready: 1'b1, bvalid: answered[3], bresp: '0};
  wg_insight #(
    .ReadPorts(ReadPorts)
  ) u_insight (
    .clk_i,
    .rst_ni,
    .stream_i(stream),
    .settings_i(settings),
    .trace_i(trace),
    .rd_req_i(rd_req),
    .rd_rsp_i(rd_rsp),
    .if_req_i(if_req),
    .if_rsp_i(if_rsp),
    .wr_req_i(wr_req),
    .wr_rsp_i(wr_rsp),
    .insight_o(insight)
  );
  assign bus         = insight.bus;
  assign trace_count = insight.trace_count;
  assign trace_data  = insight.trace_data;
endmodule
