"""The boards, one folder each, as a package that pynq searches for bitstreams.

``pynq.Overlay("winogen.bit")`` looks in the path of this package (entry point ``pynq.overlays``).
The folder of the board that the environment variable ``BOARD`` names comes first.
"""

import os
from pathlib import Path


def _board_folder() -> Path | None:
    """The folder of the board that this is, as PYNQ's images say."""
    folder = Path(__file__).parent / os.environ.get("BOARD", "").lower()
    return folder if (folder / "board.yaml").is_file() else None


if _folder := _board_folder():
    __path__.insert(0, str(_folder))
