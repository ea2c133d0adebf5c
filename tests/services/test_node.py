"""What the broker says, and whom it reaches."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slanger.domain.webhooks import Occurrence
from slanger.interfaces import INode
from slanger.protocol import codec
from tests.builders import Client, Listener, MemoryNode, make_app, make_member


class NodeTest(SynchronousTestCase):
    """A node, as its broker sees it; what is said here comes from another node."""

    def setUp(self) -> None:
        """Start a node with a client that is on a presence channel and watches user 8."""
        self.app = make_app()
        self.memory = MemoryNode(self.app)
        self.node = self.memory.node
        self.client = Client(self.memory)
        self.client.subscribe("presence-a", "7")
        self.client.sign_in("7", "8")
        self.client.heard()

    def test_interface(self) -> None:
        """It provides `INode`."""
        self.assertTrue(verifyObject(INode, self.node))

    def test_members(self) -> None:
        """Presence: members of other nodes are told to the channel's subscribers here, and to nobody else."""
        self.node.member_added(self.app, "presence-a", make_member("9"))
        self.node.member_added(self.app, "presence-b", make_member("9"))
        self.node.member_removed(self.app, "presence-a", "9")
        self.assertEqual(
            self.client.heard(),
            [
                ("pusher_internal:member_added", {"user_id": "9"}),
                ("pusher_internal:member_removed", {"user_id": "9"}),
            ],
        )

    def test_users(self) -> None:
        """Watchlist events: members of an inbox are users who sign in and out, told to their watchers."""
        self.node.member_added(self.app, "#server-to-user-8", make_member("8"))
        self.node.member_removed(self.app, "#server-to-user-8", "8")
        self.memory.clock.advance(3)
        self.assertEqual(
            self.client.heard(),
            [
                ("pusher_internal:watchlist_events", {"events": [{"name": "online", "user_ids": ["8"]}]}),
                ("pusher_internal:watchlist_events", {"events": [{"name": "offline", "user_ids": ["8"]}]}),
            ],
        )

    def test_inbox_has_no_member_events(self) -> None:
        """Inbox channel: its subscribers never hear of members."""
        self.client.subscribe("#server-to-user-7")
        self.client.heard()
        self.node.member_added(self.app, "#server-to-user-7", make_member("7"))
        self.node.member_removed(self.app, "#server-to-user-7", "7")
        self.memory.clock.advance(3)
        self.assertEqual(self.client.heard(), [])

    def test_deliver(self) -> None:
        """Many nodes: events of other nodes reach the channel's subscribers, save the excluded one."""
        message = codec.event("presence-a", "e", "{}")
        self.node.deliver(self.app, "presence-a", message, None)
        self.node.deliver(self.app, "presence-a", message, self.client.socket_id)
        self.assertEqual(self.client.wire.messages, [message])

    def test_terminate(self) -> None:
        """Terminating a user's connections: those of this node are closed."""
        self.node.terminate(self.app, "7")
        self.assertEqual([code.number for code, _ in self.client.wire.closes], [4009])

    def test_happened(self) -> None:
        """Webhooks: what concerns the cluster is told to the app by the node that hears of it."""
        occurrence = Occurrence(name="channel_occupied", channel="elsewhere")
        self.node.happened(self.app, occurrence)
        self.assertEqual(self.memory.recorded.occurrences[-1], (self.app.key, occurrence))

    def test_channels(self) -> None:
        """REST API, queries: the node knows its own channels and subscribers."""
        self.memory.registry.join(Listener(self.app, "9.9"), "presence-a", make_member("9"))
        self.assertEqual(
            (list(self.node.channels(self.app)), self.node.subscriptions(self.app, "presence-a")), (["presence-a"], 2)
        )
