"""One who stays while others go: the longest he waits for an answer is the longest the server was deaf."""

from __future__ import annotations

import time

from tests.benchmarks.crowd import Crowd
from tests.benchmarks.loop import Loop

QUICK = 0.005
"""Seconds in which an answer comes from a server that has nothing else to do."""

_IN_A_ROW = 20


class Probe:
    """Pings, and waits for each pong before the next.

    :param staying: a crowd of one.
    """

    def __init__(self, loop: Loop, staying: Crowd) -> None:
        self.longest = 0.0
        """Seconds of the longest wait."""
        self._loop = loop
        self._crowd = staying
        self._asked_at = 0.0
        self._asked = self._crowd.pongs

    def turn(self, seconds: float = 0.0) -> None:
        """Wait this long for the answer, and ask again when it has come."""
        if self._crowd.pongs == self._asked:
            self._asked += 1
            self._asked_at = time.perf_counter()
            self._crowd.subscribers[0].ping()
        self._loop.turn(seconds)
        if self._crowd.pongs == self._asked:
            self.longest = max(self.longest, time.perf_counter() - self._asked_at)

    def wait_until_quick(self, patience: float) -> None:
        """Go on until answers come quickly again, one after the other."""
        end = time.perf_counter() + patience
        quick = 0
        while quick < _IN_A_ROW and time.perf_counter() < end:
            asked_at = time.perf_counter()
            self.turn(QUICK)
            answered = self._crowd.pongs == self._asked and time.perf_counter() - asked_at < QUICK
            quick = quick + 1 if answered else 0
