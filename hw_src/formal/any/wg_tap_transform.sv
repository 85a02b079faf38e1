// Takes the place of wg_tap_transform in proofs that hold whatever it writes, and when. What it keeps to is
// proved of that in fv_tap_transform.
module wg_tap_transform
  import wg_types_pkg::*;
#(
  parameter  config_t     Config   = DefaultConfig,
  localparam int unsigned Parts    = Config.Lanes / 2,
  localparam int unsigned Half     = Parts / 2,
  localparam int unsigned TapBits  = 2 * word_bits(Config),
  localparam int unsigned PartBits = part_bits(Config),
  localparam int unsigned WA       = weight_place_width(Config),
  localparam int unsigned SW       = $clog2(winogen_pkg::TapSlots)
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic                          clear_i,
  input  logic                          phase_valid_i,
  output logic                          phase_ready_o,
  input  logic [8:0]                    phase_taps_i,
  input  logic [15:0]                   phase_positions_i,
  input  logic [4:0]                    phase_count_i,
  input  logic [WA-1:0]                 phase_addr_i,
  input  logic                          phase_last_i,
  output logic [SW-1:0]                    phase_slot_o,
  input  logic                          tap_we_i,
  input  logic [SW-1:0]                    tap_slot_i,
  input  logic                          tap_upper_i,
  input  logic [8:0]                    tap_i,
  input  logic [Half*TapBits-1:0]       tap_data_i,
  input  logic                          full_i,
  input  logic [SW-1:0]                    full_slot_i,
  output logic [1:0]                    word_we_o,
  output logic [WA-1:0]                 word_addr_o,
  output logic [Parts-1:0][PartBits-1:0] word_data_o,
  output logic                          last_o,
  output logic                          busy_o
);
  // Never driven: the proof chooses them.
  logic any_ready, any_busy, any_last;
  logic [1:0] any_we;
  logic [WA-1:0] any_addr;
  logic [Parts-1:0][PartBits-1:0] any_data;
  // Room stays until a phase takes it, phases fill the slots in turn, and nothing is written
  // before one is complete.
  always_ff @(posedge clk_i) begin
    phase_ready_o <= any_ready || (phase_ready_o && !phase_valid_i);
    phase_slot_o  <= rst_ni && !clear_i ? phase_slot_o + SW'(phase_valid_i) : '0;
    busy_o        <= rst_ni && !clear_i && (busy_o || full_i) && any_busy;
  end
  assign word_we_o    = busy_o ? any_we : 2'b00;
  assign word_addr_o  = any_addr;
  assign word_data_o  = any_data;
  assign last_o       = any_last && busy_o;
  logic unused;
  assign unused = ^{phase_taps_i, phase_positions_i, phase_count_i, phase_addr_i, phase_last_i, tap_we_i,
                    tap_slot_i, tap_upper_i, tap_i, tap_data_i, full_slot_i};
endmodule
