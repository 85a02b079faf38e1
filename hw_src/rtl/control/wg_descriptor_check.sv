// Decides from the fields of one instruction alone whether the core refuses it
// (ILLEGAL_DESCRIPTOR): the hardware's side of descriptor_problem() in winogen/descriptor.py.
// Opcode and reserved bits are checked elsewhere.
//
// One multiplier serves all ranges. Its result is back two cycles later, so a product takes every
// second slot of the schedule, and two products alternate.
module wg_descriptor_check
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter config_t Config = DefaultConfig
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  input  logic         clear_i,
  input  logic         start_i,    // pulse; bits_i holds from here to done_o
  // Fields without a rule, and those of other opcodes.
  /* verilator lint_off UNUSEDSIGNAL */
  input  logic [511:0] bits_i,
  /* verilator lint_on UNUSEDSIGNAL */
  output logic         done_o,     // pulse
  output logic         illegal_o   // valid with done_o
);
  // A saturated product is above every depth (at most 2^20); times zero it is zero, as it must be.
  localparam int unsigned SizeBits = 21;
  localparam int unsigned WordShift = $clog2(Config.Lanes * Config.DataWidth / 8);
  localparam logic [31:0] OffsetMask = 32'((1 << WordShift) - 1);

  // Strides, layer and the like have no rule.
  /* verilator lint_off UNUSEDSIGNAL */
  header_t h;
  load_input_t li;
  load_weights_t lw;
  load_params_t lp;
  load_table_t lt;
  compute_t c;
  store_t s;
  /* verilator lint_on UNUSEDSIGNAL */
  assign h = decode_header(bits_i);
  assign li = decode_load_input(bits_i);
  assign lw = decode_load_weights(bits_i);
  assign lp = decode_load_params(bits_i);
  assign lt = decode_load_table(bits_i);
  assign c = decode_compute(bits_i);
  assign s = decode_store(bits_i);

  // Rules that need no arithmetic on sizes.
  logic [2:0] own;
  logic own_bad, zero_bad, pitch_bad, shape_bad, offset_bad;
  always_comb begin
    own = 3'b001;
    if (h.opcode == OpCompute) own = 3'b010;
    if (h.opcode == OpStore) own = 3'b100;
    own_bad = |((h.wait_mask | h.signal_mask) & own);

    // Every instruction that moves data has its offset in word 1.
    offset_bad = h.opcode != OpCompute && (li.offset & OffsetMask) != '0;

    zero_bad = 1'b0;
    pitch_bad = 1'b0;
    shape_bad = 1'b0;
    case (h.opcode)
      OpLoadInput: begin
        zero_bad = li.images == '0 || li.blocks == '0 || li.rows == '0 || li.columns == '0
            || li.column_step == '0;
        pitch_bad = li.pitch < li.columns || li.pitch[1:0] != 2'd2;
      end
      OpLoadWeights: zero_bad = lw.blocks == '0 || lw.phases == '0 || lw.taps == '0;
      OpLoadParams: zero_bad = lp.count == '0;
      OpLoadTable: zero_bad = lt.count == '0;
      OpCompute: begin
        zero_bad = c.images == '0 || c.blocks == '0 || c.tiles_y == '0 || c.tiles_x == '0
            || c.tile == '0 || c.steps == '0 || c.accumulators == '0 || c.phases == '0
            || c.patch_rows == '0 || c.patch_columns == '0 || c.stride_y == '0
            || c.stride_x == '0;
        // Without rows nothing is read, so the banks do not matter.
        pitch_bad = c.pitch < c.columns || (c.rows != '0 && c.pitch[1:0] != 2'd2);
        shape_bad = c.tile == 2'd3 || (c.winograd && c.tile != 2'd2)
            || 4'(c.patch_row) + 4'(c.patch_rows) > 4'd4
            || 4'(c.patch_column) + 4'(c.patch_columns) > 4'd4;
      end
      OpStore: zero_bad = s.images == '0 || s.rows == '0 || s.columns == '0;
      default: ;
    endcase
  end

  logic [SizeBits-1:0] table_depth;
  always_comb begin
    case (lt.table_id)
      TableStep: table_depth = SizeBits'(Config.StepDepth);
      TableAccumulator: table_depth = SizeBits'(2 * Config.AccumulatorDepth);
      TablePhase: table_depth = SizeBits'(Config.PhaseDepth);
      default: table_depth = SizeBits'(ActivationEntries);
    endcase
  end

  logic [3:0] tile_area;
  always_comb begin
    case (c.tile)
      2'd0: tile_area = 4'd0;
      2'd1: tile_area = 4'd1;
      2'd2: tile_area = 4'd4;
      default: tile_area = 4'd9;
    endcase
  end

  // The schedule: what each slot multiplies, and whether base + product has to fit a depth.
  // Slots that an opcode leaves out multiply by zero and check nothing.
  logic [4:0] slot_q;
  logic [11:0] factor;
  logic first, check, last;
  logic [19:0] base;
  logic [SizeBits-1:0] depth;
  always_comb begin
    factor = '0;
    first = 1'b0;
    check = 1'b0;
    last = 1'b0;
    base = '0;
    depth = '0;
    case (h.opcode)
      OpLoadInput: begin
        base = li.base;
        depth = SizeBits'(Config.InputDepth);
        case (slot_q)
          5'd0: begin
            factor = li.images;
            first = 1'b1;
          end
          5'd2: factor = li.blocks;
          5'd4: factor = li.rows;
          5'd6: begin factor = li.pitch; check = 1'b1; last = 1'b1; end
          default: ;
        endcase
      end
      OpLoadWeights: begin
        first = 1'b1;
        check = 1'b1;
        if (slot_q == 5'd0) begin
          factor = lw.blocks;
          base = lw.base;
          depth = SizeBits'(Config.WeightDepth);
        end else begin
          factor = 12'(lw.phases);
          base = 20'(lw.phase_base);
          depth = SizeBits'(Config.PhaseDepth);
          last = 1'b1;
        end
      end
      OpLoadParams: begin
        first = 1'b1;
        check = 1'b1;
        last = 1'b1;
        factor = 12'(lp.count);
        base = 20'(lp.base);
        depth = SizeBits'(Config.ParamDepth);
      end
      OpLoadTable: begin
        first = 1'b1;
        check = 1'b1;
        last = 1'b1;
        factor = lt.count;
        base = 20'(lt.base);
        depth = table_depth;
      end
      OpCompute: begin
        case (slot_q)
          // Even slots: the region of the input buffer, then of the output buffer.
          5'd0: begin
            factor = c.images;
            first = 1'b1;
          end
          5'd2: factor = c.blocks;
          5'd4: factor = c.rows;
          5'd6: begin
            factor = c.pitch; check = 1'b1; base = c.input_base; depth = SizeBits'(Config.InputDepth);
          end
          5'd8: begin factor = c.images; first = 1'b1; end
          5'd10: factor = c.output_rows;
          5'd12: begin
            factor = c.output_columns; check = 1'b1;
            base = c.output_base; depth = SizeBits'(Config.OutputDepth);
          end
          // Odd slots: partial sums, then weights.
          5'd1: begin factor = c.images; first = 1'b1; end
          5'd3: factor = c.tiles_y;
          5'd5: factor = c.tiles_x;
          5'd7: factor = 12'(c.phases);
          5'd9: begin
            factor = 12'(tile_area); check = 1'b1;
            base = c.psum_base; depth = SizeBits'(Config.PsumDepth);
          end
          5'd11: begin factor = c.blocks; first = 1'b1; end
          5'd13: begin
            factor = c.weight_stride; check = 1'b1;
            base = c.weight_base; depth = SizeBits'(Config.WeightDepth);
          end
          // Ranges without a product.
          5'd14: begin
            factor = c.steps; first = 1'b1; check = 1'b1;
            base = 20'(c.step_base); depth = SizeBits'(Config.StepDepth);
          end
          5'd15: begin
            factor = 12'(c.accumulators); first = 1'b1; check = 1'b1;
            base = 20'(c.accumulator_base); depth = SizeBits'(2 * Config.AccumulatorDepth);
          end
          5'd16: begin
            factor = 12'(c.accumulators); first = 1'b1; check = 1'b1;
            depth = SizeBits'(Config.AccumulatorDepth);
          end
          5'd17: begin
            factor = 12'(c.phases); first = 1'b1; check = 1'b1;
            base = 20'(c.phase_base); depth = SizeBits'(Config.PhaseDepth);
          end
          5'd18: begin
            factor = 12'd1; first = 1'b1; check = 1'b1; last = 1'b1;
            base = 20'(c.param_base); depth = SizeBits'(Config.ParamDepth);
          end
          default: ;
        endcase
      end
      default: begin  // OpStore; other opcodes do not come here
        base = s.base;
        depth = SizeBits'(Config.OutputDepth);
        case (slot_q)
          5'd0: begin
            factor = s.images;
            first = 1'b1;
          end
          5'd2: factor = s.rows;
          5'd4: begin factor = s.columns; check = 1'b1; last = 1'b1; end
          default: ;
        endcase
      end
    endcase
  end

  // Pipeline: select, multiply, saturate, compare.
  logic [11:0] factor_q;
  logic first_q;
  logic [SizeBits-1:0] size_q;
  logic [SizeBits+11:0] product_q;
  logic [19:0] base_q;
  logic [SizeBits-1:0] depth_q;
  logic signed [SizeBits+1:0] room_q, room2_q;  // negative if even the base lies outside
  always_ff @(posedge clk_i) begin
    factor_q <= factor;
    first_q <= first;
    base_q <= base;
    depth_q <= depth;
    product_q <= (SizeBits + 12)'(first_q ? SizeBits'(1) : size_q) * (SizeBits + 12)'(factor_q);
    room_q <= signed'({2'b0, depth_q}) - signed'({3'b0, base_q});
    size_q <= |product_q[SizeBits+:12] ? '1 : product_q[SizeBits-1:0];
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
      check_q <= {check_q[1:0], active_q && check};
      last_q <= {last_q[1:0], active_q && last};
      done_q <= last_q[2];
      if (start_i) begin
        active_q <= 1'b1;
        slot_q <= '0;
        illegal_q <= own_bad || zero_bad || pitch_bad || shape_bad || offset_bad;
      end else begin
        if (active_q) slot_q <= slot_q + 1'b1;
        if (active_q && last) active_q <= 1'b0;
        if (check_q[2] && signed'({2'b0, size_q}) > room2_q) illegal_q <= 1'b1;
      end
    end
  end

  assign done_o = done_q;
  assign illegal_o = illegal_q;
endmodule
