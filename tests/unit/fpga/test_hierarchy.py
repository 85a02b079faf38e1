"""Synthesis in parts: modules that are alike are one, and count as often as they stand."""

from __future__ import annotations

import json
from string import Template

import pytest

from winogen.bench.resources import LARGE, builds
from winogen.fpga import hierarchy
from winogen.fpga.area import Area
from winogen.fpga.parts import find_part
from winogen.fpga.synthesis import synthesis_key
from winogen.fpga.yosys import find_yosys
from winogen.target.board import load_board
from winogen.target.hardware import TOP, hardware_folder, parameters, rtl_headers, rtl_sources

LEAF = """attribute \\hdlname "leaf"
module $name
  wire width $width input 1 \\a
  wire $$procmux$$${number}_Y
  cell $$not $$not$$${number}
    connect \\Y $$procmux$$${number}_Y
  end
end
"""
#: Two leaves are alike but for numbers, one is wider; so one of the three pairs is another.
LEAVES = [
    ("\\leaf$top.u_0.u_leaf", 4, 17),
    ("\\leaf$top.u_1.u_leaf", 4, 40),
    ("\\leaf$top.u_2.u_leaf", 5, 2),
]
DESIGN = "".join(
    Template(LEAF).substitute(name=name, width=width, number=number)
    for name, width, number in LEAVES
) + "".join(
    f"module \\pair$top.u_{i}\n  cell {LEAVES[i][0]} \\u_leaf\n  end\n"
    f"  cell \\extern \\u_extern\n  end\nend\n"
    for i in range(3)
)  # fmt: skip
TOP_MODULE = "module \\top\n" + "".join(
    f"  cell \\pair$top.u_{i} \\u_{i}\n  end\n" for i in range(3)
) + "end\n"  # fmt: skip


def test_what_is_alike_is_one_module():
    merged = hierarchy.merge_modules(DESIGN + TOP_MODULE)
    names = [line.split()[1] for line in merged.splitlines() if line.startswith("module")]
    assert names == [
        *("\\leaf$top.u_0.u_leaf", "\\leaf$top.u_2.u_leaf"),
        *("\\pair$top.u_0", "\\pair$top.u_2", "\\top"),
    ]
    assert merged.count("cell \\pair$top.u_0 ") == 2
    assert merged.count("cell \\extern ") == 2
    assert merged.startswith('attribute \\hdlname "leaf"\nmodule')
    assert hierarchy.merge_modules(merged) == merged


def test_large_modules_that_stand_often_stay_apart(monkeypatch):
    monkeypatch.setattr(hierarchy, "_OFTEN", 3)
    monkeypatch.setattr(hierarchy, "_LARGE", 60)
    once = "module \\once\n" + "  cell \\leaf \\u\n  end\n" * 3 + "end\n"
    leaf = "module \\leaf\n" + "  wire \\a\n" * 9 + "end\n"
    small = "attribute \\src 1\nmodule \\small\n  wire \\a\nend\n"
    top = "module \\top\n  cell \\once \\o\n  end\n" + "  cell \\small \\s\n  end\n" * 5 + "end\n"
    design = once + leaf + small + top
    mark = "attribute \\keep_hierarchy 1\n"
    assert hierarchy.keep_apart(design, "\\top") == once + mark + leaf + small + top


def test_modules_count_as_often_as_they_stand():
    modules = {
        "\\top": {"num_cells_by_type": {"pair": 3, "FDRE": 1}},
        "\\pair": {"num_cells_by_type": {"leaf": 2, "DSP48E1": 1}},
        "\\leaf": {"num_cells_by_type": {"LUT6": 5, "RAM32M": 1, "CARRY4": 7}},
    }
    often = hierarchy.instances(modules, "\\top")
    assert often == {"\\top": 1, "\\pair": 3, "\\leaf": 6}
    area = hierarchy.count(modules, often)
    assert area == Area(dsp=3, lut=54, lutram=24, ff=1)
    modules["\\leaf"]["num_cells_by_type"]["odd"] = 1
    with pytest.raises(ValueError, match="unknown type"):
        hierarchy.count(modules, often)


def test_what_is_kept_is_of_the_builds_that_are_shown():
    kept = json.loads(LARGE.read_text(encoding="utf-8"))
    every = list(builds())
    assert set(kept) <= {build.title for build in every} | {"pynq-z2"}
    for build in every:
        if build.title not in kept:
            continue
        assert build.kept and build.core.multipliers >= 2304, build.title
        assert build.area.dsp <= find_part(build.device).dsp
        assert build.area.lut <= find_part(build.device).lut


@pytest.mark.long
def test_what_is_kept_is_of_these_sources():
    kept = json.loads(LARGE.read_text(encoding="utf-8"))
    for build in (b for b in builds() if b.title in kept):
        assert kept[build.title]["key"] == synthesis_key(
            build.core, find_part(build.device).family
        ), f"{build.title}: run python benchmarks/large_builds.py --keep"


@pytest.mark.long
def test_the_merged_design_is_the_design(tmp_path):
    """Flattened, both have the same cells."""
    yosys = find_yosys()
    for path in [*rtl_headers(), *rtl_sources()]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    values = {
        "top": TOP,
        "threads": yosys.threads,
        "parameters": " ".join(
            f"-G {n}={v}" for n, v in parameters(load_board("tiny").core).items()
        ),
        "sources": " ".join(path.name for path in rtl_sources()),
    }
    text = (hardware_folder() / "synth" / "design.ys").read_text(encoding="utf-8")
    (tmp_path / "design.ys").write_text(Template(text).substitute(values), encoding="utf-8")
    yosys.run(tmp_path / "design.ys", tmp_path / "log", 600)
    design = (tmp_path / "design.il").read_text(encoding="utf-8")
    merged = hierarchy.merge_modules(design)
    assert merged.count("\nmodule ") < design.count("\nmodule ") / 2
    (tmp_path / "merged.il").write_text(merged, encoding="utf-8")
    counts = []
    for name in ("design", "merged"):
        script = tmp_path / f"{name}-flat.ys"
        script.write_text(
            f"read_rtlil {name}.il\nhierarchy -check -top {TOP}\nproc\nflatten\n"
            f"tee -q -o {name}.json stat -json\n",
            encoding="utf-8",
        )
        yosys.run(script, tmp_path / "log", 600)
        found = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        counts.append(found["modules"][f"\\{TOP}"]["num_cells_by_type"])
    assert counts[0] == counts[1]
