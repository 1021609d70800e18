"""`python -m splice` is the command `splice`."""

import sys

from splice.commands.cli import main

sys.exit(main())
