`include "wg_assert.svh"

// Begins the instructions of one engine in order: a queue, the gate of the tokens, and the list of
// instructions in flight, whose tokens are given as they end.
module wg_issue
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter int unsigned Engine = 0,  // 0 load, 1 compute, 2 store
  parameter int unsigned QueueEntries = QueueDepth,
  parameter int unsigned FlightEntries = InFlight
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       clear_i,
  // from wg_fetch
  input  logic       queue_valid_i,
  output logic       queue_ready_o,
  input  fetched_t   queue_i,
  // wg_tokens: this engine's row of each port
  input  logic [2:0] available_i,
  input  logic [2:0] room_i,
  output logic [2:0] take_o,
  output logic [2:0] promise_o,
  output logic [2:0] give_o,
  // the engine
  output start_t     start_o,
  input  engine_t    engine_i,
  // wg_control
  output fault_t     fault_o,         // the engine's, or that of a refused instruction
  output issue_t     state_o
);
  // An instruction that names its own engine is illegal: those bits take and give nothing.
  localparam logic [2:0] Others = ~(3'b001 << Engine);

  // Queue
  logic head_valid, head_pop;
  fetched_t head;
  wg_fifo #(
    .Width($bits(fetched_t)),
    .Depth(QueueEntries)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(queue_valid_i),
    .wready_o(queue_ready_o),
    .wdata_i (queue_i),
    .rvalid_o(head_valid),
    .rready_i(head_pop),
    .rdata_o (head)
  );

  // In flight
  logic flight_room, flight_valid;
  logic [2:0] flight_signal, head_signal, head_wait;
  logic [19:0] flight_index;
  header_t header;
  logic start;
  wg_fifo #(
    .Width(3 + 20),
    .Depth(FlightEntries)
  ) u_flight (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(start),
    .wready_o(flight_room),
    .wdata_i ({head_signal, head.index}),
    .rvalid_o(flight_valid),
    .rready_i(engine_i.done),
    .rdata_o ({flight_signal, flight_index})
  );

  assign header = decode_header(head.bits);
  assign head_wait = header.wait_mask & Others;
  assign head_signal = header.signal_mask & Others;
  logic unused;
  assign unused = ^{header.opcode, header.layer};

  // Only this engine takes these tokens, fills these counters and fills the list, so what is there
  // for the head stays there: go_q cannot fall before the start.
  logic tokens, go_q;
  assign tokens = &(available_i | ~head_wait) && &(room_i | ~head_signal);
  assign start = go_q && engine_i.ready;
  assign head_pop = start;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) go_q <= 1'b0;
    else go_q <= head_valid && !head.illegal && tokens && flight_room && !start;
  end

  assign start_o = '{valid: go_q, index: head.index, bits: head.bits};
  assign take_o = start ? head_wait : '0;
  assign promise_o = start ? head_signal : '0;
  assign give_o = engine_i.done && flight_valid ? flight_signal : '0;

  // A refused instruction fails when its turn has come and all before it have ended. It keeps its
  // tokens: the stream ends here, so that a cycle later it still has.
  logic refused, refused_q;
  assign refused = head_valid && head.illegal && tokens && !flight_valid;
  always_ff @(posedge clk_i) refused_q <= refused && rst_ni && !clear_i;
  assign fault_o = engine_i.fault.valid ? engine_i.fault : '{
    valid: refused_q, code: ErrIllegalDescriptor, index: head.index, addr: '0
  };

  assign state_o = '{
    busy: flight_valid,
    stall: head_valid && !tokens && !flight_valid,
    empty: !head_valid && !flight_valid,
    quiescent: !flight_valid && (!head_valid || !tokens) && !engine_i.fault.valid,
    oldest_valid: head_valid || flight_valid,
    oldest_index: flight_valid ? flight_index : head.index
  };

  `ASSERT(ends_what_began, clear_i || !engine_i.done || flight_valid)
  `ASSERT(starts_what_may,
          clear_i || !go_q || (head_valid && !head.illegal && tokens && flight_room))
`ifndef FORMAL  // fv_tokens proves it
  `ASSERT_HOLD(start_holds, start_o.valid, engine_i.ready, start_o, clear_i)
`endif
endmodule
