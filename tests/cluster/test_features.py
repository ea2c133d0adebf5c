"""Every feature with official clients on different nodes: nobody can tell which node anybody is on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

from tests.cluster.case import ClusterTestCase
from tests.cluster.nodes import Node
from tests.cluster.tenants import COUNTING, OTHER, TELLING, TOLD, cluster_of_tenants
from tests.sdk.case import ADDED, COUNTED, INBOX, MISSED, REMOVED, SUBSCRIBED, JsClient, fresh
from tests.sdk.sdks import NodeSdk, PythonSdk, Sdk
from tests.sdk.tenants import Tenant, running_receiver
from tests.server import wait_for

ENCRYPTING = "pusher-js/with-encryption"


class FeatureTestCase(ClusterTestCase):
    """Tests on three nodes that run as long as the tests do."""

    def setUp(self) -> None:
        """Find the nodes."""
        super().setUp()
        self.cluster = cluster_of_tenants()
        self.nodes = self.cluster.nodes
        self.use_nodes(self.nodes)

    def sdks(self, node: Node, tenant: Tenant | None = None) -> list[Sdk]:
        """Give the SDKs that talk to a node: that for Python, and that for Node."""
        options = {"key": tenant.key, "secret": tenant.secret, "app_id": tenant.id} if tenant else {}
        return [PythonSdk(node, **options), NodeSdk(self.driver, node, **options)]

    def on_all(self, channel: str, **options: Any) -> list[JsClient]:
        """Put three clients on a channel, one on each node; on presence channels they are ann, bob and cid."""
        clients = [self.connected(user, node=node, **options) for user, node in zip(USERS, self.nodes, strict=True)]
        for client in clients:
            client.subscribe(channel)
        if not channel.startswith("private-encrypted-"):
            for client, node in itertools.product(clients, self.nodes):
                self.wait_until_heard(node, channel, partial(client.seen, channel=channel))
        return clients


USERS = ("ann", "bob", "cid")


class Events(FeatureTestCase):
    """Events of the app and of clients."""

    def test_kinds(self) -> None:
        """Events: on each kind of channel, an event published at any node comes once to the clients of all nodes."""
        for kind in ("news", "private-room", "presence-room"):
            channel = fresh(kind)
            clients = self.on_all(channel)
            for number, node in enumerate(self.nodes):
                for sdk in self.sdks(node):
                    sdk.trigger([channel], "price-changed", {"eur": number})
            for client in clients:
                for number in range(len(self.nodes)):
                    for _ in self.sdks(self.nodes[0]):
                        client.expect("price-changed", channel, where=lambda data, eur=number: data["eur"] == eur)
                client.settle()
                self.assertEqual(client.seen("price-changed"), [])

    def test_encrypted(self) -> None:
        """Encrypted channels: what the app encrypts at one node is decrypted by the clients of the others."""
        channel = fresh("private-encrypted-room")
        clients = self.on_all(channel, library=ENCRYPTING)
        for number, node in enumerate(self.nodes):
            for client in clients:
                expected = {"eur": number}

                def comes(node: Node = node, client: JsClient = client, expected: dict[str, int] = expected) -> bool:
                    PythonSdk(node).trigger([channel], "price-changed", expected)
                    return expected in [seen.data for seen in client.seen("price-changed", channel)]

                wait_for("a decrypted event", comes)

    def test_order(self) -> None:
        """Events: those published through one node come in order, on all nodes; so do those of a batch."""
        channel = fresh("news")
        clients = self.on_all(channel)
        for sdk in self.sdks(self.nodes[0]):
            for number in range(0, 30, 10):
                batch = [{"channel": channel, "name": "n", "data": str(number + each)} for each in range(10)]
                sdk.trigger_batch(batch)
            sdk.trigger([channel], "end", {})
            for client in clients:
                client.expect("end", channel)
                self.assertEqual([seen.data for seen in client.seen("n", channel)], list(range(30)))
            self.driver.forget()

    def test_excluded(self) -> None:
        """Excluding a recipient: the connection of this socket id hears nothing, on whichever node it is."""
        channel = fresh("news")
        clients = self.on_all(channel)
        for node, excluded in itertools.product(self.nodes, clients):
            name = fresh("event")
            PythonSdk(node).trigger([channel], name, {}, excluded.socket_id)
            self.trigger(node, channel, f"{name}-end")
            for client in clients:
                client.expect(f"{name}-end", channel)
                self.assertEqual(len(client.seen(name, channel)), 0 if client is excluded else 1)

    def test_client_events(self) -> None:
        """Client events: they reach the channel's clients on all nodes but their sender, with his user id."""
        for kind, metadata in (("private-room", {}), ("presence-room", {"user_id": "ann"})):
            channel = fresh(kind)
            ann, bob, cid = self.on_all(channel)
            ann.trigger(channel, "client-typing", {"who": "Änn"})
            for client in (bob, cid):
                seen = client.expect("client-typing", channel)
                self.assertEqual((seen.data, seen.metadata), ({"who": "Änn"}, metadata))
            bob.trigger(channel, "client-answer")
            ann.expect("client-answer", channel)
            self.assertEqual([event for event, _ in ann.heard(channel) if event.startswith("client-")], [])

    def test_left(self) -> None:
        """Unsubscribing: events of other nodes come no more; after subscribing again they do."""
        channel = fresh("news")
        ann, bob, _ = self.on_all(channel)
        bob.unsubscribe(channel)
        bob.settle()
        before = len(bob.heard(channel))
        self.trigger(self.nodes[0], channel, "unheard")
        ann.expect("unheard", channel)
        bob.settle()
        self.assertEqual(len(bob.heard(channel)), before)
        bob.subscribe(channel)
        self.wait_until_heard(self.nodes[0], channel, partial(bob.seen, channel=channel))
        self.assertEqual(bob.seen("unheard"), [])

    def test_apps(self) -> None:
        """Apps: two apps with channels of the same name hear nothing of each other across nodes."""
        channel = fresh("presence-room")
        ann, bob = self.connected("ann", node=self.nodes[0]), self.connected("bob", node=self.nodes[1])
        other = self.connected("cid", node=self.nodes[2], **OTHER.credentials)
        ann.subscribe(channel)
        self.assertEqual(bob.subscribe(channel)["count"], 2)
        self.assertEqual(other.subscribe(channel)["count"], 1)
        for sdk in self.sdks(self.nodes[0]):
            sdk.trigger([channel], "price-changed", {})
            bob.expect("price-changed", channel)
        bob.trigger(channel, "client-typing")
        ann.expect("client-typing", channel)
        bob.unsubscribe(channel)
        ann.expect(REMOVED, channel)
        for sdk in self.sdks(self.nodes[1], OTHER):
            self.assertEqual([user["id"] for user in sdk.users(channel)["users"]], ["cid"])
        other.settle()
        self.assertEqual(other.heard(channel), [])


