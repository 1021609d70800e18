"""Being asked to stop: at once while preparing, at the end of a step while optimising."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopped(BaseException):
    """The process was asked to end by a signal; no `except Exception` stands in its way.

    Attributes:
        exit_status: what a shell expects of a process that this signal ended: 128 + its number
            (130 for ctrl-C, 143 for SIGTERM).
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_status = 128 + number


@contextmanager
def raising() -> Iterator[None]:
    """Within, ctrl-C, SIGTERM and SIGHUP raise `Stopped`, so that everything is tidied up."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    with _handling(stop):
        yield


@contextmanager
def deferred() -> Iterator[Callable[[], int | None]]:
    """Within, the first such signal is only noted; a second one raises `Stopped` at once.

    Yields:
        What tells whether to stop: the exit status to stop with, or None to go on.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            raise Stopped(number)
        noted.append(number)

    with _handling(note):
        yield lambda: 128 + noted[0] if noted else None


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)
            # A signal that whoever started us ignores (nohup, a background job) stays ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
