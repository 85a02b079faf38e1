// wg_load with flat ports, as cocotb wants them.
module tb_load
  import wg_types_pkg::*;
#(
  parameter int unsigned DataWidth = 8,
  parameter int unsigned Lanes = 8,             // a power of two, at least 4
  parameter int unsigned InputDepth = 16384,
  parameter int unsigned WeightDepth = 2048,
  parameter int unsigned StepDepth = 1024,
  parameter int unsigned AccumulatorDepth = 64,
  parameter int unsigned PhaseDepth = 128,
  parameter int unsigned ParamDepth = 64,
  parameter int unsigned Products         = 1,
  parameter int unsigned Decoder          = 0,
  parameter int unsigned ReadPorts = 2,         // 1, 2 or 4
  parameter int unsigned AddrWidth = 64,
  localparam int unsigned InputBits = Lanes * DataWidth,
  localparam int unsigned PartBits = 2 * Lanes * (DataWidth + 4),
  localparam int unsigned IA = $clog2((InputDepth + 3) / 4),
  localparam int unsigned WA = $clog2(WeightDepth),
  localparam int unsigned CW = $clog2(ReadPorts + 1)
) (
  input  logic                              clk_i,
  input  logic                              rst_ni,
  input  logic                              clear_i,
  input  logic                              start_valid_i,
  output logic                              start_ready_o,
  input  logic [511:0]                      start_bits_i,
  input  logic [19:0]                       start_index_i,
  output logic                              done_o,
  output logic                              fault_valid_o,
  output logic [7:0]                        fault_code_o,
  output logic [19:0]                       fault_index_o,
  output logic [AddrWidth-1:0]              fault_addr_o,
  input  logic [3:0][63:0]                  segment_base_i,
  output logic                              run_valid_o,
  input  logic                              run_ready_i,
  output logic [AddrWidth-1:0]              run_addr_o,
  output logic [31:0]                       run_bytes_o,
  input  logic [CW-1:0]                     beat_count_i,
  input  logic [ReadPorts*64-1:0]           beat_data_i,
  output logic [CW-1:0]                     beat_room_o,
  input  logic                              error_valid_i,
  input  logic [7:0]                        error_code_i,
  input  logic [AddrWidth-1:0]              error_addr_i,
  output logic [3:0]                        in_we_o,
  output logic [3:0][IA-1:0]                in_addr_o,
  output logic [3:0][InputBits-1:0]         in_data_o,
  output logic [Products*Lanes/2-1:0]       w_we_o,
  output logic [WA-1:0]                     w_addr_o,
  output logic [Lanes/2-1:0][PartBits-1:0]  w_data_o,
  output logic                              tab_we_o,
  output logic [1:0]                        tab_id_o,
  output logic [11:0]                       tab_addr_o,
  output logic [63:0]                       tab_data_o,
  output logic                              par_we_o,
  output logic [7:0]                        par_addr_o,
  output logic [$clog2(Lanes)-1:0]          par_lane_o,
  output logic [127:0]                      par_data_o
);
  localparam config_t Config = '{
      DataWidth: DataWidth,
      Lanes: Lanes,
      TileLanes: DefaultConfig.TileLanes,
      InputDepth: InputDepth,
      WeightDepth: WeightDepth,
      PsumDepth: DefaultConfig.PsumDepth,
      OutputDepth: DefaultConfig.OutputDepth,
      StepDepth: StepDepth,
      AccumulatorDepth: AccumulatorDepth,
      PhaseDepth: PhaseDepth,
      ParamDepth: ParamDepth,
      ReadPorts: ReadPorts,
      Products: Products,
      Decoder: Decoder,
      ConfigHash: DefaultConfig.ConfigHash,
      AddrWidth: AddrWidth
  };

  start_t start;
  engine_t engine;
  assign start = '{valid: start_valid_i, index: start_index_i, bits: start_bits_i};
  assign start_ready_o = engine.ready;
  assign done_o        = engine.done;
  assign fault_valid_o = engine.fault.valid;
  assign fault_code_o  = engine.fault.code;
  assign fault_index_o = engine.fault.index;
  assign fault_addr_o  = engine.fault.addr[AddrWidth-1:0];

  run_t run;
  table_write_t tab;
  param_write_t par;
  assign run_valid_o = run.valid;
  assign run_addr_o  = run.addr[AddrWidth-1:0];
  assign run_bytes_o = run.bytes;
  assign tab_we_o    = tab.we;
  assign tab_id_o    = tab.id;
  assign tab_addr_o  = tab.addr;
  assign tab_data_o  = tab.data;
  assign par_we_o    = par.we;
  assign par_addr_o  = par.addr;
  assign par_lane_o  = par.lane[$clog2(Lanes)-1:0];
  assign par_data_o  = par.data;

  bus_error_t error;
  assign error = '{valid: error_valid_i, code: error_code_i, addr: 64'(error_addr_i)};
  wg_load #(
    .Config(Config)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_i(start),
    .engine_o(engine),
    .segment_base_i,
    .run_o(run),
    .run_ready_i,
    .beat_count_i,
    .beat_data_i,
    .beat_room_o,
    .error_i(error),
    .in_we_o,
    .in_addr_o,
    .in_data_o,
    .w_we_o,
    .w_addr_o,
    .w_data_o,
    .tab_o(tab),
    .par_o(par)
  );
endmodule
