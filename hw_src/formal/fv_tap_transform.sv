// wg_tap_transform: the words that it writes are those of the phases that it took, one after the other,
// each of a phase once, whole or its lower and then its upper parts, from the phase's address on and as
// many as it has positions. For any phases, in whatever time their taps come.
//
// That phases and taps come as is assumed here is proved of wg_load_weights in fv_load_weights, and what
// stands in there for this module (any/wg_tap_transform.sv) does nothing that is not proved here.
//
// HALF_WORDS makes it the module of a build that has no decoder.
module fv_tap_transform
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config   = DefaultConfig,
  localparam int unsigned WA       = weight_place_width(Config),
  localparam int unsigned Parts    = Config.Lanes / 2,
  localparam int unsigned TapBits  = 2 * word_bits(Config),
  localparam int unsigned PartBits = part_bits(Config),
  localparam int unsigned Slots    = TapSlots,
  localparam int unsigned SW       = $clog2(Slots)
) (
  input logic                       clk_i,
  input logic                       rst_ni,
  input logic                       clear_i,
  input logic                       phase_valid_i,
  input logic [8:0]                 phase_taps_i,
  input logic [15:0]                phase_positions_i,
  input logic [WA-1:0]              phase_addr_i,
  input logic                       phase_last_i,
  input logic                       tap_we_i,
  input logic [SW-1:0]                 tap_slot_i,
  input logic                       tap_upper_i,
  input logic [Parts/2*TapBits-1:0] tap_data_i,
  input logic                       full_i
);
`ifdef HALF_WORDS
  function automatic config_t without_decoder();
    without_decoder = Config;
    without_decoder.Decoder = 0;
  endfunction
  localparam config_t Built = without_decoder();
`else
  localparam config_t Built = Config;
