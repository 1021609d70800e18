"""Pairs on a Ray cluster: everything a node needs is sent to it, everything it makes comes back.

Nodes share no disk with this process. A pair's pictures, its last checkpoint and the backbone's weights
travel to the node; checkpoints and finished files travel back and are written here. A pair whose
worker or node dies goes on elsewhere from the last checkpoint that came back.
"""

import contextlib
import json
import math
import os
import queue
import signal
import socket
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splice import __version__
from splice.batch.events import Ended, Event, Retried
from splice.batch.planning import Task
from splice.errors import InputError, RunError, SpliceError
from splice.running.outputs import CHECKPOINT, FILES, RECORD, RunFolder

if TYPE_CHECKING:
    from splice.backbones.weights import Provenance
    from splice.method.settings import Settings

LOCAL = "local"
"""The address of a cluster that is started for this batch, on this machine alone."""

_POLL, _LOOK_EVERY = 0.5, 5.0


@dataclass(frozen=True)
class Checkpointed:
    """A checkpoint of a pair at work, on its way back."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Returned:
    """The end of a pair, with the files of its run."""

    ended: Ended
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Shipment:
    """What a node needs for one pair: no path in it means anything there."""

    task: Task
    structure: bytes
    appearance: bytes
    checkpoint: bytes | None
    version: str


@dataclass(frozen=True)
class Weights:
    """The weights of a backbone, and where they came from."""

    content: bytes
    suffix: str
    provenance: "Provenance | None"


def run_on_ray(
    tasks: Sequence[Task],
    address: str,
    *,
    provenances: "Mapping[tuple[str, str | None], Provenance] | None" = None,
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
    ray = _ray()
    mine = not ray.is_initialized()
    if mine:
        _connect(ray, address)
    try:
        yield from _Cluster(
            ray, provenances or {}, pairs_per_device, threads, checkpoint_every, retries
        ).run(tasks, stop)
    finally:
        if mine:
            ray.shutdown()


class _Cluster:
    def __init__(
        self,
        ray: Any,
        provenances: "Mapping[tuple[str, str | None], Provenance]",
        pairs_per_device: int,
        threads: int,
        checkpoint_every: float,
        retries: int,
    ) -> None:
        self._ray, self._provenances = ray, provenances
        self._per_device, self._threads = pairs_per_device, threads
        self._every, self._retries = checkpoint_every, retries
        self._weights: dict[tuple[str, str | None], Any] = {}
        self._folders: dict[str, RunFolder] = {}
        self._at_work: dict[Any, Task] = {}
        self._lost = Counter[str]()
        self._known: Mapping[str, float] = {}
        self._known_at = -math.inf

    def run(self, tasks: Sequence[Task], stop: Callable[[], bool]) -> Iterator[Event]:
        queue = deque(tasks)
        try:
            while queue or self._at_work:
                while queue and len(self._at_work) < self._window():
                    failed = self._begin(queue.popleft())
                    if failed is not None:
                        yield failed
                for generator in self._ready():
                    yield from self._next(generator, queue)
                if stop():
                    for task in [*self._at_work.values()]:
                        yield Ended(task.name, "stopped")
                    return
        finally:
            for generator in self._at_work:
                with contextlib.suppress(Exception):
                    self._ray.cancel(generator, force=True)
            for folder in self._folders.values():
                folder.release()

    def _resources(self) -> Mapping[str, float]:
        """CPUs and GPUs of the cluster, which may grow and shrink."""
        if time.monotonic() - self._known_at > _LOOK_EVERY:
            self._known, self._known_at = self._ray.cluster_resources(), time.monotonic()
        return self._known

    def _window(self) -> int:
        """How many pairs to hand over: more than there is room for, so that a cluster can grow."""
        there = self._resources()
        places = there.get("CPU", 0) / self._threads
        if there.get("GPU"):
            places = min(places, there["GPU"] * self._per_device)
        return 2 + 2 * int(places)

    def _begin(self, task: Task) -> Ended | None:
        """Send a pair off; how it ended, if that fails."""
        try:
            if task.name not in self._folders:
                self._folders[task.name] = RunFolder(task.folder, wait=60.0)
            checkpoint = task.folder / CHECKPOINT
            shipment = Shipment(
                task,
                task.structure.read_bytes(),
                task.appearance.read_bytes(),
                checkpoint.read_bytes() if checkpoint.is_file() else None,
                __version__,
            )
            weights = self._weights_of(task)
        except SpliceError as error:
            return self._end(Ended(task.name, "failed", reason=str(error)))
        except OSError as error:
            reason = f"{error.filename} cannot be read: {error.strerror}."
            return self._end(Ended(task.name, "failed", reason=reason))
        # The process is kept, and the backbone in it, on GPUs as well. A lost pair is begun again
        # here, from its last checkpoint, and not by Ray, from its first.
        remote = self._ray.remote(max_calls=0, max_retries=0)(_serve).options(
            num_cpus=self._threads, num_gpus=self._gpus(task), num_returns="streaming"
        )
        # In a list a reference stays one: the node looks it up only where it has to load.
        generator = remote.remote(shipment, [weights], self._threads, self._every)
        self._at_work[generator] = task
        return None

    def _weights_of(self, task: Task) -> Any:
        """A reference to the weights in the cluster's store: each backbone is sent once to a node."""
        key = task.settings.backbone, task.settings.weights
        if key not in self._weights:
            backbone, own = key
            provenance = None if own else self._provenances[backbone, None]
            path = Path(own).expanduser() if own else Path(provenance.file)  # pyright: ignore
            content = Weights(path.read_bytes(), path.suffix, provenance)
            self._weights[key] = self._ray.put(content)
        return self._weights[key]

    def _gpus(self, task: Task) -> float:
        device = task.settings.device
        there = self._resources().get("GPU", 0) > 0
        if device.startswith("cuda") and not there:
            raise RunError(f"--device {device} needs a GPU, and the Ray cluster has none.")
        return 1 / self._per_device if there and device != "cpu" else 0.0

    def _ready(self) -> list[Any]:
        if not self._at_work:
            return []
        ready, _ = self._ray.wait(
            list(self._at_work), num_returns=1, timeout=_POLL, fetch_local=False
        )
        return ready

    def _next(self, generator: Any, queue: deque[Task]) -> Iterator[Event]:
        """What a pair at work has to say next."""
        task = self._at_work[generator]
        try:
            message = self._ray.get(next(generator))
        except StopIteration:
            del self._at_work[generator]
            return
        except self._ray.exceptions.RayTaskError as error:
            del self._at_work[generator]
            reason = f"the node could not do it ({_last_line(error)})."
            yield self._end(Ended(task.name, "failed", reason=reason, details=str(error)))
            return
        except self._ray.exceptions.RayError as error:
            del self._at_work[generator]
            yield self._after_loss(task, _first_sentence(error), queue)
            return
        try:
            yield from self._take(task, message)
        except SpliceError as error:
            del self._at_work[generator]
            self._ray.cancel(generator, force=True)
            yield self._end(Ended(task.name, "failed", reason=str(error)))

    def _take(self, task: Task, message: Any) -> Iterator[Event]:
        folder = self._folders[task.name]
        if isinstance(message, Checkpointed):
            folder.write(CHECKPOINT, message.content)
        elif isinstance(message, Returned):
            write_run(folder, message.files, task)
            yield self._end(message.ended)
        else:
            yield message

    def _after_loss(self, task: Task, how: str, queue: deque[Task]) -> Event:
        self._lost[task.name] += 1
        if self._lost[task.name] <= self._retries:
            queue.appendleft(task)
            return Retried(task.name, f"its worker or node was lost ({how})")
        reason = f"its worker or node was lost {self._lost[task.name]} times (the last: {how})."
        return self._end(Ended(task.name, "failed", reason=reason))

    def _end(self, ended: Ended) -> Ended:
        folder = self._folders.pop(ended.name, None)
        if folder is not None:
            folder.release()
        return ended


