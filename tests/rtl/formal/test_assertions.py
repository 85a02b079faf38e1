"""The macros of wg_assert.svh say what they are named for: a proof fails where it is not so.

Each is proved of a module for which it holds and fails for one that breaks it; synthesis sees
none of them.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.places import RTL

MODULE = """
`include "wg_assert.svh"
module planted (
  input  logic       clk_i, rst_ni, clear_i, start_i, ready_i,
  input  logic [3:0] data_i,
  output logic       valid_q,
  output logic [3:0] data_q
);
  always_ff @(posedge clk_i) begin
    if (LOAD) data_q <= data_i;
    if (!rst_ni || clear_i) valid_q <= 1'b0;
    else if (start_i) valid_q <= 1'b1;
    else if (ready_i) valid_q <= VALID;
  end
  ASSERTION
endmodule
"""
HOLD = "`ASSERT_HOLD(holds, valid_q, ready_i, data_q, clear_i)"
QUIET = "start_i && (!valid_q || ready_i)"
CASES = {
    "an offer that holds": (QUIET, "1'b0", HOLD, True),
    "a payload that changes": ("start_i", "1'b0", HOLD, False),
    "an abandoned offer": (QUIET, "1'b0", HOLD.replace("clear_i", "1'b0"), False),
    "a condition": (QUIET, "1'b0", "`ASSERT(same, data_q == data_q)", True),
    "a wrong condition": (QUIET, "1'b0", "`ASSERT(zero, data_q == '0)", False),
    "one of two": (QUIET, "1'b0", "`ASSERT_ONEHOT0(one, ({valid_q, !valid_q}))", True),
    "two of two": (QUIET, "1'b0", "`ASSERT_ONEHOT0(one, ({valid_q, valid_q}))", False),
}
SCRIPT = """
import sys
from pyosys import libyosys as ys
design = ys.Design()
for command in sys.argv[1:]:
    ys.run_pass(command, design)
"""


def run(*commands: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("pyosys")
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *commands], capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def planted(tmp_path):
    def write(load: str, valid: str, assertion: str) -> str:
        text = MODULE.replace("LOAD", load).replace("VALID", valid)
        path = tmp_path / "planted.sv"
        path.write_text(text.replace("ASSERTION", assertion))
        return f"--top planted -I {RTL} {path}"

    return write


@pytest.mark.parametrize("case", CASES)
def test_a_proof_says_whether_it_holds(case: str, planted) -> None:
    *parts, holds = CASES[case]
    done = run(
        f"read_slang -D FORMAL {planted(*parts)}",
        "prep -top planted",
        "async2sync",
        "chformal -lower",
        "sat -prove-asserts -seq 1 -tempinduct -maxsteps 8 -set-at 1 rst_ni 0 planted",
    )
    assert ("Induction step proven: SUCCESS!" in done.stdout) == holds, done.stdout[-3000:]
    assert ("SAT temporal induction proof finished - model found" in done.stdout) != holds


def test_synthesis_sees_no_assertion(planted) -> None:
    *parts, _ = CASES["a wrong condition"]
    reading = planted(*parts)
    for define, count in (("-D FORMAL", 1), ("", 0)):
        done = run(
            f"read_slang {define} {reading}", f"select -assert-count {count} t:$check t:$assert"
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
