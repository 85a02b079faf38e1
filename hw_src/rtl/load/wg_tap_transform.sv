`include "wg_assert.svh"

// Filters through the Winograd transform: a buffer of a phase's taps, and a sequencer that turns them
// into the words of the phase's positions, two cycles a position, each for half of the output lanes.
//
// The buffer has two halves: one is filled while the other is worked off.
module wg_tap_transform
  import wg_types_pkg::*;
#(
  parameter  config_t     Config   = DefaultConfig,
  localparam int unsigned Lanes    = Config.Lanes,
  localparam int unsigned Parts    = Lanes / 2,
  localparam int unsigned Half     = Parts / 2,  // parts that are written together
  localparam int unsigned TapBits  = 2 * word_bits(Config),
  localparam int unsigned PartBits = part_bits(Config),
  localparam int unsigned WA       = weight_place_width(Config)
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic                          clear_i,
  // A phase begins to fill a half: heard a cycle after ready said that one is free, or will be by the
  // time of its first part, which comes no sooner than in the cycle after.
  input  logic                          phase_valid_i,
  output logic                          phase_ready_o,
  input  logic [8:0]                    phase_taps_i,
  input  logic [15:0]                   phase_positions_i,
  input  logic [4:0]                    phase_count_i,  // how many positions these are
  input  logic [WA-1:0]                 phase_addr_i,   // word of its first position
  input  logic                          phase_last_i,   // of the instruction
  output logic                          phase_half_o,   // the half that it fills
  // Halves of the phases' taps: those of half of the output lanes.
  input  logic                          tap_we_i,
  input  logic                          tap_half_i,
  input  logic                          tap_upper_i,
  input  logic [8:0]                    tap_i,          // one-hot
  input  logic [Half*TapBits-1:0]       tap_data_i,
  // A half of the buffer has its last taps in the next cycle.
  input  logic                          full_i,
  input  logic                          full_half_i,
  // Words: half of the parts of one.
  output logic                          word_we_o,
  output logic                          word_lower_o,   // parts below Half, else the others
  output logic [WA-1:0]                 word_addr_o,
  output logic [Half-1:0][PartBits-1:0] word_data_o,
  output logic                          last_o,         // pulse: the last word of an instruction
  output logic                          busy_o          // a phase is being worked off
);
  localparam int unsigned Latency = winogen_pkg::FilterLatency;  // of wg_filter_transform

  logic [1:0] used_q;  // halves that are being filled or worked off
  logic [1:0] ready_q;  // halves that are complete
  logic fill_q, next_q, read_q, lower_q;
  logic work_q, work_load, work_last_q, position_last_q, release_half;
  logic [4:0] left_q;  // positions that are left, this one among them
  logic [15:0] positions_q, next_positions;
  logic [8:0] work_taps_q;
  logic [WA-1:0] work_addr_q;
  logic [3:0] position;
  // What the sequencer must know of each half.
  logic [1:0][15:0] tag_positions_q;
  logic [1:0][4:0] tag_count_q;
  logic [1:0] tag_single_q;  // one position, or none
  logic [1:0][8:0] tag_taps_q;
  logic [1:0][WA-1:0] tag_addr_q;
  logic [1:0] tag_last_q;

  // Where both halves are in use, the next to be filled is the one that is released.
  assign phase_ready_o = !used_q[fill_q] || release_half;
  assign phase_half_o  = fill_q;

  // ---- Tap buffer: two halves, each in two rows of Half parts ----
  logic [8:0][Half*TapBits-1:0] taps;

  for (genvar t = 0; t < 9; t++) begin : gen_tap
    wg_lutram #(
      .Width(Half * TapBits),
      .Depth(4)
    ) u_taps (
      .clk_i,
      .we_i   (tap_we_i && tap_i[t]),
      .waddr_i({tap_half_i, tap_upper_i}),
      .wdata_i(tap_data_i),
      .raddr_i({read_q, !lower_q}),
      .rdata_o(taps[t])
    );
  end

  // ---- Sequencer: a position of the lower half of the output lanes, then of the upper half ----
  assign next_positions = positions_q & (positions_q - 16'd1);
  assign work_load = ready_q[next_q] && (!work_q || (!lower_q && position_last_q));
  // A cycle before the last read.
  assign release_half = work_q && lower_q && position_last_q;

  always_comb begin
    position = '0;
    for (int unsigned i = 16; i > 0; i--) if (positions_q[i-1]) position = 4'(i - 1);
  end

  always_ff @(posedge clk_i) begin
    if (phase_valid_i) begin
      tag_positions_q[fill_q] <= phase_positions_i;
      tag_count_q[fill_q]     <= phase_count_i;
      tag_single_q[fill_q]    <= phase_count_i <= 5'd1;
      tag_taps_q[fill_q]      <= phase_taps_i;
      tag_addr_q[fill_q]      <= phase_addr_i;
      tag_last_q[fill_q]      <= phase_last_i;
    end
    if (work_load) begin
      read_q      <= next_q;
      lower_q     <= 1'b1;
      positions_q <= tag_positions_q[next_q];
      left_q      <= tag_count_q[next_q];
      position_last_q <= tag_single_q[next_q];
      work_taps_q <= tag_taps_q[next_q];
      work_addr_q <= tag_addr_q[next_q];
      work_last_q <= tag_last_q[next_q];
    end else begin
      lower_q <= !lower_q;
      if (!lower_q) begin
        positions_q <= next_positions;
        left_q      <= left_q - 5'd1;
        position_last_q <= left_q == 5'd2;
        work_addr_q <= work_addr_q + WA'(1);
      end
    end

    if (!rst_ni || clear_i) begin
      used_q  <= 2'b00;
      ready_q <= 2'b00;
      fill_q  <= 1'b0;
      next_q  <= 1'b0;
      work_q  <= 1'b0;
    end else begin
      if (release_half) used_q[read_q] <= 1'b0;
      if (phase_valid_i) begin
        used_q[fill_q] <= 1'b1;
        fill_q         <= !fill_q;
      end
      // The last part is written in the cycle that follows, the first is read in the one after.
      if (full_i) ready_q[full_half_i] <= 1'b1;
      if (work_load) begin
        ready_q[next_q] <= 1'b0;
        next_q          <= !next_q;
        work_q          <= 1'b1;
      end else if (!lower_q && position_last_q) begin
        work_q <= 1'b0;
      end
    end
  end

  // ---- Transform, and beside it what belongs to each of its results ----
  logic [Latency-1:0] valid_q, we_q, pipe_lower_q, last_q;
  logic [Latency-1:0][WA-1:0] addr_q;

  wg_filter_transform #(
    .DataWidth(Config.DataWidth),
    .Values(Lanes * Lanes / 2)
  ) u_transform (
    .clk_i,
    .taps_i    (work_taps_q),
    .position_i(position),
    .data_i    (taps),
    .data_o    (word_data_o)
  );

  always_ff @(posedge clk_i) begin
    we_q         <= {we_q[Latency-2:0], positions_q != '0};
    pipe_lower_q <= {pipe_lower_q[Latency-2:0], lower_q};
    last_q       <= {last_q[Latency-2:0], work_last_q && !lower_q && position_last_q};
    addr_q       <= {addr_q[Latency-2:0], work_addr_q};
    if (!rst_ni || clear_i) valid_q <= '0;
    else valid_q <= {valid_q[Latency-2:0], work_q};
  end

  assign word_we_o    = valid_q[Latency-1] && we_q[Latency-1];
  assign word_lower_o = pipe_lower_q[Latency-1];
  assign word_addr_o  = addr_q[Latency-1];
  assign last_o       = valid_q[Latency-1] && last_q[Latency-1];
  assign busy_o       = ready_q != '0 || work_q || valid_q != '0;

  `ASSERT_ONEHOT0(one_tap, tap_i)
  `ASSERT(counts_positions, clear_i || !work_q || position_last_q == (next_positions == '0))
  `ASSERT(fills_a_free_half, clear_i || !phase_valid_i || phase_ready_o)
  `ASSERT(one_phase_a_half, clear_i || !full_i || !ready_q[full_half_i])
endmodule
