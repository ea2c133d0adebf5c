"""Cache channels that were found empty: the app is told of each once in a while."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from slanger.domain.apps import App

MISS_INTERVAL = 10
"""Seconds in which the app is told once that a cache channel is empty, however many subscribers find it so."""


class Misses:
    """What the app was told of lately."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._told_at: dict[tuple[str, str], float] = {}

    def is_news(self, app: App, channel: str) -> bool:
        """Tell whether the app is to be told now that a channel is empty."""
        now = self._clock.seconds()
        while self._told_at and now - next(iter(self._told_at.values())) >= MISS_INTERVAL:
            del self._told_at[next(iter(self._told_at))]
        if (app.key, channel) in self._told_at:
            return False
        self._told_at[app.key, channel] = now
        return True

    def filled(self, app: App, channel: str) -> None:
        """Learn that a channel remembers something."""
        self._told_at.pop((app.key, channel), None)
