"""Paths of a placed design, out of the delays that nextpnr writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from winogen.fpga.sdf import PlacedPath, placed_paths

WIRES = [
    (r"u_a.count_q_TRELLIS_FF_Q_3/Q", r"u_a.full_LUT4_Z/A", 900),
    (r"u_a.count_q_TRELLIS_FF_Q_3/Q", r"u_a.other_LUT4_Z/A", 100),
    (r"u_a.full_LUT4_Z/F", r"u_b.take_LUT4_Z/B", 400),
    (r"u_b.take_LUT4_Z/F", r"u_b.g_lane\[1\].data_q_TRELLIS_FF_Q/DI", 300),
    (r"u_b.take_LUT4_Z/F", r"u_b.g_lane\[2\].data_q_TRELLIS_FF_Q/DI", 200),
    (r"u_a.other_LUT4_Z/F", r"u_a.count_q_TRELLIS_FF_Q_3/DI", 50),
    (r"u_c.u_mem.mem.0.0/DOA0", r"u_a.other_LUT4_Z/B", 70),
    (r"input_LUT4_Z/F", r"u_a.full_LUT4_Z/B", 9000),  # from no register
]


def cell(type_: str, name: str, paths: list[tuple[str, str, int]], setup: dict[str, int]) -> str:
    lines = [f'  (CELL\n    (CELLTYPE "{type_}")\n    (INSTANCE {name})\n    (DELAY (ABSOLUTE']
    lines += [f"        (IOPATH {a} {b} (1:2:{n}) (1:2:3))" for a, b, n in paths]
    lines += ["    ))\n    (TIMINGCHECK"]
    for pin, time in setup.items():
        for edge in ("posedge", "negedge"):
            lines.append(
                f"      (SETUPHOLD ({edge} {pin}) (posedge CLK) ({time}:{time}:{time}) (9:9:9))"
            )
    return "\n".join([*lines, "    )\n  )", ""])


@pytest.fixture
def design(tmp_path) -> Path:
    text = '(DELAYFILE\n  (CELL\n    (CELLTYPE "top")\n    (INSTANCE )\n'
    for source, target, delay in WIRES:
        text += f"        (INTERCONNECT {source} {target} (1:2:{delay}) ({delay}:1:1))\n"
    ff, lut = "TRELLIS_FF", "TRELLIS_COMB"
    for name in ("u_a.full_LUT4_Z", "u_a.other_LUT4_Z", "u_b.take_LUT4_Z", "input_LUT4_Z"):
        text += cell(lut, name, [("A", "F", 200), ("B", "F", 150)], {})
    for name in (r"u_b.g_lane\[1\].data_q_TRELLIS_FF_Q", r"u_b.g_lane\[2\].data_q_TRELLIS_FF_Q"):
        text += cell(ff, name, [("CLK", "Q", 300)], {"DI": 10})
    text += cell(ff, "u_a.count_q_TRELLIS_FF_Q_3", [("CLK", "Q", 300)], {"DI": 10})
    text += cell("DP16KD", "u_c.u_mem.mem.0.0", [("CLKA", "DOA0", 1400)], {})
    file = tmp_path / "delays.sdf"
    file.write_text(text + ")\n")
    return file


def test_the_worst_path_between_each_two_instances(design):
    found = placed_paths(design, 10)
    # 300 + 900 + 200 + 400 + 150 + 300, and the setup; a net of it drives two pins.
    assert found[0] == PlacedPath(2260, 1600, 2, "u_a.count_q", "u_b.g_lane.data_q", 2)
    assert found[1] == PlacedPath(1680, 120, 1, "u_c.u_mem.mem", "u_a.count_q", 1)
    assert len(found) == 2  # what is shorter to the same end is not told
    assert found[0].modules == ("u_a", "u_b.g_lane")
    assert found[0].as_dict()["levels"] == 2


def test_no_more_than_asked_for(design):
    assert len(placed_paths(design, 1)) == 1


def test_a_loop_is_refused(design):
    wire = "        (INTERCONNECT u_b.take_LUT4_Z/F u_a.full_LUT4_Z/B (1:1:1) (1:1:1))\n"
    design.write_text(design.read_text().replace("    (INSTANCE )\n", "    (INSTANCE )\n" + wire))
    with pytest.raises(ValueError, match="loop"):
        placed_paths(design, 2)
