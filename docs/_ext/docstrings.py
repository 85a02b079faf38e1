"""The sections of winogen's docstrings, as Sphinx's fields.

They have numpydoc's headings, but behind ``name :`` they say what a thing is: its type is in the
annotation. So napoleon, which takes that text for a type, cannot read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from docutils import nodes

_FIELDS = {"Parameters": "param", "Attributes": "ivar", "Raises": "raises", "Returns": "returns"}
_ENTRY = re.compile(r"(\w+(?:, \w+)*) : (.*)")


def to_fields(lines: Sequence[str]) -> Iterator[str]:
    """The lines of a docstring, with each entry of a known section as a field."""
    field = ""
    begun = False  # the section's one field, where its entries have no names
    for line, after in zip(lines, [*lines[1:], ""]):
        if line in _FIELDS and after == "-" * len(line):
            field, begun = _FIELDS[line], False
        elif not field:
            yield line
        elif line and set(line) == {"-"}:
            yield ""
        elif entry := _ENTRY.fullmatch(line):
            # Without spaces: Sphinx takes all before the last one for a type.
            names = entry[1] if field == "raises" else entry[1].replace(" ", "")
            yield f":{field} {names}: {entry[2]}"
        elif field == "returns" and not begun:
            begun = True
            yield f":returns: {line}"
        elif field != "returns" and line[:1].strip():  # text again
            field = ""
            yield line
        else:
            yield f"    {line}" if line else ""


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = to_fields(lines)


def _signature(app: Any, *described: Any) -> tuple[str | None, str | None]:
    """A dataclass' default from a factory, as an expression that Sphinx can parse."""
    signature, returns = described[-2:]
    return signature and signature.replace("<factory>", "..."), returns


def _punctuate(app: Any, doctree: nodes.document) -> None:
    """A colon behind the names of a field's entry, where Sphinx puts two hyphens; spaces again."""
    for dash in [text for text in doctree.findall(nodes.Text) if text == " -- "]:
        entry = dash.parent
        entry.replace(dash, nodes.Text(": "))
        for comma in [text for text in entry.findall(nodes.Text) if text == ","]:
            comma.parent.replace(comma, nodes.Text(", "))


def setup(app: Any) -> dict[str, Any]:
    """Connect to autodoc."""
    app.connect("doctree-read", _punctuate)
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True}
