"""What one request, and all of them together, may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from winogen.common.errors import InputError


@dataclass(frozen=True)
class Limits:
    """Limits of a service.

    Attributes
    ----------
    body_bytes : of a request's body
    images : that one request may ask for
    pixels : of a picture that goes in, and of all images that a request asks for
    waiting : images that may wait for the device; what would be more is refused (429)
    deadline_s : seconds from a request's arrival to its result, unless it asks for fewer
    gather_s : how long an idle device waits for more of the same, so that they share a batch
    body_s : seconds in which a body must have come
    head_s : seconds in which the head of a request must have come
    take_s : seconds in which a client must have taken its answer
    """

    body_bytes: int = 16 << 20
    images: int = 256
    pixels: int = 1 << 22
    waiting: int = 1024
    deadline_s: float = 30.0
    gather_s: float = 0.002
    body_s: float = 10.0
    head_s: float = 10.0
    take_s: float = 60.0

    def __post_init__(self) -> None:
        """InputError for limits under which nothing could be done."""
        for name in ("body_bytes", "images", "pixels", "waiting"):
            if getattr(self, name) < 1:
                raise InputError(f"the limit {name} must be at least 1")
        for name in ("deadline_s", "body_s", "head_s", "take_s"):
            if not 0 < getattr(self, name) < 1e6:
                raise InputError(f"the limit {name} must be a positive number of seconds")
        if not 0 <= self.gather_s <= 10:
            raise InputError("the limit gather_s must be 0 to 10 seconds")
