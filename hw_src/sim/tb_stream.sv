// One stream on the accelerator with its registers and its memory played here: for a simulator that
// runs a netlist (Vivado's XSim), and for the sources. Nothing but the files of winogen.fpga.stimulus:
//
//   stimulus.svh  sizes, addresses, and what to instantiate
//   writes.hex    the driver's writes to registers, in order: offset, value; the last one starts
//   before.hex    memory when the stream starts, 64-bit words
//   after.hex     memory when it has ended, as the emulator has it
//
// All of memory is compared, so a write beside the output is found too. The last line printed begins
// with PASS or FAIL.
`timescale 1ns / 1ps
`include "stimulus.svh"
module tb_stream;
  localparam int unsigned AddrWidth = `WG_ADDR_WIDTH;
  localparam int unsigned Words = `WG_WORDS;
  localparam int unsigned Writes = `WG_WRITES;
  localparam int unsigned Cycles = `WG_CYCLES;
  localparam logic [63:0] Base = `WG_BASE;
  localparam logic [11:0] Status = `WG_STATUS, ErrorCode = `WG_ERROR_CODE;
  localparam int unsigned Idle = `WG_IDLE, Done = `WG_DONE, Failed = `WG_ERROR;
  localparam int unsigned Ports = 3;

  logic clk = 1'b0, rst_n = 1'b0;
  always #5 clk = !clk;

  logic [63:0] memory[0:Words-1];
  logic [63:0] after[0:Words-1];
  logic [63:0] writes[0:Writes-1];
  int unsigned cycles = 0;

  // Registers.
  logic aw_valid = 1'b0, aw_ready, w_valid = 1'b0, w_ready, b_valid, b_ready = 1'b0;
  logic ar_valid = 1'b0, ar_ready, r_valid, r_ready = 1'b0;
  logic [11:0] aw_addr = '0, ar_addr = '0;
  logic [31:0] w_data = '0, r_data;
  logic [1:0] b_resp, r_resp;
  // Memory: two ports of the loads and that of the instructions; the stores are on the first.
  logic [Ports-1:0] arvalid, arready, rvalid, rready, rlast;
  logic [Ports-1:0][AddrWidth-1:0] araddr;
  logic [Ports-1:0][7:0] arlen;
  logic [Ports-1:0][63:0] rdata;
  logic awvalid, awready, wvalid, wready, wlast, bvalid, bready, irq;
  logic [AddrWidth-1:0] awaddr;
  logic [7:0] awlen, wstrb;
  logic [63:0] wdata;

  // Signals that are constant are left open.
  `WG_DUT u_dut (
    .aclk(clk),
    .aresetn(rst_n),
    .interrupt(irq),
    .s_axi_awvalid(aw_valid),
    .s_axi_awready(aw_ready),
    .s_axi_awaddr(aw_addr),
    .s_axi_awprot(3'd0),
    .s_axi_wvalid(w_valid),
    .s_axi_wready(w_ready),
    .s_axi_wdata(w_data),
    .s_axi_wstrb(4'hf),
    .s_axi_bvalid(b_valid),
    .s_axi_bready(b_ready),
    .s_axi_bresp(b_resp),
    .s_axi_arvalid(ar_valid),
    .s_axi_arready(ar_ready),
    .s_axi_araddr(ar_addr),
    .s_axi_arprot(3'd0),
    .s_axi_rvalid(r_valid),
    .s_axi_rready(r_ready),
    .s_axi_rdata(r_data),
    .s_axi_rresp(r_resp),
    .m_axi_0_arvalid(arvalid[0]),
    .m_axi_0_arready(arready[0]),
    .m_axi_0_araddr(araddr[0]),
    .m_axi_0_arlen(arlen[0]),
    .m_axi_0_rvalid(rvalid[0]),
    .m_axi_0_rready(rready[0]),
    .m_axi_0_rdata(rdata[0]),
    .m_axi_0_rresp(2'd0),
    .m_axi_0_rlast(rlast[0]),
    .m_axi_0_awvalid(awvalid),
    .m_axi_0_awready(awready),
    .m_axi_0_awaddr(awaddr),
    .m_axi_0_awlen(awlen),
    .m_axi_0_wvalid(wvalid),
    .m_axi_0_wready(wready),
    .m_axi_0_wdata(wdata),
    .m_axi_0_wstrb(wstrb),
    .m_axi_0_wlast(wlast),
    .m_axi_0_bvalid(bvalid),
    .m_axi_0_bready(bready),
    .m_axi_0_bresp(2'd0),
    .m_axi_1_arvalid(arvalid[1]),
    .m_axi_1_arready(arready[1]),
    .m_axi_1_araddr(araddr[1]),
    .m_axi_1_arlen(arlen[1]),
    .m_axi_1_rvalid(rvalid[1]),
    .m_axi_1_rready(rready[1]),
    .m_axi_1_rdata(rdata[1]),
    .m_axi_1_rresp(2'd0),
    .m_axi_1_rlast(rlast[1]),
    .m_axi_2_arvalid(arvalid[2]),
    .m_axi_2_arready(arready[2]),
    .m_axi_2_araddr(araddr[2]),
    .m_axi_2_arlen(arlen[2]),
    .m_axi_2_rvalid(rvalid[2]),
    .m_axi_2_rready(rready[2]),
    .m_axi_2_rdata(rdata[2]),
    .m_axi_2_rresp(2'd0),
    .m_axi_2_rlast(rlast[2])
  );

  task automatic fail(input string why);
    $display("FAIL: %s, in cycle %0d", why, cycles);
    $finish;
  endtask

  // A burst is `beats` words from `address` on; outside of memory there is nothing.
  function automatic logic inside_memory(input logic [AddrWidth-1:0] address,
                                         input logic [7:0] beats);
    return 64'(address) >= Base && 64'(address) + 64'(beats) * 64'd8 < Base + 64'(Words) * 64'd8;
  endfunction

  // What is driven changes a moment after the clock: models of primitives may be slow to look.
  for (genvar i = 0; i < int'(Ports); i++) begin : g_read
    logic busy = 1'b0;
    logic [7:0] left = '0;
    logic [31:0] word = '0;
    logic [63:0] data = '0;
    assign arready[i] = rst_n && !busy;
    assign rvalid[i] = busy;
    assign rlast[i] = left == 8'd0;
    assign rdata[i] = data;
    always @(posedge clk) begin
      if (rst_n && arvalid[i] === 1'b1 && arready[i]) begin
        if (!inside_memory(araddr[i], arlen[i])) fail("a read outside of memory");
        busy <= #1 1'b1;
        left <= #1 arlen[i];
        word <= #1 32'((64'(araddr[i]) - Base) >> 3);
        data <= #1 memory[32'((64'(araddr[i]) - Base) >> 3)];
      end
      if (busy && rready[i] === 1'b1) begin
        busy <= #1 left != 8'd0;
        left <= #1 left - 8'd1;
        word <= #1 word + 32'd1;
        if (left != 8'd0) data <= #1 memory[word+32'd1];
      end
    end
  end

  logic storing = 1'b0, stored = 1'b0;
  logic [31:0] store_word = '0;
  logic [7:0] store_left = '0;
  assign awready = rst_n && !storing && !stored;
  assign wready = storing;
  assign bvalid = stored;
  always @(posedge clk) begin
    if (rst_n && awvalid === 1'b1 && awready) begin
      if (!inside_memory(awaddr, awlen)) fail("a write outside of memory");
      storing <= #1 1'b1;
      store_left <= #1 awlen;
      store_word <= #1 32'((64'(awaddr) - Base) >> 3);
    end
    if (storing && wvalid === 1'b1) begin
      for (int k = 0; k < 8; k++) begin
        if (wstrb[k]) memory[store_word][8*k+:8] = wdata[8*k+:8];
      end
      if (wlast !== (store_left == 8'd0)) fail("WLAST at the wrong beat");
      storing <= #1 store_left != 8'd0;
      stored <= #1 store_left == 8'd0;
      store_left <= #1 store_left - 8'd1;
      store_word <= #1 store_word + 32'd1;
    end
    if (stored && bready === 1'b1) stored <= #1 1'b0;
  end

  task automatic write_register(input logic [11:0] offset, input logic [31:0] value);
    logic aw_taken, w_taken, answered;
    aw_addr = offset;
    w_data = value;
    aw_valid = 1'b1;
    w_valid = 1'b1;
    b_ready = 1'b1;
    do begin
      @(posedge clk);
      aw_taken = aw_ready === 1'b1;
      w_taken = w_ready === 1'b1;
      answered = b_valid === 1'b1;
      if (answered && b_resp !== 2'd0) fail("a register refuses a write");
      #1;
      if (aw_taken) aw_valid = 1'b0;
      if (w_taken) w_valid = 1'b0;
    end while (!answered);
    b_ready = 1'b0;
  endtask

  task automatic read_register(input logic [11:0] offset, output logic [31:0] value);
    logic ar_taken, answered;
    ar_addr = offset;
    ar_valid = 1'b1;
    r_ready = 1'b1;
    do begin
      @(posedge clk);
      ar_taken = ar_ready === 1'b1;
      answered = r_valid === 1'b1;
      value = r_data;
      if (answered && r_resp !== 2'd0) fail("a register refuses a read");
      #1;
      if (ar_taken) ar_valid = 1'b0;
    end while (!answered);
    r_ready = 1'b0;
  endtask

  // Wait for one of these bits of the status.
  task automatic wait_for(input logic [31:0] bits, output logic [31:0] status);
    do read_register(Status, status); while ((status & bits) === 32'd0);
    if (^(status & bits) === 1'bx) fail("the status is unknown");
  endtask

  always @(posedge clk) begin
    cycles = cycles + 1;
    if (cycles > Cycles) fail("the stream has not ended");
  end

  logic [31:0] status, code;
  int unsigned wrong = 0;
  initial begin
    $readmemh("before.hex", memory);
    $readmemh("after.hex", after);
    $readmemh("writes.hex", writes);
    repeat (30) @(posedge clk);  // longer than the reset of Xilinx's primitives, 100 ns
    #1 rst_n = 1'b1;
    repeat (10) @(posedge clk);
    #1;
    for (int unsigned i = 0; i < Writes; i++) begin
      wait_for(32'd1 << Idle, status);
      write_register(writes[i][43:32], writes[i][31:0]);
    end
    wait_for(32'd1 << Done | 32'd1 << Failed, status);
    if (status[Failed] !== 1'b0) begin
      read_register(ErrorCode, code);
      $display("FAIL: the stream ended with error %0d, in cycle %0d", code[7:0], cycles);
      $finish;
    end
    for (int unsigned i = 0; i < Words; i++) begin
      if (memory[i] !== after[i]) begin
        if (wrong < 5) begin
          $display("at 0x%h: %h instead of %h", Base + 64'(i) * 64'd8, memory[i], after[i]);
        end
        wrong = wrong + 1;
      end
    end
    if (wrong != 0) $display("FAIL: %0d of %0d words of memory are wrong", wrong, Words);
    else $display("PASS: %0d words of memory are right, after %0d cycles", Words, cycles);
    $finish;
  end
endmodule
