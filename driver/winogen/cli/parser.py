"""The parser of the command line: one line where words are wrong, and what was meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from winogen.common.text import did_you_mean

#: Python's names of the types of values, in words.
_KINDS = {"int": "whole number", "float": "number"}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what is wrong in one line in place of its usage.

    What it parses has the parser of the command as ``parser``.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.set_defaults(parser=self)

    def parse_args(  # type: ignore[override]  # overloads of the base class say the same
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        """As its base class does; words too many are an error of the command that got them."""
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            parsed.parser.refuse(rest[0])
        return parsed

    def refuse(self, word: str) -> NoReturn:
        """End with what is wrong with a word that is not understood."""
        flag = word.partition("=")[0]
        if flag[:1] != "-":
            self.error(f"'{word}' is one word too many")
        known = [name for name in self._option_string_actions if name.startswith("--")]
        self.error(f"there is no option {flag}; {did_you_mean(flag, known)}".rstrip("; "))

    def error(self, message: str) -> NoReturn:
        """End with one line and the exit code 2."""
        text = re.sub(r"^argument ", "", " ".join(message.split()))
        for kind, name in _KINDS.items():
            text = re.sub(rf"invalid {kind} value: (.*)$", rf"\1 is no {name}", text)
        text += " " if text.endswith("?") else "; "
        self.exit(2, f"winogen: {text}see '{self.prog} --help'\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        what = action.metavar if isinstance(action, argparse._SubParsersAction) else None
        problem = f"there is no {what} '{value}'" if what else f"'{value}' is not possible"
        hint = did_you_mean(str(value), known)
        shown = None if what else action
        raise argparse.ArgumentError(shown, f"{problem}; {hint}choose one of {', '.join(known)}")
