"""Functions compiled by torch.

Compiling takes from some ten seconds to minutes, once in a process, and joins what lies between the
products and convolutions into few passes over memory. A function is compiled for any size, so that
views of many sizes do not compile it again and again. Meant for GPUs: on CPUs the plain parts, with
gradients of their own, are faster (docs/performance.md).
"""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from splice.errors import RunError

P = ParamSpec("P")
T = TypeVar("T")


def compiled(function: Callable[P, T], of: str) -> Callable[P, T]:
    """The same function, compiled when it is first called.

    Its results and gradients differ from the function's own by rounding.

    Args:
        function: of tensors, whose sizes may differ from call to call.
        of: what computes it, to say in an error.

    Raises:
        RunError: when called, if it cannot be compiled here.
    """
    from torch._dynamo.exc import TorchDynamoException  # takes a second, so only for this

    fast = torch.compile(function, dynamic=True)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with warnings.catch_warnings():
            # The compiler warns of what its own parts do.
            warnings.simplefilter("ignore")
            try:
                return fast(*args, **kwargs)
            except TorchDynamoException as error:
                why = " ".join(str(error).split("\n\n")[0].split())
                raise RunError(
                    f"torch cannot compile {of} on this machine: {why}; leave --compiled out."
                ) from error

    return call
