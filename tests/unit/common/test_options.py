"""Options as fields: names, flags, defaults, documentation and refusals."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from winogen.common.errors import InputError
from winogen.common.options import Options, option


@dataclass(frozen=True, kw_only=True, eq=False)
class Base(Options):
    """What is common."""

    depth: int = option(3, help="how deep", group="base", default="3", parse=int)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pump(Base):
    """A pump."""

    flow_rate: float | None = option(help="litres", group="pump", parse=float)
    kind: str = option("a", help="{names}, or a file", group="pump", flag="--sort",
                       choices=("a", "b"), names=lambda: ["a", "b"])  # fmt: skip
    ends: tuple[int, int] | None = option(help="both", group="pump", parse=int, count=2)


def test_options_are_described_by_field_their_own_first():
    assert list(Pump.described) == ["flow_rate", "kind", "ends", "depth"]
    assert [o.flag for o in Pump.described.values()] == ["--flow-rate", "--sort", "--ends",
                                                         "--depth"]  # fmt: skip
    assert list(Base.described) == ["depth"]
    assert Base.described["depth"].text() == "how deep (default: 3)"
    assert Pump.described["kind"].text("one of a, b") == "one of a, b, or a file"


def test_the_documentation_lists_them():
    doc = Pump.__doc__ or ""
    assert doc.startswith("A pump.")
    lines = [line.strip() for line in doc.splitlines()]
    assert lines[2:4] == ["Attributes", "----------"]
    assert lines[4:8] == [
        "flow_rate : litres", "kind : a name, or a file", "ends : both",
        "depth : how deep (default: 3)",
    ]  # fmt: skip


def test_values_are_checked():
    made = Pump(ends=[1, 2])
    assert (made.depth, made.flow_rate, made.kind, made.ends) == (3, None, "a", (1, 2))
    for ends in (3, (1,), (1, 2, 3), ("a", "b")):
        with pytest.raises(InputError, match="ends must be 2 numbers, not"):
            Pump(ends=ends)
    with pytest.raises(InputError, match="unknown kind 'c'; choose one of a, b"):
        Pump(kind="c")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("flow_rat", "did you mean 'flow_rate'? "), ("sort", "did you mean 'kind'? "),
     ("xyz", "")],
)  # fmt: skip
def test_unknown_names_are_refused(name, hint):
    with pytest.raises(InputError) as error:
        Pump.of("pump", {"depth": 2, name: 1})
    options = "its options: flow_rate, kind, ends, depth"
    assert str(error.value) == f"pump has no option '{name}'; {hint}{options}"
    assert Pump.of("pump", {"depth": 2}).depth == 2