`endif
  localparam bit Whole = whole_words(Built);
  localparam int unsigned Latency = FilterLatency - (Whole ? 0 : 1);

  logic ready, last, busy;
  logic [1:0] we;
  logic [SW-1:0] slot;
  logic [WA-1:0] addr;
  logic [Parts-1:0][PartBits-1:0] data;
  logic [4:0] phase_count;
  logic open_q;  // taps of a phase are missing
  logic [SW-1:0] slot_q;  // the one that it fills
  assign phase_count = 5'($countones(phase_positions_i));

  wg_tap_transform #(
    .Config(Built)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .clear_i,
    .phase_valid_i,
    .phase_ready_o(ready),
    .phase_taps_i,
    .phase_positions_i,
    .phase_count_i(phase_count),
    .phase_addr_i,
    .phase_last_i,
    .phase_slot_o (slot),
    .tap_we_i,
    .tap_slot_i,
    .tap_upper_i,
    .tap_i        (9'd1),
    .tap_data_i,
    .full_i,
    .full_slot_i  (slot_q),
    .word_we_o    (we),
    .word_addr_o  (addr),
    .word_data_o  (data),
    .last_o       (last),
    .busy_o       (busy)
  );
  logic unused;
  assign unused = ^data;

  // A phase that was taken, and what is due of it: its word k.
  typedef struct packed {
    logic [WA-1:0] addr;
    logic [4:0]    count;
    logic          last;
  } taken_t;
  typedef struct packed {
    logic       valid;
    taken_t     phase;
    logic [4:0] k;
    logic       upper;  // the second cycle, or a later one, of what is read together
    logic       whole;  // with this cycle the word is complete
  } due_t;

  // As the unit keeps it.
  typedef struct packed {
    logic [8:0]    taps;
    logic [15:0]   positions;
    logic [4:0]    count;
    logic          single;
    logic [WA-1:0] addr;
    logic          last;
  } tag_t;

  taken_t [Slots-1:0] taken_q;  // and not begun: those from read_q on
  logic [SW:0] held_q;  // how many
  logic [SW-1:0] write_q, read_q;
  logic begins, ends;
  due_t due_q, due;
  due_t [Latency-1:0] later_q;
  due_t now;
  logic ready_q, calm_q;  // of the cycle before
  logic [SW-1:0] next_q;
  assign begins = u_dut.work_load;
  // How many words are read together is the unit's affair: that a word is written once is proved for any.
  always_comb begin
    due = due_q;
    due.whole = due_q.upper || (Whole && u_dut.row_more);
  end
  assign ends = due.whole && due_q.k + 5'd1 >= due_q.phase.count;
  assign now  = later_q[Latency-1];

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    assume (started_q || !rst_ni);
    // A phase comes a cycle after there was room for it, and when all taps of the one before have.
    assume (!phase_valid_i || (ready_q && !open_q));
    assume (!full_i || open_q);

    if (phase_valid_i) begin
      taken_q[write_q] <= '{addr: phase_addr_i, count: phase_count, last: phase_last_i};
      slot_q           <= slot;
    end
    if (begins)
      due_q <= '{valid: 1'b1, phase: taken_q[read_q], k: 5'd0, upper: 1'b0, whole: 1'b0};
    else begin
      if (ends) due_q.valid <= 1'b0;
      if (due.whole) due_q.k <= due_q.k + 5'd1;
      due_q.upper <= !due_q.upper || (Whole && u_dut.row_more);
    end
    later_q <= {later_q[Latency-2:0], due};
    write_q <= write_q + SW'(phase_valid_i);
    read_q  <= read_q + SW'(begins);
    held_q  <= held_q + (SW + 1)'(phase_valid_i) - (SW + 1)'(begins);
    open_q  <= phase_valid_i || (open_q && !full_i);
    ready_q <= ready;
    calm_q  <= !busy && !full_i;
    next_q  <= slot + SW'(phase_valid_i);
    if (!rst_ni || clear_i) begin
      {write_q, read_q, held_q, open_q, ready_q, next_q} <= '0;
      due_q.valid <= 1'b0;
      calm_q      <= 1'b1;
      for (int unsigned i = 0; i < Latency; i++) later_q[i].valid <= 1'b0;
    end
  end

  // What is written of a word, and the last of an instruction: its last phase may have none, but it ends.
  function automatic logic [1:0] is_written(input due_t of);
    if (of.phase.count == '0) is_written = 2'b00;
    else if (Whole) is_written = {2{of.whole}};
    else is_written = {of.upper, !of.upper};
  endfunction
  function automatic logic is_last(input due_t of);
    is_last = of.phase.last && of.whole && of.k + 5'd1 >= of.phase.count;
  endfunction

  logic [4:0] rest;  // words of the phase that is worked off, this one among them
  assign rest = due_q.phase.count - due_q.k;
  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      // What is promised.
      as_due : assert (we == (now.valid ? is_written(now) : 2'b00));
      if (we != '0) begin
        of_the_phase : assert (now.k < now.phase.count);
        in_its_place : assert (addr == now.phase.addr + WA'(now.k));
      end
      last_at_the_end : assert (last == (now.valid && is_last(now)));
      if (begins) begin
        in_order : assert (!due_q.valid || ends);
        all_taps : assert (held_q != '0 && !(held_q == (SW + 1)'(1) && open_q));
      end
      room_stays : assert (!ready_q || open_q || ready);
      slot_stays : assert (slot == next_q);
      writes_when_busy : assert (busy || !(we != '0 || last));
      stays_calm : assert (!calm_q || !busy);

      // How the unit stands, as induction needs it.
      no_more : assert (held_q <= (SW + 1)'(Slots));
      open_is_held : assert (!open_q || (held_q != '0 && slot_q == write_q - SW'(1)));
      places : assert (write_q == read_q + held_q[SW-1:0]);
      fills : assert (u_dut.fill_q == write_q && u_dut.next_q == read_q);
      works : assert (u_dut.work_q == due_q.valid);
      if (due_q.valid) begin
        not_all : assert (held_q != (SW + 1)'(Slots));
        other : assert (u_dut.read_q == read_q - SW'(1));
        upper_too : assert (u_dut.upper_q == due_q.upper);
        left : assert (u_dut.left_q == rest);
        positions : assert ($countones({u_dut.later_q, u_dut.row_q}) == 32'(rest));
        row : assert (u_dut.row_q != '0 || rest == '0);
        row_begun : assert (u_dut.later_q[u_dut.row_index_q] == '0);
        last_position : assert (u_dut.position_last_q == (rest <= 5'd1));
        work_addr : assert (u_dut.work_addr_q == due_q.phase.addr + WA'(due_q.k));
        work_last : assert (u_dut.work_last_q == due_q.phase.last);
        few : assert (due_q.phase.count <= 5'd16);
        k_is : assert (due_q.k < due_q.phase.count || (due_q.k == '0 && due_q.phase.count == '0));
      end
    end
    // The last of a phase's two words, while another is worked off behind it.
    cover (rst_ni && we[1] && now.phase.count == 5'd2 && now.k == 5'd1 && due_q.valid && !last);
    // All slots are in use.
    cover (rst_ni && held_q == (SW + 1)'(Slots - 1) && due_q.valid && !open_q);
  end

  for (genvar h = 0; h < Slots; h++) begin : gen_slot
    logic mine;  // it is held
    tag_t tag;
    assign tag = u_dut.u_tags.mem[h];
    assign mine = {1'b0, SW'(h) - read_q} < held_q;
    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        complete : assert (u_dut.ready_q[h] == (mine && !(open_q && slot_q == SW'(h))));
        in_use : assert (u_dut.used_q[h] == (mine || (due_q.valid && u_dut.read_q == SW'(h))));
        if (mine) begin
          tag_addr : assert (tag.addr == taken_q[h].addr);
          tag_count : assert (tag.count == taken_q[h].count);
          tag_last : assert (tag.last == taken_q[h].last);
          tag_single : assert (tag.single == (taken_q[h].count <= 5'd1));
          tag_positions : assert ($countones(tag.positions) == 32'(taken_q[h].count));
        end
      end
    end
  end

  for (genvar i = 0; i < Latency; i++) begin : gen_later
    due_t of;
    assign of = later_q[i];
    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        valid : assert (u_dut.valid_q[i] == of.valid);
        if (of.valid) begin
          we_as : assert (u_dut.we_q[i] == is_written(of));
          addr_as : assert (u_dut.addr_q[i] == of.phase.addr + WA'(of.k));
          last_as : assert (u_dut.last_q[i] == is_last(of));
          few_as : assert (of.k < of.phase.count || of.phase.count == '0);
        end
      end
    end
  end
endmodule
