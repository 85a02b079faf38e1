"""Scripts: what goes wrong is a sentence on the terminal, as from the command ``winogen``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from winogen.common.errors import WinogenError


def run_script(main: Callable[[], int | None]) -> int:
    """Run a script's ``main``; the exit code: its own, or 2 for an error that has a message.

    A package that is not installed is such an error too.
    """
    try:
        return main() or 0
    except WinogenError as error:
        said = str(error)
    except ModuleNotFoundError as error:
        if not error.name or error.name.split(".")[0] == "winogen":
            raise
        said = f"the package {error.name} is not installed: pip install {error.name.split('.')[0]}"
    print(f"{Path(sys.argv[0]).name}: {said}", file=sys.stderr)
    return 2
