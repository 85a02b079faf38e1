`include "wg_assert.svh"

// Third stage of the compute engine: from accumulators to outputs.
//
// For each group of tiles, phase after phase: sums the phase's accumulators into the outputs of
// every tile (A^T M A, or their sum), then hands the outputs on one word a cycle (tile by tile)
// while the next phase is summed. Beside each word go its partial-sum address and where it lies in
// the output. Of a pair of blocks of output channels one leaves after the other.
module wg_drain
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  localparam int unsigned Lanes     = Config.Lanes,
  localparam int unsigned TileLanes = Config.TileLanes,
  localparam int unsigned AccWidth  = acc_width(Config),
  localparam int unsigned AccAw     = $clog2(Config.AccumulatorDepth),
  localparam int unsigned TableAw   = AccAw + 1,
  localparam int unsigned PhaseAw   = $clog2(Config.PhaseDepth),
  localparam int unsigned TileAw    = index_width(TileLanes)
) (
  input  logic                                          clk_i,
  input  logic                                          rst_ni,
  input  logic                                          clear_i,
  // The instruction.
  input  logic                                          start_valid_i,
  output logic                                          start_ready_o,
  input  compute_t                                      start_i,
  output logic                                          done_o,   // pulse: every word has left
  // Tables: answer in the same cycle.
  output logic [TableAw-1:0]                            accumulator_raddr_o,
  input  accumulator_entry_t                            accumulator_i,
  output logic [PhaseAw-1:0]                            phase_raddr_o,
  input  phase_entry_t                                  phase_i,
  // Accumulators: answer in the next cycle.
  input  logic                                          full_i,
  output logic [AccAw-1:0]                              drain_index_o,
  output logic [Lanes-1:0]                              drain_upper_o,  // lanes of the second block
  input  logic [TileLanes-1:0][Lanes-1:0][AccWidth-1:0] drain_i,
  input  logic                                          drain_added_i,  // else it is zero
  output logic                                          drain_done_o,
  // Words, one a cycle at most; no back-pressure.
  output word_t                                         word_o,
  output logic [Lanes-1:0][AccWidth-1:0]                data_o,
  output compute_t                                      instruction_o,  // of all these words
  input  logic                                          idle_i,         // no word is on its way
  output logic                                          fault_o         // level: a table is wrong
);
  logic run_q;
  compute_t d_q;
  assign start_ready_o = !run_q;
  assign instruction_o = d_q;

  // -- Tiles of the next group, and of the group that leaves --------------------------------------

  typedef struct packed {
    logic        valid;
    logic [19:0] psum;   // first partial sum of the tile
    logic [19:0] image;  // first output row of the image, all images counted
    logic [21:0] y;      // output row and column of the tile's first output of phase (0, 0)
    logic [21:0] x;
  } place_t;

  logic [11:0] walk_x_q, walk_y_q, walk_n_q;
  place_t walk_q;
  place_t [TileLanes-1:0] nxt_q, cur_q;
  logic [TileAw:0] nxt_count_q;
  logic nxt_full_q, take_group, finished, finished_q;
  logic last_x_q, last_y_q, last_n_q;  // the walk is at the last column, row, image
  logic [9:0] step_y, step_x;  // output rows and columns a tile
  logic [9:0] tile_psums;  // partial sums a tile and block
  logic pair, upper_q;  // there is a second block; it is its turn
  assign pair = Config.Products == 2 && d_q.pair;

  assign step_y     = d_q.tile[1] ? {1'b0, d_q.stride_y, 1'b0} : {2'b0, d_q.stride_y};
  assign step_x     = d_q.tile[1] ? {1'b0, d_q.stride_x, 1'b0} : {2'b0, d_q.stride_x};
  assign tile_psums = d_q.tile[1] ? {d_q.phases, 2'b0} : {2'b0, d_q.phases};

  always_ff @(posedge clk_i) begin
    if (start_valid_i && start_ready_o) begin
      walk_x_q     <= '0;
      walk_y_q     <= '0;
      walk_n_q     <= '0;
      last_x_q     <= start_i.tiles_x == 12'd1;
      last_y_q     <= start_i.tiles_y == 12'd1;
      last_n_q     <= start_i.images == 12'd1;
      walk_q       <= '{valid: 1'b1, psum: start_i.psum_base, default: '0};
      nxt_count_q  <= '0;
      nxt_full_q   <= 1'b0;
    end else if (take_group) begin
      nxt_count_q <= '0;
      nxt_full_q  <= 1'b0;
    end else if (run_q && !nxt_full_q) begin
      nxt_q[nxt_count_q[TileAw-1:0]] <= walk_q;
      nxt_count_q <= nxt_count_q + 1'b1;
      nxt_full_q  <= nxt_count_q == (TileAw + 1)'(TileLanes - 1);
      walk_q.psum <= walk_q.psum + (pair ? 20'(tile_psums) << 1 : 20'(tile_psums));
      walk_q.x    <= last_x_q ? '0 : walk_q.x + 22'(step_x);
      walk_x_q    <= last_x_q ? '0 : walk_x_q + 12'd1;
      last_x_q    <= d_q.tiles_x == (last_x_q ? 12'd1 : walk_x_q + 12'd2);
      if (last_x_q) begin
        walk_q.y <= last_y_q ? '0 : walk_q.y + 22'(step_y);
        walk_y_q <= last_y_q ? '0 : walk_y_q + 12'd1;
        last_y_q <= d_q.tiles_y == (last_y_q ? 12'd1 : walk_y_q + 12'd2);
        if (last_y_q) begin
          walk_n_q     <= walk_n_q + 12'd1;
          last_n_q     <= d_q.images == walk_n_q + 12'd2;
          walk_q.image <= walk_q.image + 20'(d_q.output_rows);
          if (last_n_q) walk_q.valid <= 1'b0;
        end
      end
    end
  end

  function automatic logic is_last(input place_t [TileLanes-1:0] tiles,
                                   input logic [TileAw-1:0] tile);
    return tile == TileAw'(TileLanes - 1) || !tiles[tile+1'b1].valid;
  endfunction

  // The output rows of one block: where the second one's begin. A bit of the factor a cycle, in time
  // for them.
  logic [19:0] rows_q, term_q;
  logic [11:0] factor_q;
  always_ff @(posedge clk_i) begin
    if (start_valid_i && start_ready_o) begin
      rows_q   <= '0;
      term_q   <= 20'(start_i.output_rows);
      factor_q <= start_i.images;
    end else begin
      if (factor_q[0]) rows_q <= rows_q + term_q;
      term_q   <= term_q << 1;
      factor_q <= factor_q >> 1;
    end
  end

  // -- Sums of a phase ------------------------------------------------------------------------------

  // The next accumulator and its table entry, read a cycle ahead.
  logic [8:0] index_d, index_q;  // accumulators read
  logic head_valid_q, head_added_q;
  logic rest_q;  // there are accumulators that were not read
  accumulator_entry_t head_q;
  logic head_same_q, head_later_q;  // its phase is the one at hand, or one that comes later
  logic [TileLanes-1:0][Lanes-1:0][AccWidth-1:0] head_data_q;
  logic [7:0] phase_q;
  logic [TileLanes-1:0][3:0][Lanes-1:0][AccWidth-1:0] sum_q, cap_q;
  logic reading, consume, finish, illegal, group_q, emit_free;
  logic first_phase_q, last_phase_q;  // where the phase at hand stands, kept beside its number

  assign drain_index_o       = index_d[AccAw-1:0];
  assign accumulator_raddr_o = d_q.accumulator_base[TableAw-1:0] + TableAw'(index_q);
  assign index_d    = !group_q ? '0 : index_q + 9'(rest_q && (!head_valid_q || consume));
  assign reading    = group_q && rest_q;
  assign consume    = group_q && head_valid_q && head_same_q;
  // The phase is complete once the next accumulator is another phase's, or none is left.
  assign finish     = group_q && emit_free && (!first_phase_q || nxt_full_q || upper_q)
                      && (head_valid_q ? head_later_q : !reading);
  assign illegal    = group_q && head_valid_q
                      && (head_q.phase >= d_q.phases || !(head_same_q || head_later_q)
                          || (!d_q.winograd && |(d_q.tile[1] ? head_q.position[3:2]
                                                            : {|head_q.position[3:1], head_q.position[0]})));
  assign take_group   = finish && first_phase_q && !upper_q;
  assign drain_done_o = finish && last_phase_q && (upper_q || !pair);

  // Coefficients with which position (i, j) enters output (r, c): A^T[r][i] * A^T[c][j].
  logic [3:0] plus, minus;
  function automatic logic [1:0] at(input logic row, input logic [1:0] i);  // {minus, plus}
    unique case (i)
      2'd0:    at = row ? 2'b00 : 2'b01;
      2'd1:    at = 2'b01;
      2'd2:    at = row ? 2'b10 : 2'b01;
      default: at = row ? 2'b10 : 2'b00;
    endcase
  endfunction
  always_comb begin
    for (int unsigned o = 0; o < 4; o++) begin
      logic [1:0] a, b;
      a = at(o[1], head_q.position[3:2]);
      b = at(o[0], head_q.position[1:0]);
      if (d_q.winograd) begin
        plus[o]  = (a[0] && b[0]) || (a[1] && b[1]);
        minus[o] = (a[0] && b[1]) || (a[1] && b[0]);
      end else begin
        plus[o]  = head_q.position[1:0] == o[1:0];
        minus[o] = 1'b0;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    index_q <= index_d;
    if (!group_q) begin
      group_q      <= run_q && !finished && full_i && !fault_o && !(upper_q && factor_q != '0);
      rest_q       <= d_q.accumulators != '0;
      head_valid_q <= 1'b0;
      phase_q      <= '0;
      first_phase_q <= 1'b1;
      last_phase_q  <= d_q.phases == 8'd1;
    end else begin
      if (!head_valid_q || consume) begin
        head_valid_q <= reading;
        head_q       <= accumulator_i;
        head_same_q  <= accumulator_i.phase == phase_q;
        head_later_q <= accumulator_i.phase > phase_q;
        head_data_q  <= drain_i;
        head_added_q <= drain_added_i;
        if (reading) rest_q <= index_q + 9'd1 != 9'(d_q.accumulators);
      end
      if (finish) begin
        // The phase of a head that waits for its turn is beyond this one.
        head_same_q   <= head_q.phase == phase_q + 8'd1;
        head_later_q  <= head_q.phase != phase_q + 8'd1;
        phase_q       <= phase_q + 8'd1;
        first_phase_q <= 1'b0;
        last_phase_q  <= phase_q + 8'd2 == d_q.phases;
        if (last_phase_q) begin
          group_q <= 1'b0;
          upper_q <= pair && !upper_q;
        end
      end
    end
    if (illegal) begin
      fault_o <= 1'b1;
      group_q <= 1'b0;
    end
    if (!rst_ni || clear_i) begin
      group_q <= 1'b0;
      upper_q <= 1'b0;
      fault_o <= 1'b0;
    end
  end

  // The weights of swapped lanes lie in the other block's half.
  always_ff @(posedge clk_i) drain_upper_o <= {Lanes{upper_q}} ^ (pair ? d_q.swap[Lanes-1:0] : '0);

  // What drives thousands of registers comes from registers: the sums follow a cycle later.
  logic add_q, ready_q, restart_q;  // add to the sums, take them, begin anew
  logic [3:0] plus_q, minus_q;
  logic [TileLanes-1:0][Lanes-1:0][AccWidth-1:0] add_data_q;
  always_ff @(posedge clk_i) begin
    add_q      <= consume;
    ready_q    <= finish;
    restart_q  <= finish || !group_q;
    plus_q     <= plus;
    minus_q    <= minus;
    add_data_q <= head_added_q ? head_data_q : '0;
  end

  // One look-up table a bit of an adder: what it adds is selected in it, and a bit below the lowest
  // carries in the one of a subtraction.
  always_ff @(posedge clk_i) begin
    for (int unsigned t = 0; t < TileLanes; t++) begin
      for (int unsigned o = 0; o < 4; o++) begin
        for (int unsigned c = 0; c < Lanes; c++) begin
          logic [AccWidth-1:0] addend;
          addend = plus_q[o] ? add_data_q[t][c] : minus_q[o] ? ~add_data_q[t][c] : '0;
          if (restart_q) sum_q[t][o][c] <= '0;
          else if (add_q) begin
            sum_q[t][o][c] <= AccWidth'(({sum_q[t][o][c], 1'b1} + {addend, minus_q[o]}) >> 1);
          end
        end
      end
    end
  end
  always_ff @(posedge clk_i) if (ready_q) cap_q <= sum_q;

  // -- Words ----------------------------------------------------------------------------------------

  logic emit_q, emit_upper_q;
  logic [1:0] output_q;  // i * 2 + j
  logic [TileAw-1:0] tile_q;
  logic last_tile_q;  // tiles beyond the last are at the end of a group
  phase_entry_t phase_entry_q;
  logic [10:0] phase_psum_q;  // partial sums of the tile before this phase
  logic last_output, emit_last;

  assign phase_raddr_o = d_q.phase_base[PhaseAw-1:0] + PhaseAw'(phase_q);
  assign last_output = d_q.tile[1] ? output_q == 2'd3 : 1'b1;
  assign emit_last   = last_output && last_tile_q;
  assign emit_free   = !emit_q || emit_last;

  always_ff @(posedge clk_i) begin
    if (emit_q) begin
      output_q <= last_output ? '0 : output_q + 2'd1;
      if (last_output) begin
        tile_q      <= tile_q + 1'b1;
        last_tile_q <= is_last(cur_q, tile_q + 1'b1);
      end
      if (emit_last) emit_q <= 1'b0;
    end
    if (finish) begin
      emit_q        <= 1'b1;
      output_q      <= '0;
      tile_q        <= '0;
      last_tile_q   <= is_last(take_group ? nxt_q : cur_q, '0);
      phase_entry_q <= phase_i;
      emit_upper_q  <= upper_q;
      phase_psum_q  <= first_phase_q ? (upper_q ? 11'(tile_psums) : '0)
                       : phase_psum_q + (d_q.tile[1] ? 11'd4 : 11'd1);
      if (take_group) cur_q <= nxt_q;
    end
    if (!rst_ni || clear_i) emit_q <= 1'b0;
  end

  // A cycle later than its turn: the word's place, then where it lies, and its sums.
  logic place_valid_q;
  logic [1:0] place_output_q;
  logic [TileAw-1:0] place_tile_q;
  place_t place_q;
  logic [21:0] place_y_q, place_x_q;  // of the output within the tile
  logic [10:0] place_psum_q;
  logic [9:0] place_param_q;
  logic [Lanes-1:0][AccWidth-1:0] raw_q;
  logic [21:0] y, x;
  always_comb begin
    for (int unsigned c = 0; c < Lanes; c++) begin
      // Winograd sums are four times the convolution.
      data_o[c] = d_q.winograd ? {{2{raw_q[c][AccWidth-1]}}, raw_q[c][AccWidth-1:2]} : raw_q[c];
    end
  end
  assign y = place_q.y + place_y_q;
  assign x = place_q.x + place_x_q;
  always_ff @(posedge clk_i) begin
    place_valid_q  <= emit_q && rst_ni && !clear_i;
    place_tile_q   <= tile_q;
    place_output_q <= output_q;
    place_q        <= cur_q[tile_q];
    place_q.image  <= cur_q[tile_q].image + (emit_upper_q ? rows_q : '0);
    place_y_q      <= (output_q[1] ? 22'(d_q.stride_y) : '0) + 22'(phase_entry_q.row);
    place_x_q      <= (output_q[0] ? 22'(d_q.stride_x) : '0) + 22'(phase_entry_q.column);
    place_psum_q   <= phase_psum_q + 11'(output_q);
    place_param_q  <= {2'b0, d_q.param_base} + {2'b0, phase_entry_q.param}
                      + (emit_upper_q ? {2'b0, d_q.param_stride} : '0);

    word_o.valid  <= place_valid_q && rst_ni && !clear_i;
    raw_q         <= cap_q[place_tile_q][place_output_q];
    word_o.psum   <= place_q.psum + 20'(place_psum_q);
    word_o.row    <= place_q.image + y[19:0];
    word_o.column <= x[19:0];
    word_o.kept   <= y < 22'(d_q.output_rows) && x < 22'(d_q.output_columns);
    word_o.param  <= place_param_q;
  end

  // -- The instruction's end ------------------------------------------------------------------------

  logic final_q;  // no tile is left after this group
  logic group_ended_q, ended;
  assign finished = finished_q || (group_ended_q && final_q);
  assign ended    = run_q && finished && !group_q && !emit_q && !place_valid_q && !word_o.valid
                    && idle_i;
  assign done_o   = ended;
  always_ff @(posedge clk_i) begin
    if (take_group) final_q <= !walk_q.valid;
    group_ended_q <= drain_done_o;
    finished_q    <= finished;
    if (start_valid_i && start_ready_o) begin
      run_q      <= 1'b1;
      d_q        <= start_i;
      finished_q <= 1'b0;
    end else if (ended) run_q <= 1'b0;
    if (!rst_ni || clear_i) run_q <= 1'b0;
  end

  `ASSERT(
      head_is_compared,
      !(group_q && head_valid_q) || (head_same_q == (head_q.phase == phase_q) && head_later_q == (head_q.phase > phase_q)))

  logic unused;
  assign unused = ^{phase_i.taps, phase_i.positions, phase_entry_q, place_q, y, x};
endmodule
