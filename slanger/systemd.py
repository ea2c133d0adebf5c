"""What systemd gives a service, and what it wants to hear of it.

The protocol is a datagram to the socket that `NOTIFY_SOCKET` names (sd_notify(3)), with one assignment in each line.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IOpenSSLContextFactory, IReactorTime, IStreamServerEndpoint
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

SOCKET, WATCHDOG, WATCHED = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"

STATUS_INTERVAL = 5.0
"""Seconds between two lines of status, at the least."""

USEC = 1_000_000


class Notify(Service):
    """Tell systemd how this process is; where nobody asked for that, nothing happens.

    A sign of life goes out at half of the time that systemd leaves, from the reactor: one that is stuck sends none, so
    that systemd starts the service again.

    :param environment: says where systemd listens; what it says is taken out of it, as no other process may use it.
    :param status: how things are, in a few words.
    """

    name = "notify"
    _log = Logger()

    def __init__(
        self, clock: IReactorTime, environment: MutableMapping[str, str], status: Callable[[], str] = lambda: ""
    ) -> None:
        self._address = environment.pop(SOCKET, "")
        watched = environment.pop(WATCHED, str(os.getpid()))
        usec = environment.pop(WATCHDOG, "")
        self.watchdog = int(usec) / USEC if usec.isdigit() and watched == str(os.getpid()) else None
        self._status = status
        self._told = ""
        self._is_ready = False
        self._complained = False
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = clock

    def startService(self) -> None:
        """Begin to show signs of life."""
        super().startService()
        if self._address:
            self._ticking.start(min(STATUS_INTERVAL, (self.watchdog or 2 * STATUS_INTERVAL) / 2))

    def stopService(self) -> None:
        """Show them no more."""
        super().stopService()
        if self._ticking.running:
            self._ticking.stop()

    def ready(self) -> None:
        """Tell that the service is started."""
        self._is_ready = True
        self._told = self._status()
        self._send("READY=1", f"STATUS={self._told}")

    def reloading(self) -> None:
        """Tell that the service reloads its settings; `reloaded` follows, however that went."""
        if self._is_ready:
            self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """Tell that this is over. A service that still starts, or stops already, is not made ready by it."""
        if self._is_ready:
            self.ready()

    def stopping(self, seconds: float) -> None:
        """Tell that the service stops, and that this may take so many seconds."""
        self._is_ready = False
        self._told = self._status()
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(seconds * USEC)}", f"STATUS={self._told}")

    def _tick(self) -> None:
        lines = ["WATCHDOG=1"] if self.watchdog else []
        status = self._status()
        if status != self._told:
            self._told = status
            lines.append(f"STATUS={status}")
        if lines:
            self._send(*lines)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as to:
                to.sendto("\n".join(lines).encode(), address)
        except OSError as fault:
            if not self._complained:
                self._complained = True
                self._log.warn("systemd at {address} cannot be told: {fault}", address=self._address, fault=fault)


@implementer(IStreamServerEndpoint)
class InheritedPort:
    """A socket that systemd listens on, found by the name that its unit has for it (`FileDescriptorName=`).

    Twisted's own `systemd:domain=INET:name=NAME` wants to be told what kind of socket it is, and knows no TLS.
    """

    def __init__(self, reactor: Any, name: str, certificate: IOpenSSLContextFactory | None) -> None:
        self._reactor = reactor
        self._name = name
        self._certificate = certificate

    def listen(self, factory: Any) -> Deferred[Any]:
        """Listen; fails with `LookupError` where there is no such socket."""
        return execute(self._listen, factory)

    def _listen(self, factory: Any) -> Any:
        try:
            inherited: Any = serverFromString(self._reactor, f"systemd:domain=INET:name={self._name}")
        except KeyError:
            names = os.environ.get("LISTEN_FDNAMES", "").replace(":", ", ") or "none with a name"
            raise _NotInherited(f"systemd passes no socket of that name on: {names}") from None
        if self._certificate is not None:
            factory = TLSMemoryBIOFactory(self._certificate, False, factory)
        with socket.socket(fileno=os.dup(inherited.fileno)) as own:
            own.setblocking(False)
            return self._reactor.adoptStreamPort(own.fileno(), own.family, factory)


class _NotInherited(LookupError):
    """systemd passed no such socket on."""
