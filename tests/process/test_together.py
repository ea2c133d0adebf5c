"""What one feature does where another is in use, in real processes."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.ports import free_port
from tests.process.running import ProcessTestCase, closed_with, read
from tests.process.test_logs import named
from tests.process.test_reload import ReloadTestCase, app
from tests.process.test_stop import ready
from tests.scraping import Scrape, scrape
from tests.server import KEY, PATIENCE, Server, wait_for


class ProxiedTests(ProcessTestCase):
    """Servers behind a proxy that is trusted: this test, which says whom it speaks for."""

    def through(self, forwarded: str) -> tuple[ClientConnection, Any]:
        """Connect on behalf of a client; give the connection, and what it is told first."""
        url, headers = f"ws://127.0.0.1:{self.server.websocket_port}/app/{KEY}", {"X-Forwarded-For": forwarded}
        client = self.enterContext(connect(url, proxy=None, additional_headers=headers, open_timeout=PATIENCE))
        return client, read(client)

    def test_limits(self) -> None:
        """Quotas and proxies: each client is counted by its own address, whatever it says itself, while it is there."""
        self.server = self.enterContext(Server("--trusted-proxies=127.0.0.1", "--address-connections=2"))
        first, _ = self.through("203.0.113.9")
        for forwarded in ("198.51.100.1, 203.0.113.9", "203.0.113.10", "203.0.113.10"):
            self.assertEqual(self.through(forwarded)[1]["event"], "pusher:connection_established")
        for forwarded in ("203.0.113.9", "198.51.100.2, 203.0.113.10"):
            client, told = self.through(forwarded)
            self.assertEqual((told["data"]["code"], closed_with(client)), (4100, 4100))
        first.close()
        self.assertEqual(self.through("203.0.113.9")[1]["event"], "pusher:connection_established")

    def test_access_log(self) -> None:
        """Access log and proxies: it tells whose a connection and a request was, whichever way it was read."""
        options = ("--trusted-proxies=127.0.0.1", "--access-log", "--log-format=json")
        self.server = self.enterContext(Server(*options))
        self.through("203.0.113.9")[0].close()
        for version in (b"1.1", b"1.0"):
            with socket.create_connection(("127.0.0.1", self.server.api_port), PATIENCE) as caller:
                request = b"GET /health HTTP/%b\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.77\r\n\r\n"
                caller.sendall(request % version)
                self.assertIn(b" 200 OK", caller.recv(4096))
        wait_for("the end", lambda: named(self.server.log, "connection_closed"))
        for event in ("connection_opened", "connection_closed"):
            (line,) = named(self.server.log, event)
            self.assertTrue(line["peer"].startswith("203.0.113.9 via tcp4:127.0.0.1:"), line)
        self.assertEqual([each["peer"] for each in named(self.server.log, "request")], ["203.0.113.77"] * 2)

    def test_metrics(self) -> None:
        """Metrics and proxies: Prometheus speaks for itself, also where proxies send PROXY headers to both ports."""
        port = free_port()
        options = ("--trusted-proxies=127.0.0.1", "--proxy-protocol=both", f"--metrics-host=127.0.0.1:{port}")
        with Server(*options) as server:
            with socket.create_connection(("127.0.0.1", server.api_port), PATIENCE) as proxy:
                proxy.sendall(b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\nGET /ready HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertIn(b" 200 OK", proxy.recv(4096))
            self.assertEqual(scrape(port)("proxy_headers_refused_total"), 0)
            self.assertEqual(ready(port), (200, {"ready": True}))


class LimitsTests(ReloadTestCase):
    """Limits that change while clients are connected."""

    def begin(self, *lines: str) -> Server:
        """Start a server."""
        self.write("metrics = true", *lines, app("one"), app("two"))
        return self.enterContext(Server(f"--config={self.file}"))

    def change(self, server: Server, *lines: str, of_app: str = "") -> Scrape:
        """Change the settings; give the metrics after that."""
        self.write("metrics = true", *lines, app("one", of_app))
        self.assertIn("options changed" if lines else "apps changed", server.hang_up())
        return scrape(server.api_port)

    def told(self, server: Server, key: str = "one") -> str:
        """Connect; give the event or the code that is told first."""
        url = f"ws://127.0.0.1:{server.websocket_port}/app/{key}"
        told = read(self.enterContext(connect(url, proxy=None, open_timeout=PATIENCE)))
        return str(told["data"]["code"] if told["event"] == "pusher:error" else told["event"])

    def test_messages(self) -> None:
        """Reload and limits: a client that is connected may send no more, and no larger, than it may from now on."""
        server = self.begin("messages-per-second = 1000")
        fast, large = (self.connect(server.websocket_port, key="one") for _ in range(2))
        for _ in range(100):
            fast.send('{"event":"pusher:ping","data":{}}')
            self.assertEqual(read(fast)["event"], "pusher:pong")
        self.change(server, "messages-per-second = 1", "message-bytes = 1000")
        large.send(json.dumps({"event": "pusher:ping", "data": "x" * 2000}))
        self.assertEqual(closed_with(large), 1009)
        with contextlib.suppress(ConnectionError, ConnectionClosed):
            for _ in range(400):
                fast.send('{"event":"pusher:ping","data":{}}')
        self.assertEqual(closed_with(fast), 4100)
        self.assertEqual(scrape(server.api_port)("connections_cut_total", reason="flood"), 1)

    def test_quotas(self) -> None:
        """Reload and limits: who is there is counted by a new quota, and stays; who comes is refused by it."""
        for of_node, of_app, code in (
            ("node-connections = 2", "", "4100"),
            ("address-connections = 2", "", "4100"),
            ("", "connections = 2", "4004"),
        ):
            server = self.begin()
            clients = [self.connect(server.websocket_port, key="one") for _ in range(3)]
            self.change(server, *filter(None, [of_node]), of_app=of_app)
            self.assertEqual(self.told(server), code)
            for client in clients:
                self.subscribe(client)
            clients[0].close()
            wait_for("one left", lambda server=server: scrape(server.api_port)("connections", app="one") == 2)  # type: ignore[misc]
            self.assertEqual(self.told(server), code)
            clients[1].close()
            wait_for("two left", lambda server=server: scrape(server.api_port)("connections", app="one") == 1)  # type: ignore[misc]
            self.assertEqual(self.told(server), "pusher:connection_established")

    def test_removed_app(self) -> None:
        """Reload and metrics: clients of an app that is removed are counted out, as what they were sent away with."""
        server = self.begin()
        clients = [self.connect(server.websocket_port, key="two") for _ in range(3)]
        self.assertEqual(scrape(server.api_port)("connections", app="two"), 3)
        self.write("metrics = true", app("one"))
        server.hang_up()
        self.assertEqual([closed_with(client) for client in clients], [4001] * 3)
        wait_for("their end", lambda: scrape(server.api_port)("connections", app="two") == 0)
        told = scrape(server.api_port)
        self.assertEqual(told("connections_sent_away_total", app="two", code="4001"), 3)
        self.assertEqual(told("connections_closed_total", app="two", code="4001"), 3)
        self.assertEqual(told("reloads_total", outcome="taken over"), 1)


class DrainTests(ProcessTestCase):
    """A server that stops, watched on its port for metrics."""

    def test_metrics(self) -> None:
        """Stop and metrics: the port for metrics tells to the end how clients become fewer, and is ready no more."""
        port = free_port()
        with Server("--drain-seconds=60", f"--metrics-host=127.0.0.1:{port}") as server:
            wait_for("being ready", lambda: ready(port) == (200, {"ready": True}))
            clients = [self.connect(server.websocket_port) for _ in range(200)]
            server.signal(signal.SIGTERM)
            self.assertEqual(closed_with(clients[0]), 4200)
            status, told = ready(port)
            self.assertEqual((status, told["ready"]), (503, False))
            wait_for("fewer clients", lambda: 0 < scrape(port)("connections", app=KEY) < 200)
            self.assertGreater(scrape(port)("connections_closed_total", app=KEY, code="4200"), 0)
            for client in clients[1:]:
                self.assertEqual(closed_with(client), 4200)
            self.assertEqual(server.wait(), 0)
