"""What a killed process has left running in the logic: found, and stopped.

An accelerator whose process was killed goes on writing, to memory that the kernel has given to
others by then, and its bursts are under way while the next overlay is loaded. So it is stopped
before anything else of the device is touched, clocks and bitstream among it.

A register that nobody answers for ends the process, or hangs the processor. So the accelerator's
are read only where the loaded bitstream is known, by its file, to have them.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from pathlib import Path
from typing import Any

from winogen.common.errors import WinogenWarning
from winogen.common.pynq_library import pynq
from winogen.runtime.clocks import is_clocked_for
from winogen.runtime.record import Record
from winogen.target import registers
from winogen.target.handoff import Handoff, read_handoff
from winogen.target.registers import ADDRESS_RANGE

#: Seconds that memory may take to answer what is under way.
_SECONDS = 1.0
_PAUSE = 0.001
_UNSAID = Path()
_UNKNOWN = Handoff()


def stop_leftover(device: Any, record: Record | None = None) -> bool:
    """Stop the accelerator in the logic, if there is one and it runs; whether that was so.

    A WinogenWarning says where it does not stop: another overlay is loaded over it then, which is
    all that helps.

    Parameters
    ----------
    device : the ``pynq.Device``, whose lock this process has
    record : of what an earlier session began; a bitstream that it was loading when it was killed
        may be in the logic or not
    """
    if record is not None and record.read().get("loading"):
        return False
    handoff = loaded_handoff(device)
    if handoff is None or handoff.accelerator is None:
        return False
    # If somebody has set a faster clock since a session of ours ended, which leaves nothing
    # running, what registers read, or whether they answer, is anybody's guess.
    if not is_clocked_for(device, handoff):
        return False
    mmio = pynq.MMIO(handoff.accelerator, ADDRESS_RANGE, device=device)
    if _read(mmio, "MAGIC") != registers.MAGIC_VALUE:
        return False
    version = registers.unpack("VERSION", _read(mmio, "VERSION"))
    if version["major"] != registers.HARDWARE_VERSION[0]:  # its other registers may be elsewhere
        return False
    if _idle(mmio):
        return False
    mmio.write(registers.offset("CONTROL"), registers.pack("CONTROL", reset=1))
    end = time.monotonic() + _SECONDS
    while not _idle(mmio):
        if time.monotonic() >= end:
            warnings.warn(
                "an earlier program was killed while the accelerator ran, and memory does not "
                f"answer what it asked for within {_SECONDS:g} s: the overlay is loaded over it; "
                "if anything goes wrong afterwards, power the board off and on",
                WinogenWarning,
                stacklevel=2,
            )
            break
        time.sleep(_PAUSE)
    return True


def loaded_handoff(device: Any) -> Handoff | None:
    """What the .hwh of the bitstream in the logic says; None where that is not sure.

    A board of another machine has kept it itself: the file may be anywhere.
    """
    said: Handoff | None = getattr(device, "loaded_handoff", _UNKNOWN)
    if said is not _UNKNOWN:
        return said
    bitstream = loaded_bitstream(device)
    return read_handoff(bitstream) if bitstream else None


def loaded_bitstream(device: Any) -> Path | None:
    """The file of the bitstream that is in the logic; None where that is not sure.

    Emulated devices say it themselves. For boards pynq writes it down for all processes, and takes
    it back after a boot; a file that has changed since then is another bitstream.
    """
    said: Path | None = getattr(device, "loaded_bitstream", _UNSAID)
    if said is not _UNSAID:
        return said
    try:
        from pynq.pl_server import global_state as pynq_state

        pynq_state.initial_global_state_file_boot_check()
        if not pynq_state.global_state_file_exists():
            return None
        state = pynq_state.load_global_state()
        path = Path(state.bitfile_name)
        noted = getattr(state, "bitfile_hash", "")  # pynq 3.0.1 has none
        if noted and noted != hashlib.sha1(path.read_bytes()).hexdigest():
            return None
        return path
    except (ImportError, OSError, ValueError, TypeError, AttributeError):
        return None  # no FPGA manager, no file, or one that is damaged


def _read(mmio: Any, name: str) -> int:
    return int(mmio.read(registers.offset(name)))


def _idle(mmio: Any) -> bool:
    return bool(registers.unpack("STATUS", _read(mmio, "STATUS"))["idle"])
