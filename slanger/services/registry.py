"""The channel registry: joins, leaves and publishes; the only writer of channel state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slanger.domain.apps import App
from slanger.domain.channels import Channels, Counts
from slanger.interfaces import IBroker, INode, IRegistry, ISubscriber
from slanger.protocol import codec
from slanger.protocol.errors import SubscriptionRefused
from slanger.protocol.messages import NOTHING, Member, Message
from slanger.services.fanout import fan_out


@implementer(IRegistry, INode)
class ChannelRegistry(Service):
    """Who is on which channel of which app, on this node; what others must know goes through the broker.

    :param broker: decides for the cluster who is first in and last out.
    """

    name = "channel registry"
    _log = Logger()

    def __init__(self, broker: IBroker) -> None:
        self._broker = broker
        self._channels: dict[str, Channels[ISubscriber]] = {}
        self._entering: dict[tuple[str, str], Deferred[str]] = {}
        broker.attach(self)

    # IRegistry: subscribers and the REST API

    def join(self, subscriber: ISubscriber, channel: str, member: Member | None) -> None:
        """Put a subscriber on a channel: at once, or once the broker has let its user in."""
        if member is None:
            self._admit(subscriber, channel, NOTHING)
            return
        entering = self._broker.enter(subscriber.app, channel, member, subscriber.socket_id)
        self._entering[subscriber.socket_id, channel] = entering
        entered = entering.addCallback(self._entered, entering, subscriber, channel)
        entered.addErrback(self._turn_away, entering, subscriber, channel)

    def leave(self, subscriber: ISubscriber, channel: str, member: Member | None) -> None:
        """Take a subscriber off a channel, also when its `join` is still under way."""
        app, socket_id = subscriber.app, subscriber.socket_id
        self._entering.pop((socket_id, channel), None)
        if self._table(app).remove(channel, socket_id):
            self._broker.close(app, channel)
        if member is not None:
            self._broker.leave(app, channel, member.user_id, socket_id)

    def publish(
        self, app: App, channel: str, event: str, data: str, exclude: str | None = None, user_id: str | None = None
    ) -> None:
        """Send an event to a channel's subscribers everywhere: those of this node first."""
        message = codec.event(channel, event, data, user_id)
        fan_out(message, self._table(app).on(channel), exclude)
        self._broker.publish(app, channel, message, exclude)

    def counts(self, app: App, channels: Sequence[str]) -> Deferred[Mapping[str, Counts]]:
        """Count who is on these channels."""
        return self._broker.counts(app, channels)

    def occupied(self, app: App, prefix: str) -> Deferred[Mapping[str, Counts]]:
        """Count who is on each occupied channel whose name begins so."""
        return self._broker.occupied(app, prefix)

    def users(self, app: App, channel: str) -> Deferred[Sequence[str]]:
        """Name the users on a presence channel."""
        return self._broker.users(app, channel)

    # INode: the broker

    def deliver(self, app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Hand an event of another node to this node's subscribers; the text arrives ready."""
        fan_out(message, self._table(app).on(channel), exclude)

    def member_added(self, app: App, channel: str, member: Member) -> None:
        """Tell this node's subscribers that a user came."""
        subscribers = self._table(app).on(channel)
        if subscribers:
            fan_out(codec.member_added(channel, member), subscribers)

    def member_removed(self, app: App, channel: str, user_id: str) -> None:
        """Tell this node's subscribers that a user went."""
        subscribers = self._table(app).on(channel)
        if subscribers:
            fan_out(codec.member_removed(channel, user_id), subscribers)

    def channels(self, app: App) -> Iterable[str]:
        """Name the channels that this node has subscribers on."""
        return self._table(app)

    def subscriptions(self, app: App, channel: str) -> int:
        """Count this node's subscribers on a channel."""
        return self._table(app).count(channel)

    # Inside

    def _table(self, app: App) -> Channels[ISubscriber]:
        table = self._channels.get(app.key)
        if table is None:
            table = self._channels[app.key] = Channels()
        return table

    def _admit(self, subscriber: ISubscriber, channel: str, data: str) -> None:
        """Add the subscriber and tell it so in one step: nothing is published in between."""
        if self._table(subscriber.app).add(channel, subscriber.socket_id, subscriber):
            self._broker.open(subscriber.app, channel)
        subscriber.joined(channel, data)

    def _entered(self, roster: str, entering: Deferred[str], subscriber: ISubscriber, channel: str) -> None:
        if self._still_wanted(entering, subscriber, channel):
            self._admit(subscriber, channel, roster)

    def _still_wanted(self, entering: Deferred[str], subscriber: ISubscriber, channel: str) -> bool:
        """Whether the subscriber waits for this very join: it may have left since, and may have asked again."""
        place = (subscriber.socket_id, channel)
        if self._entering.get(place) is not entering:
            return False
        del self._entering[place]
        return True

    def _turn_away(self, failure: Failure, entering: Deferred[str], subscriber: ISubscriber, channel: str) -> None:
        refusal = failure.value
        if not isinstance(refusal, SubscriptionRefused):
            self._log.failure("joining {channel} failed", failure, channel=channel)
            refusal = SubscriptionRefused(
                channel, f"Subscription to {channel} failed in the server", "ServerError", 500
            )
        if self._still_wanted(entering, subscriber, channel):
            subscriber.refused(refusal)
