// wg_tokens between three wg_issue, whatever is handed out and however the engines behave: an
// instruction begins with all its tokens, takes them once, and when it ends gives one to each that
// it signals; no counter leaves its range; and what can begin does in the next cycle.
//
// The harness counts by itself, from what begins and ends at the engine ports. Queues are short; no
// statement depends on their depth. That this holds for any number of cycles follows by induction,
// for which the last assertions tie the harness's state to that of the logic.
module fv_tokens
  import wg_types_pkg::*, winogen_pkg::*;
(
  input logic              clk_i,
  input logic              rst_ni,
  input logic              clear_i,
  input logic [2:0]        queue_valid_i,
  input logic [5:0]        masks_i,
  input logic              queue_illegal_i,
  input logic [2:0]        ready_i,
  input logic [2:0]        done_i
);
  localparam int unsigned Depth = 2;
  localparam int unsigned Width = 9;  // of counters that wrap: differences are at most MaxTokens

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    assume (rst_ni == started_q);
  end

  logic [2:0] queue_ready, valid, begins;
  logic [2:0][2:0] available, room, take, promise, give;
  logic [2:0][2:0] waits, signals;  // of the instruction at each engine port

  wg_tokens u_tokens (
    .clk_i,
    .rst_ni,
    .clear_i,
    .take_i(take),
    .promise_i(promise),
    .give_i(give),
    .available_o(available),
    .room_o(room)
  );
  assign begins = valid & ready_i;

  // Instructions that have begun: what they will give, the oldest first.
  logic [2:0][1:0] flying_q;
  logic [2:0][1:0][2:0] owed_q;

  // Tokens from the first engine to the second since the stream began.
  logic [2:0][2:0][Width-1:0] promised_q, given_q, taken_q;

  for (genvar e = 0; e < 3; e++) begin : gen_engine
    localparam logic [2:0] Others = ~(3'b001 << e);
    logic refused, busy, empty;
    logic [511:0] bits;
    logic [1:0] queued_q;
    header_t header;

    start_t start;
    fault_t fault;
    issue_t state;
    engine_t engine;
    fetched_t queue;
    assign engine = '{
      ready: ready_i[e],
      done: done_i[e],
      fault: '{valid: 1'b0, code: '0, index: '0, addr: '0}
    };
    assign queue = '{illegal: queue_illegal_i, index: '0, bits: {502'b0, masks_i, 4'b0}};
    wg_issue #(
      .Engine(e),
      .QueueEntries(Depth),
      .FlightEntries(Depth)
    ) u_issue (
      .clk_i,
      .rst_ni,
      .clear_i,
      .queue_valid_i(queue_valid_i[e]),
      .queue_ready_o(queue_ready[e]),
      .queue_i(queue),
      .available_i(available[e]),
      .room_i(room[e]),
      .take_o(take[e]),
      .promise_o(promise[e]),
      .give_o(give[e]),
      .start_o(start),
      .engine_i(engine),
      .fault_o(fault),
      .state_o(state)
    );
    assign valid[e] = start.valid;
    assign bits     = start.bits;
    assign refused  = fault.valid;
    assign busy     = state.busy;
    assign empty    = state.empty;
    assign header     = decode_header(bits);
    assign waits[e]   = header.wait_mask & Others;
    assign signals[e] = header.signal_mask & Others;

    logic enough, can_q, wait_q;
    logic [5:0] masks_q;
    // All that an instruction at the head needs, judged by the harness's counters.
    always_comb begin
      enough = 1'b1;
      for (int unsigned b = 0; b < 3; b++) begin
        if (waits[e][b] && given_q[b][e] == taken_q[b][e]) enough = 1'b0;
        if (signals[e][b] && promised_q[e][b] - taken_q[e][b] == Width'(MaxTokens)) enough = 1'b0;
      end
    end

    always_ff @(posedge clk_i) begin
      if (rst_ni) assume (!done_i[e] || flying_q[e] != '0);  // only what has begun can end
      if (!rst_ni || clear_i) begin
        queued_q    <= '0;
        flying_q[e] <= '0;
        can_q       <= 1'b0;
        wait_q      <= 1'b0;
      end else begin
        queued_q    <= queued_q + 2'(queue_valid_i[e] && queue_ready[e]) - 2'(begins[e]);
        flying_q[e] <= flying_q[e] + 2'(begins[e]) - 2'(done_i[e]);
        if (done_i[e]) owed_q[e][0] <= owed_q[e][1];
        if (begins[e]) owed_q[e][1'(flying_q[e] - 2'(done_i[e]))] <= signals[e];
        can_q  <= queued_q != '0 && !u_issue.head.illegal && enough && !flying_q[e][1]
                  && !begins[e];
        wait_q <= valid[e] && !ready_i[e];
      end
      masks_q <= {signals[e], waits[e]};

      if (rst_ni) begin
        if (valid[e]) assert (enough && queued_q != '0 && !flying_q[e][1]);
        if (valid[e]) assert (!u_issue.head.illegal);
        if (wait_q) assert (valid[e] && {signals[e], waits[e]} == masks_q);
        if (can_q) assert (valid[e]);  // progress: the next cycle
        assert (busy == (flying_q[e] != '0));
        assert (empty == (flying_q[e] == '0 && queued_q == '0));
        assert (queue_ready[e] == !queued_q[1]);
        if (refused) assert (u_issue.head.illegal && !busy);

        // For induction: the queues are those of the harness.
        assert (queued_q <= 2'd2 && flying_q[e] <= 2'd2);
        assert (u_issue.u_queue.wptr_q - u_issue.u_queue.rptr_q == queued_q);
        assert (u_issue.u_flight.wptr_q - u_issue.u_flight.rptr_q == flying_q[e]);
        for (int unsigned i = 0; i < Depth; i++) begin
          if (2'(i) < flying_q[e])
            assert (u_issue.u_flight.u_mem.mem[1'(u_issue.u_flight.rptr_q + 2'(i))][22:20]
                    == owed_q[e][i]);
        end
      end
    end
  end

  for (genvar a = 0; a < 3; a++) begin : gen_from
    for (genvar b = 0; b < 3; b++) begin : gen_to
      if (a != b) begin : gen_pair
        logic [1:0] owed;
        assign owed = 2'(flying_q[a] != '0 && owed_q[a][0][b])
                      + 2'(flying_q[a][1] && owed_q[a][1][b]);

        always_ff @(posedge clk_i) begin
          if (!rst_ni || clear_i) begin
            promised_q[a][b] <= '0;
            given_q[a][b]    <= '0;
            taken_q[a][b]    <= '0;
          end else begin
            promised_q[a][b] <= promised_q[a][b] + Width'(begins[a] && signals[a][b]);
            given_q[a][b]    <= given_q[a][b] + Width'(done_i[a] && owed_q[a][0][b]);
            taken_q[a][b]    <= taken_q[a][b] + Width'(begins[b] && waits[b][a]);
          end

          if (rst_ni) begin
            // None is lost or invented: what was promised has been given or is owed by one in
            // flight, so all is given once none is; what was given was taken or is there.
            assert (promised_q[a][b] - given_q[a][b] == Width'(owed));
            assert (available[b][a] == (given_q[a][b] != taken_q[a][b]));
            // Taken <= given <= promised <= taken + MaxTokens.
            assert (room[a][b] == (promised_q[a][b] - taken_q[a][b] != Width'(MaxTokens)));
            assert (given_q[a][b] - taken_q[a][b] <= promised_q[a][b] - taken_q[a][b]);
            assert (promised_q[a][b] - taken_q[a][b] <= Width'(MaxTokens));

            // For induction: the counters are those of the harness.
            assert (given_q[a][b] - taken_q[a][b]
                    == Width'(u_tokens.gen_from[a].gen_to[b].gen_pair.available_q));
            assert (promised_q[a][b] - taken_q[a][b]
                    == Width'(u_tokens.gen_from[a].gen_to[b].gen_pair.total_q));

            cover (taken_q[a][b] == Width'(2) && promised_q[b][a] == Width'(1));
          end
        end
      end else begin : gen_self
        assign promised_q[a][b] = '0;
        assign given_q[a][b]    = '0;
        assign taken_q[a][b]    = '0;
      end
    end
  end
endmodule
