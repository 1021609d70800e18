"""A GPU that is not there: tensors lie on the CPU and say that they lie on "cuda".

Whatever is computed is computed for real, so that code may ask for numbers. What a GPU would refuse,
an operation on tensors of both places, is refused; questions that make the host wait are counted.
Gradients are not watched on their way back: there is nothing that could bring them to another place.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda", 0)

WAITS = {
    "bool": "__bool__",
    "float": "__float__",
    "int": "__int__",
    "index": "__index__",
    "item": "item",
    "tolist": "tolist",
    "nonzero": "nonzero",
    "unique": "unique",
    "unique_consecutive": "unique_consecutive",
    "masked_select": "masked_select",
    "numpy": "numpy",
}
"""Functions whose answer, or whose answer's size, depends on numbers that the GPU has."""

MOVES = {
    "to",
    "type_as",
    "copy_",
    "__get__",
    "__set__",
    "_has_compatible_shallow_copy_type",
}
"""Functions that take tensors of both places."""


class WrongPlaceError(RuntimeError):
    """An operation was given tensors of both places."""


class PretendedGPU(TorchFunctionMode):
    """While it lasts, "cuda" is a device.

    Attributes:
        waits: how often the host would have waited for the GPU, by function.
        operations: how many there were on the GPU's tensors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.operations = 0
        self._there: set[int] = set()

    def __torch_function__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(function, "__name__", "")
        owner = getattr(function, "__self__", None)
        if name == "__get__" and owner is Tensor.device:
            return GPU if self._is_there(args[0]) else function(*args)
        if name == "__get__" and owner is Tensor.is_cuda:
            return self._is_there(args[0])
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        there = [x for x in given if self._is_there(x)]
        wanted = self._without_device(name, args, kwargs)
        args = wanted[1]
        if there:
            self.operations += name not in ("__get__", "__set__")
            if name in WAITS.values():
                self.waits[name] += 1
            masks = args[1:2] if name in ("__getitem__", "__setitem__") else ()
            if any(x.dtype == torch.bool for x in tree_leaves(masks) if isinstance(x, Tensor)):
                self.waits["index by a mask"] += 1
        self._check(name, args, given, there)
        found = function(*args, **kwargs)
        goes = bool(there) or torch._C._current_graph_task_id() != -1
        if wanted[0] is not None:
            goes = wanted[0].type == "cuda"
            moved = [x for x in given if self._is_there(x) != goes]
            if (moved or name in ("tensor", "as_tensor")) and not kwargs.get("non_blocking"):
                self.waits["to the host" if there and not goes else "to the GPU"] += goes or bool(
                    there
                )
        for value in tree_leaves(found):
            if isinstance(value, Tensor):
                if any(value is x for x in given):
                    if wanted[0] is None or goes == self._is_there(value):
                        continue
                    found = value = value.clone()  # what stays where it is is not copied
                self._place(value, goes)
        return found

    def _without_device(
        self, name: str, args: tuple, kwargs: dict[str, Any]
    ) -> tuple[torch.device | None, tuple]:
        """Which device is asked for, and the arguments without it."""
        if name in ("cpu", "cuda"):
            return torch.device(name), args[:1]
        if "device" in kwargs and kwargs["device"] is not None:
            wanted = torch.device(kwargs["device"])
            kwargs["device"] = torch.device("cpu")
            return wanted, args
        if name == "to" and len(args) > 1:
            other = args[1]
            if isinstance(other, (str, torch.device)):
                return torch.device(other), (args[0], torch.device("cpu"), *args[2:])
            if isinstance(other, Tensor):
                return GPU if self._is_there(other) else torch.device("cpu"), args
        return None, args

    def _check(self, name: str, args: tuple, given: list[Tensor], there: list[Tensor]) -> None:
        here = [x for x in given if not self._is_there(x) and x.ndim and x.numel()]
        if not there or not here or torch._C._current_graph_task_id() != -1:
            return
        if name in MOVES:
            return
        if name in ("__getitem__", "__setitem__"):
            # Indices of the host are brought over, and the host waits; values are not.
            if not self._is_there(args[0]) or (len(args) > 2 and self._host_values(args[2])):
                raise WrongPlaceError(f"{name} of tensors of both places")
            self.waits["index of the host"] += 1
            return
        raise WrongPlaceError(f"{name} of tensors of both places")

    def _host_values(self, value: Any) -> bool:
        return isinstance(value, Tensor) and not self._is_there(value) and value.ndim > 0

    def _is_there(self, x: Tensor) -> bool:
        with torch._C.DisableTorchFunction():
            return x.untyped_storage().data_ptr() in self._there

    def _place(self, x: Tensor, there: bool) -> None:
        # Memory that was given back may be given again, so every result is noted, wherever it lies.
        with torch._C.DisableTorchFunction():
            address = x.untyped_storage().data_ptr()
        if address:
            (self._there.add if there else self._there.discard)(address)


class _Event(torch.cuda.Event):
    def record(self, stream: object = None) -> None: ...

    def synchronize(self) -> None: ...


@contextlib.contextmanager
def pretended_gpu() -> Iterator[PretendedGPU]:
    """A GPU, with what torch says of one."""
    on_host = torch.Generator
    stand_ins: dict[str, Callable[..., Any] | type] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "Event": _Event,
        "current_stream": lambda device=None: None,
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
    }
    with contextlib.ExitStack() as stack:
        for name, value in stand_ins.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        # Numbers are drawn on the host; a GPU's own would be others.
        drawn = mock.patch.object(torch, "Generator", lambda device="cpu": on_host())
        stack.enter_context(drawn)
        yield stack.enter_context(PretendedGPU())
