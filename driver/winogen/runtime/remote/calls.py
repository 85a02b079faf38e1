"""Calls to a board's PYNQ.remote server: each has a deadline, and fails in one sentence.

pynq's own stubs wait for ever, and with a network cable that is pulled out nobody says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import grpc

from winogen.common.errors import DeviceError, DeviceTimeoutError, one_line
from winogen.target.device_names import RemoteAddress

#: Seconds to wait for a server when a board is opened.
CONNECT_SECONDS = 5.0
#: Seconds that a call may take; one with many bytes may take longer, see :func:`seconds_for`.
CALL_SECONDS = 5.0
#: Bytes a second that even a slow network carries, with room to spare.
SLOW_BYTES = 1e6
#: Seconds after a lost connection in which nobody tries again: what is put back and given back
#: then, call by call, would wait for each deadline in turn.
_PAUSE_SECONDS = 2.0
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # it is in this network
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
#: Bytes of an answer that nobody has a size for: a file of the system's. More is no answer.
_ANSWER_BYTES = 4 << 20
#: What a piece of an answer takes beside its bytes, about.
_PIECE_BYTES = 64
#: What a call does, by its name in pynq's protocol.
_DOING = {
    "mmio.Mmio/get_mmio": "opening registers",
    "mmio.Mmio/read": "reading a register",
    "mmio.Mmio/write": "writing a register",
    "buffer.RemoteBuffer/allocate": "allocating memory",
    "buffer.RemoteBuffer/physical_address": "allocating memory",
    "buffer.RemoteBuffer/freebuffer": "freeing memory",
    "buffer.RemoteBuffer/write": "sending a buffer",
    "buffer.RemoteBuffer/flush": "sending a buffer",
    "buffer.RemoteBuffer/read": "fetching a buffer",
    "buffer.RemoteBuffer/invalidate": "fetching a buffer",
    "remote_device.RemoteDevice/readfile": "reading a file of it",
    "remote_device.RemoteDevice/writefile": "writing a file of it",
    "remote_device.RemoteDevice/existsfile": "looking for a file of it",
}
#: Calls about registers that the server has opened.
_REGISTERS = ("mmio.Mmio/read", "mmio.Mmio/write")
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Refusal(DeviceError):
    """The server answered, and did not do it; ``missing`` where it does not know the thing."""

    missing = False


class _Details(NamedTuple):
    """What gRPC wants to know of a call (``grpc.ClientCallDetails``)."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


def seconds_for(nbytes: int) -> float:
    """Seconds that a call with so many bytes may take."""
    return CALL_SECONDS + nbytes / SLOW_BYTES