def write_run(folder: RunFolder, files: Mapping[str, bytes], task: Task) -> None:
    """Write the files of a run that was done elsewhere, its record last, with the paths of here.

    Raises:
        SpliceError: a file cannot be written.
    """
    for name in FILES:
        if name in files and name != RECORD:
            folder.write(name, files[name])
    if RECORD in files:
        record = json.loads(files[RECORD])
        record["structure"]["file"] = str(task.structure)
        record["appearance"]["file"] = str(task.appearance)
        folder.write_record(record)
        if record["finished"]:
            folder.remove(CHECKPOINT)


def _serve(
    shipment: Shipment, weights: Sequence[Any], threads: int, checkpoint_every: float
) -> Iterator[Any]:
    """On the node: do one pair in a folder of its own, and yield what is to come back."""
    if shipment.version != __version__:
        reason = f"the node has Splice {__version__}, and this machine {shipment.version}."
        yield Returned(Ended(shipment.task.name, "failed", reason=reason), {})
        return
    from splice.batch.work import carry_out

    messages: queue.Queue[Any] = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="splice-") as name:
        folder = Path(name)
        task = unpack(shipment, folder)

        def work() -> None:
            import torch

            torch.set_num_threads(threads)
            ended = carry_out(
                task,
                lambda: _backbone(task.settings, weights[0], folder),
                tell=messages.put,
                stop=lambda: False,
                tell_every=1.0,
                checkpoint_every=checkpoint_every,
                checkpointed=lambda path: messages.put(Checkpointed(task.name, path.read_bytes())),
            )
            messages.put(ended)

        # The optimisation calls back, and Ray wants a generator: a thread turns one into the other.
        threading.Thread(target=work, daemon=True).start()
        message = messages.get()
        while not isinstance(message, Ended):
            yield message
            message = messages.get()
        files = {
            file: (task.folder / file).read_bytes()
            for file in FILES
            if (task.folder / file).is_file()
        }
        yield Returned(_in_terms_of(shipment.task, task, message), files)


