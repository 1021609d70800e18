"""Shape and type checks on every call of the package, and what several tests share."""

import signal

import hypothesis
from jaxtyping import install_import_hook

install_import_hook("splice", "beartype.beartype")

# No test fails because the machine is busy.
hypothesis.settings.register_profile("splice", deadline=None)
hypothesis.settings.load_profile("splice")

# A shell's background jobs, and all that they start, ignore ctrl-C, which several tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)
