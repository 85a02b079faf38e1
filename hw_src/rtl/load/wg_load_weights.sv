// LOAD_WEIGHTS, where the data go: direct taps straight into the weight buffer, or filters through
// the Winograd transform.
//
// First a pass over the phase table counts taps and words, so that a wrong instruction is refused
// before it changes anything. Then beats are collected into parts (two output lanes). A direct tap
// is a unit of its own; a Winograd phase's taps go into one half of a tap buffer, and a sequencer
// works the other half off: two cycles a position, each for half of the output lanes. The next
// instruction may begin while the last phases are being transformed.
module wg_load_weights
  import winogen_pkg::*;
#(
  parameter int unsigned DataWidth = 8,
  parameter int unsigned Lanes = 8,
  parameter int unsigned WeightDepth = 2048,
  parameter int unsigned PhaseDepth = 128,
  parameter int unsigned ReadPorts = 2,
  localparam int unsigned WeightWidth = DataWidth + 4,
  localparam int unsigned Parts = Lanes / 2,
  localparam int unsigned WordBits = 2 * Lanes * WeightWidth,
  localparam int unsigned WA = $clog2(WeightDepth),
  localparam int unsigned PA = PhaseDepth > 1 ? $clog2(PhaseDepth) : 1,
  localparam int unsigned CW = $clog2(ReadPorts + 1)
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           clear_i,
  input  logic                           start_valid_i,
  output logic                           start_ready_o,  // the last beat of the one before is taken
  input  logic                           winograd_i,
  input  logic [19:0]                    base_i,
  input  logic [11:0]                    blocks_i,
  input  logic [11:0]                    taps_i,
  input  logic [PA-1:0]                  phase_base_i,
  input  logic [7:0]                     phases_i,
  input  logic                           phase_we_i,     // LOAD_TABLE writes the phase table
  input  logic [PA-1:0]                  phase_addr_i,
  input  logic [8:0]                     phase_taps_i,
  input  logic [15:0]                    phase_positions_i,
  input  logic [CW-1:0]                  beat_count_i,
  input  logic [ReadPorts*64-1:0]        beat_data_i,
  output logic [CW-1:0]                  beat_take_o,
  output logic                           want_o,         // a beat is needed
  output logic [Parts-1:0]               w_we_o,
  output logic [WA-1:0]                  w_addr_o,
  output logic [Parts-1:0][WordBits-1:0] w_data_o,
  output logic                           settled_o,      // nothing is on its way to memory
  output logic                           done_o,         // with the last write
  output logic                           fault_o         // the instruction is wrong; until clear_i
);
  localparam int unsigned PartBits = 2 * Lanes * DataWidth;
  localparam int unsigned PartBeats = PartBits / 64;
  localparam int unsigned BW = $clog2(PartBeats);
  localparam int unsigned Half = Parts / 2;  // parts that are written together
  localparam int unsigned KW = $clog2(Parts);

  // ---- Phase table and the walker, which reads the instruction's phases over and over ----
  logic start;
  logic [PA-1:0] walk_q, walk_base_q;
  logic [7:0] walk_left_q, phases_q;
  logic [24:0] entry;
  logic entry_valid_q, next_valid_q, entry_ready, next_ready;
  logic [8:0] entry_taps_q, next_taps_q;
  logic [15:0] entry_positions_q, next_positions_q;
  logic [3:0] next_tap_count_q;
  logic [4:0] next_word_count_q;

  wg_lutram #(.Width(25), .Depth(PhaseDepth)) u_phases (
    .clk_i,
    .we_i   (phase_we_i),
    .waddr_i(phase_addr_i),
    .wdata_i({phase_positions_i, phase_taps_i}),
    .raddr_i(walk_q),
    .rdata_o(entry)
  );

  assign entry_ready = !entry_valid_q || !next_valid_q || next_ready;

  always_ff @(posedge clk_i) begin
    if (start) begin
      walk_q      <= phase_base_i;
      walk_base_q <= phase_base_i;
      walk_left_q <= phases_i;
      phases_q    <= phases_i;
    end else if (entry_ready) begin
      walk_q      <= walk_left_q == 8'd1 ? walk_base_q : walk_q + PA'(1);
      walk_left_q <= walk_left_q == 8'd1 ? phases_q : walk_left_q - 8'd1;
    end
    if (entry_ready) {entry_positions_q, entry_taps_q} <= entry;
    if (!next_valid_q || next_ready) begin
      next_taps_q       <= entry_taps_q;
      next_positions_q  <= entry_positions_q;
      next_tap_count_q  <= 4'($countones(entry_taps_q));
      next_word_count_q <= 5'($countones(entry_positions_q));
    end
    if (start) begin
      entry_valid_q <= 1'b0;
      next_valid_q  <= 1'b0;
    end else begin
      if (entry_ready) entry_valid_q <= 1'b1;
      if (!next_valid_q || next_ready) next_valid_q <= entry_valid_q;
    end
  end

  // ---- Checks ----
  typedef enum logic [2:0] {Idle, Scan, Multiply, Run, Refuse} state_e;
  state_e state_q;
  logic winograd_q;
  logic [7:0] scan_left_q;
  logic [11:0] taps_q, tap_sum_q, word_sum_q, multiplier_q;
  logic [24:0] term_q, stop_q;  // stop_q becomes the word after the last one
  logic finish, unit_last_q, too_far;

  assign start_ready_o = state_q == Idle;
  assign start = start_ready_o && start_valid_i;
  assign fault_o = state_q == Refuse && settled_o;
  assign too_far = stop_q > 25'(WeightDepth);

  always_ff @(posedge clk_i) begin
    case (state_q)
      Idle: if (start_valid_i) state_q <= Scan;
      Scan: if (scan_left_q == '0) state_q <= tap_sum_q == taps_q ? Multiply : Refuse;
      // A direct tap is written at once, so it waits for the transform of the one before.
      Multiply: if (multiplier_q == '0) begin
        if (too_far) state_q <= Refuse;
        else if (winograd_q || settled_o) state_q <= Run;
      end
      Run: if (finish && unit_last_q) state_q <= Idle;
      default: ;
    endcase
    if (!rst_ni || clear_i) state_q <= Idle;
  end

  always_ff @(posedge clk_i) begin
    case (state_q)
      Idle: begin
        winograd_q   <= winograd_i;
        taps_q       <= taps_i;
        scan_left_q  <= phases_i;
        tap_sum_q    <= '0;
        word_sum_q   <= '0;
        multiplier_q <= blocks_i;
        stop_q       <= 25'(base_i);
      end
      Scan: begin
        if (next_valid_q && scan_left_q != '0) begin
          tap_sum_q   <= tap_sum_q + 12'(next_tap_count_q);
          word_sum_q  <= word_sum_q + 12'(next_word_count_q);
          scan_left_q <= scan_left_q - 8'd1;
        end
        term_q <= winograd_q ? 25'(word_sum_q) : 25'(taps_q);
      end
      Multiply: begin
        if (multiplier_q[0]) stop_q <= stop_q + term_q;
        term_q       <= term_q << 1;
        multiplier_q <= multiplier_q >> 1;
      end
      default: ;
    endcase
  end

  // ---- Units: a direct tap, or the taps of a Winograd phase ----
  logic unit_begin, offer, unit_open_q, buffer_q, write_buffer_q, release_buffer;
  logic [1:0] used_q;  // halves of the tap buffer that are being filled or worked off
  logic [8:0] offer_taps, unit_taps_q;
  logic [3:0] offer_tap_count;
  logic [4:0] offer_word_count;
  logic offer_last;
  logic [11:0] taps_left_q, blocks_left_q;
  logic [WA-1:0] addr_q, unit_addr_q;

  // A phase without taps has no positions either. Where both halves are in use, the next to be
  // filled is the one that is released.
  assign offer = !winograd_q ||
                 (next_valid_q && next_taps_q != '0 && (!used_q[write_buffer_q] || release_buffer));
  assign offer_taps       = winograd_q ? next_taps_q : 9'd1;
  assign offer_tap_count  = winograd_q ? next_tap_count_q : 4'd1;
  assign offer_word_count = winograd_q ? next_word_count_q : 5'd1;
  assign offer_last = blocks_left_q == 12'd1 && taps_left_q == 12'(offer_tap_count);
  assign unit_begin = state_q == Run && offer && (!unit_open_q || (finish && !unit_last_q));
  assign next_ready = (state_q == Scan && scan_left_q != '0) ||
                      (state_q == Run && winograd_q && (unit_begin || next_taps_q == '0));

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) unit_open_q <= 1'b0;
    else if (unit_begin)    unit_open_q <= 1'b1;
    else if (finish)        unit_open_q <= 1'b0;
  end

  // ---- Collector: beats to parts ----
  logic [BW-1:0] beat_q;
  logic [KW-1:0] part_q;
  logic take, pair, part_full;
  logic [BW-1:0] beat_end;
  logic [PartBeats-1:0][63:0] data_q;
  // The part in data_q is complete, for one cycle; what it is.
  logic full_q, full_end_q, full_last_q, full_direct_q, full_buffer_q;
  logic [KW-1:0] full_part_q;
  logic [8:0] full_tap_q;
  logic [WA-1:0] full_addr_q;

  // Pairs are taken where they do not straddle two parts.
  assign take = unit_open_q && beat_count_i != '0;
  assign pair = take && ReadPorts == 2 && beat_count_i == CW'(ReadPorts) && !beat_q[0];
  assign beat_end = pair ? beat_q | BW'(1) : beat_q;
  assign part_full = take && beat_end == BW'(PartBeats - 1);
  assign finish = part_full && part_q == KW'(Parts - 1) &&
                  (unit_taps_q & (unit_taps_q - 9'd1)) == '0;
  assign beat_take_o = CW'(take) + CW'(pair);
  assign want_o = unit_open_q;

  always_ff @(posedge clk_i) begin
    if (state_q == Idle) begin
      addr_q        <= WA'(base_i);
      taps_left_q   <= taps_i;
      blocks_left_q <= blocks_i;
      beat_q        <= '0;
      part_q        <= '0;
    end
    if (unit_begin) begin
      unit_taps_q <= offer_taps;
      unit_last_q <= offer_last;
      unit_addr_q <= addr_q;
      buffer_q    <= write_buffer_q;
      addr_q      <= addr_q + WA'(offer_word_count);
      taps_left_q <= taps_left_q - 12'(offer_tap_count);
      if (taps_left_q == 12'(offer_tap_count)) begin
        taps_left_q   <= taps_q;
        blocks_left_q <= blocks_left_q - 12'd1;
      end
    end else if (part_full && part_q == KW'(Parts - 1)) begin
      unit_taps_q <= unit_taps_q & (unit_taps_q - 9'd1);
    end
    if (take) beat_q <= beat_end + BW'(1);
    if (part_full) part_q <= part_q + KW'(1);
    if (take) data_q[beat_q] <= beat_data_i[63:0];
    if (pair) data_q[beat_q | BW'(1)] <= beat_data_i[ReadPorts*64-1-:64];

    full_q        <= part_full && !clear_i && rst_ni;
    full_end_q    <= finish;
    full_last_q   <= unit_last_q;
    full_direct_q <= !winograd_q;
    full_buffer_q <= buffer_q;
    full_part_q   <= part_q;
    full_tap_q    <= unit_taps_q & (~unit_taps_q + 9'd1);
    full_addr_q   <= unit_addr_q;
  end

  // ---- Tap buffer: two halves, each in two rows of Half parts ----
  logic [8:0][Half*PartBits-1:0] taps;
  logic read_buffer_q, lower_q;

  for (genvar t = 0; t < 9; t++) begin : gen_tap
    for (genvar p = 0; p < Half; p++) begin : gen_part
      wg_lutram #(.Width(PartBits), .Depth(4)) u_taps (
        .clk_i,
        .we_i   (full_q && full_tap_q[t] && !full_direct_q && full_part_q % KW'(Half) == KW'(p)),
        .waddr_i({full_buffer_q, full_part_q[KW-1]}),
        .wdata_i(data_q),
        .raddr_i({read_buffer_q, !lower_q}),
        .rdata_o(taps[t][p*PartBits+:PartBits])
      );
    end
  end

  // ---- Sequencer: a position of the lower half of the output lanes, then of the upper half ----
  logic [1:0] ready_q;  // halves of the tap buffer that are complete
  logic work_q, work_load, work_last_q, position_last;
  logic next_buffer_q;
  logic [15:0] positions_q, next_positions;
  logic [8:0] work_taps_q;
  logic [WA-1:0] work_addr_q;
  logic [3:0] position;
  // What the sequencer must know of each half.
  logic [1:0][15:0] tag_positions_q;
  logic [1:0][8:0] tag_taps_q;
  logic [1:0][WA-1:0] tag_addr_q;
  logic [1:0] tag_last_q;

  assign next_positions = positions_q & (positions_q - 16'd1);
  assign position_last = next_positions == '0;
  assign work_load = ready_q[next_buffer_q] && (!work_q || (!lower_q && position_last));
  // A cycle before the last read, because the first part of the next unit comes no sooner than
  // two cycles later.
  assign release_buffer = work_q && lower_q && position_last;

  always_comb begin
    position = '0;
    for (int unsigned i = 16; i > 0; i--) if (positions_q[i-1]) position = 4'(i - 1);
  end

  always_ff @(posedge clk_i) begin
    if (unit_begin && winograd_q) begin
      tag_positions_q[write_buffer_q] <= next_positions_q;
      tag_taps_q[write_buffer_q]      <= next_taps_q;
      tag_addr_q[write_buffer_q]      <= addr_q;
      tag_last_q[write_buffer_q]      <= offer_last;
    end
    if (work_load) begin
      read_buffer_q <= next_buffer_q;
      lower_q       <= 1'b1;
      positions_q   <= tag_positions_q[next_buffer_q];
      work_taps_q   <= tag_taps_q[next_buffer_q];
      work_addr_q   <= tag_addr_q[next_buffer_q];
      work_last_q   <= tag_last_q[next_buffer_q];
    end else begin
      lower_q <= !lower_q;
      if (!lower_q) begin
        positions_q <= next_positions;
        work_addr_q <= work_addr_q + WA'(1);
      end
    end

    if (!rst_ni || clear_i) begin
      used_q         <= 2'b00;
      ready_q        <= 2'b00;
      write_buffer_q <= 1'b0;
      next_buffer_q  <= 1'b0;
      work_q         <= 1'b0;
    end else begin
      if (release_buffer) used_q[read_buffer_q] <= 1'b0;
      if (unit_begin && winograd_q) begin
        used_q[write_buffer_q] <= 1'b1;
        write_buffer_q         <= !write_buffer_q;
      end
      // The last part is written in the cycle that follows, the first is read in the one after.
      if (finish && winograd_q) ready_q[buffer_q] <= 1'b1;
      if (work_load) begin
        ready_q[next_buffer_q] <= 1'b0;
        next_buffer_q          <= !next_buffer_q;
        work_q                 <= 1'b1;
      end else if (!lower_q && position_last) begin
        work_q <= 1'b0;
      end
    end
  end

  // ---- Transform, and beside it what belongs to each of its results ----
  localparam int unsigned Latency = 3;  // of wg_filter_transform
  logic [Half*WordBits-1:0] filters;
  logic [Latency-1:0] pipe_valid_q, pipe_we_q, pipe_lower_q, pipe_last_q;
  logic [Latency-1:0][WA-1:0] pipe_addr_q;

  wg_filter_transform #(.DataWidth(DataWidth), .Values(Lanes * Lanes / 2)) u_transform (
    .clk_i,
    .taps_i    (work_taps_q),
    .position_i(position),
    .data_i    (taps),
    .data_o    (filters)
  );

  always_ff @(posedge clk_i) begin
    pipe_we_q    <= {pipe_we_q[Latency-2:0], positions_q != '0};
    pipe_lower_q <= {pipe_lower_q[Latency-2:0], lower_q};
    pipe_last_q  <= {pipe_last_q[Latency-2:0], work_last_q && !lower_q && position_last};
    pipe_addr_q  <= {pipe_addr_q[Latency-2:0], work_addr_q};
    if (!rst_ni || clear_i) pipe_valid_q <= '0;
    else                    pipe_valid_q <= {pipe_valid_q[Latency-2:0], work_q};
  end

  // ---- Write port: the two halves of the parts get the same data ----
  logic [Half-1:0][WordBits-1:0] w_data_q;
  logic write_transformed, write_direct;

  assign write_transformed = pipe_valid_q[Latency-1] && pipe_we_q[Latency-1];
  assign write_direct = full_q && full_direct_q;

  always_ff @(posedge clk_i) begin
    w_addr_o <= write_direct ? full_addr_q : pipe_addr_q[Latency-1];
    for (int unsigned k = 0; k < Parts; k++) begin
      w_we_o[k] <= rst_ni && !clear_i && (
        (write_direct && full_part_q == KW'(k)) ||
        (write_transformed && pipe_lower_q[Latency-1] == (k < Half)));
    end
    for (int unsigned p = 0; p < Half; p++) begin
      w_data_q[p] <= filters[p*WordBits+:WordBits];
      if (write_direct) begin
        for (int unsigned v = 0; v < 2 * Lanes; v++) begin
          w_data_q[p][v*WeightWidth+:WeightWidth] <=
            WeightWidth'(signed'(data_q[v*DataWidth/64][v*DataWidth%64+:DataWidth]));
        end
      end
    end
    done_o <= rst_ni && !clear_i && (
      (write_direct && full_end_q && full_last_q) ||
      (pipe_valid_q[Latency-1] && pipe_last_q[Latency-1]));
  end

  for (genvar k = 0; k < Parts; k++) begin : gen_data
    assign w_data_o[k] = w_data_q[k%Half];
  end

  // Nothing is on its way to the weight buffer.
  assign settled_o = !full_q && ready_q == '0 && !work_q && pipe_valid_q == '0 && w_we_o == '0 &&
                     !done_o;
endmodule
