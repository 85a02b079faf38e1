// Stands in for the accelerator where only the simulation around it is tested: it has the same
// parameters and ports and moves bursts of 16 beats.
//
// CONTROL.start copies STREAM_LENGTH bursts from STREAM_BASE to OUTPUT_BASE, one after the other,
// the read ports taking turns and then the fetch port; every burst is one instruction of the trace.
// WEIGHTS_BASE_LO chooses something else:
//   bit 0  only read, STREAM_LENGTH bursts on each read port at once, as fast as they come
//   bit 1  never end
//   bit 2  do not wait for the answer to a write before the next burst is read
//   7:4    a breach: 1 ARVALID falls, 2 WLAST comes early, 3 a burst crosses 4 KB,
//          4 WDATA changes, 5 an assertion, 6 a completion out of order, 7 registers do not answer
module winogen_core
  import winogen_pkg::*;
#(
  parameter int unsigned DataWidth = 8,
  parameter int unsigned Lanes = 8,
  parameter int unsigned TileLanes = 3,
  parameter int unsigned InputDepth = 16384,
  parameter int unsigned WeightDepth = 2048,
  parameter int unsigned PsumDepth = 2048,
  parameter int unsigned OutputDepth = 4096,
  parameter int unsigned StepDepth = 1024,
  parameter int unsigned AccumulatorDepth = 64,
  parameter int unsigned PhaseDepth = 128,
  parameter int unsigned ParamDepth = 64,
  parameter int unsigned ReadPorts = 2,
  parameter int unsigned Products = 1,
  parameter int unsigned Decoder = 0,
  parameter logic [31:0] ConfigHash = 0,
  parameter int unsigned AddrWidth = 64
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic        s_axil_awvalid_i,
  output logic        s_axil_awready_o,
  input  logic [11:0] s_axil_awaddr_i,
  input  logic        s_axil_wvalid_i,
  output logic        s_axil_wready_o,
  input  logic [31:0] s_axil_wdata_i,
  input  logic [ 3:0] s_axil_wstrb_i,
  output logic        s_axil_bvalid_o,
  input  logic        s_axil_bready_i,
  output logic [ 1:0] s_axil_bresp_o,
  input  logic        s_axil_arvalid_i,
  output logic        s_axil_arready_o,
  input  logic [11:0] s_axil_araddr_i,
  output logic        s_axil_rvalid_o,
  input  logic        s_axil_rready_i,
  output logic [31:0] s_axil_rdata_o,
  output logic [ 1:0] s_axil_rresp_o,

  output logic [ReadPorts-1:0]                m_axi_rd_arvalid_o,
  input  logic [ReadPorts-1:0]                m_axi_rd_arready_i,
  output logic [ReadPorts-1:0][AddrWidth-1:0] m_axi_rd_araddr_o,
  output logic [ReadPorts-1:0][          7:0] m_axi_rd_arlen_o,
  input  logic [ReadPorts-1:0]                m_axi_rd_rvalid_i,
  output logic [ReadPorts-1:0]                m_axi_rd_rready_o,
  input  logic [ReadPorts-1:0][         63:0] m_axi_rd_rdata_i,
  input  logic [ReadPorts-1:0][          1:0] m_axi_rd_rresp_i,
  input  logic [ReadPorts-1:0]                m_axi_rd_rlast_i,

  output logic                 m_axi_if_arvalid_o,
  input  logic                 m_axi_if_arready_i,
  output logic [AddrWidth-1:0] m_axi_if_araddr_o,
  output logic [          7:0] m_axi_if_arlen_o,
  input  logic                 m_axi_if_rvalid_i,
  output logic                 m_axi_if_rready_o,
  input  logic [         63:0] m_axi_if_rdata_i,
  input  logic [          1:0] m_axi_if_rresp_i,
  input  logic                 m_axi_if_rlast_i,

  output logic                 m_axi_wr_awvalid_o,
  input  logic                 m_axi_wr_awready_i,
  output logic [AddrWidth-1:0] m_axi_wr_awaddr_o,
  output logic [          7:0] m_axi_wr_awlen_o,
  output logic                 m_axi_wr_wvalid_o,
  input  logic                 m_axi_wr_wready_i,
  output logic [         63:0] m_axi_wr_wdata_o,
  output logic [          7:0] m_axi_wr_wstrb_o,
  output logic                 m_axi_wr_wlast_o,
  input  logic                 m_axi_wr_bvalid_i,
  output logic                 m_axi_wr_bready_o,
  input  logic [          1:0] m_axi_wr_bresp_i,

  output logic             irq_o,
  output logic [2:0]       trace_valid_o,
  output logic [2:0][19:0] trace_index_o,
  output logic [2:0]       trace_start_o,
  output logic [2:0][19:0] trace_start_index_o
);
  localparam int unsigned Ports = ReadPorts + 1;
  localparam logic [63:0] BurstBytes = 128;

  // Read ports, the fetch port among them.
  logic [Ports-1:0] ar_valid, ar_ready, r_valid, r_last;
  logic [Ports-1:0][AddrWidth-1:0] ar_addr;
  logic [Ports-1:0][63:0] r_data;
  logic [Ports-1:0][1:0] r_resp;
  assign {m_axi_if_arvalid_o, m_axi_rd_arvalid_o} = ar_valid;
  assign {m_axi_if_araddr_o, m_axi_rd_araddr_o} = ar_addr;
  assign ar_ready = {m_axi_if_arready_i, m_axi_rd_arready_i};
  assign r_valid = {m_axi_if_rvalid_i, m_axi_rd_rvalid_i};
  assign r_data = {m_axi_if_rdata_i, m_axi_rd_rdata_i};
  assign r_resp = {m_axi_if_rresp_i, m_axi_rd_rresp_i};
  assign r_last = {m_axi_if_rlast_i, m_axi_rd_rlast_i};
  assign m_axi_if_rready_o = 1'b1;
  assign m_axi_rd_rready_o = '1;
  assign m_axi_if_arlen_o = 8'd15;
  assign m_axi_rd_arlen_o = {ReadPorts{8'd15}};

  // Registers

  logic [31:0] length_q, source_q, target_q, mode_q;
  logic [1:0] irq_enable_q, irq_status_q;
  logic busy_q, done_q, error_q, start, aw_held_q, w_held_q, written, dead;
  logic [11:0] aw_q;
  logic [31:0] w_q, read_data;
  logic [63:0] cycles_q;
  logic aw_done_q, w_done_q, finish, failing, drop_q;
  logic stop_q, ar_held_q;  // a soft reset waits for the end of the burst, and writes wait for it

  assign dead = mode_q[7:4] == 7 && busy_q;
  assign s_axil_awready_o = !aw_held_q && !dead;
  assign s_axil_wready_o = !w_held_q;
  assign s_axil_arready_o = !s_axil_rvalid_o && !dead;
  assign s_axil_bresp_o = 2'b00;
  assign s_axil_rresp_o = 2'b00;
  assign written = aw_held_q && w_held_q && !s_axil_bvalid_o && !stop_q;
  assign start = written && aw_q == RegControl && w_q[0] && !busy_q;
  assign irq_o = |(irq_enable_q & irq_status_q);

  // The driver looks whether what it has written is there.
  localparam int unsigned Bases = 10, Settings = 1 + Bases + 2 * AllWindows;
  logic [Settings-1:0][31:0] settings_q;
  logic [31:0] settings_sum;
  always_comb begin
    settings_sum = settings_q[0];
    for (int unsigned i = 1; i < Settings; i++) begin
      settings_sum ^= settings_q[i] << (SettingsRotation * i % 32)
          | settings_q[i] >> (32 - SettingsRotation * i % 32);
    end
  end

  always_comb begin
    case (s_axil_araddr_i)
      RegMagic: read_data = MagicValue;
      RegVersion: read_data = VersionValue;
      RegConfigHash: read_data = ConfigHash;
      RegCapability: read_data = {2'(Products), 6'(DataWidth), 8'(TileLanes), 8'(Lanes), 8'(Lanes)};
      RegStatus: read_data = {29'b0, error_q, done_q, !busy_q};
      RegIrqEnable: read_data = 32'(irq_enable_q);
      RegIrqStatus: read_data = 32'(irq_status_q);
      RegStreamLength: read_data = length_q;
      RegSettingsSum: read_data = settings_sum;
      RegStreamBaseLo: read_data = source_q;
      RegOutputBaseLo: read_data = target_q;
      RegWeightsBaseLo: read_data = mode_q;
      RegCyclesLo: read_data = cycles_q[31:0];
      RegCyclesHi: read_data = cycles_q[63:32];
      default: read_data = '0;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (s_axil_awvalid_i && s_axil_awready_o) {aw_held_q, aw_q} <= {1'b1, s_axil_awaddr_i};
    if (s_axil_wvalid_i && s_axil_wready_o) {w_held_q, w_q} <= {1'b1, s_axil_wdata_i};
    if (written) begin
      {aw_held_q, w_held_q} <= '0;
      s_axil_bvalid_o <= 1'b1;
      if (aw_q == RegStreamLength) settings_q[0] <= w_q;
      if (aw_q inside {[RegStreamBaseLo : RegScratchBaseHi]}) begin
        settings_q[5'((aw_q-RegStreamBaseLo)>>2)+5'd1] <= w_q;
      end
      if (aw_q inside {[RegReadWindow0First : RegFetchWindow0Last]}) begin
        settings_q[5'((aw_q-RegReadWindow0First)>>2)+5'(1+Bases)] <= w_q;
      end
      case (aw_q)
        RegStreamLength: length_q <= w_q;
        RegStreamBaseLo: source_q <= w_q;
        RegOutputBaseLo: target_q <= w_q;
        RegWeightsBaseLo: mode_q <= w_q;
        RegIrqEnable: irq_enable_q <= w_q[1:0];
        RegIrqStatus: irq_status_q <= irq_status_q & ~w_q[1:0];
        default: ;
      endcase
    end
    if (s_axil_bvalid_o && s_axil_bready_i) s_axil_bvalid_o <= 1'b0;
    if (s_axil_arvalid_i && s_axil_arready_o) begin
      {s_axil_rvalid_o, s_axil_rdata_o} <= {1'b1, read_data};
    end
    if (s_axil_rvalid_o && s_axil_rready_i) s_axil_rvalid_o <= 1'b0;
    if (finish) irq_status_q <= error_q || failing ? 2'b10 : 2'b01;
    if (!rst_ni) begin
      {aw_held_q, w_held_q, s_axil_bvalid_o, s_axil_rvalid_o} <= '0;
      {irq_enable_q, irq_status_q, mode_q} <= '0;
    end
  end

  // Copying: read, write, answer

  typedef enum logic [2:0] {
    Idle,
    Address,
    Read,
    Write,
    Answer,
    Flood
  } state_e;
  state_e state_q;
  logic [31:0] index_q;
  logic [$clog2(Ports)-1:0] port_q;
  logic [3:0] beat_q;
  logic [15:0][63:0] buffer_q;
  logic [Ports-1:0][31:0] asked_q, got_q;
  logic [Ports-1:0] bad;
  logic [63:0] offset;

  assign offset = 64'(index_q) * BurstBytes;
  assign finish = state_q inside {Address, Flood} && !ar_held_q &&
      ((index_q == length_q && !mode_q[1]) || (stop_q && state_q == Address));
  assign failing = (m_axi_wr_bvalid_i && m_axi_wr_bresp_i != 0) || |(r_valid & bad);

  always_comb begin
    for (int unsigned p = 0; p < Ports; p++) begin
      bad[p] = r_resp[p] != 0;
      ar_valid[p] = state_q == Address && port_q == $bits(port_q)'(p) && !finish && !drop_q;
      ar_addr[p] = AddrWidth'(64'(source_q) + offset + (mode_q[7:4] == 3 ? 64'd4032 : 64'd0));
      if (state_q == Flood) begin
        ar_valid[p] = asked_q[p] != length_q && p != ReadPorts;
        ar_addr[p]  = AddrWidth'(64'(source_q) + (64'(asked_q[p]) * Ports + 64'(p)) * BurstBytes);
      end
    end
  end

  assign m_axi_wr_awvalid_o = state_q == Write && !aw_done_q;
  assign m_axi_wr_awaddr_o = AddrWidth'(64'(target_q) + offset);
  assign m_axi_wr_awlen_o = 8'd15;
  assign m_axi_wr_wvalid_o = state_q == Write && !w_done_q;
  assign m_axi_wr_wdata_o = mode_q[7:4] == 4 ? {48'd0, cycles_q[15:0]} : buffer_q[beat_q];
  assign m_axi_wr_wstrb_o = 8'hFF;
  assign m_axi_wr_wlast_o = beat_q == (mode_q[7:4] == 2 ? 4'd7 : 4'd15);
  assign m_axi_wr_bready_o = 1'b1;

  assign trace_start_o = {ar_valid[port_q] && ar_ready[port_q] && state_q == Address, 2'b00};
  assign trace_start_index_o = {index_q[19:0], 40'b0};
  assign trace_valid_o = {state_q == Answer && m_axi_wr_bvalid_i, 2'b00};
  assign trace_index_o = {index_q[19:0] + 20'(mode_q[7:4] == 6), 40'b0};

  always_ff @(posedge clk_i) begin
    if (busy_q) cycles_q <= cycles_q + 1;
    ar_held_q <= |(ar_valid & ~ar_ready);
    if (written && aw_q == RegControl && w_q[1] && busy_q) stop_q <= 1'b1;
    drop_q <= state_q == Address && mode_q[7:4] == 1 && !drop_q;
    unique case (state_q)
      Idle: if (start) state_q <= w_q[0] && mode_q[0] ? Flood : Address;
      Address: if (ar_valid[port_q] && ar_ready[port_q]) state_q <= Read;
      Read:
      if (r_valid[port_q]) begin
        buffer_q[beat_q] <= r_data[port_q];
        beat_q <= beat_q + 1;
        if (r_last[port_q]) state_q <= Write;
      end
      Write: begin
        if (m_axi_wr_awvalid_o && m_axi_wr_awready_i) aw_done_q <= 1'b1;
        if (m_axi_wr_wvalid_o && m_axi_wr_wready_i) begin
          beat_q <= beat_q + 1;
          if (beat_q == 15) w_done_q <= 1'b1;
        end
        if (aw_done_q && w_done_q) begin
          {aw_done_q, w_done_q} <= '0;
          state_q <= mode_q[2] ? Address : Answer;
          if (mode_q[2]) index_q <= index_q + 1;
        end
      end
      Answer:
      if (m_axi_wr_bvalid_i) begin
        state_q <= Address;
        index_q <= index_q + 1;
        port_q  <= port_q == $bits(port_q)'(Ports - 1) ? '0 : port_q + 1;
      end
      Flood: begin
        for (int p = 0; p < int'(Ports); p++) begin
          if (ar_valid[p] && ar_ready[p]) asked_q[p] <= asked_q[p] + 1;
          if (r_valid[p] && r_last[p]) got_q[p] <= got_q[p] + 1;
        end
        if ({got_q[ReadPorts-1:0]} == {ReadPorts{length_q}}) index_q <= length_q;
      end
      default: ;
    endcase
    if (failing) error_q <= 1'b1;
    if (finish) begin
      {state_q, busy_q, stop_q} <= {Idle, 2'b00};
      done_q <= !(error_q || failing || stop_q);
    end
    if (start) begin
      {index_q, port_q, beat_q, asked_q, got_q, cycles_q} <= '0;
      {busy_q, done_q, error_q} <= 3'b100;
    end
    if (!rst_ni) begin
      state_q <= Idle;
      {busy_q, done_q, error_q, aw_done_q, w_done_q, drop_q, stop_q, ar_held_q} <= '0;
    end
  end

  assert property (@(posedge clk_i) disable iff (!rst_ni) !(busy_q && mode_q[7:4] == 5));

  /* verilator lint_off UNUSEDSIGNAL */
  logic unused;
  assign unused = ^{s_axil_wstrb_i, bad};
endmodule
