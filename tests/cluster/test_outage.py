"""While Redis is away, and when it is back: each row of the table in the operations manual."""

from __future__ import annotations

import urllib.request
from functools import partial

from tests.cluster.case import ClusterTestCase, running_cluster
from tests.cluster.nodes import Cluster, Node
from tests.cluster.tenants import settings_file
from tests.sdk.case import ADDED, REMOVED, JsClient, fresh
from tests.server import let_pass, wait_for

SHORT_LEASE = 2

FEW_BYTES = 4000
FEW_EVENTS = 10


class OutageTestCase(ClusterTestCase):
    """Two nodes, of which the first is cut off."""

    def setUp(self) -> None:
        """Find the nodes."""
        super().setUp()
        self.use_cluster(running_cluster(2, f"--config={settings_file()}"))

    def use_cluster(self, cluster: Cluster) -> None:
        """Cut the first node of this cluster off, and the other not."""
        self.cluster = cluster
        self.alone, self.other = self.nodes = cluster.nodes
        self.use_nodes(self.nodes)
        self.addCleanup(cluster.repair)

    def cut_off(self) -> None:
        """Cut the first node off."""
        self.cluster.proxies[0].refuse()
        self.alone.wait_until_cut_off()

    def let_join(self) -> None:
        """Let it join again."""
        self.cluster.proxies[0].go_on()
        self.alone.wait_until_joined()

    def pair(self, channel: str) -> list[JsClient]:
        """Put two users on a channel, ann on the node to be cut off, bob on the other; wait until they hear both."""
        clients = self.on_each(self.nodes, ("ann", "bob"))
        for client in clients:
            client.subscribe(channel)
        for node, client in zip(reversed(self.nodes), clients, strict=True):
            self.wait_until_heard(node, channel, partial(client.seen, channel=channel))
        if channel.startswith("presence-"):
            clients[0].expect(ADDED, channel)
        return clients

    def numbers(self, client: JsClient, channel: str) -> list[int]:
        """List the numbers that a client heard, in the order they came."""
        return [seen.data for seen in client.seen("n", channel)]

    def publish(self, node: Node, channel: str, count: int) -> None:
        """Publish numbers through a node."""
        for number in range(count):
            self.trigger(node, channel, "n", number)


