"""Sums that a GPU takes in the same order every time, so that a run can be repeated.

What torch offers for that is a switch for the whole process, which refuses every operation that has no
such order. Here it is on for the few operations that need it, and then as it was.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CUBLAS, WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""Torch asks for one of cuBLAS's fixed workspaces before it promises the order of a product."""

_asked = False
_filling: Any = torch.utils.deterministic


@contextlib.contextmanager
def sums_in_fixed_order() -> Iterator[None]:
    """While it lasts, convolutions and what `in_order` computes have an order, and so have gradients.

    Afterwards all switches are as they were, whatever a pass that ran out of memory has left on.
    """
    global _asked
    before, convolutions, asked = _Switches.now(), torch.backends.cudnn.deterministic, _asked
    torch.backends.cudnn.deterministic, _asked = True, True
    try:
        yield
    finally:
        before.restore()
        torch.backends.cudnn.deterministic, _asked = convolutions, asked


def in_order(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """What the function gives, by kernels that have an order forward and back, if that is asked for.

    Args:
        function: a single operation of torch.
        inputs: its tensors.
    """
    if not (_asked and torch.is_grad_enabled() and any(x.requires_grad for x in inputs)):
        return function(*inputs)
    before = _Switches.now()
    try:
        _switch_on()
        result = function(*inputs)
    finally:
        before.restore()
    node, restores = result.grad_fn, []
    assert node is not None

    def begin(gradients: object) -> None:
        restores.append(_Switches.now().restore)
        _switch_on()

    node.register_prehook(begin)
    node.register_hook(lambda inputs, outputs: restores.pop()())
    return result


@dataclass(frozen=True)
class _Switches:
    """Torch's switch, and whether memory is filled before it is written while that is on."""

    mode: int
    fills: bool

    @staticmethod
    def now() -> "_Switches":
        fills = _filling.fill_uninitialized_memory
        return _Switches(torch.get_deterministic_debug_mode(), fills)

    def restore(self) -> None:
        torch.set_deterministic_debug_mode(self.mode)
        _filling.fill_uninitialized_memory = self.fills


def _switch_on() -> None:
    os.environ.setdefault(CUBLAS, WORKSPACE)
    torch.set_deterministic_debug_mode("error")
    _filling.fill_uninitialized_memory = False
