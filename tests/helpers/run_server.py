"""Runs of the command `splice` in forked processes, so that none of them has to import torch.

Reads a line of JSON for each: the arguments, and the file for what it prints. Answers with a line
when it has started (its process id) and one when it has ended (its exit status, or minus the signal
that killed it).
"""

import json
import os
import sys

import torch  # noqa: F401

from splice.commands.cli import main
from splice.method import gamut

# Of pictures of 64 pixels; as many as the default takes would be seconds for each run.
gamut.SAMPLES = 24

for line in sys.stdin:
    arguments, printed = json.loads(line)
    child = os.fork()
    if child == 0:
        descriptor = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        status = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.stdout.write(f"{child}\n")
    sys.stdout.flush()
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
    sys.stdout.flush()
