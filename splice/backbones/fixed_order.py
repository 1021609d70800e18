"""Sums that a GPU takes in the same order every time, so that a run can be repeated.

What torch offers for that is a switch for the whole process, which refuses every operation that it has
no such order for. Here it is on for the few operations that need it, and then as it was.
"""

import contextlib
import os
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

CUBLAS, WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""Torch asks for one of cuBLAS's fixed workspaces before it promises the order of a product."""


@contextlib.contextmanager
def convolutions_in_fixed_order() -> Iterator[None]:
    """While it lasts, cuDNN takes algorithms for convolutions that sum in a fixed order."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


@contextlib.contextmanager
def kernels_in_fixed_order() -> Iterator[None]:
    """While it lasts, torch takes kernels that sum in a fixed order, and refuses others."""
    restore = _switch_on()
    try:
        yield
    finally:
        restore()


def go_back_in_fixed_order(result: Tensor) -> Tensor:
    """The result, on the way back through whose operation alone the order is fixed as well."""
    node, restores = result.grad_fn, []
    if node is not None:
        node.register_prehook(lambda gradients: restores.append(_switch_on()))
        node.register_hook(lambda inputs, outputs: restores.pop()())
    return result


def _switch_on() -> Callable[[], None]:
    """Switches torch to fixed orders; what switches it back."""
    os.environ.setdefault(CUBLAS, WORKSPACE)
    mode, fills = torch.get_deterministic_debug_mode(), torch.utils.deterministic
    filled = fills.fill_uninitialized_memory

    def restore() -> None:
        torch.set_deterministic_debug_mode(mode)
        fills.fill_uninitialized_memory = filled

    torch.set_deterministic_debug_mode("error")
    # Memory that is about to be written need not be filled first.
    fills.fill_uninitialized_memory = False
    return restore
