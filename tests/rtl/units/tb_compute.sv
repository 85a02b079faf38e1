// wg_compute with flat ports, as cocotb wants them.
module tb_compute
  import wg_types_pkg::*;
#(
  parameter int unsigned DataWidth        = 8,
  parameter int unsigned Lanes            = 8,
  parameter int unsigned TileLanes        = 3,
  parameter int unsigned InputDepth       = 16384,
  parameter int unsigned WeightDepth      = 2048,
  parameter int unsigned PsumDepth        = 2048,
  parameter int unsigned OutputDepth      = 4096,
  parameter int unsigned StepDepth        = 1024,
  parameter int unsigned AccumulatorDepth = 64,
  parameter int unsigned PhaseDepth       = 128,
  parameter int unsigned ParamDepth       = 64,
  parameter int unsigned Products         = 1,
  parameter int unsigned AddrWidth        = 64,
  localparam int unsigned WordBits        = Lanes * DataWidth,
  localparam int unsigned WeightWidth     = DataWidth == 8 ? 12 : 20,
  localparam int unsigned AccWidth        = DataWidth == 8 ? 32 : 48,
  localparam int unsigned BankAw          = $clog2(InputDepth / 4),
  localparam int unsigned WeightAw        = $clog2(WeightDepth),
  localparam int unsigned OutputAw        = $clog2(OutputDepth),
  localparam int unsigned LaneAw          = $clog2(Lanes)
) (
  input  logic                                     clk_i,
  input  logic                                     rst_ni,
  input  logic                                     clear_i,
  input  logic                                     start_valid_i,
  output logic                                     start_ready_o,
  input  logic [511:0]                             start_bits_i,
  input  logic [19:0]                              start_index_i,
  output logic                                     done_o,
  output logic                                     fault_valid_o,
  output logic [7:0]                               fault_code_o,
  output logic [19:0]                              fault_index_o,
  output logic [AddrWidth-1:0]                     fault_addr_o,
  output logic                                     step_o,  // the array multiplies
  output logic                                     pair_o,
  output logic [3:0][BankAw-1:0]                   in_raddr_o,
  input  logic [3:0][WordBits-1:0]                 in_rdata_i,
  output logic [WeightAw-1:0]                      weight_raddr_o,
  input  logic [Products*Lanes-1:0][Lanes-1:0][WeightWidth-1:0] weight_rdata_i,
  input  logic                                     tab_we_i,
  input  logic [1:0]                               tab_id_i,
  input  logic [11:0]                              tab_addr_i,
  input  logic [63:0]                              tab_data_i,
  input  logic                                     par_we_i,
  input  logic [7:0]                               par_addr_i,
  input  logic [LaneAw-1:0]                        par_lane_i,
  input  logic [127:0]                             par_data_i,
  output logic                                     out_we_o,
  output logic [OutputAw-1:0]                      out_waddr_o,
  output logic [Lanes-1:0][DataWidth-1:0]          out_wdata_o
);
  localparam config_t Config = '{
      DataWidth: DataWidth,
      Lanes: Lanes,
      TileLanes: TileLanes,
      InputDepth: InputDepth,
      WeightDepth: WeightDepth,
      PsumDepth: PsumDepth,
      OutputDepth: OutputDepth,
      StepDepth: StepDepth,
      AccumulatorDepth: AccumulatorDepth,
      PhaseDepth: PhaseDepth,
      ParamDepth: ParamDepth,
      ReadPorts: DefaultConfig.ReadPorts,
      Products: Products,
      Decoder: 0,
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

  table_write_t tab;
  assign tab = '{we: tab_we_i, id: tab_id_i, addr: tab_addr_i, data: tab_data_i};
  param_write_t par;
  assign par = '{we: par_we_i, addr: par_addr_i, lane: 8'(par_lane_i), data: par_data_i};
  wg_compute #(
    .Config(Config)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_i(start),
    .engine_o(engine),
    .step_o,
    .pair_o,
    .in_raddr_o,
    .in_rdata_i,
    .weight_raddr_o,
    .weight_rdata_i,
    .tab_i(tab),
    .par_i(par),
    .out_we_o,
    .out_waddr_o,
    .out_wdata_o
  );
endmodule
