"""A process that runs doctor's checks on a board that has booted.

``python -m fakes.booted_worker FOLDER FATE``: where the board may write, and what happens where a
register of the logic is accessed, ``SIGBUS`` or ``hang``. Nothing answers there, as without clock,
and no register of the processing system says so.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from fakes.boot import BootedBoard, kernel
from winogen.doctor import worker
from winogen.runtime import lock


class DeadBoard(BootedBoard):
    """Whoever reads a register of its logic gets what the second argument says."""

    def _slave(self, verb: str, address: int) -> Any:
        slave, offset = super()._slave(verb, address)
        if slave in self._logic:
            if sys.argv[2] == "SIGBUS":
                os.kill(os.getpid(), signal.SIGBUS)
            time.sleep(1000)
        return slave, offset


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    lock._FOLDER = folder
    board = DeadBoard(folder)
    with kernel(board):
        worker.serve(board.bench())
