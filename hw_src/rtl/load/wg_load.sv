`include "wg_assert.svh"

// Load engine: executes LOAD_INPUT, LOAD_WEIGHTS, LOAD_PARAMS and LOAD_TABLE.
//
// The front (wg_load_address) asks the reader for bytes and may run up to four instructions ahead;
// the back takes the beats of the instructions in order and writes the memories. One unit of the
// back takes beats at a time; only weights may still be transformed while the next LOAD_WEIGHTS
// begins. After a fault everything stands still until clear_i.
module wg_load
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter  config_t     Config    = DefaultConfig,
  localparam int unsigned Lanes     = Config.Lanes,  // a power of two, at least 4
  localparam int unsigned ReadPorts = Config.ReadPorts,
  localparam int unsigned InputBits = word_bits(Config),
  localparam int unsigned PartBits  = part_bits(Config),
  localparam int unsigned IA        = $clog2(bank_depth(Config)),
  localparam int unsigned WA        = $clog2(Config.WeightDepth),
  localparam int unsigned CW        = count_width(Config)
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,
  input  logic                             clear_i,
  // Engine port.
  input  start_t                           start_i,
  output engine_t                          engine_o,
  input  logic [3:0][63:0]                 segment_base_i,
  // Run port and beat port.
  input  logic                             run_ready_i,
  output run_t                             run_o,
  input  logic [CW-1:0]                    beat_count_i,
  input  logic [ReadPorts*64-1:0]          beat_data_i,
  output logic [CW-1:0]                    beat_room_o,
  input  bus_error_t                       error_i,
  // Input buffer: four banks by address modulo 4.
  output logic [3:0]                       in_we_o,
  output logic [3:0][IA-1:0]               in_addr_o,
  output logic [3:0][InputBits-1:0]        in_data_o,
  // Weight buffer: part k holds output lanes 2k (low half) and 2k+1; those of a second block follow,
  // with the same data.
  output logic [weight_parts(Config)-1:0]  w_we_o,
  output logic [WA-1:0]                    w_addr_o,
  output logic [Lanes/2-1:0][PartBits-1:0] w_data_o,
  // Tables and parameters.
  output table_write_t                     tab_o,
  output param_write_t                     par_o
);
  localparam int unsigned PA = index_width(Config.PhaseDepth);

  if (ReadPorts != 1 && ReadPorts != 2 && ReadPorts != 4) begin : gen_check_ports
    $fatal(1, "ReadPorts must be 1, 2 or 4");
  end
  if (Lanes < 4 || (Lanes & (Lanes - 1)) != 0 || InputBits % 64 != 0) begin : gen_check_lanes
    $fatal(1, "Lanes must be a power of two, at least 4, and a word whole beats");
  end
  // What the fields of an instruction can address; wg_descriptor_check holds them to the depths.
  if (Config.StepDepth > 4095 || Config.AccumulatorDepth > 128 || Config.PhaseDepth > 255 ||
      Config.ParamDepth > 255)
  begin : gen_check_depths
    $fatal(1, "a table is deeper than an instruction can address");
  end

  // ---- Front ----
  logic front_valid, front_ready, queue_ready, halt;
  run_t run;
  logic fault_valid_q, done_q, start_ready;
  logic [7:0] fault_code_q;
  logic [19:0] fault_index_q;
  logic [Config.AddrWidth-1:0] fault_addr_q;
  assign engine_o = '{
    ready: start_ready,
    done: done_q,
    fault: '{
      valid: fault_valid_q, code: fault_code_q, index: fault_index_q, addr: 64'(fault_addr_q)
    }
  };

  assign start_ready = front_ready && queue_ready && !fault_valid_q;
  assign front_valid = start_i.valid && start_ready;
  assign run_o = '{
    valid: run.valid && !fault_valid_q, addr: run.addr, bytes: run.bytes, last: run.last
  };
  assign halt = clear_i || fault_valid_q;

  wg_load_address #(
    .Config(Config)
  ) u_address (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_valid_i(front_valid),
    .start_ready_o(front_ready),
    .start_bits_i (start_i.bits),
    .segment_base_i,
    .run_ready_i  (run_ready_i && !fault_valid_q),
    .run_o        (run)
  );

  // ---- Queue: opcode, index, and the fields that say where the data go ----
  logic head_valid, head_take;
  logic [3:0] head_opcode;
  logic [19:0] head_index;
  logic [95:0] head_bits;
  logic [511:0] head;

  // Where coded weights begin is said where they are wrong.
  localparam int unsigned OriginBits = Config.Decoder != 0 ? 34 : 1;
  logic [OriginBits-1:0] start_origin, head_origin, origin_q;
  logic [63:0] origin;
  if (Config.Decoder != 0) begin : gen_origin
    assign start_origin = {start_i.bits[23:22], start_i.bits[63:32]};
    assign origin = segment_base_i[origin_q[33:32]] + 64'(origin_q[31:0]);
  end else begin : gen_none
    assign start_origin = '0;
    assign origin = '0;
    logic unused_origin;
    assign unused_origin = origin_q;
  end

  wg_fifo #(
    .Width(4 + 20 + 96 + OriginBits),
    .Depth(LoadAhead)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .clear_i,
    .wvalid_i(front_valid),
    .wready_o(queue_ready),
    .wdata_i ({start_origin, start_i.bits[3:0], start_i.index, start_i.bits[159:64]}),
    .rvalid_o(head_valid),
    .rready_i(head_take),
    .rdata_o ({head_origin, head_opcode, head_index, head_bits})
  );
  assign head = 512'({head_bits, 60'd0, head_opcode});

  // The front has taken the fields that say where the data come from.
  /* verilator lint_off UNUSEDSIGNAL */
  load_input_t box;
  load_weights_t weights;
  load_params_t params;
  load_table_t entries;
  phase_entry_t phase;
  /* verilator lint_on UNUSEDSIGNAL */
  assign box     = decode_load_input(head);
  assign weights = decode_load_weights(head);
  assign params  = decode_load_params(head);
  assign entries = decode_load_table(head);
  assign phase   = decode_phase_entry(tab_o.data);

  // ---- Back ----
  logic input_ready, weights_ready, table_ready, settled;
  logic input_want, weights_want, table_want, table_room;
  logic [CW-1:0] input_room, weights_room;
  logic input_done, weights_done, table_done, weights_fault, table_fault, bus_fault;
  logic weights_bad;
  logic is_params, is_weights;
  logic [19:0] index_q;  // of the instruction that takes beats

  assign is_params  = head_opcode == OpLoadParams;
  assign is_weights = head_opcode == OpLoadWeights;
  // The end of one instruction must not overtake another's, so only weights may follow weights
  // that are not all written.
  assign head_take = head_valid && !halt && input_ready && weights_ready && table_ready &&
                     (is_weights || settled);
  // One unit alone wants beats. What one takes as it is cleared is lost with it.
  assign beat_room_o = input_room | weights_room | CW'(table_room);
  // What is before the lost beat is written first.
  assign bus_fault = (input_want || weights_want || table_want) && error_i.valid &&
                     beat_count_i == '0 && settled;

  wg_load_input #(
    .Config(Config)
  ) u_input (
    .clk_i,
    .rst_ni,
    .clear_i      (halt),
    .start_valid_i(head_take && head_opcode == OpLoadInput),
    .start_ready_o(input_ready),
    .base_i       ((IA + 2)'(box.base)),
    .images_i     (box.images),
    .blocks_i     (box.blocks),
    .rows_i       (box.rows),
    .columns_i    (box.columns),
    .pitch_i      (box.pitch),
    .column_step_i(box.column_step),
    .beat_count_i,
    .beat_data_i,
    .beat_room_o  (input_room),
    .want_o       (input_want),
    .in_we_o,
    .in_addr_o,
    .in_data_o,
    .done_o       (input_done)
  );

  wg_load_weights #(
    .Config(Config)
  ) u_weights (
    .clk_i,
    .rst_ni,
    .clear_i          (halt),
    .start_valid_i    (head_take && is_weights),
    .start_ready_o    (weights_ready),
    .winograd_i       (weights.winograd),
    .half_i           (weights.half),
    .base_i           (weights.base),
    .blocks_i         (weights.blocks),
    .taps_i           (weights.taps),
    .phase_base_i     (PA'(weights.phase_base)),
    .phases_i         (weights.phases),
    .coding_i         (weights.coding),
    .beats_i          (weights.beats),
    .phase_we_i       (tab_o.we && tab_o.id == TablePhase),
    .phase_addr_i     (PA'(tab_o.addr)),
    .phase_taps_i     (phase.taps),
    .phase_positions_i(phase.positions),
    .beat_count_i,
    .beat_data_i,
    .beat_room_o      (weights_room),
    .want_o           (weights_want),
    .w_we_o,
    .w_addr_o,
    .w_data_o,
    .settled_o        (settled),
    .done_o           (weights_done),
    .fault_o          (weights_fault),
    .bad_o            (weights_bad)
  );

  wg_load_table #(
    .Lanes(Lanes)
  ) u_table (
    .clk_i,
    .rst_ni,
    .clear_i      (halt),
    .start_valid_i(head_take && (is_params || head_opcode == OpLoadTable)),
    .start_ready_o(table_ready),
    .params_i     (is_params),
    .table_i      (entries.table_id),
    .base_i       (is_params ? 12'(params.base) : entries.base),
    .count_i      (is_params ? 12'(params.count) : entries.count),
    .beat_valid_i (beat_count_i != '0),
    .beat_data_i  (beat_data_i[63:0]),
    .beat_room_o  (table_room),
    .want_o       (table_want),
    .tab_o,
    .par_o,
    .done_o       (table_done),
    .fault_o      (table_fault)
  );

  // An address is narrower than its place in a struct.
  logic unused;
  assign unused = ^{error_i.addr, origin};

  always_ff @(posedge clk_i) begin
    if (head_take) begin
      index_q  <= head_index;
      origin_q <= head_origin;
    end

    // What a fault would be, at every clock edge up to it: that there is one comes late.
    if (!fault_valid_q) begin
      fault_index_q <= index_q;
      if (weights_fault && weights_bad) begin
        fault_code_q <= ErrBadWeights;
        fault_addr_q <= origin[Config.AddrWidth-1:0];
      end else if (weights_fault || table_fault) begin
        fault_code_q <= ErrIllegalDescriptor;
        fault_addr_q <= '0;
      end else begin
        fault_code_q <= error_i.code;
        fault_addr_q <= error_i.addr[Config.AddrWidth-1:0];
      end
    end

    if (!rst_ni || clear_i) begin
      done_q        <= 1'b0;
      fault_valid_q <= 1'b0;
    end else begin
      // An instruction that is wrong is not done, whatever the units say in this cycle.
      done_q <= (input_done || weights_done || table_done) && !fault_valid_q;
      fault_valid_q <= fault_valid_q || weights_fault || table_fault || bus_fault;
    end
  end

  `ASSERT_HOLD(run_holds, run_o.valid, run_ready_i, run_o, halt)
  `ASSERT_ONEHOT0(one_takes_beats, ({input_want, weights_want, table_want}))
  `ASSERT_ONEHOT0(one_ends, ({input_done, weights_done, table_done}))
endmodule
