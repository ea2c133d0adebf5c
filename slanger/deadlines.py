"""Deadlines of equal length for many: who begins first is late first, so one timer serves all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")

AT_ONCE = 200
"""How many are told of in one turn of the reactor, where many are late."""


class Deadlines(Generic[T]):
    """Those who have begun something, and must end it in time.

    :ivar seconds: how much time each of them has.
    :param late: told of each who has not ended in time.
    """

    def __init__(self, clock: IReactorTime, seconds: float, late: Callable[[T], object]) -> None:
        self._clock = clock
        self.seconds = seconds
        self._late = late
        self._due: dict[T, float] = {}
        self._waiting = False

    def begin(self, one: T) -> None:
        """Give one his time, from now on."""
        self._due[one] = self._clock.seconds() + self.seconds
        if not self._waiting:
            self._wait(self.seconds)

    def end(self, one: T) -> None:
        """Learn that one has ended, in time or not at all."""
        self._due.pop(one, None)

    def __len__(self) -> int:
        """Count those who have not ended."""
        return len(self._due)

    def _wait(self, seconds: float) -> None:
        self._waiting = True
        self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        self._waiting = False
        now = self._clock.seconds()
        late: list[T] = []
        for one, due in self._due.items():
            if due > now or len(late) == AT_ONCE:
                self._wait(max(due - now, 0))
                break
            late.append(one)
        for one in late:
            del self._due[one]
        for one in late:
            self._late(one)
