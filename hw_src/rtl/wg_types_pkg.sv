// The nouns of the logic: its build configuration, the widths that follow from it, and what goes
// from one unit to another. A struct never has parts that depend on the configuration: an address has
// 64 bits, and a module with a narrower one drives zeros above it.
package wg_types_pkg;
  // Every design uses a part of this; a width depends on some of the fields.
  /* verilator lint_off UNUSEDPARAM */
  /* verilator lint_off UNUSEDSIGNAL */

  // The fields of CoreConfig in winogen/target/board.py, its hash, and the width of bus addresses.
  // Depths are in words of the memory, or entries of the table.
  typedef struct packed {
    int unsigned DataWidth;         // bits of an activation: 8 or 16
    int unsigned Lanes;             // input channels a cycle, and output channels
    int unsigned TileLanes;         // tiles a cycle
    int unsigned InputDepth;
    int unsigned WeightDepth;
    int unsigned PsumDepth;
    int unsigned OutputDepth;
    int unsigned StepDepth;
    int unsigned AccumulatorDepth;
    int unsigned PhaseDepth;
    int unsigned ParamDepth;
    int unsigned ReadPorts;         // of the loads: 1, 2 or 4
    int unsigned Products;          // of a multiplier in a cycle: 1, or 2 (8-bit data)
    int unsigned Decoder;           // coded weights that a load decodes in a cycle: CodeGroup, or 0
    logic [31:0] ConfigHash;
    int unsigned AddrWidth;
  } config_t;

  // The build of the pynq-z2, for a module that is looked at alone.
  localparam config_t DefaultConfig = '{
      DataWidth: 8,
      Lanes: 8,
      TileLanes: 3,
      InputDepth: 16384,
      WeightDepth: 1024,
      PsumDepth: 2048,
      OutputDepth: 4096,
      StepDepth: 1024,
      AccumulatorDepth: 64,
      PhaseDepth: 128,
      ParamDepth: 64,
      ReadPorts: 2,
      Products: 2,
      Decoder: 32,
      ConfigHash: '0,
      AddrWidth: 64
  };

  // -- Widths --------------------------------------------------------------------------------------

  // Bits of an index below count, at least one.
  function automatic int unsigned index_width(input int unsigned count);
    return count > 1 ? $clog2(count) : 1;
  endfunction
  // A word of activations, and its beats of 64 bits.
  function automatic int unsigned word_bits(input config_t c);
    return c.Lanes * c.DataWidth;
  endfunction
  function automatic int unsigned word_beats(input config_t c);
    return word_bits(c) / 64;
  endfunction
  // A weight in the weight buffer; a part of its words, which is two output lanes.
  function automatic int unsigned weight_width(input config_t c);
    return c.DataWidth + 4;
  endfunction
  function automatic int unsigned part_bits(input config_t c);
    return 2 * c.Lanes * weight_width(c);
  endfunction
  // A word of the weight buffer holds the parts of Products blocks of output channels.
  function automatic int unsigned weight_parts(input config_t c);
    return c.Products * c.Lanes / 2;
  endfunction
  // Where a weight is written: the address of the word, above it which of its blocks.
  function automatic int unsigned weight_place_width(input config_t c);
    return $clog2(c.WeightDepth) + $clog2(c.Products);
  endfunction
  // Whether the filter transform gives a word of the weight buffer in a cycle, and not half of one: where
  // more weights come than half words are made of. Phases of two by two taps have nine positions, so these
  // are a quarter of a word's weights. (`whole_words` of CoreConfig.)
  function automatic bit whole_words(input config_t c);
    int unsigned plain;
    plain = c.ReadPorts * 64 / c.DataWidth;
    return 4 * (c.Decoder > plain ? c.Decoder : plain) > c.Lanes * c.Lanes;
  endfunction
  // A row-transformed pixel of all lanes, a fully transformed input, a sum over the lanes, and an
  // accumulator.
  function automatic int unsigned row_bits(input config_t c);
    return c.Lanes * (c.DataWidth + 1);
  endfunction
  function automatic int unsigned z_width(input config_t c);
    return c.DataWidth + 2;
  endfunction
  function automatic int unsigned sum_width(input config_t c);
    return z_width(c) + weight_width(c) + $clog2(c.Lanes);
  endfunction
  function automatic int unsigned acc_width(input config_t c);
    return c.DataWidth == 8 ? 32 : 48;
  endfunction
  // Cycles from the operands at the array to their sums.
  function automatic int unsigned sum_latency(input config_t c);
    return c.Products == 2 ? c.Lanes + 5 : c.Lanes + 2;
  endfunction
  // The input buffer has four banks.
  function automatic int unsigned bank_depth(input config_t c);
    return (c.InputDepth + 3) / 4;
  endfunction
  // A number of beats on offer.
  function automatic int unsigned count_width(input config_t c);
    return $clog2(c.ReadPorts + 1);
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */
  /* verilator lint_on UNUSEDPARAM */

  // -- Instructions and engines --------------------------------------------------------------------

  // What wg_fetch hands to wg_issue.
  typedef struct packed {
    logic         illegal;
    logic [19:0]  index;    // its place in the stream
    logic [511:0] bits;
  } fetched_t;

  // What an engine begins: valid until it is ready.
  typedef struct packed {
    logic         valid;
    logic [19:0]  index;
    logic [511:0] bits;
  } start_t;

  // A failure: valid is a level, until clear.
  typedef struct packed {
    logic        valid;
    logic [7:0]  code;   // winogen_pkg::error_e
    logic [19:0] index;  // of the instruction
    logic [63:0] addr;   // bus address (AXI faults)
  } fault_t;

  // What it answers.
  typedef struct packed {
    logic   ready;  // an instruction may begin
    logic   done;   // pulse: the oldest instruction begun has ended, all its accesses too
    fault_t fault;  // the engine has failed and does nothing more
  } engine_t;

  // What happens at an engine in a cycle.
  typedef struct packed {
    logic        begins;       // an instruction
    logic [19:0] begin_index;  // of the one that begins next
    logic        ends;         // the oldest one
    logic [19:0] end_index;
    logic        stall;        // the one that begins next waits for a token
  } trace_t;

  // A phase as LOAD_WEIGHTS needs it.
  typedef struct packed {
    logic [8:0]  taps;            // bit 3 * row + column: the tap is there
    logic [15:0] positions;       // bit 4 * row + column: the position is stored
    logic [3:0]  tap_count;
    logic [4:0]  position_count;
  } phase_t;

  // How an engine's issue stands.
  typedef struct packed {
    logic        busy;          // something is in flight
    logic        stall;         // nothing is, and the head waits for a token
    logic        empty;         // nothing is in flight nor in the queue
    logic        quiescent;     // nothing goes on unless another engine does
    logic        oldest_valid;  // of the instructions not ended
    logic [19:0] oldest_index;
  } issue_t;

  // Where a word of outputs belongs.
  typedef struct packed {
    logic        valid;
    logic        kept;    // it lies in the output
    logic [19:0] psum;    // partial-sum address
    logic [19:0] row;     // output row, all images counted
    logic [19:0] column;
    logic [9:0]  param;   // parameter entry
  } word_t;

  // -- Registers and control -----------------------------------------------------------------------

  // What the host has written.
  typedef struct packed {
    logic [31:0]      watchdog;
    logic [31:0]      stream_length;
    logic [63:0]      stream_base;
    logic [3:0][63:0] segment_base;
    logic [31:0]      trace_first;
    logic [31:0]      trace_length;
    logic [31:0]      trace_index;
  } settings_t;

  // How a stream stands.
  typedef struct packed {
    logic begins;   // pulse
    logic running;
    logic clear;    // all units give up what they do; held until the AXI masters are idle
  } stream_t;

  // What the host reads of a run; all but the events as in the register map.
  typedef struct packed {
    logic [11:0]       status;
    logic              done_event;   // pulse
    logic              error_event;  // pulse
    logic [15:0]       error_code;
    logic [31:0]       error_index;
    logic [63:0]       error_addr;
    logic [10:0][63:0] counters;     // in the order of the map
    logic [3:0][31:0]  instruction;  // oldest of each engine; how many were fetched
  } status_t;

  // What the host reads to find out what goes on.
  typedef struct packed {
    logic [31:0] bus;
    logic [31:0] trace_count;
    logic [31:0] trace_data;
  } insight_t;

  // What the engines' counters count, cycle by cycle.
  typedef struct packed {
    logic        step;         // the array multiplies
    logic        pair;         // two products a multiplier
    logic        read_valid;   // a run of the load engine was accepted
    logic [31:0] read_bytes;
    logic        write_valid;  // a run of the store engine was accepted
    logic [31:0] write_bytes;
  } work_t;

  // -- Memory --------------------------------------------------------------------------------------

  // Contiguous bytes; valid until the master is ready.
  typedef struct packed {
    logic        valid;
    logic [63:0] addr;   // a multiple of 8
    logic [31:0] bytes;  // not zero; rounded up to 8
    logic        last;   // stores: the last of its instruction
  } run_t;

  // A beat that is written; valid until the master is ready.
  typedef struct packed {
    logic        valid;
    logic [63:0] data;
  } write_beat_t;

  // An error response; valid is a level, until flush.
  typedef struct packed {
    logic        valid;
    logic [7:0]  code;
    logic [63:0] addr;
  } bus_error_t;

  // LOAD_TABLE writes an entry; of the activation table 16 bits.
  typedef struct packed {
    logic        we;
    logic [1:0]  id;    // winogen_pkg::table_e
    logic [11:0] addr;
    logic [63:0] data;
  } table_write_t;

  // LOAD_PARAMS writes a channel.
  typedef struct packed {
    logic         we;
    logic [7:0]   addr;
    logic [7:0]   lane;
    logic [127:0] data;
  } param_write_t;

  // -- Buses: what a master or a host drives, and the answer -----------------------------------------

  typedef struct packed {
    logic        arvalid;
    logic [63:0] araddr;
    logic [7:0]  arlen;
    logic        rready;
  } axi_read_req_t;

  typedef struct packed {
    logic        arready;
    logic        rvalid;
    logic [63:0] rdata;
    logic [1:0]  rresp;
    logic        rlast;
  } axi_read_rsp_t;

  typedef struct packed {
    logic        awvalid;
    logic [63:0] awaddr;
    logic [7:0]  awlen;
    logic        wvalid;
    logic [63:0] wdata;
    logic [7:0]  wstrb;
    logic        wlast;
    logic        bready;
  } axi_write_req_t;

  typedef struct packed {
    logic       awready;
    logic       wready;
    logic       bvalid;
    logic [1:0] bresp;
  } axi_write_rsp_t;

  typedef struct packed {
    logic        awvalid;
    logic [11:0] awaddr;
    logic        wvalid;
    logic [31:0] wdata;
    logic [3:0]  wstrb;
    logic        bready;
    logic        arvalid;
    logic [11:0] araddr;
    logic        rready;
  } axil_req_t;

  typedef struct packed {
    logic        awready;
    logic        wready;
    logic        bvalid;
    logic [1:0]  bresp;
    logic        arready;
    logic        rvalid;
    logic [31:0] rdata;
    logic [1:0]  rresp;
  } axil_rsp_t;
endpackage
