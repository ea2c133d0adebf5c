"""What connections are to be sent: joined per reactor turn, and bounded where a client reads slowly."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from socket import socket
from typing import Protocol

from twisted.internet.interfaces import IConsumer, IPushProducer, IReactorTime, ITransport
from twisted.logger import Logger
from zope.interface import implementer

from slanger.domain.limits import Limits
from slanger.protocol.messages import Message
from slanger.tallies import Meter, Tallies
from slanger.transports.direct import buffered, free_socket, send
from slanger.transports.frames import frame

RELIEF = 0.9
"""Part of the total backlog that is left when the worst readers are closed, so that it need not be done each time."""


SENDS = 1000
"""Connections that are sent something in one turn. The others wait for the next, so that turns stay short."""


class Turn:
    """The outboxes that were given something in this reactor turn, and those whose readers are slow.

    :param clock: its next turns send all of it.
    :param limits: of the backlogs, each and all; they may change.
    :param tallies: learn when that is done.
    :ivar backlog: bytes that wait for all slow readers together, with what their transports hold.
    """

    __slots__ = ("_clock", "_ending", "_outboxes", "backlog", "limits", "slow", "tallies")
    _log = Logger()

    def __init__(self, clock: IReactorTime, limits: Limits, tallies: Tallies) -> None:
        self._clock = clock
        self._outboxes: deque[Outbox] = deque()
        self._ending = False
        self.limits = limits
        self.tallies = tallies
        self.backlog = 0
        self.slow: dict[Outbox, None] = {}

    def add(self, outbox: Outbox) -> None:
        """Flush this outbox when the turn is over."""
        self._outboxes.append(outbox)
        if not self._ending:
            self._ending = True
            self._clock.callLater(0, self._end)

    def backlogs(self) -> Mapping[str, int]:
        """Count the bytes that wait for slow readers, by the apps' labels."""
        backlogs: Counter[str] = Counter()
        for outbox in self.slow:
            backlogs[outbox.meter.app] += outbox.backlog()
        return backlogs

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
        else:
            self.tallies.sent()
        if self.backlog > self.limits.total_backlog_bytes:
            self._relieve()

    def _relieve(self) -> None:
        """Give up those who read worst, until there is room again."""
        for outbox in sorted(self.slow, key=Outbox.backlog, reverse=True):
            if self.backlog <= RELIEF * self.limits.total_backlog_bytes:
                break
            outbox.give_up()


class Owner(Protocol):
    """Whose outbox it is."""

    def overflowed(self) -> None:
        """End the connection: it is read too slowly."""


@implementer(IPushProducer)
class Outbox:
    """What one connection is to be sent.

    Frames of one turn leave in one write. While the transport's buffer is full they wait here; when more than
    `Limits.backlog_bytes` wait, or too much for all together, they are dropped and the owner is told, once.

    :param transport: where bytes go. It learns of the outbox when it is first left something to write: most never are.
    :ivar meter: counts them; that of nobody, until it is known whose they are.
    """

    __slots__ = (
        "_closed",
        "_due",
        "_frames",
        "_held",
        "_known",
        "_owner",
        "_paused",
        "_socket",
        "_transport",
        "_turn",
        "_waiting",
        "meter",
    )

    def __init__(self, transport: ITransport, turn: Turn, owner: Owner) -> None:
        self._transport = transport
        self._socket: socket | None = None
        self._turn = turn
        self._owner = owner
        self.meter = turn.tallies.nobody
        self._frames: list[bytes] = []
        self._due = False
        self._waiting = 0
        self._held = 0
        self._paused = False
        self._closed = False
        self._known = False

    def send(self, message: Message) -> None:
        """Send a text when the turn is over."""
        self.put(message.framed(frame))

    def put(self, frame: bytes) -> None:
        """Send a frame when the turn is over."""
        if self._closed:
            return
        frames = self._frames
        if self._paused:
            self._hold(frame)
        elif not frames:
            self._turn.add(self)
        frames.append(frame)

    def join(self) -> None:
        """Make one frame of those that wait: they count as one."""
        if len(self._frames) > 1:
            self._frames = [b"".join(self._frames)]

    def flush(self) -> None:
        """Send what there is. What a slow reader has not taken yet waits, unless it is too much."""
        if not self._paused:
            self._send_all()
            return
        self._due = False
        if self._waiting > self._turn.limits.backlog_bytes:
            self.give_up()

    def backlog(self) -> int:
        """Count the bytes that wait here, and at most in the transport."""
        return self._waiting + self._held

    def give_up(self) -> None:
        """Drop what waits: the client reads too slowly."""
        self.meter.messages_dropped += len(self._frames)
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
        self._catch_up()
        if self._known:
            IConsumer(self._transport).unregisterProducer()

    def pauseProducing(self) -> None:
        """Learn that the transport's buffer is full."""
        self._catch_up()
        self._paused = True
        self._due = False
        self._waiting = sum(map(len, self._frames))
        self._held = buffered(self._transport)
        self._turn.slow[self] = None
        self._turn.backlog += self.backlog()

    def resumeProducing(self) -> None:
        """Learn that the transport's buffer is empty again."""
        self._catch_up()
        self._send_all()

    def stopProducing(self) -> None:
        """Learn that the transport is gone."""
        self._closed = True
        self._catch_up()
        self._frames.clear()

    def _catch_up(self) -> None:
        """Count among the slow no more, neither now nor when the turn is over."""
        self._paused = False
        if self in self._turn.slow:
            del self._turn.slow[self]
            self._turn.backlog -= self.backlog()

    def _hold(self, frame: bytes) -> None:
        """Count a frame that waits; where that is too much, the turn's end tells."""
        turn, limits = self._turn, self._turn.limits
        self._waiting += len(frame)
        turn.backlog += len(frame)
        if not self._due and (self._waiting > limits.backlog_bytes or turn.backlog > limits.total_backlog_bytes):
            self._due = True
            turn.add(self)

    def _send_all(self) -> None:
        """Send what there is; to look at the transport first would cost a third of a delivery, so it is done once."""
        frames = self._frames
        if not frames:
            return
        meter = self.meter
        meter.messages_sent += len(frames)
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        meter.bytes_sent += len(data)
        if self._socket is None:
            self._socket = free_socket(self._transport)
        rest = data if self._socket is None else send(self._socket, data)
        if rest:
            self._leave(rest)

    def _leave(self, rest: bytes) -> None:
        """Leave it to the transport, which tells from now on when its buffer is full."""
        self._socket = None
        if not self._known:
            self._known = True
            IConsumer(self._transport).registerProducer(self, True)
        self._transport.write(rest)


class Nowhere:
    """The outbox of a connection that has none: not yet open, or gone."""

    __slots__ = ("meter",)

    def __init__(self) -> None:
        self.meter = Meter("")

    def join(self) -> None:
        """Stay as it is."""

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
