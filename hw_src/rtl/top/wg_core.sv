// The accelerator: control, three engines and the memories between them.
module wg_core
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  localparam int unsigned ReadPorts = Config.ReadPorts
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  output logic                          irq_o,
  // Registers: AXI4-Lite slave.
  input  axil_req_t                     s_axil_i,
  output axil_rsp_t                     s_axil_o,
  // Loads, instructions, stores: AXI4 masters.
  output axi_read_req_t [ReadPorts-1:0] m_axi_rd_o,
  input  axi_read_rsp_t [ReadPorts-1:0] m_axi_rd_i,
  output axi_read_req_t                 m_axi_if_o,
  input  axi_read_rsp_t                 m_axi_if_i,
  output axi_write_req_t                m_axi_wr_o,
  input  axi_write_rsp_t                m_axi_wr_i,
  output trace_t [2:0]                  trace_o
);
  logic step, pair;
  stream_t stream;
  logic reader_idle, writer_idle, reader_progress, writer_progress;
  settings_t settings;
  windows_t windows;
  // Those of fetch are for wg_front alone.
  logic unused;
  assign unused = ^windows.fetch;
  insight_t insight;
  work_t work;
  run_t load_run, store_run;
  logic load_run_ready, store_run_ready;
  // One of each for load, compute and store (engine_e).
  start_t [2:0] start;
  engine_t [2:0] engine;
  assign work = '{
          step: step,
          pair: pair,
          read_valid: load_run.valid && load_run_ready,
          read_bytes: load_run.bytes,
          write_valid: store_run.valid && store_run_ready,
          write_bytes: store_run.bytes
      };

  wg_front #(
    .Config(Config)
  ) u_front (
    .clk_i,
    .rst_ni,
    .irq_o,
    .s_axil_i,
    .s_axil_o,
    .m_axi_o(m_axi_if_o),
    .m_axi_i(m_axi_if_i),
    .settings_o(settings),
    .windows_o(windows),
    .stream_o(stream),
    .units_idle_i(reader_idle && writer_idle),
    .progress_i(reader_progress || writer_progress || step),
    .work_i(work),
    .insight_i(insight),
    .start_o(start),
    .engine_i(engine),
    .trace_o
  );
  wg_insight #(
    .ReadPorts(ReadPorts)
  ) u_insight (
    .clk_i,
    .rst_ni,
    .stream_i(stream),
    .settings_i(settings),
    .trace_i(trace_o),
    .rd_req_i(m_axi_rd_o),
    .rd_rsp_i(m_axi_rd_i),
    .if_req_i(m_axi_if_o),
    .if_rsp_i(m_axi_if_i),
    .wr_req_i(m_axi_wr_o),
    .wr_rsp_i(m_axi_wr_i),
    .insight_o(insight)
  );

  // -- Load ----------------------------------------------------------------------------------------
  logic [count_width(Config)-1:0] beat_count, beat_room;
  logic [ReadPorts*64-1:0] beat_data;
  bus_error_t read_error, write_error;
  table_write_t tab;
  param_write_t par;
  logic [3:0] in_we;
  logic [3:0][$clog2(bank_depth(Config))-1:0] in_waddr, in_raddr;
  logic [3:0][word_bits(Config)-1:0] in_wdata, in_rdata;
  logic [weight_parts(Config)-1:0] weight_we;
  logic [$clog2(Config.WeightDepth)-1:0] weight_waddr, weight_raddr;
  logic [Config.Lanes/2-1:0][part_bits(Config)-1:0] weight_wdata;
  logic [weight_parts(Config)-1:0][part_bits(Config)-1:0] weight_rdata;

  wg_reader #(
    .Ports(ReadPorts),
    .AddrWidth(Config.AddrWidth)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .flush_i(stream.clear),
    .idle_o(reader_idle),
    .progress_o(reader_progress),
    .windows_i(windows.read),
    .run_i(load_run),
    .run_ready_o(load_run_ready),
    .beat_count_o(beat_count),
    .beat_data_o(beat_data),
    .beat_room_i(beat_room),
    .error_o(read_error),
    .m_axi_o(m_axi_rd_o),
    .m_axi_i(m_axi_rd_i)
  );
  wg_load #(
    .Config(Config)
  ) u_load (
    .clk_i,
    .rst_ni,
    .clear_i(stream.clear),
    .start_i(start[EngineLoad]),
    .engine_o(engine[EngineLoad]),
    .segment_base_i(settings.segment_base),
    .run_o(load_run),
    .run_ready_i(load_run_ready),
    .beat_count_i(beat_count),
    .beat_data_i(beat_data),
    .beat_room_o(beat_room),
    .error_i(read_error),
    .in_we_o(in_we),
    .in_addr_o(in_waddr),
    .in_data_o(in_wdata),
    .w_we_o(weight_we),
    .w_addr_o(weight_waddr),
    .w_data_o(weight_wdata),
    .tab_o(tab),
    .par_o(par)
  );

  // -- Compute -------------------------------------------------------------------------------------
  logic out_we;
  logic [$clog2(Config.OutputDepth)-1:0] out_waddr, out_raddr;
  logic [word_bits(Config)-1:0] out_wdata, out_rdata;

  wg_buffers #(
    .Config(Config)
  ) u_buffers (
    .clk_i,
    .in_we_i(in_we),
    .in_waddr_i(in_waddr),
    .in_wdata_i(in_wdata),
    .in_raddr_i(in_raddr),
    .in_rdata_o(in_rdata),
    .weight_we_i(weight_we),
    .weight_waddr_i(weight_waddr),
    .weight_wdata_i(weight_wdata),
    .weight_raddr_i(weight_raddr),
    .weight_rdata_o(weight_rdata),
    .out_we_i(out_we),
    .out_waddr_i(out_waddr),
    .out_wdata_i(out_wdata),
    .out_raddr_i(out_raddr),
    .out_rdata_o(out_rdata)
  );
  wg_compute #(
    .Config(Config)
  ) u_compute (
    .clk_i,
    .rst_ni,
    .clear_i(stream.clear),
    .start_i(start[EngineCompute]),
    .engine_o(engine[EngineCompute]),
    .step_o(step),
    .pair_o(pair),
    .in_raddr_o(in_raddr),
    .in_rdata_i(in_rdata),
    .weight_raddr_o(weight_raddr),
    .weight_rdata_i(weight_rdata),
    .tab_i(tab),
    .par_i(par),
    .out_we_o(out_we),
    .out_waddr_o(out_waddr),
    .out_wdata_o(out_wdata)
  );

  // -- Store ---------------------------------------------------------------------------------------
  logic write_ready, write_done;
  write_beat_t write_beat;

  wg_store #(
    .Config(Config)
  ) u_store (
    .clk_i,
    .rst_ni,
    .clear_i(stream.clear),
    .start_i(start[EngineStore]),
    .engine_o(engine[EngineStore]),
    .segment_base_i(settings.segment_base),
    .out_raddr_o(out_raddr),
    .out_rdata_i(out_rdata),
    .run_o(store_run),
    .run_ready_i(store_run_ready),
    .beat_o(write_beat),
    .beat_ready_i(write_ready),
    .write_done_i(write_done),
    .write_error_i(write_error)
  );
  wg_axi_write #(
    .AddrWidth(Config.AddrWidth)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .flush_i(stream.clear),
    .idle_o(writer_idle),
    .progress_o(writer_progress),
    .windows_i(windows.write),
    .run_i(store_run),
    .run_ready_o(store_run_ready),
    .beat_i(write_beat),
    .beat_ready_o(write_ready),
    .done_o(write_done),
    .error_o(write_error),
    .m_axi_o(m_axi_wr_o),
    .m_axi_i(m_axi_wr_i)
  );
endmodule
