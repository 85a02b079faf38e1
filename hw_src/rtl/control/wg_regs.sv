`include "wg_assert.svh"

// The AXI4-Lite slave with the register map of docs/reference/registers.md.
//
// Counters, status and error come from wg_control; here are only what the host writes, the pending
// interrupts, and the latched high halves of 64-bit quantities.
module wg_regs
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter config_t Config = DefaultConfig
) (
  input  logic      clk_i,
  input  logic      rst_ni,
  output logic      irq_o,
  input  axil_req_t s_axil_i,
  output axil_rsp_t s_axil_o,
  // to wg_control and the engines
  output logic      start_o,     // pulse; ignored unless idle
  output logic      reset_o,     // pulse: soft reset
  output settings_t settings_o,
  output windows_t  windows_o,
  // what goes on
  input  status_t   status_i,
  input  insight_t  insight_i
);
  localparam capability_reg_t Capability = '{
      products: 2'(Config.Products),
      data_width: 6'(Config.DataWidth),
      tile_lanes: 8'(Config.TileLanes),
      co_lanes: 8'(Config.Lanes),
      ci_lanes: 8'(Config.Lanes)
  };
  localparam int unsigned Bases = 5;  // the stream and four segments

  function automatic logic [31:0] merge(input logic [31:0] old, input logic [31:0] data,
                                        input logic [3:0] strobe);
    // uncovered: the simulated host writes whole words (test_wg_control.py writes bytes)
    for (int i = 0; i < 4; i++) merge[8*i+:8] = strobe[i] ? data[8*i+:8] : old[8*i+:8];
  endfunction

  function automatic logic [31:0] rotate(input logic [31:0] word, input int unsigned left);
    return word << left | word >> (32 - left);
  endfunction

  // All of them or'd, as a tree.
  function automatic logic [63:0] any_of(input logic [31:0][63:0] words);
    logic [31:0][63:0] some;
    some = words;
    for (int unsigned half = 16; half > 0; half /= 2) begin
      for (int unsigned i = 0; i < half; i++) some[i] |= some[i+half];
    end
    return some[0];
  endfunction

  // Registers lie in pairs of 8 bytes. These pairs are one 64-bit quantity.
  function automatic logic is_wide(input logic [8:0] pair);
    return pair == RegErrorAddressLo[11:3]
        || (pair >= RegStreamBaseLo[11:3] && pair <= RegScratchBaseLo[11:3])
        || (pair >= RegCyclesLo[11:3] && pair <= RegInstructionsLo[11:3]);
  endfunction

  // Write channel: address and data are taken as they come, and answered together.
  logic aw_held_q, w_held_q, write;
  logic [9:0] awaddr_q;
  logic [31:0] wdata_q;
  logic [3:0] wstrb_q;
  logic aw_take, w_take, aw_held_d, w_held_d, awready_q, wready_q, bvalid_q;
  assign aw_take = s_axil_i.awvalid && awready_q;
  assign w_take = s_axil_i.wvalid && wready_q;
  assign write = aw_held_q && w_held_q && !bvalid_q;
  assign aw_held_d = aw_take || (aw_held_q && !write);
  assign w_held_d = w_take || (w_held_q && !write);
  always_ff @(posedge clk_i) begin
    if (aw_take) awaddr_q <= s_axil_i.awaddr[11:2];
    if (w_take) begin
      wdata_q <= s_axil_i.wdata;
      wstrb_q <= s_axil_i.wstrb;
    end
    if (!rst_ni) begin
      aw_held_q <= 1'b0;
      w_held_q <= 1'b0;
      awready_q <= 1'b0;
      wready_q <= 1'b0;
      bvalid_q <= 1'b0;
    end else begin
      aw_held_q <= aw_held_d;
      w_held_q <= w_held_d;
      awready_q <= !aw_held_d;
      wready_q <= !w_held_d;
      if (write) bvalid_q <= 1'b1;
      else if (s_axil_i.bready) bvalid_q <= 1'b0;
    end
  end

  // What the host writes.
  logic [8:0] wpair;
  logic whigh, start_q, reset_q, start_d, reset_d, irq_q;
  logic [31:0] irq_enable_q, watchdog_q, length_q;
  logic [31:0] trace_first_q, trace_length_q, trace_index_q;
  logic [1:0] irq_status_q, irq_clear;
  logic [Bases-1:0][63:0] base_q;
  window_t [AllWindows-1:0] window_q;
  assign {wpair, whigh} = awaddr_q;
  control_reg_t command;
  status_reg_t shown;
  irq_status_reg_t events;
  assign command = wdata_q[$bits(control_reg_t)-1:0];
  assign shown = status_i.status;
  assign events = '{error: status_i.error_event, done: status_i.done_event};
  assign reset_d = write && awaddr_q == RegControl[11:2] && wstrb_q[0] && command.reset;
  assign start_d = write && awaddr_q == RegControl[11:2] && wstrb_q[0]
      && command.start && !command.reset;
  assign irq_clear =
      write && awaddr_q == RegIrqStatus[11:2] && wstrb_q[0] ? wdata_q[1:0] : 2'b00;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      start_q <= 1'b0;
      reset_q <= 1'b0;
      irq_enable_q <= '0;
      irq_status_q <= '0;
      irq_q <= 1'b0;
      watchdog_q <= WatchdogReset;
      length_q <= '0;
      trace_first_q <= '0;
      trace_length_q <= '0;
      trace_index_q <= '0;
      base_q <= '0;
      for (int unsigned i = 0; i < AllWindows; i++) window_q[i] <= ClosedWindow;
    end else begin
      start_q <= start_d;
      reset_q <= reset_d;
      // reset_q too: an event may meet the pulse that wg_control has yet to see.
      if (reset_d || reset_q) irq_status_q <= '0;
      else irq_status_q <= (irq_status_q & ~irq_clear) | events;
      irq_q <= |(irq_status_q & irq_enable_q[1:0]);
      if (write) begin
        unique case (awaddr_q)
          RegIrqEnable[11:2]: irq_enable_q <= merge(irq_enable_q, wdata_q, wstrb_q);
          RegWatchdog[11:2]: watchdog_q <= merge(watchdog_q, wdata_q, wstrb_q);
          RegStreamLength[11:2]: length_q <= merge(length_q, wdata_q, wstrb_q);
          RegTraceFirst[11:2]: trace_first_q <= merge(trace_first_q, wdata_q, wstrb_q);
          RegTraceLength[11:2]: trace_length_q <= merge(trace_length_q, wdata_q, wstrb_q);
          RegTraceIndex[11:2]: trace_index_q <= merge(trace_index_q, wdata_q, wstrb_q);
          default: ;
        endcase
        for (int unsigned i = 0; i < Bases; i++) begin
          if (wpair == RegStreamBaseLo[11:3] + 9'(i)) begin
            if (whigh) base_q[i][63:32] <= merge(base_q[i][63:32], wdata_q, wstrb_q);
            else base_q[i][31:0] <= merge(base_q[i][31:0], wdata_q, wstrb_q);
          end
        end
        for (int unsigned i = 0; i < AllWindows; i++) begin
          if (wpair == RegReadWindow0First[11:3] + 9'(i)) begin
            if (whigh) window_q[i].last <= merge(window_q[i].last, wdata_q, wstrb_q);
            else window_q[i].first <= merge(window_q[i].first, wdata_q, wstrb_q);
          end
        end
      end
    end
  end
  assign start_o = start_q;
  assign reset_o = reset_q;
  assign irq_o = irq_q;
  assign settings_o = '{
    watchdog: watchdog_q,
    stream_length: length_q,
    stream_base: base_q[0],
    segment_base: base_q[4:1],
    trace_first: trace_first_q,
    trace_length: trace_length_q,
    trace_index: trace_index_q
  };

  assign windows_o = window_q;

  // One word that changes with any bit of what a stream runs with: see registers.py. A tree too.
  localparam int unsigned FirstWindow = 1 + 2 * Bases;  // its place among the words
  logic [31:0] settings_sum, settings_sum_q;
  always_comb begin
    logic [31:0][31:0] words;
    words = '0;
    words[0] = length_q;
    for (int unsigned i = 0; i < 2 * Bases; i++) words[1+i] = base_q[i/2][32*(i%2)+:32];
    for (int unsigned i = 0; i < AllWindows; i++) begin
      words[FirstWindow+2*i]   = window_q[i].first;
      words[FirstWindow+2*i+1] = window_q[i].last;
    end
    for (int unsigned i = 0; i < 32; i++) words[i] = rotate(words[i], SettingsRotation * i % 32);
    for (int unsigned half = 16; half > 0; half /= 2) begin
      for (int unsigned i = 0; i < half; i++) words[i] ^= words[i+half];
    end
    settings_sum = words[0];
  end
  // No read comes sooner after a write than this.
  always_ff @(posedge clk_i) settings_sum_q <= settings_sum;

  // Read channel: take the address, fetch both halves, answer with one.
  logic ar_held_q, pair_valid_q, arready_q, rvalid_q, ar_take, answer;
  logic [9:0] araddr_q;
  logic [63:0] pair_d, pair_q;
  logic [31:0] rdata_q;
  // Which of the many it is that are alike is known with the address, and what that one holds comes
  // through a tree: a chain of choices would be the longest way of all logic.
  logic [Bases-1:0] base_hit_q;
  logic [Counters-1:0] counter_hit_q;
  logic [AllWindows-1:0] window_hit_q;
  logic [31:0][63:0] alike;
  always_comb begin
    alike = '0;
    for (int unsigned i = 0; i < Bases; i++) alike[i] = base_hit_q[i] ? base_q[i] : '0;
    for (int unsigned i = 0; i < Counters; i++) begin
      alike[Bases+i] = counter_hit_q[i] ? status_i.counters[i] : '0;
    end
    for (int unsigned i = 0; i < AllWindows; i++) begin
      alike[Bases+Counters+i] = window_hit_q[i] ? {window_q[i].last, window_q[i].first} : '0;
    end
  end
  assign ar_take = s_axil_i.arvalid && arready_q;
  assign answer = pair_valid_q;  // nothing else is under way: rdata_q is free
  always_comb begin
    pair_d = '0;
    unique case ({
      araddr_q[9:1], 3'b0
    })
      RegMagic: pair_d = {VersionValue, MagicValue};
      RegConfigHash: pair_d = {Capability, Config.ConfigHash};
      RegInputDepth: pair_d = {Config.WeightDepth, Config.InputDepth};
      RegPsumDepth: pair_d = {Config.OutputDepth, Config.PsumDepth};
      RegStepDepth: pair_d = {32'b0, Config.StepDepth};
      RegControl: pair_d = {20'b0, status_i.status, 32'b0};
      RegIrqEnable: pair_d = {30'b0, irq_status_q, irq_enable_q};
      RegErrorCode: pair_d = {status_i.error_index, 16'b0, status_i.error_code};
      RegErrorAddressLo: pair_d = status_i.error_addr;
      RegWatchdog: pair_d = {32'b0, watchdog_q};
      RegStreamLength: pair_d = {settings_sum_q, length_q};
      RegLoadInstruction: pair_d = {status_i.instruction[1], status_i.instruction[0]};
      RegStoreInstruction: pair_d = {status_i.instruction[3], status_i.instruction[2]};
      RegBus: pair_d = {32'b0, insight_i.bus};
      RegTraceFirst: pair_d = {trace_length_q, trace_first_q};
      RegTraceCount: pair_d = {32'b0, insight_i.trace_count};
      RegTraceIndex: pair_d = {insight_i.trace_data, trace_index_q};
      default: ;
    endcase
    pair_d |= any_of(alike);
  end

  // High halves that a read of the low half has latched.
  logic [31:0] latched_q;  // one for each slot
  logic [31:0] latched_high;
  logic [8:0] rpair;
  logic rhigh, wide_q, latched_hit_q, latch;
  logic [4:0] rslot, wslot;  // different for each wide pair
  assign {rpair, rhigh} = araddr_q;
  assign rslot = {rpair[5], rpair[3:0]};
  assign wslot = {wpair[5], wpair[3:0]};
  assign latch = answer && wide_q && !rhigh;
  wg_lutram #(
    .Width(32),
    .Depth(32)
  ) u_latched (
    .clk_i,
    .we_i   (latch),
    .waddr_i(rslot),
    .wdata_i(pair_q[63:32]),
    .raddr_i(rslot),
    .rdata_o(latched_high)
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni || reset_q || (start_q && shown.idle)) begin
      latched_q <= '0;
    end else begin
      if (write && whigh && is_wide(wpair)) latched_q[wslot] <= 1'b0;
      if (answer && wide_q) latched_q[rslot] <= !rhigh;
    end
  end

  always_ff @(posedge clk_i) begin
    if (ar_take) begin
      araddr_q <= s_axil_i.araddr[11:2];
      for (int unsigned i = 0; i < Bases; i++) begin
        base_hit_q[i] <= s_axil_i.araddr[11:3] == RegStreamBaseLo[11:3] + 9'(i);
      end
      for (int unsigned i = 0; i < Counters; i++) begin
        counter_hit_q[i] <= s_axil_i.araddr[11:3] == RegCyclesLo[11:3] + 9'(i);
      end
      for (int unsigned i = 0; i < AllWindows; i++) begin
        window_hit_q[i] <= s_axil_i.araddr[11:3] == RegReadWindow0First[11:3] + 9'(i);
      end
    end
    pair_q <= pair_d;
    wide_q <= is_wide(rpair);
    latched_hit_q <= is_wide(rpair) && latched_q[rslot];
    if (answer) begin
      if (!rhigh) rdata_q <= pair_q[31:0];
      else rdata_q <= latched_hit_q ? latched_high : pair_q[63:32];
    end
    if (!rst_ni) begin
      arready_q <= 1'b0;
      ar_held_q <= 1'b0;
      pair_valid_q <= 1'b0;
      rvalid_q <= 1'b0;
    end else begin
      ar_held_q <= ar_take;
      pair_valid_q <= ar_held_q;
      if (answer) rvalid_q <= 1'b1;
      else if (s_axil_i.rready) rvalid_q <= 1'b0;
      // One read at a time: the next address is taken when this answer has gone.
      arready_q <= !ar_take && !ar_held_q && !answer && (!rvalid_q || s_axil_i.rready);
    end
  end

  assign s_axil_o = '{
          awready: awready_q,
          wready: wready_q,
          bvalid: bvalid_q,
          bresp: 2'b00,
          arready: arready_q,
          rvalid: rvalid_q,
          rdata: rdata_q,
          rresp: 2'b00
      };

  // Words are accessed whole: byte addresses within one mean nothing.
  logic unused;
  assign unused = ^{s_axil_i.awaddr[1:0], s_axil_i.araddr[1:0], shown};

  `ASSERT_HOLD(b_holds, bvalid_q, s_axil_i.bready, bvalid_q, 1'b0)
  `ASSERT_HOLD(r_holds, rvalid_q, s_axil_i.rready, rdata_q, 1'b0)
endmodule
