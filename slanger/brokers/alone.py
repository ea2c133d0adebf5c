"""The broker of a node without peers: it is the whole cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Raw
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from slanger.brokers.misses import Misses
from slanger.brokers.occurrences import LocalOccurrences
from slanger.domain.apps import App
from slanger.domain.cache import CachedEvent, EventCache
from slanger.domain.channels import Counts
from slanger.domain.presence import Roster
from slanger.domain.webhooks import Occurrence
from slanger.interfaces import IBroker, INode, Link
from slanger.protocol.errors import channel_full
from slanger.protocol.messages import Member, Message
from slanger.protocol.names import is_inbox, is_presence


@implementer(IBroker)
class Alone:
    """Keep the rosters and the cached events here, and answer from this node.

    :param cache: what cache channels remember.
    """

    _node: INode

    def __init__(self, clock: IReactorTime, cache: EventCache) -> None:
        self._clock = clock
        self._cache = cache
        self._rosters: dict[tuple[str, str], Roster] = {}
        self._misses = Misses(clock)
        self._occurrences = LocalOccurrences(clock)
        self._handing_over = False

    def attach(self, node: INode) -> None:
        """Learn which node to speak to."""
        self._node = node
        self._occurrences.node = node

    def serve(self, added: Sequence[App], removed: Sequence[App]) -> None:
        """Whoever is served comes here by himself."""

    def open(self, app: App, channel: str) -> None:
        """Learn that a channel is occupied. On a presence channel its roster tells: that is before anyone is added."""
        if not is_presence(channel):
            self._occurrences.began(app, Occurrence(name="channel_occupied", channel=channel))

    def close(self, app: App, channel: str) -> None:
        """Learn that a channel is vacated. On a presence channel its roster tells: that is after the last has gone."""
        if not is_presence(channel):
            self._occurrences.ended(app, Occurrence(name="channel_vacated", channel=channel))

    def recount(self, app: App, channel: str) -> None:
        """Nobody else counts."""

    def watch(self, app: App, channel: str) -> None:
        """This node hears of everyone."""

    def unwatch(self, app: App, channel: str) -> None:
        """This node hears of everyone."""

    def publish(self, app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Nobody else listens."""

    def enter(self, app: App, channel: str, member: Member, socket_id: str) -> Deferred[Raw]:
        """Let a connection keep a user present."""
        roster = self._rosters.setdefault((app.key, channel), Roster())
        if member.user_id not in roster and len(roster) >= app.presence_members:
            return fail(channel_full(channel, app.presence_members))
        if not roster and is_presence(channel):
            self._occurrences.began(app, Occurrence(name="channel_occupied", channel=channel))
        if roster.enter(member, socket_id):
            self._node.member_added(app, channel, member)
            self._occurrences.began(app, Occurrence(name="member_added", channel=channel, user_id=member.user_id))
        return succeed(roster.data())

    def leave(self, app: App, channel: str, user_id: str, socket_id: str) -> None:
        """Let go of a user; an empty roster is forgotten."""
        place = (app.key, channel)
        roster = self._rosters.get(place)
        if roster is None or not roster.leave(user_id, socket_id):
            return
        if not self._handing_over:
            self._node.member_removed(app, channel, user_id)
        self._occurrences.ended(app, Occurrence(name="member_removed", channel=channel, user_id=user_id))
        if not roster:
            del self._rosters[place]
            if is_presence(channel):
                self._occurrences.ended(app, Occurrence(name="channel_vacated", channel=channel))

    def remember(self, app: App, channel: str, event: str, data: str) -> None:
        """Keep a cache channel's last event."""
        self._misses.filled(app, channel)
        self._cache.put(app.key, channel, event, data, self._clock.seconds())

    def recall(self, app: App, channel: str) -> Deferred[CachedEvent | None]:
        """Give a cache channel's last event."""
        return succeed(self._cache.get(app.key, channel, self._clock.seconds()))

    def missed(self, app: App, channel: str) -> None:
        """Tell the app, once in a while for each channel, that a cache channel is empty."""
        if self._misses.is_news(app, channel):
            self._node.happened(app, Occurrence(name="cache_miss", channel=channel))

    def terminate(self, app: App, user_id: str) -> None:
        """Nobody else has connections."""

    def counts(self, app: App, channels: Sequence[str]) -> Deferred[Mapping[str, Counts]]:
        """Count who is on these channels."""
        return succeed({channel: self._count(app, channel) for channel in channels})

    def occupied(self, app: App, prefix: str) -> Deferred[Mapping[str, Counts]]:
        """Count who is on each occupied channel whose name begins so."""
        listed = (channel for channel in self._node.channels(app) if not is_inbox(channel))
        return self.counts(app, [channel for channel in listed if channel.startswith(prefix)])

    def users(self, app: App, channel: str) -> Deferred[Sequence[str]]:
        """Name the users on a presence channel."""
        return succeed([member.user_id for member in self._rosters.get((app.key, channel), ())])

    def link(self) -> Link | None:
        """There is nobody to be linked to."""
        return None

    def cut_off_since(self) -> float | None:
        """There is nobody to be cut off from."""
        return None

    def hand_over(self) -> None:
        """Everybody has to go: nobody needs to hear of the others."""
        self._handing_over = True

    def wind_up(self) -> None:
        """Tell all endings: whoever comes back comes to another process, which knows of none."""
        self._occurrences.hurry()

    def _count(self, app: App, channel: str) -> Counts:
        keeps_roster = is_presence(channel) or is_inbox(channel)
        users = len(self._rosters.get((app.key, channel), ())) if keeps_roster else None
        return Counts(self._node.subscriptions(app, channel), users)
