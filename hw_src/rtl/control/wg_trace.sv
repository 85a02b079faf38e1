// Records when engines begin and end instructions and wait for tokens, for the profiler.
//
// A record tells a cycle in which something happened to an instruction of the chosen window. Which
// instruction it was needs no bits: an engine's instructions begin, and end, in the order of the
// stream. A record that time has wrapped is written too, so that none is lost; nothing else happens
// in the first cycles of a stream, so that time 0 means just that.
module wg_trace
  import winogen_pkg::*;
#(
  parameter int unsigned Depth = TraceDepth,  // records: a power of two
  localparam int unsigned AW = $clog2(Depth)
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             clear_i,        // a stream starts: forget the last one's records
  input  logic             running_i,
  input  logic [19:0]      first_i,        // instructions first_i to first_i + length_i - 1
  input  logic [20:0]      length_i,
  // engines
  input  logic [2:0]       begin_i,
  input  logic [2:0][19:0] begin_index_i,  // of the instruction that begins next
  input  logic [2:0]       end_i,
  input  logic [2:0][19:0] end_index_i,    // of the instruction that ends next
  input  logic [2:0]       stall_i,        // the one that begins next waits for a token
  // wg_regs
  input  logic [AW-1:0]    index_i,
  output logic [31:0]      data_o,         // record at index_i, two cycles later
  output logic [15:0]      records_o,
  output logic             overflow_o
);
  trace_data_reg_t record;
  localparam int unsigned TimeBits = $bits(record.low_time);

  function automatic logic in_window(input logic [19:0] index, input logic [19:0] first,
                                     input logic [20:0] length);
    // An index below the first gives a difference above any length.
    return ({1'b0, index} - {1'b0, first}) < length;
  endfunction

  // Events, registered at the boundary, with the cycle that they belong to.
  logic [2:0] begin_q, end_q, toggle_q, stall_q;
  logic [2:0][19:0] begin_index_q, end_index_q;
  logic [TimeBits-1:0] now_q, time_q, record_time_q;
  logic wrap_q, on_q;

  always_ff @(posedge clk_i) begin
    begin_index_q <= begin_index_i;
    end_index_q   <= end_index_i;
    time_q        <= now_q;
    on_q          <= length_i != '0;
    if (!rst_ni || !running_i) begin
      begin_q  <= '0;
      end_q    <= '0;
      toggle_q <= '0;
      stall_q  <= '0;
      now_q    <= '0;
      wrap_q   <= 1'b0;
    end else begin
      begin_q  <= begin_i;
      end_q    <= end_i;
      toggle_q <= stall_i ^ stall_q;
      stall_q  <= stall_i;
      now_q    <= now_q + 1'b1;
      wrap_q   <= now_q == '1;
    end
  end

  // wrap_q comes a cycle before time_q is 0, which is when the record is to be written.
  logic wrapped_q, write_q;
  logic [8:0] mask_d, mask_q;
  always_comb begin
    for (int i = 0; i < 3; i++) begin
      mask_d[i]   = begin_q[i] && in_window(begin_index_q[i], first_i, length_i);
      mask_d[3+i] = end_q[i] && in_window(end_index_q[i], first_i, length_i);
      mask_d[6+i] = toggle_q[i] && in_window(begin_index_q[i], first_i, length_i);
    end
  end
  always_ff @(posedge clk_i) begin
    mask_q        <= mask_d;
    record_time_q <= time_q;
    wrapped_q     <= wrap_q;
    write_q       <= rst_ni && (mask_d != '0 || (wrapped_q && on_q));
  end

  logic [AW:0] count_q;
  logic room;
  assign room = !count_q[AW];
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      count_q    <= '0;
      overflow_o <= 1'b0;
    end else if (write_q) begin
      if (room) count_q <= count_q + 1'b1;
      else overflow_o <= 1'b1;
    end
  end
  assign record = '{
          stall: mask_q[8:6],
          end_mask: mask_q[5:3],
          begin_mask: mask_q[2:0],
          low_time: record_time_q
      };
  assign records_o = 16'(count_q);

  wg_ram #(
    .Width(32),
    .Depth(Depth)
  ) u_records (
    .clk_i,
    .we_i   (write_q && room),
    .waddr_i(count_q[AW-1:0]),
    .wdata_i(record),
    .raddr_i(index_i),
    .rdata_o(data_o)
  );
endmodule
