# PYTHON_ARGCOMPLETE_OK
"""``python -m winogen`` is the command line."""

import sys

from winogen.cli.main import main

sys.exit(main())
