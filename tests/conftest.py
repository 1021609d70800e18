"""Shape and type checks on every call of the package, and what several tests share."""

import os
import signal

import hypothesis
from jaxtyping import install_import_hook

install_import_hook("splice", "beartype.beartype")

# Tests run side by side, and threads that wait for each other on one core are ten times slower.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test fails because the machine is busy.
hypothesis.settings.register_profile("splice", deadline=None)
hypothesis.settings.load_profile("splice")

# A shell's background jobs, and all that they start, ignore ctrl-C, which several tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)
