"""What goes wrong again and again: counted each time, logged once in a while.

Whatever a client can cause is told here, and never straight to the log: a thousand clients that read too slowly are a
line a minute, with their number.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from slanger.tallies import Tallies

INTERVAL = 60
"""Seconds between two log lines of one kind."""

SHOWN = 500
"""Characters of what was wrong that are logged."""


class Complaints:
    """Count faults by kind, and log the first of each kind, then one a minute with their number.

    :param tallies: count them, and whatever else those count who complain.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, tallies: Tallies) -> None:
        self._clock = clock
        self.tallies = tallies
        self._tally = tallies.complaints
        self._logged_at: dict[str, float] = {}

    @property
    def counted(self) -> dict[str, int]:
        """How many there were of each kind."""
        return {kind: number for (kind,), number in self._tally.items()}

    def count(self, kind: str, text: str, by: int = 1) -> None:
        """Count a fault.

        :param kind: a few words that stay the same.
        :param text: what was wrong this time; what clients have a say in may stand in it.
        """
        if self._is_news(kind, by):
            self._log.warn("{kind} ({total} so far): {text}", kind=kind, total=self._total(kind), text=text[:SHOWN])

    def failure(self, kind: str, text: str) -> None:
        """Count the exception that is being handled, a fault of ours; its traceback is for the log alone."""
        if self._is_news(kind, 1):
            self._log.failure("{kind} ({total} so far): {text}", kind=kind, total=self._total(kind), text=text[:SHOWN])

    def _is_news(self, kind: str, by: int) -> bool:
        self._tally[(kind,)] += by
        now = self._clock.seconds()
        if 0 <= now - self._logged_at.get(kind, now - INTERVAL) < INTERVAL:
            return False
        self._logged_at[kind] = now
        return True

    def _total(self, kind: str) -> int:
        return self._tally[(kind,)]
