// Takes the place of wg_decode in proofs that hold whatever it does: it hands out any groups at any time.
module wg_decode
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  localparam int unsigned ReadPorts = Config.ReadPorts,
  localparam int unsigned DataWidth = Config.DataWidth,
  localparam int unsigned CW        = count_width(Config)
) (
  input  logic                                 clk_i,
  input  logic                                 rst_ni,
  input  logic                                 clear_i,
  input  logic                                 start_i,
  input  logic                                 bitmap_i,
  input  logic [23:0]                          beats_i,
  input  logic [11:0]                          blocks_i,
  input  logic [11:0]                          taps_i,
  input  logic [CW-1:0]                        beat_count_i,
  input  logic [ReadPorts*64-1:0]              beat_data_i,
  output logic [CW-1:0]                        beat_room_o,
  output logic                                 want_o,
  output logic                                 group_valid_o,
  input  logic                                 group_ready_i,
  output logic [CodeGroup-1:0]                 group_mask_o,
  output logic [CodeGroup-1:0][DataWidth-1:0]  group_data_o,
  output logic                                 bad_o
);
  // Never driven: the proof chooses them.
  logic [CW-1:0] any_room;
  logic any_want, any_valid, any_bad;
  logic [CodeGroup-1:0] any_mask;
  logic [CodeGroup-1:0][DataWidth-1:0] any_data;
  assign beat_room_o   = any_room;
  assign want_o        = any_want;
  assign group_valid_o = any_valid;
  assign group_mask_o  = any_mask;
  assign group_data_o  = any_data;
  assign bad_o         = any_bad;
  logic unused;
  assign unused = ^{clk_i, rst_ni, clear_i, start_i, bitmap_i, beats_i, blocks_i, taps_i, beat_count_i,
                    beat_data_i, group_ready_i};
endmodule
