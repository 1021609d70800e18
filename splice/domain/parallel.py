"""Several processes that learn one network together, as `torchrun` starts them.

Each works on its share of every batch. Gradients are averaged, so all processes hold the same weights
after every step, and the same ones as a single process with the whole batch, within rounding.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from splice.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """Which of how many processes this one is.

    Attributes:
        rank: from 0, which alone writes files and says how it goes.
        size: number of processes.
        place: of this process among those of its machine, which is the GPU that it takes.
    """

    rank: int = 0
    size: int = 1
    place: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def share(self, count: int, option: str = "--batch") -> range:
        """Which of the things of a joint batch are this process's own.

        Args:
            count: of the things.
            option: that says how many there are.

        Raises:
            InputError: they cannot be shared evenly.
        """
        if count % self.size:
            raise InputError(
                f"{option} {count} cannot be shared by {self.size} processes; "
                f"give a multiple of {self.size}."
            )
        each = count // self.size
        return range(self.rank * each, (self.rank + 1) * each)


def world_of(environment: Mapping[str, str] = os.environ) -> World:
    """The world that `torchrun` tells of in the environment; a single process without it."""
    size = int(environment.get("WORLD_SIZE", "1"))
    if size <= 1 or "RANK" not in environment:
        return World()
    return World(int(environment["RANK"]), size, int(environment.get("LOCAL_RANK", "0")))


@contextmanager
def joined(world: World, device: torch.device) -> Iterator[None]:
    """Within, the processes of the world can reach each other: by NCCL on GPUs, else by gloo."""
    if world.size == 1:
        yield
        return
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo", rank=world.rank, world_size=world.size
    )
    try:
        yield
        # Who leaves early may abort at its end, while others still talk to it.
        dist.barrier()
    finally:
        dist.destroy_process_group()


def averaging(network: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The network in torch's `DistributedDataParallel`, where there are several processes."""
    if world.size == 1:
        return network
    from torch.nn.parallel import DistributedDataParallel

    places = [device] if device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=places)


def average_gradients(weights: Sequence[nn.Parameter], world: World) -> None:
    """The mean over processes of gradients that a network outside `averaging` has."""
    if world.size == 1:
        return
    for weight in weights:
        if weight.grad is not None:
            dist.all_reduce(weight.grad)
            weight.grad /= world.size


def averaged(values: Mapping[str, Float[Tensor, ""]], world: World) -> dict[str, Tensor]:
    """The means over processes of numbers that every process has by the same names."""
    if world.size == 1:
        return dict(values)
    together = torch.stack(list(values.values()))
    dist.all_reduce(together)
    return dict(zip(values, (together / world.size).unbind(), strict=True))


def agreed(status: int | None, world: World, device: torch.device) -> int | None:
    """The exit status with which any process wants to stop, so that all of them stop together."""
    if world.size == 1:
        return status
    value = torch.tensor(status or 0, device=device)
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return int(value) or None


def collected(things: Sequence[Any], world: World) -> list[Any]:
    """The things of all processes, dealt out as cards are: one of each process in turn."""
    if world.size == 1:
        return list(things)
    hands: list[Any] = [None] * world.size
    dist.all_gather_object(hands, list(things))
    longest = max(len(hand) for hand in hands)
    return [hand[turn] for turn in range(longest) for hand in hands if turn < len(hand)]


def told_by_first(thing: T, world: World) -> T:
    """What the first process has, in all of them."""
    if world.size == 1:
        return thing
    box: list[Any] = [thing]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gathered(rows: Float[Tensor, "batch *rest"], world: World) -> Float[Tensor, "joint *rest"]:
    """The rows of the joint batch, of which each process gives as many; with gradients.

    A loss of the joint batch that every process computes in full has, averaged over the processes, the
    same gradient as in one process.
    """
    return rows if world.size == 1 else _Gathered.apply(rows, world.rank, world.size)  # pyright: ignore[reportReturnType]


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, rank: int, size: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.rank, ctx.rows = rank, len(rows)
        parts = [torch.empty_like(rows) for _ in range(size)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        total = gradient.contiguous()
        dist.all_reduce(total)
        return total[ctx.rank * ctx.rows : (ctx.rank + 1) * ctx.rows], None, None
