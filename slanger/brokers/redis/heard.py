"""A channel that is listened to: how far it has been heard, and what waits until it has been heard further."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from slanger.brokers.redis import envelope
from slanger.brokers.redis.envelope import Envelope
from slanger.domain.apps import App
from slanger.domain.presence import RosterCopy

ORIGINS = 64
"""Nodes whose last number is remembered for each channel."""


class Heard:
    """A channel that is listened to.

    :ivar reasons: why; a channel without any is let go of after a while.
    :ivar at: the position of the last message; None until the log was asked.
    :ivar sure: the position up to which everything must have been heard, as the links were fine.
    :ivar held: what was heard since the log was asked, until it answers; None where nothing is asked.
    :ivar copy: of its roster, where it has one.
    """

    __slots__ = ("_numbers", "_waiting", "app", "at", "copy", "held", "name", "reasons", "since", "sure", "topic")

    def __init__(self, app: App, name: str, topic: bytes, since: float) -> None:
        self.app = app
        self.name = name
        self.topic = topic
        self.reasons: set[str] = set()
        self.since = since
        self.at: int | None = None
        self.sure = envelope.NOWHERE
        self.held: list[tuple[int, Envelope]] | None = []
        self.copy: RosterCopy | None = None
        self._numbers: dict[str, int] = {}
        self._waiting: list[tuple[int, Callable[[], None]]] = []

    def is_new(self, origin: str, number: int) -> bool:
        """Tell whether a node's message was not heard before, and remember it."""
        if self._numbers.get(origin, 0) >= number:
            return False
        self._numbers.pop(origin, None)
        self._numbers[origin] = number
        if len(self._numbers) > ORIGINS:
            del self._numbers[next(iter(self._numbers))]
        return True

    def when(self, position: int, do: Callable[[], None]) -> None:
        """Do something once everything up to a position is known."""
        if self.held is None and self.at is not None and self.at >= position:
            do()
        else:
            self._waiting.append((position, do))

    def known(self, position: int) -> Deferred[None]:
        """Fire once everything up to a position is known, or nothing more can be."""
        knowing: Deferred[None] = Deferred()
        self.when(position, lambda: knowing.callback(None))
        return knowing

    def moved(self) -> None:
        """Do what waited for this position."""
        at = self.at or 0
        ready = [do for position, do in self._waiting if position <= at]
        if ready:
            self._waiting = [each for each in self._waiting if each[0] > at]
            for do in ready:
                do()

    def wait_no_more(self) -> None:
        """Do all that waited."""
        waiting, self._waiting = self._waiting, []
        for _, do in waiting:
            do()
