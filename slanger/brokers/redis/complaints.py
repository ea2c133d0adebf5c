"""What goes wrong again and again: counted each time, logged once in a while."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from slanger.tallies import Tallies

INTERVAL = 60
"""Seconds between two log lines of one kind."""


class Complaints:
    """Count faults by kind, and log the first of each kind, then one a minute with their number.

    :ivar counted: how many there were of each kind.
    :ivar tallies: count them too, and all else that is counted here.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, tallies: Tallies | None = None) -> None:
        self.tallies = tallies or Tallies()
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self.counted: dict[str, int] = {}

    def count(self, kind: str, text: str, by: int = 1) -> None:
        """Count a fault.

        :param kind: a few words that stay the same.
        :param text: what was wrong this time.
        """
        total = self.counted[kind] = self.counted.get(kind, 0) + by
        self.tallies.broker_faults[kind,] += by
        now = self._clock.seconds()
        if now - self._logged_at.get(kind, -INTERVAL) >= INTERVAL:
            self._logged_at[kind] = now
            self._log.warn("{kind} ({total} so far): {text}", kind=kind, total=total, text=text)
