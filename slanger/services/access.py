"""Who came, what they asked for, and who went, for `--access-log`: one line each."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from slanger.interfaces import ISubscriber, IWire
from slanger.protocol.errors import ConnectionRefused

SHOWN = 500
"""Characters of what strangers say that are logged."""


class AccessLog:
    """One line for each connection that opens, is refused or closes, and for each request.

    Queries are left out: they hold signatures.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._opened: dict[str, tuple[str, float]] = {}

    def opened(self, wire: IWire, subscriber: ISubscriber) -> None:
        """Log a client that was let in."""
        peer = wire.peer
        self._opened[subscriber.socket_id] = peer, self._clock.seconds()
        self._log.info(
            "{peer} opened {socket_id} of app {app}",
            event="connection_opened",
            peer=peer,
            socket_id=subscriber.socket_id,
            app=subscriber.app.label,
        )

    def refused(self, wire: IWire, refusal: ConnectionRefused) -> None:
        """Log a client that was not let in."""
        self._log.info(
            "{peer} refused with {code}: {reason}",
            event="connection_refused",
            peer=wire.peer,
            code=refusal.code.number,
            reason=refusal.message[:SHOWN],
        )

    def closed(self, subscriber: ISubscriber, code: int) -> None:
        """Log a connection that ended."""
        peer, since = self._opened.pop(subscriber.socket_id)
        self._log.info(
            "{peer} closed {socket_id} of app {app} with {code} after {seconds} s",
            event="connection_closed",
            peer=peer,
            socket_id=subscriber.socket_id,
            app=subscriber.app.label,
            code=code,
            seconds=round(self._clock.seconds() - since, 3),
        )

    def requested(self, peer: str, method: str, path: str, status: int, size: int) -> None:
        """Log a request that was answered.

        :param path: without its query.
        :param size: bytes of the answer's body.
        """
        self._log.info(
            "{peer} {method} {path} {status} {bytes}",
            event="request",
            peer=peer,
            method=method[:SHOWN],
            path=path[:SHOWN],
            status=status,
            bytes=size,
        )
