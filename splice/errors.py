"""The two kinds of failure that a user can meet, and the exit status of each."""


class SpliceError(Exception):
    """Any failure that Splice explains in one sentence; `exit_status` is what the command returns."""

    exit_status = 1


class InputError(SpliceError):
    """Usage or input that cannot work: a file, an option or a setting that is wrong."""

    exit_status = 2


class RunError(SpliceError):
    """A failure at run time: no network, no memory, a full disk, a diverged optimisation."""

    exit_status = 1
