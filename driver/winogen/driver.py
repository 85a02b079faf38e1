"""The driver of the accelerator: a ``pynq.DefaultIP``, bound to it by its VLNV.

``pynq.Overlay`` creates it as ``overlay.winogen_0`` on every device, emulated or real.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pynq

from winogen import registers
from winogen.device.hwh import VLNV
from winogen.errors import DeviceError, DeviceTimeoutError
from winogen.registers import Engine, ErrorCode, Segment

#: Longest pause between two looks at STATUS, seconds.
_POLL_SECONDS = 0.001
#: A soft reset waits for the answers that memory owes: microseconds, unless it is dead.
_RESET_SECONDS = 1.0
_ENGINE_STATES = ("idle", "busy", "waits for a token", "error")


class WinogenCore(pynq.DefaultIP):
    """Registers of the accelerator as methods; every wait has a deadline."""

    bindto = [VLNV]

    def __init__(self, description: Mapping[str, Any]):
        super().__init__(description)

    def get(self, name: str) -> int:
        """Value of a register; of both halves for a 64-bit one named without suffix."""
        if name in registers.BY_NAME:
            return int(self.read(registers.offset(name)))
        low = int(self.read(registers.offset(f"{name}_LO")))
        return low | int(self.read(registers.offset(f"{name}_HI"))) << 32

    def set(self, name: str, value: int) -> None:
        """Write a register, or both halves of a 64-bit one named without suffix."""
        if name in registers.BY_NAME:
            self.write(registers.offset(name), value)
        else:
            self.write(registers.offset(f"{name}_LO"), value & 0xFFFF_FFFF)
            self.write(registers.offset(f"{name}_HI"), value >> 32)

    def check_identity(self, config_hash: int | None = None) -> None:
        """Raise DeviceError if this is not our accelerator, or not the build that is wanted.

        ``config_hash`` is the expected CONFIG_HASH (32 bits).
        """
        magic = self.get("MAGIC")
        if magic != registers.MAGIC_VALUE:
            raise DeviceError(
                f"register MAGIC reads 0x{magic:08x}, not 0x{registers.MAGIC_VALUE:08x}: the "
                "overlay holds no winogen accelerator at this address; load a winogen overlay"
            )
        version = registers.unpack("VERSION", self.get("VERSION"))
        if version["major"] != registers.HARDWARE_VERSION[0]:
            raise DeviceError(
                f"the overlay has hardware version {version['major']}.{version['minor']}, this "
                f"driver needs {registers.HARDWARE_VERSION[0]}.x; update the overlay"
            )
        found = self.get("CONFIG_HASH")
        if config_hash is not None and found != config_hash:
            raise DeviceError(
                f"register CONFIG_HASH reads {found:08x}, the program needs {config_hash:08x}: it "
                "was compiled for another build of the accelerator; compile it for this board"
            )

    def start(self, stream_address: int, length: int, bases: Mapping[Segment, int]) -> None:
        """Run ``length`` instructions at a bus address with these segment bases."""
        for segment, address in bases.items():
            self.set(f"{segment.name}_BASE", address)
        self.set("STREAM_BASE", stream_address)
        self.set("STREAM_LENGTH", length)
        self.set("IRQ_STATUS", registers.pack("IRQ_STATUS", done=1, error=1))
        self.set("CONTROL", registers.pack("CONTROL", start=1))

    def wait(self, seconds: float) -> None:
        """Wait until the stream has ended.

        Raises DeviceError if it failed, DeviceTimeoutError after ``seconds``; both after a soft
        reset, so that the next stream can run.
        """
        deadline = time.monotonic() + seconds
        pause = 0.0
        while True:
            status = registers.unpack("STATUS", self.get("STATUS"))
            if status["error"]:
                raise DeviceError(self._reset_after(self._describe_error()))
            if status["done"]:
                return
            if status["idle"]:
                raise DeviceError(
                    "the accelerator did not begin the stream; load the overlay again"
                )
            if time.monotonic() >= deadline:
                message = (
                    f"the accelerator did not finish within {seconds:g} s: {self.describe_state()}"
                )
                raise DeviceTimeoutError(self._reset_after(message))
            time.sleep(pause)
            pause = min(_POLL_SECONDS, pause + _POLL_SECONDS / 16)

    def reset(self) -> None:
        """Soft reset: abandon the stream, clear errors and counters.

        Raises DeviceTimeoutError if the accelerator does not become idle, which needs the answers
        that memory still owes it.
        """
        self.set("CONTROL", registers.pack("CONTROL", reset=1))
        deadline = time.monotonic() + _RESET_SECONDS
        while not registers.unpack("STATUS", self.get("STATUS"))["idle"]:
            if time.monotonic() >= deadline:
                raise DeviceTimeoutError(
                    f"the accelerator is not idle {_RESET_SECONDS:g} s after a reset: memory does "
                    f"not answer ({self.describe_state()}); load the overlay again"
                )
            time.sleep(_POLL_SECONDS)

    def _reset_after(self, message: str) -> str:
        """Soft reset; the message that says why, and that it failed if it did."""
        try:
            self.reset()
        except DeviceTimeoutError as error:
            return f"{message}; then {error}"
        return message

    def counters(self) -> dict[str, int]:
        """The hardware's counters of the last stream, by name (see the register reference)."""
        return {name.lower(): self.get(name) for name, _ in registers.COUNTERS}

    def describe_state(self) -> str:
        """What every engine is doing, in words."""
        status = registers.unpack("STATUS", self.get("STATUS"))
        engines = ", ".join(
            f"{e.name.lower()} {_ENGINE_STATES[status[e.name.lower()]]}" for e in Engine
        )
        done = self.get("INSTRUCTIONS")
        return f"{engines}; {done} of {self.get('STREAM_LENGTH')} instructions done"

    def _describe_error(self) -> str:
        fields = registers.unpack("ERROR_CODE", self.get("ERROR_CODE"))
        try:
            code = ErrorCode(fields["code"])
            text, name = code.text, code.name
        except ValueError:
            text, name = "an unknown error code", str(fields["code"])
        where = f"instruction {self.get('ERROR_INSTRUCTION')}"
        if name.startswith("AXI"):
            where += f", bus address 0x{self.get('ERROR_ADDRESS'):08x}"
        engine = Engine(fields["engine"]).name.lower() if fields["engine"] < 4 else "unknown"
        return f"the accelerator stopped with {name} in the {engine} engine at {where}: {text}"
