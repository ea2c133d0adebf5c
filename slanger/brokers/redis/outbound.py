"""What this node tells the others: kept until Redis has taken it, in order, within a bound."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from msgspec import Raw
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from slanger.brokers.redis import envelope
from slanger.brokers.redis.links import Commands
from slanger.brokers.redis.root import Root
from slanger.brokers.redis.scripts import PUBLISH
from slanger.complaints import Complaints

BATCH = 200
"""Messages that leave in one command, at most."""

MESSAGE_OVERHEAD = 300
"""Bytes that a message takes beside its texts, about."""


@dataclass(slots=True)
class _Parcel:
    """Something to be published, with the channel's name and what a cache channel remembers of it."""

    number: int
    app: str
    channel: str
    envelope: bytes
    remembered: bytes = b""
    ttl_ms: int = 0

    @property
    def size(self) -> int:
        return MESSAGE_OVERHEAD + len(self.channel) + len(self.envelope) + len(self.remembered)


class Outbound:
    """Publish what the node says. Each reactor turn's messages leave in one command.

    What Redis has not acknowledged when a link is lost is sent again over the next; Redis, which knows the number of
    the last message it took, skips what it has.

    :param most_bytes: that may wait; what does not fit is dropped, and counted.
    """

    _log = Logger()

    def __init__(self, root: Root, clock: IReactorTime, most_bytes: int, complaints: Complaints) -> None:
        self._root = root
        self._clock = clock
        self._most_bytes = most_bytes
        self._complaints = complaints
        self._commands: Commands | None = None
        self._unsent: deque[_Parcel] = deque()
        self._unacknowledged: deque[_Parcel] = deque()
        self._bytes = 0
        self._number = 0
        self._flushing = False
        self._dropped = 0
        self._round = 0

    def event(self, app: str, channel: str, text: bytes, exclude: str | None) -> None:
        """Send an event to the channel's subscribers on other nodes."""
        number = self._next()
        said = envelope.Event(v=1, o=self._root.origin, s=number, t=Raw(text), x=exclude)
        self._put(_Parcel(number, app, channel, envelope.write(said)))

    def terminate(self, app: str, topic: str, user_id: str) -> None:
        """Have the other nodes close a user's connections."""
        number = self._next()
        said = envelope.Terminate(v=1, o=self._root.origin, s=number, u=user_id)
        self._put(_Parcel(number, app, topic, envelope.write(said)))

    def remember(self, app: str, channel: str, text: bytes, ttl_ms: int) -> None:
        """Keep a cache channel's last event: in one step with its publication, if that is what was said last."""
        last = self._unsent[-1] if self._unsent else None
        if last is not None and (last.app, last.channel) == (app, channel) and not last.remembered:
            last.remembered, last.ttl_ms = text, ttl_ms
            self._bytes += len(text)
        else:
            self._put(_Parcel(self._next(), app, channel, b"", text, ttl_ms))

    def resume(self, commands: Commands) -> None:
        """Send over a new link what was not acknowledged on the one before, then all that waits."""
        self._commands = commands
        self._round += 1
        if self._dropped:
            text = "events that other nodes lack, as the publish buffer was full while Redis was away: {dropped}"
            self._log.warn(text, dropped=self._dropped)
            self._dropped = 0
        self._unsent.extendleft(reversed(self._unacknowledged))
        self._unacknowledged.clear()
        self.flush()

    def pause(self) -> None:
        """Keep everything: there is no link."""
        self._commands = None

    def flush(self) -> None:
        """Send what waits."""
        self._flushing = False
        while self._unsent and self._commands is not None:
            batch = [self._unsent.popleft() for _ in range(min(len(self._unsent), BATCH))]
            self._unacknowledged.extend(batch)
            arguments: list[str | bytes | int] = []
            for parcel in batch:
                arguments += (
                    parcel.number,
                    parcel.app,
                    parcel.channel,
                    parcel.envelope,
                    parcel.remembered,
                    parcel.ttl_ms,
                )
            sending = self._commands.run(PUBLISH, *self._root.arguments, self._root.origin, *arguments)
            sending.addCallbacks(self._taken, _lost, callbackArgs=(self._round, batch))

    @property
    def bytes(self) -> int:
        """Count the bytes of memory that this takes."""
        return self._bytes

    def __len__(self) -> int:
        """Count what Redis has not taken yet."""
        return len(self._unsent) + len(self._unacknowledged)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _put(self, parcel: _Parcel) -> None:
        if self._bytes + parcel.size > self._most_bytes:
            self._dropped += 1
            self._complaints.count("publish buffer full", "an event was dropped that other nodes should have had")
            return
        self._bytes += parcel.size
        self._unsent.append(parcel)
        if self._commands is not None and not self._flushing:
            self._flushing = True
            self._clock.callLater(0, self.flush)

    def _taken(self, _: Any, of_round: int, batch: list[_Parcel]) -> None:
        if of_round == self._round:
            self._complaints.tallies.broker_messages["sent",] += len(batch)
            for parcel in batch:
                self._unacknowledged.popleft()
                self._bytes -= parcel.size


def _lost(failure: Failure) -> None:
    """The link is lost; what was sent over it is sent again."""
