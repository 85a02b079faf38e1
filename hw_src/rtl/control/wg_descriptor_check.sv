// Decides from the fields of one instruction alone whether the core refuses it
// (ILLEGAL_DESCRIPTOR). The rules, and the schedule of the multiplier, are functions of
// winogen_rules_pkg; the same table gives descriptor_problem() of winogen/target/checks.py. Opcode and
// reserved bits are checked elsewhere.
//
// One multiplier serves all ranges. Its result is back two cycles later, so a product takes every
// second slot of the schedule, and two products alternate.
module wg_descriptor_check
  import wg_types_pkg::*, winogen_rules_pkg::*;
#(
  parameter config_t Config = DefaultConfig
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  input  logic         clear_i,
  input  logic         start_i,    // pulse; bits_i holds from here to done_o
  input  logic [511:0] bits_i,
  output logic         done_o,     // pulse
  output logic         illegal_o   // valid with done_o
);
  // The slot that comes next; bits_i holds already when the first one is chosen.
  logic [SlotBits-1:0] slot_q;
  logic refused_q;
  (* keep *) check_slot_t now_q;  // no DSP takes it in: it is far from the fields
  always_ff @(posedge clk_i) begin
    now_q <= check_slot(Config, bits_i, slot_q);
    refused_q <= refuses(Config, bits_i);
  end

  // Pipeline: select, multiply, saturate, compare. Times zero a saturated product is zero again, as
  // it must be.
  logic [FactorBits-1:0] factor_q;
  logic first_q;
  logic [SizeBits-1:0] size_q;
  logic [SizeBits+FactorBits-1:0] product_q;
  logic [BaseBits-1:0] base_q;
  logic [SizeBits-1:0] depth_q;
  logic signed [SizeBits+1:0] room_q, room2_q;  // negative if even the base lies outside
  always_ff @(posedge clk_i) begin
    factor_q <= now_q.factor;
    first_q <= now_q.first;
    base_q <= now_q.base;
    depth_q <= now_q.depth;
    product_q <= (SizeBits + FactorBits)'(first_q ? SizeBits'(1) : size_q)
        * (SizeBits + FactorBits)'(factor_q);
    room_q <= signed'({2'b0, depth_q}) - signed'({3'b0, base_q});
    size_q <= |product_q[SizeBits+:FactorBits] ? '1 : product_q[SizeBits-1:0];
    room2_q <= room_q;
  end

  logic active_q;
  logic [2:0] check_q, last_q;
  logic illegal_q, done_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      active_q <= 1'b0;
      slot_q <= '0;
      check_q <= '0;
      last_q <= '0;
      illegal_q <= 1'b0;
      done_q <= 1'b0;
    end else begin
      check_q <= {check_q[1:0], active_q && now_q.check};
      last_q <= {last_q[1:0], active_q && now_q.last};
      done_q <= last_q[2];
      slot_q <= start_i || active_q ? slot_q + 1'b1 : '0;
      if (start_i) begin
        active_q <= 1'b1;
        illegal_q <= 1'b0;
      end else begin
        if (active_q && now_q.last) active_q <= 1'b0;
        if (active_q && refused_q) illegal_q <= 1'b1;
        if (check_q[2] && signed'({2'b0, size_q}) > room2_q) illegal_q <= 1'b1;
      end
    end
  end

  assign done_o = done_q;
  assign illegal_o = illegal_q;
endmodule
