"""The manual's tables of operators: ``python -m winogen.network.onnx.doc`` prints them."""

from __future__ import annotations

from winogen.network.onnx.importer import OPERATORS
from winogen.network.onnx.refusals import refused_operators


def operator_table() -> str:
    """What becomes of every operator on activations, as Markdown."""
    lines = ["| operator | becomes |", "| --- | --- |"]
    lines += [f"| {name} | {operator.note} |" for name, operator in sorted(OPERATORS.items())]
    return "\n".join(lines)


def refusal_list() -> str:
    """What is refused by name, and why, as Markdown."""
    return "\n".join(
        f"- {', '.join(sorted(names))}: {reason}." for reason, names in refused_operators().items()
    )


if __name__ == "__main__":
    print(operator_table(), refusal_list(), sep="\n\n")
