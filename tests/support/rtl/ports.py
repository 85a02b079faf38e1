"""The signals of a simulated design as whole numbers.

cocotb looks up a name at every mention, and makes an object of its own for every value: most of
what a bench takes that looks at twenty signals in each cycle. Here a name is looked up once, values
are ``int``, and what is driven already is not driven again.
"""

from __future__ import annotations

from typing import Any

from cocotb.handle import LogicObject, ValueObjectBase

#: Up to so many bits the simulator hands out a value as a number; what is wider comes as digits.
_WORD = 32


def ports(scope: Any, handles: tuple[str, ...] = ("clk_i",)) -> Any:
    """An object with the attributes of a module or generate block, of which signals are numbers.

    Its ``handle`` is ``scope``.

    To read one gives its value, an unsigned ``int``; to write one drives it from the next
    evaluation on, as ``handle.value = ...`` does. An object that drives a signal must be the only
    one that does: it remembers what it has driven. Verilator has two states, so no value is
    unknown.

    Parameters
    ----------
    scope : cocotb's handle of the module or block
    handles : signals that stay cocotb's handles, to wait for their edges; so do parameters, and
        blocks within
    """
    names = {
        handle._name: _signal(handle)
        if isinstance(handle, ValueObjectBase)
        and not handle.is_const
        and handle._name not in handles
        else handle
        for handle in scope
    }
    return type("Ports", (), {"__slots__": (), "handle": scope, **names})()


def _signal(handle: Any) -> property:
    width = 1 if isinstance(handle, LogicObject) else len(handle)
    mask = (1 << width) - 1
    # The object beneath a handle is not cocotb's interface: pyproject.toml fixes its version.
    number, digits = handle._handle.get_signal_val_long, handle._handle.get_signal_val_binstr
    driven: int | None = None

    def read(_: Any) -> int:
        return number() & mask

    def read_wide(_: Any) -> int:
        return int(digits(), 2)

    def write(_: Any, value: int) -> None:
        nonlocal driven
        if value != driven:
            handle.value = driven = value

    return property(read if width <= _WORD else read_wide, write)
