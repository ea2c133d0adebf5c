"""Two nodes behind a proxy, and what must hold through each."""

from __future__ import annotations

import signal
import ssl
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.cluster.nodes import Node
from tests.cluster.redis import RedisServer
from tests.process.running import read
from tests.proxies.running import RunningProxy, from_address
from tests.sdk.case import ADDED, ClientTestCase, JsClient, fresh, over_tls, running_driver
from tests.sdk.sdks import PythonSdk
from tests.sdk.test_tls import authority
from tests.server import KEY, PATIENCE, wait_for

ELSEWHERE = "127.0.0.9"
"""The address of a client; proxies and nodes have another one, 127.0.0.1."""

READY = "/ready"
"""What nodes are asked before they get connections."""


class ProxiedTestCase(ClientTestCase):
    """Two nodes that share a Redis, behind a proxy that is made by `make_proxy`."""

    options: tuple[str, ...] = ("--trusted-proxies=127.0.0.1",)
    reloading = signal.SIGHUP
    prefix = ""

    def setUp(self) -> None:
        """Start all of them."""
        self.redis = self.enterContext(RedisServer())
        self.nodes = [self.enterContext(self.make_node()) for _ in range(2)]
        for node in self.nodes:
            self.use_server(node)
        self.use_driver(running_driver(authority() / "authority.pem"))
        self.proxy = self.enterContext(self.make_proxy())

    def make_node(self) -> Node:
        """Make a node."""
        return Node(self.redis.url, "--verbose", *self.options)

    def make_proxy(self) -> RunningProxy:
        """Make the proxy."""
        raise NotImplementedError

    def addresses(self) -> dict[str, str]:
        """Give what stands for the nodes in the files of the documentation, and what stands there here."""
        first, second = self.nodes
        return {
            "10.0.0.11:8080": f"127.0.0.1:{first.websocket_port}",
            "10.0.0.12:8080": f"127.0.0.1:{second.websocket_port}",
            "10.0.0.11:4567": f"127.0.0.1:{first.api_port}",
            "10.0.0.12:4567": f"127.0.0.1:{second.api_port}",
        }

    def through(self, user_id: str | None = None) -> JsClient:
        """Connect pusher-js through the proxy."""
        path = {"wsPath": self.prefix} if self.prefix else {}
        return self.connected(user_id, where=lambda _: over_tls(self.proxy.port) | path)

    def sdk(self) -> PythonSdk:
        """Make the Python SDK, which goes through the proxy too."""
        sdk = PythonSdk(self.server, host="localhost", port=self.proxy.port, ssl=True)
        sdk.pusher._pusher_client.http.options["verify"] = str(authority() / "authority.pem")
        return sdk

    def from_elsewhere(self, **headers: str) -> ClientConnection:
        """Connect a plain WebSocket from another address, with these headers."""
        tls = ssl.create_default_context(cafile=str(authority() / "authority.pem"))
        client = self.enterContext(
            connect(
                f"wss://localhost:{self.proxy.port}{self.prefix}/app/{KEY}?protocol=7",
                sock=from_address(ELSEWHERE, self.proxy.port),
                ssl=tls,
                additional_headers=headers,
                open_timeout=PATIENCE,
            )
        )
        self.assertEqual(read(client)["event"], "pusher:connection_established")
        return client

    def logs(self) -> str:
        """Give the logs of both nodes."""
        return "".join(node.log for node in self.nodes)

    # What must hold

    def check_clients(self) -> None:
        """Clients on both nodes are one audience; the app reaches them from outside by the same name."""
        ann, bob = self.through("ann"), self.through("bob")
        room = fresh("presence-room")
        ann.subscribe(room)
        bob.subscribe(room)
        ann.expect(ADDED, room)
        for node in self.nodes:
            wait_for("a connection on each node", lambda node=node: "connection_established" in node.log)  # type: ignore[misc]
        ann.trigger(room, "client-hello", {"text": "x" * 5000})
        self.assertEqual(bob.expect("client-hello", room).data, {"text": "x" * 5000})
        for number in range(4):
            self.sdk().trigger([room], f"news-{number}", {"number": number})
            for client in (ann, bob):
                self.assertEqual(client.expect(f"news-{number}", room).data, {"number": number})
        self.assertEqual(self.sdk().users(room), {"users": [{"id": "ann"}, {"id": "bob"}]})

    def check_address(self, **headers: Any) -> None:
        """The node knows where a client really is, and lets nobody tell it otherwise."""
        self.from_elsewhere(**headers)
        wait_for("the client's address in the log", lambda: f"{ELSEWHERE} via tcp4:127.0.0.1:" in self.logs())
        self.assertNotIn("203.0.113.9", self.logs())

    def check_reload(self) -> None:
        """A proxy that reads its configuration again keeps its connections, and takes new ones."""
        before, channel = self.through(), fresh("news")
        before.subscribe(channel)
        self.proxy.reload(self.reloading)
        after = self.through()
        after.subscribe(channel)
        self.sdk().trigger([channel], "price", {})
        for client in (before, after):
            client.expect("price", channel)

    def check_node_down(self) -> None:
        """When a node dies, its clients come back through the proxy to the other one, and the app notices nothing."""
        clients, channel = [self.through(), self.through()], fresh("news")
        for client in clients:
            client.subscribe(channel)
        self.nodes[0].kill()
        succeeded = f'{{"event":"pusher_internal:subscription_succeeded","channel":"{channel}"'
        wait_for("both on one node", lambda: self.nodes[1].log.count(succeeded) == 2)
        for number in range(4):
            self.sdk().trigger([channel], f"price-{number}", {})
            for client in clients:
                client.expect(f"price-{number}", channel)
        self.nodes[0].start()
