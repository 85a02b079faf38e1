"""What the service counts, in the text form that Prometheus reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from winogen.service.dispatcher import Dispatcher
from winogen.service.hosted import Hosted

#: The media type of the text form.
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Upper ends of the buckets of seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """Counts of values by upper ends; any thread may add."""

    def __init__(self, ends: Sequence[float] = _SECONDS):
        self._ends = tuple(ends)
        self._counts = [0] * (len(self._ends) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Count a value."""
        place = next((i for i, end in enumerate(self._ends) if value <= end), len(self._ends))
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def lines(self, name: str) -> Iterator[str]:
        """The text form."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        so_far = 0
        for end, count in zip((*map(str, self._ends), "+Inf"), counts):
            so_far += count
            yield f'{name}_bucket{{le="{end}"}} {so_far}'
        yield f"{name}_sum {total!r}"
        yield f"{name}_count {so_far}"


class Metrics:
    """The counts of a service."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int], int] = {}
        self.images: dict[str, int] = {}
        self.seconds = Histogram()

    def answered(self, what: str, status: int, seconds: float) -> None:
        """Count an answer; ``what`` is one of a few kinds of requests."""
        self.answers[what, status] = self.answers.get((what, status), 0) + 1
        self.seconds.add(seconds)

    def text(self, dispatcher: Dispatcher, programs: Sequence[Hosted]) -> str:
        """All of it."""
        watched = dispatcher.watched
        lines: list[str] = []

        def family(name: str, kind: str, text: str) -> None:
            lines.extend((f"# HELP {name} {text}", f"# TYPE {name} {kind}"))

        family("winogen_answers_total", "counter", "Answers by kind of request and status.")
        for (what, status), count in sorted(self.answers.items()):
            lines.append(f'winogen_answers_total{{request="{what}",status="{status}"}} {count}')
        family("winogen_answer_seconds", "histogram", "From a request's head to its answer.")
        lines.extend(self.seconds.lines("winogen_answer_seconds"))
        family("winogen_images_total", "counter", "Images that were asked for and answered.")
        for name, count in sorted(self.images.items()):
            lines.append(f'winogen_images_total{{program="{name}"}} {count}')
        family("winogen_device_images_total", "counter", "Images that the device has made.")
        lines.append(f"winogen_device_images_total {watched.images}")
        family("winogen_device_rounds_total", "counter", "Rounds of the device, by requests.")
        for count, rounds in sorted(watched.joined.items()):
            lines.append(f'winogen_device_rounds_total{{requests="{count}"}} {rounds}')
        family("winogen_device_seconds_total", "counter", "Seconds in which the device worked.")
        lines.append(f"winogen_device_seconds_total {watched.seconds!r}")
        family("winogen_waiting_images", "gauge", "Images that wait for the device.")
        lines.append(f"winogen_waiting_images {dispatcher.waiting()}")
        family("winogen_left_total", "counter", "Requests that left the queue, and why.")
        for why in ("cancelled", "late", "failed", "full"):
            lines.append(f'winogen_left_total{{why="{why}"}} {getattr(watched, why)}')
        family("winogen_images_per_second", "gauge", "Speed: predicted for the board, measured.")
        for hosted in programs:
            speeds = hosted.speeds()
            for kind, value in (("predicted", speeds.predicted), ("measured", speeds.measured)):
                if value is not None:
                    lines.append(
                        f'winogen_images_per_second{{program="{hosted.name}",kind="{kind}"}} '
                        f"{value!r}"
                    )
        return "\n".join(lines) + "\n"
