"""A server that echoes, made of the same transport, for a WebSocket conformance suite to judge.

Run ``python -m tests.transports.echo PORT [short | long | handed-over]``, and point the suite at
``ws://127.0.0.1:PORT/app/echo``. Unlike ours it takes binary messages, as the suite sends them.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import react
from zope.interface import implementer

from slanger.complaints import Complaints
from slanger.domain.limits import Limits
from slanger.interfaces import IConnected, ISubscribers, IWire
from slanger.protocol.errors import ConnectionRefused
from slanger.protocol.messages import Message
from slanger.protocol.names import UNLIMITED
from slanger.tallies import Meter, Tallies
from slanger.transports.frames import frame
from slanger.transports.short import OPENING
from slanger.transports.websocket import LongWay, WebSocketFactory
from tests.transports.ways import LONG_FROM_THE_HANDSHAKE, LONG_FROM_THE_START

WAYS = {"short": OPENING, "long": LONG_FROM_THE_START, "handed-over": LONG_FROM_THE_HANDSHAKE}

LARGEST = 32 * 1024 * 1024
"""Bytes of a message, and of a backlog; the suite sends 16 MiB in one."""


@implementer(IConnected)
class Echo:
    """One client, who is told what it says."""

    def __init__(self, wire: IWire) -> None:
        self._wire = wire
        self.meter = Meter("")

    def receive(self, text: bytes) -> None:
        """Say it too."""
        self._wire.send(Message(text))

    def heard(self) -> None:
        """Do nothing: nobody is watched."""

    def gone(self, code: int) -> None:
        """Do nothing: nobody is missed."""


@implementer(ISubscribers)
class Echoes:
    """Lets everybody in."""

    def connect(self, wire: IWire, key: str, version: str | None, origin: str | None) -> IConnected:
        """Let a client in, and say nothing."""
        return Echo(wire)

    def turned_away(self, wire: IWire, refusal: ConnectionRefused) -> None:
        """Do nothing: nobody reads it."""


class TakesBinary(LongWay):
    """Autobahn, and an echo of binary messages."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Echo a binary message in its turn; leave texts to the client."""
        if isBinary and self.state == self.STATE_OPEN:
            self.connection.outbox.put(b"\x82" + frame(payload)[1:])
        else:
            super().onMessage(payload, isBinary)


async def serve(reactor: Any, port: str, way: str = "short") -> None:
    """Echo until the process is ended."""
    tallies = Tallies()
    limits = Limits(messages_per_second=UNLIMITED, message_bytes=LARGEST, backlog_bytes=LARGEST)
    complaints = Complaints(reactor, tallies)
    factory = WebSocketFactory(Echoes(), reactor, limits, tallies, complaints)
    factory.protocol = TakesBinary
    factory.first_way = WAYS[way]
    await TCP4ServerEndpoint(reactor, int(port), interface="127.0.0.1").listen(factory)
    await Deferred()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(serve(*arguments)), sys.argv[1:])
