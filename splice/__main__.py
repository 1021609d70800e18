"""`python -m splice` is the command `splice`."""

import sys

from splice.cli import main

sys.exit(main())
