"""One kind of fault, injected: what was seen, and whether it is right.

``run`` never hangs for longer than the kind's patience, as far as a signal can end what it waits
for; ``support.faults.workers`` ends what it cannot.
"""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.faults.kinds import PATIENCE, Expected, Fault, Scene, Stage
from winogen.common.errors import WinogenError, WinogenWarning

#: Good verdicts.
REFUSED, NEXT_RIGHT, SAME_BYTES, TOLD, WARNED = (
    "refused clearly", "refused, next right", "same bytes", "same bytes, told", "warned"
)  # fmt: skip
GOOD = (REFUSED, NEXT_RIGHT, SAME_BYTES, TOLD, WARNED)
#: Bad ones. BASELINE: it does not work without the fault either; NOT INJECTED: nothing shows that
#: the harm was done at all.
(WRONG, HUNG, CRASHED, SILENT, UNCLEAR, NEEDLESS, BROKEN, LEFT, LARGE, BASELINE, VACUOUS) = (
    "WRONG BYTES", "HUNG", "CRASHED", "SILENT", "UNCLEAR", "REFUSED", "STAYS BROKEN", "LEFT FILES",
    "TOO MUCH MEMORY", "BASELINE", "NOT INJECTED",
)  # fmt: skip
#: A message has no longer line, and none of Python's own words.
_LONGEST = 700
_PYTHON = re.compile(
    r"Traceback|\b\w+Error\b|object at 0x|\[Errno|NoneType|recursion depth|has no attribute|"
    r"not subscriptable|invalid literal|unexpected keyword"
)


class Hung(BaseException):
    """The patience of a kind has ended."""


class Refusal(Exception):
    """A refusal that is no exception of winogen's: an exit code, the status of an answer."""

    def __init__(self, by: str, text: str) -> None:
        super().__init__(text)
        self.by = by


@dataclass(frozen=True)
class Result:
    """What became of a kind on a device.

    Attributes
    ----------
    seen : who refused it, and the first line of the message; or what came of it
    """

    kind: str
    device: str
    seen: str
    verdict: str
    seconds: float

    @property
    def good(self) -> bool:
        return self.verdict in GOOD