class Outage(OutageTestCase):
    """The rows of the table."""

    def test_publish(self) -> None:
        """Redis away, publish: 200, heard on this node at once, and on the others, in order and once, afterwards."""
        channel = fresh("news")
        ann, bob = self.pair(channel)
        self.cut_off()
        self.publish(self.alone, channel, 50)
        ann.expect("n", channel, where=lambda number: number == 49)
        self.assertEqual(self.numbers(ann, channel), list(range(49)))
        self.assertEqual(self.numbers(bob, channel), [])
        self.let_join()
        bob.expect("n", channel, where=lambda number: number == 49)
        self.trigger(self.alone, channel, "end")
        for client in (ann, bob):
            client.expect("end", channel)
            self.assertEqual(self.numbers(client, channel), list(range(49)))

    def test_events_of_others(self) -> None:
        """Redis away, events of other nodes: not seen meanwhile; afterwards fetched, in order and once."""
        channel = fresh("news")
        ann, bob = self.pair(channel)
        self.cut_off()
        self.publish(self.other, channel, 50)
        bob.expect("n", channel, where=lambda number: number == 49)
        ann.settle()
        self.assertEqual(self.numbers(ann, channel), [])
        self.let_join()
        ann.expect("n", channel, where=lambda number: number == 49)
        self.trigger(self.other, channel, "end")
        for client in (ann, bob):
            client.expect("end", channel)
            self.assertEqual(self.numbers(client, channel), list(range(49)))

    def test_subscribe(self) -> None:
        """Redis away, public and private channels: subscribing, leaving and client events work as ever on this node.

        When it is back, who came meanwhile hears the other nodes; who left does not.
        """
        kept, left = fresh("private-kept"), fresh("private-left")
        _, bob = self.pair(left)
        bob.subscribe(kept)
        leaving = self.connected(node=self.alone)
        leaving.subscribe(left)
        self.cut_off()
        for kind in ("news", "private-room"):
            channel = fresh(kind)
            pair = [self.connected(node=self.alone) for _ in range(2)]
            for client in pair:
                client.subscribe(channel)
            self.trigger(self.alone, channel, "check")
            for client in pair:
                client.expect("check", channel)
        pair[0].trigger(channel, "client-hello", {})
        pair[1].expect("client-hello", channel)
        pair[0].subscribe(kept)
        leaving.unsubscribe(left)
        leaving.settle()
        self.let_join()
        self.wait_until_heard(self.other, kept, partial(pair[0].seen, channel=kept))
        bob.trigger(kept, "client-answer")
        pair[0].expect("client-answer", kept)
        self.trigger(self.other, left, "unheard")
        bob.expect("unheard", left)
        self.assert_count(self.nodes, left, 2)
        leaving.settle()
        self.assertEqual(leaving.seen("unheard", left), [])

    def test_presence(self) -> None:
        """Redis away, presence: subscribing shows the roster this node knows; afterwards all are told once."""
        room = fresh("presence-room")
        ann, bob = self.pair(room)
        going = [self.connected(user, node=node) for user, node in zip(("eve", "fay"), self.nodes, strict=True)]
        for client in going:
            client.subscribe(room)
        self.assert_users(self.nodes, room, ["ann", "bob", "eve", "fay"])
        self.driver.forget()
        self.cut_off()
        here, there = [self.connected(user, node=node) for user, node in zip(("cid", "dan"), self.nodes, strict=True)]
        self.assertEqual(sorted(here.subscribe(room)["members"]), ["ann", "bob", "cid", "eve", "fay"])
        self.assertEqual(ann.expect(ADDED, room).data["id"], "cid")
        for client in going:
            client.unsubscribe(room)
        there.subscribe(room)
        self.let_join()
        self.assert_users(self.nodes, room, ["ann", "bob", "cid", "dan"])
        for client in (ann, bob, here, there):
            wait_for("the roster", lambda: sorted(client.members(room)["info"]) == ["ann", "bob", "cid", "dan"])  # noqa: B023
        self.settle(room, ann, bob, here, there)
        self.assertEqual(_told(ann, room), [("+", "dan"), ("-", "eve"), ("-", "fay")])
        self.assertEqual(_told(here, room), [("+", "dan"), ("-", "eve"), ("-", "fay")])
        self.assertEqual(_told(bob, room), [("+", "cid"), ("+", "dan"), ("-", "eve"), ("-", "fay")])

    def test_presence_of_another_channel(self) -> None:
        """Redis away, presence: a room that this node has not seen is opened too, and is one with the others' later."""
        room = fresh("presence-room")
        bob, ann = self.connected("bob", node=self.other), self.connected("ann", node=self.alone)
        bob.subscribe(room)
        self.cut_off()
        self.assertEqual(sorted(ann.subscribe(room)["members"]), ["ann"])
        self.let_join()
        self.assertEqual(bob.expect(ADDED, room).data["id"], "ann")
        self.assertEqual(ann.expect(ADDED, room).data["id"], "bob")
        self.assert_users(self.nodes, room, ["ann", "bob"])
        self.settle(room, ann, bob)
        self.assertEqual((_told(ann, room), _told(bob, room)), ([], []))

    def test_on_its_own(self) -> None:
        """Redis away for longer than the lease: who left this node, and may be elsewhere, is taken for gone."""
        room = fresh("presence-room")
        ann, eve = (self.connected(user, node=self.alone) for user in ("ann", "eve"))
        for client in (ann, eve):
            client.subscribe(room)
        self.assert_users(self.nodes, room, ["ann", "eve"])
        self.cut_off()
        eve.unsubscribe(room)
        eve.settle()
        self.assertEqual(sorted(ann.members(room)["info"]), ["ann", "eve"])
        self.assertEqual(ann.expect(REMOVED, room).data["id"], "eve")
        self.let_join()
        self.assert_users(self.nodes, room, ["ann"])

    def test_user_on_two_nodes(self) -> None:
        """Redis away, presence: a user whose connection here ends is not gone while he is on another node too."""
        room = fresh("presence-room")
        ann, bob = self.pair(room)
        tab = self.connected("bob", node=self.alone)
        tab.subscribe(room)
        self.assert_count(self.nodes, room, 3)
        self.cut_off()
        tab.unsubscribe(room)
        tab.settle()
        self.assertEqual(sorted(ann.members(room)["info"]), ["ann", "bob"])
        self.let_join()
        self.assert_count(self.nodes, room, 2)
        self.assert_users(self.nodes, room, ["ann", "bob"])
        self.settle(room, ann, bob)
        self.assertEqual((_told(ann, room), _told(bob, room)), ([], []))

    def test_hanging(self) -> None:
        """Redis away, and nobody has noticed: public and private channels wait for nothing, all else not for long.

        Redis accepts connections here and says nothing, as a stopped one does; afterwards nothing is lost.
        """
        room, news = fresh("presence-room"), fresh("news")
        ann, bob = self.pair(room)
        bob.subscribe(news)
        self.cluster.proxies[0].freeze()
        cid = self.connected("cid", node=self.alone)
        for channel in (news, fresh("private-room")):
            cid.subscribe(channel)
            self.trigger(self.alone, channel, "check")
            cid.expect("check", channel)
        self.assertTrue(self.alone.has_joined)
        self.assertLessEqual({"ann", "bob", "cid"}, set(cid.subscribe(room)["members"]))
        self.assertIn("cid", self.users(self.alone, room))
        self.alone.wait_until_cut_off()
        self.let_join()
        bob.expect("check", news)
        for client in (ann, bob):
            self.assertEqual(client.expect(ADDED, room).data["id"], "cid")
        self.wait_until_heard(self.other, news, partial(cid.seen, channel=news))
        self.assert_users(self.nodes, room, ["ann", "bob", "cid"])
        self.settle(room, ann, bob, cid)
        self.assertEqual([_told(client, room) for client in (ann, bob, cid)], [[], [], []])

    def test_queries(self) -> None:
        """Redis away, queries: answered from what this node knows; cluster-wide again afterwards."""
        room, news, fresh_news = fresh("presence-room"), fresh("news"), fresh("news")
        self.pair(room)
        self.pair(news)
        self.cut_off()
        self.connected("cid", node=self.alone).subscribe(room)
        self.connected(node=self.alone).subscribe(fresh_news)
        self.assertIn("cid", self.users(self.alone, room))
        self.assertIn("ann", self.users(self.alone, room))
        self.assertGreaterEqual(self.count(self.alone, news), 1)
        self.assertEqual(self.count(self.alone, fresh_news), 1)
        occupied = self.sdk(self.alone).channels("")["channels"]
        self.assertLessEqual({room, news, fresh_news}, set(occupied))
        self.assertEqual(self.users(self.other, fresh("presence-none")), [])
        self.let_join()
        self.assert_users(self.nodes, room, ["ann", "bob", "cid"])
        self.assert_count(self.nodes, news, 2)
        self.assert_count(self.nodes, fresh_news, 1)

    def test_health(self) -> None:
        """Redis away, `/health`: 200, degraded, with since when; ok before and afterwards."""
        self.assertNotIn("degraded", self.health(self.alone))
        self.cut_off()
        self.assertIn("degraded", self.health(self.alone))
        self.assertRegex(self.health(self.alone), r"since\D+\d")
        self.assertNotIn("degraded", self.health(self.other))
        self.let_join()
        wait_for("good health", lambda: "degraded" not in self.health(self.alone))
        self.assertIn("ok", self.health(self.alone))

    def test_cache(self) -> None:
        """Redis away, cache channels: what is published is remembered here at once, and by the others afterwards."""
        channel, ann = fresh("cache-news"), self.connected(node=self.alone)
        self.trigger(self.alone, channel, "price-changed", 1)
        self.cut_off()
        self.trigger(self.alone, channel, "price-changed", 2)
        ann.subscribe(channel)
        self.assertEqual(ann.expect("price-changed", channel).data, 2)
        self.let_join()

        def is_remembered() -> bool:
            cached = self.sdk(self.other).channel(channel, ["cache"])["cache"]
            return cached is not None and cached["data"] == "2"

        wait_for("what was published last", is_remembered)

    def settle(self, channel: str, *clients: JsClient) -> None:
        """Wait until all that is under way has come."""
        for node in self.nodes:
            name = fresh("client-marker")
            self.trigger(node, channel, name)
            for client in clients:
                client.expect(name, channel)

    def health(self, node: Node) -> str:
        """Ask a node how it is; any other status than 200 is an error."""
        with urllib.request.urlopen(f"http://127.0.0.1:{node.api_port}/health") as answer:
            text: str = answer.read().decode()
            return text