class Presence(FeatureTestCase):
    """Rosters."""

    def test_rosters(self) -> None:
        """Presence: who subscribes is shown the users of all nodes, and those are told of him, once."""
        channel = fresh("presence-room")
        clients: list[JsClient] = []
        for user, node in zip(USERS, self.nodes, strict=True):
            client = self.connected(user, node=node)
            roster = client.subscribe(channel)
            self.assertEqual(sorted(roster["members"]), sorted(USERS[: len(clients) + 1]))
            self.assertEqual(roster["members"][user], {"name": f"User {user}"})
            for other in clients:
                self.assertEqual(other.expect(ADDED, channel).data["id"], user)
            clients.append(client)
        clients[1].disconnect()
        for client in (clients[0], clients[2]):
            self.assertEqual(client.expect(REMOVED, channel).data["id"], "bob")
            client.settle()
            self.assertEqual(client.heard(channel), [])
            self.assertEqual(sorted(client.members(channel)["info"]), ["ann", "cid"])

    def test_several_connections(self) -> None:
        """Presence: a user on two nodes, come and gone in any order, is added once and removed once."""
        for first, second, leaver in itertools.product((0, 1, 2), (0, 1, 2), (0, 1)):
            channel = fresh("presence-room")
            watcher = self.connected("watcher", node=self.nodes[0])
            watcher.subscribe(channel)
            visits = [self.connected("bob", node=self.nodes[number]) for number in (first, second)]
            for visit in visits:
                self.assertEqual(visit.subscribe(channel)["count"], 2)
            visits[leaver].disconnect()
            self.assert_count(self.nodes, channel, 2)
            self.assert_users(self.nodes, channel, ["bob", "watcher"])
            visits[1 - leaver].unsubscribe(channel)
            self.assert_users(self.nodes, channel, ["watcher"])
            watcher.expect(REMOVED, channel)
            self.assertEqual([event for event, _ in watcher.heard(channel)], [ADDED])
            visits[1 - leaver].disconnect()
            watcher.disconnect()