@dataclass(frozen=True)
class _Seen:
    """A run of a stage: its result, or who refused it; ``by`` is empty where it has crashed."""

    value: bytes | None
    by: str
    text: str
    told: str = ""
    peak: int = 0


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise Hung here after so many seconds, and again: somebody may drop it.

    Python itself drops it in a callback of the garbage collector or a finalizer, and calls that
    unraisable, which pytest takes for a failure; of Hung alone nothing is said there.
    """

    def ring(number: int, frame: object) -> None:
        raise Hung

    def dropped(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, Hung):
            unraisable_before(unraisable)

    unraisable_before, sys.unraisablehook = sys.unraisablehook, dropped
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = unraisable_before


def run(kind: Fault, device: str = "emulator") -> Result:
    """Inject a kind of fault, and judge what is seen of it."""
    begin = time.monotonic()
    try:
        verdict, seen = _judged(kind, device)
    except Hung:
        verdict, seen = HUNG, f"nothing for {kind.seconds:g} s"
    except Exception as error:  # the stage itself, as where it cannot be closed
        verdict, seen = CRASHED, _said(error)
    return Result(str(kind), device, seen, verdict, time.monotonic() - begin)


_baselines: dict[tuple[Scene, str], bytes] = {}


def baseline(scene: Scene, device: str) -> bytes:
    """What a stage gives without any fault."""
    key = scene, device
    if key not in _baselines:
        with (
            alarm(5 * PATIENCE),
            tempfile.TemporaryDirectory() as folder,
            scene(Path(folder), device) as stage,
        ):
            value, again = stage.run(), stage.run()
        assert value == again and value, "it gives nothing, or not the same twice"
        _baselines[key] = value
    return _baselines[key]


def _judged(kind: Fault, device: str) -> tuple[str, str]:
    """The verdict, and what was seen."""
    try:
        wanted = baseline(kind.scene, device)
    except Exception as error:
        return BASELINE, f"without the fault too: {_said(error)}"
    with (
        alarm(kind.seconds),
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", DeprecationWarning)  # forks where there are threads
        place = Path(folder)
        with kind.scene(place, device) as stage:
            made = contextmanager(kind.inject) if kind.passes else kind.inject
            with made(stage) if kind.passes else nullcontext(made(stage)):
                seen = _look(stage, kind.memory)
            verdict = judge(kind.expected, seen, wanted, stage, kind.memory)
            if kind.passes and verdict in GOOD:
                after = _look(stage)
                if after.value != wanted:
                    words = after.text if after.value is None else "other bytes"
                    return BROKEN, f"and then: {_short(words, place)}"
                verdict = NEXT_RIGHT if verdict == REFUSED else verdict
    return verdict, _told(seen, place)


def judge(expected: Expected, seen: Any, wanted: bytes, stage: Stage, memory: int) -> str:
    """The verdict on what was seen of a kind; ``wanted`` are the bytes without it."""
    if memory and seen.peak > memory:
        return LARGE
    if seen.value is None:
        if not seen.by:
            return CRASHED
        if not expected.by:
            return NEEDLESS
        if stage.left:
            return LEFT
        right = seen.by == expected.by and all(word in seen.text for word in expected.words)
        return REFUSED if right and is_clear(seen.text, expected.words) else UNCLEAR
    if seen.value != wanted and expected.by != "warning":
        return WRONG
    if expected.by in ("told", "warning"):
        if not all(word in seen.told for word in expected.words):
            return SILENT
        good = TOLD if expected.by == "told" else WARNED
        return good if is_clear(seen.told, expected.words) else UNCLEAR
    if expected.by:
        return SILENT
    return SAME_BYTES if stage.struck else VACUOUS


def is_clear(text: str, words: Sequence[str] = ()) -> bool:
    """Whether a message is a sentence for people; lines below it are indented, a line an engine.

    What it has to say, ``words``, may be Python's.
    """
    lines = text.split("\n")
    rest = text
    for word in words:
        rest = rest.replace(word, "")
    return (
        bool(text)
        and all(line.isprintable() and len(line) <= _LONGEST for line in lines)
        and all(line.startswith("  ") for line in lines[1:])
        and not _PYTHON.search(rest)
    )


def _look(stage: Stage, memory: int = 0) -> _Seen:
    """Run a stage, whatever comes of it."""
    if memory:
        tracemalloc.start()  # of what is there already it knows nothing
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", WinogenWarning)
            seen = _outcome(stage.run)
        peak = tracemalloc.get_traced_memory()[1] if memory else 0
    finally:
        if memory:
            tracemalloc.stop()
    said = "; ".join(str(w.message) for w in told if issubclass(w.category, WinogenWarning))
    return _Seen(seen.value, seen.by, seen.text, said, peak)


def _outcome(work: Callable[[], bytes]) -> _Seen:
    try:
        return _Seen(work(), "", "")
    except Refusal as error:
        return _Seen(None, error.by, str(error))
    except (WinogenError, KeyboardInterrupt) as error:
        return _Seen(None, type(error).__name__, str(error) or "interrupted")
    except (Exception, SystemExit) as error:
        return _Seen(None, "", _said(error))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _told(seen: _Seen, folder: Path) -> str:
    """What was seen, in a line."""
    if seen.value is None:
        return _short(f"{seen.by}: {seen.text}" if seen.by else seen.text, folder)
    return _short(f"warning: {seen.told}" if seen.told else "a result", folder)


def _short(text: str, folder: Path) -> str:
    """The first line, without what is another one each time."""
    line = text.replace(str(folder), "FOLDER").split("\n")[0]
    line = re.sub(r"(?<!\w)(/[\w.-]+){3,}/(?=[\w.-]+)", ".../", line)
    return re.sub(r"process \d+ \('[^']*', since [^)]*\)", "process N", line)
