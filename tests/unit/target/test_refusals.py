"""What is refused: the table of rules beside the same rules written out by hand."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from support.places import RTL
from winogen.target import isa
from winogen.target.board import CoreConfig, load_board
from winogen.target.checks import descriptor_problem, table_depth
from winogen.target.expressions import Expression
from winogen.target.isa import FIELDS, Compute, Instruction, LoadInput, Opcode, Table, operands
from winogen.target.refusals import CHECK_SLOTS, RULES, Forbidden, Within, slots
from winogen.target.rtlrules import BASE_BITS, FACTOR_BITS, SIZE_BITS

CORES = [load_board("tiny").core, load_board("pynq-z2").core, load_board("pynq-z2", 16).core]
CORES.append(replace(CORES[0], products=2))
COUNTS = {
    Opcode.LOAD_INPUT: "images blocks rows columns column_step",
    Opcode.LOAD_WEIGHTS: "blocks phases taps",
    Opcode.LOAD_PARAMS: "count",
    Opcode.LOAD_TABLE: "count",
    Opcode.COMPUTE: "images blocks tiles_y tiles_x tile steps accumulators phases patch_rows "
    "patch_columns stride_y stride_x",
    Opcode.STORE: "images rows columns",
}


def plain(x: Instruction, core: CoreConfig) -> str | None:
    """The rules in words of their own: what descriptor_problem() is held against."""
    f = operands(x)
    if (x.wait | x.signal) & {"LOAD": 1, "COMPUTE": 2, "STORE": 4}[x.engine.name]:
        return "an engine cannot wait for itself"
    if isinstance(x, (LoadInput, Compute)):
        if x.pitch < x.columns:
            return f"its pitch {x.pitch} is less than its {x.columns} columns"
        if x.rows and x.pitch % 4 != 2:
            return f"its pitch {x.pitch} is not 2 more than a multiple of 4"
    if isinstance(x, Compute):
        if x.tile == 3 or (x.winograd and x.tile < 2):
            return f"a tile of {x.tile} is not possible in this mode"
        if x.patch_row + x.patch_rows > 4 or x.patch_column + x.patch_columns > 4:
            return "the patch reaches outside its 4 x 4 positions"
    for name in ("half", "pair"):
        if core.products == 1 and f.get(name):
            return f"{name} is set, and this build has no pairs of output blocks"
    for name in ("coding", "beats"):
        if not core.decoder and f.get(name):
            return f"{name} is set, and this build has no decoder of weights"
    if isinstance(x, isa.LoadWeights):
        if x.coding == 3:
            return "a coding of 3 does not exist"
        if x.beats and not x.coding:
            return f"its weights are plain, and it has {x.beats} beats of coded ones"
        if x.coding and not x.beats:
            return "its weights are coded, and it has no beats of them"
    if f.get("swap") and not f["pair"]:
        return "it swaps lanes of one block"
    for name in COUNTS[x.opcode].split():
        if not f[name]:
            return f"{name} is zero"
    for memory, end, depth in ends(x, core):
        if end > depth:
            return f"it reaches word {end} of the {memory}, which has {depth}"
    if f.get("offset", 0) % core.word_bytes:
        return f"its offset {f['offset']} is not a multiple of {core.word_bytes} bytes"
    return None


def ends(x: Instruction, core: CoreConfig) -> list[tuple[str, int, int]]:
    """The memories that an instruction uses, where it ends in each, and their depths."""
    if isinstance(x, LoadInput):
        return [("input buffer", x.base + x.images * x.blocks * x.rows * x.pitch, core.input_depth)]
    if isinstance(x, isa.LoadWeights):
        return [("phase table", x.phase_base + x.phases, core.phase_depth),
                ("weight buffer", x.base + x.blocks, core.weight_depth)]  # fmt: skip
    if isinstance(x, isa.LoadParams):
        return [("parameter buffer", x.base + x.count, core.param_depth)]
    if isinstance(x, isa.LoadTable):
        name = ["step", "accumulator", "phase", "activation"][x.table]
        depth = [core.step_depth, 2 * core.accumulator_depth, core.phase_depth, 1025][x.table]
        return [(f"{name} table", x.base + x.count, depth)]
    if isinstance(x, isa.Store):
        return [("output buffer", x.base + x.images * x.rows * x.columns, core.output_depth)]
    assert isinstance(x, Compute)
    tiles = x.images * x.tiles_y * x.tiles_x
    tiles *= 1 + x.pair
    outputs = (1 + x.pair) * x.images * x.output_rows * x.output_columns
    accumulators = x.accumulator_base + x.accumulators
    return [
        ("input buffer", x.input_base + x.images * x.blocks * x.rows * x.pitch, core.input_depth),
        ("weight buffer", x.weight_base + x.blocks * x.weight_stride, core.weight_depth),
        ("partial-sum memory", x.psum_base + tiles * x.phases * x.tile**2, core.psum_depth),
        ("output buffer", x.output_base + outputs, core.output_depth),
        ("step table", x.step_base + x.steps, core.step_depth),
        ("accumulator table", accumulators, 2 * core.accumulator_depth),
        ("accumulators", x.accumulators, core.accumulator_depth),
        ("phase table", x.phase_base + x.phases, core.phase_depth),
        ("parameter buffer", x.param_base + 1, core.param_depth),
    ]


def draw(rng: random.Random, opcode: Opcode, core: CoreConfig) -> Instruction:
    """An instruction whose fields are mostly small; one of its ranges often ends near a depth."""
    f = {name: rng.choice((0, 1, 1, 2, 2, 3, 4)) for name in FIELDS[opcode] if name != "opcode"}
    f |= {"wait": rng.choice((0, 0, 0, 1, 2, 4)), "signal": rng.choice((0, 0, 0, 1, 2, 4))}
    f["layer"] = rng.randrange(4096)
    for name, field in FIELDS[opcode].items():
        low, high = field.limits
        if name in f:
            if rng.random() < 0.03:
                f[name] = rng.choice((0, high, rng.randint(low, high)))
            f[name] = max(low, min(high, f[name]))
    if "offset" in f:
        f["offset"] = rng.randrange(1 << 20) * core.word_bytes + (rng.random() < 0.1)
    if "pitch" in f and rng.random() < 0.9:
        f["pitch"] = f["columns"] + (2 - f["columns"]) % 4
    if opcode is Opcode.COMPUTE and rng.random() < 0.9:
        f |= {"winograd": int(f["tile"] == 2), "patch_row": 0, "patch_column": 1}
        f |= {"patch_rows": rng.randint(0, 4), "patch_columns": rng.randint(0, 3)}
    if core.products == 1 and rng.random() < 0.95:
        f |= {name: 0 for name in ("half", "pair") if name in f}
    if "coding" in f and rng.random() < 0.9:
        f["coding"] = rng.choice((0, 0, 1, 2)) if core.decoder else 0
        f["beats"] = f["coding"] and max(f["beats"], 1)
    if "swap" in f and rng.random() < 0.95:
        f["swap"] *= f["pair"]
    if rng.random() < 0.7:
        f |= {name: max(1, f[name]) for name in COUNTS[opcode].split()}
    x = isa.CLASSES[opcode](**f)
    bases = [n for n in f if n == "base" or n.endswith("_base")]
    if bases and rng.random() < 0.7:
        name = rng.choice(bases)
        for (_, end, depth), base in zip(ends(x, core), _bases(opcode)):
            if base == name:
                at = depth - (end - f[name]) + rng.choice((-1, 0, 0, 1))
                setattr(x, name, max(0, min(FIELDS[opcode][name].limits[1], at)))
    return x


def _bases(opcode: Opcode) -> list[str | None]:
    ranges = [rule for rule in RULES[opcode] if isinstance(rule, Within)]
    return [rule.base.text if rule.base else None for rule in ranges]


@pytest.mark.parametrize("count", [800, pytest.param(3000, marks=pytest.mark.long)])
@pytest.mark.parametrize("core", CORES, ids=["tiny", "int8", "int16", "packed"])
@pytest.mark.parametrize("opcode", Opcode)
def test_every_message_is_that_of_the_plain_rules(opcode, core, count):
    rng = random.Random(int(opcode))
    seen: Counter[str] = Counter()
    for _ in range(count):
        x = draw(rng, opcode, core)
        problem = plain(x, core)
        assert descriptor_problem(x, core) == problem, x
        seen[re.sub(r"\d+", "n", problem or "legal")] += 1
    assert seen["legal"] > 100
    assert {f"{name} is zero" for name in COUNTS[opcode].split()} <= seen.keys()
    reached = {m[1] for text in seen if (m := re.search("of the (.*), which", text))}
    wanted = 4 if opcode is Opcode.LOAD_TABLE else len(_bases(opcode))
    # An accumulator more than there are does not fit their table either, in one of two places.
    assert len(reached) >= wanted - (opcode is Opcode.COMPUTE)


def test_a_reserved_bit_comes_first():
    x = isa.LoadParams(segment=0, offset=1, base=0, count=0, wait=1, reserved=1)
    assert descriptor_problem(x, CORES[0]) == "bits without a meaning are set"


def test_depths_of_tables():
    core = CORES[1]
    assert [table_depth(t, core) for t in Table] == [
        core.step_depth, 2 * core.accumulator_depth, core.phase_depth, 1025,
    ]  # fmt: skip


# --- in SystemVerilog ----------------------------------------------------------------------------


def test_the_schedule_leaves_two_cycles_between_factors():
    """The multiplier's result is back two cycles later; every range is checked once."""
    for opcode in Opcode:
        schedule = slots(opcode)
        assert list(range(CHECK_SLOTS[opcode]))[-1] in schedule
        ranges = [rule for rule in RULES[opcode] if isinstance(rule, Within)]
        assert sorted(map(id, ranges)) == sorted(id(s.ends) for s in schedule.values() if s.ends)
        for at, slot in schedule.items():
            if slot.ends is None:
                continue
            factors = [slot.factor.text]
            while not schedule[at].first:
                at -= 2
                factors.insert(0, schedule[at].factor.text)
            assert factors == [f.text for f in slot.ends.factors]


