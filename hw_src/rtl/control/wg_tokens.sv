`include "wg_assert.svh"

// The token counters: one for each ordered pair of different engines.
//
// A counter is two numbers: tokens that are available, and those plus the ones promised by
// instructions in flight. Room is judged by the second, so that a token can always be given.
module wg_tokens
  import winogen_pkg::*;
(
  input  logic            clk_i,
  input  logic            rst_ni,
  input  logic            clear_i,
  // First index: the engine at work; second index: the other engine of the pair.
  input  logic [2:0][2:0] take_i,       // an instruction of [first] takes one from [second]
  input  logic [2:0][2:0] promise_i,    // an instruction of [first] will give one to [second]
  input  logic [2:0][2:0] give_i,       // it gives it
  output logic [2:0][2:0] available_o,  // [first] can take one from [second]
  output logic [2:0][2:0] room_o        // [first] may promise one to [second]
);
  localparam int unsigned Width = $clog2(MaxTokens + 2);  // the assertions see one beyond

  for (genvar a = 0; a < 3; a++) begin : gen_from
    for (genvar b = 0; b < 3; b++) begin : gen_to
      if (a == b) begin : gen_self
        // No counter; the engine's own bit in a mask means nothing here.
        assign available_o[a][b] = 1'b1;
        assign room_o[a][b] = 1'b1;
        logic unused;
        assign unused = &{take_i[a][b], promise_i[a][b], give_i[a][b]};
      end else begin : gen_pair
        logic [Width-1:0] available_q, total_q;
        logic take, promise, give;
        assign take = take_i[b][a];
        assign promise = promise_i[a][b];
        assign give = give_i[a][b];
        assign available_o[b][a] = available_q != '0;
        assign room_o[a][b] = total_q != Width'(MaxTokens);

        always_ff @(posedge clk_i) begin
          if (!rst_ni || clear_i) begin
            available_q <= '0;
            total_q <= '0;
          end else begin
            available_q <= available_q + Width'(give) - Width'(take);
            total_q <= total_q + Width'(promise) - Width'(take);
          end
        end

        `ASSERT(available_is_part_of_all, clear_i || available_q <= total_q)
        `ASSERT(no_more_than_fit, clear_i || total_q <= Width'(MaxTokens))
        `ASSERT(takes_what_is_there, clear_i || !take || available_q != '0)
        `ASSERT(gives_what_was_promised, clear_i || !give || available_q != total_q)
        `ASSERT(promises_what_fits, clear_i || !promise || total_q != Width'(MaxTokens))
      end
    end
  end
endmodule
