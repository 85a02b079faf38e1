// The accelerator: control, three engines and the memories between them.
//
// All bursts are INCR, of 64-bit beats, in order, at most 16 beats long; a wrapper for a board ties
// the constant AXI signals. The trace port says which instruction begins and ends when; synthesis
// removes it where nothing reads it.
module winogen_core
  import winogen_pkg::*;
#(
  parameter int unsigned DataWidth        = 8,
  parameter int unsigned Lanes            = 8,
  parameter int unsigned TileLanes        = 3,
  parameter int unsigned InputDepth       = 16384,
  parameter int unsigned WeightDepth      = 2048,
  parameter int unsigned PsumDepth        = 2048,
  parameter int unsigned OutputDepth      = 4096,
  parameter int unsigned StepDepth        = 1024,
  parameter int unsigned AccumulatorDepth = 64,
  parameter int unsigned PhaseDepth       = 128,
  parameter int unsigned ParamDepth       = 64,
  parameter int unsigned ReadPorts        = 2,
  parameter logic [31:0] ConfigHash       = '0,
  parameter int unsigned AddrWidth        = 64
) (
  input  logic                                clk_i,
  input  logic                                rst_ni,
  output logic                                irq_o,
  // Registers: AXI4-Lite slave.
  input  logic                                s_axil_awvalid_i,
  output logic                                s_axil_awready_o,
  input  logic [11:0]                         s_axil_awaddr_i,
  input  logic                                s_axil_wvalid_i,
  output logic                                s_axil_wready_o,
  input  logic [31:0]                         s_axil_wdata_i,
  input  logic [3:0]                          s_axil_wstrb_i,
  output logic                                s_axil_bvalid_o,
  input  logic                                s_axil_bready_i,
  output logic [1:0]                          s_axil_bresp_o,
  input  logic                                s_axil_arvalid_i,
  output logic                                s_axil_arready_o,
  input  logic [11:0]                         s_axil_araddr_i,
  output logic                                s_axil_rvalid_o,
  input  logic                                s_axil_rready_i,
  output logic [31:0]                         s_axil_rdata_o,
  output logic [1:0]                          s_axil_rresp_o,
  // Loads: AXI4 read masters.
  output logic [ReadPorts-1:0]                m_axi_rd_arvalid_o,
  input  logic [ReadPorts-1:0]                m_axi_rd_arready_i,
  output logic [ReadPorts-1:0][AddrWidth-1:0] m_axi_rd_araddr_o,
  output logic [ReadPorts-1:0][7:0]           m_axi_rd_arlen_o,
  input  logic [ReadPorts-1:0]                m_axi_rd_rvalid_i,
  output logic [ReadPorts-1:0]                m_axi_rd_rready_o,
  input  logic [ReadPorts-1:0][63:0]          m_axi_rd_rdata_i,
  input  logic [ReadPorts-1:0][1:0]           m_axi_rd_rresp_i,
  input  logic [ReadPorts-1:0]                m_axi_rd_rlast_i,
  // Instructions: AXI4 read master.
  output logic                                m_axi_if_arvalid_o,
  input  logic                                m_axi_if_arready_i,
  output logic [AddrWidth-1:0]                m_axi_if_araddr_o,
  output logic [7:0]                          m_axi_if_arlen_o,
  input  logic                                m_axi_if_rvalid_i,
  output logic                                m_axi_if_rready_o,
  input  logic [63:0]                         m_axi_if_rdata_i,
  input  logic [1:0]                          m_axi_if_rresp_i,
  input  logic                                m_axi_if_rlast_i,
  // Stores: AXI4 write master.
  output logic                                m_axi_wr_awvalid_o,
  input  logic                                m_axi_wr_awready_i,
  output logic [AddrWidth-1:0]                m_axi_wr_awaddr_o,
  output logic [7:0]                          m_axi_wr_awlen_o,
  output logic                                m_axi_wr_wvalid_o,
  input  logic                                m_axi_wr_wready_i,
  output logic [63:0]                         m_axi_wr_wdata_o,
  output logic [7:0]                          m_axi_wr_wstrb_o,
  output logic                                m_axi_wr_wlast_o,
  input  logic                                m_axi_wr_bvalid_i,
  output logic                                m_axi_wr_bready_o,
  input  logic [1:0]                          m_axi_wr_bresp_i,
  // Trace, for each engine: an instruction begins, the oldest one ends.
  output logic [2:0]                          trace_start_o,
  output logic [2:0][19:0]                    trace_start_index_o,
  output logic [2:0]                          trace_valid_o,
  output logic [2:0][19:0]                    trace_index_o
);
  localparam int unsigned WordBits    = Lanes * DataWidth;
  localparam int unsigned WeightWidth = DataWidth == 8 ? 12 : 20;
  localparam int unsigned PartBits    = 2 * Lanes * WeightWidth;
  localparam int unsigned BankAw      = $clog2(InputDepth / 4);
  localparam int unsigned WeightAw    = $clog2(WeightDepth);
  localparam int unsigned OutputAw    = $clog2(OutputDepth);
  localparam int unsigned LaneAw      = $clog2(Lanes);
  localparam int unsigned CountWidth  = $clog2(ReadPorts + 1);

  // -- Control -------------------------------------------------------------------------------------

  logic clear, start, soft_reset, fetch_start, fetched, all_dispatched;
  logic [31:0] watchdog, stream_length;
  logic [63:0] stream_base;
  logic [3:0][63:0] segment_base;
  logic [11:0] status;
  logic done_event, error_event;
  logic [15:0] error_code;
  logic [31:0] error_index;
  logic [63:0] error_addr;
  logic [10:0][63:0] counters;
  logic [3:0][31:0] instruction;
  logic [31:0] trace_first, trace_length, trace_index, trace_data;
  logic [15:0] trace_records;
  logic trace_overflow;
  logic [3:0][3:0] bus_bursts;
  logic [3:0] bus_address;
  logic reader_idle, writer_idle, fetch_idle, reader_progress, writer_progress, fetch_progress;
  logic step;
  logic load_run_valid, load_run_ready;
  logic [AddrWidth-1:0] load_run_addr;
  logic [31:0] load_run_bytes;
  logic store_run_valid, store_run_ready, store_run_last, store_valid, store_ready;
  logic [AddrWidth-1:0] store_run_addr;
  logic [31:0] store_run_bytes;

  wg_regs #(
    .ConfigHash(ConfigHash), .DataWidth(DataWidth), .Lanes(Lanes), .TileLanes(TileLanes),
    .InputDepth(InputDepth), .WeightDepth(WeightDepth), .PsumDepth(PsumDepth),
    .OutputDepth(OutputDepth), .StepDepth(StepDepth)
  ) u_regs (
    .clk_i, .rst_ni,
    .s_axil_awvalid_i, .s_axil_awready_o, .s_axil_awaddr_i, .s_axil_wvalid_i, .s_axil_wready_o,
    .s_axil_wdata_i, .s_axil_wstrb_i, .s_axil_bvalid_o, .s_axil_bready_i, .s_axil_bresp_o,
    .s_axil_arvalid_i, .s_axil_arready_o, .s_axil_araddr_i, .s_axil_rvalid_o, .s_axil_rready_i,
    .s_axil_rdata_o, .s_axil_rresp_o,
    .start_o(start), .reset_o(soft_reset), .watchdog_o(watchdog),
    .stream_length_o(stream_length), .stream_base_o(stream_base), .segment_base_o(segment_base),
    .status_i(status), .done_event_i(done_event), .error_event_i(error_event),
    .error_code_i(error_code), .error_index_i(error_index), .error_addr_i(error_addr),
    .counters_i(counters), .instruction_i(instruction),
    .trace_first_o(trace_first), .trace_length_o(trace_length), .trace_index_o(trace_index),
    .bus_i({12'b0, bus_address, bus_bursts}),
    .trace_count_i({trace_overflow, 15'b0, trace_records}), .trace_data_i(trace_data), .irq_o
  );

  // One of each for load, compute and store (engine_e).
  logic [2:0] queue_valid, queue_ready, start_valid, start_ready, done;
  logic [2:0][511:0] start_bits;
  logic [2:0][19:0] start_index, fault_index, issue_fault_index, oldest_index;
  logic [2:0] fault_valid, issue_fault_valid;
  logic [2:0][7:0] fault_code, issue_fault_code;
  logic [2:0][AddrWidth-1:0] fault_addr, issue_fault_addr;
  logic [2:0] busy, stall, empty, quiescent, oldest_valid;
  logic [2:0][2:0] available, room, take, promise, give;
  logic [511:0] queue_bits;
  logic [19:0] queue_index;
  logic queue_illegal;
  logic fetch_fault_valid;
  logic [7:0] fetch_fault_code;
  logic [19:0] fetch_fault_index;
  logic [AddrWidth-1:0] fetch_fault_addr;

  wg_control #(.AddrWidth(AddrWidth), .Lanes(Lanes), .TileLanes(TileLanes)) u_control (
    .clk_i, .rst_ni,
    .start_i(start), .reset_i(soft_reset), .watchdog_i(watchdog),
    .stream_length_i(stream_length), .stream_base_i(stream_base), .segment_base_i(segment_base),
    .status_o(status), .done_event_o(done_event), .error_event_o(error_event),
    .error_code_o(error_code), .error_index_o(error_index), .error_addr_o(error_addr),
    .counters_o(counters), .instruction_o(instruction),
    .clear_o(clear), .units_idle_i(reader_idle && writer_idle && fetch_idle),
    .progress_i(reader_progress || writer_progress || fetch_progress || step || |done),
    .fetch_start_o(fetch_start), .fetched_i(fetched), .all_dispatched_i(all_dispatched),
    .fetch_fault_valid_i(fetch_fault_valid), .fetch_fault_code_i(fetch_fault_code),
    .fetch_fault_index_i(fetch_fault_index), .fetch_fault_addr_i(fetch_fault_addr),
    .busy_i(busy), .stall_i(stall), .empty_i(empty), .done_i(done),
    .oldest_valid_i(oldest_valid), .oldest_index_i(oldest_index),
    .fault_valid_i(issue_fault_valid), .fault_code_i(issue_fault_code),
    .fault_index_i(issue_fault_index), .fault_addr_i(issue_fault_addr),
    .mac_step_i(step),
    .read_valid_i(load_run_valid && load_run_ready), .read_bytes_i(load_run_bytes),
    .write_valid_i(store_run_valid && store_run_ready), .write_bytes_i(store_run_bytes)
  );

  wg_fetch #(
    .AddrWidth(AddrWidth), .DataWidth(DataWidth), .Lanes(Lanes), .InputDepth(InputDepth),
    .WeightDepth(WeightDepth), .PsumDepth(PsumDepth), .OutputDepth(OutputDepth),
    .StepDepth(StepDepth), .AccumulatorDepth(AccumulatorDepth), .PhaseDepth(PhaseDepth),
    .ParamDepth(ParamDepth)
  ) u_fetch (
    .clk_i, .rst_ni, .clear_i(clear), .idle_o(fetch_idle), .progress_o(fetch_progress),
    .start_i(fetch_start), .stream_base_i(AddrWidth'(stream_base)),
    .stream_length_i(stream_length[20:0]), .fetched_o(fetched),
    .all_dispatched_o(all_dispatched), .quiescent_i(&quiescent),
    .fault_valid_o(fetch_fault_valid), .fault_code_o(fetch_fault_code),
    .fault_index_o(fetch_fault_index), .fault_addr_o(fetch_fault_addr),
    .queue_valid_o(queue_valid), .queue_ready_i(queue_ready), .queue_bits_o(queue_bits),
    .queue_index_o(queue_index), .queue_illegal_o(queue_illegal),
    .m_axi_arvalid_o(m_axi_if_arvalid_o), .m_axi_arready_i(m_axi_if_arready_i),
    .m_axi_araddr_o(m_axi_if_araddr_o), .m_axi_arlen_o(m_axi_if_arlen_o),
    .m_axi_rvalid_i(m_axi_if_rvalid_i), .m_axi_rready_o(m_axi_if_rready_o),
    .m_axi_rdata_i(m_axi_if_rdata_i), .m_axi_rresp_i(m_axi_if_rresp_i),
    .m_axi_rlast_i(m_axi_if_rlast_i)
  );

  for (genvar e = 0; e < 3; e++) begin : g_issue
    wg_issue #(.Engine(e), .AddrWidth(AddrWidth)) u_issue (
      .clk_i, .rst_ni, .clear_i(clear),
      .queue_valid_i(queue_valid[e]), .queue_ready_o(queue_ready[e]),
      .queue_bits_i(queue_bits), .queue_index_i(queue_index), .queue_illegal_i(queue_illegal),
      .available_i(available[e]), .room_i(room[e]), .take_o(take[e]), .promise_o(promise[e]),
      .give_o(give[e]),
      .start_valid_o(start_valid[e]), .start_ready_i(start_ready[e]),
      .start_bits_o(start_bits[e]), .start_index_o(start_index[e]), .done_i(done[e]),
      .fault_valid_i(fault_valid[e]), .fault_code_i(fault_code[e]),
      .fault_index_i(fault_index[e]), .fault_addr_i(fault_addr[e]),
      .fault_valid_o(issue_fault_valid[e]), .fault_code_o(issue_fault_code[e]),
      .fault_index_o(issue_fault_index[e]), .fault_addr_o(issue_fault_addr[e]),
      .busy_o(busy[e]), .stall_o(stall[e]), .empty_o(empty[e]), .quiescent_o(quiescent[e]),
      .oldest_valid_o(oldest_valid[e]), .oldest_index_o(oldest_index[e])
    );
  end
  wg_tokens u_tokens (
    .clk_i, .rst_ni, .clear_i(clear), .take_i(take), .promise_i(promise), .give_i(give),
    .available_o(available), .room_o(room)
  );

  // -- What goes on, for whoever looks --------------------------------------------------------------

  logic unused_trace;
  assign unused_trace = ^{trace_first[31:20], trace_length[31:21], trace_index[31:12]};
  wg_trace u_trace (
    .clk_i, .rst_ni, .clear_i(start && status[0]), .running_i(!status[0] && !clear),
    .first_i(trace_first[19:0]), .length_i(trace_length[20:0]),
    .begin_i(start_valid & start_ready), .begin_index_i(start_index),
    .end_i(done), .end_index_i(oldest_index), .stall_i(stall),
    .index_i(trace_index[$clog2(TraceDepth)-1:0]), .data_o(trace_data),
    .records_o(trace_records), .overflow_o(trace_overflow)
  );

  // Ports in the order of BUS; a second read port may be missing.
  wg_bus_state #(.Ports(4)) u_bus_state (
    .clk_i, .rst_ni,
    .offered_i ({m_axi_wr_awvalid_o, m_axi_if_arvalid_o, 2'(m_axi_rd_arvalid_o)}),
    .accepted_i({m_axi_wr_awready_i, m_axi_if_arready_i, 2'(m_axi_rd_arready_i)}),
    .answered_i({
      m_axi_wr_bvalid_i && m_axi_wr_bready_o,
      m_axi_if_rvalid_i && m_axi_if_rready_o && m_axi_if_rlast_i,
      2'(m_axi_rd_rvalid_i) & 2'(m_axi_rd_rready_o) & 2'(m_axi_rd_rlast_i)
    }),
    .bursts_o(bus_bursts), .address_o(bus_address)
  );

  assign trace_start_o       = start_valid & start_ready;
  assign trace_start_index_o = start_index;
  assign trace_valid_o       = done;
  assign trace_index_o       = oldest_index;

  // -- Load ----------------------------------------------------------------------------------------

  logic [CountWidth-1:0] beat_count, beat_take;
  logic [ReadPorts*64-1:0] beat_data;
  logic read_error;
  logic [7:0] read_error_code;
  logic [AddrWidth-1:0] read_error_addr;

  wg_reader #(.Ports(ReadPorts), .AddrWidth(AddrWidth)) u_reader (
    .clk_i, .rst_ni, .flush_i(clear), .idle_o(reader_idle), .progress_o(reader_progress),
    .run_valid_i(load_run_valid), .run_ready_o(load_run_ready),
    .run_addr_i(load_run_addr), .run_bytes_i(load_run_bytes),
    .beat_count_o(beat_count), .beat_data_o(beat_data), .beat_take_i(beat_take),
    .error_valid_o(read_error), .error_code_o(read_error_code), .error_addr_o(read_error_addr),
    .m_axi_arvalid_o(m_axi_rd_arvalid_o), .m_axi_arready_i(m_axi_rd_arready_i),
    .m_axi_araddr_o(m_axi_rd_araddr_o), .m_axi_arlen_o(m_axi_rd_arlen_o),
    .m_axi_rvalid_i(m_axi_rd_rvalid_i), .m_axi_rready_o(m_axi_rd_rready_o),
    .m_axi_rdata_i(m_axi_rd_rdata_i), .m_axi_rresp_i(m_axi_rd_rresp_i),
    .m_axi_rlast_i(m_axi_rd_rlast_i)
  );

  logic [3:0] in_we;
  logic [3:0][BankAw-1:0] in_waddr, in_raddr;
  logic [3:0][WordBits-1:0] in_wdata, in_rdata;
  logic [Lanes/2-1:0] weight_we;
  logic [WeightAw-1:0] weight_waddr, weight_raddr;
  logic [Lanes/2-1:0][PartBits-1:0] weight_wdata, weight_rdata;
  logic tab_we, par_we;
  logic [1:0] tab_id;
  logic [11:0] tab_addr;
  logic [63:0] tab_data;
  logic [7:0] par_addr;
  logic [LaneAw-1:0] par_lane;
  logic [127:0] par_data;

  wg_load #(
    .DataWidth(DataWidth), .Lanes(Lanes), .InputDepth(InputDepth), .WeightDepth(WeightDepth),
    .StepDepth(StepDepth), .AccumulatorDepth(AccumulatorDepth), .PhaseDepth(PhaseDepth),
    .ParamDepth(ParamDepth), .ReadPorts(ReadPorts), .AddrWidth(AddrWidth)
  ) u_load (
    .clk_i, .rst_ni, .clear_i(clear),
    .start_valid_i(start_valid[EngineLoad]), .start_ready_o(start_ready[EngineLoad]),
    .start_bits_i(start_bits[EngineLoad]), .start_index_i(start_index[EngineLoad]),
    .done_o(done[EngineLoad]), .fault_valid_o(fault_valid[EngineLoad]),
    .fault_code_o(fault_code[EngineLoad]), .fault_index_o(fault_index[EngineLoad]),
    .fault_addr_o(fault_addr[EngineLoad]), .segment_base_i(segment_base),
    .run_valid_o(load_run_valid), .run_ready_i(load_run_ready), .run_addr_o(load_run_addr),
    .run_bytes_o(load_run_bytes),
    .beat_count_i(beat_count), .beat_data_i(beat_data), .beat_take_o(beat_take),
    .error_valid_i(read_error), .error_code_i(read_error_code), .error_addr_i(read_error_addr),
    .in_we_o(in_we), .in_addr_o(in_waddr), .in_data_o(in_wdata),
    .w_we_o(weight_we), .w_addr_o(weight_waddr), .w_data_o(weight_wdata),
    .tab_we_o(tab_we), .tab_id_o(tab_id), .tab_addr_o(tab_addr), .tab_data_o(tab_data),
    .par_we_o(par_we), .par_addr_o(par_addr), .par_lane_o(par_lane), .par_data_o(par_data)
  );

  // -- Input and weight buffer ---------------------------------------------------------------------

  for (genvar b = 0; b < 4; b++) begin : g_input
    wg_ram #(.Width(WordBits), .Depth(InputDepth / 4)) u_bank (
      .clk_i, .we_i(in_we[b]), .waddr_i(in_waddr[b]), .wdata_i(in_wdata[b]),
      .raddr_i(in_raddr[b]), .rdata_o(in_rdata[b])
    );
  end
  for (genvar p = 0; p < int'(Lanes) / 2; p++) begin : g_weight
    wg_ram #(.Width(PartBits), .Depth(WeightDepth)) u_part (
      .clk_i, .we_i(weight_we[p]), .waddr_i(weight_waddr), .wdata_i(weight_wdata[p]),
      .raddr_i(weight_raddr), .rdata_o(weight_rdata[p])
    );
  end

  // -- Compute -------------------------------------------------------------------------------------

  logic out_we;
  logic [OutputAw-1:0] out_waddr, out_raddr;
  logic [WordBits-1:0] out_wdata, out_rdata;

  wg_compute #(
    .DataWidth(DataWidth), .Lanes(Lanes), .TileLanes(TileLanes), .InputDepth(InputDepth),
    .WeightDepth(WeightDepth), .PsumDepth(PsumDepth), .OutputDepth(OutputDepth),
    .StepDepth(StepDepth), .AccumulatorDepth(AccumulatorDepth), .PhaseDepth(PhaseDepth),
    .ParamDepth(ParamDepth), .AddrWidth(AddrWidth)
  ) u_compute (
    .clk_i, .rst_ni, .clear_i(clear),
    .start_valid_i(start_valid[EngineCompute]), .start_ready_o(start_ready[EngineCompute]),
    .start_bits_i(start_bits[EngineCompute]), .start_index_i(start_index[EngineCompute]),
    .done_o(done[EngineCompute]), .fault_valid_o(fault_valid[EngineCompute]),
    .fault_code_o(fault_code[EngineCompute]), .fault_index_o(fault_index[EngineCompute]),
    .fault_addr_o(fault_addr[EngineCompute]), .step_o(step),
    .in_raddr_o(in_raddr), .in_rdata_i(in_rdata),
    .weight_raddr_o(weight_raddr), .weight_rdata_i(weight_rdata),
    .tab_we_i(tab_we), .tab_id_i(tab_id), .tab_addr_i(tab_addr), .tab_data_i(tab_data),
    .par_we_i(par_we), .par_addr_i(par_addr), .par_lane_i(par_lane), .par_data_i(par_data),
    .out_we_o(out_we), .out_waddr_o(out_waddr), .out_wdata_o(out_wdata)
  );

  wg_ram #(.Width(WordBits), .Depth(OutputDepth)) u_output (
    .clk_i, .we_i(out_we), .waddr_i(out_waddr), .wdata_i(out_wdata),
    .raddr_i(out_raddr), .rdata_o(out_rdata)
  );

  // -- Store ---------------------------------------------------------------------------------------

  logic [63:0] store_data;
  logic write_done, write_error;
  logic [7:0] write_error_code;
  logic [AddrWidth-1:0] write_error_addr;

  wg_store #(
    .DataWidth(DataWidth), .Lanes(Lanes), .OutputDepth(OutputDepth), .AddrWidth(AddrWidth)
  ) u_store (
    .clk_i, .rst_ni, .clear_i(clear),
    .start_valid_i(start_valid[EngineStore]), .start_ready_o(start_ready[EngineStore]),
    .start_bits_i(start_bits[EngineStore]), .start_index_i(start_index[EngineStore]),
    .done_o(done[EngineStore]), .fault_valid_o(fault_valid[EngineStore]),
    .fault_code_o(fault_code[EngineStore]), .fault_index_o(fault_index[EngineStore]),
    .fault_addr_o(fault_addr[EngineStore]), .segment_base_i(segment_base),
    .out_raddr_o(out_raddr), .out_rdata_i(out_rdata),
    .run_valid_o(store_run_valid), .run_ready_i(store_run_ready), .run_addr_o(store_run_addr),
    .run_bytes_o(store_run_bytes), .run_last_o(store_run_last),
    .data_valid_o(store_valid), .data_ready_i(store_ready), .data_o(store_data),
    .write_done_i(write_done), .write_error_valid_i(write_error),
    .write_error_code_i(write_error_code), .write_error_addr_i(write_error_addr)
  );

  wg_axi_write #(.AddrWidth(AddrWidth)) u_writer (
    .clk_i, .rst_ni, .flush_i(clear), .idle_o(writer_idle), .progress_o(writer_progress),
    .run_valid_i(store_run_valid), .run_ready_o(store_run_ready), .run_addr_i(store_run_addr),
    .run_bytes_i(store_run_bytes), .run_last_i(store_run_last),
    .data_valid_i(store_valid), .data_ready_o(store_ready), .data_i(store_data),
    .done_o(write_done), .error_valid_o(write_error), .error_code_o(write_error_code),
    .error_addr_o(write_error_addr),
    .m_axi_awvalid_o(m_axi_wr_awvalid_o), .m_axi_awready_i(m_axi_wr_awready_i),
    .m_axi_awaddr_o(m_axi_wr_awaddr_o), .m_axi_awlen_o(m_axi_wr_awlen_o),
    .m_axi_wvalid_o(m_axi_wr_wvalid_o), .m_axi_wready_i(m_axi_wr_wready_i),
    .m_axi_wdata_o(m_axi_wr_wdata_o), .m_axi_wstrb_o(m_axi_wr_wstrb_o),
    .m_axi_wlast_o(m_axi_wr_wlast_o),
    .m_axi_bvalid_i(m_axi_wr_bvalid_i), .m_axi_bready_o(m_axi_wr_bready_o),
    .m_axi_bresp_i(m_axi_wr_bresp_i)
  );
endmodule
