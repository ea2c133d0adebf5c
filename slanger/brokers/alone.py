"""The broker of a node without peers: it is the whole cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from slanger.domain.apps import App
from slanger.domain.channels import Counts
from slanger.domain.presence import Roster
from slanger.interfaces import IBroker, INode
from slanger.protocol import codec
from slanger.protocol.errors import SubscriptionRefused
from slanger.protocol.messages import Member, Message
from slanger.protocol.names import is_presence


@implementer(IBroker)
class Alone:
    """Keep the rosters here, and answer from this node."""

    _node: INode

    def __init__(self) -> None:
        self._rosters: dict[tuple[str, str], Roster] = {}

    def attach(self, node: INode) -> None:
        """Learn which node to speak to."""
        self._node = node

    def open(self, app: App, channel: str) -> None:
        """Nobody else publishes here."""

    def close(self, app: App, channel: str) -> None:
        """Nobody else publishes here."""

    def publish(self, app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Nobody else listens."""

    def enter(self, app: App, channel: str, member: Member, socket_id: str) -> Deferred[str]:
        """Let a connection keep a user present."""
        roster = self._rosters.setdefault((app.key, channel), Roster())
        if member.user_id not in roster and len(roster) >= app.presence_members:
            text = f"Presence channel {channel} is full: at most {app.presence_members} members are allowed"
            return fail(SubscriptionRefused(channel, text, "LimitReached", 403))
        if roster.enter(member, socket_id):
            self._node.member_added(app, channel, member)
        return succeed(codec.roster(roster))

    def leave(self, app: App, channel: str, user_id: str, socket_id: str) -> None:
        """Let go of a user; an empty roster is forgotten."""
        place = (app.key, channel)
        roster = self._rosters.get(place)
        if roster is None or not roster.leave(user_id, socket_id):
            return
        if not roster:
            del self._rosters[place]
        self._node.member_removed(app, channel, user_id)

    def counts(self, app: App, channels: Sequence[str]) -> Deferred[Mapping[str, Counts]]:
        """Count who is on these channels."""
        return succeed({channel: self._count(app, channel) for channel in channels})

    def occupied(self, app: App, prefix: str) -> Deferred[Mapping[str, Counts]]:
        """Count who is on each occupied channel whose name begins so."""
        names = [channel for channel in self._node.channels(app) if channel.startswith(prefix)]
        return self.counts(app, names)

    def users(self, app: App, channel: str) -> Deferred[Sequence[str]]:
        """Name the users on a presence channel."""
        return succeed([member.user_id for member in self._rosters.get((app.key, channel), ())])

    def _count(self, app: App, channel: str) -> Counts:
        users = len(self._rosters.get((app.key, channel), ())) if is_presence(channel) else None
        return Counts(self._node.subscriptions(app, channel), users)
