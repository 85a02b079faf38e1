// Knows which instruction is longest under way, and says when nothing has gone on for too long.
module wg_watchdog
  import wg_types_pkg::*, winogen_pkg::*;
(
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             running_i,
  input  logic             progress_i,      // something has gone on in this cycle
  input  logic             hold_i,          // keep what was under way, for whoever wants to know
  input  logic [31:0]      cycles_i,        // without progress, that are too many; 0: any number
  input  issue_t [2:0]     issue_i,
  input  logic [20:0]      fetched_i,       // instructions that were read
  output logic             expired_o,       // a cycle late
  output logic [2:0]       oldest_valid_o,  // of each engine
  output logic [2:0][19:0] oldest_index_o,
  output logic [1:0]       engine_o,        // of the instruction that is longest under way, or of
  output logic [20:0]      index_o          // the one that is being fetched
);
  logic [2:0] is_oldest;
  logic [1:0] engine_d;
  logic [20:0] index_d;
  logic [31:0] quiet_q;  // cycles without progress

  // The index is unique.
  always_comb begin
    for (int i = 0; i < 3; i++) begin
      is_oldest[i] = oldest_valid_o[i];
      for (int j = 0; j < 3; j++) begin
        if (j != i && oldest_valid_o[j] && oldest_index_o[j] < oldest_index_o[i]) begin
          is_oldest[i] = 1'b0;
        end
      end
    end
    index_d = fetched_i;
    engine_d = EngineFetch;
    for (int i = 0; i < 3; i++) begin
      if (is_oldest[i]) begin
        index_d = {1'b0, oldest_index_o[i]};
        engine_d = 2'(i);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!hold_i) begin
      for (int i = 0; i < 3; i++) begin
        oldest_valid_o[i] <= issue_i[i].oldest_valid;
        oldest_index_o[i] <= issue_i[i].oldest_index;
      end
    end
    index_o <= index_d;
    engine_o <= engine_d;
    if (!rst_ni || !running_i || progress_i || cycles_i == '0) begin
      quiet_q <= '0;
      expired_o <= 1'b0;
    end else begin
      quiet_q <= quiet_q + 1'b1;
      expired_o <= quiet_q >= cycles_i - 1'b1;
    end
  end

  // Only what is under way matters here.
  logic unused;
  assign unused = ^issue_i;
endmodule
