"""Nodes that die, and nodes that only seem to have died."""

from __future__ import annotations

import time

from tests.cluster.case import ClusterTestCase
from tests.cluster.nodes import Node
from tests.cluster.tenants import TELLING, TOLD, cluster_of_tenants
from tests.sdk.case import ADDED, REMOVED, JsClient, fresh
from tests.sdk.tenants import running_receiver
from tests.server import let_pass, wait_for

NOTICED_WITHIN = 10.0
"""Seconds after the death of a node in which its members are gone everywhere."""

PAUSE = 20.0
"""Seconds for which a node is stopped: longer than its lease."""

INTERVAL = 0.2
"""Seconds between two things that are tried in that time."""

PROMPT = 2.0
"""Seconds in which a healthy node answers while another is stopped. Other servers waited for that one, 5 s."""


class Death(ClusterTestCase):
    """One of three nodes is killed."""

    app = TELLING

    def setUp(self) -> None:
        """Find nodes with the default lease."""
        super().setUp()
        cluster = cluster_of_tenants()
        self.nodes = cluster.nodes
        self.use_nodes(self.nodes)
        self.addCleanup(cluster.repair)
        self.receiver = running_receiver()

    def test_killed(self) -> None:
        """Lease: within 10 s of a kill -9 the node's members have gone, once each; counts and webhooks are right.

        Who is on another node too stays. The node, started again, does not bring them back.
        """
        first, second, victim = self.nodes
        room, both, lonely, last = (fresh(name) for name in ("presence-room", "news", "news", "presence-last"))
        ann, bob = self.connected("ann", node=first), self.connected("bob", node=second)
        dead = [self.connected(user, node=victim) for user in ("cid", "cid", "dan", "bob")]
        for client in (ann, bob, *dead):
            client.subscribe(room)
            client.subscribe(both)
        dead[0].subscribe(lonely)
        dead[0].subscribe(last)
        self.assert_users(self.nodes, room, ["ann", "bob", "cid", "dan"])
        self.assert_count(self.nodes, both, 6)
        self.assert_count(self.nodes, lonely, 1)
        for name, channel in (("channel_occupied", lonely), ("member_added", last)):
            self.receiver.expect(TOLD, name=name, channel=channel)
        victim.kill()
        self.deadline = time.monotonic() + NOTICED_WITHIN
        for client in dead:
            client.disconnect()
        survivors = (first, second)
        self.assert_users(survivors, room, ["ann", "bob"], self.left)
        self.assert_users(survivors, last, [], self.left)
        self.assert_count(survivors, both, 2, self.left)
        self.assert_count(survivors, lonely, 0, self.left)
        for client in (ann, bob):
            removed = sorted(client.expect(REMOVED, room).data["id"] for _ in ("cid", "dan"))
            self.assertEqual(removed, ["cid", "dan"])
        self.assertLess(time.monotonic(), self.deadline)
        victim.start()
        late = self.connected("late", node=victim)
        self.assertEqual(sorted(late.subscribe(room)["members"]), ["ann", "bob", "late"])
        self.assert_users(self.nodes, room, ["ann", "bob", "late"])
        self.assert_count(self.nodes, both, 2)
        for name, channel in (("channel_vacated", lonely), ("channel_vacated", last), ("member_removed", last)):
            self.receiver.expect(TOLD, name=name, channel=channel)
        for client in (ann, bob):
            self.assertEqual(client.expect(ADDED, room, where=lambda data: data["id"] == "late").data["id"], "late")
            client.settle()
            self.assertEqual(client.seen(REMOVED, room), [])
        self.assertEqual(self.told(lonely), ["channel_occupied", "channel_vacated"])
        self.assertEqual(self.told(last), ["channel_occupied", "channel_vacated", "member_added", "member_removed"])
        members = ["member_added"] * 5 + ["member_removed"] * 2
        self.assertEqual(self.told(room), ["channel_occupied", *members])
        self.assertEqual(self.told(both), ["channel_occupied"])

    def test_paused(self) -> None:
        """Lease: a node that was stopped for 20 s comes back into agreement, and delays nobody meanwhile.

        To the others its members go and come again; its own clients get what was published while it was stopped.
        """
        first, second, paused = self.nodes
        room, news = fresh("presence-room"), fresh("news")
        ann, bob, cid = self.on_each(self.nodes, ("ann", "bob", "cid"))
        for client in (ann, bob, cid):
            client.subscribe(news)
            client.subscribe(room)
        for client, user in ((ann, "bob"), (ann, "cid"), (bob, "cid")):
            self.assertEqual(client.expect(ADDED, room).data["id"], user)
        self.assert_count(self.nodes, news, 3)
        paused.pause()
        resume_at = time.monotonic() + PAUSE
        published = 0
        try:
            while time.monotonic() < resume_at:
                published += 1
                self.assert_prompt(first, second, ann, news, published)
                let_pass(INTERVAL)
        finally:
            paused.resume()
        for client in (ann, bob):
            self.assertEqual(client.expect(REMOVED, room).data["id"], "cid")
            self.assertEqual(client.expect(ADDED, room, where=lambda data: data["id"] == "cid").data["id"], "cid")
        self.assert_users(self.nodes, room, ["ann", "bob", "cid"])
        self.assert_count(self.nodes, news, 3)
        cid.expect("n", news, where=lambda number: number == published)
        for client in (ann, bob, cid):
            self.assertEqual(sorted(client.members(room)["info"]), ["ann", "bob", "cid"])
            numbers = [seen.data for seen in client.seen("n", news)]
            self.assertEqual(numbers, list(range(1, published + (client is not cid))))
        self.assertEqual(cid.seen("disconnected"), [])
        cid.trigger(room, "client-back")
        for client in (ann, bob):
            client.expect("client-back", room)
        for client in (ann, bob, cid):
            told = [(seen.event, seen.data["id"]) for seen in client.seen(None, room) if seen.event in (ADDED, REMOVED)]
            self.assertEqual(told, [])

    def assert_prompt(self, one: Node, other: Node, hearer: JsClient, news: str, number: int) -> None:
        """Connect, join, publish and ask at healthy nodes; all of it takes little time."""
        started = time.monotonic()
        guest = self.connected("guest", node=other)
        guest.subscribe(lobby := fresh("presence-lobby"))
        self.trigger(one, news, "n", number)
        wait_for("the event", lambda: number in [seen.data for seen in hearer.seen("n", news)])
        self.assertEqual(self.users(one, lobby), ["guest"])
        guest.disconnect()
        self.assertLess(time.monotonic() - started, PROMPT)

    @property
    def left(self) -> float:
        """Tell how many seconds are left until the deadline."""
        return self.deadline - time.monotonic()

    def told(self, channel: str) -> list[str]:
        """List what the app was told of a channel."""
        return sorted(self.receiver.seen(TOLD, channel=channel))
