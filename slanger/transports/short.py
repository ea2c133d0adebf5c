"""The short way: plain handshakes and plain frames, read without any state of their own.

At the first byte that is not plain it hands over to the long way, with what is not read yet. It refuses nothing: the
long way does.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from slanger.transports import frames
from slanger.transports.connection import ENDED, WebSocketConnection
from slanger.transports.upgrade import read_upgrade


class Opening:
    """Waits for the opening handshake."""

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        """Answer a plain handshake; the answer and the first message leave in one write."""
        upgrade = read_upgrade(data)
        if upgrade is None:
            connection.way = connection.home.long_way(connection, opened=False)
            connection.way.take(connection, data)
            return
        connection.way = OPEN
        connection.open(upgrade.path, upgrade.version, upgrade.answer)
        connection.outbox.flush()

    def ping(self, connection: WebSocketConnection) -> None:
        """Do nothing: nobody was let in yet."""

    def close(self, connection: WebSocketConnection, code: int, reason: bytes) -> None:
        """Do nothing: nobody was let in yet."""

    def lost(self, connection: WebSocketConnection, reason: Failure) -> None:
        """Do nothing: there is nothing to forget."""


class Open:
    """Reads frames, several in one read or one."""

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        """Take plain frames, as long as they are plain, and as this is the way."""
        at = 0
        while at < len(data):
            frame = frames.read_frame(data, at, connection.home.message_bytes)
            if frame is None:
                self._hand_over(connection)
            else:
                kind, payload, at = frame
                self._take_frame(connection, kind, payload)
            if connection.way is not self:
                connection.way.take(connection, data[at:])
                return

    def ping(self, connection: WebSocketConnection) -> None:
        """Send a PING frame, behind what waits."""
        connection.outbox.put(frames.ping())
        connection.outbox.flush()

    def close(self, connection: WebSocketConnection, code: int, reason: bytes) -> None:
        """Leave the closing handshake to the long way."""
        self._hand_over(connection)
        connection.way.close(connection, code, reason)

    def lost(self, connection: WebSocketConnection, reason: Failure) -> None:
        """Do nothing: there is nothing to forget."""

    def _take_frame(self, connection: WebSocketConnection, kind: int, payload: bytes) -> None:
        if kind == frames.TEXT:
            connection.receive(payload)
        elif kind == frames.PING:
            connection.receive_ping(payload)
        elif kind == frames.CLOSE:
            self._answer_close(connection, frames.close_code(payload))

    def _answer_close(self, connection: WebSocketConnection, code: int | None) -> None:
        connection.way = ENDED
        connection.closed_with = code
        connection.outbox.put(frames.close(frames.NORMAL_CLOSURE))
        connection.outbox.close()
        connection.transport.loseConnection()

    def _hand_over(self, connection: WebSocketConnection) -> None:
        connection.way = connection.home.long_way(connection, opened=True)


OPENING = Opening()
OPEN = Open()
