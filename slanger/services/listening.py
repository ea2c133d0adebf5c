"""A port that is listened on, as a service that says where, or why not."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from socket import AF_UNIX, IPPROTO_TCP, TCP_NODELAY
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReadDescriptor, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from slanger.domain.limits import Limits
from slanger.faults import StartupFault

TCP_NOTSENT_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
"""Linux and macOS have it."""

ROUNDS = 1000
"""How often, at most, a port that is being closed is polled for waiting connections; each time, many are accepted."""


class Listening(Service):
    """Listen while the service runs.

    :param endpoint: where.
    :param factory: makes the connections.
    :param what: who listens, for the log, such as ``WebSocket server``.
    :param where: the address as the operator wrote it.
    :param limits: say what the kernel takes for one connection before it is sent. Left to itself it takes some 3 MB
        for a client that reads nothing.
    :param shared: whether somebody else keeps the port open, and takes who waits there: systemd, for a successor.
    :param guard: stands before the listening socket; see `slanger.descriptors`.
    """

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        what: str,
        where: str,
        limits: Limits,
        *,
        shared: bool = False,
        guard: Callable[[socket.socket], Any] | None = None,
    ) -> None:
        self.name = what
        self._endpoint = endpoint
        self._factory = factory
        self._where = where
        self._unsent_bytes = limits.unsent_bytes
        self._shared = shared
        self._guard = guard
        self._port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """Take the port while the process may still take any.

        :raises StartupFault: it cannot be had. Its sentence is short, as a daemon can hand on but 100 bytes of it.
        """
        super().privilegedStartService()
        failures: list[Failure] = []
        listening = self._endpoint.listen(self._factory).addCallbacks(self._listens, failures.append)
        for failure in failures:
            raise self._fault(failure.value)
        listening.addCallback(lambda _: [self._fault(failure.value) for failure in failures])

    def stopService(self) -> Deferred[None] | None:
        """Let go of the port. Who waits to be accepted is, as the kernel would hang up on him."""
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return None
        if not self._shared and IReadDescriptor.providedBy(port):
            _accept_all(port)
        stopping: Deferred[None] | None = port.stopListening()
        self._log.info("{what} no longer listening on {where}", event="closed", what=self.name, where=self._where)
        return stopping

    def _listens(self, port: IListeningPort) -> None:
        self._port = port
        if self._guard is not None and hasattr(port, "socket"):
            port.socket = self._guard(port.socket)
        self._hand_down()
        self._log.info("{what} listening on {where}", event="listening", what=self.name, where=self._where)

    def apply(self, limits: Limits) -> None:
        """Go by another limit for connections that come from now on."""
        self._unsent_bytes = limits.unsent_bytes
        self._hand_down()

    def _hand_down(self) -> None:
        """Set what connections have from the socket they come in by, so that nothing need be set on each of them.

        What is sent leaves at once (`TCP_NODELAY`), and there is a bound to what the kernel takes. A UNIX socket knows
        neither: it does the one, and bounds the other itself.
        """
        listening = getattr(self._port, "socket", None)
        if listening is None or listening.family == AF_UNIX:
            return
        listening.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        if TCP_NOTSENT_LOWAT is not None:
            listening.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, self._unsent_bytes)

    def _fault(self, cause: BaseException | None) -> StartupFault:
        reason = getattr(cause, "socketError", cause)
        fault = StartupFault(f"cannot listen on {self._where}: {getattr(reason, 'strerror', None) or reason}")
        self._log.critical("{what}: {fault}", what=self.name, fault=fault)
        return fault.tell()


def _accept_all(port: IReadDescriptor) -> None:
    """Accept what waits at a port; while more comes than can be accepted, there is an end to it."""
    waiting = select.poll()
    waiting.register(port.fileno(), select.POLLIN)
    for _ in range(ROUNDS):
        if not waiting.poll(0):
            break
        port.doRead()
