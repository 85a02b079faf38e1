"""Every error that winogen raises on purpose.

Each message is one sentence or two that say what is wrong, where (layer, file, register) and what
to do; where a stream has come to a stop, a line for each engine too. The command line prints the
message alone and exits with 2; anything else is a bug.
"""

from __future__ import annotations

from typing import Any


class WinogenError(Exception):
    """Base class of every error winogen raises on purpose: one clear sentence each."""


class WinogenWarning(UserWarning):
    """What winogen chose, dropped, clipped or converted without being asked to."""


class NetworkNote(WinogenWarning):
    """The same of how a network was read: one of its graph's notes."""


def one_line(error: BaseException, limit: int = 200) -> str:
    """What an error says, on one line of printable characters and bounded length.

    Of an error of the system these are its words alone, without Python's number and the file.
    """
    said = (error.strerror if isinstance(error, OSError) else "") or str(error)
    text = " ".join(said.split()) or type(error).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def joined_lines(text: str) -> str:
    """A message of several lines as one, for reports of a line each."""
    return "; ".join(line.strip() for line in text.splitlines())


class ModelError(WinogenError):
    """A model definition or its weights cannot be used (names the layer and the reason).

    Attributes
    ----------
    problems : where several things are wrong, one sentence for each kind; empty for a single one
    """

    problems: tuple[str, ...] = ()


class UnsupportedLayerError(ModelError):
    """A layer that the accelerator cannot run (names the layer, the reason, what would work)."""


class QuantisationError(WinogenError):
    """A network cannot be quantised exactly as asked (names the layer)."""


class ScheduleError(WinogenError):
    """A layer does not fit the on-chip memories of the board configuration."""


class ProgramError(WinogenError):
    """A program file is damaged, of another version, or made for another board."""


class BoardError(WinogenError):
    """A board description is unknown or inconsistent."""


class InputError(WinogenError):
    """The caller's arguments are wrong: latent shape, dtype, batch, output path."""


class DeviceError(WinogenError):
    """The device is missing, is not ours, or reported an error.

    Attributes
    ----------
    state : what the accelerator was doing when a stream failed, a
        :class:`winogen.runtime.state.DeviceState`; None if no stream ran
    """

    state: Any = None


class DeviceTimeoutError(DeviceError):
    """The device did not finish before the deadline (says what it was doing)."""


class DeviceBusyError(DeviceError):
    """Somebody else has the device (says who) and did not let go of it in time."""


class CorruptionError(DeviceError):
    """What the device holds is not what was put there: a soft error, or bad memory.

    Attributes
    ----------
    part : ``weights``, ``instructions``, ``input`` or ``register``; ``answer`` for the output of a
        known input, ``repeat`` for that of two runs of one input
    address : bus address of the first byte that differs; None where there is none
    offset : the same from the start of its buffer, in bytes; a register's in its block
    """

    part: str = ""
    address: int | None = None
    offset: int | None = None


class ClusterError(DeviceError):
    """No worker of a cluster could do it (says what each of them did).

    Attributes
    ----------
    workers : names of the workers that it is about; empty where there is none
    """

    workers: tuple[str, ...] = ()


class ContiguousMemoryError(DeviceError, MemoryError):
    """The contiguous memory pool cannot hold another buffer (says what is left of it)."""
