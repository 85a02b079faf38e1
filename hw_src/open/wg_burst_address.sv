// The address of the next beat of an AXI burst of 32-bit data.
module wg_burst_address (
  input  logic [31:0] addr_i,   // of this beat
  input  logic [3:0]  len_i,    // of the burst, as AXI has it: beats less one
  input  logic [1:0]  size_i,   // a beat has 1, 2 or 4 bytes
  input  logic [1:0]  burst_i,  // FIXED, INCR, WRAP
  output logic [31:0] next_o
);
  localparam logic [1:0] Fixed = 2'b00, Wrap = 2'b10;

  logic [31:0] bytes, after;
  logic [31:0] window;  // of a wrapping burst: the bits of the address that change

  assign bytes  = 32'd1 << size_i;
  assign after  = (addr_i & ~(bytes - 32'd1)) + bytes;  // only the first beat may be unaligned
  assign window = ((32'(len_i) + 32'd1) << size_i) - 32'd1;

  always_comb begin
    unique case (burst_i)
      Fixed: next_o = addr_i;
      Wrap: next_o = (addr_i & ~window) | (after & window);
      default: next_o = after;
    endcase
  end
endmodule
