"""What connections are to be sent: joined per reactor turn, and bounded where a client reads slowly."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from twisted.internet.interfaces import IConsumer, IPushProducer, IReactorTime, ITransport
from twisted.logger import Logger
from zope.interface import implementer

from slanger.protocol.messages import Message
from slanger.transports.direct import writer
from slanger.transports.frames import frame

BACKLOG_BYTES = 1024 * 1024
"""Bytes that may wait for one slow reader, beyond what the kernel and the transport hold."""


SENDS = 1000
"""Connections that are sent something in one turn. The others wait for the next, so that turns stay short."""


class Turn:
    """The outboxes that were given something in this reactor turn.

    :param clock: its next turns send all of it.
    """

    __slots__ = ("_clock", "_ending", "_outboxes")
    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._outboxes: deque[Outbox] = deque()
        self._ending = False

    def add(self, outbox: Outbox) -> None:
        """Flush this outbox when the turn is over."""
        self._outboxes.append(outbox)
        if not self._ending:
            self._ending = True
            self._clock.callLater(0, self._end)

    def _end(self) -> None:
        outboxes = self._outboxes
        for _ in range(min(len(outboxes), SENDS)):
            try:
                outboxes.popleft().flush()
            except Exception:
                self._log.failure("sending to a connection failed")
        self._ending = bool(outboxes)
        if outboxes:
            self._clock.callLater(0, self._end)


class Owner(Protocol):
    """Whose outbox it is."""

    def overflowed(self) -> None:
        """End the connection: it is read too slowly."""


@implementer(IPushProducer)
class Outbox:
    """What one connection is to be sent.

    Frames of one turn leave in one write. While the transport's buffer is full they wait here; when more than
    `BACKLOG_BYTES` wait, they are dropped and the owner is told, once.

    :param transport: where bytes go.
    """

    __slots__ = ("_closed", "_due", "_frames", "_owner", "_paused", "_transport", "_turn", "_waiting", "_write")

    def __init__(self, transport: ITransport, turn: Turn, owner: Owner) -> None:
        self._transport = transport
        self._write = writer(transport)
        self._turn = turn
        self._owner = owner
        self._frames: list[bytes] = []
        self._due = False
        self._waiting = 0
        self._paused = False
        self._closed = False
        IConsumer(transport).registerProducer(self, True)

    def send(self, message: Message) -> None:
        """Send a text when the turn is over."""
        self.put(message.framed(frame))

    def put(self, frame: bytes) -> None:
        """Send a frame when the turn is over."""
        if self._closed:
            return
        self._frames.append(frame)
        if self._paused:
            self._waiting += len(frame)
            if self._waiting <= BACKLOG_BYTES:
                return
        if not self._due:
            self._due = True
            self._turn.add(self)

    def flush(self) -> None:
        """Send what there is. What a slow reader has not taken yet waits, unless it is too much."""
        self._due = False
        if not self._paused:
            self._send_all()
        elif self._waiting > BACKLOG_BYTES:
            self._frames.clear()
            self._owner.overflowed()

    def close(self, last: bytes | None = None) -> None:
        """Hand on what waits and a last frame, and take nothing more."""
        if self._closed:
            return
        if last is not None:
            self._frames.append(last)
        self._send_all()
        self._closed = True
        IConsumer(self._transport).unregisterProducer()

    def pauseProducing(self) -> None:
        """Learn that the transport's buffer is full."""
        self._paused = True
        self._waiting = sum(map(len, self._frames))

    def resumeProducing(self) -> None:
        """Learn that the transport's buffer is empty again."""
        self._paused = False
        self._send_all()

    def stopProducing(self) -> None:
        """Learn that the transport is gone."""
        self._closed = True
        self._frames.clear()

    def _send_all(self) -> None:
        if self._frames:
            frames, self._frames = self._frames, []
            self._write(self._transport, frames[0] if len(frames) == 1 else b"".join(frames))


class Nowhere:
    """The outbox of a connection that has none: not yet open, or gone."""

    __slots__ = ()

    def send(self, message: Message) -> None:
        """Drop it."""

    def put(self, frame: bytes) -> None:
        """Drop it."""

    def flush(self) -> None:
        """Stay as it is."""

    def close(self, last: bytes | None = None) -> None:
        """Stay as it is."""

    def stopProducing(self) -> None:
        """Stay as it is."""


NOWHERE = Nowhere()
