"""Options of the command line that are fields of :class:`winogen.common.options.Options`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from winogen.common.errors import InputError
from winogen.common.options import Option, Options
from winogen.compiler.options import CompileOptions


def option_parser(
    kind: type[Options], names: Iterable[str] | None = None
) -> argparse.ArgumentParser:
    """A parser of these options, for others to have as parent; none has a default.

    ``names`` are the fields that it has options for (default: all).
    """
    parser = argparse.ArgumentParser(add_help=False)
    groups: dict[str, Any] = {}
    wanted = kind.described if names is None else names
    for about in (kind.described[name] for name in wanted):
        if about.group not in groups:
            groups[about.group] = parser.add_argument_group(about.group)
        groups[about.group].add_argument(about.flag, **_details(about))
    return parser


def _details(about: Option) -> dict[str, Any]:
    """What argparse wants to know of an option."""
    names = f"one of {', '.join(about.names())}" if about.names else ""
    details: dict[str, Any] = {"help": about.text(names).replace("%", "%%")}
    if about.parse is not str:
        details["type"] = _typed(about.parse)
    if about.choices:
        details["choices"] = about.choices
    if about.metavar:
        details["metavar"] = about.metavar
    if about.count:
        details["nargs"] = about.count
    return details


def _typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type for argparse, which shows the message of no error but its own."""
    if isinstance(parse, type):
        return parse

    def typed(text: str) -> Any:
        try:
            return parse(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


def given(
    arguments: argparse.Namespace,
    names: Iterable[str] | None = None,
    kind: type[Options] = CompileOptions,
) -> dict[str, Any]:
    """The options of a kind that were given, by field; of those with ``names``, if any."""
    described = kind.described
    values = {n: getattr(arguments, _place(about), None) for n, about in described.items()}
    wanted = described if names is None else names
    return {n: v for n, v in values.items() if v is not None and n in wanted}


def compile_options(arguments: argparse.Namespace, **others: Any) -> CompileOptions:
    """The options of a compilation; ``others`` replace what was given."""
    return CompileOptions(**{**given(arguments), **others})


def refuse(arguments: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """InputError where any of these options was given; ``why`` ends the sentence."""
    flags = [CompileOptions.described[name].flag for name in given(arguments, names)]
    if flags:
        raise InputError(f"{', '.join(flags)} {why}")


def _place(about: Option) -> str:
    """The attribute in which argparse leaves an option."""
    return about.flag[2:].replace("-", "_")
