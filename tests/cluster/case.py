"""What tests of many nodes share: clusters, and clients on nodes of their choice."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from tests.cluster.listener import Listener
from tests.cluster.nodes import Cluster, Node, at_once, start_all
from tests.cluster.redis import RedisServer
from tests.sdk.case import ADDED, REMOVED, ClientTestCase, JsClient, fresh, running_driver, until_exit
from tests.sdk.sdks import PythonSdk
from tests.sdk.tenants import Tenant
from tests.server import PATIENCE, Server, wait_for

LEASE = 6.0
"""Seconds for which a node that says nothing is taken for alive, by default."""


@functools.cache
def running_cluster(count: int, *options: str) -> Cluster:
    """Give a cluster that runs until the tests are over."""
    redis = until_exit.enter_context(RedisServer())
    return until_exit.enter_context(Cluster(redis, count, *options))


def show(text: str) -> None:
    """Tell a figure to whoever looks at the output of a run."""
    sys.stdout.write(f"{text}\n")


class ClusterTestCase(ClientTestCase):
    """Tests with clients on several nodes. A traceback in the log of any node fails them.

    :cvar app: whose clients they are; None for the app of the command line.
    """

    app: Tenant | None = None

    def setUp(self) -> None:
        """Find a driver; which nodes there are, the test decides."""
        self.use_driver(running_driver())

    def use_nodes(self, nodes: Sequence[Node]) -> None:
        """Let clients connect to these nodes; to the first, if they do not choose."""
        for node in nodes:
            self.use_server(node)
        self.use_server(nodes[0])

    def start_cluster(self, count: int, *options: str) -> Cluster:
        """Start a cluster of this test's own."""
        redis = self.enterContext(RedisServer())
        cluster = self.enterContext(Cluster(redis, count, *options))
        self.use_nodes(cluster.nodes)
        return cluster

    def start_nodes(self, *nodes: Node) -> None:
        """Start nodes of this test's own."""
        start_all(nodes, self.enterContext(ExitStack()))
        self.use_nodes(nodes)

    def client(self, user: dict[str, Any] | None = None, *, node: Server | None = None, **options: Any) -> JsClient:
        """Make a pusher-js client on a node, not yet connected; see `JsClient`. It leaves when the test is over."""
        credentials = self.app.credentials if self.app else {}
        client = JsClient(self.driver, node or self.server, user, **{"where": self.where} | credentials | options)
        self.addCleanup(client.disconnect)
        return client

    def sdk(self, node: Server) -> PythonSdk:
        """Give the SDK that talks to a node."""
        if self.app is None:
            return PythonSdk(node)
        return PythonSdk(node, key=self.app.key, secret=self.app.secret, app_id=self.app.id)

    def trigger(self, node: Server, channel: str, event: str, data: Any = None) -> None:
        """Have a node publish an event."""
        self.sdk(node).trigger([channel], event, {} if data is None else data)

    def users(self, node: Server, channel: str) -> list[str]:
        """Ask a node who is on a presence channel; sorted."""
        return sorted(user["id"] for user in self.sdk(node).users(channel)["users"])

    def count(self, node: Server, channel: str) -> int:
        """Ask a node how many are subscribed to a channel."""
        count: int = self.sdk(node).channel(channel, ["subscription_count"]).get("subscription_count", 0)
        return count

    def listener(self, node: Server, user_id: str | None = None) -> Listener:
        """Connect a client that keeps all it hears."""
        return self.enterContext(Listener(node, user_id))

    def on_each(self, nodes: Sequence[Server], user_ids: Sequence[str | None] = ()) -> list[JsClient]:
        """Connect a pusher-js client on each node, for a user if it is to join presence channels."""
        users = user_ids or [None] * len(nodes)
        return [self.connected(user_id, node=node) for node, user_id in zip(nodes, users, strict=True)]

    def wait_until_heard(self, node: Server, channel: str, heard: Callable[[str], object]) -> None:
        """Wait until an event of a node is heard: of the first subscriber Redis is told after his success.

        :param heard: tells whether an event of this name was heard.
        """
        name = fresh("marker")

        def is_heard() -> object:
            self.trigger(node, channel, name)
            return heard(name)

        wait_for("an event from another node", is_heard)

    def assert_users(self, nodes: Sequence[Node], channel: str, users: Sequence[str], within: float = PATIENCE) -> None:
        """Check that each node will name exactly these users on a channel."""
        self.assert_each(
            nodes, lambda node: self.users(node, channel), sorted(users), f"the users on {channel}", within
        )

    def assert_count(self, nodes: Sequence[Node], channel: str, count: int, within: float = PATIENCE) -> None:
        """Check that each node will count so many subscriptions of a channel."""
        self.assert_each(nodes, lambda node: self.count(node, channel), count, f"the count of {channel}", within)

    def assert_each(
        self, nodes: Sequence[Node], ask: Callable[[Node], Any], expected: Any, what: str, within: float = PATIENCE
    ) -> None:
        """Check that each node will give this answer."""
        last: list[Any] = []

        def all_agree() -> bool:
            last[:] = at_once(ask, nodes)
            return all(answer == expected for answer in last)

        try:
            wait_for(what, all_agree, within, interval=0.05)
        except AssertionError as fault:
            raise AssertionError(f"{fault}: {last}, and not {expected}") from None

    def assert_together(self, one: Node, other: Node) -> None:
        """Check that events and rosters of each node reach the other."""
        room = fresh("presence-together")
        ann, bob = self.on_each((one, other), ("ann", "bob"))
        ann.subscribe(room)
        self.assertEqual(bob.subscribe(room)["count"], 2)
        ann.expect(ADDED, room, where=lambda data: data["id"] == "bob")
        for node in (one, other):
            self.trigger(node, room, "check", {"from": node.api_port})
            for client in (ann, bob):
                client.expect("check", room, where=lambda data, port=node.api_port: data["from"] == port)
        self.assert_users((one, other), room, ["ann", "bob"])
        bob.unsubscribe(room)
        ann.expect(REMOVED, room, where=lambda data: data["id"] == "bob")
