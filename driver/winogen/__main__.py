import sys

from winogen.cli import main

sys.exit(main())
