"""``python -m winogen`` is the command line."""

import sys

from winogen.cli import main

sys.exit(main())