def test_the_cycles_of_the_check():
    """Fetch waits for them: hardware_speed and the cost model count on these."""
    assert {o.name: n for o, n in CHECK_SLOTS.items()} == {
        "LOAD_INPUT": 7, "LOAD_WEIGHTS": 2, "LOAD_PARAMS": 1, "LOAD_TABLE": 1, "COMPUTE": 19,
        "STORE": 5,
    }  # fmt: skip


def test_widths_hold_every_factor_base_and_depth():
    for opcode, rules in RULES.items():
        widths = {name: f.width for name, f in FIELDS[opcode].items()}
        for rule in rules:
            if isinstance(rule, Within):
                assert all(f.width(widths) <= FACTOR_BITS for f in rule.factors)
                assert rule.base is None or rule.base.width(widths) <= BASE_BITS
    assert (1 << BASE_BITS) < (1 << SIZE_BITS) - 1  # a saturated product is above every depth


def test_every_rule_is_in_the_package():
    text = (RTL / "winogen_rules_pkg.sv").read_text()
    for opcode, rules in RULES.items():
        widths = {name: f.width for name, f in FIELDS[opcode].items()}
        for rule in rules:
            if isinstance(rule, Forbidden):
                for condition in rule.condition.alternatives:
                    said = condition.verilog(widths, lambda name: f"@{name}")
                    pattern = re.escape(said).replace("@", r"\w+\.")
                    assert re.search(rf"bad\[\d+\] = {pattern};", text), said


