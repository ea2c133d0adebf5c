"""The short way: plain handshakes and plain frames, read without any state of their own.

At the first byte that is not plain it hands over to the long way, with what is not read yet. It refuses nothing: the
long way does.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from slanger.transports import frames
from slanger.transports.connection import ENDED, Stage, WebSocketConnection
from slanger.transports.upgrade import read_upgrade


class Opening:
    """Waits for the opening handshake."""

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        """Answer a plain handshake; the answer and the first message leave in one write when the turn is over.

        To wait for that is worth it: one burst of answers wakes clients less often than answers one by one.
        """
        plain = read_upgrade(data) if len(data) <= connection.home.limits.header_bytes else None
        if plain is None:
            connection.way = connection.home.long_way(connection, Stage.OPENING)
            connection.way.take(connection, data)
            return
        connection.way = OPEN
        upgrade, answer = plain
        connection.open(upgrade.path, upgrade.version, upgrade.origin, upgrade.forwarded, answer)

    def close(self, connection: WebSocketConnection, code: int, reason: bytes) -> None:
        """Do nothing: nobody was let in yet."""

    def lost(self, connection: WebSocketConnection, reason: Failure) -> None:
        """Do nothing: there is nothing to forget."""


class Open:
    """Takes frames, several in one read or one."""

    stage = Stage.OPEN

    def take(self, connection: WebSocketConnection, data: bytes) -> None:
        """Take plain frames, as long as they are plain, and as this is the way."""
        at = 0
        while at < len(data):
            frame = frames.read_frame(data, at, connection.home.message_bytes)
            if frame is None:
                connection.way = connection.home.long_way(connection, self.stage)
            else:
                kind, payload, at = frame
                self._take_frame(connection, kind, payload)
            if connection.way is not self:
                connection.way.take(connection, data[at:])
                return

    def close(self, connection: WebSocketConnection, code: int, reason: bytes) -> None:
        """Send what waits and a close frame in one write."""
        connection.way = CLOSING
        connection.outbox.close(frames.close(code, reason))
        connection.closing(code)

    def lost(self, connection: WebSocketConnection, reason: Failure) -> None:
        """Do nothing: there is nothing to forget."""

    def _take_frame(self, connection: WebSocketConnection, kind: int, payload: bytes) -> None:
        connection.spare -= 1
        if connection.spare < 0 and connection.floods():
            return
        if kind == frames.TEXT:
            connection.receive(payload)
        elif kind == frames.PING:
            connection.receive_ping(payload)
        elif kind == frames.CLOSE:
            connection.way = ENDED
            connection.closed_with = frames.close_code(payload)
            connection.outbox.close(frames.close(frames.NORMAL_CLOSURE))
            connection.hang_up()


class Closing(Open):
    """Waits for the client's close frame, and lets everything else pass."""

    stage = Stage.CLOSING

    def close(self, connection: WebSocketConnection, code: int, reason: bytes) -> None:
        """Do nothing: that is done."""

    def _take_frame(self, connection: WebSocketConnection, kind: int, payload: bytes) -> None:
        if kind == frames.CLOSE:
            connection.way = ENDED
            connection.transport.abortConnection()


OPENING = Opening()
OPEN = Open()
CLOSING = Closing()
