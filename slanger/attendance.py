"""What workers tell the process that watches them: what services tell systemd, in the same words.

So the watching process can say that all is ready when all of them are, and a worker whose reactor is stuck is replaced,
though systemd knows nothing of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from slanger.systemd import SOCKET, USEC, WATCHDOG


class Attendance(Service):
    """Hear from each worker at a socket of its own.

    :param count: how many workers there are.
    :param watchdog: seconds of silence after which a worker is stuck; None where nobody looks at that.
    :param on_ready: called once, when all of them are ready.
    :param on_stuck: called with a worker's number, and when it was heard last.
    """

    name = "attendance"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        count: int,
        watchdog: float | None,
        on_ready: Callable[[], object],
        on_stuck: Callable[[int, float], object],
    ) -> None:
        self._reactor = reactor
        self._count = count
        self._watchdog = watchdog
        self._on_ready = on_ready
        self._on_stuck = on_stuck
        self._ready: set[int] = set()
        self._heard_at: dict[int, float] = {}
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def startService(self) -> None:
        """Begin to listen; comes before the workers start."""
        super().startService()
        self._directory = tempfile.TemporaryDirectory(prefix="slanger-")
        for number in range(1, self._count + 1):
            self._reactor.listenUNIXDatagram(self._path(number), _Ear(self, number))
        if self._watchdog:
            self._looking.start(self._watchdog / 2, now=False)

    def stopService(self) -> None:
        """Look no more. The reactor ends the rest."""
        super().stopService()
        if self._looking.running:
            self._looking.stop()
        self._directory.cleanup()

    def environment(self, number: int) -> dict[str, str]:
        """Tell a worker where to speak, and how often."""
        told = {SOCKET: self._path(number)}
        return told | {WATCHDOG: str(int(self._watchdog * USEC))} if self._watchdog else told

    def heard(self, number: int, lines: list[bytes]) -> None:
        """Learn what a worker says."""
        self._heard_at[number] = self._reactor.seconds()
        if b"READY=1" in lines and number not in self._ready:
            self._ready.add(number)
            if len(self._ready) == self._count:
                self._on_ready()

    def _look(self) -> None:
        now = self._reactor.seconds()
        for number, heard_at in tuple(self._heard_at.items()):
            if self._watchdog and now - heard_at > self._watchdog:
                del self._heard_at[number]
                self._on_stuck(number, heard_at)

    def _path(self, number: int) -> str:
        return str(Path(self._directory.name, str(number)))


class _Ear(DatagramProtocol):
    noisy = False

    def __init__(self, attendance: Attendance, number: int) -> None:
        self._attendance = attendance
        self._number = number

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        self._attendance.heard(self._number, datagram.split(b"\n"))
