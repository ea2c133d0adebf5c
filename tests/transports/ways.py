"""Connections that go the long way though they need not, so that the same tests run over both."""

from __future__ import annotations

from slanger.transports.connection import Stage, WebSocketConnection
from slanger.transports.short import OPEN, Opening


class LongFromTheStart(Opening):
    """Leaves everything to Autobahn, the opening handshake included."""

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        """Hand over."""
        connection.way = connection.home.long_way(connection, Stage.OPENING)
        connection.way.take(connection, data)


class LongFromTheHandshake(Opening):
    """Leaves to Autobahn what comes behind a plain opening handshake."""

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        """Shake hands, then hand over."""
        super().take(connection, data)
        if connection.way is OPEN:
            connection.way = connection.home.long_way(connection, Stage.OPEN)


LONG_FROM_THE_START = LongFromTheStart()
LONG_FROM_THE_HANDSHAKE = LongFromTheHandshake()
