"""SIGTERM while a device is open: it ends the program as an exception does.

Python's default ends the process at once, and what was changed of a board stays so.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

#: Whatever the signal struck has ended by then; if not, it comes again.
_LATER_SECONDS = 0.01


def end_on_sigterm() -> Callable[[], None]:
    """Let SIGTERM raise SystemExit in the main thread, until what this returns is called.

    Nothing happens where the program does something else at SIGTERM already, or in another thread,
    which may not choose.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return lambda: None
    signal.signal(signal.SIGTERM, _end)
    return _default_again


def signal_again(stop: BaseException) -> bool:
    """Let the signal that was raised as ``stop`` come once more, a moment later; whether it will.

    For where nobody would see the exception. SIGTERM ends the program then, in the way that it has
    by that time.
    """
    if isinstance(stop, KeyboardInterrupt):
        number = signal.SIGINT
    elif isinstance(stop, SystemExit) and stop.code == 128 + signal.SIGTERM:
        number = signal.SIGTERM
    else:
        return False
    again = threading.Timer(_LATER_SECONDS, signal.raise_signal, (number,))
    again.daemon = True
    try:
        again.start()
    except RuntimeError:  # the program is at its end already
        return False
    return True


def _end(number: int, frame: object) -> None:
    sys.exit(128 + number)


def _default_again() -> None:
    if signal.getsignal(signal.SIGTERM) is _end:
        with suppress(ValueError):  # another thread's: it stays, and does no harm
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
