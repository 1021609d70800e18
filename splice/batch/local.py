"""Pairs on this machine: worker processes, each with its backbone and its share of the threads."""

import contextlib
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from splice.batch.events import Ended, Event, Retried
from splice.batch.planning import Task
from splice.errors import RunError
from splice.running.environment import environment

GPUS = "CUDA_VISIBLE_DEVICES"

_READY = "ready"
_ENOUGH = None
_POLL = 0.5


def placements(
    workers: int | None = None, *, pairs_per_device: int = 1, device: str = "auto"
) -> list[Mapping[str, str]]:
    """Where workers run: for each, the changes of its environment.

    Args:
        workers: how many; by default `pairs_per_device` for each GPU, or that many where the
            device is not a GPU or is a certain one.
        pairs_per_device: that are worked on at once on a device.
        device: as in the settings. With `auto` or `cuda`, each worker sees one of the machine's GPUs,
            in turn.
    """
    gpus = _gpus() if device in ("auto", "cuda") else []
    count = workers or pairs_per_device * max(1, len(gpus))
    if len(gpus) < 2:
        return [{} for _ in range(count)]
    return [{GPUS: gpus[index % len(gpus)]} for index in range(count)]


def run_local(
    tasks: Sequence[Task],
    *,
    workers: Sequence[Mapping[str, str]] = ({},),
    threads: int | None = None,
    checkpoint_every: float = 30.0,
    retries: int = 1,
    stop: Callable[[], bool] = lambda: False,
    debug: bool = False,
) -> Generator[Event, None, None]:
    """Do the tasks in worker processes, and tell what happens.

    A pair whose worker dies goes on in a new one, from its checkpoint. Workers end with this
    process, however it ends. Close the iterator to end them early.

    Args:
        tasks: in the order in which they are begun.
        workers: the environment of each, from `placements`; no more are started than there are
            tasks.
        threads: of each worker; by default those of this machine are divided among them.
        checkpoint_every: seconds between two checkpoints of a pair.
        retries: how many workers a pair may lose and go on.
        stop: is asked twice a second; once True, the pairs at work are saved and told as stopped.
        debug: let workers show warnings.

    Raises:
        RunError: workers die before they are ready.
    """
    queue, lost = deque(tasks), Counter[str]()
    count = min(len(workers), len(tasks))
    options = (threads, count, checkpoint_every, debug)
    crew = [_Worker.start(variables, options) for variables in workers[:count]]
    stopping = False
    try:
        while crew:
            ready = wait([worker.connection for worker in crew], timeout=_POLL)
            if not stopping and stop():
                stopping = True
                queue.clear()
                for worker in crew:
                    worker.send(_ENOUGH)
            for worker in [worker for worker in crew if worker.connection in ready]:
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    crew.remove(worker)
                    how = worker.bury()
                    if worker.task is None:
                        if not worker.was_ready:
                            raise RunError(f"a worker ended before it was ready ({how}).") from None
                        continue
                    yield _after_loss(worker.task, how, lost, retries, queue, stopping)
                    if queue:
                        crew.append(_Worker.start(worker.environment, options))
                    continue
                if message == _READY:
                    worker.was_ready = True
                    worker.give(queue)
                    continue
                ended = isinstance(message, Ended)
                if ended and message.state == "stopped" and not stopping:
                    # The worker alone was asked to end; the pair's state is saved.
                    worker.task, task = None, worker.task
                    assert task is not None
                    queue.appendleft(task)
                    yield Retried(task.name, "its worker was asked to end")
                    crew.append(_Worker.start(worker.environment, options))
                    continue
                yield message
                if ended:
                    worker.task = None
                    if not stopping:
                        worker.give(queue)
    finally:
        for worker in crew:
            worker.bury(kill=True)


def _after_loss(
    task: Task, how: str, lost: Counter[str], retries: int, queue: deque[Task], stopping: bool
) -> Event:
    """A pair's worker has died: try again, unless that has been done enough."""
    lost[task.name] += 1
    if stopping:
        return Ended(task.name, "stopped")
    if lost[task.name] <= retries:
        queue.appendleft(task)
        return Retried(task.name, f"its worker ended without a word ({how})")
    times = "once" if lost[task.name] == 1 else f"{lost[task.name]} times"
    return Ended(
        task.name, "failed", reason=f"its worker ended without a word {times} (the last: {how})."
    )


@dataclass
class _Worker:
    environment: Mapping[str, str]
    process: BaseProcess
    connection: Connection
    task: Task | None = None
    was_ready: bool = False

    @staticmethod
    def start(variables: Mapping[str, str], options: tuple) -> "_Worker":
        # A fresh interpreter: one that is forked could not use a GPU that this process has used.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, *options), daemon=True)
        with environment(variables):
            process.start()
        # Theirs alone must hold the other end, or its death would go unnoticed.
        theirs.close()
        return _Worker(variables, process, ours)

    def give(self, queue: deque[Task]) -> None:
        """Hand over the next task, or let the worker go if there is none."""
        self.task = queue.popleft() if queue else None
        self.send(self.task)

    def send(self, task: Task | None) -> None:
        with contextlib.suppress(OSError):  # its death is noticed when it is listened to
            self.connection.send(task)

    def bury(self, *, kill: bool = False) -> str:
        """Wait for the end of the process, and tell how it ended."""
        if kill:
            self.process.kill()
        self.process.join(timeout=10)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.connection.close()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"exit status {code}"
        hint = ", perhaps for want of memory" if -code == signal.Signals.SIGKILL else ""
        return f"ended by {signal.Signals(-code).name}{hint}"


def serve(
    connection: Connection,
    threads: int | None,
    workers: int,
    checkpoint_every: float,
    debug: bool,
) -> None:
    """A worker process: does the tasks that come, until told that there are no more.

    Args:
        connection: tasks come in, events go out.
        threads: to compute with; by default this machine's divided by the number of workers.
        workers: how many there are.
        checkpoint_every: seconds between two checkpoints.
        debug: show warnings.
    """
    asked = _note_signals()
    import warnings

    if not debug:
        warnings.simplefilter("ignore")
    import torch

    from splice.batch.work import Backbones, carry_out

    torch.set_num_threads(threads or max(1, torch.get_num_threads() // workers))
    backbones = Backbones()

    def tell(event: Event) -> None:
        # If nobody listens any more, `stop` sees it too, and the state is saved.
        with contextlib.suppress(OSError):
            connection.send(event)

    with contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):
        connection.send(_READY)
        while not asked:
            task = connection.recv()
            if task is None:
                return
            ended = carry_out(
                task,
                lambda task=task: backbones.get(task.settings),
                tell=tell,
                # While at work nothing comes but the wish to end, or the end of the other side.
                stop=lambda: bool(asked) or connection.poll(),
                checkpoint_every=checkpoint_every,
            )
            connection.send(ended)
            if ended.state == "stopped":
                return


def _note_signals() -> list[int]:
    """Leave ctrl-C to the main process, which tells; note other wishes to end."""
    asked: list[int] = []
    for name, handler in (
        ("SIGINT", signal.SIG_IGN),
        ("SIGHUP", signal.SIG_IGN),
        ("SIGTERM", lambda number, frame: asked.append(number)),
    ):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handler)
    return asked


def _gpus() -> list[str]:
    """The GPUs of this machine that may be used, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [name.strip() for name in os.environ.get(GPUS, "").split(",") if name.strip()]
    return (named or [str(index) for index in range(count)])[:count]
