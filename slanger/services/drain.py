"""The end of a node, without a storm: its steps one after another.

Clients that are sent away with 4200 connect again at once. So they are sent away in small groups, to nodes that have
not much else to do, and the app's authorisation endpoint is not asked for all of them in one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from slanger.interfaces import IBroker
from slanger.services.readiness import Readiness
from slanger.services.subscribers import Subscribers
from slanger.services.webhooks import Webhooks

SLOWEST = 100
"""Clients that are sent away in a second at least: a node with few of them has soon ended."""

CLOSING = 2.0
"""Seconds for the last close handshakes; connections that do not answer are dropped after one."""

WEBHOOKS = 10.0
"""Seconds for the webhooks that wait; as long as an endpoint has for one answer."""

LINGER = 0.05
"""Seconds between closing a port and going on, so that those who were just accepted there are heard."""

LONGEST = CLOSING + WEBHOOKS + 13
"""Seconds that all but sending clients away may take together, the broker's farewell included, and some to spare."""

STEP = 0.05
"""Seconds between two groups of clients, and between two looks at whether something has come to its end."""


class Handshakes(Protocol):
    """Connections that have not said yet who they are."""

    def __len__(self) -> int:
        """Count them."""


class Draining(MultiService):
    """A node: its services start together, and it ends step by step.

    :ivar drain_seconds: over which clients are sent away; 0 is at once.
    :param handshakes: connections on which a client may still appear.
    :param on_leaving: are called first.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        readiness: Readiness,
        broker: IBroker,
        subscribers: Subscribers,
        handshakes: Handshakes,
        webhooks: Webhooks,
        drain_seconds: float,
        on_leaving: Sequence[Callable[[], object]],
    ) -> None:
        super().__init__()
        self._clock = clock
        self._readiness = readiness
        self._broker = broker
        self._subscribers = subscribers
        self._handshakes = handshakes
        self._webhooks = webhooks
        self.drain_seconds = drain_seconds
        self._on_leaving = on_leaving
        self._closed_first: list[Service] = []
        self._closed_later: list[Service] = []

    def add_port(self, port: Service, *, for_requests: bool) -> None:
        """Add a port.

        :param for_requests: whether requests come to it: it is closed when the clients have gone.
        """
        port.setServiceParent(self)
        (self._closed_later if for_requests else self._closed_first).append(port)

    def stopService(self) -> Deferred[None]:
        """End."""
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        try:
            await self._leave()
        finally:  # what is not sent is counted and logged; the broker takes its leave
            await maybeDeferred(super().stopService)

    async def _leave(self) -> None:
        self._readiness.leave()
        for tell in self._on_leaving:
            tell()
        for port in self._closed_first:
            await maybeDeferred(port.stopService)
            await self._until(lambda: not len(self._handshakes), LINGER)
        self._broker.hand_over()
        await self._send_all_away()
        self._broker.wind_up()
        for port in self._closed_later:
            await maybeDeferred(port.stopService)
        await self._pass(LINGER)
        self._webhooks.flush()
        await self._until(lambda: not self._webhooks.unsent, WEBHOOKS)

    async def _send_all_away(self) -> None:
        leaving = self._subscribers.take_leave()
        seconds = min(self.drain_seconds, len(leaving) / SLOWEST)
        if leaving:
            self._log.info(
                "sending clients away: {count} in {seconds:.1f} s",
                event="sending_away",
                count=len(leaving),
                seconds=seconds,
            )
        began, sent = self._clock.seconds(), 0
        while sent < len(leaving) and len(self._subscribers):
            passed = self._clock.seconds() - began
            due = 1 + int(len(leaving) * passed / seconds) if passed < seconds else len(leaving)
            self._subscribers.send_away(leaving[sent:due])
            sent = due
            if sent < len(leaving):
                await self._pass(STEP)
        await self._until(lambda: not len(self._subscribers) and not len(self._handshakes), CLOSING)

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        end = self._clock.seconds() + seconds
        while not done() and self._clock.seconds() < end:
            await self._pass(STEP)

    def _pass(self, seconds: float) -> Deferred[None]:
        return deferLater(self._clock, seconds)
