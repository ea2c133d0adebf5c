"""A Redis that has lost all it knew: every node writes its own state again."""

from __future__ import annotations

import time
from functools import partial

from tests.cluster.case import ClusterTestCase, show
from tests.cluster.nodes import CUT_OFF
from tests.cluster.publisher import Publisher, Tally
from tests.sdk.case import ADDED, REMOVED, fresh
from tests.server import wait_for

AGREED_WITHIN = 10.0
"""Seconds in which rosters agree again."""

RATE = 50
ENOUGH = RATE * 2
"""Events published before, during and after."""


class EmptyRedis(ClusterTestCase):
    """Three nodes, under load."""

    def setUp(self) -> None:
        """Start the nodes; put users and listeners on them."""
        super().setUp()
        self.cluster = self.start_cluster(3)
        self.nodes = self.cluster.nodes
        self.room, self.news = fresh("presence-room"), fresh("news")
        self.clients = self.on_each(self.nodes, ("ann", "bob", "cid"))
        for client in self.clients:
            client.subscribe(self.room)
        self.listeners = [self.listener(node) for node in self.nodes]
        for listener in self.listeners:
            listener.subscribe(self.news)
            self.wait_until_heard(self.nodes[0], self.news, partial(listener.heard, channel=self.news))
        self.driver.forget()

    def test_restarted(self) -> None:
        """Redis came back empty: service goes on meanwhile, buffered events arrive, rosters agree within 10 s."""
        ann, bob, _ = self.clients
        first, _, third = self.nodes
        with Publisher(first, self.news, RATE) as publisher:
            self.publish_more(publisher)
            self.cluster.redis.kill()
            for node in self.nodes:
                node.wait_until_cut_off()
            here = self.listeners[0]
            heard = len(here.heard(channel=self.news))
            wait_for("events on the same node", lambda: len(here.heard(channel=self.news)) > heard + ENOUGH)
            self.connected("dan", node=first).subscribe(self.room)
            bob.unsubscribe(self.room)
            self.connected("eve", node=third).subscribe(self.news)
            self.cluster.redis.start()
            deadline = time.monotonic() + AGREED_WITHIN
            self.assert_users(self.nodes, self.room, ["ann", "cid", "dan"], deadline - time.monotonic())
            self.assert_count(self.nodes, self.room, 3, deadline - time.monotonic())
            self.assert_count(self.nodes, self.news, 4, deadline - time.monotonic())
            self.publish_more(publisher)
        for client in (ann, self.clients[2]):
            client.expect(ADDED, self.room, where=lambda data: data["id"] == "dan")
            client.expect(REMOVED, self.room, where=lambda data: data["id"] == "bob")
            self.assertLess(time.monotonic(), deadline)
            self.assertEqual(sorted(client.members(self.room)["info"]), ["ann", "cid", "dan"])
            self.assertEqual(client.heard(self.room), [])
        tally = Tally.when_complete(publisher.published, self.listeners, self.news)
        show(f"\nRedis restarted empty: {tally}")
        self.assertEqual(publisher.refused, [])
        self.assertEqual(tally.faults, (0, 0, 0), str(tally))

    def test_flushed(self) -> None:
        """Redis came back empty: also where no link was cut, rosters and counts agree again, and nobody is told."""
        first = self.nodes[0]
        with Publisher(first, self.news, RATE) as publisher:
            self.publish_more(publisher)
            self.cluster.redis.admin.flushall()
            deadline = time.monotonic() + AGREED_WITHIN
            self.assert_users(self.nodes, self.room, ["ann", "bob", "cid"], deadline - time.monotonic())
            self.assert_count(self.nodes, self.room, 3, deadline - time.monotonic())
            self.assert_count(self.nodes, self.news, 3, deadline - time.monotonic())
            self.publish_more(publisher)
        for client in self.clients:
            client.settle()
            self.assertEqual(client.heard(self.room), [])
            self.assertEqual(sorted(client.members(self.room)["info"]), ["ann", "bob", "cid"])
        tally = Tally.when_complete(publisher.published, self.listeners, self.news)
        show(f"\nRedis flushed: {tally}")
        self.assertEqual(tally.faults, (0, 0, 0), str(tally))
        self.clients[1].unsubscribe(self.room)
        self.assert_users(self.nodes, self.room, ["ann", "cid"])
        self.clients[0].expect(REMOVED, self.room, where=lambda data: data["id"] == "bob")
        self.assertEqual([node.log.count(CUT_OFF) for node in self.nodes], [0, 0, 0])

    def publish_more(self, publisher: Publisher) -> None:
        """Wait until enough was published."""
        enough = publisher.published + ENOUGH
        wait_for("events published", lambda: publisher.published >= enough)
