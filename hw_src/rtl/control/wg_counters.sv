// The counters of a run, in the order of the register map. What they add is registered first.
module wg_counters
  import wg_types_pkg::*, winogen_pkg::*;
#(
  parameter int unsigned Multipliers = 192  // products a step, of one block of output channels
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              clear_i,    // a stream starts
  input  logic              running_i,
  input  issue_t [2:0]      issue_i,
  input  logic [2:0]        done_i,     // pulse: an instruction has ended
  input  logic              fetched_i,  // pulse: an instruction was read
  input  work_t             work_i,
  output logic [Counters-1:0][63:0] counters_o,
  output logic [20:0]       fetched_o   // instructions that were read
);
  logic [Counters-1:0][32:0] add_d, add_q;

  always_comb begin
    add_d = '0;
    add_d[CounterCycles] = 33'd1;
    add_d[CounterLoadBusy] = 33'(issue_i[EngineLoad].busy);
    add_d[CounterLoadStall] = 33'(issue_i[EngineLoad].stall);
    add_d[CounterComputeBusy] = 33'(issue_i[EngineCompute].busy);
    add_d[CounterComputeStall] = 33'(issue_i[EngineCompute].stall);
    add_d[CounterStoreBusy] = 33'(issue_i[EngineStore].busy);
    add_d[CounterStoreStall] = 33'(issue_i[EngineStore].stall);
    add_d[CounterMultiplies] = work_i.step ? 33'(Multipliers) << work_i.pair : '0;
    add_d[CounterBytesRead] = (work_i.read_valid ? 33'(work_i.read_bytes) : '0)
        + (fetched_i ? 33'(InstructionBytes) : '0);
    add_d[CounterBytesWritten] = work_i.write_valid ? 33'(work_i.write_bytes) : '0;
    add_d[CounterInstructions] = 33'(done_i[0]) + 33'(done_i[1]) + 33'(done_i[2]);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      add_q <= '0;
      counters_o <= '0;
      fetched_o <= '0;
    end else begin
      add_q <= running_i ? add_d : '0;
      for (int unsigned i = 0; i < Counters; i++) counters_o[i] <= counters_o[i] + 64'(add_q[i]);
      if (running_i && fetched_i) fetched_o <= fetched_o + 1'b1;
    end
  end

  // The rest of an engine's state is not counted.
  logic unused;
  assign unused = ^issue_i;
endmodule