# --- expressions ---------------------------------------------------------------------------------

WIDTHS = {"a": 4, "b": 6, "flag": 1, "pair": 2}


@pytest.mark.parametrize(
    ("text", "verilog", "width"),
    [
        ("a", "d.a", 4),
        ("a + b", "7'(d.a) + 7'(d.b)", 7),
        ("a * b", "10'(d.a) * 10'(d.b)", 10),
        (
            "pair * pair",
            "{d.pair == 2'd1 ? 4'd1 : d.pair == 2'd2 ? 4'd4 : d.pair == 2'd3 ? 4'd9 : 4'd0}",
            4,
        ),
        (
            "flag * (flag + pair)",
            "{{d.flag, d.pair} == 3'd4 ? 4'd1 : {d.flag, d.pair} == 3'd5 ? 4'd2 : "
            "{d.flag, d.pair} == 3'd6 ? 4'd3 : {d.flag, d.pair} == 3'd7 ? 4'd4 : 4'd0}",
            4,
        ),
        ("b % 8", "d.b[2:0]", 3),
        ("a < b", "6'(d.a) < d.b", None),
        ("a + b > 9", "7'(d.a) + 7'(d.b) > 7'd9", None),
        ("flag and b or a >= 3", "(d.flag && d.b != '0) || d.a >= 4'd3", None),
    ],
)
def test_expressions_in_systemverilog(text, verilog, width):
    expression = Expression(text)
    assert expression.verilog(WIDTHS, lambda name: f"d.{name}") == verilog
    if width is None:
        with pytest.raises(ValueError, match="no number"):
            expression.width(WIDTHS)
    else:
        assert expression.width(WIDTHS) == width


@pytest.mark.parametrize("text", ["a - b", "a // 2", "b % 3", "f(a)", "a < b < 3", "a if b else a"])
def test_what_expressions_cannot_say(text):
    with pytest.raises(ValueError, match=r"SystemVerilog|number"):
        Expression(text).verilog(WIDTHS, str)


def test_parts_of_an_expression():
    end = Expression("base + a * b * (a * a)")
    assert [t.text for t in end.terms] == ["base", "a * b * (a * a)"]
    assert [f.text for f in end.terms[1].factors] == ["a", "b", "a * a"]
    assert end.names == ("base", "a", "b")
    assert eval(end.python("x"), {"x": type("X", (), {"base": 5, "a": 2, "b": 3})}) == 29
    assert [e.text for e in Expression("a or b and flag").alternatives] == ["a", "b and flag"]
