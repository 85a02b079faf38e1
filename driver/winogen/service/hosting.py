"""Programs put on a device, and a service around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple

from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.runtime.maker import Maker
from winogen.service.apart import makers_apart
from winogen.service.app import Service
from winogen.service.dispatcher import Dispatcher
from winogen.service.hosted import Hosted
from winogen.service.limits import Limits
from winogen.service.makers import makers


class Named(NamedTuple):
    """A program, its name in addresses, and the network that it is from, if that is at hand."""

    name: str
    program: Program
    graph: Graph | None


@contextmanager
def hosting(
    programs: Sequence[Named],
    limits: Limits,
    *,
    apart: bool = False,
    opened: Callable[[Program], AbstractContextManager[Maker]] | None = None,
    **device: Any,
) -> Iterator[Service]:
    """A service of programs on a device, until the context ends.

    What waits then is done first, for as long as a request may take.

    Parameters
    ----------
    apart : whether the device is to have a process of its own, which is faster
    opened : makes what runs a program in place of a device, as a cluster
    device : and its options, as ``winogen.service.makers`` has them
    """
    plain = [program for _, program, _ in programs]
    with ExitStack() as stack:
        found: Sequence[Maker]
        if opened is not None:
            found = [stack.enter_context(opened(program)) for program in plain]
        else:
            found = stack.enter_context((makers_apart if apart else makers)(plain, **device))
        hosted = [
            Hosted(name, maker, graph, limits) for (name, _, graph), maker in zip(programs, found)
        ]
        dispatcher = Dispatcher(limits.waiting, limits.gather_s)
        try:
            yield Service(hosted, limits, dispatcher)
        finally:
            dispatcher.close(limits.deadline_s)
