"""The ways to a Redis, and what shares one."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import trustme

from tests.cluster.case import ClusterTestCase
from tests.cluster.nodes import ALONE, Node
from tests.cluster.proxy import Proxy
from tests.cluster.redis import RedisServer, Sentinels
from tests.ports import free_port
from tests.sdk.case import ADDED, fresh
from tests.server import Server, let_pass, wait_for

PASSWORD = "pass/word:with@all#kinds?"
ENCODED = "pass%2Fword%3Awith%40all%23kinds%3F"

A_WHILE = 3.0
"""Seconds for which it is watched how often nodes try in vain, and what they log of it."""

FEW = 5
"""Attempts in a second, of two nodes with two links each; and lines in all."""


class SentinelTests(ClusterTestCase):
    """`redis+sentinel://`."""

    def start_pair(self, password: str | None = None) -> tuple[Sentinels, Node, Node]:
        """Start two nodes that ask Sentinels where Redis is."""
        sentinels = self.enterContext(Sentinels(password=password))
        one, other = Node(sentinels.url), Node(sentinels.url)
        self.start_nodes(one, other)
        self.assert_together(one, other)
        return sentinels, one, other

    def test_fail_over(self) -> None:
        """Sentinel: when the Redis dies, the nodes find the replica that took its place; nobody has gone."""
        sentinels, one, other = self.start_pair()
        room = fresh("presence-room")
        ann, bob = self.on_each((one, other), ("ann", "bob"))
        for client in (ann, bob):
            client.subscribe(room)
        ann.expect(ADDED, room)
        sentinels.master.kill()
        sentinels.sentinels[0].kill()  # the first of those the nodes know
        for node in (one, other):
            node.wait_until_cut_off()
        self.trigger(one, room, "meanwhile")
        ann.expect("meanwhile", room)
        for node in (one, other):
            node.wait_until_joined()
        bob.expect("meanwhile", room)
        self.assertEqual(sentinels.replica.admin.info("replication")["role"], "master")
        self.assert_users((one, other), room, ["ann", "bob"])
        for client in (ann, bob):
            client.settle()
            self.assertEqual(client.heard(room), [])
        self.assert_together(one, other)

    def test_password(self) -> None:
        """Sentinel: the password of the URL is that of the Redis, though the Sentinels have none."""
        self.start_pair("secret")


class Ways(ClusterTestCase):
    """One Redis, reached otherwise than by address and port alone."""

    def test_tls(self) -> None:
        """TLS to Redis: `rediss://` with a password and the authority that signed its certificate."""
        redis = self.enterContext(RedisServer(password=PASSWORD))
        authority, file = self.make_authority()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
        proxy = self.enterContext(Proxy(redis.port, tls))
        url = f"rediss://:{ENCODED}@localhost:{proxy.port}/0?ssl_ca_certs={file}"
        one, other = Node(url), Node(url)
        self.start_nodes(one, other)
        self.assertGreater(len(proxy.addresses), 0)
        self.assert_together(one, other)
        for node in (one, other):
            self.assertNotIn(PASSWORD, node.log)
            self.assertNotIn(ENCODED, node.log)

    def test_users(self) -> None:
        """ACL users: a user with rights to this prefix alone, and to no dangerous command, is enough."""
        rights = "~slanger:* resetchannels &slanger:* +@all -@admin -@dangerous"
        redis = self.enterContext(RedisServer(f"user app on >secret {rights}", password=PASSWORD))
        url = f"redis://app:secret@127.0.0.1:{redis.port}/0"
        one, other = Node(url), Node(url)
        self.start_nodes(one, other)
        self.assert_together(one, other)

    def test_unix_socket(self) -> None:
        """Unix sockets: `unix://PATH?db=N`."""
        redis = self.enterContext(RedisServer())
        url = f"unix://{redis.socket_path}?db=1"
        one, other = Node(url), Node(url)
        self.start_nodes(one, other)
        self.assert_together(one, other)
        self.assertEqual(redis.admin.dbsize(), 0)

    def test_refused(self) -> None:
        """Ways to Redis: what keeps a node out is logged in words, no password among them; it serves its own.

        A wrong password; a certificate that nobody it trusts has signed; a port nobody listens on.
        """
        redis = self.enterContext(RedisServer(password=PASSWORD))
        authority, _ = self.make_authority()
        _, foreign = self.make_authority()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
        proxy = self.enterContext(Proxy(redis.port, tls))
        faults = {
            f"redis://:{ENCODED}-wrong@127.0.0.1:{redis.port}/0": "WRONGPASS",
            f"rediss://:{ENCODED}@localhost:{proxy.port}/0?ssl_ca_certs={foreign}": "(certificate verify failed)",
            f"redis://:{ENCODED}@127.0.0.1:{free_port()}/0": "(Connection refused)",
        }
        nodes = [self.enterContext(Server(f"--redis-url={url}")) for url in faults]
        for node, words in zip(nodes, faults.values(), strict=True):
            self.use_server(node)
            wait_for(f"{ALONE}: {words}", lambda node=node, words=words: ALONE in node.log and words in node.log)  # type: ignore[misc]
            client, room = self.connected("ann", node=node), fresh("presence-room")
            self.assertEqual(client.subscribe(room)["count"], 1)
            self.trigger(node, room, "check")
            client.expect("check", room)
            self.assertNotIn(PASSWORD, node.log)
            self.assertNotIn(ENCODED, node.log)
        attempts, lines = self.attempts(redis), [node.log.count("\n") for node in nodes]
        let_pass(A_WHILE)
        self.assertLess(self.attempts(redis) - attempts, FEW * A_WHILE)
        for node, before in zip(nodes, lines, strict=True):
            self.assertLess(node.log.count("\n") - before, FEW, node.log[-1000:])

    def attempts(self, redis: RedisServer) -> int:
        """Count the connections that a Redis has accepted."""
        return int(redis.admin.info("stats")["total_connections_received"])

    def make_authority(self) -> tuple[trustme.CA, Path]:
        """Make a certificate authority; its certificate is in the file."""
        authority = trustme.CA()
        file = Path(self.enterContext(tempfile.TemporaryDirectory()), "authority.pem")
        authority.cert_pem.write_to_path(str(file))
        return authority, file


class Deployments(ClusterTestCase):
    """Several deployments on one Redis."""

    def test_apart(self) -> None:
        """Deployments: with another prefix, or in another database, nodes hear nothing of each other."""
        redis = self.enterContext(RedisServer())
        nodes = [
            Node(redis.url),
            Node(redis.url, "--redis-prefix=staging"),
            Node(redis.url.replace("/0", "/1")),
        ]
        self.start_nodes(*nodes)
        room, cache, lobby = fresh("presence-room"), fresh("cache-news"), fresh("private-lobby")
        users = ("ann", "bob", "cid")
        clients = self.on_each(nodes, users)
        zed = fresh("zed")
        signed_in = [self.signed_in(zed, node=nodes[0])]
        for node, client in zip(nodes, clients, strict=True):
            self.assertEqual(client.subscribe(room)["count"], 1)
            client.subscribe(lobby)
            self.trigger(node, cache, "remembered", node.api_port)
        for node in nodes[1:]:
            watcher = self.signed_in(fresh("watcher"), [zed], node=node)
            self.assertEqual(watcher.expect("offline", scope="watchlist").data["user_ids"], [zed])
            signed_in.append(self.signed_in(zed, node=node))
            watcher.expect("online", scope="watchlist")
        for node, client, user in zip(nodes, clients, users, strict=True):
            self.assertEqual(self.users(node, room), [user])
            self.assertEqual(self.count(node, lobby), 1)
            client.subscribe(cache)
            self.assertEqual(client.expect("remembered", cache).data, node.api_port)
            self.trigger(node, room, "from", node.api_port)
            client.trigger(lobby, "client-hello")
            self.sdk(node).send_to_user(zed, "mail", node.api_port)
        self.sdk(nodes[0]).terminate(zed)
        signed_in[0].expect("disconnected")
        for node, client, visit in zip(nodes, clients, signed_in, strict=True):
            client.expect("from", room, where=lambda port, node=node: port == node.api_port)
            visit.expect("mail", scope="user", where=lambda port, node=node: port == node.api_port)
            client.settle()
            self.assertEqual([client.heard(channel) for channel in (room, cache, lobby)], [[], [], []])
        for visit in signed_in[1:]:
            visit.settle()
            self.assertEqual(visit.seen("mail", scope="user"), [])
        keys = {bytes(key).partition(b":")[0] for key in redis.admin.scan_iter()}
        self.assertEqual(keys, {b"slanger", b"staging"})
