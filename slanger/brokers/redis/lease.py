"""This node's life, as the others see it: a lease that it renews, and theirs, whose end it notices.

Each beat goes out over the link that commands and comes back over the one that listens, so it proves both. Where none
comes back, the link that commands is to blame as long as it owes an answer: who waits for others is not to wait longer.
What a node held whose lease has ended is let go of by all that find it; the scripts see to it that each goes once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from slanger.brokers.redis.holdings import HANDOVER
from slanger.brokers.redis.links import Commands, Links
from slanger.brokers.redis.root import Root
from slanger.brokers.redis.scripts import BEAT, DEPART, SWEEP
from slanger.domain.apps import Apps

BEATS = 6
"""Beats in the time of a lease."""

HANDED_OVER = b"~"
"""Stands in the names under which nodes hand over; a node's lease has none."""

SWEPT = 500
"""Things that are let go of in one command, about."""


class Lease:
    """Renew this node's lease, and clean up after nodes whose lease has ended.

    :param seconds: for which a lease lasts; a node that is silent for so long is taken for dead.
    :param on_lapse: called when the others have taken this node for dead.
    :param on_beat: called at each beat, whether Redis is there or not.
    """

    _log = Logger()

    def __init__(
        self,
        root: Root,
        clock: IReactorTime,
        links: Links,
        apps: Apps,
        seconds: float,
        on_lapse: Callable[[], None],
        on_beat: Callable[[], None],
    ) -> None:
        self._root = root
        self._clock = clock
        self._links = links
        self._apps = apps
        self._ms = int(seconds * 1000)
        self._on_lapse = on_lapse
        self._on_beat = on_beat
        self._interval = seconds / BEATS
        self._patience = links.patience
        self._next: IDelayedCall | None = None
        self._number = 0
        self._ended: list[str] = []
        self._commands: Commands | None = None
        self._asked_at: float | None = None
        self._heard_at = 0.0
        self._sweeping: set[bytes] = set()
        self._ahead = 0.0
        self._age_ms = 0
        self.name = ""

    def redis_time(self, at: float) -> int:
        """Give the least milliseconds that Redis's clock may have shown at a time of ours."""
        return int(at * 1000 + self._ahead)

    @property
    def settles_in(self) -> float:
        """Tell for how many seconds Redis may lack what other nodes hold, as it came back empty."""
        return max(0.0, (self._ms - self._age_ms) / 1000)

    def start(self) -> None:
        """Begin to beat."""
        self._beat()

    def stop(self) -> None:
        """Beat no more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    async def begin(self, commands: Commands) -> str:
        """Begin a new lease; give the name of the one before, or nothing.

        Everything is stated again under a new name, so that what others let go of meanwhile is not mixed with it.
        """
        self._number += 1
        name = f"{self._root.origin}.{self._number}"
        self._commands = commands
        self._heard_at = self._clock.seconds()
        await self._renew(commands, name, "begin")
        before, self.name = self.name, name
        if before:
            self._ended.append(before)
        return before

    async def end_earlier(self, commands: Commands) -> None:
        """Let go of what is still held under earlier leases: what went while Redis was away."""
        ended = tuple(self._ended)
        if ended:
            await commands.run(DEPART, *self._root.arguments, 0, *ended)
            for lease in ended:
                await self._sweep_all(commands, lease.encode())
                self._ended.remove(lease)

    def depart(self, commands: Commands) -> Deferred[Any]:
        """End this node's lease; the others let go of what it still held, later."""
        return commands.run(DEPART, *self._root.arguments, HANDOVER * 1000, self.name, *self._ended)

    def pause(self) -> None:
        """Learn that a link is lost."""
        self._commands = None
        self._asked_at = None
        self._sweeping.clear()

    def heard(self) -> None:
        """Learn that a beat has come back."""
        self._heard_at = self._clock.seconds()

    # Inside

    def _beat(self, due_at: float | None = None) -> None:
        now = self._clock.seconds()
        self._next = self._clock.callLater(self._interval, self._beat, now + self._interval)
        if due_at is not None and now - due_at > self._interval:
            self._heard_at = now  # this process was held up itself: what has come meanwhile is not read yet
            if self._asked_at is not None:
                self._asked_at = now
        self._on_beat()
        commands = self._commands
        if commands is None:
            return
        silent = now - self._heard_at > self._patience
        if self._asked_at is not None:
            if silent or now - self._asked_at > self._patience:
                commands.abort("it does not answer")
        elif silent and self._links.ear is not None:
            self._links.ear.abort("the link that listens is silent")
        else:
            renewing = Deferred.fromCoroutine(self._renew(commands, self.name, ""))
            renewing.addErrback(_lost)

    async def _renew(self, commands: Commands, lease: str, how: str) -> None:
        self._asked_at = self._clock.seconds()
        arguments = self._root.origin, lease, self._ms, how
        answer = await commands.run(BEAT, *self._root.arguments, *arguments)
        self._asked_at = None
        if not answer[0]:
            self._log.warn("the other nodes have taken this one for dead; it states everything again")
            self._on_lapse()
            return
        self._ahead = answer[1] - self._clock.seconds() * 1000
        self._age_ms = answer[2]
        for ended in answer[3:]:
            if ended not in self._sweeping and not how:
                self._sweeping.add(ended)
                sweeping = Deferred.fromCoroutine(self._clean_up(commands, ended))
                sweeping.addErrback(_lost)

    async def _clean_up(self, commands: Commands, lease: bytes) -> None:
        try:
            await self._sweep_all(commands, lease)
            if HANDED_OVER not in lease:
                self._log.info("cleaned up after {lease}, whose lease has ended", lease=lease.decode("latin-1"))
        finally:
            self._sweeping.discard(lease)

    async def _sweep_all(self, commands: Commands, lease: bytes) -> None:
        hooked = msgspec.json.encode({app.key: bool(app.webhooks) for app in self._apps})
        counted = msgspec.json.encode({app.key: app.subscription_counts for app in self._apps})
        go_on = b"0"
        while go_on:
            arguments = self._root.origin, lease, SWEPT, hooked, counted, go_on
            go_on = await commands.run(SWEEP, *self._root.arguments, *arguments)


def _lost(failure: Failure) -> None:
    """The link is lost; there will be another."""
