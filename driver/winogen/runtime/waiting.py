"""Waiting for the accelerator: how long, and for its interrupt, from any thread.

pynq's interrupts belong to an event loop: the file behind them is watched by the loop of the thread
that makes the first of them, and only what that loop runs can wait for it. A script has no loop, a
notebook's loop runs the cell that would have to wait, and the next ``asyncio.run`` is another loop.
So one thread of this process has a loop of its own, in which interrupts are made and waited for;
everybody else asks that thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from winogen.common.errors import DeviceError, InputError

#: How to wait: for the interrupt where there is one; for the interrupt; by looking at STATUS.
WAITING = ("auto", "interrupt", "poll")
#: The interrupts' thread has nothing else to do; it answers this much later at most, in seconds.
_GRACE = 5.0

_T = TypeVar("_T")
_lock = threading.Lock()
_loop: tuple[int, asyncio.AbstractEventLoop] | None = None


@dataclass(frozen=True)
class Deadline:
    """How long to wait, in seconds, and why so long: for the message when it is over."""

    seconds: float
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.seconds:.4g} s" + (f" ({self.reason})" if self.reason else "")


class InterruptLine:
    """The accelerator's interrupt, for any thread.

    It is a hint to look at STATUS, and no more. pynq's interrupt controller may wake once too
    often, and an interrupt may be lost where somebody else uses the controller too.

    Parameters
    ----------
    interrupt : a ``pynq.Interrupt`` made on the thread of :func:`on_interrupt_thread`
    """

    def __init__(self, interrupt: Any):
        self._interrupt = interrupt
        self._controller = interrupt.parent()  # pynq itself keeps no more than a weak reference

    def wait(self, seconds: float) -> bool:
        """Whether it came within so many seconds."""
        future = asyncio.run_coroutine_threadsafe(self._wait(seconds), _event_loop())
        try:
            return future.result(seconds + _GRACE)
        except concurrent.futures.TimeoutError:
            return False
        finally:
            future.cancel()

    async def _wait(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._interrupt.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True


def interrupt_line(core: Any, waiting: str) -> InterruptLine | None:
    """The interrupt that ``waiting`` wants used, None for polling.

    Raises DeviceError if the interrupt is demanded and the overlay has none.
    """
    check_waiting(waiting)
    if waiting == "poll":
        return None
    interrupt = getattr(core, "interrupt", None)
    if interrupt is not None and interrupt.parent() is not None:
        return InterruptLine(interrupt)
    if waiting == "auto":
        return None
    raise DeviceError(
        "waiting='interrupt' needs an interrupt, and pynq gives none for this accelerator: the "
        "overlay has no interrupt controller, or /dev/uio cannot be opened (run as root), or an "
        "emulated device is not pynq.Device.active_device; use 'auto' or 'poll'"
    )


def sole_controller(core: _T) -> _T:
    """The core, whose interrupt no controller of an earlier overlay takes.

    pynq leaves the old controller in the UIO file's list if somebody gave up waiting for it. It
    would acknowledge and mask the next interrupt, and the new one would hear of none ever again.
    Call this on the interrupts' thread.
    """
    controller = controller_of(core)
    # Without one there is no controller, or another controller between it and the file.
    waiters = getattr(getattr(controller, "parent", None), "wait_events", None)
    if waiters is not None:
        waiters[:] = [waiter for waiter in waiters if waiter is controller]
    return core


def controller_of(core: Any) -> Any:
    """pynq's controller of the core's interrupt, or None."""
    interrupt = getattr(core, "interrupt", None)
    return interrupt.parent() if interrupt is not None else None


def end_waiting(controller: Any) -> None:
    """End all waiting at an interrupt controller, whose device is given back.

    pynq leaves it in the UIO file's list if somebody gave up waiting for it. It would be looked
    after until the program ends, while nobody waits.
    """
    waiters = getattr(getattr(controller, "parent", None), "wait_events", None)
    while waiters is not None and controller in waiters:
        with suppress(ValueError):  # the interrupt came meanwhile
            waiters.remove(controller)


def check_waiting(waiting: str) -> None:
    """Raise InputError if this is no way to wait."""
    if waiting not in WAITING:
        raise InputError(f"waiting must be one of {', '.join(WAITING)}, not {waiting!r}")


def on_interrupt_thread(make: Callable[[], _T]) -> _T:
    """What ``make()`` returns or raises, called where interrupts have to be made."""

    async def call() -> _T:
        return make()

    try:
        return asyncio.run_coroutine_threadsafe(call(), _event_loop()).result(60)
    except concurrent.futures.TimeoutError:
        raise TimeoutError("no answer within 60 s") from None


def _forked() -> None:
    """In a forked process: another thread may have held the old lock."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _event_loop() -> asyncio.AbstractEventLoop:
    """The running loop of the interrupts' thread; a forked process needs a new one."""
    global _loop
    with _lock:
        if _loop is None or _loop[0] != os.getpid():
            loop = asyncio.new_event_loop()
            _loop = os.getpid(), loop
            threading.Thread(target=_serve, args=(loop,), name="winogen-irq", daemon=True).start()
        return _loop[1]


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
