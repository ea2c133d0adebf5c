"""The channel registry: joins, leaves and publishes; the only writer of channel state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Raw
from msgspec.structs import replace
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slanger.domain.apps import App
from slanger.domain.cache import CachedEvent
from slanger.domain.channels import Channels, Counts
from slanger.domain.webhooks import Occurrence
from slanger.interfaces import IBroker, IRegistry, ISubscriber, IWebhooks
from slanger.protocol import codec
from slanger.protocol.errors import SubscriptionRefused
from slanger.protocol.messages import NOTHING, Member, Message
from slanger.protocol.names import is_cache, kind_of
from slanger.services.counts import SubscriptionCounts
from slanger.services.fanout import fan_out
from slanger.tallies import Meter, Tallies

RECALLS = 5
"""How often a channel that never falls silent is asked what it remembers, before the last answer is taken."""


class _Ticket:
    """A join under way.

    :ivar outdated: whether something was sent on the channel since it was last asked what it remembers.
    """

    outdated = False


@implementer(IRegistry)
class ChannelRegistry(Service):
    """Who is on which channel of which app, on this node; what others must know goes through the broker.

    :param broker: decides for the cluster who is first in and last out.
    :param counts: tells subscribers how many they are.
    :param webhooks: told of client events.
    :param tallies: count what is published, and who is on what.
    """

    name = "channel registry"
    _log = Logger()

    def __init__(
        self, broker: IBroker, counts: SubscriptionCounts, webhooks: IWebhooks, tallies: Tallies | None = None
    ) -> None:
        self._broker = broker
        self._counts = counts
        self._webhooks = webhooks
        self._channels: defaultdict[str, Channels[ISubscriber]] = defaultdict(Channels)
        self._tallies = tallies or Tallies()
        self._joining: dict[tuple[str, str], _Ticket] = {}
        self._waiting: dict[tuple[str, str], list[_Ticket]] = {}

    # IRegistry: subscribers and the REST API

    def join(self, subscriber: ISubscriber, channel: str, member: Member | None) -> None:
        """Put a subscriber on a channel: at once, or once the broker has answered what must be known before."""
        if member is None and not is_cache(channel):
            self._admit(subscriber, channel, NOTHING)
            self._counts.changed(subscriber.app, channel, self._send)
            return
        ticket = self._joining[subscriber.socket_id, channel] = _Ticket()
        asking = Deferred.fromCoroutine(self._ask_and_admit(subscriber, channel, member, ticket))
        asking.addErrback(self._turn_away, subscriber, channel, member, ticket)

    def leave(self, subscriber: ISubscriber, channel: str, member: Member | None) -> None:
        """Take a subscriber off a channel, also when its `join` is still under way."""
        app, socket_id, table = subscriber.app, subscriber.socket_id, self._channels[subscriber.app.key]
        self._joining.pop((socket_id, channel), None)
        was_on = socket_id in table.on(channel)
        was_last = table.remove(channel, socket_id)
        self._count(app, channel, -was_on, -was_last)
        if member is not None:
            self._broker.leave(app, channel, member.user_id, socket_id)
        if was_last:
            self._broker.close(app, channel)
        elif was_on:
            self._broker.recount(app, channel)
        if was_on:
            self._counts.changed(app, channel, self._send)

    def publish(self, app: App, channel: str, event: str, data: str, exclude: str | None) -> None:
        """Send an event of the app to a channel's subscribers everywhere: those of this node first."""
        meter = self._send(app, channel, codec.event(channel, event, data), exclude)
        meter.api_events += 1
        if is_cache(channel):
            self._broker.remember(app, channel, event, data)

    def whisper(self, subscriber: ISubscriber, channel: str, event: str, data: str, user_id: str | None) -> None:
        """Send an event of a subscriber to the channel's other subscribers everywhere."""
        app, socket_id = subscriber.app, subscriber.socket_id
        meter = self._send(app, channel, codec.event(channel, event, data, user_id), socket_id)
        meter.client_events += 1
        told = Occurrence(name="client_event", channel=channel, event=event, data=data, socket_id=socket_id)
        self._webhooks.tell(app, told if user_id is None else replace(told, user_id=user_id))

    def recall(self, app: App, channel: str) -> Deferred[CachedEvent | None]:
        """Give what a cache channel remembers."""
        return self._broker.recall(app, channel)

    def counts(self, app: App, channels: Sequence[str]) -> Deferred[Mapping[str, Counts]]:
        """Count who is on these channels."""
        return self._broker.counts(app, channels)

    def occupied(self, app: App, prefix: str) -> Deferred[Mapping[str, Counts]]:
        """Count who is on each occupied channel whose name begins so."""
        return self._broker.occupied(app, prefix)

    def users(self, app: App, channel: str) -> Deferred[Sequence[str]]:
        """Name the users on a presence channel."""
        return self._broker.users(app, channel)

    # For the node: what the broker says

    def deliver(self, app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Hand an event of another node to this node's subscribers; the text arrives ready."""
        self._fan_out(app, channel, message, exclude).node_events += 1

    def member_added(self, app: App, channel: str, member: Member) -> None:
        """Tell this node's subscribers that a user came."""
        subscribers = self._channels[app.key].on(channel)
        if subscribers:
            fan_out(codec.member_added(channel, member), subscribers)

    def member_removed(self, app: App, channel: str, user_id: str) -> None:
        """Tell this node's subscribers that a user went."""
        subscribers = self._channels[app.key].on(channel)
        if subscribers:
            fan_out(codec.member_removed(channel, user_id), subscribers)

    def recounted(self, app: App, channel: str) -> None:
        """Tell a channel's subscribers everywhere how many they are."""
        self._counts.changed(app, channel, self._send)

    def channels(self, app: App) -> Iterable[str]:
        """Name the channels that this node has subscribers on."""
        return self._channels[app.key]

    def subscriptions(self, app: App, channel: str) -> int:
        """Count this node's subscribers on a channel."""
        return self._channels[app.key].count(channel)

    def __len__(self) -> int:
        """Count the channels of all apps."""
        return sum(map(len, self._channels.values()))

    # Inside

    def _send(self, app: App, channel: str, message: Message, exclude: str | None = None) -> Meter:
        meter = self._fan_out(app, channel, message, exclude)
        self._broker.publish(app, channel, message, exclude)
        return meter

    def _fan_out(self, app: App, channel: str, message: Message, exclude: str | None) -> Meter:
        if self._waiting:
            self._outdate(app, channel)
        meter = self._tallies.of(app)
        subscribers = self._channels[app.key].on(channel)
        if subscribers:
            self._tallies.published()
            meter.fan_out.observe(fan_out(message, subscribers, exclude))
        else:
            meter.fan_out.counts[0] += 1
        return meter

    def _count(self, app: App, channel: str, subscriptions: int, channels: int) -> None:
        """Count that there are so many more."""
        meter = self._tallies.of(app)
        meter.subscriptions += subscriptions
        if channels:
            meter.channels[kind_of(channel)] += channels

    async def _ask_and_admit(
        self, subscriber: ISubscriber, channel: str, member: Member | None, ticket: _Ticket
    ) -> None:
        app = subscriber.app
        data: str | Raw = NOTHING
        if member is not None:
            data = await self._broker.enter(app, channel, member, subscriber.socket_id)
        cached = None
        if is_cache(channel):
            cached = await self._recall_last(app, channel, ticket)
            if member is not None and self._joining.get((subscriber.socket_id, channel)) is ticket:
                data = await self._broker.enter(app, channel, member, subscriber.socket_id)  # as it is by now
        if not self._still_wanted(subscriber, channel, ticket):
            return
        self._admit(subscriber, channel, data)
        if is_cache(channel):
            self._show_cached(subscriber, channel, cached)
        self._counts.changed(app, channel, self._send)

    async def _recall_last(self, app: App, channel: str, ticket: _Ticket) -> CachedEvent | None:
        """Ask again where something was sent while the answer was under way, so that nothing falls in between."""
        waiting = self._waiting.setdefault((app.key, channel), [])
        waiting.append(ticket)
        try:
            for _ in range(RECALLS):
                ticket.outdated = False
                cached = await self._broker.recall(app, channel)
                if not ticket.outdated:
                    break
            return cached
        finally:
            waiting.remove(ticket)
            if not waiting:
                self._waiting.pop((app.key, channel), None)

    def _outdate(self, app: App, channel: str) -> None:
        for ticket in self._waiting.get((app.key, channel), ()):
            ticket.outdated = True

    def _still_wanted(self, subscriber: ISubscriber, channel: str, ticket: _Ticket) -> bool:
        """Whether the subscriber waits for this very join: it may have left since, and may have asked again."""
        place = (subscriber.socket_id, channel)
        if self._joining.get(place) is not ticket:
            return False
        del self._joining[place]
        return True

    def _show_cached(self, subscriber: ISubscriber, channel: str, cached: CachedEvent | None) -> None:
        """Send what the channel remembers, before anything newer ("Cache channels")."""
        if cached is None:
            subscriber.send(codec.cache_miss(channel))
            self._broker.missed(subscriber.app, channel)
        else:
            subscriber.send(codec.event(channel, cached.event, cached.data))

    def _admit(self, subscriber: ISubscriber, channel: str, data: str | Raw) -> None:
        """Add the subscriber and tell it so in one step: nothing is published in between."""
        app = subscriber.app
        first = self._channels[app.key].add(channel, subscriber.socket_id, subscriber)
        self._count(app, channel, 1, first)
        if first:
            self._broker.open(app, channel)
        else:
            self._broker.recount(app, channel)
        subscriber.joined(channel, data)

    def _turn_away(
        self, failure: Failure, subscriber: ISubscriber, channel: str, member: Member | None, ticket: _Ticket
    ) -> None:
        refusal = failure.value
        if not isinstance(refusal, SubscriptionRefused):
            self._log.failure("joining {channel} failed", failure, channel=channel)
            refusal = SubscriptionRefused(
                channel, f"Subscription to {channel} failed in the server", "ServerError", 500
            )
        if self._still_wanted(subscriber, channel, ticket):
            if member is not None:
                self._broker.leave(subscriber.app, channel, member.user_id, subscriber.socket_id)
            subscriber.refused(refusal)
