"""The parser of the command line: one line where words are wrong, and what was meant."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from winogen.cli.answers import refusal
from winogen.common.text import did_you_mean

#: Python's names of the types of values, in words.
_KINDS = {"int": "whole number", "float": "number"}


#: Columns of an example, but for one that is longer.
_EXAMPLE_WIDTH = 42


class Help(argparse.HelpFormatter):
    """Help whose examples keep their lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return "".join(f"{indent}{line}" for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)


def examples(*lines: tuple[str, str]) -> str:
    """The epilog of a command: what to type, and what that does."""
    width = min(max(len(command) for command, _ in lines), _EXAMPLE_WIDTH)
    return "\n".join(["examples:", *(f"  {c.ljust(width)}  {text}" for c, text in lines)])


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what is wrong in one line in place of its usage.

    What it parses has the parser of the command as ``parser``.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **{"formatter_class": Help, **options})
        self.set_defaults(parser=self)
        #: What the parser was given: whether its answer is for a machine must be known early.
        self._words: list[str] = []

    @property
    def words(self) -> list[str]:
        """What it was given, as it was typed."""
        return list(self._words)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As its base class does."""
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

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
        """End with one line and the exit code 2; with ``--json``, also with an object."""
        text = re.sub(r"^argument ", "", " ".join(message.split()))
        for kind, name in _KINDS.items():
            text = re.sub(rf"invalid {kind} value: (.*)$", rf"\1 is no {name}", text)
        text += " " if text.endswith("?") else "; "
        text += f"see '{self.prog} --help'"
        if self._answers_a_machine():
            print(refusal(text), flush=True)
        self.exit(2, f"winogen: {text}\n")

    def _answers_a_machine(self) -> bool:
        """Whether ``--json`` was asked for, and is no file of this command's."""
        action = self._option_string_actions.get("--json")
        asked = any(len(w) > 3 and "--json".startswith(w) for w in self._words)
        return asked and (action is None or action.nargs == 0)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        what = action.metavar if isinstance(action, argparse._SubParsersAction) else None
        problem = f"there is no {what} '{value}'" if what else f"'{value}' is not possible"
        hint = did_you_mean(str(value), known)
        shown = None if what else action
        raise argparse.ArgumentError(shown, f"{problem}; {hint}choose one of {', '.join(known)}")
