// wg_reader, whatever it is asked for and memory answers: no port offers an address outside the
// windows. What is refused lies outside.
module fv_reader
  import wg_types_pkg::*;
#(
  localparam int unsigned Ports = 2,
  localparam int unsigned Windows = 2
) (
  input logic                                clk_i,
  input logic                                rst_ni,
  input logic                                flush_i,
  input winogen_pkg::window_t [Windows-1:0]  windows_i,
  input logic                                run_valid_i,
  input logic [12:0]                         run_addr_i,
  input logic [31:0]                         run_bytes_i,
  input logic [1:0]                          beat_room_i,
  input axi_read_rsp_t [Ports-1:0]           m_axi_i
);
  logic idle_o, progress_o, run_ready_o;
  logic [1:0] beat_count_o;
  logic [Ports*64-1:0] beat_data_o;
  bus_error_t error_o;
  axi_read_req_t [Ports-1:0] m_axi_o;
  run_t run_i;
  assign run_i = '{valid: run_valid_i, addr: 64'(run_addr_i), bytes: run_bytes_i, last: 1'b0};

  wg_reader #(
    .Ports(Ports),
    .Windows(Windows),
    .AddrWidth(13),
    .FifoBeats(16),
    .MaxOutstanding(2)
  ) u_dut (
    .*
  );

  // Whether a page lies in a window. They stay as they are while a stream runs.
  winogen_pkg::window_t [Windows-1:0] windows_q;
  function automatic logic is_open(input logic page);
    is_open = 1'b0;
    for (int unsigned i = 0; i < Windows; i++) begin
      is_open |= windows_i[i].first <= 32'(page) && 32'(page) <= windows_i[i].last;
    end
  endfunction

  // Bursts on their way through the window: behind the comparisons, and in the two registers.
  logic [2:0] on_way;
  logic [2:0][19:0] way;  // allowed, last, beats, address
  assign on_way = {
    u_dut.u_window.u_judged.spare_valid_q, u_dut.u_window.judged, u_dut.u_window.valid_q
  };
  assign way[0] = {
    |(u_dut.u_window.above_q & u_dut.u_window.below_q), u_dut.u_window.last_q,
    u_dut.u_window.beats_q, u_dut.u_window.addr_q
  };
  assign way[1] = u_dut.u_window.u_judged.rdata_o;
  assign way[2] = u_dut.u_window.u_judged.spare_q;

  logic started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    windows_q <= windows_i;
    if (started_q) assume (windows_i == windows_q);
    started_q <= 1'b1;
    assume (rst_ni == started_q);
    if (rst_ni) begin
      assume (run_addr_i[2:0] == '0 && run_bytes_i != '0);

      for (int unsigned i = 0; i < 3; i++) begin
        if (on_way[i]) assert (way[i][19] == is_open(way[i][12]));
      end
      assert (!on_way[2] || on_way[1]);
      if (u_dut.refused_q) assert (on_way[1] && !way[1][19]);

      for (int unsigned i = 0; i < Ports; i++) begin
        if (m_axi_o[i].arvalid) assert (is_open(m_axi_o[i].araddr[12]));
      end
      if (u_dut.refused_q) begin
        assert (error_o.valid && error_o.code == winogen_pkg::ErrOutsideWindow);
        assert (!is_open(error_o.addr[12]));
      end
      cover (error_o.valid && error_o.code == winogen_pkg::ErrOutsideWindow);
      cover (m_axi_o[0].arvalid && m_axi_o[1].arvalid);
    end
  end
endmodule
