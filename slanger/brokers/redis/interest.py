"""What this node listens to: the channels it has a reason to hear of, each in order and without a gap.

A channel is heard from its first reason on: its topic is subscribed to, and once that has taken effect the log is asked
what was published in between. The same is done for all of them after a cut, and for one whose messages show a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from slanger.brokers.redis import envelope
from slanger.brokers.redis.envelope import BadMessage, Envelope, position_in
from slanger.brokers.redis.heard import Heard
from slanger.brokers.redis.links import Commands, Ear, LinkLost
from slanger.brokers.redis.root import Root
from slanger.brokers.redis.scripts import CATCH_UP
from slanger.complaints import Complaints
from slanger.domain.apps import App

LINGER = 5
"""Seconds for which a channel is listened to when there is no reason any more, in case there is one again."""

CHUNK = 500
"""Channels that are asked for in one command, at most."""

PAGE = 500
"""Entries of the log that are looked at in one command."""

GLANCE = "glance"
"""The reason to listen to a channel that someone is about to join."""

Deliver = Callable[[Heard, int, Envelope], None]


class Interest:
    """The channels this node listens to.

    :param deliver: takes each message, in order.
    :param redis_time: gives the least milliseconds that Redis's clock may have shown at a time of ours.
    :ivar longest: bytes of one message, at most.
    """

    _log = Logger()

    def __init__(
        self,
        root: Root,
        clock: IReactorTime,
        deliver: Deliver,
        redis_time: Callable[[float], int],
        longest: int,
        complaints: Complaints,
    ) -> None:
        self._root = root
        self._clock = clock
        self._deliver = deliver
        self._redis_time = redis_time
        self.longest = longest
        self._complaints = complaints
        self._channels: dict[bytes, Heard] = {}
        self._unwanted: dict[bytes, float] = {}
        self._ear: Ear | None = None
        self._commands: Commands | None = None
        self._unasked: list[bytes] = []
        self._behind: list[Heard] = []
        self._due: set[Callable[[], None]] = set()
        self._catching: set[bytes] = set()
        self._lacking: set[bytes] = set()
        self._complete: Deferred[None] | None = None
        self._heard_until = envelope.NOWHERE

    def want(self, app: App, channel: str, reason: str) -> Heard:
        """Listen to a channel, for one more reason."""
        topic = self._root.topic(app.key, channel)
        heard = self._channels.get(topic)
        if heard is None:
            heard = self._channels[topic] = Heard(app, channel, topic, self._clock.seconds())
            self._catching.add(topic)
            if self._ear is not None:
                self._unasked.append(topic)
                self._soon(self._subscribe)
        heard.reasons.add(reason)
        return heard

    def unwant(self, app: App, channel: str, reason: str) -> None:
        """Listen to a channel for one reason less."""
        heard = self._channels.get(self._root.topic(app.key, channel))
        if heard is not None and reason in heard.reasons:
            heard.reasons.remove(reason)
            if not heard.reasons:
                self._unwanted.pop(heard.topic, None)
                self._unwanted[heard.topic] = self._clock.seconds()

    def glance(self, app: App, channel: str) -> Heard:
        """Listen to a channel for a while, from now on."""
        heard = self.want(app, channel, GLANCE)
        self.unwant(app, channel, GLANCE)
        return heard

    def find(self, app: App, channel: str) -> Heard | None:
        """Give a channel that is listened to."""
        return self._channels.get(self._root.topic(app.key, channel))

    def tidy(self) -> None:
        """Let go of channels that there was no reason for in a while."""
        limit = self._clock.seconds() - LINGER
        gone = []
        while self._unwanted:
            topic, unwanted_at = next(iter(self._unwanted.items()))
            if unwanted_at > limit:
                break
            del self._unwanted[topic]
            if topic in self._catching and self._ear is not None:
                self._unwanted[topic] = self._clock.seconds()
            elif not self._channels[topic].reasons:
                gone.append(topic)
                del self._channels[topic]
                self._catching.discard(topic)
                self._lacking.discard(topic)
        if gone and self._ear is not None:
            self._ear.unsubscribe(gone)

    def resume(self, ear: Ear, commands: Commands) -> Deferred[None]:
        """Listen to everything over new links; fires once nothing is missing."""
        self._ear = ear
        self._commands = commands
        self._behind.clear()
        self._unasked = list(self._channels)
        self._catching = set(self._channels)
        self._lacking = set(self._channels)
        for heard in self:
            if heard.held is None:
                heard.sure = self._heard_until
            heard.held = []
        self._heard_until = envelope.NOWHERE
        ear.subscribe([self._root.beats])
        self._subscribe()
        self._complete = Deferred()
        return self._complete

    def pause(self) -> None:
        """Learn that a link is lost. What is still heard is passed on."""
        self._ear = None
        self._commands = None
        self._complete = None

    def subscribed(self, ear: Ear, topic: bytes) -> None:
        """Learn that a topic is listened to: what was published before is asked for."""
        heard = self._channels.get(topic)
        if ear is self._ear and heard is not None and heard.held is not None:
            self._behind.append(heard)
            self._soon(self._catch_up)

    def beaten(self, at: bytes) -> None:
        """Learn that all that was published before a time, on channels that are listened to, has been heard."""
        if at.isdigit():
            self._heard_until = envelope.at_time(int(at[:15]))
        else:
            self._complaints.count("bad message", "dropped one among the beats of this node")

    def heard(self, topic: bytes, payload: bytes) -> None:
        """Take what arrives."""
        channel = self._channels.get(topic)
        if channel is None:
            return
        self._complaints.tallies.broker_messages["heard",] += 1
        try:
            at, before, said = envelope.read_arrival(payload, self.longest)
        except BadMessage as fault:
            self._complaints.count("bad message", f"dropped one on {channel.name} of app {channel.app.key}: {fault}")
            return
        if channel.held is not None:
            channel.held.append((at, said))
        elif channel.at is not None and before > channel.at:
            channel.held = [(at, said)]
            channel.sure = channel.at
            self._behind.append(channel)
            self._catching.add(topic)
            self._soon(self._catch_up)
        else:
            self._pass_on(channel, at, said)
            channel.moved()

    def __iter__(self) -> Iterator[Heard]:
        return iter(tuple(self._channels.values()))

    def __len__(self) -> int:
        return len(self._channels)

    # Inside

    def _soon(self, what: Callable[[], None]) -> None:
        """Do something when the reactor turn is over, once for all that asked."""
        if what not in self._due:
            self._due.add(what)
            self._clock.callLater(0, self._now, what)

    def _now(self, what: Callable[[], None]) -> None:
        self._due.discard(what)
        what()

    def _subscribe(self) -> None:
        topics, self._unasked = self._unasked, []
        if self._ear is not None and topics:
            self._ear.subscribe(topics)

    def _catch_up(self) -> None:
        behind, self._behind = self._behind, []
        ear, commands = self._ear, self._commands
        if ear is None or commands is None:
            return
        by_app: dict[str, list[Heard]] = {}
        for heard in behind:
            by_app.setdefault(heard.app.key, []).append(heard)
        for app, channels in by_app.items():
            for first in range(0, len(channels), CHUNK):
                asking = Deferred.fromCoroutine(self._ask(ear, commands, app, channels[first : first + CHUNK]))
                asking.addErrback(self._failed)

    async def _ask(self, ear: Ear, commands: Commands, app: str, channels: list[Heard]) -> None:
        """Read of the log what these channels lack, then go on with what was heard meanwhile.

        An answer that comes when either link is another counts for nothing: all is asked for again.
        """
        by_name = {each.name: each for each in channels}
        for channel in channels:
            if channel.at is None:
                channel.at = envelope.at_time(self._redis_time(channel.since))
            channel.sure = max(channel.sure, channel.at)
        since = [(each.at or 0, each.sure) for each in channels]
        known = [
            (each.name, envelope.position_text(at), envelope.position_text(sure))
            for each, (at, sure) in zip(channels, since, strict=True)
        ]
        wanted, go_on = msgspec.json.encode(known), b""
        while True:
            self._complaints.tallies.replays[()] += 1
            answer = await commands.run(CATCH_UP, *self._root.arguments, app, PAGE, go_on, wanted)
            if ear is not self._ear or commands is not self._commands:
                return
            lasts, lost_until, go_on, entries = answer
            self._replay(entries, by_name)
            if not go_on:
                break
        lost = position_in(lost_until)
        for channel, (_, sure), last in zip(channels, since, map(position_in, lasts), strict=True):
            if sure < lost and (last > sure or not last):
                self._complain_of_gap(channel, sure, lost)
            self._go_on(channel, last)

    def _replay(self, entries: list[bytes], by_name: dict[str, Heard]) -> None:
        for index in range(0, len(entries), 3):
            channel = by_name[entries[index + 1].decode()]
            at = position_in(entries[index])
            if at > (channel.at or 0):
                try:
                    said = envelope.read(entries[index + 2], self.longest)
                except BadMessage as fault:
                    text = f"dropped one in the log of app {channel.app.key}: {fault}"
                    self._complaints.count("bad message", text)
                    channel.at = at
                    continue
                self._complaints.tallies.replayed_messages[()] += 1
                self._pass_on(channel, at, said)

    def _go_on(self, channel: Heard, last: int) -> None:
        """Pass on what was heard while the log was read; from now on at once."""
        held, channel.held = channel.held or [], None
        replayed = channel.at or 0
        for at, said in held:
            if at > replayed:
                self._pass_on(channel, at, said)
        channel.at = max(channel.at or 0, last)
        channel.moved()
        self._catching.discard(channel.topic)
        self._lacking.discard(channel.topic)
        if not self._lacking and self._complete is not None:
            complete, self._complete = self._complete, None
            complete.callback(None)

    def _pass_on(self, channel: Heard, at: int, said: Envelope) -> None:
        channel.at = at
        try:
            self._deliver(channel, at, said)
        except Exception:
            self._log.failure("delivering on {channel} failed", channel=channel.name)

    def _complain_of_gap(self, channel: Heard, at: int, lost: int) -> None:
        seconds = (envelope.time_of(lost) - envelope.time_of(at)) / 1000
        self._complaints.count(
            "gap too large",
            f"events on {channel.name} of app {channel.app.key} may be lost: this node was cut off, and the log does"
            f" not reach back far enough, by {seconds:.1f} s; a larger --replay-events helps",
        )

    def _failed(self, failure: Failure) -> None:
        if failure.check(LinkLost) is None:
            self._log.failure("catching up failed", failure)