def _told(client: JsClient, room: str) -> list[tuple[str, str]]:
    """Sort what a client was told of comings and goings, and has not claimed."""
    signs = {ADDED: "+", REMOVED: "-"}
    return sorted((signs[seen.event], seen.data["id"]) for seen in client.seen(None, room) if seen.event in signs)


class AllCutOff(ClusterTestCase):
    """Redis is away for all nodes, longer than their leases last."""

    def test_nobody_has_gone(self) -> None:
        """Redis away, presence: where nobody could renew a lease, nobody is taken for dead when it is back.

        The nodes come back one after the other; members and counts are whole all the time, and nobody is told.
        """
        cluster = self.start_cluster(3, f"--node-lease={SHORT_LEASE}")
        room, news = fresh("presence-room"), fresh("news")
        users = ["ann", "bob", "cid"]
        clients = self.on_each(cluster.nodes, users)
        for client in clients:
            client.subscribe(room)
            client.subscribe(news)
        for number, client in enumerate(clients):
            for user in users[number + 1 :]:
                self.assertEqual(client.expect(ADDED, room).data["id"], user)
        self.assert_count(cluster.nodes, news, 3)
        for proxy in cluster.proxies:
            proxy.refuse()
        let_pass(2 * SHORT_LEASE)
        for node, proxy in zip(cluster.nodes, cluster.proxies, strict=True):
            proxy.go_on()
            node.wait_until_joined()
            self.assertEqual(self.users(node, room), users)
            let_pass(SHORT_LEASE / 4)
        self.assert_users(cluster.nodes, room, users)
        self.assert_count(cluster.nodes, room, 3)
        self.assert_count(cluster.nodes, news, 3)
        for client in clients:
            client.settle()
            self.assertEqual([event for event, _ in client.heard(room) if event in (ADDED, REMOVED)], [])


