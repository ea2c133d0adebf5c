"""Memory that runs short: noticed in time, told once, and nobody more let in until it is better."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from slanger.domain.limits import Limits
from slanger.protocol.names import UNLIMITED
from slanger.services.memory import trim

INTERVAL = 1.0
"""Seconds between two looks."""

LITTLE_MEMORY = "too little memory: no client is let in until there is more"

RELIEVED = 0.95
"""The part of the limit below which memory is no longer short."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Give the bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE


class Strain(Service):
    """Watch the memory of this process.

    :param limits: say how much it may have.
    :ivar since: since when it has more, in seconds of the clock; None while it has not.
    :param resident: measures.
    :param trim: gives memory back.
    """

    name = "strain"
    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        limits: Limits,
        resident: Callable[[], int] = resident,
        trim: Callable[[], None] = trim,
    ) -> None:
        self._limit = limits.memory_bytes
        self.since: float | None = None
        self._clock = clock
        self._resident = resident
        self._trim = trim
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def __bool__(self) -> bool:
        """Whether it has more than it may."""
        return self.since is not None

    def apply(self, limits: Limits) -> None:
        """Go by another limit from now on."""
        self._limit = limits.memory_bytes

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._looking.start(INTERVAL, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        if self._limit >= UNLIMITED:
            self.since = None
        elif self.since is not None:
            if self._resident() < RELIEVED * self._limit:
                self.since = None
                self._log.info("memory is below the limit again: clients are let in")
        elif self._resident() > self._limit:
            self._trim()
            taken = self._resident()
            if taken > self._limit:
                self.since = self._clock.seconds()
                self._log.warn(
                    "{taken} bytes of memory are more than --memory-bytes {limit} allows:"
                    " no client is let in until it is less",
                    taken=taken,
                    limit=self._limit,
                )
