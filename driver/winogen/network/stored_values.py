"""What layers have besides parameters, as JSON and back; a file is believed nothing.

Readers take a value of JSON and return what a graph holds, or raise a ModelError that says what
was expected. Whether the values fit each other, the graph itself checks.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from winogen.common.errors import ModelError
from winogen.common.text import printable
from winogen.network.functions import ARGUMENT, ELEMENTWISE, Function, Step
from winogen.network.sampling import PAD_MODES, ROUNDINGS, Axis

Reader = Callable[[Any], Any]

#: Largest whole number, beyond all sizes that a graph accepts.
_MAX_WHOLE = 1 << 31
#: Largest numerator and denominator of a place; a float's have up to 2**1074, those met few digits.
_MAX_FRACTION = 1 << 1100
#: Steps of a function, and characters of a text; those met have fewer.
_MAX_STEPS, _MAX_TEXT = 1000, 10_000


def refuse(expected: str, value: Any) -> ModelError:
    """The error of a value of another kind."""
    return ModelError(f"expected {expected}, not {printable(reprlib.repr(value))}")


def text(value: Any) -> str:
    """Text that a terminal can show."""
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise refuse("a text", value)
    return printable(value)


def name(value: Any) -> str:
    """What a layer or an input is called: other places refer to it, so it is taken as it is."""
    if not isinstance(value, str) or not 0 < len(value) <= 1000 or not value.isprintable():
        raise refuse("a name", value)
    return value


def whole(value: Any, low: int = 0, high: int = _MAX_WHOLE) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise refuse(f"a whole number from {low}", value)
    return value


def real(value: Any) -> float:
    """A number, perhaps infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise refuse("a number", value)
    return float(value)  # OverflowError for an integer that is none


def number(value: Any) -> float:
    """A finite number."""
    found = real(value)
    if not math.isfinite(found):
        raise refuse("a finite number", value)
    return found


def positive(value: Any) -> float:
    """A finite number above 0."""
    found = number(value)
    if found <= 0:
        raise refuse("a positive number", value)
    return found


def truth(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise refuse("true or false", value)
    return value


def one_of(*words: str) -> Reader:
    """One of some words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise refuse(f"one of {', '.join(words)}", value)
        return value

    return read


def maybe(reader: Reader) -> Reader:
    """What ``reader`` reads, or None."""
    return lambda value: None if value is None else reader(value)


def several(reader: Reader, count: int | None = None) -> Reader:
    """A tuple of ``count`` of what ``reader`` reads, or of any number."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or count not in (None, len(value)):
            raise refuse("a list" if count is None else f"a list of {count}", value)
        return tuple(map(reader, value))

    return read


def members(value: Any, *names: str) -> list[Any]:
    """The values of a mapping that has exactly these names."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise refuse(f"a mapping of {', '.join(names)}", value)
    return [value[n] for n in names]


def _fraction(value: Any) -> Fraction:
    top, bottom = several(lambda v: whole(v, -_MAX_FRACTION, _MAX_FRACTION), 2)(value)
    if bottom < 1 or abs(top) > _MAX_WHOLE * bottom:
        raise refuse("a fraction", value)
    return Fraction(top, bottom)


def _axis(value: Any) -> Axis:
    given = members(value, *(f.name for f in dataclasses.fields(Axis)))
    inputs, outputs, start, step, cubic, inside, nearest = given
    return Axis(
        whole(inputs, 1),
        whole(outputs, 1),
        _fraction(start),
        _fraction(step),
        maybe(_fraction)(cubic),
        truth(inside),
        maybe(one_of(*ROUNDINGS))(nearest),
    )


def _function(value: Any) -> Function:
    title, steps = members(value, "name", "steps")
    if not isinstance(steps, list) or not 0 < len(steps) <= _MAX_STEPS:
        raise refuse("the steps of a function", steps)
    found = Function(text(title), tuple(_step(step, index) for index, step in enumerate(steps)))
    try:  # operators take so many inputs, and attributes that are numbers or words
        found(np.linspace(-1, 1, 3))
    except (TypeError, ValueError, ArithmeticError, KeyError) as error:
        what = printable(str(error))[:100]
        raise ModelError(f"its function cannot be computed: {what}") from None
    return found


def _step(value: Any, index: int) -> Step:
    operator, attrs, inputs = members(value, "operator", "attrs", "inputs")
    return Step(
        one_of(*ELEMENTWISE)(operator),
        several(_named)(attrs),
        several(lambda v: real(v) if isinstance(v, float) else whole(v, ARGUMENT, index - 1))(
            inputs
        ),
    )


def _named(value: Any) -> tuple[str, Any]:
    key, found = several(lambda v: v, 2)(value)
    if isinstance(found, str):
        return name(key), text(found)
    if isinstance(found, int):
        return name(key), whole(found, -_MAX_WHOLE)
    return name(key), real(found)


def _factor(value: Any) -> tuple[int, int]:
    count, stride = several(whole, 2)(value)
    return whole(count, 1), stride


_PAIR = several(lambda v: whole(v, 1), 2)
_EDGES = several(lambda v: whole(v, -_MAX_WHOLE), 4)

#: Attributes of each operation; whatever is not here has none.
ATTRIBUTES: dict[str, dict[str, Reader]] = {
    "conv": {"kernel": _PAIR, "stride": _PAIR, "pad": _EDGES},
    "deconv": {"kernel": _PAIR, "stride": _PAIR, "crop": _EDGES},
    "linear": {"shape": several(lambda v: whole(v, 1), 3)},
    "upsample": {"factor": lambda v: whole(v, 1)},
    "batchnorm": {"eps": number},
    "leaky_relu": {"slope": number},
    "clamp": {"low": real, "high": real},
    "quant_relu": {"step": positive, "high": number},
    "function": {"function": _function},
    "normalise": {"groups": whole, "centred": truth, "eps": number},
    "pad": {"mode": one_of(*PAD_MODES), "edges": _EDGES},
    "maxpool": {"kernel": _PAIR, "stride": _PAIR, "pad": _EDGES},
    "avgpool": {"kernel": _PAIR, "stride": _PAIR, "pad": _EDGES},
    "rearrange": {"factors": several(several(_factor), 3)},
    "resample": {"axes": several(_axis, 2)},
}
#: Attributes that any layer may have, and need not.
OPTIONAL: dict[str, Reader] = {"scale": positive, "reach": positive}


def attributes(op: str, value: Any) -> dict[str, Any]:
    """The attributes of a layer of this operation."""
    wanted = ATTRIBUTES.get(op, {})
    if not isinstance(value, dict) or not set(wanted) <= set(value) <= {*wanted, *OPTIONAL}:
        raise refuse(f"the attributes {', '.join(wanted) or '(none)'}", value)
    found = {}
    for key in sorted(value):
        try:
            found[key] = ({**OPTIONAL, **wanted})[key](value[key])
        except ModelError as error:
            raise ModelError(f"its {key}: {error}") from None
    return found


def plain(value: Any) -> Any:
    """What a graph holds as values of JSON, which :func:`attributes` reads back."""
    if isinstance(value, Fraction):
        return [value.numerator, value.denominator]
    if isinstance(value, (Axis, Function, Step)):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value
