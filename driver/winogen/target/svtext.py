"""How things are called in the generated SystemVerilog."""

from __future__ import annotations


def camel(name: str) -> str:
    """``load_input`` as ``LoadInput``."""
    return "".join(part.capitalize() for part in name.split("_"))


def member(name: str) -> str:
    """The name of a field as the member of a struct: keywords are told apart."""
    masks = {name: f"{name}_mask" for name in ("wait", "signal", "begin", "end")}
    return {**masks, "table": "table_id", "time": "low_time"}.get(name, name)