class Bounds(OutageTestCase):
    """What is kept for later is bounded."""

    def setUp(self) -> None:
        """Find nodes that keep little."""
        super().setUp()
        options = (f"--publish-buffer-bytes={FEW_BYTES}", f"--replay-events={FEW_EVENTS}")
        self.use_cluster(running_cluster(2, *options))

    def test_publish_buffer(self) -> None:
        """Redis away, publish: what does not fit into the buffer is counted and logged; the rest comes, in order."""
        channel = fresh("news")
        ann, bob = self.pair(channel)
        self.cut_off()
        logged = len(self.alone.log)
        self.publish(self.alone, channel, 100)
        ann.expect("n", channel, where=lambda number: number == 99)
        self.let_join()
        self.trigger(self.alone, channel, "end")
        bob.expect("end", channel)
        heard = self.numbers(bob, channel)
        self.assertEqual(heard, sorted(set(heard)))
        self.assertTrue(0 < len(heard) < 100, heard)
        lost = 100 - len(heard)
        self.assertRegex(self.alone.log[logged:], rf"events that other nodes lack.*: {lost}\b")

    def test_replay(self) -> None:
        """Redis away, events of other nodes: a gap too large for the log is logged; later events come as ever."""
        channel = fresh("news")
        ann, bob = self.pair(channel)
        self.cut_off()
        logged = len(self.alone.log)
        self.publish(self.other, channel, 500)
        bob.expect("n", channel, where=lambda number: number == 499)
        self.let_join()
        self.trigger(self.other, channel, "end")
        ann.expect("end", channel)
        heard = self.numbers(ann, channel)
        self.assertEqual(heard, list(range(500 - len(heard), 500)))
        self.assertLess(len(heard), 500)
        self.assertRegex(self.alone.log[logged:], r"\bgap\b|too (old|large|long)|missed|lost")
