"""Netlists made by hand, as Yosys writes them."""

from __future__ import annotations

from typing import Any

TOP = "top"


def cell(type_: str, inputs: dict[str, Any], outputs: dict[str, Any], **parameters: str) -> dict:
    ports = {**inputs, **outputs}
    return {
        "type": type_,
        "parameters": parameters,
        "port_directions": {p: "input" if p in inputs else "output" for p in ports},
        "connections": {p: b if isinstance(b, list) else [b] for p, b in ports.items()},
    }


def net(*bits: int, hidden: bool = False) -> dict:
    return {"hide_name": int(hidden), "bits": list(bits)}


def one(only: dict) -> dict:
    return {"modules": {TOP: {"cells": {"$only": only}, "netnames": {}}}}
