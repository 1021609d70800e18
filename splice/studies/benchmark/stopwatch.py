"""Where the seconds of a step go: hooks on a transfer that switch a stopwatch between parts."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Variable

from splice.backbones.features import Features
from splice.method.transfer import Transfer

PARTS = {
    "views": "views",
    "generator_forward": "generator, forward",
    "generator_backward": "generator, backward",
    "vit_forward": "ViT with gradient, forward",
    "vit_backward": "ViT with gradient, backward",
    "vit_without_gradient": "ViT without gradient",
    "terms_forward": "inputs and terms, forward",
    "terms_backward": "terms, backward",
    "optimiser": "optimiser",
}
"""The parts of a step, each with what tables call it."""


def synchronise(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class Stopwatch:
    """Adds up the seconds of parts, of which exactly one runs at any time.

    Attributes:
        seconds: of each part so far.
    """

    def __init__(self, device: torch.device) -> None:
        """Stands still until the first part begins."""
        self.device = device
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._part: str | None = None
        self._outer: list[str | None] = []
        self._since = 0.0

    def switch(self, part: str | None) -> None:
        """Ends the running part and begins another, or none."""
        synchronise(self.device)
        now = time.perf_counter()
        if self._part is not None:
            self.seconds[self._part] += now - self._since
        self._part, self._since = part, now

    def enter(self, part: str) -> None:
        """Begins a part within the running one, which waits meanwhile."""
        self._outer.append(self._part)
        self.switch(part)

    def leave(self) -> None:
        """Ends a part and goes on with the one around it."""
        self.switch(self._outer.pop())


@contextlib.contextmanager
def timed_parts(transfer: Transfer) -> Iterator[Stopwatch]:
    """While it lasts, the steps of the transfer are timed by part, waiting for the device at each.

    A step's backward pass runs the terms, the ViT, the resizing (counted with the terms) and the
    generator in turn; where a step has several pairs of views, the terms of all pairs but the last
    are counted with the generator that ran before them.
    """
    watch = Stopwatch(transfer.device)
    network, vit = transfer.learner.network, transfer.method.vit
    in_backward = [False]

    def begin_network(module: Any, inputs: tuple[Tensor, ...]) -> None:
        watch.enter("generator_forward")

    def end_network(module: Any, inputs: tuple[Tensor, ...], painted: Tensor) -> None:
        watch.leave()
        _on_gradient(painted, begin_network_backward)

    def begin_network_backward() -> None:
        watch.switch("generator_backward")
        if not in_backward[0]:
            in_backward[0] = True
            Variable._execution_engine.queue_callback(end_backward)  # pyright: ignore[reportAttributeAccessIssue]

    def end_backward() -> None:
        in_backward[0] = False
        watch.switch("optimiser")

    def begin_vit(module: Any, inputs: tuple[Tensor, ...], named: dict[str, Any]) -> None:
        learns = _learns(inputs[0])
        watch.enter("vit_forward" if learns else "vit_without_gradient")
        _on_gradient(inputs[0], lambda: watch.switch("terms_backward"))

    def end_vit(module: Any, inputs: tuple[Tensor, ...], found: Features) -> None:
        watch.leave()
        for vectors in outputs(found):
            _on_gradient(vectors, lambda: watch.switch("vit_backward"))

    hooks = [
        network.register_forward_pre_hook(begin_network),
        network.register_forward_hook(end_network),
        vit.register_forward_pre_hook(begin_vit, with_kwargs=True),
        vit.register_forward_hook(end_vit),
    ]
    with (
        _around(transfer, "losses", lambda: watch.switch("terms_forward")),
        _around(transfer.method, "draw", lambda: watch.enter("views"), watch.leave),
        _around(
            transfer.learner,
            "learn",
            lambda: watch.switch("terms_backward"),
            lambda: watch.switch(None),
        ),
    ):
        try:
            yield watch
        finally:
            for hook in hooks:
                hook.remove()


@dataclass(frozen=True)
class Call:
    """One pass that a step sent through a network.

    Attributes:
        shape: of its input.
        wanted: of the transformer.
    """

    shape: tuple[int, ...]
    wanted: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Calls:
    """Every pass with gradient of some steps."""

    generator: list[Call] = field(default_factory=list)
    vit: list[Call] = field(default_factory=list)


@contextlib.contextmanager
def recorded_calls(transfer: Transfer) -> Iterator[Calls]:
    """While it lasts, notes the passes with gradient that steps send through generator and ViT."""
    calls = Calls()

    def network(module: Any, inputs: tuple[Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            calls.generator.append(Call(tuple(inputs[0].shape)))

    def vit(module: Any, inputs: tuple[Tensor, ...], named: dict[str, Any]) -> None:
        if _learns(inputs[0]):
            calls.vit.append(Call(tuple(inputs[0].shape), named))

    hooks = [
        transfer.learner.network.register_forward_pre_hook(network),
        transfer.method.vit.register_forward_pre_hook(vit, with_kwargs=True),
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def outputs(found: Features) -> list[Tensor]:
    """All tensors of features, whatever their kind and block."""
    kinds = (found.cls, found.tokens, found.keys, found.queries, found.values, found.attention)
    return [vectors for kind in kinds for vectors in kind.values()]


def _learns(images: Tensor) -> bool:
    return torch.is_grad_enabled() and images.requires_grad


def _on_gradient(x: Tensor, act: Callable[[], None]) -> None:
    """Has `act` done when the backward pass reaches x."""
    if _learns(x):
        x.register_hook(lambda gradient: act())


@contextlib.contextmanager
def _around(
    owner: Any, name: str, before: Callable[[], None], after: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """While it lasts, every call of a method is preceded and followed by other calls."""
    method = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        before()
        try:
            return method(*arguments, **named)
        finally:
            after()

    setattr(owner, name, wrapped)
    try:
        yield
    finally:
        delattr(owner, name)
