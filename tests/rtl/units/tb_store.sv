// wg_store with flat ports, as cocotb wants them.
module tb_store
  import wg_types_pkg::*;
#(
  parameter int unsigned DataWidth = 8,
  parameter int unsigned Lanes = 8,
  parameter int unsigned OutputDepth = 1024,
  parameter int unsigned AddrWidth = 64,
  localparam int unsigned WordBits = Lanes * DataWidth,
  localparam int unsigned OutputAW = $clog2(OutputDepth)
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 clear_i,
  input  logic                 start_valid_i,
  output logic                 start_ready_o,
  input  logic [511:0]         start_bits_i,
  input  logic [19:0]          start_index_i,
  output logic                 done_o,
  output logic                 fault_valid_o,
  output logic [7:0]           fault_code_o,
  output logic [19:0]          fault_index_o,
  output logic [AddrWidth-1:0] fault_addr_o,
  input  logic [3:0][63:0]     segment_base_i,
  output logic [OutputAW-1:0]  out_raddr_o,
  input  logic [WordBits-1:0]  out_rdata_i,
  output logic                 run_valid_o,
  input  logic                 run_ready_i,
  output logic [AddrWidth-1:0] run_addr_o,
  output logic [31:0]          run_bytes_o,
  output logic                 run_last_o,
  output logic                 data_valid_o,
  input  logic                 data_ready_i,
  output logic [63:0]          data_o,
  input  logic                 write_done_i,
  input  logic                 write_error_valid_i,
  input  logic [7:0]           write_error_code_i,
  input  logic [AddrWidth-1:0] write_error_addr_i
);
  localparam config_t Config = '{
      DataWidth: DataWidth,
      Lanes: Lanes,
      TileLanes: DefaultConfig.TileLanes,
      InputDepth: DefaultConfig.InputDepth,
      WeightDepth: DefaultConfig.WeightDepth,
      PsumDepth: DefaultConfig.PsumDepth,
      OutputDepth: OutputDepth,
      StepDepth: DefaultConfig.StepDepth,
      AccumulatorDepth: DefaultConfig.AccumulatorDepth,
      PhaseDepth: DefaultConfig.PhaseDepth,
      ParamDepth: DefaultConfig.ParamDepth,
      ReadPorts: DefaultConfig.ReadPorts,
      Products: DefaultConfig.Products,
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

  run_t run;
  write_beat_t beat;
  assign run_valid_o  = run.valid;
  assign run_addr_o   = run.addr[AddrWidth-1:0];
  assign run_bytes_o  = run.bytes;
  assign run_last_o   = run.last;
  assign data_valid_o = beat.valid;
  assign data_o       = beat.data;

  bus_error_t write_error;
  assign write_error = '{
          valid: write_error_valid_i,
          code: write_error_code_i,
          addr: 64'(write_error_addr_i)
      };
  wg_store #(
    .Config(Config)
  ) u_dut (
    .clk_i,
    .rst_ni,
    .clear_i,
    .start_i(start),
    .engine_o(engine),
    .segment_base_i,
    .out_raddr_o,
    .out_rdata_i,
    .run_o(run),
    .run_ready_i,
    .beat_o(beat),
    .beat_ready_i(data_ready_i),
    .write_done_i,
    .write_error_i(write_error)
  );
endmodule
