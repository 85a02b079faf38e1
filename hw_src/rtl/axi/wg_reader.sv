`include "wg_assert.svh"

// Reads runs of memory through several AXI ports and gives their beats in order, up to Ports a cycle.
// Bursts go to the ports in turn, and the answers are merged in the same turn. At a burst outside the
// windows it stops, as at an error response: what comes before it is read.
// flush_i stays high until idle_o: what is on its way is thrown away.
module wg_reader
  import wg_types_pkg::*;
#(
  parameter int unsigned Ports = 2,           // 1, 2 or 4
  parameter int unsigned Windows = winogen_pkg::ReadWindows,
  parameter int unsigned AddrWidth = 64,
  parameter int unsigned FifoBeats = winogen_pkg::LoadFifoBeats,  // in each port
  parameter int unsigned MaxOutstanding = winogen_pkg::Outstanding,  // bursts in each port
  localparam int unsigned CountWidth = $clog2(Ports + 1)
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      flush_i,
  output logic                      idle_o,
  output logic                      progress_o,  // a beat has arrived

  input  winogen_pkg::window_t [Windows-1:0] windows_i,

  output logic                      run_ready_o,
  input  run_t                      run_i,

  output logic [CountWidth-1:0]     beat_count_o,
  output logic [Ports*64-1:0]       beat_data_o,
  input  logic [CountWidth-1:0]     beat_room_i,  // so many are taken, or all that are there
  output bus_error_t                error_o,

  output axi_read_req_t [Ports-1:0] m_axi_o,
  input  axi_read_rsp_t [Ports-1:0] m_axi_i
);
  localparam int unsigned SelWidth = Ports > 1 ? $clog2(Ports) : 1;

  function automatic logic [SelWidth-1:0] next_port(input logic [SelWidth-1:0] port);
    return port == SelWidth'(Ports - 1) ? '0 : port + 1'b1;
  endfunction

  logic cut_valid, cut_ready, burst_valid, refused;
  logic [AddrWidth-1:0] cut_addr, burst_addr;
  logic [4:0] cut_beats, burst_beats;
  logic cut_last, unused_last;

  logic [Ports-1:0] burst_ready, idle, progress;
  logic [Ports-1:0] entry_valid, entry_last, entry_error;
  logic [Ports-1:0][CountWidth-1:0] entry_count;
  logic [Ports-1:0][Ports*64-1:0] entry_data;
  logic [Ports-1:0][7:0] error_code;
  logic [Ports-1:0][AddrWidth-1:0] error_addr;

  logic [SelWidth-1:0] ask_q, merge_q;  // whose turn it is
  logic load;

  wg_burst_split #(
    .AddrWidth(AddrWidth)
  ) u_split (
    .clk_i,
    .rst_ni,
    .clear_i      (flush_i),
    .run_valid_i  (run_i.valid),
    .run_ready_o,
    .run_addr_i   (run_i.addr[AddrWidth-1:0]),
    .run_bytes_i  (run_i.bytes),
    .run_last_i   (1'b0),
    .burst_valid_o(cut_valid),
    .burst_ready_i(cut_ready),
    .burst_addr_o (cut_addr),
    .burst_beats_o(cut_beats),
    .burst_last_o (cut_last)
  );

  wg_window #(
    .AddrWidth(AddrWidth),
    .Windows  (Windows)
  ) u_window (
    .clk_i,
    .rst_ni,
    .clear_i      (flush_i),
    .windows_i,
    .burst_valid_i(cut_valid),
    .burst_ready_o(cut_ready),
    .burst_addr_i (cut_addr),
    .burst_beats_i(cut_beats),
    .burst_last_i (cut_last),
    .burst_valid_o(burst_valid),
    .burst_ready_i(burst_ready[ask_q]),
    .burst_addr_o (burst_addr),
    .burst_beats_o(burst_beats),
    .burst_last_o (unused_last),
    .refused_o    (refused)
  );

  // An address is narrower than its place in a struct, and a run of loads has no last one.
  logic unused;
  assign unused = ^run_i;

  for (genvar i = 0; i < Ports; i++) begin : gen_port
    logic arvalid, rready;
    logic [AddrWidth-1:0] araddr;
    logic [7:0] arlen;
    assign m_axi_o[i] = '{arvalid: arvalid, araddr: 64'(araddr), arlen: arlen, rready: rready};

    wg_axi_read #(
      .AddrWidth     (AddrWidth),
      .Pack          (Ports),
      .FifoBeats     (FifoBeats),
      .MaxOutstanding(MaxOutstanding)
    ) u_port (
      .clk_i,
      .rst_ni,
      .flush_i,
      .idle_o         (idle[i]),
      .progress_o     (progress[i]),
      .burst_valid_i  (burst_valid && ask_q == SelWidth'(i)),
      .burst_ready_o  (burst_ready[i]),
      .burst_addr_i   (burst_addr),
      .burst_beats_i  (burst_beats),
      .entry_valid_o  (entry_valid[i]),
      .entry_ready_i  (load && merge_q == SelWidth'(i)),
      .entry_data_o   (entry_data[i]),
      .entry_count_o  (entry_count[i]),
      .entry_last_o   (entry_last[i]),
      .entry_error_o  (entry_error[i]),
      .error_code_o   (error_code[i]),
      .error_addr_o   (error_addr[i]),
      .m_axi_arvalid_o(arvalid),
      .m_axi_arready_i(m_axi_i[i].arready),
      .m_axi_araddr_o (araddr),
      .m_axi_arlen_o  (arlen),
      .m_axi_rvalid_i (m_axi_i[i].rvalid),
      .m_axi_rready_o (rready),
      .m_axi_rdata_i  (m_axi_i[i].rdata),
      .m_axi_rresp_i  (m_axi_i[i].rresp),
      .m_axi_rlast_i  (m_axi_i[i].rlast)
    );
  end

  assign idle_o     = &idle;
  assign progress_o = |progress;

  // The entry on offer. The one that ended in an error stays.
  logic failed_q, refused_q;
  logic [CountWidth-1:0] count_q;
  logic [Ports*64-1:0] data_q;

  // How many are left. What comes late has no subtraction to go through where the bits are few.
  logic [CountWidth-1:0] left;
  if (Ports == 2) begin : gen_left
    assign left = {
      count_q[1] && beat_room_i == '0,
      count_q[1] ? beat_room_i == CountWidth'(1) : count_q[0] && beat_room_i == '0
    };
  end else begin : gen_difference
    assign left = count_q > beat_room_i ? count_q - beat_room_i : '0;
  end

  assign load = entry_valid[merge_q] && !failed_q && left == '0;

  always_ff @(posedge clk_i) begin
    if (load) data_q <= entry_data[merge_q];
    else data_q <= data_q >> {beat_room_i, 6'b0};

    if (!rst_ni || flush_i) begin
      ask_q    <= '0;
      merge_q  <= '0;
      count_q  <= '0;
      failed_q <= 1'b0;
      refused_q <= 1'b0;
    end else begin
      // Once all before it has been taken, and without an error.
      refused_q <= refused && (&idle) && entry_valid == '0 && count_q == '0 && !failed_q;
      if (burst_valid && burst_ready[ask_q]) ask_q <= next_port(ask_q);
      // Where an entry is loaded, none is left of the one before.
      count_q <= (load ? entry_count[merge_q] : '0) | left;
      if (load) begin
        failed_q <= entry_error[merge_q];
        // After an error its port keeps the turn, for code and address.
        if (entry_last[merge_q] && !entry_error[merge_q]) merge_q <= next_port(merge_q);
      end
    end
  end

  assign beat_count_o  = count_q;
  assign beat_data_o   = data_q;
  assign error_o       = '{
    valid: (failed_q && count_q == '0) || refused_q,
    code: refused_q ? winogen_pkg::ErrOutsideWindow : error_code[merge_q],
    addr: 64'(refused_q ? burst_addr : error_addr[merge_q])
  };

  `ASSERT(what_is_left, left == (count_q > beat_room_i ? count_q - beat_room_i : '0))
endmodule
