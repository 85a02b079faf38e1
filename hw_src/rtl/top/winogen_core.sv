// The accelerator with flat ports, for simulation, synthesis and the wrappers: wg_core behind the
// parameters and signals that tools and plain Verilog understand.
//
// All bursts are INCR, of 64-bit beats, in order, at most 16 beats long; a wrapper for a board ties
// the constant AXI signals. The trace port says which instruction begins and ends when; synthesis
// removes it where nothing reads it.
module winogen_core
  import wg_types_pkg::*;
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
  parameter int unsigned Products         = 1,
  parameter int unsigned Decoder          = 0,
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
  localparam config_t Config = '{
      DataWidth: DataWidth,
      Lanes: Lanes,
      TileLanes: TileLanes,
      InputDepth: InputDepth,
      WeightDepth: WeightDepth,
      PsumDepth: PsumDepth,
      OutputDepth: OutputDepth,
      StepDepth: StepDepth,
      AccumulatorDepth: AccumulatorDepth,
      PhaseDepth: PhaseDepth,
      ParamDepth: ParamDepth,
      ReadPorts: ReadPorts,
      Products: Products,
      Decoder: Decoder,
      ConfigHash: ConfigHash,
      AddrWidth: AddrWidth
  };

  axil_req_t axil_req;
  axil_rsp_t axil_rsp;
  axi_read_req_t [ReadPorts-1:0] rd_req;
  axi_read_rsp_t [ReadPorts-1:0] rd_rsp;
  axi_read_req_t if_req;
  axi_read_rsp_t if_rsp;
  axi_write_req_t wr_req;
  axi_write_rsp_t wr_rsp;
  trace_t [2:0] trace;

  wg_core #(
    .Config(Config)
  ) u_core (
    .clk_i,
    .rst_ni,
    .irq_o,
    .s_axil_i(axil_req),
    .s_axil_o(axil_rsp),
    .m_axi_rd_o(rd_req),
    .m_axi_rd_i(rd_rsp),
    .m_axi_if_o(if_req),
    .m_axi_if_i(if_rsp),
    .m_axi_wr_o(wr_req),
    .m_axi_wr_i(wr_rsp),
    .trace_o(trace)
  );

  assign axil_req = '{
    awvalid: s_axil_awvalid_i, awaddr: s_axil_awaddr_i,
    wvalid: s_axil_wvalid_i, wdata: s_axil_wdata_i, wstrb: s_axil_wstrb_i,
    bready: s_axil_bready_i,
    arvalid: s_axil_arvalid_i, araddr: s_axil_araddr_i, rready: s_axil_rready_i
  };
  assign s_axil_awready_o = axil_rsp.awready;
  assign s_axil_wready_o  = axil_rsp.wready;
  assign s_axil_bvalid_o  = axil_rsp.bvalid;
  assign s_axil_bresp_o   = axil_rsp.bresp;
  assign s_axil_arready_o = axil_rsp.arready;
  assign s_axil_rvalid_o  = axil_rsp.rvalid;
  assign s_axil_rdata_o   = axil_rsp.rdata;
  assign s_axil_rresp_o   = axil_rsp.rresp;

  for (genvar i = 0; i < int'(ReadPorts); i++) begin : g_read
    assign m_axi_rd_arvalid_o[i] = rd_req[i].arvalid;
    assign m_axi_rd_araddr_o[i]  = rd_req[i].araddr[AddrWidth-1:0];
    assign m_axi_rd_arlen_o[i]   = rd_req[i].arlen;
    assign m_axi_rd_rready_o[i]  = rd_req[i].rready;
    assign rd_rsp[i] = '{
      arready: m_axi_rd_arready_i[i], rvalid: m_axi_rd_rvalid_i[i], rdata: m_axi_rd_rdata_i[i],
      rresp: m_axi_rd_rresp_i[i], rlast: m_axi_rd_rlast_i[i]
    };
  end

  assign m_axi_if_arvalid_o = if_req.arvalid;
  assign m_axi_if_araddr_o  = if_req.araddr[AddrWidth-1:0];
  assign m_axi_if_arlen_o   = if_req.arlen;
  assign m_axi_if_rready_o  = if_req.rready;
  assign if_rsp = '{
    arready: m_axi_if_arready_i, rvalid: m_axi_if_rvalid_i, rdata: m_axi_if_rdata_i,
    rresp: m_axi_if_rresp_i, rlast: m_axi_if_rlast_i
  };

  assign m_axi_wr_awvalid_o = wr_req.awvalid;
  assign m_axi_wr_awaddr_o  = wr_req.awaddr[AddrWidth-1:0];
  assign m_axi_wr_awlen_o   = wr_req.awlen;
  assign m_axi_wr_wvalid_o  = wr_req.wvalid;
  assign m_axi_wr_wdata_o   = wr_req.wdata;
  assign m_axi_wr_wstrb_o   = wr_req.wstrb;
  assign m_axi_wr_wlast_o   = wr_req.wlast;
  assign m_axi_wr_bready_o  = wr_req.bready;
  assign wr_rsp = '{
    awready: m_axi_wr_awready_i, wready: m_axi_wr_wready_i, bvalid: m_axi_wr_bvalid_i,
    bresp: m_axi_wr_bresp_i
  };

  for (genvar e = 0; e < 3; e++) begin : g_trace
    assign trace_start_o[e]       = trace[e].begins;
    assign trace_start_index_o[e] = trace[e].begin_index;
    assign trace_valid_o[e]       = trace[e].ends;
    assign trace_index_o[e]       = trace[e].end_index;
  end

  // Narrow addresses leave zeros above them; stalls are for the trace memory.
  logic unused;
  assign unused = ^{rd_req, if_req, wr_req, trace};
endmodule
