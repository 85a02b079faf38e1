"""No sign hangs on a size cast, ``N'(x)``, of which tools make different things."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.rtl.signs import signs, size_casts
from support.rtl.slang import Design, Top, benches, builds, single_modules

#: What is said of the wrong places, and of the right ones.
PORTS = """
module planted #(parameter int unsigned Width = 12) (
  input logic signed [7:0] s_i, t_i, input logic [7:0] u_i, input logic [15:0] v_i,
  output logic signed [15:0] s_o, output logic [15:0] u_o, output logic b_o
);
  typedef logic signed [15:0] wide_t;
  typedef logic signed [Width-1:0] width_t;
"""
WRONG = {
    "widens": ("assign s_o = 16'(s_i);", "16'(s_i)"),
    "widens to a parameter": ("assign s_o = 16'(v_i[0]) | Width'(s_i);", "Width'(s_i)"),
    "of $signed": ("assign s_o = 16'($signed(u_i));", "16'($signed(u_i))"),
    "of signed'": ("assign s_o = 16'(signed'(u_i));", "16'(signed'(u_i))"),
    "of a sum": ("assign s_o = 16'(s_i + t_i);", "16'(s_i + t_i)"),
    "of a shift": ("assign s_o = 16'(s_i >>> 2);", "16'(s_i >>> 2)"),
    "of a negative constant": ("assign s_o = 16'(-8'sd3);", "16'(-8'sd3)"),
    "keeps the width": ("assign b_o = 8'(s_i) < t_i;", "8'(s_i)"),
    "in a function": ("function automatic logic signed [15:0] f(logic signed [7:0] x);\n"
                      "return 16'(x); endfunction assign s_o = f(s_i);", "16'(x)"),
    "in a port": ("wg_delay #(.Width(16)) u_d (.clk_i(b_o), .data_i(16'(s_i)), .data_o(s_o));",
                  "16'(s_i)"),
    "in a generated block": ("if (Width > 4) begin : gen assign s_o = 16'(s_i); end", "16'(s_i)"),
    "in another cast": ("assign u_o = 16'(unsigned'(12'(s_i)));", "12'(s_i)"),
    "in an index": ("assign b_o = v_i[4'(3'(s_i))];", "4'(3'(s_i))"),
    "narrows and is compared": ("assign b_o = 4'(s_i) < 4'sd3;", "4'(s_i)"),
    "narrows and is shifted": ("assign u_o[3:0] = 4'(s_i) >>> 1;", "4'(s_i)"),
    "narrows and is multiplied": ("assign s_o[7:0] = 4'(s_i) * 8'(t_i[0]);", "4'(s_i)"),
    "narrows and is widened": ("assign s_o = 4'(s_i);", "4'(s_i)"),
    "lost in a sum": ("assign u_o = v_i + s_i;", "s_i"),
    "lost in a product": ("assign u_o[7:0] = u_i * s_i;", "s_i"),
    "lost in a comparison": ("assign b_o = s_i < u_i;", "s_i"),
}  # fmt: skip
RIGHT = {
    "widened by a type": "assign s_o = wide_t'(s_i);",
    "widened by a type of a parameter's width": "assign s_o = wide_t'(width_t'(s_i));",
    "widened by an assignment": "wide_t x; assign x = s_i; assign s_o = x;",
    "narrowed": "assign u_o = {8'b0, 4'(s_i), 4'(t_i + s_i)};",
    "without a sign": "assign u_o = 16'(u_i) + Width'(v_i[3:0]);",
    "made one without": "assign u_o = 16'(unsigned'(s_i));",
    "constants": "assign s_o = 16'(5) + 16'(2 ** (Width - 1));",
    "a variable of a generated loop": "for (genvar i = 0; i < 4; i++) assign u_o[4*i+:4] = 4'(i);",
}


def planted(folder: Path, body: str) -> Design:
    path = folder / "planted.sv"
    path.write_text(f"{PORTS}{body}\nendmodule\n")
    return Design(Top("planted", (path,)))


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_cast_is_found(case: str, tmp_path: Path) -> None:
    body, text = WRONG[case]
    design = planted(tmp_path, body)
    assert {p.text for p in signs(design)[1] if p.file == "planted.sv"} == {text}
    assert "error:" not in design.problems()


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_cast_is_left_alone(case: str, tmp_path: Path) -> None:
    design = planted(tmp_path, RIGHT[case])
    assert not [p for p in signs(design)[1] if p.file == "planted.sv"]
    assert "error:" not in design.problems()


def test_a_cast_that_nobody_looked_at_is_told(tmp_path: Path) -> None:
    """As in the width of a variable, which slang keeps no expression of."""
    design = planted(tmp_path, "logic [4'(Width)-1:0] x; assign x = '0; assign b_o = x[0];")
    seen, _ = signs(design)
    assert {p.text for p in size_casts(design) - seen if p.file == "planted.sv"} == {"4'(Width)"}


def test_no_sign_hangs_on_a_cast() -> None:
    """Every size cast of the logic and of its test benches is looked at, in some build."""
    written, seen, bad = set(), set(), set()
    files: set[Path] = set()
    for top in [*builds(), *single_modules(), *benches()]:
        design = Design(top)
        if not files.issuperset(top.files) or not files:
            written |= size_casts(design)
            files.update(top.files)
        elaborated, wrong = signs(design)
        seen |= elaborated
        bad |= wrong
    assert sorted(map(str, bad)) == []
    assert sorted(map(str, written - seen)) == []
