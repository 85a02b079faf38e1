`include "wg_assert.svh"

// LOAD_TABLE and LOAD_PARAMS, where the data go: a beat a cycle, or an activation entry (a quarter
// of a beat) a cycle. A parameter entry is a channel's two beats; its shift is checked here.
module wg_load_table
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter int unsigned Lanes = 8,
  localparam int unsigned LW = $clog2(Lanes)
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  input  logic         clear_i,
  input  logic         start_valid_i,
  output logic         start_ready_o,  // the last beat of the one before is taken
  input  logic         params_i,       // LOAD_PARAMS, else LOAD_TABLE
  input  logic [1:0]   table_i,
  input  logic [11:0]  base_i,
  input  logic [11:0]  count_i,        // entries: for parameters, Lanes channels each
  input  logic         beat_valid_i,
  input  logic [63:0]  beat_data_i,
  output logic         beat_room_o,
  output logic         want_o,         // a beat is needed
  output table_write_t tab_o,
  output param_write_t par_o,
  output logic         done_o,         // with the last write
  output logic         fault_o         // pulse: a shift is out of its range
);
  logic active_q, params_q, half_q, tab_we_q, par_we_q;
  logic [1:0] table_q;
  logic [1:0] quarter_q;
  logic [LW-1:0] lane_q;
  logic [11:0] addr_q, left_q;
  logic [63:0] low_q;
  // What is written, a cycle later.
  logic [11:0] addr2_q;
  logic [LW-1:0] lane2_q;
  logic [63:0] tab_data_q;
  logic [127:0] par_data_q;
  // Only the shift is looked at here.
  /* verilator lint_off UNUSEDSIGNAL */
  param_t param;
  /* verilator lint_on UNUSEDSIGNAL */
  logic step, entry_end, activation, bad_shift;
  logic last_q;  // one entry is left
  logic takes_q;  // the beat on offer ends here; a register, as room goes a long way

  assign activation = !params_q && table_q == TableActivation;
  assign step = active_q && beat_valid_i;
  // An entry ends here: always for a table, with its last channel's second beat for parameters.
  assign entry_end = step && (!params_q || (half_q && lane_q == LW'(Lanes - 1)));
  assign beat_room_o = takes_q;
  assign want_o = active_q;
  assign start_ready_o = !active_q;

  assign param = decode_param({beat_data_i, low_q});
  assign bad_shift = param.shift == 8'd0 || param.shift > 8'(MaxShift);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) active_q <= 1'b0;
    else if (!active_q) active_q <= start_valid_i;
    else if (entry_end && last_q) active_q <= 1'b0;

    if (!rst_ni || clear_i) takes_q <= 1'b0;
    else if (!active_q)
      takes_q <= start_valid_i && (params_i || table_i != TableActivation || count_i == 12'd1);
    else if (entry_end && last_q) takes_q <= 1'b0;
    else if (step) takes_q <= !activation || quarter_q == 2'd2 || left_q == 12'd2;
  end

  always_ff @(posedge clk_i) begin
    if (!active_q) begin
      params_q  <= params_i;
      table_q   <= table_i;
      addr_q    <= base_i;
      left_q    <= count_i;
      last_q    <= count_i == 12'd1;
      lane_q    <= '0;
      half_q    <= 1'b0;
      quarter_q <= 2'd0;
    end else if (step) begin
      half_q    <= params_q && !half_q;
      quarter_q <= quarter_q + 2'd1;
      if (half_q) lane_q <= lane_q + LW'(1);
      if (entry_end) begin
        addr_q <= addr_q + 12'd1;
        left_q <= left_q - 12'd1;
        last_q <= left_q == 12'd2;
      end
      low_q <= beat_data_i;
    end
  end

  always_ff @(posedge clk_i) begin
    tab_we_q   <= step && !params_q;
    par_we_q   <= step && half_q && !bad_shift;
    done_o     <= entry_end && last_q && !(params_q && bad_shift);
    fault_o    <= step && half_q && bad_shift;
    if (!rst_ni || clear_i) {tab_we_q, par_we_q, done_o, fault_o} <= '0;
    addr2_q    <= addr_q;
    tab_data_q <= activation ? 64'(beat_data_i[16*quarter_q+:16]) : beat_data_i;
    lane2_q    <= lane_q;
    par_data_q <= {beat_data_i, low_q};
  end
  assign tab_o = '{we: tab_we_q, id: table_q, addr: addr2_q, data: tab_data_q};
  assign par_o = '{we: par_we_q, addr: addr2_q[7:0], lane: 8'(lane2_q), data: par_data_q};

  `ASSERT(takes_is_kept, takes_q == (active_q && (!activation || quarter_q == 2'd3 || last_q)))
endmodule
