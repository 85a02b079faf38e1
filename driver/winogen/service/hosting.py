"""Programs put on a device, and a service around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple

from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.maker import Maker
from winogen.runtime.open import OpenDevice, open_device
from winogen.service.app import Service
from winogen.service.dispatcher import Dispatcher
from winogen.service.hosted import Hosted
from winogen.service.limits import Limits
from winogen.target.board import Board


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
    device: Any = "emulator",
    board: Board | None = None,
    overlay: Any = None,
    opened: Callable[[Program], AbstractContextManager[Maker]] | None = None,
    **options: Any,
) -> Iterator[Service]:
    """A service of programs on a device, until the context ends.

    What waits then is done first, for as long as a request may take. A board is opened once, and
    its programs share it; of emulated devices each has its own.

    ``opened`` makes what runs a program in place of a device, as a cluster. ``options`` are further
    ones of :class:`winogen.runtime.generator.Generator`, whose errors are raised.
    """
    with ExitStack() as stack:
        shared: Any = device
        if device == "board":
            chosen = board or programs[0].program.board
            shared = open_device(
                device, chosen, overlay, lock_timeout=options.get("lock_timeout", 10.0),
                active=options.get("waiting") == "interrupt",
            )  # fmt: skip
            stack.callback(shared.core.close)
        hosted = []

        def generator(program: Program) -> AbstractContextManager[Maker]:
            return Generator(
                program, shared, board=board,
                overlay=None if isinstance(shared, OpenDevice) else overlay, **options,
            )  # fmt: skip

        for name, program, graph in programs:
            maker = stack.enter_context((opened or generator)(program))
            hosted.append(Hosted(name, maker, graph, limits))
        dispatcher = Dispatcher(limits.waiting, limits.gather_s)
        try:
            yield Service(hosted, limits, dispatcher)
        finally:
            dispatcher.close(limits.deadline_s)