def _in_terms_of(here: Task, there: Task, ended: Ended) -> Ended:
    """The end of a pair with the paths that the user knows in place of the node's."""
    reason = ended.reason
    for role in ("structure", "appearance", "folder"):
        reason = reason and reason.replace(str(getattr(there, role)), str(getattr(here, role)))
    return replace(ended, reason=reason)


def _backbone(settings: "Settings", weights: Any, folder: Path) -> Any:
    """The backbone of this process, loaded from the cluster's store when it is first needed."""
    import ray

    from splice.backbones.frozen_vit import FrozenViT

    def load(device: Any) -> FrozenViT:
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

    return _backbones().get(settings, load)


@cache
def _backbones() -> Any:
    """Those of this process, which does many pairs one after the other."""
    from splice.batch.work import Backbones

    return Backbones()


def unpack(shipment: Shipment, folder: Path) -> Task:
    """Lay the pictures and the checkpoint of a shipment out in a folder, and make its task theirs."""
    task = shipment.task
    pictures = {}
    for role in ("structure", "appearance"):
        pictures[role] = folder / f"{role}{getattr(task, role).suffix}"
        pictures[role].write_bytes(getattr(shipment, role))
    run = folder / "run"
    run.mkdir()
    if shipment.checkpoint is not None:
        (run / CHECKPOINT).write_bytes(shipment.checkpoint)
    return replace(task, **pictures, folder=run)


def _ray() -> Any:
    # No report of usage to Ray's makers, unless the user wants one.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise RunError(
            "--ray needs Ray; install it with: pip install 'splice-vit[ray]', here and on all nodes."
        ) from None
    return ray


def _connect(ray: Any, address: str) -> None:
    if address.startswith("ray://"):
        raise InputError(
            f"--ray {address} is an address of Ray's client, which cannot stream results; run this "
            "command on a machine of the cluster, with --ray auto or its HOST:PORT."
        )
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address == LOCAL:
        options["include_dashboard"] = False
    elif address != "auto":
        _knock(address)
    ours = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
    except Exception as error:  # some of what it raises is nothing more special
        if address == LOCAL:
            raise RunError(f"Ray could not be started ({_first_sentence(error)}).") from error
        raise _unreachable(address, _first_sentence(error)) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)  # Ray puts its own in the place


def _knock(address: str) -> None:
    """Make sure that something listens there: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise InputError(f"--ray cannot be {address}: it should be HOST:PORT, auto or local.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5.0).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, getattr(error, "strerror", None) or str(error)) from error


def _unreachable(address: str, reason: str) -> RunError:
    return RunError(
        f"no Ray cluster answers at --ray {address} ({reason}); start one with "
        "'ray start --head', or use --ray local."
    )


def _first_sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0].strip().rstrip(".")[:200]


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".")[:200]
