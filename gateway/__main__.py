"""The entry point of ``python -m gateway``."""

import sys

from gateway.cli.arguments import main

sys.exit(main())
