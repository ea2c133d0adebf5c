"""Nodes that are told of new settings one after the other."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.cluster.case import ClusterTestCase
from tests.cluster.nodes import BAD_MESSAGE, Node
from tests.cluster.redis import RedisServer
from tests.process.running import ask
from tests.sdk.case import ADDED, REMOVED, JsClient, fresh
from tests.sdk.sdks import PythonSdk
from tests.sdk.tenants import Tenant, running_receiver
from tests.server import Server

KEPT, OLD, NEW = Tenant("31", "kept"), Tenant("32", "old"), Tenant("33", "new")
TOLD = "/reload"


class ReloadTests(ClusterTestCase):
    """Two nodes, each with a settings file of its own."""

    def setUp(self) -> None:
        """Start them, with the same apps."""
        super().setUp()
        self.receiver = running_receiver()
        redis = self.enterContext(RedisServer())
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.files = [folder / "one.toml", folder / "two.toml"]
        for file in self.files:
            self.write(file, KEPT, OLD)
        self.one, self.two = (Node(redis.url, f"--config={file}", "--node-lease=3") for file in self.files)
        self.start_nodes(self.one, self.two)

    def write(self, file: Path, *tenants: Tenant, more: str = "") -> None:
        """Write a settings file; each app is told what happens."""
        webhooks = f'webhooks = [{{ url = "{self.receiver.url(TOLD)}" }}]'
        file.write_text(
            "".join(
                f'[[apps]]\nid = "{each.id}"\nkey = "{each.key}"\nsecret = "{each.secret}"\n{webhooks}\n{more}\n'
                for each in tenants
            )
        )

    def of(self, tenant: Tenant, node: Node, user: str | None = None) -> JsClient:
        """Connect a client of an app to a node, for a user if it is to join presence channels."""
        return self.connected(user, node=node, **tenant.credentials)

    def send(self, tenant: Tenant, node: Server, channel: str, data: Any) -> None:
        """Publish an event of an app through a node."""
        PythonSdk(node, key=tenant.key, secret=tenant.secret, app_id=tenant.id).trigger([channel], "price", data)

    def test_added(self) -> None:
        """Reload: an app that one node has already is served and told by that one; with the second, both are one."""
        self.write(self.files[0], KEPT, OLD, NEW)
        self.one.hang_up()
        first = self.of(NEW, self.one, "ann")
        rooms = [fresh("room") for _ in range(10)]
        for room in rooms:
            first.subscribe(room)
            self.receiver.expect(TOLD, name="channel_occupied", channel=room)
        for room in rooms:
            first.unsubscribe(room)
        refused = self.client(node=self.two, **NEW.credentials)
        self.assertEqual(refused.expect_error()["code"], 4001)
        for room in rooms:
            self.receiver.expect(TOLD, name="channel_vacated", channel=room)
        self.write(self.files[1], KEPT, OLD, NEW)
        self.two.hang_up()
        room = fresh("presence-room")
        first.subscribe(room)
        second = self.of(NEW, self.two, "bob")
        self.assertEqual(second.subscribe(room)["count"], 2)
        first.expect(ADDED, room)
        for node in (self.one, self.two):
            self.send(NEW, node, room, {"from": node.api_port})
            for client in (first, second):
                client.expect("price", room, where=lambda data, port=node.api_port: data["from"] == port)

    def test_removed(self) -> None:
        """Reload: an app that one node has no more is served by the other; who was on both is seen to go."""
        room = fresh("presence-room")
        gone, stays = self.of(OLD, self.one, "ann"), self.of(OLD, self.two, "bob")
        kept = self.of(KEPT, self.one)
        for client in (gone, stays):
            client.subscribe(room)
        news = fresh("news")
        kept.subscribe(news)
        self.assert_users_of(OLD, room, ["ann", "bob"])
        self.write(self.files[0], KEPT)
        self.one.hang_up()
        gone.expect("disconnected")
        stays.expect(REMOVED, room, where=lambda data: data["id"] == "ann")
        self.send(OLD, self.two, room, {})
        stays.expect("price", room)
        self.send(KEPT, self.two, news, {})
        kept.expect("price", news)
        self.write(self.files[0], KEPT, OLD)
        self.one.hang_up()
        back = self.of(OLD, self.one, "cid")
        self.assertEqual(back.subscribe(room)["count"], 2)

    def test_changed(self) -> None:
        """Reload: what one node's larger limits let through, another takes once it has them too; until then it says so.

        Nothing else suffers.
        """
        large = "event-data-bytes = 300000"
        self.write(self.files[0], KEPT, OLD, more=large)
        self.one.hang_up()
        news = fresh("news")
        here, there = self.of(KEPT, self.one), self.of(KEPT, self.two)
        for client in (here, there):
            client.subscribe(news)
        self.wait_until_heard_by(there, news)
        self.send_large(news)
        here.expect("large", news)
        self.send(KEPT, self.one, news, {})
        there.expect("price", news)
        self.assertEqual(there.seen("large", news), [])
        self.assertEqual(self.two.log.count(BAD_MESSAGE), 1)
        self.write(self.files[1], KEPT, OLD, more=large)
        self.two.hang_up()
        self.send_large(news)
        for client in (here, there):
            client.expect("large", news)

    def send_large(self, channel: str) -> None:
        """Publish an event through the first node that is larger than others may be by default."""
        body = json.dumps({"name": "large", "channel": channel, "data": "x" * 250_000}).encode()
        api = ("127.0.0.1", self.one.api_port)
        status, _ = ask("POST", f"/apps/{KEPT.id}/events", body, *api, key=KEPT.key, secret=KEPT.secret)
        self.assertEqual(status, 200)

    def assert_users_of(self, tenant: Tenant, channel: str, users: list[str]) -> None:
        """Check that both nodes will name exactly these users on a channel of an app."""
        self.app = tenant
        self.assert_users((self.one, self.two), channel, users)

    def wait_until_heard_by(self, client: JsClient, channel: str) -> None:
        """Wait until an event of the first node reaches a client."""
        self.app = KEPT
        self.wait_until_heard(self.one, channel, lambda name: client.seen(name, channel))
