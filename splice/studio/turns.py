"""Who may paint: one visitor at a time, in the order of asking."""

import contextlib
import threading
from collections.abc import Callable
from types import TracebackType

from splice.errors import RunError

MOST_WAITING = 32
"""Visitors that may wait at once."""


class Turn:
    """A visitor's place in the line, from asking until the work has ended.

    Attributes:
        visitor: whose turn it is.
        left: whether the visitor has gone, so that nobody waits for a result.
    """

    def __init__(self, visitor: str, work: "Callable[[Turn], object]", turns: "Turns") -> None:
        """Begins unstopped; `Turns.join` makes it."""
        self.visitor, self.left = visitor, False
        self._work, self._turns = work, turns
        self._stop, self._ended = threading.Event(), threading.Event()

    @property
    def place(self) -> int:
        """How many turns come before: 0 while it is at work, and once it has ended."""
        return self._turns.place(self)

    @property
    def stopping(self) -> bool:
        """Whether the visitor wants no more of it."""
        return self._stop.is_set()

    @property
    def ended(self) -> bool:
        """Whether the work is done, or will never begin."""
        return self._ended.is_set()

    def stop(self, *, left: bool = False) -> None:
        """Asks the work to end; one that has not begun never will.

        Args:
            left: nobody waits for what there is so far.
        """
        self.left = self.left or left
        self._stop.set()
        self._turns.forget(self)

    def wait(self, seconds: float | int | None = None) -> bool:
        """Waits until it has ended, at most so long, and says whether it has."""
        return self._ended.wait(seconds)

    def do(self) -> None:
        """Does the work; for the line alone."""
        self._work(self)

    def end(self) -> None:
        """Marks the turn as over; for the line alone."""
        self._ended.set()


class Turns:
    """A line with one worker, a thread that lives as long as the line is open.

    Work that raises ends its own turn alone: work tells its visitor itself what went wrong.
    """

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        """Opens the line.

        Args:
            most_waiting: turns that may wait at once.
        """
        self._most = most_waiting
        self._waiting: list[Turn] = []
        self._at_work: Turn | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="splice-studio", daemon=True)
        self._worker.start()

    def __enter__(self) -> "Turns":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def join(self, visitor: str, work: Callable[[Turn], object]) -> Turn:
        """A turn at the end of the line.

        Args:
            visitor: who asks. Whoever has a turn already gets no second one.
            work: is called with the turn, when it has come.

        Raises:
            RunError: the visitor has a turn, the line is full, or it is closed.
        """
        turn = Turn(visitor, work, self)
        with self._changed:
            if self._closed:
                raise RunError("the studio is closing; nothing more is painted.")
            if any(each.visitor == visitor for each in self._all()):
                raise RunError("a picture of yours is on the way already; stop it, or wait for it.")
            if len(self._waiting) >= self._most:
                raise RunError(f"{self._most} others are waiting already; try again later.")
            self._waiting.append(turn)
            self._changed.notify_all()
        return turn

    def place(self, turn: Turn) -> int:
        """How many turns come before this one."""
        with self._changed:
            if turn not in self._waiting:
                return 0
            return self._waiting.index(turn) + (self._at_work is not None)

    def forget(self, turn: Turn) -> None:
        """Takes a turn that has not begun out of the line."""
        with self._changed:
            if turn in self._waiting:
                self._waiting.remove(turn)
                turn.end()

    def close(self, seconds: float = 20.0) -> None:
        """Ends every turn, and waits for the one at work.

        Args:
            seconds: to wait at most; a step of a large run may take longer.
        """
        with self._changed:
            self._closed = True
            everyone = self._all()
            self._changed.notify_all()
        for turn in everyone:
            turn.stop(left=True)
        self._worker.join(seconds)

    def _all(self) -> list[Turn]:
        return [*([self._at_work] if self._at_work is not None else []), *self._waiting]

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                turn = self._at_work = self._waiting.pop(0)
            with contextlib.suppress(Exception):
                turn.do()
            # Out of the line before it counts as over, so that its visitor may ask again at once.
            with self._changed:
                self._at_work = None
            turn.end()
