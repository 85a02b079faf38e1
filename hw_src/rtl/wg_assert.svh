// Assertions with names, beside the logic that they are about. Simulations built with assertions and
// the proofs check them at every clock edge outside reset; synthesis sees nothing of them.
//
//   `ASSERT(name, condition)
//   `ASSERT_HOLD(name, valid, ready, payload, abandoned)
//       An offer stays: valid and payload hold until ready, unless what goes on is abandoned.
//   `ASSERT_ONEHOT0(name, bits)
//       At most one of the bits is set.
`ifndef WG_ASSERT_SVH
`define WG_ASSERT_SVH

`ifdef FORMAL
`define WG_ASSERTIONS
`elsif SYNTHESIS
`else
`define WG_ASSERTIONS
`endif

`ifdef WG_ASSERTIONS
`define ASSERT(name_, condition_) \
  always_ff @(posedge clk_i) if (rst_ni) name_ : assert (condition_);
`define ASSERT_HOLD(name_, valid_, ready_, payload_, abandoned_) \
  logic name_``_waits_q; \
  logic [$bits(payload_)-1:0] name_``_payload_q; \
  always_ff @(posedge clk_i) begin \
    name_``_waits_q   <= rst_ni && valid_ && !(ready_) && !(abandoned_); \
    name_``_payload_q <= {payload_}; \
  end \
  `ASSERT(name_, !name_``_waits_q || abandoned_ || (valid_ && {payload_} == name_``_payload_q))
`else
`define ASSERT(name_, condition_)
`define ASSERT_HOLD(name_, valid_, ready_, payload_, abandoned_)
`endif
`define ASSERT_ONEHOT0(name_, bits_) `ASSERT(name_, (bits_ & (bits_ - 1'b1)) == '0)

`endif
