// What goes on, for whoever looks: the trace, and which AXI transactions are under way.
module wg_insight
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter int unsigned ReadPorts = 2
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  stream_t                       stream_i,
  input  settings_t                     settings_i,
  // engines
  input  trace_t [2:0]                  trace_i,
  // the masters' ports
  input  axi_read_req_t [ReadPorts-1:0] rd_req_i,
  input  axi_read_rsp_t [ReadPorts-1:0] rd_rsp_i,
  input  axi_read_req_t                 if_req_i,
  input  axi_read_rsp_t                 if_rsp_i,
  input  axi_write_req_t                wr_req_i,
  input  axi_write_rsp_t                wr_rsp_i,
  output insight_t                      insight_o
);
  logic [2:0] begins, ends, stall;
  logic [2:0][19:0] begin_index, end_index;
  for (genvar e = 0; e < 3; e++) begin : g_engine
    assign begins[e]      = trace_i[e].begins;
    assign begin_index[e] = trace_i[e].begin_index;
    assign ends[e]        = trace_i[e].ends;
    assign end_index[e]   = trace_i[e].end_index;
    assign stall[e]       = trace_i[e].stall;
  end

  logic [31:0] trace_data;
  logic [15:0] records;
  logic overflow;
  wg_trace u_trace (
    .clk_i,
    .rst_ni,
    .clear_i(stream_i.begins),
    .running_i(stream_i.running),
    .first_i(settings_i.trace_first[19:0]),
    .length_i(settings_i.trace_length[20:0]),
    .begin_i(begins),
    .begin_index_i(begin_index),
    .end_i(ends),
    .end_index_i(end_index),
    .stall_i(stall),
    .index_i(settings_i.trace_index[$clog2(TraceDepth)-1:0]),
    .data_o(trace_data),
    .records_o(records),
    .overflow_o(overflow)
  );

  // Ports in the order of BUS, in which fetch and write come after the second read port. Read ports
  // but for the first may be missing.
  localparam int unsigned Ports = 6;
  logic [Ports-1:0] offered, accepted, answered, address;
  logic [Ports-1:0][3:0] bursts;
  for (genvar p = 0; p < 4; p++) begin : g_port
    localparam int unsigned Place = p < 2 ? p : p + int'(PortRead2) - 2;
    if (p < int'(ReadPorts)) begin : g_there
      assign offered[Place]  = rd_req_i[p].arvalid;
      assign accepted[Place] = rd_rsp_i[p].arready;
      assign answered[Place] = rd_rsp_i[p].rvalid && rd_req_i[p].rready && rd_rsp_i[p].rlast;
    end else begin : g_missing
      assign {offered[Place], accepted[Place], answered[Place]} = '0;
    end
  end
  assign offered[PortFetch]  = if_req_i.arvalid;
  assign accepted[PortFetch] = if_rsp_i.arready;
  assign answered[PortFetch] = if_rsp_i.rvalid && if_req_i.rready && if_rsp_i.rlast;
  assign offered[PortWrite]  = wr_req_i.awvalid;
  assign accepted[PortWrite] = wr_rsp_i.awready;
  assign answered[PortWrite] = wr_rsp_i.bvalid && wr_req_i.bready;
  wg_bus_state #(
    .Ports(Ports)
  ) u_bus_state (
    .clk_i,
    .rst_ni,
    .offered_i(offered),
    .accepted_i(accepted),
    .answered_i(answered),
    .bursts_o(bursts),
    .address_o(address)
  );

  bus_reg_t owed;
  trace_count_reg_t count;
  assign owed = '{
          read3_address: address[PortRead3],
          read2_address: address[PortRead2],
          read3: bursts[PortRead3],
          read2: bursts[PortRead2],
          write_address: address[PortWrite],
          fetch_address: address[PortFetch],
          read1_address: address[PortRead1],
          read0_address: address[PortRead0],
          write: bursts[PortWrite],
          fetch: bursts[PortFetch],
          read1: bursts[PortRead1],
          read0: bursts[PortRead0]
      };
  assign count = '{overflow: overflow, reserved_16: '0, records: records};
  assign insight_o = '{
          bus: 32'(owed),
          trace_count: count,
          trace_data: trace_data
      };

  // It looks at little of what it sees.
  logic unused;
  assign unused = ^{stream_i, settings_i, rd_req_i, rd_rsp_i, if_req_i, if_rsp_i, wr_req_i,
                    wr_rsp_i};
endmodule
