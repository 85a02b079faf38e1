"""What is wrong with a network, gathered layer by layer: all of it is told at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from winogen.common.errors import ModelError, UnsupportedLayerError

#: Most problems that one message tells.
MAX_TOLD = 12


class Problems:
    """The errors of a network's layers; :meth:`tell` raises them as one.

    ``with problems.gathered():`` around the work on a layer keeps its ModelError and goes on.
    """

    def __init__(self, model: str):
        self._model = model
        self._errors: list[ModelError] = []

    def __len__(self) -> int:
        return len(self._errors)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep a ModelError that is raised inside."""
        try:
            yield
        except ModelError as error:
            self._errors.append(error)

    def tell(self) -> None:
        """Raise what was gathered: the error itself if there is one, or one that lists several.

        That is an UnsupportedLayerError where all of them are.
        """
        if not self._errors:
            return
        if len(self._errors) == 1:
            raise self._errors[0]
        texts = tuple(str(error) for error in self._errors)
        unsupported = all(isinstance(e, UnsupportedLayerError) for e in self._errors)
        kind = UnsupportedLayerError if unsupported else ModelError
        short = [text.replace(f" of model {self._model}", "") for text in texts]
        what = "cannot run" if unsupported else "are wrong"
        told = kind(f"model {self._model}: {len(texts)} things in it {what}: {numbered(short)}")
        told.problems = texts
        raise told


def numbered(texts: Sequence[str]) -> str:
    """Sentences as one text, each with its number; those over the limit are counted."""
    told = "; ".join(f"({i}) {text}" for i, text in enumerate(texts[:MAX_TOLD], 1))
    rest = len(texts) - MAX_TOLD
    return told + (f"; and {rest} more" if rest > 0 else "")
