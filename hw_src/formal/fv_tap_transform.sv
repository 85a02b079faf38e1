// wg_tap_transform: the words that it writes are those of the phases that it took, one after the other,
// each of a phase once for the lower and once for the upper parts, from the phase's address on and as many
// as it has positions. For any phases, in whatever time their taps come.
//
// That phases and taps come as is assumed here is proved of wg_load_weights in fv_load_weights, and what
// stands in there for this module (any/wg_tap_transform.sv) does nothing that is not proved here.
module fv_tap_transform
  import wg_types_pkg::*, winogen_pkg::*;
#(
  localparam int unsigned WA       = weight_place_width(DefaultConfig),
  localparam int unsigned Half     = DefaultConfig.Lanes / 4,
  localparam int unsigned TapBits  = 2 * word_bits(DefaultConfig),
  localparam int unsigned PartBits = part_bits(DefaultConfig)
) (
  input logic                    clk_i,
  input logic                    rst_ni,
  input logic                    clear_i,
  input logic                    phase_valid_i,
  input logic [8:0]              phase_taps_i,
  input logic [15:0]             phase_positions_i,
  input logic [WA-1:0]           phase_addr_i,
  input logic                    phase_last_i,
  input logic                    tap_we_i,
  input logic                    tap_half_i,
  input logic                    tap_upper_i,
  input logic [Half*TapBits-1:0] tap_data_i,
  input logic                    full_i
);
  logic ready, half, we, lower, last, busy;
  logic [WA-1:0] addr;
  logic [Half-1:0][PartBits-1:0] data;
  logic [4:0] phase_count;
  logic open_q, half_q;  // taps of a phase are missing; the half that it fills
  assign phase_count = 5'($countones(phase_positions_i));

  wg_tap_transform u_dut (
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
    .phase_half_o (half),
    .tap_we_i,
    .tap_half_i,
    .tap_upper_i,
    .tap_i        (9'd1),
    .tap_data_i,
    .full_i,
    .full_half_i  (half_q),
    .word_we_o    (we),
    .word_lower_o (lower),
    .word_addr_o  (addr),
    .word_data_o  (data),
    .last_o       (last),
    .busy_o       (busy)
  );
  logic unused;
  assign unused = ^data;

  // A phase that was taken, and what is due of it: its word k, half of the parts.
  typedef struct packed {
    logic [WA-1:0] addr;
    logic [4:0]    count;
    logic          last;
  } taken_t;
  typedef struct packed {
    logic       valid;
    taken_t     phase;
    logic [4:0] k;
    logic       lower;
  } due_t;

  taken_t [1:0] taken_q;  // and not begun: those from read_q on
  logic [1:0] held_q;  // how many
  logic write_q, read_q, begins, ends;
  due_t due_q;
  due_t [FilterLatency-1:0] later_q;
  due_t now;
  logic ready_q, calm_q, next_q;  // of the cycle before
  assign begins = u_dut.work_load;
  assign ends   = !due_q.lower && due_q.k + 5'd1 >= due_q.phase.count;
  assign now    = later_q[FilterLatency-1];

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
      half_q           <= half;
    end
    if (begins) due_q <= '{valid: 1'b1, phase: taken_q[read_q], k: 5'd0, lower: 1'b1};
    else begin
      if (ends) due_q.valid <= 1'b0;
      if (!due_q.lower) due_q.k <= due_q.k + 5'd1;
      due_q.lower <= !due_q.lower;
    end
    later_q <= {later_q[FilterLatency-2:0], due_q};
    write_q <= write_q ^ phase_valid_i;
    read_q  <= read_q ^ begins;
    held_q  <= held_q + 2'(phase_valid_i) - 2'(begins);
    open_q  <= phase_valid_i || (open_q && !full_i);
    ready_q <= ready;
    calm_q  <= !busy && !full_i;
    next_q  <= half ^ phase_valid_i;
    if (!rst_ni || clear_i) begin
      {write_q, read_q, held_q, open_q, ready_q, next_q} <= '0;
      due_q.valid <= 1'b0;
      calm_q      <= 1'b1;
      for (int unsigned i = 0; i < FilterLatency; i++) later_q[i].valid <= 1'b0;
    end
  end

  // The last half word of an instruction: its last phase may have none, but it ends.
  function automatic logic is_last(input due_t due);
    is_last = due.phase.last && !due.lower && due.k + 5'd1 >= due.phase.count;
  endfunction

  logic [4:0] rest;  // words of the phase that is worked off, this one among them
  logic [1:0] mine;  // halves that are held
  assign rest = due_q.phase.count - due_q.k;
  assign mine = {held_q == 2'd2 || (held_q == 2'd1 && read_q), held_q == 2'd2 || (held_q == 2'd1 && !read_q)};
  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      // What is promised.
      as_due : assert (we == (now.valid && now.phase.count != '0));
      if (we) begin
        of_the_phase : assert (now.k < now.phase.count);
        in_its_place : assert (addr == now.phase.addr + WA'(now.k));
        lower_first : assert (lower == now.lower);
      end
      last_at_the_end : assert (last == (now.valid && is_last(now)));
      if (begins) begin
        in_order : assert (!due_q.valid || ends);
        all_taps : assert (held_q != '0 && !(held_q == 2'd1 && open_q));
      end
      room_stays : assert (!ready_q || open_q || ready);
      half_stays : assert (half == next_q);
      writes_when_busy : assert (busy || !(we || last));
      stays_calm : assert (!calm_q || !busy);

      // How the unit stands, as induction needs it.
      two : assert (held_q <= 2'd2);
      open_is_held : assert (!open_q || (held_q != '0 && half_q == !write_q));
      places : assert (write_q == read_q ^ held_q[0]);
      fills : assert (u_dut.fill_q == write_q && u_dut.next_q == read_q);
      works : assert (u_dut.work_q == due_q.valid);
      if (due_q.valid) begin
        not_both : assert (held_q != 2'd2);
        other : assert (u_dut.read_q == !read_q);
        lower_too : assert (u_dut.lower_q == due_q.lower);
        left : assert (u_dut.left_q == rest);
        positions : assert ($countones(u_dut.positions_q) == 32'(rest));
        last_position : assert (u_dut.position_last_q == (rest <= 5'd1));
        work_addr : assert (u_dut.work_addr_q == due_q.phase.addr + WA'(due_q.k));
        work_last : assert (u_dut.work_last_q == due_q.phase.last);
        few : assert (due_q.phase.count <= 5'd16);
        k_is : assert (due_q.k < due_q.phase.count || (due_q.k == '0 && due_q.phase.count == '0));
      end
    end
    // The last of a phase's two words, while another is worked off behind it.
    cover (rst_ni && we && now.phase.count == 5'd2 && now.k == 5'd1 && !lower && due_q.valid && !last);
  end

  for (genvar h = 0; h < 2; h++) begin : gen_half
    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        complete : assert (u_dut.ready_q[h] == (mine[h] && !(open_q && h[0] == half_q)));
        in_use :
        assert (u_dut.used_q[h] == (mine[h] || (due_q.valid && !ends && u_dut.read_q == h[0])));
        if (mine[h]) begin
          tag_addr : assert (u_dut.tag_addr_q[h] == taken_q[h].addr);
          tag_count : assert (u_dut.tag_count_q[h] == taken_q[h].count);
          tag_last : assert (u_dut.tag_last_q[h] == taken_q[h].last);
          tag_single : assert (u_dut.tag_single_q[h] == (taken_q[h].count <= 5'd1));
          tag_positions : assert ($countones(u_dut.tag_positions_q[h]) == 32'(taken_q[h].count));
        end
      end
    end
  end

  for (genvar i = 0; i < FilterLatency; i++) begin : gen_later
    due_t due;
    assign due = later_q[i];
    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        valid : assert (u_dut.valid_q[i] == due.valid);
        if (due.valid) begin
          we_as : assert (u_dut.we_q[i] == (due.phase.count != '0));
          lower_as : assert (u_dut.pipe_lower_q[i] == due.lower);
          addr_as : assert (u_dut.addr_q[i] == due.phase.addr + WA'(due.k));
          last_as : assert (u_dut.last_q[i] == is_last(due));
          few_as : assert (due.k < due.phase.count || due.phase.count == '0);
        end
      end
    end
  end
endmodule
