"""Options: fields of a frozen dataclass, from which the command line and the help come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from winogen.common.errors import InputError
from winogen.common.text import meant as close_names

_KEY = "winogen option"
_Options = TypeVar("_Options", bound="Options")


@dataclass(frozen=True)
class Option:
    """What people are told of an option, and how the command line reads it.

    Attributes
    ----------
    flag : its name on the command line: ``--`` and the field's name unless it has another
    help : what it does; ``{names}`` stands for the names that it knows
    default : what happens without it, in words
    group : heading that it stands under
    parse : its value from text; raises InputError or ValueError
    choices : all values, if they are few
    metavar : what stands for its value (for each of them) in the help
    count : how many values it takes, if more than one
    names : the names that it knows, where it takes other values too
    """

    flag: str
    help: str
    default: str
    group: str
    parse: Callable[[str], Any]
    choices: tuple[Any, ...] | None
    metavar: str | tuple[str, ...] | None
    count: int | None
    names: Callable[[], Iterable[str]] | None

    def text(self, names: str = "a name") -> str:
        """Help and default; ``names`` are those that it knows, in words."""
        said = self.help.format(names=names)
        return f"{said} (default: {self.default})" if self.default else said


def option(
    value: Any = None,
    *,
    help: str,
    group: str,
    default: str = "",
    flag: str = "",
    parse: Callable[[str], Any] = str,
    choices: tuple[Any, ...] | None = None,
    metavar: str | tuple[str, ...] | None = None,
    count: int | None = None,
    names: Callable[[], Iterable[str]] | None = None,
) -> Any:
    """A field of :class:`Options` that is ``value`` unless given; the rest as in ``Option``."""
    about = Option(flag, help, default, group, parse, choices, metavar, count, names)
    return field(default=value, metadata={_KEY: about})


def _values(name: str, values: Any, about: Option) -> tuple[Any, ...]:
    """The values of an option that takes several, each as the command line reads it."""
    try:
        read = tuple(about.parse(value) for value in values)
    except (TypeError, ValueError):
        read = ()
    if len(read) != about.count:
        raise InputError(f"{name} must be {about.count} numbers, not {values!r}")
    return read


@dataclass(frozen=True, eq=False)
class Options:
    """Base of frozen dataclasses whose fields are all options.

    Attributes
    ----------
    described : every option by the name of its field, a class's own before those of its base
    """

    described: ClassVar[Mapping[str, Option]] = {}

    def __init_subclass__(cls) -> None:
        own = {}
        for name, value in vars(cls).items():
            if isinstance(value, Field):
                about = value.metadata[_KEY]
                own[name] = replace(about, flag=about.flag or f"--{name.replace('_', '-')}")
        cls.described = {**own, **cls.described}
        entries = (f"    {name} : {about.text()}" for name, about in cls.described.items())
        if cls.__doc__:  # there is none under python -OO
            lines = [cls.__doc__.rstrip(), "", "    Attributes", "    ----------", *entries, "    "]
            cls.__doc__ = "\n".join(lines)

    def __post_init__(self) -> None:
        for name, about in self.described.items():
            value = getattr(self, name)
            if value is None:
                continue
            if about.choices and value not in about.choices:
                known = ", ".join(map(str, about.choices))
                raise InputError(f"unknown {name} {value!r}; choose one of {known}")
            if about.count:
                object.__setattr__(self, name, _values(name, value, about))

    @classmethod
    def of(cls: type[_Options], function: str, values: Mapping[str, Any]) -> _Options:
        """The options that a function was given as keywords.

        Raises InputError for one that there is not, or whose value is not possible.
        """
        for name in values:
            if name not in cls.described:
                raise InputError(cls._unknown(function, name))
        return cls(**values)

    @classmethod
    def _unknown(cls, function: str, name: str) -> str:
        meant = {about.flag[2:].replace("-", "_"): n for n, about in cls.described.items()}
        meant.update((n, n) for n in cls.described)
        found = [meant[close] for close in close_names(name, meant)]
        hint = f"did you mean '{found[0]}'? " if found else ""
        return f"{function} has no option '{name}'; {hint}its options: {', '.join(cls.described)}"
