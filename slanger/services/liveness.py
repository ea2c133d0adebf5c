"""Who has been silent for too long: one timing wheel, no timer per connection.

A client pings when it has heard nothing for `activity_timeout`. One that stays silent a while longer is pinged with a
WebSocket control frame, which every official client answers; one that is silent after that is gone ("Ping and pong",
close code 4201).
"""

from __future__ import annotations

from typing import Protocol

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

LEEWAY = 15
"""Seconds beyond the activity timeout that are left to clients, for their ping to come by itself."""

_TICK = 1.0


class Mortal(Protocol):
    """Something that shows signs of life, or does not."""

    heard_at: float

    def ping(self) -> None:
        """Be asked for a sign of life."""

    def silent(self) -> None:
        """Be taken for dead."""


class Liveness(Service):
    """Ping what is silent, end what stays silent.

    Everything watched sits in the slot of the second in which it is next looked at. A look costs nothing but the
    move to another slot when there was life since; so the work per connection is one move in two minutes.

    :param clock: tells the seconds of `Mortal.heard_at`.
    :ivar activity_timeout: seconds of silence left to the client.
    :ivar pong_timeout: seconds left to answer a ping.
    """

    name = "liveness"
    _log = Logger()

    def __init__(self, clock: IReactorTime, activity_timeout: int, pong_timeout: int) -> None:
        self._clock = clock
        self.activity_timeout = activity_timeout
        self.pong_timeout = pong_timeout
        self._slots: dict[int, dict[Mortal, None]] = {}
        self._slot_of: dict[Mortal, int] = {}
        self._pinged: dict[Mortal, float] = {}
        self._looked = 0
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = clock

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._looked = int(self._clock.seconds())
        self._ticking.start(_TICK, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._ticking.running:
            self._ticking.stop()

    def watch(self, mortal: Mortal) -> None:
        """Begin to watch; `heard_at` counts from now on."""
        self._look_at(mortal.heard_at + self._patience, mortal)

    def forget(self, mortal: Mortal) -> None:
        """Watch no longer."""
        slot = self._slot_of.pop(mortal, None)
        if slot is not None:
            mortals = self._slots.get(slot, {})
            mortals.pop(mortal, None)
            if not mortals:
                self._slots.pop(slot, None)
        self._pinged.pop(mortal, None)

    @property
    def _patience(self) -> int:
        return self.activity_timeout + LEEWAY

    def _look_at(self, when: float, mortal: Mortal) -> None:
        slot = int(when) + 1
        self._slot_of[mortal] = slot
        self._slots.setdefault(slot, {})[mortal] = None  # half the size of a set

    def _tick(self) -> None:
        now = self._clock.seconds()
        for slot in range(self._looked, int(now) + 1):
            mortals = self._slots.get(slot)
            while mortals:
                self._look_safely(mortals.popitem()[0], now)
            self._slots.pop(slot, None)
        self._looked = int(now) + 1

    def _look_safely(self, mortal: Mortal, now: float) -> None:
        """Let no fault of one end the watch over the others."""
        try:
            self._look(mortal, now)
        except Exception:
            self._log.failure("looking at {mortal} failed", mortal=mortal)

    def _look(self, mortal: Mortal, now: float) -> None:
        del self._slot_of[mortal]
        pinged = self._pinged.pop(mortal, None)
        if mortal.heard_at + self._patience > now:
            self._look_at(mortal.heard_at + self._patience, mortal)
        elif pinged is None or mortal.heard_at > pinged:
            self._pinged[mortal] = now
            self._look_at(now + self.pong_timeout, mortal)
            mortal.ping()
        else:
            mortal.silent()
