"""Whether clients are to be sent here: what balancers ask."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

STARTING = "starting: this node does not accept connections yet"
JOINING = "starting: this node has not joined the others yet"
LEAVING = "stopping: this node sends its clients away"

JOIN_PATIENCE = 3.0
"""Seconds that a new node may take to join the others; one that cannot reach them serves by itself after that."""

_LOOK = 0.05


class Readiness(Service):
    """Ready from the moment on when all is started and the others are joined, until this node stops.

    Who is sent to a node that has not joined yet would find its rosters empty. A node that is cut off later is ready
    still: it serves its clients, and elsewhere it may be no better.

    :param cut_off_since: see `IBroker.cut_off_since`.
    :param on_ready: called once.
    :ivar reason: why this node is not ready, in words; None while it is.
    """

    name = "readiness"

    def __init__(
        self, clock: IReactorTime, cut_off_since: Callable[[], float | None], on_ready: Callable[[], object]
    ) -> None:
        self._clock = clock
        self._cut_off_since = cut_off_since
        self._on_ready = on_ready
        self.reason: str | None = STARTING
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def startService(self) -> None:
        """Begin to look; comes after everything else has started."""
        super().startService()
        self.reason = JOINING
        self._until = self._clock.seconds() + JOIN_PATIENCE
        self._looking.start(_LOOK)

    def describe(self, connections: int) -> str:
        """Say how this node is, in a few words."""
        return f"{self.reason or 'ready'}; connections: {connections}"

    def leave(self) -> None:
        """Be ready no more."""
        self.reason = LEAVING
        self._look_no_more()

    def stopService(self) -> None:
        """Be ready no more."""
        super().stopService()
        self.leave()

    def _look(self) -> None:
        if self._cut_off_since() is None or self._clock.seconds() >= self._until:
            self.reason = None
            self._look_no_more()
            self._on_ready()

    def _look_no_more(self) -> None:
        if self._looking.running:
            self._looking.stop()
