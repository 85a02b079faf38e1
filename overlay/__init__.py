"""The boards, one folder each, as a package that pynq searches for bitstreams.

``pynq.Overlay("winogen.bit")`` looks in the first folder of this package's path (entry point
``pynq.overlays``): that of the build that the board has, by the environment variable ``BOARD``.
"""

import os
from pathlib import Path

from winogen.target.board import board_names, build_for

_build = build_for(os.environ.get("BOARD", "").lower())
if _build in board_names():
    __path__.insert(0, str(Path(__file__).parent / _build))
