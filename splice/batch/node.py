"""What a node of a Ray cluster does with a pair that is sent to it."""

import queue
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from splice import __version__
from splice.backbones.frozen_vit import FrozenViT
from splice.batch.events import Ended
from splice.batch.shipment import Checkpointed, Returned, Shipment, Weights, pack_run, unpack
from splice.batch.work import Backbones, carry_out
from splice.method.settings import Settings

_backbones = Backbones()
"""Those of this process, which does many pairs one after the other."""


def serve(
    shipment: Shipment, weights: Sequence[Any], threads: int, checkpoint_every: float
) -> Iterator[Any]:
    """Do one pair in a folder of its own, and yield what is to come back.

    Args:
        shipment: the pair.
        weights: a reference to its backbone's `Weights` in Ray's store, and no more.
        threads: to compute with.
        checkpoint_every: seconds after which a checkpoint comes back.

    Yields:
        Events and `Checkpointed`; then one `Returned`.
    """
    if shipment.version != __version__:
        reason = f"the node has Splice {__version__}, and this machine {shipment.version}."
        yield Returned(Ended(shipment.task.name, "failed", reason=reason), {})
        return
    messages: queue.Queue[Any] = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="splice-") as name:
        folder = Path(name)
        task = unpack(shipment, folder)

        def work() -> None:
            torch.set_num_threads(threads)
            ended = carry_out(
                task,
                lambda: _backbone(task.settings, weights[0], folder),
                tell=messages.put,
                stop=lambda: False,
                tell_every=1.0,
                checkpoint_every=checkpoint_every,
                checkpointed=lambda path: messages.put(Checkpointed(path.read_bytes())),
            )
            messages.put(ended)

        # The optimisation calls back, and Ray wants a generator: a thread turns one into the other.
        threading.Thread(target=work, daemon=True).start()
        while not isinstance(message := messages.get(), Ended):
            yield message
        yield pack_run(message, task, shipment.task)


def _backbone(settings: Settings, weights: Any, folder: Path) -> FrozenViT:
    """The backbone of this process, loaded from the cluster's store when it is first needed."""
    import ray

    def load(device: torch.device) -> FrozenViT:
        sent: Weights = ray.get(weights)
        file = folder / f"weights{sent.suffix}"
        file.write_bytes(sent.content)
        vit = FrozenViT.load(settings.backbone, device=device, weights=file)
        file.unlink()
        if sent.provenance is not None:
            vit.provenance = sent.provenance
        elif vit.provenance is not None:
            vit.provenance = replace(vit.provenance, file=str(settings.weights))
        return vit

    return _backbones.get(settings, load)
