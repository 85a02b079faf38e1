"""``pytest --device NAME``: the conformance suite, on the devices that are named; the tiers.

What only the suite needs is not imported before: the other tests have no use for it.
"""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

# Processes that test side by side leave no processor over for threads of numpy, torch and
# onnxruntime, which would only wait for each other. What they start has it from them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Compiled with pybind11, as are the simulators' and synthesisers' that other test modules import,
# and broken where those come first: exceptions that it raises then end the process.
with suppress(ImportError):
    import matplotlib.ft2font  # noqa: F401
with suppress(ImportError):
    import onnx.defs  # noqa: F401

from support.places import TESTS
from support.tiers import is_quick, is_swept, may_be_quick, starts

SUITE = "test_conformance.py"
_BOARD = pytest.StashKey[Any]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("devices", "conformance of devices")
    group.addoption(
        "--device",
        action="append",
        choices=("emulator", "floats", "machine", "rtl", "rtl-stalls", "rtl-whole", "board"),
        help=f"run {SUITE} on this device, and nothing else; may be given several times "
        "(default: all tests, on every device but the board)",
    )
    group.addoption(
        "--overlay",
        type=Path,
        metavar="FILE",
        help="bitstream (.bit) for --device board, given as --overlay=FILE: after a space pytest "
        "takes it for a test (default: the one in the board's folder)",
    )
    group.addoption(
        "--bits",
        type=int,
        choices=(8, 16),
        help="data width of --device board (default: 8, or 16 if only that bitstream is there)",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One process more than processors: some test always waits, for a child or a deadline."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ or not hasattr(os, "sched_getaffinity"):
        return None  # as xdist has it
    return len(os.sched_getaffinity(0)) + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if config.getoption("device") and collection_path.suffix == ".py":
        return collection_path.name != SUITE or None
    if config.getoption("markexpr") == "quick" and collection_path.is_relative_to(TESTS):
        # What imports torch, simulators and notebooks takes as long as a tenth of the tier.
        return not may_be_quick(collection_path.relative_to(TESTS)) or None
    return None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Open the board, so that whatever is wrong with it is said once and before all tests."""
    config = session.config
    if "board" not in (config.getoption("device") or ()):
        if config.getoption("overlay") or config.getoption("bits"):
            raise pytest.UsageError("--overlay and --bits are for --device board")
        return
    if getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("there is one board: run its tests in one process, without -n")
    if config.option.collectonly:
        return
    from support.bench import DEVICES, OWN_BUILD
    from support.real_board import RealBoard
    from winogen.common.errors import one_line

    try:
        board = RealBoard(config.getoption("bits"), config.getoption("overlay"))
        board.open(board.board)
    except Exception as error:  # pynq raises many kinds
        raise pytest.UsageError(f"--device board: {one_line(error)}") from None
    config.stash[_BOARD] = board
    config.add_cleanup(board.forget)
    DEVICES["board"] = board.open
    OWN_BUILD["board"] = board.build


def pytest_report_header(config: pytest.Config) -> str | None:
    board = config.stash.get(_BOARD, None)
    return f"board: {board}" if board else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the quick tier; leave out what is for another data width than the board's.

    What takes longest comes first: begun last, it would be all that one processor has left.
    """
    within = {path: path.relative_to(TESTS) for path in {item.path for item in items}}
    for item in items:
        where = within[item.path]
        if not config.getoption("device") and is_swept(where, item.name):
            item.add_marker(pytest.mark.long)
        if is_quick(where, item.name) and not any(
            item.get_closest_marker(name) for name in ("long", "benchmark")
        ):
            item.add_marker(pytest.mark.quick)
    items.sort(key=lambda item: starts(within[item.path]))
    board = config.stash.get(_BOARD, None)
    if board is None:
        return
    kept, others = [], []
    for item in items:
        callspec = getattr(item, "callspec", None)  # tests without parameters have none
        parameters = callspec.params if callspec else {}
        elsewhere = parameters.get("device") == "board" and "bits" in parameters
        (others if elsewhere and parameters["bits"] != board.build[1] else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=others)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Garbage is not looked for among the tests and modules, which stay as long as the process."""
    if not session.config.option.collectonly:
        gc.collect()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """After a device error the next test loads the overlay again: the driver's reset may not do."""
    board = item.config.stash.get(_BOARD, None)
    if board and call.excinfo:
        from winogen.common.errors import DeviceError

        if call.excinfo.errisinstance(DeviceError):
            board.forget()
    return (yield)
