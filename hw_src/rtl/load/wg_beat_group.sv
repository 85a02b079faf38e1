// The next beats of a word, or of a part of one, which are collected from the low end: as many a
// cycle as there are read ports, but never across a multiple of that, so that no word begins in the
// middle of what is taken and the places of the beats need no adder.
module wg_beat_group #(
  parameter int unsigned GroupBeats = 2,  // a power of two, at least 2
  parameter int unsigned Ports = 2,       // a power of two
  localparam int unsigned BW = $clog2(GroupBeats),
  localparam int unsigned CW = $clog2(Ports + 1)
) (
  input  logic                        active_i,
  input  logic [BW-1:0]               beat_i,        // the place of the next
  input  logic [CW-1:0]               beat_count_i,
  input  logic [Ports*64-1:0]         beat_data_i,
  output logic [CW-1:0]               beat_room_o,
  output logic [GroupBeats-1:0]       we_o,          // the places of those that are taken
  output logic [GroupBeats-1:0][63:0] data_o,        // what comes there
  output logic                        take_o,
  output logic [BW-1:0]               beat_end_o     // the place of the last that is taken
);
  localparam int unsigned Most = Ports < GroupBeats ? Ports : GroupBeats;

  logic [CW-1:0] room;

  always_comb begin
    room = CW'(1);
    for (int unsigned s = 1; 2 ** s <= Most; s++) begin
      if ((32'(beat_i) & (2 ** s - 1)) == 0) room = CW'(2 ** s);
    end
    we_o = '0;
    beat_end_o = beat_i;
    for (int unsigned i = 0; i < Most; i++) begin
      if (active_i && room > CW'(i) && beat_count_i > CW'(i)) begin
        we_o[beat_i|BW'(i)] = 1'b1;
        beat_end_o = beat_i | BW'(i);
      end
    end
    // The lower bits of a place are the number of the beat, as far as the next one's are zero.
    for (int unsigned g = 0; g < GroupBeats; g++) begin
      data_o[g] = beat_data_i[63:0];
      for (int unsigned s = 1; 2 ** s <= Most; s++) begin
        if (room == CW'(2 ** s)) data_o[g] = beat_data_i[g%(2**s)*64+:64];
      end
    end
  end

  assign take_o = active_i && beat_count_i != '0;
  assign beat_room_o = active_i ? room : '0;
endmodule
