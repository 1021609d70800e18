"""Pairs on a Ray cluster: everything a node needs is sent to it, everything it makes comes back.

Nodes share no disk with this process. A pair whose worker or node dies goes on elsewhere from the
last checkpoint that came back.
"""

import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from splice.backbones.weights import Provenance
from splice.batch.events import Ended, Event, Retried
from splice.batch.node import serve
from splice.batch.planning import Task
from splice.batch.ray_connection import connect, first_sentence, import_ray
from splice.batch.shipment import Checkpointed, Returned, Weights, pack, write_run
from splice.batch.work import WAIT
from splice.errors import RunError, SpliceError
from splice.running.outputs import CHECKPOINT, RunFolder

_POLL, _LOOK_EVERY = 0.5, 5.0


def run_on_ray(
    tasks: Sequence[Task],
    address: str,
    *,
    provenances: Mapping[tuple[str, str | None], Provenance] | None = None,
    pairs_per_device: int = 1,
    threads: int = 1,
    checkpoint_every: float = 30.0,
    retries: int = 3,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Do the tasks on a Ray cluster, and tell what happens.

    Where the cluster has GPUs (and the settings do not ask for the CPU), each pair takes
    1 / `pairs_per_device` of one; besides, `threads` CPUs.

    Args:
        tasks: in the order in which they are begun.
        address: `local`, `auto`, or `HOST:PORT` of the cluster's head.
        provenances: where the backbones' weights are, from `fetch_backbones`.
        pairs_per_device: pairs at once on a GPU.
        threads: of each pair, counted as CPUs by Ray.
        checkpoint_every: seconds after which a checkpoint of each pair comes back.
        retries: how many workers or nodes a pair may lose and go on.
        stop: is asked twice a second; once True, pairs are left with the checkpoint that came last.

    Raises:
        RunError: Ray is not installed, no cluster answers, or it has no place for a pair.
        InputError: an address that does not work here.
    """
    ray = import_ray()
    mine = not ray.is_initialized()
    if mine:
        connect(ray, address)
    try:
        cluster = _Cluster(
            ray,
            deque(tasks),
            provenances or {},
            pairs_per_device,
            threads,
            checkpoint_every,
            retries,
        )
        yield from cluster.run(stop)
    finally:
        if mine:
            ray.shutdown()


@dataclass
class _Cluster:
    ray: Any
    queue: deque[Task]
    provenances: Mapping[tuple[str, str | None], Provenance]
    pairs_per_device: int
    threads: int
    checkpoint_every: float
    retries: int
    weights: dict[tuple[str, str | None], Any] = field(default_factory=dict)
    folders: dict[str, RunFolder] = field(default_factory=dict)
    at_work: dict[Any, Task] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    known: Mapping[str, float] = field(default_factory=dict)
    known_at: float = -math.inf

    def run(self, stop: Callable[[], bool]) -> Iterator[Event]:
        try:
            while self.queue or self.at_work:
                while self.queue and len(self.at_work) < self._window():
                    failed = self._begin(self.queue.popleft())
                    if failed is not None:
                        yield failed
                for generator in self._ready():
                    yield from self._next(generator)
                if stop():
                    for task in [*self.at_work.values()]:
                        yield Ended(task.name, "stopped")
                    return
        finally:
            for generator in self.at_work:
                with contextlib.suppress(Exception):
                    self.ray.cancel(generator, force=True)
            for folder in self.folders.values():
                folder.release()

    def _resources(self) -> Mapping[str, float]:
        """CPUs and GPUs of the cluster, which may grow and shrink."""
        if time.monotonic() - self.known_at > _LOOK_EVERY:
            self.known, self.known_at = self.ray.cluster_resources(), time.monotonic()
        return self.known

    def _window(self) -> int:
        """How many pairs to hand over: more than there is room for, so that a cluster can grow."""
        there = self._resources()
        places = there.get("CPU", 0) / self.threads
        if there.get("GPU"):
            places = min(places, there["GPU"] * self.pairs_per_device)
        return 2 + 2 * int(places)

    def _begin(self, task: Task) -> Ended | None:
        """Send a pair off; how it ended, if that fails."""
        try:
            if task.name not in self.folders:
                self.folders[task.name] = RunFolder(task.folder, wait=WAIT)
            shipment, weights = pack(task), self._weights_of(task)
        except SpliceError as error:
            return self._fail(task, str(error))
        except OSError as error:
            return self._fail(task, f"{error.filename} cannot be read: {error.strerror}.")
        # The process is kept, and the backbone in it, on GPUs as well. A lost pair is begun again
        # here, from its last checkpoint, and not by Ray, from its first.
        remote = self.ray.remote(max_calls=0, max_retries=0)(serve).options(
            num_cpus=self.threads, num_gpus=self._gpus(task), num_returns="streaming"
        )
        # In a list a reference stays one: the node looks it up only where it has to load.
        generator = remote.remote(shipment, [weights], self.threads, self.checkpoint_every)
        self.at_work[generator] = task
        return None

    def _weights_of(self, task: Task) -> Any:
        """A reference to the weights in the cluster's store: each backbone is sent once to a node."""
        backbone, own = key = task.settings.backbone, task.settings.weights
        if key not in self.weights:
            if own:
                provenance, path = None, Path(own).expanduser()
            else:
                provenance = self.provenances[backbone, None]
                path = Path(provenance.file)
            self.weights[key] = self.ray.put(Weights(path.read_bytes(), path.suffix, provenance))
        return self.weights[key]

    def _gpus(self, task: Task) -> float:
        device = task.settings.device
        there = self._resources().get("GPU", 0) > 0
        if device.startswith("cuda") and not there:
            raise RunError(f"--device {device} needs a GPU, and the Ray cluster has none.")
        return 1 / self.pairs_per_device if there and device != "cpu" else 0.0

    def _ready(self) -> list[Any]:
        if not self.at_work:
            return []
        ready, _ = self.ray.wait(
            list(self.at_work), num_returns=1, timeout=_POLL, fetch_local=False
        )
        return ready

    def _next(self, generator: Any) -> Iterator[Event]:
        """What a pair at work has to say next."""
        task = self.at_work[generator]
        try:
            message = self.ray.get(next(generator))
        except StopIteration:
            del self.at_work[generator]
            return
        except self.ray.exceptions.RayTaskError as error:
            del self.at_work[generator]
            reason = f"the node could not do it ({_last_line(error)})."
            yield self._fail(task, reason, details=str(error))
            return
        except self.ray.exceptions.RayError as error:
            del self.at_work[generator]
            yield self._after_loss(task, first_sentence(error))
            return
        try:
            yield from self._take(task, message)
        except SpliceError as error:
            del self.at_work[generator]
            self.ray.cancel(generator, force=True)
            yield self._fail(task, str(error))

    def _take(self, task: Task, message: Any) -> Iterator[Event]:
        folder = self.folders[task.name]
        if isinstance(message, Checkpointed):
            folder.write(CHECKPOINT, message.content)
        elif isinstance(message, Returned):
            write_run(folder, message.files, task)
            yield self._end(message.ended)
        else:
            yield message

    def _after_loss(self, task: Task, how: str) -> Event:
        self.lost[task.name] += 1
        if self.lost[task.name] <= self.retries:
            self.queue.appendleft(task)
            return Retried(task.name, f"its worker or node was lost ({how})")
        return self._fail(
            task, f"its worker or node was lost {self.lost[task.name]} times (the last: {how})."
        )

    def _fail(self, task: Task, reason: str, details: str | None = None) -> Ended:
        return self._end(Ended(task.name, "failed", reason=reason, details=details))

    def _end(self, ended: Ended) -> Ended:
        folder = self.folders.pop(ended.name, None)
        if folder is not None:
            folder.release()
        return ended


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".")[:200]
