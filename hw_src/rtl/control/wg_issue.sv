// Begins the instructions of one engine in order: a queue, the gate of the tokens, and the list of
// instructions in flight, whose tokens are given as they end.
module wg_issue
  import winogen_pkg::*;
#(
  parameter int unsigned Engine = 0,  // 0 load, 1 compute, 2 store
  parameter int unsigned AddrWidth = 64,
  parameter int unsigned QueueDepth = 16,
  parameter int unsigned InFlight = 8
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 clear_i,
  // from wg_fetch
  input  logic                 queue_valid_i,
  output logic                 queue_ready_o,
  input  logic [511:0]         queue_bits_i,
  input  logic [19:0]          queue_index_i,
  input  logic                 queue_illegal_i,
  // wg_tokens: this engine's row of each port
  input  logic [2:0]           available_i,
  input  logic [2:0]           room_i,
  output logic [2:0]           take_o,
  output logic [2:0]           promise_o,
  output logic [2:0]           give_o,
  // the engine
  output logic                 start_valid_o,
  input  logic                 start_ready_i,
  output logic [511:0]         start_bits_o,
  output logic [19:0]          start_index_o,
  input  logic                 done_i,
  input  logic                 fault_valid_i,
  input  logic [7:0]           fault_code_i,
  input  logic [19:0]          fault_index_i,
  input  logic [AddrWidth-1:0] fault_addr_i,
  // wg_control: the engine's fault, or that of a refused instruction
  output logic                 fault_valid_o,
  output logic [7:0]           fault_code_o,
  output logic [19:0]          fault_index_o,
  output logic [AddrWidth-1:0] fault_addr_o,
  output logic                 busy_o,          // something is in flight
  output logic                 stall_o,         // nothing is, and the head waits for a token
  output logic                 empty_o,         // nothing is in flight nor in the queue
  output logic                 quiescent_o,     // nothing goes on unless another engine does
  output logic                 oldest_valid_o,  // of the instructions not ended
  output logic [19:0]          oldest_index_o
);
  // An instruction that names its own engine is illegal: those bits take and give nothing.
  localparam logic [2:0] Others = ~(3'b001 << Engine);

  // Queue
  logic        head_valid, head_illegal, head_pop;
  logic [19:0] head_index;
  logic [511:0] head_bits;
  wg_fifo #(.Width(512 + 20 + 1), .Depth(QueueDepth)) u_queue (
    .clk_i, .rst_ni, .clear_i,
    .wvalid_i(queue_valid_i),
    .wready_o(queue_ready_o),
    .wdata_i ({queue_illegal_i, queue_index_i, queue_bits_i}),
    .rvalid_o(head_valid),
    .rready_i(head_pop),
    .rdata_o ({head_illegal, head_index, head_bits})
  );

  // In flight
  logic        flight_room, flight_valid;
  logic [2:0]  flight_signal, head_signal, head_wait;
  logic [19:0] flight_index;
  header_t     header;
  logic        start;
  wg_fifo #(.Width(3 + 20), .Depth(InFlight)) u_flight (
    .clk_i, .rst_ni, .clear_i,
    .wvalid_i(start),
    .wready_o(flight_room),
    .wdata_i ({head_signal, head_index}),
    .rvalid_o(flight_valid),
    .rready_i(done_i),
    .rdata_o ({flight_signal, flight_index})
  );

  assign header = decode_header(head_bits);
  assign head_wait = header.wait_mask & Others;
  assign head_signal = header.signal_mask & Others;
  logic unused;
  assign unused = ^{header.opcode, header.layer};

  // Only this engine takes these tokens, fills these counters and fills the list, so what is there
  // for the head stays there: go_q cannot fall before the start.
  logic tokens, go_q;
  assign tokens = &(available_i | ~head_wait) && &(room_i | ~head_signal);
  assign start = go_q && start_ready_i;
  assign head_pop = start;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) go_q <= 1'b0;
    else go_q <= head_valid && !head_illegal && tokens && flight_room && !start;
  end

  assign start_valid_o = go_q;
  assign start_bits_o = head_bits;
  assign start_index_o = head_index;
  assign take_o = start ? head_wait : '0;
  assign promise_o = start ? head_signal : '0;
  assign give_o = done_i && flight_valid ? flight_signal : '0;

  // A refused instruction fails when its turn has come and all before it have ended. It keeps its
  // tokens: the stream ends here.
  logic refused;
  assign refused = head_valid && head_illegal && tokens && !flight_valid;
  assign fault_valid_o = fault_valid_i || refused;
  assign fault_code_o = fault_valid_i ? fault_code_i : ErrIllegalDescriptor;
  assign fault_index_o = fault_valid_i ? fault_index_i : head_index;
  assign fault_addr_o = fault_valid_i ? fault_addr_i : '0;

  assign busy_o = flight_valid;
  assign stall_o = head_valid && !tokens && !flight_valid;
  assign empty_o = !head_valid && !flight_valid;
  assign quiescent_o = !flight_valid && (!head_valid || !tokens) && !fault_valid_i;
  assign oldest_valid_o = !empty_o;
  assign oldest_index_o = flight_valid ? flight_index : head_index;

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni && !clear_i) begin
      assert (!done_i || flight_valid);
      assert (!go_q || (head_valid && !head_illegal && tokens && flight_room));
    end
  end
`endif
endmodule
