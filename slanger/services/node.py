"""What the broker says to this node, passed to whom it concerns."""

from __future__ import annotations

from zope.interface import implementer

from slanger.domain.apps import App
from slanger.interfaces import INode, IWebhooks
from slanger.protocol.messages import Member
from slanger.protocol.names import is_inbox
from slanger.services.registry import ChannelRegistry
from slanger.services.users import Users


@implementer(INode)
class Node:
    """This node, as its broker sees it. A user's inbox has a roster too: it tells that he is signed in."""

    def __init__(self, registry: ChannelRegistry, users: Users, webhooks: IWebhooks) -> None:
        self.deliver = registry.deliver
        self.channels = registry.channels
        self.subscriptions = registry.subscriptions
        self.recounted = registry.recounted
        self.happened = webhooks.tell
        self.terminate = users.close_here
        self._registry = registry
        self._users = users

    def member_added(self, app: App, channel: str, member: Member) -> None:
        """Learn that a user came."""
        if is_inbox(channel):
            self._users.came(app, member.user_id)
        else:
            self._registry.member_added(app, channel, member)

    def member_removed(self, app: App, channel: str, user_id: str) -> None:
        """Learn that a user went."""
        if is_inbox(channel):
            self._users.went(app, user_id)
        else:
            self._registry.member_removed(app, channel, user_id)