class Calls(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
):
    """What stands between pynq's stubs and the channel to one board.

    One call at a time: the server keeps its buffers and registers in tables without a lock.
    Whatever goes wrong is a DeviceError; DeviceTimeoutError at a deadline, :class:`Refusal` where
    the server answers and says no.

    Attributes
    ----------
    refused_registers : identifiers of registers that the server no longer knows: it was started
        again, or another client has cleaned up there
    """

    def __init__(self, address: RemoteAddress):
        self.refused_registers: set[str] = set()
        self._address = address
        self._lock = threading.RLock()
        self._lost: tuple[float, type[DeviceError], str] | None = None  # until when, and why

    def connect(self) -> Any:
        """A channel (``grpc.Channel``) to the server; DeviceError where none answers in time."""
        plain = grpc.insecure_channel(str(self._address), options=_OPTIONS)
        try:
            grpc.channel_ready_future(plain).result(timeout=CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            plain.close()
            raise DeviceError(
                f"no PYNQ.remote server answers at {self._address} within {CONNECT_SECONDS:g} s; "
                "the board must be on, in reach of this machine, and run an image of PYNQ.remote"
            ) from None
        except BaseException:  # Ctrl-C
            plain.close()
            raise
        return grpc.intercept_channel(plain, self)

    # grpc's own names

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """A question, an answer."""
        return self._checked(continuation, details, request)

    def intercept_stream_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """Many pieces, an answer."""
        return self._checked(continuation, details, request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        """A question, many pieces: all of them are here before the first is given."""
        return self._made(
            details, lambda limited: iter(self._all(continuation(limited, request), limited))
        )

    def _all(self, call: Any, limited: _Details) -> list[Any]:
        """The pieces of an answer: of as many bytes as were asked for, and some more.

        There is no end to what a server can send until a deadline, and memory has one.
        """
        room = _ANSWER_BYTES + 2 * max(0.0, (limited.timeout or 0.0) - CALL_SECONDS) * SLOW_BYTES
        parts = []
        for part in call:
            parts.append(part)
            room -= part.ByteSize() + _PIECE_BYTES
            if room < 0:
                call.cancel()
                raise DeviceError(
                    f"what answers at {self._address} sends without end ({_doing(limited.method)}):"
                    " it is no PYNQ.remote server, or faulty; start the board again"
                )
        return parts

    def _checked(self, continuation: Any, details: Any, request: Any) -> Any:
        def make(limited: _Details) -> Any:
            call = continuation(limited, request)
            said = getattr(call.result(), "msg", "")
            if said:
                raise self._refusal(limited.method, str(said))
            return call

        try:
            return self._made(details, make)
        except Refusal:
            if _name(details.method) in _REGISTERS:
                self.refused_registers.add(request.mmio_id)
            raise

    def _made(self, details: Any, make: Callable[[_Details], Any]) -> Any:
        """A call with a deadline, in its turn."""
        seconds = details.timeout or CALL_SECONDS
        with self._lock:
            if self._lost is not None and time.monotonic() < self._lost[0]:
                raise self._lost[1](self._lost[2])
            limited = _Details(
                details.method, seconds, details.metadata, details.credentials, False, None
            )
            try:
                made = make(limited)
            except grpc.RpcError as error:
                raise self._error(details.method, error, seconds) from None
            self._lost = None
            return made

    def _error(self, method: str, error: Any, seconds: float) -> DeviceError:
        code, said = error.code(), one_line(ValueError(error.details() or ""))
        doing = _doing(method)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return self._gone(
                DeviceTimeoutError,
                f"the board at {self._address} has not answered within {seconds:.3g} s ({doing})",
            )
        if code in _GONE:
            return self._gone(
                DeviceError, f"the board at {self._address} cannot be reached ({doing}: {said})"
            )
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return DeviceError(
                f"what answers at {self._address} is no PYNQ.remote server, or one of another "
                f"version ({doing}); give the address of a board with an image of PYNQ.remote 4"
            )
        refusal = self._refusal(method, said or str(code.name))
        refusal.missing = code is grpc.StatusCode.NOT_FOUND
        return refusal

    def _gone(self, kind: type[DeviceError], text: str) -> DeviceError:
        text += (
            "; look at its power and its network, and make a new Generator: the accelerator may "
            "be at work still, and is stopped when the board is opened again"
        )
        self._lost = time.monotonic() + _PAUSE_SECONDS, kind, text
        return kind(text)

    def _refusal(self, method: str, said: str) -> Refusal:
        return Refusal(
            f"the PYNQ.remote server at {self._address} refuses ({_doing(method)}: "
            f"{one_line(ValueError(said))}); if it was started again, or another client has "
            "cleaned up there, make a new Generator"
        )


def _name(method: str | bytes) -> str:
    return (method.decode() if isinstance(method, bytes) else method).lstrip("/")


def _doing(method: str | bytes) -> str:
    return _DOING.get(_name(method), _name(method))


def pieces(data: memoryview, size: int = 1 << 21) -> Iterator[bytes]:
    """Bytes in pieces of at most 2 MiB: a server takes messages below 4."""
    for start in range(0, len(data), size):
        yield bytes(data[start : start + size])


def joined(responses: Iterable[Any]) -> bytes:
    """The data of the pieces of an answer."""
    return b"".join(response.data for response in responses)