class Queries(FeatureTestCase):
    """REST, asked at any node."""

    def test_queries(self) -> None:
        """Queries: each node answers for the whole cluster: channels, users, counts."""
        prefix = fresh("presence-query")
        room, news = f"{prefix}-room", fresh("news")
        self.on_all(room)
        self.on_all(news)
        self.connected("ann", node=self.nodes[2]).subscribe(room)
        self.assert_users(self.nodes, room, USERS)
        self.assert_count(self.nodes, room, 4)
        self.assert_count(self.nodes, news, 3)
        for node in self.nodes:
            for sdk in self.sdks(node):
                self.assertEqual(sdk.channels(prefix, ["user_count"]), {"channels": {room: {"user_count": 3}}})
                self.assertEqual(sdk.channel(room, ["user_count"]), {"occupied": True, "user_count": 3})
                self.assertEqual(sdk.channel(fresh("news")), {"occupied": False})

    def test_vacated(self) -> None:
        """Queries: a channel that its last client, on whichever node, has left is not occupied any more."""
        for kind in ("news", "presence-room"):
            channel = fresh(kind)
            for client in self.on_all(channel):
                self.assert_each(self.nodes, lambda node: _occupied(node, channel), True, "occupation")  # noqa: B023
                client.disconnect()
            self.assert_each(self.nodes, lambda node: _occupied(node, channel), False, "the end")  # noqa: B023

    def test_trigger_info(self) -> None:
        """Trigger: the attributes asked for with an event are those of the whole cluster."""
        channel = fresh("presence-room")
        self.on_all(channel)
        for node in self.nodes:
            told = NodeSdk(self.driver, node).trigger([channel], "n", {}, info="user_count,subscription_count")
            self.assertEqual(told["channels"][channel], {"user_count": 3, "subscription_count": 3})


def _occupied(node: Node, channel: str) -> bool:
    occupied: bool = PythonSdk(node).channel(channel)["occupied"]
    return occupied and channel in PythonSdk(node).channels(channel)["channels"]


class Counts(FeatureTestCase):
    """Telling subscribers how many they are."""

    def test_counts(self) -> None:
        """Subscription count: the subscribers on all nodes are told how many they are in the whole cluster."""
        channel, clients = fresh("news"), []
        for number, node in enumerate(self.nodes, 1):
            client = self.connected(node=node, **COUNTING.credentials)
            client.subscribe(channel)
            clients.append(client)
            for each in clients:
                each.expect(COUNTED, channel, where=lambda data, n=number: data["subscription_count"] == n)
        clients[2].disconnect()
        for each in clients[:2]:
            each.expect(COUNTED, channel, where=lambda data: data["subscription_count"] == 2)
            self.assertEqual(each.do("subscription_count", channel=channel), 2)


class CacheChannels(FeatureTestCase):
    """Channels that remember."""

    def test_remembers(self) -> None:
        """Cache channels: what was published at one node is shown to who subscribes at another, and told by REST."""
        for kind in ("cache-news", "private-cache-room", "presence-cache-room"):
            for publisher, node in itertools.product(self.nodes, self.nodes[:2]):
                channel, late = fresh(kind), self.connected("ann", node=node)
                self.trigger(publisher, channel, "price-changed", {"eur": 12.5})
                sdk = PythonSdk(node)
                wait_for("the event", lambda: sdk.channel(channel, ["cache"])["cache"])  # noqa: B023 - at once
                late.do("subscribe", channel=channel)
                seen = late.expect("price-changed", channel)
                self.assertEqual(seen.data, {"eur": 12.5})
                self.assertEqual([event for event, _ in late.heard(channel)], [SUBSCRIBED])
                cached = PythonSdk(node).channel(channel, ["cache"])["cache"]
                self.assertEqual(cached["data"], '{"eur": 12.5}')
                late.disconnect()

    def test_live(self) -> None:
        """Cache channels: who found nothing, at any node, gets the next event as it comes."""
        channel = fresh("cache-news")
        clients = self.on_each(self.nodes)
        for client in clients:
            client.subscribe(channel)
            client.expect(MISSED, channel)
        self.assert_count(self.nodes, channel, 3)
        self.trigger(self.nodes[1], channel, "price-changed", {"eur": 1})
        for client in clients:
            client.expect("price-changed", channel)


