"""Several processes on the same ports: one watches, the others serve.

The kernel shares connections out among all that listen on a port with SO_REUSEPORT; Redis ties the workers together as
it ties nodes, so a worker that dies is taken over like any other node.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import (
    IOpenSSLContextFactory,
    IProcessTransport,
    IReadDescriptor,
    IStreamServerEndpoint,
)
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.runner.procmon import ProcessMonitor
from zope.interface import implementer

from slanger.attendance import Attendance
from slanger.faults import StartupFault
from slanger.hangup import held_back
from slanger.signals import stop
from slanger.systemd import Notify

TETHERED = "WORKER_OF_SLANGER"
"""The environment variable that tells a process that it is a worker, and which."""

_TWISTD = "from twisted.scripts.twistd import run; run()"
_LOOK = 0.05


class Workers(ProcessMonitor):
    """Run workers, and replace those that die.

    :param count: how many.
    :param environment: theirs; it holds all their options.
    :param places: hosts and ports they listen on. They are kept for them, so that a port that is taken is a fault at
        start, and nobody takes one while all of them are dead.
    :param notify: tells systemd how they are, from their start to their end.
    """

    name = "workers"
    maxRestartDelay = 10
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        count: int,
        environment: Mapping[str, str],
        places: Iterable[tuple[str, int]],
        notify: Notify,
    ) -> None:
        super().__init__(reactor)
        self._count = count
        self._environment = environment
        self._places = tuple(dict.fromkeys(places))
        self._kept: list[socket.socket] = []
        self._notify = notify
        self._attendance = Attendance(reactor, count, notify.watchdog, notify.ready, self._replace)

    def privilegedStartService(self) -> None:
        """Keep the ports.

        :raises StartupFault: one cannot be had.
        """
        super().privilegedStartService()
        for host, port in self._places:
            try:
                self._kept.append(bind_shared(host, port))
            except OSError as fault:
                raise StartupFault(f"cannot listen on {host}:{port}: {fault.strerror or fault}").tell() from None

    def startService(self) -> None:
        """Start them."""
        self._notify.startService()
        self._attendance.startService()
        for number in range(1, self._count + 1):
            arguments = [sys.executable, "-c", _TWISTD, "-n", "--pidfile=", "slanger"]
            env = {**self._environment, **self._attendance.environment(number), TETHERED: str(number)}
            self.addProcess(_name(number), arguments, env=env)
        super().startService()

    def kill(self) -> None:
        """End all workers at once; may be called by a signal."""
        for protocol in self.protocols.values():
            if protocol.transport is not None and protocol.transport.pid is not None:
                os.kill(protocol.transport.pid, signal.SIGKILL)

    def stopService(self) -> Deferred[Any]:  # type: ignore[override]
        """Ask all workers to end, and wait for the last."""
        self._notify.stopping(self.killTime)
        super().stopService()
        looking = LoopingCall(self._look)
        looking.clock = self._clock
        ended: Deferred[Any] = looking.start(_LOOK)
        self._looking = looking
        return ended.addCallback(lambda _: self._let_go())

    def _replace(self, number: int, heard_at: float) -> None:
        """End a worker that is stuck; another takes its place."""
        protocol = self.protocols.get(_name(number))
        if protocol is not None and protocol.transport is not None and heard_at > self.timeStarted[_name(number)]:
            self.log.error("worker {number} is stuck, and is replaced", number=number)
            protocol.transport.signalProcess("KILL")

    def startProcess(self, name: str) -> None:
        """Start a worker; a SIGHUP that it cannot heed yet is held back until it can."""
        with held_back():
            super().startProcess(name)

    def kill_after(self, seconds: float) -> None:
        """Kill a worker that takes so long to end."""
        self.killTime = seconds  # type: ignore[assignment]

    def hang_up(self) -> int:
        """Have all workers read their settings again; tell how many there are."""
        for protocol in self.protocols.values():
            with suppress(ProcessExitedAlready):
                cast(IProcessTransport, protocol.transport).signalProcess("HUP")
        return len(self.protocols)

    def _monitoredProcessExited(self, name: str, reason: Failure | None = None) -> None:
        """Say that a worker has ended, which Twisted keeps to itself."""
        super()._monitoredProcessExited(name, reason)
        if self.running or (reason is not None and not reason.check(ProcessDone)):
            self._log.warn(
                "{name} has ended {how}{next}",
                event="worker_ended",
                name=name,
                how=_how(reason),
                next="; another takes its place" * self.running,
            )

    def _look(self) -> None:
        if not self.protocols:
            self._looking.stop()

    def _let_go(self) -> None:
        self._attendance.stopService()
        self._notify.stopService()
        for each in self._kept:
            each.close()
        self._kept.clear()


def _name(number: int) -> str:
    return f"worker {number}"


def _how(reason: Failure | None) -> str:
    """Tell by what a process has ended."""
    number = getattr(reason and reason.value, "signal", None)
    if number is not None:
        return f"by {signal.Signals(number).name}"
    return f"with status {getattr(reason and reason.value, 'exitCode', None) or 0}"


@implementer(IReadDescriptor)
class Tether(Service):
    """End this worker when the process that watches it is gone, however it went: standard input ends with it."""

    name = "tether"

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        """Watch standard input."""
        super().startService()
        self._reactor.addReader(self)

    def stopService(self) -> None:
        """Watch it no more."""
        super().stopService()
        self._reactor.removeReader(self)

    def fileno(self) -> int:
        """Tell what is watched."""
        return sys.__stdin__.fileno() if sys.__stdin__ is not None else 0

    def logPrefix(self) -> str:
        """Tell the reactor who this is."""
        return self.name

    def doRead(self) -> None:
        """Stop where there is nothing more to come."""
        if not os.read(self.fileno(), 1024):
            self._reactor.removeReader(self)
            self.connectionLost()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Stop, unless that is why the reactor looks no more."""
        if self.running:
            stop(self._reactor)


@implementer(IStreamServerEndpoint)
class SharedPortEndpoint:
    """A TCP port that other processes may listen on too."""

    def __init__(
        self, reactor: Any, host: str, port: int, certificate: IOpenSSLContextFactory | None, backlog: int
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._certificate = certificate
        self._backlog = backlog

    def listen(self, factory: Any) -> Deferred[Any]:
        """Listen; fails with `OSError` where the port cannot be had."""
        if self._certificate is not None:
            factory = TLSMemoryBIOFactory(self._certificate, False, factory)
        listening: Deferred[Any] = Deferred()
        try:
            with bind_shared(self._host, self._port) as bound:
                bound.listen(self._backlog)
                port = self._reactor.adoptStreamPort(bound.fileno(), bound.family, factory)
        except OSError as fault:
            listening.errback(fault)
        else:
            listening.callback(port)
        return listening


def bind_shared(host: str, port: int) -> socket.socket:
    """Bind a TCP socket whose port others may use that ask for it in the same way.

    :raises OSError: it cannot be had.
    """
    family, kind, number, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
    )[0]
    bound = socket.socket(family, kind, number)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setblocking(False)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