class Users(FeatureTestCase):
    """Users who signed in."""

    def test_inbox(self) -> None:
        """Users: what the app sends to a user at any node reaches all his connections, once each, and nobody else."""
        ann, bob = fresh("ann"), fresh("bob")
        visits = [self.signed_in(ann, node=node) for node in self.nodes[:2]]
        stranger = self.signed_in(bob, node=self.nodes[0])
        for visit, node in itertools.product(visits, self.nodes):
            self.wait_until_heard(node, INBOX + ann, partial(visit.seen, scope="user"))
        for node in self.nodes:
            name = fresh("mail")
            for sdk in self.sdks(node):
                sdk.send_to_user(ann, name, {"text": "hello"})
            for visit in visits:
                for _ in self.sdks(node):
                    self.assertEqual(visit.expect(name, scope="user").data, {"text": "hello"})
                visit.settle()
                self.assertEqual(visit.seen(name, scope="user"), [])
        stranger.settle()
        self.assertEqual([seen for seen in stranger.seen(None, scope="user") if seen.event.startswith("mail")], [])

    def test_terminate(self) -> None:
        """Terminating: at whichever node the app asks, the user's connections of all nodes are closed; others stay."""
        for node in self.nodes:
            ann, bob = fresh("ann"), fresh("bob")
            visits = [self.signed_in(ann, node=each) for each in self.nodes]
            stranger = self.signed_in(bob, node=self.nodes[0])
            PythonSdk(node).terminate(ann)
            for visit in visits:
                visit.expect("disconnected")
            stranger.settle()

    def test_watchlist(self) -> None:
        """Watchlist: who watches a user is told of his first connection and of his last, on whichever nodes."""
        bob, cid, dan = fresh("bob"), fresh("cid"), fresh("dan")
        first, second, third = self.nodes
        self.signed_in(cid, node=second)
        watchers = [self.signed_in(fresh("ann"), [bob, cid, dan], node=node) for node in (first, third)]
        for watcher in watchers:
            self.assertEqual(watcher.expect("online", scope="watchlist").data["user_ids"], [cid])
            self.assertEqual(watcher.expect("offline", scope="watchlist").data["user_ids"], [bob, dan])
        visits = [self.signed_in(bob, node=second), self.signed_in(bob, node=third)]
        for watcher in watchers:
            self.assertEqual(watcher.expect("online", scope="watchlist").data["user_ids"], [bob])
        visits[0].disconnect()
        self.signed_in(dan, node=first)
        for watcher in watchers:
            self.assertEqual(watcher.expect("online", scope="watchlist").data["user_ids"], [dan])
        visits[1].disconnect()
        for watcher in watchers:
            self.assertEqual(watcher.expect("offline", scope="watchlist").data["user_ids"], [bob])
            watcher.settle()
            self.assertEqual(watcher.seen(None, scope="watchlist"), [])

    def test_inbox_is_no_channel(self) -> None:
        """Users: an inbox is none of the app's occupied channels, on any node."""
        ann, news = fresh("ann"), fresh("news")
        client = self.signed_in(ann, node=self.nodes[0])
        client.subscribe(news)
        self.assert_count(self.nodes, news, 1)
        for node in self.nodes:
            self.assertNotIn(INBOX + ann, PythonSdk(node).channels("")["channels"])


class Webhooks(FeatureTestCase):
    """What the app is told: once for the cluster, whichever nodes its clients are on."""

    app = TELLING

    def setUp(self) -> None:
        """Find the receiver."""
        super().setUp()
        self.receiver = running_receiver()

    def members(self, channel: str, users: Sequence[str]) -> list[JsClient]:
        """Put users on a channel, each at the next node."""
        nodes = itertools.cycle(self.nodes)
        clients = [self.connected(user, node=next(nodes)) for user in users]
        for client in clients:
            client.subscribe(channel)
        return clients

    def told(self, channel: str) -> list[str]:
        """List what was told of a channel."""
        return sorted(self.receiver.seen(TOLD, channel=channel))

    def wait_for_more(self, name: str) -> None:
        """Let so much time pass that all of what other nodes might have told has come: that of a grace."""
        channel = fresh(f"presence-{name}")
        (marker,) = self.members(channel, ["ann"])
        self.receiver.expect(TOLD, name="channel_occupied", channel=channel)
        marker.disconnect()
        self.receiver.expect(TOLD, name="channel_vacated", channel=channel)

    def test_once(self) -> None:
        """Webhooks: occupied, vacated, member_added, member_removed, client_event, cache_miss: once for the cluster.

        Who is back within the grace, at whichever node, has not gone.
        """
        room, news, cache, back = (fresh(name) for name in ("presence-room", "news", "cache-news", "presence-back"))
        clients = self.members(room, ["ann", "bob", "cid", "ann", "bob"])
        for channel in (news, cache):
            for client in clients[:3]:
                client.subscribe(channel)
        clients[0].trigger(room, "client-typing", {})
        returning = self.members(back, ["ann", "bob"])
        for client in returning:
            client.disconnect()
        again = self.members(back, ["bob", "ann"])  # the nodes are exchanged
        for client in clients:
            client.disconnect()
        for user in ("ann", "bob", "cid"):
            self.receiver.expect(TOLD, name="member_removed", channel=room, user_id=user)
        for channel in (room, news, cache):
            self.receiver.expect(TOLD, name="channel_vacated", channel=channel)
        self.wait_for_more("more")
        ends = ["channel_occupied", "channel_vacated"]
        self.assertEqual(self.told(room), [*ends, "client_event", *["member_added"] * 3, *["member_removed"] * 3])
        self.assertEqual(self.told(news), ends)
        self.assertEqual(self.told(cache), ["cache_miss", *ends])
        self.assertEqual(self.told(back), ["channel_occupied", "member_added", "member_added"])
        for client in again:
            client.disconnect()
